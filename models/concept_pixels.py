"""A training-only head that tells every pixel which concept of the question it belongs to.

The open-vocabulary form of `models.pixel_supervision`: features are compared with the prompt's concepts instead of
being classified, so one head serves every vocabulary, expressions and shown targets. Published recipes do without.
Shapes: B batch, K concepts, D width, H W input size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.concepts import ConceptTokens
from models.pixel_decoder import PixelFeatures
from models.pixel_supervision import UNLABELLED, centres
from models.retrieval import ConceptRetrieval
from models.shots import ShotTarget


class ConceptPixels(nn.Module):
    """{"loss_pixel"}: weighted cross entropy on the mask features and on each memory scale, averaged over the maps.

    target_weight: how much a pixel of a target counts beside one that shows nothing asked for.
    """

    def __init__(
        self, dim: int, *, mask_dim: int, prompt_dim: int, num_levels: int = 3, weight: float, target_weight: float
    ) -> None:
        super().__init__()
        widths = [mask_dim, *[dim] * num_levels]
        self.heads = nn.ModuleList(ConceptRetrieval(width, prompt_dim=prompt_dim) for width in widths)
        self.weight, self.target_weight = weight, target_weight

    def forward(
        self, features: PixelFeatures, prompt: ConceptTokens, targets: Sequence[ShotTarget]
    ) -> dict[str, Tensor]:
        """targets: one an image, masks padded to the input size; of overlapping ones the first counts."""
        maps = (features.mask_features, *features.scales)
        labels = torch.stack([concept_map(target) for target in targets])
        losses = [self._loss(head, level, prompt, labels) for head, level in zip(self.heads, maps, strict=True)]
        return {"loss_pixel": self.weight * torch.stack(losses).mean()}

    def _loss(self, head: nn.Module, level: Tensor, prompt: ConceptTokens, labels: Tensor) -> Tensor:
        """Of one map, at the map's own resolution. level: [B, D, h, w]. labels: int64 [B, H, W]."""
        rows, columns = (
            centres(length, cells, labels.device)
            for length, cells in zip(labels.shape[-2:], level.shape[-2:], strict=True)
        )
        logits = head(level.flatten(2).mT, prompt.concepts, prompt.known).float()
        num_concepts = logits.shape[-1] - 1
        wanted = labels[:, rows][:, :, columns].flatten(1)
        is_target = wanted != UNLABELLED
        wanted = torch.where(is_target, wanted, num_concepts)
        losses = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none").view_as(wanted)
        weights = torch.where(is_target, self.target_weight, 1.0)
        return (losses * weights).sum() / weights.sum()


def concept_map(target: ShotTarget) -> Tensor:
    """int64 [H, W]: the concept at each pixel, `UNLABELLED` where there is none."""
    if not len(target.labels):
        return torch.full(target.masks.shape[-2:], UNLABELLED, device=target.labels.device)
    is_covered, owner = target.masks.max(dim=0)
    return torch.where(is_covered, target.labels[owner], UNLABELLED)
