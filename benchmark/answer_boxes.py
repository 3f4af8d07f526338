"""Boxes of a model's answers in the form that a benchmark's files have.

Models answer in (x, y, width, height); files differ. "xywh": as models answer. "xyxy": corners. "xyxy_pixels": corners
whose last pixel belongs to the box, as Scalabel and motmetrics count (one less to the right and below). "xyxy_norm":
corners as shares of width and height (Open Images). Truth and files of other tools are never converted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Annotation, Instances, Prediction

BoxForm = Literal["xywh", "xyxy", "xyxy_pixels", "xyxy_norm"]


def in_form(prediction: Prediction, form: BoxForm, size: tuple[int, int]) -> Prediction:
    """The prediction with its xywh boxes in a form; whatever else is in it stays. size: (height, width)."""
    if form == "xywh":
        return prediction
    return replace(prediction, frames=tuple(_frame(frame, form, size) for frame in prediction.frames))


def _frame(frame: Annotation, form: BoxForm, size: tuple[int, int]) -> Annotation:
    if not isinstance(frame, Instances) or frame.box_format != "xywh":
        return frame
    name = "xyxy_norm" if form == "xyxy_norm" else "xyxy"
    return replace(frame, boxes=_converted(frame.boxes, form, size), box_format=name)


def _converted(xywh: NDArray[np.float64], form: BoxForm, size: tuple[int, int]) -> NDArray[np.float64]:
    """float64 [N, 4] of boxes [N, 4]."""
    corners = np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), axis=1)
    if form == "xyxy_pixels":
        return corners - (0, 0, 1, 1)
    return corners / (size[1], size[0], size[1], size[0]) if form == "xyxy_norm" else corners
