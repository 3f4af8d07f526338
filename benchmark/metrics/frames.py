"""The pair of annotations that a metric compares, checked once, and the statistics of many samples laid end to end.

Checks kind and size only; ids and classes are the business of the readers and of each metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Annotation, Instances, LabelMap, Panoptic, Prediction, Sample, Stats, sample_order
from benchmark.problems import BenchmarkError

Kind = TypeVar("Kind", Instances, LabelMap, Panoptic)


def pair(sample: Sample, prediction: Prediction, kind: type[Kind]) -> tuple[Kind, Kind]:
    """(truth, prediction) of an image sample, both of `kind` and of the sample's size; else BenchmarkError."""
    if sample.truth is None:
        raise BenchmarkError(f"{sample.sample_id}: the sample has no truth to score against. Name one with --truth.")
    truth = _only(sample, sample.truth.frames, "truth", kind)
    return truth, _only(sample, prediction.frames, "prediction", kind)


def _only(sample: Sample, frames: Sequence[Annotation], role: str, kind: type[Kind]) -> Kind:
    if len(frames) != 1:
        raise BenchmarkError(f"{sample.sample_id}: {role} has {len(frames)} frames; an image sample has 1.")
    (frame,) = frames
    if not isinstance(frame, kind):
        raise BenchmarkError(
            f"{sample.sample_id}: {role} is of kind {type(frame).__name__}, this metric compares {kind.__name__}."
        )
    for found in _sizes(frame):
        if found != tuple(sample.size):
            raise BenchmarkError(
                f"{sample.sample_id}: {role} is {found[0]}x{found[1]} (height x width), "
                f"the image is {sample.size[0]}x{sample.size[1]}. Write masks and maps at the image's own size."
            )
    return frame


def _sizes(frame: Annotation) -> Sequence[tuple[int, ...]]:
    match frame:
        case Instances():
            return [tuple(rle.size) for rle in frame.masks or ()]
        case LabelMap():
            return [frame.size]
        case Panoptic():
            return [frame.size]


@dataclass(frozen=True, slots=True)
class Columns:
    """The arrays of many samples laid end to end, in the samples' official order.

    order: int64 [S], position in the given list of each sample in official order.
    arrays: name -> [rows of all samples, ...].
    sample: name -> int64 [rows], the position in official order of each row's sample.
    """

    order: NDArray[np.int64]
    arrays: Mapping[str, NDArray[Any]]
    sample: Mapping[str, NDArray[np.int64]]

    def weights(self, given: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """int64 [S], how often each sample in official order counts. given: in the order of the list, None: once."""
        if given is None:
            return np.ones(len(self.order), np.int64)
        return np.asarray(given, np.int64)[self.order]


def columns(stats: Sequence[Stats], empty: Mapping[str, NDArray[Any]]) -> Columns:
    """Concatenate the statistics. empty: name -> array [0, ...] of no rows, which fixes type and trailing shape."""
    order = sorted(range(len(stats)), key=lambda position: sample_order(stats[position].sample_id))
    arrays, sample = {}, {}
    for name, nothing in empty.items():
        parts = [stats[position].arrays[name] for position in order]
        arrays[name] = np.concatenate([nothing, *parts]).astype(nothing.dtype, copy=False)
        sample[name] = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Columns(np.array(order, np.int64), arrays, sample)


def mean(values: NDArray[np.float64]) -> float:
    """Mean of the entries that are not NaN; NaN if there are none. values: float64 [...]."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Element-wise quotient, NaN where the denominator is zero. numerator, denominator: numbers [...]."""
    nothing = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), np.nan)
    return np.divide(numerator, denominator, out=nothing, where=np.asarray(denominator) != 0)
