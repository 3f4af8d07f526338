"""MOSE, YouTube-VOS, LVOS and SA-V on disk: official folders and meta files, results, and what is wrong with them."""

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
from test_vos_davis import score
from test_vos_metrics import EXACT, expected, golden_videos
from vos_videos import UNSEEN, Video, draw, lvos_videos, write_lvos, write_objects, write_video

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Instances, Panoptic, Sample
from benchmark.datasets import lvos
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.formats.indexed_masks import objects_of
from benchmark.metrics import video_objects
from benchmark.problems import DataError


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 5)


def small_videos(num: int = 2, **options: Any) -> list[Video]:
    dice = np.random.default_rng(11)
    return [draw(f"clip{n}", dice, size=(30, 40), num_frames=7, ids=options.get("ids", (1, 2))) for n in range(num)]


def write_pictures(folder: Path, videos: list[Video]) -> None:
    for video in videos:
        for name in video.frame_names:
            write_jpeg(folder / video.name / f"{name}.jpg", np.full((*video.truth.shape[1:], 3), 90, np.uint8))


def write_listed(split: Path, videos: list[Video], categories: dict[int, str], starts: dict[int, int]) -> None:
    """Masks, pictures and meta.json of a split of YouTube-VOS, every fifth frame from 00001 on."""
    meta: dict[str, Any] = {}
    for video in videos:
        write_video(split / "Annotations", video, video.truth)
        names = video.frame_names
        meta[video.name] = {
            "objects": {
                str(one): {"category": categories[one], "frames": names[starts.get(one, 0) :]} for one in categories
            }
        }
    write_pictures(split / "JPEGImages", videos)
    (split / "meta.json").write_text(json.dumps({"videos": meta}), encoding="utf-8")


@pytest.fixture
def youtube(tmp_path: Path) -> Path:
    """Two videos with objects 2, of a seen class, and 7, unseen, which starts at the third frame; in 6 frames."""
    videos = [replace(video, step=5) for video in small_videos(ids=(2, 7))]
    for video in videos:
        video.truth[:2][video.truth[:2] == 7] = 0
    root = tmp_path / "YouTubeVOS2019"
    write_listed(root / "valid", videos, {2: "cat", 7: "giant panda"}, {7: 2})
    write_listed(root / "train", small_videos(1), {1: "cat", 2: "dog"}, {})
    for video in videos:
        write_video(tmp_path / "found/Annotations", video, video.found)
    return tmp_path


def test_youtube_vos_scores_seen_and_unseen_classes_from_where_objects_start(youtube: Path, tmp_path: Path) -> None:
    truth = youtube / "YouTubeVOS2019/valid"
    record = score(tmp_path, "youtube_vos19_vos_val", youtube / "found", "--truth", str(truth))
    row = catalog.get("youtube_vos19_vos_val")
    samples = catalog.open_samples(row, None, truth=truth)
    predictions = catalog.read_predictions(row, youtube / "found", samples)
    metric = catalog.build_metric(row)
    stats = [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]
    assert [one.arrays["num_frames"].tolist() for one in stats] == [[5, 3], [5, 3]]
    assert [one.arrays["class_index"].tolist() for one in stats] == [[0, 1], [0, 1]]
    each = video_objects.per_object(stats, video_objects.RULES["youtube_vos"])
    parts = {f"{letter}_{group}": np.mean([each[f"clip{n}_{one}"][letter] for n in (0, 1)])
             for letter in "JF" for one, group in ((2, "seen"), (7, "unseen"))}  # fmt: skip
    assert record["scores"] == pytest.approx({"G": np.mean(list(parts.values())), **parts}, abs=EXACT)
    assert record["per_class"]["unseen"]["J"] == pytest.approx(parts["J_unseen"])


def test_youtube_vos_gives_objects_where_they_start(youtube: Path) -> None:
    row = replace(catalog.get("youtube_vos19_vos_val"), num_samples=2)
    sample = catalog.open_samples(row, youtube)[0]
    assert sample.prompt.objects is not None
    given = {index: objects.object_id.tolist() for index, objects in sample.prompt.objects.items()}
    assert given == {0: [2], 2: [7]}
    assert [path.name for path in sample.frames[:3]] == ["00001.jpg", "00006.jpg", "00011.jpg"]


def test_youtube_vos_opens_with_the_masks_that_are_public(youtube: Path) -> None:
    for path in (youtube / "YouTubeVOS2019/valid/Annotations").glob("*/*.png"):
        if path.stem not in ("00001", "00011"):
            path.unlink()
    row = replace(catalog.get("youtube_vos19_vos_val"), num_samples=2)
    sample = catalog.open_samples(row, youtube)[0]
    assert len(sample.frames) == 7 and sample.prompt.objects is not None
    assert [len(objects) for objects in sample.prompt.objects.values()] == [1, 1]


def test_the_training_of_youtube_vos_has_seen_its_own_classes(youtube: Path) -> None:
    row = replace(catalog.get("youtube_vos19_vos_train"), num_samples=1)
    sample = catalog.open_samples(row, youtube)[0]
    assert sample.truth is not None and sample.truth.tracks is not None
    assert sample.truth.tracks.class_index.tolist() == [0, 0]


def test_mose_scores_by_the_rules_of_davis(tmp_path: Path) -> None:
    videos = small_videos()
    for video in videos:
        write_video(tmp_path / "MOSE/train/Annotations", video, video.truth)
        write_video(tmp_path / "DAVIS", video, video.truth)
        write_video(tmp_path / "found", video, video.found)
    write_pictures(tmp_path / "MOSE/train/JPEGImages", videos)
    mose = score(tmp_path / "a", "mose_vos_train", tmp_path / "found", "--truth", str(tmp_path / "MOSE"))
    davis = score(tmp_path / "b", "davis17_vos_val", tmp_path / "found", "--truth", str(tmp_path / "DAVIS"))
    assert mose["scores"] == davis["scores"]
    row = replace(catalog.get("mose_vos_train"), num_samples=2)
    assert catalog.open_samples(row, tmp_path).ids == ("clip0", "clip1")


@pytest.fixture
def long_videos(tmp_path: Path) -> Path:
    videos = lvos_videos(golden_videos("videos"))
    write_lvos(tmp_path / "LVOS_v1/valid", videos)
    for video in videos:
        write_video(tmp_path / "found/Annotations", video, video.found)
    return tmp_path


def test_lvos_scores_as_the_official_tool_says(long_videos: Path, tmp_path: Path) -> None:
    truth = str(long_videos / "LVOS_v1/valid")
    record = score(tmp_path / "out", "lvos_v1_vos_val", long_videos / "found", "--truth", truth)
    theirs = {name: value for name, value in expected()["lvos"].items() if isinstance(value, float)}
    overall = {"J&F": (theirs["J"] + theirs["F"]) / 2}
    assert record["scores"] == pytest.approx({**overall, **theirs}, abs=EXACT)


def test_objects_of_lvos_score_as_the_official_tool_says(long_videos: Path) -> None:
    row = replace(catalog.get("lvos_v1_vos_val"), num_samples=8)
    samples = catalog.open_samples(row, long_videos)
    predictions = catalog.read_predictions(row, long_videos / "found", samples)
    metric = catalog.build_metric(row)
    stats = [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]
    each = video_objects.per_object(stats, video_objects.RULES["lvos"])
    for letter in ("J", "F", "V"):
        ours = {name: scores[letter] for name, scores in each.items()}
        assert ours == pytest.approx(expected()["lvos"][f"{letter}_per_object"], abs=EXACT)


def test_the_unseen_videos_are_the_official_list(samples_dir: Path) -> None:
    official = (samples_dir / "video/split_lists/lvos/unseen_videos.txt").read_text(encoding="utf-8").split()
    assert lvos.unseen_videos() == set(official) and UNSEEN in official


@pytest.fixture
def overlapping(tmp_path: Path) -> Path:
    """Two videos of SA-V in official folders; object 3 of the second has masks of its last five frames alone."""
    videos = small_videos(ids=(1, 2, 3))
    root = tmp_path / "sav_val"
    for video in videos:
        write_objects(root / "Annotations_6fps", video, video.truth, (1, 2, 3))
        write_objects(tmp_path / "found", video, video.found, (1, 2, 3))
    for name in ("00000", "00001"):
        (root / f"Annotations_6fps/clip1/003/{name}.png").unlink()
    write_pictures(root / "JPEGImages_24fps", videos)
    (root / "sav_val.txt").write_text("clip0\nclip1\n", encoding="utf-8")
    return tmp_path


def test_sav_scores_each_object_over_its_own_frames(overlapping: Path, tmp_path: Path) -> None:
    row = replace(catalog.get("sav_vos_val"), num_samples=2)
    samples = catalog.open_samples(row, overlapping)
    predictions = catalog.read_predictions(row, overlapping / "found", samples)
    metric = catalog.build_metric(row)
    stats = [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]
    video = small_videos(ids=(1, 2, 3))[1]
    seen = [index for index in range(3, 6) if ((video.truth[index] == 3) | (video.found[index] == 3)).any()]
    by_id = dict(zip(stats[1].arrays["object_id"].tolist(), stats[1].arrays["num_frames"].tolist(), strict=True))
    assert by_id[3] == 6 - min(seen)
    again = score(tmp_path / "out", "sav_vos_val", overlapping / "found", "--truth", str(overlapping / "sav_val"))
    assert again["counts"]["objects"] == sum(len(one.arrays["object_id"]) for one in stats)


def test_golden_videos_score_through_folders_of_objects(tmp_path: Path) -> None:
    for video in golden_videos("videos"):
        ids = sorted(set(np.unique(video.truth[1:-1]).tolist()) - {0})
        write_objects(tmp_path / "truth", video, video.truth, ids)
        write_objects(tmp_path / "found", video, video.found, ids)
    row = catalog.get("sav_vos_val")
    samples = catalog.open_samples(row, None, truth=tmp_path / "truth")
    predictions = catalog.read_predictions(row, tmp_path / "found", samples)
    metric = catalog.build_metric(row)
    stats = [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]
    each = video_objects.per_object(stats, video_objects.RULES["vos_benchmark"])
    for letter in "JF":
        ours = {name: scores[letter] for name, scores in each.items()}
        assert ours == pytest.approx(expected()["sav"][letter], abs=EXACT)


def test_sav_gives_each_object_where_it_has_its_first_mask(overlapping: Path) -> None:
    row = replace(catalog.get("sav_vos_val"), num_samples=2)
    given = catalog.open_samples(row, overlapping)[1].prompt.objects
    assert given is not None
    assert {index: objects.object_id.tolist() for index, objects in given.items()} == {0: [1, 2], 2: [3]}


def rows_to_write(youtube: Path, long_videos: Path, overlapping: Path) -> list[tuple[str, Path, Path]]:
    return [
        ("youtube_vos19_vos_val", youtube / "YouTubeVOS2019/valid", youtube / "found"),
        ("lvos_v1_vos_val", long_videos / "LVOS_v1/valid", long_videos / "found"),
        ("sav_vos_val", overlapping / "sav_val", overlapping / "found"),
    ]


@pytest.mark.parametrize("place", range(3))
def test_results_come_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, place: int, request: pytest.FixtureRequest
) -> None:
    fixture = ("youtube", "long_videos", "overlapping")[place]
    home = request.getfixturevalue(fixture)
    name, truth, found = rows_to_write(home, home, home)[place]
    row, out = catalog.get(name), tmp_path_factory.mktemp("again")
    samples = catalog.open_samples(row, None, truth=truth)
    predictions = catalog.read_predictions(row, found, samples)
    catalog.write_predictions(row, out, [(sample, predictions[sample.sample_id]) for sample in samples])
    again = catalog.read_predictions(row, out, samples)
    for sample_id in samples.ids:
        for left, right in zip(predictions[sample_id].frames, again[sample_id].frames, strict=True):
            if isinstance(left, Panoptic) and isinstance(right, Panoptic):
                assert left.segments == right.segments and (left.segment_id == right.segment_id).all()
            else:
                assert isinstance(left, Instances) and isinstance(right, Instances)
                assert left.masks == right.masks and left.object_id.tolist() == right.object_id.tolist()


def _replayed(sample: Sample) -> float:
    """How much of the first given frame its objects cover."""
    assert sample.prompt.objects is not None
    return float(sum(objects.area.sum() for objects in sample.prompt.objects.values()))


def test_given_objects_show_their_truth(youtube: Path) -> None:
    row = catalog.get("youtube_vos19_vos_val")
    for sample in catalog.open_samples(row, None, truth=youtube / "YouTubeVOS2019/valid"):
        assert sample.truth is not None
        first = objects_of(sample.truth.frames[0], [2])
        third = objects_of(sample.truth.frames[2], [7])
        assert _replayed(sample) == first.area.sum() + third.area.sum()


def edit_meta(path: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        document = json.loads((root / path).read_text(encoding="utf-8"))
        change(document)
        (root / path).write_text(json.dumps(document), encoding="utf-8")

    return damage


META = "YouTubeVOS2019/valid/meta.json"
RANGES = "LVOS_v1/valid/valid_meta.json"


def first_object(document: Any) -> Any:
    video = next(iter(document["videos"].values()))
    return next(iter(video["objects"].values()))


def first_objects(document: Any) -> Any:
    return next(iter(document["videos"].values()))["objects"]


DAMAGES: dict[str, tuple[str, str, Callable[[Path], object], str]] = {
    "no videos": ("youtube", "youtube_vos19_vos_val", edit_meta(META, lambda d: d.clear()),
                  "lacks the object 'videos'"),
    "no objects": ("youtube", "youtube_vos19_vos_val",
                   edit_meta(META, lambda d: d["videos"]["clip0"].clear()), "video clip0: lacks the object 'objects'"),
    "path as name": ("youtube", "youtube_vos19_vos_val",
                     edit_meta(META, lambda d: d["videos"].update({"../x": d["videos"]["clip0"]})),
                     r"video \.\./x: has no name of a folder"),
    "id": ("youtube", "youtube_vos19_vos_val",
           edit_meta(META, lambda d: first_objects(d).update({"0": first_object(d)})), "id '0' is no whole number"),
    "no frames": ("youtube", "youtube_vos19_vos_val",
                  edit_meta(META, lambda d: first_object(d).update(frames=[])), "object 2: lacks the list 'frames'"),
    "category": ("youtube", "youtube_vos19_vos_val",
                 edit_meta(META, lambda d: first_object(d).update(category=3)), "object 2: category 3 is not text"),
    "frame not there": ("youtube", "youtube_vos19_vos_val",
                        edit_meta(META, lambda d: first_object(d).update(frames=["00003"])),
                        "clip0: object 2 starts at frame 00003, which is not there"),
    "no training meta": ("youtube", "youtube_vos19_vos_val",
                         lambda root: (root / "YouTubeVOS2019/train/meta.json").unlink(),
                         "which classes were seen is derived from the training's meta.json"),
    "no range": ("long_videos", "lvos_v1_vos_val", edit_meta(RANGES, lambda d: first_object(d).clear()),
                 "object 1: lacks the object 'frame_range'"),
    "range of text": ("long_videos", "lvos_v1_vos_val",
                      edit_meta(RANGES, lambda d: first_object(d)["frame_range"].update(start="x")),
                      "frame_range needs the whole numbers"),
    "range without masks": ("long_videos", "lvos_v1_vos_val",
                            edit_meta(RANGES, lambda d: first_object(d)["frame_range"].update(start=2)),
                            r"frames of object 1 are not there \(first: 00000002\)"),
    "no meta": ("long_videos", "lvos_v1_vos_val", lambda root: (root / RANGES).unlink(), "has no valid_meta.json"),
    "missing object": ("overlapping", "sav_vos_val", lambda root: shutil.rmtree(root / "found/clip0/002"),
                       r"clip0/002: 5 of 5 needed frames are missing \(first: 00001.png\)"),
    "two objects in one": ("overlapping", "sav_vos_val",
                           lambda root: write_png(root / "found/clip0/001/00002.png",
                                                  np.arange(1200, dtype=np.uint8).reshape(30, 40) % 3),
                           "00002.png: shows more than one object"),
    "narrow object": ("overlapping", "sav_vos_val",
                      lambda root: write_png(root / "found/clip0/001/00002.png", np.zeros((30, 39), np.uint8)),
                      r"clip0/001: 1 frame is not 30x40"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_broken_files_are_named(
    damage: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixture, name, change, message = DAMAGES[damage]
    home = request.getfixturevalue(fixture)
    change(home)
    truth = {"youtube": "YouTubeVOS2019/valid", "long_videos": "LVOS_v1/valid", "overlapping": "sav_val"}[fixture]
    arguments = ["--truth", str(home / truth), "--work-dir", str(tmp_path / "work")]
    assert main(["score", name, str(home / "found"), *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any(re.search(message, line) for line in lines), lines


@pytest.mark.parametrize(("name", "landmark"), [
    ("mose_vos_val", "valid/Annotations"), ("youtube_vos18_vos_val", "valid/meta.json"),
    ("lvos_v2_vos_val", "valid/valid_meta.json"), ("sav_vos_test", "sav_test.txt"),
])  # fmt: skip
def test_missing_data_name_the_path_and_the_source(tmp_path: Path, name: str, landmark: str) -> None:
    with pytest.raises(DataError, match=f"{name} is not there .*{landmark}.*Download"):
        catalog.open_samples(catalog.get(name), tmp_path)
