"""Instance AP of Mapillary Vistas, as its official scripts: https://github.com/mapillary/mapillary_vistas (2024)

The curve is Cityscapes': every truth takes its most confident match, and the area under the raw polyline counts. Unlike
there, overlap may equal the threshold, what lies on void (`Truth.ignore`) or on truths under 100 pixels is excused from
the threshold on, there are no groups, and a class without countable truth scores 0 once anything is predicted for it.
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
from benchmark.metrics import frames, laws, overlaps
from benchmark.metrics.cityscapes_instances import MIN_PIXELS, THRESHOLDS, ClassCurve, pairs_of
from benchmark.metrics.entry import MetricEntry, Protocol

SCORE_NAMES = ("AP", "AP50")
_EMPTY: dict[str, NDArray[Any]] = {
    "class_index": np.zeros(0, np.int64),
    "score": np.zeros(0, np.float64),
    "is_hit": np.zeros(0, bool),
    "is_entry": np.zeros((0, len(THRESHOLDS)), bool),
    "found_class": np.zeros(0, np.int64),
    "truth_class": np.zeros(0, np.int64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapillaryAP:
    """AP and AP50 over the thing classes of `labels`."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """The curve entries (hits and false positives with their score) and the countable truths of one image."""
        truth, found = frames.pair(sample, prediction, Instances)
        overlaps.check([sample.sample_id], "segm", [truth], [found])
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
            found, truths = (
                np.bincount(rows.arrays[name], weights[rows.sample[name]], self.labels.num_classes)
                for name in ("found_class", "truth_class")
            )
            table = np.array([curve.integrate(weights) for curve in curves]).reshape(len(curves), len(THRESHOLDS))
            table[(truths[things] == 0) & (found[things] > 0)] = 0.0
            per_class = {
                self.labels.names[index]: {"AP": frames.mean(row), "AP50": float(row[0])}
                for index, row in zip(things, table, strict=True)
            }
            counts = {"truths": int(truths.sum()), "detections": int(found.sum())}
            values = {"AP": frames.mean(table), "AP50": frames.mean(table[:, 0])}
            num = int(weights.sum())
            return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)

        return score


def _measure_class(truth: Instances, found: Instances, void: Rle | None, class_index: int) -> dict[str, NDArray[Any]]:
    truths, rows = (np.flatnonzero(side.class_index == class_index) for side in (truth, found))
    truth_masks = [(truth.masks or ())[row] for row in truths]
    found_masks = [(found.masks or ())[row] for row in rows]
    is_drawn = masks.areas(found_masks) > 0
    found_masks = [mask for mask, drawn in zip(found_masks, is_drawn, strict=True) if drawn]
    score, size, truth_size = found.score[rows[is_drawn]], masks.areas(found_masks), masks.areas(truth_masks)
    common = masks.intersections(found_masks, truth_masks)
    counts = truth_size >= MIN_PIXELS
    overlap = (common / (size[:, None] + truth_size - common))[:, counts]
    is_over = overlap[:, :, None] >= THRESHOLDS
    excused = common[:, ~counts].sum(axis=1)
    if void is not None:
        excused = excused + masks.intersections(found_masks, [void])[:, 0]
    is_false = ~is_over.any(axis=1) & ((excused / size)[:, None] < THRESHOLDS)
    pair_score, pair_hit, pair_entry = pairs_of(is_over, score)
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


ENTRIES = {
    "mapillary_instance_ap": MetricEntry(
        protocols={"official": Protocol(build=lambda labels: MapillaryAP(labels=labels), score_names=SCORE_NAMES)},
        tool="mapillary_vistas (repository head, 2024)",
        laws=(*laws.fractions(*SCORE_NAMES), *(laws.MeanLaw(name=name, of=name) for name in SCORE_NAMES)),
    ),
}
