"""Clips of the mini world: identities hold, things leave and return, hide each other, and extents fit what is drawn."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.annotated import ExpressionKind
from benchmark.minidata import clip_difficulty, clips
from benchmark.minidata.clips import NUM_FRAMES, Clip, DrawnClip
from benchmark.minidata.motion import MotionKind, place
from benchmark.minidata.pools import CLIPS_FROM
from benchmark.minidata.pools import NUM_CLIPS as NUM_CLIPS_OF
from benchmark.minidata.render import first_thing_id
from benchmark.minidata.silhouettes import coverage
from benchmark.minidata.world import scene_seed

NUM_CLIPS = 40
SIZE = (128, 128)
GOLDEN = "d9f1372b8bcbc873fda9e25616676244191ba83b4d4415688ddad33de0a95b4e"
"""SHA-256 of the segment ids of the first three clips, which whole-number geometry makes the same everywhere."""


@cache
def _clip(number: int) -> tuple[Clip, DrawnClip]:
    clip = clips.sample_clip(scene_seed(5, "train", CLIPS_FROM + number), "train", SIZE)
    return clip, clips.draw(clip)


def _ids(clip: Clip) -> range:
    first = first_thing_id(clip.scene)
    return range(first, first + len(clip.scene.things))


def _pixels(drawn: DrawnClip, segment_id: int) -> NDArray[np.int64]:
    """int64 [T], pixels of a segment in every frame."""
    return np.array([int((truth.segment_id == segment_id).sum()) for truth in drawn.panoptic])


def _is_outside(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool [T]: nothing of the box (x, y, w, h) lies in the picture."""
    x, y, w, h = boxes.T
    return np.asarray((x >= SIZE[1]) | (y >= SIZE[0]) | (x + w <= 0) | (y + h <= 0))


ALL = pytest.mark.parametrize("number", range(1, NUM_CLIPS + 1))


@ALL
def test_segments_keep_their_id_and_class_and_are_listed_while_they_are_seen(number: int) -> None:
    clip, drawn = _clip(number)
    assert len(drawn.panoptic) == len(drawn.images) == NUM_FRAMES
    classes: dict[int, set[int]] = {}
    for truth in drawn.panoptic:
        assert {segment.id for segment in truth.segments} == set(np.unique(truth.segment_id).tolist()) - {0}
        for segment in truth.segments:
            classes.setdefault(segment.id, set()).add(segment.class_index)
    assert all(len(found) == 1 for found in classes.values())
    assert set(drawn.extents) == set(drawn.visibility) == set(_ids(clip))


@ALL
def test_something_leaves_the_picture_and_returns(number: int) -> None:
    clip, drawn = _clip(number)
    returning = []
    for one in _ids(clip):
        outside, pixels = _is_outside(drawn.extents[one]), _pixels(drawn, one)
        assert not pixels[outside].any()
        away = np.flatnonzero(outside)
        if len(away) and pixels[: away[0]].any() and pixels[away[-1] + 1 :].any():
            returning.append(one)
    assert bool(returning) == bool(clip.scene.things)


@ALL
def test_extents_fit_what_is_drawn_where_nothing_hides_it(number: int) -> None:
    clip, drawn = _clip(number)
    for one in _ids(clip):
        for index in range(0, NUM_FRAMES, 3):
            found = _drawn_alone(clip, one, index)
            x, y, w, h = drawn.extents[one][index]
            is_whole = x >= 1 and y >= 1 and x + w <= SIZE[1] - 1 and y + h <= SIZE[0] - 1
            if is_whole:
                rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
                box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
                # Thin tips may cover less than half of a pixel.
                np.testing.assert_allclose(box, [x, y, x + w, y + h], atol=3.0)
            shown = drawn.panoptic[index].segment_id == one
            assert not (shown & ~found).any()


@ALL
def test_visibility_is_the_share_of_the_whole_thing_that_is_seen(number: int) -> None:
    clip, drawn = _clip(number)
    for one in _ids(clip):
        visibility, pixels = drawn.visibility[one], _pixels(drawn, one)
        assert ((visibility >= 0) & (visibility <= 1)).all()
        np.testing.assert_array_equal(visibility > 0, pixels > 0)
        for index in range(0, NUM_FRAMES, 5):
            x, y, w, h = drawn.extents[one][index]
            if x >= 0 and y >= 0 and x + w <= SIZE[1] and y + h <= SIZE[0]:
                full = int(_drawn_alone(clip, one, index).sum())
                assert visibility[index] == pytest.approx(pixels[index] / full, abs=2 / full)


def _drawn_alone(clip: Clip, segment_id: int, index: int) -> NDArray[np.bool_]:
    """bool [H, W]: the pixels of a thing in one frame if it were alone."""
    position = segment_id - first_thing_id(clip.scene)
    time = index / (NUM_FRAMES - 1)
    cover = coverage(place(clip.scene.things[position], clip.motions[position], time), SIZE)
    found = np.zeros(SIZE, bool)
    height, width = cover.alpha.shape
    found[cover.top : cover.top + height, cover.left : cover.left + width] = cover.alpha >= 0.5
    return found


def test_things_hide_each_other_often() -> None:
    shares = []
    for number in range(1, NUM_CLIPS + 1):
        clip, drawn = _clip(number)
        for one in _ids(clip):
            x, y, w, h = drawn.extents[one].T
            inside = (x >= 0) & (y >= 0) & (x + w <= SIZE[1]) & (y + h <= SIZE[0])
            shares += drawn.visibility[one][inside].tolist()
    found = np.array(shares)
    assert 0.2 <= (found < 0.9).mean() <= 0.8
    assert (found == 0).any(), "nothing is ever fully hidden inside the picture"


def test_every_kind_of_motion_occurs() -> None:
    kinds = [motion.kind for number in range(1, NUM_CLIPS + 1) for motion in _clip(number)[0].motions]
    assert min(kinds.count(kind) for kind in MotionKind) >= 0.04 * len(kinds)


@ALL
def test_things_that_enter_or_leave_are_out_of_the_picture_at_that_end(number: int) -> None:
    clip, drawn = _clip(number)
    for one, motion in zip(_ids(clip), clip.motions, strict=True):
        outside = _is_outside(drawn.extents[one])
        assert outside[0] == (motion.kind is MotionKind.ENTER)
        assert outside[-1] == (motion.kind is MotionKind.LEAVE)


def test_the_same_seed_gives_the_same_clip_and_another_seed_another() -> None:
    first, again, other = (clips.draw(clips.sample_clip(seed, "val", SIZE, 4)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.images, again.images)
    for one, two in zip(first.panoptic, again.panoptic, strict=True):
        np.testing.assert_array_equal(one.segment_id, two.segment_id)
    assert (first.images != other.images).any()


def test_clips_are_those_that_were_drawn_before() -> None:
    ids = [truth.segment_id for number in (1, 2, 3) for truth in _clip(number)[1].panoptic]
    assert hashlib.sha256(np.stack(ids).astype("<i4").tobytes()).hexdigest() == GOLDEN


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_miniatures_are_as_hard_as_promised(split: str) -> None:
    found = clip_difficulty.count(split, NUM_CLIPS_OF[split])
    assert found.returning == NUM_CLIPS_OF[split] >= 6
    assert found.occluded >= 0.2
    assert found.half_hidden >= 0.05
    assert np.median(found.things_per_clip) >= 5
    assert min(found.expressions[kind] for kind in ExpressionKind) >= 0.5 * NUM_CLIPS_OF[split]
    said = clip_difficulty.count_expressions(split, 40)
    assert min(said[kind] for kind in ExpressionKind if kind is not ExpressionKind.MOTION) >= 20


def test_the_world_in_motion_is_described() -> None:
    lines = clip_difficulty.describe()
    assert sum("clips of 16 frames" in line for line in lines) == 2
    assert any("expressions of 80 scenes: attribute " in line and "no target 80" in line for line in lines)
