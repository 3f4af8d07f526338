"""OneFormer's pixel decoder: deformable attention over the three coarse maps, one FPN step to the 1/4-scale features.

Follows SHI-Labs/OneFormer at 4962ef6 (identical to Mask2Former's MSDeformAttn decoder). It computes in float32 even
under autocast. Shapes: B batch, S tokens of all levels, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import FeedForward, fill_convolution, sine_positions
from models.deformable_attention import MultiScaleDeformableAttention, Sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFeatures:
    """scales: [B, D, h, w] each, coarsest (1/32) first. mask_features: [B, D_mask, H/4, W/4]."""

    scales: tuple[Tensor, ...]
    mask_features: Tensor


class PixelDecoderLayer(nn.Module):
    """Deformable self-attention and feed-forward, normalised after each; the position is added to the query only."""

    def __init__(self, attention: MultiScaleDeformableAttention, *, dim: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.attention_norm, self.ffn_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ffn = FeedForward(dim, hidden_dim=hidden_dim, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        *,
        position: Tensor,
        reference_points: Tensor,
        spatial_shapes: Sizes,
        valid: Tensor | None = None,
    ) -> Tensor:
        """float [B, S, D]. x: [B, S, D], all levels one after the other. position: [S, D] or [B, S, D].

        reference_points: [S, 2] or [B, S, L, 2]. valid: bool [B, S], False on padding, which nobody sees.
        """
        found = self.attention(
            x + position, x, reference_points=reference_points, spatial_shapes=spatial_shapes, value_valid=valid
        )
        x = self.attention_norm(x + self.dropout(found))
        return self.ffn_norm(x + self.dropout(self.ffn(x)))


class PixelDecoder(nn.Module):
    """Backbone maps at strides 4, 8, 16, 32 become mask features and three scales of memory.

    in_channels: channels of the four maps, finest first. num_groups: groups of the group normalisation.
    smoothing: class of the 3x3 convolution at stride 4.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        dim: int = 256,
        mask_dim: int = 256,
        num_heads: int = 8,
        num_points: int = 4,
        num_layers: int = 6,
        hidden_dim: int = 1024,
        dropout: float = 0.1,
        num_groups: int = 32,
        smoothing: type[nn.Conv2d] = nn.Conv2d,
    ) -> None:
        super().__init__()
        finest, *coarser = in_channels
        projections = [nn.Conv2d(channels, dim, 1) for channels in reversed(coarser)]
        self.input_projections = nn.ModuleList(nn.Sequential(x, nn.GroupNorm(num_groups, dim)) for x in projections)
        self.level_embedding = nn.Parameter(torch.randn(len(coarser), dim))
        self.layers = nn.ModuleList(
            PixelDecoderLayer(
                MultiScaleDeformableAttention(dim, num_heads=num_heads, num_levels=len(coarser), num_points=num_points),
                dim=dim,
                hidden_dim=hidden_dim,
                dropout=dropout,
            )
            for _ in range(num_layers)
        )
        lateral, smooth = nn.Conv2d(finest, dim, 1, bias=False), smoothing(dim, dim, 3, padding=1, bias=False)
        self.lateral = nn.Sequential(lateral, nn.GroupNorm(num_groups, dim))
        self.smooth = nn.Sequential(smooth, nn.GroupNorm(num_groups, dim), nn.ReLU())
        self.mask_projection = nn.Conv2d(dim, mask_dim, 1)
        for projection in projections:
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.get_parameter("bias"))
        for convolution in (lateral, smooth, self.mask_projection):
            fill_convolution(convolution)

    def forward(self, maps: Sequence[Tensor], fuse: Callable[[Tensor], Tensor] | None = None) -> PixelFeatures:
        """maps: four [B, C, H/s, W/s], s = 4, 8, 16, 32.

        fuse: changes the tokens [B, S, D] of the coarser maps, coarsest first, before they are encoded; None: nothing.
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            finest, *coarser = (x.float() for x in maps)
            scales = self._encode([project(x) for project, x in zip(self.input_projections, reversed(coarser))], fuse)
            # One FPN step: the finest encoded scale is added to the 1/4-scale map.
            lateral = self.lateral(finest)
            y = lateral + F.interpolate(scales[-1], size=lateral.shape[-2:], mode="bilinear", align_corners=False)
            return PixelFeatures(scales=scales, mask_features=self.mask_projection(self.smooth(y)))

    def project(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps at strides 8, 16, ... as they enter the encoder, [B, D, h, w] each, in the order given."""
        with torch.autocast(maps[0].device.type, enabled=False):
            projections = reversed(list(self.input_projections))
            return [project(x.float()) for project, x in zip(projections, maps)]

    def _encode(self, maps: Sequence[Tensor], fuse: Callable[[Tensor], Tensor] | None) -> tuple[Tensor, ...]:
        sizes = [(x.shape[-2], x.shape[-1]) for x in maps]
        device, dim = maps[0].device, maps[0].shape[1]
        position = torch.cat(
            [
                sine_positions(size, dim, device).flatten(1).T + embedding
                for size, embedding in zip(sizes, self.level_embedding)
            ]
        )
        reference = torch.cat([pixel_centres(size, device) for size in sizes])
        tokens = torch.cat([x.flatten(2).transpose(1, 2) for x in maps], dim=1)
        tokens = tokens if fuse is None else fuse(tokens)
        for layer in self.layers:
            tokens = layer(tokens, position=position, reference_points=reference, spatial_shapes=sizes)
        parts = tokens.transpose(1, 2).split([h * w for h, w in sizes], dim=-1)
        return tuple(part.unflatten(-1, size) for part, size in zip(parts, sizes))


def pixel_centres(size: tuple[int, int], device: torch.device) -> Tensor:
    """Centres of the pixels in row order, float32 [H * W, 2] as (x, y) in 0..1."""
    height, width = size
    y, x = torch.meshgrid(
        (torch.arange(height, device=device) + 0.5) / height,
        (torch.arange(width, device=device) + 0.5) / width,
        indexing="ij",
    )
    return torch.stack((x, y), dim=-1).flatten(0, 1)
