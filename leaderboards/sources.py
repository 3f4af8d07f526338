"""Where predictions come from: a run directory that stores them, or files in the row's result form.

<run>/plan.json                     names the data root
<run>/<row>/job.json, predictions/  written by `benchmark/run.py`; the job's own directory may be named, too
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import catalog, store
from benchmark.contract import PredictionSet, SampleSet
from benchmark.formats.json_files import read_json
from benchmark.minidata import generate, miniatures
from benchmark.problems import UsageError
from benchmark.row import Benchmark, WritesScenes

PLAN, JOB = "plan.json", "job.json"
MINI = "mini"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Predictions of one row. path: what was named. job: the directory of the job, None for result files."""

    path: Path
    job: Path | None = None

    @property
    def system(self) -> str:
        """A name for the archive: that of the run, or of the file."""
        named = self.path.parent if self.job == self.path else self.path
        return re.sub(r"[^A-Za-z0-9.-]+", "-", named.resolve().stem).strip("-.") or "system"

    def predictions(self, row: Benchmark, samples: SampleSet) -> PredictionSet:
        """What is predicted. Raises DataError with all problems."""
        if self.job is not None:
            return store.open_predictions(self.job)
        return catalog.read_predictions(row, self.path, samples)


def find(path: Path, row: Benchmark) -> Source:
    """The predictions of a row at a path. Raises UsageError where there are none."""
    if not path.exists():
        raise UsageError(f"{path} does not exist. Give a run directory, or predictions in the row's result form.")
    for home in (path / row.name, path):
        if (home / JOB).is_file() and (home / store.PREDICTIONS).is_dir():
            return Source(path=path, job=home)
        scored = _json(home / JOB).get("predictions")
        if isinstance(scored, str):
            raise UsageError(f"{path} is what 'score' left, which keeps no predictions. Give what it scored: {scored}")
    if (path / PLAN).is_file():
        held = sorted(one.parent.name for one in path.glob(f"*/{JOB}"))
        known = f"It holds {', '.join(held)}." if held else "It holds no predictions."
        raise UsageError(f"{path} has no predictions of {row.name}. {known}")
    return Source(path=path)


def data_root(source: Source, row: Benchmark, given: Path | None) -> Path:
    """Where the row's data are: as given, as the run's plan says, or the mini data."""
    if given is not None:
        return given
    plan = _json(source.path / PLAN) or _json(source.path.parent / PLAN) if source.job is not None else {}
    if plan.get("data_root"):
        return Path(plan["data_root"])
    job = {} if source.job is None else _json(source.job / JOB)
    if source.job is None or str(job.get("data", MINI)).startswith(MINI):
        return mini_root(row)
    raise UsageError(f"{source.path} does not say where the data of {row.name} are. Give --data-root DIR.")


def mini_root(row: Benchmark) -> Path:
    """The root of the row's miniature, generated unless it is there. Raises UsageError where there is none."""
    if miniatures.is_generated(row):
        return generate.ensure()
    if not isinstance(row.layout, WritesScenes):
        raise UsageError(f"{row.name} has no miniature yet. Give --data-root DIR.")
    return miniatures.root_of(row, (*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()))


def samples_of(row: Benchmark, root: Path) -> SampleSet:
    """The row's samples below a data root. Raises DataError."""
    return catalog.open_samples(row, root, is_mini=catalog.is_mini_root(root))


def _json(path: Path) -> Mapping[str, Any]:
    """The object in a file of ours, {} where there is none."""
    content = read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def write_result(path: Path, content: Mapping[str, Any]) -> None:
    """Keep what a validation found, beside the archive."""
    store.write_text(path, json.dumps(content, indent=1) + "\n")
