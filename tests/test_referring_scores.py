"""Scores of referring benchmarks: equal to the official tools' frozen output, to the sample, and to the pencil."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from referring_cases import Case, refer_case

from benchmark import catalog, labels, masks, metrics, scoring
from benchmark.__main__ import main
from benchmark.contract import (
    NO_BOXES,
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
from benchmark.formats import refer
from benchmark.formats.image_files import write_jpeg
from benchmark.problems import BenchmarkError

GOLDEN = Path(__file__).parent / "golden" / "referring"
EXACT = 1e-12
SIZE = (4, 5)
METRICS = [
    (name, protocol)
    for name in ("referring_iou", "generalized_referring", "reasoning_segmentation")
    for protocol in metrics.METRICS[name].protocols
]


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 10)


def _score(folder: Path, name: str, found: Any, truth: Path, *options: str) -> dict[str, Any]:
    """The record of `python -m benchmark score` for results given as JSON values."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
    arguments = ["score", name, str(folder / "found.json"), "--truth", str(truth), "--out", str(folder / "record.json")]
    assert main([*arguments, "--work-dir", str(folder / "work"), *options]) == 0
    record: dict[str, Any] = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return record


def _golden(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("suffix", ["p", "json"])
def test_refcoco_scores_equal_the_frozen_tools(tmp_path: Path, suffix: str) -> None:
    golden = _golden("refcoco")
    refer.write(tmp_path / "refcoco", f"refs(unc).{suffix}", golden["references"], golden["instances"])
    record = _score(tmp_path, "refcoco_referring_val", golden["results"], tmp_path / "refcoco")
    official = golden["official"]
    for name in ("oIoU", "box_P@0.5"):
        assert record["scores"][name] == pytest.approx(official[name], abs=EXACT)
    for name in ("P@0.5", "P@0.6", "P@0.7", "P@0.8", "P@0.9"):  # printed with two decimals of a percentage
        assert round(100 * record["scores"][name], 2) == official[name]
    assert record["num_scored"] == record["num_expected"] == len(golden["results"])


def test_grefcoco_scores_equal_the_frozen_tools(tmp_path: Path) -> None:
    golden = _golden("grefcoco")
    refer.write(tmp_path / "grefcoco", "grefs(unc).json", golden["references"], golden["instances"])
    record = _score(tmp_path, "grefcoco_referring_val", golden["results"], tmp_path / "grefcoco")
    assert record["scores"] == pytest.approx(golden["official"], abs=EXACT)


def test_reasonseg_scores_equal_lisa_but_for_its_float32(tmp_path: Path) -> None:
    golden = _golden("reasonseg")
    results = _write_questions(tmp_path / "val", golden["questions"])
    record = _score(tmp_path, "reasonseg_referring_val", results, tmp_path / "val")
    for name in ("gIoU", "cIoU"):
        assert record["scores"][name] == pytest.approx(golden["official"][name], abs=1e-6)


def test_reasonseg_masks_are_drawn_as_lisa_draws_them(tmp_path: Path) -> None:
    golden = _golden("reasonseg")
    _write_questions(tmp_path / "val", golden["questions"])
    samples = catalog.open_samples(catalog.get("reasonseg_referring_val"), None, truth=tmp_path / "val")
    found = []
    for sample in samples:
        truth = sample.truth
        assert truth is not None and isinstance(truth.frames[0], Instances)
        target = sum(masks.area(rle) for rle in truth.frames[0].masks or ())
        found.append([target, 0 if truth.ignore is None else masks.area(truth.ignore)])
    assert found == golden["official"]["pixels"]
    assert samples[1].prompt.sentence == "question 1?" and samples[1].truth is not None
    assert samples[1].truth.subsets == ("long",)


def test_reasonseg_equals_a_slow_version_over_pixels(tmp_path: Path) -> None:
    questions = _golden("reasonseg")["questions"]
    results = _write_questions(tmp_path / "val", questions)
    scores = _score(tmp_path, "reasonseg_referring_val", results, tmp_path / "val")["scores"]
    rows = []
    for sample, one in zip(
        catalog.open_samples(catalog.get("reasonseg_referring_val"), None, truth=tmp_path / "val"), questions
    ):
        assert sample.truth is not None and isinstance(sample.truth.frames[0], Instances)
        truth, ignored, found = (np.zeros(sample.size, bool) for _ in range(3))
        for rle in sample.truth.frames[0].masks or ():
            truth |= masks.decode(rle)
        if sample.truth.ignore is not None:
            ignored = masks.decode(sample.truth.ignore)
        found = masks.decode(masks.from_json(one["answer"])) & ~ignored
        union = int((truth | found).sum())
        both = int((truth & found).sum())
        rows.append((one["document"]["is_sentence"], both, union, both / (union + 1e-5) if union else 1.0))
    for suffix, chosen in (("", rows), ("_long", [r for r in rows if r[0]]), ("_short", [r for r in rows if not r[0]])):
        assert scores[f"gIoU{suffix}"] == pytest.approx(np.mean([row[3] for row in chosen]), abs=EXACT)
        total = sum(row[1] for row in chosen) / (sum(row[2] for row in chosen) + 1e-10)
        assert scores[f"cIoU{suffix}"] == pytest.approx(total, abs=EXACT)


def _write_questions(folder: Path, questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pictures and JSONs of `questions`; the results for them."""
    folder.mkdir(parents=True)
    results = []
    for number, one in enumerate(questions):
        write_jpeg(folder / f"q{number:02d}.jpg", np.zeros((*one["size"], 3), np.uint8))
        (folder / f"q{number:02d}.json").write_text(json.dumps(one["document"]), encoding="utf-8")
        results.append({"sample_id": f"q{number:02d}", "segmentation": one["answer"]})
    return results


SAMPLE_ROWS = [
    ("refcoco_referring_val", "original", True, "refcoco_targets_only_union_of_polygons"),
    ("refcoco+_referring_val", "overlap_dropped", True, "refcoco_targets_only_overlap_pixels_dropped"),
    ("refcoco_referring_val", "original", False, "all_rows_empty_pair_counts_0"),
    ("refcocog_referring_val", "empty_is_right", False, "all_rows_empty_pair_counts_1"),
    ("grefcoco_referring_val", "gres", False, "gres_style"),
    ("reasonseg_referring_val", "lisa", False, "reasonseg_style"),
]


@pytest.mark.parametrize(("name", "protocol", "targets_only", "key"), SAMPLE_ROWS)
def test_the_sample_scores_as_computed(
    samples_dir: Path, tmp_path: Path, name: str, protocol: str, targets_only: bool, key: str
) -> None:
    folder = samples_dir / "image/referring_masks"
    rows = json.loads((folder / "refs.json").read_text(encoding="utf-8"))
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))[key]
    rows = [row for row in rows if row["segmentation"] or not targets_only]
    if name.startswith("reasonseg"):
        scores = _reasoning_scores(rows)
    else:
        case = _as_refer(rows)
        refer.write(tmp_path / "refs", "refs(unc).p", case.references, case.instances)
        truth = tmp_path / "refs/refs(unc).p"
        record = _score(tmp_path, name, case.results, truth, "--protocol", protocol)
        scores = record["scores"]
        assert record["num_scored"] == expected.get("n", record["num_scored"])
    wanted = {score: value for score, value in expected.items() if score != "n"}
    assert {score: scores[score] for score in wanted} == pytest.approx(wanted, abs=EXACT)


def _as_refer(rows: Sequence[dict[str, Any]]) -> Case:
    """The sample's references in the REFER layout, a sentence for every predicted mask."""
    images, annotations, references, results = {}, {}, [], []
    for row in rows:
        images[row["image_id"]] = {"id": row["image_id"], "file_name": "x.jpg"} | {
            side: row[side] for side in ("height", "width")
        }
        ann_id = -1
        if row["segmentation"]:
            ann_id = row["ann_id"]
            box = [0.0, 0.0, 1.0, 1.0]
            annotations[ann_id] = {
                "id": ann_id, "image_id": row["image_id"], "segmentation": row["segmentation"], "bbox": box,
            }  # fmt: skip
        found = row["pred_masks_per_sentence"]
        sentences = [{"sent_id": number, "sent": "it", "tokens": ["it"]} for number in range(len(found))]
        references.append(
            {"ref_id": row["ref_id"], "ann_id": ann_id, "image_id": row["image_id"], "sentences": sentences}
        )
        results += [
            {"ref_id": row["ref_id"], "sent_id": number, "segmentation": rle} for number, rle in enumerate(found)
        ]
    return Case(
        instances={"images": list(images.values()), "annotations": list(annotations.values())},
        references=references,
        results=results,
    )


def _reasoning_scores(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The metric alone: ReasonSeg's files hold outlines that OpenCV draws, the sample's masks are COCO's."""
    metric = metrics.build("reasoning_segmentation", labels.load("object"))
    stats = []
    for row in rows:
        size = (row["height"], row["width"])
        truth = [masks.from_polygons(row["segmentation"], size)] if row["segmentation"] else []
        for number, rle in enumerate(row["pred_masks_per_sentence"]):
            sample = _sample(f"{row['ref_id']}_{number}", size, Truth(frames=(_objects(truth),)))
            stats.append(metric.measure(sample, Prediction(frames=(_objects([masks.from_json(rle)]),))))
    return dict(summarise(metric, stats).values)


def _objects(found: Sequence[Any], **fields: Any) -> Instances:
    return make_instances(class_index=[0] * len(found), masks=found, **{"box_format": NO_BOXES, **fields})


def _sample(sample_id: str, size: tuple[int, int], truth: Truth) -> Sample:
    return Sample(sample_id=sample_id, frames=(), size=size, prompt=Prompt(task=Task.REFERRING), truth=truth)


def _drawn(*rows: str) -> Any:
    return masks.encode(np.array([[cell == "#" for cell in row] for row in rows]))


TRUTH = _drawn("##...", "##...", ".....", ".....")
HALF = _drawn("##...", ".....", ".....", ".....")
BESIDE = _drawn(".....", ".....", ".....", "...##")
NOTHING = masks.empty(SIZE)


def _measured(metric: Metric, pairs: Sequence[tuple[Any, Any, bool | None]]) -> list[Stats]:
    """Statistics of (true mask or None, predicted mask, no-target flag)."""
    return [
        metric.measure(
            _sample(str(number), SIZE, Truth(frames=(_objects([] if truth is None else [truth]),))),
            Prediction(frames=(_objects([found]),), is_no_target=flag),
        )
        for number, (truth, found, flag) in enumerate(pairs)
    ]


def test_refcoco_by_hand() -> None:
    metric = metrics.build("referring_iou", labels.load("object"))
    # 4 of 4, 2 of 4 (exactly one half counts), 0 of 6, nothing at all
    pairs = [(TRUTH, TRUTH, None), (TRUTH, HALF, None), (TRUTH, BESIDE, None), (TRUTH, NOTHING, None)]
    values = summarise(metric, _measured(metric, pairs)).values
    assert values["oIoU"] == 6 / (4 + 4 + 6 + 4)
    assert values["mIoU"] == (1 + 0.5) / 4
    assert (values["P@0.5"], values["P@0.6"], values["P@0.9"]) == (0.5, 0.25, 0.25)
    assert np.isnan(values["box_P@0.5"])


def test_doubly_covered_pixels_leave_the_truth_only_where_the_protocol_says_so() -> None:
    truth = Truth(frames=(_objects([TRUTH]),), overlap=HALF)
    sample, answer = _sample("1", SIZE, truth), Prediction(frames=(_objects([TRUTH]),))
    for protocol, expected in (("original", 1.0), ("empty_is_right", 1.0), ("overlap_dropped", 0.5)):
        metric = metrics.build("referring_iou", labels.load("object"), protocol)
        assert summarise(metric, [metric.measure(sample, answer)]).values["oIoU"] == expected


def test_grefcoco_by_hand() -> None:
    metric = metrics.build("generalized_referring", labels.load("object"))
    pairs = [
        (TRUTH, TRUTH, False),  # 4 of 4
        (TRUTH, TRUTH, True),  # called empty: 0 of 4
        (TRUTH, NOTHING, False),  # 0 of 4, and not called empty
        (None, NOTHING, True),  # right whatever the mask
        (None, TRUTH, True),  # right whatever the mask, adds nothing
        (None, HALF, False),  # wrong, two pixels join the union
        (None, NOTHING, None),  # an empty mask says it itself
    ]
    scores = summarise(metric, _measured(metric, pairs))
    assert scores.values["gIoU"] == (1 + 0 + 0 + 1 + 1 + 0 + 1) / 7
    assert scores.values["cIoU"] == 4 / (4 + 4 + 4 + 2)
    assert (scores.values["N_acc"], scores.values["T_acc"]) == (3 / 4, 2 / 3)
    assert scores.values["Pr@0.7"] == 1 / 3
    assert scores.counts == {"expressions": 7, "no_target": 4}


def test_tiny_masks_mean_nothing_where_the_protocol_says_so() -> None:
    metric = metrics.build("generalized_referring", labels.load("object"), "under_50_pixels")
    scores = summarise(metric, _measured(metric, [(None, HALF, None), (None, HALF, False), (TRUTH, TRUTH, None)]))
    assert scores.values["gIoU"] == 1 / 3 and scores.values["T_acc"] == 0.0


@pytest.mark.parametrize(
    ("boxes", "scores", "is_right"),
    [
        ([[0, 0, 2, 2], [10, 10, 4, 4]], [0.9, 0.7], True),
        ([[10, 10, 4, 4], [0, 0, 2, 2]], [0.9, 0.7], True),
        ([[0, 0, 2, 2], [10, 10, 4, 4]], [0.9, 0.69], False),  # the second is not kept
        ([[0, 0, 2, 2]], [0.9], False),
        ([[0, 0, 2, 2], [10, 10, 4, 4], [20, 20, 3, 3]], [0.9, 0.9, 0.9], False),
        ([[0, 0, 2, 2], [0, 0, 2, 2]], [0.9, 0.9], False),  # one true box is taken once
        ([[0, 0, 2, 2], [10, 10, 4, 8]], [0.9, 0.9], True),  # IoU 1/2 inside the hull: generalised IoU is 1/2, too
        ([[0, 0, 2, 2], [12, 10, 4, 4]], [0.9, 0.9], False),  # IoU 1/3
    ],
)
def test_boxes_of_grefcoco_by_hand(boxes: list[list[float]], scores: list[float], is_right: bool) -> None:
    metric = metrics.build("generalized_referring", labels.load("object"))
    target = make_instances(class_index=[0, 0], boxes=np.array([[0.0, 0, 2, 2], [10, 10, 4, 4]]))
    found = make_instances(class_index=[0] * len(boxes), boxes=np.array(boxes, float), score=np.array(scores))
    sample = _sample("1", (40, 40), Truth(frames=(target,)))
    values = summarise(metric, [metric.measure(sample, Prediction(frames=(found,)))]).values
    assert values["box_F1=1"] == float(is_right) and values["box_T_acc"] == 1.0
    assert np.isnan(values["gIoU"]) and np.isnan(values["box_N_acc"])


@pytest.mark.parametrize(
    ("box", "box_format", "is_hit"),
    [
        ([0.0, 0.0, 10.0, 10.0], "xywh", True),
        ([0.0, 0.0, 10.0, 5.0], "xywh", True),  # exactly one half
        ([0.0, 0.0, 10.0, 4.99], "xywh", False),
        ([0.0, 0.0, 10.0, 5.0], "xyxy", True),
        ([20.0, 20.0, 10.0, 10.0], "xywh", False),
        ([0.0, 0.0, 0.0, 0.0], "xywh", False),
    ],
)
def test_boxes_of_refcoco_hit_from_one_half(box: list[float], box_format: str, is_hit: bool) -> None:
    metric = metrics.build("referring_iou", labels.load("object"))
    target = make_instances(class_index=[0], boxes=np.array([[0.0, 0.0, 10.0, 10.0]]))
    worse = [20.0, 20.0, 30.0, 30.0]
    found = make_instances(
        class_index=[0, 0], boxes=np.array([worse, box]), box_format=box_format, score=np.array([0.1, 0.2])
    )
    stats = metric.measure(_sample("1", (40, 40), Truth(frames=(target,))), Prediction(frames=(found,)))
    values = summarise(metric, [stats]).values
    assert values["box_P@0.5"] == float(is_hit) and np.isnan(values["oIoU"])


def test_reasonseg_by_hand() -> None:
    sample = _sample("1", SIZE, Truth(frames=(_objects([TRUTH]),), ignore=BESIDE, subsets=("short",)))
    none = _sample("2", SIZE, Truth(frames=(_objects([]),), subsets=("long",)))
    answers = [Prediction(frames=(_objects([masks.union([HALF, BESIDE]), TRUTH]),)), Prediction(frames=(_objects([]),))]
    for protocol, both in (("lisa", 2), ("united", 4)):
        metric = metrics.build("reasoning_segmentation", labels.load("object"), protocol)
        stats = [metric.measure(one, answer) for one, answer in zip((sample, none), answers)]
        values = summarise(metric, stats).values
        assert values["gIoU"] == pytest.approx((both / (4 + 1e-5) + 1) / 2, abs=EXACT)
        assert values["cIoU"] == both / (4 + 1e-10)
        assert values["gIoU_long"] == 1.0 and values["gIoU_short"] == both / (4 + 1e-5)


@pytest.mark.parametrize(("name", "protocol"), METRICS)
def test_order_shards_and_weights_change_no_bit(name: str, protocol: str) -> None:
    metric = metrics.build(name, labels.load("object"), protocol)
    stats = _measured(metric, _random_pairs())
    result = summarise(metric, stats)
    order = np.random.default_rng(1).permutation(len(stats))
    assert _bits(summarise(metric, [stats[place] for place in order])) == _bits(result)
    weights = np.random.default_rng(2).integers(0, 3, len(stats))
    repeated = [
        replace(one, sample_id=f"{one.sample_id}.{copy}")
        for one, weight in zip(stats, weights)
        for copy in range(weight)
    ]
    assert _bits(metric.pool(stats)(weights)) == _bits(summarise(metric, repeated))
    assert {value.dtype.kind for one in stats for value in one.arrays.values()} <= set("bi")


def _random_pairs() -> list[tuple[Any, Any, bool | None]]:
    dice = np.random.default_rng(0)
    drawn = [masks.encode(dice.random(SIZE) < dice.choice([0.0, 0.3, 0.6])) for _ in range(60)]
    flags = [None, False, True]
    return [
        (None if dice.random() < 0.2 else truth, found, flags[dice.integers(3)])
        for truth, found in zip(drawn[:30], drawn[30:])
    ]


def _bits(scores: Scores) -> bytes:
    return np.array([*scores.values.values(), *scores.counts.values()], np.float64).tobytes()


CEILINGS = {
    ("referring_iou", "original"): ({"oIoU": 1.0, "mIoU": 1.0, "P@0.9": 1.0}, {"oIoU": 0.0, "mIoU": 0.0, "P@0.5": 0.0}),
    # A truth replayed has no more than U / (U + 1e-5); a no-target image is right without a mask.
    ("reasoning_segmentation", "lisa"): ({"gIoU": 4 / (4 + 1e-5)}, {"gIoU": 0.0, "cIoU": 0.0}),
    ("generalized_referring", "gres"): ({"gIoU": 1.0, "cIoU": 1.0, "T_acc": 1.0}, {"gIoU": 0.0, "T_acc": 0.0}),
}


@pytest.mark.parametrize(("name", "protocol"), CEILINGS)
def test_truth_replayed_has_the_ceiling_and_nothing_the_floor(name: str, protocol: str) -> None:
    metric = metrics.build(name, labels.load("object"), protocol)
    ceiling, floor = CEILINGS[name, protocol]
    top = summarise(metric, _measured(metric, [(TRUTH, TRUTH, None)] * 3)).values
    assert {key: top[key] for key in ceiling} == ceiling
    bottom = summarise(metric, _measured(metric, [(TRUTH, NOTHING, None)] * 3)).values
    assert {key: bottom[key] for key in floor} == floor


@pytest.mark.parametrize(("name", "expected"), [("generalized_referring", 1.0), ("reasoning_segmentation", 1.0)])
def test_nothing_is_right_where_nothing_is_meant(name: str, expected: float) -> None:
    metric = metrics.build(name, labels.load("object"))
    assert summarise(metric, _measured(metric, [(None, NOTHING, None)])).values["gIoU"] == expected


@pytest.mark.parametrize(("name", "protocol"), METRICS)
def test_broken_pairs_are_refused_by_sample(name: str, protocol: str) -> None:
    metric = metrics.build(name, labels.load("object"), protocol)
    sample = _sample("7", SIZE, Truth(frames=(_objects([TRUTH]),)))
    other = _objects([masks.empty((2, 2))])
    with pytest.raises(BenchmarkError, match=r"^7: prediction is 2x2 .* the image is 4x5"):
        metric.measure(sample, Prediction(frames=(other,)))
    with pytest.raises(BenchmarkError, match=r"^7: the sample has no truth"):
        metric.measure(replace(sample, truth=None), Prediction(frames=(other,)))


def test_masks_alone_have_no_box_score_and_boxes_alone_no_mask_score(tmp_path: Path) -> None:
    case = refer_case(5)
    refer.write(tmp_path / "refs", "refs(unc).p", case.references, case.instances)
    for field, undefined, defined in (("bbox", "box_P@0.5", "oIoU"), ("segmentation", "oIoU", "box_P@0.5")):
        found = [{key: value for key, value in one.items() if key != field} for one in case.results]
        scores = _score(tmp_path / field, "refcoco_referring_val", found, tmp_path / "refs")["scores"]
        assert scores[undefined] is None and 0 < scores[defined] < 1


def test_missing_answers_leave_no_headline(tmp_path: Path) -> None:
    case = refer_case(5)
    refer.write(tmp_path / "refs", "refs(unc).p", case.references, case.instances)
    record = _score(tmp_path / "found", "refcoco_referring_val", case.results[1:], tmp_path / "refs")
    assert record["scores"]["oIoU"] is None and record["missing"] == ["7_0"]
