"""Annotated scenes as PhraseCut's files: tasks, image_data_split.json, name_att_rel_count.json.

A phrase is an expression that refers to something; what it is made of is read off its words: "the small disc" is a name
with an attribute, "the disc left of the blue box" a name with a relation. Every second picture counts as one of COCO's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark import masks, polygons
from benchmark.annotated import AnnotatedImage
from benchmark.contract import Rle
from benchmark.formats import phrase_cut
from benchmark.formats.json_files import write_json

ARTICLES = ("the ", "all ")


def tasks_of(image: AnnotatedImage, image_id: int) -> list[dict[str, Any]]:
    """Entries of refer_<split>.json, one for each expression that has a target."""
    listed = [segment.id for segment in image.panoptic.segments]
    regions = dict(zip(listed, masks.encode_ids(image.panoptic.segment_id, listed), strict=True))
    meant = [one for one in image.expressions if one.segment_ids]
    return [
        {
            "task_id": f"{image_id}__{number}",
            "image_id": image_id,
            "ann_ids": [image_id * 100 + segment_id for segment_id in one.segment_ids],
            "phrase": one.sentence,
            "phrase_structure": structure(one.sentence),
            "instance_boxes": [list(masks.bounding_box(regions[segment_id])) for segment_id in one.segment_ids],
            "Polygons": [_outlines(regions[segment_id]) for segment_id in one.segment_ids],
        }
        for number, one in enumerate(meant)
    ]


def structure(phrase: str) -> dict[str, Any]:
    """Name, attributes and relations of a phrase, as `phrase_structure` holds them."""
    article = next((one for one in ARTICLES if phrase.startswith(one)), "")
    head, _, other = phrase.removeprefix(article).partition(" the ")
    words = head.split()
    if other:
        name, attributes, relations = words[0], [], [[" ".join(words[1:]), other]]
    else:
        name, attributes, relations = words[-1], words[:-1], []
    kind = "relation" if relations else "attribute" if attributes else "name"
    return {"name": name, "attributes": attributes, "relation_descriptions": relations, "type": kind}


def image_record(image: AnnotatedImage, image_id: int, split: str) -> dict[str, Any]:
    """The entry of image_data_split.json."""
    height, width = image.image.shape[:2]
    coco_id = None if image_id % 2 else image_id
    return {"image_id": image_id, "width": width, "height": height, "split": split, "coco_id": coco_id}


def write(folder: Path, tasks: Mapping[str, Sequence[dict[str, Any]]], images: Sequence[dict[str, Any]]) -> None:
    """Write the JSON files of the data set. tasks: by split."""
    for split, listed in tasks.items():
        write_json(folder / f"refer_{split}.json", listed)
    write_json(folder / phrase_cut.IMAGES, images)
    structures = [task["phrase_structure"] for listed in tasks.values() for task in listed]
    counts = {
        "cat": _ranked(one["name"] for one in structures),
        "att": _ranked(attribute for one in structures for attribute in one["attributes"]),
        "rel": _ranked(relation[0] for one in structures for relation in one["relation_descriptions"]),
    }
    write_json(folder / phrase_cut.FREQUENCIES, counts)


def _outlines(region: Rle) -> list[list[list[int]]]:
    return [outline.tolist() for outline in polygons.through_centres(masks.decode(region))]


def _ranked(words: Iterable[str]) -> list[list[Any]]:
    """[word, count] by falling count, equal ones by the alphabet."""
    return [[word, count] for word, count in sorted(Counter(words).items(), key=lambda one: (-one[1], one[0]))]
