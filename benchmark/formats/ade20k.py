"""The ADE20K layout (SceneParsing-150 with instances) as a whole: how a split of it is written.

    images/{training,validation}/ADE_{train,val}_%08d.jpg
    ../release_test/testing/ADE_test_%08d.jpg
    annotations/{training,validation}/*.png             0 other, 1..150 class
    annotations_instance/{training,validation}/*.png    R instance class 1..100, G number in the image (0 none)
    ade20k_panoptic_{train,val}.json + folder           derived: category 0..149, id = R + 256 G + 65536 B
    ade20k_instance_{train,val}.json                    derived: category 0..149, image_id is the file's stem
    objectInfo150.txt

The layout knows no crowds: such a segment keeps its class in `annotations` and is void everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.annotated import AnnotatedImage
from benchmark.contract import Panoptic, Rle, Segment
from benchmark.formats.image_files import write_jpeg, write_png, write_whole
from benchmark.formats.json_files import write_json
from benchmark.formats.panoptic_files import paint, paint_classes, panoptic_categories, segment_records
from benchmark.labels import LabelSet

FOLDERS = {"train": "training", "val": "validation", "test": "testing"}
TEST_PICTURES = "release_test/testing"
"""Where test pictures lie: beside the folder of the others, as release_test.zip unpacks them."""
MAX_INSTANCES = 255


def write_split(root: Path, split: str, images: Iterable[AnnotatedImage], labels: LabelSet) -> None:
    """Write images and all label files of a split. root: the `ADEChallengeData2016` folder. split: of FOLDERS."""
    write_index(root, split, [write_image(root, split, image, labels) for image in images], labels)


def write_image(root: Path, split: str, image: AnnotatedImage, labels: LabelSet) -> dict[str, Any]:
    """Write the files of one image; the result, which JSON can hold, belongs into `write_index`."""
    folder, stem = FOLDERS[split], f"ADE_{split}_{image.number:08d}"
    pictures = root.parent / TEST_PICTURES if split == "test" else root / "images" / folder
    write_jpeg(pictures / f"{stem}.jpg", image.image)
    value_of_class = {row.class_index: row.class_index + 1 for row in labels.classes}
    semantic = paint_classes(image.panoptic, value_of_class, 0)
    write_png(root / "annotations" / folder / f"{stem}.png", semantic.astype(np.uint8))
    panoptic = _without_crowds(image.panoptic)
    write_png(root / "annotations_instance" / folder / f"{stem}.png", _instance_colors(panoptic, labels))
    write_png(root / f"ade20k_panoptic_{split}" / f"{stem}.png", masks.colors_from_ids(panoptic.segment_id))
    rles = masks.encode_ids(panoptic.segment_id, [segment.id for segment in panoptic.segments])
    height, width = image.image.shape[:2]
    return {
        "image": {"id": stem, "file_name": f"{stem}.jpg", "height": height, "width": width},
        "segments": segment_records(panoptic, rles, labels),
        "instances": [
            _instance_record(stem, segment, rle, labels)
            for segment, rle in zip(panoptic.segments, rles, strict=True)
            if labels.classes[segment.class_index].is_thing
        ],
    }


def write_index(root: Path, split: str, records: Sequence[dict[str, Any]], labels: LabelSet) -> None:
    """Write the derived annotation files and the class list. records: results of `write_image`, in any order."""
    ordered = sorted(records, key=lambda record: str(record["image"]["id"]))
    images = [record["image"] for record in ordered]
    segments = [
        {"image_id": r["image"]["id"], "file_name": f"{r['image']['id']}.png", "segments_info": r["segments"]}
        for r in ordered
    ]
    categories = panoptic_categories(labels)
    write_json(
        root / f"ade20k_panoptic_{split}.json", {"images": images, "annotations": segments, "categories": categories}
    )
    instances = [instance for record in ordered for instance in record["instances"]]
    numbered = [instance | {"id": number} for number, instance in enumerate(instances, start=1)]
    things = [{"id": row.category_id, "name": row.name} for row in labels.classes if row.is_thing]
    write_json(
        root / f"ade20k_instance_{split}.json", {"images": images, "annotations": numbered, "categories": things}
    )
    lines = ["Idx\tRatio\tTrain\tVal\tName"]
    lines += [f"{row.class_index + 1}\t0.0000\t0\t0\t{row.name}" for row in labels.classes]
    write_whole(root / "objectInfo150.txt", ("\n".join(lines) + "\n").encode("utf-8"))


def _without_crowds(panoptic: Panoptic) -> Panoptic:
    kept = tuple(segment for segment in panoptic.segments if not segment.is_crowd)
    if len(kept) == len(panoptic.segments):
        return panoptic
    ids = paint(panoptic.segment_id, {segment.id: segment.id for segment in kept}, 0)
    return Panoptic(segment_id=ids, segments=kept)


def _instance_colors(panoptic: Panoptic, labels: LabelSet) -> NDArray[np.uint8]:
    """R: instance class 1..100, G: number in the image from 1, B: 0; uint8 [H, W, 3]."""
    things = [segment for segment in panoptic.segments if labels.classes[segment.class_index].is_thing]
    if len(things) > MAX_INSTANCES:
        raise ValueError(f"an image has {len(things)} objects; ADE20K's instance PNG holds at most {MAX_INSTANCES}")
    classes = {s.id: labels.classes[s.class_index].instance_category_id or 0 for s in things}
    numbers = {segment.id: number for number, segment in enumerate(things, start=1)}
    red, green = paint(panoptic.segment_id, classes, 0), paint(panoptic.segment_id, numbers, 0)
    return np.stack((red, green, np.zeros_like(red)), axis=-1).astype(np.uint8)


def _instance_record(image_id: str, segment: Segment, rle: Rle, labels: LabelSet) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "category_id": labels.category_id(segment.class_index),
        "segmentation": masks.to_json(rle),
        "area": masks.area(rle),
        "bbox": list(masks.bounding_box(rle)),
        "iscrowd": 0,
    }
