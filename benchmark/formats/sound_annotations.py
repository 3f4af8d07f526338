"""A quick look at all annotations of a COCO file at once: are they sound without exception?

Looking at fields one by one takes longer than scoring. Here columns are checked as arrays. Whatever is not exactly as
expected gives None, and the patient checker of `coco_instances` says what it is. Both accept the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmark.formats.image_records import Image
from benchmark.formats.json_files import decode_typed
from benchmark.formats.values import LARGEST

LARGEST_FILE = 2**25
"""Bytes up to which a file is decoded at once."""
FARTHEST = 1_000_000
"""Polygon coordinates up to here are rasterised; the official rasteriser counts in 32 bits."""
_NUMBERS = {int, float}


class Box(msgspec.Struct, frozen=True, gc=False):
    """An annotation of which the box is looked at."""

    id: int
    image_id: int | str
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int


class Outlined(Box, frozen=True, gc=False):
    """An annotation of which the mask is looked at, too: polygons, or run lengths."""

    segmentation: list[list[float]] | dict[str, Any]


class BoxFile(msgspec.Struct, frozen=True):
    """A file of annotations without masks, or whose masks nobody looks at."""

    images: list[Any]
    annotations: list[Box]
    categories: list[Any]


class OutlineFile(msgspec.Struct, frozen=True):
    """A file of annotations with masks."""

    images: list[Any]
    annotations: list[Outlined]
    categories: list[Any]


def read_file(path: Path, *, needs_masks: bool) -> BoxFile | OutlineFile | None:
    """A file of usual size in which the type of every field is as expected, else None."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError:
        return None
    if len(data) > LARGEST_FILE:
        return None
    return decode_typed(data, OutlineFile) if needs_masks else decode_typed(data, BoxFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """N sound annotations in file order. samples: their sample ids. num_clipped: polygons clipped at the border.

    object_id, category: int64 [N]. area: float64 [N]. is_crowd: bool [N]. boxes: float64 [N, 4], x, y, w, h.
    """

    samples: Sequence[str]
    num_clipped: int
    object_id: NDArray[np.int64]
    category: NDArray[np.int64]
    area: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    boxes: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What sound annotations look like.

    images: sample id -> image. classes: known category ids. run_length_message: (mask, size) -> what is wrong with it.
    """

    images: Mapping[str, Image]
    classes: Mapping[int, int]
    needs_masks: bool
    run_length_message: Callable[[Mapping[str, Any], tuple[int, int]], str]

    def check(self, annotations: Sequence[Any]) -> Columns | None:
        """The annotations, all as JSON objects or all as read by `read_file`; None if any asks for a closer look."""
        try:
            return self._check(annotations)
        except (KeyError, TypeError, ValueError, OverflowError, IndexError):
            return None

    def _check(self, annotations: Sequence[Any]) -> Columns | None:
        fields = ("id", "category_id", "iscrowd", "area", "bbox", "image_id")
        is_typed = bool(annotations) and isinstance(annotations[0], Box)
        getter = attrgetter if is_typed else itemgetter
        own_ids, kinds, flags, sizes, boxes, owners = (list(map(getter(name), annotations)) for name in fields)
        ids, categories, crowds, areas = _whole(own_ids), _whole(kinds), _whole(flags), _numbers(sizes)
        flat = _numbers(list(chain.from_iterable(boxes)))
        is_sound = (
            len(np.unique(ids)) == len(ids)
            and (ids != 0).all()
            and (np.abs(ids) <= LARGEST).all()
            and set(np.unique(categories).tolist()) <= self.classes.keys()
            and np.isin(crowds, (0, 1)).all()
            and (np.abs(areas) <= LARGEST).all()
            and (np.abs(flat) <= LARGEST).all()
            and set(map(len, boxes)) <= {4}
            and set(map(type, boxes)) <= {tuple if is_typed else list}
        )
        names = {owner: str(owner) for owner in set(owners)}
        if not is_sound or not set(names.values()) <= self.images.keys():
            return None
        samples = [names[owner] for owner in owners]
        masks = list(map(getter("segmentation"), annotations)) if self.needs_masks else []
        num_clipped = self._clipped(masks, samples, is_typed=is_typed) if self.needs_masks else 0
        if num_clipped is None:
            return None
        return Columns(
            samples=samples,
            num_clipped=num_clipped,
            object_id=ids,
            category=categories,
            area=areas,
            is_crowd=crowds.astype(bool),
            boxes=flat.reshape(-1, 4),
        )

    def _clipped(self, segmentations: Sequence[Any], samples: Sequence[str], *, is_typed: bool) -> int | None:
        """How many polygons reach over the border of their image; None if any mask is not sound."""
        polygons: list[Any] = []
        sizes: list[tuple[int, int]] = []
        for found, sample_id in zip(segmentations, samples, strict=True):
            size = self.images[sample_id].size
            if type(found) is list and found:
                polygons += found
                sizes += [size] * len(found)
            elif type(found) is not dict or self.run_length_message(found, size):
                return None
        if not polygons:
            return 0
        lengths = np.array([len(polygon) for polygon in polygons])
        if (lengths < 6).any() or (lengths % 2).any() or set(map(type, polygons)) != {list}:
            return None
        numbers = chain.from_iterable(polygons)
        # The types of the fields of a `Box` were checked when it was decoded.
        values = np.fromiter(numbers, np.float64, int(lengths.sum())) if is_typed else _numbers(list(numbers))
        return _num_clipped(values, lengths, np.array(sizes))


def _num_clipped(values: NDArray[np.float64], lengths: NDArray[np.int64], sizes: NDArray[np.int64]) -> int | None:
    """Polygons that overshoot, None if any lies far or wholly outside.

    values: float64 [sum of lengths], x and y in turn. lengths: int64 [P]. sizes: int64 [P, 2], height and width.
    """
    starts = np.cumsum(lengths // 2) - lengths // 2
    points = values.reshape(-1, 2)
    low, high = np.minimum.reduceat(points, starts, axis=0), np.maximum.reduceat(points, starts, axis=0)
    width_height = sizes[:, ::-1]
    if (np.maximum(-low, high) > FARTHEST).any() or ((low >= width_height) | (high <= 0)).any():
        return None
    return int(((low < 0) | (high > width_height)).any(axis=1).sum())


def _whole(values: Sequence[Any]) -> NDArray[np.int64]:
    """Whole numbers as int64 [N]; TypeError for anything else."""
    _check_types(values, {int})
    return np.array(values, np.int64)


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """Numbers as float64 [N]; TypeError for anything else."""
    _check_types(values, _NUMBERS)
    found = np.array(values, np.float64)
    if not np.isfinite(found).all():
        raise ValueError("numbers are not finite")
    return found


def _check_types(values: Iterable[Any], kinds: set[type]) -> None:
    if not set(map(type, values)) <= kinds:
        raise TypeError("values are of another type")
