"""PhraseCut: phrases over pictures of Visual Genome, with the polygons of all instances that a phrase means.

    VGPhraseCut_v0/refer_<split>.json           [{"task_id": "12__0", "image_id", "phrase", "instance_boxes": [xywh],
                                                  "Polygons": [[[[x, y], ...] for a polygon] for an instance],
                                                  "phrase_structure": {"name", "attributes", "relation_descriptions",
                                                  "type"}}]
    VGPhraseCut_v0/image_data_split.json        [{"image_id", "width", "height", "split", "coco_id"}]
    VGPhraseCut_v0/name_att_rel_count.json      {"cat": [[name, count]], "att": ...} by falling frequency; may be absent
    VGPhraseCut_v0/images/<image_id>.jpg

Masks are drawn by Pillow with outline, vertices cut to whole numbers, as utils/data_transfer.py of
https://github.com/ChenyunWu/PhraseCutDataset; subsets follow utils/subset.py there, but for the kinds of attributes and
stuff, which are word lists of the evaluator's source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmark import labels, masks
from benchmark.contract import Prompt, Truth, make_instances
from benchmark.formats.coco_instances import FARTHEST
from benchmark.formats.image_records import MAX_SIDE
from benchmark.formats.json_files import read_json
from benchmark.formats.listing import Entry, Listing, duplicates
from benchmark.formats.values import are_numbers, is_whole, shown
from benchmark.problems import DataError, Problem

IMAGES = "image_data_split.json"
FREQUENCIES = "name_att_rel_count.json"
REMEDY = "Get the official file"
TYPES = {"name": "p_name", "attribute": "p_att+", "relation": "p_rel+", "verbose": "p_verbose"}
CATEGORY_RANKS = ((20, "c20"), (100, "c21-100"), (500, "c101-500"))
ATTRIBUTE_RANKS = ((20, "a20"), (100, "a21-100"), (200, "a101-200"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """size: (height, width). is_coco: whether it is one of COCO's."""

    size: tuple[int, int]
    is_coco: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequencies:
    """Names in order of frequency -> rank from 0; None where the data set's file is absent."""

    categories: Mapping[str, int]
    attributes: Mapping[str, int]


def read(tasks: Sequence[Path], images: Path, frame_of: Callable[[int], Path]) -> Listing:
    """The phrases of one or more refer_<split>.json. Raises DataError where a file is broken."""
    pictures, problems = _pictures(images)
    frequencies = _frequencies(images.with_name(FREQUENCIES))
    found: list[Mapping[str, Any]] = []
    for path in tasks:
        for position, task in enumerate(_list(path)):
            messages = _messages(task, pictures)
            name = task.get("task_id") if isinstance(task, dict) else None
            place = f"{path}: task {shown(name) if name else f'at position {position}'}"
            problems += [Problem(place=place, message=message, remedy=REMEDY) for message in messages]
            if not messages:
                found.append(task)
    problems += [
        Problem(place=str(tasks[0]), message=f"task {name} occurs twice", remedy=REMEDY)
        for name in duplicates(task["task_id"] for task in found)
    ]
    entries = tuple(
        Entry(
            sample_id=task["task_id"],
            frames=(frame_of(task["image_id"]),),
            size=pictures[task["image_id"]].size,
        )
        for task in found
    )

    def ask(index: int, prompt: Prompt) -> Prompt:
        return replace(prompt, sentence=found[index]["phrase"])

    def truth(index: int) -> Truth:
        return _truth(found[index], pictures[found[index]["image_id"]], frequencies)

    return Listing(entries=entries, truth=truth, problems=tuple(problems), ask=ask)


def draw(polygons: Sequence[Sequence[Sequence[float]]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool [H, W], the union of polygons of (x, y) points. size: (height, width). Fewer than two points are skipped."""
    canvas = Image.new("L", (size[1], size[0]), 0)
    pen = ImageDraw.Draw(canvas)
    for polygon in polygons:
        if len(polygon) >= 2:
            pen.polygon([(int(x), int(y)) for x, y in polygon], outline=1, fill=1)
    return np.asarray(canvas) > 0


def subsets(
    task: Mapping[str, Any], picture: Picture, share: float, frequencies: Frequencies | None
) -> tuple[str, ...]:
    """Names of the subsets that a phrase belongs to. share: of the picture that its mask covers."""
    structure = task["phrase_structure"]
    attributes, relations = structure["attributes"], structure["relation_descriptions"]
    num = len(task["instance_boxes"])
    is_in = {
        "c_coco": structure["name"] in {row.name for row in labels.load("coco_panoptic").classes if row.is_thing},
        "p_att": bool(attributes),
        "p_attm": len(attributes) > 1,
        "p_rel": bool(relations),
        "p_relm": len(relations) > 1,
        "p_att_rel": bool(attributes and relations),
        "i_single": num == 1,
        "i_multi": 1 < num < 5,
        "i_many": num >= 5,
        "s_small": share < 0.02,
        "s_mid": 0.02 <= share <= 0.2,
        "s_large": share > 0.2,
        "d_cocotv": picture.is_coco,
        "d_notcocotv": not picture.is_coco,
        TYPES.get(structure["type"], ""): True,
    }
    found = [name for name, holds in is_in.items() if holds and name]
    if frequencies is not None:
        category = frequencies.categories.get(structure["name"], MAX_SIDE)
        attribute = min((frequencies.attributes.get(one, MAX_SIDE) for one in attributes), default=MAX_SIDE)
        found += _ranks(category, CATEGORY_RANKS, "c500+", ((100, "c100"), (500, "c500")))
        found += _ranks(attribute, ATTRIBUTE_RANKS, "a200+", ((100, "a100"), (200, "a200")))
    return tuple(found)


def _ranks(rank: int, bands: Sequence[tuple[int, str]], rest: str, totals: Sequence[tuple[int, str]]) -> list[str]:
    """The first band that the rank is below, and every total."""
    band = next((name for bound, name in bands if rank < bound), rest)
    return [band, *(name for bound, name in totals if rank < bound)]


def _truth(task: Mapping[str, Any], picture: Picture, frequencies: Frequencies | None) -> Truth:
    found = [masks.encode(draw(polygons, picture.size)) for polygons in task["Polygons"]]
    boxes = task["instance_boxes"]
    objects = make_instances(
        class_index=[0] * len(found),
        masks=found,
        boxes=np.array(boxes, np.float64) if len(boxes) == len(found) else masks.bounding_boxes(found),
        area=masks.areas(found).astype(np.float64),
    )
    covered = masks.area(masks.union(found)) if found else 0
    share = covered / (picture.size[0] * picture.size[1])
    return Truth(frames=(objects,), subsets=subsets(task, picture, share, frequencies))


def _pictures(path: Path) -> tuple[dict[int, Picture], list[Problem]]:
    found, problems = dict[int, Picture](), list[Problem]()
    for position, record in enumerate(_list(path)):
        known = record if isinstance(record, dict) else {}
        sides = [known.get(name) for name in ("height", "width")]
        if is_whole(known.get("image_id"), 0) and all(is_whole(side, 1, MAX_SIDE) for side in sides):
            size = (known["height"], known["width"])
            found[known["image_id"]] = Picture(size=size, is_coco=bool(known.get("coco_id")))
        else:
            message = "needs an image_id, a height and a width in whole numbers"
            problems.append(Problem(place=f"{path}: image at position {position}", message=message, remedy=REMEDY))
    return found, problems


def _frequencies(path: Path) -> Frequencies | None:
    if not path.is_file():
        return None
    document = read_json(path)
    ranks = []
    for name in ("cat", "att"):
        rows = document.get(name) if isinstance(document, dict) else None
        if not isinstance(rows, list) or not all(
            isinstance(row, list) and row and isinstance(row[0], str) for row in rows
        ):
            message = f"{name!r} is no list of [name, count]"
            raise DataError([Problem(place=str(path), message=message, remedy=f"{REMEDY}, or take it away")])
        ranks.append({row[0]: rank for rank, row in reversed(list(enumerate(rows)))})
    return Frequencies(categories=ranks[0], attributes=ranks[1])


def _list(path: Path) -> list[Any]:
    document = read_json(path)
    if not isinstance(document, list):
        message = f"holds a {type(document).__name__}, expected a list"
        raise DataError([Problem(place=str(path), message=message, remedy=REMEDY)])
    return document


def _messages(task: Any, pictures: Mapping[int, Picture]) -> list[str]:
    """What is wrong with a task."""
    if not isinstance(task, dict):
        return ["is no object"]
    found = [f"{name} is {shown(task.get(name))}, expected text" for name in ("task_id", "phrase")
             if not isinstance(task.get(name), str) or not task.get(name)]  # fmt: skip
    if not is_whole(task.get("image_id"), 0) or task["image_id"] not in pictures:
        found.append(f"image_id {shown(task.get('image_id'))} is not in {IMAGES}")
    boxes, instances = task.get("instance_boxes"), task.get("Polygons")
    if not isinstance(boxes, list) or not all(are_numbers(box, 4) for box in boxes):
        found.append("instance_boxes is no list of [x, y, width, height]")
    if not isinstance(instances, list) or not all(_is_instance(one) for one in instances):
        found.append("Polygons is no list of instances, each a list of polygons of [x, y] points inside a picture")
    structure = task.get("phrase_structure")
    if not isinstance(structure, dict) or not _is_structure(structure):
        found.append("phrase_structure lacks name, attributes, relation_descriptions or type")
    return found


def _is_instance(polygons: Any) -> bool:
    return isinstance(polygons, list) and all(
        isinstance(polygon, list)
        and all(are_numbers(point, 2) and max(map(abs, point)) <= FARTHEST for point in polygon)
        for polygon in polygons
    )


def _is_structure(structure: Mapping[str, Any]) -> bool:
    attributes, words = structure.get("attributes"), [structure.get("name"), structure.get("type")]
    is_listed = isinstance(attributes, list) and isinstance(structure.get("relation_descriptions"), list)
    return is_listed and all(isinstance(one, str) for one in [*(attributes or []), *words])
