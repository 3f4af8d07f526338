"""COCO result files: one JSON list of {"image_id", "category_id", "score", "segmentation" or "bbox"}.

Kept as the official tool reads them: entries stay in file order, because order decides between equal scores. Where
masks are wanted, boxes beside them are left out and counted: the official loader would take the boxes' areas instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import masks
from benchmark.contract import Instances, Prediction, PredictionSet, Sample, make_instances
from benchmark.formats.json_files import read_json, write_json
from benchmark.formats.values import are_numbers, is_number
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem, raise_if_any

STRIPPED = "boxes beside masks left out"
UNKNOWN = "Score against the split that these results were made for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering:
    """How a result file names images and classes. image: its image_id -> sample id; category: its id -> class_index.

    Both return None for what they do not know; the other two functions are their inverses.
    """

    image: Callable[[Any], str | None]
    category: Callable[[Any], int | None]
    image_id: Callable[[str], int | str]
    category_id: Callable[[int], int]


def coco_numbering(sample_ids: Collection[str], labels: LabelSet) -> Numbering:
    """Image ids as in the annotation file, category ids of the label set's things."""
    known = frozenset(sample_ids)
    things = {row.category_id: row.class_index for row in labels.classes if row.is_thing}
    return Numbering(
        image=lambda value: str(value) if str(value) in known else None,
        category=lambda value: things.get(value) if isinstance(value, int) else None,
        image_id=lambda sample_id: int(sample_id) if sample_id.isdigit() else sample_id,
        category_id=labels.category_id,
    )


def read_results(
    path: Path, sample_ids: Sequence[str], numbering: Callable[[Any], Numbering], *, needs_masks: bool = True
) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of all samples (an image without entries has an empty one), and notes on what was left out.

    numbering: the file's way of naming images and classes, told by its first image_id. Raises DataError.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        message = f"holds a {type(entries).__name__}, expected a list of results"
        raise DataError([Problem(place=str(path), message=message, remedy="Write one list with an entry per object")])
    first = entries[0].get("image_id") if entries and isinstance(entries[0], dict) else None
    reader = _Reader(path=path, numbering=numbering(first), needs_masks=needs_masks)
    for position, entry in enumerate(entries):
        reader.add(position, entry)
    if reader.problems and needs_masks:
        reader.check_masks()
    raise_if_any(reader.problems)
    return PredictionSet(tuple(sample_ids), reader.prediction), {
        name: count for name, count in reader.notes.items() if count
    }


def write_results(path: Path, predictions: Iterable[tuple[Sample, Prediction]], numbering: Numbering) -> None:
    """Write predictions as one result file; masks as compressed run lengths, boxes where there are no masks."""
    entries = []
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Instances):
            raise ValueError(f"sample {sample.sample_id}: a result file holds instances, not a {type(found).__name__}")
        for row in range(len(found)):
            entry: dict[str, Any] = {
                "image_id": numbering.image_id(sample.sample_id),
                "category_id": numbering.category_id(int(found.class_index[row])),
                "score": float(found.score[row]),
            }
            if found.masks is None:
                entry["bbox"] = found.boxes[row].tolist()
            else:
                entry["segmentation"] = masks.to_json(found.masks[row])
            entries.append(entry)
    write_json(path, entries)


@dataclass(slots=True, kw_only=True)
class _Reader:
    path: Path
    numbering: Numbering
    needs_masks: bool
    problems: list[Problem] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    by_sample: dict[str, list[tuple[int, Mapping[str, Any]]]] = field(default_factory=dict)
    classes: dict[int, int] = field(default_factory=dict)
    maskless: set[int] = field(default_factory=set)

    def add(self, position: int, entry: Any) -> None:
        """Check one entry and file it under its sample."""
        if not isinstance(entry, dict):
            self._complain(position, "is not an object", "Write one object for each result")
            return
        sample_id = self.numbering.image(entry.get("image_id"))
        class_index = self.numbering.category(entry.get("category_id"))
        if sample_id is None:
            self._complain(position, f"image_id {entry.get('image_id')!r} is not in this benchmark", UNKNOWN)
        if class_index is None:
            message = f"category_id {entry.get('category_id')!r} is not a thing of the label set"
            self._complain(position, message, "Use the ids of the annotation file's categories")
        if not is_number(entry.get("score")):
            message = f"score {entry.get('score')!r} is not a finite number"
            self._complain(position, message, "Rank results by finite scores")
        self._check_shape(position, entry)
        if sample_id is not None and class_index is not None:
            self.by_sample.setdefault(sample_id, []).append((position, entry))
            self.classes[position] = class_index

    def check_masks(self) -> None:
        """Decode every mask, to report their problems together with those found before."""
        for sample_id in self.by_sample:
            try:
                self._masks(sample_id)
            except DataError as error:
                self.problems += error.problems

    def prediction(self, sample_id: str) -> Prediction:
        """The results of one sample, in file order; masks are decoded here."""
        rows = self.by_sample.get(sample_id, [])
        found = self._masks(sample_id) if self.needs_masks else None
        boxes = None if self.needs_masks else np.array([entry["bbox"] for _, entry in rows], np.float64)
        area = boxes.reshape(-1, 4)[:, 2:].prod(axis=1) if boxes is not None else None
        instances = make_instances(
            class_index=[self.classes[position] for position, _ in rows],
            masks=found,
            boxes=masks.bounding_boxes(found) if found is not None else boxes,
            area=masks.areas(found).astype(np.float64) if found is not None else area,
            score=np.array([entry["score"] for _, entry in rows], np.float64),
        )
        return Prediction(frames=(instances,))

    def _masks(self, sample_id: str) -> list[Any]:
        found, problems = [], []
        for position, entry in self.by_sample.get(sample_id, []):
            if position in self.maskless:
                continue
            try:
                found.append(masks.from_json(entry["segmentation"]))
            except (ValueError, TypeError, OverflowError) as error:
                problems.append(self._problem(position, f"the mask is broken: {error}", "Write COCO run lengths"))
        raise_if_any(problems)
        return found

    def _check_shape(self, position: int, entry: dict[str, Any]) -> None:
        if not self.needs_masks:
            if not are_numbers(entry.get("bbox"), 4):
                message = f"bbox {entry.get('bbox')!r} is not [x, y, width, height]"
                self._complain(position, message, "Write four finite numbers")
            return
        if not isinstance(entry.get("segmentation"), dict):
            message = "has no 'segmentation' in run lengths"
            self._complain(position, message, "Write a mask for every result; boxes alone have no mask score")
            self.maskless.add(position)
        self.notes[STRIPPED] += int("bbox" in entry)

    def _complain(self, position: int, message: str, remedy: str) -> None:
        self.problems.append(self._problem(position, message, remedy))

    def _problem(self, position: int, message: str, remedy: str) -> Problem:
        return Problem(place=f"{self.path}: result {position}", message=message, remedy=remedy)
