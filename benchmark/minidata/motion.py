"""How the things of a clip move, and what a scene looks like at a moment of it.

A clip starts from a still scene. Each thing drifts, sways, enters, leaves, or leaves and returns, and may turn and
grow; regions, the strip and a crowd stay where they are. Depth order never changes. Time runs from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.random import Generator

from benchmark.minidata.scene import Scene, Thing


class MotionKind(StrEnum):
    """What becomes of a thing's place."""

    STILL = "still"
    DRIFT = "drift"
    SWAY = "sway"
    ENTER = "enter"
    LEAVE = "leave"
    RETURN = "return"


SHARES = {
    MotionKind.STILL: 0.15,
    MotionKind.DRIFT: 0.40,
    MotionKind.SWAY: 0.20,
    MotionKind.ENTER: 0.08,
    MotionKind.LEAVE: 0.07,
    MotionKind.RETURN: 0.10,
}
"""How often each kind is drawn; besides, one thing of every clip leaves and returns."""
TURNS, GROWS = 0.3, 0.3
"""Probabilities that a thing turns, and that it grows or shrinks."""
BEYOND = 1.6
"""How far things go that leave and return, as a multiple of the way on which they are just gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """heading: radians, 0 to the right, positive down. reach: pixels. spin: radians in all. growth: final factor."""

    kind: MotionKind
    heading: float
    reach: float
    spin: float = 0.0
    growth: float = 1.0


def sample_motions(rng: Generator, scene: Scene) -> tuple[Motion, ...]:
    """One motion a thing, in the scene's order."""
    returns = int(rng.integers(len(scene.things))) if scene.things else -1
    kinds = list(SHARES)
    drawn = rng.choice(len(kinds), size=len(scene.things), p=list(SHARES.values()))
    return tuple(
        _sample(rng, thing, MotionKind.RETURN if index == returns else kinds[drawn[index]], scene.size)
        for index, thing in enumerate(scene.things)
    )


def _sample(rng: Generator, thing: Thing, kind: MotionKind, size: tuple[int, int]) -> Motion:
    """A motion of that kind which the thing can make from its place."""
    if kind is MotionKind.STILL:
        return Motion(kind=kind, heading=0.0, reach=0.0)
    spin = rng.uniform(0.8, 2.4) * rng.choice([-1, 1]) if rng.random() < TURNS else 0.0
    growth = rng.choice([0.7, 1.4]) if rng.random() < GROWS else 1.0
    if kind in (MotionKind.DRIFT, MotionKind.SWAY):
        ends = (1.0,) if kind is MotionKind.DRIFT else (-0.5, 0.5)
        heading, reach = _way_inside(rng, thing, ends, size)
    else:
        heading, reach = _way_out(thing, float(max(growth, 1.0)), size)
        reach *= BEYOND if kind is MotionKind.RETURN else rng.uniform(1.05, 1.3)
    return Motion(kind=kind, heading=heading, reach=reach, spin=float(spin), growth=float(growth))


def _way_inside(rng: Generator, thing: Thing, ends: tuple[float, ...], size: tuple[int, int]) -> tuple[float, float]:
    """A heading and a distance that keep the centre in the picture at some multiples of the distance."""
    y, x = thing.centre
    heading, reach = 0.0, 0.0
    for _ in range(24):
        heading, reach = rng.uniform(-math.pi, math.pi), rng.uniform(0.15, 0.5) * min(size)
        places = [(y + end * reach * math.sin(heading), x + end * reach * math.cos(heading)) for end in ends]
        if all(0 <= down < size[0] and 0 <= right < size[1] for down, right in places):
            return heading, reach
    return heading, 0.05 * min(size)


def _way_out(thing: Thing, growth: float, size: tuple[int, int]) -> tuple[float, float]:
    """The heading to the nearest border, and the distance after which nothing of the grown thing is seen."""
    (y, x), (height, width) = thing.centre, size
    ways = [(x, math.pi), (width - x, 0.0), (y, -math.pi / 2), (height - y, math.pi / 2)]
    distance, heading = min(ways)
    return heading, distance + 0.75 * growth * thing.diameter


def place(thing: Thing, motion: Motion, time: float) -> Thing:
    """The thing at a time in 0..1."""
    gone = motion.reach * _progress(motion.kind, time)
    y = thing.centre[0] + gone * math.sin(motion.heading)
    x = thing.centre[1] + gone * math.cos(motion.heading)
    return replace(
        thing,
        centre=(y, x),
        angle=thing.angle + motion.spin * time,
        diameter=thing.diameter * motion.growth**time,
    )


def _progress(kind: MotionKind, time: float) -> float:
    """Share of the reach at which a thing is."""
    match kind:
        case MotionKind.STILL:
            return 0.0
        case MotionKind.DRIFT:
            return time
        case MotionKind.SWAY:
            return 0.5 * math.sin(2 * math.pi * time)
        case MotionKind.ENTER:
            return (1 - time) ** 2
        case MotionKind.LEAVE:
            return time**2
        case MotionKind.RETURN:
            return math.sin(math.pi * time) ** 2


def frame(scene: Scene, motions: tuple[Motion, ...], index: int, num_frames: int) -> Scene:
    """The scene as frame `index` of `num_frames` shows it; light stays, sensor noise differs."""
    time = index / max(num_frames - 1, 1)
    things = tuple(place(thing, motion, time) for thing, motion in zip(scene.things, motions, strict=True))
    noise = int(np.random.SeedSequence([scene.lighting.seed, index]).generate_state(1)[0])
    return replace(scene, things=things, lighting=replace(scene.lighting, seed=noise))
