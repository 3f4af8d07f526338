"""A prompt as the rest of the model sees it, whether category names, an expression or a reference annotation made it.

Follows MasterBin-IIAU/UNINEXT at 5ab0386. Shapes: B batch, L tokens, D width of the model, E width of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

PromptKind = Literal["categories", "expression", "template"]
RESIZER_EPS = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTokens:
    """tokens: [B, L, E]. valid: bool [B, L], False on padding. kind: what they were made from.

    Categories are read off token by token; expressions and templates mean one thing, the average of their tokens.
    """

    tokens: Tensor
    valid: Tensor
    kind: PromptKind

    def with_tokens(self, tokens: Tensor) -> PromptTokens:
        """The same prompt with other features, [B, L, E]."""
        return replace(self, tokens=tokens)

    @property
    def pooled(self) -> Tensor:
        """Mean of the valid tokens, [B, E]; [CLS] and [SEP] count."""
        weights = self.valid[..., None].to(self.tokens.dtype)
        return (self.tokens * weights).sum(1) / weights.sum(1)


def joined(prompts: Sequence[PromptTokens]) -> PromptTokens:
    """Several prompts of one kind as one, their tokens one after the other; for instance two templates of a target."""
    kinds = {prompt.kind for prompt in prompts}
    if len(kinds) != 1:
        raise ValueError(f"prompts of different kinds cannot be joined: {sorted(kinds)}")
    return PromptTokens(
        tokens=torch.cat([prompt.tokens for prompt in prompts], dim=1),
        valid=torch.cat([prompt.valid for prompt in prompts], dim=1),
        kind=prompts[0].kind,
    )


class PromptResizer(nn.Module):
    """A pooled prompt at the width of the queries: linear, normalised, dropped out."""

    def __init__(self, prompt_dim: int, *, dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.projection = nn.Linear(prompt_dim, dim)
        self.norm = nn.LayerNorm(dim, eps=RESIZER_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pooled: Tensor) -> Tensor:
        """float [B, D]. pooled: [B, E]."""
        return self.dropout(self.norm(self.projection(pooled)))
