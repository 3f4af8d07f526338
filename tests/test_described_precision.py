"""D3: AP over descriptions, by their length and by number of objects, as d-cube's script gets it from pycocotools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from official_tools import quiet
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark import catalog
from benchmark.contract import Scores, summarise
from benchmark.metrics.described_precision import LENGTHS, NUMBERS
from benchmark.problems import DataError

SENTENCES = {1: "a dog", 5: "a dog on a red mat", 9: "a dog that is not on a mat", 300: "no dog", 422: "x " * 11 + "y"}
NAME = "d3_detection_full"
NUM_IMAGES = 14


def documents() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Annotation file and results; up to six objects of a description in an image."""
    dice = np.random.default_rng(5)
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 100, "width": 100} for i in range(1, NUM_IMAGES + 1)]
    annotations: list[dict[str, Any]] = []
    found = []
    for image in images:
        for number in SENTENCES:
            for _ in range(int(dice.choice([0, 0, 1, 1, 2, 3, 4, 6]))):
                box = [*dice.integers(0, 60, 2).tolist(), *dice.integers(10, 40, 2).tolist()]
                owner = {"image_id": image["id"], "category_id": number}
                annotations.append({**owner, "id": len(annotations) + 1, "bbox": box, "area": box[2] * box[3]})
                found.append({**owner, "bbox": [box[0] + int(dice.integers(-4, 5)), *box[1:]], "score": dice.random()})
            noise = {"bbox": [*dice.integers(0, 60, 2).tolist(), 20, 20], "score": dice.random()}
            found.append({"image_id": image["id"], "category_id": number, **noise})
    for annotation in annotations:
        annotation["iscrowd"] = 0
    categories = [{"id": number, "name": text} for number, text in SENTENCES.items()]
    return {"images": images, "annotations": annotations, "categories": categories}, found


def ours(folder: Path, truth: dict[str, Any], found: list[dict[str, Any]]) -> Scores:
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
    row = catalog.get(NAME)
    samples = catalog.open_samples(row, None, truth=folder / "truth.json")
    predictions = catalog.read_predictions(row, folder / "found.json", samples)
    metric = catalog.build_metric(row)
    return summarise(metric, [metric.measure(sample, predictions[sample.sample_id]) for sample in samples])


def official(truth: dict[str, Any], found: list[dict[str, Any]]) -> tuple[list[float], dict[int, float]]:
    """The twelve numbers, and AP by description."""
    with quiet():
        known, results = COCO(), COCO()
        known.dataset = truth
        rows = [{**one, "id": place, "area": one["bbox"][2] * one["bbox"][3], "iscrowd": 0} for place, one in
                enumerate(found, start=1)]  # fmt: skip
        results.dataset = {**truth, "annotations": rows}
        for side in (known, results):
            side.createIndex()
        evaluation = COCOeval(known, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    by_category = {
        number: float(precision[:, :, place][precision[:, :, place] > -1].mean())
        for place, number in enumerate(sorted(SENTENCES))
        if (precision[:, :, place] > -1).any()
    }
    return [float("nan") if value == -1 else float(value) for value in evaluation.stats], by_category


@pytest.mark.parity
def test_all_numbers_equal_those_of_the_official_partitions(tmp_path: Path) -> None:
    truth, found = documents()
    values = ours(tmp_path, truth, found).values
    expected, by_category = official(truth, found)
    assert list(values.values())[:12] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    for name, (low, high) in LENGTHS.items():
        own = [ap for number, ap in by_category.items() if low <= len(SENTENCES[number].split(" ")) <= high]
        assert values[name] == pytest.approx(np.mean(own), abs=1e-12), name
    count = {(one["image_id"], one["category_id"]): 0 for one in truth["annotations"]}
    for one in truth["annotations"]:
        count[one["image_id"], one["category_id"]] += 1
    for name, (low, high) in NUMBERS.items():
        pairs = {pair for pair, number in count.items() if low <= number <= high}
        part = [one for one in truth["annotations"] if (one["image_id"], one["category_id"]) in pairs]
        results = [one for one in found if (one["image_id"], one["category_id"]) in pairs]
        own_truth = {**truth, "annotations": part}
        assert values[name] == pytest.approx(official(own_truth, results)[0][0], abs=1e-12), name


def test_truth_replayed_scores_one_and_nothing_zero(tmp_path: Path) -> None:
    truth, _ = documents()
    full = [
        {key: one[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0} for one in truth["annotations"]
    ]
    for found, value in ((full, 1.0), ([], 0.0)):
        values = ours(tmp_path, truth, found).values
        names = ("AP", *LENGTHS, *NUMBERS)
        assert [values[name] for name in names] == pytest.approx([value] * len(names))


def test_a_model_is_asked_the_sentences_and_other_descriptions_count_nowhere(tmp_path: Path) -> None:
    truth, found = documents()
    before = ours(tmp_path, truth, found)
    samples = catalog.open_samples(catalog.get(NAME), None, truth=tmp_path / "truth.json")
    asked = samples[0].prompt.labels
    assert asked is not None and len(asked) == 422
    assert {number: asked[number - 1] for number in SENTENCES} == SENTENCES and asked[1] == ""
    foreign = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], "score": 1.0}]
    after = ours(tmp_path, truth, found + foreign)
    assert after.values == pytest.approx(dict(before.values), nan_ok=True)


def test_categories_beyond_the_descriptions_are_refused(tmp_path: Path) -> None:
    truth, found = documents()
    truth["categories"].append({"id": 423, "name": "one more"})
    with pytest.raises(DataError, match="1 of its 6 categories have ids outside 1 to 422"):
        ours(tmp_path, truth, found)
