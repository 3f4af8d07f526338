"""Pictures that training and evaluation share: by official names within a source, by content between sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from layout_scenes import write_root

from benchmark import audit, catalog
from benchmark.__main__ import main
from benchmark.formats import refer
from benchmark.formats.json_files import read_json
from benchmark.problems import UsageError

CHOSEN = (
    "coco_panoptic_train2017",
    "coco_panoptic_val2017",
    "coco_instance_val2017",
    "ade20k_semantic_val",
    "cityscapes_semantic_val",
    "refcoco_referring_val",
    "refcoco_referring_testA",
)
ROWS = [catalog.get(name) for name in CHOSEN]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """COCO trains on 1, 2, 3 and validates on 2, 4, 5; RefCOCO asks for 1 and 3; ADE20K has the pictures of 1, 2, 3."""
    home = write_root(tmp_path)
    coco = home / "coco"
    for new, old in ((4, 1), (5, 3)):
        for folder, suffix in (("val2017", "jpg"), ("panoptic_semseg_val2017", "png"),
                               ("annotations/panoptic_val2017", "png")):  # fmt: skip
            (coco / folder / f"{old:012d}.{suffix}").rename(coco / folder / f"{new:012d}.{suffix}")
    for name in ("instances", "panoptic"):
        path = coco / "annotations" / f"{name}_val2017.json"
        text = path.read_text(encoding="utf-8")
        for new, old in ((4, 1), (5, 3)):
            text = text.replace(f'"image_id":{old},', f'"image_id":{new},').replace(f"{old:012d}", f"{new:012d}")
        document = json.loads(text)
        for image in document["images"]:
            image["id"] = int(image["file_name"].split(".")[0])
        path.write_text(json.dumps(document), encoding="utf-8")
    _write_refcoco(home)
    return home


def _write_refcoco(home: Path) -> None:
    document = read_json(home / "coco" / "annotations" / "instances_train2017.json")
    for image in document["images"]:
        image["file_name"] = f"COCO_train2014_{image['id']:012d}.jpg"
    first = {one["image_id"]: one["id"] for one in document["annotations"] if not one["iscrowd"]}
    references = [
        {"ref_id": number, "ann_id": first[number], "image_id": number, "split": split, "sentences": [
            {"sent_id": number, "sent": "it", "raw": "it", "tokens": ["it"]}]}
        for number, split in ((1, "val"), (3, "testA"))
    ]  # fmt: skip
    refer.write(home / "refcoco", "refs(unc).p", references, document)


def _found(root: Path) -> dict[tuple[str, str], audit.Shared]:
    return {(pair.training[0], pair.evaluation[0]): pair for pair in audit.examine(root, ROWS)}


def test_names_of_one_source_decide(root: Path) -> None:
    found = _found(root)
    pair = found["coco_panoptic_train2017", "coco_panoptic_val2017"]
    assert (pair.num_shared, pair.num_evaluation, pair.num_training, pair.how) == (1, 3, 3, "official names")
    assert pair.evaluation == ("coco_panoptic_val2017", "coco_instance_val2017")
    assert pair.examples[0].endswith("000000000002.jpg")


def test_refcoco_lies_in_the_training_pictures_of_coco(root: Path) -> None:
    found = _found(root)
    for name in ("refcoco_referring_val", "refcoco_referring_testA"):
        pair = found["coco_panoptic_train2017", name]
        assert (pair.num_shared, pair.num_evaluation, pair.how) == (1, 1, "official names")


def test_content_decides_between_sources(root: Path) -> None:
    found = _found(root)
    pair = found["coco_panoptic_train2017", "ade20k_semantic_val"]
    assert (pair.num_shared, pair.how) == (3, "content")
    assert found["coco_panoptic_train2017", "cityscapes_semantic_val"].num_shared == 0


def test_every_byte_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PART", 16)
    (path,) = root.rglob("ADE_val_00000002.jpg")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert _found(root)["coco_panoptic_train2017", "ade20k_semantic_val"].num_shared == 2


@pytest.mark.parametrize(
    ("row", "frame", "name"),
    [
        ("refcoco_referring_val", "train2014/COCO_train2014_000000581857.jpg", "581857"),
        ("coco_panoptic_train2017", "train2017/000000581857.jpg", "581857"),
        ("davis17_vos_val", "JPEGImages/480p/bike-packing/00000.jpg", "bike-packing"),
        ("mot17_mot_train", "MOT17/train/MOT17-02-FRCNN/img1/000001.jpg", "02"),
        ("lasot_sot_test", "airplane/airplane-1/img/00000001.jpg", "airplane-1"),
        ("bdd100k_semantic_val", "10k/val/7d2f7975-e0c1c5a7.jpg", "7d2f7975-e0c1c5a7"),
        ("bdd100k_mot_val", "track/val/b1c66a42-6f7d68ca/b1c66a42-6f7d68ca-0000001.jpg", "b1c66a42-6f7d68ca"),
    ],
)
def test_official_names(row: str, frame: str, name: str) -> None:
    assert audit.official_name(catalog.get(row), Path(frame)) == name


def test_a_root_without_training_data_is_refused(sound_root: Path) -> None:
    with pytest.raises(UsageError, match="holds no training split"):
        audit.examine(sound_root, ROWS)


def test_the_command_prints_a_table_and_writes_json(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "audit.json"
    assert main(["audit", str(root), "--out", str(out)]) == 0
    assert "refcoco_referring_val" in capsys.readouterr().out
    pairs = json.loads(out.read_text(encoding="utf-8"))
    assert any("refcoco_referring_val" in pair["evaluation"] and pair["num_shared"] == 1 for pair in pairs)
