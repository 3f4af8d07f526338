"""Broken data sets: every problem is one line that names file, id and remedy, all at once, exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from damaged_files import (
    ADE,
    CITY,
    INSTANCES,
    MAPS,
    PANOPTIC,
    Case,
    assert_refused,
    cut,
    edit,
    paint,
    paint_over,
    remove,
    score_found,
    set_fields,
    set_segment,
    shrink,
)

from benchmark import catalog
from benchmark.formats.coco_instances import CLIPPED
from benchmark.problems import DataError

OUTSIDE = [[100.0, 100.0, 110.0, 100.0, 110.0, 110.0]]

TRUTH_CASES: dict[str, Case] = {
    "truncated panoptic PNG": (
        "coco_panoptic_val2017", cut(f"{MAPS}/000000000001.png"), ["000000000001.png: is truncated or damaged"],
    ),
    "missing panoptic PNG": (
        "coco_panoptic_val2017", remove(f"{MAPS}/000000000002.png"), ["000000000002.png: the file is missing"],
    ),
    "missing image": (
        "coco_panoptic_val2017", remove("coco/val2017/000000000003.jpg"), ["000000000003.jpg: the file is missing"],
    ),
    "truncated image": (
        "coco_instance_val2017", cut("coco/val2017/000000000003.jpg"), ["000000000003.jpg: is truncated or damaged"],
    ),
    "category outside the label set": (
        "coco_instance_val2017", edit(INSTANCES, set_fields(0, category_id=12)),
        ["instances_val2017.json: annotation 1: category_id 12 is not a thing"],
    ),
    "two annotations with one id": (
        "coco_instance_val2017", edit(INSTANCES, set_fields(1, id=1)),
        ["annotation 1: the id is used by two annotations"],
    ),
    "annotation id 0": (
        "coco_instance_val2017", edit(INSTANCES, set_fields(0, id=0)),
        ["annotation 0: id 0 is not a whole number other"],
    ),
    "polygon wholly outside the image": (
        "coco_instance_val2017", edit(INSTANCES, set_fields(0, segmentation=OUTSIDE)),
        ["annotation 1: a polygon (x 100 to 110, y 100 to 110) lies wholly outside image 1 (72x96"],
    ),
    "run lengths of another size": (
        "coco_instance_val2017",
        edit(INSTANCES, set_fields(0, segmentation={"size": [4, 4], "counts": [8, 8]})),
        ["annotation 1: the mask is 4x4, the image is 72x96"],
    ),
    "annotation of an unlisted image": (
        "coco_instance_val2017", edit(INSTANCES, set_fields(0, image_id=77)),
        ["annotation 1: image_id 77 is not in 'images'"],
    ),
    "annotation without a mask": (
        "coco_instance_val2017", edit(INSTANCES, set_fields(0, segmentation=None)),
        ["annotation 1: segmentation is neither run lengths nor a list of polygons"],
    ),
    "wrong image size in the list": (
        "coco_panoptic_val2017", edit(PANOPTIC, lambda document: document["images"][0].update(height=73)),
        ["000000000001.jpg: is 72x96 (height x width), expected 73x96", "000000000001.png: is 72x96"],
    ),
    "two images with one id": (
        "coco_panoptic_val2017", edit(PANOPTIC, lambda document: document["images"][1].update(id=1)),
        ["image 1: the id is used by two images", "image 2: is not in 'images'"],
    ),
    "panoptic segment without pixels": (
        "coco_panoptic_val2017", paint_over(f"{MAPS}/000000000001.png", 3, 1),
        ["000000000001.png: segment 3: is listed but has no pixels"],
    ),
    "panoptic category outside the label set": (
        "coco_panoptic_val2017", edit(PANOPTIC, set_segment(2, category_id=999)),
        ["image 1, segment 3: category_id 999 is outside the label set"],
    ),
    "two panoptic segments with one id": (
        "coco_panoptic_val2017", edit(PANOPTIC, set_segment(2, id=1)), ["image 1, segment 1: is listed twice"],
    ),
    "image without annotation": (
        "coco_panoptic_val2017", edit(PANOPTIC, lambda document: document["annotations"].pop()),
        ["image 3: has no annotation"],
    ),
    "image annotated twice": (
        "coco_panoptic_val2017",
        edit(PANOPTIC, lambda document: document["annotations"].append(document["annotations"][0])),
        ["image 1: has two annotations"],
    ),
    "panoptic PNG of another size": (
        "coco_panoptic_val2017", shrink(f"{MAPS}/000000000001.png"), ["is 71x96 (height x width), expected 72x96"],
    ),
    "broken JSON": (
        "coco_panoptic_val2017", lambda root: (root / PANOPTIC).write_text('{"images": [1,\n2'),
        ["panoptic_val2017.json: broken JSON at line 2, column 2"],
    ),
    "truncated label map": (
        "cityscapes_semantic_val", cut(f"{CITY}_labelIds.png"), ["labelIds.png: is truncated or damaged"],
    ),
    "missing instance map": (
        "cityscapes_semantic_val", remove(f"{CITY}_instanceIds.png"), ["instanceIds.png: the file is missing"],
    ),
    "label map of colours": (
        "ade20k_semantic_val", paint(f"{ADE}/annotations_instance/validation/ADE_val_00000001.png", (101, 1, 0)), [],
    ),
    "instance class outside the label set": (
        "ade20k_instance_val", paint(f"{ADE}/annotations_instance/validation/ADE_val_00000001.png", (101, 9, 0)),
        ["ADE_val_00000001.png: object 9: its class 101 (red channel) is outside the label set"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TRUTH_CASES)
def test_each_defect_is_one_line_and_exit_code_2(
    case: str, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(TRUTH_CASES[case], data_root, capsys)


@pytest.mark.parametrize("case", TRUTH_CASES)
def test_each_defect_of_the_data_stops_an_evaluation(case: str, data_root: Path) -> None:
    name, damage, messages = TRUTH_CASES[case]
    damage(data_root)
    if not messages:
        assert catalog.verify(catalog.get(name), data_root, is_mini=True)
        return
    with pytest.raises(DataError) as caught:
        catalog.verify(catalog.get(name), data_root, is_mini=True)
    assert all(message in str(caught.value) for message in messages)


def test_all_problems_of_all_files_are_reported_at_once(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(INSTANCES, set_fields(3, category_id=12))(data_root)
    edit(INSTANCES, set_fields(5, id=1))(data_root)
    edit(INSTANCES, set_fields(6, segmentation=OUTSIDE))(data_root)
    cut("coco/val2017/000000000003.jpg")(data_root)
    remove("coco/val2017/000000000002.jpg")(data_root)
    code, errors = score_found(data_root, "coco_instance_val2017", capsys)
    assert code == 2 and len(errors) == 5
    for part in ("annotation 4: category_id 12", "annotation 1: the id is used", "annotation 7: a polygon",
                 "000000000003.jpg: is truncated", "000000000002.jpg: the file is missing"):  # fmt: skip
        assert sum(part in line for line in errors) == 1, (part, errors)


def test_a_polygon_that_overshoots_is_clipped_and_counted(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spill = [[-3.0, 4.0, 7.0, 4.0, 7.0, 14.0, -3.0, 14.0]]
    edit(INSTANCES, set_fields(0, segmentation=spill))(data_root)
    listing = catalog.verify(catalog.get("coco_instance_val2017"), data_root, is_mini=True)
    assert listing.notes == {CLIPPED: 1}
    code, _ = score_found(data_root, "coco_instance_val2017", capsys)
    assert code == 0
    record = json.loads((data_root.parent / "out.json").read_text(encoding="utf-8"))
    assert record["notes"] == {CLIPPED: 1}
