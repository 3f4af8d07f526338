"""Annotated images as the records of a COCO instance file, for every data set that writes this form.

    {"images": [{"id", "file_name", "height", "width"}], "categories": [{"id", "name"}],
     "annotations": [{"id", "image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd", "segmentation"}]}

Only things are objects. Outlines are polygons that give back the very mask, those of crowds run lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmark import masks, polygons
from benchmark.annotated import AnnotatedImage
from benchmark.contract import Rle, Segment
from benchmark.formats.json_files import write_json
from benchmark.labels import LabelSet


def image_record(image: AnnotatedImage, file_name: str) -> dict[str, Any]:
    """The image's entry of `images`."""
    height, width = image.image.shape[:2]
    return {"id": image.number, "file_name": file_name, "height": height, "width": width}


def things(image: AnnotatedImage, labels: LabelSet) -> list[tuple[Segment, Rle]]:
    """The objects of an image with their masks; regions of stuff are none."""
    segments = [one for one in image.panoptic.segments if labels.everything[one.class_index].is_thing]
    found = masks.encode_ids(image.panoptic.segment_id, [one.id for one in segments])
    return list(zip(segments, found, strict=True))


def object_record(image_id: int, category_id: int, segment: Segment, rle: Rle) -> dict[str, Any]:
    """One entry of `annotations`, not numbered yet; the area is that of the mask."""
    outline = masks.to_json_uncompressed(rle) if segment.is_crowd else polygons.from_mask(masks.decode(rle))
    return {
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": outline,
        "area": masks.area(rle),
        "bbox": list(masks.bounding_box(rle)),
        "iscrowd": int(segment.is_crowd),
    }


def object_records(image: AnnotatedImage, labels: LabelSet) -> list[dict[str, Any]]:
    """`annotations` of one image in the label set's category ids."""
    return [
        object_record(image.number, labels.category_id(segment.class_index), segment, rle)
        for segment, rle in things(image, labels)
    ]


def without_masks(annotation: dict[str, Any]) -> dict[str, Any]:
    """The annotation of a data set that has boxes alone; its area is that of the box."""
    width, height = annotation["bbox"][2:]
    plain = {name: value for name, value in annotation.items() if name != "segmentation"}
    return plain | {"area": width * height}


def categories(labels: LabelSet) -> list[dict[str, Any]]:
    """`categories`: the things of a label set."""
    return [
        {"supercategory": row.supercategory, "id": row.category_id, "name": row.name}
        for row in labels.classes
        if row.is_thing
    ]


def write(
    path: Path,
    images: Sequence[dict[str, Any]],
    annotations: Iterable[dict[str, Any]],
    classes: Sequence[dict[str, Any]],
    *,
    first_id: int = 1,
) -> None:
    """Write one annotation file. annotations: numbered here in their order, from `first_id`."""
    numbered = [one | {"id": number} for number, one in enumerate(annotations, start=first_id)]
    write_json(path, {"images": images, "annotations": numbered, "categories": classes})
