"""A detector without a network, for frames whose pixels say what they show: it finds regions of one colour each.

The red channel holds the object's colour (0: nothing); the first pixel's green channel is the number of the frame and
its blue channel the score of whatever is found there, in hundredths. It keeps a record of what was asked of it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark import masks
from benchmark.contract import Instances, Prompt, Sample, Task, make_instances
from models.frame_objects import FrameObjects, Target

SIZE = (24, 32)
SIDE = 6
NUM_COLOURS = 8
Places = Mapping[int, tuple[int, int]]
"""Colour -> (top, left) of its square."""


def frame_of(places: Places, *, number: int = 0, score: int = 90) -> NDArray[np.uint8]:
    """A frame uint8 [24, 32, 3]; later colours cover earlier ones."""
    frame = np.zeros((*SIZE, 3), np.uint8)
    for colour, (top, left) in places.items():
        frame[top : top + SIDE, left : left + SIDE, 0] = colour
    frame[0, 0, 1:] = number, score
    return frame


def clip_of(frames: Sequence[Places], scores: Mapping[int, int] | None = None) -> list[NDArray[np.uint8]]:
    """Numbered frames. scores: of some frames, in hundredths."""
    known = scores or {}
    return [frame_of(places, number=index, score=known.get(index, 90)) for index, places in enumerate(frames)]


def shown(frame: NDArray[np.uint8], colours: Sequence[int]) -> Instances:
    """The objects of these colours, with masks, boxes and the colour as id."""
    rles = [masks.encode(frame[..., 0] == colour) for colour in colours]
    boxes = masks.bounding_boxes(rles)
    return make_instances(class_index=[0] * len(rles), masks=rles, boxes=boxes, object_id=np.array(colours, np.int64))


def sample_of(task: Task, num_frames: int, **prompt: object) -> Sample:
    """A sample of that many frames whose files do not exist. prompt: fields of `Prompt`."""
    return Sample(sample_id="v", frames=[None] * num_frames, size=SIZE, prompt=Prompt(task=task, **prompt))  # type: ignore[arg-type, list-item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A look at an object. frame: its number. box: given. has_mask: whether a mask was given."""

    colour: int
    frame: int
    box: tuple[float, float, float, float]
    has_mask: bool


class Picture:
    """A frame as the detector keeps it; weakly referable."""

    def __init__(self, *, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels


Asked = Callable[[int], int]
"""Colour -> place of its class in the question, or -1."""


class ColourDetector:
    """Finds every colour of a frame as one query. names: what each colour is called."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = names
        self.looks: list[weakref.ref[Picture]] = []
        self.most_alive = self.num_asked = 0
        self.finds: list[int] = []
        self.drawn: list[int] = []
        self.pairs: list[tuple[int, ...]] = []
        self.targets: list[Shown] = []
        self.sentences: set[str] = set()

    def look(self, frame: NDArray[np.uint8]) -> Picture:
        picture = Picture(pixels=frame)
        self.looks.append(weakref.ref(picture))
        self.most_alive = max(self.most_alive, sum(one() is not None for one in self.looks))
        return picture

    def ask_categories(self, names: Sequence[str], *, sentence: str) -> tuple[Asked, int]:
        self._note(sentence)
        return (lambda colour: list(names).index(self.names[colour]) if self.names[colour] in names else -1), len(names)

    def ask_expression(self, expression: str, *, sentence: str) -> tuple[Asked, int]:
        self._note(sentence)
        return (lambda colour: 0 if self.names[colour] in expression.split() else -1), 1

    def show(self, frame: Picture, target: Target) -> Shown:
        x, y, width, height = (round(v) for v in target.box_xywh)
        region = frame.pixels[max(y, 0) : y + height + 1, max(x, 0) : x + width + 1, 0]
        if target.mask is not None:
            region = frame.pixels[..., 0][target.mask.numpy()]
        colour = int(np.bincount(region[region > 0]).argmax())
        number = int(frame.pixels[0, 0, 1])
        self.targets.append(Shown(colour=colour, frame=number, box=target.box_xywh, has_mask=target.mask is not None))
        return self.targets[-1]

    def ask_targets(self, shown: Sequence[Shown], *, sentence: str) -> tuple[Asked, int]:
        self.sentences.add(sentence)
        self.pairs.append(tuple(one.frame for one in shown))
        return (lambda colour: 0 if colour in {one.colour for one in shown} else -1), 1

    def find(self, frame: Picture, questions: Sequence[tuple[Asked, int]]) -> list[FrameObjects]:
        self.finds.append(len(questions))
        return [self._answer(frame.pixels, *question) for question in questions]

    def _note(self, sentence: str) -> None:
        self.num_asked += 1
        self.sentences.add(sentence)

    def _answer(self, pixels: NDArray[np.uint8], asked: Asked, num_classes: int) -> FrameObjects:
        colours = list(range(1, NUM_COLOURS))
        regions = torch.from_numpy(np.stack([pixels[..., 0] == colour for colour in colours]))
        scores = torch.full((len(colours), num_classes), 0.01)
        boxes = torch.full((len(colours), 4), 0.001)
        for row, (colour, region) in enumerate(zip(colours, regions, strict=True)):
            if region.any():
                boxes[row] = _box(region)
                if asked(colour) >= 0:
                    scores[row, asked(colour)] = float(pixels[0, 0, 2]) / 100

        def draw(chosen: Tensor) -> Tensor:
            self.drawn.append(len(chosen))
            return torch.where(regions[chosen], 8.0, -8.0)

        return FrameObjects(
            scores=scores,
            quality=None,
            boxes=boxes,
            draw=draw,
            embed=lambda: 12 * torch.eye(len(colours)),
            size=SIZE,
            mask_stride=1,
        )


def _box(region: Tensor) -> Tensor:
    """cxcywh in 0..1 of a region [H, W]."""
    rows, columns = (region.any(axis).nonzero()[:, 0] for axis in (1, 0))
    (top, bottom), (left, right) = ((float(x[0]), float(x[-1]) + 1) for x in (rows, columns))
    height, width = SIZE
    return torch.tensor(
        [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height]
    )
