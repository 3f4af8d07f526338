"""Files of tracking benchmarks: what is refused and how, official layouts, and results that read back to the bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from freeze_tracking import BDD_KINDS, bdd_bitmasks, bdd_frames, rle_text
from test_bdd100k_tracking import write_form
from test_tracking_scores import box_clips, mask_clips
from tracking_scenes import CLIPS, SIZE, clip

from benchmark import catalog, scoring
from benchmark.contract import Instances, Prediction, Sample, summarise
from benchmark.formats import mot_text, mots_text
from benchmark.formats.image_files import write_png
from benchmark.formats.sequence_info import FILE, SequenceInfo, read_info, write_info
from benchmark.problems import DataError

INFO = SequenceInfo(folder="img1", extension=".jpg", num_frames=9, size=SIZE)
RLE = rle_text(np.eye(*SIZE, dtype=bool))
OTHER = rle_text(np.roll(np.eye(*SIZE, dtype=bool), 3, axis=1))


def _one_sequence(folder: Path, truth: str, suffix: str = "") -> Path:
    """A truth folder with the sequence "one" of nine frames."""
    folder.mkdir(exist_ok=True)
    write_info(folder / "one" / FILE, "one", INFO)
    (folder / f"one.txt{suffix}").write_text(truth, encoding="utf-8")
    return folder


def _problems(row_name: str, truth: Path, found: Path) -> list[str]:
    """What reading and scoring complain about, one line each."""
    row = catalog.get(row_name)
    try:
        samples = catalog.open_samples(row, None, truth=truth)
        predictions = catalog.read_predictions(row, found, samples)
        metric = catalog.build_metric(row)
        scoring.measure(metric, samples, predictions, place=str(found))
    except DataError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0,1,2,3,4,5,1", "frame '0' is not a whole number from 1"),
        ("10,1,2,3,4,5,1", "frame 10 is outside the sequence (1 to 9)"),
        ("1.0,1,2,3,4,5,1", "frame '1.0' is not a whole number from 1"),
        ("01,1,2,3,4,5,1", "frame '01' is not a whole number from 1"),
        ("1,1,2,3,4,5", "has 6 columns, expected at least 7"),
        ("1,1,2,3,four,5,1", "'four' is not a number"),
        ("1,1,2,3,nan,5,1", "'nan' is not a number"),
        ("1,1,2,3,1e999,5,1", "holds a number that is not finite or too large"),
        ("1,1,2,3,1_0,5,1", "'1_0' is not a number"),
        ("1,,2,3,4,5,1", "'' is not a number"),
        ("1,-1,2,3,4,5,1", "id -1 is negative"),
        ("3,7,9,3,4,5,1", "id 7 occurs twice in frame 3"),
        ("1,1,2,3,4,5,1,2,-1,-1", "the lines before have 7"),
        ("\x00\x01", "has 1 column, expected at least 7"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_broken_lines_of_boxes_are_named(tmp_path: Path, line: str, message: str, is_first: bool) -> None:
    truth = _one_sequence(tmp_path / "truth", "1,1,2,3,4,5,1,1,1\n")
    good = ["3,7,2,3,4,5,1", "3,8,2,3,4,5,1"]
    lines = [line, *good] if is_first and "lines before" not in message and "twice" not in message else [*good, line]
    (tmp_path / "one.txt").write_text("\n".join(lines), encoding="utf-8")
    found = _problems("mot17_mot_train", truth, tmp_path / "one.txt")
    assert len(found) == 1 and message in found[0]
    assert f"one.txt: line {lines.index(line) + 1}: " in found[0]


def test_every_broken_line_is_reported_up_to_a_limit(tmp_path: Path) -> None:
    truth = _one_sequence(tmp_path / "truth", "1,1,2,3,4,5,1,1,1\n")
    (tmp_path / "one.txt").write_text("1,x,2,3,4,5,1\n" * 30, encoding="utf-8")
    found = _problems("mot17_mot_train", truth, tmp_path / "one.txt")
    assert len(found) == mot_text.SHOWN + 1 and "10 more lines are wrong" in found[-1]


@pytest.mark.parametrize(
    "text",
    [
        "3,7,2.5,3,4,5,1\n1,8,1,1,2,2,0.5\n",
        "3,7,2.5,3,4,5,1\r\n1,8,1,1,2,2,0.5\r\n",
        "3, 7, 2.5, 3, 4, 5, 1\n\n1, 8, 1, 1, 2, 2, 5e-1",
        "3 7 2.5 3 4 5 1\n1 8 1 1 2 2 .5\n",
        "3,7.9,2.5,3,4,5,1,\n1,8,1,1,2,2,+0.5,\n",
    ],
)
def test_spellings_that_official_readers_take_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.txt").write_bytes(text.encode())
    table = mot_text.read_table(tmp_path / "one.txt", 9)
    assert table.frame.tolist() == [0, 2] and table.object_id.tolist() == [8, 7]
    assert table.boxes.tolist() == [[1, 1, 2, 2], [2.5, 3, 4, 5]] and table.score.tolist() == [0.5, 1]


def test_an_empty_result_file_is_an_empty_prediction(tmp_path: Path) -> None:
    truth = _one_sequence(tmp_path / "truth", "1,1,2,3,4,5,1,1,1\n")
    (tmp_path / "one.txt").write_bytes(b"")
    assert _problems("mot17_mot_train", truth, tmp_path / "one.txt") == []


def test_results_of_a_class_are_refused_and_none_is_fine(tmp_path: Path) -> None:
    truth = _one_sequence(tmp_path / "truth", "1,1,2,3,4,5,1,1,1\n")
    (tmp_path / "one.txt").write_text("1,1,2,3,4,5,1,-1,-1,-1\n2,1,2,3,4,5,1,3,-1,-1\n", encoding="utf-8")
    found = _problems("mot17_mot_train", truth, tmp_path / "one.txt")
    assert len(found) == 1 and "line 2: class 3 in column 8 is not evaluated" in found[0]


def test_truth_of_unknown_classes_is_refused(tmp_path: Path) -> None:
    truth = _one_sequence(tmp_path / "truth", "1,1,2,3,4,5,1,-1,-1,-1\n1,2,2,3,4,5,1,14,1,1\n")
    (tmp_path / "one.txt").write_bytes(b"")
    found = _problems("mot17_mot_train", truth, tmp_path / "one.txt")
    assert len(found) == 1 and "class -1, 14, expected 1 to 13" in found[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[Sequence]\nseqLength=x\nimWidth=64\nimHeight=48", "seqLength is 'x', expected a whole number"),
        ("[Sequence]\nseqLength=9\nimWidth=64", "imHeight is None"),
        ("[Other]\nseqLength=9", "has no section [Sequence]"),
        ("seqLength=9", "is no description of a sequence"),
        ("[Sequence]\nseqLength=99999999999\nimWidth=64\nimHeight=48", "from 1 to 1,000,000"),
    ],
)
def test_broken_descriptions_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_info(tmp_path / FILE)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"1 2001 2 48 {SIZE[1]}", "has 5 fields, expected 6"),
        (f"0 2001 2 48 64 {RLE}", "frame 0 is outside the sequence (1 to 9)"),
        (f"10 2001 2 48 64 {RLE}", "frame 10 is outside the sequence (1 to 9)"),
        (f"1 x 2 48 64 {RLE}", "'x' is not a whole number"),
        (f"1 2001 2 64 48 {RLE}", "the mask is 64x48 (height x width), expected 48x64"),
        (f"1 2001 2 0 0 {RLE}", "is not believed"),
        (f"3 2007 2 48 64 {RLE}", "id 2007 occurs twice in frame 3"),
        (f"1 2001 2 48 64 {RLE[:-3]}", "the mask is broken"),
        ("1 2001 2 48 64 \u00e4\u00f6", "the mask is broken"),
        (f"3 2008 2 48 64 {RLE}", "masks overlap"),
    ],
)
def test_broken_lines_of_masks_are_named(tmp_path: Path, line: str, message: str) -> None:
    truth = _one_sequence(tmp_path / "truth", f"1 2001 2 48 64 {RLE}\n")
    (tmp_path / "one.txt").write_text(f"3 2007 2 48 64 {RLE}\n3 2009 2 48 64 {OTHER}\n{line}\n", encoding="utf-8")
    found = _problems("motschallenge_mots_train", truth, tmp_path / "one.txt")
    assert len(found) == 1 and message in found[0], found


def test_masks_of_other_classes_are_left_out_and_counted(tmp_path: Path) -> None:
    truth = _one_sequence(tmp_path / "truth", f"1 2001 2 48 64 {RLE}\n")
    (tmp_path / "one.txt").write_text(f"1 2001 2 48 64 {RLE}\n1 1001 1 48 64 {OTHER}\n", encoding="utf-8")
    row = catalog.get("motschallenge_mots_train")
    samples = catalog.open_samples(row, None, truth=truth)
    predictions, notes = catalog.read_predictions_with_notes(row, tmp_path / "one.txt", samples)
    assert notes == {"masks of classes that are not evaluated left out": 1}
    assert len(predictions["one"].frames[0]) == 1  # type: ignore[arg-type]


def _label(**changes: Any) -> dict[str, Any]:
    label: dict[str, Any] = {"id": "1", "category": "car", "box2d": {"x1": 1, "y1": 1, "x2": 9, "y2": 9}}
    return {key: value for key, value in {**label, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([_label(category="boat")], "category 'boat' is unknown"),
        ([_label(category=3)], "category 3 is unknown"),
        ([_label(id="one")], "id 'one' is no whole number as text"),
        ([_label(id=None)], "id None is not text"),
        ([_label(id="9999999999")], "is no whole number as text"),
        ([_label(box2d={"x1": 1, "y1": 2, "x2": 3})], "has not four finite numbers"),
        ([_label(box2d=[1, 2, 3, 4])], "box2d or rle is not an object"),
        ([_label(attributes=[1])], "attributes is not an object"),
        ([7], "an object is not {id, category, box2d or rle}"),
        ([_label(), _label()], "id 1 of class car occurs twice"),
        ("none", "labels is not a list"),
    ],
)
def test_broken_objects_of_json_are_named(tmp_path: Path, labels: Any, message: str) -> None:
    truth = [{"videoName": "v", "name": "v-1.jpg", "frameIndex": 0, "labels": [_label(id="abc")]}]
    (tmp_path / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    (tmp_path / "found.json").write_text(json.dumps([{**truth[0], "labels": labels}]), encoding="utf-8")
    found = _problems("bdd100k_mot_val", tmp_path / "truth.json", tmp_path / "found.json")
    assert len(found) == 1 and message in found[0], found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frames: frames[:-1], "has 23 frames, the truth has 24"),
        (lambda frames: [{**one, "frameIndex": 0} for one in frames], "two frames have one frameIndex"),
        (lambda frames: [{**one, "frameIndex": 2 * one["frameIndex"]} for one in frames], "one by one"),
        (lambda frames: [{**one, "name": "x.jpg"} for one in frames], "frame 0 is named 'x.jpg'"),
        (lambda frames: [{**one, "videoName": "other"} for one in frames], "1 video that the truth lacks"),
        (lambda frames: {"labels": frames}, "holds no list of frames"),
        (lambda frames: [1, *frames[1:]], "frame 0: is not an object"),
    ],
)
def test_frames_that_do_not_fit_the_truth_are_named(tmp_path: Path, change: Any, message: str) -> None:
    truth, found = bdd_frames(clip("plain", kinds=len(BDD_KINDS)), None)
    (tmp_path / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    (tmp_path / "found.json").write_text(json.dumps(change(found)), encoding="utf-8")
    lines = _problems("bdd100k_mot_val", tmp_path / "truth.json", tmp_path / "found.json")
    assert lines and message in lines[0], lines


def _paint(pixels: Any, value: tuple[int, int, int, int]) -> Any:
    pixels = pixels.copy()
    pixels[:2, :2] = value
    return pixels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pixels: pixels[..., :3], "is no PNG with four channels of 8 bits"),
        (lambda pixels: _paint(pixels, (9, 0, 3, 3)), "holds category 9 in its red channel"),
        (lambda pixels: _paint(_paint(pixels, (1, 0, 3, 3)), (1, 0, 3, 3))[:40], "is 40x64 (height x width)"),
        (lambda pixels: np.where(np.indices(SIZE)[1][..., None] % 2, (1, 0, 0, 7), (2, 0, 0, 7)), "several categories"),
        (
            lambda pixels: np.stack([np.ones(SIZE), np.zeros(SIZE), np.zeros(SIZE), np.indices(SIZE).sum(axis=0)], -1),
            "the official tool takes at most 100",
        ),
    ],
)
def test_broken_bitmasks_are_named(tmp_path: Path, change: Any, message: str) -> None:
    truth, found = write_form(tmp_path, "bitmasks")
    path = found / "plain" / "plain-0000005.png"
    pixels = bdd_bitmasks(clip("plain", kinds=len(BDD_KINDS)))[1][4]
    write_png(path, np.ascontiguousarray(change(pixels)).astype(np.uint8))
    lines = _problems("bdd100k_mots_val", truth, found)
    assert len(lines) == 1 and str(path) in lines[0] and message in lines[0], lines


def test_missing_bitmasks_are_counted(tmp_path: Path) -> None:
    truth, found = write_form(tmp_path, "bitmasks")
    (found / "plain" / "plain-0000005.png").unlink()
    (line,) = _problems("bdd100k_mots_val", truth, found)
    assert "1 of 24 frames is missing (first: plain-0000005.png)" in line


def _as_bytes(prediction: Prediction) -> list[tuple[Any, ...]]:
    frames = []
    for frame in prediction.frames:
        assert isinstance(frame, Instances)
        rows = (frame.boxes, frame.class_index, frame.object_id, frame.score)
        frames.append((frame.masks, *(row.tobytes() for row in rows)))
    return frames


@pytest.mark.parametrize("row_name", ["mot17_mot_train", "motschallenge_mots_train", "kitti_mots_val"])
def test_written_results_read_back_to_the_bit(tmp_path: Path, row_name: str) -> None:
    row = catalog.get(row_name)
    truth, found = box_clips(tmp_path) if "mot17" in row_name else mask_clips(tmp_path, int("kitti" not in row_name))
    samples = catalog.open_samples(row, None, truth=truth)
    first = catalog.read_predictions(row, found, samples)
    catalog.write_predictions(row, tmp_path / "again", [(sample, first[sample.sample_id]) for sample in samples])
    second = catalog.read_predictions(row, tmp_path / "again", samples)
    assert set(first.ids) == set(second.ids) == set(CLIPS)
    for name in samples.ids:
        assert _as_bytes(first[name]) == _as_bytes(second[name])


def _shelve(files: Mapping[Path, Path]) -> None:
    for source, target in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def _score(row_name: str, truth: Path | None, root: Path | None, found: Path) -> dict[str, float]:
    row = catalog.get(row_name)
    samples = catalog.open_samples(row, root, truth=truth, is_mini=root is not None)
    predictions = catalog.read_predictions(row, found, samples)
    metric = catalog.build_metric(row)
    return dict(summarise(metric, scoring.measure(metric, samples, predictions, place=str(found))).values)


@pytest.mark.parametrize("row_name", ["mot17_mot_train", "motschallenge_mots_train"])
def test_the_official_folders_are_found_below_a_data_root(tmp_path: Path, row_name: str) -> None:
    truth, found = box_clips(tmp_path) if "mot17" in row_name else mask_clips(tmp_path, 1)
    home = tmp_path / "root" / ("MOT17" if "mot17" in row_name else "MOTS") / "train"
    prefix = "MOT17-" if "mot17" in row_name else "MOTS20-"
    for name in CLIPS:
        _shelve(
            {
                truth / f"{name}.txt": home / f"{prefix}{name}" / "gt" / "gt.txt",
                truth / name / FILE: home / f"{prefix}{name}" / FILE,
                found / f"{name}.txt": tmp_path / "tracker" / "data" / f"{prefix}{name}.txt",
            }
        )
    by_root = _score(row_name, None, tmp_path / "root", tmp_path / "tracker")
    by_truth = _score(row_name, home, None, tmp_path / "tracker")
    assert by_root == by_truth == pytest.approx(_score(row_name, truth, None, found), abs=1e-13)
    first = catalog.open_samples(catalog.get(row_name), tmp_path / "root", is_mini=True)[0]
    assert first.frames[0] == home / f"{prefix}alone" / "img1" / "000001.jpg" and first.size == SIZE


def test_hidden_truth_opens_and_says_so_when_it_is_needed(tmp_path: Path) -> None:
    write_info(tmp_path / "MOT17" / "test" / "MOT17-01-DPM" / FILE, "MOT17-01-DPM", INFO)
    row = catalog.get("mot17_mot_test")
    (sample,) = catalog.open_samples(row, tmp_path, is_mini=True)
    assert sample.truth is not None and len(sample.frames) == len(sample.truth.frames) == 9
    with pytest.raises(DataError, match="is not public"):
        sample.truth.frames[0]


def test_kitti_pngs_and_text_are_the_same_truth(tmp_path: Path) -> None:
    truth, found = mask_clips(tmp_path, 0)
    row = catalog.get("kitti_mots_val")
    names = ["0002", "0006"]
    for name, made in zip(names, ("plain", "crowded"), strict=True):
        _shelve({truth / f"{made}.txt": tmp_path / "text" / f"{name}.txt"})
        write_info(tmp_path / "text" / name / FILE, name, SequenceInfo(
            folder="img1", extension=".png", num_frames=24, size=SIZE))  # fmt: skip
        _shelve({found / f"{made}.txt": tmp_path / "tracker" / f"{name}.txt"})
    samples = catalog.open_samples(row, None, truth=tmp_path / "text")
    for sample in samples:
        assert sample.truth is not None
        folder = tmp_path / "pngs" / "instances" / sample.sample_id
        mots_text.write_pngs(folder, sample.truth, lambda index: f"{index:06d}.png")
        mots_text.write_truth(tmp_path / "again" / f"{sample.sample_id}.txt", sample.truth, row.label_set, 0)
    expected = _score("kitti_mots_val", tmp_path / "text", None, tmp_path / "tracker")
    assert _score("kitti_mots_val", tmp_path / "pngs", None, tmp_path / "tracker") == expected
    assert _score("kitti_mots_val", tmp_path / "again", None, tmp_path / "tracker") == expected


def test_kitti_reads_the_sequences_of_its_split_only(tmp_path: Path) -> None:
    for name in ("0000", "0002", "0006", "0007", "0008", "0010", "0013", "0014", "0016", "0018"):
        path = tmp_path / "KITTI_MOTS" / "instances_txt" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"0 1001 1 48 64 {RLE}\n", encoding="utf-8")
    samples = catalog.open_samples(catalog.get("kitti_mots_val"), tmp_path)
    assert len(samples) == 9 and samples.ids[0] == "0002"
    assert [len(sample.frames) for sample in samples] == [233, 270, 800, 390, 294, 340, 106, 209, 339]
    assert samples[0].frames[0] == tmp_path / "KITTI_MOTS" / "training" / "image_02" / "0002" / "000000.png"


@pytest.mark.parametrize("form", ["boxes", "bitmasks"])
def test_bdd100k_is_found_below_a_data_root(tmp_path: Path, form: str) -> None:
    truth, found = write_form(tmp_path, form)
    label = "labels/box_track_20/val" if form == "boxes" else "labels/seg_track_20/bitmasks/val"
    home = tmp_path / "root" / "bdd100k" / label
    home.parent.mkdir(parents=True)
    truth.rename(home)
    name = "bdd100k_mot_val" if form == "boxes" else "bdd100k_mots_val"
    assert _score(name, None, tmp_path / "root", found) == pytest.approx(_score(name, home, None, found), nan_ok=True)
    first: Sample = catalog.open_samples(catalog.get(name), tmp_path / "root", is_mini=True)[0]
    folder = "track" if form == "boxes" else "seg_track_20"
    assert first.frames[0] == tmp_path / f"root/bdd100k/images/{folder}/val/alone/alone-0000001.jpg"
