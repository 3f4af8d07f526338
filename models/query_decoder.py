"""OneFormer's queries: initialised from the task token and the 1/4-scale features, refined by masked attention.

Follows SHI-Labs/OneFormer at 4962ef6, quirks included: the initialising layers read positions as values and positions
plus features as keys, and the task token itself, normalised, is the last query. Shapes: B batch, N queries, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Attention, FeedForward, Mlp, fill_convolution, sine_positions
from models.mask_positions import MaskPositions
from models.pixel_decoder import PixelFeatures
from models.retrieval import ConceptRetrieval


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPredictions:
    """One entry per prediction: the first is read off the initial queries, one follows after every decoder layer.

    class_logits: [B, N, K + 1] each, the last class is "no object". mask_logits: [B, N, H/4, W/4] each.
    initial_queries: [B, N, D]. states: the normalised queries that the last prediction was read off, [B, N, D].
    """

    class_logits: tuple[Tensor, ...]
    mask_logits: tuple[Tensor, ...]
    initial_queries: Tensor
    states: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is read off the queries at once. class_logits: [B, N, K + 1]. mask_logits: [B, N, H/4, W/4].

    states: [B, N, D]. place: of the masks, [B, N, D], or 0 where queries are not told.
    """

    class_logits: Tensor
    mask_logits: Tensor
    states: Tensor
    place: Tensor


class QueryLayer(nn.Module):
    """Cross-attention, self-attention and feed-forward over queries, each added and normalised.

    self_first: self-attention comes before cross-attention, as in DETR.
    """

    def __init__(self, dim: int, *, num_heads: int, hidden_dim: int, dropout: float, self_first: bool) -> None:
        super().__init__()
        self.self_first = self_first
        self.cross_attention = Attention(dim, num_heads=num_heads, dropout=dropout)
        self.self_attention = Attention(dim, num_heads=num_heads, dropout=dropout)
        self.ffn = FeedForward(dim, hidden_dim=hidden_dim, dropout=dropout)
        self.cross_norm, self.self_norm, self.ffn_norm = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, *, query_position: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """x, query_position: [B, N, D]. key: [B, S, D]. value: [B or 1, S, D]. allowed: bool [B, N, S], None: all."""
        if self.self_first:
            x = self._attend_to_queries(x, query_position)
        found = self.cross_attention(x + query_position, key, value, allowed=allowed)
        x = self.cross_norm(x + self.dropout(found))
        if not self.self_first:
            x = self._attend_to_queries(x, query_position)
        return self.ffn_norm(x + self.dropout(self.ffn(x)))

    def _attend_to_queries(self, x: Tensor, query_position: Tensor) -> Tensor:
        placed = x + query_position
        return self.self_norm(x + self.dropout(self.self_attention(placed, placed, x)))


class QueryInitialiser(nn.Module):
    """Turns the task token into queries that have looked at the 1/4-scale features.

    use_task_norm: targets start as the normalised task token; False: as zeros, and the raw token is appended.
    use_task_token: False: no token at all, every query starts from zeros.
    """

    def __init__(
        self,
        dim: int,
        *,
        mask_dim: int,
        num_layers: int = 2,
        num_heads: int = 8,
        hidden_dim: int = 2048,
        dropout: float = 0.1,
        use_task_norm: bool = True,
        use_task_token: bool = True,
    ) -> None:
        super().__init__()
        self.use_task_norm, self.use_task_token = use_task_norm, use_task_token
        self.feature_projection = nn.Conv2d(mask_dim, dim, 1)
        self.layers = nn.ModuleList(
            QueryLayer(dim, num_heads=num_heads, hidden_dim=hidden_dim, dropout=dropout, self_first=True)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        fill_convolution(self.feature_projection)

    def forward(self, task: Tensor, *, mask_features: Tensor, query_position: Tensor, norm: nn.Module) -> Tensor:
        """Initial queries, [B, N, D]. task: [B, D]. query_position: [N, D]. norm: the decoder's output norm."""
        num_queries = len(query_position)
        token = norm(task) if self.use_task_norm else task
        start = token if self.use_task_token and self.use_task_norm else torch.zeros_like(token)
        num_asked = num_queries - 1 if self.use_task_token else num_queries
        position = sine_positions(mask_features.shape[-2:], token.shape[-1], token.device).flatten(1).T[None]
        # The authors hand positions over as values and add the features to the keys; checkpoints were trained so.
        value = position.to(token.dtype)
        key = position + self.feature_projection(mask_features).flatten(2).transpose(1, 2)
        queries = start[:, None].expand(-1, num_asked, -1)
        for layer in self.layers:
            queries = layer(queries, query_position=query_position[None, :num_asked], key=key, value=value)
        queries = self.norm(queries)
        return torch.cat((queries, token[:, None].to(queries.dtype)), dim=1) if self.use_task_token else queries


class QueryDecoder(nn.Module):
    """Queries look at the three memory scales in turn, each only where its last mask is positive.

    initialiser: makes the first queries. num_classes: of a closed class head; None where `retrieval` compares queries
    with the concepts of a question instead. mask_positions: queries learn where their masks lie, None: they do not.
    num_layers: decoder layers; there is one prediction more than layers.
    """

    def __init__(
        self,
        initialiser: QueryInitialiser,
        *,
        num_classes: int | None = None,
        retrieval: ConceptRetrieval | None = None,
        mask_positions: MaskPositions | None = None,
        num_queries: int = 150,
        dim: int = 256,
        mask_dim: int = 256,
        num_layers: int = 9,
        num_heads: int = 8,
        hidden_dim: int = 2048,
        dropout: float = 0.0,
        num_levels: int = 3,
    ) -> None:
        super().__init__()
        if (num_classes is None) == (retrieval is None):
            raise ValueError("a decoder has either a number of classes or a retrieval head")
        self.initialiser, self.mask_positions = initialiser, mask_positions
        self.query_embedding = nn.Embedding(num_queries, dim)
        self.level_embedding = nn.Embedding(num_levels, dim)
        self.layers = nn.ModuleList(
            QueryLayer(dim, num_heads=num_heads, hidden_dim=hidden_dim, dropout=dropout, self_first=False)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.class_head: nn.Module = retrieval or nn.Linear(dim, (num_classes or 0) + 1)
        self.mask_head = Mlp(dim, hidden_dim=dim, out_dim=mask_dim, num_layers=3)

    @property
    def num_queries(self) -> int:
        return self.query_embedding.num_embeddings

    @property
    def num_classes(self) -> int | None:
        """Classes of the closed head; None for a retrieval head."""
        return self.class_head.out_features - 1 if isinstance(self.class_head, nn.Linear) else None

    def forward(
        self, features: PixelFeatures, task: Tensor, concepts: tuple[Tensor, Tensor] | None = None
    ) -> QueryPredictions:
        """task: task token [B, D]. concepts: for a retrieval head, ([B, K, E], which of them are known bool [B, K])."""
        compared = concepts or ()
        position = self.query_embedding.weight
        queries = initial = self.initialiser(
            task, mask_features=features.mask_features, query_position=position, norm=self.norm
        )
        memories = [self._memory(scale, level) for level, scale in enumerate(features.scales)]
        predictions = [self._predict(queries, features.mask_features, compared)]
        for index, layer in enumerate(self.layers):
            level = index % len(memories)
            key, value = memories[level]
            allowed = allowed_places(predictions[-1].mask_logits, features.scales[level].shape[-2:])
            placed = position[None] + predictions[-1].place
            queries = layer(queries, query_position=placed, key=key, value=value, allowed=allowed)
            predictions.append(self._predict(queries, features.mask_features, compared))
        return QueryPredictions(
            class_logits=tuple(one.class_logits for one in predictions),
            mask_logits=tuple(one.mask_logits for one in predictions),
            initial_queries=initial,
            states=predictions[-1].states,
        )

    def _memory(self, scale: Tensor, level: int) -> tuple[Tensor, Tensor]:
        value = scale.flatten(2).transpose(1, 2) + self.level_embedding.weight[level]
        position = sine_positions(scale.shape[-2:], scale.shape[1], scale.device)
        return value + position.flatten(1).T, value

    def _predict(self, queries: Tensor, mask_features: Tensor, compared: tuple[Tensor, ...]) -> Prediction:
        decoded = self.norm(queries)
        mask_logits = torch.einsum("bqc,bchw->bqhw", self.mask_head(decoded), mask_features)
        place = decoded.new_zeros(()) if self.mask_positions is None else self.mask_positions(mask_logits)
        states = decoded + place
        return Prediction(
            class_logits=self.class_head(states, *compared), mask_logits=mask_logits, states=states, place=place
        )


def allowed_places(mask_logits: Tensor, size: Sequence[int]) -> Tensor:
    """bool [B, N, h * w]: where the mask is positive at `size`; everywhere for a query whose mask is nowhere positive.

    mask_logits: [B, N, H, W]; no gradient flows.
    """
    resized = F.interpolate(mask_logits.detach(), size=tuple(size), mode="bilinear", align_corners=False)
    allowed = (resized.sigmoid() >= 0.5).flatten(2)
    return allowed | ~allowed.any(dim=-1, keepdim=True)
