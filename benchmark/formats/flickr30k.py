"""Flickr30k Entities: captions whose phrases are tied to boxes, and results with ranked boxes for each phrase.

    test.txt                 ids of the pictures of a split, one a line
    Sentences/<id>.txt       [/EN#283585/people An older man] with [/EN#283586/clothing glasses] ...
    Annotations/<id>.xml     <object><name>283585</name><bndbox><xmin>...; or <nobndbox> and <scene> flags
    results                  [{"image_id": 36979, "sentence_id": 0, "boxes": [[[x1, y1, x2, y2], ...] for each phrase]}]

Parsed as flickr30k_entities_utils.py of https://github.com/BryanPlummer/flickr30k_entities, but boxes stay as the file
has them (MDETR's evaluator does not subtract 1). One phrase with at least one box is one sample, named
<image>_<sentence>_<number>, counted among such phrases of its sentence. Result boxes are ranked, the best first.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.contract import Instances, Prediction, PredictionSet, Prompt, Sample, Truth, make_instances
from benchmark.formats.json_files import read_json, write_json
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.values import are_numbers, shown
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any

REPEATED = "results of sentences that were answered before left out"
UNEXPECTED = "results of sentences without evaluated phrases left out"
FOREIGN = "is not in this benchmark"
ORDER = "Write one list of ranked boxes for each phrase that has boxes, in the caption's order"
REMEDY = "Get the official file"
SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """One phrase. chain: the id that ties it to boxes. types: as the caption names them."""

    text: str
    chain: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """size: (height, width). boxes: chain -> corners x1, y1, x2, y2 as the file has them."""

    size: tuple[int, int]
    boxes: Mapping[str, Sequence[tuple[int, int, int, int]]]


def read(ids: Path, folder: Path, frame_of: Callable[[str], Path]) -> Listing:
    """The phrases of a split. ids: its list of pictures. folder: of Sentences and Annotations. Raises DataError."""
    entries, phrases, boxes = [], [], []
    problems = list[Problem]()
    for image_id in read_ids(ids):
        try:
            picture = read_boxes(folder / "Annotations" / f"{image_id}.xml")
            captions = read_captions(folder / "Sentences" / f"{image_id}.txt")
        except DataError as error:
            problems += error.problems
            continue
        for number, caption in enumerate(captions):
            known = [phrase for phrase in caption if phrase.chain in picture.boxes]
            for place, phrase in enumerate(known):
                name = f"{image_id}_{number}_{place}"
                entries.append(Entry(sample_id=name, frames=(frame_of(image_id),), size=picture.size))
                phrases.append(phrase)
                boxes.append(picture.boxes[phrase.chain])

    def ask(index: int, prompt: Prompt) -> Prompt:
        return replace(prompt, sentence=phrases[index].text)

    def truth(index: int) -> Truth:
        return Truth(frames=(_objects(boxes[index]),), subsets=phrases[index].types)

    return Listing(entries=tuple(entries), truth=truth, problems=tuple(problems), ask=ask)


def read_ids(path: Path) -> list[str]:
    """The picture ids of a split's list. Raises DataError."""
    ids = [line.strip() for line in _text(path).splitlines() if line.strip()]
    raise_if_any(
        Problem(place=str(path), message=f"{one[:40]!r} is no id of a picture", remedy=REMEDY)
        for one in ids
        if not one.isprintable() or "/" in one
    )
    return ids


def read_captions(path: Path) -> list[list[Phrase]]:
    """The phrases of every caption of a picture, those without boxes included. Raises DataError with all problems."""
    found, problems = [], []
    for number, line in enumerate(line for line in _text(path).split("\n") if line):
        try:
            found.append(parse_caption(line))
        except ValueError as error:
            problems.append(Problem(place=f"{path}: caption {number}", message=str(error), remedy=REMEDY))
    raise_if_any(problems)
    return found


def parse_caption(line: str) -> list[Phrase]:
    """The phrases in brackets: [/EN#<chain>/<type>/<type> words]. Raises ValueError."""
    found = list[Phrase]()
    words, head = list[str](), list[str]()
    for token in line.split():
        if not head and token.startswith("["):
            head = token.split("/")
            if len(head) < 3 or not head[1].startswith("EN#"):
                raise ValueError(f"the bracket {token[:40]!r} does not begin with /EN#<chain>/<type>")
        elif head:
            words.append(token.removesuffix("]"))
            if token.endswith("]"):
                found.append(Phrase(text=" ".join(words), chain=head[1][3:], types=tuple(head[2:])))
                words, head = [], []
    if head:
        raise ValueError(f"the bracket {'/'.join(head)[:40]!r} does not end")
    return found


def read_boxes(path: Path) -> Picture:
    """Size and boxes of a picture's XML. Raises DataError with all problems."""
    text = _text(path)
    if "<!" in text.replace("<!--", ""):
        message = "declares a document type or entities, which no official file does"
        raise DataError([Problem(place=str(path), message=message, remedy=REMEDY)])
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError([Problem(place=str(path), message=f"is broken XML ({error})", remedy=REMEDY)]) from error
    problems = list[str]()
    size = [_whole(root.find(f"size/{side}")) for side in ("height", "width")]
    if None in size:
        problems.append("has no size with a height and a width")
    boxes: dict[str, list[tuple[int, int, int, int]]] = {}
    for position, element in enumerate(root.findall("object")):
        frame = element.find("bndbox")
        if frame is None:
            continue
        corners = [_whole(frame.find(side)) for side in SIDES]
        if None in corners:
            problems.append(f"object {position} has no box of {', '.join(SIDES)} in whole numbers")
            continue
        left, top, right, bottom = (int(corner or 0) for corner in corners)
        for name in element.findall("name"):
            boxes.setdefault(name.text or "", []).append((left, top, right, bottom))
    raise_if_any(Problem(place=str(path), message=message, remedy=REMEDY) for message in problems)
    return Picture(size=(int(size[0] or 0), int(size[1] or 0)), boxes=boxes)


def read_results(path: Path, sample_ids: Sequence[str]) -> tuple[PredictionSet, Mapping[str, int]]:
    """Ranked boxes for the phrases of the sentences that the file answers, and what was left out.

    Raises DataError with all problems.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        message = f"holds a {type(entries).__name__}, expected a list with an entry for each sentence"
        raise DataError([Problem(place=str(path), message=message, remedy="Write image_id, sentence_id and boxes")])
    sentences = dict[str, list[str]]()
    for sample_id in sample_ids:
        sentences.setdefault(sample_id.rpartition("_")[0], []).append(sample_id)
    images = {sentence.partition("_")[0] for sentence in sentences}
    found, problems = dict[str, list[Any]](), list[Problem]()
    notes = {REPEATED: 0, UNEXPECTED: 0}
    for position, entry in enumerate(entries):
        sentence, message = _sentence(entry, images)
        if not message and sentence in sentences and sentences[sentence][0] in found:
            notes[REPEATED] += 1
        elif not message and sentence not in sentences:
            notes[UNEXPECTED] += 1
        elif not message:
            message = _boxes_message(entry.get("boxes"), len(sentences[sentence]))
            found |= {} if message else dict(zip(sentences[sentence], entry["boxes"], strict=True))
        if message:
            remedy = OTHER_SPLIT.capitalize() if message.endswith(FOREIGN) else ORDER
            problems.append(Problem(place=f"{path}: result {position}", message=message, remedy=remedy))
    raise_if_any(problems)
    known = tuple(sample_id for sample_id in sample_ids if sample_id in found)
    return PredictionSet(known, lambda one: Prediction(frames=(_objects(found[one]),))), {
        name: count for name, count in notes.items() if count
    }


def write_results(path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write predictions as one result file, boxes as corners by falling score.

    The form cannot say that there is nothing, so a phrase without boxes gets one without area, which finds nothing.
    """
    sentences: dict[tuple[str, int], dict[int, list[Any]]] = {}
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Instances):
            raise ValueError(f"sample {sample.sample_id}: a result file holds boxes, not a {type(found).__name__}")
        image_id, sentence, place = sample.sample_id.rsplit("_", 2)
        boxes = found.boxes[np.argsort(-found.score, kind="stable")]
        if found.box_format == "xywh":
            boxes = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
        sentences.setdefault((image_id, int(sentence)), {})[int(place)] = boxes.tolist() or [[0.0] * 4]
    write_json(
        path,
        [
            {"image_id": image_id, "sentence_id": sentence, "boxes": [lists[place] for place in sorted(lists)]}
            for (image_id, sentence), lists in sentences.items()
        ],
    )


def _objects(boxes: Sequence[Sequence[float]]) -> Instances:
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    extent = corners[:, 2:] - corners[:, :2]
    return make_instances(class_index=[0] * len(corners), boxes=corners, box_format="xyxy", area=extent.prod(axis=1))


def _sentence(entry: Any, images: Iterable[str]) -> tuple[str, str]:
    """(<image>_<sentence>, "") of a result, or ("", what is wrong with it)."""
    if not isinstance(entry, dict):
        return "", "is not an object"
    image_id, number = entry.get("image_id"), entry.get("sentence_id")
    if not isinstance(image_id, int | str) or str(image_id) not in images:
        return "", f"image_id {shown(image_id)} {FOREIGN}"
    if not isinstance(number, int | str) or not str(number).isdecimal():
        return "", f"sentence_id is {shown(number)}, expected the number of the caption from 0"
    return f"{image_id}_{int(number)}", ""


def _boxes_message(lists: Any, expected: int) -> str:
    if not isinstance(lists, list) or len(lists) != expected:
        found = f"{len(lists)} lists" if isinstance(lists, list) else shown(lists)
        return f"boxes holds {found}, expected {expected} (one for each evaluated phrase)"
    for number, boxes in enumerate(lists):
        if not isinstance(boxes, list) or not boxes or not all(are_numbers(box, 4) for box in boxes):
            return f"phrase {number} has no list of boxes [x1, y1, x2, y2]"
    return ""


def _whole(element: ElementTree.Element | None) -> int | None:
    text = "" if element is None or element.text is None else element.text.strip()
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 10 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError([Problem(place=str(path), message="the file is missing", remedy=REMEDY)]) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot be read as text ({type(error).__name__})"
        raise DataError([Problem(place=str(path), message=message, remedy=REMEDY)]) from error
