"""Semantic IoU: the three conventions on drawn maps and against a slow reading of each official definition."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from scene_views import RUNS, toy_labels
from scenes import SCENARIOS, scenes

from benchmark import labels
from benchmark.contract import (
    IGNORE,
    LabelMap,
    Prediction,
    Prompt,
    Sample,
    Scores,
    Task,
    Truth,
    summarise,
)
from benchmark.labels import LabelSet
from benchmark.metrics.semantic_iou import Convention, SemanticIoU, confusion, confusion_of_maps
from benchmark.problems import BenchmarkError
from benchmark.stored_maps import CodedLabelMap

FOUR = toy_labels((), "abcd")


def drawn(rows: str) -> NDArray[np.uint16]:
    """Digits are classes, a dot is ignored."""
    return np.array([[IGNORE if sign == "." else int(sign) for sign in row] for row in rows.split()], np.uint16)


def score(truth: str, found: str, convention: Convention, label_set: LabelSet = FOUR) -> Scores:
    target = drawn(truth)
    sample = Sample(
        sample_id="1",
        frames=(),
        size=target.shape,  # type: ignore[arg-type]
        prompt=Prompt(task=Task.SEMANTIC),
        truth=Truth(frames=(LabelMap(class_index=target),)),
    )
    metric = SemanticIoU(label_set, convention)
    prediction = Prediction(frames=(LabelMap(class_index=drawn(found)),))
    return summarise(metric, [metric.measure(sample, prediction)])


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        # a: 3 hits, 4 truth pixels, 4 found; b: 2 hits, 4 and 3; c: found once, never true; d: found on ignored truth.
        ("present", (3 / 5 + 2 / 5) / 2),
        ("all", (3 / 5 + 2 / 5 + 0 + 0) / 4),
        ("union", (3 / 5 + 2 / 5 + 0) / 3),
    ],
)
def test_convention_decides_which_classes_enter_the_mean(convention: Convention, expected: float) -> None:
    result = score("0011 0011 ....", "0011 0120 3333", convention)
    assert result.values["mIoU"] == pytest.approx(expected, abs=1e-12)
    assert result.values["pixel_accuracy"] == pytest.approx(5 / 8)
    assert result.values["mean_accuracy"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert result.counts == {"pixels": 8, "classes": 2}
    if convention == "all":
        assert result.values["final_score"] == pytest.approx((expected + 5 / 8) / 2)
    assert np.isnan(result.per_class["d"]["IoU"]) == (convention != "all")


@pytest.mark.parametrize("outside", ["4", "9", "."])
def test_prediction_outside_the_classes_is_a_miss_and_lands_in_no_other_cell(outside: str) -> None:
    result = score("0011", f"00{outside}1", "union")
    assert result.per_class["a"]["IoU"] == 1.0
    assert result.per_class["b"]["IoU"] == 0.5
    assert result.values["mIoU"] == 0.75


def test_every_code_from_the_number_of_classes_on_falls_into_the_last_cell() -> None:
    truth = np.array([[0, 3, 4, 5, 65535]], np.uint16)
    cell, pixels = confusion(truth, truth, 4)
    assert dict(zip(cell.tolist(), pixels.tolist(), strict=True)) == {0: 1, 3 * 5 + 3: 1, 4 * 5 + 4: 3}


def test_stored_maps_are_counted_like_their_classes() -> None:
    dice = np.random.default_rng(0)
    class_of = np.full(256, IGNORE, np.uint16)
    class_of[1:8] = (3, 0, 1, 1, 2, 9, 4)
    truth, found = (CodedLabelMap(codes=dice.integers(0, 9, (40, 50), np.uint8), class_of=class_of) for _ in range(2))
    expected = confusion(truth.class_index, found.class_index, 4)
    assert all(map(np.array_equal, confusion_of_maps(truth, found, 4), expected))
    plain = LabelMap(class_index=found.class_index)
    assert all(map(np.array_equal, confusion_of_maps(truth, plain, 4), expected))


@pytest.mark.parametrize("highest", [0, 3, 255])
def test_stored_map_is_the_map_of_its_classes(highest: int) -> None:
    codes = np.random.default_rng(0).integers(0, highest, (7, 5), np.uint8, endpoint=True)
    stored = CodedLabelMap(codes=codes, class_of=np.arange(256, dtype=np.uint16)[::-1].copy())
    plain = LabelMap(class_index=stored.class_index)
    assert np.array_equal(plain.class_index, 255 - codes.astype(np.uint16))
    assert stored.size == plain.size == (7, 5)
    assert np.array_equal(stored.present(), plain.present())
    assert np.array_equal(stored.every(3), plain.every(3))
    copied = pickle.loads(pickle.dumps(stored))
    assert np.array_equal(copied.class_index, plain.class_index)


def test_images_without_evaluated_pixels_are_undefined() -> None:
    assert np.isnan(score("....", "0123", "present").values["mIoU"])
    assert np.isnan(score("....", "0123", "union").values["mIoU"])
    assert score("....", "0123", "all").values["mIoU"] == 0.0


def test_matrix_is_added_up_before_it_is_divided() -> None:
    metric = SemanticIoU(FOUR, "present")
    stats = []
    for number, (truth, found) in enumerate([("00", "00"), ("000000", "111111")]):
        target = LabelMap(class_index=drawn(truth))
        sample = Sample(
            sample_id=str(number),
            frames=(),
            size=(1, len(truth)),
            prompt=Prompt(task=Task.SEMANTIC),
            truth=Truth(frames=(target,)),
        )
        stats.append(metric.measure(sample, Prediction(frames=(LabelMap(class_index=drawn(found)),))))
    assert summarise(metric, stats).values["mIoU"] == pytest.approx(2 / 8)


def test_map_of_another_size_is_refused() -> None:
    with pytest.raises(BenchmarkError, match=r"prediction is 1x4 .* image is 2x4"):
        score("0011 0011", "0011", "present")


@pytest.mark.parity
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("convention", ["present", "all", "union"])
def test_semantic_iou_equals_the_definition_read_pixel_by_pixel(convention: Convention, scenario: str) -> None:
    run = RUNS[f"semantic_{convention}"]
    label_set = labels.load(run.labels)
    metric = SemanticIoU(label_set, convention)
    pairs = [run.view(scene) for scene in scenes(scenario)]
    ours = summarise(metric, [metric.measure(*pair) for pair in pairs])
    assert ours.values["mIoU"] == pytest.approx(_definition(pairs, label_set.num_classes, convention), nan_ok=True)


def _definition(pairs: list[tuple[Sample, Prediction]], num_classes: int, convention: Convention) -> float:
    truth = np.concatenate([sample.truth.frames[0].class_index.ravel() for sample, _ in pairs])  # type: ignore[union-attr]
    found = np.concatenate([prediction.frames[0].class_index.ravel() for _, prediction in pairs])  # type: ignore[union-attr]
    truth, found = truth[truth < num_classes], found[truth < num_classes]
    ious = []
    for index in range(num_classes):
        in_truth, in_found = truth == index, found == index
        union = np.count_nonzero(in_truth | in_found)
        counts = {"present": in_truth.any(), "all": True, "union": union > 0}[convention]
        if counts:
            ious.append(np.count_nonzero(in_truth & in_found) / union if union else 0.0)
    return sum(ious) / len(ious) if ious else float("nan")
