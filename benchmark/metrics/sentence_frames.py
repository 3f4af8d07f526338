"""Masks of sentences in single frames of videos: mAP, P@K, overall and mean IoU of A2D-Sentences and JHMDB-Sentences.

mAP is COCO's, over all scored masks of a sentence. The rest looks at the mask of the highest score, the last of equal
ones: P@K counts IoU > K, oIoU divides the sum of intersections by the sum of unions. As MTTR's metrics.py, which
ReferFormer kept (wjn922/ReferFormer, 9a2d4f6, datasets/a2d_eval.py): 1e-6 is added above and below each IoU, which is
computed in float32, so that an IoU of exactly 0.6 or 0.8 counts as above. Deviation: a sentence without a mask has an
empty one (the tool fails).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import expression_masks as expressions
from benchmark.metrics import frames, laws
from benchmark.metrics.average_precision import CocoAP
from benchmark.metrics.entry import MetricEntry, Protocol

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
EPSILON = np.float32(1e-6)
CURVES = ("AP50", "AP75", "APs", "APm", "APl")
SCORE_NAMES = ("mAP", *CURVES, *(f"P@{least}" for least in THRESHOLDS), "oIoU", "mIoU")
_EMPTY = expressions.empty_rows(("intersection", "union"), ())


@dataclass(frozen=True, slots=True)
class SentenceFrames:
    """labels: of one class, because classes do not matter."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """The rows of average precision, and the counts of the best mask."""
        truth, found = frames.pair(sample, prediction, Instances)
        curves = CocoAP(self.labels, "segm").measure(sample, prediction)
        best = np.flatnonzero(found.score == found.score.max(initial=-math.inf))
        chosen = (found.masks or ())[best[-1]] if best.size else masks.empty(sample.size)
        pixels = expressions.compare(chosen, expressions.united(truth, sample.size))
        own = expressions.row(intersection=pixels.intersection, union=pixels.union)
        return replace(curves, arrays={**curves.arrays, **own})

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Curves of all masks, and the counts laid end to end."""
        whole = CocoAP(self.labels, "segm").pool(stats)
        rows = frames.columns(stats, _EMPTY)
        intersection, union = rows.arrays["intersection"], rows.arrays["union"]
        added = [counts.astype(np.float32) + EPSILON for counts in (intersection, union)]
        iou = (added[0] / added[1]).astype(np.float64)

        def score(given: NDArray[np.int64] | None) -> Scores:
            found, weights = whole(given), rows.weights(given)
            values = {"mAP": found.values["AP"], **{name: found.values[name] for name in CURVES}}
            values |= {f"P@{least}": expressions.share(iou > least, weights) for least in THRESHOLDS}
            values["oIoU"] = expressions.quotient(int(weights @ intersection), int(weights @ union))
            values["mIoU"] = expressions.weighted_mean(iou, weights)
            counts = {"sentences": int(weights.sum()), "masks": found.counts["detections"]}
            return replace(found, values=values, counts=counts, per_class={})

        return score


ENTRIES = {
    "sentence_frames": MetricEntry(
        protocols={
            "mttr": Protocol(build=lambda labels: SentenceFrames(labels), score_names=SCORE_NAMES),
        },
        tool="ReferFormer 9a2d4f6, datasets/a2d_eval.py, with pycocotools 2.0.11",
        laws=(
            *laws.fractions(*SCORE_NAMES),
            *laws.rising("P@0.9", "P@0.8", "P@0.7", "P@0.6", "P@0.5"),
            *laws.rising("mAP", "AP50"),
            *laws.rising("AP75", "AP50"),
        ),
    ),
}
