"""cgF1 equals SAM 3's evaluator (frozen), small cases worked by hand, and what is wrong with SA-Co files is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from concept_cases import GOLDEN, ConceptCase, concept_case

from benchmark import catalog, masks
from benchmark.__main__ import main
from benchmark.contract import Prediction, Prompt, Sample, Task, Truth, make_instances, summarise
from benchmark.metrics.concept_f1 import SCORE_NAMES, ConceptF1

FROZEN = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
ROW = "saco_gold_referring_crowded"


@pytest.mark.parametrize("name", FROZEN)
def test_scores_equal_the_official_evaluator(name: str, tmp_path: Path) -> None:
    seed, num = (int(part) for part in name.split("/"))
    case = concept_case(seed, num)
    assert case.digest == FROZEN[name]["digest"]
    results = case.write(tmp_path / "saco_gold", "crowded")
    out = tmp_path / "out.json"
    call = ["score", ROW, str(results), "--data-root", str(tmp_path), "--out", str(out)]
    assert main([*call, "--work-dir", str(tmp_path / "work")]) == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    assert list(record["scores"]) == list(SCORE_NAMES)
    for score, expected in FROZEN[name]["scores"].items():
        assert record["scores"][score] == pytest.approx(expected, abs=1e-9), score


SIZE = (8, 8)


def _sample(number: int, boxes: list[tuple[int, int]], *others: list[tuple[int, int]], crowd: bool = False) -> Sample:
    """Squares of 2 x 2 pixels at (row, column). others: of more annotators."""
    frames = [_squares(one, crowd=crowd) for one in (boxes, *others)]
    truth = Truth(frames=(frames[0],), alternatives=tuple(frames[1:]))
    return Sample(sample_id=str(number), frames=(), size=SIZE, prompt=Prompt(task=Task.REFERRING), truth=truth)


def _squares(boxes: list[tuple[int, int]], *, crowd: bool = False, score: float = 1.0) -> Any:
    found = []
    for row, column in boxes:
        mask = np.zeros(SIZE, bool)
        mask[row : row + 2, column : column + 2] = True
        found.append(masks.encode(mask))
    num = len(found)
    return make_instances(
        class_index=[0] * num, masks=found, score=np.full(num, score), is_crowd=np.full(num, crowd, bool)
    )


def _scores(pairs: list[tuple[Sample, Any]]) -> dict[str, float]:
    metric = ConceptF1()
    stats = [metric.measure(sample, Prediction(frames=(found,))) for sample, found in pairs]
    return dict(summarise(metric, stats).values)


def test_right_masks_and_right_silence_score_nearly_one() -> None:
    found = _scores([(_sample(1, [(0, 0), (4, 4)]), _squares([(4, 4), (0, 0)])), (_sample(2, []), _squares([]))])
    share = 2 / 2.0001
    assert found["positive_micro_F1"] == pytest.approx(2 * share**2 / (2 * share + 1e-4), abs=1e-15)
    assert found["IL_MCC"] == pytest.approx(1 / (1 + 1e-6), abs=1e-15)
    assert found["cgF1"] == found["positive_micro_F1"] * found["IL_MCC"]


def test_masks_for_an_absent_thing_cost_presence_but_not_the_micro_f1() -> None:
    right = (_sample(1, [(0, 0)]), _squares([(0, 0)]))
    found = _scores([right, (_sample(2, []), _squares([(2, 2)])), (_sample(3, []), _squares([]))])
    assert found["positive_micro_F1"] == pytest.approx(1, abs=1e-3)
    assert found["F1"] == pytest.approx(2 / 3, abs=1e-3)
    # one hit, one false alarm, one right silence: MCC = (1 * 1 - 1 * 0) / sqrt(2 * 1 * 2 * 1)
    assert found["IL_MCC"] == pytest.approx(0.5, abs=1e-6)


def test_answers_contrary_to_the_truth_score_below_zero() -> None:
    found = _scores([
        (_sample(1, [(0, 0), (4, 4)]), _squares([(0, 0), (4, 4)])), (_sample(2, [(0, 0)]), _squares([])),
        (_sample(3, []), _squares([(0, 0)])), (_sample(4, []), _squares([(0, 0)])),
    ])  # fmt: skip
    assert found["IL_MCC"] < 0 and found["cgF1"] < 0


def test_unsure_masks_do_not_count_and_crowds_are_no_truth() -> None:
    found = _scores([(_sample(1, [(0, 0)], crowd=True), _squares([(0, 0)], score=0.49))])
    assert found["IL_FPR"] == 0 and found["IL_recall"] == 0
    assert math.isnan(found["positive_macro_F1"])


def test_of_several_annotators_the_one_who_agrees_counts() -> None:
    sample = _sample(1, [(0, 0), (4, 4)], [(0, 0)], [])
    assert _scores([(sample, _squares([(0, 0)]))])["recall"] == pytest.approx(1, abs=1e-3)
    assert _scores([(sample, _squares([]))])["IL_recall"] == 0
    silent = ConceptF1().measure(sample, Prediction(frames=(_squares([]),)))
    assert silent.arrays["num_true"].tolist() == [0]


def _negative(document: dict[str, Any]) -> dict[str, Any]:
    """The first image without an annotation."""
    named = {one["image_id"] for one in document["annotations"]}
    return next(image for image in document["images"] if image["id"] not in named)


DEFECTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no phrase": (lambda one: _negative(one).pop("text_input"), "text_input is None, expected the noun phrase"),
    "no mark": (
        lambda one: _negative(one).update(is_instance_exhaustive="yes"),
        "is_instance_exhaustive is 'yes', expected 0 or 1",
    ),
    "missing phrase": (lambda one: one["images"].remove(_negative(one)), "of gold_crowded_merged_a_release_test.json"),
    "broken mask": (lambda one: one["annotations"][0]["segmentation"].pop("size"), "the mask is broken"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_of_an_annotator_is_one_line(
    defect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = DEFECTS[defect]
    case: ConceptCase = concept_case(0)
    change(case.annotators[1])
    results = case.write(tmp_path / "saco_gold", "crowded")
    assert main(["score", ROW, str(results), "--data-root", str(tmp_path), "--work-dir", str(tmp_path / "w")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "scoring" not in line]
    assert len(errors) == 1 and message in errors[0], errors


def test_an_own_annotation_file_is_scored_by_itself(tmp_path: Path) -> None:
    case = concept_case(2, 1)
    results = case.write(tmp_path, "mine")
    truth = tmp_path / "gold_mine_merged_a_release_test.json"
    samples = catalog.open_samples(catalog.get(ROW), None, truth=truth)
    assert len(samples) == sum(image["is_instance_exhaustive"] for image in case.annotators[0]["images"])
    assert samples[0].prompt.sentence is not None and samples[0].prompt.sentence.startswith("thing ")
    call = ["score", ROW, str(results), "--truth", str(truth), "--work-dir", str(tmp_path / "w")]
    assert main(call) == 0


def test_results_of_another_split_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = concept_case(0)
    results = case.write(tmp_path / "saco_gold", "crowded")
    results.write_text(json.dumps([one | {"image_id": 9000 + one["image_id"]} for one in case.results]))
    assert main(["score", ROW, str(results), "--data-root", str(tmp_path), "--work-dir", str(tmp_path / "w")]) == 2
    assert f"none of its {len(case.results)} results is of an image of this benchmark" in capsys.readouterr().err
