"""Training examples of UNINEXT: a picture or two frames of a clip, what is prompted, and the objects that are meant.

Follows MasterBin-IIAU/UNINEXT at 5ab0386: of a clip the earlier frame is the key frame, which is searched; the later
one is the reference, where objects are to be known again, or where the target is shown. A picture stands for both
frames of a pseudo-video, looked at twice. Shapes: G objects, L tokens, H W size of a frame's view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.contract import PromptedSource, Sample
from models.captions import CaptionDraw
from models.discovery import PIXEL_MEAN, PIXEL_STD
from models.frame_views import FrameViews
from models.prompt_tokens import PromptKind
from models.shots import mirrored
from models.shown_objects import ShownObjects, shown_objects
from models.text_prompts import PromptTokenizer, TextPrompt, expression_prompt
from models.views import View
from models.visual_prompt import Template, TemplateCrop


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A row of a stage: which training row is asked how, and how often.

    row: its name. weight: share of the examples. views: how frames are looked at. frame_range: most frames between the
    two of a clip. is_pair: whether there is a second frame; shown targets always have one. clips_each: examples that
    stand in a batch for one of another row, for smaller pictures. uses_box_colours: masks are learnt from boxes and
    colours. balances_classes: pictures of rare classes are drawn more often.
    """

    row: str
    kind: PromptKind
    weight: float
    views: FrameViews
    frame_range: int = 10
    is_pair: bool = False
    clips_each: int = 1
    uses_box_colours: bool = False
    balances_classes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonFrame:
    """image: uint8 [3, H, W] RGB. prompt: what is asked of it. boxes: cxcywh in 0..1, float32 [G, 4].

    masks: bool [G, H, W], or None where there are only boxes. positives: bool [G, L]. original_height: of the picture.
    """

    image: Tensor
    prompt: TextPrompt | Template
    boxes: Tensor
    masks: Tensor | None
    positives: Tensor
    original_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """key: the frame that is searched. reference: a later one with the same objects in the same order, or None.

    is_present: bool [G], which of them the reference really shows; the others have a box without extent there.
    """

    lesson: Lesson
    key: LessonFrame
    reference: LessonFrame | None
    is_present: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonPlan:
    """Makes clips. lessons: the rows of a stage. crop: how shown targets are cut out."""

    lessons: Sequence[Lesson]
    tokenizer: PromptTokenizer
    crop: TemplateCrop
    most_absent: int = 85

    def __call__(self, lesson: Lesson, sample: Sample, source: PromptedSource, rng: np.random.Generator) -> Clip | None:
        """The clip of a sample, or None where no object is left to learn from."""
        is_pair = lesson.is_pair or lesson.kind == "template"
        frames = _two_frames(len(sample.frames), lesson.frame_range, rng)[: 1 + is_pair]
        if is_pair and len(frames) == 1:
            frames = frames * 2
        views = lesson.views(sample.size, len(frames), rng, sample.prompt.sentence or "")
        found = [shown_objects(sample, frame).seen_through(view) for frame, view in zip(frames, views, strict=True)]
        images = [_seen(source.read(sample, frame), view) for frame, view in zip(frames, views, strict=True)]
        if not len(found[0]):
            return None
        if lesson.kind == "template":
            return self._shown(lesson, sample, images, found, rng)
        if lesson.kind == "expression":
            sentence = mirrored(sample.prompt.sentence or "", views[0])
            return self._said(lesson, sample, images, found, expression_prompt(sentence, self.tokenizer))
        return self._named(lesson, sample, source, images, found, rng)

    def _named(
        self,
        lesson: Lesson,
        sample: Sample,
        source: PromptedSource,
        images: Sequence[Tensor],
        found: Sequence[ShownObjects],
        rng: np.random.Generator,
    ) -> Clip | None:
        """Categories; every frame has a caption of its own."""
        asked = [index for index in source.asked if source.is_thing[index]]
        draw = CaptionDraw(tokenizer=self.tokenizer, most_absent=self.most_absent)
        captions = [draw(source.names, objects.labels.tolist(), asked, rng) for objects in found]
        known = [
            objects.taken(np.array([label in caption.tokens for label in objects.labels.tolist()], bool))
            for objects, caption in zip(found, captions, strict=True)
        ]
        if not len(known[0]):
            return None
        known, is_present = _aligned(known)
        frames = [
            _frame(image, objects, caption.prompt, caption.positives(objects.labels.tolist()), sample)
            for image, objects, caption in zip(images, known, captions, strict=True)
        ]
        return _clip(lesson, frames, is_present)

    def _said(
        self,
        lesson: Lesson,
        sample: Sample,
        images: Sequence[Tensor],
        found: Sequence[ShownObjects],
        prompt: TextPrompt,
    ) -> Clip:
        """An expression, the same in both frames."""
        aligned, is_present = _aligned(found)
        frames = [
            _frame(image, objects, prompt, torch.ones(len(objects), 1, dtype=torch.bool), sample)
            for image, objects in zip(images, aligned, strict=True)
        ]
        return _clip(lesson, frames, is_present)

    def _shown(
        self,
        lesson: Lesson,
        sample: Sample,
        images: Sequence[Tensor],
        found: Sequence[ShownObjects],
        rng: np.random.Generator,
    ) -> Clip | None:
        """A target of the later frame, searched in the earlier one."""
        both = np.intersect1d(found[0].object_ids, found[1].object_ids)
        if not len(both):
            return None
        chosen = int(rng.choice(both))
        wanted, target = (objects.only(chosen) for objects in found)
        x0, y0, x1, y1 = (float(value) for value in target.boxes[0])
        if x1 - x0 < 1 or y1 - y0 < 1:
            return None
        mean, std = (torch.tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
        mask = torch.from_numpy(target.masks[0]) if target.has_masks else None
        template = self.crop((images[1].float() - mean) / std, (x0, y0, x1 - x0, y1 - y0), mask=mask)
        key = _frame(images[0], wanted, template, torch.ones(len(wanted), 1, dtype=torch.bool), sample)
        return _clip(lesson, [key], torch.ones(len(wanted), dtype=torch.bool))


def _two_frames(num_frames: int, frame_range: int, rng: np.random.Generator) -> tuple[int, ...]:
    """One frame of a picture; of a clip two different ones that are not far apart, in order."""
    if num_frames == 1:
        return (0,)
    first = int(rng.integers(num_frames))
    low, high = max(0, first - frame_range), min(num_frames, first + frame_range + 1)
    second = int(rng.choice([frame for frame in range(low, high) if frame != first]))
    return min(first, second), max(first, second)


def _aligned(found: Sequence[ShownObjects]) -> tuple[list[ShownObjects], Tensor]:
    """The objects of the first frame in every frame, and which of them the last one shows, bool [G]."""
    first, later = found[0], found[-1]
    if len(found) == 1:
        return [first], torch.ones(len(first), dtype=torch.bool)
    places = [np.flatnonzero(later.object_ids == object_id) for object_id in first.object_ids]
    is_present = np.array([len(place) > 0 for place in places], bool)
    masks = np.zeros((len(first), *later.masks.shape[1:]), bool)
    boxes = np.zeros((len(first), 4))
    for row in np.flatnonzero(is_present):
        masks[row], boxes[row] = later.masks[places[row][0]], later.boxes[places[row][0]]
    return [first, replace(first, masks=masks, boxes=boxes)], torch.from_numpy(is_present)


def _clip(lesson: Lesson, frames: Sequence[LessonFrame], is_present: Tensor) -> Clip:
    return Clip(lesson=lesson, key=frames[0], reference=frames[1] if len(frames) > 1 else None, is_present=is_present)


def _frame(
    image: Tensor, found: ShownObjects, prompt: TextPrompt | Template, positives: Tensor, sample: Sample
) -> LessonFrame:
    height, width = image.shape[1:]
    low, high = found.boxes[:, :2], found.boxes[:, 2:]
    boxes = np.concatenate(((low + high) / 2, high - low), axis=1) / (width, height, width, height)
    return LessonFrame(
        image=image,
        prompt=prompt,
        boxes=torch.from_numpy(boxes).float(),
        masks=torch.from_numpy(found.masks) if found.has_masks else None,
        positives=positives,
        original_height=sample.size[0],
    )


def _seen(image: NDArray[np.uint8], view: View) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(view.image(image).transpose(2, 0, 1)))
