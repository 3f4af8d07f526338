"""gRefCOCO: expressions for any number of objects, none included; masks (GRES) and boxes (GREC).

Masks as ReLA's gres_model/evaluation/refer_evaluation.py (henghuiding/ReLA at 3ca9551). A no-target expression scores 1
if the answer says so, whatever its mask, else 0 and its pixels join the union; a target expression that is called empty
has no intersection and its whole union. gIoU averages, cIoU divides sums, N_acc and T_acc are the shares of no-target
and target expressions that are called so, Pr@X counts IoU >= X of target expressions.

    gres              an answer that does not say so is a no-target one if its mask is empty
    under_50_pixels   ... if its mask has fewer than 50 pixels, as multimodal models without a flag are scored

Boxes as mdetr/datasets/refexp.py of henghuiding/gRefCOCO at 41a8f00: boxes of score >= 0.7 are paired with true ones,
best generalised IoU first and at least 0.5; box_F1=1 is the share of expressions without a false or missed box. It
computes in float32, we in float64; it fails on an expression without boxes, and where no expression lacks a target ReLA
prints 0 for N_acc and T_acc, we NaN for N_acc.
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

PRECISIONS = (0.7, 0.8, 0.9)
BOX_SCORE = 0.7
BOX_GIOU = 0.5
TINY = 50
MASK_NAMES = ("gIoU", "cIoU", "N_acc", "T_acc", *(f"Pr@{least}" for least in PRECISIONS))
BOX_NAMES = ("box_F1=1", "box_N_acc", "box_T_acc")
_EMPTY = expressions.empty_rows(
    ("intersection", "union"),
    ("has_mask", "is_empty", "is_called_empty", "has_box", "has_kept_box", "is_box_right"),
)


@dataclass(frozen=True, slots=True)
class GeneralizedReferring:
    """least_pixels: an answer that does not say whether there is a target has one from this many pixels on."""

    least_pixels: int = 1

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Pixel counts, the no-target call and whether all boxes are right, of one expression."""
        truth, found = frames.pair(sample, prediction, Instances)
        found_mask = expressions.united(found, sample.size)
        pixels = expressions.compare(found_mask, expressions.united(truth, sample.size))
        is_called_empty = prediction.is_no_target
        if is_called_empty is None:
            is_called_empty = pixels.found < self.least_pixels
        is_empty = not len(truth)
        is_right_call = is_empty and is_called_empty
        has_box = expressions.has_boxes(found)
        kept = _kept_boxes(found) if has_box else np.zeros((0, 4))
        values = expressions.row(
            intersection=0 if is_empty or is_called_empty else pixels.intersection,
            union=0 if is_right_call else pixels.union,
            has_mask=expressions.has_masks(found),
            is_empty=is_empty,
            is_called_empty=is_called_empty,
            has_box=has_box,
            has_kept_box=len(kept) > 0,
            is_box_right=has_box and _all_paired(kept, expressions.boxes_xywh(truth)),
        )
        return Stats(sample_id=sample.sample_id, arrays=values)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the counts of all expressions end to end."""
        rows = frames.columns(stats, _EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            return _score(rows, rows.weights(given))

        return score


def _score(rows: frames.Columns, weights: NDArray[np.int64]) -> Scores:
    is_empty = rows.arrays["is_empty"]
    none, some = weights * is_empty, weights * ~is_empty
    values = dict.fromkeys((*MASK_NAMES, *BOX_NAMES), math.nan)
    if expressions.share(rows.arrays["has_mask"], weights) == 1:
        values |= _of_masks(rows, weights)
        values["N_acc"] = expressions.share(rows.arrays["is_called_empty"], none)
        values["T_acc"] = expressions.share(~rows.arrays["is_called_empty"], some)
    if expressions.share(rows.arrays["has_box"], weights) == 1:
        values["box_F1=1"] = expressions.share(rows.arrays["is_box_right"], weights)
        values["box_N_acc"] = expressions.share(~rows.arrays["has_kept_box"], none)
        values["box_T_acc"] = expressions.share(rows.arrays["has_kept_box"], some)
    num = int(weights.sum())
    counts = {"expressions": num, "no_target": int(none.sum())}
    return Scores(values=values, counts=counts, per_class={}, num_expected=num, num_scored=num)


def _of_masks(rows: frames.Columns, weights: NDArray[np.int64]) -> dict[str, float]:
    intersection, union = rows.arrays["intersection"], rows.arrays["union"]
    is_empty = rows.arrays["is_empty"]
    iou = intersection / np.maximum(union, 1)
    with_calls = np.where(is_empty, rows.arrays["is_called_empty"], iou)
    found = {
        "gIoU": expressions.weighted_mean(with_calls, weights),
        "cIoU": expressions.quotient(int(weights @ intersection), int(weights @ union)),
    }
    return found | {f"Pr@{least}": expressions.share(iou >= least, weights * ~is_empty) for least in PRECISIONS}


def _kept_boxes(found: Instances) -> NDArray[np.float64]:
    """Boxes of sufficient score, float64 [D, 4], by falling score and then falling coordinates."""
    boxes = expressions.boxes_xywh(found)
    keys = np.concatenate((boxes[:, ::-1], found.score[:, None]), axis=1)
    order = np.lexsort(-keys.T) if len(boxes) else np.zeros(0, np.int64)
    return boxes[order[found.score[order] >= BOX_SCORE]]


def _all_paired(found: NDArray[np.float64], truth: NDArray[np.float64]) -> bool:
    """Whether every box of one side has its own on the other: F1 = 1. found: [D, 4], truth: [G, 4]."""
    if len(found) != len(truth):
        return False
    giou = generalized_iou(found, truth)
    for _ in range(len(truth)):
        place = np.unravel_index(np.argmax(giou), giou.shape)
        if giou[place] < BOX_GIOU:
            return False
        giou[place[0], :] = giou[:, place[1]] = -1.0
    return True


def generalized_iou(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Generalised IoU, float64 [N, M] in -1..1, of (x, y, w, h) boxes [N, 4] and [M, 4]. Rezatofighi et al. (2019)."""
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    other_low, other_high = others[None, :, :2], others[None, :, :2] + others[None, :, 2:]
    shared = np.clip(np.minimum(high, other_high) - np.maximum(low, other_low), 0, None).prod(axis=-1)
    union = boxes[:, None, 2:].prod(axis=-1) + others[None, :, 2:].prod(axis=-1) - shared
    hull = (np.maximum(high, other_high) - np.minimum(low, other_low)).prod(axis=-1)
    return frames.ratio(shared, union) - frames.ratio(hull - union, hull)


def _protocol(least_pixels: int) -> Protocol:
    return Protocol(
        build=lambda labels: GeneralizedReferring(least_pixels=least_pixels), score_names=(*MASK_NAMES, *BOX_NAMES)
    )


ENTRIES = {
    "generalized_referring": MetricEntry(
        protocols={"gres": _protocol(1), "under_50_pixels": _protocol(TINY)},
        tool="ReLA 3ca9551 refer_evaluation.py (masks), gRefCOCO 41a8f00 mdetr/datasets/refexp.py (boxes)",
        laws=(
            *laws.fractions(*MASK_NAMES, *BOX_NAMES),
            *laws.rising(*(f"Pr@{least}" for least in reversed(PRECISIONS))),
        ),
    ),
}
