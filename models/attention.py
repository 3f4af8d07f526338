"""Transformer pieces that several components share: attention, feed-forward, MLP and sine positions.

`Attention` computes what `torch.nn.MultiheadAttention` computes (one packed input projection), batch first and through
`scaled_dot_product_attention`. Shapes: B batch, Q queries, L keys, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention with the query, key and value projections packed in one matrix [3 D, D]."""

    def __init__(self, dim: int, *, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"width {dim} cannot be shared by {num_heads} heads")
        self.num_heads, self.dropout = num_heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, allowed: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """float [B, Q, D]. query: [B, Q, D]. key: [B, L, D]. value: [B, L, D], or [1, L, D] when images share it.

        allowed: bool [B, Q, L], True where q may look.
        """
        q, k, v = self._project(query, key, value)
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v.expand(len(k), -1, -1, -1),
            attn_mask=None if allowed is None else allowed[:, None],
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=is_causal,
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def _project(self, *inputs: Tensor) -> list[Tensor]:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        projected = [F.linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=True)]
        return [x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in projected]


class FeedForward(nn.Module):
    """Two linear layers with ReLU between; `dropout` acts on the hidden values."""

    def __init__(self, dim: int, *, hidden_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.expand, self.contract = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.expand.weight)
        nn.init.xavier_uniform_(self.contract.weight)

    def forward(self, x: Tensor) -> Tensor:
        """float [..., D]. x: float [..., D]."""
        return self.contract(self.dropout(F.relu(self.expand(x))))


class Mlp(nn.Module):
    """`num_layers` linear layers with ReLU between them."""

    def __init__(self, dim: int, *, hidden_dim: int, out_dim: int, num_layers: int) -> None:
        super().__init__()
        widths = [dim, *[hidden_dim] * (num_layers - 1), out_dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """float [..., out_dim]. x: float [..., dim]."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


def fill_convolution(convolution: nn.Conv2d) -> None:
    """Caffe2's Xavier fill: uniform with variance 1 / fan-in, zero bias."""
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)


def sine_positions(size: Sequence[int], dim: int, device: torch.device) -> Tensor:
    """Sine position encoding, float32 [D, H, W]: the first half encodes y, the second x; sine and cosine alternate.

    size: (height, width). Coordinates are 1..n, scaled so that the last is 2 pi (minus 1e-6 relative); the temperature
    is 10000.
    """
    if dim % 4:
        raise ValueError(f"sine positions need a width that 4 divides, got {dim}")
    height, width = size
    half = dim // 2
    frequency = 10000 ** (2 * (torch.arange(half, device=device) // 2) / half)
    rows, columns = (_waves(length, frequency) for length in (height, width))
    return torch.cat((rows[:, :, None].expand(-1, -1, width), columns[:, None, :].expand(-1, height, -1)))


def _waves(length: int, frequency: Tensor) -> Tensor:
    place = torch.arange(1, length + 1, device=frequency.device, dtype=torch.float32)
    angle = (place / (length + 1e-6) * 2 * math.pi)[None, :] / frequency[:, None]
    return torch.stack((angle[0::2].sin(), angle[1::2].cos()), dim=1).flatten(0, 1)
