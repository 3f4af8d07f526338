"""Flickr30k Entities: recall of phrases by their k best boxes, as datasets/flickr_eval.py of ashkamath/mdetr (ea09acc).

A phrase is found if one of its k best-ranked boxes has IoU >= 0.5 with a true box; widths are x2 - x1, without 1. R@k
for k of 1, 5 and 10, upper_bound for all boxes; in the per-class table for each type that phrases have.

    any_box      the best of the phrase's true boxes counts (GLIP)
    merged_box   the box around all of them is the only true one (older papers; MDETR reports both)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats
from benchmark.metrics import expression_masks as expressions
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError

RANKS = {"R@1": 1, "R@5": 5, "R@10": 10, "upper_bound": np.iinfo(np.int64).max}
TYPES = ("people", "clothing", "bodyparts", "animals", "vehicles", "instruments", "scene", "other")
IOU = 0.5
MISSED = np.iinfo(np.int64).max
_EMPTY: dict[str, NDArray[Any]] = expressions.empty_rows(("rank",), ()) | {"has_type": np.zeros((0, len(TYPES)), bool)}


@dataclass(frozen=True, slots=True)
class PhraseGrounding:
    """merges: compare with the box around all true boxes instead of with each."""

    merges: bool = False

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Position (from 0) of the first predicted box that hits, and the phrase's types."""
        truth, found = frames.pair(sample, prediction, Instances)
        if not expressions.has_boxes(found):
            raise BenchmarkError(f"{sample.sample_id}: prediction has no boxes, this metric compares boxes.")
        target = expressions.corners(truth)
        if self.merges and len(target):
            target = np.concatenate((target[:, :2].min(axis=0), target[:, 2:].max(axis=0)))[None]
        ranked = expressions.corners(found)[np.argsort(-found.score, kind="stable")]
        hits = np.flatnonzero((expressions.corner_iou(ranked, target) >= IOU).any(axis=1))
        named = () if sample.truth is None else sample.truth.subsets
        rows = expressions.row(rank=int(hits[0]) if len(hits) else MISSED)
        rows["has_type"] = np.array([[name in named for name in TYPES]], bool)
        return Stats(sample_id=sample.sample_id, arrays=rows)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the ranks of all phrases end to end."""
        rows = frames.columns(stats, _EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            parts = {name: weights * rows.arrays["has_type"][:, column] for column, name in enumerate(TYPES)}
            num = int(weights.sum())
            return Scores(
                values=_recalls(rows, weights),
                counts={"phrases": num},
                per_class={name: _recalls(rows, part) for name, part in parts.items() if part.any()},
                num_expected=num,
                num_scored=num,
            )

        return score


def _recalls(rows: frames.Columns, weights: NDArray[np.int64]) -> dict[str, float]:
    return {name: expressions.share(rows.arrays["rank"] < rank, weights) for name, rank in RANKS.items()}


def _protocol(merges: bool) -> Protocol:
    return Protocol(build=lambda labels: PhraseGrounding(merges=merges), score_names=tuple(RANKS))


ENTRIES = {
    "phrase_grounding": MetricEntry(
        protocols={"any_box": _protocol(False), "merged_box": _protocol(True)},
        tool="mdetr ea09acc datasets/flickr_eval.py",
        laws=(*laws.fractions(*RANKS), *laws.rising(*RANKS)),
    ),
}
