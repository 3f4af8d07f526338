"""COCO's average precision as a mean over data sets, as ODinW and SegInW state it.

The label set's supercategory names the data set of a class. AP of a data set is that of pycocotools 2.0.11 over its own
classes and images; the headline is the unweighted mean of the data sets, with the median beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws
from benchmark.metrics.average_precision import CocoAP
from benchmark.metrics.entry import MetricEntry, Protocol

SCORE_NAMES = ("AP", "AP50", "AP_median", "AP50_median")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedAP:
    """AP of every data set of `labels`, and the mean over them. iou_type: what is compared."""

    labels: LabelSet
    iou_type: Literal["segm", "bbox"]

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Match the detections of one image, as COCO's metric does."""
        return CocoAP(self.labels, self.iou_type).measure(sample, prediction)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """COCO's curves of all classes; the returned function averages them data set by data set."""
        pooled = CocoAP(self.labels, self.iou_type).pool(stats)

        def score(weights: NDArray[np.int64] | None) -> Scores:
            return self._grouped(pooled(weights))

        return score

    def _grouped(self, scores: Scores) -> Scores:
        things = [row for row in self.labels.classes if row.is_thing]
        groups = list(dict.fromkeys(row.supercategory for row in things))
        table = {}
        for group in groups:
            rows = [scores.per_class[row.name] for row in things if row.supercategory == group]
            table[group] = {name: frames.mean(np.array([row[name] for row in rows])) for name in ("AP", "AP50")}
        columns = {name: np.array([row[name] for row in table.values()]) for name in ("AP", "AP50")}
        values = {name: frames.mean(column) for name, column in columns.items()}
        values |= {f"{name}_median": _median(column) for name, column in columns.items()}
        return replace(scores, values=values, per_class=table)


def _median(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


def _build(labels: LabelSet, *, iou_type: Literal["segm", "bbox"]) -> GroupedAP:
    return GroupedAP(labels=labels, iou_type=iou_type)


ENTRIES = {
    f"grouped_{kind}_ap": MetricEntry(
        protocols={"mean": Protocol(build=partial(_build, iou_type=kind), score_names=SCORE_NAMES)},
        tool="pycocotools 2.0.11 on every data set",
        laws=(*laws.average_precision(), *laws.fractions("AP_median", "AP50_median")),
    )
    for kind in ("bbox", "segm")
}
