"""Broken predictions: every problem is one line that names file, id and remedy, all at once, exit code 2."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from damaged_files import (
    CITY,
    CITY_TEXT,
    FOUND_COCO,
    Case,
    assert_refused,
    cut,
    edit,
    paint,
    paint_over,
    remove,
    score_found,
    set_segment,
    shrink,
)

FOUND_CASES: dict[str, Case] = {
    "score that is not a number": (
        "coco_instance_val2017", edit(FOUND_COCO, lambda rows: rows[1].update(score=float("nan"))),
        ["coco_instance_val2017.json: result 1: score nan is not a finite number"],
    ),
    "result of an unknown image": (
        "coco_instance_val2017", edit(FOUND_COCO, lambda rows: rows[0].update(image_id=77)),
        ["result 0: image_id 77 is not in this benchmark"],
    ),
    "result of an unknown category": (
        "ade20k_instance_val", edit("found/ade20k_instance_val.json", lambda rows: rows[0].update(category_id=0)),
        ["result 0: category_id 0 is not a thing of the label set"],
    ),
    "result without a mask": (
        "coco_instance_val2017", edit(FOUND_COCO, lambda rows: rows[0].pop("segmentation")),
        ["result 0: has no 'segmentation' in run lengths"],
    ),
    "result whose mask is broken": (
        "coco_instance_val2017",
        edit(FOUND_COCO, lambda rows: rows[0].update(segmentation={"size": [72, 96], "counts": "0"})),
        ["result 0: the mask is broken"],
    ),
    "result whose mask has another size": (
        "coco_instance_val2017",
        edit(FOUND_COCO, lambda r: r[0].update(segmentation={"size": [2, 2], "counts": [2, 2]})),
        ["1: prediction is 2x2 (height x width), the image is 72x96"],
    ),
    "results that are no list": (
        "coco_instance_val2017", lambda root: (root / FOUND_COCO).write_text("{}"),
        ["coco_instance_val2017.json: holds a dict, expected a list of results"],
    ),
    "results that are broken JSON": (
        "coco_instance_val2017", lambda root: (root / FOUND_COCO).write_text('[{"image_id": 1,'),
        ["coco_instance_val2017.json: broken JSON at line 1, column 17"],
    ),
    "predicted segment without pixels": (
        "coco_panoptic_val2017", paint_over("found/coco_panoptic_val2017/000000000001.png", 3, 1),
        ["000000000001.png: segment 3: is listed but has no pixels"],
    ),
    "predicted pixels without a segment": (
        "coco_panoptic_val2017", paint("found/coco_panoptic_val2017/000000000001.png", (200, 1, 0)),
        ["000000000001.png: segment 456: has pixels but is not listed"],
    ),
    "predicted segment 0": (
        "coco_panoptic_val2017", edit("found/coco_panoptic_val2017.json", set_segment(0, id=0)),
        ["image 1: a segment has the id 0. Use whole numbers from 1 to 16,777,215; 0 is void"],
    ),
    "missing predicted PNG": (
        "coco_panoptic_val2017", remove("found/coco_panoptic_val2017/000000000001.png"),
        ["000000000001.png is missing"],
    ),
    "predicted PNG of another size": (
        "coco_panoptic_val2017", shrink("found/coco_panoptic_val2017/000000000001.png"),
        ["1: prediction is 71x96 (height x width), the image is 72x96"],
    ),
    "predicted class outside the label set": (
        "ade20k_semantic_val",
        lambda root: shutil.copy(
            root / f"{CITY}_color.png", root / "found/ade20k_semantic_val/ADE_val_00000001.png"
        ),
        ["ADE_val_00000001.png: has 4 channels; expected one channel of numbers"],
    ),
    "truncated predicted label map": (
        "cityscapes_semantic_val", cut("found/cityscapes_semantic_val/minitown_000001_000019_pred.png"),
        ["minitown_000001_000019_pred.png: is truncated or damaged"],
    ),
    "two label maps for one image": (
        "cityscapes_semantic_val",
        lambda root: shutil.copy(
            root / "found/cityscapes_semantic_val/minitown_000001_000019_pred.png",
            root / "found/cityscapes_semantic_val/minitown_000001_000019_other.png",
        ),
        ["2 files fit image minitown_000001_000019"],
    ),
    "line without confidence": (
        "cityscapes_instance_val",
        lambda root: (root / CITY_TEXT).write_text("a.png 24\n"),
        ["minitown_000001_000019_pred.txt: line 1: has 2 fields, expected 3"],
    ),
    "line of an unknown label": (
        "cityscapes_instance_val",
        lambda root: (root / CITY_TEXT).write_text("a.png 99 1\n"),
        ["line 1: label '99' is outside the label set"],
    ),
    "line whose mask is outside the folder": (
        "cityscapes_instance_val",
        lambda root: (root / CITY_TEXT).write_text("../a.png 24 1"),
        ["line 1: mask ../a.png lies outside the folder"],
    ),
    "line whose mask is missing": (
        "cityscapes_instance_val", remove("found/cityscapes_instance_val/minitown_000001_000019_0.png"),
        ["minitown_000001_000019_0.png: the file is missing"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND_CASES)
def test_each_defect_is_one_line_and_exit_code_2(
    case: str, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(FOUND_CASES[case], data_root, capsys)


def test_all_problems_of_a_result_file_are_reported_at_once(
    data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = FOUND_COCO
    edit(path, lambda rows: rows[0].update(score=None, category_id=200))(data_root)
    edit(path, lambda rows: rows[1].update(image_id="x"))(data_root)
    edit(path, lambda rows: rows[2].update(segmentation={"size": [72, 96], "counts": [1]}))(data_root)
    code, errors = score_found(data_root, "coco_instance_val2017", capsys)
    assert code == 2
    assert [line.split(": ")[1] for line in errors] == ["result 0", "result 0", "result 1", "result 2"]
