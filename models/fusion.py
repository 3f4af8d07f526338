"""Early fusion: image and prompt look at each other once, before the first encoder layer.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (GLIP's bi-directional attention, arXiv 2112.03857). The residual is added to
the normalised inputs, so what follows sees layer-normed features. Padded image positions take part when the prompt
looks at the image. Shapes: B batch, S image tokens, L prompt tokens, D width of the model, E width of the prompt.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.prompt_tokens import PromptTokens

LOGIT_LIMIT = 50_000.0
"""Attention logits are clamped to plus and minus this, as upstream."""


class EarlyFusion(nn.Module):
    """One layer of attention in both directions over the same logits.

    hidden_dim: width of queries, keys and values, all heads together. initial_scale: of what is added.
    sees_template_padding: the image also looks at padded tokens of a template, as the authors' boolean mask makes it;
    padding of texts is never seen.
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        prompt_dim: int = 768,
        hidden_dim: int = 2048,
        num_heads: int = 8,
        dropout: float = 0.1,
        initial_scale: float = 1 / 6,
        sees_template_padding: bool = True,
    ) -> None:
        super().__init__()
        if hidden_dim % num_heads:
            raise ValueError(f"width {hidden_dim} cannot be shared by {num_heads} heads")
        self.num_heads, self.sees_template_padding = num_heads, sees_template_padding
        self.visual_norm, self.prompt_norm = nn.LayerNorm(dim), nn.LayerNorm(prompt_dim)
        self.visual_query, self.visual_value = nn.Linear(dim, hidden_dim), nn.Linear(dim, hidden_dim)
        self.prompt_key, self.prompt_value = nn.Linear(prompt_dim, hidden_dim), nn.Linear(prompt_dim, hidden_dim)
        self.visual_output, self.prompt_output = nn.Linear(hidden_dim, dim), nn.Linear(hidden_dim, prompt_dim)
        self.visual_scale = nn.Parameter(torch.full((dim,), initial_scale))
        self.prompt_scale = nn.Parameter(torch.full((prompt_dim,), initial_scale))
        self.dropout = nn.Dropout(dropout)
        for module in self.children():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, visual: Tensor, prompt: PromptTokens) -> tuple[Tensor, PromptTokens]:
        """Image tokens [B, S, D] and the prompt, each with the other's share added. visual: [B, S, D]."""
        visual, tokens = self.visual_norm(visual), self.prompt_norm(prompt.tokens)
        query, key = self._heads(self.visual_query(visual)), self._heads(self.prompt_key(tokens))
        logits = (query * query.shape[-1] ** -0.5 @ key.mT).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        to_prompt = self.dropout(self._masked(logits, prompt).softmax(-1))
        to_image = self.dropout(logits.mT.softmax(-1))
        from_prompt = self._merged(to_prompt @ self._heads(self.prompt_value(tokens)))
        from_image = self._merged(to_image @ self._heads(self.visual_value(visual)))
        visual = visual + self.visual_scale * self.visual_output(from_prompt)
        tokens = tokens + self.prompt_scale * self.prompt_output(from_image)
        return visual, prompt.with_tokens(tokens)

    def _masked(self, logits: Tensor, prompt: PromptTokens) -> Tensor:
        """Logits [B, M, S, L] without the prompt's padding."""
        if prompt.kind == "template" and self.sees_template_padding:
            return logits
        return logits.masked_fill(~prompt.valid[:, None, None], float("-inf"))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    @staticmethod
    def _merged(x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)
