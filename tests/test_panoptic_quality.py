"""Panoptic quality: worked by hand on drawn maps, and equal to panopticapi and cityscapesscripts on generated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import official_tools
import pytest
from scene_views import RUNS
from scenes import SCENARIOS, scenes

from benchmark import labels
from benchmark.contract import Panoptic, Prediction, Prompt, Sample, Scores, Segment, Task, Truth, summarise
from benchmark.metrics.panoptic_quality import PanopticQuality
from benchmark.problems import BenchmarkError

COCO = labels.load("coco_panoptic")
PERSON, CAR, WALL, SKY = 0, 2, 131, 119


def drawn(rows: str, *segments: Segment) -> Panoptic:
    """A map of digits, one text row a line; the digit is the segment id."""
    ids = np.array([[int(digit) for digit in row] for row in rows.split()], np.int32)
    return Panoptic(segment_id=ids, segments=segments)


def score(truth: Panoptic, found: Panoptic) -> Scores:
    sample = Sample(
        sample_id="1",
        frames=(),
        size=truth.segment_id.shape,  # type: ignore[arg-type]
        prompt=Prompt(task=Task.PANOPTIC),
        truth=Truth(frames=(truth,)),
    )
    metric = PanopticQuality(COCO)
    return summarise(metric, [metric.measure(sample, Prediction(frames=(found,)))])


ONE = Segment(id=1, class_index=PERSON)
TWO = Segment(id=2, class_index=WALL)
TRUTH = drawn("1122 1122 1122", ONE, TWO)


@pytest.mark.parametrize(
    ("found", "expected", "counts"),
    [
        # Identical maps under other ids.
        (
            drawn("7755 7755 7755", Segment(id=7, class_index=PERSON), Segment(id=5, class_index=WALL)),
            {"PQ": 1.0, "SQ": 1.0, "RQ": 1.0, "PQ_th": 1.0, "PQ_st": 1.0},
            {"TP": 2, "FP": 0, "FN": 0},
        ),
        # Person 4/6 of its pixels, wall 6 + 2 extra: IoU 4/6 and 6/8.
        (
            drawn("1222 1122 1222", ONE, TWO),
            {"PQ": (4 / 6 + 6 / 8) / 2, "SQ_th": 4 / 6, "SQ_st": 6 / 8, "RQ": 1.0},
            {"TP": 2, "FP": 0, "FN": 0},
        ),
        # IoU of exactly one half does not match: a miss and a false segment.
        (
            drawn("1000 1000 1000", ONE),
            {"PQ_th": 0.0, "SQ_th": 0.0, "PQ_st": 0.0},
            {"TP": 0, "FP": 1, "FN": 2},
        ),
        # A class that only the prediction knows counts with zero.
        (
            drawn("1122 1122 1123", ONE, TWO, Segment(id=3, class_index=CAR)),
            {"PQ": (1 + 5 / 6 + 0) / 3},
            {"TP": 2, "FP": 1, "FN": 0},
        ),
    ],
)
def test_drawn_predictions(found: Panoptic, expected: dict[str, float], counts: dict[str, int]) -> None:
    result = score(TRUTH, found)
    assert result.counts == counts
    for name, value in expected.items():
        assert result.values[name] == pytest.approx(value, abs=1e-12), name


def test_void_truth_leaves_the_union_and_excuses_more_than_half() -> None:
    truth = drawn("1100 1100 0000", ONE)
    # Four hits and two pixels over void: union 6 - 2.
    assert score(truth, drawn("1110 1110 0000", ONE)).values["PQ"] == 1.0
    over_void = Segment(id=9, class_index=CAR)
    assert score(truth, drawn("1100 1190 0990", ONE, over_void)).counts == {"TP": 1, "FP": 0, "FN": 0}
    # Exactly half over void is not excused.
    assert score(truth, drawn("1100 1990 0000", ONE, over_void)).counts["FP"] == 1


def test_crowd_of_the_same_class_excuses_and_another_class_does_not() -> None:
    crowd = Segment(id=2, class_index=CAR, is_crowd=True)
    truth = drawn("1122 1122 1122", ONE, crowd)
    car, person = Segment(id=5, class_index=CAR), Segment(id=6, class_index=PERSON)
    assert score(truth, drawn("1155 1155 1155", ONE, car)).counts == {"TP": 1, "FP": 0, "FN": 0}
    assert score(truth, drawn("1166 1166 1166", ONE, person)).counts == {"TP": 1, "FP": 1, "FN": 0}


def test_only_the_last_crowd_of_a_class_is_looked_at() -> None:
    crowds = [Segment(id=number, class_index=CAR, is_crowd=True) for number in (2, 3)]
    truth = drawn("1223 1223 1223", ONE, *crowds)
    car = Segment(id=5, class_index=CAR)
    assert score(truth, drawn("1550 1550 1550", ONE, car)).counts["FP"] == 1
    assert score(truth, drawn("1005 1005 1005", ONE, car)).counts["FP"] == 0


def test_unlisted_truth_id_is_an_ordinary_pixel_that_matches_nothing() -> None:
    truth = drawn("1188 1188 1188", ONE)
    assert score(truth, drawn("1155 1155 1155", ONE, Segment(id=5, class_index=CAR))).counts["FP"] == 1
    # Three of nine predicted pixels lie on the unlisted id, which stays in the union.
    assert score(truth, drawn("1110 1110 1110", ONE)).values["PQ"] == pytest.approx(6 / 9)


def test_stated_truth_area_enters_the_union() -> None:
    truth = drawn("1122 1122 1122", Segment(id=1, class_index=PERSON, area=10), TWO)
    assert score(truth, TRUTH).per_class["person"]["SQ"] == pytest.approx(6 / 10)


def test_truth_of_a_class_that_is_not_evaluated_is_void() -> None:
    truth = drawn("1122 1122 1122", ONE, Segment(id=2, class_index=COCO.num_classes))
    found = drawn("1155 1155 1155", ONE, Segment(id=5, class_index=CAR))
    assert score(truth, found).counts == {"TP": 1, "FP": 0, "FN": 0}


def test_absent_classes_are_undefined_and_empty_images_have_no_score() -> None:
    result = score(TRUTH, TRUTH)
    assert np.isnan(result.per_class["car"]["PQ"])
    nothing = drawn("0000 0000 0000")
    assert all(np.isnan(value) for value in score(nothing, nothing).values.values())
    assert score(TRUTH, nothing).values["PQ"] == 0.0
    assert np.isnan(score(nothing, drawn("1111 1111 1111", ONE)).values["PQ"])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (drawn("1122 1122 1133", ONE, TWO), r"draws segments \[3\] that it does not list"),
        (drawn("1111 1111 1111", ONE, TWO), r"lists \[2\] that it does not draw"),
        (drawn("1111 1111 1111", Segment(id=1, class_index=133)), "class_index 133"),
        (drawn("11 11", ONE), "prediction is 2x2"),
    ],
)
def test_wrong_predictions_are_refused(found: Panoptic, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        score(TRUTH, found)


@pytest.mark.parity
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("tool", ["panopticapi", "cityscapesscripts"])
def test_panoptic_quality_equals_the_official_tool(tool: str, scenario: str, tmp_path: Path) -> None:
    run = RUNS["panoptic_quality" if tool == "panopticapi" else "cityscapes_panoptic"]
    official = official_tools.panoptic_quality if tool == "panopticapi" else official_tools.cityscapes_panoptic
    official_labels = labels.load(run.labels)
    metric = PanopticQuality(official_labels)
    pairs = [run.view(scene) for scene in scenes(scenario)]
    ours = summarise(metric, [metric.measure(*pair) for pair in pairs])
    values, per_class = official(pairs, official_labels, tmp_path)
    assert ours.values == pytest.approx(values, abs=1e-9, nan_ok=True)
    assert ours.counts == {key.upper(): sum(row[key] for row in per_class.values()) for key in ("tp", "fp", "fn")}
    for name, row in per_class.items():
        if row["tp"] + row["fp"] + row["fn"]:
            quality = row["iou"] / (row["tp"] + row["fp"] / 2 + row["fn"] / 2)
            assert ours.per_class[name]["PQ"] == pytest.approx(quality, abs=1e-9)
