"""A training-only head that names the pixels of the pixel decoder's maps.

Not part of OneFormer: a small model that starts without ImageNet weights learns classes sooner when every feature it
attends to is told what it shows. Published variants do without. Shapes: B batch, K classes, H W input size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.pixel_decoder import PixelFeatures
from models.targets import Target

UNLABELLED = -1


class PixelSupervision(nn.Module):
    """{"loss_pixel"}: weighted cross entropy of a linear classifier on the mask features and on each memory scale.

    weight: of the loss, whose maps are averaged. thing_weight: how much a thing's pixel counts beside a stuff one.
    """

    def __init__(
        self,
        dim: int,
        *,
        mask_dim: int,
        num_classes: int,
        num_levels: int = 3,
        weight: float,
        thing_weight: float,
    ) -> None:
        super().__init__()
        widths = [mask_dim, *[dim] * num_levels]
        self.heads = nn.ModuleList(nn.Linear(width, num_classes) for width in widths)
        self.weight, self.thing_weight = weight, thing_weight

    def forward(
        self, features: PixelFeatures, targets: Sequence[Target], is_thing: Sequence[bool]
    ) -> dict[str, Tensor]:
        """targets: one an image, masks padded to the input size; pixels that none covers do not count."""
        maps = (features.mask_features, *features.scales)
        importance = [self.thing_weight if flag else 1.0 for flag in is_thing]
        labels = torch.stack([pixel_labels(target) for target in targets])
        losses = [self._loss(head, level, labels, importance) for head, level in zip(self.heads, maps, strict=True)]
        return {"loss_pixel": self.weight * torch.stack(losses).mean()}

    def _loss(self, head: nn.Module, level: Tensor, labels: Tensor, importance: Sequence[float]) -> Tensor:
        """Of one map, at the map's own resolution. level: [B, D, h, w]. labels: int64 [B, H, W]."""
        rows, columns = (
            centres(length, cells, labels.device)
            for length, cells in zip(labels.shape[-2:], level.shape[-2:], strict=True)
        )
        wanted = labels[:, rows][:, :, columns].flatten()
        (labelled,) = (wanted != UNLABELLED).nonzero(as_tuple=True)
        if not len(labelled):
            return level.sum() * 0
        logits = head(level.flatten(2).transpose(1, 2).flatten(0, 1)[labelled]).float()
        return F.cross_entropy(logits, wanted[labelled], logits.new_tensor(importance))


def pixel_labels(target: Target) -> Tensor:
    """int64 [H, W]: class of the target at each pixel, `UNLABELLED` where none is. Targets do not overlap."""
    if not len(target.labels):
        return torch.full(target.masks.shape[-2:], UNLABELLED, device=target.labels.device)
    is_covered, owner = target.masks.max(dim=0)
    return torch.where(is_covered, target.labels[owner], UNLABELLED)


def centres(length: int, cells: int, device: torch.device) -> Tensor:
    """int64 [cells]: the index at the middle of each of `cells` equal parts of 0..length - 1."""
    return torch.div(torch.arange(cells, device=device) * length + length // 2, cells, rounding_mode="floor")
