"""Dice-drawn instance bitmasks of BDD100K with scores: crowds, ignored truths, equal scores, splits and near misses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE = (120, 160)
NUM_IMAGES = 6
CASES = {"typical": 1, "crowds": 2, "ignored": 3, "ties": 4, "nothing found": 5}
ATTRIBUTES = {"crowds": (0, 2, 2, 3), "ignored": (0, 1, 1, 0)}
"""Attribute bytes that truths are given; the others are plain, occluded or truncated, seldom ignored."""
Pixels = NDArray[np.uint8]


def draw(case: str) -> list[tuple[str, Pixels, Pixels, dict[str, Any]]]:
    """(name, truth, bitmask of the results, entry of the scores) of every image; bitmasks are uint8 [H, W, 4]."""
    dice = np.random.default_rng([7, CASES[case]])
    found = []
    for number in range(NUM_IMAGES):
        truth = np.zeros((*SIZE, 4), np.uint8)
        _paint(truth, int(dice.integers(2, 12)), 0, ATTRIBUTES.get(case, (0, 0, 0, 4, 8, 1)), dice)
        result = np.roll(truth, int(dice.integers(-3, 4)), axis=1)
        result[..., 1] = 0
        _split(result, dice)
        _paint(result, int(dice.integers(0, 5)), 100, (0,), dice)
        entry = {"name": f"{case}-{number}.jpg", "labels": _labels(result, case, dice)}
        found.append((f"{case}-{number}", truth, result, entry))
    return found


def _paint(pixels: Pixels, num: int, first: int, attributes: tuple[int, ...], dice: np.random.Generator) -> None:
    """Ellipses over what is there, numbered from `first` + 1; one corner stays background."""
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    for number in range(first + 1, first + num + 1):
        (y, x), (high, wide) = dice.integers((0, 0), SIZE), dice.integers(3, 48, 2)
        inside = ((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 <= 1
        pixels[inside] = (int(dice.integers(1, 5)), int(dice.choice(attributes)), number >> 8, number & 255)
    pixels[0, 0] = 0


def _split(pixels: Pixels, dice: np.random.Generator) -> None:
    """Give the lower part of some objects a number of its own, so that two results lie on one truth."""
    for number in np.unique(pixels[..., 3]).tolist():
        if number and dice.random() < 0.3:
            lower = (pixels[..., 3] == number) & (np.arange(SIZE[0])[:, None] > dice.integers(SIZE[0]))
            pixels[lower, 3] = 200 + number % 50


def _labels(pixels: Pixels, case: str, dice: np.random.Generator) -> list[dict[str, Any]]:
    """Scores of the instances in a random order, of one that is not drawn, and not of all."""
    numbers = [int(one) for one in dice.permutation(np.unique(pixels[..., 3])) if one]
    listed = [] if case == "nothing found" else [*numbers[: len(numbers) - int(dice.integers(0, 2))], 99]
    scores = dice.integers(1, 4, len(listed)) / 4 if case == "ties" else dice.random(len(listed))
    return [
        {"id": str(one), "index": one, "score": float(score)}
        for one, score in zip(listed, scores.tolist(), strict=True)
    ]
