"""Curves of all classes at once equal those of repeated rows, one class at a time, for any weights."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.metrics.class_curves import Curves
from benchmark.metrics.precision_curve import RECALLS, ClassCurve, hits_of_recalls
from benchmark.metrics.weighted_curves import WeightedCurves, recall_table

NUM_SAMPLES, NUM_AREAS, NUM_LEVELS = 12, 3, 4
CAPS = (1, 3, 10)


def make_curve(rng: np.random.Generator, class_index: int, *, num: int, num_missed: int, is_tied: bool) -> ClassCurve:
    """A random class whose detections are void, hits or false at each level, as matching makes them.

    Every detection has a truth that it may take; others are missed. num_missed: of these, -1: there is no truth at all.
    """
    order = rng.permutation(num)
    sample = np.sort(rng.integers(NUM_SAMPLES, size=num)) if is_tied else rng.integers(NUM_SAMPLES, size=num)[order]
    kind = rng.choice((1, 2) if num_missed < 0 else 3, size=(NUM_AREAS, NUM_LEVELS, num))
    taken = sample[: 0 if num_missed < 0 else num]
    truth_sample = np.concatenate((taken, rng.integers(NUM_SAMPLES, size=max(num_missed, 0))))
    is_counted = np.ones((len(truth_sample), NUM_AREAS), bool)
    is_counted[len(taken) :] = rng.random((len(truth_sample) - len(taken), NUM_AREAS)) < 0.7
    tie = np.cumsum(np.diff(sample, prepend=-1) != 0) if is_tied else np.arange(num)
    return ClassCurve(
        class_index=class_index,
        sample=sample,
        rank=rng.integers(12, size=num),
        tie=tie,
        has_ties=is_tied and num > len(np.unique(tie)),
        is_hit=kind == 0,
        is_false=kind == 1,
        truth_sample=truth_sample,
        truth_counts=is_counted,
    )


@pytest.mark.parametrize("seed", range(12))
def test_all_classes_at_once_equal_each_class_repeated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [(0, -1), (0, 5), (7, -1), (7, 0), (40, 30), (25, 200), (3, 1)]
    curves = [
        make_curve(rng, index, num=num, num_missed=num_missed, is_tied=seed % 3 == 2 and index % 2 == 0)
        for index, (num, num_missed) in enumerate(sizes)
    ]
    together = WeightedCurves(Curves.joined(curves), CAPS)
    for _ in range(4):
        weights = rng.multinomial(NUM_SAMPLES, np.full(NUM_SAMPLES, 1 / NUM_SAMPLES))
        for curve, found in zip(curves, together.integrate(weights), strict=True):
            expected = curve.integrate(weights, CAPS)
            assert np.allclose(found.precision, expected.precision, atol=1e-13, rtol=0, equal_nan=True)
            assert np.allclose(found.recall, expected.recall, atol=1e-13, rtol=0, equal_nan=True)
            assert (found.num_truths, found.num_detections) == (expected.num_truths, expected.num_detections)


@pytest.mark.parametrize("seed", range(12))
def test_all_classes_counted_once_equal_each_class_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [(0, -1), (0, 5), (7, -1), (7, 0), (40, 30), (25, 200), (3, 1)][seed % 3 :]
    curves = [
        make_curve(rng, index, num=num, num_missed=num_missed, is_tied=seed % 2 == 1)
        for index, (num, num_missed) in enumerate(sizes)
    ]
    for curve, found in zip(curves, Curves.joined(curves).integrate(CAPS), strict=True):
        expected = curve.integrate(np.ones(NUM_SAMPLES, np.int64), CAPS)
        assert np.array_equal(found.precision, expected.precision, equal_nan=True)
        assert np.array_equal(found.recall, expected.recall, equal_nan=True)
        assert (found.num_truths, found.num_detections) == (expected.num_truths, expected.num_detections)


def test_recalls_are_reached_by_as_many_hits_as_a_search_in_all_quotients_finds() -> None:
    totals = np.array([0, 1, 3, 7, 10, 99, 100, 1000, 36781])
    expected = [np.searchsorted(np.arange(num + 1) / max(num, 1), RECALLS) for num in totals]
    assert np.array_equal(hits_of_recalls(totals), np.maximum(expected, 1))


def test_the_table_counts_the_recalls_that_hits_reach() -> None:
    totals = np.array([3, 0, 1, 250])
    table, rows = recall_table(totals)
    for total, row in zip(totals.tolist(), rows.tolist(), strict=True):
        expected = [(hits / total >= RECALLS).sum() if hits else 0 for hits in range(total + 1)]
        assert (table[row : row + total + 1] - table[row]).tolist() == expected
