"""ReasonSeg: one JSON beside one picture, with a question and the polygons that answer it.

    ReasonSeg/{train,val,test}/<stem>.jpg
    ReasonSeg/{train,val,test}/<stem>.json     {"text": ["the ..."], "is_sentence": true,
                                                "shapes": [{"label": "target", "points": [[x, y], ...]}]}

Read as utils/data_processing.py of https://github.com/dvlab-research/LISA (at 3cb2d43): shapes named "flag" are
dropped, the others drawn by OpenCV, outline and inside, the largest first; "ignore" in a label marks pixels that do not
count. The first text is asked. Pictures are needed for their size; a rotation in their header is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark import masks, polygons
from benchmark.annotated import AnnotatedImage, ExpressionKind
from benchmark.contract import Prompt, Truth, make_instances
from benchmark.formats.coco_instances import FARTHEST
from benchmark.formats.image_files import header_size
from benchmark.formats.json_files import write_json
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.values import are_numbers, shown
from benchmark.problems import DataError, Problem

TARGET, IGNORED = 1, 255
DROPPED = "flag"
LONG = (ExpressionKind.RELATION, ExpressionKind.REASONING)
"""Expressions that are written as sentences; the others are phrases."""
ASKS_FOR_NOTHING = 20
"""Every so many scenes are asked for what they do not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One polygon. points: float64 [P, 2] as x, y."""

    points: NDArray[np.float64]
    is_ignored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a JSON asks and answers. is_long: a sentence, not a phrase. shapes: in file order."""

    text: str
    is_long: bool
    shapes: tuple[Shape, ...]


def read(folder: Path) -> Listing:
    """The questions of a split's folder, sorted by name."""
    paths = sorted(folder.glob("*.json"))
    entries, questions, problems = list[Entry](), list[Question](), list[Problem]()
    for path in paths:
        picture = path.with_suffix(".jpg")
        try:
            question, size = read_question(path), header_size(picture)
        except DataError as error:
            problems += error.problems
            continue
        entries.append(Entry(sample_id=path.stem, frames=(picture,), size=size))
        questions.append(question)
    sizes = [entry.size or (0, 0) for entry in entries]

    def ask(index: int, prompt: Prompt) -> Prompt:
        return replace(prompt, sentence=questions[index].text)

    return Listing(
        entries=tuple(entries),
        truth=lambda index: _truth(questions[index], sizes[index]),
        problems=tuple(problems),
        ask=ask,
    )


def read_question(path: Path) -> Question:
    """The content of one JSON. Raises DataError with all its problems."""
    document = _document(path)
    texts, shapes = document.get("text"), document.get("shapes")
    messages = []
    if not isinstance(texts, list) or not texts or not isinstance(texts[0], str):
        messages.append("'text' is no list that begins with a text")
    if not isinstance(document.get("is_sentence"), bool | int):
        messages.append(f"'is_sentence' is {shown(document.get('is_sentence'))}, expected true or false")
    if not isinstance(shapes, list):
        messages.append("'shapes' is no list")
    for position, shape in enumerate(shapes if isinstance(shapes, list) else []):
        messages += [f"shape {position} {message}" for message in _shape_messages(shape)]
    if messages:
        remedy = "Get the official file, or correct it"
        raise DataError(Problem(place=str(path), message=message, remedy=remedy) for message in messages)
    kept = [shape for shape in document["shapes"] if shape["label"].lower() != DROPPED]
    return Question(
        text=document["text"][0],
        is_long=bool(document["is_sentence"]),
        shapes=tuple(
            Shape(points=np.array(shape["points"], np.float64), is_ignored="ignore" in shape["label"].lower())
            for shape in kept
        ),
    )


def write_question(path: Path, question: Question) -> None:
    """Write one JSON; its picture is written by itself."""
    shapes = [
        {"label": "ignore" if shape.is_ignored else "target", "points": shape.points.tolist()}
        for shape in question.shapes
    ]
    write_json(path, {"text": [question.text], "is_sentence": question.is_long, "shapes": shapes})


def question_about(image: AnnotatedImage) -> Question:
    """One question about a scene, long and short in turn. Crowds are ignored."""
    is_long = image.number % 2 == 0
    found = [one for one in image.expressions if one.segment_ids]
    fitting = [one for one in found if (one.kind in LONG) == is_long] or found
    if not fitting or image.number % ASKS_FOR_NOTHING == 0:
        fitting = [one for one in image.expressions if not one.segment_ids]
    asked = fitting[image.number // 2 % len(fitting)]
    crowds = [segment.id for segment in image.panoptic.segments if segment.is_crowd]
    shapes = [
        Shape(points=outline.astype(np.float64), is_ignored=segment_id in crowds)
        for segment_id in (*asked.segment_ids, *crowds)
        for outline in polygons.through_centres(image.panoptic.segment_id == segment_id)
    ]
    return Question(text=asked.sentence, is_long=asked.kind in LONG, shapes=tuple(shapes))


def draw(shapes: Sequence[Shape], size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 [H, W]: 1 target, 255 ignored, 0 elsewhere; smaller shapes over larger ones. size: (height, width)."""
    areas = [int(_drawn(np.zeros(size, np.uint8), shape, 1).sum()) for shape in shapes]
    # The official order, ties included: ascending by NumPy's default sort, then reversed.
    order = np.argsort(np.array(areas, np.uint64))[::-1]
    found = np.zeros(size, np.uint8)
    for index in order:
        _drawn(found, shapes[index], IGNORED if shapes[index].is_ignored else TARGET)
    return found


def _drawn(canvas: NDArray[np.uint8], shape: Shape, value: int) -> NDArray[np.uint8]:
    points = [shape.points.astype(np.int32)]
    cv2.polylines(canvas, points, True, (value,), 1)
    cv2.fillPoly(canvas, points, (value,))
    return canvas


def _truth(question: Question, size: tuple[int, int]) -> Truth:
    drawn = draw(question.shapes, size)
    target, ignored = drawn == TARGET, drawn == IGNORED
    found = [masks.encode(target)] if target.any() else []
    objects = make_instances(
        class_index=[0] * len(found),
        masks=found,
        boxes=masks.bounding_boxes(found),
        area=masks.areas(found).astype(np.float64),
    )
    return Truth(
        frames=(objects,),
        ignore=masks.encode(ignored) if ignored.any() else None,
        subsets=("long" if question.is_long else "short",),
    )


def _document(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file of UTF-8 or, as some official ones are, Windows-1252."""
    message, remedy = "", "Get the official file, or correct it"
    document = None
    try:
        data = path.read_bytes()
        document = json.loads(_decoded(data))
    except OSError as error:
        message, remedy = f"cannot be read ({error.strerror})", "Check the path and permissions"
    except json.JSONDecodeError as error:
        message = f"broken JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except (UnicodeDecodeError, RecursionError) as error:
        message = f"is no JSON of text ({type(error).__name__})"
    if not message and not isinstance(document, dict):
        message = f"holds a {type(document).__name__}, expected an object"
    if message or not isinstance(document, dict):
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    return document


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _shape_messages(shape: Any) -> list[str]:
    if not isinstance(shape, dict):
        return ["is no object"]
    messages = []
    if not isinstance(shape.get("label"), str):
        messages.append(f"has the label {shown(shape.get('label'))}, expected text")
    points = shape.get("points")
    if not isinstance(points, list) or not points or not all(are_numbers(point, 2) for point in points):
        messages.append("has no list of points [x, y]")
    elif max(abs(value) for point in points for value in point) > FARTHEST:
        messages.append(f"reaches coordinates beyond {FARTHEST:,}")
    return messages
