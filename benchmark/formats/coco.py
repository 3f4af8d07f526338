"""The COCO layout as a whole: where its files lie, and how a split of it is written.

    {train,val,test}2017/%012d.jpg
    annotations/image_info_test-dev2017.json               hidden splits: images and categories alone
    annotations/instances_{train,val}2017.json             polygons; crowds as uncompressed run lengths
    annotations/panoptic_{train,val}2017.json + folder     id = R + 256 G + 65536 B, 0 is void
    panoptic_semseg_{train,val}2017/%012d.png              class_index of all 133 classes, 255 is ignored

The files follow https://cocodataset.org/#format-data; the last folder is what OneFormer and Mask2Former derive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import masks
from benchmark.annotated import AnnotatedImage
from benchmark.formats import coco_records
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.formats.json_files import write_json
from benchmark.formats.panoptic_files import paint_classes, panoptic_categories, segment_records
from benchmark.labels import LabelSet

SEMANTIC_IGNORE = 255
INFO = {"description": "written in the COCO layout", "version": "1.0", "year": 2017}


def write_split(root: Path, split: str, images: Iterable[AnnotatedImage], labels: LabelSet) -> None:
    """Write images and all label files of a split. root: the `coco` folder. split: "train", "val" or "test-dev"."""
    write_index(root, split, [write_image(root, split, image, labels) for image in images], labels)


def picture_folder(split: str) -> str:
    """Folder of a split's pictures: "test-dev" is a part of test2017."""
    return f"{split.partition('-')[0]}2017"


def write_image(root: Path, split: str, image: AnnotatedImage, labels: LabelSet) -> dict[str, Any]:
    """Write the files of one image; the result, which JSON can hold, belongs into `write_index`."""
    stem = f"{image.number:012d}"
    panoptic = image.panoptic
    write_jpeg(root / picture_folder(split) / f"{stem}.jpg", image.image)
    colors = masks.colors_from_ids(panoptic.segment_id)
    write_png(root / "annotations" / f"panoptic_{split}2017" / f"{stem}.png", colors)
    semantic = paint_classes(panoptic, {row.class_index: row.class_index for row in labels.classes}, SEMANTIC_IGNORE)
    write_png(root / f"panoptic_semseg_{split}2017" / f"{stem}.png", semantic.astype(np.uint8))
    rles = masks.encode_ids(panoptic.segment_id, [segment.id for segment in panoptic.segments])
    return {
        "image": coco_records.image_record(image, f"{stem}.jpg") | {"license": 0},
        "segments": segment_records(panoptic, rles, labels),
        "instances": coco_records.object_records(image, labels),
    }


def write_index(root: Path, split: str, records: Sequence[dict[str, Any]], labels: LabelSet) -> None:
    """Write the two annotation files of a split, and of a hidden one the list that is public.

    records: results of `write_image`, in any order.
    """
    ordered = sorted(records, key=lambda record: int(record["image"]["id"]))
    images = [record["image"] for record in ordered]
    instances = [instance for record in ordered for instance in record["instances"]]
    head = {"info": INFO, "licenses": [], "images": images}
    if split not in ("train", "val"):
        things = coco_records.categories(labels)
        write_json(root / "annotations" / f"image_info_{split}2017.json", head | {"categories": things})
    write_json(
        root / "annotations" / f"instances_{split}2017.json",
        head
        | {
            "annotations": [instance | {"id": number} for number, instance in enumerate(instances, start=1)],
            "categories": coco_records.categories(labels),
        },
    )
    segments = [
        {"image_id": r["image"]["id"], "file_name": f"{r['image']['id']:012d}.png", "segments_info": r["segments"]}
        for r in ordered
    ]
    categories = panoptic_categories(labels)
    write_json(
        root / "annotations" / f"panoptic_{split}2017.json", head | {"annotations": segments, "categories": categories}
    )
