"""Files of referring benchmarks: pickles run nothing, round trips are exact, every defect is one line."""

from __future__ import annotations

import copy
import json
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from referring_cases import refer_case
from test_store import is_same

from benchmark import catalog, masks
from benchmark.__main__ import main
from benchmark.contract import NO_BOXES, Instances, Prediction, SampleSet, make_instances
from benchmark.formats import plain_pickle, reason_seg, refer, referring_results
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.formats.plain_pickle import NotPlainError
from benchmark.problems import DataError

PLAIN = [
    [1, -1, 0, 127, 128, 255, 256, 65535, 65536, -129, 2**31, -(2**31) - 1, 2**70, -(2**70)],
    [0.5, -1.25, float("inf"), None, True, False, "", "man", "naïve \u2603", "a\nb\\'\""],
    {"a": {"b": [[], {}, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]}, 3: "three"},
]
FORBIDDEN = {
    "global": b"cos\nsystem\n(S'true'\ntR.",
    "instance": b"(S'true'\nios\nsystem\n.",
    "object": b"(cos\nsystem\nS'true'\no.",
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "reduce": b"](R.",
    "build": b"}}b.",
    "new object": b"))\x81.",
    "persistent id": b"Psomething\n.",
    "extension": b"\x80\x02\x82\x01.",
    "bytes": b"C\x03abc.",
    "set": b"\x80\x04\x8f.",
}
DAMAGED = {
    "empty": b"",
    "no pickle": b"\xff\xfe",
    "cut": pickle.dumps(PLAIN, 2)[:-5],
    "text longer than the file": b"X" + struct.pack("<I", 2**31) + b"abc.",
    "memo far away": b"]r\xff\xff\xff\x7fh\x01.",
    "nothing on the stack": b".",
    "no mark": b"]e.",
    "list for a key": b"}]K\x01s.",
    "append to a dictionary": b"}K\x01a.",
    "text without quotes": b"Sabc\n.",
    "number of letters": b"Iabc\n.",
    "number of many digits": b"I" + b"9" * 10000 + b"\n.",
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_every_protocol_are_read(protocol: int) -> None:
    assert plain_pickle.loads(pickle.dumps(PLAIN, protocol)) == PLAIN


def test_text_of_python_2_is_taken_for_utf8() -> None:
    assert plain_pickle.loads(b"(lp0\nS'caf\\xc3\\xa9'\np1\naU\x05caf\xc3\xa9a.") == ["café", "café"]


def test_written_pickles_are_read_by_us_and_by_the_standard_library() -> None:
    value = json.loads(json.dumps([PLAIN[0], PLAIN[1][:2] + PLAIN[1][3:], {"a": [{}, []]}]))
    data = plain_pickle.dumps(value)
    assert plain_pickle.loads(data) == value == pickle.loads(data)
    with pytest.raises(TypeError, match="a tuple is no plain value"):
        plain_pickle.dumps([(1, 2)])


@pytest.mark.parametrize("case", FORBIDDEN)
def test_a_pickle_that_wants_more_than_plain_values_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "refs(unc).p"
    path.write_bytes(FORBIDDEN[case])
    with pytest.raises(DataError, match=r"wants an object.* to be made") as caught:
        plain_pickle.read_pickle(path)
    assert len(caught.value.problems) == 1 and "\n" not in str(caught.value)


def test_the_refusal_names_what_was_asked_for() -> None:
    for case in ("global", "stack global"):
        with pytest.raises(NotPlainError, match=r"wants an object 'os.system' to be made \(instruction \w+ at byte"):
            plain_pickle.loads(FORBIDDEN[case])


def test_nothing_is_executed(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    for protocol in range(6):
        with pytest.raises(NotPlainError):
            plain_pickle.loads(pickle.dumps([{"ref_id": 1}, Touch()], protocol))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_pickle_is_one_clear_line(case: str) -> None:
    with pytest.raises(NotPlainError, match="pickle"):
        plain_pickle.loads(DAMAGED[case])


@pytest.mark.parametrize("seed", range(200))
def test_random_damage_gives_a_value_or_a_refusal(seed: int) -> None:
    dice = random.Random(seed)
    data = bytearray(pickle.dumps(refer_case(0).references[:3], dice.choice([0, 2, 4])))
    for _ in range(dice.randint(1, 6)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    try:
        plain_pickle.loads(bytes(data[: dice.choice([None, len(data) // 2])]))
    except NotPlainError as error:
        assert "pickle" in str(error) or "wants an object" in str(error)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    case = refer_case(0)
    refer.write(tmp_path / "refcoco", "refs(unc).p", case.references, case.instances)
    return tmp_path / "refcoco"


def _open(folder: Path, name: str = "refcoco_referring_val") -> SampleSet:
    return catalog.open_samples(catalog.get(name), None, truth=folder)


def test_references_become_expressions(folder: Path) -> None:
    case, samples = refer_case(0), _open(folder)
    names = [f"{ref['ref_id']}_{one['sent_id']}" for ref in case.references for one in ref["sentences"]]
    assert list(samples.ids) == names
    sample = samples[0]
    assert sample.prompt.sentence == case.references[0]["sentences"][0]["sent"]
    assert sample.frames[0].name == "COCO_train2014_000000000001.jpg"
    assert sample.truth is not None and isinstance(sample.truth.frames[0], Instances)
    annotation = case.instances["annotations"][0]
    objects = sample.truth.frames[0]
    assert objects.boxes.tolist() == [annotation["bbox"]] and objects.object_id.tolist() == [annotation["id"]]
    assert masks.area(objects.masks[0]) == annotation["area"]  # type: ignore[index]


def test_doubly_covered_pixels_are_counted_on_pixels(folder: Path) -> None:
    case = refer_case(0)
    annotations = {one["id"]: one for one in case.instances["annotations"]}
    targets = [annotations[ref["ann_id"]] for ref in case.references for _ in ref["sentences"]]
    num_overlaps = 0
    for sample, annotation in zip(_open(folder), targets):
        layers = [masks.decode(masks.from_polygons([one], sample.size)) for one in annotation["segmentation"]]
        twice = np.sum(layers, axis=0) > 1
        assert sample.truth is not None
        assert (masks.decode(sample.truth.overlap) == twice).all() if sample.truth.overlap else not twice.any()
        num_overlaps += bool(twice.any())
    assert num_overlaps > 5


@pytest.mark.parametrize(
    ("named", "split", "belongs"),
    [
        ("val", "val", True), ("val", "train", False), ("testA", "testA", True), ("testB", "testA", False),
        ("testAB", "testA", True), ("testAB", "testB", True), ("test", "test", True), ("testB", "test", True),
        ("train", "testA", False),
    ],
)  # fmt: skip
def test_splits_are_those_of_the_refer_api(named: str, split: str, belongs: bool) -> None:
    assert refer.in_split({"split": named}, split) is belongs


def test_pictures_are_found_where_the_api_or_coco_has_them(folder: Path) -> None:
    for place in ("images/mscoco/images/train2014", "coco/train2014", "train2014"):
        pictures = folder.parent / place
        pictures.mkdir(parents=True)
        samples = catalog.get("refcoco_referring_val").layout.open(catalog.get("refcoco_referring_val"), folder.parent)
        assert samples is not None and samples.entries[0].frames[0].parent == pictures


def test_official_counts_are_enforced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "found.json").write_text("[]", encoding="utf-8")
    arguments = ["score", "refcoco_referring_val", str(folder.parent / "found.json"), "--data-root", str(folder.parent)]
    assert main([*arguments, "--work-dir", str(folder.parent / "work")]) == 2
    assert "expected 10,834" in capsys.readouterr().err


ANSWERS = {
    "mask and box": {"masks": 1, "boxes": "xywh"},
    "mask": {"masks": 1, "boxes": NO_BOXES},
    "box": {"masks": None, "boxes": "xywh"},
    "corners": {"masks": None, "boxes": "xyxy"},
    "several": {"masks": 3, "boxes": "xywh"},
    "nothing": {"masks": 0, "boxes": "xywh"},
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("flag", [None, False, True])
def test_results_survive_a_round_trip_to_the_bit(folder: Path, kind: str, flag: bool | None) -> None:
    dice = np.random.default_rng(0)
    pairs = []
    for sample in _open(folder):
        num = 1 if ANSWERS[kind]["masks"] is None else int(str(ANSWERS[kind]["masks"]))
        found = None if ANSWERS[kind]["masks"] is None else masks.encode_many(dice.random((num, *sample.size)) < 0.4)
        box_format = str(ANSWERS[kind]["boxes"])
        boxes = np.zeros((num, 4)) if box_format == NO_BOXES else dice.random((num, 4)) * 30
        extent = boxes[:, 2:] - boxes[:, :2] if box_format == "xyxy" else boxes[:, 2:]
        objects = make_instances(
            class_index=[0] * num,
            masks=found,
            boxes=boxes,
            box_format=box_format,
            area=extent.prod(axis=1) if found is None else masks.areas(found).astype(np.float64),
            score=dice.random(num),
        )
        pairs.append((sample, Prediction(frames=(objects,), is_no_target=flag)))
    row, path = catalog.get("refcoco_referring_val"), folder.parent / "found.json"
    catalog.write_predictions(row, path, pairs)
    again = catalog.read_predictions(row, path, _open(folder))
    assert all(is_same(again[sample.sample_id], prediction) for sample, prediction in pairs)


def test_forms_of_other_tools_give_the_same_answers(folder: Path) -> None:
    case, samples = refer_case(0), _open(folder)
    plain = [{key: one[key] for key in ("sent_id", "segmentation", "bbox")} for one in case.results]
    mattnet = {
        "predictions": [
            {"sent_id": one["sent_id"], "rle": one["segmentation"], "pred_box": one["bbox"]} for one in case.results
        ]
    }
    named = [{"sample_id": samples.ids[place]} | plain[place] for place in range(len(plain))]
    listed = [one | {"segmentation": [one["segmentation"]], "bbox": [one["bbox"]]} for one in plain]
    expected = _answers(folder, case.results)
    for form in (plain, mattnet, named, listed):
        found = _answers(folder, form)
        assert all(is_same(found[sample_id], expected[sample_id]) for sample_id in samples.ids)
    google = [
        {"refexp_id": one["sent_id"], "annotation_id": 1, "predicted_bounding_boxes": [one["bbox"], [1, 2, 3, 4]]}
        for one in case.results
    ]
    first = _answers(folder, google)[samples.ids[0]].frames[0]
    assert isinstance(first, Instances) and first.masks is None
    assert first.boxes.tolist() == [case.results[0]["bbox"], [1, 2, 3, 4]] and first.score.tolist() == [1.0, 1.0]


def _answers(folder: Path, form: Any) -> Any:
    path = folder.parent / "form.json"
    path.write_text(json.dumps(form), encoding="utf-8")
    return catalog.read_predictions(catalog.get("refcoco_referring_val"), path, _open(folder))


def test_a_folder_of_masks_is_an_answer(folder: Path) -> None:
    samples = _open(folder)
    for sample in samples:
        mask = np.zeros(sample.size, np.uint8)
        mask[:3, :4] = 255
        write_png(folder.parent / "masks" / f"{sample.sample_id}.png", mask)
    found = catalog.read_predictions(catalog.get("refcoco_referring_val"), folder.parent / "masks", samples)
    objects = found[samples.ids[3]].frames[0]
    assert isinstance(objects, Instances) and objects.masks is not None and masks.area(objects.masks[0]) == 12


def test_null_and_several_masks_are_rows_of_one_answer(folder: Path) -> None:
    samples = _open(folder)
    size = samples[0].size
    parts = [np.zeros(size, bool) for _ in range(2)]
    parts[0][:2, :2] = parts[1][5:7, :2] = True
    rles = [masks.to_json(masks.encode(one)) for one in parts]
    entry: dict[str, Any] = {"sample_id": samples.ids[0]}
    cases = [
        ({"segmentation": rles, "bbox": [1, 2, 3, 4]}, 1, 8, [[1, 2, 3, 4]], [1.0]),
        ({"segmentation": rles[0], "bbox": [[1, 2, 3, 4], [5, 6, 7, 8]]}, 2, 4, [[1, 2, 3, 4], [5, 6, 7, 8]], [1, 1]),
        ({"segmentation": rles, "bbox": None}, 1, 8, [[0, 0, 0, 0]], [0.0]),
        ({"segmentation": None, "bbox": [1, 2, 3, 4]}, 1, 0, [[1, 2, 3, 4]], [1.0]),
        ({"segmentation": None, "bbox": None}, 0, 0, [], []),
        ({}, 0, 0, [], []),
    ]
    for fields, num, area, boxes, scores in cases:
        objects = _answers(folder, [entry | fields])[samples.ids[0]].frames[0]
        assert len(objects) == num and sum(masks.areas(objects.masks)) == area
        assert objects.boxes.tolist() == boxes and objects.score.tolist() == scores


Change = Callable[[Any], object]


def _first(**fields: Any) -> Change:
    return lambda rows: rows[0].update(fields)


RESULT_DEFECTS: dict[str, tuple[Change, str]] = {
    "unknown sentence": (_first(sent_id=999), "result 0: ref_id 7 with sent_id 999 is not in this benchmark"),
    "no name": (lambda rows: [rows[0].pop(key) for key in ("ref_id", "sent_id")], "neither 'sample_id' nor 'sent_id'"),
    "unknown sample": (_first(sample_id="no"), "result 0: sample_id 'no' is not in this benchmark"),
    "answered twice": (lambda rows: rows.append(dict(rows[0])), "answers expression 7_0 again (first: result 0)"),
    "no object": (lambda rows: rows.__setitem__(0, 5), "result 0: is not an object"),
    "mask of text": (_first(segmentation="abc"), "result 0: segmentation is not run lengths"),
    "broken mask": (_first(segmentation={"size": [40, 48], "counts": "0"}), "result 0: the mask is broken"),
    "mask of another size": (_first(segmentation={"size": [2, 2], "counts": [4]}), "7_0: prediction is 2x2"),
    "masks of two sizes": (
        _first(segmentation=[{"size": [2, 2], "counts": [4]}, {"size": [3, 2], "counts": [6]}]),
        "result 0: has masks of different sizes (2x2, 3x2)",
    ),
    "box of three numbers": (_first(bbox=[1, 2, 3]), "result 0: bbox is not [x, y, width, height]"),
    "box that is not finite": (_first(bbox=[1, 2, 3, float("nan")]), "result 0: bbox is not [x, y, width, height]"),
    "score of text": (_first(score="high"), "result 0: score is 'high', expected 1 finite numbers"),
    "two scores": (_first(score=[0.5, 0.4]), "result 0: score is a list, expected 1 finite numbers"),
    "flag of text": (_first(no_target="yes"), "result 0: no_target is 'yes'"),
    "unknown box format": (_first(box_format="yxyx"), "result 0: box_format is 'yxyx'"),
    "box missing among boxes": (lambda rows: rows[0].pop("bbox"), "result 0: has no 'bbox', which other results have"),
}


@pytest.mark.parametrize("case", RESULT_DEFECTS)
def test_each_defect_of_results_is_one_line(folder: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = RESULT_DEFECTS[case]
    rows = copy.deepcopy(refer_case(0).results)
    change(rows)
    (folder.parent / "found.json").write_text(json.dumps(rows), encoding="utf-8")
    arguments = ["score", "refcoco_referring_val", str(folder.parent / "found.json"), "--truth", str(folder)]
    assert main([*arguments, "--work-dir", str(folder.parent / "work")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "scoring" not in line]
    assert len(errors) == 1 and message in errors[0] and ". " in errors[0], errors
    assert not (folder.parent / "work").exists()


def test_all_defects_of_results_are_reported_at_once(folder: Path) -> None:
    rows = copy.deepcopy(refer_case(0).results)
    rows[0]["sent_id"], rows[1]["bbox"], rows[2]["score"] = 999, [1], "x"
    rows[3]["segmentation"] = {"size": [40, 48], "counts": "0"}
    (folder.parent / "found.json").write_text(json.dumps(rows), encoding="utf-8")
    samples = _open(folder)
    with pytest.raises(DataError) as caught:
        referring_results.read_results(folder.parent / "found.json", samples.ids, lambda one: (40, 48))
    assert [str(problem).split(": ")[1] for problem in caught.value.problems] == [f"result {n}" for n in range(4)]


REFERENCE_DEFECTS: dict[str, tuple[Change, str]] = {
    "no dictionary": (lambda case: case.references.__setitem__(0, 3), "reference at position 0: is no dictionary"),
    "no number": (lambda case: case.references[0].update(ref_id="a"), "ref 'a': ref_id is no whole number"),
    "unknown picture": (lambda case: case.references[0].update(image_id=77), "ref 7: image_id 77 is not among"),
    "unknown annotation": (lambda case: case.references[0].update(ann_id=5), "ref 7: ann_id 5 is not among"),
    "annotation elsewhere": (
        lambda case: case.references[0].update(ann_id=300), "annotation 300: lies in image 3, the reference in image 1",
    ),
    "no sentences": (lambda case: case.references[0].update(sentences=[]), "ref 7: has no sentences"),
    "sentence without a number": (
        lambda case: case.references[0]["sentences"][0].update(sent_id=None), "a sentence has sent_id None",
    ),
    "pair that occurs twice": (
        lambda case: case.references.append(copy.deepcopy(case.references[0])), "(ref_id_sent_id) occurs twice",
    ),
    "broken box": (lambda case: case.instances["annotations"][0].update(bbox=[1]), "annotation 100: bbox is a list"),
    "no outline": (
        lambda case: case.instances["annotations"][0].update(segmentation=[]), "segmentation has no polygon of three",
    ),
    "outline of text": (
        lambda case: case.instances["annotations"][0].update(segmentation="x"), "segmentation is neither run lengths",
    ),
    "outline far away": (
        lambda case: case.instances["annotations"][0].update(segmentation=[[0, 0, 1e9, 0, 5, 5]]),
        "a polygon reaches coordinate 1e+09",
    ),
    "mask of another size": (
        lambda case: case.instances["annotations"][0].update(segmentation={"size": [2, 2], "counts": [4]}),
        "annotation 100: the mask is 2x2, the image is 33x50",
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["p", "json"])
@pytest.mark.parametrize("defect", REFERENCE_DEFECTS)
def test_each_defect_of_references_is_one_line(tmp_path: Path, defect: str, suffix: str) -> None:
    change, message = REFERENCE_DEFECTS[defect]
    case = refer_case(0)
    change(case)
    refer.write(tmp_path, f"refs(unc).{suffix}", case.references, case.instances)
    with pytest.raises(DataError) as caught:
        _open(tmp_path)
    lines = {str(problem) for problem in caught.value.problems}
    assert all(message in line for line in lines) and lines, lines


def test_a_forbidden_pickle_is_one_line_of_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "refs(unc).p").write_bytes(FORBIDDEN["global"])
    (folder.parent / "found.json").write_text("[]", encoding="utf-8")
    arguments = ["score", "refcoco_referring_val", str(folder.parent / "found.json"), "--truth", str(folder)]
    assert main([*arguments, "--work-dir", str(folder.parent / "work")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "refs(unc).p: wants an object 'os.system' to be made" in line and "save it as JSON" in line


def test_reasonseg_survives_a_round_trip(tmp_path: Path) -> None:
    shapes = tuple(
        reason_seg.Shape(points=np.array(points, float), is_ignored=is_ignored)
        for points, is_ignored in (([[1, 1], [9, 1], [5.5, 8]], False), ([[0, 0], [3, 0], [3, 3]], True))
    )
    question = reason_seg.Question(text="which one?", is_long=True, shapes=shapes)
    reason_seg.write_question(tmp_path / "a.json", question)
    again = reason_seg.read_question(tmp_path / "a.json")
    assert (again.text, again.is_long) == (question.text, question.is_long)
    assert [(one.points.tolist(), one.is_ignored) for one in again.shapes] == [
        (one.points.tolist(), one.is_ignored) for one in shapes
    ]


def test_reasonseg_reads_windows_text(tmp_path: Path) -> None:
    text = json.dumps({"text": ["caf\u00e9 \u2019"], "is_sentence": False, "shapes": []}, ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(text.encode("cp1252"))
    assert reason_seg.read_question(tmp_path / "a.json").text == "caf\u00e9 \u2019"


def test_smaller_shapes_lie_over_larger_ones() -> None:
    square = [[0, 0], [9, 0], [9, 9], [0, 9]]
    inner = [[3, 3], [5, 3], [5, 5], [3, 5]]
    for order in ((0, 1), (1, 0)):
        listed = [
            reason_seg.Shape(points=np.array(square, float), is_ignored=False),
            reason_seg.Shape(points=np.array(inner, float), is_ignored=True),
        ]
        drawn = reason_seg.draw([listed[place] for place in order], (10, 10))
        assert (drawn == 1).sum() == 100 - 9 and (drawn == 255).sum() == 9


QUESTION = {"text": ["which?"], "is_sentence": True, "shapes": [{"label": "target", "points": [[1, 1], [5, 5]]}]}
QUESTION_DEFECTS: dict[str, tuple[Change, str]] = {
    "no text": (lambda one: one.update(text=[]), "'text' is no list that begins with a text"),
    "no kind": (lambda one: one.pop("is_sentence"), "'is_sentence' is None"),
    "no shapes": (lambda one: one.update(shapes=None), "'shapes' is no list"),
    "shape without label": (lambda one: one["shapes"][0].pop("label"), "shape 0 has the label None"),
    "shape without points": (lambda one: one["shapes"][0].update(points=[[1]]), "shape 0 has no list of points [x, y]"),
    "point far away": (lambda one: one["shapes"][0].update(points=[[1, 1e8]]), "shape 0 reaches coordinates beyond"),
}


@pytest.mark.parametrize("defect", QUESTION_DEFECTS)
def test_each_defect_of_questions_is_one_line(tmp_path: Path, defect: str) -> None:
    change, message = QUESTION_DEFECTS[defect]
    question = copy.deepcopy(QUESTION)
    change(question)
    write_jpeg(tmp_path / "a.jpg", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "a.json").write_text(json.dumps(question), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        _open(tmp_path, "reasonseg_referring_val")
    (problem,) = caught.value.problems
    assert message in problem.message and "a.json" in problem.place


def test_a_question_without_its_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(QUESTION), encoding="utf-8")
    with pytest.raises(DataError, match=r"a.jpg: the file is missing"):
        _open(tmp_path, "reasonseg_referring_val")


@pytest.mark.parametrize(
    ("prefix", "expressions"),
    [("refcoco_", 142210), ("refcoco+_", 141564), ("refcocog_r", 95010), ("refcocog_google_", 95010), ("gref", 259859)],
)
def test_splits_add_up_to_the_data_set(prefix: str, expressions: int) -> None:
    rows = {**catalog.BENCHMARKS, **catalog.TRAINING}
    assert sum(row.num_samples for name, row in rows.items() if name.startswith(prefix)) == expressions
