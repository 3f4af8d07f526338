"""Pixel-exact outlines: rasterising gives the mask back, for every kind of mask."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark import masks, polygons


def _round_trip(mask: np.ndarray) -> np.ndarray:
    return masks.decode(masks.from_polygons(polygons.from_mask(mask), mask.shape))


DRAWN = {
    "one pixel": ["#"],
    "one pixel in a corner": ["....", "...#"],
    "whole image": ["###", "###"],
    "hole": ["###", "#.#", "###"],
    "hole that touches diagonally": ["####", "#.##", "##.#", "####"],
    "diagonal": ["#..", ".#.", "..#"],
    "island in a hole": ["#####", "#...#", "#.#.#", "#...#", "#####"],
    "two parts": ["##..##", "##..##"],
    "two holes": ["#####", "#.#.#", "#####"],
}


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_masks_come_back(name: str) -> None:
    mask = np.array([[pixel == "#" for pixel in row] for row in DRAWN[name]])
    assert np.array_equal(_round_trip(mask), mask)


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_random_masks_come_back(density: float) -> None:
    generator = np.random.default_rng(0)
    for _ in range(40):
        mask = generator.random(tuple(generator.integers(1, 24, 2))) < density
        assert np.array_equal(_round_trip(mask), mask)


def test_parts_are_polygons_of_their_own_with_enough_points() -> None:
    mask = np.array([[pixel == "#" for pixel in row] for row in DRAWN["two parts"]])
    found = polygons.from_mask(mask)
    assert found == [[0, 0, 2, 0, 2, 2, 0, 2], [4, 0, 6, 0, 6, 2, 4, 2]]


def test_empty_mask_has_no_polygon() -> None:
    assert polygons.from_mask(np.zeros((3, 4), bool)) == []
