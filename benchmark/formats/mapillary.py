"""Mapillary Vistas: label maps and instance maps, one number a pixel.

    labels/<key>.png         8 bit palette PNG of label ids, the position in config.json (v1.2: 0..65, v2.0: 0..123)
    instances/<key>.png      16 bit PNG, label id x 256 + number
    panoptic/<key>.png       COCO's form, with category ids that count from 1: label id + 1

Labels that are not evaluated ("void") are the label set's ignored ones. https://www.mapillary.com/dataset/vistas
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, LabelMap, Panoptic, Segment, Truth, make_instances
from benchmark.formats.image_files import read_numbers, write_png
from benchmark.formats.json_files import write_json
from benchmark.formats.label_maps import BYTE, UNKNOWN, Encoding
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.panoptic_files import paint, panoptic_categories, segment_records
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem
from benchmark.runs import Runs

NOTHING = "void--unlabeled"


def encoding_of(labels: LabelSet) -> Encoding:
    """The numbers of label PNGs; what is no class is unlabeled."""
    class_of = np.full(BYTE, UNKNOWN, np.int64)
    for row in labels.everything:
        class_of[row.category_id] = row.class_index
    last = max(row.category_id for row in labels.everything)
    return Encoding(class_of=class_of, nothing=_unlabeled(labels), meaning=f"label ids, 0 to {last}")


def in_panoptic_files(labels: LabelSet) -> LabelSet:
    """The label set under the ids of the panoptic files, which count from 1."""
    classes = tuple(replace(row, category_id=row.category_id + 1) for row in labels.classes)
    return LabelSet(name=labels.name, classes=classes)


def read_semantic(paths: Mapping[str, Path], frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Images with label maps, and the objects that iIoU weighs. paths: sample id -> instance PNG."""

    def truth(path: Path) -> Truth:
        numbers = read_numbers(path)
        table = encoding_of(labels).class_of
        found = table[np.minimum(numbers // BYTE, BYTE - 1)]
        _check(path, numbers, found)
        return Truth(frames=(LabelMap(class_index=found.astype(np.uint16)),), objects=_objects(numbers, labels))

    return _listing(paths, frame_of, truth)


def read_instances(paths: Mapping[str, Path], frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Images with the objects of evaluated classes, and void as `Truth.ignore`. paths: sample id -> instance PNG."""
    void = [row.category_id for row in labels.ignored]

    def truth(path: Path) -> Truth:
        numbers = read_numbers(path)
        _check(path, numbers, encoding_of(labels).class_of[np.minimum(numbers // BYTE, BYTE - 1)])
        ignore = masks.encode_any(Runs.of(numbers // BYTE), void)
        return Truth(frames=(_objects(numbers, labels),), ignore=ignore)

    return _listing(paths, frame_of, truth)


def write_image(home: Path, key: str, panoptic: Panoptic, labels: LabelSet) -> None:
    """Write the label and the instance PNG of an image. home: the folder of `labels` and `instances`.

    Pixels without a class are unlabeled. Numbers of objects count from 1 in every class, stuff has 0.
    """
    numbers, used = dict[int, int](), dict[int, int]()
    for segment in panoptic.segments:
        row = labels.everything[segment.class_index]
        used[row.category_id] = used.get(row.category_id, 0) + int(row.is_thing)
        numbers[segment.id] = row.category_id * BYTE + used[row.category_id]
    found = paint(panoptic.segment_id, numbers, _unlabeled(labels) * BYTE).astype(np.uint16)
    write_png(home / "instances" / f"{key}.png", found)
    write_png(home / "labels" / f"{key}.png", (found // BYTE).astype(np.uint8))


def write_panoptic(path: Path, images: Sequence[tuple[str, Panoptic]], labels: LabelSet) -> None:
    """Write the panoptic JSON and its PNGs beside it. images: (key, segments). labels: under the ids of these files."""
    records, annotations = [], []
    for key, panoptic in images:
        known = tuple(one for one in panoptic.segments if one.class_index < labels.num_classes)
        ids = paint(panoptic.segment_id, {one.id: one.id for one in known}, 0)
        kept = Panoptic(segment_id=ids, segments=known)
        rles = masks.encode_ids(ids, [one.id for one in known])
        height, width = ids.shape
        write_png(path.parent / f"{key}.png", masks.colors_from_ids(ids))
        records.append({"id": key, "file_name": f"{key}.jpg", "height": height, "width": width})
        segments = segment_records(kept, rles, labels)
        annotations.append({"image_id": key, "file_name": f"{key}.png", "segments_info": segments})
    document = {"images": records, "annotations": annotations, "categories": panoptic_categories(labels)}
    write_json(path, document)


def with_groups(panoptic: Panoptic, labels: LabelSet) -> Panoptic:
    """The segments with crowds as the groups of v2.0, which no metric looks at; without crowds where it has none."""
    groups = {row.code: row.class_index for row in labels.ignored if row.code.endswith("-group")}
    segments: list[Segment] = []
    for segment in panoptic.segments:
        if not segment.is_crowd:
            segments.append(segment)
        elif groups:
            is_person = labels.classes[segment.class_index].code.startswith("human")
            code = "human--person--person-group" if is_person else "object--vehicle--vehicle-group"
            segments.append(replace(segment, class_index=groups[code], is_crowd=False))
    kept = {segment.id: segment.id for segment in segments}
    return Panoptic(segment_id=paint(panoptic.segment_id, kept, 0), segments=tuple(segments))


def _unlabeled(labels: LabelSet) -> int:
    return next(row.category_id for row in labels.ignored if row.code == NOTHING)


def _check(path: Path, numbers: NDArray[np.uint16], found: NDArray[np.int64]) -> None:
    """Raise DataError unless all label ids are known. numbers, found: integers [H, W]."""
    if numbers.dtype != np.uint16:
        message, remedy = "has 8 bits a pixel, expected label id x 256 + number", "Give the 16 bit PNGs of 'instances'"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    if (found == UNKNOWN).any():
        wrong = int(numbers[found == UNKNOWN][0])
        message = f"number {wrong} means label id {wrong // BYTE}, which is outside the label set"
        remedy = "Give the files of this version of the data set"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])


def _objects(numbers: NDArray[np.uint16], labels: LabelSet) -> Instances:
    """Objects of evaluated classes by rising number; a class without numbers of its own is one object."""
    runs = Runs.of(numbers)
    things = {row.category_id: row.class_index for row in labels.classes if row.is_thing}
    kept = [number for number in np.unique(runs.value).tolist() if number // BYTE in things]
    found = masks.encode_ids(runs, kept)
    return make_instances(
        class_index=[things[number // BYTE] for number in kept],
        masks=found,
        boxes=masks.bounding_boxes(found),
        area=masks.areas(found).astype(np.float64),
        object_id=np.array(kept, np.int64),
    )


def _listing(paths: Mapping[str, Path], frame_of: Callable[[str], Path], truth: Callable[[Path], Truth]) -> Listing:
    files = list(paths.values())
    entries = tuple(Entry(sample_id=one, frames=(frame_of(one),), labels=(path,)) for one, path in paths.items())
    return Listing(entries=entries, truth=lambda index: truth(files[index]))
