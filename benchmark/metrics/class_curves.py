"""COCO's precision/recall curves of all classes together, every sample counted once.

What `ClassCurve` does class by class is done here for all classes, ranges of area and thresholds in a few calls;
results are equal to the bit. Shapes: C classes, A ranges of area, T thresholds of IoU, N detections, G truths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics import frames
from benchmark.metrics.precision_curve import RECALLS, ClassCurve, Integral, hits_of_recalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Rows of detections class by class, by falling score; equal scores keep their order.

    classes: int64 [C], ascending. order: int64 [N]. starts: int64 [C + 1], where each class's begin, then the end.
    """

    classes: NDArray[np.int64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(
        cls, classes: NDArray[np.int64], class_index: NDArray[np.integer], score: NDArray[np.float64] | None
    ) -> Ranking:
        """Of rows [N] with these classes and scores; rows of other classes are left out. score: None: all equal."""
        order, starts, stops = _grouped(classes, class_index)
        groups = [order[low:high] for low, high in zip(starts.tolist(), stops.tolist(), strict=True)]
        if score is not None:
            groups = [rows[np.argsort(-score[rows], kind="stable")] if len(rows) > 1 else rows for rows in groups]
        sizes = [len(rows) for rows in groups]
        joined = np.concatenate([np.zeros(0, np.int64), *groups])
        return cls(classes=classes, order=joined, starts=np.cumsum([0, *sizes], dtype=np.int64))


def _grouped(
    classes: NDArray[np.int64], class_index: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(rows by class in their order, first and last place behind each of `classes`)."""
    # NumPy sorts by radix up to 16 bits.
    is_small = len(classes) == 0 or int(classes[-1]) < 1 << 15
    small = class_index.astype(np.int16) if is_small else class_index
    order = np.argsort(small, kind="stable")
    ranked = class_index[order]
    return order, np.searchsorted(ranked, classes, "left"), np.searchsorted(ranked, classes, "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves(Sequence[ClassCurve]):
    """Detections and truths of all classes, class by class, detections by falling score.

    classes: int64 [C]. starts, truth_starts: int64 [C + 1], where each class's begin, then the end.
    sample, rank, tie: int64 [N], see `ClassCurve`. has_ties: bool [C]. is_hit, is_false: bool [A, T, N].
    truth_sample: int64 [G]. truth_counts: bool [G, A].
    """

    classes: NDArray[np.int64]
    starts: NDArray[np.int64]
    truth_starts: NDArray[np.int64]
    sample: NDArray[np.int64]
    rank: NDArray[np.int64]
    tie: NDArray[np.int64]
    has_ties: NDArray[np.bool_]
    is_hit: NDArray[np.bool_]
    is_false: NDArray[np.bool_]
    truth_sample: NDArray[np.int64]
    truth_counts: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        rows: frames.Columns,
        ranking: Ranking,
        *,
        rank: NDArray[np.int64] | None,
        is_hit: NDArray[np.bool_],
        is_false: NDArray[np.bool_],
    ) -> Curves:
        """Of the rows of all samples. rank: int64 [N], None: 0. is_hit, is_false: bool [A, T, N]. All as ranked."""
        order, starts = ranking.order, ranking.starts
        score, sample = rows.arrays["score"][order], rows.sample["score"][order]
        is_new = (np.diff(score, prepend=np.nan) != 0) | (np.diff(sample, prepend=-1) != 0)
        is_new[starts[:-1][np.diff(starts) > 0]] = True
        tied = np.searchsorted(starts, np.flatnonzero(~is_new), "right") - 1
        truths = Ranking.of(ranking.classes, rows.arrays["truth_class"], None)
        return cls(
            classes=ranking.classes,
            starts=starts,
            truth_starts=truths.starts,
            sample=sample,
            rank=np.zeros(len(order), np.int64) if rank is None else rank,
            tie=np.cumsum(is_new),
            has_ties=np.bincount(tied, minlength=len(ranking.classes)) > 0,
            is_hit=is_hit,
            is_false=is_false,
            truth_sample=rows.sample["truth_class"][truths.order],
            truth_counts=rows.arrays["truth_counts"][truths.order],
        )

    @classmethod
    def joined(cls, curves: Sequence[ClassCurve]) -> Curves:
        """Of at least one class, each on its own."""
        return cls(
            classes=np.array([one.class_index for one in curves], np.int64),
            starts=np.cumsum([0, *(len(one.sample) for one in curves)]),
            truth_starts=np.cumsum([0, *(len(one.truth_sample) for one in curves)]),
            sample=np.concatenate([one.sample for one in curves]),
            rank=np.concatenate([one.rank for one in curves]),
            tie=np.concatenate([one.tie for one in curves]),
            has_ties=np.array([one.has_ties for one in curves]),
            is_hit=np.concatenate([one.is_hit for one in curves], axis=-1),
            is_false=np.concatenate([one.is_false for one in curves], axis=-1),
            truth_sample=np.concatenate([one.truth_sample for one in curves]),
            truth_counts=np.concatenate([one.truth_counts for one in curves]),
        )

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[ClassCurve]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> ClassCurve:  # type: ignore[override]
        own, truths = (slice(*bounds[index : index + 2].tolist()) for bounds in (self.starts, self.truth_starts))
        return ClassCurve(
            class_index=int(self.classes[index]),
            sample=self.sample[own],
            rank=self.rank[own],
            tie=self.tie[own],
            has_ties=bool(self.has_ties[index]),
            is_hit=self.is_hit[..., own],
            is_false=self.is_false[..., own],
            truth_sample=self.truth_sample[truths],
            truth_counts=self.truth_counts[truths],
        )

    def integrate(self, max_dets: Sequence[int]) -> list[Integral]:
        """Precision and recall of every class, at most max_dets[-1] detections an image."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.truth_starts))
        truths = np.stack([np.bincount(owner[one], minlength=len(self)) for one in self.truth_counts.T])
        num_areas, num_levels, _ = self.is_hit.shape
        precision = np.full((num_areas, num_levels, len(self)), np.nan)
        hits = np.zeros((num_areas, len(max_dets), len(self)), np.int64)
        wanted = np.zeros((len(self), len(RECALLS)), np.int64)
        owner = np.repeat(np.arange(len(self)), np.diff(self.starts))
        for area, level in np.ndindex(num_areas, num_levels):
            wanted = wanted if level else hits_of_recalls(truths[area])
            place = np.flatnonzero(self.is_hit[area, level])
            of_hit, rank = owner[place], self.rank[place]
            hits[area] += [np.bincount(of_hit[rank < cap], minlength=len(self)) for cap in max_dets]
            found = np.bincount(of_hit, minlength=len(self))
            means = self._precision(place, self.is_false[area, level], found, wanted)
            np.copyto(precision[area, level], means, where=truths[area] > 0)
        recall = frames.ratio(hits, truths[:, None] * num_levels)
        sizes = np.diff(self.starts).tolist()
        return [
            Integral(
                precision=precision[..., index],
                recall=recall[..., index],
                num_truths=int(truths[0, index]),
                num_detections=sizes[index],
            )
            for index in range(len(self))
        ]

    def _precision(
        self, hits: NDArray[np.int64], is_false: NDArray[np.bool_], found: NDArray[np.int64], wanted: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Mean over the recalls at one threshold and range, float64 [C].

        hits: int64 [H], ascending. is_false: bool [N]. found: int64 [C], hits of each class. wanted: int64 [C, 101].
        """
        means = np.zeros(len(self))
        shown = np.flatnonzero(found)
        if len(shown):
            falses = np.zeros(len(is_false) + 1, np.int32)
            np.cumsum(is_false, out=falses[1:])
            nth = np.arange(1, len(hits) + 1) - np.repeat(np.cumsum(found) - found, found)
            before = falses[hits + 1] - np.repeat(falses[self.starts[:-1]], found)
            means[shown] = _mean(nth / (before + nth + np.spacing(1)), wanted[shown], found[shown])
        return means


def _mean(precision: NDArray[np.float64], wanted: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of the precision envelope over the recalls, float64 [S]; 0 counts where a recall is not reached.

    precision: float64 [sum of found], at the hits of S classes. wanted: int64 [S, 101], hits that each recall needs, 1
    for the first. found: int64 [S], at least 1 each.
    """
    is_reached = wanted <= found[:, None]
    starts = ((np.cumsum(found) - found)[:, None] + wanted - 1)[is_reached]
    # From one wanted hit to the next the greatest precision counts for the recalls up to the first of them.
    envelope = np.zeros((len(found), len(RECALLS)))
    envelope[is_reached] = np.maximum.reduceat(precision, starts)
    envelope = np.fmax.accumulate(envelope[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(np.ascontiguousarray(envelope).mean(axis=-1))
