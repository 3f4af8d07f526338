"""Other readings of predicted masks and maps: other axes, another scale, 255 for an object, and frames out of step.

Masks of another size than the picture never come here: readers and metrics refuse them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.box_tracks import BoxTrack
from benchmark.contract import Annotation, Frames, Instances, LabelMap, Panoptic, Prediction, Sample, make_instances
from benchmark.runs import one_a_run
from benchmark.trust import box_readings
from benchmark.trust.suspicion import Case, Change, Reading, each_frame, first_frames

WHITE = 255
MOST_SCALED_FRAMES = 3
"""Frames of a video in which the reach of masks is measured."""
Redraw = Callable[[NDArray[Any]], NDArray[Any]]
"""A map [H, W] to another of its size; pixels without a source are 0."""


def redrawn(frame: Annotation, redraw: Redraw) -> Annotation:
    """The frame with every mask or map redrawn; segments that vanish are no longer listed."""
    match frame:
        case Instances():
            if frame.masks is None:
                return frame
            drawn = [masks.encode(redraw(masks.decode(rle))) for rle in frame.masks]
            boxes = masks.bounding_boxes(drawn) if frame.box_format == "xywh" else frame.boxes
            return replace(frame, masks=tuple(drawn), area=masks.areas(drawn).astype(np.float64), boxes=boxes)
        case LabelMap():
            return LabelMap(class_index=redraw(frame.class_index))
        case Panoptic():
            ids = redraw(frame.segment_id)
            kept = set(np.unique(one_a_run(ids)).tolist())
            return Panoptic(segment_id=ids, segments=tuple(one for one in frame.segments if one.id in kept))


def row_by_row(drawn: NDArray[Any]) -> NDArray[Any]:
    """A map that was written row by row and read column by column, as it was meant. drawn: [H, W]."""
    return np.ascontiguousarray(drawn.ravel(order="F").reshape(drawn.shape))


def stretched(ratio: NDArray[np.float64], drawn: NDArray[Any]) -> NDArray[Any]:
    """A map [H, W] stretched from its upper left corner. ratio: float64 [2], of x and y."""
    rows, columns = (
        ((np.arange(side) + 0.5) / by).astype(np.int64) for side, by in zip(drawn.shape, ratio[::-1], strict=True)
    )
    inside = (rows < drawn.shape[0])[:, None] & (columns < drawn.shape[1])
    source = drawn[np.minimum(rows, drawn.shape[0] - 1)[:, None], np.minimum(columns, drawn.shape[1] - 1)]
    return np.where(inside, source, 0).astype(drawn.dtype)


def _has_masks(case: Case) -> bool:
    return any(not isinstance(frame, Instances) or frame.masks for frame in first_frames(case))


def _learn_axes(case: Case) -> Change | None:
    return _each(row_by_row) if _has_masks(case) else None


def _learn_scale(case: Case) -> Change | None:
    if not _has_masks(case):
        return None
    if any(isinstance(frame, LabelMap) for frame in first_frames(case)):
        sides = [side for _, answer in case.fitting for side in _pasted(answer.frames)]
    else:
        sides = [(_reach(true.truth.frames), _reach(answer.frames)) for true, answer in case.fitting if true.truth]
    ratio = box_readings.scale(sides)
    return None if ratio is None else _each(partial(stretched, ratio))


def _learn_white(case: Case) -> Change | None:
    """255 as the first object, where no other id is drawn."""
    ids = {one.id for _, answer in case.pairs for frame in answer.frames if isinstance(frame, Panoptic)
           for one in frame.segments}  # fmt: skip
    if ids != {WHITE}:
        return None

    def first(frame: Annotation) -> Annotation:
        assert isinstance(frame, Panoptic)
        segments = tuple(replace(one, id=1, is_crowd=False) for one in frame.segments)
        return Panoptic(segment_id=np.where(frame.segment_id == WHITE, 1, frame.segment_id), segments=segments)

    return _per_frame(first)


def _learn_step(step: int, case: Case) -> Change | None:
    """The answer of frame t taken for frame t + step."""
    if not any(len(answer.frames) > 2 for _, answer in case.pairs):
        return None

    def change(sample: Sample, prediction: Prediction) -> Prediction:
        num = len(prediction.frames)
        order = np.clip(np.arange(num) - step, 0, num - 1)
        if isinstance(prediction.frames, BoxTrack):
            return replace(prediction, frames=BoxTrack(prediction.frames.boxes[order]))
        return replace(prediction, frames=Frames(num, lambda index: prediction.frames[int(order[index])]))

    return change


def _each(redraw: Redraw) -> Change:
    return _per_frame(lambda frame: redrawn(frame, redraw))


def _per_frame(convert: Callable[[Annotation], Annotation]) -> Change:
    return lambda sample, prediction: each_frame(prediction, convert)


def _pasted(frames: Iterable[Annotation]) -> Iterator[tuple[list[Annotation], list[Annotation]]]:
    """(whole map, drawn part) of each label map; what is not drawn has the value of the last corner."""
    for frame in frames:
        if isinstance(frame, LabelMap):
            numbers = frame.class_index
            sides = (np.ones(numbers.shape, bool), numbers != numbers[-1, -1])
            whole, drawn = (masks.bounding_boxes([masks.encode(side)]) for side in sides)
            yield _as_frames(whole), _as_frames(drawn)


def _as_frames(boxes: NDArray[np.float64]) -> list[Annotation]:
    return [make_instances(class_index=[0] * len(boxes), boxes=boxes)]


def _reach(frames: Iterable[Annotation]) -> list[Annotation]:
    """The first frames as boxes around what they show."""
    found: list[Annotation] = []
    for number, frame in enumerate(frames):
        if number >= MOST_SCALED_FRAMES:
            break
        if isinstance(frame, Panoptic):
            boxes = masks.bounding_boxes([masks.encode(frame.segment_id > 0)])
        else:
            boxes = masks.bounding_boxes((isinstance(frame, Instances) and frame.masks) or ())
        found += _as_frames(boxes)
    return found


READINGS = (
    Reading(
        name="mask_axes_swapped",
        cause="masks were written row by row where run lengths go column by column, or transposed",
        remedy="Transpose the masks, or encode them in Fortran order",
        phrase="rows and columns of the masks exchanged",
        learn=_learn_axes,
    ),
    Reading(
        name="masks_scaled",
        cause="masks of a resized picture were pasted into the original size",
        remedy="Resize masks to the original picture before writing them",
        phrase="masks stretched as far as the truth reaches",
        learn=_learn_scale,
    ),
    Reading(
        name="white_masks",
        cause="masks hold 0 and 255 where object ids are read",
        remedy="Write 1 for the first object, 2 for the second, and so on",
        phrase="255 read as object 1",
        learn=_learn_white,
    ),
    Reading(
        name="frames_early",
        cause="every frame holds the answer of the next one",
        remedy="Shift the results by one frame; check whether numbering starts at 0 or at 1",
        phrase="every answer taken for the next frame",
        learn=partial(_learn_step, 1),
    ),
    Reading(
        name="frames_late",
        cause="every frame holds the answer of the one before",
        remedy="Shift the results by one frame; check whether numbering starts at 0 or at 1",
        phrase="every answer taken for the frame before",
        learn=partial(_learn_step, -1),
    ),
)
