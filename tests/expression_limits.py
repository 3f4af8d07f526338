"""Ceilings and floors of expressions' benchmarks, from the areas of the truth alone."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark import masks
from benchmark.contract import Instances, Sample

EPSILON = 1e-5
"""What ReasonSeg adds to every union."""


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
