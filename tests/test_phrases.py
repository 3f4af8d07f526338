"""PhraseCut and Flickr30k Entities: scores equal the tools' frozen output, files are read or refused clearly."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from official_digest import digest
from phrase_cases import flickr_case, phrase_cut_case
from test_store import is_same

from benchmark import catalog, labels, masks, metrics, scoring
from benchmark.__main__ import main
from benchmark.contract import (
    NO_BOXES,
    Instances,
    Prediction,
    Prompt,
    Sample,
    SampleSet,
    Scores,
    Task,
    Truth,
    make_instances,
    summarise,
)
from benchmark.formats import flickr30k, phrase_cut
from benchmark.formats.mask_folder import one_mask
from benchmark.metrics import phrase_cut as phrase_cut_metric
from benchmark.problems import BenchmarkError, DataError

GOLDEN = Path(__file__).parent / "golden" / "referring"
EXACT = 1e-12
CUT, FLICKR = "phrasecut_referring_test", "flickr30k_grounding_test"


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 10)


def _golden(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _score(folder: Path, name: str, found: Path, truth: Path, *options: str) -> dict[str, Any]:
    arguments = ["score", name, str(found), "--truth", str(truth), "--out", str(folder / "record.json")]
    assert main([*arguments, "--work-dir", str(folder / "work"), *options]) == 0
    record: dict[str, Any] = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return record


def _open(name: str, folder: Path) -> SampleSet:
    return catalog.open_samples(catalog.get(name), None, truth=folder)


@pytest.mark.parametrize("form", ["folder", "json"])
def test_phrasecut_scores_equal_the_frozen_tool(tmp_path: Path, form: str) -> None:
    case, golden = phrase_cut_case(4), _golden("phrasecut")
    assert digest(case) == golden["digest"], "the drawn input is not the one that the tool was run on"
    case.write(tmp_path / "data")
    found = tmp_path / "found.json"
    entries = [{"sample_id": task_id, "segmentation": rle} for task_id, rle in case.answers.items()]
    found.write_text(json.dumps(entries), encoding="utf-8")
    if form == "folder":
        row, samples = catalog.get(CUT), _open(CUT, tmp_path / "data")
        answers = catalog.read_predictions(row, found, samples)
        found = tmp_path / "found"
        catalog.write_predictions(row, found, [(sample, answers[sample.sample_id]) for sample in samples])
    record = _score(tmp_path, CUT, found, tmp_path / "data")
    official = {name: values for name, values in golden["official"].items() if name[:2] not in ("t_", "a_")}
    assert record["scores"] == pytest.approx(official.pop("all"), abs=EXACT)
    assert record["per_class"].keys() == official.keys() and len(official) >= 20
    for name, values in official.items():
        assert record["per_class"][name] == pytest.approx(values, abs=EXACT), name


@pytest.mark.parametrize("protocol", ["any_box", "merged_box"])
def test_flickr_recalls_equal_the_frozen_tool(tmp_path: Path, protocol: str) -> None:
    case, golden = flickr_case(5), _golden("flickr30k")
    assert digest(case) == golden["digest"], "the drawn input is not the one that the tool was run on"
    case.write(tmp_path / "data")
    (tmp_path / "found.json").write_text(json.dumps(case.results), encoding="utf-8")
    record = _score(tmp_path, FLICKR, tmp_path / "found.json", tmp_path / "data", "--protocol", protocol)
    official = dict(golden["official"][protocol])
    assert record["scores"] == pytest.approx(official.pop("all"), abs=EXACT)
    assert record["per_class"].keys() == official.keys()
    for name, values in official.items():
        assert record["per_class"][name] == pytest.approx(values, abs=EXACT), name


def _phrase(sample_id: str, truth: Instances, size: tuple[int, int] = (40, 60), *subsets: str) -> Sample:
    return Sample(
        sample_id=sample_id,
        frames=(),
        size=size,
        prompt=Prompt(task=Task.GROUNDING),
        truth=Truth(frames=(truth,), subsets=subsets),
    )


def _boxes(*corners: list[float]) -> Instances:
    return make_instances(class_index=[0] * len(corners), boxes=np.array(corners, float), box_format="xyxy")


def test_flickr_by_hand() -> None:
    truth = _boxes([0, 0, 10, 10], [20, 0, 30, 10])
    far, half, both = [40, 30, 50, 39], [0, 0, 10, 5], [0, 0, 30, 10]
    answers = [_boxes(half), _boxes(far, half), _boxes(*[far] * 5, half), _boxes(*[far] * 10, half), _boxes(both)]
    expected = {"any_box": [1 / 5, 2 / 5, 3 / 5, 4 / 5], "merged_box": [1 / 5, 1 / 5, 1 / 5, 1 / 5]}
    for protocol, recalls in expected.items():
        metric = metrics.build("phrase_grounding", labels.load("object"), protocol)
        stats = [
            metric.measure(_phrase(str(number), truth, (40, 60), "people"), Prediction(frames=(answer,)))
            for number, answer in enumerate(answers)
        ]
        scores = summarise(metric, stats)
        assert list(scores.values.values()) == recalls
        assert list(scores.per_class) == ["people"] and scores.per_class["people"] == scores.values


def test_better_scores_come_first() -> None:
    truth, found = _boxes([0, 0, 10, 10]), _boxes([40, 30, 50, 39], [0, 0, 10, 10])
    ranked = make_instances(class_index=[0, 0], boxes=found.boxes, box_format="xyxy", score=np.array([0.2, 0.9]))
    metric = metrics.build("phrase_grounding", labels.load("object"))
    for answer, recall in ((found, 0.0), (ranked, 1.0)):
        stats = [metric.measure(_phrase("1", truth), Prediction(frames=(answer,)))]
        assert summarise(metric, stats).values["R@1"] == recall


def test_phrasecut_by_hand() -> None:
    def mask(width: int) -> Instances:
        pixels = np.zeros((4, 10), bool)
        pixels[0, :width] = True
        return make_instances(class_index=[0], masks=[masks.encode(pixels)], box_format=NO_BOXES)

    metric = metrics.build("phrase_cut", labels.load("object"))
    stats = [
        metric.measure(_phrase(str(found), mask(10), (4, 10), *subsets), Prediction(frames=(mask(found),)))
        for found, subsets in ((10, ("i_single",)), (5, ("i_single", "p_att")), (0, ("p_att",)))
    ]
    scores = summarise(metric, stats)
    assert scores.values["mean_IoU"] == 0.5 and scores.values["cum_IoU"] == 15 / 30
    assert scores.values["P@0.5"] == 1 / 3  # exactly one half does not count
    assert scores.per_class["i_single"]["mean_IoU"] == 0.75 and scores.per_class["p_att"]["cum_IoU"] == 5 / 20
    assert list(scores.per_class) == ["i_single", "p_att"]


@pytest.mark.parametrize("name", [CUT, FLICKR])
def test_truth_replayed_has_the_ceiling_and_nothing_the_floor(tmp_path: Path, name: str) -> None:
    (phrase_cut_case(4) if name == CUT else flickr_case(5)).write(tmp_path)
    row, samples = catalog.get(name), _open(name, tmp_path)
    metric = catalog.build_metric(row)
    kept = [sample for sample in samples if _has_target(sample)]
    ceiling = summarise(metric, [metric.measure(sample, Prediction(frames=_truth(sample))) for sample in kept])
    assert set(ceiling.values.values()) == {1.0}
    nothing = make_instances(class_index=[], masks=())
    floor = summarise(metric, [metric.measure(sample, Prediction(frames=(nothing,))) for sample in kept])
    assert set(floor.values.values()) == {0.0}


def _truth(sample: Sample) -> Any:
    assert sample.truth is not None
    return sample.truth.frames


def _has_target(sample: Sample) -> bool:
    """PhraseCut's cases draw some phrases wholly outside the picture: two empty masks share nothing and score 0."""
    (frame,) = _truth(sample)
    return frame.masks is None or masks.area(masks.union(frame.masks)) > 0


@pytest.mark.parametrize("name", [CUT, FLICKR])
def test_order_shards_and_weights_change_no_bit(tmp_path: Path, name: str) -> None:
    (phrase_cut_case(4) if name == CUT else flickr_case(5)).write(tmp_path)
    case = phrase_cut_case(4)
    metric = catalog.build_metric(catalog.get(name))
    dice = np.random.default_rng(0)
    stats = []
    for sample in _open(name, tmp_path):
        found = _boxes(*dice.uniform(0, 40, (3, 4)).cumsum(axis=1).tolist())
        if name == CUT:
            rle = masks.from_json(case.answers[sample.sample_id])
            found = make_instances(class_index=[0], masks=[rle], box_format=NO_BOXES)
        stats.append(metric.measure(sample, Prediction(frames=(found,))))
    order = dice.permutation(len(stats))
    assert _bits(summarise(metric, [stats[place] for place in order])) == _bits(summarise(metric, stats))
    weights = dice.integers(0, 3, len(stats))
    repeated = [one for one, weight in zip(stats, weights) for _ in range(weight)]
    assert _bits(metric.pool(stats)(weights)) == _bits(summarise(metric, repeated))
    assert {value.dtype.kind for one in stats for value in one.arrays.values()} <= set("bi")


def _bits(scores: Scores) -> bytes:
    rows = [value for row in scores.per_class.values() for value in row.values()]
    return np.array([*scores.values.values(), *scores.counts.values(), *rows], np.float64).tobytes()


def test_answers_of_the_wrong_kind_are_refused() -> None:
    box, mask = (
        _boxes([0, 0, 4, 4]),
        make_instances(class_index=[0], masks=[masks.empty((40, 60))], box_format=NO_BOXES),
    )
    for name, found, kind in (("phrase_cut", box, "masks"), ("phrase_grounding", mask, "boxes")):
        metric = metrics.build(name, labels.load("object"))
        with pytest.raises(BenchmarkError, match=f"^7: prediction has no {kind}"):
            metric.measure(_phrase("7", mask if name == "phrase_cut" else box), Prediction(frames=(found,)))


def test_flickr_results_survive_a_round_trip_to_the_bit(tmp_path: Path) -> None:
    case = flickr_case(5)
    case.write(tmp_path)
    (tmp_path / "found.json").write_text(json.dumps(case.results), encoding="utf-8")
    row, samples = catalog.get(FLICKR), _open(FLICKR, tmp_path)
    found = catalog.read_predictions(row, tmp_path / "found.json", samples)
    catalog.write_predictions(row, tmp_path / "again.json", [(one, found[one.sample_id]) for one in samples])
    again = catalog.read_predictions(row, tmp_path / "again.json", samples)
    assert all(is_same(again[sample_id], found[sample_id]) for sample_id in samples.ids)


def test_phrasecut_masks_survive_a_round_trip_to_the_bit(tmp_path: Path) -> None:
    phrase_cut_case(4).write(tmp_path)
    row, samples = catalog.get(CUT), _open(CUT, tmp_path)
    dice = np.random.default_rng(0)
    pairs = [(sample, one_mask(masks.encode(dice.random(sample.size) < 0.4))) for sample in samples]
    catalog.write_predictions(row, tmp_path / "found", pairs)
    again = catalog.read_predictions(row, tmp_path / "found", samples)
    assert all(is_same(again[sample.sample_id], prediction) for sample, prediction in pairs)


def test_the_official_split_lists_have_their_counts(samples_dir: Path) -> None:
    folder = samples_dir / "image/flickr30k_entities_splits"
    assert [len(flickr30k.read_ids(folder / f"{name}.txt")) for name in ("train", "val", "test")] == [29783, 1000, 1000]


def test_captions_are_parsed() -> None:
    line = "[/EN#7/people/animals An older man] with [/EN#8/clothing glasses] , [/EN#0/notvisual it] ."
    assert [(one.text, one.chain, one.types) for one in flickr30k.parse_caption(line)] == [
        ("An older man", "7", ("people", "animals")), ("glasses", "8", ("clothing",)), ("it", "0", ("notvisual",)),
    ]  # fmt: skip
    for broken in ("a [man] b", "[/EN#7/people a man", "[/EN#7 a man]"):
        with pytest.raises(ValueError, match="the bracket"):
            flickr30k.parse_caption(broken)


def test_phrases_without_boxes_are_no_samples(tmp_path: Path) -> None:
    case = flickr_case(5)
    case.write(tmp_path)
    samples = _open(FLICKR, tmp_path)
    assert len(samples) == sum(len(one["boxes"]) for one in case.results)
    sample = samples[0]
    assert sample.size == (90, 100) and sample.prompt.sentence is not None and "thing" in sample.prompt.sentence
    assert sample.frames[0].name == f"{sample.sample_id.split('_')[0]}.jpg"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.pop("image_id"), "result 1: image_id None is not in this benchmark"),
        (lambda one: one.update(image_id=5), "result 1: image_id 5 is not in this benchmark"),
        (lambda one: one.update(sentence_id="first"), "result 1: sentence_id is 'first'"),
        (lambda one: one["boxes"].append([[1, 2, 3, 4]]), "lists, expected"),
        (lambda one: one.update(boxes=None), "result 1: boxes holds None, expected"),
        (lambda one: one["boxes"].__setitem__(0, []), "result 1: phrase 0 has no list of boxes [x1, y1, x2, y2]"),
        (lambda one: one["boxes"].__setitem__(0, [[1, 2, 3]]), "result 1: phrase 0 has no list of boxes"),
    ],
)
def test_each_defect_of_flickr_results_is_one_line(
    tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    case = flickr_case(5)
    case.write(tmp_path)
    results = [one for one in copy.deepcopy(case.results) if one["boxes"]]
    change(results[1])
    (tmp_path / "found.json").write_text(json.dumps(results), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        catalog.read_predictions(catalog.get(FLICKR), tmp_path / "found.json", _open(FLICKR, tmp_path))
    (problem,) = caught.value.problems
    assert message in str(problem)


def test_repeated_and_unexpected_sentences_are_left_out_and_counted(tmp_path: Path) -> None:
    case = flickr_case(5)
    case.write(tmp_path)
    first = next(one for one in case.results if one["boxes"])
    results = [*case.results, first | {"boxes": []}]
    (tmp_path / "found.json").write_text(json.dumps(results), encoding="utf-8")
    row, samples = catalog.get(FLICKR), _open(FLICKR, tmp_path)
    found, notes = catalog.read_predictions_with_notes(row, tmp_path / "found.json", samples)
    num_silent = sum(not one["boxes"] for one in case.results)
    assert notes == {flickr30k.REPEATED: 1, flickr30k.UNEXPECTED: num_silent} and set(found) == set(samples.ids)


FLICKR_DEFECTS = {
    "broken XML": ("Annotations/1000.xml", "<annotation>", "1000.xml: is broken XML"),
    "entities": ("Annotations/1000.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', "1000.xml: declares a document type"),
    "no size": ("Annotations/1000.xml", "<annotation/>", "1000.xml: has no size"),
    "box of text": (
        "Annotations/1000.xml",
        "<a><size><width>9</width><height>9</height></size><object><name>1</name><bndbox><xmin>x</xmin></bndbox></object></a>",
        "1000.xml: object 0 has no box of xmin, ymin, xmax, ymax",
    ),
    "open bracket": ("Sentences/1000.txt", "[/EN#1/people a man\n", "1000.txt: caption 0: the bracket '/EN#1/people'"),
}


@pytest.mark.parametrize("defect", FLICKR_DEFECTS)
def test_each_defect_of_flickr_files_is_one_line(tmp_path: Path, defect: str) -> None:
    name, text, message = FLICKR_DEFECTS[defect]
    flickr_case(5).write(tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        _open(FLICKR, tmp_path)
    (problem,) = caught.value.problems
    assert message in str(problem).replace("[/EN", "/EN")


CUT_DEFECTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "no object": (lambda case: case.tasks.__setitem__(0, 3), "task at position 0: is no object"),
    "no phrase": (lambda case: case.tasks[0].pop("phrase"), "task '1__0': phrase is None, expected text"),
    "unknown picture": (lambda case: case.tasks[0].update(image_id=99), "image_id 99 is not in image_data_split.json"),
    "boxes of text": (lambda case: case.tasks[0].update(instance_boxes=["a"]), "instance_boxes is no list"),
    "points of text": (lambda case: case.tasks[0].update(Polygons=[[["a"]]]), "Polygons is no list of instances"),
    "point far away": (lambda case: case.tasks[0].update(Polygons=[[[[1e9, 1]]]]), "Polygons is no list of instances"),
    "no structure": (lambda case: case.tasks[0].pop("phrase_structure"), "phrase_structure lacks name"),
    "task twice": (lambda case: case.tasks.append(case.tasks[0]), "task 1__0 occurs twice"),
}


@pytest.mark.parametrize("defect", CUT_DEFECTS)
def test_each_defect_of_phrasecut_is_one_line(tmp_path: Path, defect: str) -> None:
    change, message = CUT_DEFECTS[defect]
    case = phrase_cut_case(4)
    change(case)
    case.write(tmp_path)
    with pytest.raises(DataError) as caught:
        _open(CUT, tmp_path)
    (problem,) = caught.value.problems
    assert message in str(problem)


def test_val_holds_the_pictures_of_miniv_too(tmp_path: Path) -> None:
    phrase_cut_case(4).write(tmp_path)
    tasks = json.loads((tmp_path / "refer_test.json").read_text(encoding="utf-8"))
    for name, part in (("val", tasks[:20]), ("miniv", tasks[20:])):
        (tmp_path / f"refer_{name}.json").write_text(json.dumps(part), encoding="utf-8")
    assert len(_open("phrasecut_referring_val", tmp_path)) == len(tasks)
    assert len(_open("phrasecut_referring_miniv", tmp_path)) == len(tasks) - 20


def test_subsets_without_frequencies_are_those_that_need_none(tmp_path: Path) -> None:
    phrase_cut_case(4).write(tmp_path)
    (tmp_path / phrase_cut.FREQUENCIES).unlink()
    named = {name for sample in _open(CUT, tmp_path) if sample.truth is not None for name in sample.truth.subsets}
    assert named <= set(phrase_cut_metric.SUBSETS) and not {name for name in named if name[1].isdigit()}


@pytest.mark.parametrize("line", ["12\0", "../12", "a/12"])
def test_ids_that_lead_elsewhere_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "val.txt").write_text(f"36979\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match="is no id of a picture"):
        flickr30k.read_ids(tmp_path / "val.txt")
