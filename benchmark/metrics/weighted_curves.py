"""Precision/recall curves of all classes at once, for weights that change from call to call: bootstrap replicates.

`ClassCurve.integrate` repeats the rows of a class; here nothing is repeated. Precision only rises along hits that no
false detection parts, so each such run of hits is one point, at its end. What stands before it is read off two running
sums: over the hits, and over all detections that count at some threshold of the range, less the few that do not at the
threshold in question. Results equal `ClassCurve`'s to rounding.
Shapes: A ranges of area, T thresholds of IoU, C classes, R runs of hits of one (area, threshold), class by class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmark.metrics.class_curves import Curves
from benchmark.metrics.precision_curve import RECALLS, ClassCurve, Integral, hits_of_recalls

_NONE, _ZERO = np.zeros(0, np.int64), np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """One (area, threshold). runs: where its own are among those of all layers.

    sizes: int64 [C], runs of each class. starts: int64 [C], runs before each. shown: int64 [D], classes with runs.
    counted: int32 [R], sums of detections up to each run's end. bases: int64 [C], those before each class.
    lapses: int64 [L], samples of detections that count in the area and not here. lapsed: int64 [R], how many of them
    are before each run's end. lapse_starts: int64 [C], those before each class.
    """

    runs: slice
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]
    shown: NDArray[np.int64]
    counted: NDArray[np.int32]
    bases: NDArray[np.int64]
    lapses: NDArray[np.int64]
    lapsed: NDArray[np.int64]
    lapse_starts: NDArray[np.int64]


class WeightedCurves:
    """curves: of all classes. max_dets: caps of the recalls, ascending."""

    def __init__(self, curves: Curves, max_dets: Sequence[int]) -> None:
        self._curves, self._max_dets = curves, tuple(max_dets)
        self._slow = [index for index in np.flatnonzero(curves.has_ties).tolist() if has_mixed_ties(curves[index])]
        self._num_areas, self._num_levels = curves.is_hit.shape[:2]
        self._count()
        self._index()

    def _count(self) -> None:
        """Truths, detections and hits of every sample, so that totals are one product with the weights."""
        curves, num = self._curves, len(self._curves)
        self._num_samples = 1 + int(max(curves.sample.max(initial=-1), curves.truth_sample.max(initial=-1)))
        owner = np.repeat(np.arange(num), np.diff(curves.starts))
        self._detections = self._totals(owner, curves.sample, num)
        truth, area = np.nonzero(curves.truth_counts)
        of_truth = np.repeat(np.arange(num), np.diff(curves.truth_starts))
        self._truths = self._totals(area * num + of_truth[truth], curves.truth_sample[truth], self._num_areas * num)
        rows = [[_NONE], [_NONE]]
        for number in range(self._num_areas):
            place = np.flatnonzero(curves.is_hit[number]) % max(len(curves.sample), 1)
            for cap, most in enumerate(self._max_dets):
                kept = place[curves.rank[place] < most]
                rows[0].append((number * len(self._max_dets) + cap) * num + owner[kept])
                rows[1].append(curves.sample[kept])
        num_rows = self._num_areas * len(self._max_dets) * num
        self._hits = self._totals(np.concatenate(rows[0]), np.concatenate(rows[1]), num_rows)

    def _totals(self, row: NDArray[np.int64], sample: NDArray[np.int64], num_rows: int) -> sparse.csr_matrix:
        """How often each sample occurs in each row, [num_rows, samples]: few of many classes occur in one sample."""
        ones = np.ones(len(row))
        return sparse.csr_matrix((ones, (row, sample)), shape=(num_rows, self._num_samples))

    def _index(self) -> None:
        """Group hits by runs, and what counts by what the runs of an area ask for."""
        sample, class_starts = self._curves.sample, self._curves.starts
        layers, hits, stops, base, cuts = [], [_NONE], [_ZERO], [_NONE], [_ZERO]
        num_runs = num_hits = num_base = num_cuts = 0
        for area in range(self._num_areas):
            flags = zip(self._curves.is_hit[area], self._curves.is_false[area], strict=True)
            rows = [_Rows.of(*both, class_starts) for both in flags]
            counts = np.flatnonzero(np.logical_or.reduce([one.counts for one in rows]))
            starts = np.searchsorted(counts, class_starts[:-1])
            wanted = [np.searchsorted(counts, one.ends, "right") for one in rows]
            cut = np.unique(np.concatenate((_ZERO, starts, *wanted)))
            for one, stop in zip(rows, wanted, strict=True):
                lapses = counts[~one.counts[counts]]
                sizes = np.diff(np.searchsorted(one.ends, class_starts))
                layers.append(
                    _Layer(
                        runs=slice(num_runs, num_runs + len(stop)),
                        sizes=sizes,
                        starts=np.cumsum(sizes) - sizes,
                        shown=np.flatnonzero(sizes),
                        counted=(num_cuts + np.searchsorted(cut, stop)).astype(np.int32),
                        bases=num_cuts + np.searchsorted(cut, starts),
                        lapses=sample[lapses],
                        lapsed=np.searchsorted(lapses, one.ends, "right"),
                        lapse_starts=np.searchsorted(lapses, class_starts[:-1]),
                    )
                )
                hits.append(sample[one.hits])
                stops.append(num_hits + one.stops)
                num_runs, num_hits = num_runs + len(stop), num_hits + len(one.hits)
            base.append(sample[counts[: cut[-1]]])
            cuts.append(num_base + cut[1:])
            num_base, num_cuts = num_base + int(cut[-1]), num_cuts + len(cut) - 1
        self._layers = layers
        self._runs, self._base = self._groups(hits, stops), self._groups(base, cuts)

    def _groups(self, samples: Sequence[NDArray[np.int64]], stops: Sequence[NDArray[np.int64]]) -> sparse.csr_matrix:
        """Groups of rows, so that a product with the weights is the sum of each: [groups, samples]."""
        sample, bounds = np.concatenate(samples), np.concatenate(stops)
        ones = np.ones(len(sample), np.int32)
        return sparse.csr_matrix((ones, sample, bounds), shape=(len(bounds) - 1, self._num_samples))

    def integrate(self, weights: NDArray[np.int64]) -> list[Integral]:
        """One a class, when sample s counts weights[s] times. weights: int64 [S]."""
        num = len(self._curves)
        known = weights[: self._num_samples].astype(np.float64)
        detections = self._detections @ known
        truths = (self._truths @ known).reshape(self._num_areas, num)
        hits = (self._hits @ known).reshape(self._num_areas, -1, num)
        with np.errstate(divide="ignore", invalid="ignore"):
            recall = np.where(truths[:, None] > 0, hits / (truths[:, None] * self._num_levels), np.nan)
        precision = self._precision(weights.astype(np.int32), truths.astype(np.int64))
        found = [
            Integral(
                precision=precision[..., index],
                recall=recall[..., index],
                num_truths=int(truths[0, index]),
                num_detections=int(detections[index]),
            )
            for index in range(num)
        ]
        for index in self._slow:
            found[index] = self._curves[index].integrate(weights, self._max_dets)
        return found

    def _precision(self, weights: NDArray[np.int32], truths: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [A, T, C], mean over the recalls; NaN without truth. truths: int64 [A, C]."""
        known = weights[: self._num_samples]
        hits, base = _running(self._runs @ known), _running(self._base @ known)
        sums = np.zeros((len(self._layers), len(self._curves)))
        for number, layer in enumerate(self._layers):
            if number % self._num_levels == 0:
                table, rows = recall_table(truths[number // self._num_levels])
            counted, before = base.take(layer.counted), base[layer.bases]
            if len(layer.lapses):
                lapses = _running(weights[layer.lapses])
                counted -= lapses[layer.lapsed]
                before -= lapses[layer.lapse_starts]
            counted -= np.repeat(before, layer.sizes)
            up_to = hits[layer.runs.start + 1 : layer.runs.stop + 1]
            first = hits[layer.runs.start + layer.starts]
            reached = table.take(up_to + np.repeat(rows - first, layer.sizes))
            precision = (up_to - np.repeat(first, layer.sizes)) / np.maximum(counted, 1, out=counted)
            sums[number, layer.shown] = _mean(precision, reached, table[rows], layer)
        shape = (self._num_areas, self._num_levels, len(self._curves))
        return np.where(truths[:, None] > 0, sums.reshape(shape), np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Detections of one (area, threshold) by position. counts: bool [N], hits and false ones. hits: int64 [H].

    ends: int64 [R], the last hit of each run. stops: int64 [R], hits up to there.
    """

    counts: NDArray[np.bool_]
    hits: NDArray[np.int64]
    ends: NDArray[np.int64]
    stops: NDArray[np.int64]

    @classmethod
    def of(cls, is_hit: NDArray[np.bool_], is_false: NDArray[np.bool_], starts: NDArray[np.int64]) -> _Rows:
        """is_hit, is_false: bool [N]. starts: int64 [C + 1], where each class begins."""
        hits = np.flatnonzero(is_hit)
        falses, owner = np.cumsum(is_false)[hits], np.searchsorted(starts, hits, "right")
        is_last = (np.diff(owner, append=-1) != 0) | (np.diff(falses, append=-1) != 0)
        return cls(counts=is_hit | is_false, hits=hits, ends=hits[is_last], stops=np.flatnonzero(is_last) + 1)


def _mean(
    precision: NDArray[np.float64], reached: NDArray[np.int32], none: NDArray[np.int32], layer: _Layer
) -> NDArray[np.float64]:
    """Mean over the recalls, float64 [D]. precision: float64 [R]. reached: int32 [R]; none: [C], by no hit."""
    if not len(layer.shown):
        return np.zeros(0)
    # A class's values are lifted above those of the classes after it, so one pass from the end serves all.
    lift = np.repeat(2.0 * np.arange(len(layer.sizes), 0, -1), layer.sizes)
    precision += lift
    backwards = precision[::-1]
    np.fmax.accumulate(backwards, out=backwards)
    precision -= lift
    firsts = layer.starts[layer.shown]
    new = reached.copy()
    new[1:] -= reached[:-1]
    new[firsts] = reached[firsts] - none[layer.shown]
    precision *= new
    return np.add.reduceat(precision, firsts) / len(RECALLS)


def has_mixed_ties(curve: ClassCurve) -> bool:
    """Whether rows of one sample and one score hold a hit and a false detection at some level.

    Copies of the sample then interleave them, so the order of the copies is part of the result.
    """
    if not curve.has_ties:
        return False
    starts = np.flatnonzero(np.diff(curve.tie, prepend=-1))
    any_hit, any_false = (np.logical_or.reduceat(rows, starts, axis=-1) for rows in (curve.is_hit, curve.is_false))
    return bool((any_hit & any_false).any())


def recall_table(num_truths: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(table, row of no hit for each class): a class's rows say how many recalls 0, 1, 2, ... hits reach.

    All rows of a class have those of the classes before it added. num_truths: int64 [C]; a class without truth has one
    row.
    """
    rows = (np.cumsum(num_truths + 1) - (num_truths + 1)).astype(np.int32)
    wanted = (hits_of_recalls(num_truths) + rows[:, None])[num_truths > 0]
    counts = np.bincount(wanted.ravel(), minlength=int((num_truths + 1).sum()))
    return np.cumsum(counts, dtype=np.int32), rows


def _running(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums of the first 0, 1, ..., n values, int32 [n + 1]. values: int32 [n]."""
    sums = np.zeros(len(values) + 1, np.int32)
    np.cumsum(values, out=sums[1:])
    return sums
