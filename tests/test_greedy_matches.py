"""Groups matched together are matched as pycocotools' loops match each of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.metrics.greedy_matches import THRESHOLDS, Pairs, match

Flags = NDArray[np.bool_]


def one_by_one(ious: NDArray[np.float64], is_crowd: Flags, is_ignored: Flags, threshold: float) -> tuple[Flags, Flags]:
    """(matched, void) of the detections of one group at one threshold and range, by the official loops."""
    order = np.argsort(is_ignored, kind="stable")
    taken: set[int] = set()
    is_matched, is_void = np.zeros(len(ious), bool), np.zeros(len(ious), bool)
    for row, overlaps in enumerate(ious):
        best, chosen = min(threshold, 1 - 1e-10), -1
        for truth in order.tolist():
            if truth in taken and not is_crowd[truth]:
                continue
            if chosen >= 0 and not is_ignored[chosen] and is_ignored[truth]:
                break
            if overlaps[truth] >= best:
                best, chosen = overlaps[truth], truth
        if chosen >= 0:
            taken.add(chosen)
            is_matched[row], is_void[row] = True, is_ignored[chosen]
    return is_matched, is_void


@pytest.mark.parametrize("step", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(6))
def test_many_groups_are_matched_as_one_by_one(seed: int, step: float) -> None:
    dice = np.random.default_rng(seed)
    groups = [(int(dice.integers(0, 9)), int(dice.integers(0, 6))) for _ in range(12)]
    tables = [dice.random((found, truths)) ** 0.4 for found, truths in groups]
    tables = [np.round(table / step) * step if step else table for table in tables]
    is_crowd = dice.random(sum(truths for _, truths in groups)) < 0.2
    is_ignored = is_crowd[:, None] | (dice.random((len(is_crowd), 4)) < 0.3)
    starts = np.cumsum([(0, 0), *groups], axis=0)
    parts = [Pairs.of_matrix(table) for table in tables]
    pairs = Pairs(
        detection=np.concatenate([part.detection + start for part, (start, _) in zip(parts, starts, strict=False)]),
        truth=np.concatenate([part.truth + start for part, (_, start) in zip(parts, starts, strict=False)]),
        iou=np.concatenate([part.iou for part in parts]),
    )
    group = np.repeat(np.arange(len(groups)), [found for found, _ in groups])
    is_matched, is_void = match(pairs, group, is_crowd, is_ignored)
    for table, (row, column) in zip(tables, starts, strict=False):
        rows, columns = slice(row, row + len(table)), slice(column, column + table.shape[1])
        for area in range(4):
            for level, threshold in enumerate(THRESHOLDS):
                matched, void = one_by_one(table, is_crowd[columns], is_ignored[columns, area], float(threshold))
                assert is_matched[rows, area, level].tolist() == matched.tolist()
                assert is_void[rows, area, level].tolist() == void.tolist()


def test_nothing_matches_nothing() -> None:
    pairs = Pairs.of_matrix(np.zeros((3, 0)))
    is_matched, is_void = match(pairs, np.zeros(3, np.int64), np.zeros(0, bool), np.zeros((0, 4), bool))
    assert is_matched.shape == is_void.shape == (3, 4, 10) and not is_matched.any()
