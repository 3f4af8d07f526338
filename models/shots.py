"""Training examples of the unified model: pictures with their questions and right answers.

A sample of any task becomes one shot, or two where an object is to be known again. Which kind it is follows from the
prompt: given objects are shown, referring tasks have an expression, all others a vocabulary. Shapes: M targets,
H W size of the view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from benchmark.contract import PromptedSource, Sample, Task
from models.concepts import Ask
from models.sampling import MAX_REDRAWS, Mixture, position_generator
from models.shown_objects import ShownObjects, shown_objects, task_objects
from models.task_segmentation import PIXEL_MEAN, PIXEL_STD
from models.views import View, ViewDraw
from models.visual_prompt import Template, TemplateCrop

NO_OBJECT_ID = -1
MIRRORED_WORDS = {"left": "right", "right": "left", "leftmost": "rightmost", "rightmost": "leftmost"}
SAID_TASKS = (Task.REFERRING, Task.RVOS)
IMAGE_TASKS = (Task.SEMANTIC, Task.INSTANCE, Task.PANOPTIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotTarget:
    """labels: int64 [M], the concept each target answers. masks: bool [M, H, W]. boxes: float32 [M, 4] cxcywh in 0..1.

    object_ids: int64 [M], equal in two shots of one example where they are the same object, NO_OBJECT_ID for none.
    texts: what is said of the picture, for the contrastive loss. has_masks: False where masks are filled boxes.
    """

    labels: Tensor
    masks: Tensor
    boxes: Tensor
    object_ids: Tensor
    texts: tuple[str, ...]
    has_masks: bool = True

    def to(self, device: torch.device) -> ShotTarget:
        """The same target on another device."""
        fields = ("labels", "masks", "boxes", "object_ids")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in fields})

    def padded(self, height: int, width: int) -> ShotTarget:
        """The same target with masks extended by background; boxes stay fractions, of the larger size."""
        rows, columns = height - self.masks.shape[1], width - self.masks.shape[2]
        if not rows and not columns:
            return self
        shrunk = self.boxes * self.boxes.new_tensor([self.masks.shape[2] / width, self.masks.shape[1] / height] * 2)
        return replace(self, masks=F.pad(self.masks, (0, columns, 0, rows)), boxes=shrunk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """image: uint8 [3, H, W] RGB. ask: the question. target: the right answer."""

    image: Tensor
    ask: Ask
    target: ShotTarget


Example = tuple[Shot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRecipe:
    """Makes examples.

    view: of pictures with a vocabulary. whole_view: of pictures whose question is about the whole of them, uncut.
    template: how a shown target is cut out. frame_range: most frames between the two shots of a clip. dropped_names:
    how often a vocabulary loses some of its names, whose objects are then nothing. task_probabilities: of semantic,
    instance, panoptic where the annotation serves all three.
    """

    view: ViewDraw
    whole_view: ViewDraw
    template: TemplateCrop
    frame_range: int = 10
    dropped_names: float = 0.3
    task_probabilities: tuple[float, float, float] = (0.33, 0.33, 0.34)

    def __call__(self, sample: Sample, source: PromptedSource, rng: np.random.Generator) -> Example | None:
        """The example of a sample, or None where it has nothing to learn from."""
        if sample.prompt.objects is not None:
            return self._shown(sample, source, rng)
        if sample.prompt.task in SAID_TASKS:
            return self._said(sample, source, rng)
        return self._named(sample, source, rng)

    def _named(self, sample: Sample, source: PromptedSource, rng: np.random.Generator) -> Example | None:
        """One picture, or two frames of a clip, with the same vocabulary."""
        task = self._draw_task(sample, rng)
        asked = self._draw_names(source.asked, rng)
        names = tuple(source.names[index] for index in asked)
        frames = self._two_frames(len(sample.frames), rng)
        views = self._same_scale(self.view, sample.size, len(frames), rng)
        shots = []
        for frame, view in zip(frames, views, strict=True):
            found = task_objects(sample, frame, task, source.is_thing).with_concepts(asked)
            texts = tuple(f"a photo with a {names[label]}" for label in sorted(found.labels.tolist()))
            seen = found.seen_through(view)
            shots.append(_shot(source.read(sample, frame), view, Ask(task=task, names=names), seen, texts))
        return tuple(shots)

    def _said(self, sample: Sample, source: PromptedSource, rng: np.random.Generator) -> Example | None:
        """One frame with an expression; nothing is there where it means nothing."""
        frame = int(rng.integers(len(sample.frames)))
        view = self.whole_view(sample.size, rng)
        sentence = mirrored(sample.prompt.sentence or "", view)
        ask = Ask(task=sample.prompt.task, expression=sentence)
        found = shown_objects(sample, frame).as_one_concept().seen_through(view)
        return (_shot(source.read(sample, frame), view, ask, found, (f"a photo with {sentence}",)),)

    def _shown(self, sample: Sample, source: PromptedSource, rng: np.random.Generator) -> Example | None:
        """One frame in which a target from another frame is to be found."""
        frames = self._two_frames(len(sample.frames), rng)
        given, searched = frames[-1], frames[0]
        there = shown_objects(sample, given)
        if not len(there.object_ids):
            return None
        chosen = int(rng.choice(there.object_ids))
        target = there.only(chosen)
        first = self.whole_view(sample.size, rng)
        template = self._cut(source.read(sample, given), target.seen_through(first, keeps_empty=True), first)
        if template is None:
            return None
        view = replace(self.whole_view(sample.size, rng), is_mirrored=first.is_mirrored)
        found = shown_objects(sample, searched).only(chosen).as_one_concept().seen_through(view)
        ask = Ask(task=sample.prompt.task, templates=(template,))
        return (_shot(source.read(sample, searched), view, ask, found, ()),)

    def _cut(self, image: NDArray[np.uint8], target: ShownObjects, view: View) -> Template | None:
        """The picture of a target, None where nothing of it is left in the view."""
        x0, y0, x1, y1 = (float(value) for value in target.boxes[0])
        if x1 - x0 < 1 or y1 - y0 < 1:
            return None
        mean, std = (torch.tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
        frame = (_channels_first(view.image(image)).float() - mean) / std
        mask = torch.from_numpy(target.masks[0]) if target.has_masks else None
        return self.template(frame, (x0, y0, x1 - x0, y1 - y0), mask=mask)

    def _draw_task(self, sample: Sample, rng: np.random.Generator) -> Task:
        """The sample's own task, or one of three where its annotation is panoptic."""
        if sample.prompt.task not in IMAGE_TASKS:
            return sample.prompt.task
        if sample.prompt.task is not Task.PANOPTIC:
            return sample.prompt.task
        return IMAGE_TASKS[int(rng.choice(3, p=self.task_probabilities))]

    def _draw_names(self, asked: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
        """The classes of the question, in random order, sometimes not all."""
        order = rng.permutation(np.asarray(asked))
        if rng.random() < self.dropped_names:
            order = order[: int(rng.integers(1, len(order) + 1))]
        return tuple(int(index) for index in order)

    def _two_frames(self, num_frames: int, rng: np.random.Generator) -> tuple[int, ...]:
        """One frame of a picture; of a clip two different ones that are not far apart, in order."""
        if num_frames == 1:
            return (0,)
        first = int(rng.integers(num_frames))
        low, high = max(0, first - self.frame_range), min(num_frames, first + self.frame_range + 1)
        others = [frame for frame in range(low, high) if frame != first]
        return tuple(sorted((first, int(rng.choice(others)))))

    @staticmethod
    def _same_scale(draw: ViewDraw, size: tuple[int, int], number: int, rng: np.random.Generator) -> list[View]:
        """Views of several frames: one window for all, so that an object can be seen in both."""
        view = draw(size, rng)
        return [view] * number


def mirrored(sentence: str, view: View) -> str:
    """The sentence as it is true of the view."""
    if not view.is_mirrored:
        return sentence
    return " ".join(MIRRORED_WORDS.get(word, word) for word in sentence.split())


def _shot(image: NDArray[np.uint8], view: View, ask: Ask, found: ShownObjects, texts: tuple[str, ...]) -> Shot:
    height, width = view.padded
    low, high = found.boxes[:, :2], found.boxes[:, 2:]
    boxes = np.concatenate(((low + high) / 2, high - low), axis=1) / (width, height, width, height)
    target = ShotTarget(
        labels=torch.from_numpy(found.labels),
        masks=torch.from_numpy(found.masks),
        boxes=torch.from_numpy(boxes).float(),
        object_ids=torch.from_numpy(found.object_ids),
        texts=texts,
        has_masks=found.has_masks,
    )
    return Shot(image=_channels_first(view.image(image)), ask=ask, target=target)


def _channels_first(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class ShotExamples(Dataset[dict[str, object]]):
    """Examples by position of the run: {"inputs", "targets", "sample_ids"}; a sample without one is drawn anew."""

    reads: ClassVar[str] = "prompted"

    def __init__(
        self,
        sources: Sequence[PromptedSource],
        *,
        recipe: Callable[[Sample, PromptedSource, np.random.Generator], Example | None],
        seed: int,
        length: int,
    ) -> None:
        self._sources, self._recipe, self._seed, self._length = sources, recipe, seed, length
        self._mixture = Mixture([s.size for s in sources], weights=[s.weight for s in sources], seed=seed)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: int) -> dict[str, object]:
        number, index = self._mixture[position]
        rng, source = position_generator(self._seed, position), self._sources[number]
        for _ in range(MAX_REDRAWS):
            sample = source.load(index)
            example = self._recipe(sample, source, rng)
            if example is not None:
                return {"inputs": example, "targets": None, "sample_ids": f"{source.name}/{sample.sample_id}"}
            index = int(rng.integers(source.size))
        raise ValueError(f"{source.name}: none of {MAX_REDRAWS} samples has something to learn from")
