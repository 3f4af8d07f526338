"""Masks and boxes of RefCOCO, RefCOCO+ and RefCOCOg: oIoU, mIoU, P@X of masks, P@0.5 of boxes, over expressions.

oIoU (also written cIoU, cumulative IoU) divides the sum of intersections by the sum of unions, mIoU averages quotients,
P@X counts IoU >= X: as MAttNet's tools/eval_masks.py (lichengunc/MAttNet at 3204d07), at the original image size.
Boxes: precision@1 of the Google toolbox (mjhucla/Google_Refexp_toolbox, evaluation of comprehension), plain IoU >= 0.5.

    original           a truth is the union of its polygons; two empty masks have IoU 0 (MAttNet, LAVT)
    empty_is_right     two empty masks have IoU 1, as where a small constant is added above and below the fraction
    overlap_dropped    pixels that several polygons of the object cover are no truth (mask value 2 taken for background)

Scores are NaN where answers have no masks (or no boxes): nobody asked for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats
from benchmark.metrics import expression_masks as expressions
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol

PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9)
BOX_IOU = 0.5
SCORE_NAMES = ("oIoU", "mIoU", *(f"P@{threshold}" for threshold in PRECISIONS), f"box_P@{BOX_IOU}")
_EMPTY = expressions.empty_rows(("intersection", "union"), ("has_mask", "has_box", "is_box_hit"))


@dataclass(frozen=True, slots=True)
class ReferringIoU:
    """empty_pair: IoU of two empty masks. drops_overlap: leave doubly covered pixels out of the truth."""

    empty_pair: float = 0.0
    drops_overlap: bool = False

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Intersection, union and whether the best box hits, of one expression."""
        truth, found = frames.pair(sample, prediction, Instances)
        mask = expressions.united(truth, sample.size)
        if self.drops_overlap and sample.truth is not None:
            mask = expressions.without(mask, sample.truth.overlap)
        pixels = expressions.compare(expressions.united(found, sample.size), mask)
        has_box = expressions.has_boxes(found)
        values = expressions.row(
            intersection=pixels.intersection,
            union=pixels.union,
            has_mask=expressions.has_masks(found),
            has_box=has_box,
            is_box_hit=has_box and expressions.best_box_iou(found, truth) >= BOX_IOU,
        )
        return Stats(sample_id=sample.sample_id, arrays=values)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the counts of all expressions end to end."""
        rows = frames.columns(stats, _EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            return self._score(rows, rows.weights(given))

        return score

    def _score(self, rows: frames.Columns, weights: NDArray[np.int64]) -> Scores:
        num = int(weights.sum())
        found = dict.fromkeys(SCORE_NAMES, math.nan)
        if expressions.share(rows.arrays["has_mask"], weights) == 1:
            found |= self._of_masks(rows.arrays["intersection"], rows.arrays["union"], weights)
        if expressions.share(rows.arrays["has_box"], weights) == 1:
            found[f"box_P@{BOX_IOU}"] = expressions.share(rows.arrays["is_box_hit"], weights)
        return Scores(values=found, counts={"expressions": num}, per_class={}, num_expected=num, num_scored=num)

    def _of_masks(
        self, intersection: NDArray[np.int64], union: NDArray[np.int64], weights: NDArray[np.int64]
    ) -> dict[str, float]:
        iou = np.where(union > 0, intersection / np.maximum(union, 1), self.empty_pair)
        found = {
            "oIoU": expressions.quotient(int(weights @ intersection), int(weights @ union)),
            "mIoU": expressions.weighted_mean(iou, weights),
        }
        return found | {f"P@{least}": expressions.share(iou >= least, weights) for least in PRECISIONS}


ENTRIES = {
    "referring_iou": MetricEntry(
        protocols={
            "original": Protocol(build=lambda labels: ReferringIoU(), score_names=SCORE_NAMES),
            "empty_is_right": Protocol(build=lambda labels: ReferringIoU(empty_pair=1.0), score_names=SCORE_NAMES),
            "overlap_dropped": Protocol(build=lambda labels: ReferringIoU(drops_overlap=True), score_names=SCORE_NAMES),
        },
        tool="MAttNet 3204d07 tools/eval_masks.py (masks), Google_Refexp_toolbox (boxes)",
        laws=(
            *laws.fractions(*SCORE_NAMES),
            *laws.rising(*(f"P@{least}" for least in reversed(PRECISIONS))),
            *laws.mean_of_steps("mIoU", {f"P@{least}": least for least in PRECISIONS}),
        ),
    ),
}
