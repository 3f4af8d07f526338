"""What an expression's answer shares with its truth: pixels and boxes of a (sample, prediction) pair, as integers.

Every benchmark of referring expressions starts from these and differs in what it makes of them: see `referring`,
`generalized_referring` and `reasoning_segmentation`. All masks of an answer are united: together they are the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import NO_BOXES, Instances, Rle
from benchmark.metrics import frames
from benchmark.problems import BenchmarkError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Pixel counts of an answer and its truth. found, truth, intersection: of the two masks and of both at once."""

    found: int
    truth: int
    intersection: int

    @property
    def union(self) -> int:
        """Pixels of either mask."""
        return self.found + self.truth - self.intersection


def united(objects: Instances, size: tuple[int, int]) -> Rle:
    """All masks of the objects as one; empty where there are none. size: (height, width)."""
    rows = objects.masks or ()
    if len(rows) == 1:
        return rows[0]
    return masks.union(rows) if rows else masks.empty(size)


def compare(found: Rle, truth: Rle) -> Pixels:
    """Pixel counts of two masks of one size."""
    counts = masks.areas([found, truth])
    # `intersections` divides by the first mask's area, so that one must not be empty.
    shared = int(masks.intersections([found], [truth])[0, 0]) if counts.all() else 0
    return Pixels(found=int(counts[0]), truth=int(counts[1]), intersection=shared)


def without(mask: Rle, dropped: Rle | None) -> Rle:
    """The mask less the pixels of another one (None: of none)."""
    return mask if dropped is None else masks.encode(masks.decode(mask) & ~masks.decode(dropped))


def has_masks(found: Instances) -> bool:
    """Whether an answer speaks of pixels: it has masks, or says that there is nothing."""
    return found.masks is not None or not len(found)


def has_boxes(found: Instances) -> bool:
    """Whether an answer speaks of boxes: it has boxes, or says that there is nothing."""
    return found.box_format != NO_BOXES or not len(found)


def boxes_xywh(objects: Instances) -> NDArray[np.float64]:
    """Boxes (x, y, w, h), float64 [N, 4]. Raises BenchmarkError for an unknown format."""
    match objects.box_format:
        case _ if not len(objects):
            return np.zeros((0, 4))
        case "xywh":
            return objects.boxes
        case "xyxy":
            return np.concatenate((objects.boxes[:, :2], objects.boxes[:, 2:] - objects.boxes[:, :2]), axis=1)
        case other:
            raise BenchmarkError(f"Boxes are in format {other!r}; this metric reads 'xywh' and 'xyxy'.")


def corners(objects: Instances) -> NDArray[np.float64]:
    """Corners (x1, y1, x2, y2), float64 [N, 4]. Raises BenchmarkError for an unknown format."""
    if objects.box_format == "xyxy":
        return objects.boxes
    boxes = boxes_xywh(objects)
    return np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)


def corner_iou(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU, float64 [N, M], of boxes (x1, y1, x2, y2) [N, 4] and [M, 4]; NaN for two boxes without area."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas, other_areas = ((part[:, 2:] - part[:, :2]).prod(axis=-1) for part in (boxes, others))
    return frames.ratio(shared, areas[:, None] + other_areas[None] - shared)


def best_box_iou(found: Instances, truth: Instances) -> float:
    """IoU of the best-ranked predicted box (the first of equal scores) with a true box; 0 where there is none.

    Widths and heights are continuous: the +1 and -1 of the Google toolbox cancel.
    """
    if not len(found) or not len(truth):
        return 0.0
    top = int(np.argmax(found.score))
    return float(masks.box_iou(boxes_xywh(found)[top : top + 1], boxes_xywh(truth)).max())


def row(**values: bool | int) -> dict[str, NDArray[Any]]:
    """Statistics of one expression: each value as an array [1], bool or int64."""
    return {
        name: np.array([value], bool if isinstance(value, bool | np.bool_) else np.int64)
        for name, value in values.items()
    }


def empty_rows(counts: Sequence[str], flags: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The columns of no expressions: int64 [0] for counts, bool [0] for flags."""
    return {name: np.zeros(0, np.int64) for name in counts} | {name: np.zeros(0, bool) for name in flags}


def weighted_mean(values: NDArray[np.float64], weights: NDArray[np.int64]) -> float:
    """Mean of float64 [N], value n counted int64 weights[n] times; NaN for nothing.

    Summed without rounding, so that order, sharding and repetition change no bit.
    """
    num = int(weights.sum())
    return math.fsum(np.repeat(values, weights).tolist()) / num if num else math.nan


def share(hits: NDArray[np.bool_], weights: NDArray[np.int64]) -> float:
    """Share of bool [N] that is true, entry n counted int64 weights[n] times; NaN for nothing."""
    num = int(weights.sum())
    return int(weights @ hits) / num if num else math.nan


def quotient(numerator: int, denominator: int) -> float:
    """Their quotient, NaN where the denominator is 0."""
    return numerator / denominator if denominator else math.nan
