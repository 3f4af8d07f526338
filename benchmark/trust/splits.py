"""Predictions that were made for another split of the same data set: found by reading them against both splits.

Asked only when a reader has refused ids, since other splits may be large.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmark import catalog, prompts
from benchmark.contract import Instances, LabelMap, Prediction, Sample, SampleSet
from benchmark.problems import DataError, Problem
from benchmark.row import Benchmark

MOST_SPLITS = 8
"""Other splits that are opened; each may be large."""


def explain(row: Benchmark, root: Path | None, path: Path, samples: SampleSet, error: DataError) -> DataError:
    """The error, headed by the split below `root` that the predictions belong to, where their ids give it away."""
    if root is None or not any(problem.is_foreign for problem in error.problems):
        return error
    counts = [(_num_of(other, row, root, path, samples), other) for other in _siblings(row)]
    num, other = max(counts, key=lambda one: one[0], default=(0, row))
    if num:
        message = f"{num:,} of the predicted samples belong to {other.name}, another split of {row.dataset}"
        remedy = f"Score them with 'python -m benchmark score {other.name} {path}'"
        return DataError((Problem(place=str(path), message=message, remedy=remedy), *error.problems))
    return error


def _siblings(row: Benchmark) -> list[Benchmark]:
    rows = {**catalog.BENCHMARKS, **catalog.TRAINING}.values()
    same = [one for one in rows if (one.dataset, one.task, one.labels) == (row.dataset, row.task, row.labels)]
    return [one for one in same if one.split != row.split][:MOST_SPLITS]


def _num_of(other: Benchmark, row: Benchmark, root: Path, path: Path, samples: SampleSet) -> int:
    """How many predictions are of samples of the other split alone; 0 where either cannot be read."""
    try:
        listing = catalog.open_listing(other, root, is_mini=catalog.is_mini_root(root))
        theirs = listing.samples(prompts.build_prompt(other.task, catalog.label_set(other)))
        known = frozenset(samples.ids)
        only = {sample_id: index for index, sample_id in enumerate(theirs.ids) if sample_id not in known}
        both = _joined(samples, theirs, only)
        predictions = catalog.read_predictions(row, path, both)
        return sum(sample_id in predictions and _holds(predictions[sample_id]) for sample_id in only)
    except DataError:
        return 0


def _joined(samples: SampleSet, theirs: SampleSet, only: dict[str, int]) -> SampleSet:
    num, places = len(samples), list(only.values())

    def build(index: int) -> Sample:
        return samples[index] if index < num else theirs[places[index - num]]

    return SampleSet((*samples.ids, *only), build)


def _holds(prediction: Prediction) -> bool:
    return any(_sizes(prediction))


def _sizes(prediction: Prediction) -> Iterator[int]:
    for frame in prediction.frames:
        if isinstance(frame, Instances):
            yield len(frame)
        else:
            yield 1 if isinstance(frame, LabelMap) else len(frame.segments)
