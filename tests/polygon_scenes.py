"""Scenes of drawn polygons, as large and as full as those of the real data sets, in the official layouts.

Unlike the mini data they show nothing (pictures are black) and are drawn in milliseconds: for measuring speed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark import labels
from benchmark.annotated import AnnotatedImage
from benchmark.contract import Panoptic, Segment
from benchmark.formats import ade20k, cityscapes, coco
from benchmark.labels import LabelClass, LabelSet

BANDS = 5
"""Stretches of stuff from top to bottom that fill a scene before anything else is drawn."""
TALL, WIDE = 3.0, 0.7
VOIDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the scenes of a data set look. size: (height, width). things, stuff: polygons of each in a scene."""

    layout: ModuleType
    folder: str
    label_set: str
    size: tuple[int, int]
    num_scenes: int
    things: int
    stuff: int


KINDS: Mapping[str, Kind] = {
    "coco": Kind(
        layout=coco, folder="coco", label_set="coco_panoptic", size=(480, 640), num_scenes=200, things=8, stuff=4
    ),
    "ade20k": Kind(
        layout=ade20k,
        folder="ade20k/ADEChallengeData2016",
        label_set="ade20k",
        size=(512, 683),
        num_scenes=100,
        things=12,
        stuff=12,
    ),
    "cityscapes": Kind(
        layout=cityscapes,
        folder="cityscapes",
        label_set="cityscapes",
        size=(1024, 2048),
        num_scenes=20,
        things=22,
        stuff=60,
    ),
}


def write_scenes(root: Path, kind: Kind, *, seed: int = 0) -> None:
    """Draw and write the scenes of one data set below a data root, as its val split."""
    names, dice = labels.load(kind.label_set), np.random.default_rng(seed)
    images = (_scene(number, kind, names, dice) for number in range(1, kind.num_scenes + 1))
    kind.layout.write_split(root / kind.folder, "val", images, names)


def _scene(number: int, kind: Kind, names: LabelSet, dice: np.random.Generator) -> AnnotatedImage:
    height, width = kind.size
    canvas = _Canvas(ids=np.zeros(kind.size, np.int32), segments=[])
    things = [row for row in names.classes if row.is_thing]
    stuff = [row for row in names.classes if not row.is_thing]
    for top in np.linspace(0.0, 0.8, BANDS):
        canvas.add(stuff[dice.integers(len(stuff))], _band(top, kind.size, dice))
    for _ in range(kind.stuff):
        centre = dice.random(2) * (width, height)
        canvas.add(stuff[dice.integers(len(stuff))], _polygon(centre, height * dice.lognormal(-2.6, 0.6), dice))
    for place in range(kind.things):
        centre = np.array((dice.random() * width, dice.normal(0.55, 0.15) * height))
        outline = _polygon(centre, height * dice.lognormal(-2.9, 0.7), dice)
        canvas.add(things[dice.integers(len(things))], outline, is_crowd=place * 10 < kind.things)
    for _ in range(VOIDS):
        cv2.fillPoly(canvas.ids, [_polygon(dice.random(2) * (width, height), height * 0.03, dice)], 0)
    seen = set(np.unique(canvas.ids).tolist())
    segments = tuple(segment for segment in canvas.segments if segment.id in seen)
    panoptic = Panoptic(segment_id=canvas.ids, segments=segments)
    return AnnotatedImage(number=number, image=np.zeros((height, width, 3), np.uint8), panoptic=panoptic)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A panoptic map while it is drawn. ids: int32 [H, W]."""

    ids: NDArray[np.int32]
    segments: list[Segment]

    def add(self, row: LabelClass, outline: NDArray[np.int32], *, is_crowd: bool = False) -> None:
        """Draw one polygon int32 [N, 2]; all stuff of a class is one segment, and so are its crowds."""
        new = Segment(id=len(self.segments) + 1, class_index=row.class_index, is_crowd=is_crowd)
        alike = [one.id for one in self.segments if replace(one, id=new.id) == new]
        is_single = row.is_thing and not is_crowd
        if is_single or not alike:
            self.segments.append(new)
        cv2.fillPoly(self.ids, [outline], new.id if is_single or not alike else alike[0])


def _band(top: float, size: tuple[int, int], dice: np.random.Generator) -> NDArray[np.int32]:
    """Everything below a wavy line, int32 [N, 2]."""
    height, width = size
    x = np.linspace(0, width, 40)
    y = top * height + dice.normal(0, 0.008 * height, x.size).cumsum() if top else np.full(x.size, -1.0)
    corners = [[width, height], [0, height]]
    return np.concatenate((np.stack((x, y), axis=1), corners)).astype(np.int32)


def _polygon(centre: NDArray[np.float64], radius: float, dice: np.random.Generator) -> NDArray[np.int32]:
    """A ragged outline around a centre (x, y), int32 [N, 2]."""
    angle = np.sort(dice.random(dice.integers(10, 40))) * 2 * math.pi
    reach = radius * (0.6 + 0.5 * dice.random(angle.size))
    stretch = dice.choice([WIDE, 1.0, TALL])
    return (centre + np.stack((reach * np.cos(angle), stretch * reach * np.sin(angle)), axis=1)).astype(np.int32)
