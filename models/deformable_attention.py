"""Multi-scale deformable attention (Deformable DETR, arXiv 2010.04159): mmcv's CUDA operator, or equal PyTorch.

Shapes: B batch, S tokens of all levels, Q queries, M heads, L levels, P points, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Sizes = Sequence[tuple[int, int]]


def deformable_attention_pytorch(
    value: Tensor, spatial_shapes: Sizes, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """Weighted sum of bilinear samples, float [B, Q, M * D / M].

    value: [B, S, M, D / M], levels one after the other. spatial_shapes: L times (height, width). sampling_locations:
    [B, Q, M, L, P, 2] as (x, y) in 0..1; outside counts zero. attention_weights: [B, Q, M, L, P].
    """
    batch, _, heads, depth = value.shape
    queries = sampling_locations.shape[1]
    per_head = value.permute(0, 2, 3, 1).flatten(0, 1)
    # Queries come last: products and sums then run along long rows of memory, not along the few points.
    grids = (2 * sampling_locations - 1).permute(3, 0, 2, 4, 1, 5).flatten(1, 2).to(value.dtype)
    weights = attention_weights.permute(3, 0, 2, 4, 1).flatten(1, 2)
    mixed = value.new_zeros(batch * heads, depth, queries)
    parts = per_head.split([h * w for h, w in spatial_shapes], dim=-1)
    for part, size, grid, weight in zip(parts, spatial_shapes, grids, weights, strict=True):
        sampled = F.grid_sample(part.unflatten(-1, size), grid, align_corners=False)
        mixed = mixed + (sampled * weight[:, None]).sum(2)
    return mixed.view(batch, heads * depth, queries).transpose(1, 2)


def deformable_attention(
    value: Tensor, spatial_shapes: Sizes, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """`deformable_attention_pytorch`, by mmcv's operator where the values are on a CUDA device."""
    if not value.is_cuda:
        return deformable_attention_pytorch(value, spatial_shapes, sampling_locations, attention_weights)
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    shapes = torch.tensor(list(spatial_shapes), device=value.device)
    starts = torch.cat((shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]))
    # The operator has no bfloat16 kernel, and half precision would move the sampling places.
    inputs = (x.float().contiguous() for x in (value, sampling_locations, attention_weights))
    values, locations, weights = inputs
    mixed = MultiScaleDeformableAttnFunction.apply(values, shapes, starts, locations, weights, 64)
    return mixed.to(value.dtype)


class MultiScaleDeformableAttention(nn.Module):
    """Every query looks at `num_points` learnt places around its reference point on each of `num_levels` maps."""

    def __init__(self, dim: int, *, num_heads: int, num_levels: int, num_points: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"width {dim} cannot be shared by {num_heads} heads")
        self.num_heads, self.num_levels, self.num_points = num_heads, num_levels, num_points
        places = num_heads * num_levels * num_points
        self.sampling_offsets = nn.Linear(dim, places * 2)
        self.attention_weights = nn.Linear(dim, places)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self._initialise()

    def _initialise(self) -> None:
        """Points start on a ray per head, one pixel further out with every point; all weigh the same."""
        for layer in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        angle = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        ray = torch.stack((angle.cos(), angle.sin()), dim=-1)
        ray = ray / ray.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, self.num_points + 1)
        offsets = ray[:, None, None, :] * steps[:, None]
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.expand(-1, self.num_levels, -1, -1).flatten())

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        *,
        reference_points: Tensor,
        spatial_shapes: Sizes,
        value_valid: Tensor | None = None,
    ) -> Tensor:
        """float [B, Q, D]. query: [B, Q, D]. value: [B, S, D].

        reference_points: [Q, 2] as (x, y) in 0..1, [B, Q, L, 2] where they differ by level, or boxes [B, Q, L, 4] as
        (x, y, width, height), whose half sizes then scale the offsets. value_valid: bool [B, S], False counts zero.
        """
        values = self.value_proj(value)
        if value_valid is not None:
            values = values.masked_fill(~value_valid[..., None], 0.0)
        grid = (self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(query).unflatten(-1, (*grid, 2))
        weights = self.attention_weights(query).unflatten(-1, (self.num_heads, -1)).softmax(-1).unflatten(-1, grid[1:])
        locations = self._locations(offsets, reference_points, spatial_shapes)
        values = values.unflatten(-1, (self.num_heads, -1))
        return self.output_proj(deformable_attention(values, spatial_shapes, locations, weights))

    def _locations(self, offsets: Tensor, reference_points: Tensor, spatial_shapes: Sizes) -> Tensor:
        """Sampling places [B, Q, M, L, P, 2] in 0..1 from offsets of that shape, in pixels or in steps of the box."""
        points = reference_points[None, :, None] if reference_points.ndim == 2 else reference_points
        points = points[:, :, None, :, None, :]
        if points.shape[-1] == 4:
            centre, size = points.split(2, dim=-1)
            return centre + offsets / self.num_points * size * 0.5
        extent = offsets.new_tensor([[width, height] for height, width in spatial_shapes])
        return points + offsets / extent[:, None, :]
