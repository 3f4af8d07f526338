"""Pixel scores of Mapillary Vistas, as its official scripts: https://github.com/mapillary/mapillary_vistas (2024)

One confusion matrix over all labels, from which rows and columns of labels that are not evaluated are taken out:
evaluated truth that is predicted as void is no miss. Classes that neither side shows are skipped. iIoU weighs the
pixels of every truth object by the average size of its class over its own size (by 1 where no average is known, as for
many classes of v2.0); there void is a miss. Both also between groups of classes, whose names agree in the first two
parts, or in the first. The scripts were written for Python 2, whose division of whole numbers they need.
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
from benchmark.runs import Runs, joint_runs

LEVELS: Mapping[str, int] = MappingProxyType({"": 9, "_level2": 2, "_level1": 1})
"""Suffix of a score -> how many parts of a class's name tell its group; none has more than nine."""
SCORE_NAMES = tuple(f"{name}{suffix}" for suffix in LEVELS for name in ("mIoU", "iIoU"))
AVERAGE_SIZE: Mapping[str, float] = MappingProxyType(
    {
        "animal--bird": 476.528772379,
        "animal--ground-animal": 6966.05378973,
        "construction--flat--crosswalk-plain": 104838.048318,
        "human--person": 9592.86253908,
        "human--rider--bicyclist": 16886.5173901,
        "human--rider--motorcyclist": 9903.12607862,
        "human--rider--other-rider": 9831.76870748,
        "marking--crosswalk-zebra": 112325.952985,
        "object--banner": 11195.5309066,
        "object--bench": 11969.7241379,
        "object--bike-rack": 10429.6873508,
        "object--billboard": 12704.9007352,
        "object--catch-basin": 6854.32095604,
        "object--cctv-camera": 716.579725265,
        "object--fire-hydrant": 4470.86669639,
        "object--junction-box": 12195.5445258,
        "object--mailbox": 8442.46119235,
        "object--manhole": 9785.74391059,
        "object--phone-booth": 44518.9855491,
        "object--street-light": 764.127730718,
        "object--support--pole": 4580.9781035,
        "object--support--traffic-sign-frame": 43856.0057065,
        "object--support--utility-pole": 11204.5110898,
        "object--traffic-light": 4210.7699504,
        "object--traffic-sign--back": 3186.98105859,
        "object--traffic-sign--front": 6271.36616576,
        "object--trash-can": 14341.2201577,
        "object--vehicle--bicycle": 16050.3836079,
        "object--vehicle--boat": 32448.4144981,
        "object--vehicle--bus": 97235.2483673,
        "object--vehicle--car": 40828.5850107,
        "object--vehicle--caravan": 45481.5289855,
        "object--vehicle--motorcycle": 17416.394129,
        "object--vehicle--other-vehicle": 49725.5842986,
        "object--vehicle--trailer": 76466.5590551,
        "object--vehicle--truck": 86698.8593627,
        "object--vehicle--wheeled-slow": 12389.1927195,
    }
)
"""Average pixels of an object in the training set of v1.2, official constants by the code of the class."""
_EMPTY: dict[str, NDArray[Any]] = {
    "cell": np.zeros(0, np.int64),
    "pixels": np.zeros(0, np.int64),
    "object_class": np.zeros(0, np.int64),
    "object_size": np.zeros(0, np.int64),
    "object_hits": np.zeros(0, np.int64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapillaryIoU:
    """IoU and iIoU of the evaluated classes of `labels` and of their groups."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Confusion cells of evaluated labels, and for each truth object its size and hits."""
        truth, found = frames.pair(sample, prediction, LabelMap)
        of_truth, of_found = joint_runs(truth.class_index, found.class_index)
        num = self.labels.num_classes
        cell, pixels = semantic_iou.confusion_of_runs(of_truth, of_found, num)
        is_evaluated = (cell // (num + 1) < num) & (cell % (num + 1) < num)
        objects = sample.truth.objects if sample.truth else None
        arrays = {"cell": cell[is_evaluated], "pixels": pixels[is_evaluated]} | self._of_objects(objects, of_found)
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Lay cells and objects of all samples end to end; the returned function adds them up."""
        rows = frames.columns(stats, _EMPTY)
        own, size, hits = (rows.arrays[f"object_{name}"] for name in ("class", "size", "hits"))
        average = np.array([AVERAGE_SIZE.get(row.code, np.nan) for row in self.labels.classes])[own]
        factor = np.where(np.isnan(average), 1.0, average / size)

        def weighted(pixels: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
            shares = pixels * factor * weights[rows.sample["object_size"]]
            return np.bincount(own, weights=shares, minlength=self.labels.num_classes).astype(np.float64)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            num = self.labels.num_classes
            matrix = semantic_iou.total(rows, weights, num)[:num, :num]
            return self._score(matrix, weighted(hits, weights), weighted(size - hits, weights), int(weights.sum()))

        return score

    def _of_objects(self, objects: Instances | None, found: Runs) -> dict[str, NDArray[Any]]:
        given = () if objects is None else objects.masks or ()
        own = np.zeros(0, np.int64) if objects is None else objects.class_index
        common = masks.value_counts(given, found, len(self.labels.everything))
        return {"object_class": own, "object_size": masks.areas(given), "object_hits": common[np.arange(len(own)), own]}

    def _score(
        self, matrix: NDArray[np.int64], hits: NDArray[np.float64], misses: NDArray[np.float64], num: int
    ) -> Scores:
        values: dict[str, float] = {}
        per_class: dict[str, dict[str, float]] = {}
        for suffix, depth in LEVELS.items():
            names, group = self._groups(depth)
            member = np.eye(len(names), dtype=np.int64)[group]
            iou, iiou = _of_groups(member.T @ matrix @ member, member.T @ hits, member.T @ misses)
            has_objects = ~(member.T @ ~self.labels.is_thing).astype(bool)
            iiou[~has_objects] = np.nan
            values |= {f"mIoU{suffix}": frames.mean(iou), f"iIoU{suffix}": frames.mean(iiou)}
            per_class |= {} if suffix else _table(self.labels.names, iou, iiou)
        counts = {"pixels": int(matrix.sum())}
        return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)

    def _groups(self, depth: int) -> tuple[list[str], NDArray[np.int64]]:
        """Names of the groups, and that of each class, int64 [K]. depth: parts of the code that tell it."""
        found = ["--".join((row.code or row.name).split("--")[:depth]) for row in self.labels.classes]
        names = list(dict.fromkeys(found))
        return names, np.array([names.index(name) for name in found], np.int64)


def _of_groups(
    matrix: NDArray[np.int64], hits: NDArray[np.float64], misses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """IoU and iIoU, float64 [K] each, of a matrix [K, K] and the weighted pixels of objects [K]."""
    right = np.diagonal(matrix)
    false = matrix.sum(axis=0) - right
    return frames.ratio(right, matrix.sum(axis=1) + false), frames.ratio(hits, hits + misses + false)


def _table(names: Sequence[str], iou: NDArray[np.float64], iiou: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    return {name: {"IoU": float(iou[row]), "iIoU": float(iiou[row])} for row, name in enumerate(names)}


ENTRIES = {
    "mapillary_iou": MetricEntry(
        protocols={"official": Protocol(build=lambda labels: MapillaryIoU(labels=labels), score_names=SCORE_NAMES)},
        tool="mapillary_vistas (repository head, 2024)",
        laws=(
            *laws.fractions(*SCORE_NAMES),
            laws.MeanLaw(name="mIoU", of="IoU"),
            laws.MeanLaw(name="iIoU", of="iIoU"),
        ),
    ),
}
