"""Curves of all classes at once equal those of repeated rows, one class at a time, for any weights."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.metrics.precision_curve import RECALLS, ClassCurve
from benchmark.metrics.weighted_curves import WeightedCurves, has_mixed_ties, num_recalls

NUM_SAMPLES, NUM_AREAS, NUM_LEVELS = 12, 3, 4
CAPS = (1, 3, 10)


def make_curve(rng: np.random.Generator, class_index: int, *, num: int, num_truths: int, is_tied: bool) -> ClassCurve:
    """A random class whose detections are void, hits or false at each level, as matching makes them."""
    order = rng.permutation(num)
    sample = np.sort(rng.integers(NUM_SAMPLES, size=num)) if is_tied else rng.integers(NUM_SAMPLES, size=num)[order]
    kind = rng.choice(3, p=(0.3, 0.5, 0.2), size=(NUM_AREAS, NUM_LEVELS, num))
    tie = np.cumsum(np.diff(sample, prepend=-1) != 0) if is_tied else np.arange(num)
    return ClassCurve(
        class_index=class_index,
        sample=sample,
        rank=rng.integers(12, size=num),
        tie=tie,
        has_ties=is_tied and num > len(np.unique(tie)),
        is_hit=kind == 0,
        is_false=kind == 1,
        truth_sample=rng.integers(NUM_SAMPLES, size=num_truths),
        truth_counts=rng.random((num_truths, NUM_AREAS)) < 0.7,
    )


@pytest.mark.parametrize("seed", range(12))
def test_all_classes_at_once_equal_each_class_repeated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [(0, 0), (0, 5), (7, 0), (40, 30), (25, 200), (3, 1)]
    curves = [
        make_curve(rng, index, num=num, num_truths=num_truths, is_tied=seed % 3 == 2 and index % 2 == 0)
        for index, (num, num_truths) in enumerate(sizes)
    ]
    together = WeightedCurves(curves, CAPS)
    for _ in range(4):
        weights = rng.multinomial(NUM_SAMPLES, np.full(NUM_SAMPLES, 1 / NUM_SAMPLES))
        for curve, found in zip(curves, together.integrate(weights), strict=True):
            expected = curve.integrate(weights, CAPS)
            assert np.allclose(found.precision, expected.precision, atol=1e-13, rtol=0, equal_nan=True)
            assert np.allclose(found.recall, expected.recall, atol=1e-13, rtol=0, equal_nan=True)
            assert (found.num_truths, found.num_detections) == (expected.num_truths, expected.num_detections)


def test_no_class_at_all_has_no_curve() -> None:
    assert WeightedCurves([], CAPS).integrate(np.ones(3, np.int64)) == []


def test_recalls_are_counted_as_a_search_in_the_list_finds_them() -> None:
    for num_truths in (1, 3, 7, 10, 99, 100, 1000, 36781):
        hits = np.unique(np.linspace(0, num_truths, 300).astype(np.int64))
        expected = [(hit / num_truths >= RECALLS).sum() if hit else 0 for hit in hits]
        assert num_recalls(hits.astype(np.int32), np.full(len(hits), 100 / num_truths)).tolist() == expected


def test_only_ties_between_a_hit_and_a_false_detection_matter() -> None:
    rng = np.random.default_rng(0)
    curve = make_curve(rng, 0, num=30, num_truths=5, is_tied=True)
    assert has_mixed_ties(curve)
    assert not has_mixed_ties(make_curve(rng, 0, num=30, num_truths=5, is_tied=False))
