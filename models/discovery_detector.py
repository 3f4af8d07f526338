"""`DiscoveryDetector`: UNINEXT as a `Detector`, which trackers and answers of every task can ask.

Follows MasterBin-IIAU/UNINEXT at 5ab0386: prompts are encoded once, frames once, and fusion, encoder and decoder run
once for each question. A vocabulary longer than the text encoder's window becomes several questions on one frame, which
the authors do not support. Shapes: N queries, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.deformable_decoder import DecodedQueries, Memory
from models.discovery import Discovered, ImageFeatures, ObjectDiscovery
from models.feature_levels import LevelGeometry
from models.frame_objects import FrameObjects, Target, merge_vocabularies
from models.prompt_tokens import PromptKind, PromptTokens, joined
from models.retrieval import class_logits
from models.text_prompts import PromptTokenizer, TextPrompt, category_prompts, expression_prompt
from models.visual_prompt import Template, TemplateCrop


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A question of one forward pass. classes: places of its classes in the vocabulary; positions: their tokens."""

    prompt: PromptTokens
    classes: tuple[int, ...] = (0,)
    positions: tuple[tuple[int, ...], ...] = ((0,),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question of any length. num_classes: K of all parts."""

    parts: tuple[Part, ...]
    num_classes: int = 1


class SeenFrame:
    """A frame of which the features are computed when they are first asked for, and once.

    pixels: normalised and padded [1, 3, H, W]. valid: bool [1, H, W]. size: (height, width) without padding.
    """

    def __init__(self, model: ObjectDiscovery, *, frame: NDArray[np.uint8]) -> None:
        """frame: uint8 [H, W, 3] RGB."""
        self._model = model
        self._features: ImageFeatures | None = None
        self.size = (frame.shape[0], frame.shape[1])
        image = torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)))
        self.pixels, self.valid = model.batch([image])

    @property
    def features(self) -> ImageFeatures:
        """What all questions share."""
        if self._features is None:
            self._features = self._model.encode(self.pixels, self.valid)
        return self._features


class DiscoveryDetector:
    """UNINEXT, asked frame by frame. The model must be in evaluation mode.

    tokenizer: None for a model that is only shown targets. crop: how targets are cut out. num_at_once: questions of one
    shape that go through the decoder together; they share the backbone's features in any case.
    """

    def __init__(
        self,
        model: ObjectDiscovery,
        *,
        tokenizer: PromptTokenizer | None = None,
        crop: TemplateCrop | None = None,
        num_at_once: int = 8,
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.crop, self.num_at_once = crop or TemplateCrop(), num_at_once

    @torch.no_grad()
    def look(self, frame: NDArray[np.uint8]) -> SeenFrame:
        """The frame, padded to the model's stride. frame: uint8 [H, W, 3] RGB."""
        return SeenFrame(self.model, frame=frame)

    @torch.no_grad()
    def ask_categories(self, names: Sequence[str], *, sentence: str) -> Question:
        """As many prompts as hold all names; the sentence is not looked at."""
        parts = [
            Part(prompt=self._text(prompt, "categories"), classes=prompt.class_index, positions=prompt.token_positions)
            for prompt in category_prompts(names, self._tokenizer())
        ]
        return Question(parts=tuple(parts), num_classes=len(names))

    @torch.no_grad()
    def ask_expression(self, expression: str, *, sentence: str) -> Question:
        """The prompt of an expression; the sentence is not looked at."""
        return Question(
            parts=(Part(prompt=self._text(expression_prompt(expression, self._tokenizer()), "expression")),)
        )

    @torch.no_grad()
    def show(self, frame: SeenFrame, target: Target) -> PromptTokens:
        """The tokens of one look at a target."""
        template: Template = self.crop(frame.pixels[0], target.box_xywh, valid=frame.valid[0], mask=target.mask)
        return self.model.ask_templates([template])

    def ask_targets(self, shown: Sequence[PromptTokens], *, sentence: str) -> Question:
        """The tokens of all looks, one after the other; the sentence is not looked at."""
        return Question(parts=(Part(prompt=joined(shown)),))

    @torch.no_grad()
    def find(self, frame: SeenFrame, questions: Sequence[Question]) -> list[FrameObjects]:
        """An answer to each question."""
        flat = iter(self._find([part for question in questions for part in question.parts], frame))
        merged = []
        for question in questions:
            answers = [next(flat) for _ in question.parts]
            merged.append(merge_vocabularies(answers, [part.classes for part in question.parts], question.num_classes))
        return merged

    def _find(self, parts: Sequence[Part], frame: SeenFrame) -> list[FrameObjects]:
        """An answer to each part, equal shapes together."""
        found: dict[int, FrameObjects] = {}
        for places in _alike(parts, self.num_at_once):
            prompts = [parts[place].prompt for place in places]
            together = replace(
                prompts[0],
                tokens=torch.cat([prompt.tokens for prompt in prompts]),
                valid=torch.cat([prompt.valid for prompt in prompts]),
            )
            discovered = self.model.discover(frame.features.repeated(len(places)), together)
            for row, place in enumerate(places):
                found[place] = self._objects(_row(discovered, row), parts[place], frame.size)
        return [found[place] for place in range(len(parts))]

    def _objects(self, found: Discovered, part: Part, size: tuple[int, int]) -> FrameObjects:
        """The answer of a batch of one."""
        model = self.model
        logits = class_logits(model.retrieve(found), part.positions)[0]

        features = cache(lambda: model.mask_features(found))

        @torch.no_grad()
        def draw(chosen: Tensor) -> Tensor:
            return model.draw(found, features(), chosen[None])[0]

        @torch.no_grad()
        def embed() -> Tensor:
            return model.identify(found)[0]

        return FrameObjects(
            scores=logits.sigmoid(),
            quality=model.rate(found)[0].sigmoid(),
            boxes=found.decoded.boxes[-1][0],
            draw=draw,
            embed=None if model.identity_head is None else embed,
            size=size,
        )

    def _text(self, prompt: TextPrompt, kind: PromptKind) -> PromptTokens:
        device = self.model.pixel_mean.device
        ids, valid = (torch.from_numpy(rows)[None].to(device) for rows in (prompt.token_ids, prompt.valid))
        return self.model.ask_text(ids, valid, kind)

    def _tokenizer(self) -> PromptTokenizer:
        if self.tokenizer is None:
            raise ValueError("the detector was built without a tokenizer, so it can only be shown targets")
        return self.tokenizer


def _alike(parts: Sequence[Part], num_at_once: int) -> list[list[int]]:
    """Places of parts whose prompts can be stacked, at most `num_at_once` together."""
    groups: dict[tuple[str, int], list[int]] = {}
    for place, part in enumerate(parts):
        groups.setdefault((part.prompt.kind, part.prompt.tokens.shape[1]), []).append(place)
    starts = [(group, start) for group in groups.values() for start in range(0, len(group), num_at_once)]
    return [group[start : start + num_at_once] for group, start in starts]


def _row(found: Discovered, row: int) -> Discovered:
    """One image of a batch, as a batch of one."""
    at = slice(row, row + 1)
    geometry, proposals = found.memory.geometry, found.proposals
    return replace(
        found,
        prompt=replace(found.prompt, tokens=found.prompt.tokens[at], valid=found.prompt.valid[at]),
        proposals=replace(proposals, **{one.name: getattr(proposals, one.name)[at] for one in fields(proposals)}),
        memory=Memory(
            tokens=found.memory.tokens[at], geometry=LevelGeometry(sizes=geometry.sizes, valid=geometry.valid[at])
        ),
        decoded=DecodedQueries(
            states=tuple(x[at] for x in found.decoded.states), boxes=tuple(x[at] for x in found.decoded.boxes)
        ),
        valid_sizes=found.valid_sizes[at],
    )
