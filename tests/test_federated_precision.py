"""Federated AP: equal to the official tools on drawn files, rules worked by hand, and laws."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federated_scenes import CASES, documents

from benchmark import catalog, labels, masks, metrics
from benchmark.contract import (
    Instances,
    Metric,
    Prediction,
    Prompt,
    Sample,
    Scores,
    Stats,
    Task,
    Truth,
    make_instances,
    summarise,
)
from benchmark.metrics.federated_precision import LvisAP, recall_names
from benchmark.problems import BenchmarkError

GOLDEN = Path(__file__).parent / "golden/federated/expected.json"
LABELS = labels.load("lvis_v1")
METRICS: dict[str, LvisAP] = {
    "segm": LvisAP(labels=LABELS, kind="segm"),
    "bbox": LvisAP(labels=LABELS, kind="bbox"),
    "boundary": LvisAP(labels=LABELS, kind="boundary"),
    "fixed": LvisAP(labels=LABELS, kind="segm", per_image=None, per_class=20),
}
EXACT = 1e-12
Pairs = list[tuple[Sample, Prediction]]


def read_pairs(folder: Path, case: str, task: Task) -> Pairs:
    """Samples and predictions of one case, through the reader."""
    truth, results = documents(CASES[case])
    if task is Task.INSTANCE:
        results = [{name: value for name, value in one.items() if name != "bbox"} for one in results]
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    row = catalog.get(f"lvis_{task.value}_v1_val")
    samples = catalog.open_samples(row, None, truth=folder / "truth.json")
    found = catalog.read_predictions(row, folder / "results.json", samples)
    return [(sample, found[sample.sample_id]) for sample in samples]


def measured(metric: Metric, pairs: Pairs) -> list[Stats]:
    return [metric.measure(sample, prediction) for sample, prediction in pairs]


def bits(scores: Scores) -> bytes:
    rows = [*scores.values.values(), *(value for row in scores.per_class.values() for value in row.values())]
    return np.array([*rows, *scores.counts.values()], np.float64).tobytes()


@cache
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


@pytest.mark.parity
@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("case", CASES)
def test_scores_equal_the_official_tools(tmp_path: Path, case: str, kind: str) -> None:
    pairs = read_pairs(tmp_path, case, Task.DETECTION if kind == "bbox" else Task.INSTANCE)
    values = summarise(METRICS[kind], measured(METRICS[kind], pairs)).values
    expected = [float("nan") if value == -1 else value for value in golden()[case][kind].values()]
    assert list(values.values()) == pytest.approx(expected, abs=EXACT, nan_ok=True)
    assert list(values)[:9] == list(golden()[case][kind])[:9]


@pytest.mark.parametrize("kind", METRICS)
def test_order_shards_and_storage_change_no_bit(tmp_path: Path, kind: str) -> None:
    stats = measured(METRICS[kind], read_pairs(tmp_path, "ties", Task.INSTANCE))
    result = summarise(METRICS[kind], stats)
    restored = [
        Stats(
            sample_id=one.sample_id,
            arrays={
                name: np.frombuffer(bytearray(value.tobytes()), value.dtype).reshape(value.shape)
                for name, value in one.arrays.items()
            },
        )
        for one in stats
    ]
    shuffled = [restored[place] for place in np.random.default_rng(1).permutation(len(stats))]
    assert bits(summarise(METRICS[kind], shuffled)) == bits(result)
    assert all(value.dtype.kind in "biuf" for one in stats for value in one.arrays.values())


@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("case", ["ties", "over the limit"])
def test_a_sample_that_counts_twice_is_the_sample_written_twice(tmp_path: Path, kind: str, case: str) -> None:
    metric, pairs = METRICS[kind], read_pairs(tmp_path, case, Task.INSTANCE)
    weights = np.random.default_rng(0).integers(0, 3, len(pairs))
    copies = [
        (replace(sample, sample_id=f"{sample.sample_id}{copy:02d}"), prediction)
        for (sample, prediction), weight in zip(pairs, weights, strict=True)
        for copy in range(weight)
    ]
    weighted = metric.pool(measured(metric, pairs))(weights)
    written = summarise(metric, measured(metric, copies))
    assert weighted.counts == written.counts and weighted.num_scored == written.num_scored
    assert weighted.values == pytest.approx(dict(written.values), abs=EXACT, nan_ok=True)
    for name, row in written.per_class.items():
        assert weighted.per_class[name] == pytest.approx(dict(row), abs=EXACT, nan_ok=True), name


@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("case", ["typical", "ties"])
def test_truth_replayed_scores_one_and_nothing_scores_zero(tmp_path: Path, kind: str, case: str) -> None:
    metric, pairs = METRICS[kind], read_pairs(tmp_path, case, Task.INSTANCE)
    full = [(sample, Prediction(frames=sample.truth.frames)) for sample, _ in pairs if sample.truth]
    none = [(sample, Prediction(frames=(make_instances(class_index=[], masks=[]),))) for sample, _ in pairs]
    for truth_scores, value in ((full, 1.0), (none, 0.0)):
        scores = summarise(metric, measured(metric, truth_scores)).values
        assert [one for one in scores.values() if not np.isnan(one)] == pytest.approx([value] * 13, abs=EXACT)
        assert not np.isnan(scores["AP"])


def square(*corners: tuple[int, int], classes: list[int], **fields: Any) -> Instances:
    """4x4 squares at (row, column) of a 64x64 image."""
    shapes = np.zeros((len(corners), 64, 64), bool)
    for place, (row, column) in enumerate(corners):
        shapes[place, row : row + 4, column : column + 4] = True
    found = masks.encode_many(shapes)
    return make_instances(class_index=classes, masks=found, boxes=masks.bounding_boxes(found), **fields)


def drawn(truth: Instances, found: Instances, metric: LvisAP = METRICS["segm"], **fields: Any) -> Scores:
    """Scores of one image."""
    areas = replace(truth, area=np.full(len(truth), 16.0))
    sample = Sample(
        sample_id="1",
        frames=(),
        size=(64, 64),
        prompt=Prompt(task=Task.INSTANCE),
        truth=Truth(frames=(areas,), **fields),
    )
    return summarise(metric, [metric.measure(sample, Prediction(frames=(found,)))])


HIT_BELOW = {"score": np.array([0.9, 0.5])}


def test_a_class_that_nobody_looked_for_costs_nothing_and_a_negative_one_halves_precision() -> None:
    truth = square((0, 0), classes=[0])
    false_first = square((30, 30), (0, 0), classes=[1, 0], **HIT_BELOW)
    assert drawn(truth, false_first).values["AP"] == pytest.approx(1.0)
    result = drawn(truth, false_first, negative_labels=(1,))
    assert result.values["AP"] == pytest.approx(1.0) and result.counts["detections"] == 2
    same_class = square((30, 30), (0, 0), classes=[0, 0], **HIT_BELOW)
    assert drawn(truth, same_class).values["AP"] == pytest.approx(0.5)


def test_unmatched_detections_of_a_class_that_is_not_marked_throughout_are_excused() -> None:
    truth = square((0, 0), classes=[0])
    found = square((30, 30), (0, 0), classes=[0, 0], **HIT_BELOW)
    assert drawn(truth, found, not_exhaustive_labels=(0,)).values["AP"] == pytest.approx(1.0)


def test_an_ignored_truth_makes_its_class_verified_and_is_no_crowd() -> None:
    # The second detection finds the ignored truth taken, as no crowd would be.
    truth = square((0, 0), (20, 20), classes=[0, 0], is_crowd=np.array([True, False]))
    found = square((0, 0), (0, 0), (20, 20), classes=[0, 0, 0], score=np.array([0.9, 0.8, 0.7]))
    assert drawn(truth, found).values["AP"] == pytest.approx(0.5)


def test_results_of_unverified_classes_use_up_the_limit_of_an_image() -> None:
    truth = square((0, 0), classes=[0])
    found = square(*[(30, 30)] * 3, (0, 0), classes=[1, 2, 3, 0], score=np.array([0.9, 0.8, 0.7, 0.6]))
    metric = LvisAP(labels=LABELS, kind="segm", per_image=3)
    assert drawn(truth, found, metric).values["AP"] == 0.0
    assert drawn(truth, found, replace(metric, per_image=4)).values["AP"] == pytest.approx(1.0)


def test_the_fixed_protocol_keeps_the_best_of_a_class_over_all_images() -> None:
    truth, found = square((0, 0), classes=[0]), square((0, 0), classes=[0], score=np.array([0.4]))
    other = square((0, 0), (8, 8), classes=[0, 0], score=np.array([0.6, 0.5]))
    samples = []
    for number, truths in enumerate((truth, square(classes=[]))):
        prompt = Prompt(task=Task.INSTANCE)
        truths = replace(truths, area=np.full(len(truths), 16.0))
        samples.append(
            Sample(sample_id=str(number), frames=(), size=(64, 64), prompt=prompt, truth=Truth(frames=(truths,)))
        )
    for limit, expected in ((3, 1.0), (2, 0.0)):
        metric = replace(METRICS["fixed"], per_class=limit)
        # The second image's class is unverified: its detections are no errors, but they use up the limit.
        stats = measured(metric, list(zip(samples, [Prediction(frames=(one,)) for one in (found, other)], strict=True)))
        assert summarise(metric, stats).values["AP"] == pytest.approx(expected)


def test_frequency_groups_average_their_own_classes() -> None:
    rare, common, frequent = (
        next(row.class_index for row in LABELS.classes if row.supercategory == group) for group in "rcf"
    )
    truth = square((0, 0), (20, 20), (40, 40), classes=[rare, common, frequent])
    values = drawn(truth, square((0, 0), (40, 40), classes=[rare, frequent])).values
    assert (values["APr"], values["APc"], values["APf"]) == pytest.approx((1.0, 0.0, 1.0))
    assert values["AP"] == pytest.approx(2 / 3)


def test_what_cannot_be_compared_is_refused() -> None:
    truth = square((0, 0), classes=[0])
    with pytest.raises(BenchmarkError, match=r"^1: prediction has no masks"):
        drawn(truth, replace(truth, masks=None))
    with pytest.raises(BenchmarkError, match=r"^1: prediction holds a score that is NaN"):
        drawn(truth, replace(truth, score=np.array([np.nan])))


@pytest.mark.parametrize("name", ["lvis_segm_ap", "lvis_bbox_ap"])
def test_the_table_offers_what_the_metric_gives(name: str) -> None:
    for protocol, entry in metrics.METRICS[name].protocols.items():
        assert tuple(summarise(metrics.build(name, LABELS, protocol), []).values) == entry.score_names
        assert entry.score_names[9:] == recall_names(None if protocol == "fixed" else 300)
