"""Boxes of answers in the form of a benchmark's files."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.answer_boxes import BoxForm, in_form
from benchmark.contract import NO_BOXES, Prediction, make_instances

SIZE = (50, 200)
FORMS: dict[BoxForm, tuple[str, list[float]]] = {
    "xywh": ("xywh", [10, 5, 30, 20]),
    "xyxy": ("xyxy", [10, 5, 40, 25]),
    "xyxy_pixels": ("xyxy", [10, 5, 39, 24]),
    "xyxy_norm": ("xyxy_norm", [0.05, 0.1, 0.2, 0.5]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_box_takes_the_form_of_the_files(form: BoxForm) -> None:
    frame = make_instances(class_index=[0], boxes=np.array([[10.0, 5, 30, 20]]))
    (found,) = in_form(Prediction(frames=(frame,)), form, SIZE).frames
    assert (found.box_format, found.boxes[0].tolist()) == FORMS[form]


def test_what_has_no_boxes_stays() -> None:
    frame = make_instances(class_index=[0], box_format=NO_BOXES)
    assert in_form(Prediction(frames=(frame,)), "xyxy", SIZE).frames[0] is frame
