"""COCO's greedy matching of many groups at once: the detections of one class in one image, for many classes and images.

In each group every detection in turn takes the best open truth that is not ignored, else the best ignored one, at each
of ten IoU thresholds and in each range of area; among equal IoU the last truth wins; a crowd stays open. Groups know
nothing of each other, so the first detections of all groups are matched together, then the second ones, and so on.
Follows pycocotools 2.0.11. Shapes: D detections and G truths, group by group, A ranges of area, T thresholds, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.linspace(0.5, 0.95, 10)
_FLOOR = np.minimum(THRESHOLDS, 1 - 1e-10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs of a detection and a truth of one group, by detection and then by truth. iou: float64 [P].

    detection, truth: int64 [P], their rows.
    """

    detection: NDArray[np.int64]
    truth: NDArray[np.int64]
    iou: NDArray[np.float64]

    @classmethod
    def of_matrix(cls, ious: NDArray[np.float64]) -> Pairs:
        """All pairs of a single group. ious: float64 [D, G]."""
        num_detections, num_truths = ious.shape
        detection = np.repeat(np.arange(num_detections), num_truths)
        return cls(detection=detection, truth=np.tile(np.arange(num_truths), num_detections), iou=ious.ravel())

    def near(self) -> Pairs:
        """Those that can match, each detection's by rising IoU, equal ones by truth."""
        rows = np.flatnonzero(self.iou >= _FLOOR[0])
        rows = rows[np.lexsort((self.iou[rows], self.detection[rows]))]
        return Pairs(detection=self.detection[rows], truth=self.truth[rows], iou=self.iou[rows])


def match(
    pairs: Pairs, group: NDArray[np.int64], is_crowd: NDArray[np.bool_], is_ignored: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which detections take a truth, and which of them an ignored one: bool [D, A, T] each.

    group: int64 [D], rising, the group of each detection; within a group they come by falling score.
    is_crowd: bool [G]. is_ignored: bool [G, A].
    """
    num_areas = is_ignored.shape[1]
    is_matched, is_void = (np.zeros((len(group), num_areas, len(THRESHOLDS)), bool) for _ in range(2))
    near = pairs.near()
    for start in range(0, num_areas if len(near.iou) else 0, _AREAS):
        areas = slice(start, start + _AREAS)
        matched, void = _match(near, group, is_crowd, is_ignored[:, areas])
        is_matched[:, areas], is_void[:, areas] = (
            _flags(one, min(num_areas - start, _AREAS)) for one in (matched, void)
        )
    return is_matched, is_void


_AREAS, _BITS = 4, 16
"""Ranges of area that are matched together, and the bits that each has in a word; one bit is one threshold."""
_ALL, _NONE = np.uint64(2**64 - 1), np.uint64(0)
_EVERY = np.uint64(sum(1 << _BITS * area for area in range(_AREAS)))
"""Repeats the bits of the lowest range in all of them."""


def _match(
    near: Pairs, group: NDArray[np.int64], is_crowd: NDArray[np.bool_], is_ignored: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """`match` at up to four ranges: words uint64 [D] each."""
    ignored = _words(is_ignored)
    closed = np.where(is_crowd, _NONE, _ALL)
    is_open = np.full(len(ignored), _ALL)
    matched, void = np.zeros(len(group), np.uint64), np.zeros(len(group), np.uint64)
    tries = _Tries.of(near, ignored)
    for rows in tries.turns(group):
        truth, detection = tries.truth[rows], tries.detection[rows]
        taken = tries.allowed[rows] & is_open[truth] & ~matched[detection]
        matched[detection] |= taken
        void[detection] |= taken & ignored[truth]
        is_open[truth] &= ~(taken & closed[truth])
    return matched, void


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tries:
    """Pairs in the order in which detections try them: from the best down, first as not ignored, then as ignored.

    detection, truth: int64 [N]. allowed: uint64 [N], where the pair may match in this try.
    """

    detection: NDArray[np.int64]
    truth: NDArray[np.int64]
    allowed: NDArray[np.uint64]

    @classmethod
    def of(cls, near: Pairs, ignored: NDArray[np.uint64]) -> _Tries:
        """near: at least one pair, as `Pairs.near` sorts them. ignored: uint64 [G]."""
        first = np.flatnonzero(np.diff(near.detection, prepend=-1))
        size = np.diff(np.append(first, len(near.detection)))
        # A detection with one pair has no choice: it tries it once.
        tries = np.where(size == 1, 1, 2 * size)
        stop = np.repeat(np.cumsum(tries) - tries + size + first, size) - np.arange(len(near.truth)) - 1
        is_only = np.repeat(size == 1, size)
        levels = np.searchsorted(_FLOOR, near.iou, side="right").astype(np.uint64)
        reached = ((np.uint64(1) << levels) - np.uint64(1)) * _EVERY
        out = ignored[near.truth]
        source, allowed = np.zeros(int(tries.sum()), np.int64), np.zeros(int(tries.sum()), np.uint64)
        source[stop] = np.arange(len(stop))
        allowed[stop] = np.where(is_only, reached, reached & ~out)
        again = np.flatnonzero(~is_only)
        second = stop[again] + np.repeat(size, size)[again]
        source[second] = again
        allowed[second] = reached[again] & out[again]
        kept = np.flatnonzero(allowed)
        source = source[kept]
        return cls(detection=near.detection[source], truth=near.truth[source], allowed=allowed[kept])

    def turns(self, group: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Rows of the first tries of all groups, then of the second ones, and so on. group: int64 [D]."""
        turn = _within(group[self.detection])
        last = int(turn.max())
        order = np.argsort(turn.astype(np.min_scalar_type(last)), kind="stable")
        bounds = np.cumsum([0, *np.bincount(turn)]).tolist()
        return (order[low:high] for low, high in pairwise(bounds))


def _words(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Flags of up to four ranges at every threshold, uint64 [N]. flags: bool [N, A]."""
    words = np.zeros((len(flags), _AREAS), np.uint16)
    words[:, : flags.shape[1]] = np.where(flags, np.uint16((1 << _BITS) - 1), np.uint16(0))
    return words.view("<u8").ravel()


def _flags(words: NDArray[np.uint64], num_areas: int) -> NDArray[np.bool_]:
    """bool [N, A, T] of words uint64 [N]."""
    bits = np.unpackbits(words.astype("<u8", copy=False).view(np.uint8), bitorder="little").view(bool)
    return bits.reshape(-1, _AREAS, _BITS)[:, :num_areas, : len(THRESHOLDS)]


def _within(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each value occurred before, int64 [N]; equal values stand together. values: int64 [N]."""
    first = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
    size = np.diff(np.append(first, len(values)))
    return np.arange(len(values)) - np.repeat(first, size)


def ranks(*keys: NDArray[Any]) -> NDArray[np.int64]:
    """Place of every row within its group, int64 [N]. keys: [N] each; rows of a group stand together."""
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    is_new = np.zeros(len(keys[0]), bool)
    is_new[0] = True
    for key in keys:
        is_new[1:] |= key[1:] != key[:-1]
    first = np.flatnonzero(is_new)
    return np.arange(len(is_new)) - np.repeat(first, np.diff(np.append(first, len(is_new))))
