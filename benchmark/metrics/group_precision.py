"""Average precision of the Open Images challenges, as OpenImagesChallengeEvaluator of the Object Detection API 2.8:

https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/challenge_evaluation.md

Only classes that a person verified count in an image. A detection is compared with the one truth that it overlaps
most, at IoU 0.5; a box that stands for a group takes any number of the detections that lie in it by half, together they
are one hit with the best of their scores. AP is the area under the precision envelope. Where masks are compared, a
truth without a mask excuses what overlaps its box, one detection for each such truth, and is not counted. Deviations:
equal scores are ranked last first, where the official order is that of an unstable sort; a group whose detections all
score 0 or less counts as missed, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats, Truth
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError

THRESHOLD = 0.5
PER_CLASS = 10_000
"""Detections of one class in one image that are kept."""
FALSE, HIT, GROUP = 0, 1, 2
_EMPTY: dict[str, NDArray[Any]] = {
    "class_index": np.zeros(0, np.int32),
    "score": np.zeros(0, np.float64),
    "outcome": np.zeros(0, np.uint8),
    "truth_class": np.zeros(0, np.int32),
    "truth_is_group": np.zeros(0, bool),
}
Rows = dict[str, NDArray[Any]]
Overlap = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any]]
"""(rows of detections [D], rows of truths [G]) -> overlap of each with each [D, G]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenImagesAP:
    """AP at IoU 0.5 over the classes of `labels`. has_masks: masks are compared, else boxes.

    group_weight: what a group counts as truth and as hit; 0: what lies in a group is left out.
    """

    labels: LabelSet
    has_masks: bool = False
    group_weight: float = 1.0

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Judge the detections of one image; keeps a row a detection and a row a truth that counts."""
        truth, found, full = _pair(sample, prediction, has_masks=self.has_masks)
        verified = np.union1d(truth.class_index, np.array(full.verified_labels, np.int64))
        is_sound = (found.boxes[:, 0] < found.boxes[:, 2]) & (found.boxes[:, 1] < found.boxes[:, 3])
        rows = np.flatnonzero(is_sound & np.isin(found.class_index, verified))
        is_group = np.zeros(len(truth), bool) if full.group_of is None else full.group_of
        present = np.union1d(truth.class_index, found.class_index[rows])
        judge = _Judge(found=found, truth=truth, is_group=is_group, has_masks=self.has_masks)
        parts = [self._of_class(judge, rows, int(class_index)) for class_index in present]
        joined = {name: np.concatenate([nothing, *(part[name] for part in parts)]) for name, nothing in _EMPTY.items()}
        return Stats(sample_id=sample.sample_id, arrays=joined)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sort each class by score once; the returned function repeats and integrates."""
        rows = frames.columns(stats, _EMPTY)
        curves = [_Curve.of(rows, class_index, self.group_weight) for class_index in range(self.labels.num_classes)]

        def score(weights: NDArray[np.int64] | None) -> Scores:
            return self._score(curves, rows.weights(weights))

        return score

    def _of_class(self, judge: _Judge, rows: NDArray[np.int64], class_index: int) -> Rows:
        own = rows[judge.found.class_index[rows] == class_index]
        own = own[np.argsort(judge.found.score[own], kind="stable")[::-1]][:PER_CLASS]
        truths = np.flatnonzero(judge.truth.class_index == class_index)
        scores, outcome = judge.outcomes(own, truths)
        counted = truths[judge.has_shape[truths]]
        return {
            "class_index": np.full(len(scores), class_index),
            "score": scores,
            "outcome": outcome,
            "truth_class": np.full(len(counted), class_index),
            "truth_is_group": judge.is_group[counted],
        }

    def _score(self, curves: Sequence[_Curve], weights: NDArray[np.int64]) -> Scores:
        precision = np.array([curve.average_precision(weights) for curve in curves])
        counts = {
            "truths": sum(int(weights[curve.truth_sample].sum()) for curve in curves),
            "detections": sum(int(weights[curve.sample].sum()) for curve in curves),
        }
        per_class = {name: {"AP50": float(value)} for name, value in zip(self.labels.names, precision, strict=True)}
        num = int(weights.sum())
        values = {"mAP": frames.mean(precision)}
        return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """Truth and detections of one image. is_group: bool [G]."""

    found: Instances
    truth: Instances
    is_group: NDArray[np.bool_]
    has_masks: bool

    @property
    def has_shape(self) -> NDArray[np.bool_]:
        """bool [G]: the truth has what is compared."""
        if not self.has_masks:
            return np.ones(len(self.truth), bool)
        return masks.areas(self.truth.masks or ()) > 0

    def outcomes(
        self, rows: NDArray[np.int64], truths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Scores [K] and outcomes [K] of what counts among the detections of one class, best first, then groups.

        rows: int64 [D], detections by falling score. truths: int64 [T].
        """
        scores = self.found.score[rows]
        has_shape, is_group = self.has_shape[truths], self.is_group[truths]
        is_open, is_hit, is_left_out = (np.full(len(rows), value) for value in (True, False, False))
        groups = np.zeros(0)
        for shaped, (iou, share) in ((True, self._of_shapes()), (False, self._of_boxes())):
            singles, crowds = truths[(has_shape == shaped) & ~is_group], truths[(has_shape == shaped) & is_group]
            new = _best_truths(iou(rows, singles), is_open)
            taken, best = _in_groups(share(rows, crowds), is_open & ~new, scores)
            is_open &= ~new & ~taken
            is_left_out |= taken if shaped else new | taken
            if shaped:
                is_hit, groups = new, best
        kept = np.concatenate((scores[~is_left_out], groups))
        outcome = np.concatenate((is_hit[~is_left_out] * HIT, np.full(len(groups), GROUP)))
        return kept, outcome.astype(np.uint8)

    def _of_shapes(self) -> tuple[Overlap, Overlap]:
        if not self.has_masks:
            return self._of_boxes()
        return partial(_mask_iou, self.found, self.truth), partial(_mask_share, self.found, self.truth)

    def _of_boxes(self) -> tuple[Overlap, Overlap]:
        boxes, truths = self.found.boxes, self.truth.boxes
        return partial(_box_iou, boxes, truths), partial(_box_share, boxes, truths)


def _pair(sample: Sample, prediction: Prediction, *, has_masks: bool) -> tuple[Instances, Instances, Truth]:
    """(truth, prediction, the truth's other fields) of an image; else BenchmarkError.

    Masks have any common size; what has no mask has no size either.
    """
    if sample.truth is None:
        raise BenchmarkError(f"{sample.sample_id}: the sample has no truth to score against. Name one with --truth.")
    sides = []
    for role, annotated in (("truth", sample.truth.frames), ("prediction", prediction.frames)):
        if len(annotated) != 1 or not isinstance(annotated[0], Instances):
            raise BenchmarkError(f"{sample.sample_id}: {role} is not one frame of objects, which this metric compares.")
        sides.append(annotated[0])
        if has_masks and sides[-1].masks is None:
            raise BenchmarkError(f"{sample.sample_id}: {role} has no masks, this metric compares masks.")
    truth, found = sides
    given = (truth.masks or ()) if has_masks else ()
    known = {mask.size for mask, area in zip(given, masks.areas(given), strict=True) if area}
    sizes = known | {mask.size for mask in found.masks or ()}
    if known and len(sizes) > 1:
        shown = " and ".join(f"{height}x{width}" for height, width in sorted(sizes))
        raise BenchmarkError(f"{sample.sample_id}: masks are {shown}. Write masks at the size of the truth's masks.")
    if np.isnan(found.score).any():
        raise BenchmarkError(f"{sample.sample_id}: prediction holds a score that is NaN. Write finite scores.")
    return truth, found, sample.truth


def _best_truths(ious: NDArray[Any], is_open: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool [D]: open detections that are the first to have a truth as their best. ious: [D, G]. is_open: bool [D]."""
    is_hit = np.zeros(len(ious), bool)
    if ious.size:
        best = ious.argmax(axis=1)
        near = np.flatnonzero(is_open & (ious[np.arange(len(ious)), best] >= THRESHOLD))
        is_hit[near[np.unique(best[near], return_index=True)[1]]] = True
    return is_hit


def _in_groups(
    shares: NDArray[Any], is_open: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which open detections lie in a group, bool [D], and the best score of each group that has any above 0.

    shares: [D, G], the part of a detection that lies in a group. is_open: bool [D]. scores: float64 [D].
    """
    if not shares.size:
        return np.zeros(len(shares), bool), np.zeros(0)
    group = shares.argmax(axis=1)
    is_in = is_open & (shares[np.arange(len(shares)), group] >= THRESHOLD)
    best = np.zeros(shares.shape[1])
    np.maximum.at(best, group[is_in], scores[is_in])
    return is_in, best[best > 0]


def _intersections(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Common areas [D, G] of boxes (x0, y0, x1, y1) [D, 4] and [G, 4]."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0.0).prod(axis=-1))


def _box_areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))


def _box_iou(
    found: NDArray[np.float64], truth: NDArray[np.float64], rows: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.float64]:
    common = _intersections(found[rows], truth[others])
    with np.errstate(invalid="ignore"):
        return np.asarray(common / (_box_areas(found[rows])[:, None] + _box_areas(truth[others]) - common))


def _box_share(
    found: NDArray[np.float64], truth: NDArray[np.float64], rows: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.float64]:
    return np.asarray(_intersections(found[rows], truth[others]) / _box_areas(found[rows])[:, None])


def _mask_iou(
    found: Instances, truth: Instances, rows: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.float32]:
    ours, theirs, common = _mask_counts(found, truth, rows, others)
    return np.asarray(common / np.maximum(ours[:, None] + theirs - common, np.float32(1e-7)))


def _mask_share(
    found: Instances, truth: Instances, rows: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.float32]:
    ours, _, common = _mask_counts(found, truth, rows, others)
    return np.asarray(common / (ours[:, None] + np.float32(1e-7)))


def _mask_counts(
    found: Instances, truth: Instances, rows: NDArray[np.int64], others: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Pixels [D], pixels [G] and common pixels [D, G], in the official tool's 32 bits."""
    ours = [(found.masks or ())[row] for row in rows]
    theirs = [(truth.masks or ())[row] for row in others]
    common = masks.intersections(ours, theirs)
    return tuple(counts.astype(np.float32) for counts in (masks.areas(ours), masks.areas(theirs), common))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """Detections of one class in all samples, by falling score. gain: float64 [N], what each adds to the hits.

    sample: int64 [N]. tie: int64 [N], equal for rows of one sample and one score; has_ties: some are.
    truth_sample: int64 [G]. truth_weight: float64 [G].
    """

    sample: NDArray[np.int64]
    gain: NDArray[np.float64]
    tie: NDArray[np.int64]
    has_ties: bool
    truth_sample: NDArray[np.int64]
    truth_weight: NDArray[np.float64]

    @classmethod
    def of(cls, rows: frames.Columns, class_index: int, group_weight: float) -> _Curve:
        """Pick and sort the rows of one class; of equal scores the last comes first."""
        outcome = rows.arrays["outcome"]
        is_own = (rows.arrays["class_index"] == class_index) & ((outcome != GROUP) | (group_weight > 0))
        picked = np.flatnonzero(is_own)
        picked = picked[np.argsort(rows.arrays["score"][picked], kind="stable")[::-1]]
        score, sample = rows.arrays["score"][picked], rows.sample["score"][picked]
        is_new = (np.diff(score, prepend=np.nan) != 0) | (np.diff(sample, prepend=-1) != 0)
        truths = np.flatnonzero(rows.arrays["truth_class"] == class_index)
        return cls(
            sample=sample,
            gain=np.array([0.0, 1.0, group_weight])[outcome[picked]],
            tie=np.cumsum(is_new),
            has_ties=not is_new.all(),
            truth_sample=rows.sample["truth_class"][truths],
            truth_weight=np.where(rows.arrays["truth_is_group"][truths], group_weight, 1.0),
        )

    def average_precision(self, weights: NDArray[np.int64]) -> float:
        """Area under the precision envelope; NaN without truth. weights: int64 [S], how often each sample counts."""
        num_truths = float(weights[self.truth_sample] @ self.truth_weight)
        if not num_truths:
            return float("nan")
        gain = self.gain[self._repeated(weights)]
        hits, falses = np.cumsum(gain), np.cumsum(gain <= 0)
        envelope = np.maximum.accumulate((hits / (hits + falses))[::-1])[::-1]
        steps = np.diff(hits / num_truths, prepend=0.0)
        return float(np.sum((steps * envelope)[steps != 0]))

    def _repeated(self, weights: NDArray[np.int64]) -> NDArray[np.int64] | slice:
        """Rows in the order in which a data set of repeated samples would have them."""
        repeats = weights[self.sample]
        if (repeats == 1).all():
            return slice(None)
        rows = np.repeat(np.arange(len(repeats)), repeats)
        if not self.has_ties:
            return rows
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return rows[np.lexsort((rows, copy, self.tie[rows]))]


def _protocols(weights: Mapping[str, float], *, has_masks: bool) -> dict[str, Protocol]:
    return {
        name: Protocol(
            build=partial(_build, has_masks=has_masks, group_weight=weight),
            score_names=("mAP",),
        )
        for name, weight in weights.items()
    }


def _build(labels: LabelSet, *, has_masks: bool, group_weight: float) -> OpenImagesAP:
    return OpenImagesAP(labels=labels, has_masks=has_masks, group_weight=group_weight)


TOOL = "tf-models-research-object-detection 2.8.0"
_LAWS = (*laws.fractions("mAP", "AP50"), laws.MeanLaw(name="mAP", of="AP50"))

ENTRIES = {
    "openimages_bbox_ap": MetricEntry(
        protocols=_protocols({"challenge": 1.0, "v2": 0.0}, has_masks=False), tool=TOOL, laws=_LAWS
    ),
    "openimages_segm_ap": MetricEntry(protocols=_protocols({"challenge": 1.0}, has_masks=True), tool=TOOL, laws=_LAWS),
}
