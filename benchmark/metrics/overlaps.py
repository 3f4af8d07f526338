"""How far detections overlap truths: of boxes, of masks, or of masks and their boundaries.

Boundary overlap follows the Boundary IoU API (https://github.com/bowenc0221/boundary-iou-api, Cheng et al. 2021): a
mask's boundary is what an erosion by 2 % of the image diagonal removes, pixels at the image border included, and the
lesser of mask and boundary IoU counts. A crowd keeps its mask IoU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import NO_BOXES, Instances, Rle
from benchmark.problems import BenchmarkError

Kind = Literal["bbox", "segm", "boundary"]
BOUNDARY_SHARE = 0.02
"""Width of a boundary over the image diagonal."""


def compare(
    kind: Kind,
    found: Instances,
    rows: NDArray[np.int64],
    truth: Instances,
    truth_rows: NDArray[np.int64],
    is_crowd: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """IoU float64 [D, G] of some detections with some truths.

    rows: int64 [D], positions in `found`. truth_rows: int64 [G], positions in `truth`. is_crowd: bool [G].
    """
    if kind == "bbox":
        return masks.box_iou(xywh(found)[rows], xywh(truth)[truth_rows], is_crowd)
    ours, theirs = _chosen(found, rows), _chosen(truth, truth_rows)
    ious = masks.iou(ours, theirs, is_crowd)
    if kind == "boundary" and ious.any():
        rows, columns = np.flatnonzero(ious.any(axis=1)), np.flatnonzero(ious.any(axis=0))
        edges = [boundary(ours[row]) for row in rows], [boundary(theirs[column]) for column in columns]
        near = ious[np.ix_(rows, columns)]
        ious[np.ix_(rows, columns)] = np.where(is_crowd[columns], near, np.minimum(near, masks.iou(*edges)))
    return ious


def of_box_pairs(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], is_crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """IoU of P pairs of boxes (x, y, w, h), float64 [P], to the bit as pycocotools has it; over ours alone at crowds.

    ours, theirs: float64 [P, 4]. is_crowd: bool [P], of theirs.
    """
    ends = np.minimum(ours[:, 2:] + ours[:, :2], theirs[:, 2:] + theirs[:, :2])
    sides = ends - np.maximum(ours[:, :2], theirs[:, :2])
    is_near = (sides > 0).all(axis=1)
    common = sides[:, 0] * sides[:, 1]
    area = ours[:, 2] * ours[:, 3]
    union = np.where(is_crowd, area, area + theirs[:, 2] * theirs[:, 3] - common)
    return np.divide(common, union, out=np.zeros(len(common)), where=is_near)


def areas(kind: Kind, found: Sequence[Instances]) -> NDArray[np.float64]:
    """Areas of the detections of some images, one after another, float64 [N]: of boxes or else of masks."""
    if kind == "bbox":
        return np.asarray(np.concatenate([xywh(one) for one in found])[:, 2:].prod(axis=1))
    return np.concatenate([masks.areas(one.masks or ()) for one in found]).astype(np.float64)


def boundary(rle: Rle) -> Rle:
    """The part of a mask that lies within the boundary width of its outline."""
    height, width = rle.size
    steps = max(1, round(BOUNDARY_SHARE * float(np.hypot(height, width))))
    x, y, w, h = (int(value) for value in masks.bounding_box(rle))
    if not w or not h:
        return rle
    mask = masks.decode(rle)
    # A ring of zeros makes the image border, and that of the cut-out, part of the outline.
    inside = np.pad(mask[y : y + h, x : x + w].astype(np.uint8), 1)
    inner = cv2.erode(inside, np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1]
    mask[y : y + h, x : x + w] &= inner == 0
    return masks.encode(mask)


def xywh(instances: Instances) -> NDArray[np.float64]:
    """Boxes as (x, y, w, h), float64 [N, 4], those around the masks where nobody stated any.

    Raises BenchmarkError for boxes in another format.
    """
    if instances.box_format == NO_BOXES and instances.masks is not None:
        return masks.bounding_boxes(instances.masks)
    if instances.box_format == "xywh":
        return instances.boxes
    if instances.box_format == "xyxy":
        return np.concatenate((instances.boxes[:, :2], instances.boxes[:, 2:] - instances.boxes[:, :2]), axis=1)
    raise BenchmarkError(f"Boxes are in format {instances.box_format!r}; this metric reads 'xywh' and 'xyxy'.")


def check(sample_ids: Sequence[str], kind: Kind, truth: Sequence[Instances], found: Sequence[Instances]) -> None:
    """Raise BenchmarkError unless both sides of each image can be compared and all scores are numbers."""
    for sample_id, right, answer in zip(sample_ids, truth, found, strict=True):
        if kind != "bbox" and (right.masks is None or answer.masks is None):
            role = "truth" if right.masks is None else "prediction"
            raise BenchmarkError(f"{sample_id}: {role} has no masks, this metric compares masks.")
    if np.isnan(np.concatenate([one.score for one in found])).any():
        place = next(place for place, one in enumerate(found) if np.isnan(one.score).any())
        raise BenchmarkError(f"{sample_ids[place]}: prediction holds a score that is NaN. Write finite scores.")


def _chosen(instances: Instances, rows: NDArray[np.int64]) -> list[Rle]:
    found = instances.masks or ()
    return [found[row] for row in rows.tolist()]
