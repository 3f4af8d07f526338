"""J, F, accuracy A and robustness R of referring and reasoning expressions about videos: ReVOS.

As tools/eval_revos.py of VISA (cilinyan/VISA, ec158fd): each is a mean over an expression's frames, then over the
expressions of a kind, then over the two kinds; expressions without a target count nowhere. A is the share of pixels
that agree, R is 1 less the false pixels as a multiple of everything that is annotated in the frame, at least 0.

    binary      what the paper defines
    official    bit for bit what the tool computes: A and R of the stored values, 8 bits wide. Masks stored as 0 and 255
                have 255 times as many false pixels and agree nowhere on the object; where instances of the target
                overlap the truth is 2, and 1 - 2 is 255. Values of an expression are rounded to 1e-4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.masks import areas
from benchmark.metrics import expression_masks, frames, laws, object_planes, region_contour
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.object_planes import Objects
from benchmark.metrics.region_contour import Group, Layer, Scratch
from benchmark.problems import BenchmarkError

KINDS: Mapping[str, int] = MappingProxyType({"referring": 0, "reasoning": 1, "no_target": 2})
"""`Truth.subsets` -> number in the data set's own files."""
SCORED = ("referring", "reasoning")
LETTERS = ("J", "F", "A", "R")
SCORE_NAMES = ("J&F", *LETTERS, *(f"{name}_{kind}" for kind in SCORED for name in ("J&F", *LETTERS)))
COLUMNS = (*region_contour.COLUMNS, "equal", "false", "foreground", "pixels")
_NUM = len(region_contour.COLUMNS)
_EMPTY: dict[str, NDArray[Any]] = {
    "kind": np.zeros(0, np.int64),
    "num_frames": np.zeros(0, np.int64),
    "counts": np.zeros((0, len(COLUMNS)), np.int64),
}
_TARGET = Group.of_numbers([1])


@dataclass(frozen=True, slots=True)
class ReasoningVideos:
    """is_official: A and R of stored values, and rounded values of expressions."""

    is_official: bool = False

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """A row of counts for each frame. Raises DataError with the problems of all frames."""
        truth = sample.truth
        if truth is None or truth.foreground is None or len(truth.subsets) != 1:
            raise BenchmarkError(f"{sample.sample_id}: the truth needs a kind of expression and foreground masks.")
        radius, scratch = region_contour.tolerance(sample.size), Scratch()
        rows = []
        for index, pair in object_planes.pairs(sample, prediction, range(len(truth.frames))):
            foreground = self._foreground(truth.foreground[index])
            rows.append([*self._count(pair.found, pair.truth, sample.size, radius, scratch), foreground])
        counts = np.array(rows, np.int64).reshape(-1, len(COLUMNS) - 1)
        pixels = np.full((len(counts), 1), sample.size[0] * sample.size[1])
        arrays: dict[str, NDArray[Any]] = {
            "kind": np.array([KINDS[truth.subsets[0]]]),
            "num_frames": np.array([len(counts)]),
            "counts": np.concatenate((counts, pixels), axis=1),
        }
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Score every expression once; the returned function averages them by kind."""
        table = frames.columns(stats, _EMPTY)
        values = self._values(table.arrays["counts"], table.arrays["num_frames"])
        kinds = table.arrays["kind"]

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = table.weights(given)
            of_kind = {kind: _means(values, weights * (kinds == KINDS[kind])) for kind in SCORED}
            overall = {name: sum(of_kind[kind][name] for kind in SCORED) / len(SCORED) for name in ("J&F", *LETTERS)}
            num = int(weights.sum())
            named = {f"{name}_{kind}": value for kind in SCORED for name, value in of_kind[kind].items()}
            return Scores(
                values={**overall, **named},
                counts={kind: int(weights @ (kinds == number)) for kind, number in KINDS.items()},
                per_class={},
                num_expected=num,
                num_scored=num,
            )

        return score

    def _count(self, found: Objects, truth: Objects, size: tuple[int, int], radius: int, scratch: Scratch) -> list[int]:
        """The row of `COLUMNS` without foreground and pixels."""
        values, sums = _values_of(found, size), _values_of(truth, size)
        window = region_contour.crop(values, sums)
        values, sums = (np.ascontiguousarray(one[window]) for one in (values, sums))
        sides = [Layer((one != 0).view(np.uint8), (_TARGET,)) for one in (values, sums)]
        counts = region_contour.count_same(sides[:1], sides[1:], radius, scratch)[0].tolist()
        if not self.is_official:
            values, sums = (side.numbers for side in sides)
        outside = size[0] * size[1] - values.size
        false = int(((np.uint8(1) - sums) * values).sum(dtype=np.int64))
        return [*counts, outside + int(np.count_nonzero(values == sums)), false]

    def _foreground(self, annotated: Instances) -> int:
        """Pixels of everything annotated; the tool adds masks up where a frame lists several."""
        rles = annotated.masks or ()
        if self.is_official or len(rles) < 2:
            return int(areas(rles).sum())
        return int(areas([expression_masks.united(annotated, rles[0].size)])[0])

    def _values(self, counts: NDArray[np.int64], num_frames: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [E, 4], `LETTERS` of each expression. counts: int64 [R, 10]. num_frames: int64 [E]."""
        *_, equal, false, foreground, pixels = counts.T
        robust = np.maximum(1 - false / (foreground + 1e-6), 0.0)
        each = [
            region_contour.region(counts[:, :_NUM]),
            region_contour.contour(counts[:, :_NUM]),
            equal / pixels,
            robust,
        ]
        ends = np.cumsum(num_frames)
        parts = [slice(end - num, end) for end, num in zip(ends.tolist(), num_frames.tolist(), strict=True)]
        values = np.array([[column[part].mean() for column in each] for part in parts]).reshape(-1, len(LETTERS))
        if self.is_official:
            values = np.array([[round(100 * value, 2) / 100 for value in row] for row in values.tolist()])
        return values.reshape(-1, len(LETTERS))


def _values_of(side: Objects, size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 [H, W]: stored values of a map; the sum of masks, where a frame has masks."""
    if side.layers is not None:
        return side.support
    total = np.zeros(size, np.uint8)
    for _, mask in side.masks:
        total += mask
    return total


def _means(values: NDArray[np.float64], weights: NDArray[np.int64]) -> dict[str, float]:
    """J&F and `LETTERS`, means over expressions. values: float64 [E, 4]. weights: int64 [E]."""
    means = [expression_masks.weighted_mean(column, weights) for column in values.T]
    means = means or [math.nan] * len(LETTERS)
    return {"J&F": (means[0] + means[1]) / 2, **dict(zip(LETTERS, means, strict=True))}


def _protocol(*, is_official: bool) -> Protocol:
    def build(labels: LabelSet) -> ReasoningVideos:
        return ReasoningVideos(is_official)

    return Protocol(build=build, score_names=SCORE_NAMES)


ENTRIES = {
    "reasoning_videos": MetricEntry(
        protocols={"binary": _protocol(is_official=False), "official": _protocol(is_official=True)},
        tool="VISA ec158fd, tools/eval_revos.py (official; binary where masks are stored as 0 and 1)",
        laws=(
            *laws.fractions(*SCORE_NAMES),
            laws.equality("J&F = (J + F) / 2", ("J&F", "J", "F"), lambda j, f: (j + f) / 2),
        ),
    ),
}
