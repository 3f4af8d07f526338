"""Panoptic quality of BDD100K, as the bdd100k toolkit 1.0.1 (bdd100k/eval/pan_seg.py): https://github.com/bdd100k/bdd100k

Not COCO's in detail: a truth is compared with the one prediction of its class that it overlaps most, by plain IoU, void
or not; a prediction that is not matched is an error unless more than half of it lies outside all truths that count. A
segment with a crowd or ignored bit counts on neither side, but may take a truth's place as best. "unlabeled" is no
class, yet a truth that excuses nothing. Where no class occurs the official 0 is NaN here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Panoptic, Pooled, Prediction, Sample, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.panoptic_quality import SCORE_NAMES, PanopticQuality
from benchmark.runs import run_edges


@dataclass(frozen=True, slots=True)
class Bdd100kPanopticQuality:
    """PQ, SQ and RQ over all classes of `labels`, its things and its stuff; `is_crowd` is what does not count."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Match the segments of one image; keeps the classes of hits, misses and false segments."""
        truth, found = frames.pair(sample, prediction, Panoptic)
        sides = _Segments.of(truth), _Segments.of(found)
        common = _common_pixels(truth, found, sides)
        areas = common.sum(axis=1), common.sum(axis=0)
        common = common[1:, 1:]
        union = areas[0][1:, None] + areas[1][None, 1:] - common
        iou = np.where(sides[0].classes[:, None] == sides[1].classes, common / np.maximum(union, 1), 0.0)
        best, is_hit = _best(iou, sides[1].counts)
        hits = np.flatnonzero(is_hit & sides[0].counts)
        outside = 1 - (common[sides[0].counts] / np.maximum(areas[1][1:], 1)).sum(axis=0)
        is_false = sides[1].counts & ~(outside > 0.5)
        is_false[best[hits]] = False
        arrays = {
            "hit_class": sides[0].classes[hits],
            "hit_intersection": common[hits, best[hits]],
            "hit_union": union[hits, best[hits]],
            "false_class": sides[1].classes[is_false],
            "missed_class": sides[0].classes[sides[0].counts & ~is_hit],
        }
        return Stats(sample_id=sample.sample_id, arrays=self._of_classes(arrays))

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sum by class as COCO's metric does."""
        return PanopticQuality(self.labels).pool(stats)

    def _of_classes(self, arrays: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
        """Without the rows of what is no evaluated class."""
        known = {name: values < self.labels.num_classes for name, values in arrays.items() if name.endswith("class")}
        hits = known["hit_class"]
        return {name: values[known.get(name, hits)] for name, values in arrays.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segments:
    """Segments of one map by ascending id. ids, classes: int64 [N]. counts: bool [N], neither crowd nor ignored."""

    ids: NDArray[np.int64]
    classes: NDArray[np.int64]
    counts: NDArray[np.bool_]

    @classmethod
    def of(cls, panoptic: Panoptic) -> _Segments:
        """Of the listed segments."""
        rows = sorted(panoptic.segments, key=lambda row: row.id)
        return cls(
            ids=np.array([row.id for row in rows], np.int64),
            classes=np.array([row.class_index for row in rows], np.int64),
            counts=np.array([not row.is_crowd for row in rows], bool),
        )

    def places(self, ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """1, 2, ... for the pixels of the segments, 0 for all others. ids: int32 [N]."""
        if not len(self.ids):
            return np.zeros(len(ids), np.int64)
        place = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[place] == ids, place + 1, 0)


def _best(iou: NDArray[np.float64], counts: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Each truth's best prediction, int64 [G], and whether it is a hit, bool [G]. iou: [G, D]. counts: bool [D]."""
    if not iou.size:
        return np.zeros(len(iou), np.int64), np.zeros(len(iou), bool)
    best = iou.argmax(axis=1)
    return best, (iou[np.arange(len(iou)), best] > 0.5) & counts[best]


def _common_pixels(truth: Panoptic, found: Panoptic, sides: tuple[_Segments, _Segments]) -> NDArray[np.int64]:
    """Pixels int64 [1 + G, 1 + D] of every pair of segments; the first row and column are the background."""
    left, right = truth.segment_id.ravel(), found.segment_id.ravel()
    edge = run_edges(left, right)
    shape = (len(sides[0].ids) + 1, len(sides[1].ids) + 1)
    codes = sides[0].places(left[edge[:-1]]) * shape[1] + sides[1].places(right[edge[:-1]])
    pixels = np.bincount(codes, weights=np.diff(edge), minlength=shape[0] * shape[1])
    return pixels.astype(np.int64).reshape(shape)


ENTRIES = {
    "bdd100k_panoptic_quality": MetricEntry(
        protocols={"official": Protocol(build=Bdd100kPanopticQuality, score_names=SCORE_NAMES)},
        tool="bdd100k 1.0.1",
        laws=laws.panoptic_quality(),
    ),
}
