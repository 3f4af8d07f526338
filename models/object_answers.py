"""From discovered queries to the objects of an answer: scores, suppression, the best pairs, masks in pixels.

Follows MasterBin-IIAU/UNINEXT at 5ab0386. Suppression is needed because several queries may stand for one object.
Shapes: N queries, K classes (1 for expressions and targets), M answers, H W the frame as the detector saw it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.frame_objects import FrameObjects


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRules:
    """rates_boxes: the score is the geometric mean of class and IoU probability, not the class's alone. least_score: a
    query needs more, or None. keeps_best: the best query is an answer whatever its score; otherwise there may be none.
    nms_iou: a box that overlaps a better one of its class more is dropped, or None. top_k: at most as many (query,
    class) pairs; None: every surviving query once."""

    rates_boxes: bool = True
    least_score: float | None = None
    keeps_best: bool = True
    nms_iou: float | None = 0.7
    top_k: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """M answers, best first. query, class_index: int64 [M]. score: float32 [M]. boxes: xyxy in 0..1, [M, 4]; they may
    reach over the border."""

    query: Tensor
    class_index: Tensor
    score: Tensor
    boxes: Tensor


def query_scores(found: FrameObjects, rules: SelectionRules) -> Tensor:
    """Scores [N, K]: probability of the class, or its geometric mean with the box's expected IoU."""
    if found.quality is None or not rules.rates_boxes:
        return found.scores
    return (found.scores * found.quality[:, None]).sqrt()


def select(found: FrameObjects, rules: SelectionRules) -> Selected:
    """The answers of one frame."""
    scores = query_scores(found, rules)
    corners = to_corners(found.boxes)
    best, label = scores.max(1)
    kept = torch.arange(len(scores), device=scores.device)
    if rules.least_score is not None:
        is_kept = best > rules.least_score
        if rules.keeps_best:
            is_kept[best.argmax()] = True
        kept = kept[is_kept]
    if rules.nms_iou is not None:
        kept = kept[suppress(corners[kept], scores=best[kept], class_index=label[kept], iou=rules.nms_iou)]
    if rules.top_k is None:
        return Selected(query=kept, class_index=label[kept], score=best[kept], boxes=corners[kept])
    flat = scores[kept].flatten()
    score, place = flat.topk(min(rules.top_k, len(flat)))
    query = kept[place // scores.shape[1]]
    return Selected(query=query, class_index=place % scores.shape[1], score=score, boxes=corners[query])


def suppress(boxes: Tensor, *, scores: Tensor, class_index: Tensor, iou: float) -> Tensor:
    """Positions of the boxes that greedy suppression keeps, best first, int64 [M]; ties keep their order.

    boxes: xyxy [N, 4]. scores: [N]. class_index: int64 [N]; boxes of different classes do not meet.
    """
    order = scores.argsort(descending=True, stable=True)
    overlaps = box_iou(boxes[order], boxes[order]) > iou
    overlaps &= class_index[order][:, None] == class_index[order][None]
    # One transfer to the CPU; the loop is over rows of bits.
    rows = overlaps.cpu().numpy()
    is_kept = rows.diagonal().copy()
    is_kept[:] = True
    for position, row in enumerate(rows):
        if is_kept[position]:
            is_kept[position + 1 :] &= ~row[position + 1 :]
    return order[torch.from_numpy(is_kept).to(order.device)]


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of all pairs of xyxy boxes, [N, M]. first: [N, 4]. second: [M, 4]."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    return both / (areas[0][:, None] + areas[1][None] - both)


def to_corners(boxes: Tensor) -> Tensor:
    """xyxy [..., 4] of cxcywh boxes [..., 4]."""
    centre, size = boxes.split(2, dim=-1)
    return torch.cat((centre - 0.5 * size, centre + 0.5 * size), dim=-1)


def to_pixels(boxes: Tensor, size: tuple[int, int], *, is_clipped: bool = True) -> Tensor:
    """xyxy boxes [M, 4] in pixels of an image of `size` (height, width). boxes: xyxy in 0..1, [M, 4].

    is_clipped: what reaches over the border is cut.
    """
    height, width = size
    extent = boxes.new_tensor([width, height, width, height])
    return torch.minimum((boxes * extent).clamp(min=0), extent) if is_clipped else boxes * extent


def soft_masks(mask_logits: Tensor, found: FrameObjects) -> Tensor:
    """Mask probabilities [M, H, W] in the pixels of the frame as the detector saw it. mask_logits: [M, h, w], drawn."""
    if not len(mask_logits):
        return mask_logits.new_zeros(0, *found.size)
    full = F.interpolate(mask_logits[None], scale_factor=found.mask_stride, mode="bilinear", align_corners=False)[0]
    return full[:, : found.size[0], : found.size[1]].sigmoid()


def hard_masks(probability: Tensor, size: tuple[int, int]) -> Tensor:
    """bool [M, height, width] at the original size: nearest pixels of probabilities above one half.

    probability: [M, H, W]. Whether the threshold comes before the resizing (images) or after (videos) is one.
    """
    return F.interpolate(probability[None], size=size)[0] > 0.5
