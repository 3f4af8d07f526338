"""From queries to answers: suppression, the best pairs and masks equal the authors' post-processing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from uninext_model import traced, tracer
from uninext_oracle import CASES, TOLERANCE, Oracle

from benchmark.contract import Task
from models.discovery import Discovered, ObjectDiscovery
from models.frame_objects import FrameObjects
from models.object_answers import (
    SelectionRules,
    box_iou,
    hard_masks,
    select,
    soft_masks,
    suppress,
    to_corners,
    to_pixels,
)
from models.task_settings import TASK_SETTINGS

TASKS = {"detection": Task.INSTANCE, "grounding": Task.REFERRING, "template": Task.SOT}
Case = tuple[Oracle, dict[str, Tensor], Discovered, ObjectDiscovery]


def objects(logits: Tensor, *, iou_logits: Tensor, boxes: Tensor, size: tuple[int, int] = (1, 1)) -> FrameObjects:
    """Queries without masks. logits: [N, K]. iou_logits: [N]. boxes: cxcywh in 0..1, [N, 4]."""
    return FrameObjects(
        scores=logits.sigmoid(),
        quality=iou_logits.sigmoid(),
        boxes=boxes,
        draw=lambda chosen: torch.zeros(len(chosen), 1, 1),
        embed=None,
        size=size,
    )


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, samples_dir: Path) -> Case:
    folder = samples_dir / "oracles" / "uninext"
    return (Oracle(folder, request.param), *traced(folder, request.param), tracer().model)


@torch.no_grad()
def test_boxes_scores_and_masks_equal_the_authors(case: Case) -> None:
    oracle, ours, found, model = case
    rules = TASK_SETTINGS[TASKS[oracle.case["task"]]].selection
    height, width = oracle.case["input_size_h_w"]
    answers = objects(ours["class_logits"], iou_logits=ours["iou_logits"], boxes=ours["box"], size=(height, width))
    chosen = select(answers, rules)
    assert oracle.difference("final_class", chosen.class_index) == 0
    assert oracle.difference("final_score", chosen.score) < TOLERANCE
    if oracle.name.startswith("image"):
        boxes, size = to_pixels(chosen.boxes, tuple(oracle.case["output_size_h_w"])), oracle.case["output_size_h_w"]
    else:
        boxes, size = chosen.boxes * torch.tensor([width, height, width, height]), (height, width)
    # A hundredth of a pixel at the scale of these pictures is 3e-5 of a side.
    assert oracle.difference("final_box", boxes) < 1e-2
    logits = model.draw(found, model.mask_features(found), chosen.query[None])[0]
    probability = soft_masks(logits, answers)
    masks = hard_masks(probability, tuple(size)).numpy()
    # Only a pixel whose logit is zero to within the tolerance of mask logits may change sides.
    is_doubtful = (F.interpolate((probability - 0.5).abs()[None], size=tuple(size))[0] < 2.5e-4).numpy()
    expected = oracle.bits("final_mask_bits", (min(20, len(masks)), *size))
    is_other = masks[:20] != expected
    assert is_other.sum() <= 20
    assert not (is_other & ~is_doubtful[:20]).any()
    assert (np.abs(masks.sum((1, 2)) - oracle.array("final_mask_area")) <= is_doubtful.sum((1, 2))).all()


def test_suppression_keeps_the_authors_queries(case: Case) -> None:
    oracle, ours, _, _ = case
    rules = SelectionRules(top_k=None)
    kept = select(objects(ours["class_logits"], iou_logits=ours["iou_logits"], boxes=ours["box"]), rules)
    assert kept.query.tolist() == oracle.array("nms_keep").tolist()


def test_suppression_drops_what_overlaps_a_kept_box_of_its_class() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 6], [0, 0, 10, 10], [20, 0, 30, 10]])
    labels = torch.tensor([0, 0, 0, 1, 0])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.95])
    # IoU with the first: 0.9 and 0.6; the third overlaps the dropped second by 2 / 3 only.
    assert suppress(boxes, scores=scores, class_index=labels, iou=0.65).tolist() == [4, 0, 2, 3]
    assert suppress(boxes, scores=scores, class_index=labels, iou=0.5).tolist() == [4, 0, 3]


def test_equal_scores_keep_their_order() -> None:
    boxes = torch.tensor([[0.0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1]])
    kept = suppress(boxes, scores=torch.full((3,), 0.5), class_index=torch.zeros(3), iou=0.5)
    assert kept.tolist() == [0, 1, 2]


def test_the_best_query_is_kept_though_all_score_too_low() -> None:
    boxes = torch.tensor([[0.2, 0.5, 0.1, 0.1], [0.8, 0.5, 0.1, 0.1]])
    rules = SelectionRules(rates_boxes=False, least_score=0.9, top_k=None)
    logits = torch.tensor([[0.0, -1], [-2, 1]])
    chosen = select(objects(logits, iou_logits=torch.zeros(2), boxes=boxes), rules)
    assert chosen.query.tolist() == [1] and chosen.class_index.tolist() == [1]
    assert chosen.score.item() == pytest.approx(1 / (1 + np.exp(-1)))


def test_without_its_best_query_an_answer_may_be_empty() -> None:
    logits, boxes = torch.zeros(2, 1), torch.rand(2, 4)
    rules = SelectionRules(rates_boxes=False, least_score=0.9, keeps_best=False)
    assert len(select(objects(logits, iou_logits=torch.zeros(2), boxes=boxes), rules).query) == 0


def test_the_score_is_the_geometric_mean_only_where_boxes_are_rated() -> None:
    boxes, logits, iou = torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.tensor([[0.0]]), torch.tensor([2.0])
    rated = select(objects(logits, iou_logits=iou, boxes=boxes), SelectionRules())
    plain = select(objects(logits, iou_logits=iou, boxes=boxes), SelectionRules(rates_boxes=False))
    assert rated.score.item() == pytest.approx((0.5 / (1 + np.exp(-2))) ** 0.5)
    assert plain.score.item() == 0.5


def test_a_query_may_answer_several_classes() -> None:
    logits = torch.tensor([[3.0, 2.0], [-5.0, -6.0]])
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]])
    chosen = select(objects(logits, iou_logits=torch.zeros(2), boxes=boxes), SelectionRules(top_k=3))
    assert list(zip(chosen.query.tolist(), chosen.class_index.tolist())) == [(0, 0), (0, 1), (1, 0)]


def test_box_geometry() -> None:
    corners = to_corners(torch.tensor([[0.5, 0.5, 0.5, 1.5]]))
    assert corners.tolist() == [[0.25, -0.25, 0.75, 1.25]]
    assert to_pixels(corners, (40, 80)).tolist() == [[20, 0, 60, 40]]
    assert box_iou(corners, torch.tensor([[0.25, 0.25, 0.75, 1.25], [2.0, 2, 3, 3]])).tolist() == [
        [pytest.approx(2 / 3), 0]
    ]
