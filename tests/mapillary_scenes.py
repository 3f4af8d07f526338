"""Dice-drawn truth and results of Mapillary Vistas: void, tiny objects, equal confidences, classes that are absent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZE = (70, 90)
NUM_IMAGES = 5
CASES = {
    "typical": ("mapillary_v12", 1),
    "void": ("mapillary_v12", 2),
    "tiny": ("mapillary_v12", 3),
    "ties": ("mapillary_v12", 4),
    "nothing": ("mapillary_v12", 5),
    "version 2": ("mapillary_v20", 6),
}
"""Case -> (label set, seed)."""
LABELS = {"mapillary_v12": (13, 27, 19, 52, 55, 45, 65), "mapillary_v20": (21, 61, 30, 31, 105, 108, 85, 123)}
"""Label ids that are drawn: two of stuff, things, and what is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One image. truth: uint16 [H, W], label id x 256 + number. found: uint8 [H, W], label ids.

    objects: (mask bool [H, W], label id, confidence) of the results.
    """

    key: str
    truth: NDArray[np.uint16]
    found: NDArray[np.uint8]
    objects: list[tuple[NDArray[np.bool_], int, float]]


def draw(case: str) -> list[Drawn]:
    """The images of a case."""
    labels, seed = CASES[case]
    dice = np.random.default_rng([9, seed])
    return [_image(f"{seed}-{number}", case, LABELS[labels], dice) for number in range(NUM_IMAGES)]


def _image(key: str, case: str, ids: tuple[int, ...], dice: np.random.Generator) -> Drawn:
    truth = np.full(SIZE, ids[0] * 256, np.uint16)
    truth[: int(dice.integers(5, 40))] = ids[1] * 256
    void = ids[-1] * 256
    truth[:, : int(dice.integers(0, 30 if case == "void" else 6))] = void
    objects = []
    for number in range(1, int(dice.integers(3, 10))):
        inside = _ellipse(dice, 10 if case == "tiny" else 22)
        label = int(dice.choice(ids[2:-1]))
        truth[inside] = label * 256 + number
        for _ in range(int(dice.integers(0, 3))):
            moved = np.roll(inside, dice.integers(-3, 4, 2), axis=(0, 1))
            objects.append((moved, label if dice.random() < 0.8 else int(dice.choice(ids[2:-1])), _score(case, dice)))
    for _ in range(int(dice.integers(0, 4))):
        objects.append((_ellipse(dice, 15), int(dice.choice(ids[2:-1])), _score(case, dice)))
    objects.append((np.zeros(SIZE, bool), ids[2], 0.5))
    found = np.roll(truth // 256, int(dice.integers(-2, 3)), axis=1).astype(np.uint8)
    found[_ellipse(dice, 25)] = ids[-1]
    found[_ellipse(dice, 12)] = 63 if ids[-1] == 65 else 118
    return Drawn(key=key, truth=truth, found=found, objects=[] if case == "nothing" else objects)


def _score(case: str, dice: np.random.Generator) -> float:
    return float(dice.integers(1, 4) / 4 if case == "ties" else dice.random())


def _ellipse(dice: np.random.Generator, most: int) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    (y, x), (high, wide) = dice.integers((0, 0), SIZE), dice.integers(2, most, 2)
    return np.asarray(((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 <= 1)
