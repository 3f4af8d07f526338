"""Instance AP of Cityscapes, as cityscapesscripts 2.3.0: https://github.com/mcordts/cityscapesScripts

Not COCO's AP: overlap must exceed the threshold, every truth takes its most confident match, there is one point of the
curve a confidence, and the area under the raw polyline counts. Truths under 100 pixels, groups (`is_crowd`) and
`Truth.ignore` (void) only excuse predictions that lie on them. Deviations: a class whose predictions are all excused
scores 0 (the official tool fails); a class without truth is NaN, as there. Distance ranges need depth and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Pooled, Prediction, Rle, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError

THRESHOLDS = np.arange(0.5, 1.0, 0.05)
"""The official grid, its rounding errors included (0.6000000000000001, ...)."""
MIN_PIXELS = 100
SCORE_NAMES = ("AP", "AP50")
_EMPTY: dict[str, NDArray[Any]] = {
    "class_index": np.zeros(0, np.int64),
    "score": np.zeros(0, np.float64),
    "is_hit": np.zeros(0, bool),
    "is_entry": np.zeros((0, len(THRESHOLDS)), bool),
    "found_class": np.zeros(0, np.int64),
    "truth_class": np.zeros(0, np.int64),
}


@dataclass(frozen=True, slots=True)
class CityscapesAP:
    """AP and AP50 over the thing classes of `labels`."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """The curve entries (hits and false positives with their score) and the countable truths of one image."""
        truth, found = frames.pair(sample, prediction, Instances)
        if truth.masks is None or found.masks is None:
            role = "truth" if truth.masks is None else "prediction"
            raise BenchmarkError(f"{sample.sample_id}: {role} has no masks, this metric compares masks.")
        void = sample.truth.ignore if sample.truth else None
        things = np.flatnonzero(self.labels.is_thing)
        present = np.intersect1d(np.union1d(truth.class_index, found.class_index), things)
        parts = [_measure_class(truth, found, void, int(class_index)) for class_index in present]
        rows = {name: np.concatenate([nothing, *(part[name] for part in parts)]) for name, nothing in _EMPTY.items()}
        return Stats(sample_id=sample.sample_id, arrays=rows)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sort the entries of each class and threshold once; the returned function weighs and integrates them."""
        rows = frames.columns(stats, _EMPTY)
        things = np.flatnonzero(self.labels.is_thing)
        curves = [ClassCurve.of(rows, int(class_index)) for class_index in things]

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            table = np.array([curve.integrate(weights) for curve in curves]).reshape(len(curves), len(THRESHOLDS))
            per_class = {
                self.labels.names[index]: {"AP": frames.mean(row), "AP50": float(row[0])}
                for index, row in zip(things, table, strict=True)
            }
            counts = {
                "truths": int(weights[rows.sample["truth_class"]].sum()),
                "detections": int(weights[rows.sample["found_class"]].sum()),
            }
            num = int(weights.sum())
            values = {"AP": frames.mean(table), "AP50": frames.mean(table[:, 0])}
            return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)

        return score


def _measure_class(truth: Instances, found: Instances, void: Rle | None, class_index: int) -> dict[str, NDArray[Any]]:
    truths, rows = (np.flatnonzero(side.class_index == class_index) for side in (truth, found))
    truth_masks = [(truth.masks or ())[row] for row in truths]
    found_masks = [(found.masks or ())[row] for row in rows]
    found_size = masks.areas(found_masks)
    is_drawn = found_size > 0
    found_masks = [mask for mask, drawn in zip(found_masks, is_drawn, strict=True) if drawn]
    found_size, score = found_size[is_drawn], found.score[rows[is_drawn]]
    truth_size, is_group = masks.areas(truth_masks), truth.is_crowd[truths]
    common = masks.intersections(found_masks, truth_masks)
    overlap = common / (found_size[:, None] + truth_size - common)
    is_over = overlap[:, :, None] > THRESHOLDS
    is_small = truth_size < MIN_PIXELS
    counts = ~is_group & ~is_small
    # A region that is both small and a group is added twice, as the official script does.
    excused = common @ (is_group.astype(np.int64) + is_small)
    if void is not None:
        excused = excused + masks.intersections(found_masks, [void])[:, 0]
    is_false = ~is_over.any(axis=1) & ((excused / found_size)[:, None] <= THRESHOLDS)
    pair_score, pair_hit, pair_entry = pairs_of(is_over[:, counts], score)
    is_entry = np.concatenate((is_false, pair_entry))
    keep = is_entry.any(axis=1)
    return {
        "class_index": np.full(np.count_nonzero(keep), class_index),
        "score": np.concatenate((score, pair_score))[keep],
        "is_hit": np.concatenate((np.zeros(len(score), bool), pair_hit))[keep],
        "is_entry": is_entry[keep],
        "found_class": np.full(len(score), class_index),
        "truth_class": np.full(np.count_nonzero(counts), class_index),
    }


def pairs_of(
    is_over: NDArray[np.bool_], score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Entries of the pairs that overlap enough: float64 score [N], bool is_hit [N], bool is_entry [N, T].

    is_over: bool [P, G, T]. The most confident prediction of a truth is its hit, every other one a false positive.
    """
    found, truths = np.nonzero(is_over.any(axis=2))
    if not len(found):
        return np.zeros(0), np.zeros(0, bool), np.zeros((0, len(THRESHOLDS)), bool)
    best = np.where(is_over, score[:, None, None], -np.inf).argmax(axis=0)
    near = is_over[found, truths]
    is_best = near & (best[truths] == found[:, None])
    return (
        np.concatenate((score[found], score[found])),
        np.repeat([True, False], len(found)),
        np.concatenate((is_best, near & ~is_best)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCurve:
    """Entries of one class in all samples, by falling score.

    sample: int64 [N].   is_hit, is_false: bool [T, N].   last: int64 [U], the last entry of each different score.
    truth_sample: int64 [G], for the truths that count; each has one hit or is missed.
    """

    sample: NDArray[np.int64]
    is_hit: NDArray[np.bool_]
    is_false: NDArray[np.bool_]
    last: NDArray[np.int64]
    truth_sample: NDArray[np.int64]

    @classmethod
    def of(cls, rows: frames.Columns, class_index: int) -> ClassCurve:
        """Pick and sort the entries of one class."""
        picked = np.flatnonzero(rows.arrays["class_index"] == class_index)
        picked = picked[np.argsort(-rows.arrays["score"][picked], kind="stable")]
        score, is_hit, is_entry = (rows.arrays[name][picked] for name in ("score", "is_hit", "is_entry"))
        truths = np.flatnonzero(rows.arrays["truth_class"] == class_index)
        return cls(
            sample=rows.sample["score"][picked],
            is_hit=np.ascontiguousarray((is_entry & is_hit[:, None]).T),
            is_false=np.ascontiguousarray((is_entry & ~is_hit[:, None]).T),
            last=np.flatnonzero(np.diff(score, append=np.nan) != 0),
            truth_sample=rows.sample["truth_class"][truths],
        )

    def integrate(self, weights: NDArray[np.int64]) -> NDArray[np.float64]:
        """Area under the curve, float64 [T], when sample s counts weights[s] times; NaN without truth."""
        num_truths = int(weights[self.truth_sample].sum())
        if not num_truths:
            return np.full(len(THRESHOLDS), np.nan)
        of_entry = weights[self.sample]
        hits = np.cumsum(self.is_hit * of_entry, axis=1)[:, self.last]
        falses = np.cumsum(self.is_false * of_entry, axis=1)[:, self.last]
        # Before the first entry the curve is at precision 1; a point that adds nothing has no width.
        precision = np.divide(hits, hits + falses, out=np.ones(hits.shape), where=hits + falses > 0)
        start = np.ones((len(THRESHOLDS), 1))
        precision = np.concatenate((start, precision), axis=1)
        recall = np.concatenate((0 * start, hits / num_truths), axis=1)
        return ((precision[:, 1:] + precision[:, :-1]) / 2 * np.diff(recall, axis=1)).sum(axis=1)


ENTRIES = {
    "cityscapes_instance_ap": MetricEntry(
        protocols={"official": Protocol(build=CityscapesAP, score_names=SCORE_NAMES)},
        tool="cityscapesscripts 2.3.0",
        laws=(*laws.fractions(*SCORE_NAMES), *(laws.MeanLaw(name=name, of=name) for name in SCORE_NAMES)),
    ),
}
