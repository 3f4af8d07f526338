"""Other readings of predicted boxes: corners for sizes, sizes for corners, centres, shares, other axes, other scale.

Each is learnt from samples (its format, its extents) and applies to boxes of images, videos and single tracks alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmark.box_tracks import BoxTrack
from benchmark.contract import NO_BOXES, Annotation, Instances, Prediction, Sample
from benchmark.trust.suspicion import Case, Change, Reading, each_frame, first_frames

Boxes = NDArray[np.float64]
SHARE = 2.0
"""Boxes of which no number is larger are shares of the picture, not pixels."""
SAME_SCALE = (0.8, 1.25)
"""Ratios of extents within which two sides have the same scale."""
_REMEDY = "Write boxes as {}"


def extents(frames: Iterable[Annotation]) -> Boxes:
    """float64 [2], the largest x and y that boxes of any frame reach; 0 where there is none."""
    found = [_ends(boxes, form) for boxes, form in _boxes_of(frames) if len(boxes)]
    finite = [one[np.isfinite(one).all(axis=1)] for one in found]
    return np.concatenate([np.zeros((1, 2)), *finite]).max(axis=0)


def has_boxes_alone(case: Case) -> bool:
    """Whether the predictions are boxes without masks, and there are some."""
    frames = [frame for frame in first_frames(case) if isinstance(frame, Instances)]
    return any(frame.box_format != NO_BOXES and frame.masks is None and len(frame) for frame in frames) or any(
        isinstance(answer.frames, BoxTrack) for _, answer in case.pairs
    )


def _corners(boxes: Boxes, form: str, sample: Sample) -> Boxes:
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)


def _sizes(boxes: Boxes, form: str, sample: Sample) -> Boxes:
    return np.concatenate((boxes[:, :2], boxes[:, 2:] + boxes[:, :2]), axis=1)


def _centres(boxes: Boxes, form: str, sample: Sample) -> Boxes:
    return np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]), axis=1)


def _axes(boxes: Boxes, form: str, sample: Sample) -> Boxes:
    return boxes[:, [1, 0, 3, 2]]


def _learn_corners(case: Case) -> Change | None:
    return _change(_corners) if has_boxes_alone(case) and _form(case) == "xywh" else None


def _learn_sizes(case: Case) -> Change | None:
    return _change(_sizes) if has_boxes_alone(case) and _form(case).startswith("xyxy") else None


def _learn_centres(case: Case) -> Change | None:
    return _change(_centres) if has_boxes_alone(case) and _form(case) == "xywh" else None


def _learn_axes(case: Case) -> Change | None:
    return _change(_axes) if has_boxes_alone(case) else None


def _learn_shares(case: Case) -> Change | None:
    if not has_boxes_alone(case) or _form(case) == "xyxy_norm":
        return None
    found = max(float(extents(answer.frames).max()) for _, answer in case.pairs)
    true = max(float(extents(_truth(sample)).max()) for sample, _ in case.pairs)
    if not 0 < found <= SHARE < 2 * SHARE < true:
        return None

    def scaled(boxes: Boxes, form: str, sample: Sample) -> Boxes:
        height, width = sample.size if all(sample.size) else extents(_truth(sample))[::-1]
        return boxes * np.array([width, height, width, height])

    return _change(scaled)


def _learn_scale(case: Case) -> Change | None:
    if not has_boxes_alone(case):
        return None
    ratio = scale([(_truth(sample), answer.frames) for sample, answer in case.fitting])
    return None if ratio is None else _change(lambda boxes, form, sample: boxes * np.tile(ratio, 2))


def scale(sides: Iterable[tuple[Iterable[Annotation], Iterable[Annotation]]]) -> Boxes | None:
    """float64 [2], by how much x and y of the second sides must grow to reach as far as the first; None: they do."""
    reached = [(extents(true), extents(found)) for true, found in sides]
    ratios = np.array([true / found for true, found in reached if true.all() and found.all()])
    if not len(ratios):
        return None
    ratio = np.asarray(np.median(ratios, axis=0), np.float64)
    low, high = SAME_SCALE
    return None if ((ratio > low) & (ratio < high)).all() else ratio


def _change(convert: Callable[[Boxes, str, Sample], Boxes]) -> Change:
    """A change of all boxes, whatever their container."""

    def change(sample: Sample, prediction: Prediction) -> Prediction:
        if isinstance(prediction.frames, BoxTrack):
            whole = prediction.frames.boxes
            return replace(
                prediction, frames=BoxTrack(convert(whole.reshape(-1, 4), "xywh", sample).reshape(whole.shape))
            )
        return each_frame(
            prediction,
            lambda frame: (
                replace(frame, boxes=convert(frame.boxes, frame.box_format, sample))
                if isinstance(frame, Instances)
                else frame
            ),
        )

    return change


def _form(case: Case) -> str:
    """The format of the first boxes."""
    for _, answer in case.pairs:
        for boxes, form in _boxes_of(answer.frames):
            if len(boxes):
                return form
    return "xywh"


def _boxes_of(frames: Iterable[Annotation]) -> Iterator[tuple[Boxes, str]]:
    if isinstance(frames, BoxTrack):
        yield frames.boxes.reshape(-1, 4), "xywh"
        return
    for frame in frames:
        if isinstance(frame, Instances) and frame.box_format != NO_BOXES:
            yield frame.boxes, frame.box_format


def _ends(boxes: Boxes, form: str) -> Boxes:
    return boxes[:, 2:] if form.startswith("xyxy") else boxes[:, :2] + boxes[:, 2:]


def _truth(sample: Sample) -> Iterable[Annotation]:
    return () if sample.truth is None else sample.truth.frames


READINGS = (
    Reading(
        name="boxes_are_corners",
        cause="the boxes are x1, y1, x2, y2 where x, y, width, height are read",
        remedy=_REMEDY.format("x, y, width, height"),
        phrase="boxes read as XYXY",
        learn=_learn_corners,
    ),
    Reading(
        name="boxes_are_sizes",
        cause="the boxes are x, y, width, height where x1, y1, x2, y2 are read",
        remedy=_REMEDY.format("x1, y1, x2, y2"),
        phrase="boxes read as XYWH",
        learn=_learn_sizes,
    ),
    Reading(
        name="boxes_are_centred",
        cause="the boxes start with their centre where the upper left corner is read",
        remedy="Subtract half of width and height from x and y",
        phrase="boxes read from their centre",
        learn=_learn_centres,
    ),
    Reading(
        name="box_axes_swapped",
        cause="rows and columns of the boxes are swapped",
        remedy="Write x (column) before y (row)",
        phrase="x and y of the boxes exchanged",
        learn=_learn_axes,
    ),
    Reading(
        name="boxes_normalised",
        cause="the boxes are shares (0 to 1) of the picture where pixels are read",
        remedy="Multiply by the width and height of the original picture",
        phrase="boxes multiplied by the picture's size",
        learn=_learn_shares,
    ),
    Reading(
        name="boxes_scaled",
        cause="the boxes are in pixels of a resized picture",
        remedy="Scale boxes back to the original picture before writing them",
        phrase="boxes scaled as far as the truth reaches",
        learn=_learn_scale,
    ),
)
