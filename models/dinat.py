"""Dilated Neighbourhood Attention Transformer as OneFormer uses it, with neighbourhood attention in plain PyTorch.

Same values as NATTEN 0.14 (https://github.com/SHI-Labs/NATTEN), whose relative position bias later releases dropped:
every pixel attends to its k x k nearest pixels of the same dilation residue class; windows move inward at borders.
Cost: scores are made for square tiles of queries against the union of their windows, about 2.7 times the needed ones.

Shape suffixes: B batch, A attention heads, H W space, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import DropPath, Maps, drop_path_rates

TILE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisPlan:
    """Which pixels of one axis are computed together: t tiles of T queries that share S keys.

    queries: int64 [t, T], pixel of each query; neighbouring tiles may repeat a query.
    keys: int64 [t, S], pixel of each key.
    is_near: bool [t, T, S], whether the key is in the query's window.
    offset: int64 [t, T, S], index into the bias table, 0..2k-2, k-1 is the query itself; any value where not near.
    place: int64 [length], where in the flattened `queries` a pixel's result is found.
    """

    queries: Tensor
    keys: Tensor
    is_near: Tensor
    offset: Tensor
    place: Tensor


def plan_axis(length: int, *, kernel: int, dilation: int, device: torch.device | str = "cpu") -> AxisPlan:
    """The tiles of an axis of `length >= kernel * dilation` pixels.

    Within a residue class modulo the dilation, position j sees positions w..w+k-1, w = clamp(j - k // 2, 0, n - k).
    """
    tile = min(TILE, kernel)
    longest = -(-length // dilation)
    num_tiles = -(-longest // tile)
    num_keys = min(tile + kernel - 1, longest)
    residue = torch.arange(dilation, device=device).repeat_interleave(num_tiles)
    class_length = (length - residue + dilation - 1) // dilation
    start = torch.arange(num_tiles, device=device).repeat(dilation) * tile
    start = torch.minimum(start, class_length - tile)
    first_key = torch.minimum(start - kernel // 2, class_length - num_keys).clamp(min=0)
    query = start[:, None] + torch.arange(tile, device=device)
    key = first_key[:, None] + torch.arange(num_keys, device=device)
    window = torch.minimum(query - kernel // 2, class_length[:, None] - kernel).clamp(min=0)[:, :, None]
    pixel = torch.arange(length, device=device)
    home = (pixel % dilation) * num_tiles + (pixel // dilation) // tile
    return AxisPlan(
        queries=residue[:, None] + dilation * query,
        keys=residue[:, None] + dilation * torch.minimum(key, class_length[:, None] - 1),
        is_near=(key[:, None, :] >= window) & (key[:, None, :] < window + kernel),
        offset=(key[:, None, :] - query[:, :, None] + kernel - 1).clamp(0, 2 * kernel - 2),
        place=home * tile + pixel // dilation - start[home],
    )


def attend_to_neighbours(
    query_BAHWC: Tensor, key_BAHWC: Tensor, value_BAHWC: Tensor, *, bias: Tensor, dilation: int
) -> Tensor:
    """Attention of each pixel over its window, float [B, A, H, W, C]; scores are divided by sqrt(C).

    bias: float [A, 2k-1, 2k-1], added to the score by the key's offset from the query in steps of the dilation.
    """
    batch, heads, height, width, _ = query_BAHWC.shape
    kernel = (bias.shape[-1] + 1) // 2
    rows = plan_axis(height, kernel=kernel, dilation=dilation, device=bias.device)
    columns = plan_axis(width, kernel=kernel, dilation=dilation, device=bias.device)
    queries = _gather_tiles(query_BAHWC, rows.queries, columns.queries)
    keys = _gather_tiles(key_BAHWC, rows.keys, columns.keys)
    values = _gather_tiles(value_BAHWC, rows.keys, columns.keys)
    scores = _tile_bias(bias, rows, columns).to(queries.dtype)
    tiles = F.scaled_dot_product_attention(queries, keys, values, attn_mask=scores)
    grid = (batch, heads, *rows.queries.shape[:1], *columns.queries.shape[:1])
    tiles = tiles.view(*grid, rows.queries.shape[1], columns.queries.shape[1], -1).transpose(3, 4)
    flat = tiles.reshape(batch, heads, rows.queries.numel(), columns.queries.numel(), -1)
    return flat[:, :, rows.place[:, None], columns.place[None, :]]


def _gather_tiles(map_BAHWC: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Pixels of every tile, float [B, A * tiles, pixels of a tile, C]."""
    tiles = map_BAHWC[:, :, row[:, None, :, None], column[None, :, None, :]]
    return tiles.flatten(4, 5).flatten(1, 3)


def _tile_bias(bias: Tensor, rows: AxisPlan, columns: AxisPlan) -> Tensor:
    """What is added to the scores, float [1, A * tiles, queries of a tile, keys of a tile]; -inf outside windows."""
    row = rows.offset[:, None, :, None, :, None]
    column = columns.offset[None, :, None, :, None, :]
    is_near = rows.is_near[:, None, :, None, :, None] & columns.is_near[None, :, None, :, None, :]
    table = bias[:, row, column].masked_fill(~is_near, float("-inf"))
    return table.flatten(5, 6).flatten(3, 4).flatten(0, 2)[None]


class NeighbourhoodAttention(nn.Module):
    """Multi-head attention over k x k neighbours at a dilation, with a relative position bias."""

    def __init__(self, width: int, *, num_heads: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.kernel = kernel
        self.dilation = dilation
        self.qkv = nn.Linear(width, 3 * width)
        self.rpb = nn.Parameter(torch.zeros(num_heads, 2 * kernel - 1, 2 * kernel - 1))
        self.proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.rpb, std=0.02)

    def forward(self, map_BHWC: Tensor) -> Tensor:
        """A map of the same shape; a map smaller than the window is filled up with zeros before the projection."""
        height, width = map_BHWC.shape[1:3]
        reach = self.kernel * self.dilation
        padded = F.pad(map_BHWC, (0, 0, 0, max(0, reach - width), 0, max(0, reach - height)))
        qkv = self.qkv(padded).unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 4, 1, 2, 5)
        mixed = attend_to_neighbours(qkv[0], qkv[1], qkv[2], bias=self.rpb, dilation=self.dilation)
        mixed = mixed.permute(0, 2, 3, 1, 4).flatten(3)
        return self.proj(mixed[:, :height, :width])


class Mlp(nn.Module):
    """Two linear maps with a GELU between."""

    def __init__(self, width: int, *, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, map_BHWC: Tensor) -> Tensor:
        """A map of the same shape."""
        return self.fc2(F.gelu(self.fc1(map_BHWC)))


class DiNATBlock(nn.Module):
    """Pre-norm neighbourhood attention and MLP, each around a shortcut."""

    def __init__(
        self, width: int, *, num_heads: int, kernel: int, dilation: int, mlp_ratio: float, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = NeighbourhoodAttention(width, num_heads=num_heads, kernel=kernel, dilation=dilation)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, hidden=int(width * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, map_BHWC: Tensor) -> Tensor:
        """A map of the same shape."""
        map_BHWC = map_BHWC + self.drop_path(self.attn(self.norm1(map_BHWC)))
        return map_BHWC + self.drop_path(self.mlp(self.norm2(map_BHWC)))


class Tokenizer(nn.Module):
    """Two 3x3 convolutions of stride 2, then a LayerNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            nn.Conv2d(3, width // 2, 3, stride=2, padding=1), nn.Conv2d(width // 2, width, 3, stride=2, padding=1)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """The map at stride 4, float [B, H/4, W/4, C]."""
        return self.norm(self.proj(image_B3HW).permute(0, 2, 3, 1))


class Downsampling(nn.Module):
    """A 3x3 convolution of stride 2 that doubles the width, then a LayerNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)
        self.norm = nn.LayerNorm(2 * width)

    def forward(self, map_BHWC: Tensor) -> Tensor:
        """The map at half the size."""
        return self.norm(self.reduction(map_BHWC.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class Level(nn.Module):
    """The blocks of one stage and the downsampling after them, if any."""

    def __init__(self, blocks: Sequence[nn.Module], *, downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.downsample = downsample


class DiNAT(nn.Module):
    """Four levels of dilated neighbourhood attention; `dilations` lists one dilation per block and level.

    The default sizes are DiNAT-L's; its dilations depend on the image size it was trained at.
    """

    def __init__(
        self,
        *,
        dilations: Sequence[Sequence[int]],
        width: int = 192,
        num_heads: Sequence[int] = (6, 12, 24, 48),
        kernel: int = 11,
        mlp_ratio: float = 2.0,
        drop_path: float = 0.3,
    ) -> None:
        super().__init__()
        self.channels = tuple(width * 2**i for i in range(4))
        self.patch_embed = Tokenizer(width)
        rates = drop_path_rates([len(level) for level in dilations], drop_path)
        self.levels = nn.ModuleList()
        for i, (channels, heads) in enumerate(zip(self.channels, num_heads, strict=True)):
            blocks = [
                DiNATBlock(
                    channels, num_heads=heads, kernel=kernel, dilation=dilation, mlp_ratio=mlp_ratio, drop_path=rate
                )
                for dilation, rate in zip(dilations[i], rates[i], strict=True)
            ]
            self.levels.append(Level(blocks, downsample=Downsampling(channels) if i < 3 else None))
            self.add_module(f"norm{i}", nn.LayerNorm(channels))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, image_B3HW: Tensor) -> Maps:
        """Maps float [B, channels[i], H/s, W/s] for s = 4, 8, 16, 32."""
        maps = []
        map_BHWC = self.patch_embed(image_B3HW)
        for i, level in enumerate(self.levels):
            map_BHWC = level.get_submodule("blocks")(map_BHWC)
            maps.append(self.get_submodule(f"norm{i}")(map_BHWC).permute(0, 3, 1, 2))
            if i < 3:
                map_BHWC = level.get_submodule("downsample")(map_BHWC)
        res2, res3, res4, res5 = maps
        return res2, res3, res4, res5
