"""The two answers whose scores every protocol fixes: the truth replayed, and nothing at all."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from layout_scenes import take

from benchmark.contract import (
    IGNORE,
    NO_BOXES,
    Annotation,
    Frames,
    Instances,
    LabelMap,
    Panoptic,
    Prediction,
    Sample,
    Tracks,
    make_instances,
)


def replayed(sample: Sample) -> Prediction:
    """The truth as a prediction: crowds and what a protocol ignores are left out, because a prediction has none."""
    truth = sample.truth
    assert truth is not None
    frames = Frames(len(truth.frames), lambda index: _without_crowds(truth.frames[index]))
    tracks = None if truth.tracks is None else _take_tracks(truth.tracks, ~truth.tracks.is_crowd)
    is_empty = len(frames) == 1 and isinstance(frames[0], Instances) and len(frames[0]) == 0
    return Prediction(frames=frames, tracks=tracks, is_no_target=is_empty or None)


def nothing(sample: Sample) -> Prediction:
    """An answer of the right form without a single object or class."""
    truth = sample.truth
    assert truth is not None
    frames = Frames(len(truth.frames), partial(_empty, truth.frames))
    tracks = None if truth.tracks is None else _take_tracks(truth.tracks, np.zeros(len(truth.tracks), bool))
    return Prediction(frames=frames, tracks=tracks, is_no_target=False)


def _without_crowds(frame: Annotation) -> Annotation:
    if isinstance(frame, Panoptic):
        kept = tuple(segment for segment in frame.segments if not segment.is_crowd)
        ids = np.where(np.isin(frame.segment_id, [segment.id for segment in kept]), frame.segment_id, 0)
        return Panoptic(segment_id=ids, segments=tuple(replace(segment, area=None) for segment in kept))
    if isinstance(frame, Instances):
        # Boxes of MOTChallenge carry a flag in place of a score: 0 takes them out of the count.
        return take(frame, np.flatnonzero(~frame.is_crowd & (frame.score > 0)))
    return frame


def _empty(frames: Frames, index: int) -> Annotation:
    frame = frames[index]
    if isinstance(frame, Panoptic):
        return Panoptic(segment_id=np.zeros_like(frame.segment_id), segments=())
    if isinstance(frame, LabelMap):
        return LabelMap(class_index=np.full_like(frame.class_index, IGNORE))
    has_masks = frame.masks is not None
    return make_instances(class_index=[], masks=[] if has_masks else None, box_format=NO_BOXES if has_masks else "xywh")


def _take_tracks(tracks: Tracks, rows: np.ndarray) -> Tracks:  # type: ignore[type-arg]
    return Tracks(
        object_id=tracks.object_id[rows],
        class_index=tracks.class_index[rows],
        score=tracks.score[rows],
        is_crowd=tracks.is_crowd[rows],
        area=tracks.area[rows],
    )
