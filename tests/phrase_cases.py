"""Drawn-by-dice data of PhraseCut and Flickr30k Entities in their official layouts, and answers to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import masks
from benchmark.formats.phrase_cut import draw

NAMES = ("dog", "car", "tree", "window", *(f"thing{number}" for number in range(600)))
ATTRIBUTES = tuple(f"quality{number}" for number in range(250))
KINDS = ("name", "attribute", "relation", "verbose")
CHAIN_TYPES = ("people", "clothing", "other", "scene")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseCutCase:
    """tasks: of refer_test.json. images: of image_data_split.json. frequencies: of name_att_rel_count.json.

    answers: task id -> run lengths.
    """

    tasks: list[dict[str, Any]]
    images: list[dict[str, Any]]
    frequencies: dict[str, Any]
    answers: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write the three files, of the split "test"."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {"refer_test": self.tasks, "image_data_split": self.images, "name_att_rel_count": self.frequencies}
        for name, content in files.items():
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def phrase_cut_case(seed: int = 0, num_images: int = 5) -> PhraseCutCase:
    """Phrases of one to six instances, of every kind and frequency; answers near, far and empty."""
    dice = np.random.default_rng(seed)
    images = [
        {"image_id": number, "width": 40 + number, "height": 36, "split": "test", "coco_id": number % 2 or None}
        for number in range(1, num_images + 1)
    ]
    tasks, answers = [], {}
    for image in images:
        size = (image["height"], image["width"])
        for number in range(6):
            instances = [
                [_polygon(size, dice) for _ in range(int(dice.integers(1, 3)))] for _ in range(int(dice.integers(1, 7)))
            ]
            task_id = f"{image['image_id']}__{number}"
            num_attributes, num_relations = int(dice.integers(0, 3)), int(dice.integers(0, 3))
            structure = {
                "name": NAMES[int(dice.choice([0, 1, 2, 30, 150, 590]))],
                "attributes": [ATTRIBUTES[int(dice.choice([3, 50, 150, 240]))] for _ in range(num_attributes)],
                "relation_descriptions": [["on", "it"]] * num_relations,
                "type": str(dice.choice(KINDS)),
            }
            tasks.append(
                {
                    "task_id": task_id,
                    "image_id": image["image_id"],
                    "phrase": f"phrase {task_id}",
                    "instance_boxes": [[1, 2, 3, 4] for _ in instances],
                    "Polygons": instances,
                    "phrase_structure": structure,
                }
            )
            truth = draw([polygon for instance in instances for polygon in instance], size)
            step = int(dice.choice([0, 1, 3, 15]))
            mask = np.roll(truth, dice.integers(-step, step + 1, 2), axis=(0, 1)) & (dice.random() < 0.9)
            answers[task_id] = masks.to_json(masks.encode(mask))
    frequencies = {
        "cat": [[name, 1000 - rank] for rank, name in enumerate(NAMES)],
        "att": [[name, 1000 - rank] for rank, name in enumerate(ATTRIBUTES)],
        "rel": [],
    }
    return PhraseCutCase(tasks=tasks, images=images, frequencies=frequencies, answers=answers)


def _polygon(size: tuple[int, int], dice: Any) -> list[list[float]]:
    """One to six points; some reach over the border, some are no area."""
    centre = dice.uniform([2, 2], [size[1] - 2, size[0] - 2])
    points = centre + dice.normal(0, 6, (int(dice.choice([1, 2, 3, 4, 6])), 2))
    return [[float(value) for value in point] for point in points.round(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickrCase:
    """files: path below the data set's folder -> text. results: the official result list."""

    files: Mapping[str, str]
    results: list[dict[str, Any]]

    def write(self, folder: Path) -> None:
        """Write the files."""
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


def flickr_case(seed: int = 0, num_images: int = 5) -> FlickrCase:
    """Captions with phrases of several types, chains of no, one or several boxes; ranked answers of up to twelve."""
    dice = np.random.default_rng(seed)
    files = {"test.txt": "".join(f"{1000 + number}\n" for number in range(num_images))}
    results = []
    for number in range(num_images):
        image_id = 1000 + number
        chains = {str(image_id * 10 + place): int(dice.integers(0, 4)) for place in range(5)}
        boxes = {chain: [_corners(dice) for _ in range(count)] for chain, count in chains.items()}
        files[f"Annotations/{image_id}.xml"] = _xml(boxes)
        lines = []
        for sentence in range(5):
            used = [str(one) for one in dice.choice(sorted(chains), int(dice.integers(0, 4)))]
            phrases = [f"[/EN#{chain}/{_types(chain)} the {chain} thing]" for chain in used]
            lines.append(" ".join(["A", "[/EN#0/notvisual it]", *(f"{phrase} and" for phrase in phrases), "more ."]))
            lists = [_ranked(boxes[chain], dice) for chain in used if boxes[chain]]
            results.append({"image_id": image_id, "sentence_id": sentence, "boxes": lists})
        files[f"Sentences/{image_id}.txt"] = "\n".join(lines) + "\n"
    return FlickrCase(files=files, results=results)


def _types(chain: str) -> str:
    first = CHAIN_TYPES[int(chain) % len(CHAIN_TYPES)]
    return f"{first}/vehicles" if int(chain) % 5 == 0 else first


def _corners(dice: Any) -> list[int]:
    left, top = dice.integers(1, 60, 2)
    return [int(left), int(top), int(left + dice.integers(4, 30)), int(top + dice.integers(4, 30))]


def _ranked(boxes: Sequence[Sequence[int]], dice: Any) -> list[list[float]]:
    """Boxes of which some are near a true one."""
    found = [[float(value) for value in _corners(dice)] for _ in range(int(dice.integers(1, 12)))]
    if dice.random() < 0.8:
        near = np.array(boxes[int(dice.integers(len(boxes)))]) + dice.uniform(-2, 2, 4).round(3)
        found.insert(int(dice.integers(0, len(found) + 1)), [float(value) for value in near])
    return found


def _xml(boxes: Mapping[str, Sequence[Sequence[int]]]) -> str:
    objects = []
    for chain, listed in boxes.items():
        for box in listed:
            sides = "".join(f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box))
            objects.append(f"<object><name>{chain}</name><bndbox>{sides}</bndbox></object>")
        if not listed:
            objects.append(f"<object><name>{chain}</name><scene>1</scene><nobndbox>0</nobndbox></object>")
    size = "<size><width>100</width><height>90</height><depth>3</depth></size>"
    return f"<annotation>{size}{''.join(objects)}</annotation>\n"
