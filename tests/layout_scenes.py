"""One small data set in all three layouts, for the tests of readers, writers and commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import labels
from benchmark.annotated import AnnotatedImage
from benchmark.catalog import MINI_STAMP
from benchmark.contract import Instances, Panoptic, Prediction, Sample, Segment
from benchmark.formats import ade20k, cityscapes, coco
from benchmark.formats.panoptic_files import paint

SCALE = 3
SIZE = (24 * SCALE, 32 * SCALE)
NUM_IMAGES = 3
LAYOUTS: Mapping[str, tuple[Any, str, str]] = {
    "coco": (coco, "coco_panoptic", "coco"),
    "ade20k": (ade20k, "ade20k", "ade20k/ADEChallengeData2016"),
    "cityscapes": (cityscapes, "cityscapes", "cityscapes"),
}
"""Data set -> (layout module, label set, folder in a data root)."""
SKY = {"coco": "sky-other-merged", "ade20k": "sky", "cityscapes": "sky"}


def scene(number: int, dataset: str) -> AnnotatedImage:
    """Sky above road, a person, two cars of which one has a hole, a crowd, and a void strip at the bottom."""
    label_set = labels.load(LAYOUTS[dataset][1])
    ids = np.full((24, 32), 1, np.int32)
    ids[12:] = 2
    ids[4:14, 2 + number : 6 + number] = 3
    ids[10:18, 10:20] = 4
    ids[12:15, 13:16] = 2
    ids[8:12, 22:30] = 5
    ids[14:20, 24:31] = 6
    ids[22:] = 0
    ids = ids.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    names = {1: SKY[dataset], 2: "road", 3: "person", 4: "car", 5: "car", 6: "person"}
    segments = tuple(
        Segment(id=one, class_index=label_set.index_named(name), is_crowd=one == 6, area=int((ids == one).sum()))
        for one, name in names.items()
    )
    image = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return AnnotatedImage(number=number, image=image, panoptic=Panoptic(segment_id=ids, segments=segments))


def write_root(root: Path, splits: Sequence[str] = ("train", "val")) -> Path:
    """Write `NUM_IMAGES` scenes in all layouts, with the mini data's stamp that lifts the official counts."""
    for dataset, (layout, label_set, folder) in LAYOUTS.items():
        images = [scene(number, dataset) for number in range(1, NUM_IMAGES + 1)]
        for split in splits:
            layout.write_split(root / folder, split, images, labels.load(label_set))
    (root / MINI_STAMP).write_text("{}", encoding="utf-8")
    return root


def replay(sample: Sample) -> Prediction:
    """The truth as a prediction: crowds are left out, because a prediction has none."""
    assert sample.truth is not None
    (frame,) = sample.truth.frames
    if isinstance(frame, Panoptic):
        kept = tuple(segment for segment in frame.segments if not segment.is_crowd)
        ids = paint(frame.segment_id, {segment.id: segment.id for segment in kept}, 0)
        frame = Panoptic(segment_id=ids, segments=kept)
    if isinstance(frame, Instances):
        frame = take(frame, np.flatnonzero(~frame.is_crowd))
    return Prediction(frames=(frame,))


def take(instances: Instances, rows: Any) -> Instances:
    """The chosen objects. rows: int [M]."""
    chosen = {
        name: getattr(instances, name)[rows]
        for name in ("boxes", "area", "class_index", "score", "object_id", "is_crowd")
    }
    found = None if instances.masks is None else tuple(instances.masks[row] for row in rows)
    return dataclasses.replace(instances, masks=found, **chosen)


def same(first: Any, second: Any) -> bool:
    """Equality of records that hold arrays; a stored map equals the drawn one."""
    if dataclasses.is_dataclass(first) and (isinstance(first, type(second)) or isinstance(second, type(first))):
        names = [field.name for field in dataclasses.fields(first)]
        return all(same(getattr(first, name), getattr(second, name)) for name in names)
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    return bool(first == second)
