"""Files of video instance segmentation: the official sample's scores, round trips, private truth, defects by line."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layout_scenes import same
from video_instance_scenes import SCENARIOS, documents

from benchmark import catalog, labels, scoring
from benchmark.__main__ import main
from benchmark.contract import Instances, Prediction, Sample
from benchmark.formats import youtube_vis, youtube_vis_results
from benchmark.problems import DataError

ROW = catalog.get("youtube_vis19_vis_val")
LABELS = labels.load("youtube_vis19")
COUNTS = {"youtube_vis19": (2238, 302, 343), "youtube_vis21": (2985, 421, 453), "ovis": (607, 140, 154)}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """(annotation file, result file) of drawn videos in one folder."""
    return _write(tmp_path, *documents("typical", seed=6))


def _write(folder: Path, truth: Any, results: Any) -> tuple[Path, Path]:
    paths = folder / "truth.json", folder / "results.json"
    for path, content in zip(paths, (truth, results), strict=True):
        path.write_text(json.dumps(content), encoding="utf-8")
    return paths


def _score(folder: Path, name: str, truth: Path, results: Path) -> tuple[int, Any]:
    out = folder / "record.json"
    arguments = ["score", name, str(results), "--truth", str(truth), "--out", str(out)]
    code = main([*arguments, "--work-dir", str(folder / "work")])
    return code, json.loads(out.read_text(encoding="utf-8")) if code == 0 else None


@pytest.mark.parametrize("name", ["youtube_vis19_vis_val", "youtube_vis21_vis_val", "ovis_vis_val"])
def test_the_official_sample_scores_as_the_official_tool_states(
    name: str, samples_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 10)
    folder = samples_dir / "video/ytvis_from_davis_masks"
    code, record = _score(tmp_path, name, folder / "gt.json", folder / "results.json")
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["scores"]
    assert code == 0
    assert record["scores"] == pytest.approx(
        {key: None if value == -1 else value for key, value in expected.items()}, abs=1e-12
    )
    assert (record["num_expected"], record["num_scored"], record["missing"]) == (2, 2, [])
    assert record["notes"] == {youtube_vis.RENAMED: 4}


@pytest.mark.parametrize("name", [f"{dataset}_vis_{split}" for dataset in COUNTS for split in ("train", "val", "test")])
def test_rows_have_the_official_counts_and_say_whose_truth_is_public(name: str) -> None:
    row = catalog.get(name)
    position = ("train", "val", "test").index(row.split)
    assert row.num_samples == COUNTS[row.dataset][position]
    assert row.is_train == (row.truth == "public") == (row.split == "train")
    assert row.label_set.num_classes == (25 if row.dataset == "ovis" else 40)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_results_survive_writing_and_reading_to_the_bit(scenario: str, tmp_path: Path) -> None:
    truth, results = _write(tmp_path, *documents(scenario, seed=4))
    samples = catalog.open_samples(ROW, None, truth=truth)
    found = catalog.read_predictions(ROW, results, samples)
    catalog.write_predictions(ROW, tmp_path / "again.json", [(one, found[one.sample_id]) for one in samples])
    again = catalog.read_predictions(ROW, tmp_path / "again.json", samples)
    for sample in samples:
        before, after = found[sample.sample_id], again[sample.sample_id]
        assert same(tuple(before.frames), tuple(after.frames)) and same(before.tracks, after.tracks)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_truth_survives_writing_and_reading_to_the_bit(scenario: str, tmp_path: Path) -> None:
    truth, _ = _write(tmp_path, *documents(scenario, seed=4))
    samples = catalog.open_samples(ROW, None, truth=truth)
    youtube_vis.write(tmp_path / "again.json", samples, LABELS)
    again = catalog.open_samples(ROW, None, truth=tmp_path / "again.json")
    assert samples.ids == again.ids
    for before, after in zip(samples, again, strict=True):
        assert before.truth is not None and after.truth is not None
        assert (before.size, len(before.frames)) == (after.size, len(after.frames))
        assert same(tuple(before.truth.frames), tuple(after.truth.frames))
        assert same(before.truth.tracks, after.truth.tracks)


def _replay(sample: Sample) -> Prediction:
    assert sample.truth is not None
    return Prediction(frames=sample.truth.frames, tracks=sample.truth.tracks)


def test_truth_replayed_scores_one_and_nothing_scores_zero(files: tuple[Path, Path], tmp_path: Path) -> None:
    samples = catalog.open_samples(ROW, None, truth=files[0])
    catalog.write_predictions(ROW, tmp_path / "p.json", [(sample, _replay(sample)) for sample in samples])
    code, record = _score(tmp_path, ROW.name, files[0], tmp_path / "p.json")
    assert code == 0
    # AR1 stays below: one track a video and class is allowed, and a video has several truths of a class.
    assert {key for key, value in record["scores"].items() if value == pytest.approx(1.0)} >= {"AP", "AP50", "AR100"}
    (tmp_path / "none.json").write_text("[]", encoding="utf-8")
    again = tmp_path / "nothing"
    again.mkdir()
    code, record = _score(again, ROW.name, files[0], tmp_path / "none.json")
    assert code == 0 and record["missing"] == []
    assert {value for value in record["scores"].values() if value is not None} == {0.0}


def test_frames_are_built_when_they_are_looked_at(files: tuple[Path, Path]) -> None:
    sample = catalog.open_samples(ROW, None, truth=files[0])[0]
    assert sample.truth is not None and len(sample.truth.frames) == len(sample.frames)
    first = sample.truth.frames[0]
    assert isinstance(first, Instances) and first.box_format == "xywh"
    assert set(first.object_id.tolist()) <= set(sample.truth.tracks.object_id.tolist() if sample.truth.tracks else [])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("youtube_vis19_vis_train", "ytvis_2019/train.json"),
        ("youtube_vis19_vis_train", "ytvis_2019/annotations/instances_train_sub.json"),
        ("youtube_vis21_vis_train", "ytvis_2021/train/instances.json"),
        ("ovis_vis_train", "OVIS/annotations_train.json"),
        ("ovis_vis_val", "ovis/annotations/valid.json"),
    ],
)
def test_the_annotation_file_is_found_under_its_names(name: str, path: str, tmp_path: Path) -> None:
    truth, _ = documents("typical", seed=6)
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(json.dumps(truth), encoding="utf-8")
    row = catalog.get(name)
    with pytest.raises(DataError, match=f"expected {row.num_samples:,}"):
        catalog.open_samples(row, tmp_path)
    assert len(catalog.open_samples(row, tmp_path, is_mini=True)) == 5
    assert len(catalog.open_samples(row, None, truth=(tmp_path / path).parent)) == 5


@pytest.mark.parametrize("annotations", [None, "absent"])
def test_private_truth_can_be_asked_but_not_scored(
    annotations: Any, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(files[0].read_text(encoding="utf-8"))
    document.pop("annotations")
    if annotations is None:
        document["annotations"] = None
    files[0].write_text(json.dumps(document), encoding="utf-8")
    assert len(catalog.open_samples(ROW, None, truth=files[0])) == 5
    code, _ = _score(tmp_path, ROW.name, *files)
    errors = [line for line in capsys.readouterr().err.splitlines() if "scoring" not in line]
    assert code == 2 and len(errors) == 1 and youtube_vis.PRIVATE in errors[0]


Damage = Callable[[Any], object]


def _truth(place: int, **fields: Any) -> Damage:
    return lambda document: document["annotations"][place].update(fields)


def _mask(place: int, value: Any) -> Damage:
    """Put a value in place of the first mask of an annotation."""

    def damage(document: Any) -> None:
        masks = document["annotations"][place]["segmentations"]
        masks[next(index for index, mask in enumerate(masks) if mask)] = value

    return damage


def _first_mask(results: Any, value: Any) -> None:
    masks = results[0]["segmentations"]
    masks[next(index for index, mask in enumerate(masks) if mask)] = value


TRUTH_CASES: dict[str, tuple[Damage, str]] = {
    "no videos": (lambda d: d.pop("videos"), "lacks the list 'videos'"),
    "annotations that are no list": (lambda d: d.update(annotations={}), "lacks the list 'annotations'"),
    "video id used twice": (
        lambda d: d["videos"].append(copy.deepcopy(d["videos"][0])), "the id is used by two videos"),
    "video without pictures": (lambda d: d["videos"].append({"id": 99, "height": 4, "width": 4, "file_names": []}),
                               "video 99: file_names is not a list of pictures"),
    "picture outside its folder": (
        lambda d: d["videos"].append({"id": 99, "height": 4, "width": 4, "file_names": ["../x.jpg"]}),
        "video 99: file_names is not a list of pictures"),
    "length that is not the number of pictures": (
        lambda d: d["videos"].append({"id": 99, "height": 4, "width": 4, "length": 3, "file_names": ["a/0.jpg"]}),
        "video 99: length is 3, file_names has 1"),
    "video without a size": (lambda d: d["videos"].append({"id": 99, "height": 0, "width": 4, "file_names": ["a"]}),
                             "height must be a whole number of pixels"),
    "category outside the label set": (
        lambda d: d["categories"].append({"id": 77, "name": "x"}), "id 77 is not in the label set"),
    "annotation id 0": (_truth(0, id=0), "id 0 is not a whole number other than 0"),
    "annotation id used twice": (lambda d: _truth(0, id=d["annotations"][1]["id"])(d), "the id is used by two"),
    "annotation of an unlisted category": (_truth(0, category_id=9), "category_id 9 is not in 'categories'"),
    "annotation of an unknown video": (_truth(0, video_id=99), "video_id 99 is not in 'videos'"),
    "crowd flag of text": (_truth(0, iscrowd="no"), "iscrowd 'no' is neither 0 nor 1"),
    "too few masks": (lambda d: d["annotations"][0]["segmentations"].append(None), "entries, the video has"),
    "areas of text": (lambda d: d["annotations"][0]["areas"].__setitem__(0, "9"),
                      "areas holds something else than a number or null"),
    "no areas": (lambda d: d["annotations"][0].pop("areas"), "areas is no list, the video has"),
    "box of three numbers": (lambda d: d["annotations"][0]["bboxes"].__setitem__(0, [1, 2, 3]),
                             "bboxes holds something else than [x, y, width, height] or null"),
    "mask of another size": (_mask(0, {"size": [3, 4], "counts": "l0"}), "the mask is of size [3, 4], the video is"),
    "mask of fractions": (_mask(0, {"size": [320, 500], "counts": [1.5]}), "the mask"),
    "mask of text": (_mask(0, "l0"), "the mask is neither run lengths {size, counts} nor a list of polygons"),
    "polygon of two points": (_mask(0, [[1, 2, 3, 4]]), "segmentation is no list of polygons"),
}  # fmt: skip

FOUND_CASES: dict[str, tuple[Damage, str]] = {
    "result that is no object": (lambda r: r.__setitem__(0, 3), "result 0: is not an object"),
    "unknown video": (lambda r: r[0].update(video_id=99), "result 0: video_id 99 is not in this benchmark"),
    "video id as text": (lambda r: r[0].update(video_id=str(r[0]["video_id"])), "is not in this benchmark"),
    "unknown category": (lambda r: r[0].update(category_id=41), "result 0: category_id 41 is not in the label set"),
    "score that is not a number": (lambda r: r[0].update(score=float("nan")), "score nan is not a finite number"),
    "no score": (lambda r: r[0].pop("score"), "score None is not a finite number"),
    "no masks": (lambda r: r[0].pop("segmentations"), "segmentations is no list, the video has"),
    "too few masks": (lambda r: r[0]["segmentations"].pop(), "entries, the video has"),
    "mask of another size": (lambda r: _first_mask(r, {"size": [2, 2], "counts": "4"}), "of size [2, 2], the video"),
    "mask of run lists": (lambda r: _first_mask(r, {"size": [2, 2], "counts": [4]}), "neither compressed run lengths"),
    "mask that is a number": (lambda r: _first_mask(r, 0), "neither compressed run lengths nor null"),
}  # fmt: skip
BROKEN_TEXTS = ["", "1", "P", "\u00e4", "\ud800", "PPPPPPPP0", "54OO"]


def _lines(folder: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code, _ = _score(folder, ROW.name, *files)
    return code, [line for line in capsys.readouterr().err.splitlines() if not line.startswith("  scoring")]


@pytest.mark.parametrize("case", TRUTH_CASES)
def test_each_defect_of_the_truth_is_one_line(
    case: str, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, message = TRUTH_CASES[case]
    document = json.loads(files[0].read_text(encoding="utf-8"))
    damage(document)
    files[0].write_text(json.dumps(document), encoding="utf-8")
    code, errors = _lines(tmp_path, files, capsys)
    assert code == 2 and len(errors) == 1 and message in errors[0] and ". " in errors[0], errors


@pytest.mark.parametrize("case", FOUND_CASES)
def test_each_defect_of_the_results_is_one_line(
    case: str, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, message = FOUND_CASES[case]
    document = json.loads(files[1].read_text(encoding="utf-8"))
    damage(document)
    files[1].write_text(json.dumps(document), encoding="utf-8")
    code, errors = _lines(tmp_path, files, capsys)
    assert code == 2 and len(errors) == 1 and message in errors[0] and ". " in errors[0], errors


@pytest.mark.parametrize("side", [0, 1], ids=["truth", "results"])
@pytest.mark.parametrize("text", BROKEN_TEXTS)
def test_a_broken_mask_names_its_track_and_frame(
    side: int, text: str, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(files[side].read_text(encoding="utf-8"))
    tracks = document if side else document["annotations"]
    frame, mask = next((index, mask) for index, mask in enumerate(tracks[1]["segmentations"]) if mask)
    mask["counts"] = text
    files[side].write_text(json.dumps(document), encoding="utf-8")
    code, errors = _lines(tmp_path, files, capsys)
    place = "result 1" if side else f"annotation {tracks[1]['id']}"
    assert code == 2 and len(errors) == 1 and f"{place}, frame {frame}: the " in errors[0], errors


def test_all_problems_are_reported_at_once(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = json.loads(files[1].read_text(encoding="utf-8"))
    results[0].update(score=None, category_id=77)
    results[1]["segmentations"].append(None)
    next(mask for mask in results[2]["segmentations"] if mask)["counts"] = "1"
    files[1].write_text(json.dumps(results), encoding="utf-8")
    code, errors = _lines(tmp_path, files, capsys)
    assert code == 2 and len(errors) == 4


JUNK: tuple[Any, ...] = (None, "x", [], {}, float("nan"), float("inf"), -1, 0, 1e300, 2**40, 10**30, True, [1], "1")


@pytest.mark.parametrize("side", [0, 1], ids=["truth", "results"])
def test_a_file_with_any_value_replaced_scores_or_is_refused_in_plain_words(side: int, tmp_path: Path) -> None:
    dice = random.Random(side)
    refused = 0
    for number in range(60):
        scenario = dice.choice(["typical", "polygons", "run_lists"])
        content = documents(scenario, seed=number % 5)
        holder, key = dice.choice(list(_places(content[side])))
        holder[key] = dice.choice(JUNK)
        truth, results = _write(tmp_path, *content)
        request = scoring.Request(row=ROW, predictions=results, truth=truth, resamples=0)
        try:
            scoring.score(request)
        except DataError as error:
            refused += 1
            assert error.problems
    assert refused > 10


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(min(len(value), 5)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def test_a_prediction_without_tracks_is_not_written(files: tuple[Path, Path], tmp_path: Path) -> None:
    sample = catalog.open_samples(ROW, None, truth=files[0])[0]
    assert sample.truth is not None
    with pytest.raises(ValueError, match="holds tracks, and the prediction has none"):
        youtube_vis_results.write_results(
            tmp_path / "p.json", [(sample, Prediction(frames=sample.truth.frames))], LABELS
        )
