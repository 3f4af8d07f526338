"""Common mistakes, made on right answers: what `mutants` prices and the diagnoses must recognise.

A mistake takes the number of a sample, the sample and its right answer, and returns the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from replay import nothing

from benchmark import masks
from benchmark.box_tracks import BoxTrack
from benchmark.contract import Annotation, Instances, LabelMap, Panoptic, Prediction, Sample, make_instances

Mutate = Callable[[int, Sample, Prediction], Prediction]
"""(number of the sample, sample, right answer) -> wrong answer."""
IGNORED = 65535


def in_frames(change: Callable[[Annotation], Annotation]) -> Mutate:
    """A mistake made in every frame."""
    return lambda number, sample, right: replace(right, frames=tuple(change(frame) for frame in right.frames))


def on_boxes(change: Callable[[NDArray[np.float64], str, Sample], NDArray[np.float64]]) -> Mutate:
    """A mistake in boxes float64 [N, 4] of a format, of single tracks too."""

    def mutate(number: int, sample: Sample, right: Prediction) -> Prediction:
        if isinstance(right.frames, BoxTrack):
            whole = right.frames.boxes
            return replace(right, frames=BoxTrack(change(whole[:, 0], "xywh", sample)[:, None]))
        frames = [frame for frame in right.frames if isinstance(frame, Instances)]
        return replace(right, frames=tuple(replace(f, boxes=change(f.boxes, f.box_format, sample)) for f in frames))

    return mutate


def on_pixels(change: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> Mutate:
    """A mistake in masks and maps [H, W]."""

    def convert(frame: Annotation) -> Annotation:
        match frame:
            case Instances():
                return replace(frame, masks=tuple(masks.encode(change(masks.decode(one))) for one in frame.masks or ()))
            case LabelMap():
                return LabelMap(class_index=change(frame.class_index))  # type: ignore[arg-type]
            case Panoptic():
                return Panoptic(segment_id=change(frame.segment_id), segments=frame.segments)  # type: ignore[arg-type]

    return in_frames(convert)


def on_classes(table: Mapping[int, int]) -> Mutate:
    """Classes called otherwise, tracks too."""
    rename = np.vectorize(lambda one: table.get(one, one), otypes=[np.int64])

    def convert(frame: Annotation) -> Annotation:
        match frame:
            case Instances():
                return replace(frame, class_index=rename(frame.class_index) if len(frame) else frame.class_index)
            case LabelMap():
                return LabelMap(class_index=rename(frame.class_index).astype(np.uint16))
            case Panoptic():
                renamed = [
                    replace(one, class_index=table.get(one.class_index, one.class_index)) for one in frame.segments
                ]
                return Panoptic(segment_id=frame.segment_id, segments=tuple(renamed))

    def mutate(number: int, sample: Sample, right: Prediction) -> Prediction:
        tracks = right.tracks and replace(right.tracks, class_index=rename(right.tracks.class_index))
        return replace(in_frames(convert)(number, sample, right), tracks=tracks)

    return mutate


def _scaled(drawn: NDArray[np.generic]) -> NDArray[np.generic]:
    """In the upper left quarter; beyond it is nothing, in maps of classes no class."""
    small = drawn[::2, ::2]
    missing = [(0, whole - part) for whole, part in zip(drawn.shape, small.shape, strict=True)]
    return np.pad(small, missing, constant_values=IGNORED if drawn.dtype == np.uint16 else 0)


def _half(number: int, sample: Sample, right: Prediction) -> Prediction:
    """No answer to every second sample."""
    if number % 2 == 0:
        return right
    if isinstance(right.frames[0], LabelMap):
        return in_frames(lambda frame: LabelMap(class_index=np.full_like(frame.class_index, IGNORED)))(  # type: ignore[union-attr]
            number, sample, right
        )
    return nothing(sample)


def _without_second(frame: Annotation) -> Annotation:
    if isinstance(frame, Panoptic):
        ids = np.where(frame.segment_id == 2, 0, frame.segment_id)
        return Panoptic(segment_id=ids, segments=tuple(one for one in frame.segments if one.id != 2))
    assert isinstance(frame, Instances)
    return _rows(frame, [0])


def _rows(frame: Instances, rows: list[int]) -> Instances:
    return make_instances(
        class_index=frame.class_index[rows],
        masks=None if frame.masks is None else [frame.masks[row] for row in rows],
        boxes=frame.boxes[rows],
        box_format=frame.box_format,
        area=frame.area[rows],
        score=frame.score[rows],
        object_id=frame.object_id[rows],
    )


def _twice(frame: Annotation) -> Annotation:
    """Every object once more, under an id of its own."""
    assert isinstance(frame, Instances)
    rows = list(range(len(frame)))
    both = _rows(frame, rows + rows)
    return replace(both, object_id=np.concatenate((frame.object_id, frame.object_id + 100)))


def _guessed(frame: Annotation) -> Annotation:
    """Every object once more, 45 pixels below, and all with one score."""
    assert isinstance(frame, Instances)
    both = _twice(frame)
    assert isinstance(both, Instances)
    boxes = both.boxes + np.repeat([[0, 0], [0, 45]], len(frame), axis=0) @ np.array([[1, 0, 0, 0], [0, 1, 0, 0]])
    drawn = None if both.masks is None else [masks.decode(one) for one in both.masks]
    moved = (
        None
        if drawn is None
        else tuple(
            masks.encode(np.roll(one, 45, axis=0) if row >= len(frame) else one) for row, one in enumerate(drawn)
        )
    )
    return replace(both, boxes=boxes, masks=moved, score=np.ones(len(both)))


def _step(by: int) -> Mutate:
    def mutate(number: int, sample: Sample, right: Prediction) -> Prediction:
        order = np.clip(np.arange(len(right.frames)) - by, 0, len(right.frames) - 1).tolist()
        if isinstance(right.frames, BoxTrack):
            return replace(right, frames=BoxTrack(right.frames.boxes[order]))
        return replace(right, frames=tuple(right.frames[index] for index in order))

    return mutate


def _exchanged(frame: Annotation) -> Annotation:
    """Objects 1 and 2 carry each other's ids."""
    if isinstance(frame, Panoptic):
        return Panoptic(segment_id=np.array([0, 2, 1], np.int32)[frame.segment_id], segments=frame.segments)
    assert isinstance(frame, Instances)
    return replace(frame, object_id=3 - frame.object_id)


def _switched(number: int, sample: Sample, right: Prediction) -> Prediction:
    half = len(right.frames) // 2
    kept, others = list(right.frames)[:half], list(right.frames)[half:]
    return replace(right, frames=tuple(kept + [_exchanged(frame) for frame in others]))


def _white(frame: Annotation) -> Annotation:
    """0 and 255: the first object of a map of ids, everything but the background of a map of classes."""
    if isinstance(frame, LabelMap):
        ground = frame.class_index == frame.class_index[-1, -1]
        return LabelMap(class_index=np.where(ground, 0, IGNORED).astype(np.uint16))
    assert isinstance(frame, Panoptic)
    ids = np.where(frame.segment_id == 1, 255, 0).astype(np.int32)
    return Panoptic(segment_id=ids, segments=(replace(frame.segments[0], id=255),))


def _as_corners(boxes: NDArray[np.float64], form: str, sample: Sample) -> NDArray[np.float64]:
    """Corners where sizes are read, sizes where corners are read."""
    sign = 1 if form == "xywh" else -1
    return np.concatenate((boxes[:, :2], boxes[:, 2:] + sign * boxes[:, :2]), axis=1)


def _normalised(boxes: NDArray[np.float64], form: str, sample: Sample) -> NDArray[np.float64]:
    return boxes / np.tile(sample.size[::-1], 2)


def _centred(boxes: NDArray[np.float64], form: str, sample: Sample) -> NDArray[np.float64]:
    return np.concatenate((boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]), axis=1)


def _aside(boxes: NDArray[np.float64], form: str, sample: Sample) -> NDArray[np.float64]:
    return boxes + np.array([2, 0, 0, 0] if form == "xywh" else [2, 0, 2, 0])


def _row_major(drawn: NDArray[np.generic]) -> NDArray[np.generic]:
    """Written row by row, read column by column."""
    return np.ascontiguousarray(drawn.ravel(order="C").reshape(drawn.shape, order="F"))


MUTATIONS: Mapping[str, Mutate] = MappingProxyType(
    {
        "boxes aside": on_boxes(_aside),
        "pixels aside": on_pixels(lambda drawn: np.roll(drawn, 2, axis=1)),
        "half the samples": _half,
        "second object lost": in_frames(_without_second),
        "classes swapped": on_classes({0: 1, 1: 0, 2: 3, 3: 2}),
        "city classes swapped": on_classes({11: 12, 12: 11, 13: 14, 14: 13}),
        "rider classes swapped": on_classes({19: 20, 20: 19, 21: 22, 22: 21}),
        "category ids + 1": on_classes({one: one + 1 for one in range(7)}),
        "ids exchanged": in_frames(_exchanged),
        "ids switched halfway": _switched,
        "box axes": on_boxes(lambda boxes, form, sample: boxes[:, [1, 0, 3, 2]]),
        "pixel axes": on_pixels(_row_major),
        "boxes halved": on_boxes(lambda boxes, form, sample: boxes / 2),
        "pixels halved": on_pixels(_scaled),
        "twice": in_frames(_twice),
        "a guess beside each": in_frames(_guessed),
        "boxes as corners": on_boxes(_as_corners),
        "boxes normalised": on_boxes(_normalised),
        "boxes centred": on_boxes(_centred),
        "frames late": _step(1),
        "frames early": _step(-1),
        "0 and 255": in_frames(_white),
        "nothing": lambda number, sample, right: nothing(sample),
    }
)
