"""Diagnoses of suspicious scores: none for honest predictions however noisy, and those that need no other reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import mutants
import numpy as np
import pytest
from mutant_worlds import NUM_IMAGES, TOY, world
from scene_views import RUNS, semantic
from scenes import SCENARIOS, scenes
from test_metric_laws import metric_of
from tracking_scenes import CLIPS, SIZE, clip
from vos_videos import drawn_videos, pair_of

from benchmark import box_tracks, labels, masks, metrics
from benchmark.contract import (
    LabelMap,
    Prediction,
    PredictionSet,
    Prompt,
    Sample,
    SampleSet,
    Task,
    Truth,
    make_instances,
)
from benchmark.trust import class_readings, signatures
from benchmark.trust.diagnosis import diagnose
from benchmark.trust.suspicion import MOST_FRAMES, Case, cut, is_gain

Pair = tuple[Sample, Prediction]


def sets(pairs: Iterable[Pair]) -> tuple[SampleSet, PredictionSet]:
    """Samples and predictions as `score` has them."""
    samples, answers = zip(*pairs, strict=True)
    by_id = {sample.sample_id: answer for sample, answer in zip(samples, answers, strict=True)}
    return SampleSet(tuple(by_id), samples.__getitem__), PredictionSet(tuple(by_id), by_id.__getitem__)


HONEST = [one for one in SCENARIOS if one not in ("empty_prediction", "empty_truth")]


@pytest.mark.parametrize("scenario", HONEST)
@pytest.mark.parametrize("name", RUNS)
def test_noisy_answers_are_not_suspicious(name: str, scenario: str) -> None:
    run = RUNS[name]
    metric = metric_of(name)
    main = metrics.METRICS[run.metric].protocols[run.protocol].score_names[0]
    pairs = [run.view(scene) for scene in scenes(scenario, num=12)]
    assert diagnose(metric, main, labels.load(run.labels), *sets(pairs)) == ()


def test_a_noisy_tracker_is_not_suspicious() -> None:
    table = labels.load("mot_challenge")
    pairs = []
    for number in range(2):
        for name in CLIPS:
            drawn = clip(name, seed=number)
            sides = [[_boxes(frame) for frame in side] for side in (drawn.truth, drawn.found)]
            place = Sample(
                sample_id=f"{name}{number}",
                frames=(),
                size=SIZE,
                prompt=Prompt(task=Task.MOT),
                truth=Truth(frames=sides[0]),
            )
            pairs.append((place, Prediction(frames=sides[1])))
    assert diagnose(metrics.build("box_tracking", table, "no_preprocessing"), "HOTA", table, *sets(pairs)) == ()


def _boxes(frame: tuple) -> object:  # type: ignore[type-arg]
    return make_instances(
        class_index=[0] * len(frame),
        boxes=np.array([box.numbers for box in frame]).reshape(-1, 4),
        object_id=np.array([box.object_id for box in frame], np.int64),
    )


def test_late_and_broken_masks_of_videos_are_not_taken_for_a_numbering_mistake() -> None:
    table = labels.load("object")
    pairs = [pair_of(video) for video in drawn_videos() if video.name in ("typical", "single", "gap", "three_frames")]
    found = diagnose(metrics.build("j_and_f", table, "vos_benchmark"), "J&F", table, *sets(pairs))
    assert [one.name for one in found] == []


def test_the_evidence_names_both_numbers_and_how_many_samples_they_are_of() -> None:
    place = world("boxes")
    wrong = mutants.answers("boxes as corners", place.samples)
    (found,) = diagnose(metrics.build("coco_bbox_ap", TOY), "AP", TOY, *sets(zip(place.samples, wrong, strict=True)))
    assert found.evidence == "with boxes read as XYXY, AP would be 1.000 instead of 0.000 on 4 samples"
    assert str(found).startswith("boxes_are_corners: the boxes are x1, y1, x2, y2 where x, y, width, height are read (")
    assert found.remedy == "Write boxes as x, y, width, height"


@pytest.mark.parametrize("mutant", mutants.BOX_READINGS, ids=lambda one: one.mutation)
def test_expressions_that_are_answered_by_boxes_alone_are_read_again_too(mutant: mutants.Mutant) -> None:
    place = world("phrases")
    wrong = mutants.answers(mutant.mutation, place.samples)
    metric = metrics.build("referring_iou", place.labels)
    found = diagnose(metric, "box_P@0.5", place.labels, *sets(zip(place.samples, wrong, strict=True)))
    assert [one.name for one in found] == [mutant.diagnosis]


def test_one_answer_under_every_id_is_noticed() -> None:
    place = world("masks")
    same = mutants.right_answer(0, place.samples[0])
    found = diagnose(metrics.build("coco_segm_ap", TOY), "AP", TOY, *sets((one, same) for one in place.samples))
    assert "samples_duplicated" in [one.name for one in found]
    assert next(one.evidence for one in found if one.name == "samples_duplicated").startswith("8 of 8 predictions")


def test_several_expressions_of_one_object_may_have_one_answer() -> None:
    place = world("expressions")
    twins = [replace(place.samples[0], sample_id=f"a{number}") for number in range(NUM_IMAGES)]
    pairs = [(one, mutants.right_answer(0, one)) for one in twins]
    assert diagnose(metrics.build("referring_iou", place.labels), "oIoU", place.labels, *sets(pairs)) == ()


def test_predictions_of_no_sample_are_counted_whatever_the_score() -> None:
    place = world("masks")
    pairs = [(one, mutants.right_answer(number, one)) for number, one in enumerate(place.samples)]
    samples, predictions = sets(pairs)
    fewer = SampleSet(samples.ids[:5], samples.build)
    (found,) = diagnose(metrics.build("coco_segm_ap", TOY), "AP", TOY, fewer, predictions)
    assert (found.name, found.evidence) == ("unknown_samples", "3 of 8 ids, such as 6, 7, 8")


def test_maps_of_a_single_class_are_noticed_and_maps_of_several_are_not() -> None:
    metric, table = metrics.build("semantic_iou", labels.load("ade20k")), labels.load("ade20k")
    pairs = [semantic(scene, (7, 12, 20, 149, 0, 2, 3)) for scene in scenes("typical")]
    flat = Prediction(frames=(LabelMap(class_index=np.full((56, 72), 3, np.uint16)),))
    found = diagnose(metric, "mIoU", table, *sets((sample, flat) for sample, _ in pairs))
    assert [one.name for one in found] == ["maps_of_two_values"]


def test_a_renaming_is_judged_on_samples_that_it_was_not_learnt_on() -> None:
    """Random classes: the best renaming of one half gains nothing on the other."""
    place, dice = world("masks"), np.random.default_rng(3)

    def guess(number: int, sample: Sample) -> Prediction:
        right = mutants.right_answer(number, sample)
        shuffled = replace(right.frames[0], class_index=dice.integers(0, 6, 4))  # type: ignore[type-var]
        return replace(right, frames=(shuffled,))

    pairs = [(one, guess(number, one)) for number, one in enumerate(place.samples)]
    found = diagnose(metrics.build("coco_segm_ap", TOY), "AP", TOY, *sets(pairs))
    assert "labels_permuted" not in [one.name for one in found]


def test_the_assignment_keeps_the_names_of_classes_that_cover_nothing() -> None:
    table = np.array([[0.1, 0.9, 0, 0], [0.8, 0.2, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 0]])
    assert class_readings.assignment(table).tolist() == [1, 0, 2, 3]
    assert class_readings.moved([1, 0, 2, 3]) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("now", "otherwise", "expected"),
    [(0.02, 0.61, True), (0.3, 0.35, False), (0.7, 0.85, True), (0.5, 0.62, False), (0.0, 0.05, False)],
)
def test_a_reading_must_gain_much(now: float, otherwise: float, expected: bool) -> None:
    assert is_gain(now, otherwise) is expected


def test_what_is_missing_is_missing_to_a_perfect_score() -> None:
    assert not is_gain(0.18, 0.4)
    assert is_gain(0.18, 0.4, best=0.48)


def test_corners_of_a_target_that_is_seldom_in_view_are_noticed() -> None:
    boxes = np.array([[10.0 + step, 10, 40, 40] for step in range(20)])
    corners = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
    truth = Truth(frames=box_tracks.one_run(boxes), absent=np.arange(20) % 2 > 0)
    prompt = Prompt(task=Task.SOT)
    samples = [Sample(sample_id=f"v{one}", frames=(), size=SIZE, prompt=prompt, truth=truth) for one in range(4)]
    wrong = [(one, Prediction(frames=box_tracks.one_run(corners))) for one in samples]
    table = labels.load("object")
    found = diagnose(metrics.build("success_plots", table, "pytracking"), "AUC", table, *sets(wrong))
    assert [one.name for one in found if one.name.startswith("box")] == ["boxes_are_corners"]


def test_work_is_bounded_by_frames_and_objects() -> None:
    place = world("box_tracks").samples[0]
    assert place.truth is not None
    frames = tuple(place.truth.frames) * 20
    long = replace(place, truth=replace(place.truth, frames=frames))
    sample, answer = cut(long, Prediction(frames=frames))
    assert sample.truth is not None
    assert len(sample.truth.frames) == len(answer.frames) == MOST_FRAMES
    many = make_instances(class_index=[0] * 500, boxes=np.ones((500, 4)), score=np.linspace(0, 1, 500))
    image = world("boxes").samples[0]
    _, answer = cut(image, Prediction(frames=(many,)))
    assert answer.frames[0].score.min() > 0.93  # type: ignore[union-attr]


def test_silence_is_no_mistake_where_the_truth_is_silent_too() -> None:
    nothing = make_instances(class_index=[], boxes=np.zeros((0, 4)))
    place = replace(world("boxes").samples[0], truth=Truth(frames=(nothing,)))
    pairs = ((place, Prediction(frames=(nothing,))),)
    case = Case(metric=metrics.build("coco_bbox_ap", TOY), score_name="AP", labels=TOY, fitting=pairs, judged=pairs)
    assert list(signatures.find(case, 0.5)) == []


def test_masks_without_pixels_are_silence_and_no_copies() -> None:
    """Some result forms list every object in every frame, whether it is seen or not."""
    place = world("masks")
    hollow = [masks.empty(one.size) for one in place.samples for _ in range(4)][:4]
    silent = Prediction(frames=(make_instances(class_index=[0, 0, 0, 0], masks=hollow),))
    found = diagnose(metrics.build("coco_segm_ap", TOY), "AP", TOY, *sets((one, silent) for one in place.samples))
    assert [one.name for one in found] == ["predictions_empty"]


def test_what_cannot_be_scored_in_another_reading_is_left_alone() -> None:
    place = world("box_tracks")
    right = mutants.right_answer(0, place.samples[0])
    pairs = ((place.samples[0], right),)
    case = Case(
        metric=metrics.build("box_tracking", place.labels),
        score_name="HOTA",
        labels=place.labels,
        fitting=pairs,
        judged=pairs,
    )
    broken: Callable[[Sample, Prediction], Prediction] = lambda sample, answer: Prediction(frames=())  # noqa: E731
    assert np.isnan(case.value(broken))
