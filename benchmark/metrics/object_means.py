"""From counts of pixels to scores of objects, and from objects to the scores that each benchmark reports.

An object's J and F are means over its frames; recall is the share of frames above 0.5; decay is the mean of the first
quarter of the frames minus that of the last; V is the deviation of (J + F) / 2 from its mean (LVOS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics import frames, laws
from benchmark.metrics.region_contour import contour, region

NUM_QUARTERS = 4
SEEN, UNSEEN = 0, 1
"""class_index of the two groups of YouTube-VOS and LVOS."""
NAMES = ("J", "J_recall", "J_decay", "F", "F_recall", "F_decay", "V")
Means = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ObjectScores:
    """scores: float64 [T, 7], columns as in `NAMES`, NaN for an object without frames. num_frames: int64 [T]."""

    scores: NDArray[np.float64]
    num_frames: NDArray[np.int64]

    @classmethod
    def of(cls, counts: NDArray[np.integer], num_frames: NDArray[np.int64], index_bits: int) -> ObjectScores:
        """Scores of T objects. counts: [R, 6], the rows of the objects one after the other. num_frames: int64 [T]."""
        ends = np.cumsum(num_frames)
        regions, contours = region(counts), contour(counts)
        parts = [slice(end - num, end) for end, num in zip(ends.tolist(), num_frames.tolist(), strict=True)]
        rows = [_score(regions[part], contours[part], index_bits) for part in parts]
        return cls(np.array(rows, np.float64).reshape(len(rows), len(NAMES)), num_frames)

    def means(self, weights: NDArray[np.int64]) -> dict[str, float]:
        """Mean of every score, and J&F; NaN where nothing counts. weights: int64 [T], how often each object counts."""
        known = ~np.isnan(self.scores)
        total = weights @ np.where(known, self.scores, 0.0)
        means = dict(zip(NAMES, frames.ratio(total, weights @ known).tolist(), strict=True))
        return {"J&F": (means["J"] + means["F"]) / 2, **means}


def _score(regions: NDArray[np.float64], contours: NDArray[np.float64], index_bits: int) -> list[float]:
    if not len(regions):
        return [float("nan")] * len(NAMES)
    both = (regions + contours) / 2
    deviation = np.sqrt(np.round(np.sum((both.mean() - both) ** 2) / len(both), 4))
    found = []
    for values in (regions, contours):
        found += [float(values.mean()), float((values > 0.5).mean()), _decay(values, index_bits)]
    return [*found, float(deviation)]


def _decay(values: NDArray[np.float64], index_bits: int) -> float:
    edges = np.round(np.linspace(1, len(values), NUM_QUARTERS + 1) + 1e-10).astype(np.int64) - 1
    first, second, *_, last_but_one, last = (edges % (1 << index_bits)).tolist()
    quarters = values[first : second + 1], values[last_but_one : last + 1]
    if not all(len(one) for one in quarters):
        return float("nan")
    return float(quarters[0].mean() - quarters[1].mean())


def _group(groups: Sequence[Means], position: int) -> Means:
    """The means of a group; all NaN where the label set has no such group."""
    return groups[position] if position < len(groups) else dict.fromkeys(("J&F", *NAMES), float("nan"))


def _of_objects(every: Means, groups: Sequence[Means]) -> dict[str, float]:
    return {name: every[name] for name in ("J&F", "J", "J_recall", "J_decay", "F", "F_recall", "F_decay")}


def _of_expressions(every: Means, groups: Sequence[Means]) -> dict[str, float]:
    return {name: every[name] for name in ("J&F", "J", "F")}


def _of_groups(every: Means, groups: Sequence[Means]) -> dict[str, float]:
    seen, unseen = _group(groups, SEEN), _group(groups, UNSEEN)
    parts = {"J_seen": seen["J"], "J_unseen": unseen["J"], "F_seen": seen["F"], "F_unseen": unseen["F"]}
    return {"G": sum(parts.values()) / len(parts), **parts}


def _of_variation(every: Means, groups: Sequence[Means]) -> dict[str, float]:
    seen, unseen = _group(groups, SEEN), _group(groups, UNSEEN)
    overall = ((seen["J"] + seen["F"]) + (unseen["J"] + unseen["F"])) / 4
    values = {"J&F": overall}
    for name in ("J", "F", "V"):
        values[name] = (seen[name] + unseen[name]) / 2
        values |= {f"{name}_seen": seen[name], f"{name}_unseen": unseen[name]}
    return values


SUMMARIES: Mapping[str, Callable[[Means, Sequence[Means]], dict[str, float]]] = MappingProxyType(
    {"objects": _of_objects, "expressions": _of_expressions, "groups": _of_groups, "variation": _of_variation}
)
"""Name -> (means over all objects, means of each group: seen, unseen) -> the scores that a benchmark reports."""


def score_names(summary: str) -> tuple[str, ...]:
    """Names of the scores of a summary, in the order of the official one."""
    nothing = dict.fromkeys(("J&F", *NAMES), float("nan"))
    return tuple(SUMMARIES[summary](nothing, [nothing, nothing]))


_REGIONS = tuple(f"{name}{group}" for name in ("J&F", "J", "F", "V") for group in ("", "_seen", "_unseen"))
LOWER_IS_BETTER = frozenset({"J_decay", "F_decay", "V", "V_seen", "V_unseen"})
"""Decay is what is lost on the way, V how much a score varies; of all other scores more is better."""
LAWS: tuple[laws.Law, ...] = (
    *laws.fractions(*_REGIONS, "G", "J_recall", "F_recall"),
    *laws.signed("J_decay", "F_decay"),
    laws.equality("J&F = (J + F) / 2", ("J&F", "J", "F"), lambda region, contour_: (region + contour_) / 2),
    laws.equality(
        "G is the mean of J and F, seen and unseen",
        ("G", "J_seen", "J_unseen", "F_seen", "F_unseen"),
        lambda *parts: sum(parts) / len(parts),
    ),
    *laws.mean_of_steps("J", {"J_recall": 0.5}),
    *laws.mean_of_steps("F", {"F_recall": 0.5}),
)
