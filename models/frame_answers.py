"""The selected queries of a frame as objects of an answer, at the frame's original size.

Shapes: M answers, H W the original size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmark import masks
from benchmark.contract import NO_BOXES, Instances, Rle, make_instances
from models.frame_objects import FrameObjects
from models.object_answers import Selected, hard_masks, soft_masks, to_pixels
from models.task_settings import TaskSettings

AT_ONCE = 32
"""Masks that are enlarged together; a hundred at 800 x 1333 would take half a gigabyte."""


def instances(
    found: FrameObjects,
    chosen: Selected,
    settings: TaskSettings,
    *,
    size: tuple[int, int],
    class_index: NDArray[np.int64] | None = None,
    object_id: NDArray[np.int64] | None = None,
) -> Instances:
    """The answers of one frame, best first.

    size: (H, W). class_index: of the answers where it is not the question's, int64 [M]. object_id: int64 [M], by
    default from 1.
    """
    encoded = drawn_once(found, chosen.query, size) if settings.has_masks else None
    boxes = to_pixels(chosen.boxes, size, is_clipped=settings.clips_boxes).double().cpu().numpy()
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1) if encoded is None else masks.areas(encoded).astype(np.float64)
    return make_instances(
        class_index=chosen.class_index.cpu().numpy() if class_index is None else class_index,
        masks=encoded,
        boxes=in_format(boxes, settings.box_format, size) if settings.has_boxes else None,
        box_format=settings.box_format if settings.has_boxes else NO_BOXES,
        area=area,
        score=chosen.score.double().cpu().numpy(),
        object_id=object_id,
    )


def drawn_once(found: FrameObjects, query: Tensor, size: tuple[int, int]) -> list[Rle]:
    """Masks of queries at the original size; a query that occurs twice is drawn once. query: int64 [M]."""
    different, back = query.unique(return_inverse=True)
    encoded: list[Rle] = []
    for some in different.split(AT_ONCE) if len(different) else ():
        encoded += mask_rles(found.draw(some), found, size)
    return [encoded[place] for place in back.tolist()]


def mask_rles(mask_logits: Tensor, found: FrameObjects, size: tuple[int, int]) -> list[Rle]:
    """Masks at the original size. mask_logits: [M, h, w], drawn."""
    if not len(mask_logits):
        return []
    parts = [hard_masks(soft_masks(part, found), size) for part in mask_logits.split(AT_ONCE)]
    return [rle for part in parts for rle in masks.encode_many(part.cpu().numpy())]


def in_format(boxes: NDArray[np.float64], box_format: str, size: tuple[int, int]) -> NDArray[np.float64]:
    """float64 [M, 4] in a format of `Instances`. boxes: float64 [M, 4], xyxy in pixels. size: (H, W)."""
    match box_format:
        case "xyxy":
            return boxes
        case "xywh":
            return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)
        case "xyxy_norm":
            return boxes / np.array([size[1], size[0], size[1], size[0]])
        case other:
            raise ValueError(f"boxes are answered as xywh, xyxy or xyxy_norm, not as {other!r}")


def without_overlap(found: Instances) -> Instances:
    """The same objects, each pixel given to the best of those that claim it; what is left empty is dropped."""
    taken: NDArray[np.bool_] | None = None
    kept, cut = [], []
    for row, rle in enumerate(found.masks or ()):
        mask = masks.decode(rle)
        mask = mask if taken is None else mask & ~taken
        if mask.any():
            kept.append(row)
            cut.append(masks.encode(mask))
            taken = mask if taken is None else taken | mask
    rows = np.array(kept, np.int64)
    return make_instances(
        class_index=found.class_index[rows],
        masks=cut,
        boxes=found.boxes[rows],
        box_format=found.box_format,
        area=masks.areas(cut).astype(np.float64),
        score=found.score[rows],
        object_id=found.object_id[rows],
    )


def enlarged(soft: Tensor, size: tuple[int, int]) -> Tensor:
    """Probabilities [M, H, W] at the original size, bilinear. soft: [M, h, w]."""
    if not len(soft):
        return soft.new_zeros(0, *size)
    return F.interpolate(soft[None], size=size, mode="bilinear", align_corners=False)[0]


def merged_label(soft: Tensor) -> Tensor:
    """What each pixel shows, int64 [H, W]: 0 for nothing, k for layer k - 1.

    Nothing is as probable as that no layer is there, the product of 1 - m. soft: probabilities [M, H, W].
    """
    nothing = (1 - soft).prod(0, keepdim=True)
    return torch.cat((nothing, soft)).argmax(0)


def layers_of(label: Tensor, object_id: Sequence[int], score: Sequence[float]) -> Instances:
    """Objects that do not overlap. label: int64 [H, W] of `merged_label`. object_id, score: of each layer."""
    encoded = masks.encode_ids(label.cpu().numpy().astype(np.int32), range(1, len(object_id) + 1))
    return make_instances(
        class_index=[0] * len(object_id),
        masks=encoded,
        box_format=NO_BOXES,
        area=masks.areas(encoded).astype(np.float64),
        score=np.array(score, np.float64),
        object_id=np.array(object_id, np.int64),
    )
