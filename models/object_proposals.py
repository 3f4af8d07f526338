"""The image half of object discovery: deformable encoder, two-stage proposals and the queries that start from them.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (Deformable DETR and DINO, arXiv 2203.03605). Proposals know the prompt only
through the fused memory. Boxes are (centre x, centre y, width, height) in 0..1 of the unpadded image. Shapes: B batch,
S tokens of all levels, L levels, N queries, D width, E width of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.attention import Mlp
from models.deformable_attention import MultiScaleDeformableAttention
from models.feature_levels import LevelGeometry
from models.pixel_decoder import PixelDecoderLayer
from models.prompt_tokens import PromptKind, PromptResizer, PromptTokens

SIGMOID_EPS = 1e-5
BASE_ANCHOR = 0.05
"""Side of the anchors of the finest level, as a share of the image; it doubles with every level."""
PRIOR_BIAS = -4.595
"""Logit of a probability of 1 %, where focal losses start."""


def inverse_sigmoid(x: Tensor) -> Tensor:
    """Logits of probabilities of any shape, finite at 0 and 1."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=SIGMOID_EPS) / (1 - x).clamp(min=SIGMOID_EPS))


class DeformableEncoder(nn.Module):
    """Layers of deformable self-attention over all levels."""

    def __init__(
        self,
        dim: int = 256,
        *,
        num_layers: int = 6,
        num_heads: int = 8,
        num_points: int = 4,
        num_levels: int = 4,
        hidden_dim: int = 2048,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.level_embedding = nn.Parameter(torch.randn(num_levels, dim))
        self.layers = nn.ModuleList(
            PixelDecoderLayer(
                MultiScaleDeformableAttention(dim, num_heads=num_heads, num_levels=num_levels, num_points=num_points),
                dim=dim,
                hidden_dim=hidden_dim,
                dropout=dropout,
            )
            for _ in range(num_layers)
        )

    def forward(self, tokens: Tensor, geometry: LevelGeometry) -> Tensor:
        """The memory, [B, S, D]. tokens: [B, S, D]."""
        lengths = torch.tensor([h * w for h, w in geometry.sizes], device=tokens.device)
        position = geometry.positions(tokens.shape[-1]) + self.level_embedding.repeat_interleave(lengths, dim=0)
        for layer in self.layers:
            tokens = layer(
                tokens,
                position=position,
                reference_points=geometry.reference_points,
                spatial_shapes=geometry.sizes,
                valid=geometry.valid,
            )
        return tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """score: objectness logits [B, S]. box_logits: [B, S, 4], infinite where the anchor is padding or too near the
    border. index: int64 [B, N], the chosen tokens, best first. boxes: of the chosen ones, [B, N, 4]."""

    score: Tensor
    box_logits: Tensor
    index: Tensor
    boxes: Tensor


class ProposalHead(nn.Module):
    """Every token proposes a box; the `num_queries` with the highest objectness are taken."""

    def __init__(self, dim: int = 256, *, num_queries: int = 900) -> None:
        super().__init__()
        self.num_queries = num_queries
        self.projection, self.norm = nn.Linear(dim, dim), nn.LayerNorm(dim)
        self.objectness = nn.Linear(dim, 1)
        self.box = Mlp(dim, hidden_dim=dim, out_dim=4, num_layers=3)
        nn.init.xavier_uniform_(self.projection.weight)
        nn.init.constant_(self.objectness.bias, PRIOR_BIAS)
        nn.init.zeros_(self.box.layers[-1].get_parameter("weight"))
        nn.init.zeros_(self.box.layers[-1].get_parameter("bias"))

    def forward(self, memory: Tensor, geometry: LevelGeometry, index: Tensor | None = None) -> Proposals:
        """memory: [B, S, D]. index: int64 [B, N], tokens to take whatever their score; None: the best."""
        anchors = anchor_boxes(geometry)
        usable = geometry.valid & ((anchors > 0.01) & (anchors < 0.99)).all(-1)
        anchor_logits = torch.log(anchors / (1 - anchors)).masked_fill(~usable[..., None], float("inf"))
        x = self.norm(self.projection(memory.masked_fill(~usable[..., None], 0.0)))
        score = self.objectness(x)[..., 0]
        box_logits = self.box(x) + anchor_logits
        if index is None:
            index = score.topk(min(self.num_queries, score.shape[1]), dim=1).indices
        boxes = box_logits.gather(1, index[..., None].expand(-1, -1, 4)).sigmoid()
        return Proposals(score=score, box_logits=box_logits, index=index, boxes=boxes)


def anchor_boxes(geometry: LevelGeometry) -> Tensor:
    """A square around every token, float32 [B, S, 4]; its side doubles with every level."""
    centres = geometry.centres
    sides = torch.cat(
        [torch.full((h * w,), BASE_ANCHOR * 2.0**level) for level, (h, w) in enumerate(geometry.sizes)]
    ).to(centres)
    return torch.cat((centres, sides[None, :, None].expand(len(centres), -1, 2)), dim=-1)


class QueryContent(nn.Module):
    """What the queries know before they look: learnt vectors (static) or the pooled prompt (dynamic).

    dynamic_for: kinds of prompts whose queries start from the prompt. The authors' weights hold the resizer but never
    use it: all their queries are static.
    """

    def __init__(
        self,
        num_queries: int = 900,
        *,
        dim: int = 256,
        prompt_dim: int = 768,
        dropout: float = 0.1,
        dynamic_for: Sequence[PromptKind] = (),
    ) -> None:
        super().__init__()
        self.dynamic_for = frozenset(dynamic_for)
        self.content = nn.Embedding(num_queries, dim)
        self.resizer = PromptResizer(prompt_dim, dim=dim, dropout=dropout)

    def forward(self, prompt: PromptTokens, num_queries: int) -> Tensor:
        """float [B, num_queries, D]."""
        if prompt.kind in self.dynamic_for:
            return self.resizer(prompt.pooled)[:, None].expand(-1, num_queries, -1)
        return self.content.weight[:num_queries].expand(len(prompt.tokens), -1, -1)
