"""Precision/recall curves of all classes at once, for weights that change from call to call: bootstrap replicates.

`ClassCurve.integrate` repeats the rows of a class; here nothing is repeated. Between two hits precision only falls, so
the curve is needed at the hits alone, and what was false before them is read off one running sum over all detections
that are ever false, less the few that are not at the level in question. Results equal `ClassCurve`'s to rounding.
Shapes: A ranges of area, T thresholds of IoU, C classes, H hits over all (A, T, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmark.metrics.precision_curve import RECALLS, ClassCurve, Integral


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """One (area, threshold), positions in the list of all detections: int32, ascending.

    hits: its hits. base: what is false at some threshold of the area. lapses: of those, what is not false here.
    """

    hits: NDArray[np.int32]
    base: NDArray[np.int32]
    lapses: NDArray[np.int32]


class _Grouped:
    """Samples of hits that lie group by group. sample: int32 [H]. sizes: int64 [groups]. bounds: int64 [groups + 1]."""

    def __init__(self, sample: NDArray[np.int32], sizes: NDArray[np.int64]) -> None:
        self.sample, self.sizes = sample, sizes
        self.bounds = np.cumsum(np.concatenate(([0], sizes)))


class WeightedCurves:
    """curves: one a class, all with the same A and T. max_dets: caps of the recalls, ascending."""

    def __init__(self, curves: Sequence[ClassCurve], max_dets: Sequence[int]) -> None:
        self._curves, self._max_dets = tuple(curves), tuple(max_dets)
        self._slow = [index for index, curve in enumerate(curves) if has_mixed_ties(curve)]
        if curves:
            self._count()
            self._index()

    def _count(self) -> None:
        """Truths and detections of every sample, so that totals are one product with the weights."""
        curves = self._curves
        self._num_areas, self._num_levels = curves[0].is_hit.shape[:2]
        self._num_samples = 1 + max(
            int(rows.max(initial=-1)) for one in curves for rows in (one.sample, one.truth_sample)
        )
        owner = np.repeat(np.arange(len(curves)), [len(one.sample) for one in curves])
        self._detections = self._totals(owner, _joined([one.sample for one in curves]), len(curves))
        owner = np.repeat(np.arange(len(curves)), [len(one.truth_sample) for one in curves])
        truth, area = np.nonzero(np.concatenate([one.truth_counts for one in curves]))
        sample = _joined([one.truth_sample for one in curves])[truth]
        self._truths = self._totals(area * len(curves) + owner[truth], sample, self._num_areas * len(curves))

    def _totals(self, row: NDArray[np.int64], sample: NDArray[np.int64], num_rows: int) -> sparse.csr_matrix:
        """How often each sample occurs in each row, [num_rows, samples]: few of many classes occur in one sample."""
        ones = np.ones(len(row))
        return sparse.csr_matrix((ones, (row, sample)), shape=(num_rows, self._num_samples))

    def _index(self) -> None:
        """Where the hits are, and which running sums stand before each of them."""
        sample, rank = (_small(_joined([getattr(one, name) for one in self._curves])) for name in ("sample", "rank"))
        starts = np.cumsum([0, *(len(curve.sample) for curve in self._curves)])
        layers = [layer for area in range(self._num_areas) for layer in self._layers(area)]
        bases = [layer.base for layer in layers[:: self._num_levels]]
        self._base_sample = sample[_joined(bases)]
        self._lapse_sample = sample[_joined([layer.lapses for layer in layers])]
        base_from = np.repeat(np.cumsum([0, *map(len, bases[:-1])]), self._num_levels)
        lapse_from = np.cumsum([0, *(len(layer.lapses) for layer in layers[:-1])])
        rows = list(zip(layers, base_from, lapse_from, strict=True))
        self._base_at = _small(_joined([n + np.searchsorted(one.base, one.hits, "right") for one, n, _ in rows]))
        self._lapse_at = _small(_joined([n + np.searchsorted(one.lapses, one.hits, "right") for one, _, n in rows]))
        self._base_start = _joined([n + np.searchsorted(one.base, starts[:-1]) for one, n, _ in rows])
        self._lapse_start = _joined([n + np.searchsorted(one.lapses, starts[:-1]) for one, _, n in rows])
        hits = _joined([layer.hits for layer in layers])
        sizes = np.concatenate([np.diff(np.searchsorted(layer.hits, starts)) for layer in layers])
        self._hits = _Grouped(sample[hits], sizes)
        ranks, segment = rank[hits], np.repeat(np.arange(len(sizes)), sizes)
        self._capped = [
            _Grouped(sample[hits[ranks < cap]], np.bincount(segment[ranks < cap], minlength=len(sizes)))
            for cap in self._max_dets
        ]
        self._lift = 2.0 * np.tile(np.arange(len(self._curves), 0, -1), len(layers))

    def _layers(self, area: int) -> list[_Layer]:
        """All thresholds of an area; they share the base."""
        is_false = np.concatenate([curve.is_false[area] for curve in self._curves], axis=-1)
        base = _small(np.flatnonzero(is_false.any(axis=0)))
        layers = []
        for level in range(self._num_levels):
            is_hit = np.concatenate([curve.is_hit[area, level] for curve in self._curves])
            lapses = base[~is_false[level, base]]
            layers.append(_Layer(hits=_small(np.flatnonzero(is_hit)), base=base, lapses=lapses))
        return layers

    def integrate(self, weights: NDArray[np.int64]) -> list[Integral]:
        """One a class, when sample s counts weights[s] times. weights: int64 [S]."""
        if not self._curves:
            return []
        known = weights[: self._num_samples].astype(np.float64)
        detections = self._detections @ known
        truths = (self._truths @ known).reshape(self._num_areas, len(self._curves))
        precision = self._precision(weights.astype(np.int32), truths)
        recall = self._recall(weights.astype(np.int32), truths)
        found = [
            Integral(
                precision=precision[..., index],
                recall=recall[..., index],
                num_truths=int(truths[0, index]),
                num_detections=int(detections[index]),
            )
            for index in range(len(self._curves))
        ]
        for index in self._slow:
            found[index] = self._curves[index].integrate(weights, self._max_dets)
        return found

    def _precision(self, weights: NDArray[np.int32], truths: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [A, T, C], mean over the recalls; NaN without truth. truths: [A, C]."""
        sizes, bounds = self._hits.sizes, self._hits.bounds
        wanted = np.repeat(truths, self._num_levels, axis=0).ravel()
        before = _running(weights, self._hits.sample)
        hits = before[1:] - np.repeat(before[bounds[:-1]], sizes)
        bases, lapses = _running(weights, self._base_sample), _running(weights, self._lapse_sample)
        falses = bases[self._base_at] - lapses[self._lapse_at]
        falses -= np.repeat(bases[self._base_start] - lapses[self._lapse_start], sizes)
        falses += hits
        precision = hits / (falses + np.spacing(1))
        reached = num_recalls(hits, np.repeat(100 / np.maximum(wanted, 1), sizes))
        new = np.diff(reached, prepend=np.int32(0))
        firsts = bounds[:-1][sizes > 0]
        new[firsts] = reached[firsts]
        # A class's values are lifted above those of the classes after it, so that one pass from the end serves all.
        lift = np.repeat(self._lift, sizes)
        precision += lift
        num_classes = len(self._curves)
        for low, high in pairwise(bounds[::num_classes].tolist()):
            backwards = precision[low:high][::-1]
            np.maximum.accumulate(backwards, out=backwards)
        precision -= lift
        precision *= new
        sums = np.zeros(len(sizes))
        if len(firsts):
            sums[sizes > 0] = np.add.reduceat(precision, firsts) / len(RECALLS)
        return np.where(wanted > 0, sums, np.nan).reshape(self._num_areas, self._num_levels, num_classes)

    def _recall(self, weights: NDArray[np.int32], truths: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [A, M, C], mean over the thresholds; NaN without truth. truths: [A, C]."""
        shape = (self._num_areas, self._num_levels, len(self._curves))
        sums = [np.diff(_running(weights, one.sample)[one.bounds]).reshape(shape).sum(axis=1) for one in self._capped]
        wanted = truths[:, None] * self._num_levels
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(wanted > 0, np.stack(sums, axis=1) / wanted, np.nan)


def has_mixed_ties(curve: ClassCurve) -> bool:
    """Whether rows of one sample and one score hold a hit and a false detection at some level.

    Copies of the sample then interleave them, so the order of the copies is part of the result.
    """
    if not curve.has_ties:
        return False
    starts = np.flatnonzero(np.diff(curve.tie, prepend=-1))
    any_hit, any_false = (np.logical_or.reduceat(rows, starts, axis=-1) for rows in (curve.is_hit, curve.is_false))
    return bool((any_hit & any_false).any())


_IS_ABOVE = np.arange(101) / 100 < RECALLS
"""Recalls that are not reached by exactly their share of the truths, because the list rounds them up."""


def num_recalls(hits: NDArray[np.int32], percent: NDArray[np.float64]) -> NDArray[np.int32]:
    """How many of the 101 recalls are reached by so many hits, int32 [H]; none by no hit.

    percent: float64 [H], what one hit adds to the recall in percent.
    """
    recall = np.minimum(hits * percent, 100.0)
    last = (recall + 1e-7).astype(np.int32)
    last -= _IS_ABOVE[last] & (recall - last < 1e-7)
    last += hits > 0
    return last


def _running(weights: NDArray[np.int32], sample: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums of the first 0, 1, ..., n weights of rows, int32 [n + 1]. sample: int32 [n]."""
    sums = np.zeros(len(sample) + 1, np.int32)
    np.take(weights, sample, out=sums[1:], mode="clip")
    return np.cumsum(sums, out=sums)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) else np.zeros(0, np.int64)


def _small(positions: NDArray[Any]) -> NDArray[np.int32]:
    """Half the memory: there are fewer than two thousand million detections."""
    return positions.astype(np.int32)
