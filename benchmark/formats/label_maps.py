"""Folders of label PNGs, one number a pixel: semantic truth and semantic predictions of all three data sets.

panoptic_semseg_val2017/000000000139.png            COCO: class_index 0..132, 255 nothing
annotations/validation/ADE_val_00000001.png         ADE20K: 1..150, 0 nothing
frankfurt_000000_000294_anything.png                Cityscapes: label ids 0..33
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.contract import IGNORE, LabelMap, Prediction, PredictionSet, Sample, Truth
from benchmark.formats.image_files import read_numbers, write_png
from benchmark.formats.listing import Entry, Listing
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem, raise_if_any
from benchmark.stored_maps import CodedLabelMap

BYTE = 256
UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """What the numbers of a label PNG mean.

    class_of: int64 [256], number -> class_index, IGNORE for nothing, -1 for numbers that may not occur.
    nothing: the number that is written where there is no class.   meaning: the numbers in words.
    """

    class_of: NDArray[np.int64]
    nothing: int
    meaning: str

    def decode(self, path: Path) -> LabelMap:
        """The map in a file. Raises DataError when it is damaged or holds numbers without a meaning."""
        numbers = read_numbers(path)
        is_wide = numbers.dtype != np.uint8
        small = np.minimum(numbers, BYTE - 1).astype(np.uint8) if is_wide else numbers
        highest = int(numbers.max())
        # OpenCV looks up a table several times as fast as NumPy.
        if highest >= BYTE or UNKNOWN in self.class_of[: highest + 1]:
            is_unknown = cv2.LUT(small, (self.class_of == UNKNOWN).astype(np.uint8)).view(bool)
            self._check(path, numbers, is_unknown | (numbers >= BYTE) if is_wide else is_unknown)
        return CodedLabelMap(codes=small, class_of=self.class_of.astype(np.uint16))

    def encode(self, label_map: LabelMap) -> NDArray[np.uint8]:
        """The numbers of a map, uint8 [H, W]."""
        table = np.full(1 << 16, self.nothing, np.uint8)
        for number in range(BYTE - 1, -1, -1):
            if self.class_of[number] not in (UNKNOWN, IGNORE):
                table[self.class_of[number]] = number
        return table[label_map.class_index]

    def _check(self, path: Path, numbers: NDArray[Any], is_unknown: NDArray[np.bool_]) -> None:
        """Raise DataError if any pixel is unknown. numbers: integers [H, W]. is_unknown: bool [H, W]."""
        if is_unknown.any():
            values = np.unique(numbers[is_unknown]).tolist()
            shown = ", ".join(str(value) for value in values[:5]) + (", ..." if len(values) > 5 else "")
            message = f"{int(is_unknown.sum()):,} pixels hold {shown}, which are outside the label set"
            raise DataError([Problem(place=str(path), message=message, remedy=f"Write {self.meaning}")])


def encoding_of(labels: LabelSet) -> Encoding:
    """The official numbers of a label set's PNGs."""
    class_of = np.full(BYTE, UNKNOWN, np.int64)
    if labels.name == "ade20k":
        class_of[0] = IGNORE
        class_of[1 : labels.num_classes + 1] = np.arange(labels.num_classes)
        return Encoding(class_of=class_of, nothing=0, meaning=f"1 to {labels.num_classes}, or 0 for no class")
    if labels.name == "cityscapes":
        for row in labels.everything:
            if row.category_id >= 0:
                class_of[row.category_id] = row.class_index
        return Encoding(class_of=class_of, nothing=0, meaning="label ids (0 to 33), not train ids")
    if labels.name == "bdd100k_semantic":
        class_of[labels.num_classes :] = IGNORE
    class_of[: labels.num_classes] = np.arange(labels.num_classes)
    class_of[BYTE - 1] = IGNORE
    return Encoding(class_of=class_of, nothing=BYTE - 1, meaning=f"0 to {labels.num_classes - 1}, or 255 for no class")


def read_truth(paths: Mapping[str, Path], frame_of: Callable[[str], Path], encoding: Encoding) -> Listing:
    """Images with label maps. paths: sample id -> PNG. frame_of: sample id -> picture."""
    files = list(paths.values())
    entries = tuple(Entry(sample_id=one, frames=(frame_of(one),), labels=(path,)) for one, path in paths.items())
    return Listing(entries=entries, truth=lambda index: Truth(frames=(encoding.decode(files[index]),)))


def read_predictions(paths: Mapping[str, Path], encoding: Encoding) -> PredictionSet:
    """Predictions of the samples that have a file. paths: sample id -> PNG."""
    return PredictionSet(tuple(paths), lambda sample_id: Prediction(frames=(encoding.decode(paths[sample_id]),)))


def write_predictions(
    folder: Path, predictions: Iterable[tuple[Sample, Prediction]], encoding: Encoding, name_of: Callable[[str], str]
) -> None:
    """Write one PNG a sample. name_of: sample id -> file name."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, LabelMap):
            raise ValueError(f"sample {sample.sample_id}: expected a label map, got a {type(found).__name__}")
        write_png(folder / name_of(sample.sample_id), encoding.encode(found))


def files_by_stem(folder: Path, suffix: str = ".png") -> dict[str, Path]:
    """Files of a folder by sample id, in order of name; COCO's zero-padded numbers become plain ones."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(suffix) and not path.name.startswith("."))
    return {_sample_id(path.name.removesuffix(suffix)): path for path in found}


def files_by_prefix(folder: Path, sample_ids: Sequence[str], suffix: str) -> dict[str, Path]:
    """Files at any depth whose names start with a sample id, by that id. Raises DataError when two fit one id."""
    candidates: dict[str, list[Path]] = {sample_id: [] for sample_id in sample_ids}
    for path in sorted(folder.rglob(f"*{suffix}")):
        parts = path.name.removesuffix(suffix).split("_")
        prefix = "_".join(parts[:3])
        if prefix in candidates:
            candidates[prefix].append(path)
    raise_if_any(
        Problem(
            place=str(folder),
            message=f"{len(paths)} files fit image {sample_id} ({', '.join(path.name for path in paths[:3])})",
            remedy="Keep exactly one for each image",
        )
        for sample_id, paths in candidates.items()
        if len(paths) > 1
    )
    return {sample_id: paths[0] for sample_id, paths in candidates.items() if paths}


def _sample_id(stem: str) -> str:
    return str(int(stem)) if stem.isdigit() else stem
