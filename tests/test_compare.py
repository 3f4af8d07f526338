"""Paired comparison of two prediction sets from what `score` left: every metric, clusters, direction, refusals."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mutants
import numpy as np
import pytest
from layout_scenes import write_root
from mutant_worlds import World, world
from replay import replayed
from test_mutants import CATALOGUE

from benchmark import catalog, intervals, metrics
from benchmark.__main__ import main as benchmark
from benchmark.contract import Metric, Prediction, Stats
from reports.__main__ import main as reports

ROW = "coco_instance_val2017"


def measured(metric: Metric, place: World, answers: Iterable[Prediction]) -> list[Stats]:
    """Statistics of all samples of a world."""
    return [metric.measure(sample, answer) for sample, answer in zip(place.samples, answers, strict=True)]


@pytest.mark.parametrize(("name", "protocol"), CATALOGUE)
def test_every_metric_tells_its_truth_from_silence_and_not_from_itself(name: str, protocol: str) -> None:
    row = CATALOGUE[name, protocol]
    place = world(row.world)
    metric = metrics.build(name, place.labels, protocol)
    right = again(measured(metric, place, right_answers(place)))
    silent = again(measured(metric, place, mutants.answers("nothing", place.samples)))
    found = intervals.paired_intervals(metric, right, silent, resamples=60)
    assert set(found) == set(metrics.METRICS[name].protocols[protocol].score_names)
    difference = found[row.sensitive]
    assert difference.low > 0 and difference.excludes_zero
    assert difference.p_value == pytest.approx(2 / (difference.num_resamples + 1))
    same = intervals.paired_intervals(metric, right, right[::-1], resamples=20)[row.sensitive]
    assert (same.value, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def again(stats: list[Stats]) -> list[Stats]:
    """Four copies under names of their own, so that every replicate has samples of every kind."""
    return [replace(one, sample_id=f"{one.sample_id}-{copy}") for copy in range(4) for one in stats]


def right_answers(place: World) -> list[Prediction]:
    """The truth of every sample."""
    return [mutants.right_answer(number, sample) for number, sample in enumerate(place.samples)]


def test_equal_systems_differ_by_chance_as_often_as_the_p_value_says() -> None:
    """Two answers of equal quality: of 150 comparisons, p falls below 0.1 in about a tenth."""
    place = world("expressions")
    metric = metrics.build("referring_iou", place.labels)
    stats = measured(metric, place, right_answers(place))
    dice = np.random.default_rng(5)
    few = 0
    for trial in range(150):
        sides = [_with_hits(stats[0], dice.random(40) < 0.6) for _ in range(2)]
        found = intervals.paired_interval(metric, *sides, "mIoU", resamples=200, seed=trial)
        few += found.p_value < 0.1
    assert 0.03 <= few / 150 <= 0.19


def _with_hits(like: Stats, hits: Any) -> list[Stats]:
    """Statistics of expressions that are found whole or not at all. hits: bool [N]."""
    return [
        replace(like, sample_id=str(number), arrays={**like.arrays, "intersection": like.arrays["union"] * hit})
        for number, hit in enumerate(hits)
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two work directories of `score`: the truth, and the truth without its highest category."""
    home = tmp_path_factory.mktemp("compare")
    root, row = write_root(home / "root"), catalog.get(ROW)
    samples = catalog.open_samples(row, root, is_mini=True)
    whole = home / "whole.json"
    catalog.write_predictions(row, whole, ((one, replayed(one)) for one in samples))
    entries = json.loads(whole.read_text(encoding="utf-8"))
    highest = max(one["category_id"] for one in entries)
    part = home / "part.json"
    part.write_text(json.dumps([one for one in entries if one["category_id"] != highest]), encoding="utf-8")
    for path in (whole, part):
        call = ["score", ROW, str(path), "--data-root", str(root), "--work-dir", str(home / path.stem)]
        assert benchmark(call) == 0
    return home / "whole", home / "part"


def rows(capsys: pytest.CaptureFixture[str], *call: str) -> list[dict[str, str]]:
    """What `compare` prints as CSV."""
    assert reports(["compare", *call, "--format", "csv"]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_two_score_directories_are_compared_on_the_headline(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    (row,) = rows(capsys, *map(str, runs))
    assert (row["Benchmark"], row["Metric"]) == (f"{ROW}@mini", "AP")
    assert row["Better"] == "whole"
    assert float(row["Difference"]) == pytest.approx(-50)
    assert float(row["p"]) < 0.05


def test_all_scores_are_compared_on_demand(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    found = rows(capsys, *map(str, runs), "--all")
    names = metrics.METRICS["coco_segm_ap"].protocols["coco"].score_names
    assert [row["Metric"] for row in found] == list(names)
    assert {row["Better"] for row in found if row["Metric"] in ("AP", "AP50", "AR100")} == {"whole"}


def test_nobody_is_better_than_itself(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    (row,) = rows(capsys, str(runs[0]), str(runs[0]))
    assert row["Better"] in ("", "—") and row["p"] == "1.000"


def test_a_record_file_without_statistics_is_refused(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "record.json"
    alone.write_bytes((runs[1] / ROW / "record.json").read_bytes())
    assert reports(["compare", str(runs[0]), str(alone)]) == 2
    assert "holds no statistics" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "score", "expected"),
    [
        ("box_tracking", "HOTA", True),
        ("box_tracking", "FP_per_frame", False),
        ("box_tracking", "MLR", False),
        ("j_and_f", "J_decay", False),
        ("j_and_f_grouped", "V", False),
        ("coco_bbox_ap", "AP", True),
    ],
)
def test_each_score_says_whether_more_is_better(metric: str, score: str, expected: bool) -> None:
    assert metrics.METRICS[metric].is_higher_better(score) is expected
