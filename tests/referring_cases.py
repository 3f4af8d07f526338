"""Drawn-by-dice data of referring benchmarks in their official layouts, and answers to them, for parity and laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Rle

SIZES = ((40, 48), (33, 50), (48, 37))
NUM_IMAGES = 6
OBJECTS_PER_IMAGE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One data set in the REFER layout and a result file for it, all as JSON values."""

    instances: dict[str, Any]
    references: list[dict[str, Any]]
    results: list[dict[str, Any]]


def refer_case(seed: int = 0, *, is_generalized: bool = False) -> Case:
    """References with one to three sentences; objects of one to three polygons that may overlap.

    is_generalized: several targets, none at all, and answers with flags and several boxes (gRefCOCO).
    """
    dice = np.random.default_rng(seed)
    images = [
        {"id": number, "file_name": f"COCO_train2014_{number:012d}.jpg", "height": size[0], "width": size[1]}
        for number in range(1, NUM_IMAGES + 1)
        for size in [SIZES[number % len(SIZES)]]
    ]
    annotations = [
        _annotation(image, number, dice)
        for image in images
        for number in range(image["id"] * 100, image["id"] * 100 + OBJECTS_PER_IMAGE)
    ]
    references = _references(images, annotations, is_generalized, dice)
    by_id = {one["id"]: one for one in annotations}
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    results = []
    for reference in references:
        listed = reference["ann_id"] if isinstance(reference["ann_id"], list) else [reference["ann_id"]]
        targets = [by_id[number] for number in listed if number in by_id]
        for sentence in reference["sentences"]:
            answer = _answer(targets, sizes[reference["image_id"]], is_generalized, dice)
            results.append({"ref_id": reference["ref_id"], "sent_id": sentence["sent_id"], **answer})
    return Case(
        instances={"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]},
        references=references,
        results=results,
    )


def reasoning_case(seed: int = 0, num: int = 24) -> list[dict[str, Any]]:
    """Questions of ReasonSeg with their size and answers: {"size", "document", "answer"}, JSON values.

    Shapes overlap, some are ignored, some are flags; some questions have no target, some answers no mask.
    """
    dice = np.random.default_rng(seed)
    found = []
    for number in range(num):
        size = SIZES[number % len(SIZES)]
        labels = ["target", "ignore", "target", "flag", "Target-ignored"][: int(dice.integers(0, 6))]
        shapes = [{"label": label, "points": _outline(size, dice).tolist()} for label in labels]
        document = {"text": [f"question {number}?"], "is_sentence": bool(number % 2), "shapes": shapes}
        is_empty = dice.random() < 0.3
        near = np.array(shapes[0]["points"]) if shapes else _outline(size, dice)
        mask = masks.empty(size) if is_empty else _polygon_mask(near + dice.normal(0, 2, near.shape), size)
        found.append({"size": list(size), "document": document, "answer": masks.to_json(mask)})
    return found


def _references(
    images: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]], is_generalized: bool, dice: Any
) -> list[dict[str, Any]]:
    found, sent_id = [], 0
    for image in images:
        own = [one["id"] for one in annotations if one["image_id"] == image["id"]]
        for ann_id in own:
            sentences = []
            for number in range(int(dice.integers(1, 4))):
                text = f"thing {sent_id} number {number}"
                sentences.append({"sent_id": sent_id, "sent": text, "raw": f"{text}.", "tokens": text.split()})
                sent_id += 1
            target: Any = ann_id
            if is_generalized:
                num = int(dice.integers(0, 4))
                target = sorted(int(one) for one in dice.choice(own, num, replace=False)) if num else [-1]
            found.append(
                {
                    "ref_id": len(found) + 7,
                    "ann_id": target,
                    "image_id": image["id"],
                    "category_id": 1,
                    "file_name": image["file_name"],
                    "split": "val",
                    "sent_ids": [one["sent_id"] for one in sentences],
                    "sentences": sentences,
                }
            )
    return found


def _annotation(image: dict[str, Any], number: int, dice: Any) -> dict[str, Any]:
    size = (image["height"], image["width"])
    first = _outline(size, dice)
    outlines = [first] + [first + dice.uniform(-8, 8, 2) for _ in range(int(dice.integers(0, 3)))]
    polygons = [np.clip(one, 0, [size[1], size[0]]).round(2).ravel().tolist() for one in outlines]
    mask = masks.from_polygons(polygons, size)
    corners = np.array([value for polygon in polygons for value in polygon]).reshape(-1, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    box = [float(value) for value in np.concatenate((low, high - low)).round(2)]
    return {
        "id": number,
        "image_id": image["id"],
        "category_id": 1,
        "iscrowd": 0,
        "segmentation": polygons,
        "bbox": box,
        "area": float(masks.area(mask)),
    }


def _answer(targets: Sequence[dict[str, Any]], size: tuple[int, int], is_generalized: bool, dice: Any) -> Any:
    """Near the truth, beside it, or empty."""
    parts = [masks.from_polygons(one["segmentation"], size) for one in targets]
    truth = masks.decode(masks.union(parts)) if parts else np.zeros(size, bool)
    kind = dice.choice(["near", "far", "empty", "exact"], p=[0.6, 0.15, 0.1, 0.15])
    steps = {"near": 2, "far": 20, "empty": 0, "exact": 0}[str(kind)]
    mask = np.roll(truth, dice.integers(-steps, steps + 1, 2), axis=(0, 1)) & (kind != "empty")
    if not parts and dice.random() < 0.5:
        mask[: int(dice.integers(1, 12)), : int(dice.integers(1, 12))] = True
    boxes = [_moved(one["bbox"], steps, dice) for one in targets if kind != "empty"]
    if not is_generalized:
        return {"segmentation": masks.to_json(masks.encode(mask)), "bbox": boxes[0] if boxes else [0.0, 0.0, 0.0, 0.0]}
    if dice.random() < 0.2:
        boxes.append(_moved([3.0, 4.0, 9.0, 8.0], 3, dice))
    scores = [float(score) for score in dice.choice([0.3, 0.72, 0.8, 0.95], len(boxes), p=[0.1, 0.3, 0.3, 0.3])]
    answer = {"segmentation": masks.to_json(masks.encode(mask)), "bbox": boxes, "score": scores}
    is_called = bool(not mask.any()) if dice.random() < 0.8 else bool(dice.random() < 0.5)
    return answer | {"no_target": is_called}


def _moved(box: Sequence[float], steps: int, dice: Any) -> list[float]:
    moved = np.array(box) + np.concatenate((dice.uniform(-steps, steps, 2), dice.uniform(-1, 1, 2) * min(steps, 2)))
    return [float(value) for value in np.maximum(moved, [0, 0, 1, 1]).round(3)]


def _outline(size: tuple[int, int], dice: Any) -> NDArray[np.float64]:
    """Three to eight points around a centre inside the image, float64 [P, 2] as x, y."""
    num = int(dice.integers(3, 9))
    centre = dice.uniform([8, 8], [size[1] - 8, size[0] - 8])
    angles = np.sort(dice.uniform(0, 2 * np.pi, num))
    reach = dice.uniform(4, 12, (num, 1))
    found: NDArray[np.float64] = (centre + reach * np.stack((np.cos(angles), np.sin(angles)), axis=1)).round(2)
    return found


def _polygon_mask(points: NDArray[np.float64], size: tuple[int, int]) -> Rle:
    return masks.from_polygons([points.ravel().tolist()], size)
