"""Referring expressions over COCO images, as the REFER API lays them out: RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO.

    refcoco/refs(unc).p        pickled list (or .json) of {"ref_id", "ann_id", "image_id", "split",
                               "sentences": [{"sent_id", "sent", "raw", "tokens"}]}
    refcoco/instances.json     COCO annotations of the same images

https://github.com/lichengunc/refer. One sentence is one sample, named <ref_id>_<sent_id>. `ann_id` is one annotation;
in gRefCOCO (https://github.com/henghuiding/gRefCOCO) a list, [-1] for an expression that refers to nothing, and crowds
are left out of it, as its data loader does. Only what the chosen split refers to is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import masks
from benchmark.contract import Prompt, Rle, Truth, make_instances
from benchmark.formats.coco_instances import FARTHEST, mask_of, run_length_message
from benchmark.formats.image_records import Image, read_images
from benchmark.formats.json_files import expect_lists, read_json, write_json
from benchmark.formats.listing import Entry, Listing, duplicates
from benchmark.formats.plain_pickle import read_pickle, write_pickle
from benchmark.formats.values import are_numbers, is_whole, shown
from benchmark.problems import DataError, Problem, raise_if_any

INSTANCES = "instances.json"
NOTHING = -1
CACHED = 4
"""Truths that are kept: sentences of one object follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One sentence. ann_ids: the annotations it refers to, none for nothing."""

    ref_id: int
    sent_id: int
    text: str
    image_id: str
    ann_ids: tuple[int, ...]

    @property
    def sample_id(self) -> str:
        """Unique in the data set."""
        return f"{self.ref_id}_{self.sent_id}"


def read(refs: Path, instances: Path, split: str, frame_of: Callable[[Image], Path]) -> Listing:
    """The expressions of a split. Raises DataError where a file is broken.

    refs: the .p or .json file. split: "train", "val", "testA" ...; references without a split belong to every one.
    """
    references = read_references(refs)
    document = expect_lists(instances, read_json(instances), ("images", "annotations"))
    images, problems = read_images(instances, document["images"])
    annotations = {
        one["id"]: one for one in document["annotations"] if isinstance(one, dict) and is_whole(one.get("id"), 0)
    }
    checker = _Checker(refs=refs, images=images, annotations=annotations, problems=problems)
    expressions = [
        expression
        for position, reference in enumerate(references)
        if in_split(reference, split)
        for expression in checker.check(position, reference)
    ]
    problems += _repeated(refs, expressions)
    return _listing(expressions, images, annotations, frame_of, problems)


def read_references(path: Path) -> list[Any]:
    """The list of references in a pickle or JSON file. Raises DataError."""
    found = read_pickle(path) if path.suffix == ".p" else read_json(path)
    if not isinstance(found, list):
        message = f"holds a {type(found).__name__}, expected a list of references"
        raise_if_any([Problem(place=str(path), message=message, remedy="Give the file refs(...).p of the data set")])
    return list(found)


def in_split(reference: Any, split: str) -> bool:
    """Whether a reference belongs to a split, as the REFER API decides: "testAB" is part of testA and testB."""
    if not isinstance(reference, dict):
        return True
    named = reference.get("split", split)
    if not isinstance(named, str):
        return True
    if split in ("testA", "testB", "testC"):
        return split[-1] in named
    return split in named if split == "test" else named == split


def write(folder: Path, refs_name: str, references: Sequence[dict[str, Any]], instances: Mapping[str, Any]) -> None:
    """Write references (as .p or .json, told by the name) and instances.json into a data set's folder."""
    save = write_pickle if refs_name.endswith(".p") else write_json
    save(folder / refs_name, list(references))
    write_json(folder / INSTANCES, dict(instances))


def covered_twice(segmentation: Any, size: tuple[int, int]) -> Rle | None:
    """Pixels that at least two polygons of a checked `segmentation` cover; None where there are none."""
    polygons = [polygon for polygon in segmentation if len(polygon) >= 6] if isinstance(segmentation, list) else []
    parts = [masks.from_polygons([polygon], size) for polygon in polygons]
    shared = [masks.empty(size)]
    for number, part in enumerate(parts):
        shared += [masks.intersection([part, masks.union(parts[:number])])] if number else []
    found = masks.union(shared)
    return found if masks.area(found) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checker:
    """Turns references into expressions and collects what is wrong with them."""

    refs: Path
    images: Mapping[str, Image]
    annotations: Mapping[int, Mapping[str, Any]]
    problems: list[Problem]

    def check(self, position: int, reference: Any) -> list[Expression]:
        """The expressions of a sound reference; none, and problems, for any other."""
        if not isinstance(reference, dict):
            self._complain(f"reference at position {position}", "is no dictionary", "Get the official file")
            return []
        before = len(self.problems)
        ref_id: Any = reference.get("ref_id")
        image_id = _id_text(reference.get("image_id"))
        place = f"ref {shown(ref_id)}"
        if not is_whole(ref_id, 0):
            self._complain(place, "ref_id is no whole number", "Give every reference a number")
        if image_id not in self.images:
            message = f"image_id {shown(reference.get('image_id'))} is not among the images of {INSTANCES}"
            self._complain(place, message, "Use the two files of one download")
        ann_ids = self._ann_ids(place, reference.get("ann_id"), image_id)
        sentences = self._sentences(place, reference.get("sentences"))
        if len(self.problems) > before:
            return []
        return [
            Expression(ref_id=ref_id, sent_id=number, text=text, image_id=image_id, ann_ids=ann_ids)
            for number, text in sentences
        ]

    def _ann_ids(self, place: str, value: Any, image_id: str) -> tuple[int, ...]:
        """The annotations, crowds left out where several may be meant."""
        listed = value if isinstance(value, list) else [value]
        if listed == [NOTHING]:
            return ()
        found = []
        for ann_id in listed:
            annotation = self.annotations.get(ann_id) if is_whole(ann_id, 0) else None
            if annotation is None:
                message = f"ann_id {shown(ann_id)} is not among the annotations of {INSTANCES}"
                self._complain(place, message, "Use the two files of one download")
                continue
            if isinstance(value, list) and annotation.get("iscrowd"):
                continue
            self._check_annotation(f"{place}, annotation {ann_id}", annotation, image_id)
            found.append(int(ann_id))
        return tuple(found)

    def _check_annotation(self, place: str, annotation: Mapping[str, Any], image_id: str) -> None:
        image = self.images.get(image_id)
        if image is not None and _id_text(annotation.get("image_id")) != image_id:
            message = f"lies in image {shown(annotation.get('image_id'))}, the reference in image {image_id}"
            self._complain(place, message, "Use the two files of one download")
        if not are_numbers(annotation.get("bbox"), 4):
            message = f"bbox is {shown(annotation.get('bbox'))}, expected [x, y, width, height]"
            self._complain(place, message, "Write four numbers")
        message = "" if image is None else segmentation_message(annotation.get("segmentation"), image.size)
        if message:
            self._complain(place, message, "Write polygons or run lengths of the whole image")

    def _sentences(self, place: str, value: Any) -> list[tuple[int, str]]:
        """(sent_id, text) of every sentence."""
        found = []
        for sentence in value if isinstance(value, list) else []:
            known = sentence if isinstance(sentence, dict) else {}
            text = known.get("sent", known.get("raw"))
            if is_whole(known.get("sent_id"), 0) and isinstance(text, str):
                found.append((known["sent_id"], text))
            else:
                message = f"a sentence has sent_id {shown(known.get('sent_id'))} and text {shown(text)}"
                self._complain(place, message, "Every sentence needs a number and a text in 'sent' or 'raw'")
        if not isinstance(value, list) or not value:
            self._complain(place, "has no sentences", "Every reference needs a list of sentences")
        return found

    def _complain(self, place: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(place=f"{self.refs}: {place}", message=message, remedy=remedy))


def _id_text(value: Any) -> str:
    """An id as sample ids have it; "" for what is no id."""
    return str(value) if isinstance(value, int | str) else ""


def segmentation_message(value: Any, size: tuple[int, int]) -> str:
    """What is wrong with an annotation's `segmentation` for an image of `size` (height, width); "" if nothing is."""
    if isinstance(value, dict):
        return run_length_message(value, size)
    if not isinstance(value, list) or not all(are_numbers(one) and len(one) % 2 == 0 for one in value):
        return "segmentation is neither run lengths nor a list of polygons [x0, y0, x1, y1, ...]"
    sound = [polygon for polygon in value if len(polygon) >= 6]
    if not sound:
        return "segmentation has no polygon of three points"
    farthest = max(max(max(polygon), -min(polygon)) for polygon in sound)
    return f"a polygon reaches coordinate {farthest:g}, beyond {FARTHEST:,}" if farthest > FARTHEST else ""


def _repeated(refs: Path, expressions: Iterable[Expression]) -> list[Problem]:
    remedy = "Number references and sentences so that no pair occurs twice"
    return [
        Problem(place=str(refs), message=f"expression {one} (ref_id_sent_id) occurs twice", remedy=remedy)
        for one in duplicates(expression.sample_id for expression in expressions)
    ]


def _listing(
    expressions: Sequence[Expression],
    images: Mapping[str, Image],
    annotations: Mapping[int, Mapping[str, Any]],
    frame_of: Callable[[Image], Path],
    problems: Sequence[Problem],
) -> Listing:
    @lru_cache(maxsize=CACHED)
    def truth_of(image_id: str, ann_ids: tuple[int, ...]) -> Truth:
        return _truth([annotations[ann_id] for ann_id in ann_ids], images[image_id].size)

    def ask(index: int, prompt: Prompt) -> Prompt:
        return replace(prompt, sentence=expressions[index].text)

    entries = tuple(
        Entry(sample_id=one.sample_id, frames=(frame_of(images[one.image_id]),), size=images[one.image_id].size)
        for one in expressions
    )
    return Listing(
        entries=entries,
        truth=lambda index: truth_of(expressions[index].image_id, expressions[index].ann_ids),
        problems=tuple(problems),
        ask=ask,
    )


def _truth(annotations: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Truth:
    try:
        found = [mask_of(annotation["segmentation"], size) for annotation in annotations]
    except (ValueError, TypeError) as error:
        ids = ", ".join(str(annotation["id"]) for annotation in annotations)
        message = f"the mask is broken: {error}"
        raise DataError(
            [Problem(place=f"annotation {ids}", message=message, remedy="Get the official file")]
        ) from error
    objects = make_instances(
        class_index=[0] * len(annotations),
        masks=found,
        boxes=np.array([annotation["bbox"] for annotation in annotations], np.float64),
        area=masks.areas(found).astype(np.float64),
        object_id=np.array([annotation["id"] for annotation in annotations], np.int64),
    )
    overlaps = [covered_twice(annotation["segmentation"], size) for annotation in annotations]
    known = [one for one in overlaps if one is not None]
    return Truth(frames=(objects,), overlap=masks.union(known) if known else None)
