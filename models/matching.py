"""One-to-one matching of queries with targets, on masks sampled at random points.

Follows SHI-Labs/OneFormer at 4962ef6 (as Mask2Former, on DETR's Hungarian matching). Every prediction is matched on its
own. Shapes: B batch, N queries, M targets of an image (padded to the batch's most), P points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Matched pairs of a batch, image by image, queries ascending: all int64 [number of pairs].

    image: index in the batch. query: index of the query. target: index in the batch's concatenated targets.
    """

    image: Tensor
    query: Tensor
    target: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingCost:
    """Weights of the cost's parts: class probability, binary cross entropy, dice."""

    class_weight: float = 2.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0

    def __call__(self, class_logits: Tensor, mask_values: Tensor, labels: Tensor, target_values: Tensor) -> Tensor:
        """Cost float32 [B, N, M]; NaN becomes 100.

        class_logits: [B, N, K + 1]. mask_values: logits [B, N, P]. labels: int64 [B, M]. target_values: [B, M, P].
        """
        probability = class_logits.float().softmax(-1)
        wanted = labels[:, None, :].expand(-1, probability.shape[1], -1)
        x, t = mask_values.float(), target_values.float()
        cost = (
            self.mask_weight * _pairwise_cross_entropy(x, t)
            - self.class_weight * probability.gather(2, wanted)
            + self.dice_weight * _pairwise_dice(x.sigmoid(), t)
        )
        return cost.nan_to_num(nan=100.0, posinf=float("inf"), neginf=float("-inf"))


def _pairwise_cross_entropy(x: Tensor, t: Tensor) -> Tensor:
    """Mean over the points of softplus(x) - x t, which is binary cross entropy for logits x and targets t in 0..1."""
    return (F.softplus(x).sum(-1)[:, :, None] - x @ t.transpose(1, 2)) / x.shape[-1]


def _pairwise_dice(probability: Tensor, t: Tensor) -> Tensor:
    both = 2 * probability @ t.transpose(1, 2)
    return 1 - (both + 1) / (probability.sum(-1)[:, :, None] + t.sum(-1)[:, None, :] + 1)


def assign(cost: Tensor, num_targets: Sequence[int], device: torch.device) -> Pairs:
    """The cheapest one-to-one pairs of every image, on `device`. cost: float32 [B, N, M] on the CPU."""
    images, queries, targets = [], [], []
    first = 0
    for index, (matrix, count) in enumerate(zip(cost.numpy(), num_targets, strict=True)):
        rows, columns = (torch.from_numpy(ids) for ids in linear_sum_assignment(matrix[:, :count]))
        images.append(torch.full_like(rows, index))
        queries.append(rows)
        targets.append(columns + first)
        first += count
    image, query, target = (torch.cat(parts).to(device) for parts in (images, queries, targets))
    return Pairs(image=image, query=query, target=target)


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values [B, C, P] of maps [B, C, H, W] at points [B, P, 2], (x, y) in 0..1 of the whole map."""
    return F.grid_sample(maps, 2 * points[:, None].to(maps.dtype) - 1, align_corners=False)[:, :, 0]
