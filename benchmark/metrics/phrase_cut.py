"""PhraseCut: mask IoU of a phrase's regions, as utils/evaluator.py of ChenyunWu/PhraseCutDataset at 276470b.

mean_IoU averages quotients (0 where the masks share nothing), cum_IoU divides the sums, P@X counts IoU strictly greater
than X. All again for each subset of phrases that occurs, in the per-class table. Deviation: the official script leaves
tasks without a prediction out of every mean; here they leave no headline.
"""

from __future__ import annotations

import math
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

PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9)
SCORE_NAMES = ("mean_IoU", "cum_IoU", *(f"P@{threshold}" for threshold in PRECISIONS))
SUBSETS = (
    *("c_coco", "c20", "c100", "c500", "c21-100", "c101-500", "c500+"),
    *("i_single", "i_multi", "i_many"),
    *("p_name", "p_att", "p_att+", "p_rel", "p_rel+", "p_verbose", "p_attm", "p_relm", "p_att_rel"),
    *("s_small", "s_mid", "s_large"),
    *("a20", "a100", "a200", "a21-100", "a101-200", "a200+"),
    *("d_cocotv", "d_notcocotv"),
)
_EMPTY: dict[str, NDArray[Any]] = expressions.empty_rows(("intersection", "union"), ()) | {
    "in_subset": np.zeros((0, len(SUBSETS)), bool)
}


@dataclass(frozen=True, slots=True)
class PhraseCut:
    """IoU of all masks of an answer with all instances of the phrase."""

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Intersection, union and subsets of one phrase."""
        truth, found = frames.pair(sample, prediction, Instances)
        if not expressions.has_masks(found):
            raise BenchmarkError(f"{sample.sample_id}: prediction has no masks, this metric compares masks.")
        pixels = expressions.compare(expressions.united(found, sample.size), expressions.united(truth, sample.size))
        named = () if sample.truth is None else sample.truth.subsets
        rows = expressions.row(intersection=pixels.intersection, union=pixels.union)
        rows["in_subset"] = np.array([[name in named for name in SUBSETS]], bool)
        return Stats(sample_id=sample.sample_id, arrays=rows)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the counts of all phrases end to end."""
        rows = frames.columns(stats, _EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            parts = {name: weights * rows.arrays["in_subset"][:, column] for column, name in enumerate(SUBSETS)}
            num = int(weights.sum())
            return Scores(
                values=_scores(rows, weights),
                counts={"phrases": num},
                per_class={name: _scores(rows, part) for name, part in parts.items() if part.any()},
                num_expected=num,
                num_scored=num,
            )

        return score


def _scores(rows: frames.Columns, weights: NDArray[np.int64]) -> dict[str, float]:
    intersection, union = rows.arrays["intersection"], rows.arrays["union"]
    iou = intersection / np.maximum(union, 1)
    values = dict.fromkeys(SCORE_NAMES, math.nan) | {
        "mean_IoU": expressions.weighted_mean(iou, weights),
        "cum_IoU": expressions.quotient(int(weights @ intersection), int(weights @ union)),
    }
    return values | {f"P@{bound}": expressions.share(iou > bound, weights) for bound in PRECISIONS}


ENTRIES = {
    "phrase_cut": MetricEntry(
        protocols={"official": Protocol(build=lambda labels: PhraseCut(), score_names=SCORE_NAMES)},
        tool="PhraseCutDataset 276470b utils/evaluator.py",
        laws=(
            *laws.fractions(*SCORE_NAMES),
            *laws.rising(*(f"P@{least}" for least in reversed(PRECISIONS))),
            *laws.mean_of_steps("mean_IoU", {f"P@{least}": least for least in PRECISIONS}),
        ),
    ),
}
