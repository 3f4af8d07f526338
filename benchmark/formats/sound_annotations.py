"""A quick look at all annotations of a COCO file at once: are they sound without exception?

Looking at fields one by one takes longer than scoring. Here columns are checked as arrays. Whatever is not exactly as
expected gives None, and the patient checker of `coco_instances` says what it is. Both accept the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.formats.image_records import Image
from benchmark.formats.values import LARGEST

FARTHEST = 1_000_000
"""Polygon coordinates up to here are rasterised; the official rasteriser counts in 32 bits."""
_NUMBERS = {int, float}


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
        """The annotations; None if any asks for a closer look."""
        try:
            return self._check(annotations)
        except (KeyError, TypeError, ValueError, OverflowError, IndexError):
            return None

    def _check(self, annotations: Sequence[Any]) -> Columns | None:
        ids = _whole([one["id"] for one in annotations])
        categories = _whole([one["category_id"] for one in annotations])
        crowds = _whole([one["iscrowd"] for one in annotations])
        areas = _numbers([one["area"] for one in annotations])
        boxes = [one["bbox"] for one in annotations]
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
            and set(map(type, boxes)) <= {list}
        )
        owners = [one["image_id"] for one in annotations]
        names = {owner: str(owner) for owner in set(owners)}
        if not is_sound or not set(names.values()) <= self.images.keys():
            return None
        samples = [names[owner] for owner in owners]
        num_clipped = self._clipped(annotations, samples) if self.needs_masks else 0
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

    def _clipped(self, annotations: Sequence[Any], samples: Sequence[str]) -> int | None:
        """How many polygons reach over the border of their image; None if any mask is not sound."""
        polygons: list[Any] = []
        sizes: list[tuple[int, int]] = []
        for annotation, sample_id in zip(annotations, samples, strict=True):
            found, size = annotation["segmentation"], self.images[sample_id].size
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
        return _num_clipped(_numbers(list(chain.from_iterable(polygons))), lengths, np.array(sizes))


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
