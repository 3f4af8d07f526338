"""Referring videos on disk: MeViS, Ref-YouTube-VOS and Ref-DAVIS17 score as the official code does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_vos_davis import score, write_root
from test_vos_metrics import EXACT, expected, golden_videos
from vos_videos import EXPRESSIONS, Video, draw, mevis_videos, write_answers, write_mevis, write_video

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Panoptic
from benchmark.datasets.ref_davis import NUM_LISTS
from benchmark.formats.davis_expressions import FILES, read_texts
from benchmark.formats.image_files import write_png
from benchmark.metrics import video_objects
from benchmark.problems import DataError


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 5)


def small_videos(num: int = 2, num_frames: int = 6) -> list[Video]:
    dice = np.random.default_rng(21)
    return [draw(f"clip{n}", dice, size=(30, 40), num_frames=num_frames, ids=(1, 2, 3)) for n in range(num)]


@pytest.fixture
def mevis(tmp_path: Path) -> Path:
    write_mevis(tmp_path / "MeViS/valid_u", small_videos())
    write_answers(tmp_path / "found", small_videos())
    return tmp_path


def test_mevis_scores_each_expression_as_the_official_script(tmp_path: Path) -> None:
    videos = mevis_videos(golden_videos("videos"))
    write_mevis(tmp_path / "truth", videos)
    write_answers(tmp_path / "found", videos)
    row = catalog.get("mevis_rvos_val_u")
    samples = catalog.open_samples(row, None, truth=tmp_path / "truth")
    predictions = catalog.read_predictions(row, tmp_path / "found", samples)
    metric = catalog.build_metric(row)
    stats = [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]
    each = video_objects.per_object(stats, video_objects.RULES["expressions"])
    ours = {name.replace("/", "_").removesuffix("_1"): [one["J"], one["F"]] for name, one in each.items()}
    theirs = expected()["mevis"]
    assert ours.keys() == theirs.keys()
    for name, pair in theirs.items():
        assert ours[name] == pytest.approx(pair, abs=EXACT), name
    record = score(tmp_path / "out", "mevis_rvos_val_u", tmp_path / "found", "--truth", str(tmp_path / "truth"))
    means = np.mean(list(theirs.values()), axis=0)
    assert [record["scores"][name] for name in ("J", "F", "J&F")] == pytest.approx([*means, means.mean()], abs=EXACT)


def test_mevis_asks_each_expression(mevis: Path) -> None:
    row = replace(catalog.get("mevis_rvos_val_u"), num_samples=8)
    samples = catalog.open_samples(row, mevis)
    assert samples.ids[:4] == tuple(f"clip0/{key}" for key in EXPRESSIONS)
    assert samples[1].prompt.sentence == "what 1 means" and samples[1].prompt.labels is None
    assert samples[1].frames[2] == mevis / "MeViS/valid_u/JPEGImages/clip0/00002.jpg"


def test_an_expression_about_nobody_scores_where_nothing_is_found(mevis: Path, tmp_path: Path) -> None:
    """Two empty masks agree: silence scores 1 there, the ceiling, and any pixel 0."""
    truth = mevis / "MeViS/valid_u"
    row = catalog.get("mevis_rvos_val_u")
    samples = catalog.open_samples(row, None, truth=truth)
    sample = samples[2]
    metric = catalog.build_metric(row)
    for value, expected_score in ((0, 1.0), (255, 0.0)):
        for path in sample.frames:
            write_png(mevis / "found/clip0/2" / f"{path.stem}.png", np.full((30, 40), value, np.uint8))
        found = catalog.read_predictions(row, mevis / "found", samples)[sample.sample_id]
        counts = metric.measure(sample, found)
        assert metric.pool([counts])(None).values["J"] == expected_score


def test_explicit_truth_without_masks_is_told_once(mevis: Path) -> None:
    (mevis / "MeViS/valid_u/mask_dict.json").unlink()
    with pytest.raises(DataError, match=r"mask_dict\.json: the file is missing") as caught:
        catalog.open_samples(catalog.get("mevis_rvos_val"), None, truth=mevis / "MeViS/valid_u")
    assert len(caught.value.problems) == 1


def test_a_short_split_is_told_in_units_of_its_task(mevis: Path) -> None:
    with pytest.raises(DataError, match=r"8 usable video-text pairs, expected 793"):
        catalog.open_samples(catalog.get("mevis_rvos_val_u"), mevis)


def test_private_mevis_opens_and_does_not_score(mevis: Path) -> None:
    (mevis / "MeViS/valid_u").rename(mevis / "MeViS/valid")
    (mevis / "MeViS/valid/mask_dict.json").unlink()
    for video in small_videos():
        for name in video.frame_names:
            write_png(mevis / f"MeViS/valid/JPEGImages/{video.name}/{name}.jpg", np.zeros((30, 40), np.uint8))
    row = replace(catalog.get("mevis_rvos_val"), num_samples=8)
    samples = catalog.open_samples(row, mevis)
    assert samples[0].size == (30, 40)
    predictions = catalog.read_predictions(row, mevis / "found", samples)
    with pytest.raises(DataError, match="masks are missing, or not public"):
        catalog.build_metric(row).measure(samples[0], predictions[samples.ids[0]])


@pytest.fixture
def ref_youtube(tmp_path: Path) -> Path:
    """The videos of MeViS' tests as Ref-YouTube-VOS has them; clip1 belongs to the test split."""
    videos = small_videos()
    root = tmp_path / "ref-youtube-vos"
    meta = {
        video.name: {
            "expressions": {"0": {"exp": "a disc", "obj_id": "1"}, "1": {"exp": "another", "obj_id": "3"}},
            "frames": video.frame_names,
        }
        for video in videos
    }
    for split, names in (("valid", ("clip0", "clip1")), ("test", ("clip1",))):
        path = root / f"meta_expressions/{split}/meta_expressions.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"videos": {name: meta[name] for name in names}}), encoding="utf-8")
    for video in videos:
        write_video(root / "valid/Annotations", video, video.truth)
        for key, one in (("0", 1), ("1", 3)):
            part = replace(video, name=f"{video.name}/{key}")
            write_video(tmp_path / "found/Annotations", part, (video.found == one).astype(np.uint8))
    return tmp_path


def test_ref_youtube_vos_scores_expressions_of_videos_that_the_test_does_not_have(ref_youtube: Path) -> None:
    row = replace(catalog.get("ref_youtube_vos_rvos_val"), num_samples=2)
    samples = catalog.open_samples(row, ref_youtube)
    assert samples.ids == ("clip0/0", "clip0/1") and samples[0].prompt.sentence == "a disc"
    predictions = catalog.read_predictions(row, ref_youtube / "found", samples)
    metric = catalog.build_metric(row)
    stats = [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]
    video = small_videos()[0]
    for one, object_id in zip(stats, (1, 3), strict=True):
        common = [
            np.count_nonzero((t == object_id) & (p == object_id)) for t, p in zip(video.truth, video.found, strict=True)
        ]
        assert one.arrays["counts"][:, 0].tolist() == common


def ref_davis_root(root: Path, videos: list[Video]) -> Path:
    write_root(root, videos)
    names = {"clip0": "classic-car"}
    for number, (name, encoding) in enumerate(FILES.items()):
        lines = [f'{names.get(video.name, video.name)} {one} "café {one} of list {number}"'
                 for video in videos for one in (2, 1, 3)]  # fmt: skip
        path = root / "davis_text_annotations" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
    for number in range(NUM_LISTS):
        for video in videos:
            moved = np.roll(video.found, number, axis=2)
            write_video(root / "answers" / f"anno_{number}", video, moved)
    return root


def test_ref_davis_averages_the_unsupervised_scores_of_four_lists(tmp_path: Path) -> None:
    videos = small_videos()
    root = ref_davis_root(tmp_path / "data", videos)
    for name in FILES:
        path = root / "davis_text_annotations" / name
        path.write_bytes(path.read_bytes().replace(b"classic-car", b"clip0"))
    record = score(tmp_path / "out", "ref_davis17_rvos_val", root / "answers", "--truth", str(root))
    each = []
    for number in range(NUM_LISTS):
        one = score(tmp_path / f"list{number}", "davis17_unsupervised_vos_val", root / f"answers/anno_{number}",
                    "--truth", str(root / "DAVIS/Annotations_unsupervised/480p"))  # fmt: skip
        each.append(one["scores"])
    for name, value in record["scores"].items():
        assert value == pytest.approx(np.mean([one[name] for one in each]), abs=EXACT)
    assert record["num_scored"] == 8


def test_ref_davis_names_the_objects_by_their_expressions(tmp_path: Path) -> None:
    videos = [replace(video, name={"clip0": "classic-car"}.get(video.name, video.name)) for video in small_videos()]
    root = ref_davis_root(tmp_path / "ref-davis", videos)
    for name, encoding in FILES.items():
        path = root / "davis_text_annotations" / name
        path.write_text(path.read_text(encoding=encoding).replace("classic-car", "clasic-car"), encoding=encoding)
    row = replace(catalog.get("ref_davis17_rvos_val"), num_samples=8)
    samples = catalog.open_samples(row, tmp_path)
    assert samples.ids[:3] == ("anno_0/classic-car", "anno_0/clip1", "anno_1/classic-car")
    assert samples[2].prompt.labels == tuple(f"café {one} of list 1" for one in (1, 2, 3))


@pytest.mark.parametrize("name", ["mevis_rvos_val_u", "ref_youtube_vos_rvos_val"])
def test_results_come_back_to_the_bit(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    home = request.getfixturevalue("mevis" if name.startswith("mevis") else "ref_youtube")
    row = catalog.get(name)
    samples = catalog.open_samples(replace(row, num_samples=8 if name.startswith("mevis") else 2), home)
    found = catalog.read_predictions(row, home / "found", samples)
    catalog.write_predictions(row, tmp_path / "again", [(sample, found[sample.sample_id]) for sample in samples])
    again = catalog.read_predictions(row, tmp_path / "again", samples)
    for sample_id in samples.ids:
        for left, right in zip(found[sample_id].frames, again[sample_id].frames, strict=True):
            assert isinstance(left, Panoptic) and isinstance(right, Panoptic)
            assert left.segments == right.segments and (left.segment_id == right.segment_id).all()


def change(path: str, edit: Callable[[Any], object]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        document = json.loads((root / path).read_text(encoding="utf-8"))
        edit(document)
        (root / path).write_text(json.dumps(document), encoding="utf-8")

    return damage


META, MASKS = "MeViS/valid_u/meta_expressions.json", "MeViS/valid_u/mask_dict.json"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no videos": (change(META, lambda d: d.clear()), "lacks the object 'videos'"),
    "path as video": (change(META, lambda d: d["videos"].update({"../x": d["videos"]["clip0"]})),
                      r"video \.\./x: has no name of a folder"),
    "path as expression": (change(META, lambda d: d["videos"]["clip0"]["expressions"].update({"a/b": {"exp": "x"}})),
                           "expression a/b: has no name of a folder"),
    "no frames": (change(META, lambda d: d["videos"]["clip0"].update(frames=[])), "clip0: lacks the list 'frames'"),
    "frame twice": (change(META, lambda d: d["videos"]["clip0"]["frames"].append("00000")), "names a frame twice"),
    "no text": (change(META, lambda d: d["videos"]["clip0"]["expressions"]["0"].update(exp=3)), "lacks the text 'exp'"),
    "ids of text": (change(META, lambda d: d["videos"]["clip0"]["expressions"]["0"].update(anno_id=["x"])),
                    "obj_id and anno_id must be whole numbers"),
    "no mask of an id": (change(MASKS, lambda d: d.pop("1")), "anno id 1: has no list of masks, video clip0 has 6"),
    "too few masks": (change(MASKS, lambda d: d["1"].pop()), "anno id 1: has 5 masks, video clip0 has 6 frames"),
    "broken mask": (change(MASKS, lambda d: d["1"].__setitem__(0, {"size": [30, 40], "counts": "zz"})),
                    "anno id 1, frame 0: the mask is broken"),
    "narrow mask": (change(MASKS, lambda d: d["1"].__setitem__(5, {"size": [30, 39], "counts": [1170]})),
                    "anno id 1, frame 5: the mask is 30x39"),
    "missing frame": (lambda root: (root / "found/clip1/0/00003.png").unlink(),
                      r"clip1/0: 1 of 6 needed frames are missing \(first: 00003.png\)"),
    "narrow result": (lambda root: write_png(root / "found/clip1/0/00003.png", np.zeros((30, 41), np.uint8)),
                      "clip1/0: 1 frame is not 30x40"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_broken_files_are_named(mevis: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    act, message = DAMAGES[damage]
    act(mevis)
    arguments = ["--truth", str(mevis / "MeViS"), "--work-dir", str(tmp_path / "work")]
    assert main(["score", "mevis_rvos_val_u", str(mevis / "found"), *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any(re.search(message, line) for line in lines), lines


def test_a_line_without_an_expression_is_named(tmp_path: Path) -> None:
    path = tmp_path / "Davis17_annot1.txt"
    path.write_text('bear 1 "a bear"\nbear two\n\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: is no video, object id and expression"):
        read_texts(path, "utf-8")
    path.write_bytes(b'bear 1 "caf\xe9"')
    with pytest.raises(DataError, match="is not utf-8"):
        read_texts(path, "utf-8")
    assert read_texts(path, "latin-1") == {"bear": {1: "café"}}


def test_dark_colours_vanish_in_grey_as_in_the_official_script(mevis: Path) -> None:
    from PIL import Image

    image = Image.fromarray(np.ones((30, 40), np.uint8))
    image.putpalette(bytes((0, 0, 0, 1, 0, 0)) + bytes(762))
    image.save(mevis / "found/clip0/0/00000.png")
    row = catalog.get("mevis_rvos_val_u")
    samples = catalog.open_samples(row, None, truth=mevis / "MeViS")
    frame = catalog.read_predictions(row, mevis / "found", samples)["clip0/0"].frames[0]
    assert isinstance(frame, Panoptic) and not frame.segment_id.any()
