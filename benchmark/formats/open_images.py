"""Truth of the Open Images challenges: CSV files of boxes, image labels and masks, and the hierarchy of classes.

    boxes:   ImageID,...,LabelName,...,XMin,XMax,YMin,YMax,...,IsGroupOf,...     shares of width and height
    labels:  ImageID,...,LabelName,Confidence                                    1 verified present, 0 verified absent
    masks:   MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,...       one PNG an object, or prepared:
             ImageID,LabelName,ImageWidth,ImageHeight,XMin,XMax,YMin,YMax,IsGroupOf,Mask
             Mask is base64(zlib(COCO run lengths)), empty for none
    hierarchy: {"LabelName": "/m/0bl9f", "Subcategory": [{"LabelName": ..., "Subcategory": [...]}]}

As the official preparation does, boxes, masks and labels of presence are copied to all classes above theirs, labels of
absence to all below; files that were expanded before are read without a hierarchy. Masks belong to the boxes whose
class and coordinates they repeat. https://storage.googleapis.com/openimages/web/challenge2019.html
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import masks
from benchmark.contract import Instances, Rle, Truth, make_instances
from benchmark.formats import csv_rows
from benchmark.formats.image_files import header_size
from benchmark.formats.image_records import MAX_SIDE
from benchmark.formats.json_files import read_json
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.mask_lists import mask_of_grey
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem

BOXES = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsGroupOf")
LABELS = ("ImageID", "LabelName", "Confidence")
MASKS = (*BOXES, "ImageWidth", "ImageHeight", "Mask")
PICTURES = ("ImageID", "LabelName", "BoxXMin", "BoxXMax", "BoxYMin", "BoxYMax", "MaskPath")
UNKNOWN_SIZE = (1, 1)
"""Size of an image without a picture: everything is stated in shares of it."""
LONGEST = 2**26
"""Bytes of run lengths that are believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where the parts of a truth are. labels, masks: None where there are none. hierarchy: None if expanded before.

    pictures: the folder of the mask PNGs, where the file of masks names them.
    """

    boxes: Path
    labels: Path | None = None
    masks: Path | None = None
    pictures: Path | None = None
    hierarchy: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """above, below: class_index -> the classes above it, and below it, at any distance."""

    above: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    below: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """One line. corners: (x0, y0, x1, y1), shares of width and height.

    mask: encoded, with its (height, width), or a PNG. is_group: None where the line does not say, as that of a PNG.
    """

    class_index: int
    corners: tuple[float, float, float, float]
    is_group: bool | None
    mask: tuple[str, tuple[int, int]] | Path | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What a mask repeats of its box."""
        return self.class_index, self.corners, self.is_group

    @property
    def place(self) -> tuple[Any, ...]:
        """What a PNG repeats of its box."""
        return self.class_index, self.corners, None

    @property
    def mask_size(self) -> tuple[int, int] | None:
        """(height, width) of the mask. Raises DataError for a PNG that is not there."""
        if isinstance(self.mask, Path):
            return header_size(self.mask)
        return self.mask[1] if self.mask else None

    def decode(self) -> Rle:
        """The mask. Raises ValueError for a broken text, DataError for a broken PNG."""
        if isinstance(self.mask, Path):
            return mask_of_grey(self.mask)
        return decode_mask(*self.mask) if self.mask else masks.empty(UNKNOWN_SIZE)


@dataclass(slots=True, kw_only=True)
class _Image:
    boxes: list[_Box] = field(default_factory=list)
    masks: list[_Box] = field(default_factory=list)
    present: list[int] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)


def read(files: Files, frame_of: Callable[[str], Path], labels: LabelSet, *, other_ids: Iterable[str] = ()) -> Listing:
    """Images in order of their ids. Raises DataError for files that cannot be read.

    frame_of: image id -> picture. other_ids: images that no file names, because nothing was verified in them.
    """
    reader = _Reader(labels)
    images: dict[str, _Image] = {}
    for image_id, box in reader.boxes(files.boxes):
        images.setdefault(image_id, _Image()).boxes.append(box)
    for image_id, box in reader.masks(files.masks, files.pictures) if files.masks else ():
        images.setdefault(image_id, _Image()).masks.append(box)
    for image_id, class_index, is_present in reader.image_labels(files.labels) if files.labels else ():
        image = images.setdefault(image_id, _Image())
        (image.present if is_present else image.absent).append(class_index)
    for image_id in other_ids:
        images.setdefault(image_id, _Image())
    hierarchy = read_hierarchy(files.hierarchy, labels) if files.hierarchy else Hierarchy()
    ids = sorted(images)
    entries = tuple(_entry(image_id, frame_of(image_id), images[image_id]) for image_id in ids)
    return Listing(
        entries=entries,
        truth=lambda index: _truth(ids[index], images[ids[index]], hierarchy, files),
        problems=tuple(reader.problems),
    )


def read_hierarchy(path: Path, labels: LabelSet) -> Hierarchy:
    """The classes above and below each class of the label set; the root stands for nothing. Raises DataError."""
    index = index_by_code(labels)
    above: dict[int, set[int]] = {}
    below: dict[int, set[int]] = {}
    stack: list[tuple[Any, frozenset[int]]] = [(read_json(path), frozenset())]
    while stack:
        node, ancestors = stack.pop()
        is_node = isinstance(node, dict) and isinstance(node.get("LabelName", ""), str)
        if not is_node or not isinstance(node.get("Subcategory", []), list):
            message = "is no hierarchy of classes: a node is no object with LabelName and a list Subcategory"
            raise DataError([Problem(place=str(path), message=message, remedy="Give the official hierarchy file")])
        class_index = index.get(node.get("LabelName", ""))
        if class_index is not None:
            above.setdefault(class_index, set()).update(ancestors)
            for ancestor in ancestors:
                below.setdefault(ancestor, set()).add(class_index)
            ancestors |= {class_index}
        stack += [(child, ancestors) for child in node.get("Subcategory", [])]
    return Hierarchy(
        above={one: tuple(sorted(others)) for one, others in above.items()},
        below={one: tuple(sorted(others)) for one, others in below.items()},
    )


def index_by_code(labels: LabelSet) -> dict[str, int]:
    """class_index by the data set's own text id, such as /m/01g317."""
    return {row.code: row.class_index for row in labels.classes}


def decode_mask(text: str, size: tuple[int, int]) -> Rle:
    """The mask of a field. size: (height, width). Raises ValueError for anything else."""
    try:
        unpacker = zlib.decompressobj()
        counts = unpacker.decompress(base64.b64decode(text, validate=True), LONGEST)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"it is not base64 of zlib data ({error})") from error
    if unpacker.unconsumed_tail:
        raise ValueError(f"its run lengths are longer than {LONGEST:,} bytes")
    return masks.from_json({"size": list(size), "counts": counts})


def encode_mask(rle: Rle) -> str:
    """The text of a mask."""
    return base64.b64encode(zlib.compress(rle.counts)).decode("ascii")


class _Reader:
    """Reads lines and collects what is wrong with them."""

    def __init__(self, labels: LabelSet) -> None:
        self.index = index_by_code(labels)
        self.name = labels.name
        self.problems: list[Problem] = []

    def boxes(self, path: Path, *, has_masks: bool = False) -> Iterable[tuple[str, _Box]]:
        """(image id, box) of every sound line."""
        for number, fields in csv_rows.rows(path, MASKS if has_masks else BOXES):
            place = f"{path}: line {number}"
            class_index = self._class(place, fields[1])
            sides = [csv_rows.number_of(text) for text in fields[2:6]]
            if None in sides:
                self._complain(place, f"box {','.join(fields[2:6])} is not four numbers", "Write XMin,XMax,YMin,YMax")
            if fields[6] not in ("0", "1"):
                self._complain(place, f"IsGroupOf {fields[6]!r} is neither 0 nor 1", "Write 0 or 1")
            mask = self._mask(place, fields) if has_masks and fields[9] else None
            if class_index is not None and None not in sides:
                x0, x1, y0, y1 = (float(side or 0.0) for side in sides)
                is_group = fields[6] == "1"
                yield fields[0], _Box(class_index=class_index, corners=(x0, y0, x1, y1), is_group=is_group, mask=mask)

    def masks(self, path: Path, pictures: Path | None) -> Iterable[tuple[str, _Box]]:
        """(image id, box with its mask) of every sound line, in the form that the header tells."""
        if "MaskPath" not in csv_rows.header(path):
            yield from self.boxes(path, has_masks=True)
            return
        for number, fields in csv_rows.rows(path, PICTURES):
            place = f"{path}: line {number}"
            class_index = self._class(place, fields[1])
            sides = [csv_rows.number_of(text) for text in fields[2:6]]
            name = fields[6]
            if None in sides:
                remedy = "Write BoxXMin,BoxXMax,BoxYMin,BoxYMax"
                self._complain(place, f"box {','.join(fields[2:6])} is not four numbers", remedy)
            elif not name or Path(name).name != name or name.startswith("."):
                self._complain(place, f"MaskPath {name[:80]!r} is not the name of a file", "Write the PNG's name")
            elif class_index is not None:
                x0, x1, y0, y1 = (float(side or 0.0) for side in sides)
                mask = (pictures or path.parent) / name
                yield fields[0], _Box(class_index=class_index, corners=(x0, y0, x1, y1), is_group=None, mask=mask)

    def image_labels(self, path: Path) -> Iterable[tuple[str, int, bool]]:
        """(image id, class_index, present) of every sound line."""
        for number, (image_id, code, confidence) in csv_rows.rows(path, LABELS):
            place = f"{path}: line {number}"
            class_index = self._class(place, code)
            value = csv_rows.number_of(confidence)
            if value not in (0.0, 1.0):
                message = f"Confidence {confidence!r} is neither 1 (present) nor 0 (absent)"
                self._complain(place, message, "Give the labels that people verified, not those of a machine")
            elif class_index is not None:
                yield image_id, class_index, value == 1.0

    def _class(self, place: str, code: str) -> int | None:
        if code not in self.index:
            self._complain(place, f"LabelName {code[:40]!r} is not a class of {self.name}", "Give the row's own files")
        return self.index.get(code)

    def _mask(self, place: str, fields: Sequence[str]) -> tuple[str, tuple[int, int]] | None:
        width, height = fields[7], fields[8]
        if not all(side.isdigit() and 1 <= int(side) <= MAX_SIDE for side in (width, height)):
            self._complain(place, f"mask size {width}x{height} (width x height) is none", "Write the mask's own size")
            return None
        return fields[9], (int(height), int(width))

    def _complain(self, place: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(place=place, message=message, remedy=remedy))


def _entry(image_id: str, frame: Path, image: _Image) -> Entry:
    size = next((box.mask_size for box in image.masks if box.mask), None)
    if size is None:
        size = header_size(frame) if frame.is_file() else UNKNOWN_SIZE
    return Entry(sample_id=image_id, frames=(frame,), size=size)


def _truth(image_id: str, image: _Image, hierarchy: Hierarchy, files: Files) -> Truth:
    boxes = _joined(image) if files.masks else image.boxes
    copies = [(box, one) for box in boxes for one in (box.class_index, *hierarchy.above.get(box.class_index, ()))]
    present = [one for label in image.present for one in (label, *hierarchy.above.get(label, ()))]
    absent = [one for label in image.absent for one in (label, *hierarchy.below.get(label, ()))]
    return Truth(
        frames=(_instances(image_id, copies, files),),
        group_of=np.array([bool(box.is_group) for box, _ in copies], bool),
        verified_labels=tuple(sorted({*present, *absent})),
        negative_labels=tuple(sorted(set(absent))),
    )


def _joined(image: _Image) -> list[_Box]:
    """Boxes with their masks; masks without a box follow."""
    by_key: dict[tuple[Any, ...], list[_Box]] = {}
    for box in image.masks:
        by_key.setdefault(box.key, []).append(box)
    found = []
    for box in image.boxes:
        of_pictures = [replace(one, is_group=box.is_group) for one in by_key.get(box.place, ())]
        found += [*by_key.get(box.key, ()), *of_pictures] or [box]
    known = {key for box in image.boxes for key in (box.key, box.place)}
    return found + [box for box in image.masks if box.key not in known]


def _instances(image_id: str, copies: Sequence[tuple[_Box, int]], files: Files) -> Instances:
    boxes = np.array([box.corners for box, _ in copies], np.float64).reshape(-1, 4)
    found = None
    if files.masks:
        size = next((box.mask_size for box, _ in copies if box.mask), None) or UNKNOWN_SIZE
        nothing = masks.empty(size)
        decoded: dict[int, Rle] = {}
        problems = []
        for box, _ in copies:
            if box.mask and id(box) not in decoded:
                try:
                    decoded[id(box)] = box.decode()
                except ValueError as error:
                    place, remedy = f"{files.masks}: image {image_id}", "Encode masks as the official files do"
                    problems.append(Problem(place=place, message=f"a mask is broken: {error}", remedy=remedy))
        if problems:
            raise DataError(problems)
        found = [decoded.get(id(box), nothing) for box, _ in copies]
    return make_instances(
        class_index=[class_index for _, class_index in copies],
        masks=found,
        boxes=boxes,
        box_format="xyxy_norm",
        area=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
    )
