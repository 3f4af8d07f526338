"""Which query answers for which object: SimOTA for decoder queries, one-to-one matching for encoder proposals.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (SimOTA of YOLOX, arXiv 2107.08430; DETR's Hungarian matching). Boxes are
(centre x, centre y, width, height) in 0..1 of the unpadded image. Shapes: N queries, G objects of one image, L prompt
tokens (1 for expressions and templates).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from models.object_answers import box_iou, to_corners

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2
LOG_EPS = 1e-8
MOST_ROUNDS = 20
"""Of looking for a query for objects that lost all of theirs; two like objects may lose to a third for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectTargets:
    """The objects of one image that the prompt means.

    boxes: cxcywh [G, 4]. positives: bool [G, L], the prompt tokens that mean the object. masks: bool [G, H, W] at the
    padded input's size, or None where a data set has only boxes. similarity: of neighbouring colours [8, H / 4, W / 4];
    given, the masks are filled boxes, and what is learnt from them is the extent (`BoxSupervision`).
    """

    boxes: Tensor
    positives: Tensor
    masks: Tensor | None = None
    similarity: Tensor | None = None

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Matched pairs of one image, queries ascending: int64 [number of pairs] each. cheapest: int64 [G], the best of the
    queries that every object got."""

    query: Tensor
    target: Tensor
    cheapest: Tensor


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU of all pairs of xyxy boxes, [N, M]. first: [N, 4]. second: [M, 4]."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - both
    outer_low = torch.minimum(first[:, None, :2], second[None, :, :2])
    outer_high = torch.maximum(first[:, None, 2:], second[None, :, 2:])
    hull = (outer_high - outer_low).clamp(min=0).prod(-1)
    return both / union - (hull - union) / hull


def class_cost(logits: Tensor, positives: Tensor) -> Tensor:
    """Focal cost [N, G], the mean over each object's positive tokens. logits: [N, L]. positives: bool [G, L]."""
    p = logits.sigmoid()
    negative = (1 - FOCAL_ALPHA) * p**FOCAL_GAMMA * -(1 - p + LOG_EPS).log()
    positive = FOCAL_ALPHA * (1 - p) ** FOCAL_GAMMA * -(p + LOG_EPS).log()
    weights = positives.to(p.dtype)
    return (positive - negative) @ (weights / weights.sum(1, keepdim=True)).T


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOta:
    """One object gets several queries, as many as its best boxes overlap it in sum.

    num_candidates: boxes in that sum. radius: a query is near an object when its centre is less than this share of the
    image away in both axes, whatever the object's size.
    """

    num_candidates: int = 10
    radius: float = 2.5 / 32
    giou_weight: float = 3.0
    outside_cost: float = 100.0
    background_cost: float = 10_000.0
    taken_cost: float = 100_000.0

    @torch.no_grad()
    def __call__(self, logits: Tensor, boxes: Tensor, targets: ObjectTargets) -> Matches:
        """logits: [N, L]. boxes: [N, 4]. Raises ValueError when there are more objects than queries."""
        if len(targets) > len(boxes):
            raise ValueError(f"{len(targets)} objects cannot be shared out to {len(boxes)} queries")
        if not len(targets):
            none = torch.zeros(0, dtype=torch.long, device=boxes.device)
            return Matches(query=none, target=none, cheapest=none)
        corners, wanted = to_corners(boxes), to_corners(targets.boxes)
        cost = self._cost(logits, boxes, targets, corners, wanted)
        overlaps = box_iou(corners, wanted)
        num_best = min(self.num_candidates, len(boxes))
        shares = overlaps.topk(num_best, dim=0).values.sum(0).int().clamp(min=1).tolist()
        is_matched, cost = self._share_out(cost, shares)
        query, target = is_matched.nonzero(as_tuple=True)
        cheapest = cost.masked_fill(~is_matched, float("inf")).argmin(0)
        return Matches(query=query, target=target, cheapest=cheapest)

    def _cost(self, logits: Tensor, boxes: Tensor, targets: ObjectTargets, corners: Tensor, wanted: Tensor) -> Tensor:
        """[N, G]."""
        centre = boxes[:, None, :2]
        is_inside = ((centre > wanted[None, :, :2]) & (centre < wanted[None, :, 2:])).all(-1)
        is_near = ((centre - targets.boxes[None, :, :2]).abs() < self.radius).all(-1)
        is_foreground = is_inside.any(1) | is_near.any(1)
        cost = class_cost(logits, targets.positives) - self.giou_weight * generalised_iou(corners, wanted)
        cost = cost + self.outside_cost * ~(is_inside & is_near)
        return cost + self.background_cost * ~is_foreground[:, None]

    def _share_out(self, cost: Tensor, shares: list[int]) -> tuple[Tensor, Tensor]:
        """(bool [N, G], the cost with what was added): every object has a query, every query at most one object."""
        is_matched = torch.zeros_like(cost, dtype=torch.bool)
        for target, count in enumerate(shares):
            is_matched[cost[:, target].topk(count, largest=False).indices, target] = True
        is_matched = _cheapest_only(is_matched, cost)
        for _ in range(MOST_ROUNDS):
            if is_matched.any(0).all():
                return is_matched, cost
            cost = cost + self.taken_cost * is_matched.any(1, keepdim=True)
            for target in (~is_matched.any(0)).nonzero()[:, 0].tolist():
                is_matched[cost[:, target].argmin(), target] = True
            is_matched = _cheapest_only(is_matched, cost)
        return _with_spared(is_matched, cost), cost


def _with_spared(is_matched: Tensor, cost: Tensor) -> Tensor:
    """Every object that has no query gets the cheapest one that nobody needs, which upstream may never find."""
    for target in (~is_matched.any(0)).nonzero()[:, 0].tolist():
        is_needed = (is_matched & (is_matched.sum(0) == 1)).any(1)
        query = cost[:, target].masked_fill(is_needed, float("inf")).argmin()
        is_matched[query] = False
        is_matched[query, target] = True
    return is_matched


def _cheapest_only(is_matched: Tensor, cost: Tensor) -> Tensor:
    """Matches without the dearer ones of a query that has several; over all objects, as upstream."""
    has_several = is_matched.sum(1) > 1
    only = torch.zeros_like(is_matched).scatter_(1, cost.argmin(1, keepdim=True), True)
    return torch.where(has_several[:, None], only, is_matched)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneToOne:
    """Every object gets the one query that is best for all objects together."""

    class_weight: float = 2.0
    l1_weight: float = 5.0
    giou_weight: float = 2.0

    @torch.no_grad()
    def __call__(self, logits: Tensor, boxes: Tensor, targets: ObjectTargets) -> Matches:
        """logits: [N, L]. boxes: [N, 4]."""
        cost = (
            self.class_weight * class_cost(logits, targets.positives)
            + self.l1_weight * torch.cdist(boxes, targets.boxes, p=1)
            - self.giou_weight * generalised_iou(to_corners(boxes), to_corners(targets.boxes))
        )
        rows, columns = (torch.from_numpy(ids).to(boxes.device) for ids in linear_sum_assignment(cost.cpu().numpy()))
        cheapest = torch.empty_like(rows)
        cheapest[columns] = rows
        return Matches(query=rows, target=columns, cheapest=cheapest)
