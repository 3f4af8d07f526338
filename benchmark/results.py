"""Predictions on disk: which form the official tools of a (data set, task) take, read and written.

instance    COCO, ADE20K: one result JSON; Cityscapes: a folder of text files and mask PNGs
panoptic    a JSON and a folder of id-coded PNGs of the same stem
semantic    a folder of label PNGs, named like the images (Cityscapes: beginning like them)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.contract import Prediction, PredictionSet, Sample, Task
from benchmark.formats import cityscapes_results, coco_panoptic, coco_results, label_maps
from benchmark.formats.coco_results import Numbering
from benchmark.labels import LabelSet
from benchmark.layouts import Query
from benchmark.problems import DataError, Problem

PLACES_FIRST: Mapping[str, int] = {"train": 0, "val": 20210}
"""Number of a split's first image in the list that the Places challenge of 2017 counts through."""


def read(query: Query, path: Path, sample_ids: Sequence[str]) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions, and what was left out with its count. Raises DataError with all problems."""
    if not path.exists():
        remedy = "Check the path of the predictions"
        raise DataError([Problem(place=str(path), message="the predictions are missing", remedy=remedy)])
    match query.task:
        case Task.INSTANCE if query.dataset == "cityscapes":
            found = cityscapes_results.read_results(_folder(path, query), sample_ids, query.labels)
            return _not_empty(found, path, sample_ids, "<city>_<seq>_<frame>*.txt"), {}
        case Task.INSTANCE:
            return coco_results.read_results(
                _file(path, query), sample_ids, lambda first: _numbering(query, sample_ids, first)
            )
        case Task.PANOPTIC:
            json_path, folder = _panoptic_paths(path)
            return coco_panoptic.read_predictions(json_path, folder, sample_ids, query.labels)
        case Task.SEMANTIC:
            files = _label_files(query, _folder(path, query), sample_ids)
            encoding = label_maps.encoding_of(query.labels)
            example = _semantic_name(query, sample_ids[0]) if sample_ids else "*.png"
            return _not_empty(label_maps.read_predictions(files, encoding), path, sample_ids, example), {}


def write(query: Query, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write predictions. path: the JSON, or the folder where the form is one."""
    match query.task:
        case Task.INSTANCE if query.dataset == "cityscapes":
            cityscapes_results.write_results(path, predictions, query.labels)
        case Task.INSTANCE:
            coco_results.write_results(path, predictions, _numbering(query, (), None))
        case Task.PANOPTIC:
            coco_panoptic.write_predictions(path, predictions, query.labels, lambda one: _panoptic_name(query, one))
        case Task.SEMANTIC:
            encoding = label_maps.encoding_of(query.labels)
            label_maps.write_predictions(path, predictions, encoding, lambda one: _semantic_name(query, one))


def places_numbering(sample_ids: Sequence[str], split: str, labels: LabelSet) -> Numbering:
    """ADE20K as the Places challenge numbered it: images counted over all splits, things 1 to 100."""
    first = PLACES_FIRST[split]
    by_number = {first + int(one.rsplit("_", 1)[1]) - 1: one for one in sample_ids if one.rsplit("_", 1)[-1].isdigit()}
    things = {row.instance_category_id: row.class_index for row in labels.classes if row.instance_category_id}
    return Numbering(
        image=lambda value: by_number.get(value) if isinstance(value, int) else None,
        category=lambda value: things.get(value) if isinstance(value, int) else None,
        image_id=lambda sample_id: first + int(sample_id.rsplit("_", 1)[1]) - 1,
        category_id=lambda class_index: labels.classes[class_index].instance_category_id or 0,
    )


def _numbering(query: Query, sample_ids: Sequence[str], first_image_id: Any) -> Numbering:
    if query.dataset == "ade20k" and isinstance(first_image_id, int):
        return places_numbering(sample_ids, query.short_split, query.labels)
    return coco_results.coco_numbering(sample_ids, query.labels)


def _label_files(query: Query, folder: Path, sample_ids: Sequence[str]) -> dict[str, Path]:
    if query.dataset == "cityscapes":
        return label_maps.files_by_prefix(folder, sample_ids, ".png")
    files = label_maps.files_by_stem(folder)
    return {sample_id: files[sample_id] for sample_id in sample_ids if sample_id in files}


def _panoptic_paths(path: Path) -> tuple[Path, Path]:
    """The JSON and the PNG folder of panoptic predictions; either may be named."""
    if path.is_file():
        return path, coco_panoptic.folder_of(path)
    path = path.resolve()
    inside = sorted(path.glob("*.json"))
    beside = path.with_name(f"{path.name}.json")
    if beside.is_file():
        return beside, path
    if len(inside) == 1:
        folder = coco_panoptic.folder_of(inside[0])
        return inside[0], folder if folder.is_dir() else path
    message = f"expected {beside.name} beside this folder or one JSON in it, found {len(inside)}"
    raise DataError([Problem(place=str(path), message=message, remedy="Give the JSON of the panoptic predictions")])


def _panoptic_name(query: Query, sample_id: str) -> str:
    suffix = "_gtFine_panoptic" if query.dataset == "cityscapes" else ""
    return f"{_stem(sample_id)}{suffix}.png"


def _semantic_name(query: Query, sample_id: str) -> str:
    suffix = "_pred" if query.dataset == "cityscapes" else ""
    return f"{_stem(sample_id)}{suffix}.png"


def _stem(sample_id: str) -> str:
    return f"{int(sample_id):012d}" if sample_id.isdigit() else sample_id


def _folder(path: Path, query: Query) -> Path:
    if path.is_dir():
        return path
    remedy = "Give a folder"
    message = f"is a file; predictions of {query.name} are a folder of one file an image"
    raise DataError([Problem(place=str(path), message=message, remedy=remedy)])


def _file(path: Path, query: Query) -> Path:
    if path.is_file():
        return path
    message = f"is a folder; predictions of {query.name} are one result JSON"
    raise DataError([Problem(place=str(path), message=message, remedy="Give the JSON")])


def _not_empty(found: PredictionSet, path: Path, sample_ids: Sequence[str], example: str) -> PredictionSet:
    if sample_ids and not found.ids:
        message = f"no file fits any of the {len(sample_ids):,} images (expected names like {example})"
        raise DataError([Problem(place=str(path), message=message, remedy="Name predictions after their images")])
    return found
