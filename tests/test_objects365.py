"""Objects365: files are found where they lie, boxes score as COCO's do, crowds included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark import catalog
from benchmark.contract import summarise
from benchmark.problems import DataError

NAME = "objects365_detection_v2_val"
TRUTH = {
    "images": [{"id": 7, "file_name": "images/v2/patch16/objects365_v2_00908726.jpg", "height": 100, "width": 200}],
    "categories": [{"id": 1, "name": "Person"}, {"id": 365, "name": "Table Tennis "}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 365, "bbox": [100, 10, 80, 80], "area": 6400, "iscrowd": 1},
    ],
}
FOUND = [
    {"image_id": 7, "category_id": 365, "bbox": [110, 20, 20, 20], "score": 0.9},
    {"image_id": 7, "category_id": 1, "bbox": [10, 10, 40, 30], "score": 0.8},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "Objects365/annotations"
    folder.mkdir(parents=True)
    (folder / "zhiyuan_objv2_val.json").write_text(json.dumps(TRUTH), encoding="utf-8")
    (tmp_path / "found.json").write_text(json.dumps(FOUND), encoding="utf-8")
    return tmp_path


def test_boxes_score_as_coco_boxes_and_pictures_are_found_by_patch(root: Path) -> None:
    row = catalog.get(NAME)
    (root / "Objects365/val").mkdir()
    samples = catalog.open_samples(row, None, truth=root / "Objects365/annotations/zhiyuan_objv2_val.json")
    assert samples[0].frames[0] == root / "Objects365/val/patch16/objects365_v2_00908726.jpg"
    predictions = catalog.read_predictions(row, root / "found.json", samples)
    metric = catalog.build_metric(row)
    values = summarise(metric, [metric.measure(samples[0], predictions["7"])]).values
    # IoU 3/4 matches at six of ten thresholds; what lies in the crowd is excused.
    assert values["AP"] == pytest.approx(0.6) and values["AP75"] == pytest.approx(1.0)


def test_the_official_count_is_enforced_below_a_data_root(root: Path) -> None:
    with pytest.raises(DataError, match="has 1 usable images, expected 80,000"):
        catalog.open_samples(catalog.get(NAME), root)
