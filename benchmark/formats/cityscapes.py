"""The Cityscapes layout as a whole: names of its files, and how a split of it is written.

    leftImg8bit/{train,val,test}/<city>/<city>_<seq6>_<frame6>_leftImg8bit.png
    gtFine/{train,val,test}/<city>/<city>_<seq6>_<frame6>_gtFine_{labelIds,labelTrainIds,instanceIds,color}.png
    gtFine/cityscapes_panoptic_{train,val,test}.json + folder of the same stem with ..._gtFine_panoptic.png

instanceIds is 16 bit: label id x 1000 + number for single objects, the plain label id for everything else, groups of
objects included. The panoptic files are what cityscapesscripts 2.3.0 (createPanopticImgs) makes of it:
segment id = that number, groups are crowds, ignored labels are void.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.annotated import AnnotatedImage
from benchmark.contract import Panoptic, Segment
from benchmark.formats.image_files import write_png
from benchmark.formats.json_files import write_json
from benchmark.formats.panoptic_files import paint, paint_classes, panoptic_categories, present_ids, segment_records
from benchmark.labels import LabelSet

CITIES = {"train": "minicity", "val": "minitown", "test": "minivillage"}
"""Name of the city of each written split; the official splits share no city either."""
FRAME = 19
"""Frame number in the names of written images; the official annotated frame is the twentieth of its sequence."""
TRAIN_IGNORE = 255
FIRST_SINGLE = 1000
"""Smallest instance id of a single object; smaller ones are plain label ids."""


def write_split(root: Path, split: str, images: Iterable[AnnotatedImage], labels: LabelSet) -> None:
    """Write images and all label files of a split. root: the `cityscapes` folder. split: "train", "val", "test"."""
    write_index(root, split, [write_image(root, split, image, labels) for image in images], labels)


def write_image(root: Path, split: str, image: AnnotatedImage, labels: LabelSet) -> dict[str, Any]:
    """Write the files of one image; the result, which JSON can hold, belongs into `write_index`."""
    city = CITIES[split]
    stem = f"{city}_{image.number:06d}_{FRAME:06d}"
    write_png(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", image.image)
    truth = root / "gtFine" / split / city
    everything = labels.everything
    label_ids = paint_classes(image.panoptic, {c.class_index: max(c.category_id, 0) for c in everything}, 0)
    train_ids = paint_classes(image.panoptic, {c.class_index: c.class_index for c in labels.classes}, TRAIN_IGNORE)
    instance_ids = _instance_ids(image.panoptic, labels)
    write_png(truth / f"{stem}_gtFine_labelIds.png", label_ids.astype(np.uint8))
    write_png(truth / f"{stem}_gtFine_labelTrainIds.png", train_ids.astype(np.uint8))
    write_png(truth / f"{stem}_gtFine_instanceIds.png", instance_ids.astype(np.uint16))
    write_png(truth / f"{stem}_gtFine_color.png", _colors(label_ids, labels))
    panoptic = panoptic_of_instance_ids(instance_ids, labels)
    name = f"{stem}_gtFine_panoptic.png"
    write_png(root / "gtFine" / f"cityscapes_panoptic_{split}" / name, masks.colors_from_ids(panoptic.segment_id))
    rles = masks.encode_ids(panoptic.segment_id, [segment.id for segment in panoptic.segments])
    height, width = image.image.shape[:2]
    return {
        "image": {"id": stem, "file_name": f"{stem}_gtFine_leftImg8bit.png", "height": height, "width": width},
        "annotation": {
            "image_id": stem,
            "file_name": name,
            "segments_info": segment_records(panoptic, rles, labels),
        },
    }


def write_index(root: Path, split: str, records: Sequence[dict[str, Any]], labels: LabelSet) -> None:
    """Write the panoptic annotation file of a split. records: results of `write_image`, in any order."""
    ordered = sorted(records, key=lambda record: str(record["image"]["id"]))
    write_json(
        root / "gtFine" / f"cityscapes_panoptic_{split}.json",
        {
            "images": [record["image"] for record in ordered],
            "annotations": [record["annotation"] for record in ordered],
            "categories": panoptic_categories(labels),
        },
    )


def panoptic_of_instance_ids(instance_ids: NDArray[np.int32], labels: LabelSet) -> Panoptic:
    """The official panoptic form of an instanceIds map, int32 [H, W]; unknown and ignored labels become void."""
    segments = []
    for found in present_ids(instance_ids).tolist():
        label_id = found // FIRST_SINGLE if found >= FIRST_SINGLE else found
        if not labels.has_category(label_id) or labels.index_of(label_id) >= labels.num_classes:
            continue
        class_index = labels.index_of(label_id)
        is_group = labels.classes[class_index].is_thing and found < FIRST_SINGLE
        segments.append(Segment(id=found, class_index=class_index, is_crowd=is_group))
    ids = paint(instance_ids, {segment.id: segment.id for segment in segments}, 0)
    return Panoptic(segment_id=ids, segments=tuple(segments))


def _instance_ids(panoptic: Panoptic, labels: LabelSet) -> NDArray[np.int32]:
    """Cityscapes numbering of the segments: objects of a class are numbered from 0 in the order they are listed."""
    values: dict[int, int] = {}
    used: dict[int, int] = {}
    for segment in panoptic.segments:
        row = labels.everything[segment.class_index]
        label_id = max(row.category_id, 0)
        is_single = row.is_thing and not segment.is_crowd
        values[segment.id] = label_id * FIRST_SINGLE + used.get(label_id, 0) if is_single else label_id
        used[label_id] = used.get(label_id, 0) + int(is_single)
    return paint(panoptic.segment_id, values, 0)


def _colors(label_ids: NDArray[np.int32], labels: LabelSet) -> NDArray[np.uint8]:
    """Opaque colours of a map of label ids, uint8 [H, W, 4] RGBA."""
    table = np.zeros((max(row.category_id for row in labels.everything) + 1, 4), np.uint8)
    table[:, 3] = 255
    for row in labels.everything:
        if row.category_id >= 0:
            table[row.category_id, :3] = row.color
    return table[label_ids]
