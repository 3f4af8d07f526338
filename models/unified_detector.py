"""`UnifiedDetector`: the unified model as a `Detector`, so that every prompted task and tracker can ask it.

A frame's backbone maps serve all its questions, a question is encoded once, and a target's picture is looked at once.
Shapes: N queries, K concepts, D width, H W the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.contract import Task
from models.concepts import Ask, ConceptTokens, ShownTarget, shown_prompt, stacked
from models.frame_objects import FrameObjects, Target
from models.unified import Found, UnifiedSegmenter
from models.visual_prompt import TemplateCrop


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMaps:
    """A frame as all questions share it. pixels: normalised and padded [3, H, W]. maps: [1, C, h, w] each.

    size: (height, width) without padding.
    """

    pixels: Tensor
    maps: tuple[Tensor, ...]
    size: tuple[int, int]

    @property
    def padded(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.pixels.shape[1], self.pixels.shape[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An encoded question. prompt: of one image. task: its task token, [1, D]."""

    prompt: ConceptTokens
    task: Tensor


class UnifiedDetector:
    """The model, asked frame by frame; it must be in evaluation mode. crop: how targets are cut out.

    num_at_once: questions that go through the decoder together.
    """

    def __init__(self, model: UnifiedSegmenter, *, crop: TemplateCrop, num_at_once: int = 8) -> None:
        self.model, self.crop, self.num_at_once = model, crop, num_at_once

    @torch.no_grad()
    def look(self, frame: NDArray[np.uint8]) -> SeenMaps:
        """The frame's maps. frame: uint8 [H, W, 3] RGB."""
        image = torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)))
        pixels = self.model.batch([image])
        return SeenMaps(
            pixels=pixels[0], maps=tuple(self.model.backbone(pixels)), size=(frame.shape[0], frame.shape[1])
        )

    @torch.no_grad()
    def ask(self, ask: Ask) -> Question:
        """Any question."""
        prompt, task = self.model.ask([ask])
        return Question(prompt=prompt, task=task)

    def ask_categories(self, names: Sequence[str], *, sentence: str) -> Question:
        """The question for objects of any of K classes."""
        return self.ask(Ask(task=Task.INSTANCE, names=tuple(names), sentence=sentence))

    def ask_expression(self, expression: str, *, sentence: str) -> Question:
        """The question for what an expression means, K = 1."""
        return self.ask(Ask(task=Task.REFERRING, expression=expression, sentence=sentence))

    @torch.no_grad()
    def show(self, frame: SeenMaps, target: Target) -> ShownTarget:
        """A target as it looks in a frame."""
        template = self.crop(frame.pixels, target.box_xywh, mask=target.mask)
        return self.model.concept_encoder.show([template], self.model.look)[0]

    @torch.no_grad()
    def ask_targets(self, shown: Sequence[ShownTarget], *, sentence: str) -> Question:
        """The question for one target that was shown once or several times, K = 1."""
        features = self.model.concept_encoder.summarise([sentence])
        return Question(prompt=shown_prompt(shown), task=self.model.concept_encoder.task_projection(features))

    @torch.no_grad()
    def find(self, frame: SeenMaps, questions: Sequence[Question]) -> list[FrameObjects]:
        """What the frame holds, an answer to each question."""
        answers = []
        for start in range(0, len(questions), self.num_at_once):
            together = questions[start : start + self.num_at_once]
            found = self.decode(frame, together)
            answers += [_objects(found, row, question, frame) for row, question in enumerate(together)]
        return answers

    def decode(self, frame: SeenMaps, questions: Sequence[Question]) -> Found:
        """The model's own answer, a row for each question."""
        prompt = stacked([question.prompt for question in questions])
        task = torch.cat([question.task for question in questions])
        maps = [one.expand(len(questions), -1, -1, -1) for one in frame.maps]
        return self.model.decode(maps, prompt, task, frame.padded)


def _objects(found: Found, row: int, question: Question, frame: SeenMaps) -> FrameObjects:
    """One row; boxes become shares of the frame without its padding."""
    num_concepts = int(question.prompt.known.sum())
    (height, width), (padded_height, padded_width) = frame.size, frame.padded
    stretch = found.boxes.new_tensor([padded_width / width, padded_height / height] * 2)
    probability = found.queries.class_logits[-1][row].float().softmax(-1)
    return FrameObjects(
        scores=probability[:, :num_concepts],
        quality=found.quality[row].float().sigmoid(),
        boxes=found.boxes[row].float() * stretch,
        draw=partial(_drawn, found.queries.mask_logits[-1][row].float()),
        embed=partial(_same, found.identity[row].float()),
        size=frame.size,
    )


def _drawn(mask_logits: Tensor, chosen: Tensor) -> Tensor:
    return mask_logits[chosen]


def _same(embeddings: Tensor) -> Tensor:
    return embeddings
