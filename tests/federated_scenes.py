"""Dice-drawn LVIS files: federated truth and results that meet every rule of the protocol, as JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark import labels, masks

SIZE = (90, 120)
CLASSES = (1, 2, 3, 5, 8, 13, 21, 34)
"""LVIS v1 category ids, of all three frequencies."""
LAST_IMAGE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What sets a case apart; shares are chances per object."""

    seed: int
    share_ignored: float = 0.15
    score_step: float = 0.0
    extra: int = 12
    crowded_image: int = 0
    share_missed: float = 0.15


CASES: Mapping[str, Case] = {
    "typical": Case(seed=1),
    "ties": Case(seed=2, score_step=0.25),
    "over the limit": Case(seed=3, crowded_image=360, score_step=0.01),
    "nothing found": Case(seed=4, share_missed=1.0, extra=1),
    "all ignored": Case(seed=5, share_ignored=1.0),
}


def documents(case: Case) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(annotation file, result file) of one case; results have masks and the masks' boxes."""
    dice = np.random.default_rng(case.seed)
    official = labels.load("lvis_v1")
    images, annotations, results = [], [], []
    for number in range(1, LAST_IMAGE + 1):
        present = dice.choice(CLASSES, 3, replace=False).tolist()
        rest = [one for one in CLASSES if one not in present]
        images.append(_image(number, present, rest, dice))
        for category_id in np.repeat(present, dice.integers(0, 4, 3)).tolist():
            polygon = _polygon(dice)
            annotations.append(_annotation(len(annotations) + 1, number, category_id, polygon, case, dice))
            if dice.random() >= case.share_missed:
                results += _around(number, category_id, polygon, case, dice)
        count = case.crowded_image if number == LAST_IMAGE else case.extra
        results += [_found(number, int(dice.choice(CLASSES)), _polygon(dice), case, dice) for _ in range(count)]
    categories = [
        {"id": row.category_id, "name": row.name, "frequency": row.supercategory}
        for row in official.classes
        if row.category_id in CLASSES
    ]
    order = dice.permutation(len(results))
    return (
        {"images": images, "annotations": annotations, "categories": categories},
        [results[place] for place in order],
    )


def _image(number: int, present: list[int], rest: list[int], dice: np.random.Generator) -> dict[str, Any]:
    return {
        "id": number,
        "coco_url": f"http://images.cocodataset.org/{('val2017', 'train2017')[number % 2]}/{number:012d}.jpg",
        "height": SIZE[0],
        "width": SIZE[1],
        "neg_category_ids": rest[:3],
        "not_exhaustive_category_ids": present[:1] if dice.random() < 0.5 else [],
    }


def _annotation(
    number: int, image_id: int, category_id: int, polygon: list[float], case: Case, dice: np.random.Generator
) -> dict[str, Any]:
    xs, ys = np.array(polygon[0::2]), np.array(polygon[1::2])
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": [polygon],
        "bbox": [float(xs.min()), float(ys.min()), float(np.ptp(xs)), float(np.ptp(ys))],
        "area": masks.area(masks.from_polygons([polygon], SIZE)) * float(dice.choice([1.0, 3.0, 30.0])),
        "ignore": int(dice.random() < case.share_ignored),
    }


def _around(
    image_id: int, category_id: int, polygon: list[float], case: Case, dice: np.random.Generator
) -> list[dict[str, Any]]:
    moved = [(np.array(polygon) + dice.integers(-3, 4)).clip(0, 89).tolist() for _ in range(dice.integers(1, 3))]
    return [_found(image_id, category_id, one, case, dice) for one in moved]


def _found(
    image_id: int, category_id: int, polygon: list[float], case: Case, dice: np.random.Generator
) -> dict[str, Any]:
    rle = masks.from_polygons([polygon], SIZE)
    score = float(dice.random())
    score = round(score / case.score_step) * case.score_step if case.score_step else score
    return {
        "image_id": image_id,
        "category_id": category_id,
        "bbox": list(masks.bounding_box(rle)),
        "segmentation": masks.to_json(rle),
        "score": score,
    }


def _polygon(dice: np.random.Generator) -> list[float]:
    """A convex outline inside the image, with corners at quarters of pixels."""
    (y, x), radius = dice.integers(8, (SIZE[0] - 8, SIZE[1] - 8)), dice.integers(3, 30, 8)
    angles = np.arange(8) * np.pi / 4
    xs = np.round((x + radius * np.cos(angles)) * 4).clip(0, 4 * (SIZE[1] - 1)) / 4
    ys = np.round((y + radius * np.sin(angles)) * 4).clip(0, 4 * (SIZE[0] - 1)) / 4
    return np.stack((xs, ys), axis=1).ravel().tolist()
