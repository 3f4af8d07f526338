"""What the panoptic files of all three data sets have in common: painted class maps and JSON segment records.

The writers of all three layouts use it, and so does whatever derives one kind of truth from another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Panoptic, Rle
from benchmark.labels import LabelSet
from benchmark.runs import run_edges


def paint(ids: NDArray[np.int32], values: Mapping[int, int], rest: int) -> NDArray[np.int32]:
    """Map of `values[id]`, int32 [H, W]; `rest` where an id is not listed. ids: int32 [H, W]."""
    flat = ids.ravel()
    edge = run_edges(flat)
    present, place = np.unique(flat[edge[:-1]], return_inverse=True)
    painted = np.array([values.get(found, rest) for found in present.tolist()], np.int32)
    return np.repeat(painted[place], np.diff(edge)).reshape(ids.shape)


def paint_classes(panoptic: Panoptic, value_of_class: Mapping[int, int], rest: int) -> NDArray[np.int32]:
    """Map of `value_of_class[class_index]`, int32 [H, W]; `rest` on void and on classes that are not listed."""
    values = {segment.id: value_of_class.get(segment.class_index, rest) for segment in panoptic.segments}
    return paint(panoptic.segment_id, values, rest)


def present_ids(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """The distinct ids of a map, ascending, int32 [N]."""
    # Segments are wide: looking at the first pixel of every run is much cheaper than sorting all pixels.
    flat = ids.ravel()
    return np.unique(flat[run_edges(flat)[:-1]])


def segment_records(panoptic: Panoptic, rles: Sequence[Rle], labels: LabelSet) -> list[dict[str, Any]]:
    """`segments_info` of one image. rles: the mask of every segment, in the same order."""
    return [
        {
            "id": segment.id,
            "category_id": labels.category_id(segment.class_index),
            "area": masks.area(rle),
            "bbox": [int(value) for value in masks.bounding_box(rle)],
            "iscrowd": int(segment.is_crowd),
        }
        for segment, rle in zip(panoptic.segments, rles, strict=True)
    ]


def panoptic_categories(labels: LabelSet) -> list[dict[str, Any]]:
    """The `categories` list of a panoptic file."""
    return [
        {
            "supercategory": row.supercategory,
            "color": list(row.color),
            "isthing": int(row.is_thing),
            "id": row.category_id,
            "name": row.name,
        }
        for row in labels.classes
    ]
