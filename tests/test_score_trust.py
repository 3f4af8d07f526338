"""The trust layer at the command: warnings beside the number, diagnoses in the record, and refusals before either."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layout_scenes import NUM_IMAGES, write_root
from replay import replayed

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Scores
from benchmark.trust import lawful

ROW = "coco_instance_val2017"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_root(tmp_path / "root")


def results(root: Path, path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], row: str = ROW) -> Path:
    """The truth replayed as a result file whose entries are changed."""
    samples = catalog.open_samples(catalog.get(row), root, is_mini=True)
    catalog.write_predictions(catalog.get(row), path, ((one, replayed(one)) for one in samples))
    entries = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps([change(entry) for entry in entries]), encoding="utf-8")
    return path


def score(root: Path, path: Path, tmp_path: Path) -> int:
    return main(["score", ROW, str(path), "--data-root", str(root), "--work-dir", str(tmp_path / "work")])


def record(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "work" / ROW / "record.json").read_text(encoding="utf-8"))


def test_good_predictions_get_no_warning(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(root, results(root, tmp_path / "good.json", dict), tmp_path) == 0
    assert "warning" not in capsys.readouterr().err
    assert record(tmp_path)["diagnoses"] == []


def test_swapped_classes_are_named_with_both_numbers(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {1: 3, 3: 1}
    path = results(root, tmp_path / "bad.json", lambda one: one | {"category_id": table[one["category_id"]]})
    assert score(root, path, tmp_path) == 0
    shown = capsys.readouterr().err
    assert "warning: labels_permuted: classes carry each other's names" in shown
    assert "AP would be 1.000 instead of 0.000" in shown
    (kept,) = record(tmp_path)["diagnoses"]
    assert kept["name"] == "labels_permuted" and kept["remedy"] and kept["cause"] and kept["evidence"]


def test_silence_is_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.json"
    path.write_text("[]", encoding="utf-8")
    assert score(root, path, tmp_path) == 0
    assert f"warning: predictions_empty: no prediction holds an object or a class (none of {NUM_IMAGES} samples" in (
        capsys.readouterr().err
    )


def test_results_of_another_split_are_told_where_they_belong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_root(tmp_path / "root", ("train", "val"))
    folder = root / "coco" / "annotations"
    for path in folder.glob("*train2017.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        for image in content["images"]:
            image["id"] += 500
        for annotation in content["annotations"]:
            annotation["image_id"] += 500
        path.write_text(json.dumps(content), encoding="utf-8")
    path = results(root, tmp_path / "train.json", lambda one: one | {"image_id": one["image_id"] + 500})
    assert score(root, path, tmp_path) == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert f"{NUM_IMAGES} of the predicted samples belong to coco_instance_train2017" in first
    assert f"Score them with 'python -m benchmark score coco_instance_train2017 {path}'" in first
    assert any("is not in this benchmark" in line for line in rest)
    assert not (tmp_path / "work" / ROW / "record.json").exists()


def test_a_broken_law_ends_the_command_without_a_number(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(metric: str, scores: Scores, stats: Any) -> list[str]:
        return ["AP <= AP50 (AP = 0.5, AP50 = 0.4)"]

    monkeypatch.setattr(lawful, "breaches", wrong)
    assert score(root, results(root, tmp_path / "good.json", dict), tmp_path) == 2
    shown = capsys.readouterr()
    assert "broke 1 of its own laws, so no number is printed: AP <= AP50 (AP = 0.5, AP50 = 0.4)" in shown.err
    assert "AP50" not in shown.out
    assert not (tmp_path / "work" / ROW / "record.json").exists()


def test_the_record_of_a_library_call_holds_the_diagnoses_too(root: Path, tmp_path: Path) -> None:
    request = scoring.Request(
        row=catalog.get(ROW), predictions=results(root, tmp_path / "good.json", dict), root=root, resamples=0
    )
    assert scoring.score(request).record["diagnoses"] == []
