"""Where the pictures of a report come from: the samples and the predictions behind a record.

A run's `plan.json` names its data, and a job of the suite stores its predictions beside its record; a job of `score`
names the files that were scored, and the truth, in its `job.json`. What the caller gives goes before what files say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark import catalog, store
from benchmark.contract import PredictionSet, Sample, SampleSet
from benchmark.problems import DataError, Problem, UsageError
from reports.records import Record, Run

JOB = "job.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where samples are looked for. data_root: the caller's. truth: explicit truth file or folder of the caller."""

    data_root: Path | None = None
    truth: Path | None = None


def open_samples(run: Run, record: Record, places: Places) -> SampleSet:
    """The samples of a record; raises UsageError or DataError when they are not found."""
    job = _job(record)
    root = places.data_root or _path(job.get("data_root")) or _planned_root(run, record)
    truth = places.truth or _path(job.get("truth")) or _path(run.plan.get("truth"))
    if root is None and truth is None:
        raise UsageError("The run does not say where its images are; give --data-root.")
    return catalog.open_samples(catalog.get(record.benchmark), root, truth=truth, is_mini=record.is_mini)


def open_predictions(record: Record, samples: SampleSet) -> PredictionSet | None:
    """The predictions of a record: stored ones, or the files that `score` was given; None without either."""
    if (record.folder / store.PREDICTIONS).is_dir():
        return store.open_predictions(record.folder)
    scored = _path(_job(record).get("predictions"))
    if scored is None or not scored.exists():
        return None
    return catalog.read_predictions(catalog.get(record.benchmark), scored, samples)


def read_image(sample: Sample, frame: int = 0) -> NDArray[np.uint8]:
    """A frame of a sample as uint8 [H, W, 3] RGB, the first by default; raises DataError when it cannot be read."""
    try:
        with sample.frames[frame].open("rb") as file, Image.open(file) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:
        problem = Problem(
            place=str(sample.frames[frame]),
            message=f"the image of sample {sample.sample_id} cannot be read ({error})",
            remedy="Give the --data-root that the run was made with",
        )
        raise DataError([problem]) from error


def _planned_root(run: Run, record: Record) -> Path | None:
    """The data root that the plan names for the record's row, or for all rows."""
    rows = {row.get("benchmark"): row for row in run.plan.get("rows", ())}
    return _path(rows.get(record.benchmark, {}).get("data_root")) or _path(run.plan.get("data_root"))


def _job(record: Record) -> dict[str, Any]:
    """Content of `job.json`; empty where there is none."""
    try:
        content = json.loads((record.folder / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _path(value: object) -> Path | None:
    return Path(value) if isinstance(value, str) else None
