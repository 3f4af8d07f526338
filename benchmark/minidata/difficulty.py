"""How hard the mini data are: occlusion, look-alikes, crowds, void, and what colour alone would tell.

Counted from the scene records that generation wrote (`scenes/<split>.jsonl`), not from the label files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.minidata import scenes
from benchmark.minidata.scene import SPLITS, STUFF_KINDS, THING_KINDS

OCCLUDED_FROM = 0.1
"""Hidden share from which a thing counts as partly occluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts over one split. Shares are fractions of scenes unless named otherwise.

    things_per_scene: int64 [num_scenes], visible things, crowds not counted. occluded: fraction of things of which at
    least a tenth is hidden. look_alikes: scenes with two things of one colour and pattern but different kinds.
    told_by_colour: fraction of stuff regions whose class is the nearest mean colour (0.25 is chance). diameters:
    float64 [num_things], pixels.
    """

    num_scenes: int
    size: tuple[int, int]
    things_per_scene: NDArray[np.int64]
    occluded: float
    look_alikes: float
    crowds: float
    void: float
    void_pixels: float
    told_by_colour: float
    diameters: NDArray[np.float64]
    num_by_kind: dict[str, int]
    pairs: frozenset[tuple[str, str]]


def count(records: Sequence[dict[str, Any]]) -> Statistics:
    """Statistics of the scene records of one split (at least one)."""
    things = [thing for record in records for thing in record["things"]]
    kinds = Counter(part["kind"] for record in records for part in (*record["things"], *record["regions"]))
    height, width = records[0]["size"]
    return Statistics(
        num_scenes=len(records),
        size=(height, width),
        things_per_scene=np.array([len(record["things"]) for record in records], np.int64),
        occluded=float(np.mean([thing["hidden"] >= OCCLUDED_FROM for thing in things])),
        look_alikes=float(np.mean([has_look_alike(record) for record in records])),
        crowds=float(np.mean([record["crowd"] is not None for record in records])),
        void=float(np.mean([record["void_pixels"] > 0 for record in records])),
        void_pixels=float(np.mean([record["void_pixels"] for record in records]) / (height * width)),
        told_by_colour=_told_by_colour(records),
        diameters=np.array([thing["diameter"] for thing in things]),
        num_by_kind={kind: kinds[kind] for kind in THING_KINDS + STUFF_KINDS},
        pairs=frozenset((thing["kind"], thing["colour"]) for thing in things),
    )


def has_look_alike(record: dict[str, Any]) -> bool:
    """Whether two things of different kinds share colour and pattern."""
    return any(
        one["kind"] != other["kind"] and (one["colour"], one["pattern"]) == (other["colour"], other["pattern"])
        for one, other in combinations(record["things"], 2)
    )


def _told_by_colour(records: Sequence[dict[str, Any]]) -> float:
    """Accuracy of the nearest class mean over the mean colours of the background regions."""
    regions = [region for record in records for region in record["regions"]]
    colours = np.array([region["mean_rgb"] for region in regions], np.float64)
    truth = np.array([STUFF_KINDS.index(region["kind"]) for region in regions])
    present = np.unique(truth)
    means = np.stack([colours[truth == index].mean(axis=0) for index in present])
    nearest = present[((colours[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)]
    return float(np.mean(nearest == truth))


def describe(root: Path) -> list[str]:
    """Lines of text about every split of a generated data root."""
    lines: list[str] = []
    for split in SPLITS:
        records = list(scenes.read(root, split))
        if records:
            lines.extend(_lines(split, count(records)))
    return lines


def _lines(split: str, found: Statistics) -> list[str]:
    """One paragraph."""
    per_scene, (height, width) = found.things_per_scene, found.size
    low, middle, high = np.percentile(found.diameters, [0, 50, 100])
    counts = ", ".join(f"{kind} {number}" for kind, number in found.num_by_kind.items())
    return [
        f"{split}: {found.num_scenes} scenes of {height}x{width} pixels, {int(per_scene.sum())} things",
        f"  things a scene: median {np.median(per_scene):g}, {per_scene.min()} to {per_scene.max()}",
        f"  diameter: {low:.0f} to {high:.0f} pixels, median {middle:.0f}",
        f"  partly occluded (a tenth or more hidden): {found.occluded:.1%} of the things",
        f"  look-alike distractor (same colour and pattern, other kind): {found.look_alikes:.1%} of the scenes",
        f"  crowd region: {found.crowds:.1%} of the scenes",
        f"  unlabelled strip: {found.void:.1%} of the scenes, {found.void_pixels:.1%} of all pixels",
        f"  stuff told by its mean colour alone: {found.told_by_colour:.1%} (chance 25 %)",
        f"  segments: {counts}",
    ]
