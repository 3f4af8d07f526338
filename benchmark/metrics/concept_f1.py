"""cgF1 of noun phrases, some of which name nothing, as sam3/eval/cgf1_eval.py of facebookresearch/sam3 at 99d02f2.

One sample is an image with a phrase. Masks of score >= 0.5 are paired with the true ones, the sum of IoU the largest; a
pair counts at each of ten IoUs (0.50:0.95). Phrase by phrase the presence is judged, too: IL_MCC is Matthews'
correlation of "something was found" with "something is there". cgF1 = positive_micro_F1 x IL_MCC, where false masks
count for the micro F1 of phrases alone that name something. Scores at all ten IoUs are averaged; "@0.5" is one of them.
Crowds are left out. Of several annotators the one counts that agrees best. The small constants in the denominators
(1e-4, 1e-6) are the official ones: a perfect cgF1 stays a little below 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmark import masks
from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats
from benchmark.metrics import expression_masks as expressions
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
SCORE = 0.5
EPSILON, PRESENCE_EPSILON = 1e-4, 1e-6
AT = {"": slice(None), "@0.5": slice(0, 1), "@0.75": slice(5, 6)}
MASK_NAMES = ("cgF1", "precision", "recall", "F1", "positive_macro_F1", "positive_micro_F1", "positive_micro_precision")
PRESENCE_NAMES = ("IL_precision", "IL_recall", "IL_F1", "IL_FPR", "IL_MCC")
SCORE_NAMES = (*MASK_NAMES, *PRESENCE_NAMES, *(f"{name}{at}" for at in AT if at for name in MASK_NAMES))
_EMPTY = {
    "hits": np.zeros((0, len(IOU_THRESHOLDS)), np.int64),
    "num_found": np.zeros(0, np.int64),
    "num_true": np.zeros(0, np.int64),
}


@dataclass(frozen=True, slots=True)
class ConceptF1:
    """The masks of a phrase, and whether there are any."""

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Pairs at each IoU, found and true masks, against the annotator who agrees best."""
        truth, found = frames.pair(sample, prediction, Instances)
        if not expressions.has_masks(found):
            raise BenchmarkError(f"{sample.sample_id}: prediction has no masks, this metric compares masks.")
        kept = [rle for rle, score in zip(found.masks or (), found.score, strict=True) if score >= SCORE]
        others = () if sample.truth is None else sample.truth.alternatives
        best = _compare(kept, truth)
        for other in others:
            current = _compare(kept, other)
            best = current if _is_better(current, best, len(kept)) else best
        hits, num_true = best
        rows = {"hits": hits[None], "num_found": np.array([len(kept)]), "num_true": np.array([num_true])}
        return Stats(sample_id=sample.sample_id, arrays=rows)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the counts of all phrases end to end."""
        rows = frames.columns(stats, _EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            num = int(weights.sum())
            negative = int(weights @ (rows.arrays["num_true"] == 0))
            return Scores(
                values=_of_masks(rows, weights),
                counts={"phrases": num, "negative_phrases": negative},
                per_class={},
                num_expected=num,
                num_scored=num,
            )

        return score


def _compare(found: Sequence[masks.Rle], truth: Instances) -> tuple[NDArray[np.int64], int]:
    """Pairs of masks that reach each IoU, int64 [10], and the number of true masks."""
    rows = truth.masks or ()
    true = [rle for rle, is_crowd in zip(rows, truth.is_crowd, strict=True) if not is_crowd]
    iou = masks.iou(found, true)
    best = iou[linear_sum_assignment(-iou)]
    return (best[:, None] >= IOU_THRESHOLDS).sum(axis=0, dtype=np.int64), len(true)


def _is_better(current: tuple[NDArray[np.int64], int], best: tuple[NDArray[np.int64], int], num_found: int) -> bool:
    """Whether a later annotator's reading takes the place of the best one so far: two empty answers always do."""
    if not num_found and not current[1]:
        return True
    if not num_found and not best[1]:
        return False
    means = [_local_f1(hits[None], np.array([num_found]), np.array([num])).mean() for hits, num in (current, best)]
    return bool(means[0] > means[1])


def _local_f1(
    hits: NDArray[np.int64], num_found: NDArray[np.int64], num_true: NDArray[np.int64]
) -> NDArray[np.float64]:
    """F1 of each phrase at each IoU, float64 [N, 10]."""
    return _f1(hits / (num_found[:, None] + EPSILON), hits / (num_true[:, None] + EPSILON), EPSILON)


def _f1(precision: NDArray[np.float64], recall: NDArray[np.float64], epsilon: float) -> NDArray[np.float64]:
    return np.asarray(2 * precision * recall / (precision + recall + epsilon), np.float64)


def _of_masks(rows: frames.Columns, weights: NDArray[np.int64]) -> dict[str, float]:
    hits, num_found, num_true = (rows.arrays[name] for name in ("hits", "num_found", "num_true"))
    total, true = weights @ hits, int(weights @ num_true)
    both = (num_true > 0) & (num_found > 0)
    precision = total / (int(weights @ num_found) + EPSILON)
    positive_precision = total / (total + weights[num_true > 0] @ (num_found[:, None] - hits)[num_true > 0] + EPSILON)
    recall = total / (true + EPSILON)
    presence = _of_presence(num_found > 0, num_true > 0, weights)
    positive = _f1(positive_precision, recall, EPSILON)
    local = _local_f1(hits, num_found, num_true)[both]
    curves = {
        "cgF1": positive * presence["IL_MCC"],
        "precision": precision,
        "recall": recall,
        "F1": _f1(precision, recall, EPSILON),
        "positive_macro_F1": np.array([expressions.weighted_mean(column, weights[both]) for column in local.T]),
        "positive_micro_F1": positive,
        "positive_micro_precision": positive_precision,
    }
    if not weights.any():
        return dict.fromkeys(SCORE_NAMES, math.nan)
    at = {f"{name}{suffix}": float(np.mean(curves[name][part])) for suffix, part in AT.items() for name in curves}
    return {name: (presence | at)[name] for name in SCORE_NAMES}


def _of_presence(
    is_found: NDArray[np.bool_], is_there: NDArray[np.bool_], weights: NDArray[np.int64]
) -> dict[str, float]:
    """How well it is told whether a phrase names anything. is_found, is_there: bool [N]."""
    tp, fp = int(weights @ (is_found & is_there)), int(weights @ (is_found & ~is_there))
    fn, tn = int(weights @ (~is_found & is_there)), int(weights @ (~is_found & ~is_there))
    recall, precision = tp / (tp + fn + PRESENCE_EPSILON), tp / (tp + fp + PRESENCE_EPSILON)
    spread = (float(tp + fp) * float(tp + fn) * float(tn + fp) * float(tn + fn)) ** 0.5
    return {
        "IL_precision": precision,
        "IL_recall": recall,
        "IL_F1": 2 * precision * recall / (precision + recall + PRESENCE_EPSILON),
        "IL_FPR": fp / (fp + tn + PRESENCE_EPSILON),
        "IL_MCC": float(tp * tn - fp * fn) / (spread + PRESENCE_EPSILON),
    }


_SIGNED = (*(name for name in SCORE_NAMES if name.startswith("cgF1")), "IL_MCC")
ENTRIES = {
    "concept_f1": MetricEntry(
        protocols={"sam3": Protocol(build=lambda labels: ConceptF1(), score_names=SCORE_NAMES)},
        tool="SAM 3 99d02f2 sam3/eval/cgf1_eval.py",
        laws=(*laws.signed(*_SIGNED), *laws.fractions(*(name for name in SCORE_NAMES if name not in _SIGNED))),
        lower_is_better=frozenset({"IL_FPR"}),
    ),
}
