"""COCO result files without fault, decoded at once into columns.

msgspec checks the type of every field while it decodes. What is not exactly as expected (fields of other types, numbers
beyond belief, text that is no UTF-8) gives None, and the patient reader of `coco_results` says what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmark.formats.json_files import decode_typed
from benchmark.formats.values import LARGEST

LARGEST_FILE = 2**28
"""Bytes up to which a file is read whole."""


class RunLengths(msgspec.Struct, frozen=True, gc=False):
    """A mask in COCO's compressed form. size: (height, width)."""

    size: tuple[int, int]
    counts: str


class MaskResult(msgspec.Struct, frozen=True, gc=False):
    """A result with a mask. bbox: looked at by nobody, but counted."""

    image_id: int | str
    category_id: int
    score: float
    segmentation: RunLengths
    bbox: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class BoxResult(msgspec.Struct, frozen=True, gc=False):
    """A result with a box."""

    image_id: int | str
    category_id: int
    score: float
    bbox: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """N results in file order. images: as the file names them. categories: int64 [N]. scores: float64 [N].

    boxes: float64 [N, 4], zero where masks are wanted. masks: N, or none. num_boxes: boxes beside masks.
    """

    images: Sequence[int | str]
    categories: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]
    masks: Sequence[RunLengths]
    num_boxes: int

    def notes(self, name: str) -> Mapping[str, int]:
        """The number of boxes beside masks under that name, if there are any."""
        return {name: self.num_boxes} if self.num_boxes else {}

    def samples(self, number_of: Mapping[int | str, int]) -> NDArray[np.int64]:
        """int64 [N], the number of each result's image. number_of: image id -> number."""
        return np.array([number_of[one] for one in self.images], np.int64)


def read(path: Path, *, needs_masks: bool) -> Results | None:
    """The results in a file of usual size; None where anything asks for a closer look."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError:
        return None
    if len(data) > LARGEST_FILE:
        return None
    return _masks(data) if needs_masks else _boxes(data)


def _masks(data: bytes) -> Results | None:
    rows = decode_typed(data, list[MaskResult])
    if rows is None:
        return None
    num_boxes = sum(row.bbox is not msgspec.UNSET for row in rows)
    return _results(rows, np.zeros((len(rows), 4)), [row.segmentation for row in rows], num_boxes)


def _boxes(data: bytes) -> Results | None:
    rows = decode_typed(data, list[BoxResult])
    if rows is None:
        return None
    numbers = chain.from_iterable(row.bbox for row in rows)
    values = np.fromiter(numbers, np.float64, 4 * len(rows)).reshape(-1, 4)
    return _results(rows, values, [], 0)


def _results(
    rows: Sequence[MaskResult] | Sequence[BoxResult],
    boxes: NDArray[np.float64],
    masks: Sequence[RunLengths],
    num_boxes: int,
) -> Results | None:
    """The columns; None if a number is not believable."""
    try:
        categories = np.array([row.category_id for row in rows], np.int64)
    except OverflowError:
        return None
    scores = np.array([row.score for row in rows], np.float64)
    if not (np.abs(scores) <= LARGEST).all() or not (np.abs(boxes) <= LARGEST).all():
        return None
    return Results(
        images=[row.image_id for row in rows],
        categories=categories,
        scores=scores,
        boxes=boxes,
        masks=masks,
        num_boxes=num_boxes,
    )
