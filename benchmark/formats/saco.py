"""SA-Co: images with noun phrases, each phrase with the masks of all that it names, which may be nothing.

    {"images": [{"id", "file_name", "text_input", "height", "width", "is_instance_exhaustive": 1}],
     "annotations": [{"id", "image_id", "segmentation": RLE, "bbox": [x, y, w, h] in shares, "area", "iscrowd",
                      "category_id": 1}]}

An `image` is an image with one phrase; the same picture occurs many times. Several files of the same phrases are
several annotators. As CGF1Evaluator of https://github.com/facebookresearch/sam3 does, phrases are left out that any
annotator calls not exhaustive. Boxes and areas play no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark import masks
from benchmark.annotated import AnnotatedImage, ExpressionKind
from benchmark.contract import Instances, Prediction, PredictionSet, Prompt, Rle, Truth
from benchmark.formats import coco_instances, coco_records, coco_results
from benchmark.formats.json_files import write_json
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet
from benchmark.problems import OTHER_SPLIT, DataError, Problem

LEFT_OUT = "phrases left out, because not every instance is annotated"
UNASKED = "results of phrases that are not evaluated left out"
OTHERS = "others"
"""Stands for all images of a result file that are not evaluated."""
SPOKEN = (ExpressionKind.ATTRIBUTE, ExpressionKind.GROUP, ExpressionKind.NO_TARGET)
"""Expressions that are noun phrases without a relation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One annotator's listing. phrases: sample id -> its phrase. exhaustive: ids with every instance annotated."""

    listing: Listing
    phrases: Mapping[str, str]
    exhaustive: frozenset[str]
    places: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        places = {entry.sample_id: index for index, entry in enumerate(self.listing.entries)}
        object.__setattr__(self, "places", places)


def read(paths: Sequence[Path], frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """The phrases of one or several annotators' files (at least one), the first file's order. Raises DataError."""
    first, *others = (_read_file(path, frame_of, labels) for path in paths)
    problems = [problem for one in (first, *others) for problem in one.listing.problems]
    problems = problems or [
        Problem(place=str(path), message=f"lacks image {name} of {paths[0].name}", remedy="Get the official file")
        for path, other in zip(paths[1:], others, strict=True)
        for name in first.places
        if name not in other.places
    ]
    if problems:
        return replace(first.listing, problems=tuple(problems))
    kept = [
        index
        for index, entry in enumerate(first.listing.entries)
        if all(entry.sample_id in one.exhaustive for one in (first, *others))
    ]
    entries = tuple(first.listing.entries[index] for index in kept)

    def truth(index: int) -> Truth:
        found = [one.listing.truth(one.places[entries[index].sample_id]).frames[0] for one in (first, *others)]
        objects = [frame for frame in found if isinstance(frame, Instances)]
        return Truth(frames=(objects[0],), alternatives=tuple(objects[1:]))

    def ask(index: int, prompt: Prompt) -> Prompt:
        return replace(prompt, sentence=first.phrases[entries[index].sample_id])

    num_left_out = len(first.listing.entries) - len(kept)
    notes = {**first.listing.notes, **({LEFT_OUT: num_left_out} if num_left_out else {})}
    return Listing(entries=entries, truth=truth, notes=notes, ask=ask)


def _read_file(path: Path, frame_of: Callable[[str], Path], labels: LabelSet) -> _File:
    phrases, exhaustive = dict[str, str](), set[str]()

    def flaw(record: Mapping[str, Any]) -> str:
        """Check a record's own fields, and keep them."""
        if not isinstance(record.get("text_input"), str):
            return f"text_input is {record.get('text_input')!r}, expected the noun phrase"
        if record.get("is_instance_exhaustive") not in (0, 1):
            return f"is_instance_exhaustive is {record.get('is_instance_exhaustive')!r}, expected 0 or 1"
        phrases[str(record["id"])] = record["text_input"]
        if record["is_instance_exhaustive"]:
            exhaustive.add(str(record["id"]))
        return ""

    listing = coco_instances.read(path, frame_of, labels, dialect=replace(coco_instances.COCO, flaw=flaw))
    return _File(listing=listing, phrases=phrases, exhaustive=frozenset(exhaustive))


def read_results(path: Path, sample_ids: Sequence[str], labels: LabelSet) -> tuple[PredictionSet, Mapping[str, int]]:
    """Masks from a COCO result list, and what was left out. Raises DataError with all problems.

    A phrase without a result was answered with nothing; results of phrases that are not evaluated do not count.
    """
    plain = coco_results.coco_numbering(sample_ids, labels)
    numbering = replace(plain, image=lambda value: plain.image(value) or (OTHERS if isinstance(value, int) else None))
    found, notes = coco_results.read_results(path, (*sample_ids, OTHERS), lambda _: numbering)
    unasked = found[OTHERS].frames[0]
    num_unasked = len(unasked) if isinstance(unasked, Instances) else 0
    if num_unasked and all(_is_silent(found[one]) for one in sample_ids):
        message = f"none of its {num_unasked:,} results is of an image of this benchmark"
        remedy = OTHER_SPLIT.capitalize()
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    return PredictionSet(tuple(sample_ids), found.build), {**notes, **({UNASKED: num_unasked} if num_unasked else {})}


def _is_silent(prediction: Prediction) -> bool:
    frame = prediction.frames[0]
    return isinstance(frame, Instances) and not len(frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """One phrase about a scene. found: the masks that it names, each with whether it is a crowd."""

    text: str
    found: tuple[tuple[Rle, bool], ...]


def phrases_of(image: AnnotatedImage, labels: LabelSet, num_absent: int = 2) -> list[Phrase]:
    """What is asked of a scene: its classes, some classes that it lacks, and its plain expressions."""
    things = coco_records.things(image, labels)
    by_class: dict[str, list[tuple[Rle, bool]]] = {}
    for segment, rle in things:
        by_class.setdefault(labels.everything[segment.class_index].name, []).append((rle, segment.is_crowd))
    absent = [row.name for row in labels.classes if row.is_thing and row.name not in by_class]
    start = image.number % len(absent)
    names = [*by_class, *(absent * 2)[start : start + num_absent]]
    masks_of = {segment.id: rle for segment, rle in things}
    spoken = [
        Phrase(text=one.sentence, found=tuple((masks_of[segment_id], False) for segment_id in one.segment_ids))
        for one in image.expressions
        if one.kind in SPOKEN
    ]
    return [*(Phrase(text=name, found=tuple(by_class.get(name, ()))) for name in names), *spoken]


def write(
    path: Path, images: Iterable[tuple[int, str, Phrase]], size: tuple[int, int], drops: Callable[[int, Phrase], int]
) -> None:
    """Write one annotator's file. images: (id, file_name, phrase). size: (height, width) of every picture.

    drops: (id, phrase) -> how many of its masks, from the last, this annotator did not see.
    """
    records, annotations = [], list[dict[str, Any]]()
    for image_id, file_name, phrase in images:
        seen = phrase.found[: len(phrase.found) - drops(image_id, phrase)]
        is_whole = not any(is_crowd for _, is_crowd in seen)
        about = {"id": image_id, "file_name": file_name, "text_input": phrase.text, "height": size[0], "width": size[1]}
        records.append(about | {"is_instance_exhaustive": int(is_whole), "is_pixel_exhaustive": 1})
        annotations += [_annotation(image_id, rle, size, is_crowd=is_crowd) for rle, is_crowd in seen]
    numbered = [one | {"id": number} for number, one in enumerate(annotations, start=1)]
    categories = [{"id": 1, "name": "object"}]
    write_json(path, {"images": records, "annotations": numbered, "categories": categories})


def _annotation(image_id: int, rle: Rle, size: tuple[int, int], *, is_crowd: bool) -> dict[str, Any]:
    x, y, w, h = masks.bounding_box(rle)
    return {
        "image_id": image_id,
        "category_id": 1,
        "source": "manual",
        "area": masks.area(rle) / (size[0] * size[1]),
        "bbox": [x / size[1], y / size[0], w / size[1], h / size[0]],
        "segmentation": masks.to_json(rle),
        "iscrowd": int(is_crowd),
    }
