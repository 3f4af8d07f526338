"""Every prompted task over time: templates are renewed, late objects start late, ids last, one frame is in memory."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from coloured_world import SIDE, ColourDetector, Places, clip_of, frame_of, sample_of, shown

from benchmark import masks
from benchmark.contract import Instances, Prediction, Task
from benchmark.problems import UsageError
from models.prompted_segmenter import PromptedSegmenter
from models.task_settings import TASK_SETTINGS, InferenceRules, TargetRules

NAMES = ("nothing", "red", "green", "blue", "black", "white", "pink", "grey")
AS_IS = MappingProxyType({task: replace(row, short_side=None) for task, row in TASK_SETTINGS.items()})


def rules(task: Task | None = None, settings: dict[str, Any] | None = None, **others: Any) -> InferenceRules:
    """The published numbers on frames as they are; some of a task's settings changed."""
    tasks = dict(AS_IS)
    if task is not None:
        tasks[task] = replace(tasks[task], **(settings or {}))
    return InferenceRules(tasks=tasks, **others)


def objects(prediction: Prediction, index: int) -> Instances:
    frame = prediction.frames[index]
    assert isinstance(frame, Instances)
    return frame


def ids(prediction: Prediction) -> list[list[int]]:
    """Object ids of every frame, ascending."""
    return [sorted(objects(prediction, index).object_id.tolist()) for index in range(len(prediction.frames))]


def moving(num_frames: int, colour: int = 1) -> list[Places]:
    return [{colour: (4, 2 + index % 20)} for index in range(num_frames)]


def follow_box(
    frames: list[Places], *, scores: dict[int, int] | None = None, **rule: Any
) -> tuple[ColourDetector, Prediction]:
    clip = clip_of(frames, scores)
    given = {0: replace(shown(clip[0], [1]), masks=None)}
    detector = ColourDetector()
    segmenter = PromptedSegmenter(detector, rules=rules(sot=TargetRules(**rule)))
    return detector, segmenter.predict(clip, sample_of(Task.SOT, len(clip), objects=given))


def follow_masks(
    frames: list[Places], given: dict[int, list[int]], *, scores: dict[int, int] | None = None, **rule: Any
) -> tuple[ColourDetector, Prediction]:
    clip = clip_of(frames, scores)
    prompt = {index: shown(clip[index], colours) for index, colours in given.items()}
    detector = ColourDetector()
    segmenter = PromptedSegmenter(detector, rules=rules(vos=TargetRules(**rule)))
    return detector, segmenter.predict(clip, sample_of(Task.VOS, len(clip), objects=prompt))


def test_a_box_is_followed_and_the_first_frame_is_what_was_given() -> None:
    detector, prediction = follow_box(moving(5), update_interval=200)
    boxes = np.concatenate([objects(prediction, index).boxes for index in range(5)])
    np.testing.assert_allclose(boxes, [[2 + index, 4, SIDE, SIDE] for index in range(5)], atol=1e-4)
    assert detector.finds == [1] * 4 and detector.sentences == {"the task is sot"}


@pytest.mark.parametrize(
    ("scores", "seen"),
    [({}, [0, 0, 0, 2, 2, 4, 4]), ({2: 60}, [0, 0, 0, 0, 0, 4, 4]), ({2: 60, 4: 70}, [0] * 7)],
)
def test_the_second_look_at_a_box_is_renewed_at_intervals_where_the_score_is_high(
    scores: dict[int, int], seen: list[int]
) -> None:
    detector, _ = follow_box(moving(7), scores=scores, update_interval=2)
    assert detector.pairs == [(0, last) for last in seen[1:]]


def test_a_lost_box_does_not_renew_the_look() -> None:
    detector, prediction = follow_box([{1: (4, 2)}, {}, {}], update_interval=1)
    assert detector.pairs == [(0, 0), (0, 0)]
    assert len(objects(prediction, 2)) == 1


def test_masks_renew_their_look_in_every_frame_where_the_score_is_high() -> None:
    detector, _ = follow_masks(moving(5), {0: [1]}, scores={2: 69})
    assert detector.pairs == [(0, 0), (0, 1), (0, 1), (0, 3)]
    assert all(one.has_mask for one in detector.targets)
    # Between the outermost pixels, without their own width.
    assert detector.targets[1].box == (3, 4, SIDE - 1, SIDE - 1)


def test_sizes_that_need_padding_renew_nothing_only_if_asked() -> None:
    detector, _ = follow_masks(moving(3), {0: [1]}, skips_odd_sizes=True)
    assert detector.pairs == [(0, 0), (0, 0)]


def test_an_object_that_appears_later_is_followed_from_there_on() -> None:
    frames: list[Places] = [{1: (4, 2)}, {1: (4, 3), 2: (14, 20)}, {1: (4, 4), 2: (14, 19)}, {2: (14, 18)}]
    detector, prediction = follow_masks(frames, {0: [1], 1: [2]})
    assert ids(prediction)[:3] == [[1], [1, 2], [1, 2]]
    last = objects(prediction, 3)
    assert masks.areas(last.masks or ()).tolist() == [0, SIDE * SIDE]
    # The frame that shows an object is answered with what it shows; nobody looks for the object there.
    assert detector.finds == [1, 2, 2]
    truth = clip_of(frames)[1][..., 0] == 2
    rles = dict(zip(objects(prediction, 1).object_id.tolist(), objects(prediction, 1).masks or (), strict=True))
    assert (masks.decode(rles[2]) == truth).all()


def test_an_object_that_is_given_again_is_known_by_its_newest_look() -> None:
    detector, _ = follow_masks(moving(3), {0: [1], 1: [1]})
    assert detector.finds == [1] and detector.pairs == [(1, 1)]


def test_followed_masks_do_not_overlap() -> None:
    frames: list[Places] = [{1: (4, 2), 2: (14, 20)}, {1: (4, 5), 2: (6, 8)}]
    _, prediction = follow_masks(frames, {0: [1, 2]})
    decoded = np.stack([masks.decode(rle) for rle in objects(prediction, 1).masks or ()])
    assert decoded.sum(0).max() == 1 and decoded.any((1, 2)).all()


def test_masks_of_low_score_are_empty_only_if_asked() -> None:
    for least, pixels in ((None, SIDE * SIDE), (0.5, 0)):
        _, prediction = follow_masks(moving(2), {0: [1]}, scores={1: 40}, least_score=least)
        assert masks.areas(objects(prediction, 1).masks or ()).tolist() == [pixels]


def test_an_object_given_without_pixels_is_left_out() -> None:
    _, prediction = follow_masks(moving(2), {0: [1, 5]})
    assert ids(prediction) == [[1], [1]]


@pytest.mark.parametrize("task", [Task.MOT, Task.MOTS])
def test_ids_last_while_objects_move_and_for_nine_frames_of_absence(task: Task) -> None:
    both: Places = {1: (2, 2), 2: (14, 20)}
    frames: list[Places] = [both, {1: (14, 20), 2: (2, 2)}, *[{2: (2, 3)}] * 9, both, *[{2: (2, 3)}] * 10, both]
    detector = ColourDetector(names=NAMES)
    prediction = PromptedSegmenter(detector, rules=rules()).predict(
        clip_of(frames), sample_of(task, len(frames), labels=("red", "green"))
    )
    assert ids(prediction) == [[1, 2], [1, 2], *[[2]] * 9, [1, 2], *[[2]] * 10, [2, 3]]
    assert prediction.tracks is not None and prediction.tracks.object_id.tolist() == [1, 2, 3]
    assert prediction.tracks.class_index.tolist() == [0, 1, 0]
    assert (objects(prediction, 0).masks is None) == (task is Task.MOT)


def test_tracked_masks_do_not_overlap() -> None:
    detector = ColourDetector(names=NAMES)
    clip = clip_of([{1: (2, 2), 2: (2, 6)}])
    prediction = PromptedSegmenter(detector, rules=rules()).predict(
        clip, sample_of(Task.MOTS, 1, labels=("red", "green"))
    )
    decoded = np.stack([masks.decode(rle) for rle in objects(prediction, 0).masks or ()])
    assert len(decoded) == 2 and decoded.sum(0).max() == 1


def test_video_instances_are_ranked_by_their_mean_score_and_shown_where_they_are_seen() -> None:
    frames: list[Places] = [{1: (2, 2)}, {1: (2, 3), 2: (14, 20)}, {2: (14, 19)}]
    prediction = PromptedSegmenter(ColourDetector(names=NAMES), rules=rules()).predict(
        clip_of(frames, {0: 90, 1: 70, 2: 40}), sample_of(Task.VIS, 3, labels=("green", "", "red"))
    )
    tracks = prediction.tracks
    assert tracks is not None
    # Class 1 has no name and is not asked for.
    assert tracks.class_index.tolist() == [2, 0]
    np.testing.assert_allclose(tracks.score, [0.8, 0.55], atol=1e-6)
    assert ids(prediction) == [[1], [1, 2], [2]]


def test_a_rare_and_lost_video_instance_is_dropped() -> None:
    twice: Places = {1: (2, 2), 2: (14, 20), 3: (14, 2)}
    frames: list[Places] = [twice, twice, {1: (2, 2), 3: (14, 2)}, *[{1: (2, 3)}] * 8]
    prediction = PromptedSegmenter(ColourDetector(names=NAMES), rules=rules()).predict(
        clip_of(frames), sample_of(Task.VIS, len(frames), labels=("red", "green", "blue"))
    )
    # Green was seen in two frames, blue in three.
    assert prediction.tracks is not None and prediction.tracks.class_index.tolist() == [0, 2]
    assert ids(prediction) == [*[[1, 2]] * 3, *[[1]] * 8]


def test_an_expression_is_answered_in_every_frame_as_one_object() -> None:
    frames: list[Places] = [{1: (2, 2), 2: (14, 20)}, {1: (2, 9)}]
    detector = ColourDetector(names=NAMES)
    prediction = PromptedSegmenter(detector, rules=rules()).predict(
        clip_of(frames), sample_of(Task.RVOS, 2, sentence="the red one")
    )
    assert ids(prediction) == [[1], [1]]
    assert masks.bounding_boxes(objects(prediction, 1).masks or ()).tolist() == [[9, 2, SIDE, SIDE]]
    assert detector.sentences == {"the task is rvos"} and detector.num_asked == 1


def test_several_expressions_share_the_pixels_of_a_frame() -> None:
    detector = ColourDetector(names=NAMES)
    prediction = PromptedSegmenter(detector, rules=rules()).predict(
        clip_of([{1: (2, 2), 2: (2, 6)}]),
        sample_of(Task.RVOS, 1, labels=("the green one", "the red one", "one of red")),
    )
    decoded = np.stack([masks.decode(rle) for rle in objects(prediction, 0).masks or ()])
    assert ids(prediction) == [[1, 2, 3]] and decoded.sum(0).max() == 1
    assert masks.bounding_box(objects(prediction, 0).masks[0]) == (6, 2, SIDE, SIDE)  # type: ignore[index]
    assert detector.finds == [3]


@pytest.mark.parametrize(("sentence", "is_empty"), [("the red one", False), ("the pink one", True)])
def test_an_expression_without_a_target_is_answered_with_nothing_if_the_rules_allow_it(
    sentence: str, is_empty: bool
) -> None:
    selection = replace(AS_IS[Task.REFERRING].selection, least_score=0.5, keeps_best=False)
    may_be_empty = rules(Task.REFERRING, {"selection": selection})
    for chosen, said in ((may_be_empty, is_empty), (rules(), None)):
        prediction = PromptedSegmenter(ColourDetector(names=NAMES), rules=chosen).predict(
            clip_of([{1: (2, 2)}]), sample_of(Task.REFERRING, 1, sentence=sentence)
        )
        assert prediction.is_no_target is said
        assert len(objects(prediction, 0)) == (0 if said else 1)


@pytest.mark.parametrize(
    ("box_format", "expected"),
    [("xywh", [2, 4, 6, 6]), ("xyxy", [2, 4, 8, 10]), ("xyxy_norm", [2 / 32, 4 / 24, 8 / 32, 10 / 24])],
)
def test_boxes_are_answered_in_the_wanted_format(box_format: str, expected: list[float]) -> None:
    prediction = PromptedSegmenter(
        ColourDetector(names=NAMES), rules=rules(Task.DETECTION, {"box_format": box_format})
    ).predict(clip_of([{1: (4, 2)}]), sample_of(Task.DETECTION, 1, labels=("red",)))
    found = objects(prediction, 0)
    assert found.box_format == box_format and found.masks is None
    np.testing.assert_allclose(found.boxes[0], expected, atol=1e-5)


PROMPTS = {
    Task.SOT: {"objects": {0: replace(shown(frame_of({1: (4, 2)}), [1]), masks=None)}},
    Task.VOS: {"objects": {0: shown(frame_of({1: (4, 2), 2: (14, 20)}), [1, 2])}},
    Task.MOT: {"labels": ("red", "green")},
    Task.MOTS: {"labels": ("red", "green")},
    Task.VIS: {"labels": ("red", "green")},
    Task.RVOS: {"sentence": "the red one"},
}


@pytest.mark.parametrize("task", PROMPTS)
@pytest.mark.parametrize("num_frames", [3, 30])
def test_one_frame_is_in_memory_and_looked_at_once(task: Task, num_frames: int) -> None:
    detector = ColourDetector(names=NAMES)
    clip = clip_of([{1: (4, 2 + index % 20), 2: (14, 20)} for index in range(num_frames)])
    reads: list[int] = []

    def reader(index: int) -> Any:
        return lambda: reads.append(index) or clip[index].copy()

    sample = sample_of(task, num_frames, **PROMPTS[task])
    prediction = PromptedSegmenter(detector, rules=rules()).predict([reader(i) for i in range(num_frames)], sample)
    assert reads == list(range(num_frames)) and len(detector.looks) == num_frames
    assert detector.most_alive == 1
    is_shown = task in (Task.SOT, Task.VOS)
    assert len(detector.finds) == num_frames - is_shown and len(prediction.frames) == num_frames
    assert detector.num_asked == (0 if is_shown else 1)
    # Of seven queries only those that are selected are drawn.
    assert max(detector.drawn, default=0) <= 2


BAD = {
    "no object to follow": (Task.VOS, {}),
    "no expression": (Task.REFERRING, {"sentence": ""}),
    "no class names": (Task.VIS, {"labels": ("", " ")}),
    "task panoptic is not answered": (Task.PANOPTIC, {"labels": ("red",)}),
}


@pytest.mark.parametrize("message", BAD)
def test_a_prompt_that_lacks_what_its_task_needs_is_refused(message: str) -> None:
    task, prompt = BAD[message]
    with pytest.raises(UsageError, match=message):
        PromptedSegmenter(ColourDetector(names=NAMES), rules=rules()).predict(
            clip_of([{}]), sample_of(task, 1, **prompt)
        )


def test_as_many_frames_are_given_as_the_sample_has() -> None:
    with pytest.raises(ValueError, match="2 frames were given, it has 3"):
        PromptedSegmenter(ColourDetector(names=NAMES)).predict(
            clip_of([{}, {}]), sample_of(Task.RVOS, 3, sentence="red")
        )
