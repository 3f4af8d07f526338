"""Mean intersection over union of label maps: one confusion matrix over all samples, divided once.

Pixels whose truth is not evaluated are dropped; a prediction outside the evaluated classes is a miss of the truth's
class and nothing else (detectron2 would drop it, but its models cannot predict it). Three conventions of the mean:

    present   classes with truth pixels (detectron2, whose evaluator the authors of OneFormer use)
    all       every class, an absent one counts 0 (the official ADE20K script, which also averages in pixel accuracy)
    union     classes that occur in truth or prediction (mmsegmentation 1.2.2, and Cityscapes' own script)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import LabelMap, Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.runs import Runs, joint_counts, run_edges
from benchmark.stored_maps import CodedLabelMap

Convention = Literal["present", "all", "union"]
EMPTY: dict[str, NDArray[Any]] = {"cell": np.zeros(0, np.int64), "pixels": np.zeros(0, np.int64)}


@dataclass(frozen=True, slots=True)
class SemanticIoU:
    """mIoU, pixel accuracy and mean class accuracy; with "all" also ADE20K's final score and the other mIoU."""

    labels: LabelSet
    convention: Convention = "present"

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """The occupied cells of one image's confusion matrix."""
        truth, found = frames.pair(sample, prediction, LabelMap)
        cell, pixels = confusion_of_maps(truth, found, self.labels.num_classes)
        is_evaluated = cell < self.labels.num_classes * (self.labels.num_classes + 1)
        return Stats(sample_id=sample.sample_id, arrays={"cell": cell[is_evaluated], "pixels": pixels[is_evaluated]})

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the cells of all samples end to end; the returned function adds them up."""
        rows = frames.columns(stats, EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            return self._score(total(rows, weights, self.labels.num_classes), int(weights.sum()))

        return score

    def _score(self, matrix: NDArray[np.int64], num: int) -> Scores:
        num_classes = self.labels.num_classes
        hits = np.diagonal(matrix)[:num_classes]
        in_truth = matrix[:num_classes].sum(axis=1)
        in_found = matrix[:num_classes, :num_classes].sum(axis=0)
        iou = frames.ratio(hits, in_truth + in_found - hits)
        accuracy = frames.ratio(hits, in_truth)
        of_present = np.where(in_truth > 0, iou, np.nan)
        match self.convention:
            case "present":
                iou = of_present
            case "all":
                iou = np.nan_to_num(iou)
        pixel_accuracy = float(frames.ratio(hits.sum(), in_truth.sum()))
        values = {"mIoU": frames.mean(iou), "pixel_accuracy": pixel_accuracy, "mean_accuracy": frames.mean(accuracy)}
        if self.convention == "all":
            values["final_score"] = (values["mIoU"] + pixel_accuracy) / 2
            values["mIoU_present"] = frames.mean(of_present)
        counts = {"pixels": int(in_truth.sum()), "classes": int(np.count_nonzero(in_truth))}
        per_class = {
            name: {"IoU": float(iou[index]), "accuracy": float(accuracy[index])}
            for index, name in enumerate(self.labels.names)
        }
        return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)


def score_names(convention: Convention) -> tuple[str, ...]:
    """Names of the scores of `SemanticIoU(convention=...)`."""
    names = ("mIoU", "pixel_accuracy", "mean_accuracy")
    return (*names, "final_score", "mIoU_present") if convention == "all" else names


def confusion_of_maps(
    truth: LabelMap, found: LabelMap, num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`confusion` of two maps of one size; of maps as they are stored, without looking up their pixels."""
    if not (isinstance(truth, CodedLabelMap) and isinstance(found, CodedLabelMap)):
        return confusion(truth.class_index, found.class_index, num_classes)
    pair, counted = joint_counts(truth.codes, found.codes)
    codes = np.minimum(truth.class_of, num_classes)[pair >> 8].astype(np.intp) * (num_classes + 1)
    codes += np.minimum(found.class_of, num_classes)[pair & 255]
    return _occupied(codes, counted, num_classes)


def confusion(
    truth: NDArray[np.uint16], found: NDArray[np.uint16], num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Occupied cells and their pixels, int64 [N] each, of the matrix truth x prediction.

    truth, found: uint16 [H, W]. Cell truth * (num_classes + 1) + prediction; every value from num_classes on falls into
    the last row or column.
    """
    sides = truth.ravel(), found.ravel()
    edge = run_edges(*sides)
    of_truth, of_found = (Runs(size=truth.shape, edge=edge, value=side.take(edge[:-1])) for side in sides)
    return confusion_of_runs(of_truth, of_found, num_classes)


def confusion_of_runs(truth: Runs, found: Runs, num_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`confusion`, int64 [N] twice, of joint runs in any order: a run counts once, with its length; they are few."""
    side = num_classes + 1
    codes = np.minimum(truth.value, num_classes).astype(np.intp) * side
    codes += np.minimum(found.value, num_classes)
    return _occupied(codes, np.diff(truth.edge), num_classes)


def _occupied(
    codes: NDArray[np.intp], counted: NDArray[np.int64], num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells that occur and the sum of their pixels, int64 [N] each. codes, counted: [P]."""
    pixels = np.bincount(codes, weights=counted, minlength=(num_classes + 1) ** 2).astype(np.int64)
    cell = np.flatnonzero(pixels)
    return cell, pixels[cell]


def total(rows: frames.Columns, weights: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """Confusion matrix int64 [K + 1, K + 1] of all samples, sample s counted weights[s] times."""
    side = num_classes + 1
    pixels = rows.arrays["pixels"] * weights[rows.sample["cell"]]
    summed = np.bincount(rows.arrays["cell"], weights=pixels, minlength=side * side)
    return summed.astype(np.int64).reshape(side, side)


def _protocol(name: Convention) -> Protocol:
    return Protocol(build=lambda labels: SemanticIoU(labels, name), score_names=score_names(name))


ENTRIES = {
    "semantic_iou": MetricEntry(
        protocols={"present": _protocol("present"), "all": _protocol("all"), "union": _protocol("union")},
        tool="detectron2 0.6 (present), CSAILVision/sceneparsing (all), mmsegmentation 1.2.2 (union)",
        laws=(
            *laws.fractions(*score_names("all")),
            *laws.rising("IoU", "accuracy"),
            *laws.rising("mIoU", "mean_accuracy"),
            *laws.rising("mIoU", "mIoU_present"),
            laws.equality(
                "final_score = (mIoU + pixel_accuracy) / 2",
                ("final_score", "mIoU", "pixel_accuracy"),
                lambda iou, accuracy: (iou + accuracy) / 2,
            ),
            laws.MeanLaw(name="mIoU", of="IoU"),
        ),
    ),
}
