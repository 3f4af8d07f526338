"""COCO instance annotations: one JSON with images, categories and annotations.

    {"images": [{"id", "file_name", "height", "width"}], "categories": [{"id", "name"}],
     "annotations": [{"id", "image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd", "segmentation"}]}

`segmentation` is a list of polygons, or run lengths. Boxes and areas stay exactly as the file has them. A polygon that
overshoots the image is clipped by the rasteriser, as the official tools do, and counted in the listing's notes.
Data sets that write the same form with differences bring a `Dialect`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Rle, Truth, make_instances
from benchmark.formats import json_lists
from benchmark.formats.image_records import Image, read_images
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.sound_annotations import FARTHEST, Box, Columns, Outlined, Sound, read_file
from benchmark.formats.values import LARGEST, are_numbers, is_number, is_whole
from benchmark.labels import LabelSet
from benchmark.problems import Problem

LISTS = ("images", "annotations", "categories")
CLIPPED = "polygons clipped at the image border"
DROPPED = "polygons of fewer than three points left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a relative of the form differs; the defaults are COCO's own. Records come as the file holds them, unchecked.

    image, annotation: a record -> the record as COCO would write it.
    classes: (path, categories of the file, labels) -> class_index by category_id, and problems.
    truth: (record of the image, its objects) -> the truth of one image.
    flaw: record of a sound image -> what else is wrong with it, "" if nothing is.
    ask: categories of the file -> what its samples are asked, where that is not the label set's names; else None.
    """

    image: Callable[[Any], Any] = lambda record: record
    annotation: Callable[[Any], Any] = lambda record: record
    classes: Callable[[Path, Sequence[Any], LabelSet], tuple[Mapping[int, int], list[Problem]]] = (
        lambda path, categories, labels: (things_of(labels), [])
    )
    truth: Callable[[Any, Instances], Truth] = lambda record, objects: Truth(frames=(objects,))
    flaw: Callable[[Any], str] = lambda record: ""
    ask: Callable[[Sequence[Any]], tuple[str, ...] | None] = lambda categories: None


COCO = Dialect()


def things_of(labels: LabelSet) -> dict[int, int]:
    """class_index by category_id of the things of a label set."""
    return {row.category_id: row.class_index for row in labels.everything if row.is_thing}


def read(
    path: Path,
    frame_of: Callable[[str], Path],
    labels: LabelSet,
    *,
    needs_masks: bool = True,
    dialect: Dialect = COCO,
) -> Listing:
    """Images with their sound objects. Raises DataError if the JSON is broken.

    frame_of: file name -> picture. needs_masks: False reads boxes only.
    """
    quick = read_file(path, needs_masks=needs_masks) if dialect.annotation is COCO.annotation else None
    if quick is not None:
        typed = {"images": quick.images, "annotations": quick.annotations, "categories": quick.categories}
        listing = _listing(path, typed, frame_of, labels, needs_masks=needs_masks, dialect=dialect)
        if listing is not None:
            return listing
    lists = json_lists.open_lists(path, LISTS)
    listing = _listing(path, lists, frame_of, labels, needs_masks=needs_masks, dialect=dialect)
    assert listing is not None
    return listing


def _listing(
    path: Path,
    document: Mapping[str, Sequence[Any]],
    frame_of: Callable[[str], Path],
    labels: LabelSet,
    *,
    needs_masks: bool,
    dialect: Dialect,
) -> Listing | None:
    """The listing of the file's lists; None where annotations read as `Box` ask for a closer look."""
    records = [dialect.image(record) for record in document["images"]]
    images, problems = read_images(path, records, dialect.flaw)
    classes, of_classes = dialect.classes(path, document["categories"], labels)
    checker = _Checker(path, images, classes, needs_masks)
    annotations = document["annotations"]
    found = checker.check_all(annotations, dialect.annotation)
    if found is None:
        return None
    grouped = _Grouped.of(found.samples if isinstance(found, Columns) else found, list(images))
    table = _Table.of(found, grouped, classes) if isinstance(found, Columns) else None
    ordered = list(images.values())
    by_id = {str(record["id"]): record for record in records if isinstance(record, dict) and "id" in record}

    def truth(index: int) -> Truth:
        image, positions = ordered[index], grouped.positions(index)
        own = [dialect.annotation(annotations[place]) for place in positions] if needs_masks or table is None else []
        outlines = [
            one.segmentation if isinstance(one, Outlined) else one["segmentation"] for one in own if needs_masks
        ]
        drawn = masks_of(outlines, image.size) if needs_masks else None
        objects = _instances(own, drawn, classes) if table is None else table.instances(grouped.bounds(index), drawn)
        return dialect.truth(by_id[image.sample_id], objects)

    entries = tuple(
        Entry(sample_id=image.sample_id, frames=(frame_of(image.file_name),), size=image.size) for image in ordered
    )
    asked = dialect.ask(document["categories"])
    return Listing(
        entries=entries,
        truth=truth,
        notes={name: count for name, count in checker.notes.items() if count},
        problems=(*problems, *of_classes, *checker.problems),
        ask=None if asked is None else lambda _, prompt: replace(prompt, labels=asked),
    )


def mask_of(segmentation: Any, size: tuple[int, int]) -> Rle:
    """The mask of a `segmentation` field that was checked before. size: (height, width)."""
    if isinstance(segmentation, list):
        return masks.from_polygons([polygon for polygon in segmentation if len(polygon) >= 6], size)
    return masks.from_json(segmentation)


def masks_of(segmentations: Sequence[Any], size: tuple[int, int]) -> list[Rle]:
    """`mask_of` of several fields; their polygons are rasterised together."""
    outlines = [
        [polygon for polygon in one if len(polygon) >= 6] if isinstance(one, list) else [] for one in segmentations
    ]
    drawn = masks.from_polygon_lists(outlines, size)
    return [
        rle if isinstance(one, list) else masks.from_json(one) for one, rle in zip(segmentations, drawn, strict=True)
    ]


class _Checker:
    """Looks at annotations one by one and collects what is wrong with them."""

    def __init__(self, path: Path, images: Mapping[str, Image], classes: Mapping[int, int], needs_masks: bool) -> None:
        self.path, self.images, self.classes, self.needs_masks = path, images, classes, needs_masks
        self.problems: list[Problem] = []
        self.notes: Counter[str] = Counter()
        self.seen: set[int] = set()

    def check_all(
        self, annotations: Sequence[Any], turned: Callable[[Any], Any]
    ) -> Columns | Iterable[str | None] | None:
        """`check` of all annotations, as columns if all are sound and at hand; None for a `Box` that is not.

        turned: a record of the file -> the record as COCO would write it.
        """
        if isinstance(annotations, list):
            sound = Sound(
                images=self.images,
                classes=self.classes,
                needs_masks=self.needs_masks,
                run_length_message=run_length_message,
            )
            found = sound.check([turned(annotation) for annotation in annotations])
            if found is not None:
                self.notes[CLIPPED] = found.num_clipped
                return found
            if annotations and isinstance(annotations[0], Box):
                return None
        return (self.check(position, turned(annotation)) for position, annotation in enumerate(annotations))

    def check(self, position: int, annotation: Any) -> str | None:
        """The sample id of a sound annotation; None, and a problem, for any other."""
        if not isinstance(annotation, dict):
            self._complain(f"annotations[{position}]", "is not an object", "Write one object for each annotation")
            return None
        number = len(self.problems)
        place = f"annotation {annotation.get('id', f'at position {position}')}"
        self._check_id(place, annotation.get("id"))
        self._check_fields(place, annotation)
        image = self.images.get(str(annotation.get("image_id")))
        if image is None:
            remedy = "List the image, or remove the annotation"
            self._complain(place, f"image_id {annotation.get('image_id')!r} is not in 'images'", remedy)
        elif self.needs_masks:
            self._check_segmentation(place, annotation.get("segmentation"), image)
        return image.sample_id if image is not None and len(self.problems) == number else None

    def _complain(self, place: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(place=f"{self.path}: {place}", message=message, remedy=remedy))

    def _check_id(self, place: str, number: Any) -> None:
        if not is_whole(number, -LARGEST) or number == 0:
            remedy = "Number annotations from 1: the official tool takes a match with id 0 for a miss"
            self._complain(place, f"id {number!r} is not a whole number other than 0", remedy)
        elif number in self.seen:
            self._complain(place, "the id is used by two annotations", "Give every annotation an id of its own")
        else:
            self.seen.add(number)

    def _check_fields(self, place: str, annotation: Mapping[str, Any]) -> None:
        category = annotation.get("category_id")
        if not isinstance(category, int) or category not in self.classes:
            remedy = f"Use the ids of its {len(self.classes):,} things"
            self._complain(place, f"category_id {category!r} is not a thing of the label set", remedy)
        if not are_numbers(annotation.get("bbox"), 4):
            self._complain(place, f"bbox {annotation.get('bbox')!r} is not [x, y, width, height]", "Write four numbers")
        if not is_number(annotation.get("area")):
            self._complain(place, f"area {annotation.get('area')!r} is not a number", "Write the mask's area in pixels")
        if annotation.get("iscrowd") not in (0, 1):
            self._complain(place, f"iscrowd {annotation.get('iscrowd')!r} is neither 0 nor 1", "Write 0 or 1")

    def _check_segmentation(self, place: str, value: Any, image: Image) -> None:
        if isinstance(value, dict):
            message = run_length_message(value, image.size)
            if message:
                self._complain(place, message, "Write the run lengths of the whole image")
        elif isinstance(value, list) and value and all(are_numbers(p) and len(p) % 2 == 0 for p in value):
            self._check_polygons(place, value, image)
        else:
            message = "segmentation is neither run lengths nor a list of polygons [x0, y0, x1, y1, ...]"
            self._complain(place, message, "Write the object's mask in one of the two forms")

    def _check_polygons(self, place: str, polygons: Sequence[Sequence[float]], image: Image) -> None:
        height, width = image.size
        sound = [polygon for polygon in polygons if len(polygon) >= 6]
        self.notes[DROPPED] += len(polygons) - len(sound)
        if not sound:
            self._complain(place, "no polygon has three points", "Outline the object, or remove the annotation")
        for polygon in sound:
            left, right = min(polygon[0::2]), max(polygon[0::2])
            top, bottom = min(polygon[1::2]), max(polygon[1::2])
            if max(-left, -top, right, bottom) > FARTHEST:
                span = f"x {left:g} to {right:g}, y {top:g} to {bottom:g}"
                message = f"a polygon reaches coordinates beyond {FARTHEST:,} ({span})"
                self._complain(place, message, "Write coordinates in pixels of the image")
            elif left >= width or right <= 0 or top >= height or bottom <= 0:
                message = (
                    f"a polygon (x {left:g} to {right:g}, y {top:g} to {bottom:g}) lies wholly outside "
                    f"image {image.sample_id} ({height}x{width}, height x width)"
                )
                self._complain(place, message, "Correct its coordinates, or remove the annotation")
            elif left < 0 or right > width or top < 0 or bottom > height:
                self.notes[CLIPPED] += 1


def run_length_message(value: Mapping[str, Any], size: tuple[int, int]) -> str:
    """What is wrong with run lengths that must fill `size` (height, width); "" if nothing is."""
    try:
        rle = masks.from_json(value)
    except (ValueError, TypeError, OverflowError) as error:
        return f"the mask is broken: {error}"
    return "" if rle.size == size else f"the mask is {rle.size[0]}x{rle.size[1]}, the image is {size[0]}x{size[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grouped:
    """Annotations by sample. order: int64 [N], positions by sample. starts: where each sample's begin, then the end."""

    order: NDArray[np.int64]
    starts: Sequence[int]

    @classmethod
    def of(cls, samples: Iterable[str | None], sample_ids: Sequence[str]) -> _Grouped:
        """samples: of each annotation, None for one that is left out."""
        number_of = {sample_id: number for number, sample_id in enumerate(sample_ids)}
        number = np.array([-1 if one is None else number_of[one] for one in samples], np.int64)
        order = np.argsort(number, kind="stable")
        return cls(order=order, starts=np.searchsorted(number[order], np.arange(len(sample_ids) + 1)).tolist())

    def bounds(self, index: int) -> slice:
        """Where a sample's are in `order`."""
        return slice(self.starts[index], self.starts[index + 1])

    def positions(self, index: int) -> list[int]:
        """Places in the file of a sample's annotations."""
        return self.order[self.bounds(index)].tolist()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Sound annotations by sample. class_index, object_id: int64 [N]. area, score: float64 [N]. is_crowd: bool [N].

    boxes: float64 [N, 4].
    """

    class_index: NDArray[np.int64]
    object_id: NDArray[np.int64]
    area: NDArray[np.float64]
    score: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    boxes: NDArray[np.float64]

    @classmethod
    def of(cls, found: Columns, grouped: _Grouped, classes: Mapping[int, int]) -> _Table:
        """classes: class_index by category_id."""
        order = grouped.order
        known, place = np.unique(found.category[order], return_inverse=True)
        return cls(
            class_index=np.array([classes[one] for one in known.tolist()], np.int64)[place.reshape(-1)],
            object_id=found.object_id[order],
            area=found.area[order],
            score=np.ones(len(order)),
            is_crowd=found.is_crowd[order],
            boxes=found.boxes[order],
        )

    def instances(self, rows: slice, drawn: Sequence[Rle] | None) -> Instances:
        """The objects in some rows. drawn: their masks."""
        return Instances(
            masks=None if drawn is None else tuple(drawn),
            boxes=self.boxes[rows],
            box_format="xywh",
            area=self.area[rows],
            class_index=self.class_index[rows],
            score=self.score[rows],
            object_id=self.object_id[rows],
            is_crowd=self.is_crowd[rows],
        )


def _instances(
    annotations: Sequence[Mapping[str, Any]], drawn: Sequence[Rle] | None, classes: Mapping[int, int]
) -> Instances:
    return make_instances(
        class_index=[classes[annotation["category_id"]] for annotation in annotations],
        masks=drawn,
        boxes=np.array([annotation["bbox"] for annotation in annotations], np.float64),
        area=np.array([annotation["area"] for annotation in annotations], np.float64),
        object_id=np.array([annotation["id"] for annotation in annotations], np.int64),
        is_crowd=np.array([annotation["iscrowd"] for annotation in annotations], bool),
    )
