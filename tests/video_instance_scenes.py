"""Drawn-by-dice truth and results of video instance segmentation, as the documents of their files.

Objects are upright bars that move, so that run lengths stay short while areas reach all ranges of size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark import masks, polygons
from benchmark.contract import Rle

SIZES = ((300, 400), (320, 500), (100, 160))
NUM_CATEGORIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What sets a scenario apart from the typical one; shares are chances per object or frame."""

    num_videos: int = 5
    num_objects: int = 3
    num_categories: int = 3
    found_categories: int = 3
    share_crowd: float = 0.0
    share_hidden: float = 0.1
    share_empty_mask: float = 0.0
    share_found: float = 0.8
    copies: int = 2
    score_step: float = 0.0
    jitter: int = 6
    area_scale: float = 1.0
    form: str = "text"


SCENARIOS: Mapping[str, Scenario] = {
    "typical": Scenario(),
    "crowd": Scenario(share_crowd=0.4, copies=3),
    "ties": Scenario(score_step=0.25, copies=4),
    "hidden": Scenario(share_hidden=0.7),
    "empty_masks": Scenario(share_empty_mask=0.3, share_hidden=0.3),
    "absent_class": Scenario(num_categories=2, found_categories=4),
    "single_class": Scenario(num_categories=1, found_categories=1, num_objects=5, jitter=4),
    "stated_areas": Scenario(area_scale=4.0),
    "empty_truth": Scenario(num_objects=0),
    "missed": Scenario(share_found=0.2),
    "polygons": Scenario(form="polygons", jitter=4),
    "run_lists": Scenario(form="lists", jitter=4),
    "many_tracks": Scenario(num_videos=1, num_categories=1, found_categories=1, copies=45, jitter=3),
}


def documents(scenario: str, seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(annotation file, result file) of a scenario, as JSON values; at least one result."""
    what, dice = SCENARIOS[scenario], np.random.default_rng(seed)
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number in dice.permutation(what.num_videos) + 7:
        size = SIZES[int(dice.integers(len(SIZES)))]
        length = int(dice.integers(1, 6))
        names = [f"{number:02d}/{frame:05d}.jpg" for frame in range(length)]
        record = {"id": int(number), "height": size[0], "width": size[1], "length": length}
        videos.append(record | {"file_names": names})
        for _ in range(int(dice.integers(what.num_objects + 1)) if what.num_videos > 1 else what.num_objects):
            bars = _bars(dice, size, length)
            category = 1 + int(dice.integers(what.num_categories))
            shown = _shown(dice, bars, size, what)
            annotations.append(_annotation(dice, what, int(number), category, shown))
            for _ in range(int(dice.integers(what.copies + 1)) if what.num_videos > 1 else what.copies):
                if dice.random() < what.share_found:
                    moved = bars + dice.integers(-what.jitter, what.jitter + 1, bars.shape)
                    right = dice.random() < 0.8
                    found = category if right else 1 + int(dice.integers(what.found_categories))
                    results.append(_result(dice, what, int(number), found, _shown(dice, moved, size, what)))
    if not results:
        found = 1 + int(dice.integers(what.found_categories))
        record = videos[0]
        size = (record["height"], record["width"])
        bars = _bars(dice, size, record["length"])
        results.append(_result(dice, what, record["id"], found, _shown(dice, bars, size, what)))
    categories = [{"id": one + 1, "name": f"class{one + 1}"} for one in range(NUM_CATEGORIES)]
    for place, row in enumerate(dice.permutation(len(annotations))):
        annotations[row]["id"] = place + 1
    order = dice.permutation(len(results))
    document = {"videos": videos, "annotations": annotations, "categories": categories}
    return document, [results[row] for row in order]


def _bars(dice: np.random.Generator, size: tuple[int, int], length: int) -> np.ndarray:
    """int64 [length, 4]: left, top, right, bottom of a bar that drifts."""
    height, width = size
    left = int(dice.integers(width - 4))
    right = int(dice.integers(left + 3, width + 1))
    top = 0 if dice.random() < 0.6 else int(dice.integers(height // 2))
    bottom = height if top == 0 else int(dice.integers(top + 3, height + 1))
    drift = np.arange(length)[:, None] * np.array([1, 0, 1, 0]) * int(dice.integers(-9, 10))
    return np.array([left, top, right, bottom]) + drift


def _shown(dice: np.random.Generator, bars: np.ndarray, size: tuple[int, int], what: Scenario) -> list[Rle | None]:
    found: list[Rle | None] = []
    for left, top, right, bottom in bars:
        mask = np.zeros(size, bool)
        mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = dice.random() >= what.share_empty_mask
        found.append(None if dice.random() < what.share_hidden else masks.encode(mask))
    return found


def _annotation(
    dice: np.random.Generator, what: Scenario, video: int, category: int, shown: list[Rle | None]
) -> dict[str, Any]:
    areas = [None if rle is None else masks.area(rle) * what.area_scale for rle in shown]
    return {
        "id": 0,
        "video_id": video,
        "category_id": category,
        "iscrowd": int(dice.random() < what.share_crowd),
        "segmentations": [None if rle is None else _form(rle, what.form) for rle in shown],
        "areas": areas,
        "bboxes": [None if rle is None else list(masks.bounding_box(rle)) for rle in shown],
    }


def _form(rle: Rle, form: str) -> Any:
    if form == "polygons" and masks.area(rle) > 8:
        return polygons.from_mask(masks.decode(rle))
    return masks.to_json_uncompressed(rle) if form == "lists" else masks.to_json(rle)


def _result(
    dice: np.random.Generator, what: Scenario, video: int, category: int, shown: list[Rle | None]
) -> dict[str, Any]:
    score = float(dice.random().__round__(3)) if not what.score_step else float(dice.integers(1, 4) * what.score_step)
    segmentations = [None if rle is None else masks.to_json(rle) for rle in shown]
    return {"video_id": video, "category_id": category, "score": score, "segmentations": segmentations}
