"""Results for the Open Images challenges: one CSV, in the form of the evaluation script or in that of the contest.

    ImageID,LabelName,Score,XMin,XMax,YMin,YMax                        a line an object, shares of width and height
    ImageID,ImageWidth,ImageHeight,LabelName,Score,Mask                a line an object, mask as in the truth
    ImageId,PredictionString                                           a line an image: label score x0 y0 x1 y1 ...
    ImageID,ImageWidth,ImageHeight,PredictionString                    a line an image: label score mask ...

The header tells which. Results of images that are not in the truth are left out and counted, as the official script
leaves them out.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Prediction, PredictionSet, Rle, Sample, make_instances
from benchmark.formats import csv_rows
from benchmark.formats.image_records import MAX_SIDE
from benchmark.formats.open_images import decode_mask, encode_mask, index_by_code
from benchmark.labels import LabelSet
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any

BOXES = ("ImageID", "LabelName", "Score", "XMin", "YMin", "XMax", "YMax")
MASKS = ("ImageID", "LabelName", "Score", "Mask", "ImageWidth", "ImageHeight")
STRING = "PredictionString"
ELSEWHERE = "results of images outside the truth left out"


def read(
    path: Path, sample_ids: Sequence[str], labels: LabelSet, *, needs_masks: bool
) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of all samples (an image without a line has an empty one), and notes on what was left out.

    Raises DataError with all problems.
    """
    reader = _Reader(path, sample_ids, labels, needs_masks=needs_masks)
    for number, image_id, fields in _objects(path, needs_masks=needs_masks):
        reader.add(number, image_id, fields)
    reader.finish()
    notes = {name: count for name, count in reader.notes.items() if count}
    return PredictionSet(tuple(sample_ids), reader.prediction), notes


def write(path: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write the form of the evaluation script; masks where there are any."""
    lines: list[list[str]] = []
    has_masks = False
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Instances):
            raise ValueError(f"sample {sample.sample_id}: expected objects, got a {type(found).__name__}")
        has_masks |= found.masks is not None
        lines += [[sample.sample_id, *_fields(found, row, labels)] for row in range(len(found))]
    csv_rows.write(path, MASKS if has_masks else BOXES, lines)


def _fields(found: Instances, row: int, labels: LabelSet) -> list[str]:
    head = [labels.classes[int(found.class_index[row])].code, repr(float(found.score[row]))]
    if found.masks is None:
        return [*head, *(repr(float(side)) for side in found.boxes[row])]
    mask = found.masks[row]
    return [*head, encode_mask(mask), str(mask.size[1]), str(mask.size[0])]


def _objects(path: Path, *, needs_masks: bool) -> Iterator[tuple[int, str, list[str]]]:
    """(line, image id, [label, score, x0, y0, x1, y1] or [label, score, mask, width, height]) of every object."""
    names = csv_rows.header(path)
    image = next((name for name in ("ImageID", "ImageId") if name in names), "ImageID")
    if STRING not in names:
        for number, (image_id, *fields) in csv_rows.rows(path, (image, *(MASKS if needs_masks else BOXES)[1:])):
            yield number, image_id, fields
        return
    sizes = ("ImageWidth", "ImageHeight") if needs_masks else ()
    step = 3 if needs_masks else 6
    for number, (image_id, text, *size) in csv_rows.rows(path, (image, STRING, *sizes)):
        words = text.split()
        if len(words) % step:
            message = f"the {STRING} has {len(words)} words, expected {step} an object"
            remedy = "Write label, score and mask" if needs_masks else "Write label, score and x0 y0 x1 y1"
            raise DataError([Problem(place=f"{path}: line {number}", message=message, remedy=remedy)])
        for start in range(0, len(words), step):
            yield number, image_id, [*words[start : start + step], *size]


class _Reader:
    """Keeps a row an object: numbers as columns, masks as they are encoded."""

    def __init__(self, path: Path, sample_ids: Sequence[str], labels: LabelSet, *, needs_masks: bool) -> None:
        self.path, self.needs_masks = path, needs_masks
        self.problems: list[Problem] = []
        self.notes: Counter[str] = Counter()
        self._labels = labels.name
        self._index = index_by_code(labels)
        self._number = {sample_id: number for number, sample_id in enumerate(sample_ids)}
        self._samples, self._classes, self._lines = array("i"), array("i"), array("q")
        self._scores, self._boxes = array("d"), array("d")
        self._masks: list[tuple[bytes, int, int]] = []
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)
        self._starts: NDArray[np.int64] = np.zeros(1, np.int64)

    def add(self, line: int, image_id: str, fields: Sequence[str]) -> None:
        """Check one object and keep it if its image is one of the truth."""
        if image_id not in self._number:
            self.notes[ELSEWHERE] += 1
            return
        numbers = [csv_rows.number_of(text) for text in (fields[1], *(() if self.needs_masks else fields[2:6]))]
        if fields[0] not in self._index:
            message = f"label {fields[0][:40]!r} is not a class of {self._labels}"
            self._complain(line, message, "Use the names /m/... of the class list")
        elif None in numbers:
            message = f"{', '.join(fields[1 : 1 + len(numbers)])[:80]} should be a score and coordinates, all finite"
            self._complain(line, message, "Write numbers")
        elif self.needs_masks and not all(side.isdigit() and 1 <= int(side) <= MAX_SIDE for side in fields[3:5]):
            message = f"the mask's size {fields[3][:20]}x{fields[4][:20]} (width x height) is none"
            self._complain(line, message, "Write the mask's own size")
        else:
            self._samples.append(self._number[image_id])
            self._classes.append(self._index[fields[0]])
            self._lines.append(line)
            self._scores.append(numbers[0] or 0.0)
            self._boxes.extend(number or 0.0 for number in numbers[1:])
            if self.needs_masks:
                self._masks.append((fields[2].encode(), int(fields[4]), int(fields[3])))

    def finish(self) -> None:
        """Group the rows by sample. Raises DataError with all problems."""
        raise_if_any(self.problems)
        samples = np.array(self._samples, np.int64)
        if self.notes[ELSEWHERE] and not len(samples):
            message = f"none of the {self.notes[ELSEWHERE]:,} results is of an image of the truth"
            remedy = OTHER_SPLIT.capitalize()
            raise DataError([Problem(place=str(self.path), message=message, remedy=remedy)])
        self._order = np.argsort(samples, kind="stable")
        self._starts = np.searchsorted(samples[self._order], np.arange(len(self._number) + 1))

    def prediction(self, sample_id: str) -> Prediction:
        """The results of one sample, in file order; masks are decoded here."""
        number = self._number[sample_id]
        rows = self._order[self._starts[number] : self._starts[number + 1]].tolist()
        found = self._decoded(rows) if self.needs_masks else None
        boxes = [[self._boxes[4 * row + side] for side in range(4)] for row in rows] if found is None else []
        corners = _normalised(found) if found is not None else np.array(boxes, np.float64).reshape(-1, 4)
        instances = make_instances(
            class_index=[self._classes[row] for row in rows],
            masks=found,
            boxes=corners,
            box_format="xyxy_norm",
            area=(corners[:, 2:] - corners[:, :2]).prod(axis=1),
            score=np.array([self._scores[row] for row in rows], np.float64),
        )
        return Prediction(frames=(instances,))

    def _decoded(self, rows: Sequence[int]) -> list[Rle]:
        found, problems = [], []
        for row in rows:
            text, height, width = self._masks[row]
            try:
                found.append(decode_mask(text.decode(), (height, width)))
            except ValueError as error:
                message = f"the mask is broken: {error}"
                problems.append(self._problem(self._lines[row], message, "Encode masks as the official files do"))
        raise_if_any(problems)
        return found

    def _complain(self, line: int, message: str, remedy: str) -> None:
        self.problems.append(self._problem(line, message, remedy))

    def _problem(self, line: int, message: str, remedy: str) -> Problem:
        return Problem(place=f"{self.path}: line {line}", message=message, remedy=remedy)


def _normalised(found: Sequence[Rle]) -> NDArray[np.float64]:
    """Boxes (x0, y0, x1, y1) around masks, float64 [N, 4], shares of width and height; zero for an empty mask."""
    boxes = masks.bounding_boxes(found)
    boxes[:, 2:] += boxes[:, :2]
    sizes = np.array([[rle.size[1], rle.size[0]] * 2 for rle in found], np.float64).reshape(-1, 4)
    return np.asarray(boxes / sizes)
