"""ReasonSeg: gIoU and cIoU of one mask an image, as `validate` in train_ds.py of dvlab-research/LISA at 3cb2d43.

Pixels of an ignored region count neither in the intersection nor in the union. gIoU averages I / (U + 1e-5), where a
pair of empty masks counts 1; cIoU is sum I / (sum U + 1e-10). Both also for short phrases and long sentences, as the
paper reports the test split. The official sums run in float32, ours without rounding.

    lisa      an answer is its first mask: LISA pairs predicted with true masks, and there is one true mask
    united    an answer is the union of all its masks
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Pooled, Prediction, Rle, Sample, Scores, Stats
from benchmark.metrics import expression_masks as expressions
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError

SUBSETS = ("short", "long")
SCORE_NAMES = ("gIoU", "cIoU", *(f"{name}_{subset}" for subset in SUBSETS for name in ("gIoU", "cIoU")))
_EMPTY = expressions.empty_rows(("intersection", "union"), SUBSETS)


@dataclass(frozen=True, slots=True)
class ReasoningSegmentation:
    """unites: whether all masks of an answer count, or the first one alone."""

    unites: bool = False

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Intersection and union of one image outside its ignored region."""
        truth, found = frames.pair(sample, prediction, Instances)
        if not expressions.has_masks(found):
            raise BenchmarkError(f"{sample.sample_id}: prediction has no masks, this metric compares masks.")
        ignore, subsets = (None, ()) if sample.truth is None else (sample.truth.ignore, sample.truth.subsets)
        mask = expressions.without(self._answer(found, sample.size), ignore)
        pixels = expressions.compare(mask, expressions.without(expressions.united(truth, sample.size), ignore))
        values = expressions.row(
            intersection=pixels.intersection,
            union=pixels.union,
            **{subset: subset in subsets for subset in SUBSETS},
        )
        return Stats(sample_id=sample.sample_id, arrays=values)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the counts of all images end to end."""
        rows = frames.columns(stats, _EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            values = _means(rows, weights, "")
            for subset in SUBSETS:
                values |= _means(rows, weights * rows.arrays[subset], f"_{subset}")
            num = int(weights.sum())
            return Scores(values=values, counts={"images": num}, per_class={}, num_expected=num, num_scored=num)

        return score

    def _answer(self, found: Instances, size: tuple[int, int]) -> Rle:
        if self.unites:
            return expressions.united(found, size)
        return found.masks[0] if found.masks else masks.empty(size)


def _means(rows: frames.Columns, weights: NDArray[np.int64], suffix: str) -> dict[str, float]:
    intersection, union = rows.arrays["intersection"], rows.arrays["union"]
    iou = intersection / (union + 1e-5) + (union == 0)
    sums = int(weights @ intersection), int(weights @ union)
    cumulative = sums[0] / (sums[1] + 1e-10) if weights.any() else math.nan
    return {f"gIoU{suffix}": expressions.weighted_mean(iou, weights), f"cIoU{suffix}": cumulative}


ENTRIES = {
    "reasoning_segmentation": MetricEntry(
        protocols={
            "lisa": Protocol(build=lambda labels: ReasoningSegmentation(), score_names=SCORE_NAMES),
            "united": Protocol(build=lambda labels: ReasoningSegmentation(unites=True), score_names=SCORE_NAMES),
        },
        tool="LISA 3cb2d43 train_ds.py",
        laws=laws.fractions(*SCORE_NAMES),
    ),
}
