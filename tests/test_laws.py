"""Laws between a result and its printing: official scores keep them everywhere, and a wrong number is caught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from scene_views import RUNS
from scenes import SCENARIOS, scenes
from test_metric_laws import measured, metric_of

from benchmark import metrics
from benchmark.contract import Scores, Stats, summarise
from benchmark.metrics import laws
from benchmark.problems import BenchmarkError
from benchmark.trust import lawful


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scores_of_every_scenario_keep_the_laws(name: str, scenario: str) -> None:
    stats = measured(name, scenes(scenario))
    assert lawful.breaches(RUNS[name].metric, summarise(metric_of(name), stats), stats) == []


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_has_laws_that_name_every_score(name: str) -> None:
    entry = metrics.METRICS[name]
    spoken = {one for law in entry.laws for one in _names(law)}
    for protocol in entry.protocols.values():
        assert set(protocol.score_names) <= spoken, set(protocol.score_names) - spoken
        assert entry.lower_is_better <= {*protocol.score_names, *entry.lower_is_better}


def _names(law: laws.Law) -> tuple[str, ...]:
    return (law.name,) if isinstance(law, laws.MeanLaw | laws.CountLaw) else law.names  # type: ignore[attr-defined]


def scores(values: dict[str, float], **fields: object) -> Scores:
    """Scores of one sample."""
    nothing = Scores(values=values, counts={}, per_class={}, num_expected=1, num_scored=1)
    return replace(nothing, **fields)  # type: ignore[arg-type]


WRONG: Sequence[tuple[str, Scores, str]] = [
    ("coco_bbox_ap", scores({"AP": 1.2}), "0 <= AP <= 1"),
    ("coco_bbox_ap", scores({"AP": 0.5, "AP50": 0.4}), "AP <= AP50"),
    ("coco_bbox_ap", scores({"AR1": 0.5, "AR10": 0.4}), "AR1 <= AR10"),
    ("coco_segm_ap", scores({"AP": 0.5}, per_class={"a": {"AP": 0.4}, "b": {"AP": float("nan")}}), "AP is the mean"),
    ("panoptic_quality", scores({"PQ": 0.6, "SQ": 0.5}), "PQ <= SQ"),
    ("panoptic_quality", scores({}, per_class={"a": {"PQ": 0.5, "SQ": 0.8, "RQ": 0.7}}), "PQ = SQ x RQ"),
    ("panoptic_quality", scores({"PQ": 0.5, "PQ_th": 0.3, "PQ_st": 0.4}), "PQ lies between"),
    ("semantic_iou", scores({"mIoU": 0.5, "mean_accuracy": 0.4}), "mIoU <= mean_accuracy"),
    ("semantic_iou", scores({"mIoU": 0.5, "pixel_accuracy": 0.7, "final_score": 0.5}), "final_score ="),
    ("referring_iou", scores({"P@0.5": 0.4, "P@0.6": 0.5}), "P@0.6 <= P@0.5"),
    ("referring_iou", scores({"mIoU": 0.2, **{f"P@{x}": 0.5 for x in (0.5, 0.6, 0.7, 0.8, 0.9)}}), "mIoU lies within"),
    ("phrase_grounding", scores({"R@1": 0.5, "R@5": 0.4}), "R@1 <= R@5"),
    ("success_plots", scores({"AUC": 0.1, "OP50": 0.9, "OP75": 0.5}), "AUC lies within"),
    ("success_plots", scores({"P_norm": 0.9, "P_norm_AUC": 0.5}), "P_norm_AUC lies within"),
    ("average_overlap", scores({"AO": 0.9, "SR50": 0.5, "SR75": 0.2}), "AO lies within"),
    ("j_and_f", scores({"J&F": 0.5, "J": 0.4, "F": 0.5}), "J&F = (J + F) / 2"),
    ("j_and_f_grouped", scores({"G": 0.5, **{f"{x}_{y}": 0.4 for x in "JF" for y in ("seen", "unseen")}}), "G is the"),
    (
        "box_tracking",
        scores({}, per_class={"p": {"HOTA@0.50": 0.5, "DetA@0.50": 0.3, "AssA@0.50": 0.3}}),
        "HOTA = sqrt",
    ),
    (
        "box_tracking",
        scores(
            {"MOTA": 0.5},
            per_class={"p": {"MOTA": 0.5}},
            counts={"CLR_TP": 6, "CLR_FN": 4, "CLR_FP": 2, "IDSW": 1, "IDTP": 1, "IDFN": 1, "IDFP": 1},
        ),
        "MOTA = (TP - FP - IDSW)",
    ),
    ("bdd100k_box_tracking", scores({"MOTA": 0.9}, counts={"objects": 10, "FN": 2, "FP": 1, "IDSw": 0}), "MOTA = 1 -"),
]


@pytest.mark.parametrize(("metric", "wrong", "law"), WRONG)
def test_a_number_that_breaks_a_law_is_never_printed(metric: str, wrong: Scores, law: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        lawful.check(metric, wrong, [])
    assert law in str(caught.value)
    assert "no number is printed" in str(caught.value)


def test_what_crowds_may_cause_is_no_breach() -> None:
    """A detection on a crowd is excused above an IoU at which it takes an object below: AP may then exceed AP50."""
    stats = measured("coco_bbox_ap", scenes("crowd"))
    assert any(map(laws.ignores_truth, stats))
    odd = scores({"AP": 0.5, "AP50": 0.4})
    assert lawful.breaches("coco_bbox_ap", odd, stats) == []
    plain = [one for one in stats if not laws.ignores_truth(one)]
    assert lawful.breaches("coco_bbox_ap", odd, plain) != []


def test_undefined_scores_break_nothing() -> None:
    nothing: list[Stats] = []
    for name, entry in metrics.METRICS.items():
        for protocol in entry.protocols.values():
            undefined = scores(dict.fromkeys(protocol.score_names, float("nan")))
            assert lawful.breaches(name, undefined, nothing) == []
