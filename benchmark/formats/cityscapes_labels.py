"""Cityscapes truth as it is distributed: labelIds and instanceIds PNGs of gtFine.

    <city>_<seq6>_<frame6>_gtFine_labelIds.png       8 bit, label ids 0..33
    <city>_<seq6>_<frame6>_gtFine_instanceIds.png    16 bit, label id x 1000 + number; < 1000: no single object

Objects keep their official number as object_id. For the instance score, groups of an instance class are crowds, and
void is every pixel whose number is itself an ignored label (so not a caravan with a number of its own), as in
cityscapesscripts 2.3.0, evalInstanceLevelSemanticLabeling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark import masks
from benchmark.contract import Instances, Truth, make_instances
from benchmark.formats.cityscapes import FIRST_SINGLE, panoptic_of_instance_ids
from benchmark.formats.image_files import read_numbers, size_problem
from benchmark.formats.label_maps import Encoding
from benchmark.formats.listing import Entry, Listing, duplicates
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem, raise_if_any
from benchmark.runs import Runs

LABEL_IDS = "_gtFine_labelIds.png"
INSTANCE_IDS = "_gtFine_instanceIds.png"


def find(folder: Path, suffix: str) -> dict[str, Path]:
    """Truth files at any depth by sample id (`<city>_<seq>_<frame>`), ordered by it. Raises DataError for doubles."""
    paths = sorted(folder.rglob(f"*{suffix}"), key=lambda path: path.name)
    raise_if_any(
        Problem(place=str(folder), message=f"{name} exists twice", remedy="Keep one copy of each label file")
        for name in duplicates(path.name for path in paths)
    )
    return {path.name.removesuffix(suffix): path for path in paths}


def read_semantic(
    label_ids: Mapping[str, Path], frame_of: Callable[[str], Path], labels: LabelSet, encoding: Encoding
) -> Listing:
    """Images with label maps, and the single objects that iIoU weighs. label_ids: sample id -> labelIds PNG."""
    files = {one: (path, _sibling(path, LABEL_IDS, INSTANCE_IDS)) for one, path in label_ids.items()}
    ordered = list(files.values())

    def truth(index: int) -> Truth:
        semantic, instance = ordered[index]
        label_map, runs = encoding.decode(semantic), Runs.of(read_numbers(instance))
        if runs.size != label_map.size:
            raise DataError([size_problem(instance, runs.size, label_map.size)])
        singles = [number for number in _present(runs) if number >= FIRST_SINGLE]
        return Truth(frames=(label_map,), objects=_objects(instance, runs, singles, labels))

    return Listing(entries=_entries(files, frame_of), truth=truth)


def read_instances(instance_ids: Mapping[str, Path], frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Images with objects, groups as crowds, and void as `Truth.ignore`. instance_ids: sample id -> instanceIds PNG."""
    paths = list(instance_ids.values())
    ignored = [row.category_id for row in labels.ignored]

    def truth(index: int) -> Truth:
        runs = Runs.of(read_numbers(paths[index]))
        kept = [number for number in _present(runs) if _is_object(number, labels)]
        objects = _objects(paths[index], runs, kept, labels)
        return Truth(frames=(objects,), ignore=masks.encode_any(runs, ignored))

    return Listing(entries=_entries({one: (path,) for one, path in instance_ids.items()}, frame_of), truth=truth)


def read_panoptic(instance_ids: Mapping[str, Path], frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Images with panoptic truth made of instanceIds PNGs, as the official converter makes it."""
    paths = list(instance_ids.values())

    def truth(index: int) -> Truth:
        numbers = read_numbers(paths[index]).astype(np.int32)
        return Truth(frames=(panoptic_of_instance_ids(numbers, labels),))

    return Listing(entries=_entries({one: (path,) for one, path in instance_ids.items()}, frame_of), truth=truth)


def _present(runs: Runs) -> list[int]:
    """The distinct numbers of a map, ascending."""
    return [int(number) for number in np.unique(runs.value)]


def _label_id(number: int) -> int:
    return number // FIRST_SINGLE if number >= FIRST_SINGLE else number


def _is_object(number: int, labels: LabelSet) -> bool:
    """Whether a number stands for an object or a group; unknown numbers do too, so that `_objects` reports them."""
    label_id = _label_id(number)
    return not labels.has_category(label_id) or labels.everything[labels.index_of(label_id)].is_thing


def _objects(path: Path, runs: Runs, kept: Sequence[int], labels: LabelSet) -> Instances:
    raise_if_any(
        Problem(
            place=f"{path}: number {number}",
            message=f"its label id {_label_id(number)} is outside the label set",
            remedy="Write label ids 0 to 33, times 1000 plus a number for single objects",
        )
        for number in kept
        if not labels.has_category(_label_id(number))
    )
    found = masks.encode_ids(runs, kept)
    return make_instances(
        class_index=[labels.index_of(_label_id(number)) for number in kept],
        masks=found,
        boxes=masks.bounding_boxes(found),
        area=masks.areas(found).astype(np.float64),
        object_id=np.array(kept, np.int64),
        is_crowd=np.array([number < FIRST_SINGLE for number in kept], bool),
    )


def _entries(files: Mapping[str, tuple[Path, ...]], frame_of: Callable[[str], Path]) -> tuple[Entry, ...]:
    return tuple(Entry(sample_id=one, frames=(frame_of(one),), labels=paths) for one, paths in files.items())


def _sibling(path: Path, old: str, new: str) -> Path:
    return path.with_name(path.name.removesuffix(old) + new)
