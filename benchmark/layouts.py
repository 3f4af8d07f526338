"""Which files of a data root, or of an explicit truth, belong to a (data set, task, split), and which reader fits them.

coco        {coco, COCO, .}/annotations/{instances,panoptic}_val2017.json, panoptic_semseg_val2017/, val2017/
ade20k      {ade20k/, }ADEChallengeData2016/{images,annotations,annotations_instance}/validation/
cityscapes  {cityscapes, Cityscapes, .}/gtFine/val/, gtFine/cityscapes_panoptic_val.json, leftImg8bit/val/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.contract import Task
from benchmark.formats import (
    ade20k_labels,
    cityscapes_labels,
    coco_instances,
    coco_panoptic,
    derived,
    label_maps,
)
from benchmark.formats.ade20k import FOLDERS
from benchmark.formats.image_records import Image
from benchmark.formats.json_files import read_json
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem

ROOTS: Mapping[str, tuple[str, ...]] = {
    "coco": ("coco", "COCO", "."),
    "ade20k": ("ade20k/ADEChallengeData2016", "ADEChallengeData2016", "ade20k", "."),
    "cityscapes": ("cityscapes", "Cityscapes", "."),
}
HOW_TO_GET: Mapping[str, str] = {
    "coco": "Download the 2017 images, annotations and panoptic annotations from https://cocodataset.org/#download",
    "ade20k": "Download ADEChallengeData2016.zip and annotations_instance.tar from http://sceneparsing.csail.mit.edu",
    "cityscapes": "Download leftImg8bit and gtFine from https://www.cityscapes-dataset.com (account needed)",
}


class DataNotFound(DataError):  # noqa: N818 (it names the finding, as its parent's family does)
    """The data set of a benchmark is not where it was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is wanted. split: the layout's own word ("val2017", "val")."""

    name: str
    dataset: str
    task: Task
    split: str
    labels: LabelSet

    @property
    def short_split(self) -> str:
        """ "train" or "val"."""
        return self.split.removesuffix("2017")


def open_root(query: Query, root: Path) -> Listing:
    """The data set below a data root, whose standard sub-folders are searched. Raises DataNotFound."""
    candidates = [root / name for name in ROOTS[query.dataset]]
    for folder in candidates:
        listing = _OPENERS[query.dataset](query, folder)
        if listing is not None:
            return listing
    looked_for = ", ".join(str(folder / _landmark(query)) for folder in candidates)
    raise DataNotFound(
        [
            Problem(
                place=str(root),
                message=f"{query.name} is not there (looked for {looked_for})",
                remedy=f"{HOW_TO_GET[query.dataset]}, or give another --data-root",
            )
        ]
    )


def open_truth(query: Query, truth: Path, root: Path | None) -> Listing:
    """The images of an explicit truth file or folder. root: where the pictures may be. Raises DataError."""
    if not truth.exists():
        message, remedy = "the truth is missing", "Check the path"
        raise DataNotFound([Problem(place=str(truth), message=message, remedy=remedy)])
    frames = _Frames(query, truth if truth.is_dir() else truth.parent, root)
    if truth.is_file():
        return _open_json(query, truth, frames)
    if query.task is Task.PANOPTIC or (query.dataset == "coco" and query.task is Task.INSTANCE):
        return _open_json(query, _json_of(query, truth), frames, truth)
    return _open_folder(query, truth, frames)


def _open_json(query: Query, path: Path, frames: _Frames, folder: Path | None = None) -> Listing:
    document = read_json(path)
    if not _is_panoptic(document):
        if query.task is not Task.INSTANCE or query.dataset == "cityscapes":
            message = f"is no truth for {query.name}: its annotations have no 'segments_info'"
            raise DataError([Problem(place=str(path), message=message, remedy="Give truth in the row's own layout")])
        return coco_instances.read(path, frames, query.labels)
    maps = coco_panoptic.folder_of(path) if folder is None or not any(folder.glob("*.png")) else folder
    listing = coco_panoptic.read_truth(path, maps, lambda image: frames(image.file_name, image), query.labels)
    if query.task is Task.PANOPTIC:
        return listing
    convert = derived.semantic if query.task is Task.SEMANTIC else derived.instances
    return convert(listing, query.labels)


def _open_folder(query: Query, folder: Path, frames: _Frames) -> Listing:
    encoding = label_maps.encoding_of(query.labels)
    if query.dataset == "cityscapes":
        inner = [folder / "gtFine" / query.split, folder / query.split, folder]
        folder = next(one for one in inner if one.is_dir())
        suffix = cityscapes_labels.LABEL_IDS if query.task is Task.SEMANTIC else cityscapes_labels.INSTANCE_IDS
        files = _found(cityscapes_labels.find(folder, suffix), folder, f"*{suffix}")
        if query.task is Task.SEMANTIC:
            return cityscapes_labels.read_semantic(files, frames, query.labels, encoding)
        return cityscapes_labels.read_instances(files, frames, query.labels)
    name = "annotations_instance" if query.task is Task.INSTANCE else "annotations"
    inner = [folder / name / FOLDERS[query.short_split], folder / name, folder / FOLDERS[query.short_split], folder]
    folder = next((one for one in inner if one.is_dir() and any(one.glob("*.png"))), folder)
    files = _found(label_maps.files_by_stem(folder), folder, "*.png")
    if query.task is Task.INSTANCE:
        return ade20k_labels.read_instances(files, frames, query.labels)
    return label_maps.read_truth(files, frames, encoding)


def _open_coco(query: Query, folder: Path) -> Listing | None:
    frames = _Frames(query, folder, folder)
    panoptic = folder / "annotations" / f"panoptic_{query.split}.json"
    match query.task:
        case Task.INSTANCE:
            path = folder / "annotations" / f"instances_{query.split}.json"
            return coco_instances.read(path, frames, query.labels) if path.is_file() else None
        case Task.SEMANTIC:
            maps = folder / f"panoptic_semseg_{query.split}"
            if maps.is_dir():
                files = label_maps.files_by_stem(maps)
                return label_maps.read_truth(files, frames, label_maps.encoding_of(query.labels))
    return _open_json(query, panoptic, frames) if panoptic.is_file() else None


def _open_ade20k(query: Query, folder: Path) -> Listing | None:
    frames = _Frames(query, folder, folder)
    semantic = folder / "annotations" / FOLDERS[query.short_split]
    instances = folder / "annotations_instance" / FOLDERS[query.short_split]
    task = query.task.value
    path = folder / f"ade20k_{task}_{query.short_split}.json"
    if query.task is Task.PANOPTIC and path.is_file():
        return _open_json(query, path, frames)
    if query.task is Task.INSTANCE:
        if instances.is_dir():
            return ade20k_labels.read_instances(label_maps.files_by_stem(instances), frames, query.labels)
        return _open_json(query, path, frames) if path.is_file() else None
    if not semantic.is_dir():
        return None
    files = label_maps.files_by_stem(semantic)
    encoding = label_maps.encoding_of(query.labels)
    if query.task is Task.SEMANTIC:
        return label_maps.read_truth(files, frames, encoding)
    if not instances.is_dir():
        return None
    objects = {sample_id: instances / path.name for sample_id, path in files.items()}
    return ade20k_labels.read_panoptic(files, objects, frames, query.labels, encoding)


def _open_cityscapes(query: Query, folder: Path) -> Listing | None:
    truth = folder / "gtFine" / query.split
    frames = _Frames(query, folder, folder)
    if query.task is not Task.PANOPTIC:
        return _open_folder(query, truth, frames) if truth.is_dir() else None
    path = folder / "gtFine" / f"cityscapes_panoptic_{query.split}.json"
    if path.is_file():
        return _open_json(query, path, frames)
    if not truth.is_dir():
        return None
    files = cityscapes_labels.find(truth, cityscapes_labels.INSTANCE_IDS)
    return cityscapes_labels.read_panoptic(files, frames, query.labels)


_OPENERS: Mapping[str, Callable[[Query, Path], Listing | None]] = {
    "coco": _open_coco,
    "ade20k": _open_ade20k,
    "cityscapes": _open_cityscapes,
}


class _Frames:
    """Where the picture of a sample is: below the data root if there is one, or near the truth."""

    def __init__(self, query: Query, near: Path, root: Path | None) -> None:
        self.query = query
        inside = [root / name for name in ROOTS[query.dataset]] if root is not None else []
        homes = [*inside, near, *near.parents[:3]]
        folders = [home / name for home in homes for name in _picture_folders(query)]
        self.folder = next((folder for folder in folders if folder.is_dir()), folders[0])

    def __call__(self, name: str, image: Image | None = None) -> Path:
        """The picture of a sample id or, where the annotation file gives one, of a file name."""
        match self.query.dataset:
            case "cityscapes":
                sample_id = name if image is None else image.sample_id
                city = sample_id.rsplit("_", 2)[0]
                return self.folder / city / f"{sample_id}_leftImg8bit.png"
            case "ade20k":
                return self.folder / (name if name.endswith(".jpg") else f"{name}.jpg")
            case _:
                return self.folder / (f"{int(name):012d}.jpg" if name.isdigit() else name)


def _picture_folders(query: Query) -> tuple[str, ...]:
    match query.dataset:
        case "coco":
            return (query.split, f"images/{query.split}")
        case "ade20k":
            return (f"images/{FOLDERS[query.short_split]}", "images")
        case _:
            return (f"leftImg8bit/{query.split}",)


def _landmark(query: Query) -> str:
    """The file or folder by which a data set is recognised, relative to its own root."""
    if query.dataset == "coco":
        return f"annotations/{'instances' if query.task is Task.INSTANCE else 'panoptic'}_{query.split}.json"
    if query.dataset == "ade20k":
        name = "annotations_instance" if query.task is Task.INSTANCE else "annotations"
        return f"{name}/{FOLDERS[query.short_split]}"
    return f"gtFine/{query.split}"


def _is_panoptic(document: Any) -> bool:
    annotations = document.get("annotations") if isinstance(document, dict) else None
    return bool(annotations) and isinstance(annotations, list) and isinstance(annotations[0], dict) and (
        "segments_info" in annotations[0]
    )  # fmt: skip


def _json_of(query: Query, folder: Path) -> Path:
    """The JSON of a truth folder: of the same stem beside it, of the standard name, or the only one in it."""
    folder = folder.resolve()
    standard = (
        folder.with_name(f"{folder.name}.json"),
        folder / f"{query.dataset}_{query.task.value}_{query.short_split}.json",
        folder / "gtFine" / f"cityscapes_panoptic_{query.short_split}.json",
        folder / "annotations" / f"{query.task.value}_{query.split}.json",
    )
    found: Sequence[Path] = [path for path in standard if path.is_file()] or sorted(folder.glob("*.json"))
    if len(found) != 1 and not (found and found[0] in standard):
        message = f"expected one JSON beside or in this folder, found {len(found)}"
        raise DataError([Problem(place=str(folder), message=message, remedy="Give the JSON itself")])
    return found[0]


def _found(files: dict[str, Path], folder: Path, pattern: str) -> dict[str, Path]:
    if not files:
        remedy = "Give the folder of the row's label files"
        raise DataNotFound([Problem(place=str(folder), message=f"holds no {pattern}", remedy=remedy)])
    return files
