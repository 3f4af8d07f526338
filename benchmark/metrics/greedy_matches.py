"""COCO's greedy matching of many groups at once: the detections of one class in one image, for many classes and images.

In each group every detection in turn takes the best open truth that is not ignored, else the best ignored one, at each
of ten IoU thresholds and in each range of area; among equal IoU the last truth wins; a crowd stays open. Groups know
nothing of each other, so the first detections of all groups are matched together, then the second ones, and so on.
Follows pycocotools 2.0.11. Shapes: D detections and G truths, group by group, A ranges of area, T thresholds, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    num_truths, num_areas = is_ignored.shape
    shape = (len(group), num_areas, len(THRESHOLDS))
    is_matched, is_void = np.zeros(shape, bool), np.zeros(shape, bool)
    near = pairs.near()
    if not len(near.iou):
        return is_matched, is_void
    is_open = np.ones((num_truths, num_areas, len(THRESHOLDS)), bool)
    for turn in _turns(near, group):
        truth = near.truth[turn.rows]
        can = is_open[truth] & (near.iou[turn.rows, None] >= _FLOOR)[:, None, :]
        # A detection's pairs come by rising IoU; those that are not ignored stand above all that are.
        rank = (np.where(is_ignored[truth], 0, turn.size[:, None]) + turn.place[:, None]).astype(np.int32)
        priority = can * rank[:, :, None]
        best = np.maximum.reduceat(priority, turn.start, axis=0)
        is_hit = best > 0
        is_matched[turn.detection] = is_hit
        is_void[turn.detection] = is_hit & (best <= turn.size[turn.start][:, None, None])
        is_taken = can & (priority == best[turn.owner]) & ~is_crowd[truth][:, None, None]
        is_open[truth] &= ~is_taken
    return is_matched, is_void


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """At most one detection of each group, with its P pairs.

    rows: int64 [P], the pairs. place: int64 [P], 1, 2, ... among those of the detection.
    size: int64 [P], how many it has. owner: int64 [P], number of the detection in this turn.
    start: int64 [N], first pair of each detection. detection: int64 [N].
    """

    rows: NDArray[np.int64]
    place: NDArray[np.int64]
    size: NDArray[np.int64]
    owner: NDArray[np.int64]
    start: NDArray[np.int64]
    detection: NDArray[np.int64]


def _turns(near: Pairs, group: NDArray[np.int64]) -> Iterator[_Turn]:
    """The first detections of all groups that have pairs, then the second ones, and so on."""
    starts = np.flatnonzero(np.diff(near.detection, prepend=-1))
    sizes = np.diff(np.append(starts, len(near.detection)))
    detection = near.detection[starts]
    turn_of = _within(group[detection])
    order = np.argsort(turn_of, kind="stable")
    bounds = np.searchsorted(turn_of[order], np.arange(int(turn_of.max()) + 2))
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        chosen = order[low:high]
        size = sizes[chosen]
        start = np.cumsum(size) - size
        owner = np.repeat(np.arange(len(chosen)), size)
        place = np.arange(len(owner)) - start[owner]
        rows = starts[chosen][owner] + place
        yield _Turn(rows=rows, place=place + 1, size=size[owner], owner=owner, start=start, detection=detection[chosen])


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
