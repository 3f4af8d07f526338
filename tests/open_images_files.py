"""Dice-drawn files of the Open Images challenges that meet every rule of the protocol, in the official form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import labels, masks
from benchmark.formats.open_images import encode_mask

SIZE = (30, 40)
ROOT = "/m/0bl9f"
NUM_CLASSES = 6
NUM_IMAGES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What sets a case apart; shares are chances per object."""

    seed: int
    share_groups: float = 0.25
    share_masked: float = 0.7
    share_missed: float = 0.2
    num_extra: int = 8


CASES: Mapping[str, Case] = {
    "typical": Case(seed=1),
    "groups": Case(seed=2, share_groups=0.8),
    "few masks": Case(seed=3, share_masked=0.3),
    "nothing found": Case(seed=4, share_missed=1.0, num_extra=0),
}
BOXES, LABELS, MASKS = "x-bbox.csv", "x-human-imagelabels.csv", "x-masks.csv"
HIERARCHY, FOUND_BOXES, FOUND_MASKS = "x-hierarchy.json", "found/boxes.csv", "found/masks.csv"


def codes() -> list[str]:
    """Text ids of the classes that are drawn: 0 and 1 are above 2 and 3, 2 is above 4, 5 stands alone."""
    return [row.code for row in labels.load("openimages_challenge_segmentable").classes[:NUM_CLASSES]]


def write(folder: Path, case: Case) -> None:
    """Write truth, hierarchy and results of one case."""
    dice = np.random.default_rng(case.seed)
    names = codes()
    (folder / "found").mkdir(exist_ok=True)
    boxes, verified, shapes, found = [], [], [], []
    for number in range(NUM_IMAGES):
        image = f"{number:04x}aa"
        chosen = dice.permutation(NUM_CLASSES)
        for one in chosen[:2]:
            verified.append(f"{image},crowdsource,{names[one]},1")
        verified.append(f"{image},verification,{names[chosen[2]]},0")
        for one in np.repeat(chosen[:2], dice.integers(0, 4, 2)).tolist():
            mask, is_group = _ellipse(dice), int(dice.random() < case.share_groups)
            sides = ",".join(map(str, _sides(mask)))
            boxes.append(f"{image},{names[one]},1,{sides},{is_group}")
            if dice.random() < case.share_masked:
                text = encode_mask(masks.encode(mask))
                shapes.append(f"{image},{names[one]},{SIZE[1]},{SIZE[0]},{sides},{is_group},{text}")
            if dice.random() >= case.share_missed:
                found += [(image, one, np.roll(mask, step, axis=1)) for step in range(int(dice.integers(1, 4)))]
        found += [(image, int(dice.integers(NUM_CLASSES)), _ellipse(dice)) for _ in range(case.num_extra)]
    scores = (dice.permutation(len(found)) / max(len(found), 1)).tolist()
    rows = [(image, names[one], score, mask) for (image, one, mask), score in zip(found, scores, strict=True)]
    _save(folder / BOXES, "ImageID,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf", boxes)
    _save(folder / LABELS, "ImageID,Source,LabelName,Confidence", verified)
    _save(folder / MASKS, "ImageID,LabelName,ImageWidth,ImageHeight,XMin,XMax,YMin,YMax,IsGroupOf,Mask", shapes)
    (folder / HIERARCHY).write_text(json.dumps(_hierarchy(names)), encoding="utf-8")
    _save(
        folder / FOUND_BOXES,
        "ImageID,LabelName,Score,XMin,XMax,YMin,YMax",
        [f"{image},{name},{score!r},{','.join(map(str, _sides(mask)))}" for image, name, score, mask in rows],
    )
    _save(
        folder / FOUND_MASKS,
        "ImageID,ImageWidth,ImageHeight,LabelName,Score,Mask",
        [
            f"{image},{SIZE[1]},{SIZE[0]},{name},{score!r},{encode_mask(masks.encode(mask))}"
            for image, name, score, mask in rows
        ],
    )


def _hierarchy(names: list[str]) -> dict[str, object]:
    leaf = {"LabelName": names[4]}
    middle = {"LabelName": names[2], "Subcategory": [leaf]}
    first = {"LabelName": names[0], "Subcategory": [middle, {"LabelName": names[3]}]}
    second = {"LabelName": names[1], "Subcategory": [{"LabelName": names[3]}]}
    return {"LabelName": ROOT, "Subcategory": [first, second, {"LabelName": names[5]}]}


def _ellipse(dice: np.random.Generator) -> NDArray[np.bool_]:
    (y, x), (high, wide) = dice.integers((4, 4), (SIZE[0] - 4, SIZE[1] - 4)), dice.integers(3, 12, 2)
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return ((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 <= 1


def _sides(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """XMin, XMax, YMin, YMax as shares of the image."""
    rows, columns = np.nonzero(mask)
    return (
        float(columns.min()) / SIZE[1],
        float(columns.max() + 1) / SIZE[1],
        float(rows.min()) / SIZE[0],
        float(rows.max() + 1) / SIZE[0],
    )


def _save(path: Path, header: str, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in (header, *lines)), encoding="utf-8")
