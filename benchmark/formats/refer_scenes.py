"""Annotated scenes as the REFER API's files: references, instances.json, pictures named as COCO's train2014.

    train2014/COCO_train2014_%012d.jpg
    refcoco/instances.json                    polygons; crowds as uncompressed run lengths
    refcoco/refs(unc).p                       all splits together; sentences of one target share a reference

Where the data set allows any number of targets (gRefCOCO), `ann_id` and `category_id` are lists, [-1] for no target.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.annotated import AnnotatedImage
from benchmark.formats import coco_records, refer
from benchmark.formats.json_files import read_json
from benchmark.labels import LabelSet

LISTS = ("images", "annotations")
INFO = {"description": "written in the layout of the REFER API", "version": "1.0", "year": 2014}
ANNOTATIONS_PER_IMAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferBook:
    """The files of one data set, filled image by image. labels: of the instances, with COCO's ids.

    any_number: expressions may refer to several things or to nothing; otherwise to exactly one.
    unsaid: words that no sentence of the data set may hold.
    """

    labels: LabelSet
    any_number: bool = False
    unsaid: frozenset[str] = frozenset()
    images: dict[int, dict[str, Any]] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    references: list[dict[str, Any]] = field(default_factory=list)

    def add(self, image: AnnotatedImage, image_id: int, split: str) -> str:
        """List an image with its objects, once, and its expressions under a split; the picture's file name."""
        name = f"COCO_train2014_{image_id:012d}.jpg"
        if image_id not in self.images:
            self.images[image_id] = coco_records.image_record(image, name) | {"id": image_id, "license": 1}
            self.annotations.extend(self._objects(image, image_id))
        categories = {segment.id: self.labels.category_id(segment.class_index) for segment in image.panoptic.segments}
        for targets, sentences in self._sentences(image).items():
            ann_ids = [_ann_id(image_id, target) for target in targets] or [refer.NOTHING]
            category_ids = [categories[target] for target in targets] or [refer.NOTHING]
            about = {"split": split, "image_id": image_id, "file_name": name}
            about["ann_id"] = ann_ids if self.any_number else ann_ids[0]
            about["category_id"] = category_ids if self.any_number else category_ids[0]
            self.references.append(self._reference(about, sentences))
        return name

    def write(self, folder: Path, refs_name: str) -> None:
        """Write both files; an instances.json that serves another reference file too keeps what it lists."""
        listed = {"images": list(self.images.values()), "annotations": self.annotations}
        path = folder / refer.INSTANCES
        if path.is_file():
            there = read_json(path)
            for name in LISTS:
                known = {one["id"] for one in there[name]}
                listed[name] = there[name] + [one for one in listed[name] if one["id"] not in known]
        categories = coco_records.categories(self.labels)
        instances = {"info": INFO, "licenses": [], **listed, "categories": categories}
        refer.write(folder, refs_name, self.references, instances)

    def _objects(self, image: AnnotatedImage, image_id: int) -> list[dict[str, Any]]:
        return [
            coco_records.object_record(image_id, self.labels.category_id(segment.class_index), segment, rle)
            | {"id": _ann_id(image_id, segment.id)}
            for segment, rle in coco_records.things(image, self.labels)
        ]

    def _sentences(self, image: AnnotatedImage) -> dict[tuple[int, ...], list[str]]:
        """What is said of an image, by what is meant."""
        found: dict[tuple[int, ...], list[str]] = {}
        for one in image.expressions:
            is_allowed = self.any_number or len(one.segment_ids) == 1
            if is_allowed and not self.unsaid & set(one.sentence.split()):
                found.setdefault(one.segment_ids, []).append(one.sentence)
        return found

    def _reference(self, about: dict[str, Any], texts: Iterable[str]) -> dict[str, Any]:
        """A reference with the next free numbers."""
        first = self.references[-1]["sent_ids"][-1] + 1 if self.references else 0
        sentences = [
            {"tokens": text.split(), "raw": text, "sent": text, "sent_id": number}
            for number, text in enumerate(texts, start=first)
        ]
        sent_ids = [sentence["sent_id"] for sentence in sentences]
        return {"ref_id": len(self.references), "sent_ids": sent_ids, **about, "sentences": sentences}


def _ann_id(image_id: int, segment_id: int) -> int:
    return image_id * ANNOTATIONS_PER_IMAGE + segment_id
