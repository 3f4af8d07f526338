"""Feature levels for deformable attention: one width, padding, positions, and the way back to finer maps.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (Deformable DETR's levels at strides 8, 16, 32 and 64). Shapes: B batch, D
width, L levels, S tokens of all levels one after the other, h w the size of a level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.deformable_attention import Sizes

TEMPERATURE = 10000
EPS = 1e-6


class LevelProjection(nn.Module):
    """Backbone maps at strides 8, 16 and 32 become `num_levels` maps of one width; the coarser ones come from the last.

    in_channels: of the three maps, finest first.
    """

    def __init__(
        self, in_channels: Sequence[int], *, dim: int = 256, num_levels: int = 4, num_groups: int = 32
    ) -> None:
        super().__init__()
        self.num_maps = len(in_channels)
        convolutions = [nn.Conv2d(channels, dim, 1) for channels in in_channels]
        last = in_channels[-1]
        for _ in range(num_levels - len(in_channels)):
            convolutions.append(nn.Conv2d(last, dim, 3, stride=2, padding=1))
            last = dim
        self.levels = nn.ModuleList(nn.Sequential(layer, nn.GroupNorm(num_groups, dim)) for layer in convolutions)
        for layer in convolutions:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps [B, D, h, w], finest first. maps: [B, C, h, w] each; finer ones than in_channels knows are left out."""
        maps = list(maps)[-self.num_maps :]
        levels = [project(x) for project, x in zip(self.levels, maps)]
        source = maps[-1]
        for project in self.levels[self.num_maps :]:
            source = project(source)
            levels.append(source)
        return levels


class LevelGeometry:
    """Where the tokens of all levels lie; what is asked for is computed once.

    sizes: (height, width) of every level. valid: bool [B, S], False on padding.
    """

    def __init__(self, *, sizes: Sizes, valid: Tensor) -> None:
        self.sizes, self.valid = sizes, valid

    @cached_property
    def level_valid(self) -> tuple[Tensor, ...]:
        """bool [B, h, w] of every level."""
        parts = self.valid.split([h * w for h, w in self.sizes], dim=1)
        return tuple(part.unflatten(1, size) for part, size in zip(parts, self.sizes))

    @cached_property
    def extents(self) -> Tensor:
        """Columns and rows of every level that are not padding, float32 [B, L, 2]."""
        columns = torch.stack([valid[:, 0].sum(1) for valid in self.level_valid], dim=1)
        rows = torch.stack([valid[:, :, 0].sum(1) for valid in self.level_valid], dim=1)
        return torch.stack((columns, rows), dim=-1).float()

    @cached_property
    def valid_ratios(self) -> Tensor:
        """Share of the width and height of every level that is not padding, float32 [B, L, 2]."""
        return self.extents / self.extents.new_tensor([[width, height] for height, width in self.sizes])

    @cached_property
    def centres(self) -> Tensor:
        """Centre of every token as (x, y), 1 where the unpadded level ends, float32 [B, S, 2]."""
        parts = []
        for level, (height, width) in enumerate(self.sizes):
            y, x = torch.meshgrid(
                torch.arange(height, device=self.valid.device) + 0.5,
                torch.arange(width, device=self.valid.device) + 0.5,
                indexing="ij",
            )
            pixels = torch.stack((x, y), dim=-1).flatten(0, 1)
            parts.append(pixels / self.extents[:, None, level])
        return torch.cat(parts, dim=1)

    @cached_property
    def reference_points(self) -> Tensor:
        """Centre of every token on every padded level, float32 [B, S, L, 2]."""
        return self.centres[:, :, None] * self.valid_ratios[:, None]

    def positions(self, dim: int) -> Tensor:
        """Sine positions that ignore the padding, float32 [B, S, dim]."""
        return torch.cat([padded_sine_positions(valid, dim).flatten(2) for valid in self.level_valid], dim=2).mT

    def split(self, tokens: Tensor) -> list[Tensor]:
        """The maps [B, D, h, w] of all levels. tokens: [B, S, D]."""
        parts = tokens.mT.split([h * w for h, w in self.sizes], dim=2)
        return [part.unflatten(2, size) for part, size in zip(parts, self.sizes)]


def level_geometry(levels: Sequence[Tensor], valid: Tensor) -> LevelGeometry:
    """Geometry of maps [B, D, h, w]. valid: bool [B, H, W] of the network's input.

    Nearest sampling; a level beyond the third is sampled from the first one, as the authors do.
    """
    masks = [_resized(valid, level) for level in levels[:3]]
    masks += [_resized(masks[0], level) for level in levels[3:]]
    sizes = tuple((level.shape[-2], level.shape[-1]) for level in levels)
    return LevelGeometry(sizes=sizes, valid=torch.cat([mask.flatten(1) for mask in masks], dim=1))


def _resized(valid: Tensor, level: Tensor) -> Tensor:
    return F.interpolate(valid[:, None].float(), size=level.shape[-2:])[:, 0].bool()


def flat_tokens(levels: Sequence[Tensor]) -> Tensor:
    """Tokens [B, S, D] of maps [B, D, h, w], finest level first, each in row order."""
    return torch.cat([level.flatten(2) for level in levels], dim=2).mT


def padded_sine_positions(valid: Tensor, dim: int) -> Tensor:
    """Sine positions of an image inside its padding, float32 [B, dim, h, w]: the first half encodes y, the second x.

    valid: bool [B, h, w]. Coordinates are pixel centres over the number of valid rows or columns, times 2 pi.
    """
    if dim % 4:
        raise ValueError(f"sine positions need a width that 4 divides, got {dim}")
    rows = valid.cumsum(1, dtype=torch.float32)
    columns = valid.cumsum(2, dtype=torch.float32)
    y = (rows - 0.5) / (rows[:, -1:] + EPS)
    x = (columns - 0.5) / (columns[:, :, -1:] + EPS)
    return torch.cat((waves(y, dim // 2), waves(x, dim // 2)), dim=-1).permute(0, 3, 1, 2)


def waves(places: Tensor, dim: int) -> Tensor:
    """Sines and cosines by turns of numbers in 0..1, float32 [..., dim]. places: any shape [...]."""
    frequency = TEMPERATURE ** (2 * (torch.arange(dim, device=places.device) // 2) / dim)
    angle = (places * 2 * math.pi)[..., None] / frequency
    return torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), dim=-1).flatten(-2)


def aligned_upsample(maps: Tensor, factor: int) -> Tensor:
    """Bilinear maps [B, C, factor h, factor w] whose every `factor`-th pixel is a pixel of maps [B, C, h, w].

    CondInst's resizing (arXiv 2003.05664): corners are aligned on the map with one more row and column, then the result
    is shifted by half a step and cut.
    """
    if factor == 1:
        return maps
    height, width = maps.shape[-2:]
    padded = F.pad(maps, (0, 1, 0, 1), mode="replicate")
    size = (factor * height + 1, factor * width + 1)
    fine = F.interpolate(padded, size=size, mode="bilinear", align_corners=True)
    shift = factor // 2
    return F.pad(fine, (shift, 0, shift, 0), mode="replicate")[..., : factor * height, : factor * width]
