"""COCO result files without fault, decoded at once into columns.

msgspec checks the type of every field while it decodes. What is not exactly as expected (fields of other types, numbers
beyond belief, text that is no UTF-8) gives None, and the patient reader of `coco_results` says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmark.formats.json_files import decode_typed
from benchmark.formats.values import LARGEST

LARGEST_FILE = 2**28
"""Bytes up to which a file with masks is read whole."""
PIECE = 2**25
"""Bytes of a list of boxes that are decoded at once."""
LONGEST = 2**16
"""Bytes at the end of a piece in which an object must end."""
_BETWEEN = re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*\{")


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
    """N results in file order. names: images as the file names them. images: int64 [N], positions in `names`.

    categories: int64 [N]. scores: float64 [N]. boxes: float64 [N, 4], zero where masks are wanted. masks: N, or none.
    num_boxes: boxes beside masks.
    """

    names: Sequence[int | str]
    images: NDArray[np.int64]
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
        return np.array([number_of[one] for one in self.names], np.int64)[self.images]


def read(path: Path, *, needs_masks: bool) -> Results | None:
    """The results in a file; None where anything asks for a closer look, or masks are too many to be kept."""
    try:
        with path.open("rb") as file:
            if not needs_masks:
                return _joined(_of_pieces(file))
            data = file.read(LARGEST_FILE + 1)
    except OSError:
        return None
    return _masks(data) if len(data) <= LARGEST_FILE else None


def _of_pieces(file: BinaryIO) -> Iterator[Results | None]:
    """The boxes of a list piece by piece. A piece that is cut within an object is no JSON, so it is not misread."""
    text = file.read(PIECE)
    while more := file.read(PIECE):
        cuts = list(_BETWEEN.finditer(text, max(0, len(text) - LONGEST)))
        yield _boxes(text[: cuts[-1].start() + 1] + b"]") if cuts else None
        text = b"[" + text[cuts[-1].end() - 1 :] + more
    yield _boxes(text)


def _joined(parts: Iterator[Results | None]) -> Results | None:
    """The pieces of a file as one; None if any of them is None, and then no more are asked for."""
    found: list[Results] = []
    for part in parts:
        if part is None:
            return None
        found.append(part)
    if len(found) == 1:
        return found[0]
    place: dict[int | str, int] = {}
    images = []
    for part in found:
        new = np.array([place.setdefault(name, len(place)) for name in part.names], np.int64)
        images.append(new[part.images])
    return Results(
        names=list(place),
        images=np.concatenate(images),
        categories=np.concatenate([part.categories for part in found]),
        scores=np.concatenate([part.scores for part in found]),
        boxes=np.concatenate([part.boxes for part in found]),
        masks=[],
        num_boxes=0,
    )


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
    place: dict[int | str, int] = {}
    images = np.array([place.setdefault(row.image_id, len(place)) for row in rows], np.int64)
    return Results(
        names=list(place),
        images=images,
        categories=categories,
        scores=scores,
        boxes=boxes,
        masks=masks,
        num_boxes=num_boxes,
    )
