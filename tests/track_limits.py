"""Ceilings and floors of tracking: what the rules give away, and what they keep from a perfect tracker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmark import box_tracks
from benchmark.contract import Instances, Sample

Limit = Callable[[Sequence[Sample]], float]
STEPS = 20
"""Thresholds of overlap 0, 0.05, ..., 0.95 that a perfect box exceeds; of 21, because nothing exceeds 1."""


def judged(sample: Sample, *, needs_corner: bool, reads_flags: bool) -> np.ndarray:
    """bool [T]: frames in which an overlap can be a success."""
    assert sample.truth is not None
    boxes = box_tracks.boxes_of(sample.truth.frames, "truth")[:, 0]
    has_box = (boxes[:, 0 if needs_corner else 2 :] > 0).all(axis=1)
    return has_box & ~sample.truth.absent if reads_flags and sample.truth.absent is not None else has_box


def perfect_auc(*, needs_corner: bool, reads_flags: bool) -> Limit:
    """20/21 of the share of frames that can be judged, averaged over videos."""

    def limit(samples: Sequence[Sample]) -> float:
        shares = [judged(one, needs_corner=needs_corner, reads_flags=reads_flags).mean() for one in samples]
        return float(np.mean(shares)) * STEPS / (STEPS + 1)

    return limit


def given_auc(*, needs_corner: bool, reads_flags: bool) -> Limit:
    """The same of the first frame alone, which is the truth's whatever the answer."""

    def limit(samples: Sequence[Sample]) -> float:
        frames = [judged(one, needs_corner=needs_corner, reads_flags=reads_flags) for one in samples]
        return float(np.mean([one[0] / len(one) for one in frames])) * STEPS / (STEPS + 1)

    return limit


def given_success(samples: Sequence[Sample]) -> float:
    """TrackingNet's area where frame 1 passes every threshold and all others pass IoU >= 0 alone.

    The curve is 1 at the first of 21 thresholds and 1/T at the others; its trapezia sum to (1 + 39/T) / 40.
    """
    return float(np.mean([(1 + 39 / len(one.frames)) / 40 for one in samples]))


def share_of_classes(num_classes: int) -> Limit:
    """BDD100K's mean of a perfect answer: classes without an object that counts enter as 0."""

    def limit(samples: Sequence[Sample]) -> float:
        found: set[int] = set()
        for sample in samples:
            assert sample.truth is not None
            for frame in sample.truth.frames:
                assert isinstance(frame, Instances)
                found |= set(frame.class_index.tolist())
        return len(found) / num_classes

    return limit
