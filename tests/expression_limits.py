"""Ceilings and floors of expressions' benchmarks, from the areas of the truth alone."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark import masks
from benchmark.contract import Instances, Sample

EPSILON = 1e-5
"""What ReasonSeg adds to every union."""


MICRO_EPSILON, PRESENCE_EPSILON = 1e-4, 1e-6
"""What cgF1 adds to its denominators."""


def _areas(samples: Sequence[Sample]) -> list[int]:
    """Pixels that each sample's target has outside the ignored region."""
    found = []
    for sample in samples:
        assert sample.truth is not None
        frame = sample.truth.frames[0]
        assert isinstance(frame, Instances) and frame.masks is not None
        inside = masks.decode(masks.union([masks.empty(sample.size), *frame.masks]))
        if sample.truth.ignore is not None:
            inside &= ~masks.decode(sample.truth.ignore)
        found.append(int(inside.sum()))
    return found


def perfect_reason_seg(samples: Sequence[Sample]) -> float:
    """Mean of A / (A + epsilon), 1 where there is nothing to find."""
    areas = _areas(samples)
    return sum(area / (area + EPSILON) if area else 1.0 for area in areas) / len(areas)


def silent_reason_seg(samples: Sequence[Sample]) -> float:
    """Silence is right where there is nothing to find."""
    areas = _areas(samples)
    return areas.count(0) / len(areas)


def perfect_cgf1(samples: Sequence[Sample]) -> float:
    """The micro F1 of T of T masks, times Matthews' correlation of P + N right answers."""
    nums = [len(frame) for sample in samples if sample.truth is not None for frame in sample.truth.frames
            if isinstance(frame, Instances)]  # fmt: skip
    share = sum(nums) / (sum(nums) + MICRO_EPSILON)
    both = (len(nums) - nums.count(0)) * nums.count(0)
    return 2 * share**2 / (2 * share + MICRO_EPSILON) * both / (both + PRESENCE_EPSILON)
