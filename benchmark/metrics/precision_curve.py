"""COCO's interpolated precision/recall curve of one class over many samples, any of which may count more than once.

Detections are sorted once; a bootstrap replicate then repeats and drops rows, so the result equals, to the bit, that of
a data set in which samples are copied. Follows the accumulation of pycocotools 2.0.11 (stable sort, 101 recalls).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics import frames

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integral:
    """One class. precision: float64 [A, T], mean over the recalls. recall: float64 [A, M], mean over the thresholds.

    A ranges of area, T thresholds of IoU, M caps. NaN where the class has no truth of that range.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    num_truths: int
    num_detections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCurve:
    """Detections of one class in all samples, by falling score.

    sample, rank: int64 [N], position of the sample and place within it.   tie: int64 [N], equal for rows of one sample
    and one score; has_ties: some are.   is_hit, is_false: bool [A, T, N].   truth_sample: int64 [G].
    truth_counts: bool [G, A], the truth is not ignored.
    """

    class_index: int
    sample: NDArray[np.int64]
    rank: NDArray[np.int64]
    tie: NDArray[np.int64]
    has_ties: bool
    is_hit: NDArray[np.bool_]
    is_false: NDArray[np.bool_]
    truth_sample: NDArray[np.int64]
    truth_counts: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: frames.Columns, class_index: int) -> ClassCurve:
        """Pick and sort the rows of one class; equal scores keep the order of samples, then of the file."""
        picked = np.flatnonzero(rows.arrays["class_index"] == class_index)
        picked = picked[np.argsort(-rows.arrays["score"][picked], kind="stable")]
        score, sample = rows.arrays["score"][picked], rows.sample["score"][picked]
        is_new = (np.diff(score, prepend=np.nan) != 0) | (np.diff(sample, prepend=-1) != 0)
        truths = np.flatnonzero(rows.arrays["truth_class"] == class_index)
        return cls(
            class_index=class_index,
            sample=sample,
            rank=rows.arrays["rank"][picked],
            tie=np.cumsum(is_new),
            has_ties=not is_new.all(),
            is_hit=np.ascontiguousarray(np.moveaxis(rows.arrays["is_hit"][picked], 0, -1)),
            is_false=np.ascontiguousarray(np.moveaxis(rows.arrays["is_false"][picked], 0, -1)),
            truth_sample=rows.sample["truth_class"][truths],
            truth_counts=rows.arrays["truth_counts"][truths],
        )

    def integrate(self, weights: NDArray[np.int64], max_dets: Sequence[int], *, most: int | None = None) -> Integral:
        """Precision and recall when sample s counts weights[s] times, at most max_dets[-1] detections an image.

        weights: int64 [S]. most: detections of the class that are kept in all samples together, None: all.
        """
        num_areas, num_levels, _ = self.is_hit.shape
        precision = np.full((num_areas, num_levels), np.nan)
        recall = np.full((num_areas, len(max_dets)), np.nan)
        num_truths = weights[self.truth_sample] @ self.truth_counts
        if num_truths.any():
            rows = self._repeated(weights, most)
            is_hit, is_false, rank = self.is_hit[..., rows], self.is_false[..., rows], self.rank[rows]
            level, place = np.divmod(np.flatnonzero(is_hit), max(is_hit.shape[-1], 1))
            precision = interpolate(level, place, is_false, num_truths).mean(axis=-1)
            precision[num_truths == 0] = np.nan
            area, rank = level // num_levels, rank[place]
            hits = np.stack([np.bincount(area[rank < cap], minlength=num_areas) for cap in max_dets], axis=1)
            recall = frames.ratio(hits, num_truths[:, None] * num_levels)
        return Integral(
            precision=precision,
            recall=recall,
            num_truths=int(num_truths[0]),
            num_detections=int(weights[self.sample].sum()),
        )

    def _repeated(self, weights: NDArray[np.int64], most: int | None) -> NDArray[np.int64] | slice:
        """The first rows in the order in which a data set of repeated samples would have them."""
        repeats = weights[self.sample]
        if (repeats == 1).all():
            return slice(most)
        rows = np.repeat(np.arange(len(repeats)), repeats)
        if not self.has_ties:
            return rows[:most]
        # Rows of one sample and one score stay together copy by copy: 1 2 1 2, where repeating gives 1 1 2 2.
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return rows[np.lexsort((rows, copy, self.tie[rows]))][:most]


def interpolate(
    level: NDArray[np.int64], place: NDArray[np.int64], is_false: NDArray[np.bool_], num_truths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Precision float64 [A, T, 101] at the recalls 0, 0.01, ..., 1; 0 for a recall that is never reached.

    level, place: int64 [H], the hits, one (range, threshold) after another: its number and their places among the N
    detections by falling score. is_false: bool [A, T, N]. num_truths: int64 [A].
    """
    num_areas, num_levels, num = is_false.shape
    found = np.bincount(level, minlength=num_areas * num_levels)
    if not len(level):
        return np.zeros((num_areas, num_levels, len(RECALLS)))
    # Between two hits precision only falls: the envelope at a hit is the greatest precision of this hit and later ones.
    nth = np.arange(len(level)) - np.repeat(np.cumsum(found) - found, found) + 1
    falses = np.cumsum(is_false.reshape(-1, num), axis=1, dtype=np.int32)[level, place]
    envelope = np.zeros((len(found), int(found.max()) + 1))
    envelope[level, nth - 1] = nth / (falses + nth + np.spacing(1))
    envelope = np.maximum.accumulate(envelope[:, ::-1], axis=1)[:, ::-1]
    # The first place with recall >= r is that of the k-th hit, and k depends on the number of truths alone. Recall 0 is
    # reached at the first detection, hit or not; the envelope there is the one at the first hit.
    wanted = hits_of_recalls(num_truths)[:, None, :]
    last = found.reshape(num_areas, num_levels, 1)
    reached = np.take_along_axis(envelope.reshape(num_areas, num_levels, -1), np.minimum(wanted, last + 1) - 1, axis=-1)
    return np.where(wanted <= last, reached, 0.0)


def hits_of_recalls(num_truths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many hits reach each recall, int64 [S, 101], at least 1; more than there are where there is no truth.

    num_truths: int64 [S].
    """
    total = np.maximum(num_truths, 1)[:, None]
    # The product may round to either side of a whole number; the quotients that the official tool compares decide.
    hits = np.maximum(np.floor(RECALLS * total) - 1, 0)
    for _ in range(3):
        hits += hits / total < RECALLS
    return np.maximum(hits, 1).astype(np.int64)
