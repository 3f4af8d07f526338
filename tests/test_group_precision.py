"""Open Images AP: equal to the official evaluator on drawn files, the published toy case, rules by hand, and laws."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import open_images_files as files
import pytest
from layout_scenes import same
from scene_views import toy_labels

from benchmark import catalog, labels, scoring
from benchmark.__main__ import main
from benchmark.contract import (
    Prediction,
    Prompt,
    Sample,
    Scores,
    Task,
    Truth,
    make_instances,
    summarise,
)
from benchmark.formats import open_images, open_images_results
from benchmark.metrics.group_precision import OpenImagesAP
from benchmark.problems import BenchmarkError, DataError

GOLDEN = Path(__file__).parent / "golden/open_images/expected.json"
LABELS = labels.load("openimages_challenge")
SEGMENTABLE = labels.load("openimages_challenge_segmentable")
EXACT = 1e-12
METRICS = {
    "challenge": OpenImagesAP(labels=LABELS),
    "v2": OpenImagesAP(labels=LABELS, group_weight=0.0),
    "half": OpenImagesAP(labels=LABELS, group_weight=0.5),
    "masks": OpenImagesAP(labels=SEGMENTABLE, has_masks=True),
}
DETECTION, INSTANCE = "openimages_detection_challenge2019_val", "openimages_instance_challenge2019_val"
Pairs = list[tuple[Sample, Prediction]]


@cache
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def read_pairs(folder: Path, kind: str) -> Pairs:
    """Samples and predictions of the files in a folder."""
    row = catalog.get(INSTANCE if kind == "masks" else DETECTION)
    samples = catalog.open_samples(row, None, truth=folder)
    found = catalog.read_predictions(
        row, folder / (files.FOUND_MASKS if kind == "masks" else files.FOUND_BOXES), samples
    )
    return [(sample, found[sample.sample_id]) for sample in samples]


def scores_of(metric: OpenImagesAP, pairs: Pairs) -> Scores:
    return summarise(metric, [metric.measure(*pair) for pair in pairs])


@pytest.mark.parity
@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("case", files.CASES)
def test_scores_equal_the_official_evaluator(tmp_path: Path, case: str, kind: str) -> None:
    files.write(tmp_path, files.CASES[case])
    scores = scores_of(METRICS[kind], read_pairs(tmp_path, kind))
    expected = dict(golden()[case][kind])
    assert scores.values["mAP"] == pytest.approx(expected.pop("mAP@0.5IOU"), abs=EXACT)
    names = {row.code: row.name for row in METRICS[kind].labels.classes}
    for code in files.codes():
        found = scores.per_class[names[code]]["AP50"]
        wanted = expected[code.rsplit("/", 1)[1]]
        assert found == pytest.approx(float("nan") if wanted is None else wanted, abs=EXACT, nan_ok=True), code


@pytest.mark.parametrize(("name", "found"), [(DETECTION, files.FOUND_BOXES), (INSTANCE, files.FOUND_MASKS)])
def test_the_command_scores_a_folder_of_official_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, found: str
) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 5)
    files.write(tmp_path, files.CASES["typical"])
    out = tmp_path / "record.json"
    arguments = ["score", name, str(tmp_path / found), "--truth", str(tmp_path), "--out", str(out)]
    assert main([*arguments, "--work-dir", str(tmp_path / "work")]) == 0
    kind = "masks" if name == INSTANCE else "challenge"
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["scores"]["mAP"] == pytest.approx(golden()["typical"][kind]["mAP@0.5IOU"], abs=EXACT)


def test_the_published_toy_case_scores_as_stated(samples_dir: Path) -> None:
    case = json.loads((samples_dir / "image/openimages_challenge_detection/case.json").read_text(encoding="utf-8"))
    toys = toy_labels([one["name"] for one in case["categories"]], [])
    metric = OpenImagesAP(labels=toys, group_weight=case["group_of_weight"])
    pairs = [
        _toy_pair(name, truth, case["detections"].get(name, {"boxes": [], "classes": [], "scores": []}))
        for name, truth in case["images"].items()
    ]
    scores = scores_of(metric, pairs)
    assert scores.values["mAP"] == pytest.approx(case["expected"]["mAP"], abs=1e-9)
    for name, value in case["expected"]["AP_at_0_5"].items():
        assert scores.per_class[name]["AP50"] == pytest.approx(value, abs=1e-9)


def _toy_pair(name: str, truth: dict[str, Any], found: dict[str, Any]) -> tuple[Sample, Prediction]:
    def objects(side: dict[str, Any], **fields: Any) -> Any:
        boxes = np.array(side["boxes"], np.float64).reshape(-1, 4)[:, [1, 0, 3, 2]]
        classes = [number - 1 for number in side["classes"]]
        return make_instances(class_index=classes, boxes=boxes, box_format="xyxy_norm", **fields)

    known = Truth(
        frames=(objects(truth),),
        group_of=np.array(truth.get("group_of", [0] * len(truth["classes"])), bool),
        verified_labels=tuple(number - 1 for number in truth.get("verified", [])),
    )
    sample = Sample(sample_id=name, frames=(), size=(1, 1), prompt=Prompt(task=Task.DETECTION), truth=known)
    return sample, Prediction(frames=(objects(found, score=np.array(found["scores"], np.float64)),))


@pytest.mark.parametrize("kind", METRICS)
def test_order_changes_no_bit_and_a_sample_that_counts_twice_is_written_twice(tmp_path: Path, kind: str) -> None:
    files.write(tmp_path, files.CASES["groups"])
    metric, pairs = METRICS[kind], read_pairs(tmp_path, kind)
    stats = [metric.measure(*pair) for pair in pairs]
    assert _bits(summarise(metric, stats[::-1])) == _bits(summarise(metric, stats))
    weights = np.random.default_rng(0).integers(0, 3, len(pairs))
    copies = [
        replace(one, sample_id=f"{one.sample_id}{copy}")
        for one, weight in zip(stats, weights, strict=True)
        for copy in range(weight)
    ]
    assert _bits(metric.pool(stats)(weights)) == _bits(summarise(metric, copies))


def _bits(scores: Scores) -> bytes:
    values = [*scores.values.values(), *(row["AP50"] for row in scores.per_class.values()), *scores.counts.values()]
    return np.array(values, np.float64).tobytes()


@pytest.mark.parametrize("kind", ["challenge", "v2", "masks"])
def test_truth_replayed_scores_one_and_nothing_scores_zero(tmp_path: Path, kind: str) -> None:
    files.write(tmp_path, files.CASES["typical"])
    pairs = read_pairs(tmp_path, kind)
    full = [(sample, _without_empty_masks(sample)) for sample, _ in pairs]
    empty = make_instances(class_index=[], masks=[] if kind == "masks" else None, box_format="xyxy_norm")
    assert scores_of(METRICS[kind], full).values["mAP"] == pytest.approx(1.0)
    assert scores_of(METRICS[kind], [(sample, Prediction(frames=(empty,))) for sample, _ in pairs]).values["mAP"] == 0.0


def _without_empty_masks(sample: Sample) -> Prediction:
    """The truth of one image; what has no mask has no place among results of masks."""
    assert sample.truth is not None
    return Prediction(frames=sample.truth.frames)


@pytest.mark.parametrize("kind", ["challenge", "masks"])
def test_written_results_are_read_back_to_the_bit(tmp_path: Path, kind: str) -> None:
    files.write(tmp_path, files.CASES["typical"])
    pairs = read_pairs(tmp_path, kind)
    row = catalog.get(INSTANCE if kind == "masks" else DETECTION)
    catalog.write_predictions(row, tmp_path / "again.csv", pairs)
    again, notes = open_images_results.read(
        tmp_path / "again.csv", [sample.sample_id for sample, _ in pairs], row.label_set, needs_masks=kind == "masks"
    )
    assert all(same(again[sample.sample_id], prediction) for sample, prediction in pairs) and not notes


def test_the_contests_form_of_a_line_an_image_is_the_same(tmp_path: Path) -> None:
    files.write(tmp_path, files.CASES["typical"])
    for name, columns, kind in (
        (files.FOUND_BOXES, "ImageId,PredictionString", "challenge"),
        (files.FOUND_MASKS, "ImageID,ImageWidth,ImageHeight,PredictionString", "masks"),
    ):
        before = scores_of(METRICS[kind], read_pairs(tmp_path, kind)).values
        header, *lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        by_image: dict[str, list[str]] = {}
        for line in lines:
            row = dict(zip(header.split(","), line.split(","), strict=True))
            words = [row["LabelName"], row["Score"]]
            words += [row["Mask"]] if kind == "masks" else [row[side] for side in ("XMin", "YMin", "XMax", "YMax")]
            by_image.setdefault(row["ImageID"], []).append(" ".join(words))
        size = f",{files.SIZE[1]},{files.SIZE[0]}" if kind == "masks" else ""
        text = "".join(f"{image}{size},{' '.join(words)}\n" for image, words in by_image.items())
        (tmp_path / name).write_text(f"{columns}\n{text}", encoding="utf-8")
        assert scores_of(METRICS[kind], read_pairs(tmp_path, kind)).values == before


def test_files_that_were_expanded_before_are_read_without_the_hierarchy(tmp_path: Path) -> None:
    files.write(tmp_path, files.CASES["typical"])
    row = catalog.get(DETECTION)
    expanded = catalog.open_samples(row, None, truth=tmp_path)
    (tmp_path / files.BOXES).rename(tmp_path / "x-bbox_expanded.csv")
    (tmp_path / files.HIERARCHY).unlink()
    plain = catalog.open_samples(row, None, truth=tmp_path)
    count = [sum(len(one.truth.frames[0]) for one in samples) for samples in (plain, expanded)]  # type: ignore[arg-type, union-attr]
    assert count[0] < count[1]


def _line(name: str, number: int, text: str) -> Callable[[Path], object]:
    """Replace one line of a file."""

    def damage(folder: Path) -> None:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        lines[number] = text
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    return damage


CODE = files.codes()[0]
DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "unknown class": (DETECTION, _line(files.BOXES, 1, "a,/m/none,1,0,1,0,1,0"), "line 2: LabelName '/m/none' is not"),
    "no number": (DETECTION, _line(files.BOXES, 1, f"a,{CODE},1,0,x,0,1,0"), "line 2: box 0,x,0,1 is not four numbers"),
    "no flag": (DETECTION, _line(files.BOXES, 1, f"a,{CODE},1,0,1,0,1,2"), "line 2: IsGroupOf '2' is neither 0 nor 1"),
    "cut line": (DETECTION, _line(files.BOXES, 2, f"a,{CODE}"), "line 3: has 2 fields, the header has 8"),
    "no column": (DETECTION, _line(files.BOXES, 0, "ImageID,Label"), "lacks the column LabelName and the column XMin"),
    "machine label": (DETECTION, _line(files.LABELS, 1, f"a,m,{CODE},0.7"), "line 2: Confidence '0.7' is neither 1"),
    "no hierarchy": (DETECTION, lambda folder: (folder / files.HIERARCHY).unlink(), "holds no *hierarchy*.json"),
    "bad hierarchy": (
        DETECTION,
        lambda folder: (folder / files.HIERARCHY).write_text('{"Subcategory": [3]}', encoding="utf-8"),
        "is no hierarchy of classes",
    ),
    "no labels": (DETECTION, lambda folder: (folder / files.LABELS).unlink(), "holds no *imagelabels*.csv"),
    "no masks": (INSTANCE, lambda folder: (folder / files.MASKS).unlink(), "holds no *masks*.csv"),
    "broken mask": (
        INSTANCE,
        _line(files.MASKS, 1, f"0000aa,{CODE},40,30,0,1,0,1,0,!!"),
        "a mask is broken: it is not base64 of zlib data",
    ),
    "result of no class": (DETECTION, _line(files.FOUND_BOXES, 1, "0000aa,x,0.1,0,1,0,1"), "line 2: label 'x' is not"),
    "result without score": (
        DETECTION, _line(files.FOUND_BOXES, 1, f"0000aa,{CODE},nan,0,1,0,1"), "should be a score and coordinates",
    ),
    "broken result mask": (
        INSTANCE, _line(files.FOUND_MASKS, 1, f"0000aa,40,30,{CODE},0.1,eJw="), "line 2: the mask is broken",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGES)
def test_broken_files_are_one_line_that_says_where(tmp_path: Path, case: str) -> None:
    files.write(tmp_path, files.CASES["typical"])
    name, damage, expected = DAMAGES[case]
    damage(tmp_path)
    with pytest.raises(DataError) as caught:
        row = catalog.get(name)
        samples = catalog.open_samples(row, None, truth=tmp_path)
        found = files.FOUND_MASKS if name == INSTANCE else files.FOUND_BOXES
        predictions = catalog.read_predictions(row, tmp_path / found, samples)
        assert [(sample, predictions[sample.sample_id]) for sample in samples]
    lines = str(caught.value).splitlines()
    assert any(expected in line for line in lines) and "Traceback" not in str(caught.value)


def test_results_of_another_split_are_refused_and_of_some_other_images_counted(tmp_path: Path) -> None:
    files.write(tmp_path, files.CASES["typical"])
    row = catalog.get(DETECTION)
    samples = catalog.open_samples(row, None, truth=tmp_path)
    _line(files.FOUND_BOXES, 1, f"elsewhere,{CODE},0.1,0,1,0,1")(tmp_path)
    _, notes = catalog.read_predictions_with_notes(row, tmp_path / files.FOUND_BOXES, samples)
    assert notes == {open_images_results.ELSEWHERE: 1}
    header = (tmp_path / files.FOUND_BOXES).read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "other.csv").write_text(f"{header}\nelsewhere,{CODE},0.1,0,1,0,1\n", encoding="utf-8")
    with pytest.raises(DataError, match="none of the 1 result is of an image of the truth"):
        catalog.read_predictions(row, tmp_path / "other.csv", samples)


def test_masks_of_another_size_are_refused_by_image(tmp_path: Path) -> None:
    files.write(tmp_path, files.CASES["typical"])
    (sample, prediction), *_ = read_pairs(tmp_path, "masks")
    small = files.masks.empty((3, 4))
    frame = replace(prediction.frames[0], masks=(small,) * len(prediction.frames[0].class_index))  # type: ignore[type-var, union-attr]
    with pytest.raises(BenchmarkError, match=rf"^{sample.sample_id}: masks are 3x4 and 30x40"):
        METRICS["masks"].measure(sample, Prediction(frames=(frame,)))


@pytest.mark.parametrize("label", [{"a": 1}, ["a"], 3])
def test_a_hierarchy_of_odd_labels_is_refused(tmp_path: Path, label: object) -> None:
    path = tmp_path / "hierarchy.json"
    path.write_text(json.dumps({"LabelName": "/m/0bl9f", "Subcategory": [{"LabelName": label}]}), encoding="utf-8")
    with pytest.raises(DataError, match="is no hierarchy of classes"):
        open_images.read_hierarchy(path, labels.load("openimages_challenge"))
