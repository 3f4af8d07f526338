"""Drawn-by-dice scenes for the metric tests, from a table of scenarios; `scene_views.py` shows them to the metrics.

A scene has no label set: its classes are slots 0-3 (things) and 4-6 (stuff).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SIZE = (56, 72)
NUM_THING_SLOTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One listed region of a scene's map. index: its value there."""

    index: int
    slot: int
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One predicted object; detections may overlap. mask: bool [H, W]."""

    mask: NDArray[np.bool_]
    slot: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Truth and prediction of one image. truth, found: int32 [H, W], 0 is void.

    area_scale: stated over counted truth area. overlaps: further truths, for layouts that allow truths to overlap.
    """

    number: int
    truth: NDArray[np.int32]
    truth_regions: tuple[Region, ...]
    found: NDArray[np.int32]
    found_regions: tuple[Region, ...]
    detections: tuple[Detection, ...]
    area_scale: float
    overlaps: tuple[tuple[NDArray[np.bool_], Region], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What sets a scenario apart from the typical one; shares are chances per object or image."""

    slots: tuple[int, ...] = (0, 1, 2, 4, 5)
    found_slots: tuple[int, ...] | None = None
    num_things: int = 6
    radius: tuple[int, int] = (3, 14)
    num_crowds: int = 0
    num_voids: int = 1
    share_empty_found: float = 0.1
    share_empty_truth: float = 0.1
    score_step: float = 0.0
    num_copies: int = 1
    num_overlaps: int = 0


SCENARIOS: Mapping[str, Scenario] = {
    "typical": Scenario(),
    "crowd": Scenario(num_crowds=3),
    "void": Scenario(num_voids=6),
    "empty_prediction": Scenario(share_empty_found=1.0),
    "empty_truth": Scenario(share_empty_truth=1.0),
    "ties": Scenario(score_step=0.25, num_things=10),
    "single_class": Scenario(slots=(0, 4), num_things=10),
    "absent_class": Scenario(slots=(0, 1, 4), found_slots=(0, 1, 2, 3, 4, 5, 6)),
    "duplicates": Scenario(num_copies=3, score_step=0.1),
    "tiny": Scenario(radius=(1, 3), num_things=20),
    "overlapping_truth": Scenario(num_crowds=1, num_overlaps=8, num_copies=2),
}


def scenes(name: str, *, num: int = 8, seed: int = 0) -> list[Scene]:
    """`num` scenes of one scenario, the same for the same seed."""
    generator = np.random.default_rng([seed, sorted(SCENARIOS).index(name)])
    return [_scene(SCENARIOS[name], number + 1, generator) for number in range(num)]


def _scene(scenario: Scenario, number: int, dice: np.random.Generator) -> Scene:
    truth = np.zeros(SIZE, np.int32)
    regions: list[Region] = []
    if dice.random() >= scenario.share_empty_truth:
        things = [slot for slot in scenario.slots if slot < NUM_THING_SLOTS]
        stuff = [slot for slot in scenario.slots if slot >= NUM_THING_SLOTS]
        for place, slot in enumerate(stuff):
            regions.append(Region(index=len(regions) + 1, slot=slot))
            truth[:, SIZE[1] * place // len(stuff) :] = regions[-1].index
        for place in range(scenario.num_things + scenario.num_crowds):
            is_crowd = place >= scenario.num_things
            regions.append(Region(index=len(regions) + 1, slot=int(dice.choice(things)), is_crowd=is_crowd))
            truth[_ellipse(scenario.radius, dice)] = regions[-1].index
    for _ in range(scenario.num_voids):
        truth[_ellipse((2, 12), dice)] = 0
    is_empty = dice.random() < scenario.share_empty_found
    found, found_regions = _found_map(scenario, truth, regions, is_empty, dice)
    return Scene(
        number=number,
        truth=truth,
        truth_regions=tuple(region for region in regions if (truth == region.index).any()),
        found=found,
        found_regions=found_regions,
        detections=() if is_empty else _detections(scenario, truth, regions, dice),
        area_scale=float(dice.choice([1.0, 9.0, 90.0])),
        overlaps=_overlaps(scenario, truth, regions, dice),
    )


def _overlaps(
    scenario: Scenario, truth: NDArray[np.int32], regions: Sequence[Region], dice: np.random.Generator
) -> tuple[tuple[NDArray[np.bool_], Region], ...]:
    """Things once more, in place or one pixel aside, some as a crowd."""
    things = [region for region in regions if region.slot < NUM_THING_SLOTS and (truth == region.index).any()]
    found = []
    for _ in range(scenario.num_overlaps if things else 0):
        region = things[dice.integers(len(things))]
        mask = np.roll(truth == region.index, dice.integers(0, 2), axis=1)
        found.append((mask, replace(region, is_crowd=bool(dice.random() < 0.3))))
    return tuple(found)


def _ellipse(radius: tuple[int, int], dice: np.random.Generator) -> NDArray[np.bool_]:
    (y, x), (high, wide) = dice.integers(0, SIZE), dice.integers(radius[0], radius[1] + 1, 2)
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return ((rows - y) / (high + 0.3)) ** 2 + ((columns - x) / (wide + 0.3)) ** 2 <= 1


def _found_map(
    scenario: Scenario, truth: NDArray[np.int32], regions: Sequence[Region], is_empty: bool, dice: np.random.Generator
) -> tuple[NDArray[np.int32], tuple[Region, ...]]:
    if is_empty:
        return np.zeros(SIZE, np.int32), ()
    slots = scenario.found_slots or scenario.slots
    found = np.roll(truth, dice.integers(-1, 2, 2), axis=(0, 1))
    kept = []
    for region in regions:
        if dice.random() < 0.12:
            found[found == region.index] = 0
        slot = int(dice.choice(slots)) if dice.random() < 0.15 else region.slot
        kept.append(Region(index=region.index, slot=slot))
    for _ in range(2):
        kept.append(Region(index=len(regions) + len(kept) + 1, slot=int(dice.choice(slots))))
        found[_ellipse((2, 10), dice)] = kept[-1].index
    return found, tuple(region for region in kept if (found == region.index).any())


def _detections(
    scenario: Scenario, truth: NDArray[np.int32], regions: Sequence[Region], dice: np.random.Generator
) -> tuple[Detection, ...]:
    slots = [slot for slot in scenario.found_slots or scenario.slots if slot < NUM_THING_SLOTS]
    shapes = []
    for region in regions:
        if region.slot < NUM_THING_SLOTS and dice.random() < 0.9:
            for _ in range(scenario.num_copies):
                mask = np.roll(truth == region.index, dice.integers(-1, 2, 2), axis=(0, 1))
                slot = int(dice.choice(slots)) if dice.random() < 0.1 else region.slot
                shapes.append((mask & (dice.random(SIZE) < 0.97), slot))
    shapes += [(_ellipse((2, 10), dice), int(dice.choice(slots))) for _ in range(4)]
    found = []
    for mask, slot in shapes:
        score = float(dice.random())
        if scenario.score_step:
            score = round(score / scenario.score_step) * scenario.score_step
        found.append(Detection(mask=mask, slot=slot, score=score))
    return tuple(found)
