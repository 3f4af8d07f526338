"""The box of a soft mask, and what a query is told of it."""

from __future__ import annotations

import pytest
import torch

from models.mask_positions import LEAST_SIDE, MaskPositions, mask_boxes

BOXES = {"middle": (8, 4, 24, 20), "corner": (0, 0, 16, 8), "whole": (0, 0, 32, 32)}
"""x0, y0, x1, y1 on a 32 x 32 map."""


def filled(x0: int, y0: int, x1: int, y1: int) -> torch.Tensor:
    logits = torch.full((1, 1, 32, 32), -30.0)
    logits[..., y0:y1, x0:x1] = 30.0
    return logits


@pytest.mark.parametrize("name", BOXES)
def test_the_box_of_a_filled_box_is_that_box(name: str) -> None:
    x0, y0, x1, y1 = BOXES[name]
    wanted = torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]) / 32
    # A row of n cells deviates as n^2 - 1 where a line of length n deviates as n^2.
    torch.testing.assert_close(mask_boxes(filled(x0, y0, x1, y1))[0, 0], wanted, atol=0.01, rtol=0)


def test_an_empty_mask_and_a_single_cell_have_boxes() -> None:
    nothing = mask_boxes(torch.full((1, 1, 32, 32), -80.0))
    assert torch.isfinite(nothing).all()
    assert mask_boxes(filled(5, 5, 6, 6))[0, 0, 2:].tolist() == pytest.approx([LEAST_SIDE] * 2)


def test_places_differ_and_move_no_mask() -> None:
    torch.manual_seed(0)
    told = MaskPositions(32)
    logits = torch.cat((filled(*BOXES["middle"]), filled(*BOXES["corner"])), dim=1).requires_grad_()
    places = told(logits)
    assert places.shape == (1, 2, 32)
    assert (places[0, 0] - places[0, 1]).abs().max() > 1e-3
    places.sum().backward()
    assert logits.grad is None
