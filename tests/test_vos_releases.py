"""MOSEv2 and ReVOS: equal to the frozen output of their tools, and their files on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_vos_metrics import EXACT, golden_videos
from vos_golden import GOLDEN
from vos_golden_releases import STORED_AS
from vos_videos import (
    Video,
    revos_videos,
    write_raw_answers,
    write_reasonvos,
    write_revos,
    write_sentences,
    write_video,
)

from benchmark import catalog, metrics
from benchmark.contract import (
    Frames,
    Instances,
    Panoptic,
    Prediction,
    Prompt,
    Sample,
    Stats,
    Task,
    Truth,
    make_instances,
)
from benchmark.masks import areas as mask_areas
from benchmark.masks import encode
from benchmark.metrics import reasoning_videos, vanishing_objects, video_objects
from benchmark.problems import DataError


@cache
def official() -> dict[str, Any]:
    return json.loads((GOLDEN / "releases.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def write_mose2(root: Path, videos: list[Video]) -> None:
    """Masks and meta file of MOSEv2's validation; `found` beside it holds results."""
    meta = {}
    for video in videos:
        write_video(root / "MOSEv2/valid/Annotations", video, video.truth)
        write_video(root / "found", video, video.found)
        num, height, width = video.truth.shape
        ids = [str(one) for one in range(1, int(video.truth[0].max()) + 1)]
        meta[video.name] = {"length": num, "height": height, "width": width, "objects": ids}
    (root / "MOSEv2/valid/meta.json").write_text(json.dumps({"videos": meta}), encoding="utf-8")


def measured(name: str, root: Path, protocol: str | None = None) -> list[Stats]:
    """Statistics of the results below `found`."""
    row = catalog.get(name)
    samples = catalog.open_samples(row, root, is_mini=True)
    predictions = catalog.read_predictions(row, root / "found", samples)
    metric = catalog.build_metric(row, protocol)
    return [metric.measure(sample, predictions[sample.sample_id]) for sample in samples]


def test_every_object_of_mosev2_scores_as_the_official_tool_says(tmp_path: Path) -> None:
    write_mose2(tmp_path, golden_videos("videos"))
    stats = measured("mose2_vos_val", tmp_path)
    ours = vanishing_objects.per_object(stats)
    theirs = official()["mose2"]
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        wanted = {part: np.nan if value is None else value for part, value in values.items()}
        assert ours[name] == pytest.approx(wanted, abs=EXACT, nan_ok=True), name
    scores = catalog.build_metric(catalog.get("mose2_vos_val")).pool(stats)(None).values
    means = {part: np.mean([row[part] for row in theirs.values() if row[part] is not None]) for part in ours[name]}
    assert scores["J&F_new"] == pytest.approx((means["J"] + means["F_new"]) / 2, abs=EXACT)
    assert scores["reappear_J&F_new"] == pytest.approx((means["reappear_J"] + means["reappear_F"]) / 2, abs=EXACT)
    assert scores["disappear_J&F_new"] == pytest.approx((means["disappear_J"] + means["disappear_F"]) / 2, abs=EXACT)


@pytest.mark.parametrize("value", STORED_AS)
def test_every_expression_of_revos_scores_as_the_official_tool_says(tmp_path: Path, value: int) -> None:
    videos = revos_videos(golden_videos("videos"))
    write_revos(tmp_path / "ReVOS", videos)
    write_raw_answers(tmp_path / "found", videos, value)
    stats = measured("revos_rvos_val", tmp_path, "official")
    theirs = official()[f"revos_{value}"]
    metric = reasoning_videos.ReasoningVideos(is_official=True)
    for one in stats:
        kind = one.arrays["kind"][0]
        shown = Stats(sample_id=one.sample_id, arrays={**one.arrays, "kind": np.zeros(1, np.int64)})
        found = metric.pool([shown])(None).values
        wanted = [round(100 * value, 2) / 100 for value in theirs[one.sample_id.replace("/", "_")]]
        assert [found[f"{name}_referring"] for name in "JFAR"] == pytest.approx(wanted, abs=EXACT), (one, kind)
    assert len(theirs) == len(stats)


def test_masks_of_revos_stored_as_255_cost_nothing_in_the_binary_protocol(tmp_path: Path) -> None:
    videos = revos_videos(golden_videos("videos"))
    scores = {}
    for value in STORED_AS:
        write_revos(tmp_path / str(value) / "ReVOS", videos)
        write_raw_answers(tmp_path / str(value) / "found", videos, value)
        for protocol in ("binary", "official"):
            stats = measured("revos_rvos_val", tmp_path / str(value), protocol)
            metric = catalog.build_metric(catalog.get("revos_rvos_val"), protocol)
            scores[protocol, value] = metric.pool(stats)(None).values
    assert scores["binary", 1] == scores["binary", 255]
    assert scores["official", 255]["R"] < scores["official", 1]["R"]
    assert scores["official", 255]["A"] < scores["official", 1]["A"]


def test_revos_results_come_back_with_their_values(tmp_path: Path) -> None:
    videos = revos_videos(golden_videos("videos"))
    write_revos(tmp_path / "ReVOS", videos)
    row = catalog.get("revos_rvos_val")
    sample: Sample = catalog.open_samples(row, tmp_path, is_mini=True)[0]
    values = np.zeros(sample.size, np.int32)
    values[:2, :3] = 38
    frame = Panoptic(segment_id=values, segments=())
    prediction = Prediction(frames=Frames(len(sample.frames), lambda _: frame))
    catalog.write_predictions(row, tmp_path / "again", [(sample, prediction)])
    samples = catalog.open_samples(row, tmp_path, is_mini=True)
    found = catalog.read_predictions(row, tmp_path / "again", samples)[sample.sample_id].frames[0]
    assert isinstance(found, Panoptic)
    assert np.array_equal(found.segment_id, values) and [one.id for one in found.segments] == [38]


BROKEN = {
    "no foreground": ("mask_dict_foreground.json", "{}", r"no list 'masks_rle', the video has 14 frames"),
    "unknown type": (None, None, r"type_id 7 is not 0, 1 or 2"),
    "broken JSON": ("mask_dict.json", "{", r"mask_dict\.json"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_of_revos_are_named(tmp_path: Path, case: str) -> None:
    write_revos(tmp_path / "ReVOS", revos_videos(golden_videos("videos"))[:1])
    name, content, message = BROKEN[case]
    if name is not None and content is not None:
        (tmp_path / "ReVOS" / name).write_text(content, encoding="utf-8")
    else:
        path = tmp_path / "ReVOS/meta_expressions_valid_.json"
        path.write_text(path.read_text(encoding="utf-8").replace('"type_id": 2', '"type_id": 7'), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        catalog.open_samples(catalog.get("revos_rvos_val"), tmp_path, is_mini=True)


def test_a_meta_file_of_mosev2_without_objects_or_with_another_length_is_named(tmp_path: Path) -> None:
    videos = golden_videos("videos")[:2]
    write_mose2(tmp_path, videos)
    path = tmp_path / "MOSEv2/valid/meta.json"
    meta = json.loads(path.read_text(encoding="utf-8"))
    meta["videos"][videos[0].name]["objects"] = []
    meta["videos"][videos[1].name]["length"] = 3
    path.write_text(json.dumps(meta), encoding="utf-8")
    row = replace(catalog.get("mose2_vos_val"), truth="public")
    with pytest.raises(DataError) as caught:
        catalog.open_samples(row, None, truth=tmp_path / "MOSEv2/valid")
    assert len(caught.value.problems) == 2


def test_every_expression_of_reasonvos_scores_as_the_official_tool_says(tmp_path: Path) -> None:
    write_reasonvos(tmp_path / "ReasonVOS", tmp_path / "found", revos_videos(golden_videos("videos")))
    stats = measured("reasonvos_rvos_test", tmp_path)
    each = video_objects.per_object(stats, video_objects.RULES["expressions"])
    ours = {name.replace("/", "_").removesuffix("_1"): [one["J"], one["F"]] for name, one in each.items()}
    theirs = official()["reasonvos"]
    assert ours.keys() == theirs.keys()
    for name, pair in theirs.items():
        assert ours[name] == pytest.approx(pair, abs=EXACT), name


BROKEN_EXPRESSIONS = {
    "a way out": ('"source": "MOSE"', '"source": "../MOSE"', r"must be names of folders"),
    "no text": ('"exp_text": "what 1 means"', '"exp_text": 5', r"exp_text 5 is not text"),
    "twice": ('"obj_id": 2, "exp_id": 9', '"obj_id": 1, "exp_id": 8', r"is there twice"),
    "no masks": ('"obj_id": 2', '"obj_id": 22', r"has no masks"),
}


@pytest.mark.parametrize("case", BROKEN_EXPRESSIONS)
def test_broken_expressions_of_reasonvos_are_named(tmp_path: Path, case: str) -> None:
    write_reasonvos(tmp_path / "ReasonVOS", tmp_path / "found", revos_videos(golden_videos("videos"))[:1])
    path = tmp_path / "ReasonVOS/meta_expressions.json"
    right, wrong, message = BROKEN_EXPRESSIONS[case]
    path.write_text(path.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        catalog.open_samples(catalog.get("reasonvos_rvos_test"), tmp_path, is_mini=True)


def test_sentences_score_as_the_official_tool_says(tmp_path: Path) -> None:
    write_sentences(tmp_path / "a2d_sentences", tmp_path / "found", revos_videos(golden_videos("videos")))
    stats = measured("a2d_sentences_rvos_test", tmp_path)
    found = catalog.build_metric(catalog.get("a2d_sentences_rvos_test")).pool(stats)(None).values
    theirs = {name: np.nan if value == -1 else value for name, value in official()["sentences"].items()}
    assert found == pytest.approx(theirs, abs=EXACT, nan_ok=True)


def test_an_iou_of_exactly_a_threshold_counts_as_float32_has_it() -> None:
    """3 / 5 is above 0.6 in float32 and 7 / 10 is not above 0.7; 1e-6 lifts 1 / 2, and vanishes beside large areas."""
    metric = catalog.build_metric(catalog.get("a2d_sentences_rvos_test"))
    for shared, union, wanted in ((3, 5, 0.6), (7000, 10000, 0.6), (1, 2, 0.5), (10000, 20000, None)):
        whole = np.zeros((1, union), bool)
        whole[:] = True
        part = np.zeros((1, union), bool)
        part[:, :shared] = True
        frames = [make_instances(class_index=[0], masks=[encode(one)], area=np.array([union])) for one in (whole, part)]
        sample = Sample(
            sample_id="v_a_f_1_i_1",
            frames=(),
            size=(1, union),
            prompt=Prompt(task=Task.RVOS),
            truth=Truth(frames=(frames[0],)),
        )
        values = metric.pool([metric.measure(sample, Prediction(frames=(frames[1],)))])(None).values
        above = [least for least in (0.5, 0.6, 0.7, 0.8, 0.9) if values[f"P@{least}"]]
        assert max(above, default=None) == wanted, (shared, union)


MANUAL = "video/sav_masklets_manual/sav_000001_manual.json"


def test_masklets_of_a_training_video_of_sav_have_the_sizes_that_the_file_states(samples_dir: Path) -> None:
    """masklet_size_abs is the mean area over the frames that show an object; one object starts at frame 113."""
    row = catalog.get("sav_vos_train")
    sample = catalog.open_samples(row, None, truth=samples_dir / MANUAL)[0]
    stated = json.loads((samples_dir / MANUAL).read_text(encoding="utf-8"))["masklet_size_abs"]
    assert sample.truth is not None and sample.prompt.objects is not None
    areas: dict[int, list[int]] = {one: [] for one in range(5)}
    for frame in sample.truth.frames:
        assert isinstance(frame, Instances) and frame.masks is not None
        for one, size in zip(frame.object_id.tolist(), mask_areas(frame.masks).tolist(), strict=True):
            areas[one] += [size] if size else []
    assert [float(np.mean(areas[one])) for one in range(5)] == pytest.approx(stated, abs=1e-9)
    given = {index: objects.object_id.tolist() for index, objects in sample.prompt.objects.items()}
    assert given == {0: [0, 1, 2, 4], 113: [3]}
    assert len(sample.frames) == 121 and sample.frames[113].name == "00452.jpg" and sample.size == (848, 480)


BROKEN_MASKLETS = {
    "another number of objects": ({"masklet_id": [0, 1]}, r"no list of 2 whole numbers"),
    "an id twice": ({"masklet_id": [1, 1, 2, 3, 4]}, r"masklet_id is no list of different whole numbers"),
    "no size": ({"video_height": "tall"}, r"video_height and video_width"),
    "no masks": ({"masklet": []}, r"masklet is no list of frames with 5 masks each"),
}


@pytest.mark.parametrize("case", BROKEN_MASKLETS)
def test_broken_masklets_are_named(samples_dir: Path, tmp_path: Path, case: str) -> None:
    wrong, message = BROKEN_MASKLETS[case]
    content = json.loads((samples_dir / MANUAL).read_text(encoding="utf-8"))
    path = tmp_path / "sav_000001_manual.json"
    path.write_text(json.dumps({**content, **wrong}), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        catalog.open_samples(catalog.get("sav_vos_train"), None, truth=path)[0]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Stats]]:
    """Statistics of a row for each metric of this module."""
    root, videos = tmp_path_factory.mktemp("releases"), revos_videos(golden_videos("videos"))
    write_mose2(root / "mose2", videos)
    write_revos(root / "revos/ReVOS", videos)
    write_raw_answers(root / "revos/found", videos, 255)
    write_sentences(root / "sentences/a2d_sentences", root / "sentences/found", videos)
    names = {"mose2_vos_val": "mose2", "revos_rvos_val": "revos", "a2d_sentences_rvos_test": "sentences"}
    return {name: measured(name, root / folder) for name, folder in names.items()}


@pytest.mark.parametrize("name", ["mose2_vos_val", "revos_rvos_val", "a2d_sentences_rvos_test"])
def test_neither_order_nor_sharding_nor_repetition_changes_a_score(releases: dict[str, list[Stats]], name: str) -> None:
    row, stats = catalog.get(name), releases[name]
    metric = catalog.build_metric(row)
    whole = metric.pool(stats)(None).values
    assert not np.isnan(whole[row.main_score])
    np.testing.assert_equal(dict(metric.pool(stats[::-1])(None).values), dict(whole))
    weights = np.arange(len(stats), dtype=np.int64) % 3
    copies = [one for one, times in zip(stats, weights.tolist(), strict=True) for _ in range(times)]
    renamed = [replace(one, sample_id=f"{one.sample_id}#{number}") for number, one in enumerate(copies)]
    weighted, repeated = metric.pool(stats)(weights).values, metric.pool(renamed)(None).values
    assert weighted == pytest.approx(repeated, abs=1e-12, nan_ok=True)
    assert {law.text for law in metrics.METRICS[row.metric].laws}
    scores = metric.pool(stats)(None)
    assert not [breach for law in metrics.METRICS[row.metric].laws for breach in law.breaches(scores, stats)]
