"""What the doctor says of a data root: sound, broken in every way that `score` would notice, or nothing at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from damaged_files import ADE, CITY, INSTANCES, MAPS, cut, edit, remove, set_fields, shrink
from fuzz_subjects import TINY
from layout_scenes import write_root

from benchmark import catalog, doctor
from benchmark.__main__ import main
from benchmark.formats.listing import Listing
from benchmark.minidata import miniatures
from benchmark.problems import UsageError

ROWS = [row for row in catalog.BENCHMARKS.values() if miniatures.is_generated(row)]


def test_a_sound_root_is_sound(sound_root: Path) -> None:
    diagnosis = doctor.examine(sound_root, ROWS)
    assert diagnosis.is_sound and {one.row for one in diagnosis.findings} == {row.name for row in ROWS}
    assert all(one.num_samples == 3 and one.has_pictures for one in diagnosis.findings)


@pytest.mark.parametrize(
    ("row", "damage", "message"),
    [
        ("coco_instance_val2017", cut("coco/val2017/000000000002.jpg"), "000000000002.jpg: is truncated"),
        ("coco_instance_val2017", edit(INSTANCES, lambda doc: doc["images"].pop()), "List the image, or remove"),
        ("coco_panoptic_val2017", shrink(f"{MAPS}/000000000001.png"), "expected 72x96"),
        ("coco_panoptic_val2017", remove(f"{MAPS}/000000000001.png"), "missing"),
        ("coco_detection_val2017", edit(INSTANCES, set_fields(0, bbox="wide")), "bbox"),
        ("cityscapes_instance_val", cut(f"{CITY}_instanceIds.png"), "is truncated"),
        ("ade20k_semantic_val", cut(f"{ADE}/annotations/validation/ADE_val_00000001.png"), "is truncated"),
    ],
)  # fmt: skip
def test_damage_is_found_with_its_remedy(
    data_root: Path, row: str, damage: Callable[[Path], object], message: str
) -> None:
    damage(data_root)
    diagnosis = doctor.examine(data_root, ROWS)
    (finding,) = (one for one in diagnosis.findings if one.row == row)
    assert finding.state == "broken" and not diagnosis.is_sound
    assert any(message in str(problem) for problem in finding.problems), finding.problems
    assert all(problem.remedy for problem in finding.problems)


def test_missing_pictures_of_one_folder_are_told_in_one_line(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ALONE", 2)
    for path in (data_root / "coco" / "val2017").iterdir():
        path.unlink()
    (finding,) = doctor.examine(data_root, [catalog.get("coco_panoptic_val2017")]).findings
    assert len(finding.problems) == 1 and "3 times: the file is missing" in str(finding.problems[0])


def test_pictures_that_nobody_downloaded_are_no_problem(data_root: Path) -> None:
    shutil.rmtree(data_root / "coco" / "val2017")
    (finding,) = doctor.examine(data_root, [catalog.get("coco_panoptic_val2017")]).findings
    assert finding.state == "sound, no pictures"


def test_official_counts_are_expected_of_official_data(data_root: Path) -> None:
    (data_root / catalog.MINI_STAMP).unlink()
    (finding,) = doctor.examine(data_root, [catalog.get("coco_panoptic_val2017")]).findings
    assert finding.state == "broken" and "has 3 usable samples, expected 5,000" in str(finding.problems[0])


def test_training_rows_are_examined_too(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    found = {one.row for one in doctor.examine(root, [*ROWS, *catalog.TRAINING.values()]).findings}
    assert {"coco_panoptic_train2017", "ade20k_panoptic_train", "cityscapes_panoptic_train"} <= found


def test_each_picture_is_looked_at_once_a_data_set(sound_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    original = Listing.problems_of_files
    monkeypatch.setattr(doctor, "check_image", lambda path, size, decode: seen.append(path) or [])
    doctor.examine(sound_root, [row for row in ROWS if row.dataset == "coco"])
    assert len(seen) == 3 and Listing.problems_of_files is original


def test_what_is_half_there_is_said(data_root: Path) -> None:
    (data_root / INSTANCES).unlink()
    diagnosis = doctor.examine(data_root, ROWS)
    assert diagnosis.absent["coco_instance_val2017"].endswith("coco/annotations/instances_val2017.json")


def test_an_empty_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds none of the"):
        doctor.examine(tmp_path)
    with pytest.raises(UsageError, match="No folder at"):
        doctor.examine(tmp_path / "no")


def test_the_command_tells_by_its_exit_code(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    assert main(["doctor", str(data_root), "--out", str(out)]) == 0
    assert "coco_instance_val2017" in capsys.readouterr().out
    cut("coco/val2017/000000000002.jpg")(data_root)
    assert main(["doctor", str(data_root), "--out", str(out)]) == 1
    assert "000000000002.jpg" in capsys.readouterr().out
    assert any(one["problems"] for one in json.loads(out.read_text(encoding="utf-8"))["found"])
    (tmp_path / "empty").mkdir()
    assert main(["doctor", str(tmp_path / "empty")]) == 2


DATASETS = {row.dataset: row for row in [*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()]}


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_row_of_the_catalogue_is_recognised_and_sound(tmp_path: Path, dataset: str) -> None:
    family = [one for one in [*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()] if one.dataset == dataset]
    miniatures.write(tmp_path, family, TINY)
    (tmp_path / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
    diagnosis = doctor.examine(tmp_path, family)
    assert diagnosis.is_sound, [one.problems for one in diagnosis.findings if one.problems]
    assert {one.row for one in diagnosis.findings} == {one.name for one in family}
