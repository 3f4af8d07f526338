"""The official sample files, scored through the command line, have exactly the scores that come with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from layout_scenes import replay

from benchmark import catalog, labels, metrics, scoring
from benchmark.__main__ import main
from benchmark.contract import PredictionSet, SampleSet, Task, summarise
from benchmark.formats import coco_instances, coco_results
from benchmark.prompts import build_prompt

EXACT = 1e-12
COCO_TWO = "image/panoptic_coco_two_images"
CITY = "image/cityscapes_format"


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 10)


def _score(folder: Path, name: str, predictions: Path, truth: Path, *options: str) -> dict[str, Any]:
    """The record of `python -m benchmark score`."""
    out = folder / "record.json"
    arguments = ["score", name, str(predictions), "--truth", str(truth), "--out", str(out)]
    assert main([*arguments, "--work-dir", str(folder / "work"), *options]) == 0
    record: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert record["benchmark"] == name and record["truth_is_official"] is False
    return record


def _expected(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _defined(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """The official tool writes -1 for what we leave undefined."""
    return {name: None if value == -1 else value for name, value in values.items()}


def test_coco_masks_of_a_hundred_images_score_as_published(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / "image/coco_val2014_fake100"
    truth, found = folder / "instances_val2014_100.json", folder / "instances_val2014_fakesegm100_results.json"
    record = _score(tmp_path, "coco_instance_val2017", found, truth)
    assert record["scores"] == pytest.approx(_expected(folder / "expected.json")["segm"], abs=EXACT)
    assert (record["num_expected"], record["num_scored"], record["missing"]) == (100, 100, [])


def test_boxes_beside_masks_are_left_out_and_reported(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / "image/coco_val2014_fake100"
    entries = _expected(folder / "instances_val2014_fakesegm100_results.json")
    entries[0]["bbox"] = [0.0, 0.0, 500.0, 500.0]
    (tmp_path / "found.json").write_text(json.dumps(entries), encoding="utf-8")
    truth = folder / "instances_val2014_100.json"
    record = _score(tmp_path, "coco_instance_val2017", tmp_path / "found.json", truth)
    assert record["notes"] == {coco_results.STRIPPED: 1}
    assert record["scores"] == pytest.approx(_expected(folder / "expected.json")["segm"], abs=EXACT)


@pytest.mark.parametrize(
    ("folder", "truth", "found", "key"),
    [
        ("coco_val2014_fake100", "instances_val2014_100.json", "instances_val2014_fakebbox100_results.json", "bbox"),
        ("coco_ignore_crowd", "gt.json", "dt_bbox_min_score_0.1.json", "dt_bbox_min_score_0.1"),
        ("coco_ignore_crowd", "gt.json", "dt_bbox_all.json", "dt_bbox_all"),
    ],
)
def test_coco_boxes_score_as_published(samples_dir: Path, folder: str, truth: str, found: str, key: str) -> None:
    place = samples_dir / "image" / folder
    label_set = labels.load("coco_panoptic")
    listing = coco_instances.read(place / truth, lambda name: place / name, label_set, needs_masks=False)
    assert not listing.problems
    samples = listing.samples(build_prompt(Task.INSTANCE, label_set))
    predictions, _ = coco_results.read_results(
        place / found, samples.ids, lambda _: coco_results.coco_numbering(samples.ids, label_set), needs_masks=False
    )
    scores = _summarise("coco_bbox_ap", samples, predictions)
    expected = _defined(_expected(place / "expected.json")[key])
    assert {name: None if value != value else value for name, value in scores.items()} == pytest.approx(
        expected, abs=EXACT
    )


def _summarise(metric_name: str, samples: SampleSet, predictions: PredictionSet) -> Mapping[str, float]:
    metric = metrics.build(metric_name, labels.load("coco_panoptic"))
    return summarise(metric, [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]).values


def test_coco_panoptic_derived_prediction_scores_as_computed_by_panopticapi(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / COCO_TWO
    record = _score(tmp_path, "coco_panoptic_val2017", folder / "pred_derived.json", folder / "panoptic_examples.json")
    expected = _expected(folder / "expected_derived.json")
    for group, suffix in (("All", ""), ("Things", "_th"), ("Stuff", "_st")):
        for name in ("PQ", "SQ", "RQ"):
            assert record["scores"][f"{name}{suffix}"] == pytest.approx(expected[group][name.lower()], abs=EXACT)


def test_coco_panoptic_derived_prediction_scores_exactly_per_category(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / COCO_TWO
    record = _score(tmp_path, "coco_panoptic_val2017", folder / "pred_derived.json", folder / "panoptic_examples.json")
    expected = _expected(folder / "expected_derived.json")["per_category"]
    label_set = labels.load("coco_panoptic")
    for row in label_set.classes:
        found = record["per_class"][row.name]
        if str(row.category_id) not in expected:
            assert found["PQ"] is None, row.name
            continue
        counts = expected[str(row.category_id)]
        weight = counts["tp"] + counts["fp"] / 2 + counts["fn"] / 2
        quality = counts["iou"] / counts["tp"] if counts["tp"] else 0.0
        assert (found["PQ"], found["RQ"], found["SQ"]) == pytest.approx(
            (counts["iou"] / weight, counts["tp"] / weight, quality), abs=EXACT
        ), row.name


@pytest.mark.parametrize(
    ("name", "ones"),
    [
        ("coco_panoptic_val2017", {"PQ", "SQ", "RQ", "PQ_th", "SQ_th", "RQ_th", "PQ_st", "SQ_st", "RQ_st"}),
        ("coco_instance_val2017", {"AP", "AP50", "AP75", "APs", "APm", "AR100", "ARs", "ARm"}),
        ("coco_semantic_val2017", {"mIoU", "pixel_accuracy", "mean_accuracy"}),
    ],
)
def test_coco_truth_replayed_scores_one(samples_dir: Path, tmp_path: Path, name: str, ones: set[str]) -> None:
    truth = samples_dir / COCO_TWO / "panoptic_examples.json"
    row = catalog.get(name)
    samples = catalog.open_samples(row, None, truth=truth)
    path = tmp_path / "found" if row.task is Task.SEMANTIC else tmp_path / "found.json"
    catalog.write_predictions(row, path, [(sample, replay(sample)) for sample in samples])
    record = _score(tmp_path, name, path, truth)
    assert {score for score, value in record["scores"].items() if value == 1.0} >= ones


def test_the_two_real_images_are_found_where_the_row_expects_them(samples_dir: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "coco/val2017"
    pictures.mkdir(parents=True)
    for picture in (samples_dir / COCO_TWO / "input_images").iterdir():
        (pictures / picture.name).symlink_to(picture)
    truth = samples_dir / COCO_TWO / "panoptic_examples.json"
    listing = catalog.verify(catalog.get("coco_panoptic_val2017"), tmp_path, truth=truth)
    assert [entry.sample_id for entry in listing.entries] == ["142238", "439180"]
    assert all(entry.frames[0].is_file() for entry in listing.entries)


def test_cityscapes_pixel_scores_equal_the_official_script(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / CITY
    record = _score(tmp_path, "cityscapes_semantic_val", folder / "pred_semantic", folder / "gtFine")
    expected = _expected(folder / "expected.json")["semantic"]
    means = ("averageScoreClasses", "averageScoreInstClasses", "averageScoreCategories", "averageScoreInstCategories")
    found = [record["scores"][name] for name in ("mIoU", "iIoU", "category_IoU", "category_iIoU")]
    assert found == pytest.approx([expected[name] for name in means], abs=EXACT)
    for name in labels.load("cityscapes").names:
        assert record["per_class"][name]["IoU"] == pytest.approx(expected["classScores"][name], abs=EXACT), name


@pytest.mark.parametrize("truth", ["gtFine", "gtFine/val", "."])
def test_cityscapes_instance_scores_equal_the_official_script(samples_dir: Path, tmp_path: Path, truth: str) -> None:
    folder = samples_dir / CITY
    record = _score(tmp_path, "cityscapes_instance_val", folder / "pred_instance", folder / truth)
    expected = _expected(folder / "expected.json")["instance"]
    assert record["scores"] == pytest.approx({"AP": expected["allAp"], "AP50": expected["allAp50"]}, abs=EXACT)
    for name, scores in expected["classes"].items():
        found = record["per_class"][name]
        assert (found["AP"], found["AP50"]) == pytest.approx((scores["ap"], scores["ap50"]), abs=EXACT), name


@pytest.mark.parametrize("truth", ["cityscapes_panoptic_val.json", "cityscapes_panoptic_val"])
@pytest.mark.parametrize("found", ["pred_panoptic.json", "pred_panoptic"])
def test_cityscapes_panoptic_scores_equal_panopticapi(
    samples_dir: Path, tmp_path: Path, truth: str, found: str
) -> None:
    folder = samples_dir / CITY
    record = _score(tmp_path, "cityscapes_panoptic_val", folder / found, folder / truth)
    expected = _expected(folder / "expected.json")["panoptic"]
    for group, suffix in (("All", ""), ("Things", "_th"), ("Stuff", "_st")):
        for name in ("PQ", "SQ", "RQ"):
            assert record["scores"][f"{name}{suffix}"] == pytest.approx(expected[group][name.lower()], abs=EXACT)
    label_set = labels.load("cityscapes")
    for category_id, scores in expected["per_class"].items():
        name = label_set.everything[label_set.index_of(int(category_id))].name
        # The official table says 0 for a class that does not occur and leaves it out of the means; ours says nothing.
        assert (record["per_class"][name]["PQ"] or 0.0) == pytest.approx(scores["pq"], abs=EXACT), name


def test_ade20k_sample_scores_as_the_official_script_states(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / "image/ade20k_scene_parsing"
    record = _score(tmp_path, "ade20k_semantic_val", folder / "predictions", folder / "annotations")
    expected = _expected(folder / "expected.json")
    assert record["protocol"] == "all"
    assert record["scores"]["mIoU"] == pytest.approx(expected["mean_iou_over_150"], abs=EXACT)
    assert record["scores"]["pixel_accuracy"] == expected["pixel_accuracy"]
    assert record["scores"]["final_score"] == pytest.approx(expected["final_score"], abs=EXACT)
    assert record["scores"]["mIoU_present"] == expected["mean_iou_over_present_classes"]
    assert record["counts"]["classes"] == expected["classes_present"]
    again = _score(
        tmp_path / "present", "ade20k_semantic_val", folder / "predictions", folder / "annotations",
        "--protocol", "present",
    )  # fmt: skip
    assert again["scores"]["mIoU"] == expected["mean_iou_over_present_classes"]
