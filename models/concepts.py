"""A question to the unified model, and the concepts that its queries are compared with.

Category names, an expression and shown targets become the same thing: prompt tokens that are fused with the image, and
concepts, each a weighted mean of some of those tokens. K names are K concepts with one token each, so their order means
nothing and no window limits them (as APE's sentence-level fusion, arXiv 2312.02153, where UNINEXT, arXiv 2303.06674,
reads joined names); an expression is one concept made of its words; a shown target is one concept made of the picture
tokens that lie inside it. Shapes: B batch, L prompt tokens, K concepts, D width, T texts, C side of a template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contract import Task
from benchmark.problems import UsageError
from models.attention import Mlp
from models.prompt_tokens import PromptTokens
from models.task_tokens import TASK_SENTENCES
from models.text_encoders import BertTextEncoder
from models.text_prompts import clean_expression, clean_name
from models.tokenizers import Tokenizer
from models.visual_prompt import Template

Look = Callable[[Tensor], Tensor]
"""Normalised pictures [T, 3, C, C] to features [T, D, C / 8, C / 8]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked of one image: exactly one of class names, an expression and shown targets.

    task: the kind of answer. sentence: the task sentence that conditions the queries; None: the task's own.
    templates: pictures of one target, the first one shown first.
    """

    task: Task
    names: tuple[str, ...] = ()
    expression: str | None = None
    templates: tuple[Template, ...] = ()
    sentence: str | None = None

    def __post_init__(self) -> None:
        if (bool(self.names), self.expression is not None, bool(self.templates)).count(True) != 1:
            raise UsageError("A question has class names, an expression or shown targets, and only one of them.")

    @property
    def task_sentence(self) -> str:
        """The sentence that the queries are conditioned on."""
        return self.sentence or TASK_SENTENCES[self.task]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptTokens(PromptTokens):
    """Prompt tokens with the concepts they make up.

    weights: float [B, K, L], how much each token counts in each concept; rows sum to 1 or are zero. known: bool [B, K],
    False on the padding of questions with fewer concepts.
    """

    weights: Tensor
    known: Tensor

    def with_tokens(self, tokens: Tensor) -> ConceptTokens:
        """The same question with other features, [B, L, D]."""
        return replace(self, tokens=tokens)

    @property
    def concepts(self) -> Tensor:
        """[B, K, D]."""
        return self.weights @ self.tokens

    @property
    def summary(self) -> Tensor:
        """The mean of the known concepts, [B, D]."""
        known = self.known[..., None].to(self.tokens.dtype)
        return (self.concepts * known).sum(1) / known.sum(1).clamp(min=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTarget:
    """What a prompt takes from one picture of a target. tokens: [l, D]. share: of the target in each token, [l]."""

    tokens: Tensor
    share: Tensor


class ConceptEncoder(nn.Module):
    """Questions become prompt tokens and task tokens; one text encoder reads names, expressions and task sentences.

    tokenizer: ids of a text, 0 on padding. template_dim: width of the features that `Look` returns.
    """

    def __init__(self, text_encoder: BertTextEncoder, *, tokenizer: Tokenizer, dim: int, template_dim: int) -> None:
        super().__init__()
        self.text_encoder, self.tokenizer = text_encoder, tokenizer
        self.text_projection = nn.Linear(text_encoder.dim, dim)
        self.task_projection = Mlp(text_encoder.dim, hidden_dim=dim, out_dim=dim, num_layers=2)
        self.template_projection = nn.Linear(template_dim, dim)
        self.inside, self.outside = (nn.Parameter(0.02 * torch.randn(dim)) for _ in range(2))

    def forward(self, asks: Sequence[Ask], look: Look) -> ConceptTokens:
        """The prompts of a batch, one an image."""
        texts = dict.fromkeys(text for ask in asks for text in _texts(ask))
        place = {text: index for index, text in enumerate(texts)}
        features, valid = self.read(tuple(texts) or ("",))
        shown = iter(self.show([template for ask in asks for template in ask.templates], look))
        parts = []
        for ask in asks:
            if ask.templates:
                parts.append(_one_concept([next(shown) for _ in ask.templates]))
            else:
                rows = [place[text] for text in _texts(ask)]
                parts.append(self._said(ask, features[rows], valid[rows]))
        return _padded(parts)

    def show(self, templates: Sequence[Template], look: Look) -> list[ShownTarget]:
        """What the prompt takes from each picture of a target."""
        if not templates:
            return []
        pictures = torch.stack([template.image for template in templates]).to(self.inside.device)
        features = look(pictures[:, :3])
        share = F.interpolate(pictures[:, 3:], size=features.shape[-2:], mode="area").flatten(1)[..., None]
        tokens = self.template_projection(features.flatten(2).mT)
        tokens = tokens + share * self.inside + (1 - share) * self.outside
        return [ShownTarget(tokens=one, share=part) for one, part in zip(tokens, share[..., 0], strict=True)]

    def read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Features of every token [T, L, text width], bool [T, L]; start and end tokens count. Unknown words raise."""
        ids = torch.from_numpy(np.stack([self.tokenizer(text) for text in texts])).to(self.inside.device)
        ids = ids[:, : int((ids != 0).any(0).nonzero().max()) + 1]
        return self.text_encoder(ids, ids != 0), ids != 0

    def summarise(self, texts: Sequence[str]) -> Tensor:
        """One feature a text, [T, text width]; equal texts are read once."""
        different = tuple(dict.fromkeys(texts))
        features, valid = self.read(different)
        means = _mean(features, valid)
        return means[[different.index(text) for text in texts]]

    def task_tokens(self, asks: Sequence[Ask]) -> Tensor:
        """[B, D]."""
        return self.task_projection(self.summarise([ask.task_sentence for ask in asks]))

    def _said(self, ask: Ask, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """(tokens [L, D], weights [K, L]) of names or of an expression."""
        if ask.names:
            tokens = self.text_projection(_mean(features, valid))
            return tokens, torch.eye(len(tokens), device=tokens.device)
        tokens = self.text_projection(features[0][valid[0]])
        return tokens, tokens.new_full((1, len(tokens)), 1 / len(tokens))


def _texts(ask: Ask) -> tuple[str, ...]:
    if ask.expression is not None:
        return (clean_expression(ask.expression),)
    return tuple(clean_name(name) for name in ask.names)


def _mean(features: Tensor, valid: Tensor) -> Tensor:
    weights = valid[..., None].to(features.dtype)
    return (features * weights).sum(1) / weights.sum(1)


def shown_prompt(shown: Sequence[ShownTarget]) -> ConceptTokens:
    """The prompt of one target that was shown once or several times, B = 1."""
    return _padded([_one_concept(shown)])


def stacked(prompts: Sequence[ConceptTokens]) -> ConceptTokens:
    """Several prompts, each of B = 1, as one batch."""
    return _padded([(one.tokens[0][one.valid[0]], one.weights[0][one.known[0]][:, one.valid[0]]) for one in prompts])


def _one_concept(shown: Sequence[ShownTarget]) -> tuple[Tensor, Tensor]:
    """All pictures of a target as one concept: (tokens [L, D], weights [1, L])."""
    tokens, share = torch.cat([one.tokens for one in shown]), torch.cat([one.share for one in shown])
    return tokens, (share / share.sum().clamp(min=1e-6))[None]


def _padded(parts: Sequence[tuple[Tensor, Tensor]]) -> ConceptTokens:
    """Questions of different lengths as one batch."""
    length, number = max(len(tokens) for tokens, _ in parts), max(len(weights) for _, weights in parts)
    tokens = torch.stack([F.pad(one, (0, 0, 0, length - len(one))) for one, _ in parts])
    weights = torch.stack([F.pad(w, (0, length - w.shape[1], 0, number - len(w))) for _, w in parts])
    device = tokens.device
    counts = torch.tensor([[len(one), len(w)] for one, w in parts], device=device)
    return ConceptTokens(
        tokens=tokens,
        valid=torch.arange(length, device=device) < counts[:, :1],
        kind="expression",
        weights=weights,
        known=torch.arange(number, device=device) < counts[:, 1:],
    )
