"""A view moves pictures, masks and boxes alike."""

from __future__ import annotations

import numpy as np
import pytest

from models.shown_objects import bounding_boxes, filled
from models.views import View, ViewDraw

SIZE = (60, 80)
DRAWS = {
    "whole": ViewDraw(short_sides=(60,), mirror=0.0),
    "mirrored": ViewDraw(short_sides=(60,), mirror=1.0),
    "larger": ViewDraw(short_sides=(120,), mirror=0.0),
    "smaller and padded": ViewDraw(short_sides=(30,), window=(64, 64), mirror=1.0),
    "cut": ViewDraw(short_sides=(90,), window=(64, 64), mirror=0.5),
}


def a_view(name: str) -> View:
    return DRAWS[name](SIZE, np.random.default_rng(4))


@pytest.mark.parametrize("name", DRAWS)
def test_a_box_and_its_filled_mask_stay_together(name: str) -> None:
    view = a_view(name)
    boxes = np.array([[20.0, 12, 60, 44], [0, 0, 80, 60]])
    moved, masks = view.boxes(boxes), view.masks(filled(boxes, SIZE))
    assert masks.shape == (2, *view.padded)
    assert np.abs(bounding_boxes(masks) - moved).max() <= 1


@pytest.mark.parametrize("name", DRAWS)
def test_a_picture_and_its_mask_stay_together(name: str) -> None:
    view, mask = a_view(name), np.zeros((1, *SIZE), bool)
    mask[0, 12:44, 20:60] = True
    image = np.where(mask[0], 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
    shown, moved = view.image(image), view.masks(mask)[0]
    height, width = view.window
    inside = (shown[:height, :width, 0] > 127) != moved[:height, :width]
    assert inside.mean() < 0.03


def test_a_window_is_filled_up_to_its_size() -> None:
    view = a_view("smaller and padded")
    assert view.padded == (64, 64)
    assert view.image(np.zeros((*SIZE, 3), np.uint8)).shape == (64, 64, 3)
