"""Scores of BDD100K's label maps, as the bdd100k toolkit 1.0.1 (bdd100k/eval/seg.py): https://github.com/bdd100k/bdd100k

One confusion matrix over all samples. Pixels whose truth is ignored are dropped, a prediction outside the classes is a
miss. Means are taken over the classes that the truth holds. Acc divides the hits of a class by the pixels that were
predicted as it (a precision, whatever its name), fIoU weighs IoU by the truth's pixels. The official matrix has 32-bit
counts, ours 64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws, semantic_iou
from benchmark.metrics.entry import MetricEntry, Protocol

SCORE_NAMES = ("mIoU", "mAcc", "fIoU", "pAcc")


@dataclass(frozen=True, slots=True)
class Bdd100kIoU:
    """mIoU, mAcc, fIoU and pAcc over the classes of `labels`."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """The occupied cells of one image's confusion matrix."""
        return semantic_iou.SemanticIoU(self.labels).measure(sample, prediction)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the cells of all samples end to end; the returned function adds them up."""
        rows = frames.columns(stats, semantic_iou.EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            return self._score(semantic_iou.total(rows, weights, self.labels.num_classes), int(weights.sum()))

        return score

    def _score(self, matrix: NDArray[np.int64], num: int) -> Scores:
        classes = self.labels.num_classes
        hits, in_truth = np.diagonal(matrix)[:classes], matrix[:classes].sum(axis=1)
        in_found = matrix[:classes, :classes].sum(axis=0)
        iou = np.nan_to_num(frames.ratio(hits, in_truth + in_found - hits))
        accuracy = np.nan_to_num(frames.ratio(hits, in_found))
        is_present = in_truth > 0
        share = frames.ratio(in_truth, in_truth.sum())
        values = {
            "mIoU": frames.mean(iou[is_present]),
            "mAcc": frames.mean(accuracy[is_present]),
            "fIoU": float((iou * share).sum()),
            "pAcc": float(frames.ratio(hits.sum(), in_truth.sum())),
        }
        per_class = {
            name: {"IoU": float(iou[index]), "Acc": float(accuracy[index])}
            for index, name in enumerate(self.labels.names)
        }
        counts = {"pixels": int(in_truth.sum()), "classes": int(is_present.sum())}
        return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)


ENTRIES = {
    "bdd100k_iou": MetricEntry(
        protocols={"official": Protocol(build=Bdd100kIoU, score_names=SCORE_NAMES)},
        tool="bdd100k 1.0.1",
        laws=(
            *laws.fractions(*SCORE_NAMES),
            *laws.rising("mIoU", "mAcc"),
            *laws.rising("IoU", "Acc"),
            *laws.rising("fIoU", "pAcc"),
        ),
    ),
}
