"""The query half of object discovery: queries with boxes that are refined layer by layer.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (DINO's look-forward-twice, arXiv 2203.03605, without its output norm). Boxes
are (centre x, centre y, width, height) in 0..1 of the unpadded image. Shapes: B batch, N queries, S memory tokens, L
levels, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.attention import Attention, FeedForward, Mlp
from models.deformable_attention import MultiScaleDeformableAttention
from models.feature_levels import LevelGeometry, waves
from models.object_proposals import inverse_sigmoid


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What queries look at. tokens: [B, S, D] of the encoder."""

    tokens: Tensor
    geometry: LevelGeometry

    def detached(self) -> Memory:
        """The same without gradients."""
        return Memory(tokens=self.tokens.detach(), geometry=self.geometry)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedQueries:
    """states: [B, N, D] after each layer. boxes: [B, N, 4], the initial ones and those after each layer.

    Gradients of the boxes of a layer reach the box head of the layer before (look forward twice).
    """

    states: tuple[Tensor, ...]
    boxes: tuple[Tensor, ...]

    def rows(self, chosen: slice) -> DecodedQueries:
        """Some of the queries."""
        states, boxes = (tuple(rows[:, chosen] for rows in part) for part in (self.states, self.boxes))
        return DecodedQueries(states=states, boxes=boxes)


class DeformableDecoderLayer(nn.Module):
    """Self-attention, deformable cross-attention and feed-forward, normalised after each."""

    def __init__(self, dim: int, *, num_heads: int, num_levels: int, num_points: int, hidden_dim: int) -> None:
        super().__init__()
        self.self_attention = Attention(dim, num_heads=num_heads)
        self.cross_attention = MultiScaleDeformableAttention(
            dim, num_heads=num_heads, num_levels=num_levels, num_points=num_points
        )
        self.ffn = FeedForward(dim, hidden_dim=hidden_dim)
        self.self_norm, self.cross_norm, self.ffn_norm = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(
        self, x: Tensor, *, query_position: Tensor, references: Tensor, memory: Memory, allowed: Tensor | None
    ) -> Tensor:
        """float [B, N, D]. x, query_position: [B, N, D]. references: boxes in 0..1 of the padded levels [B, N, L, 4].

        allowed: bool [B or 1, N, N], which query may see which; None: all.
        """
        placed = x + query_position
        x = self.self_norm(x + self.self_attention(placed, placed, x, allowed=allowed))
        found = self.cross_attention(
            x + query_position,
            memory.tokens,
            reference_points=references,
            spatial_shapes=memory.geometry.sizes,
            value_valid=memory.geometry.valid,
        )
        x = self.cross_norm(x + found)
        return self.ffn_norm(x + self.ffn(x))


class DeformableDecoder(nn.Module):
    """Layers whose box heads move the queries' boxes.

    is_refining: False: boxes stay as they are and there are no box heads.
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        num_layers: int = 6,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        hidden_dim: int = 2048,
        is_refining: bool = True,
    ) -> None:
        super().__init__()
        self.position_mlp = Mlp(2 * dim, hidden_dim=dim, out_dim=dim, num_layers=2)
        self.layers = nn.ModuleList(
            DeformableDecoderLayer(
                dim, num_heads=num_heads, num_levels=num_levels, num_points=num_points, hidden_dim=hidden_dim
            )
            for _ in range(num_layers)
        )
        heads = [Mlp(dim, hidden_dim=dim, out_dim=4, num_layers=3) for _ in range(num_layers * is_refining)]
        self.box_heads = nn.ModuleList(heads)
        for head in heads:
            nn.init.zeros_(head.layers[-1].get_parameter("weight"))
            nn.init.zeros_(head.layers[-1].get_parameter("bias"))

    def forward(
        self, content: Tensor, boxes: Tensor, *, memory: Memory, allowed: Tensor | None = None
    ) -> DecodedQueries:
        """content: [B, N, D]. boxes: [B, N, 4]. allowed: bool [B or 1, N, N], which query may see which; None: all."""
        ratios = memory.geometry.valid_ratios.repeat(1, 1, 2)
        states, kept, current = [], [boxes], boxes
        for index, layer in enumerate(self.layers):
            references = current[:, :, None] * ratios[:, None]
            position = self.position_mlp(box_positions(references[:, :, 0], content.shape[-1] // 2))
            content = layer(content, query_position=position, references=references, memory=memory, allowed=allowed)
            states.append(content)
            if self.box_heads:
                refined = (self.box_heads[index](content) + inverse_sigmoid(current)).sigmoid()
                # The next layer does not move this one's boxes, its losses do: see `refined_boxes`.
                kept.append(refined)
                current = refined.detach()
        return DecodedQueries(states=tuple(states), boxes=tuple(kept))

    def refined_boxes(self, decoded: DecodedQueries, layer: int) -> Tensor:
        """Boxes after a layer, [B, N, 4], with gradients to the box heads of this layer and the one before."""
        return (self.box_heads[layer](decoded.states[layer]) + inverse_sigmoid(decoded.boxes[layer])).sigmoid()


def box_positions(boxes: Tensor, dim: int) -> Tensor:
    """Sine positions of boxes, float32 [B, N, 4 dim], in the order y, x, width, height. boxes: [B, N, 4]."""
    x, y, width, height = boxes.unbind(-1)
    return torch.cat([waves(part, dim) for part in (y, x, width, height)], dim=-1)
