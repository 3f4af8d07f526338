"""Sample scenes from seeds: where things lie, what they look like, what hides what.

Each scene depends on its own seed only, so any number of processes in any order draw the same world. The split decides
which (kind, colour) pairs may appear; `scene_seed` keeps the seeds of the splits apart.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmark.minidata.render import render
from benchmark.minidata.scene import (
    COLOURS,
    HELDOUT_PAIRS,
    PATTERNS,
    SPLITS,
    STUFF_KINDS,
    THING_KINDS,
    Border,
    Crowd,
    Lighting,
    Region,
    Rgb,
    Scene,
    Strip,
    Thing,
)
from benchmark.minidata.silhouettes import Coverage, coverage

__all__ = ["hidden_shares", "render", "sample_scene", "scene_seed"]

SEEDS_PER_SPLIT = 1_000_000
NUM_PER_SCENE = (4, 10)
MAX_HIDDEN_SHARE = 0.70
MIN_VISIBLE_PIXELS = 40
DIAMETERS = (18.0, 50.0)
EMPTY_SCENES, CROWDS, STRIPS, LOOK_ALIKES, OVERLAPS = 0.01, 0.10, 0.15, 0.50, 0.62
"""Probabilities: no thing, a crowd, an unlabelled strip, a look-alike (all a scene); lying over another (a thing)."""


def scene_seed(seed: int, split: str, number: int) -> int:
    """The seed of image `number` (from 1) of a split; different for every (seed, split, number)."""
    return (seed * len(SPLITS) + SPLITS.index(split)) * SEEDS_PER_SPLIT + number


def sample_scene(seed: int, split: str, size: tuple[int, int] = (128, 128)) -> Scene:
    """The scene of one seed. size: (height, width); objects scale with its shorter side."""
    rng = np.random.default_rng(seed)
    regions = _sample_regions(rng, size)
    strip = _sample_strip(rng, size) if rng.random() < STRIPS else None
    crowd = _sample_crowd(rng, split, size) if rng.random() < CROWDS else None
    is_empty = rng.random() < EMPTY_SCENES
    things = () if is_empty else _sample_things(rng, split, size)
    return Scene(
        seed=seed,
        split=split,
        size=size,
        regions=regions,
        strip=strip,
        crowd=None if is_empty else crowd,
        things=things,
        lighting=_sample_lighting(rng),
    )


def _sample_things(rng: Generator, split: str, size: tuple[int, int]) -> tuple[Thing, ...]:
    """4 to 10 things, back to front; those that end up mostly hidden are taken out again."""
    target = int(rng.integers(NUM_PER_SCENE[0], NUM_PER_SCENE[1] + 1))
    look_alike_at = int(rng.integers(2, target - 1)) if rng.random() < LOOK_ALIKES else -1
    things: list[Thing] = []
    for position in range(target):
        is_heldout = split == "heldout" and (position == target - 1 or rng.random() < 0.5)
        thing = _sample_looks(rng, split, size, is_heldout=is_heldout)
        if position == look_alike_at:
            thing = _look_alike(rng, thing, things[int(rng.integers(len(things)))], split)
        things.append(_place(rng, thing, things, size))
    things = _drop_hidden(things, size)
    while len(things) < NUM_PER_SCENE[0]:
        thing = _sample_looks(rng, split, size, is_heldout=split == "heldout")
        things = _drop_hidden([*things, _place(rng, thing, things, size)], size)
    return tuple(things)


def _drop_hidden(things: list[Thing], size: tuple[int, int]) -> list[Thing]:
    """The things of which enough is seen."""
    shares, pixels = hidden_shares(things, size)
    keep = (shares <= MAX_HIDDEN_SHARE) & (pixels >= MIN_VISIBLE_PIXELS * min(size) ** 2 / 128**2)
    return [thing for thing, is_kept in zip(things, keep, strict=True) if is_kept]


def hidden_shares(
    things: tuple[Thing, ...] | list[Thing], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Share of each thing's own pixels that later things hide, float64 [N], and its visible pixels, int64 [N]."""
    owner = np.zeros(size, np.int32)
    full = np.zeros(len(things), np.int64)
    for index, thing in enumerate(things):
        inside = _inside(coverage(thing, size), owner)
        full[index] = int(inside[1].sum())
        inside[0][inside[1]] = index + 1
    visible = np.bincount(owner.ravel(), minlength=len(things) + 1)[1:]
    return 1 - visible / np.maximum(full, 1), visible


def _inside(cover: Coverage, owner: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The window of `owner` under a patch, and the bool mask of the patch's own pixels."""
    height, width = cover.alpha.shape
    return owner[cover.top : cover.top + height, cover.left : cover.left + width], cover.alpha >= 0.5


def _sample_looks(rng: Generator, split: str, size: tuple[int, int], *, is_heldout: bool) -> Thing:
    """A thing without a place yet."""
    kind, colour = _sample_pair(rng, split, is_heldout=is_heldout)
    low, high = (math.log(length * min(size) / 128) for length in DIAMETERS)
    return Thing(
        kind=kind,
        colour=colour,
        pattern=PATTERNS[int(rng.integers(len(PATTERNS)))],
        rgb=_jitter(rng, COLOURS[colour]),
        second_rgb=_second_colour(rng, colour),
        centre=(0.0, 0.0),
        diameter=math.exp(rng.uniform(low, high)),
        angle=rng.uniform(-0.45, 0.45),
        phase=rng.random(),
    )


def _sample_pair(rng: Generator, split: str, *, is_heldout: bool) -> tuple[str, str]:
    """A (kind, colour) pair that the split may show."""
    if is_heldout:
        pairs = sorted(HELDOUT_PAIRS)
        return pairs[int(rng.integers(len(pairs)))]
    while True:
        kind = THING_KINDS[int(rng.integers(len(THING_KINDS)))]
        colour = tuple(COLOURS)[int(rng.integers(len(COLOURS)))]
        if (kind, colour) not in HELDOUT_PAIRS:
            return kind, colour


def _second_colour(rng: Generator, colour: str) -> Rgb:
    """The other colour of a pattern: near white, near black, or another hue."""
    choice = rng.random()
    if choice < 0.3:
        return _jitter(rng, (232, 230, 226))
    if choice < 0.6:
        return _jitter(rng, (38, 36, 40))
    others = [name for name in COLOURS if name != colour]
    return _jitter(rng, COLOURS[others[int(rng.integers(len(others)))]])


def _look_alike(rng: Generator, looks: Thing, model: Thing, split: str) -> Thing:
    """The same colour and pattern as `model` on another kind that the split may show in that colour."""
    kinds = [
        kind
        for kind in THING_KINDS
        if kind != model.kind and (split == "heldout" or (kind, model.colour) not in HELDOUT_PAIRS)
    ]
    kind = kinds[int(rng.integers(len(kinds)))]
    return replace(
        looks, kind=kind, colour=model.colour, pattern=model.pattern, rgb=model.rgb, second_rgb=model.second_rgb
    )


def _place(rng: Generator, thing: Thing, others: list[Thing], size: tuple[int, int]) -> Thing:
    """Lay the thing over part of another one, or where it touches nothing if a free place is found."""
    if others and rng.random() < OVERLAPS:
        other = others[int(rng.integers(len(others)))]
        gap = (thing.diameter + other.diameter) / 2 * rng.uniform(0.45, 0.8)
        angle = rng.uniform(0, 2 * math.pi)
        y, x = other.centre[0] + gap * math.sin(angle), other.centre[1] + gap * math.cos(angle)
        if 0 <= y < size[0] and 0 <= x < size[1]:
            return replace(thing, centre=(y, x))
    margin = 0.3 * thing.diameter
    for _ in range(24):
        centre = rng.uniform(margin, size[0] - margin), rng.uniform(margin, size[1] - margin)
        if all(math.dist(centre, other.centre) > 0.54 * (thing.diameter + other.diameter) for other in others):
            break
    return replace(thing, centre=centre)


def _sample_crowd(rng: Generator, split: str, size: tuple[int, int]) -> Crowd:
    """6 to 12 small things of one kind and colour around one point."""
    looks = _sample_looks(rng, split, size, is_heldout=False)
    scale = min(size) / 128
    spread = rng.uniform(13, 19) * scale
    centre = rng.uniform(spread, size[0] - spread), rng.uniform(spread, size[1] - spread)
    members = []
    for _ in range(int(rng.integers(6, 13))):
        place = (centre[0] + rng.normal(0, spread * 0.75), centre[1] + rng.normal(0, spread * 0.75))
        place = (min(max(place[0], 4.0), size[0] - 4.0), min(max(place[1], 4.0), size[1] - 4.0))
        diameter = rng.uniform(8, 12) * scale
        members.append(replace(looks, centre=place, diameter=diameter, angle=rng.uniform(-0.45, 0.45), pattern="plain"))
    return Crowd(members=tuple(members))


def _sample_regions(rng: Generator, size: tuple[int, int]) -> tuple[Region, ...]:
    """2 to 4 background regions of different kinds."""
    kinds = [STUFF_KINDS[index] for index in rng.permutation(len(STUFF_KINDS))[: int(rng.integers(2, 5))]]
    angle = rng.normal(0, 0.35) if rng.random() < 0.7 else rng.uniform(0, 2 * math.pi)
    regions = []
    for position, kind in enumerate(kinds):
        low, high = _tones(rng)
        share = position / len(kinds) + rng.uniform(-0.08, 0.08)
        border = None if position == 0 else _sample_border(rng, size, angle + rng.normal(0, 0.18), share)
        regions.append(
            Region(
                kind=kind,
                low=low,
                high=high,
                period=rng.uniform(6.0, 8.5),
                phase=rng.uniform(0, 2 * math.pi),
                seed=int(rng.integers(2**32)),
                border=border,
            )
        )
    return tuple(regions)


def _sample_border(rng: Generator, size: tuple[int, int], angle: float, share: float) -> Border:
    """A border that leaves about `share` of the image on the near side."""
    cos, sin = math.cos(angle), math.sin(angle)
    corners = [y * cos + x * sin for y in (0, size[0]) for x in (0, size[1])]
    return Border(
        angle=angle,
        offset=min(corners) + share * (max(corners) - min(corners)),
        bend=rng.uniform(0, 0.05) * min(size),
        wavelength=rng.uniform(0.5, 1.2) * min(size),
        phase=rng.uniform(0, 2 * math.pi),
    )


def _sample_strip(rng: Generator, size: tuple[int, int]) -> Strip:
    """A slanted band of 6 to 14 pixels (at 128) without a label."""
    border = _sample_border(rng, size, rng.uniform(0, 2 * math.pi), rng.uniform(0.15, 0.8))
    far = replace(border, offset=border.offset + rng.uniform(6, 14) * min(size) / 128)
    grey = int(rng.integers(90, 170))
    return Strip(border=border, far_border=far, rgb=_jitter(rng, (grey, grey, grey)))


def _sample_lighting(rng: Generator) -> Lighting:
    """Light that falls or rises across the image, and noise."""
    return Lighting(
        angle=rng.uniform(0, 2 * math.pi),
        near=rng.uniform(0.75, 1.0),
        far=rng.uniform(0.95, 1.15),
        noise=rng.uniform(2.0, 5.0),
        seed=int(rng.integers(2**32)),
    )


def _tones(rng: Generator) -> tuple[Rgb, Rgb]:
    """Two tones of one colour, any hue, the range shared by all stuff kinds."""
    hue, saturation, value = rng.random(), rng.uniform(0.15, 0.7), rng.uniform(0.45, 0.9)
    contrast = rng.uniform(0.58, 0.72)
    low, high = _hsv(hue, saturation, value * contrast), _hsv(hue, saturation * 0.9, value)
    return (low, high) if rng.random() < 0.5 else (high, low)


def _hsv(hue: float, saturation: float, value: float) -> Rgb:
    """RGB 0..255 of a colour given in 0..1."""
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _jitter(rng: Generator, colour: Rgb) -> Rgb:
    """A colour a little off."""
    red, green, blue = (int(value) for value in np.clip(np.array(colour) + rng.integers(-18, 19, 3), 0, 255))
    return red, green, blue
