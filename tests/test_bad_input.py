"""Broken files: every problem is one line that names file, id and remedy, all at once, exit code 2, nothing written."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from layout_scenes import replay, write_root

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Task
from benchmark.formats.coco_instances import CLIPPED
from benchmark.formats.image_files import read_rgb, write_png
from benchmark.problems import DataError

FOUND_COCO = "found/coco_instance_val2017.json"
CITY_TEXT = "found/cityscapes_instance_val/minitown_000001_000019_pred.txt"
INSTANCES = "coco/annotations/instances_val2017.json"
PANOPTIC = "coco/annotations/panoptic_val2017.json"
MAPS = "coco/annotations/panoptic_val2017"
CITY = "cityscapes/gtFine/val/minitown/minitown_000001_000019_gtFine"
ADE = "ade20k/ADEChallengeData2016"

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound data root and, in `found`, predictions of every row."""
    root = write_root(tmp_path_factory.mktemp("data"), ["val"])
    for row in filter(catalog.has_miniature, catalog.BENCHMARKS.values()):
        samples = catalog.open_samples(row, root, is_mini=True)
        catalog.write_predictions(row, _found(root, row.name), [(sample, replay(sample)) for sample in samples])
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"


def _found(root: Path, name: str) -> Path:
    row = catalog.get(name)
    is_folder = row.task is Task.SEMANTIC or (row.task is Task.INSTANCE and row.dataset == "cityscapes")
    return root / "found" / (name if is_folder else f"{name}.json")


def _edit(path: str, change: Callable[[Any], object]) -> Damage:
    def damage(root: Path) -> None:
        document = json.loads((root / path).read_text(encoding="utf-8"))
        change(document)
        (root / path).write_text(json.dumps(document), encoding="utf-8")

    return damage


def _cut(path: str) -> Damage:
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:-40])


def _remove(path: str) -> Damage:
    return lambda root: (root / path).unlink()


def _paint(path: str, color: tuple[int, int, int]) -> Damage:
    def damage(root: Path) -> None:
        pixels = read_rgb(root / path)
        pixels[0, :4] = color
        write_png(root / path, pixels)

    return damage


def _paint_over(path: str, number: int, new: int) -> Damage:
    """Give all pixels of a segment to another one."""

    def damage(root: Path) -> None:
        pixels = read_rgb(root / path)
        pixels[pixels[..., 0] == number] = (new, 0, 0)
        write_png(root / path, pixels)

    return damage


def _shrink(path: str) -> Damage:
    return lambda root: write_png(root / path, read_rgb(root / path)[:-1])


def _set(position: int, **fields: Any) -> Callable[[Any], object]:
    return lambda document: document["annotations"][position].update(fields)


def _set_segment(position: int, **fields: Any) -> Callable[[Any], object]:
    return lambda document: document["annotations"][0]["segments_info"][position].update(fields)


OUTSIDE = [[100.0, 100.0, 110.0, 100.0, 110.0, 110.0]]

TRUTH_CASES: dict[str, tuple[str, Damage, list[str]]] = {
    "truncated panoptic PNG": (
        "coco_panoptic_val2017", _cut(f"{MAPS}/000000000001.png"), ["000000000001.png: is truncated or damaged"],
    ),
    "missing panoptic PNG": (
        "coco_panoptic_val2017", _remove(f"{MAPS}/000000000002.png"), ["000000000002.png: the file is missing"],
    ),
    "missing image": (
        "coco_panoptic_val2017", _remove("coco/val2017/000000000003.jpg"), ["000000000003.jpg: the file is missing"],
    ),
    "truncated image": (
        "coco_instance_val2017", _cut("coco/val2017/000000000003.jpg"), ["000000000003.jpg: is truncated or damaged"],
    ),
    "category outside the label set": (
        "coco_instance_val2017", _edit(INSTANCES, _set(0, category_id=12)),
        ["instances_val2017.json: annotation 1: category_id 12 is not a thing"],
    ),
    "two annotations with one id": (
        "coco_instance_val2017", _edit(INSTANCES, _set(1, id=1)), ["annotation 1: the id is used by two annotations"],
    ),
    "annotation id 0": (
        "coco_instance_val2017", _edit(INSTANCES, _set(0, id=0)), ["annotation 0: id 0 is not a whole number other"],
    ),
    "polygon wholly outside the image": (
        "coco_instance_val2017", _edit(INSTANCES, _set(0, segmentation=OUTSIDE)),
        ["annotation 1: a polygon (x 100 to 110, y 100 to 110) lies wholly outside image 1 (72x96"],
    ),
    "run lengths of another size": (
        "coco_instance_val2017",
        _edit(INSTANCES, _set(0, segmentation={"size": [4, 4], "counts": [8, 8]})),
        ["annotation 1: the mask is 4x4, the image is 72x96"],
    ),
    "annotation of an unlisted image": (
        "coco_instance_val2017", _edit(INSTANCES, _set(0, image_id=77)),
        ["annotation 1: image_id 77 is not in 'images'"],
    ),
    "annotation without a mask": (
        "coco_instance_val2017", _edit(INSTANCES, _set(0, segmentation=None)),
        ["annotation 1: segmentation is neither run lengths nor a list of polygons"],
    ),
    "wrong image size in the list": (
        "coco_panoptic_val2017", _edit(PANOPTIC, lambda document: document["images"][0].update(height=73)),
        ["000000000001.jpg: is 72x96 (height x width), expected 73x96", "000000000001.png: is 72x96"],
    ),
    "two images with one id": (
        "coco_panoptic_val2017", _edit(PANOPTIC, lambda document: document["images"][1].update(id=1)),
        ["image 1: the id is used by two images", "image 2: is not in 'images'"],
    ),
    "panoptic segment without pixels": (
        "coco_panoptic_val2017", _paint_over(f"{MAPS}/000000000001.png", 3, 1),
        ["000000000001.png: segment 3: is listed but has no pixels"],
    ),
    "panoptic category outside the label set": (
        "coco_panoptic_val2017", _edit(PANOPTIC, _set_segment(2, category_id=999)),
        ["image 1, segment 3: category_id 999 is outside the label set"],
    ),
    "two panoptic segments with one id": (
        "coco_panoptic_val2017", _edit(PANOPTIC, _set_segment(2, id=1)), ["image 1, segment 1: is listed twice"],
    ),
    "image without annotation": (
        "coco_panoptic_val2017", _edit(PANOPTIC, lambda document: document["annotations"].pop()),
        ["image 3: has no annotation"],
    ),
    "image annotated twice": (
        "coco_panoptic_val2017",
        _edit(PANOPTIC, lambda document: document["annotations"].append(document["annotations"][0])),
        ["image 1: has two annotations"],
    ),
    "panoptic PNG of another size": (
        "coco_panoptic_val2017", _shrink(f"{MAPS}/000000000001.png"), ["is 71x96 (height x width), expected 72x96"],
    ),
    "broken JSON": (
        "coco_panoptic_val2017", lambda root: (root / PANOPTIC).write_text('{"images": [1,\n2'),
        ["panoptic_val2017.json: broken JSON at line 2, column 2"],
    ),
    "truncated label map": (
        "cityscapes_semantic_val", _cut(f"{CITY}_labelIds.png"), ["labelIds.png: is truncated or damaged"],
    ),
    "missing instance map": (
        "cityscapes_semantic_val", _remove(f"{CITY}_instanceIds.png"), ["instanceIds.png: the file is missing"],
    ),
    "label map of colours": (
        "ade20k_semantic_val", _paint(f"{ADE}/annotations_instance/validation/ADE_val_00000001.png", (101, 1, 0)), [],
    ),
    "instance class outside the label set": (
        "ade20k_instance_val", _paint(f"{ADE}/annotations_instance/validation/ADE_val_00000001.png", (101, 9, 0)),
        ["ADE_val_00000001.png: object 9: its class 101 (red channel) is outside the label set"],
    ),
}  # fmt: skip

FOUND_CASES: dict[str, tuple[str, Damage, list[str]]] = {
    "score that is not a number": (
        "coco_instance_val2017", _edit(FOUND_COCO, lambda rows: rows[1].update(score=float("nan"))),
        ["coco_instance_val2017.json: result 1: score nan is not a finite number"],
    ),
    "result of an unknown image": (
        "coco_instance_val2017", _edit(FOUND_COCO, lambda rows: rows[0].update(image_id=77)),
        ["result 0: image_id 77 is not in this benchmark"],
    ),
    "result of an unknown category": (
        "ade20k_instance_val", _edit("found/ade20k_instance_val.json", lambda rows: rows[0].update(category_id=0)),
        ["result 0: category_id 0 is not a thing of the label set"],
    ),
    "result without a mask": (
        "coco_instance_val2017", _edit(FOUND_COCO, lambda rows: rows[0].pop("segmentation")),
        ["result 0: has no 'segmentation' in run lengths"],
    ),
    "result whose mask is broken": (
        "coco_instance_val2017",
        _edit(FOUND_COCO, lambda rows: rows[0].update(segmentation={"size": [72, 96], "counts": "0"})),
        ["result 0: the mask is broken"],
    ),
    "result whose mask has another size": (
        "coco_instance_val2017",
        _edit(FOUND_COCO, lambda r: r[0].update(segmentation={"size": [2, 2], "counts": [2, 2]})),
        ["1: prediction is 2x2 (height x width), the image is 72x96"],
    ),
    "results that are no list": (
        "coco_instance_val2017", lambda root: (root / FOUND_COCO).write_text("{}"),
        ["coco_instance_val2017.json: holds a dict, expected a list of results"],
    ),
    "results that are broken JSON": (
        "coco_instance_val2017", lambda root: (root / FOUND_COCO).write_text('[{"image_id": 1,'),
        ["coco_instance_val2017.json: broken JSON at line 1, column 17"],
    ),
    "predicted segment without pixels": (
        "coco_panoptic_val2017", _paint_over("found/coco_panoptic_val2017/000000000001.png", 3, 1),
        ["000000000001.png: segment 3: is listed but has no pixels"],
    ),
    "predicted pixels without a segment": (
        "coco_panoptic_val2017", _paint("found/coco_panoptic_val2017/000000000001.png", (200, 1, 0)),
        ["000000000001.png: segment 456: has pixels but is not listed"],
    ),
    "predicted segment 0": (
        "coco_panoptic_val2017", _edit("found/coco_panoptic_val2017.json", _set_segment(0, id=0)),
        ["image 1: a segment has the id 0. Use whole numbers from 1 to 16,777,215; 0 is void"],
    ),
    "missing predicted PNG": (
        "coco_panoptic_val2017", _remove("found/coco_panoptic_val2017/000000000001.png"),
        ["000000000001.png is missing"],
    ),
    "predicted PNG of another size": (
        "coco_panoptic_val2017", _shrink("found/coco_panoptic_val2017/000000000001.png"),
        ["1: prediction is 71x96 (height x width), the image is 72x96"],
    ),
    "predicted class outside the label set": (
        "ade20k_semantic_val",
        lambda root: shutil.copy(
            root / f"{CITY}_color.png", root / "found/ade20k_semantic_val/ADE_val_00000001.png"
        ),
        ["ADE_val_00000001.png: has 4 channels; expected one channel of numbers"],
    ),
    "truncated predicted label map": (
        "cityscapes_semantic_val", _cut("found/cityscapes_semantic_val/minitown_000001_000019_pred.png"),
        ["minitown_000001_000019_pred.png: is truncated or damaged"],
    ),
    "two label maps for one image": (
        "cityscapes_semantic_val",
        lambda root: shutil.copy(
            root / "found/cityscapes_semantic_val/minitown_000001_000019_pred.png",
            root / "found/cityscapes_semantic_val/minitown_000001_000019_other.png",
        ),
        ["2 files fit image minitown_000001_000019"],
    ),
    "line without confidence": (
        "cityscapes_instance_val",
        lambda root: (root / CITY_TEXT).write_text("a.png 24\n"),
        ["minitown_000001_000019_pred.txt: line 1: has 2 fields, expected 3"],
    ),
    "line of an unknown label": (
        "cityscapes_instance_val",
        lambda root: (root / CITY_TEXT).write_text("a.png 99 1\n"),
        ["line 1: label id '99' is outside the label set"],
    ),
    "line whose mask is outside the folder": (
        "cityscapes_instance_val",
        lambda root: (root / CITY_TEXT).write_text("../a.png 24 1"),
        ["line 1: mask ../a.png lies outside the folder"],
    ),
    "line whose mask is missing": (
        "cityscapes_instance_val", _remove("found/cityscapes_instance_val/minitown_000001_000019_0.png"),
        ["minitown_000001_000019_0.png: the file is missing"],
    ),
}  # fmt: skip


def _score(root: Path, name: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit code and the lines on standard error of scoring the stored predictions; nothing may be written."""
    work = root.parent / "work"
    out = root.parent / "out.json"
    arguments = ["score", name, str(_found(root, name)), "--data-root", str(root), "--work-dir", str(work)]
    code = main([*arguments, "--out", str(out)])
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("  scoring")]
    assert code == 0 or not (work.exists() or out.exists())
    return code, errors


@pytest.mark.parametrize("case", {**TRUTH_CASES, **FOUND_CASES})
def test_each_defect_is_one_line_and_exit_code_2(case: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, damage, messages = {**TRUTH_CASES, **FOUND_CASES}[case]
    damage(root)
    code, errors = _score(root, name, capsys)
    assert (code, len(errors)) == (2 if messages else 0, len(messages)), errors
    for message in messages:
        assert sum(message in line for line in errors) == 1, errors
    assert all(". " in line for line in errors)


@pytest.mark.parametrize("case", TRUTH_CASES)
def test_each_defect_of_the_data_stops_an_evaluation(case: str, root: Path) -> None:
    name, damage, messages = TRUTH_CASES[case]
    damage(root)
    if not messages:
        assert catalog.verify(catalog.get(name), root, is_mini=True)
        return
    with pytest.raises(DataError) as caught:
        catalog.verify(catalog.get(name), root, is_mini=True)
    assert all(message in str(caught.value) for message in messages)


def test_all_problems_of_all_files_are_reported_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _edit(INSTANCES, _set(3, category_id=12))(root)
    _edit(INSTANCES, _set(5, id=1))(root)
    _edit(INSTANCES, _set(6, segmentation=OUTSIDE))(root)
    _cut("coco/val2017/000000000003.jpg")(root)
    _remove("coco/val2017/000000000002.jpg")(root)
    code, errors = _score(root, "coco_instance_val2017", capsys)
    assert code == 2 and len(errors) == 5
    for part in ("annotation 4: category_id 12", "annotation 1: the id is used", "annotation 7: a polygon",
                 "000000000003.jpg: is truncated", "000000000002.jpg: the file is missing"):  # fmt: skip
        assert sum(part in line for line in errors) == 1, (part, errors)


def test_all_problems_of_a_result_file_are_reported_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = FOUND_COCO
    _edit(path, lambda rows: rows[0].update(score=None, category_id=200))(root)
    _edit(path, lambda rows: rows[1].update(image_id="x"))(root)
    _edit(path, lambda rows: rows[2].update(segmentation={"size": [72, 96], "counts": [1]}))(root)
    code, errors = _score(root, "coco_instance_val2017", capsys)
    assert code == 2
    assert [line.split(": ")[1] for line in errors] == ["result 0", "result 0", "result 1", "result 2"]


def test_a_polygon_that_overshoots_is_clipped_and_counted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spill = [[-3.0, 4.0, 7.0, 4.0, 7.0, 14.0, -3.0, 14.0]]
    _edit(INSTANCES, _set(0, segmentation=spill))(root)
    listing = catalog.verify(catalog.get("coco_instance_val2017"), root, is_mini=True)
    assert listing.notes == {CLIPPED: 1}
    code, _ = _score(root, "coco_instance_val2017", capsys)
    assert code == 0
    record = json.loads((root.parent / "out.json").read_text(encoding="utf-8"))
    assert record["notes"] == {CLIPPED: 1}


@pytest.mark.parametrize("target", ["--out", "--work-dir"])
def test_an_unwritable_target_is_found_before_scoring(
    root: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = root.parent / "file"
    blocked.write_text("", encoding="utf-8")
    arguments = ["score", "coco_panoptic_val2017", "nowhere", "--data-root", str(root)]
    assert main([*arguments, target, str(blocked / "inside")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{blocked / 'inside'} cannot be written (Not a directory)" in line


def test_a_work_directory_of_another_job_is_left_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = root.parent / "work/coco_panoptic_val2017/job.json"
    held.parent.mkdir(parents=True)
    held.write_text('{"another": "job"}', encoding="utf-8")
    found = _found(root, "coco_panoptic_val2017")
    arguments = ["score", "coco_panoptic_val2017", str(found), "--data-root", str(root)]
    assert main([*arguments, "--work-dir", str(root.parent / "work")]) == 2
    assert "holds another job. Name another --work-dir." in capsys.readouterr().err
    assert held.read_text(encoding="utf-8") == '{"another": "job"}'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "coco_panotic_val2017", "x"], "Did you mean 'coco_panoptic_val2017'"),
        (["score", "coco_panoptic_val2017", "x", "--truth", "nowhere.json"], "nowhere.json: the truth is missing"),
        (["describe", "ade20k_panoptic"], "Did you mean 'ade20k_panoptic_val'"),
        (["score", "coco_panoptic_val2017", "x", "--truth", "."], "expected one JSON beside or in this folder"),
        (["score", "ade20k_semantic_val", "x", "--truth", "."], "holds no *.png"),
        (["score", "ade20k_semantic_val", "x", "--truth", ".", "--protocol", "coco"], "has no protocol 'coco'"),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []


JUNK: tuple[Any, ...] = (None, "x", [], {}, float("nan"), float("inf"), -1, 0, 1e300, 2**40, 10**30, True, [1], "1")
FUZZED = {
    "coco_instance_val2017": (INSTANCES, FOUND_COCO),
    "coco_panoptic_val2017": (PANOPTIC, "found/coco_panoptic_val2017.json"),
    "cityscapes_panoptic_val": (
        "cityscapes/gtFine/cityscapes_panoptic_val.json",
        "found/cityscapes_panoptic_val.json",
    ),
}


@pytest.mark.parametrize("name", FUZZED)
@pytest.mark.parametrize("place", [0, 1], ids=["truth", "predictions"])
def test_a_file_with_any_value_replaced_scores_or_is_refused_in_plain_words(name: str, place: int, root: Path) -> None:
    path = root / FUZZED[name][place]
    document = json.loads(path.read_text(encoding="utf-8"))
    generator = random.Random(0)
    request = scoring.Request(row=catalog.get(name), predictions=_found(root, name), root=root, resamples=0)
    refused = 0
    for _ in range(12):
        path.write_text(json.dumps(_with_junk(document, generator)), encoding="utf-8")
        try:
            scoring.score(request)
        except DataError as error:
            refused += 1
            assert error.problems
    assert refused > 0


def _with_junk(document: Any, generator: random.Random) -> Any:
    """A copy in which one value, at any depth, is something else."""
    changed = copy.deepcopy(document)
    holder, key = generator.choice(list(_places(changed)))
    holder[key] = generator.choice(JUNK)
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(min(len(value), 5)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
