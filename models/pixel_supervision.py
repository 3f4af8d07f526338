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
        self, dim: int, *, mask_dim: int, num_classes: int, num_levels: int = 3, weight: float, thing_weight: float
    ) -> None:
        super().__init__()
        widths = [mask_dim, *[dim] * num_levels]
        self.heads = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for width in widths)
        self.weight, self.thing_weight = weight, thing_weight

    def forward(
        self, features: PixelFeatures, targets: Sequence[Target], is_thing: Sequence[bool]
    ) -> dict[str, Tensor]:
        """targets: one an image, masks padded to the input size; pixels that none covers do not count."""
        maps = (features.mask_features, *features.scales)
        importance = [self.thing_weight if flag else 1.0 for flag in is_thing]
        losses = [self._loss(head(level), targets, importance) for head, level in zip(self.heads, maps, strict=True)]
        return {"loss_pixel": self.weight * torch.stack(losses).mean()}

    @staticmethod
    def _loss(logits: Tensor, targets: Sequence[Target], importance: Sequence[float]) -> Tensor:
        """Of one map, at the map's own resolution. logits: [B, K, h, w]."""
        wanted = torch.stack([pixel_labels(target, logits.shape[-2:]) for target in targets])
        if not (wanted != UNLABELLED).any():
            return logits.sum() * 0
        weights = logits.new_tensor(importance, dtype=torch.float32)
        return F.cross_entropy(logits.float(), wanted, weights, ignore_index=UNLABELLED)


def pixel_labels(target: Target, size: torch.Size) -> Tensor:
    """int64 [h, w]: class of the target at the centre of each cell of a grid of `size`, `UNLABELLED` where none is."""
    height, width = target.masks.shape[-2:]
    rows = torch.div(torch.arange(size[0]) * height + height // 2, size[0], rounding_mode="floor")
    columns = torch.div(torch.arange(size[1]) * width + width // 2, size[1], rounding_mode="floor")
    labels = torch.full(tuple(size), UNLABELLED, dtype=torch.int64, device=target.labels.device)
    for label, mask in zip(target.labels, target.masks[:, rows][:, :, columns], strict=True):
        labels[mask] = label
    return labels
