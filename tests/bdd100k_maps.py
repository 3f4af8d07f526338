"""Dice-drawn panoptic bitmasks of BDD100K: crowds, ignored segments, "unlabeled" ones and predictions that are near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE = (40, 50)
NUM_CASES = 30
CLASSES = (0, 0, 1, 31, 35, 40, 7)
ATTRIBUTES = (0, 0, 0, 8, 2, 1, 12)


def draw(case: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Truth and prediction of a case, uint8 [H, W, 4] each."""
    dice = np.random.default_rng([1, case])
    truth = _painted(np.zeros((*SIZE, 4), np.uint8), int(dice.integers(0, 10)), 0, dice)
    near = np.roll(truth, int(dice.integers(-3, 4)), axis=1) if case % 5 else np.zeros((*SIZE, 4), np.uint8)
    return truth, _painted(near, int(dice.integers(1, 4)), 300, dice)


def _painted(pixels: NDArray[np.uint8], num: int, first: int, dice: np.random.Generator) -> NDArray[np.uint8]:
    """With `num` ellipses over it, numbered from `first` + 1."""
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    for number in range(first + 1, first + num + 1):
        (y, x), (high, wide) = dice.integers((0, 0), SIZE), dice.integers(3, 18, 2)
        inside = ((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 <= 1
        kind, bits = int(dice.choice(CLASSES)), int(dice.choice(ATTRIBUTES))
        pixels[inside] = (kind, bits, number >> 8, number & 255)
    return pixels
