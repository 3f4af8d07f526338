"""COCO AP: worked by hand on drawn images, and equal to pycocotools on generated ones."""

from __future__ import annotations

import numpy as np
import pytest
from official_tools import coco_ap, coco_official_summary
from scene_views import RUNS
from scenes import SCENARIOS, scenes

from benchmark import labels, masks, metrics
from benchmark.contract import (
    Instances,
    Prediction,
    Prompt,
    Sample,
    Scores,
    Task,
    Truth,
    make_instances,
    summarise,
)
from benchmark.metrics.average_precision import CocoAP
from benchmark.problems import BenchmarkError

COCO = labels.load("coco_panoptic")
PERSON, CAR, WALL = 0, 2, 131


def boxes(*rows: tuple[float, float, float, float], **fields: object) -> Instances:
    """Persons with boxes x, y, w, h, their masks in an 8x8 image, and areas w * h."""
    size = (8, 8)
    found = []
    for x, y, w, h in rows:
        mask = np.zeros(size, bool)
        mask[int(y) : int(y + h), int(x) : int(x + w)] = True
        found.append(masks.encode(mask))
    plain = np.array(rows, np.float64).reshape(-1, 4)
    class_index = fields.pop("class_index", [PERSON] * len(rows))
    area = fields.pop("area", plain[:, 2] * plain[:, 3])
    return make_instances(class_index=class_index, masks=found, boxes=plain, area=area, **fields)  # type: ignore[arg-type]


def score(truth: Instances, found: Instances, metric: CocoAP | None = None) -> Scores:
    prompt = Prompt(task=Task.INSTANCE)
    sample = Sample(sample_id="1", frames=(), size=(8, 8), prompt=prompt, truth=Truth(frames=(truth,)))
    metric = metric or CocoAP(COCO)
    return summarise(metric, [metric.measure(sample, Prediction(frames=(found,)))])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # IoU 8/16 matches at 0.50 alone: one of ten thresholds.
        ([(0, 0, 4, 2)], {"AP": 0.1, "AP50": 1.0, "AP75": 0.0, "AR1": 0.1}),
        # IoU 12/16 = 0.75 matches at 0.50, 0.55, ..., 0.75: six of ten.
        ([(0, 0, 4, 3)], {"AP": 0.6, "AP50": 1.0, "AP75": 1.0}),
        ([(4, 4, 4, 4)], {"AP": 0.0, "AR100": 0.0}),
        ([], {"AP": 0.0, "AR100": 0.0, "APs": 0.0}),
    ],
)
def test_one_drawn_object(found: list[tuple[float, float, float, float]], expected: dict[str, float]) -> None:
    for iou_type in ("segm", "bbox"):
        result = score(boxes((0, 0, 4, 4)), boxes(*found), CocoAP(COCO, iou_type))
        for name, value in expected.items():
            assert result.values[name] == pytest.approx(value, abs=1e-12), (iou_type, name)


def test_false_positive_above_the_hit_halves_precision_and_one_below_costs_nothing() -> None:
    truth = boxes((0, 0, 4, 4))
    above = boxes((0, 0, 4, 4), (4, 4, 4, 4), score=np.array([0.5, 0.9]))
    below = boxes((0, 0, 4, 4), (4, 4, 4, 4), score=np.array([0.9, 0.5]))
    assert score(truth, above).values["AP"] == pytest.approx(0.5)
    assert score(truth, below).values["AP"] == pytest.approx(1.0)
    assert score(truth, above).values["AR1"] == 0.0


def test_file_order_decides_between_equal_scores() -> None:
    truth = boxes((0, 0, 4, 4))
    hit_first = boxes((0, 0, 4, 4), (4, 4, 4, 4), score=np.array([0.7, 0.7]))
    hit_last = boxes((4, 4, 4, 4), (0, 0, 4, 4), score=np.array([0.7, 0.7]))
    assert score(truth, hit_first).values["AP"] == pytest.approx(1.0)
    assert score(truth, hit_last).values["AP"] == pytest.approx(0.5)


def test_last_truth_wins_among_equal_overlaps() -> None:
    # The confident detection has IoU 12/20 with both truths, the other one IoU 1 with the left truth alone.
    left, right = (0, 0, 4, 4), (2, 0, 4, 4)
    found = boxes((1, 0, 4, 4), left, score=np.array([0.9, 0.5]))
    assert score(boxes(left, right), found).values["AR100"] == pytest.approx((3 * 1.0 + 7 * 0.5) / 10)
    assert score(boxes(right, left), found).values["AR100"] == pytest.approx((3 * 0.5 + 7 * 0.5) / 10)


def test_worse_truth_that_counts_is_preferred_to_a_better_one_that_is_ignored() -> None:
    # IoU 12/16 with the truth, 16/16 with the crowd: a hit up to 0.75, excused by the crowd above.
    truth = boxes((0, 0, 4, 3), (0, 0, 4, 4), is_crowd=np.array([False, True]))
    assert score(truth, boxes((0, 0, 4, 4))).values["AR100"] == pytest.approx(0.6)


def test_detection_in_a_crowd_is_neither_right_nor_wrong() -> None:
    truth = boxes((0, 0, 2, 2), (4, 0, 4, 8), is_crowd=np.array([False, True]))
    found = boxes((4, 0, 2, 2), (4, 4, 4, 4), (0, 0, 2, 2), score=np.array([0.9, 0.8, 0.7]))
    assert score(truth, found).values["AP"] == pytest.approx(1.0)
    assert score(boxes((0, 0, 2, 2)), found).values["AP"] == pytest.approx(1 / 3)


def test_stated_area_of_the_truth_and_counted_area_of_the_detection_choose_the_size() -> None:
    truth = boxes((0, 0, 4, 4), area=np.array([5000.0]))
    result = score(truth, boxes((0, 0, 4, 4)))
    assert result.values["APm"] == pytest.approx(1.0)
    assert np.isnan(result.values["APs"])


def test_exactly_32_squared_is_small_and_medium() -> None:
    truth = boxes((0, 0, 4, 4), area=np.array([1024.0]))
    result = score(truth, boxes((0, 0, 4, 4)))
    assert (result.values["APs"], result.values["APm"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert np.isnan(result.values["APl"])


def test_box_of_negative_width_is_never_a_false_positive() -> None:
    found = boxes((0, 0, 4, 4), (7, 7, -3, 2), score=np.array([0.5, 0.9]))
    assert score(boxes((0, 0, 4, 4)), found, CocoAP(COCO, "bbox")).values["AP"] == pytest.approx(1.0)


def test_corner_boxes_equal_their_sizes() -> None:
    truth = boxes((1, 2, 4, 4))
    corners = make_instances(class_index=[PERSON], boxes=np.array([[1.0, 2, 5, 5]]), box_format="xyxy")
    assert score(truth, corners, CocoAP(COCO, "bbox")).values["AP"] == pytest.approx(0.6)


def test_stuff_and_classes_without_truth_do_not_enter_the_mean() -> None:
    truth = boxes((0, 0, 4, 4), (4, 4, 4, 4), class_index=[PERSON, WALL])
    found = boxes((0, 0, 4, 4), (4, 4, 4, 4), (4, 0, 2, 2), class_index=[PERSON, WALL, CAR])
    result = score(truth, found)
    assert result.values["AP"] == pytest.approx(1.0)
    assert set(result.per_class) == {label.name for label in COCO.classes if label.is_thing}
    assert np.isnan(result.per_class["car"]["AP"])
    assert result.counts == {"truths": 1, "detections": 2}


def test_no_truth_at_all_is_undefined_and_no_result_at_all_is_zero() -> None:
    assert all(np.isnan(value) for value in score(boxes(), boxes((0, 0, 4, 4))).values.values())
    assert score(boxes((0, 0, 4, 4)), boxes()).values["AP"] == 0.0
    assert all(np.isnan(value) for value in summarise(CocoAP(COCO), []).values.values())


def test_only_the_best_detections_of_a_class_are_kept() -> None:
    found = boxes((4, 4, 4, 4), (4, 0, 4, 4), (0, 0, 4, 4), score=np.array([0.9, 0.8, 0.7]))
    assert score(boxes((0, 0, 4, 4)), found, CocoAP(COCO, "segm", (1, 2))).values["AP"] == 0.0
    assert score(boxes((0, 0, 4, 4)), found, CocoAP(COCO, "segm", (1, 3))).values["AP"] == pytest.approx(1 / 3)


def test_wrong_input_is_refused_by_name() -> None:
    truth = boxes((0, 0, 4, 4))
    with pytest.raises(BenchmarkError, match="score that is NaN"):
        score(truth, boxes((0, 0, 4, 4), score=np.array([np.nan])))
    with pytest.raises(BenchmarkError, match="no masks"):
        score(truth, make_instances(class_index=[PERSON]))
    small = make_instances(class_index=[PERSON], masks=[masks.empty((4, 4))])
    with pytest.raises(BenchmarkError, match=r"prediction is 4x4 .* image is 8x8"):
        score(truth, small)


@pytest.mark.parity
@pytest.mark.parametrize("run_name", ["coco_segm_ap", "coco_bbox_ap", "ade20k_segm_ap"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_average_precision_equals_pycocotools(run_name: str, scenario: str) -> None:
    run = RUNS[run_name]
    official_labels = labels.load(run.labels)
    metric = metrics.build(run.metric, official_labels, run.protocol)
    assert isinstance(metric, CocoAP)
    pairs = [run.view(scene) for scene in scenes(scenario)]
    ours = summarise(metric, [metric.measure(*pair) for pair in pairs])
    values, per_class = coco_ap(pairs, official_labels, metric.iou_type, metric.max_dets)
    assert ours.values == pytest.approx(values, abs=1e-9, nan_ok=True)
    assert {name: row["AP"] for name, row in ours.per_class.items()} == pytest.approx(per_class, abs=1e-9, nan_ok=True)


@pytest.mark.parity
@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_names_are_in_the_order_of_the_official_summary(iou_type: str) -> None:
    pairs = [RUNS["coco_segm_ap"].view(scene) for scene in scenes("crowd")]
    metric = CocoAP(COCO, iou_type)  # type: ignore[arg-type]
    ours = summarise(metric, [metric.measure(*pair) for pair in pairs])
    names = metrics.METRICS[f"coco_{iou_type}_ap"].protocols["coco"].score_names
    official = [np.nan if value == -1 else value for value in coco_official_summary(pairs, COCO, iou_type)]
    assert [ours.values[name] for name in names] == pytest.approx(official, abs=1e-9, nan_ok=True)


@pytest.mark.parity
def test_more_than_255_detections_of_one_class_score_as_pycocotools() -> None:
    dice = np.random.default_rng(0)
    found = boxes(*[(*dice.integers(0, 5, 2), *dice.integers(2, 5, 2)) for _ in range(300)], score=dice.random(300))
    sample = Sample(
        sample_id="1",
        frames=(),
        size=(8, 8),
        prompt=Prompt(task=Task.INSTANCE),
        truth=Truth(frames=(boxes((0, 0, 4, 4), (3, 3, 4, 4)),)),
    )
    metric = CocoAP(COCO, "segm", (1, 50, 255))
    pairs = [(sample, Prediction(frames=(found,)))]
    ours = summarise(metric, [metric.measure(*pairs[0])])
    assert ours.values == pytest.approx(coco_ap(pairs, COCO, "segm", (1, 50, 255))[0], abs=1e-9, nan_ok=True)
