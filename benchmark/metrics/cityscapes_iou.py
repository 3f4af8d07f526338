"""Pixel scores of Cityscapes, as cityscapesscripts 2.3.0: https://github.com/mcordts/cityscapesScripts

One confusion matrix over all labels gives the IoU of the 19 classes and of the 7 categories; iIoU weighs the pixels of
every truth instance by the average size of its class over its own size (false positives stay unweighted). The truth is
a label map in which the ignored labels keep their own index, and `Truth.objects` holds the instances with their masks;
groups and instances of ignored labels do not count. The official "pixel accuracy", computed inverted, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, LabelMap, Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws, semantic_iou
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError
from benchmark.runs import Runs

SCORE_NAMES = ("mIoU", "iIoU", "category_IoU", "category_iIoU")
AVERAGE_SIZE: Mapping[str, float] = MappingProxyType(
    {
        "person": 3462.4756337644,
        "rider": 3930.4788056518,
        "car": 12794.0202738185,
        "truck": 27855.1264367816,
        "bus": 35732.1511111111,
        "train": 67583.7075812274,
        "motorcycle": 6298.7200839748,
        "bicycle": 4672.3249222261,
    }
)
"""Average pixels of an instance in the training set, official constants."""
_EMPTY: dict[str, NDArray[Any]] = {
    "cell": np.zeros(0, np.int64),
    "pixels": np.zeros(0, np.int64),
    "object_class": np.zeros(0, np.int64),
    "object_size": np.zeros(0, np.int64),
    "object_hits": np.zeros(0, np.int64),
    "object_category_hits": np.zeros(0, np.int64),
}


@dataclass(frozen=True, slots=True)
class CityscapesIoU:
    """Class and category IoU and iIoU over `labels`, whose supercategories are the official categories."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Confusion cells over evaluated and ignored labels, and for each truth instance its size and hits."""
        truth, found = frames.pair(sample, prediction, LabelMap)
        objects = sample.truth.objects if sample.truth else None
        if objects is None or objects.masks is None:
            raise BenchmarkError(
                f"{sample.sample_id}: truth has no instance masks, which the iIoU of Cityscapes weighs."
            )
        cell, pixels = semantic_iou.confusion_of_maps(truth, found, len(self.labels.everything))
        arrays = {"cell": cell, "pixels": pixels} | self._measure_objects(objects, found.runs())
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay cells and instances of all samples end to end; the returned function adds them up."""
        rows = frames.columns(stats, _EMPTY)
        share = self._average_sizes()[rows.arrays["object_class"]] / rows.arrays["object_size"]

        def total(name: str, weights: NDArray[np.int64]) -> NDArray[np.float64]:
            pixels = rows.arrays[name] * share * weights[rows.sample[name]]
            summed = np.bincount(rows.arrays["object_class"], weights=pixels, minlength=self.labels.num_classes)
            return summed.astype(np.float64, copy=False)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            matrix = semantic_iou.total(rows, weights, len(self.labels.everything))
            weighted = _Weighted(
                total("object_hits", weights), total("object_category_hits", weights), total("object_size", weights)
            )
            return self._score(matrix, weighted, int(weights.sum()))

        return score

    def _average_sizes(self) -> NDArray[np.float64]:
        return np.array([AVERAGE_SIZE.get(name, np.nan) for name in self.labels.names])

    def _measure_objects(self, objects: Instances, found: Runs) -> dict[str, NDArray[Any]]:
        things = np.flatnonzero(self.labels.is_thing)
        rows = np.flatnonzero(np.isin(objects.class_index, things) & ~objects.is_crowd)
        truths = [(objects.masks or ())[row] for row in rows]
        own = objects.class_index[rows]
        num_labels = len(self.labels.everything)
        common = masks.value_counts(truths, found, num_labels)
        hits = common[np.arange(len(rows)), own]
        peers = np.zeros((self.labels.num_classes, num_labels), np.int64)
        for members in self._instance_categories().values():
            peers[np.ix_([member for member in members if member < self.labels.num_classes], members)] = 1
        return {
            "object_class": own,
            "object_size": masks.areas(truths),
            "object_hits": hits,
            "object_category_hits": (common * peers[own]).sum(axis=1),
        }

    def _categories(self) -> dict[str, list[int]]:
        """Category name -> evaluated classes, in the order of the label set; categories without any are left out."""
        found: dict[str, list[int]] = {}
        for label in self.labels.classes:
            found.setdefault(label.supercategory, []).append(label.class_index)
        return found

    def _instance_categories(self) -> dict[str, list[int]]:
        """Category name -> classes, ignored ones too, of the categories whose official labels all have instances."""
        found = {}
        for category in self._categories():
            # The license plate, id -1, never occurs in a label map and takes no part.
            members = [row for row in self.labels.everything if row.supercategory == category and row.category_id >= 0]
            if all(row.is_thing for row in members):
                found[category] = [row.class_index for row in members]
        return found

    def _score(self, matrix: NDArray[np.int64], weighted: _Weighted, num: int) -> Scores:
        evaluated = matrix[: self.labels.num_classes]
        per_class = {}
        for index, name in enumerate(self.labels.names):
            hits, falses = int(evaluated[index, index]), int(evaluated[:, index].sum() - evaluated[index, index])
            iiou = np.nan
            if self.labels.classes[index].is_thing:
                iiou = _iou(weighted.hits[index], weighted.sizes[index], falses)
            per_class[name] = {"IoU": _iou(hits, int(evaluated[index].sum()), falses), "iIoU": iiou}
        per_category = self._score_categories(evaluated, weighted)
        values = {
            "mIoU": frames.mean(np.array([row["IoU"] for row in per_class.values()])),
            "iIoU": frames.mean(np.array([row["iIoU"] for row in per_class.values()])),
            "category_IoU": frames.mean(np.array([row["category_IoU"] for row in per_category.values()])),
            "category_iIoU": frames.mean(np.array([row["category_iIoU"] for row in per_category.values()])),
        }
        table = per_class | {f"category: {name}": row for name, row in per_category.items()}
        counts = {"pixels": int(evaluated.sum()), "classes": int(np.count_nonzero(evaluated.sum(axis=1)))}
        return Scores(values=values, counts=counts, per_class=table, num_expected=num, num_scored=num)

    def _score_categories(self, evaluated: NDArray[np.int64], weighted: _Weighted) -> dict[str, dict[str, float]]:
        instance_categories = self._instance_categories()
        scores = {}
        for category, members in self._categories().items():
            inside, outside = evaluated[members], np.delete(evaluated, members, axis=0)
            hits, size = int(inside[:, members].sum()), int(inside.sum())
            iou = _iou(hits, size, int(outside[:, members].sum()))
            iiou = np.nan
            if category in instance_categories:
                falses = int(outside[:, instance_categories[category]].sum())
                iiou = _iou(weighted.category_hits[members].sum(), weighted.sizes[members].sum(), falses)
            scores[category] = {"category_IoU": iou, "category_iIoU": iiou}
        return scores


@dataclass(frozen=True, slots=True)
class _Weighted:
    """float64 [K] each: weighted pixels of the truth instances of a class that were hit, hit by category, and all."""

    hits: NDArray[np.float64]
    category_hits: NDArray[np.float64]
    sizes: NDArray[np.float64]


def _iou(hits: float, size: float, falses: float) -> float:
    """Hits over truth pixels plus false ones; NaN if there are neither."""
    return float(hits / (size + falses)) if size + falses > 0 else float("nan")


ENTRIES = {
    "cityscapes_iou": MetricEntry(
        protocols={"official": Protocol(build=CityscapesIoU, score_names=SCORE_NAMES)},
        tool="cityscapesscripts 2.3.0",
        laws=(
            *laws.fractions(*SCORE_NAMES),
            laws.MeanLaw(name="mIoU", of="IoU"),
            laws.MeanLaw(name="category_IoU", of="category_IoU"),
        ),
    ),
}
