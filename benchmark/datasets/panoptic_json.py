"""Panoptic JSON with id-coded PNGs, the form that several data sets share.

As truth it answers all three tasks: label maps and objects are derived from it. As predictions it is one JSON and a
folder of PNGs of the same stem, and either may be named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.contract import Prediction, PredictionSet, Sample, Task
from benchmark.datasets.pictures import Pictures
from benchmark.formats import coco_instances, coco_panoptic, derived, json_lists
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem
from benchmark.row import Benchmark


def open_file(row: Benchmark, path: Path, pictures: Pictures, folder: Path | None = None) -> Listing:
    """The row's truth from a panoptic JSON (labels and objects are derived) or a COCO instance JSON.

    folder: the PNGs, where they are not beside the JSON. Raises DataError.
    """
    may_be_objects = row.task in (Task.DETECTION, Task.INSTANCE) and row.dataset != "cityscapes"
    if may_be_objects and path.is_file() and not json_lists.mentions(path, "segments_info"):
        return open_objects(row, path, pictures)
    if not _is_panoptic(path):
        if not may_be_objects:
            raise _no_truth(row, path, "have no 'segments_info'")
        return open_objects(row, path, pictures)
    if row.task is Task.DETECTION:
        raise _no_truth(row, path, "are panoptic")
    maps = coco_panoptic.folder_of(path) if folder is None or not any(folder.glob("*.png")) else folder
    listing = coco_panoptic.read_truth(path, maps, pictures.of, row.label_set)
    if row.task is Task.PANOPTIC:
        return listing
    convert = derived.semantic if row.task is Task.SEMANTIC else derived.instances
    return convert(listing, row.label_set)


def open_objects(row: Benchmark, path: Path, pictures: Pictures) -> Listing:
    """The row's truth from a COCO instance JSON; only boxes are read for a row of detections. Raises DataError."""
    return coco_instances.read(path, pictures, row.label_set, needs_masks=row.task is Task.INSTANCE)


def beside(folder: Path, *standard: str) -> Path:
    """The JSON of a truth folder: of the same stem beside it, of a standard name in it, or the only one in it."""
    folder = folder.resolve()
    named = (folder.with_name(f"{folder.name}.json"), *(folder / name for name in standard))
    found: Sequence[Path] = [path for path in named if path.is_file()] or sorted(folder.glob("*.json"))
    if len(found) != 1 and not (found and found[0] in named):
        message = f"expected one JSON beside or in this folder, found {len(found)}"
        raise DataError([Problem(place=str(folder), message=message, remedy="Give the JSON itself")])
    return found[0]


def read_predictions(
    row: Benchmark, path: Path, sample_ids: Sequence[str], labels: LabelSet | None = None
) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of a panoptic JSON, or of the folder beside it. Raises DataError with all problems.

    labels: the row's label set under the ids of these files, None: under its own.
    """
    json_path, folder = _paths(path)
    return coco_panoptic.read_predictions(json_path, folder, sample_ids, labels or row.label_set)


def write_predictions(
    row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]], stem: Callable[[str], str]
) -> None:
    """Write the JSON at `path`, or in a folder of that name, and the PNGs beside it.

    stem: sample id -> name of its PNG without suffix.
    """
    file = path if path.suffix == ".json" else path / "panoptic.json"
    coco_panoptic.write_predictions(file, predictions, row.label_set, lambda one: f"{stem(one)}.png")


def _paths(path: Path) -> tuple[Path, Path]:
    """The JSON and the PNG folder of panoptic predictions; either may be named."""
    if path.is_file():
        return path, coco_panoptic.folder_of(path)
    path = path.resolve()
    inside = sorted(path.glob("*.json"))
    named = path.with_name(f"{path.name}.json")
    if named.is_file():
        return named, path
    if len(inside) == 1:
        folder = coco_panoptic.folder_of(inside[0])
        return inside[0], folder if folder.is_dir() else path
    message = f"expected {named.name} beside this folder or one JSON in it, found {len(inside)}"
    raise DataError([Problem(place=str(path), message=message, remedy="Give the JSON of the panoptic predictions")])


def _no_truth(row: Benchmark, path: Path, reason: str) -> DataError:
    message = f"is no truth for {row.name}: its annotations {reason}"
    return DataError([Problem(place=str(path), message=message, remedy="Give truth in the row's own layout")])


def _is_panoptic(path: Path) -> bool:
    """Whether the annotations of a JSON are panoptic ones; False for a file without annotations."""
    first = json_lists.first_of(path, "annotations")
    return isinstance(first, dict) and "segments_info" in first
