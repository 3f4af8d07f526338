"""DAVIS on disk: official samples through the command, the official folders, results, and what is wrong with files."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_vos_metrics import expected, golden_videos
from vos_videos import Video, draw, write_video

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Frames, Instances, Panoptic, Prediction, Truth
from benchmark.datasets import videos
from benchmark.formats import indexed_masks, listing
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.metrics import video_objects
from benchmark.problems import DataError

SAMPLE = "video/davis_osvos_rvos_masks"
EXACT = 1e-12
OFFICIAL = {"J&F-Mean": "J&F", **{f"{one}-{long}": f"{one}{short}" for one in "JF" for long, short in
            (("Mean", ""), ("Recall", "_recall"), ("Decay", "_decay"))}}  # fmt: skip


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 5)


def score(folder: Path, name: str, predictions: Path, *options: str) -> dict[str, Any]:
    """The record of `python -m benchmark score`."""
    out = folder / "record.json"
    assert main(["score", name, str(predictions), "--out", str(out), "--work-dir", str(folder / "work"), *options]) == 0
    record: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return record


def late_masks(source: Path, target: Path, frames: int) -> None:
    """Masks of each video of `source`, `frames` frames late."""
    for video in source.iterdir():
        files = sorted(video.glob("*.png"))
        (target / video.name).mkdir(parents=True)
        for place, path in enumerate(files):
            (target / video.name / path.name).symlink_to(files[max(0, place - frames)])


@pytest.mark.parametrize("task", ["semi-supervised", "unsupervised"])
def test_the_sample_scores_as_the_official_evaluator_says(samples_dir: Path, tmp_path: Path, task: str) -> None:
    folder = samples_dir / SAMPLE
    official = json.loads((folder / "expected.json").read_text(encoding="utf-8"))[task]
    name, found = "davis17_unsupervised_vos_val", folder / "rvos"
    if task == "semi-supervised":
        name, found = "davis17_vos_val", tmp_path / "found"
        late_masks(folder / "osvos", found, 2)
    record = score(tmp_path, name, found, "--truth", str(folder / "osvos"))
    assert record["scores"] == pytest.approx({ours: official[theirs] for theirs, ours in OFFICIAL.items()}, abs=EXACT)
    assert record["counts"]["objects"] == len(official["J_per_object"])
    assert (record["num_scored"], record["missing"], record["truth_is_official"]) == (4, [], False)


def test_objects_of_the_sample_score_as_the_official_evaluator_says(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / SAMPLE
    official = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["semi-supervised"]
    late_masks(folder / "osvos", tmp_path / "found", 2)
    row = catalog.get("davis17_vos_val")
    samples = catalog.open_samples(row, None, truth=folder / "osvos")
    predictions = catalog.read_predictions(row, tmp_path / "found", samples)
    metric = catalog.build_metric(row)
    stats = [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]
    each = video_objects.per_object(stats, video_objects.RULES["davis"])
    for letter in "JF":
        ours = {name: scores[letter] for name, scores in each.items()}
        assert ours == pytest.approx(official[f"{letter}_per_object"], abs=EXACT)


@pytest.mark.parametrize("path", [f"{SAMPLE}/osvos/judo/00001.png", "video/vos_demo_judo/Annotations/judo/00000.png"])
def test_the_palette_is_that_of_the_official_masks(samples_dir: Path, path: str) -> None:
    with Image.open(samples_dir / path) as image:
        assert bytes(image.getpalette() or ()) == indexed_masks.palette()


@pytest.mark.parametrize(
    ("name", "year", "subset"),
    [("davis16_vos_val", 2016, "val"), ("davis16_vos_train", 2016, "train"), ("davis17_vos_val", 2017, "val"),
     ("davis17_vos_train", 2017, "train"), ("davis17_vos_test-dev", 2017, "test-dev")],
)  # fmt: skip
def test_rows_have_as_many_videos_as_the_official_list(samples_dir: Path, name: str, year: int, subset: str) -> None:
    text = (samples_dir / "video/davis_lists/db_info.yaml").read_text(encoding="utf-8")
    videos = [
        dict(line.strip().split(": ") for line in part.splitlines() if ": " in line) for part in text.split("- name")
    ]
    chosen = [one for one in videos if one.get("set") == subset and int(one["year"]) <= year]
    assert catalog.get(name).num_samples == len(chosen)


def write_root(root: Path, videos: list[Video], split: str = "val", *, void: bool = False) -> Path:
    """A DAVIS folder with pictures and lists of 2016 and 2017, and results in `root`/found."""
    for video in videos:
        for labels in ("Annotations", "Annotations_unsupervised"):
            write_video(root / "DAVIS" / labels / "480p", video, video.truth)
        write_video(root / "found", video, video.found)
        picture = np.full((*video.truth.shape[1:], 3), 90, np.uint8)
        for name in video.frame_names:
            write_jpeg(root / "DAVIS/JPEGImages/480p" / video.name / f"{name}.jpg", picture)
    for year in ("2016", "2017"):
        (root / "DAVIS/ImageSets" / year).mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{video.name}\n" for video in videos)
        (root / "DAVIS/ImageSets" / year / f"{split}.txt").write_text(lines, encoding="utf-8")
    return root


def small_videos(num: int = 2) -> list[Video]:
    dice = np.random.default_rng(5)
    return [draw(f"clip{number}", dice, size=(30, 40), num_frames=6, ids=(1, 2)) for number in range(num)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small videos that count as the whole split."""
    rows = {name: replace(row, num_samples=2) for name, row in catalog.BENCHMARKS.items()}
    monkeypatch.setattr(catalog, "BENCHMARKS", rows)
    return write_root(tmp_path / "data", small_videos())


def test_official_folders_score_like_the_drawn_maps(root: Path, tmp_path: Path) -> None:
    record = score(tmp_path, "davis17_vos_val", root / "found", "--data-root", str(root))
    assert record["truth_is_official"] and record["num_expected"] == 2
    for folder in ("DAVIS", "DAVIS/Annotations/480p"):
        again = score(tmp_path / folder, "davis17_vos_val", root / "found", "--truth", str(root / folder))
        assert again["scores"] == record["scores"]


def test_golden_videos_score_through_files(tmp_path: Path) -> None:
    videos = [video for video in golden_videos("videos") if video.name in ("typical", "gap", "late")]
    root = write_root(tmp_path / "data", videos)
    row = catalog.get("davis17_vos_val")
    samples = catalog.open_samples(row, None, truth=root / "DAVIS")
    predictions = catalog.read_predictions(row, root / "found", samples)
    metric = catalog.build_metric(row)
    stats = [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]
    for name, scores in video_objects.per_object(stats, video_objects.RULES["davis"]).items():
        assert scores["J"] == pytest.approx(expected()["davis"]["J_per_object"][name], abs=EXACT)


def test_davis16_merges_the_objects_of_truth_and_results(root: Path, tmp_path: Path) -> None:
    record = score(tmp_path, "davis16_vos_val", root / "found", "--data-root", str(root))
    merged = [replace(one, truth=(one.truth > 0).astype(np.uint8), found=(one.found > 0).astype(np.uint8) * 255)
              for one in small_videos()]  # fmt: skip
    for video in merged:
        write_video(tmp_path / "merged", video, video.truth)
        write_video(tmp_path / "white", video, video.found)
    again = score(tmp_path / "again", "davis16_vos_val", tmp_path / "white", "--truth", str(tmp_path / "merged"))
    assert again["scores"] == record["scores"] and record["counts"]["objects"] == 2


def test_a_list_of_2016_may_name_files(root: Path, tmp_path: Path) -> None:
    (root / "DAVIS/ImageSets/2016").rename(root / "DAVIS/ImageSets/480p")
    lines = [f"/JPEGImages/480p/{video}/{frame:05d}.jpg /Annotations/480p/{video}/{frame:05d}.png\n"
             for video in ("clip0", "clip1") for frame in range(6)]  # fmt: skip
    (root / "DAVIS/ImageSets/480p/val.txt").write_text("".join(lines), encoding="utf-8")
    samples = catalog.open_samples(catalog.get("davis16_vos_val"), root)
    assert samples.ids == ("clip0", "clip1") and len(samples[0].frames) == 6


def test_objects_are_given_in_the_first_frame(root: Path) -> None:
    row = catalog.get("davis17_vos_val")
    sample = catalog.open_samples(row, root)[0]
    video = small_videos()[0]
    assert sample.prompt.objects is not None and sample.prompt.labels is None
    ((frame, given),) = sample.prompt.objects.items()
    assert frame == 0 and given.object_id.tolist() == sorted(set(np.unique(video.truth[0]).tolist()) - {0})
    assert given.area.tolist() == [np.count_nonzero(video.truth[0] == one) for one in given.object_id]
    unsupervised = catalog.open_samples(catalog.get("davis17_unsupervised_vos_val"), root)[0]
    assert unsupervised.prompt.objects is None


def test_private_splits_open_with_their_first_masks_and_do_not_score(tmp_path: Path) -> None:
    row = replace(catalog.get("davis17_vos_test-dev"), num_samples=2)
    root = write_root(tmp_path, small_videos(), "test-dev")
    for path in (root / "DAVIS/Annotations/480p").glob("*/*.png"):
        if path.stem != "00000":
            path.unlink()
    samples = catalog.open_samples(row, root)
    assert [len(sample.frames) for sample in samples] == [6, 6]
    assert samples[0].prompt.objects is not None and len(samples[0].prompt.objects[0])
    predictions = catalog.read_predictions(row, root / "found", samples)
    with pytest.raises(DataError, match="masks are missing, or not public") as caught:
        catalog.build_metric(row).measure(samples[0], predictions["clip0"])
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("name", ["davis17_vos_val", "davis17_unsupervised_vos_val"])
def test_results_come_back_to_the_bit(root: Path, tmp_path: Path, name: str) -> None:
    row = catalog.get(name)
    samples = catalog.open_samples(row, root)
    found = catalog.read_predictions(row, root / "found", samples)
    catalog.write_predictions(row, tmp_path / "again", [(sample, found[sample.sample_id]) for sample in samples])
    again = catalog.read_predictions(row, tmp_path / "again", samples)
    for sample_id in samples.ids:
        for left, right in zip(found[sample_id].frames, again[sample_id].frames, strict=True):
            assert isinstance(left, Panoptic) and isinstance(right, Panoptic)
            assert left.segments == right.segments and (left.segment_id == right.segment_id).all()
    with Image.open(tmp_path / "again/clip0/00001.png") as image:
        assert image.mode == "P" and bytes(image.getpalette() or ()) == indexed_masks.palette()


def test_masks_by_object_id_are_written_as_maps(root: Path, tmp_path: Path) -> None:
    row = catalog.get("davis17_vos_val")
    sample = catalog.open_samples(row, root)[0]
    assert sample.truth is not None

    def objects(index: int) -> Instances:
        frame = sample.truth.frames[index]  # type: ignore[union-attr]
        assert isinstance(frame, Panoptic)
        return indexed_masks.objects_of(frame)

    catalog.write_predictions(row, tmp_path / "found", [(sample, Prediction(frames=Frames(6, objects)))])
    again = catalog.read_predictions(row, tmp_path / "found", catalog.open_samples(row, root))["clip0"]
    scores = catalog.build_metric(row).measure(replace(sample, truth=Truth(frames=sample.truth.frames)), again)
    assert (scores.arrays["counts"][:, 0] == scores.arrays["counts"][:, 1]).all()
    high = Panoptic(segment_id=np.full((30, 40), 256, np.int32), segments=())
    with pytest.raises(ValueError, match="an indexed PNG holds 0 to 255"):
        catalog.write_predictions(row, tmp_path / "high", [(sample, Prediction(frames=[high] * 6))])


def test_replayed_truth_scores_one_and_no_file_is_a_missing_video(root: Path, tmp_path: Path) -> None:
    record = score(tmp_path, "davis17_vos_val", root / "DAVIS/Annotations/480p", "--data-root", str(root))
    assert {record["scores"][name] for name in ("J&F", "J", "F")} == {1.0}
    shutil.rmtree(root / "found/clip1")
    part = score(tmp_path / "part", "davis17_vos_val", root / "found", "--data-root", str(root))
    assert (part["num_scored"], part["missing"]) == (1, ["clip1"])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _small(path: Path) -> None:
    write_png(path, np.zeros((30, 41), np.uint8))


def _wide(path: Path) -> None:
    write_png(path, np.zeros((30, 40), np.uint16))


def _colour(path: Path) -> None:
    write_png(path, np.zeros((30, 40, 3), np.uint8))


def _white(path: Path) -> None:
    write_png(path, np.full((30, 40), 255, np.uint8))


FOUND, TRUTH = "found/clip0", "DAVIS/Annotations/480p/clip1"
DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing result": (f"{FOUND}/00002.png", Path.unlink, r"clip0: 1 of 4 needed frames are missing .*00002.png"),
    "small result": (f"{FOUND}/00003.png", _small, r"1 frame is not 30x40 .*\(first: 00003.png, 30x41\)"),
    "cut result": (f"{FOUND}/00001.png", _cut, "00001.png: is truncated or damaged"),
    "16-bit result": (f"{FOUND}/00001.png", _wide, "00001.png: holds numbers of uint16"),
    "coloured result": (f"{FOUND}/00001.png", _colour, "00001.png: has 3 channels"),
    "white result": (f"{FOUND}/00001.png", _white, r"clip0: 1 frame \(first: 00001\) hold ids 255"),
    "missing truth": (f"{TRUTH}/00002.png", Path.unlink, r"clip1: 1 of 6 pictures has no mask .*\(first: 00002\)"),
    "small truth": (f"{TRUTH}/00003.png", _small, "00003.png: is 30x41"),
    "cut truth": (f"{TRUTH}/00003.png", _cut, "00003.png: is truncated or damaged"),
    "missing video": (TRUTH, shutil.rmtree, r"clip1: 6 of 6 pictures have no mask"),
    "renamed results": ("found", lambda path: [one.rename(path / f"x{one.name}") for one in path.iterdir()],
                        r"no folder fits any of the 2 videos \(expected names like clip0/00000.png\)"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_broken_files_are_named_and_nothing_is_written(
    root: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place, change, message = DAMAGES[damage]
    change(root / place)
    arguments = ["--data-root", str(root), "--work-dir", str(tmp_path / "work"), "--out", str(tmp_path / "out.json")]
    assert main(["score", "davis17_vos_val", str(root / "found"), *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any(re.search(message, line) for line in lines), lines
    assert not (tmp_path / "out.json").exists() and not (tmp_path / "work").exists()


def test_all_problems_come_at_once(root: Path) -> None:
    (root / FOUND / "00001.png").unlink()
    _small(root / "found/clip1/00002.png")
    row = catalog.get("davis17_vos_val")
    with pytest.raises(DataError) as caught:
        catalog.read_predictions(row, root / "found", catalog.open_samples(row, root))
    assert len(caught.value.problems) == 2


def test_a_demo_with_a_narrow_mask_is_told(samples_dir: Path) -> None:
    truth = samples_dir / "video/vos_demo_judo/Annotations"
    with pytest.raises(DataError, match=r"00005\.png: is 480x853 .*expected 480x854") as caught:
        catalog.verify(catalog.get("davis17_vos_val"), None, truth=truth, needs_frames=False)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(("most", "is_decoded"), [(11, False), (12, True)])
def test_pictures_of_many_frames_are_checked_without_decoding(
    root: Path, monkeypatch: pytest.MonkeyPatch, most: int, is_decoded: bool
) -> None:
    seen: list[tuple[str, bool]] = []

    def look(path: Path, size: object, *, decode: bool) -> list[object]:
        seen.append((path.suffix, decode))
        return []

    monkeypatch.setattr(listing, "check_image", look)
    monkeypatch.setattr(catalog, "DECODE_UP_TO", most)
    catalog.verify(catalog.get("davis17_vos_val"), root)
    assert seen == [(".jpg", is_decoded)] * 12


def test_a_list_with_odd_characters_is_refused(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("bear\nbl\0ck\n", encoding="utf-8")
    with pytest.raises(DataError, match="is no name of a video"):
        videos.read_lines(tmp_path / "val.txt")
