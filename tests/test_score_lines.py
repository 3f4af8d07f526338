"""What `score` prints: the table of a record, its counts and its coverage; problems of one kind in few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark import catalog, score_lines
from benchmark.problems import MOST_ALIKE, MOST_LINES, Problem, UsageError, shortened
from leaderboards import sources


def record(**changes: Any) -> dict[str, Any]:
    return {
        "display_name": "mot17_mot_train@mini",
        "protocol": "mot17",
        "truth": None,
        "truth_is_official": False,
        "is_mini": True,
        "main_score": "MOTA",
        "scores": {"HOTA": 0.5, "MOTA": -0.25, "FP_per_frame": 1.5},
        "intervals": {"HOTA": [0.4, 0.6], "MOTA": [-0.5, 0.1], "FP_per_frame": [1.0, 2.0]},
        "counts": {"CLR_FP": 1234, "IDSW": 7},
        "num_expected": 3,
        "num_scored": 3,
        "missing": [],
        "notes": {},
        **changes,
    }


def test_headline_comes_first_numbers_are_flush_right_and_rates_are_no_percent() -> None:
    assert score_lines.of(record(), "videos") == [
        "mot17_mot_train@mini, protocol mot17, 3 videos",
        "  score                      %  95 % interval",
        "  MOTA                  -25.00  -50.0 to 10.0",
        "  HOTA                   50.00  40.0 to 60.0",
        "  FP_per_frame (not %)    1.50  1.0 to 2.0",
        "counts: CLR_FP 1,234, IDSW 7",
    ]


def test_without_intervals_there_is_no_column_for_them() -> None:
    lines = score_lines.of(record(intervals={}, num_expected=1, num_scored=1), "videos")
    assert lines[0].endswith(", 1 video")
    assert lines[1].split() == ["score", "%"]


def test_undefined_scores_say_why() -> None:
    lines = score_lines.of(record(scores={"MOTA": 0.5, "HOTA": None}), "videos")
    assert lines[-1] == "—: not defined, because the truth has nothing of the kind"


def test_missing_predictions_cost_the_headline() -> None:
    scores = {"MOTA": None, "HOTA": 0.5}
    lines = score_lines.of(record(scores=scores, num_scored=1, missing=["a", "b"], intervals={}), "videos")
    assert lines[1] == (
        "coverage 1 of 3: no headline number; the scores are those of the answered videos; missing a, b"
    )
    assert not any("not defined" in line for line in lines)


def test_explicit_truth_is_named() -> None:
    assert score_lines.of(record(is_mini=False, truth="mine.json"), "images")[1] == (
        "against mine.json (not the official split: counts are not enforced)"
    )


def test_many_counts_are_wrapped_between_them() -> None:
    counts = {f"COUNT_{number}": 10_000 for number in range(20)}
    lines = [line for line in score_lines.of(record(counts=counts), "videos") if "COUNT_" in line]
    assert len(lines) > 1
    assert all(len(line) <= score_lines.WIDTH for line in lines)
    assert ", ".join(line.removeprefix("counts:").strip().rstrip(",") for line in lines).count(" 10,000") == 20
    assert not any(line.strip().startswith("10,000") for line in lines)


@pytest.mark.parametrize(("count", "line"), [(1, "note: 1 video left out"), (2, "note: 2 videos left out")])
def test_notes_agree_with_their_count(count: int, line: str) -> None:
    assert score_lines.of(record(notes={"videos left out": count}), "videos")[-1] == line


def problems(num: int, message: str) -> list[str]:
    return [
        str(Problem(place=f"{place}.json", message=message.format(place), remedy="Mend it")) for place in range(num)
    ]


@pytest.mark.parametrize("num", [1, MOST_ALIKE, MOST_ALIKE + 1])
def test_few_problems_are_all_shown(num: int) -> None:
    lines = problems(num, "result {}: no 'box'")
    assert shortened(lines) == lines


def test_problems_of_one_kind_are_counted_and_do_not_hide_others() -> None:
    many, other = problems(500, "result {}: id 'v' is unknown"), ["b.json: is no number. Mend it"]
    assert shortened([*many[:400], *other, *many[400:]]) == [
        *many[:MOST_ALIKE],
        f"... and {500 - MOST_ALIKE} more like the {MOST_ALIKE} above.",
        *other,
    ]


def test_problems_of_many_kinds_end_with_a_count() -> None:
    lines = [f"file: kind {'x' * number} is wrong. Mend it" for number in range(1, 131)]
    assert shortened(lines) == [*lines[:MOST_LINES], "... and 30 more problems."]


@pytest.mark.parametrize("depth", ["", "mot17_mot_train"])
def test_what_score_left_is_no_source_of_an_archive_but_names_it(tmp_path: Path, depth: str) -> None:
    home = tmp_path / "mot17_mot_train"
    home.mkdir()
    (home / "job.json").write_text(json.dumps({"kind": "score", "predictions": "/data/mine"}), encoding="utf-8")
    with pytest.raises(UsageError, match=r"keeps no predictions\. Give what it scored: /data/mine"):
        sources.find(tmp_path / depth, catalog.get("mot17_mot_train"))
