"""Token ids to features: OneFormer's causal text transformer and mapper (training only), and UNINEXT's BERT.

OneFormer's follow SHI-Labs/OneFormer at 4962ef6: CLIP's encoder at width 256, trained from scratch, read off at the end
token. `BertTextEncoder` is transformers' BERT without a pooler, read off at every token of its last layer, as in
MasterBin-IIAU/UNINEXT at 5ab0386. Shapes: B batch, T texts, L tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from models.attention import Attention, Mlp


class TextLayer(nn.Module):
    """Pre-norm causal self-attention and a feed-forward with QuickGELU (x sigmoid(1.702 x)).

    depth: layers of the encoder; CLIP's initial weights of what is added to the residual shrink with it.
    """

    def __init__(self, dim: int, *, num_heads: int, depth: int) -> None:
        super().__init__()
        self.attention_norm, self.ffn_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads=num_heads)
        self.expand, self.contract = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        inner, outer = dim**-0.5, (2 * depth * dim) ** -0.5
        nn.init.normal_(self.attention.in_proj_weight, std=inner)
        nn.init.normal_(self.attention.out_proj.weight, std=outer)
        nn.init.normal_(self.expand.weight, std=(2 * dim) ** -0.5)
        nn.init.normal_(self.contract.weight, std=outer)

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, L, D]."""
        y = self.attention_norm(x)
        x = x + self.attention(y, y, y, is_causal=True)
        y = self.expand(self.ffn_norm(x))
        return x + self.contract(y * torch.sigmoid(1.702 * y))


class CausalTextEncoder(nn.Module):
    """One feature per text: the last layer's output at the end token, which has the largest id."""

    def __init__(
        self, dim: int = 256, *, vocabulary_size: int = 49408, length: int = 77, num_layers: int = 6, num_heads: int = 4
    ) -> None:
        super().__init__()
        self.dim = dim
        self.token_embedding = nn.Embedding(vocabulary_size, dim)
        self.position_embedding = nn.Parameter(torch.empty(length, dim))
        self.layers = nn.ModuleList(TextLayer(dim, num_heads=num_heads, depth=num_layers) for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position_embedding, std=0.01)

    def forward(self, token_ids: Tensor) -> Tensor:
        """float [T, D]. token_ids: int64 [T, L]."""
        x = self.token_embedding(token_ids) + self.position_embedding[: token_ids.shape[-1]]
        for layer in self.layers:
            x = layer(x)
        ends = token_ids.argmax(dim=-1)
        return self.norm(x[torch.arange(len(x), device=x.device), ends])


class TextMapper(nn.Module):
    """Text queries of an image: the projected features of its text list, then learnable context rows."""

    def __init__(
        self, encoder: CausalTextEncoder, *, dim: int = 256, num_layers: int = 2, num_context: int = 16
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = Mlp(encoder.dim, hidden_dim=dim, out_dim=dim, num_layers=num_layers)
        self.context = nn.Embedding(num_context, dim) if num_context else None

    @property
    def num_context(self) -> int:
        return 0 if self.context is None else self.context.num_embeddings

    def forward(self, text_ids: Tensor) -> Tensor:
        """float [B, T + context rows, D]. text_ids: int64 [B, T, L]."""
        # Most texts of a batch are equal (padding, classes that recur): each different one is encoded once.
        different, place = text_ids.flatten(0, 1).unique(dim=0, return_inverse=True)
        used = int((different != 0).any(dim=0).nonzero().max()) + 1
        texts = self.projector(self.encoder(different[:, :used]))[place].unflatten(0, text_ids.shape[:2])
        if self.context is None:
            return texts
        return torch.cat((texts, self.context.weight.expand(len(texts), -1, -1).to(texts.dtype)), dim=1)


class BertTextEncoder(nn.Module):
    """A feature for every token of every text. The default sizes are those of `bert-base-uncased`.

    length: the longest text. dropout: in training, of hidden values and attention; BERT's own 0.1 acts whenever the
    module is in train mode, frozen or not.
    """

    def __init__(
        self,
        dim: int = 768,
        *,
        vocabulary_size: int = 30522,
        length: int = 512,
        num_layers: int = 12,
        num_heads: int = 12,
        hidden_dim: int = 3072,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.dim = dim
        config = BertConfig(
            vocab_size=vocabulary_size,
            hidden_size=dim,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            intermediate_size=hidden_dim,
            max_position_embeddings=length,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
        self.bert = BertModel(config, add_pooling_layer=False)

    def forward(self, token_ids: Tensor, valid: Tensor) -> Tensor:
        """float [T, L, D]. token_ids: int64 [T, L]. valid: bool [T, L], False on padding, which nobody sees."""
        return self.bert(input_ids=token_ids, attention_mask=valid.long()).last_hidden_state
