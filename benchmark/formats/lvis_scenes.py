"""Annotated images as an LVIS annotation file: federated truth made of full truth.

What the scene shows as a crowd has no annotations here: its class is listed as not exhaustively marked. Of the classes
that other images of the file show, every second one that an image does not show is listed as verified to be absent; the
others are what nobody looked for. Files follow https://www.lvisdataset.org/dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.annotated import AnnotatedImage
from benchmark.formats import coco_records
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.lvis import FEDERATED
from benchmark.labels import LabelSet

URL = "http://images.cocodataset.org"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """One image: its record, its annotations and the category ids of its crowds."""

    image: dict[str, Any]
    objects: list[dict[str, Any]]
    crowds: frozenset[int]

    @property
    def shown(self) -> frozenset[int]:
        """Category ids that occur in it."""
        return self.crowds | {one["category_id"] for one in self.objects}


def write_pictures(root: Path, folder: str, images: Iterable[AnnotatedImage], labels: LabelSet) -> list[Marked]:
    """Write the pictures into a folder of COCO's below `root`; what is marked in them belongs into `write_file`."""
    found = []
    for image in images:
        place = f"{folder}/{image.number:012d}.jpg"
        write_jpeg(root / place, image.image)
        height, width = image.image.shape[:2]
        record = {"id": image.number, "coco_url": f"{URL}/{place}", "height": height, "width": width}
        objects = coco_records.object_records(image, labels)
        kept = [{name: one[name] for name in one if name != "iscrowd"} for one in objects if not one["iscrowd"]]
        crowds = frozenset(one["category_id"] for one in objects if one["iscrowd"])
        found.append(Marked(image=record, objects=kept, crowds=crowds))
    return found


def write_file(path: Path, marked: Sequence[Marked], labels: LabelSet, *, has_names: bool = False) -> None:
    """Write one annotation file. has_names: with the file names that copies of minival carry."""
    known = sorted(frozenset().union(*(one.shown for one in marked)))
    images = []
    for one in marked:
        absent = [number for number in known if number not in one.shown]
        name = {"file_name": one.image["coco_url"].rsplit("/", 1)[1]} if has_names else {}
        federated = absent[one.image["id"] % 2 :: 2], sorted(one.crowds)
        images.append(one.image | name | dict(zip(FEDERATED, federated, strict=True)))
    coco_records.write(path, images, [one for each in marked for one in each.objects], _categories(marked, labels))


def _categories(marked: Sequence[Marked], labels: LabelSet) -> list[dict[str, Any]]:
    """All classes with their frequency, and how often this file has them."""
    instances = Counter(one["category_id"] for each in marked for one in each.objects)
    images = Counter(number for each in marked for number in each.shown)
    return [
        {
            "id": row.category_id,
            "name": row.name,
            "synonyms": [row.name],
            "frequency": row.supercategory,
            "image_count": images[row.category_id],
            "instance_count": instances[row.category_id],
        }
        for row in labels.classes
    ]
