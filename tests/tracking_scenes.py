"""Clips of moving boxes with a tracker that errs in every way that evaluators treat differently.

The same clips are written for the official tools (`freeze_tracking.py`) and measured by ours: both see equal numbers.
Trackers lose objects, swap and renew ids, invent, double and shift boxes; objects leave and return, or are never there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SIZE = (48, 64)
"""(height, width) of every clip."""
CLIPS = ("plain", "crowded", "tied", "gaps", "silent", "alone")
"""silent: the tracker says nothing; alone: nothing is there; tied: boxes repeat exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box. corner, extent: (x, y), (width, height). kind: 0, 1, ... flag: 0 takes it out of the count."""

    object_id: int
    corner: tuple[float, float]
    extent: tuple[float, float]
    kind: int = 0
    flag: int = 1

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """x, y, width, height."""
        return (*self.corner, *self.extent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """truth, found: the boxes of every frame."""

    name: str
    truth: tuple[tuple[Box, ...], ...]
    found: tuple[tuple[Box, ...], ...]

    @property
    def num_frames(self) -> int:
        """Its length."""
        return len(self.truth)


def clip(name: str, *, kinds: int = 1, seed: int = 0, num_frames: int = 24) -> Clip:
    """The clip of that name, the same for equal arguments. kinds: how many classes objects and answers have."""
    dice = np.random.default_rng([seed, kinds, CLIPS.index(name)])
    num_objects = {"crowded": 12, "alone": 0}.get(name, 6)
    step = 4.0 if name == "tied" else 0.0
    truth: list[list[Box]] = [[] for _ in range(num_frames)]
    found: list[list[Box]] = [[] for _ in range(num_frames)]
    renewed = 100
    for object_id in range(1, num_objects + 1):
        place, speed = dice.uniform((4, 4), (44, 32)), dice.uniform(-1.2, 1.2, 2)
        extent = dice.uniform(6, 16, 2)
        kind, flag = int(dice.integers(kinds)), int(dice.random() < 0.9)
        answer, away = 10 + object_id, dice.integers(0, num_frames, 2)
        for frame in range(num_frames):
            place = place + speed
            if name == "gaps" and min(away) <= frame <= max(away):
                continue
            box = _box(object_id, _pair(place, step), _pair(extent, step), kind, flag)
            truth[frame].append(box)
            chance = dice.random(5)
            if chance[0] < 0.08:
                renewed += 1
                answer = renewed
            if chance[1] < 0.8:
                shift = dice.normal(0, 1.4, 4)
                corner, size = _pair(place + shift[:2], step), _pair(np.maximum(extent + shift[2:], 2), step)
                seen = int(dice.integers(kinds)) if chance[2] < 0.1 else kind
                found[frame].append(_box(answer, corner, size, seen))
            if chance[3] < 0.12:
                found[frame].append(_box(200 + object_id, _pair(place + 1, step), _pair(extent, step), kind))
    for frame in range(num_frames):
        for number in range(int(dice.integers(0, 3))):
            corner, size = dice.uniform((0, 0), (50, 36)), dice.uniform(4, 14, 2)
            found[frame].append(_box(300 + number, _pair(corner, step), _pair(size, step), int(dice.integers(kinds))))
        if dice.random() < 0.08 or name == "silent":
            found[frame] = []
        if dice.random() < 0.08:
            truth[frame] = []
        order = dice.permutation(len(found[frame]))
        found[frame] = [found[frame][place] for place in order]
    _swap(found, num_frames // 2)
    return Clip(name=name, truth=tuple(map(tuple, truth)), found=tuple(map(tuple, found)))


def _swap(found: list[list[Box]], since: int) -> None:
    """Exchange ids 11 and 12 from a frame on."""
    other = {11: 12, 12: 11}
    for frame in range(since, len(found)):
        found[frame] = [replace(box, object_id=other.get(box.object_id, box.object_id)) for box in found[frame]]


def _box(object_id: int, corner: tuple[float, float], extent: tuple[float, float], kind: int, flag: int = 1) -> Box:
    return Box(object_id=object_id, corner=corner, extent=extent, kind=kind, flag=flag)


def _pair(values: NDArray[np.float64], step: float) -> tuple[float, float]:
    """Rounded to tenths, or to multiples of `step`."""
    rounded = np.round(values / step) * step if step else np.round(values, 1)
    return float(rounded[0]), float(rounded[1])


def id_map(boxes: Sequence[Box]) -> NDArray[np.int64]:
    """int64 [H, W]: the boxes as ellipses, later ones in front; 0 where there is none, else its place from 1."""
    drawn = np.zeros(SIZE, np.int64)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for place, box in enumerate(boxes, start=1):
        (x, y), (wide, high) = box.corner, box.extent
        inside = ((columns - x - wide / 2) / (wide / 2)) ** 2 + ((rows - y - high / 2) / (high / 2)) ** 2 <= 1
        drawn[inside] = place
    return drawn
