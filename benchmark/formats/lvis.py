"""LVIS annotation files: COCO's instance form with federated truth.

    {"images": [{"id", "coco_url", "height", "width", "neg_category_ids": [...], "not_exhaustive_category_ids": [...]}],
     "categories": [{"id", "name", "frequency": "r" | "c" | "f"}],
     "annotations": [{"id", "image_id", "category_id", "bbox", "area", "segmentation", "ignore"?}]}

There is no file_name: pictures lie in the COCO folder that the URL names. Nothing is a crowd; an annotation's `ignore`
becomes `is_crowd` of the truth, which the metric reads as such. https://github.com/lvis-dataset/lvis-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from benchmark.contract import Instances, Truth
from benchmark.formats import coco_instances
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet
from benchmark.problems import Problem

FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")


def read(path: Path, frame_of: Callable[[str], Path], labels: LabelSet, *, needs_masks: bool = True) -> Listing:
    """Images with their sound objects. Raises DataError if the JSON is broken.

    frame_of: folder and name of a picture below COCO's, such as "val2017/000000397133.jpg" -> picture.
    """
    known = coco_instances.things_of(labels)
    dialect = coco_instances.Dialect(
        image=with_file_name,
        annotation=_with_ignore,
        classes=_classes,
        truth=lambda record, objects: _truth(record, objects, known),
        flaw=lambda record: _flaw(record, known),
    )
    return coco_instances.read(path, frame_of, labels, needs_masks=needs_masks, dialect=dialect)


def with_file_name(record: Any) -> Any:
    """The image record with the file name that its URL ends in; copies of the data sometimes add one of their own."""
    if not isinstance(record, dict) or not isinstance(record.get("coco_url"), str):
        return record
    return record | {"file_name": "/".join(PurePosixPath(record["coco_url"]).parts[-2:])}


def _with_ignore(annotation: Any) -> Any:
    if not isinstance(annotation, dict):
        return annotation
    return annotation | {"iscrowd": int(bool(annotation.get("ignore", 0)))}


def _flaw(record: Any, known: Mapping[int, int]) -> str:
    """What is wrong with the federated fields of an image, "" if nothing is."""
    for name in FEDERATED:
        ids = record.get(name)
        if not isinstance(ids, list):
            return f"{name} {ids!r} is not a list of category ids"
        unknown = [one for one in ids if not isinstance(one, int) or one not in known]
        if unknown:
            return f"{name} names {unknown[0]!r}, which is not a category of the label set"
    return ""


def _truth(record: Any, objects: Instances, known: Mapping[int, int]) -> Truth:
    absent, partly = (tuple(known[one] for one in record[name]) for name in FEDERATED)
    return Truth(frames=(objects,), negative_labels=absent, not_exhaustive_labels=partly)


def _classes(path: Path, categories: Sequence[Any], labels: LabelSet) -> tuple[Mapping[int, int], list[Problem]]:
    """The label set's classes, checked against those of the file: another edition of LVIS has other ids."""
    expected = {row.category_id: (row.name, row.supercategory) for row in labels.classes}
    problems = []
    for position, category in enumerate(categories):
        number = category.get("id") if isinstance(category, dict) else None
        found = (category.get("name"), category.get("frequency")) if isinstance(category, dict) else None
        wanted = expected.get(number) if isinstance(number, int) else None
        if found != wanted or wanted is None:
            message = f"is {number!r} {found!r}, expected (name, frequency) {wanted!r}"
            remedy = f"Give a file of {labels.name}; other editions have rows of their own"
            problems.append(Problem(place=f"{path}: category at position {position}", message=message, remedy=remedy))
            break
    return coco_instances.things_of(labels), problems
