"""Positions of a training run: every sample once an epoch, shares kept, resuming is skipping."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from models.sampling import Mixture, PositionSampler, position_generator


def test_single_data_set_shows_every_sample_once_an_epoch_in_a_new_order() -> None:
    mixture = Mixture([7], weights=[1.0], seed=3)
    epochs = [[mixture[epoch * 7 + i][1] for i in range(7)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_mixture_keeps_its_shares() -> None:
    mixture = Mixture([50, 10], weights=[3.0, 1.0], seed=0)
    chosen = np.array([mixture[position][0] for position in range(2000)])
    assert 0.72 < np.mean(chosen == 0) < 0.78


def test_position_does_not_depend_on_what_was_asked_before() -> None:
    forward, backward = (Mixture([13, 5], weights=[1, 1], seed=1) for _ in range(2))
    positions = list(range(100))
    ahead = {position: forward[position] for position in positions}
    assert ahead == {position: backward[position] for position in reversed(positions)}


def test_skipping_equals_having_consumed() -> None:
    whole, resumed = PositionSampler(), PositionSampler()
    consumed = list(islice(iter(whole), 30))
    resumed.skip(12)
    assert list(islice(iter(resumed), 18)) == consumed[12:]


def test_generators_of_positions_differ() -> None:
    draws = {position_generator(seed, position).random() for seed in (0, 1) for position in range(50)}
    assert len(draws) == 100


@pytest.mark.parametrize("sizes", [[0], [4, 0]])
def test_empty_data_set_is_refused(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="every data set needs samples"):
        Mixture(sizes, weights=[1.0] * len(sizes), seed=0)
