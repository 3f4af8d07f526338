"""UNINEXT's losses of discovered objects: retrieval, box, box quality and mask, after every layer.

Follows MasterBin-IIAU/UNINEXT at 5ab0386. Sums are divided by the number of matched pairs of this process, layer by
layer. Shapes: B batch, N queries, G objects, M matched pairs, L prompt tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.object_answers import to_corners
from models.object_matching import FOCAL_ALPHA, FOCAL_GAMMA, Matches, ObjectTargets

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "loss_ce": 2.0,
        "loss_bbox": 5.0,
        "loss_giou": 2.0,
        "loss_boxiou": 1.0,
        "loss_mask": 2.0,
        "loss_dice": 5.0,
        "loss_prj": 1.0,
        "loss_pairwise": 1.0,
        "loss_reid": 2.0,
        "loss_reid_aux": 3.0,
    }
)


def focal_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Sigmoid focal loss (arXiv 1708.02002) of every element, any shape. wanted: 0 or 1, the same shape."""
    p = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    right = p * wanted + (1 - p) * (1 - wanted)
    return (FOCAL_ALPHA * wanted + (1 - FOCAL_ALPHA) * (1 - wanted)) * (1 - right) ** FOCAL_GAMMA * entropy


class PairLosses(nn.Module):
    """Unweighted losses of one layer, given its matches."""

    def classes(
        self, logits: Tensor, matches: Sequence[Matches], targets: Sequence[ObjectTargets], valid: Tensor | None
    ) -> Tensor:
        """Focal loss over all queries and valid tokens. logits: [B, N, L]. valid: bool [B, L], or None: all."""
        wanted = torch.zeros_like(logits)
        for index, (pairs, target) in enumerate(zip(matches, targets, strict=True)):
            wanted[index, pairs.query] = target.positives[pairs.target].to(logits.dtype)
        losses = focal_loss(logits, wanted)
        if valid is not None:
            losses = losses * valid[:, None]
        return losses.sum() / num_pairs(matches)

    def boxes(
        self, boxes: Tensor, matches: Sequence[Matches], targets: Sequence[ObjectTargets]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """L1 and generalised IoU losses, and the IoU of every pair, [M] without gradient. boxes: [B, N, 4]."""
        found = taken(boxes, matches)
        wanted = torch.cat([target.boxes[pairs.target] for pairs, target in zip(matches, targets, strict=True)])
        iou, generalised = paired_iou(to_corners(found), to_corners(wanted))
        count = num_pairs(matches)
        losses = {"loss_bbox": (found - wanted).abs().sum() / count, "loss_giou": (1 - generalised).sum() / count}
        return losses, iou.detach()

    def quality(self, logits: Tensor, matches: Sequence[Matches], iou: Tensor) -> Tensor:
        """Cross entropy with the true IoU, mean over the pairs. logits: [B, N]. iou: [M]."""
        found = taken(logits, matches)
        return F.binary_cross_entropy_with_logits(found, iou, reduction="sum") / max(len(found), 1)

    def masks(self, logits: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Focal and dice losses of matched masks. logits: [M, h, w]. wanted: bool [M, h, w]."""
        count = max(len(logits), 1)
        x, t = logits.flatten(1), wanted.flatten(1).to(logits.dtype)
        p = x.sigmoid()
        dice = 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)
        return {"loss_mask": focal_loss(x, t).mean(1).sum() / count, "loss_dice": dice.sum() / count}


def num_pairs(matches: Sequence[Matches]) -> int:
    """Matched pairs of the batch, at least 1."""
    return max(sum(len(pairs.query) for pairs in matches), 1)


def taken(values: Tensor, matches: Sequence[Matches]) -> Tensor:
    """Rows [M, ...] of the matched queries, image by image. values: [B, N, ...]."""
    return torch.cat([row[pairs.query] for row, pairs in zip(values, matches, strict=True)])


def paired_iou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of boxes one by one, [M] each. first, second: xyxy [M, 4]."""
    both = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    hull = (torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])).clamp(min=0)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - both.prod(-1)
    iou = both.prod(-1) / union
    return iou, iou - (hull.prod(-1) - union) / hull.prod(-1)


def at_stride_4(masks: Tensor) -> Tensor:
    """Every fourth pixel from the third on, [G, H / 4, W / 4]. masks: [G, H, W], padded to a multiple of 32."""
    return masks[:, 2::4, 2::4]
