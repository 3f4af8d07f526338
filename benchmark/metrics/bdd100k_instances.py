"""Instance AP of BDD100K's bitmasks, as the bdd100k toolkit 1.0.1 (bdd100k/eval/ins_seg.py) with scalabel 0.3.1.

https://github.com/bdd100k/bdd100k   COCO's precision curve over another matching: a detection takes the open truth that
it overlaps most, the first of equal ones, whether that is ignored or out of the range of areas or not. A crowd counts
like any other truth but stays open, so that each detection on it is a hit, and recall may exceed 1. Truth with the
ignored bit is `Truth.ignored`, crowds are `Truth.group_of`. What the tool gives as -1 or NaN is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Pooled, Prediction, Rle, Sample, Stats, Truth
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws, overlaps
from benchmark.metrics.average_precision import AREA_RANGES, THRESHOLDS, pool, rank, score_names, stats_of
from benchmark.metrics.entry import MetricEntry, Protocol

MAX_DETS = (1, 10, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bdd100kInstanceAP:
    """AP over the thing classes of `labels`."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Match the detections of one image; keeps a row a detection and a row a truth."""
        truth, found = frames.pair(sample, prediction, Instances)
        overlaps.check([sample.sample_id], "segm", [truth], [found])
        sides = _Truths.of(truth, sample.truth)
        things = np.flatnonzero(self.labels.is_thing)
        present = np.intersect1d(np.union1d(sides.classes, found.class_index), things)
        parts = [_measure_class(sides, found, int(class_index)) for class_index in present]
        return stats_of(sample.sample_id, parts)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """COCO's curves over these rows."""
        return pool(stats, self.labels, MAX_DETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truths:
    """All truths of an image by rising id. classes, areas: [G]. is_crowd, is_ignored: bool [G]."""

    masks: tuple[Rle, ...]
    classes: NDArray[np.int64]
    areas: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    is_ignored: NDArray[np.bool_]

    @classmethod
    def of(cls, counted: Instances, truth: Truth | None) -> _Truths:
        """Those that count and those that are ignored, in the order of the official tool."""
        ignored = truth.ignored[0] if truth is not None and truth.ignored else None
        groups = None if truth is None else truth.group_of
        sides = [counted] if ignored is None else [counted, ignored]
        crowds = [counted.is_crowd if groups is None else groups, *(one.is_crowd for one in sides[1:])]
        order = np.argsort(np.concatenate([one.object_id for one in sides]), kind="stable")
        found = [mask for one in sides for mask in one.masks or ()]
        ordered = tuple(found[place] for place in order)
        return cls(
            masks=ordered,
            classes=np.concatenate([one.class_index for one in sides])[order],
            areas=masks.areas(ordered).astype(np.float64),
            is_crowd=np.concatenate(crowds)[order],
            is_ignored=(np.arange(len(order)) >= len(counted))[order],
        )


def _measure_class(truth: _Truths, found: Instances, class_index: int) -> dict[str, NDArray[Any]]:
    truths = np.flatnonzero(truth.classes == class_index)
    ranked = rank(found.class_index, found.score, class_index, MAX_DETS[-1])
    detections = [(found.masks or ())[row] for row in ranked]
    ious = masks.iou(detections, [truth.masks[row] for row in truths])
    is_ignored = truth.is_ignored[truths] | _is_outside(truth.areas[truths])
    is_matched, best = match(ious, truth.is_crowd[truths])
    is_void = is_ignored[:, best] if len(truths) else np.zeros((len(AREA_RANGES), *best.shape), bool)
    is_outside = _is_outside(masks.areas(detections).astype(np.float64))[:, None, :]
    return {
        "class_index": np.full(len(ranked), class_index),
        "score": found.score[ranked],
        "rank": np.arange(len(ranked)),
        "is_hit": np.moveaxis(is_matched & ~is_void, -1, 0),
        "is_false": np.moveaxis(~is_matched & ~is_outside, -1, 0),
        "truth_class": np.full(len(truths), class_index),
        "truth_counts": ~is_ignored.T,
    }


def match(ious: NDArray[np.float64], is_crowd: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which detections take a truth, bool [T, D], and which one, int64 [T, D], at every threshold.

    ious: float64 [D, G], detections by falling score. is_crowd: bool [G].
    """
    shape = (len(THRESHOLDS), len(ious))
    is_matched, best = np.zeros(shape, bool), np.zeros(shape, np.int64)
    if not ious.size:
        return is_matched, best
    is_open = np.ones((len(THRESHOLDS), ious.shape[1]), bool)
    levels = np.arange(len(THRESHOLDS))
    for row in np.flatnonzero((ious >= THRESHOLDS[0]).any(axis=1)):
        free = np.where(is_open, ious[row], 0.0)
        best[:, row] = free.argmax(axis=1)
        is_matched[:, row] = free[levels, best[:, row]] >= THRESHOLDS
        is_open[levels, best[:, row]] &= ~is_matched[:, row] | is_crowd[best[:, row]]
    return is_matched, best


def _is_outside(areas: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool [A, N]: the area lies outside the range."""
    return (areas < AREA_RANGES[:, :1]) | (areas > AREA_RANGES[:, 1:])


_OF_PRECISION = ("AP", "AP50", "AP75", "APs", "APm", "APl")

ENTRIES = {
    "bdd100k_instance_ap": MetricEntry(
        protocols={
            "official": Protocol(
                build=lambda labels: Bdd100kInstanceAP(labels=labels), score_names=score_names(MAX_DETS)
            )
        },
        tool="bdd100k 1.0.1 with scalabel 0.3.1",
        laws=(
            *laws.fractions(*_OF_PRECISION),
            *laws.not_negative("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
            laws.MeanLaw(name="AP", of="AP"),
            laws.MeanLaw(name="AP50", of="AP50"),
        ),
    ),
}
