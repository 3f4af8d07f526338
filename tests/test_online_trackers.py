"""What the trackers remember and forget, on detections whose embeddings say who they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.association import (
    NO_TRACK,
    Detections,
    best_overlap,
    both_ways,
    box_overlap,
    mask_overlap,
    without_duplicates,
)
from models.tracking import BoxTracker, BoxTrackerRules, MaskTracker, MaskTrackerRules

SHARP = 6.0
TRACKERS = [MaskTracker, BoxTracker]


def seen(names: str, *, scores: Sequence[float] = (), classes: Sequence[int] = (), dim: int = 8) -> Detections:
    """One detection a letter, apart from each other; equal letters look alike. scores: 0.9 unless given."""
    num = len(names)
    return Detections(
        score=np.array([*scores, *[0.9] * (num - len(scores))], np.float32),
        class_index=np.array([*classes, *[0] * (num - len(classes))]),
        embedding=SHARP * np.stack([np.eye(dim, dtype=np.float32)[ord(name) - ord("a")] for name in names]),
        overlap=np.eye(num, dtype=np.float32),
    )


def ids(tracker: MaskTracker | BoxTracker, frames: Sequence[Detections]) -> list[list[int]]:
    return [tracker.update(found, index).track_id.tolist() for index, found in enumerate(frames)]


@pytest.mark.parametrize("kind", TRACKERS)
def test_objects_keep_their_ids_in_any_order(kind: type[MaskTracker] | type[BoxTracker]) -> None:
    assert ids(kind(), [seen("ab"), seen("ba"), seen("cab"), seen("c")]) == [[0, 1], [1, 0], [2, 0, 1], [2]]


@pytest.mark.parametrize("kind", TRACKERS)
@pytest.mark.parametrize(("absence", "found"), [(9, 0), (10, 2)])
def test_objects_are_forgotten_after_ten_frames(
    kind: type[MaskTracker] | type[BoxTracker], absence: int, found: int
) -> None:
    frames = [seen("ab"), *[seen("b")] * absence, seen("ab")]
    # The object was last seen in frame 0.
    assert ids(kind(), frames)[-1] == ([0, 1] if absence < 10 else [found, 1])


@pytest.mark.parametrize(("kind", "score"), [(MaskTracker, 0.2), (BoxTracker, 0.4)])
def test_weak_detections_start_no_track(kind: type[MaskTracker] | type[BoxTracker], score: float) -> None:
    assert ids(kind(), [seen("ab", scores=(0.9, score))]) == [[0, NO_TRACK]]
    assert ids(kind(), [seen("ab", scores=(0.9, score + 0.01))]) == [[0, 1]]


def test_a_weak_box_continues_no_track_and_is_not_remembered_as_background() -> None:
    tracker = BoxTracker()
    weak = seen("a", scores=(0.3,))
    # As background it would be the nearer one in the last frame.
    weak = replace(weak, embedding=1.2 * weak.embedding)
    assert ids(tracker, [seen("a"), weak, seen("a", scores=(0.31,))]) == [[0], [NO_TRACK], [0]]


def test_a_weak_mask_continues_a_track() -> None:
    assert ids(MaskTracker(), [seen("a"), seen("a", scores=(0.11,))]) == [[0], [0]]


def test_what_was_background_in_the_last_frame_takes_detections_from_tracks() -> None:
    def between(share: float) -> Detections:
        """A detection that looks like `b`, and somewhat like `a`."""
        one = seen("b")
        return replace(one, embedding=(1 - share) * one.embedding + share * seen("a").embedding)

    frames = [seen("ab", scores=(0.9, 0.35)), between(0.2)]
    assert ids(BoxTracker(), frames) == [[0, NO_TRACK], [1]]
    # Without the background the only track is the nearest thing there is.
    assert ids(BoxTracker(BoxTrackerRules(background_frames=0)), frames) == [[0, NO_TRACK], [0]]


def test_background_that_overlaps_a_better_detection_is_not_remembered() -> None:
    first = seen("ab", scores=(0.9, 0.35))
    overlapping = replace(first, overlap=np.array([[1, 0.5], [0.5, 1]], np.float32))
    later = replace(seen("b"), embedding=0.8 * seen("b").embedding + 0.2 * seen("a").embedding)
    assert ids(BoxTracker(), [first, later])[-1] == [1]
    assert ids(BoxTracker(), [overlapping, later])[-1] == [0]


def test_boxes_keep_their_class_and_masks_need_not() -> None:
    frames = [seen("a", classes=(0,)), seen("a", classes=(1,))]
    assert ids(BoxTracker(), frames) == [[0], [1]]
    assert ids(BoxTracker(BoxTrackerRules(keeps_class=False)), frames) == [[0], [0]]
    assert ids(MaskTracker(), frames) == [[0], [0]]


def test_of_two_similar_tracks_the_longer_one_is_continued() -> None:
    def both(first: float, second: float) -> Detections:
        one = seen("a")
        embedding = np.zeros_like(one.embedding)
        embedding[0, :2] = first, second
        return replace(one, embedding=embedding)

    # One detection like two tracks: both similarities are above 0.5 because nothing else claims the tracks.
    frames = [seen("ab"), seen("a"), seen("a"), both(3.0, 3.1)]
    assert ids(MaskTracker(), frames)[-1] == [0]
    assert ids(MaskTracker(MaskTrackerRules(prefers_long=False)), frames)[-1] == [1]


def test_later_embeddings_weigh_more() -> None:
    tracker = MaskTracker()
    for index, name in enumerate("aab"):
        found = replace(seen("a"), embedding=seen(name).embedding)
        tracker.update(found, index)
    (track,) = tracker._tracks.values()
    weights = np.array([0.9 + 1 / 3, 0.9 + 2 / 3, 0.9 + 1])
    expected = SHARP * np.array([weights[:2].sum(), weights[2]]) / weights.sum()
    np.testing.assert_allclose(track.embedding(prefers_recent=True)[:2], expected, rtol=1e-6)
    np.testing.assert_allclose(track.embedding(prefers_recent=False)[:2], [4, 2], rtol=1e-6)


def test_momentum_mixes_old_and_new_embeddings() -> None:
    tracker = BoxTracker(BoxTrackerRules(momentum=0.25))
    ids(tracker, [seen("a"), replace(seen("a"), embedding=seen("b").embedding)])
    (track,) = tracker._tracks.values()
    np.testing.assert_allclose(track.embedding[:2], [SHARP * 0.75, SHARP * 0.25])


def test_duplicates_are_dropped_before_they_are_matched() -> None:
    overlap = np.array([[1, 0.6, 0.0], [0.6, 1, 0.6], [0.0, 0.6, 1]], np.float32)
    found = replace(seen("abc", scores=(0.9, 0.8, 0.29)), overlap=overlap)
    # Masks are compared with kept better ones, boxes with all better ones and at 0.3 where they are weak.
    assert MaskTracker().update(found, 0).row.tolist() == [0, 2]
    assert BoxTracker().update(found, 0).row.tolist() == [0, 1]
    assert BoxTracker().update(replace(found, score=np.full(3, 0.9, np.float32)), 0).row.tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", TRACKERS)
def test_frames_without_detections_pass(kind: type[MaskTracker] | type[BoxTracker]) -> None:
    nothing = seen("a").rows(np.zeros(0, np.int64))
    assert ids(kind(), [nothing, seen("a"), nothing, seen("a")]) == [[], [0], [], [0]]


def test_similarity_needs_both_sides() -> None:
    alike = both_ways(seen("ab").embedding, seen("ab").embedding)
    assert (alike.diagonal() > 0.99).all() and alike[0, 1] < 0.01
    # Two detections like one remembered object share its preference.
    shared = both_ways(seen("aa").embedding, seen("ab").embedding)
    assert shared[0, 0] == pytest.approx(0.75, abs=0.01)


def test_overlaps() -> None:
    masks = torch.full((4, 2, 4), -1.0)
    masks[0, :, :2] = masks[1, :, 1:3] = 1
    overlap = mask_overlap(masks)
    assert overlap[0, 1] == pytest.approx(1 / 3) and overlap[0, 2] == 0
    assert overlap[2, 3] == 1, "two empty masks are the same"
    boxes = box_overlap(torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 5, 5]]))
    assert boxes[0, 1] == pytest.approx(1 / 3) and boxes[2].tolist() == [0, 0, 0]
    assert without_duplicates(overlap, 0.3).tolist() == [0, 2]
    np.testing.assert_allclose(best_overlap(overlap), [0, 1 / 3, 0, 1], rtol=1e-6)
