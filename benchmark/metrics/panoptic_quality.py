"""Panoptic quality as https://github.com/cocodataset/panopticapi (last commit) has it; COCO, ADE20K and Cityscapes.

Truth and prediction are id maps with listed segments; a pair of one class matches above IoU 0.5, the union leaves out
void truth. Only id 0 is void: a truth id that is not listed is an ordinary pixel that matches nothing. A truth segment
of a class that is not evaluated is void, as the official converters write it. A class that occurs nowhere is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Panoptic, Pooled, Prediction, Sample, Scores, Segment, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError
from benchmark.runs import joined

SCORE_NAMES = tuple(f"{name}{group}" for group in ("", "_th", "_st") for name in ("PQ", "SQ", "RQ"))
_EMPTY: dict[str, NDArray[Any]] = {
    "hit_class": np.zeros(0, np.int64),
    "hit_intersection": np.zeros(0, np.int64),
    "hit_union": np.zeros(0, np.int64),
    "false_class": np.zeros(0, np.int64),
    "missed_class": np.zeros(0, np.int64),
}


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """PQ, SQ and RQ over all classes of `labels`, over its things and over its stuff."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Match the segments of one image; keeps the classes of hits, misses and false segments."""
        truth, found = frames.pair(sample, prediction, Panoptic)
        overlap = _Overlap.of(truth, found)
        truths = self._truth_segments(truth, overlap)
        founds = self._found_segments(sample.sample_id, found, overlap)
        hits = overlap.matches(truths, founds)
        hit_truths, hit_founds = {pair[0] for pair in hits}, {pair[1] for pair in hits}
        crowds = {row.class_index: row.id for row in truths.values() if row.is_crowd}
        false = [
            row.class_index
            for row in founds.values()
            if row.id not in hit_founds and not overlap.is_excused(row, crowds.get(row.class_index))
        ]
        missed = [row.class_index for row in truths.values() if row.id not in hit_truths and not row.is_crowd]
        rows = [(truths[pair[0]].class_index, *areas) for pair, areas in hits.items()]
        table = np.array(rows, np.int64).reshape(-1, 3)
        arrays = {
            "hit_class": table[:, 0],
            "hit_intersection": table[:, 1],
            "hit_union": table[:, 2],
            "false_class": np.array(false, np.int64),
            "missed_class": np.array(missed, np.int64),
        }
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay the matches of all samples end to end; the returned function sums them by class."""
        rows = frames.columns(stats, _EMPTY)
        iou = rows.arrays["hit_intersection"] / rows.arrays["hit_union"]

        def total(name: str, weights: NDArray[np.int64], value: NDArray[np.float64] | float = 1.0) -> NDArray[Any]:
            weighted = weights[rows.sample[name]] * value
            return np.bincount(rows.arrays[name], weights=weighted, minlength=self.labels.num_classes)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            sums = _Sums(
                iou=total("hit_class", weights, iou),
                hits=total("hit_class", weights),
                falses=total("false_class", weights),
                misses=total("missed_class", weights),
            )
            return self._score(sums, int(weights.sum()))

        return score

    def _truth_segments(self, truth: Panoptic, overlap: _Overlap) -> dict[int, Segment]:
        listed = {row.id: row for row in truth.segments}
        kept = {}
        for row in listed.values():
            if row.class_index >= self.labels.num_classes:
                overlap.make_void(row.id)
                continue
            kept[row.id] = row
            if row.area is not None:
                overlap.truth_area[row.id] = row.area
        return kept

    def _found_segments(self, sample_id: str, found: Panoptic, overlap: _Overlap) -> dict[int, Segment]:
        listed = {row.id: row for row in found.segments}
        drawn = set(overlap.found_area) - {0}
        if drawn != set(listed):
            raise BenchmarkError(
                f"{sample_id}: prediction draws segments {sorted(drawn - set(listed))} that it does not list and lists "
                f"{sorted(set(listed) - drawn)} that it does not draw. Write both from the same map."
            )
        for row in listed.values():
            if not 0 <= row.class_index < self.labels.num_classes:
                raise BenchmarkError(
                    f"{sample_id}: predicted segment {row.id} has class_index {row.class_index}; "
                    f"{self.labels.name} evaluates 0 to {self.labels.num_classes - 1}. Map it or leave it void."
                )
        return listed

    def _score(self, sums: _Sums, num: int) -> Scores:
        effective = sums.hits + 0.5 * sums.falses + 0.5 * sums.misses
        quality = {
            "PQ": frames.ratio(sums.iou, effective),
            "SQ": np.where((effective > 0) & (sums.hits == 0), 0.0, frames.ratio(sums.iou, sums.hits)),
            "RQ": frames.ratio(sums.hits, effective),
        }
        is_thing = self.labels.is_thing
        groups = {"": np.ones_like(is_thing), "_th": is_thing, "_st": ~is_thing}
        values = {
            f"{name}{group}": frames.mean(per_class[members])
            for group, members in groups.items()
            for name, per_class in quality.items()
        }
        counts = {"TP": int(sums.hits.sum()), "FP": int(sums.falses.sum()), "FN": int(sums.misses.sum())}
        per_class = {
            name: {key: float(column[index]) for key, column in quality.items()}
            for index, name in enumerate(self.labels.names)
        }
        return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """float64 [K] each: summed IoU of the hits, and the numbers of hits, false and missed segments, by class."""

    iou: NDArray[np.float64]
    hits: NDArray[np.float64]
    falses: NDArray[np.float64]
    misses: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Overlap:
    """Pixel counts of one image. pixels: (truth id, predicted id) -> pixels. Areas by id."""

    pixels: dict[tuple[int, int], int]
    truth_area: dict[int, int]
    found_area: dict[int, int]

    @classmethod
    def of(cls, truth: Panoptic, found: Panoptic) -> _Overlap:
        """Count the pairs of ids, run by run along the rows."""
        lengths, left, right = joined(truth.row_runs(), found.row_runs())
        codes = left.astype(np.int64) << 32 | right.astype(np.int64)
        pairs, place = np.unique(codes, return_inverse=True)
        totals = np.bincount(place, weights=lengths, minlength=len(pairs)).astype(np.int64).tolist()
        pixels = {(code >> 32, code & 0xFFFFFFFF): total for code, total in zip(pairs.tolist(), totals, strict=True)}
        truth_area: dict[int, int] = {}
        found_area: dict[int, int] = {}
        for (truth_id, found_id), total in pixels.items():
            truth_area[truth_id] = truth_area.get(truth_id, 0) + total
            found_area[found_id] = found_area.get(found_id, 0) + total
        return cls(pixels, truth_area, found_area)

    def make_void(self, truth_id: int) -> None:
        """Count the pixels of a truth segment as void."""
        for pair in [pair for pair in self.pixels if pair[0] == truth_id]:
            self.pixels[0, pair[1]] = self.pixels.get((0, pair[1]), 0) + self.pixels.pop(pair)

    def matches(self, truths: dict[int, Segment], founds: dict[int, Segment]) -> dict[tuple[int, int], tuple[int, int]]:
        """(truth id, predicted id) -> (intersection, union) of the pairs of one class whose IoU exceeds 0.5."""
        hits = {}
        for (truth_id, found_id), intersection in self.pixels.items():
            truth, found = truths.get(truth_id), founds.get(found_id)
            if truth is None or found is None or truth.is_crowd or truth.class_index != found.class_index:
                continue
            void = self.pixels.get((0, found_id), 0)
            union = self.found_area[found_id] + self.truth_area[truth_id] - intersection - void
            if intersection / union > 0.5:
                hits[truth_id, found_id] = (intersection, union)
        return hits

    def is_excused(self, found: Segment, crowd_id: int | None) -> bool:
        """Whether more than half of a predicted segment lies on void and on the crowd segment of its class."""
        void = self.pixels.get((0, found.id), 0)
        crowd = 0 if crowd_id is None else self.pixels.get((crowd_id, found.id), 0)
        return (void + crowd) / self.found_area[found.id] > 0.5


ENTRIES = {
    "panoptic_quality": MetricEntry(
        protocols={"coco": Protocol(build=PanopticQuality, score_names=SCORE_NAMES)},
        tool="panopticapi, last commit",
        laws=laws.panoptic_quality(),
    ),
}
