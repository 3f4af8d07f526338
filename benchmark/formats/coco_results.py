"""COCO result files: one JSON list of {"image_id", "category_id", "score", "segmentation" or "bbox"}.

Kept as the official tool reads them: entries stay in file order, because order decides between equal scores. Where
masks are wanted, boxes beside them are left out and counted: the official loader would take the boxes' areas instead.
A file of usual size and without fault is decoded at once into columns, see `quick_results`. Any other is read in
windows, and masks are parsed again when their image is scored, so that memory stays small and faults have their places.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmark import masks, run_lengths
from benchmark.contract import NO_BOXES, Instances, Prediction, PredictionSet, Rle, Sample, make_instances
from benchmark.formats import json_lists, quick_results
from benchmark.formats.json_files import write_json
from benchmark.formats.listing import problems_of
from benchmark.formats.values import are_numbers, is_number
from benchmark.labels import LabelSet
from benchmark.problems import OTHER_SPLIT, Problem, raise_if_any

STRIPPED = "boxes beside masks left out"
LARGEST_MASK = 2**29 - 1
"""Pixels up to which a mask cannot hold a run that is too long."""
UNKNOWN = OTHER_SPLIT.capitalize()


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
    quick = quick_results.read(path, needs_masks=needs_masks)
    if quick is not None and quick.names:
        found = _QuickReader.of(path, quick, numbering(quick.names[0]), sample_ids, needs_masks=needs_masks)
        if found is not None:
            return PredictionSet(tuple(sample_ids), found.prediction), quick.notes(STRIPPED)
    reader: _Reader | None = None
    for start, end, entry in json_lists.elements(path):
        if reader is None:
            first = entry.get("image_id") if isinstance(entry, dict) else None
            reader = _Reader(path, numbering(first), sample_ids, needs_masks=needs_masks)
        reader.add(start, end, entry)
    reader = reader or _Reader(path, numbering(None), sample_ids, needs_masks=needs_masks)
    reader.finish()
    return PredictionSet(tuple(sample_ids), reader.prediction), {
        name: count for name, count in reader.notes.items() if count
    }


def no_results(*, needs_masks: bool) -> Prediction:
    """The prediction of an image without a result."""
    return Prediction(frames=(make_instances(class_index=[], masks=[] if needs_masks else None),))


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


_Masks = tuple[list[Rle], NDArray[np.int64]]
"""N masks and their areas, int64 [N]."""


def _sound_masks(fields: Sequence[Any]) -> _Masks | None:
    """The masks of compressed run lengths, all checked at once; None if any is something else, or broken."""
    try:
        found = [Rle(size=(int(one["size"][0]), int(one["size"][1])), counts=one["counts"].encode()) for one in fields]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
    return _checked(found) if all(len(one["size"]) == 2 for one in fields) else None


def _checked(found: list[Rle]) -> _Masks | None:
    """Masks with their areas; None if any is broken."""
    areas, pixels = run_lengths.measure([rle.counts for rle in found])
    return (found, areas) if _are_sound([rle.size for rle in found], pixels).all() else None


def _are_sound(sizes: Sequence[tuple[int, int]], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [N], the runs fill masks of these sizes. pixels: int64 [N], of all runs together."""
    whole = {size: size[0] * size[1] for size in set(sizes)}
    wide = {size: num if 0 < num <= LARGEST_MASK else LARGEST_MASK + 1 for size, num in whole.items()}
    return np.array([wide[size] for size in sizes], np.int64) == pixels


def _masks_of(fields: Sequence[Any], rows: Sequence[int], problem: Callable[[int, str, str], Problem]) -> _Masks:
    """The masks of JSON values one by one. rows: their places in the file. Raises DataError with all broken ones."""
    found, problems = [], []
    for row, segmentation in zip(rows, fields, strict=True):
        try:
            found.append(masks.from_json(segmentation))
        except (ValueError, TypeError, OverflowError) as error:
            problems.append(problem(row, f"the mask is broken: {error}", "Write COCO run lengths"))
    raise_if_any(problems)
    return found, masks.areas(found)


def _prediction(columns: _Columns, rows: slice, found: _Masks | None) -> Prediction:
    """The results in some rows, in file order. Beside masks there are no boxes."""
    boxes, num = columns.boxes[rows], rows.stop - rows.start
    instances = Instances(
        masks=None if found is None else masks.Counted.of(*found),
        boxes=boxes if found is None else np.zeros((num, 4)),
        box_format="xywh" if found is None else NO_BOXES,
        area=boxes[:, 2] * boxes[:, 3] if found is None else found[1].astype(np.float64),
        class_index=columns.classes[rows],
        score=columns.scores[rows],
        object_id=np.arange(1, num + 1),
        is_crowd=np.zeros(num, bool),
    )
    return Prediction(frames=(instances,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Results by sample, those of one in file order. order: int64 [N], their places in the file.

    starts: where each sample's begin, then the end.
    """

    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]
    order: NDArray[np.int64]
    starts: Sequence[int]

    @classmethod
    def of(
        cls,
        samples: Sequence[int] | NDArray[np.int64],
        classes: Sequence[int] | NDArray[np.int64],
        scores: Sequence[float] | NDArray[np.float64],
        boxes: Sequence[float] | NDArray[np.float64],
        num: int,
    ) -> Self:
        """Of columns as they were read, for `num` samples; rows without a sample have -1."""
        number = np.array(samples, np.int32)
        order = np.argsort(number, kind="stable")
        return cls(
            classes=np.array(classes, np.int64)[order],
            scores=np.array(scores, np.float64)[order],
            boxes=np.array(boxes, np.float64).reshape(-1, 4)[order[: len(boxes)]],
            order=order,
            starts=np.searchsorted(number[order], np.arange(num + 1)).tolist(),
        )

    def bounds(self, number: int) -> slice:
        """The rows of a sample."""
        return slice(self.starts[number], self.starts[number + 1])

    def places(self, number: int) -> NDArray[np.int64]:
        """The places in the file of a sample's rows, int64 [D]."""
        return self.order[self.bounds(number)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _QuickReader:
    """The results of a file without fault. number_of: sample id -> its number.

    masks: N, or none. areas: int64 [N], of the masks, None where boxes are wanted. is_sound: bool [N], the mask can be
    decoded.
    """

    path: Path
    masks: Sequence[Rle]
    columns: _Columns
    number_of: Mapping[str, int]
    areas: NDArray[np.int64] | None
    is_sound: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        path: Path,
        results: quick_results.Results,
        numbering: Numbering,
        sample_ids: Sequence[str],
        *,
        needs_masks: bool,
    ) -> Self | None:
        """None if an image or a class is unknown."""
        number_of = {sample_id: number for number, sample_id in enumerate(sample_ids)}
        named = {value: numbering.image(value) for value in results.names}
        categories, place = np.unique(results.categories, return_inverse=True)
        classes = [numbering.category(one) for one in categories.tolist()]
        if None in classes or None in named.values():
            return None
        samples = results.samples({value: number_of[name] for value, name in named.items() if name is not None})
        class_index = np.array(classes, np.int64)[place.reshape(-1)]
        columns = _Columns.of(samples, class_index, results.scores, results.boxes, len(sample_ids))
        rles = [Rle(size=one.size, counts=one.counts.encode()) for one in results.masks]
        areas, pixels = run_lengths.measure([one.counts for one in rles])
        return cls(
            path=path,
            masks=rles,
            columns=columns,
            number_of=number_of,
            areas=areas if needs_masks else None,
            is_sound=_are_sound([one.size for one in rles], pixels),
        )

    def prediction(self, sample_id: str) -> Prediction:
        """The results of one sample, in file order."""
        number = self.number_of[sample_id]
        found = None if self.areas is None else self._masks(self.columns.places(number), self.areas)
        return _prediction(self.columns, self.columns.bounds(number), found)

    def _masks(self, rows: NDArray[np.int64], areas: NDArray[np.int64]) -> _Masks:
        chosen = [self.masks[row] for row in rows.tolist()]
        if self.is_sound[rows].all():
            return chosen, areas[rows]
        fields = [{"size": list(one.size), "counts": one.counts.decode()} for one in chosen]
        return _masks_of(fields, rows.tolist(), lambda row, message, remedy: _problem(self.path, row, message, remedy))


class _Reader:
    """Keeps a row a result: numbers of boxes as columns, masks by their places in the file."""

    def __init__(self, path: Path, numbering: Numbering, sample_ids: Sequence[str], *, needs_masks: bool) -> None:
        self.path, self.numbering, self.needs_masks = path, numbering, needs_masks
        self.problems: list[Problem] = []
        self.notes: Counter[str] = Counter()
        self._number = {sample_id: number for number, sample_id in enumerate(sample_ids)}
        self._entries = json_lists.FileList(path)
        self._samples, self._classes = array("i"), array("i")
        self._scores, self._boxes = array("d"), array("d")
        self._maskless: set[int] = set()
        self._columns = _Columns.of(self._samples, self._classes, self._scores, self._boxes, 0)

    def add(self, start: int, end: int, entry: Any) -> None:
        """Check one entry, whose text is bytes start..end, and keep it if its image and class are known."""
        position = len(self._entries)
        self._entries.add(start, end)
        sample, class_index, score = -1, None, 0.0
        if isinstance(entry, dict):
            sample_id = self.numbering.image(entry.get("image_id"))
            class_index = self.numbering.category(entry.get("category_id"))
            sample = -1 if sample_id is None or class_index is None else self._number[sample_id]
            score = entry.get("score", 0.0)
            self._check(position, entry, sample_id, class_index)
        else:
            self._complain(position, "is not an object", "Write one object for each result")
        is_sound = not self.problems
        self._samples.append(sample)
        self._classes.append(-1 if class_index is None else class_index)
        self._scores.append(score if is_sound else 0.0)
        if not self.needs_masks:
            self._boxes.extend(entry["bbox"] if is_sound else (0.0, 0.0, 0.0, 0.0))

    def finish(self) -> None:
        """Group the rows by sample. Raises DataError with the problems of all entries and, if any, of all masks."""
        self._columns = _Columns.of(self._samples, self._classes, self._scores, self._boxes, len(self._number))
        self._samples, self._classes, self._scores, self._boxes = array("i"), array("i"), array("d"), array("d")
        if self.problems and self.needs_masks:
            for number in range(len(self._number)):
                self.problems += problems_of(lambda one=number: self._masks(self._columns.places(one)))  # type: ignore[misc]
        raise_if_any(self.problems)

    def prediction(self, sample_id: str) -> Prediction:
        """The results of one sample, in file order; masks are decoded here."""
        number = self._number[sample_id]
        found = self._masks(self._columns.places(number)) if self.needs_masks else None
        return _prediction(self._columns, self._columns.bounds(number), found)

    def _masks(self, rows: NDArray[np.int64]) -> _Masks:
        kept = [row for row in rows.tolist() if row not in self._maskless]
        fields = [self._entries[row]["segmentation"] for row in kept]
        return _sound_masks(fields) or _masks_of(fields, kept, self._problem)

    def _check(self, position: int, entry: Mapping[str, Any], sample_id: str | None, class_index: int | None) -> None:
        if sample_id is None:
            self._complain(position, f"image_id {entry.get('image_id')!r} is not in this benchmark", UNKNOWN)
        if class_index is None:
            message = f"category_id {entry.get('category_id')!r} is not a thing of the label set"
            self._complain(position, message, "Use the ids of the annotation file's categories")
        if not is_number(entry.get("score")):
            message = f"score {entry.get('score')!r} is not a finite number"
            self._complain(position, message, "Rank results by finite scores")
        if not self.needs_masks:
            if not are_numbers(entry.get("bbox"), 4):
                message = f"bbox {entry.get('bbox')!r} is not [x, y, width, height]"
                self._complain(position, message, "Write four finite numbers")
            return
        if not isinstance(entry.get("segmentation"), dict):
            message = "has no 'segmentation' in run lengths"
            self._complain(position, message, "Write a mask for every result; boxes alone have no mask score")
            self._maskless.add(position)
        self.notes[STRIPPED] += int("bbox" in entry)

    def _complain(self, position: int, message: str, remedy: str) -> None:
        self.problems.append(self._problem(position, message, remedy))

    def _problem(self, position: int, message: str, remedy: str) -> Problem:
        return _problem(self.path, position, message, remedy)


def _problem(path: Path, position: int, message: str, remedy: str) -> Problem:
    return Problem(place=f"{path}: result {position}", message=message, remedy=remedy)
