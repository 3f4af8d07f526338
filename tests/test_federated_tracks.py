"""TAO: track AP equal to the official toolkit's on drawn videos, cases worked by hand, complaints about files."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federated_track_scenes import GOLDEN, SCENARIOS, documents
from test_metric_laws import same_bits

from benchmark import catalog
from benchmark.__main__ import main
from benchmark.contract import Prediction, Sample, Scores, Stats, summarise
from benchmark.problems import DataError

ROW = catalog.get("tao_mot_val")
METRIC = catalog.build_metric(ROW)


def write(folder: Path, truth: dict[str, Any], results: list[dict[str, Any]]) -> tuple[Path, Path]:
    paths = folder / "truth.json", folder / "found.json"
    for path, value in zip(paths, (truth, results), strict=True):
        path.write_text(json.dumps(value), encoding="utf-8")
    return paths


def read(folder: Path, truth: dict[str, Any], results: list[dict[str, Any]]) -> list[tuple[Sample, Prediction]]:
    paths = write(folder, truth, results)
    samples = catalog.open_samples(ROW, None, truth=paths[0])
    found = catalog.read_predictions(ROW, paths[1], samples)
    return [(sample, found[sample.sample_id]) for sample in samples]


def measured(folder: Path, truth: dict[str, Any], results: list[dict[str, Any]]) -> list[Stats]:
    return [METRIC.measure(sample, prediction) for sample, prediction in read(folder, truth, results)]


@cache
def golden(scenario: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / f"{scenario}.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scores_equal_the_official_toolkit(tmp_path: Path, scenario: str) -> None:
    frozen = golden(scenario)
    scores = summarise(METRIC, measured(tmp_path, *documents(scenario, frozen["seed"]))).values
    expected = {name: value for name, value in frozen["expected"].items() if name in scores}
    assert set(expected) == set(scores)
    for name, value in expected.items():
        assert scores[name] == pytest.approx(np.nan if value == -1 else value, abs=1e-9, nan_ok=True), name
    assert scores["AP"] == pytest.approx(frozen["expected"]["AP50"], abs=1e-9)


def video(num_frames: int = 4, **lists: list[int]) -> dict[str, Any]:
    """One video with a track of class 3 in its whole length."""
    federated = {"neg_category_ids": [], "not_exhaustive_category_ids": [], **lists}
    images = [
        {"id": index + 1, "video_id": 1, "frame_index": index, "file_name": f"val/a/{index}.jpg"}
        for index in range(num_frames)
    ]
    boxes = [
        {"id": index, "image_id": index, "track_id": 5, "category_id": 3, "bbox": [10, 10, 40, 40], "area": 1600}
        for index in range(1, num_frames + 1)
    ]
    return {
        "videos": [{"id": 1, "width": 100, "height": 100, **federated}],
        "images": images,
        "tracks": [{"id": 5, "category_id": 3, "video_id": 1}],
        "categories": [{"id": 3, "name": "a"}, {"id": 7, "name": "b"}],
        "annotations": boxes,
    }


def track(number: int, category: int, frames: range, score: float = 0.5) -> list[dict[str, Any]]:
    return [
        {"image_id": one, "category_id": category, "bbox": [10, 10, 40, 40], "score": score, "track_id": number}
        for one in frames
    ]


def ap(folder: Path, truth: dict[str, Any], results: list[dict[str, Any]]) -> float:
    return summarise(METRIC, measured(folder, truth, results)).values["AP"]


def test_half_of_the_frames_is_enough_and_less_is_not(tmp_path: Path) -> None:
    assert ap(tmp_path, video(), track(1, 3, range(1, 3))) == pytest.approx(1)
    assert ap(tmp_path, video(), track(1, 3, range(1, 2))) == 0


def test_only_classes_that_were_looked_for_are_judged(tmp_path: Path) -> None:
    both = [*track(1, 3, range(1, 5), 0.4), *track(2, 7, range(1, 5), 0.9)]
    counts = []
    for lists in ({}, {"neg_category_ids": [7]}):
        scores = summarise(METRIC, measured(tmp_path, video(**lists), both))
        counts.append(scores.counts["detections"])
        assert scores.values["AP"] == pytest.approx(1)
    assert counts == [1, 2]


def test_where_a_class_is_not_marked_throughout_unmatched_tracks_are_excused(tmp_path: Path) -> None:
    results = [*track(1, 3, range(1, 5), 0.4), *track(2, 3, range(1, 2), 0.9)]
    assert ap(tmp_path, video(), results) == pytest.approx(0.5)
    assert ap(tmp_path, video(not_exhaustive_category_ids=[3]), results) == pytest.approx(1)


def test_merged_classes_are_one(tmp_path: Path) -> None:
    truth = video()
    truth["categories"][0]["merged"] = [{"id": 7, "name": "b"}]
    assert ap(tmp_path, truth, track(1, 7, range(1, 5))) == pytest.approx(1)


def test_nothing_scores_zero(tmp_path: Path) -> None:
    assert ap(tmp_path, video(), []) == 0


def test_order_and_repetition_do_not_matter(tmp_path: Path) -> None:
    stats = measured(tmp_path, *documents("typical", 3))
    whole = summarise(METRIC, stats)
    assert same_bits(summarise(METRIC, stats[::-1]), whole)
    twice = METRIC.pool(stats)(np.array([2, *[1] * (len(stats) - 1)]))
    copy = Stats(sample_id=stats[0].sample_id, arrays=stats[0].arrays)
    repeated: Scores = summarise(METRIC, [*stats, copy])
    assert twice.values == pytest.approx(repeated.values, abs=1e-12, nan_ok=True)


def test_results_survive_writing_and_reading(tmp_path: Path) -> None:
    pairs = read(tmp_path, *documents("typical", 3))
    catalog.write_predictions(ROW, tmp_path / "again.json", pairs)
    again = catalog.read_predictions(
        ROW, tmp_path / "again.json", catalog.open_samples(ROW, None, truth=tmp_path / "truth.json")
    )
    before = summarise(METRIC, [METRIC.measure(*pair) for pair in pairs])
    after = summarise(METRIC, [METRIC.measure(sample, again[sample.sample_id]) for sample, _ in pairs])
    assert same_bits(before, after)


Break = Callable[[Any], Any]
BAD_TRUTH: dict[str, tuple[Break, str]] = {
    "no frames": (lambda truth: truth.pop("images"), "lacks the list 'images'"),
    "free form": (lambda truth: truth["tracks"][0].update(category_id=5000), "category_id 5000 is not in lvis_v05"),
    "wrong list": (lambda truth: truth["videos"][0].update(neg_category_ids=["a"]), "neg_category_ids is no list"),
    "wrong class": (lambda truth: truth["annotations"][0].update(category_id=7), "is not that of its track"),
    "twice": (lambda truth: truth["annotations"].append(truth["annotations"][0]), "has two boxes in image 1"),
    "no number": (lambda truth: truth["annotations"][0].update(bbox=[1, 2, 3, "4"]), "bbox is not"),
    "outside": (lambda truth: truth["images"][0].update(file_name="../x.jpg"), "below the folder"),
}


@pytest.mark.parametrize("name", BAD_TRUTH)
def test_broken_truth_is_told(tmp_path: Path, name: str) -> None:
    truth = video()
    BAD_TRUTH[name][0](truth)
    with pytest.raises(DataError, match=BAD_TRUTH[name][1]):
        catalog.open_samples(ROW, None, truth=write(tmp_path, truth, [])[0])


BAD_RESULTS: dict[str, tuple[Any, str]] = {
    "no list": ({}, "expected a list"),
    "no object": ([1], "is not an object"),
    "image": (track(1, 3, range(9, 10)), "image_id 9 is not in this benchmark"),
    "class": (track(1, 5000, range(1, 2)), "category_id 5000"),
    "track": ([{**track(1, 3, range(1, 2))[0], "track_id": "x"}], "track_id 'x'"),
    "two classes": ([*track(1, 3, range(1, 2)), *track(1, 7, range(2, 3))], "of two categories"),
    "twice": (track(1, 3, range(1, 2)) * 2, "two boxes in image 1"),
    "score": ([{**track(1, 3, range(1, 2))[0], "score": None}], "score is no finite number"),
    "video": ([{**track(1, 3, range(1, 2))[0], "video_id": 2}], "image 1 is of video 1"),
}


@pytest.mark.parametrize("name", BAD_RESULTS)
def test_broken_results_end_in_one_line(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    results, message = BAD_RESULTS[name]
    paths = write(tmp_path, video(), results)
    call = ["score", ROW.name, str(paths[1]), "--truth", str(paths[0]), "--work-dir", str(tmp_path / "work")]
    assert main(call) == 2
    assert message in capsys.readouterr().err
