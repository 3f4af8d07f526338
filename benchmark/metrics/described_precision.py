"""Average precision of described objects (D3), as d-cube's eval_and_analysis_json.py: https://github.com/shikras/d-cube

COCO's box AP (pycocotools 2.0.11) over descriptions, which are the classes. Beside it the mean over the descriptions of
one length, in words between blanks, and AP over the pairs of image and description that hold so many objects: the
others' truths and detections are left out. Descriptions without truth count nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws
from benchmark.metrics.average_precision import CocoAP, score_names
from benchmark.metrics.entry import MetricEntry, Protocol

LENGTHS: Mapping[str, tuple[int, int]] = {
    "AP_short": (1, 3),
    "AP_middle": (4, 6),
    "AP_long": (7, 9),
    "AP_very_long": (10, 10_000),
}
"""Words of a description, from and to."""
NUMBERS: Mapping[str, tuple[int, int]] = {
    "AP_one": (1, 1),
    "AP_multi": (2, 10_000),
    "AP_two": (2, 2),
    "AP_three": (3, 3),
    "AP_four": (4, 4),
    "AP_more": (5, 10_000),
}
"""Objects of a description in an image, from and to."""
_OWN: dict[str, NDArray[Any]] = {"truth_class": np.zeros(0, np.int64), "truth_words": np.zeros(0, np.int64)}
_OF_DETECTIONS = ("class_index", "score", "rank", "is_hit", "is_false")
_OF_TRUTHS = ("truth_class", "truth_counts")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedAP:
    """AP over the descriptions of `labels`, whose words are those that the sample was asked."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """COCO's rows, each with the number of objects of its description in this image."""
        stats = self._coco.measure(sample, prediction)
        truth, _ = frames.pair(sample, prediction, Instances)
        number = np.bincount(truth.class_index, minlength=self.labels.num_classes)
        asked = sample.prompt.labels or self.labels.names
        owners = stats.arrays["truth_class"].astype(np.int64)
        own = {
            "objects": number[stats.arrays["class_index"].astype(np.int64)],
            "truth_objects": number[owners],
            "truth_words": np.array([len(asked[owner].split(" ")) for owner in owners], np.int64),
        }
        return replace(stats, arrays={**stats.arrays, **own})

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Curves of all rows, and of those of each number of objects."""
        whole = self._coco.pool(stats)
        parts = {name: self._coco.pool([_with(one, *bounds) for one in stats]) for name, bounds in NUMBERS.items()}
        rows = frames.columns(stats, _OWN)
        words = np.zeros(self.labels.num_classes, np.int64)
        words[rows.arrays["truth_class"]] = rows.arrays["truth_words"]

        def score(weights: NDArray[np.int64] | None) -> Scores:
            return self._score(whole(weights), words, {name: part(weights) for name, part in parts.items()})

        return score

    @property
    def _coco(self) -> CocoAP:
        return CocoAP(self.labels, "bbox")

    def _score(self, scores: Scores, words: NDArray[np.int64], parts: Mapping[str, Scores]) -> Scores:
        column = np.full(self.labels.num_classes, np.nan)
        for row in self.labels.classes:
            if row.is_thing:
                column[row.class_index] = scores.per_class[row.name]["AP"]
        values = dict(scores.values)
        for name, (low, high) in LENGTHS.items():
            values[name] = frames.mean(column[(words >= low) & (words <= high)])
        values |= {name: part.values["AP"] for name, part in parts.items()}
        return replace(scores, values=values)


def _with(stats: Stats, low: int, high: int) -> Stats:
    """The rows of descriptions that have from `low` to `high` objects in the image."""
    number: dict[str, NDArray[Any]] = {name: stats.arrays[name] for name in ("objects", "truth_objects")}
    detections, truths = ((values >= low) & (values <= high) for values in number.values())
    arrays = {name: stats.arrays[name][detections] for name in _OF_DETECTIONS}
    arrays |= {name: stats.arrays[name][truths] for name in _OF_TRUTHS}
    return Stats(sample_id=stats.sample_id, arrays=arrays)


ENTRIES = {
    "described_bbox_ap": MetricEntry(
        protocols={
            "d3": Protocol(
                build=lambda labels: DescribedAP(labels=labels),
                score_names=(*score_names((1, 10, 100)), *LENGTHS, *NUMBERS),
            )
        },
        tool="d-cube, eval_and_analysis_json.py, with pycocotools 2.0.11",
        laws=(*laws.average_precision(("AR1", "AR10", "AR100")), *laws.fractions(*LENGTHS, *NUMBERS)),
    )
}
