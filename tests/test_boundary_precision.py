"""Boundary AP: equal to the Boundary IoU API's frozen numbers and to another implementation on drawn scenes.

`freeze_boundary.py` made `golden/boundary_ap.json`; boundaries equal those of dense masks pixel by pixel.
"""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from official_tools import quiet
from scene_views import RUNS
from scenes import SCENARIOS, scenes

from benchmark import labels, masks, metrics
from benchmark.contract import Instances, Prediction, Sample, summarise
from benchmark.metrics import overlaps

COCO = labels.load("coco_panoptic")
GOLDEN = Path(__file__).parent / "golden" / "boundary_ap.json"
SCENARIOS_FROZEN = ("typical", "crowd", "ties", "overlapping_truth")
Pairs = list[tuple[Sample, Prediction]]


@pytest.mark.parity
@pytest.mark.parametrize("scenario", SCENARIOS_FROZEN)
def test_boundary_ap_equals_the_frozen_official_numbers(scenario: str) -> None:
    expected = [math.nan if one is None else one for one in json.loads(GOLDEN.read_text(encoding="utf-8"))[scenario]]
    assert _values(scenario) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def _values(scenario: str) -> list[float]:
    metric = metrics.build("coco_segm_ap", COCO, "boundary")
    pairs = [RUNS["coco_segm_ap"].view(scene) for scene in scenes(scenario)]
    return list(summarise(metric, [metric.measure(*pair) for pair in pairs]).values.values())


@pytest.mark.parity
@pytest.mark.parametrize("scenario", ["typical", "crowd", "ties", "overlapping_truth", "empty_prediction"])
def test_boundary_ap_equals_faster_coco_eval(scenario: str) -> None:
    tool = pytest.importorskip("faster_coco_eval")
    assert scenario in SCENARIOS
    pairs = [RUNS["coco_segm_ap"].view(scene) for scene in scenes(scenario)]
    assert _values(scenario) == pytest.approx(_official(tool, pairs), abs=1e-9, nan_ok=True)


def _official(tool: Any, pairs: Pairs) -> list[float]:
    document, found_rows = documents(pairs)
    with quiet():
        truth = tool.COCO(document)
        found = truth.loadRes(found_rows)
        evaluation = importlib.import_module("faster_coco_eval").COCOeval_faster(truth, found, "boundary")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float("nan") if value == -1 else float(value) for value in evaluation.stats[:12]]


def documents(pairs: Pairs) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Truth and results as COCO files have them."""
    things = [row for row in COCO.classes if row.is_thing]
    images = [{"id": int(one.sample_id), "height": one.size[0], "width": one.size[1]} for one, _ in pairs]
    categories = [{"id": row.class_index + 1, "name": row.name} for row in things]
    truth_rows = [row for sample, _ in pairs for row in _rows(sample, sample.truth.frames[0])]  # type: ignore[union-attr, arg-type]
    found_rows = [row for sample, found in pairs for row in _rows(sample, found.frames[0])]  # type: ignore[arg-type]
    truth = {"images": images, "categories": categories, "annotations": _numbered(truth_rows)}
    return truth, _numbered(found_rows)


def _rows(sample: Sample, frame: Instances) -> list[dict[str, Any]]:
    return [
        {
            "image_id": int(sample.sample_id),
            "category_id": int(frame.class_index[row]) + 1,
            "segmentation": masks.to_json((frame.masks or ())[row]),
            "area": float(frame.area[row]),
            "iscrowd": int(frame.is_crowd[row]),
            "score": float(frame.score[row]),
        }
        for row in range(len(frame))
    ]


def _numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"id": number} for number, row in enumerate(rows, start=1)]


def _dense(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The boundary on the whole image, padded as the official code pads it."""
    steps = max(1, round(0.02 * math.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2)))
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1]
    return mask & (inner == 0)


@pytest.mark.parametrize("size", [(30, 40), (200, 150), (7, 300)])
def test_the_boundary_of_a_cut_out_is_that_of_the_whole_image(size: tuple[int, int]) -> None:
    dice = np.random.default_rng(size)
    rows, columns = np.ogrid[: size[0], : size[1]]
    for _ in range(20):
        (y, x), (high, wide) = dice.integers(0, size), dice.integers(1, max(size), 2)
        mask = (((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 <= 1) & (dice.random(size) < 0.98)
        assert np.array_equal(masks.decode(overlaps.boundary(masks.encode(mask))), _dense(mask))


def test_an_empty_mask_has_an_empty_boundary() -> None:
    assert masks.area(overlaps.boundary(masks.empty((10, 12)))) == 0
