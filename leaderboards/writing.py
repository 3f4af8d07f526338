"""Write an archive: the row's own result files under the server's names, packed, checked, and only then published.

The same predictions give the same bytes. An archive with errors is not left behind, and nothing is overwritten.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet
from benchmark.problems import DataError, UsageError
from benchmark.problems import Problem as ReaderProblem
from benchmark.row import Benchmark
from leaderboards import packing, validation
from leaderboards.families import form_of
from leaderboards.forms import Form
from leaderboards.problems import Problem, error, has_errors, listed


def target_of(row: Benchmark, out: Path | None, folder: Path, system: str) -> Path:
    """The archive's path: as asked for, else the official name in a folder. Raises UsageError for a bad one."""
    form = form_of(row)
    target = out or folder / form.archive_name(row, system)
    if target.is_dir():
        target = target / form.archive_name(row, system)
    if target.suffix != Path(form.archive).suffix:
        raise UsageError(f"{target} is not named *{Path(form.archive).suffix}, as its server asks. Name another --out.")
    if form.is_named and validation.system_in(form, row, target.name) is None:
        raise UsageError(f"The server reads the name of {target}. Call it {form.archive_name(row, '<system>')}.")
    if target.exists():
        raise UsageError(f"{target} exists and is not overwritten. Name another --out.")
    return target


def write(row: Benchmark, samples: SampleSet, predictions: PredictionSet, target: Path) -> list[Problem]:
    """Write the archive of a row unless it would have errors, and return all problems. Raises DataError, UsageError."""
    form = form_of(row)
    missing = [sample_id for sample_id in samples.ids if sample_id not in predictions]
    if missing:
        message = f"{len(missing):,} of {len(samples):,} samples have no prediction ({listed(missing)})"
        return [error(row.name, message, "Predict the whole split: servers refuse a part of it")]
    with tempfile.TemporaryDirectory(prefix="archive-") as home:
        packed = _pack(form, row, _pairs(samples, predictions), Path(home) / "files", Path(home) / target.name)
        found = validation.validate(row, packed, samples)
        if not has_errors(found):
            packing.publish_copy(packed, target)
    return found


def _pack(form: Form, row: Benchmark, pairs: Iterator[tuple[Sample, Prediction]], stage: Path, packed: Path) -> Path:
    """The archive in a folder of its own. stage: a new folder for its files."""
    stage.mkdir()
    system = validation.system_in(form, row, packed.name) or packed.stem
    place = form.place_of(row, system)
    try:
        row.layout.write_predictions(row, stage / place if place else stage, pairs)
    except ValueError as wrong:
        remedy = "Give predictions of this row's task"
        raise DataError([ReaderProblem(place=row.name, message=str(wrong).rstrip("."), remedy=remedy)]) from wrong
    form.finish(row, stage)
    if form.is_zip:
        packing.pack(stage, packed)
    else:
        packing.publish_copy(stage / place, packed)
    return packed


def _pairs(samples: SampleSet, predictions: PredictionSet) -> Iterator[tuple[Sample, Prediction]]:
    for index, sample_id in enumerate(samples.ids):
        yield samples[index], predictions[sample_id]
