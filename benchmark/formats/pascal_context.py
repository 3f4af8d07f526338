"""PASCAL Context: label maps of 459 ids in MATLAB files, and the PNGs and TIFFs that are made of them.

    trainval/2008_000002.mat                              matrix LabelMap, 1..459, of which 59 are selected
    SegmentationClassContext/2008_000002.png              0 nothing or background, 1..59 the selected ones in order
    annotations_ctx59/validation/2008_000002.png          class_index 0..58, 255 nothing
    annotations_ctx459/validation/2008_000002.tif         class_index 0..458, 65535 nothing (16 bits)

The official maps serve all three label sets, 59 classes, 60 with the background and 459. Predictions are PNGs that hold
class_index, 8 bits with 255 for nothing, or 16 bits with 65535 where there are 459 classes.
https://cs.stanford.edu/~roozbeh/pascal-context/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.contract import IGNORE, LabelMap, Prediction, PredictionSet, Sample, Truth
from benchmark.formats.image_files import read_numbers, write_png
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.matlab_file import read_matrix, write_matrix
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem

VARIABLE = "LabelMap"
NUM_IDS = 459
WIDE = 1 << 16
UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What the numbers of a file mean.

    class_of: int64 [65536], number -> class_index, IGNORE for nothing, -1 for numbers that may not occur.
    meaning: the numbers in words.
    """

    class_of: NDArray[np.int64]
    meaning: str

    def decode(self, path: Path) -> LabelMap:
        """The map in a file of any of the four forms. Raises DataError for damage and for numbers without meaning."""
        numbers = _read(path)
        is_odd = (numbers < 0) | (numbers >= WIDE) | (numbers != np.floor(numbers))
        if is_odd.any():
            raise self._error(path, numbers[is_odd])
        found = self.class_of[numbers.astype(np.int64)]
        if (found == UNKNOWN).any():
            raise self._error(path, numbers[found == UNKNOWN])
        return LabelMap(class_index=found.astype(np.uint16))

    def _error(self, path: Path, numbers: NDArray[Any]) -> DataError:
        shown = ", ".join(f"{value:g}" for value in np.unique(numbers)[:5].tolist())
        message = f"{numbers.size:,} pixels hold {shown}, which are outside the label set"
        return DataError([Problem(place=str(path), message=message, remedy=f"Write {self.meaning}")])


def of_matlab(labels: LabelSet) -> Numbers:
    """The official ids: those that the label set lacks are its background, or nothing where it has none."""
    class_of = np.full(WIDE, UNKNOWN, np.int64)
    class_of[: NUM_IDS + 1] = labels.index_of(0) if labels.has_category(0) else IGNORE
    for row in labels.classes:
        class_of[row.category_id] = row.class_index
    return Numbers(class_of=class_of, meaning=f"the official ids, 1 to {NUM_IDS}")


def of_selected(labels: LabelSet) -> Numbers:
    """0 for the background, then the selected classes from 1: the PNGs of 59 or 60 classes."""
    shift = 0 if labels.has_category(0) else 1
    class_of = np.full(WIDE, UNKNOWN, np.int64)
    class_of[0] = IGNORE
    class_of[shift : shift + labels.num_classes] = np.arange(labels.num_classes)
    return Numbers(class_of=class_of, meaning=f"0 to {labels.num_classes - 1 + shift}")


def of_indices(labels: LabelSet) -> Numbers:
    """class_index, and the largest number of 8 or 16 bits for nothing."""
    nothing = _nothing(labels)
    class_of = np.full(WIDE, UNKNOWN, np.int64)
    class_of[: labels.num_classes] = np.arange(labels.num_classes)
    class_of[nothing] = IGNORE
    return Numbers(class_of=class_of, meaning=f"0 to {labels.num_classes - 1}, or {nothing} for no class")


def read_truth(paths: Mapping[str, Path], frame_of: Callable[[str], Path], numbers: Numbers) -> Listing:
    """Images with label maps. paths: sample id -> file. frame_of: sample id -> picture."""
    files = list(paths.values())
    entries = tuple(_entry(one, frame_of(one), path) for one, path in paths.items())
    return Listing(entries=entries, truth=lambda index: Truth(frames=(numbers.decode(files[index]),)))


def read_predictions(paths: Mapping[str, Path], labels: LabelSet) -> PredictionSet:
    """Predictions of the samples that have a PNG. paths: sample id -> PNG."""
    numbers = of_indices(labels)
    return PredictionSet(tuple(paths), lambda sample_id: Prediction(frames=(numbers.decode(paths[sample_id]),)))


def write_predictions(folder: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write one PNG a sample, named after it."""
    folder.mkdir(parents=True, exist_ok=True)
    nothing = _nothing(labels)
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, LabelMap):
            raise ValueError(f"sample {sample.sample_id}: expected a label map, got a {type(found).__name__}")
        numbers = np.where(found.class_index < labels.num_classes, found.class_index, nothing)
        write_png(folder / f"{sample.sample_id}.png", numbers.astype(np.uint8 if nothing < WIDE - 1 else np.uint16))


def write_map(path: Path, found: LabelMap, labels: LabelSet) -> None:
    """Write the official form: ids from 1, 0 for nothing."""
    ids = np.zeros(WIDE, np.uint16)
    for row in labels.classes:
        ids[row.class_index] = row.category_id
    write_matrix(path, VARIABLE, ids[found.class_index])


def _nothing(labels: LabelSet) -> int:
    return WIDE - 1 if labels.num_classes >= (1 << 8) - 1 else (1 << 8) - 1


def _read(path: Path) -> NDArray[Any]:
    if path.suffix == ".mat":
        return read_matrix(path, VARIABLE)
    return _read_tiff(path) if path.suffix in (".tif", ".tiff") else read_numbers(path)


def _read_tiff(path: Path) -> NDArray[Any]:
    """A single-channel TIFF as stored, integers [H, W]. Raises DataError."""
    try:
        found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        message = f"cannot be read ({str(error).strip()[:100]})"
        raise DataError([Problem(place=str(path), message=message, remedy="Convert the official map again")]) from error
    if found is None or found.ndim != 2:
        message = "is no TIFF with one channel of numbers"
        raise DataError([Problem(place=str(path), message=message, remedy="Convert the official map again")])
    return np.asarray(found)


def _entry(sample_id: str, frame: Path, path: Path) -> Entry:
    """Sizes stand in the headers of PNGs and pictures; where there is neither, the map must be read."""
    if path.suffix == ".png":
        return Entry(sample_id=sample_id, frames=(frame,), labels=(path,))
    if frame.is_file():
        return Entry(sample_id=sample_id, frames=(frame,))
    height, width = _read(path).shape
    return Entry(sample_id=sample_id, frames=(frame,), size=(height, width))
