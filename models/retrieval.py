"""Retrieval: how well a query answers a prompt, as the product of their features.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (GLIP's dot product with a learnt scale). Categories are compared token by
token and averaged before the sigmoid; expressions and templates are compared as a whole. Shapes: B batch, N queries, L
prompt tokens, K classes, D width of the model, E width of the prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.prompt_tokens import PromptTokens

LOGIT_LIMIT = 50_000.0
"""Logits are clamped to plus and minus this, as upstream."""


class RetrievalHead(nn.Module):
    """Logits of queries against prompt features. prior: the probability that every pair starts with."""

    def __init__(self, dim: int = 256, *, prompt_dim: int = 768, prior: float = 0.01) -> None:
        super().__init__()
        self.projection = nn.Linear(prompt_dim, dim)
        self.log_scale = nn.Parameter(torch.zeros(1))
        self.prompt_bias = nn.Parameter(torch.zeros(prompt_dim))
        self.bias = nn.Parameter(torch.tensor([-math.log((1 - prior) / prior)]))

    def forward(self, queries: Tensor, prompt: PromptTokens) -> Tensor:
        """Logits of every token [B, N, L] for categories, of the pooled prompt [B, N, 1] for others.

        queries: [B, N, D].
        """
        features = prompt.tokens if prompt.kind == "categories" else prompt.pooled[:, None]
        return self.compare(queries, features)

    def compare(self, queries: Tensor, features: Tensor) -> Tensor:
        """Logits [B, N, L]. queries: [B, N, D]. features: of the prompt, [B, L, E]."""
        direction = F.normalize(features, dim=-1)
        key = self.projection(direction / 2)
        offset = direction @ self.prompt_bias + self.bias
        logits = queries @ key.mT / self.log_scale.exp() + offset[:, None]
        return logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)


def class_logits(token_logits: Tensor, token_positions: Sequence[Sequence[int]]) -> Tensor:
    """Logits [B, N, K] of classes: the mean over the tokens of each name.

    token_logits: [B, N, L]. token_positions: of each class.
    """
    return torch.stack([token_logits[..., list(tokens)].mean(-1) for tokens in token_positions], dim=-1)


class ConceptRetrieval(nn.Module):
    """Logits of queries against the concepts of a question, and against nothing.

    A softmax over them replaces a closed class head: "nothing" is what a query answers that none of the concepts means.
    """

    def __init__(self, dim: int, *, prompt_dim: int) -> None:
        super().__init__()
        self.head = RetrievalHead(dim, prompt_dim=prompt_dim, prior=0.5)
        self.nothing = nn.Linear(dim, 1)
        # Unit directions of width D have entries of 1 / sqrt(D); queries are layer-normed.
        nn.init.constant_(self.head.log_scale, -math.log(2.0))

    def forward(self, queries: Tensor, concepts: Tensor, known: Tensor) -> Tensor:
        """Logits [B, N, K + 1], nothing last; padded concepts cannot win.

        queries: [B, N, D]. concepts: [B, K, prompt_dim]. known: bool [B, K].
        """
        logits = self.head.compare(queries, concepts).masked_fill(~known[:, None], -LOGIT_LIMIT)
        return torch.cat((logits, self.nothing(queries)), dim=-1)
