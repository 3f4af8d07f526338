"""Cityscapes' pixel and instance scores: worked by hand on drawn maps, equal to cityscapesscripts on generated ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import official_tools
import pytest
from scene_views import RUNS, instance_ids
from scenes import SCENARIOS, scenes

from benchmark import labels, masks, metrics
from benchmark.contract import (
    Instances,
    LabelMap,
    Prediction,
    Prompt,
    Rle,
    Sample,
    Scores,
    Task,
    Truth,
    make_instances,
    summarise,
)
from benchmark.metrics.cityscapes_instances import CityscapesAP
from benchmark.metrics.cityscapes_iou import AVERAGE_SIZE, CityscapesIoU
from benchmark.problems import BenchmarkError

CITY = labels.load("cityscapes")
ROAD, SIDEWALK, PERSON, RIDER, CAR = 0, 1, 11, 12, 13
PARKING, CARAVAN = 26, 32
LETTERS = {"r": ROAD, "s": SIDEWALK, "p": PERSON, "d": RIDER, "c": CAR, "v": CARAVAN, "k": PARKING}
WIDE = (20, 40)


def drawn(rows: str) -> LabelMap:
    """Letters of `LETTERS`; a dot is the ignored label "unlabeled"."""
    return LabelMap(class_index=np.array([[LETTERS.get(sign, 19) for sign in row] for row in rows.split()], np.uint16))


def pixel_score(truth: str, found: str, objects: Instances) -> Scores:
    target = drawn(truth)
    sample = Sample(
        sample_id="1",
        frames=(),
        size=target.class_index.shape,  # type: ignore[arg-type]
        prompt=Prompt(task=Task.SEMANTIC),
        truth=Truth(frames=(target,), objects=objects),
    )
    metric = CityscapesIoU(CITY)
    return summarise(metric, [metric.measure(sample, Prediction(frames=(drawn(found),)))])


def objects_of(truth: str, *regions: tuple[int, str]) -> Instances:
    """Instances, each (class_index, rows in which an x marks its pixels); one row a line as in `truth`."""
    found = [masks.encode(np.array([[sign == "x" for sign in row] for row in rows.split()])) for _, rows in regions]
    assert all(rle.size == drawn(truth).class_index.shape for rle in found)
    return make_instances(class_index=[class_index for class_index, _ in regions], masks=found)


def test_pixels_of_ignored_truth_are_dropped_and_ignored_predictions_are_misses() -> None:
    truth, found = "rrss rr.. kk..", "rrsk rsrr rr.."
    result = pixel_score(truth, found, objects_of(truth))
    # road: 3 hits of 4 pixels, its other predictions lie on ignored truth; sidewalk: 1 hit of 2, one false.
    assert result.per_class["road"]["IoU"] == pytest.approx(3 / 4)
    assert result.per_class["sidewalk"]["IoU"] == pytest.approx(1 / 3)
    # flat: 5 of 6 pixels keep their category; parking, ignored, is none of its members.
    assert result.per_class["category: flat"]["category_IoU"] == pytest.approx(5 / 6)
    assert result.values["mIoU"] == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert np.isnan(result.values["iIoU"])


def test_instance_pixels_weigh_by_average_size_and_false_ones_do_not() -> None:
    truth, found = "pprr pppp rrrr", "pprr prdp rrrp"
    persons = objects_of(truth, (PERSON, "xx.. .... ...."), (PERSON, ".... xxxx ...."), (PERSON, "xxxx xxxx xxxx"))
    # The third is a group, which has no size of its own.
    persons = replace(persons, is_crowd=np.array([False, False, True]))
    result = pixel_score(truth, found, persons)
    small, large = AVERAGE_SIZE["person"] / 2, AVERAGE_SIZE["person"] / 4
    weight = 2 * small + 4 * large
    assert result.per_class["person"]["iIoU"] == pytest.approx((2 * small + 2 * large) / (weight + 1))
    # The rider pixel is a hit for the category.
    assert result.per_class["category: human"]["category_iIoU"] == pytest.approx((2 * small + 3 * large) / (weight + 1))
    assert result.per_class["person"]["IoU"] == pytest.approx(4 / 7)
    # Rider has no truth but false pixels: 0, and it counts.
    assert result.values["iIoU"] == pytest.approx(result.per_class["person"]["iIoU"] / 2)


def test_caravans_neither_weigh_nor_count_but_their_predictions_are_false_for_the_vehicle_category() -> None:
    truth, found = "ccvv rrrr", "ccvv rvcr"
    vehicles = objects_of(truth, (CAR, "xx.. ...."), (CARAVAN, "..xx ...."))
    result = pixel_score(truth, found, vehicles)
    weight = AVERAGE_SIZE["car"]
    assert result.per_class["car"]["iIoU"] == pytest.approx(weight / (weight + 1))
    assert result.per_class["category: vehicle"]["category_iIoU"] == pytest.approx(weight / (weight + 2))
    assert result.per_class["category: vehicle"]["category_IoU"] == pytest.approx(2 / 3)
    assert "caravan" not in result.per_class


def test_pixel_truth_without_instances_is_refused() -> None:
    sample = Sample(
        sample_id="1", frames=(), size=(1, 2), prompt=Prompt(task=Task.SEMANTIC), truth=Truth(frames=(drawn("rr"),))
    )
    with pytest.raises(BenchmarkError, match="no instance masks"):
        CityscapesIoU(CITY).measure(sample, Prediction(frames=(drawn("rr"),)))


def box(top: int, left: int, height: int, width: int) -> Rle:
    mask = np.zeros(WIDE, bool)
    mask[top : top + height, left : left + width] = True
    return masks.encode(mask)


def persons(*boxes: Rle, **fields: object) -> Instances:
    return make_instances(class_index=[PERSON] * len(boxes), masks=boxes, **fields)  # type: ignore[arg-type]


def instance_score(truth: Instances, found: Instances, ignore: Rle | None = None) -> Scores:
    sample = Sample(
        sample_id="1",
        frames=(),
        size=WIDE,
        prompt=Prompt(task=Task.INSTANCE),
        truth=Truth(frames=(truth,), ignore=ignore),
    )
    metric = CityscapesAP(CITY)
    return summarise(metric, [metric.measure(sample, Prediction(frames=(found,)))])


BIG, ELSEWHERE = box(0, 0, 10, 10), box(0, 20, 10, 10)


@pytest.mark.parametrize(
    ("found", "scores", "expected"),
    [
        ([BIG], [0.5], 1.0),
        ([], [], 0.0),
        # A false positive above the hit: the raw curve (0, 1) - (0, 0) - (1, 0.5) holds a quarter.
        ([BIG, ELSEWHERE], [0.5, 0.9], 0.25),
        # Tied with it: one point, (0, 1) - (1, 0.5).
        ([BIG, ELSEWHERE], [0.7, 0.7], 0.75),
        ([BIG, ELSEWHERE], [0.9, 0.5], 1.0),
        # Two matches of one truth: the confident one is the hit, the other a false positive below it.
        ([BIG, BIG], [0.4, 0.8], 1.0),
        # IoU of exactly one half does not match.
        ([box(0, 0, 5, 10)], [0.9], 0.0),
    ],
)
def test_drawn_detections_of_one_person(found: list[Rle], scores: list[float], expected: float) -> None:
    result = instance_score(persons(BIG), persons(*found, score=np.array(scores)))
    assert result.values["AP50"] == pytest.approx(expected, abs=1e-12)
    assert result.per_class["person"]["AP50"] == pytest.approx(expected, abs=1e-12)


def test_small_truths_groups_and_void_excuse_a_prediction_by_the_same_threshold() -> None:
    small, group = box(0, 20, 9, 11), box(12, 0, 8, 20)
    truth = persons(BIG, small, group, is_crowd=np.array([False, False, True]))
    hit, low = (BIG, 0.5), 0.9
    for region in (small, group, box(12, 5, 8, 8)):
        found = persons(hit[0], region, score=np.array([hit[1], low]))
        assert instance_score(truth, found).values["AP50"] == pytest.approx(1.0)
    void = box(12, 25, 8, 10)
    found = persons(hit[0], box(10, 25, 8, 10), score=np.array([hit[1], low]))
    # 6 of 8 rows over void: excused up to the threshold 0.70, false from 0.75 on.
    assert instance_score(persons(BIG), found, void).values["AP50"] == pytest.approx(1.0)
    assert instance_score(persons(BIG), found, void).values["AP"] == pytest.approx((5 * 1.0 + 5 * 0.25) / 10)


def test_region_that_is_small_and_a_group_excuses_twice() -> None:
    truth = persons(BIG, box(12, 0, 3, 10), is_crowd=np.array([False, True]))
    found = persons(BIG, box(12, 0, 8, 10), score=np.array([0.5, 0.9]))
    # Twice 30 of 80 pixels are 0.75: excused up to 0.70, false from 0.75 on.
    assert instance_score(truth, found).values["AP"] == pytest.approx((5 * 1.0 + 5 * 0.25) / 10)


def test_class_whose_predictions_are_all_excused_scores_zero() -> None:
    found = persons(box(12, 0, 8, 20))
    truth = persons(BIG, box(12, 0, 8, 20), is_crowd=np.array([False, True]))
    assert instance_score(truth, found).values["AP"] == 0.0


def test_class_without_truth_is_undefined_and_empty_masks_do_not_count() -> None:
    result = instance_score(persons(BIG), persons(BIG, masks.empty(WIDE), score=np.array([0.5, 0.9])))
    assert result.values["AP"] == pytest.approx(1.0)
    assert result.counts == {"truths": 1, "detections": 1}
    assert np.isnan(result.per_class["car"]["AP"])
    assert np.isnan(instance_score(persons(), persons(BIG)).values["AP"])


def test_instances_without_masks_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="prediction has no masks"):
        instance_score(persons(BIG), make_instances(class_index=[PERSON]))


@pytest.mark.parity
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_pixel_scores_equal_cityscapesscripts(scenario: str, tmp_path: Path) -> None:
    drawn_scenes = scenes(scenario)
    pairs = [RUNS["cityscapes_iou"].view(scene) for scene in drawn_scenes]
    metric = metrics.build("cityscapes_iou", CITY)
    ours = summarise(metric, [metric.measure(*pair) for pair in pairs])
    theirs = official_tools.cityscapes_pixels(pairs, [instance_ids(scene) for scene in drawn_scenes], CITY, tmp_path)
    means = {
        "mIoU": theirs["averageScoreClasses"],
        "iIoU": theirs["averageScoreInstClasses"],
        "category_IoU": theirs["averageScoreCategories"],
        "category_iIoU": theirs["averageScoreInstCategories"],
    }
    assert ours.values == pytest.approx(means, abs=1e-9, nan_ok=True)
    for name, row in ours.per_class.items():
        if name.startswith("category: "):
            category = name.removeprefix("category: ")
            assert row["category_IoU"] == pytest.approx(theirs["categoryScores"][category], abs=1e-9, nan_ok=True)
            expected = theirs["categoryInstScores"][category]
            assert row["category_iIoU"] == pytest.approx(expected, abs=1e-9, nan_ok=True)
        else:
            assert row["IoU"] == pytest.approx(theirs["classScores"][name], abs=1e-9, nan_ok=True)
            assert row["iIoU"] == pytest.approx(theirs["classInstScores"][name], abs=1e-9, nan_ok=True)


@pytest.mark.parity
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_instance_scores_equal_cityscapesscripts(scenario: str, tmp_path: Path) -> None:
    drawn_scenes = scenes(scenario)
    pairs = [RUNS["cityscapes_instance_ap"].view(scene) for scene in drawn_scenes]
    metric = metrics.build("cityscapes_instance_ap", CITY)
    ours = summarise(metric, [metric.measure(*pair) for pair in pairs])
    theirs = official_tools.cityscapes_instances(pairs, [instance_ids(scene) for scene in drawn_scenes], CITY, tmp_path)
    assert ours.values["AP"] == pytest.approx(theirs["allAp"], abs=1e-9, nan_ok=True)
    assert ours.values["AP50"] == pytest.approx(theirs["allAp50%"], abs=1e-9, nan_ok=True)
    for name, row in theirs["classes"].items():
        assert ours.per_class[name]["AP"] == pytest.approx(row["ap"], abs=1e-9, nan_ok=True)
        assert ours.per_class[name]["AP50"] == pytest.approx(row["ap50%"], abs=1e-9, nan_ok=True)
