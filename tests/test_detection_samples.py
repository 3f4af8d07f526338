"""Official samples of boxes and federated instances, scored through the command line, score as they state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmark import catalog, scoring
from benchmark.__main__ import main

EXACT = 1e-12
FAKE = "coco_val2014_fake100"
CROWD = "coco_ignore_crowd"


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 2)


def score(folder: Path, name: str, predictions: Path, truth: Path, *options: str) -> dict[str, Any]:
    """The record of `python -m benchmark score`."""
    folder.mkdir(exist_ok=True)
    out = folder / "record.json"
    arguments = ["score", name, str(predictions), "--truth", str(truth), "--out", str(out)]
    assert main([*arguments, "--work-dir", str(folder / "work"), *options]) == 0
    record: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return record


def expected_scores(path: Path, key: str) -> Mapping[str, float | None]:
    """What comes with a sample; the official tools write -1 for what we leave undefined."""
    values = json.loads(path.read_text(encoding="utf-8"))[key]
    return {name: None if value == -1 else value for name, value in values.items()}


@pytest.mark.parametrize(
    ("folder", "truth", "found", "key"),
    [
        (FAKE, "instances_val2014_100.json", "instances_val2014_fakebbox100_results.json", "bbox"),
        (CROWD, "gt.json", "dt_bbox_min_score_0.1.json", "dt_bbox_min_score_0.1"),
        (CROWD, "gt.json", "dt_bbox_all.json", "dt_bbox_all"),
    ],
)
def test_coco_boxes_score_as_published(
    samples_dir: Path, tmp_path: Path, folder: str, truth: str, found: str, key: str
) -> None:
    place = samples_dir / "image" / folder
    record = score(tmp_path, "coco_detection_val2017", place / found, place / truth)
    assert record["scores"] == pytest.approx(expected_scores(place / "expected.json", key), abs=EXACT)


@pytest.mark.parametrize(("kind", "name"), [("segm", "lvis_instance_v05_val"), ("bbox", "lvis_detection_v05_val")])
def test_lvis_scores_equal_the_official_tool(samples_dir: Path, tmp_path: Path, kind: str, name: str) -> None:
    place = samples_dir / "image/lvis_val_100"
    record = score(tmp_path, name, place / "results_derived.json", place / "lvis_val_100.json")
    assert record["scores"] == pytest.approx(expected_scores(place / "expected.json", kind), abs=EXACT)
    assert (record["num_scored"], record["protocol"]) == (100, "lvis")


BDD_SCORES = {"PQ": "PQ", "PQ_th": "PQ/THING", "PQ_st": "PQ/STUFF", "SQ": "SQ", "RQ": "RQ", "RQ_th": "RQ/THING"}


@pytest.mark.parametrize(
    ("truth", "key"), [("gt", "gt_vs_pred"), ("gt_with_extra_image", "gt_with_extra_image_vs_pred")]
)
def test_bdd100k_maps_score_as_the_toolkit_asserts(samples_dir: Path, tmp_path: Path, truth: str, key: str) -> None:
    for task, names in (
        ("semantic", {name: name for name in ("mIoU", "mAcc", "fIoU", "pAcc")}),
        ("panoptic", BDD_SCORES),
    ):
        place = samples_dir / f"image/bdd100k_{task}"
        record = score(tmp_path / task, f"bdd100k_{task}_val", place / "pred", place / truth)
        expected = json.loads((place / "expected.json").read_text(encoding="utf-8"))[key]
        for ours, theirs in names.items():
            assert record["scores"][ours] == pytest.approx(expected[theirs] / 100, abs=EXACT), (task, ours)
        assert record["missing"] == [] and len(record["notes"]) == (key != "gt_vs_pred")


def test_bdd100k_panoptic_counts_of_one_image(samples_dir: Path) -> None:
    place = samples_dir / "image/bdd100k_panoptic"
    row = catalog.get("bdd100k_panoptic_val")
    samples = catalog.open_samples(row, None, truth=place / "gt")
    predictions = catalog.read_predictions(row, place / "pred", samples)
    stats = catalog.build_metric(row).measure(samples[0], predictions[samples.ids[0]]).arrays
    expected = json.loads((place / "expected.json").read_text(encoding="utf-8"))
    for category, hits, falses, misses, total in expected["image_a_per_category_id_tp_fp_fn_sumiou"]:
        own = row.label_set.index_of(category)
        found = [int((stats[f"{name}_class"] == own).sum()) for name in ("hit", "false", "missed")]
        assert found == [hits, falses, misses], category
        rows = stats["hit_class"] == own
        assert (stats["hit_intersection"][rows] / stats["hit_union"][rows]).sum() == pytest.approx(total, abs=EXACT)
