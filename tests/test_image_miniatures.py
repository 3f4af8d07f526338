"""What miniatures of the detection families must hold: the difficulties of the official sets, and their relations."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from layout_scenes import same

from benchmark import catalog
from benchmark.contract import Instances, Truth
from benchmark.formats.image_files import read_grey
from benchmark.formats.open_images import encode_mask
from benchmark.masks import areas, encode
from benchmark.minidata import miniatures
from benchmark.minidata.pools import Pools

FEW = Pools(num_images={"train": 3, "val": 32})
ROWS = {**catalog.BENCHMARKS, **catalog.TRAINING}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    names = ("lvis", "openimages", "d3", "objects365")
    miniatures.write(folder, [row for row in ROWS.values() if row.dataset in names], FEW)
    (folder / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
    return folder


def _truths(root: Path, name: str) -> list[Truth]:
    return [sample.truth for sample in catalog.open_samples(ROWS[name], root, is_mini=True) if sample.truth]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["lvis_instance_v1_val", "lvis_instance_v05_val", "lvis_instance_v1_test_dev"])
def test_lvis_is_federated(root: Path, name: str) -> None:
    truths = _truths(root, name)
    assert any(truth.negative_labels for truth in truths)
    assert any(truth.not_exhaustive_labels for truth in truths)
    for truth in truths:
        (frame,) = truth.frames
        assert isinstance(frame, Instances)
        assert not set(truth.negative_labels) & set(frame.class_index.tolist())


def test_lvis_val_lies_in_both_folders_of_coco_and_holds_minival(root: Path) -> None:
    whole, part = (_json(root / f"lvis/{name}")["images"] for name in _lvis_files())
    assert {one["coco_url"].split("/")[-2] for one in whole} == {"train2017", "val2017"}
    assert {one["coco_url"].split("/")[-2] for one in part} == {"val2017"}
    assert {one["id"] for one in part} < {one["id"] for one in whole}


def _lvis_files() -> tuple[str, str]:
    return "lvis_v1_val.json", "lvis_v1_minival_inserted_image_name.json"


def test_objects365_marks_crowds_and_val_holds_minival(root: Path) -> None:
    home = root / "objects365/annotations"
    whole, part = (_json(home / name) for name in ("zhiyuan_objv2_val.json", "zhiyuan_objv2_val_new.json"))
    assert any(one["iscrowd"] for one in whole["annotations"])
    assert not any("segmentation" in one for one in whole["annotations"])
    assert {one["id"] for one in part["images"]} < {one["id"] for one in whole["images"]}


def test_descriptions_are_those_of_presence_and_those_of_absence(root: Path) -> None:
    files = {name: _json(root / f"d3/d3_json/d3_{name}_annotations.json") for name in ("full", "pres", "abs")}
    ids = {name: {one["id"] for one in document["categories"]} for name, document in files.items()}
    assert ids["pres"] | ids["abs"] == ids["full"] and not ids["pres"] & ids["abs"] and ids["abs"]
    assert all(document["images"] == files["full"]["images"] for document in files.values())
    described = {one["category_id"] for one in files["full"]["annotations"]}
    assert described < ids["full"], "some descriptions fit nothing"


def test_open_images_has_groups_verified_labels_boxes_without_masks_and_a_hierarchy(root: Path) -> None:
    truths = _truths(root, "openimages_instance_challenge2019_val")
    assert any(truth.group_of is not None and truth.group_of.any() for truth in truths)
    assert all(set(truth.negative_labels) <= set(truth.verified_labels) for truth in truths)
    assert any(truth.negative_labels for truth in truths)
    frames = [frame for truth in truths for frame in truth.frames if isinstance(frame, Instances) and len(frame)]
    sizes = [areas(frame.masks or ()) for frame in frames]
    assert any((size == 0).any() for size in sizes) and all(size.any() for size in sizes[:3])
    with (root / "openimages/challenge2019/challenge-2019-validation-segmentation-bbox.csv").open() as file:
        num_lines = len(list(csv.DictReader(file)))
    assert sum(map(len, frames)) > num_lines, "no box was copied to a class above"


def test_mask_pngs_read_as_the_prepared_file_of_encoded_masks(root: Path, tmp_path: Path) -> None:
    name = "openimages_instance_challenge2019_val"
    before = _truths(root, name)
    home = root / "openimages/challenge2019"
    for path in home.glob("*"):
        if path.is_file() and ("validation-segmentation" in path.name or "label300" in path.name):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    masks_file = tmp_path / "challenge-2019-validation-segmentation-masks.csv"
    groups = _groups(tmp_path / "challenge-2019-validation-segmentation-bbox.csv")
    with masks_file.open(encoding="utf-8") as file:
        lines = [_prepared(home / "challenge-2019-validation-masks", row, groups) for row in csv.DictReader(file)]
    header = "ImageID,LabelName,ImageWidth,ImageHeight,XMin,XMax,YMin,YMax,IsGroupOf,Mask"
    masks_file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    samples = catalog.open_samples(ROWS[name], root, truth=tmp_path, is_mini=True)
    after = {sample.sample_id: sample.truth for sample in samples}
    ids = [sample.sample_id for sample in catalog.open_samples(ROWS[name], root, is_mini=True)]
    assert after
    for sample_id, truth in zip(ids, before, strict=True):
        if sample_id in after:
            assert same(truth, after[sample_id])


def _groups(path: Path) -> dict[tuple[str, ...], str]:
    with path.open(encoding="utf-8") as file:
        return {
            (row["ImageID"], row["LabelName"], *(row[side] for side in ("XMin", "XMax", "YMin", "YMax"))): row[
                "IsGroupOf"
            ]
            for row in csv.DictReader(file)
        }


def _prepared(folder: Path, row: dict[str, str], groups: dict[tuple[str, ...], str]) -> str:
    mask = read_grey(folder / row["MaskPath"]) > 0
    sides = [row[f"Box{side}"] for side in ("XMin", "XMax", "YMin", "YMax")]
    group = groups[row["ImageID"], row["LabelName"], *sides]
    size = [str(mask.shape[1]), str(mask.shape[0])]
    return ",".join([row["ImageID"], row["LabelName"], *size, *sides, group, encode_mask(encode(mask))])
