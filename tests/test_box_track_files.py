"""Files of single object tracking: samples scored by the command, official layouts, round trips, and broken input."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_scenes import SIZE, BoxScene, scenes
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import box_tracks, catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Prediction, Task
from benchmark.datasets import got10k, lasot, tnl2k, trackingnet
from benchmark.formats import box_text, box_videos
from benchmark.formats.box_videos import VideoFiles, VideoTruth
from benchmark.problems import DataError

EXACT = 1e-12
SENTENCE = "the white airplane that lands"
SOT_ROWS = {
    "lasot_sot_test": 280,
    "lasot_ext_sot_test": 150,
    "tnl2k_sot_test": 700,
    "trackingnet_sot_test": 511,
    "got10k_sot_val": 180,
    "got10k_sot_test": 180,
    "lasot_sot_train": 1120,
    "tnl2k_sot_train": 1300,
    "trackingnet_sot_train": 30132,
    "got10k_sot_train": 9335,
}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 10)


def score(folder: Path, name: str, predictions: Path, truth: Path, *options: str) -> dict[str, Any]:
    """The record of `python -m benchmark score`."""
    out = folder / "record.json"
    arguments = ["score", name, str(predictions), "--truth", str(truth), "--out", str(out)]
    assert main([*arguments, "--work-dir", str(folder / "work"), *options]) == 0
    record: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return record


SAMPLE_NAMES = {"AUC": "AUC", "OP50": "OP50", "P": "P20", "P_norm": "P_norm_at_0_2", "P_norm_AUC": "P_norm_mean_curve"}


@pytest.mark.parametrize("truth", ["gt", "."])
@pytest.mark.parametrize(
    ("name", "protocol", "key"),
    [
        ("lasot_sot_test", "pytracking", "pytracking"),
        ("lasot_sot_test", "toolkit", "toolkit"),
        ("lasot_sot_test", "uninext", "uninext_copy"),
        ("lasot_ext_sot_test", "pytracking_ext", "pytracking_lasot_ext_branch"),
        ("lasot_ext_sot_test", "uninext", "uninext_copy"),
        ("tnl2k_sot_test", "uninext_no_flags", "uninext_copy_no_flags"),
    ],
)
def test_lasot_sample_scores_as_each_published_variant(
    samples_dir: Path, tmp_path: Path, name: str, protocol: str, key: str, truth: str
) -> None:
    folder = samples_dir / "video/lasot_annos"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["scores"][key]
    record = score(tmp_path, name, folder / "pred", folder / truth, "--protocol", protocol)
    for ours, theirs in SAMPLE_NAMES.items():
        assert record["scores"][ours] == pytest.approx(expected[theirs], abs=EXACT), ours
    assert record["num_expected"] == record["num_scored"] == 4
    assert record["notes"] == {"result files with numbers separated by commas": 4}


@pytest.mark.parametrize("name", ["coin-3", "basketball-1", "turtle-5", "tiger-6"])
def test_lasot_sample_scores_each_video(samples_dir: Path, tmp_path: Path, name: str) -> None:
    folder = samples_dir / "video/lasot_annos"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["scores"]["pytracking"]
    for side in ("gt", "absent"):
        (tmp_path / side).mkdir()
        (tmp_path / side / f"{name}.txt").symlink_to(folder / side / f"{name}.txt")
    record = score(tmp_path, "lasot_sot_test", folder / "pred", tmp_path / "gt")
    assert record["scores"]["AUC"] == pytest.approx(expected["per_sequence_AUC"][name], abs=EXACT)


def test_got10k_rule_repeats_no_lost_frame(samples_dir: Path, tmp_path: Path) -> None:
    """The sample's numbers are of results whose lost frames were repeated; the toolkit itself repeats none.

    The second set of numbers is what `ExperimentLaSOT` of the toolkit (956e728) gives for the files as they are.
    """
    folder = samples_dir / "video/lasot_annos"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["scores"]["got10k_toolkit"]
    for path in (folder / "pred").glob("*.txt"):
        boxes = box_text.read_boxes(path)
        kept = np.maximum.accumulate(np.where((boxes[:, 2:] == 0).any(axis=1), 0, np.arange(len(boxes))))
        box_text.write_boxes(tmp_path / "carried" / path.name, boxes[kept])
    options = ("--protocol", "got10k")
    carried = score(tmp_path, "lasot_sot_test", tmp_path / "carried", folder / "gt", *options)["scores"]
    for ours, theirs in SAMPLE_NAMES.items():
        assert carried[ours] == pytest.approx(expected[theirs], abs=EXACT), ours
    (tmp_path / "plain").mkdir()
    plain = score(tmp_path / "plain", "lasot_sot_test", folder / "pred", folder / "gt", *options)["scores"]
    official = (0.49947931752790337, 0.6182728986769079, 0.3803888893858436, 0.5096296147209898, 0.4888887305454917)
    assert [plain[ours] for ours in SAMPLE_NAMES] == pytest.approx(official, abs=EXACT)


def test_trackingnet_sample_scores_as_the_devkit(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / "video/trackingnet_devkit_dummy"
    for name in ("GT", "subm"):
        with zipfile.ZipFile(folder / f"dummy_{name}.zip") as archive:
            archive.extractall(tmp_path / name)
    record = score(tmp_path, "trackingnet_sot_test", tmp_path / "subm", tmp_path / "GT")
    expected = {
        "Success": 0.8807962962962964, "Precision": 0.8780246913580248,
        "Normalized Precision": 0.8780246913580248, "Coverage": 0.8895555555555555,
    }  # fmt: skip
    assert record["scores"] == pytest.approx(expected, abs=EXACT)
    assert record["notes"][trackingnet.MISSING] == 1


@pytest.mark.parametrize("name", ["trackingnet_sot_test", "got10k_sot_test"])
def test_private_truth_is_not_scored_without_ones_own(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["score", name, str(tmp_path), "--data-root", str(tmp_path), "--work-dir", str(tmp_path / "work")]
    assert main(call) == 2
    assert f"leaderboards write RUN {name}" in capsys.readouterr().err


def test_the_list_of_lasot_test_videos_is_the_official_one(samples_dir: Path) -> None:
    listed = (samples_dir / "video/split_lists/lasot/testing_set.txt").read_text(encoding="ascii").split()
    assert sorted(lasot.official_names("lasot", "test")) == sorted(listed)
    train = lasot.official_names("lasot", "train")
    assert len(set(train)) == 1120 and not set(train) & set(listed)


@pytest.mark.parametrize("name", SOT_ROWS)
def test_rows_have_the_official_counts(name: str) -> None:
    row = catalog.get(name)
    assert (row.num_samples, row.task, row.is_train) == (SOT_ROWS[name], Task.SOT, name.endswith("train"))
    assert row.truth == ("private" if name in ("trackingnet_sot_test", "got10k_sot_test") else "public")


LAYOUTS: dict[str, tuple[Callable[[Path, str], VideoFiles], Callable[[int], str]]] = {
    "lasot_sot_test": (
        lambda root, name: lasot.video_files(root / "LaSOT" / name.rsplit("-", 1)[0] / name),
        lambda index: lasot.official_names("lasot", "test")[index],
    ),
    "lasot_ext_sot_test": (
        lambda root, name: lasot.video_files(root / "LaSOT_extension_subset" / name.rsplit("-", 1)[0] / name),
        lambda index: lasot.official_names("lasot_ext", "test")[index],
    ),
    "tnl2k_sot_test": (
        lambda root, name: tnl2k.video_files(root / "TNL2K/TNL2K_test_subset" / name),
        lambda index: f"Video_{index:02d}-Done",
    ),
    "tnl2k_sot_train": (
        lambda root, name: tnl2k.video_files(root / "TNL2K/TNL2K_train_subset/part_1" / name),
        lambda index: f"Video_{index:02d}-Done",
    ),
    "trackingnet_sot_train": (
        lambda root, name: trackingnet.video_files(root / f"TrackingNet/TRAIN_{len(name) % 2 * 11}/anno/{name}.txt"),
        lambda index: f"-x{index}" + "y" * index,
    ),
    "got10k_sot_val": (
        lambda root, name: got10k.video_files(root / "got10k/val" / name),
        lambda index: f"GOT-10k_Val_{index + 1:06d}",
    ),
}


def write_split(root: Path, row_name: str) -> dict[str, BoxScene]:
    """Some videos in the row's official layout."""
    files_of, name_of = LAYOUTS[row_name]
    drawn = {name_of(index): scene for index, scene in enumerate(scenes("typical"))}
    for name, scene in drawn.items():
        truth = VideoTruth(boxes=scene.truth, absent=scene.absent, sentence=SENTENCE, size=SIZE)
        box_videos.write(files_of(root, name), truth)
    if row_name.startswith("got10k"):
        (root / "got10k/val/list.txt").write_text("\n".join(drawn) + "\n", encoding="ascii")
    return drawn


def open_split(root: Path, row_name: str) -> Any:
    """The listing below a data root, without the official count."""
    row = catalog.get(row_name)
    listing = next(found for name in row.layout.roots if (found := row.layout.open(row, root / name)) is not None)
    return listing, listing.samples(catalog.prompts.build_prompt(row.task, row.label_set))


@pytest.mark.parametrize("row_name", LAYOUTS)
def test_what_is_written_in_a_layout_is_read_to_the_bit(tmp_path: Path, row_name: str) -> None:
    drawn = write_split(tmp_path, row_name)
    listing, samples = open_split(tmp_path, row_name)
    has_flags = row_name.startswith(("lasot", "got10k"))
    for problem in listing.problems:
        assert "video" in problem.message and "is missing" in problem.message  # of LaSOT's lists, others are not there
    assert set(samples.ids) == set(drawn)
    for sample in samples:
        scene = drawn[sample.sample_id]
        assert np.array_equal(box_tracks.boxes_of(sample.truth.frames, "truth")[:, 0], scene.truth)
        assert (sample.truth.absent is not None) == has_flags
        assert not has_flags or np.array_equal(sample.truth.absent, scene.absent)
        assert len(sample.frames) == len(scene.truth)
        assert np.array_equal(sample.prompt.objects[0].boxes, scene.truth[:1])
        has_sentence = row_name.startswith(("lasot", "tnl2k"))
        assert sample.prompt.sentence == (SENTENCE if has_sentence else "the task is sot")
        assert sample.size == (SIZE if row_name.startswith("got10k") else (0, 0))


def test_pictures_are_named_as_each_data_set_names_them(tmp_path: Path) -> None:
    expected = {
        "lasot_sot_test": "LaSOT/airplane/airplane-1/img/00000001.jpg",
        "trackingnet_sot_train": "TrackingNet/TRAIN_11/frames/-x0/0.jpg",
        "got10k_sot_val": "got10k/val/GOT-10k_Val_000001/00000001.jpg",
    }
    for row_name, first in expected.items():
        write_split(tmp_path, row_name)
        assert tmp_path / first in [sample.frames[0] for sample in open_split(tmp_path, row_name)[1]]
    write_split(tmp_path, "tnl2k_sot_test")
    folder = tmp_path / "TNL2K/TNL2K_test_subset/Video_00-Done/imgs"
    folder.mkdir()
    for name in ("b.png", "a.jpg", "notes.txt"):
        (folder / name).touch()
    listing, _ = open_split(tmp_path, "tnl2k_sot_test")
    assert [listing.entries[0].frames[index].name for index in range(2)] == ["a.jpg", "b.png"]


@pytest.mark.parametrize("row_name", ["trackingnet_sot_test", "got10k_sot_test"])
def test_private_splits_give_the_first_box_and_count_pictures(tmp_path: Path, row_name: str) -> None:
    if row_name.startswith("got10k"):
        files = got10k.video_files(tmp_path / "GOT-10k/test/GOT-10k_Test_000001", is_private=True)
        (tmp_path / "GOT-10k/test").mkdir(parents=True)
        (tmp_path / "GOT-10k/test/list.txt").write_text("GOT-10k_Test_000001\n", encoding="ascii")
    else:
        files = trackingnet.video_files(tmp_path / "TrackingNet/TEST/anno/abc_0.txt", is_private=True)
    scene = scenes("typical")[0]
    box_videos.write(files, VideoTruth(boxes=scene.truth))
    files.pictures.mkdir(parents=True, exist_ok=True)
    for index in range(12):
        (files.pictures / files.pattern.format(index + files.first)).touch()
    _, samples = open_split(tmp_path, row_name)
    row = catalog.get(row_name)
    (entry,) = row.layout.open(row, tmp_path / ("GOT-10k" if row_name.startswith("got10k") else "TrackingNet")).entries
    assert [path.name for path in entry.frames][-1] == ("00000012.jpg" if row_name.startswith("got10k") else "11.jpg")
    assert np.array_equal(samples.ids, [files.name])


@pytest.mark.parametrize("row_name", [name for name in LAYOUTS if not name.endswith("train")])
@pytest.mark.parametrize("group", ["typical", "longer_results"])
def test_predictions_come_back_to_the_bit_and_score_the_same(tmp_path: Path, row_name: str, group: str) -> None:
    row = catalog.get(row_name)
    drawn = dict(zip(write_split(tmp_path, row_name), scenes(group), strict=True))
    if row_name.startswith("got10k"):
        runs = {name: scene.found[: len(scenes("typical")[0].truth)] for name, scene in drawn.items()}
        drawn_found = {name: np.concatenate([run, run], axis=1) for name, run in runs.items()}
    else:
        drawn_found = {name: scene.found for name, scene in drawn.items()}
    _, samples = open_split(tmp_path, row_name)
    given = [
        (
            sample,
            Prediction(
                frames=box_tracks.BoxTrack(drawn_found[sample.sample_id]),
                seconds=np.full(drawn_found[sample.sample_id].shape[:2], 0.1)
                if row_name.startswith("got10k")
                else None,
            ),
        )
        for sample in samples
    ]
    catalog.write_predictions(row, tmp_path / "found", given)
    found, notes = row.layout.read_predictions(row, tmp_path / "found", samples)
    assert next(iter(notes.values())) >= len(given)
    for sample, prediction in given:
        again = found[sample.sample_id]
        written, read = (box_tracks.boxes_of(one.frames, "one") for one in (prediction, again))
        assert written.tobytes() == read.tobytes()
        assert (again.seconds is None) == (prediction.seconds is None)
        if again.seconds is not None and prediction.seconds is not None:
            assert again.seconds.tobytes() == prediction.seconds.tobytes()


def test_nan_and_zero_survive_the_round_trip(tmp_path: Path) -> None:
    boxes = np.array([[-0.0, 1 / 3, 1e-300, 1e15], [np.nan] * 4, [0.1 + 0.2, 5, 123456789.125, 2**53]])
    for separator in (",", "\t", " "):
        box_text.write_boxes(tmp_path / "a.txt", boxes, separator)
        assert box_text.read_boxes(tmp_path / "a.txt").tobytes() == boxes.tobytes()


@pytest.mark.parametrize("form", ["tabs", "blanks", "mixed blanks", "windows", "no last newline", "below", "flat"])
def test_result_files_of_any_tool_score_the_same(tmp_path: Path, form: str) -> None:
    write_split(tmp_path, "lasot_sot_test")
    truth = tmp_path / "LaSOT"
    plain, other = tmp_path / "plain", tmp_path / "other"
    for name, scene in zip(lasot.official_names("lasot", "test"), scenes("typical"), strict=False):
        box_text.write_boxes(plain / f"{name}.txt", scene.found[:, 0])
        text = (plain / f"{name}.txt").read_text(encoding="ascii")
        changed = {
            "tabs": text.replace(",", "\t"),
            "blanks": text.replace(",", " "),
            "mixed blanks": text.replace(",", "   ").replace("\n", " \n"),
            "windows": text.replace("\n", "\r\n"),
            "no last newline": text.rstrip("\n"),
        }.get(form, text)
        home = other / "ours_tracking_result" if form == "below" else other
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{name}.txt").write_bytes(changed.encode("ascii"))
    expected = score(tmp_path, "lasot_sot_test", plain, truth)["scores"]
    (tmp_path / "again").mkdir()
    assert score(tmp_path / "again", "lasot_sot_test", other, truth)["scores"] == expected


def test_missing_results_leave_no_headline(tmp_path: Path) -> None:
    names = list(write_split(tmp_path, "lasot_sot_test"))
    box_text.write_boxes(tmp_path / "found" / f"{names[0]}.txt", scenes("typical")[0].found[:, 0])
    record = score(tmp_path, "lasot_sot_test", tmp_path / "found", tmp_path / "LaSOT")
    assert record["scores"]["AUC"] is None and sorted(record["missing"]) == sorted(names[1:])


BAD_RESULTS = {
    "empty": (b"", "is empty, expected a box on each line"),
    "three values": (b"1,2,3,4\n1,2,3\n", "line 2: has 3 values, expected 4"),
    "five values": (b"1,2,3,4,0.9\n" * 30, r"line 1 \(and 29 more lines\): has 5 values"),
    "words": (b"x,y,w,h\n1,2,3,4\n", "line 1: 'x' is not a number"),
    "infinity": (b"1,2,inf,4\n", "'inf' is not a number"),
    "too large": (b"1,2,1e400,4\n", "'1e400' is beyond any picture"),
    "two separators": (b"1,2,3,4\n1\t2\t3\t4\n", "line 2: has 1 value"),
    "no text": (b"\x89PNG\r\n\x1a\n", "is not plain text"),
    "json": (b'{"a": [1, 2]}\n', "line 1: has 2 values"),
    "hexadecimal": (b"0x1,2,3,4\n", "'0x1' is not a number"),
    "underscore": (b"1_0,2,3,4\n", "'1_0' is not a number"),
    "too short": (b"1,2,3,4\n", "the result has 1 box, the video has"),
    "negative": (b"1,2,-3,4\n" * 50, "have NaN or a negative size"),
}


@pytest.mark.parametrize("name", BAD_RESULTS)
def test_broken_results_end_in_one_line_each(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = BAD_RESULTS[name]
    names = list(write_split(tmp_path, "lasot_sot_test"))
    (tmp_path / "found").mkdir()
    for one in names:
        (tmp_path / "found" / f"{one}.txt").write_bytes(content)
    call = ["score", "lasot_sot_test", str(tmp_path / "found"), "--truth", str(tmp_path / "LaSOT")]
    assert main([*call, "--work-dir", str(tmp_path / "work")]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("scoring")]
    assert not (tmp_path / "work").exists()
    found = [line for line in lines if re.search(message, line)]
    assert len(found) == len(names), lines


BAD_TRUTH: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "flags too few": ("lasot_sot_test", lambda f: (f / "out_of_view.txt").write_text("0,1\n"), "holds 2 flags"),
    "flags of two": ("lasot_sot_test", lambda f: (f / "out_of_view.txt").write_text("0,2,0\n"), "0 to 1 ('2')"),
    "no flags": ("lasot_sot_test", lambda f: (f / "full_occlusion.txt").unlink(), "is missing"),
    "truth unknown": ("lasot_sot_test", lambda f: (f / "groundtruth.txt").write_text("1,2,3,4\nnan,1,1,1\n"), "NaN"),
    "truth empty": ("lasot_sot_test", lambda f: (f / "groundtruth.txt").write_text("\n\n"), "is empty"),
    "cover": ("got10k_sot_val", lambda f: (f / "cover.label").write_text("9\n"), "0 to 8 ('9')"),
    "no size": ("got10k_sot_val", lambda f: (f / "meta_info.ini").write_text("[METAINFO]\n"), "resolution"),
    "no meta": ("got10k_sot_val", lambda f: (f / "meta_info.ini").unlink(), "is missing"),
}


@pytest.mark.parametrize("name", BAD_TRUTH)
def test_broken_truth_ends_in_one_line(tmp_path: Path, name: str) -> None:
    row_name, damage, message = BAD_TRUTH[name]
    first = next(iter(write_split(tmp_path, row_name)))
    damage(LAYOUTS[row_name][0](tmp_path, first).boxes.parent)
    truth = tmp_path / ("LaSOT" if row_name.startswith("lasot") else "got10k/val")
    with pytest.raises(DataError) as caught:
        catalog.verify(catalog.get(row_name), None, truth=truth, needs_frames=False)
    (problem,) = caught.value.problems
    assert first in str(problem) and message in str(problem)


def test_calls_with_the_wrong_kind_of_path_say_what_is_expected(tmp_path: Path) -> None:
    names = list(write_split(tmp_path, "lasot_sot_test"))
    row = catalog.get("lasot_sot_test")
    samples = catalog.open_samples(row, None, truth=tmp_path / "LaSOT")
    (tmp_path / "file.txt").write_text("1,2,3,4\n")
    (tmp_path / "none").mkdir()
    for folder in ("a", "b"):
        box_text.write_boxes(tmp_path / "two" / folder / f"{names[0]}.txt", np.ones((2, 4)))
    cases = {
        "file.txt": "is a file",
        "none": "expected names like airplane-1.txt",
        "two": "2 files fit video airplane-1",
    }
    for place, message in cases.items():
        with pytest.raises(DataError, match=message):
            catalog.read_predictions(row, tmp_path / place, samples)
    with pytest.raises(catalog.DataNotFound, match="holds neither"):
        catalog.open_samples(row, None, truth=tmp_path / "none")
    with pytest.raises(catalog.DataNotFound, match=r"looked for .*airplane/airplane-1/groundtruth.txt"):
        catalog.open_samples(row, tmp_path / "none")


def test_official_counts_are_enforced_below_a_data_root(tmp_path: Path) -> None:
    write_split(tmp_path, "got10k_sot_val")
    with pytest.raises(DataError, match=r"has 6 usable .*, expected 180"):
        catalog.open_samples(catalog.get("got10k_sot_val"), tmp_path)


def test_flags_beyond_the_video_pass_if_they_say_nothing(tmp_path: Path) -> None:
    """TNL2K's advSamp_monitor_bikeyellow has one flag more than boxes; Matlab's indexing does not mind a zero."""
    for extra, is_read in (("0\n", True), ("1\n", False)):
        folder = tmp_path / extra.strip()
        box_text.write_boxes(folder / "gt_rect/a.txt", np.ones((3, 4)))
        (folder / "absent").mkdir()
        (folder / "absent/a.txt").write_text(f"0\t\n1\t\n0\t\n{extra}")
        listing = catalog.get("tnl2k_sot_test").layout.open_truth(catalog.get("tnl2k_sot_test"), folder, None)
        if is_read:
            absent = listing.truth(0).absent
            assert absent is not None and absent.tolist() == [False, True, False]
        else:
            with pytest.raises(DataError, match="holds 4 flags, the boxes 3 frames"):
                listing.truth(0)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(text=st.text(alphabet="0123456789.,,,,\t\t \n\n\r-+einfa_x", max_size=60))
def test_any_text_is_read_as_numpy_reads_it_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """pytracking and the got10k toolkit read with `numpy.loadtxt`."""
    path = tmp_path_factory.mktemp("fuzz") / "a.txt"
    path.write_bytes(text.encode("ascii"))
    readings = [_loadtxt(path, delimiter) for delimiter in ("\t", ",", None)]
    sound = [one for one in readings if one is not None and one.shape[1] == 4 and len(one) and not np.isinf(one).any()]
    try:
        found = box_text.read_boxes(path)
    except DataError as error:
        assert error.problems and not sound
    else:
        assert any(found.tobytes() == one.tobytes() for one in sound)


def _loadtxt(path: Path, delimiter: str | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.loadtxt(path, delimiter=delimiter, ndmin=2)
        except ValueError:
            return None


def test_names_of_a_list_stay_inside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "got10k/val").mkdir(parents=True)
    (tmp_path / "got10k/val/list.txt").write_text("../../secret\n")
    with pytest.raises(DataError, match="is no name of a folder"):
        catalog.open_samples(catalog.get("got10k_sot_val"), tmp_path)
