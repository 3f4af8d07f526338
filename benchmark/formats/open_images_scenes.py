"""Annotated images as the files of an Open Images challenge: boxes, verified labels, masks as PNGs, the hierarchy.

A crowd becomes one box that stands for a group and has no mask, as most official groups have none; every seventh thing
lacks its mask, too. A person looked for every class that an image shows, and for every second one of the others.
Truth is that of the most special class, which is copied upwards when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import masks
from benchmark.annotated import AnnotatedImage
from benchmark.contract import Rle, Segment
from benchmark.formats import coco_records, csv_rows
from benchmark.formats.image_files import write_png
from benchmark.formats.json_files import write_json
from benchmark.labels import LabelSet

ROOT_CODE = "/m/0bl9f"
"""The class "Entity", which is above all others and is none of the challenge's."""
BOX_COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsGroupOf")
LABEL_COLUMNS = ("ImageID", "LabelName", "Confidence")
MASK_COLUMNS = (
    "MaskPath",
    "ImageID",
    "LabelName",
    "BoxID",
    "BoxXMin",
    "BoxXMax",
    "BoxYMin",
    "BoxYMax",
    "PredictedIoU",
    "Clicks",
)
WITHOUT_MASK = 7
"""Every so manieth thing of an image has a box alone."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of the three files, and the classes of every image by class_index."""

    boxes: list[list[str]] = field(default_factory=list)
    masks: list[list[str]] = field(default_factory=list)
    shown: dict[str, set[int]] = field(default_factory=dict)


def image_id(image: AnnotatedImage) -> str:
    """Sixteen hexadecimal digits, the last ones its number."""
    return f"{image.number:016x}"


def collect(images: Iterable[AnnotatedImage], labels: LabelSet, pictures: Path | None) -> Lines:
    """The lines of some images. pictures: the folder into which their mask PNGs are written, None: without masks."""
    lines = Lines()
    for image in images:
        name = image_id(image)
        shown = lines.shown.setdefault(name, set())
        for number, (segment, rle) in enumerate(coco_records.things(image, labels)):
            code = labels.classes[segment.class_index].code
            sides = _sides(rle)
            shown.add(segment.class_index)
            lines.boxes.append([name, code, *sides, str(int(segment.is_crowd))])
            if pictures is not None and not segment.is_crowd and number % WITHOUT_MASK != WITHOUT_MASK - 1:
                lines.masks.append(_mask_line(pictures, name, code, segment, rle))
    return lines


def write(lines: Lines, labels: LabelSet, *, boxes: Path, verified: Path, masks_file: Path | None) -> None:
    """Write the files of a split. masks_file: None where there are no masks."""
    csv_rows.write(boxes, BOX_COLUMNS, lines.boxes)
    known = sorted(set().union(*lines.shown.values()))
    rows = []
    for place, (name, shown) in enumerate(lines.shown.items()):
        absent = [one for one in known if one not in shown][place % 2 :: 2]
        rows += [[name, labels.classes[one].code, "1"] for one in sorted(shown)]
        rows += [[name, labels.classes[one].code, "0"] for one in absent]
    csv_rows.write(verified, LABEL_COLUMNS, rows)
    if masks_file is not None:
        csv_rows.write(masks_file, MASK_COLUMNS, lines.masks)


def write_hierarchy(path: Path, labels: LabelSet) -> None:
    """Write a hierarchy of the label set: of every five classes in a row the first is above the others."""
    codes = [row.code for row in labels.classes]
    families = [codes[start : start + 5] for start in range(0, len(codes), 5)]
    write_json(path, {"LabelName": ROOT_CODE, "Subcategory": [_family(family) for family in families]})


def _family(codes: Sequence[str]) -> dict[str, Any]:
    below = [{"LabelName": code} for code in codes[1:]]
    return {"LabelName": codes[0], "Subcategory": below} if below else {"LabelName": codes[0]}


def _sides(rle: Rle) -> list[str]:
    """XMin, XMax, YMin, YMax, shares of width and height."""
    x, y, width, height = masks.bounding_box(rle)
    shares = (x / rle.size[1], (x + width) / rle.size[1], y / rle.size[0], (y + height) / rle.size[0])
    return [repr(float(share)) for share in shares]


def _mask_line(pictures: Path, name: str, code: str, segment: Segment, rle: Rle) -> list[str]:
    """Write the PNG of one object; its line."""
    box_id = f"{segment.id:08x}"
    file = f"{name}_{code.strip('/').replace('/', '')}_{box_id}.png"
    write_png(pictures / file, masks.decode(rle).astype(np.uint8) * 255)
    return [file, name, code, box_id, *_sides(rle), "1.0", ""]
