"""Pixel-exact outlines: rasterising gives the mask back, for every kind of mask."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark import masks, polygons
from benchmark.formats import phrase_cut, reason_seg


def _by_opencv(outlines: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    shapes = [reason_seg.Shape(points=one.astype(np.float64), is_ignored=False) for one in outlines]
    return reason_seg.draw(shapes, size) > 0


def _by_pillow(outlines: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    return phrase_cut.draw([one.tolist() for one in outlines], size)


RASTERISERS = {"opencv": _by_opencv, "pillow": _by_pillow}


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


@pytest.mark.parametrize("rasteriser", RASTERISERS)
@pytest.mark.parametrize("name", DRAWN)
def test_drawn_masks_come_back_from_outlines_that_are_drawn_themselves(name: str, rasteriser: str) -> None:
    mask = np.array([[pixel == "#" for pixel in row] for row in DRAWN[name]])
    outlines = polygons.through_centres(mask)
    assert all(len(one) >= 3 for one in outlines)
    assert np.array_equal(RASTERISERS[rasteriser](outlines, mask.shape), mask)


@pytest.mark.parametrize("rasteriser", RASTERISERS)
@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_random_masks_come_back_from_outlines_that_are_drawn_themselves(density: float, rasteriser: str) -> None:
    generator = np.random.default_rng(0)
    for _ in range(40):
        mask = generator.random(tuple(generator.integers(1, 24, 2))) < density
        assert np.array_equal(RASTERISERS[rasteriser](polygons.through_centres(mask), mask.shape), mask)
