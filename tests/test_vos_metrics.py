"""J&F of video objects: equal to the official tools, to a slow version, and to cases that are worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_metric_laws import same_bits
from vos_videos import Map, Video, draw, pair_of, restored

from benchmark import labels, masks, metrics
from benchmark.contract import (
    Frames,
    Instances,
    LabelMap,
    Panoptic,
    Prediction,
    Sample,
    Scores,
    Segment,
    Stats,
    Tracks,
    Truth,
    make_instances,
    summarise,
)
from benchmark.metrics import object_planes, region_contour, video_objects
from benchmark.metrics.video_objects import RULES, VideoObjects
from benchmark.problems import BenchmarkError, DataError, Problem

GOLDEN = Path(__file__).parent / "golden/vos"
EXACT = 1e-12
ALL = region_contour.Group(np.arange(256, dtype=np.uint8), None)
CASES = ["davis", "davis_unsupervised", "vos_benchmark", "sav"]
RULES_OF = {
    "davis": "davis",
    "davis_unsupervised": "proposals",
    "vos_benchmark": "vos_benchmark",
    "sav": "vos_benchmark",
}


@cache
def expected() -> Any:
    return json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


@cache
def golden_videos(*names: str) -> tuple[Video, ...]:
    found: list[Video] = []
    for name in names:
        with np.load(GOLDEN / f"{name}.npz") as arrays:
            found += restored(dict(arrays))
    return tuple(found)


def videos_of(case: str) -> tuple[Video, ...]:
    return golden_videos("videos", "void_videos") if case in CASES[1:3] else golden_videos("videos")


def metric_of(rules: str) -> VideoObjects:
    return VideoObjects(labels.load("object"), RULES[rules])


def tracks_of(ids: Sequence[int], class_index: Sequence[int] | None = None) -> Tracks:
    num = len(ids)
    return Tracks(
        object_id=np.array(ids, np.int64),
        class_index=np.zeros(num, np.int64) if class_index is None else np.array(class_index, np.int64),
        score=np.ones(num),
        is_crowd=np.zeros(num, bool),
        area=np.zeros(num),
    )


def overlapping(sample: Sample, prediction: Prediction, ids: Sequence[int]) -> tuple[Sample, Prediction]:
    """The same video with run-length masks by object id instead of maps."""
    assert sample.truth is not None

    def frames(side: Any) -> Frames:
        return Frames(len(side), lambda index: instances(side[index]))

    def instances(frame: Panoptic) -> Instances:
        rles = masks.encode_ids(frame.segment_id, ids)
        return make_instances(class_index=[0] * len(ids), masks=rles, object_id=np.array(ids, np.int64))

    truth = Truth(frames=frames(sample.truth.frames), tracks=tracks_of(ids))
    return replace(sample, truth=truth), Prediction(frames=frames(prediction.frames))


def measured(case: str) -> list[Stats]:
    metric = metric_of(RULES_OF[case])
    pairs = [pair_of(video) for video in videos_of(case)]
    if case == "sav":
        ids = [sorted(set(np.unique(video.truth[1:-1]).tolist()) - {0}) for video in videos_of(case)]
        pairs = [overlapping(*pair, one) for pair, one in zip(pairs, ids, strict=True)]
    return [metric.measure(*pair) for pair in pairs]


@pytest.mark.parametrize("case", CASES)
def test_objects_score_as_the_official_tool_says(case: str) -> None:
    found = video_objects.per_object(measured(case), RULES[RULES_OF[case]])
    for letter in ("J", "F"):
        theirs = expected()[case].get(f"{letter}_per_object", expected()[case].get(letter))
        ours = {name: scores[letter] for name, scores in found.items()}
        if case == "davis_unsupervised":  # the tool numbers objects by their proposals
            assert sorted(ours.values()) == pytest.approx(sorted(theirs.values()), abs=EXACT)
        else:
            assert ours == pytest.approx(theirs, abs=EXACT)


@pytest.mark.parametrize("case", CASES[:2])
def test_means_recall_and_decay_are_the_official_ones(case: str) -> None:
    values = summarise(metric_of(RULES_OF[case]), measured(case)).values
    theirs = {name: value for name, value in expected()[case].items() if isinstance(value, float)}
    assert {name: values[name] for name in theirs} == pytest.approx(theirs, abs=EXACT)
    assert values["J&F"] == pytest.approx((theirs["J"] + theirs["F"]) / 2, abs=EXACT)


def slow_contour(found: Map, truth: Map, radius: int) -> float:
    """F of two masks bool [H, W] by its definition, pixel by pixel."""

    def edge(mask: Map) -> set[tuple[int, int]]:
        height, width = mask.shape
        points = set()
        for y in range(height):
            for x in range(width):
                near = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
                if y == height - 1 or x == width - 1:
                    near = near[:1] if y == height - 1 else near[1:2]
                if any(0 <= v < height and 0 <= u < width and mask[v, u] != mask[y, x] for v, u in near):
                    points.add((y, x))
        return points

    def share(points: set[tuple[int, int]], others: set[tuple[int, int]]) -> float:
        hits = sum(any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others) for y, x in points)
        return hits / len(points) if points else 1.0

    a, b = edge(found), edge(truth)
    precision, recall = share(a, b), share(b, a)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(12))
def test_counts_equal_the_definition_pixel_by_pixel(seed: int) -> None:
    dice = np.random.default_rng(seed)
    size = (int(dice.integers(1, 18)), int(dice.integers(1, 22)))
    found, truth = ((dice.random(size) < dice.choice([0.02, 0.2, 0.9])).astype(np.uint8) for _ in range(2))
    radius = int(dice.integers(0, 5))
    for window in (region_contour.crop(found, truth), (slice(None), slice(None))):
        layers = [region_contour.Layer(np.ascontiguousarray(side[window]), (ALL,)) for side in (found, truth)]
        counts = region_contour.count_same(layers[:1], layers[1:], radius, region_contour.Scratch())
        union = np.count_nonzero(found | truth)
        assert region_contour.region(counts)[0] == (np.count_nonzero(found & truth) / union if union else 1.0)
        assert region_contour.contour(counts)[0] == pytest.approx(slow_contour(found, truth, radius), abs=1e-15)


def test_pairs_of_objects_count_like_each_object_alone() -> None:
    dice = np.random.default_rng(3)
    sides = [dice.integers(0, 256, (3, 9, 14)).astype(np.uint8) for _ in range(2)]
    found, truth = ([region_contour.Layer(plane, (ALL,)) for plane in side] for side in sides)
    scratch = region_contour.Scratch()
    counts = region_contour.count_pairs(found, truth, 2, scratch)
    for a in range(24):
        for b in range(24):
            one, other = (
                region_contour.Layer((side[row // 8] >> (row % 8)) & 1, (ALL,))
                for side, row in zip(sides, (a, b), strict=True)
            )
            alone = region_contour.count_same([one], [other], 2, scratch)[0]
            assert (counts[a, b] == alone).all()


@pytest.mark.parametrize(("size", "radius"), [((480, 854), 8), ((720, 1280), 12), ((480, 910), 9), ((300, 400), 4)])
def test_tolerance_is_the_share_of_the_diagonal(size: tuple[int, int], radius: int) -> None:
    assert region_contour.tolerance(size) == radius


def frame_pair(truth: Sequence[str], found: Sequence[str]) -> Video:
    """A video of equal frames drawn in text, four of them, so that two count."""
    sides = [np.array([[int(one) for one in line] for line in side], np.uint8) for side in (truth, found)]
    return Video(name="drawn", truth=np.stack([sides[0]] * 4), found=np.stack([sides[1]] * 4))


def values(rules: str, *videos: Video) -> dict[str, float]:
    metric = metric_of(rules)
    return dict(summarise(metric, [metric.measure(*pair_of(video)) for video in videos]).values)


def test_a_shift_by_one_pixel_by_hand() -> None:
    # 4x5 image, so the disc has radius ceil(0.008 * 6.4) = 1. The object is 2x2, the prediction one pixel to the right:
    # 2 common pixels of 6. Each contour has the 3x3 block above and left of the object's lower right pixel but for one
    # inner pixel, 8 pixels; every one of the prediction's lies next to one of the truth's and the other way round.
    video = frame_pair(["00000", "01100", "01100", "00000"], ["00000", "00110", "00110", "00000"])
    scores = values("davis", video)
    assert scores["J"] == pytest.approx(1 / 3) and scores["F"] == 1.0
    assert (scores["J_recall"], scores["F_recall"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("truth", "found", "region", "contour"),
    [
        (["0000", "0000"], ["0000", "0000"], 1.0, 1.0),
        (["1111", "1111"], ["1111", "1111"], 1.0, 1.0),
        (["1111", "1111"], ["0000", "0000"], 0.0, 1.0),
        (["0110", "0110"], ["0000", "0000"], 0.0, 0.0),
        (["0110", "0110"], ["1111", "1111"], 0.5, 0.0),
    ],
)
def test_empty_and_full_frames(truth: list[str], found: list[str], region: float, contour: float) -> None:
    """An object that fills the frame has no contour, so only its region is missed."""
    video = frame_pair(truth, found)
    video.truth[0] = 1  # the object is given in the first frame, which does not count
    scores = values("davis", video)
    assert (scores["J"], scores["F"]) == (region, contour)


@pytest.mark.parametrize(("rules", "inside"), [("davis", range(1, 9)), ("expressions", range(10))])
def test_truth_replayed_scores_one_and_nothing_scores_the_share_of_absences(rules: str, inside: range) -> None:
    """Two empty masks agree, so nothing scores 1 where an object is absent."""
    video = next(one for one in golden_videos("videos") if one.name == "vanished")
    perfect = replace(video, found=video.truth)
    assert {values(rules, perfect)[name] for name in ("J&F", "J", "F")} == {1.0}
    empty = replace(video, found=np.zeros_like(video.found))
    absent = [np.mean([not (video.truth[index] == one).any() for index in inside]) for one in (1, 2)]
    assert values(rules, empty)["J"] == pytest.approx(np.mean(absent))


def test_decay_of_more_than_256_frames_follows_the_official_8_bits_only_on_request() -> None:
    truth = np.zeros((402, 4, 4), np.uint8)
    truth[:, 1, 1] = 1
    found = truth.copy()
    found[200:] = 0
    video = Video(name="long", truth=truth, found=found)
    assert values("davis", video)["J_decay"] == 1.0
    # 400 values: the indices are 0, 100, 200, 299 and 399; in 8 bits the last two are 43 and 143.
    assert values("davis_8bit", video)["J_decay"] == pytest.approx(1.0 - 1.0)


def test_groups_are_averaged_before_the_four_numbers() -> None:
    video = next(one for one in golden_videos("videos") if one.name == "typical")
    metric = VideoObjects(labels.load("seen_unseen"), RULES["youtube_vos"])
    stats = [metric.measure(*pair_of(video, tracks_of((1, 2, 3), (0, 1, 0))))]
    each = video_objects.per_object(stats, metric.rules)
    seen = [each["typical_1"], each["typical_3"]]
    parts = {
        "J_seen": np.mean([one["J"] for one in seen]),
        "F_seen": np.mean([one["F"] for one in seen]),
        "J_unseen": each["typical_2"]["J"],
        "F_unseen": each["typical_2"]["F"],
    }
    found = dict(summarise(metric, stats).values)
    assert found == pytest.approx({"G": np.mean(list(parts.values())), **parts})
    only_seen = [metric.measure(*pair_of(video, tracks_of((1, 2, 3))))]
    assert np.isnan(summarise(metric, only_seen).values["G"])


def test_objects_outside_their_stretch_do_not_count() -> None:
    video = next(one for one in golden_videos("videos") if one.name == "typical")
    sample, prediction = pair_of(video, tracks_of((1, 2)))
    assert sample.truth is not None
    nobody, second = (make_instances(class_index=[0] * len(ids), object_id=np.array(ids)) for ids in ((), (2,)))
    outside = [second if index < 4 or index > 9 else nobody for index in range(14)]
    sample = replace(sample, truth=replace(sample.truth, ignored=outside))
    stats = metric_of("youtube_vos").measure(sample, prediction)
    assert stats.arrays["num_frames"].tolist() == [12, 4]
    part = Video(name="part", truth=video.truth[4:10], found=video.found[4:10])
    alone = metric_of("youtube_vos").measure(*pair_of(part, tracks_of((2,))))
    assert (stats.arrays["counts"][12:] == alone.arrays["counts"]).all()


@pytest.mark.parametrize("rules", [name for name in RULES if name != "proposals"])
def test_masks_and_maps_of_the_same_objects_count_alike(rules: str) -> None:
    for video in golden_videos("videos"):
        ids = range(1, int(video.truth[0].max()) + 1)
        sample, prediction = pair_of(video, tracks_of(ids))
        metric = metric_of(rules)
        left, right = metric.measure(sample, prediction), metric.measure(*overlapping(sample, prediction, ids))
        assert all((left.arrays[name] == right.arrays[name]).all() for name in left.arrays)


def test_ids_above_255_are_told_apart() -> None:
    video = next(one for one in golden_videos("videos") if one.name == "typical")
    high = {1: 700, 2: 255, 3: 256}
    ids = sorted(high.values())

    def renamed(frame: Panoptic) -> Panoptic:
        table = np.zeros(256, np.int32)
        table[list(high)] = list(high.values())
        rows = tuple(replace(row, id=high[row.id]) for row in frame.segments)
        return Panoptic(segment_id=table[frame.segment_id], segments=rows)

    sample, prediction = pair_of(video, tracks_of((1, 2, 3)))
    assert sample.truth is not None
    frames = [[renamed(frame) for frame in side] for side in (sample.truth.frames, prediction.frames)]  # type: ignore[arg-type]
    moved = replace(sample, truth=Truth(frames=frames[0], tracks=tracks_of(ids)))
    metric = metric_of("youtube_vos")
    left, right = metric.measure(sample, prediction), metric.measure(moved, Prediction(frames=frames[1]))
    rows = right.arrays["counts"].reshape(3, 12, 6)
    by_id = dict(zip(right.arrays["object_id"].tolist(), rows, strict=True))
    for one, row in zip((1, 2, 3), left.arrays["counts"].reshape(3, 12, 6), strict=True):
        assert (by_id[high[one]] == row).all()


every_rule = pytest.mark.parametrize("rules", RULES)


def stats_of(rules: str) -> list[Stats]:
    metric = metric_of(rules)
    return [metric.measure(*pair_of(video)) for video in golden_videos("videos")]


@every_rule
def test_order_and_weights_change_no_score(rules: str) -> None:
    metric, stats = metric_of(rules), stats_of(rules)
    result = summarise(metric, stats)
    shuffled = [stats[place] for place in np.random.default_rng(1).permutation(len(stats))]
    assert same_bits(summarise(metric, shuffled), result)
    weights = np.random.default_rng(2).integers(0, 3, len(stats))
    repeated = [
        replace(one, sample_id=f"{one.sample_id}/{number}")
        for one, weight in zip(stats, weights, strict=True)
        for number in range(weight)
    ]
    left, right = metric.pool(stats)(weights), summarise(metric, repeated)
    assert dict(left.values) == pytest.approx(dict(right.values), abs=EXACT, nan_ok=True)
    assert left.counts == right.counts and left.num_scored == right.num_scored


@every_rule
def test_statistics_are_whole_numbers(rules: str) -> None:
    for one in stats_of(rules)[:2]:
        assert {value.dtype.kind for value in one.arrays.values()} == {"i"}


@every_rule
def test_no_samples_have_no_score(rules: str) -> None:
    result: Scores = summarise(metric_of(rules), [])
    assert all(np.isnan(value) for value in result.values.values())
    assert result.counts == {"objects": 0, "object_frames": 0}


@pytest.mark.parametrize("name", ["j_and_f", "j_and_f_matched", "j_and_f_grouped", "j_and_f_expressions"])
def test_entries_say_the_scores_that_come(name: str) -> None:
    entry = metrics.METRICS[name]
    for protocol_name, protocol in entry.protocols.items():
        metric = metrics.build(name, labels.load("object"), protocol_name)
        assert tuple(summarise(metric, []).values) == protocol.score_names
    assert entry.tool


def test_an_id_above_the_number_of_objects_is_refused_as_in_the_official_tool() -> None:
    video = draw("typical", np.random.default_rng(0), size=(30, 40), num_frames=6, ids=(1, 2))
    video.found[2:4, 0, 0] = 255
    video.found[0, 0, 0] = 9  # nobody reads the first frame
    with pytest.raises(DataError, match=r"^typical: 2 frames \(first: 00002\) hold ids 255; the highest .* is 2\."):
        metric_of("davis").measure(*pair_of(video))
    video.found[2:4, 0, 0] = 21
    with pytest.raises(DataError, match=r"hold ids 21; the highest of the video is 20\."):
        metric_of("proposals").measure(*pair_of(video))


def test_wrong_kinds_sizes_and_lengths_are_refused_by_sample() -> None:
    video = draw("typical", np.random.default_rng(0), size=(30, 40), num_frames=6, ids=(1, 2))
    sample, prediction = pair_of(video)
    metric = metric_of("davis")
    with pytest.raises(BenchmarkError, match=r"^typical: the sample has no truth"):
        metric.measure(replace(sample, truth=None), prediction)
    with pytest.raises(BenchmarkError, match=r"^typical: prediction has 5 frames, the truth has 6\.$"):
        metric.measure(sample, Prediction(frames=list(prediction.frames)[:5]))
    with pytest.raises(BenchmarkError, match=r"^typical: truth of frame 1 is 30x40 .* the video is 31x40"):
        metric.measure(replace(sample, size=(31, 40)), prediction)
    label_map = LabelMap(class_index=np.zeros((30, 40), np.uint16))
    with pytest.raises(BenchmarkError, match=r"^typical: prediction, frame 1: a frame is of kind LabelMap"):
        metric.measure(sample, Prediction(frames=[label_map] * 6))
    boxes = make_instances(class_index=[0])
    with pytest.raises(BenchmarkError, match=r"a frame is of kind boxes"):
        metric.measure(sample, Prediction(frames=[boxes] * 6))


def test_problems_of_all_frames_are_raised_together() -> None:
    video = draw("typical", np.random.default_rng(0), size=(30, 40), num_frames=6, ids=(1, 2))
    sample, prediction = pair_of(video)

    def build(index: int) -> Panoptic:
        raise DataError([Problem(place=f"{index}.png", message="is empty", remedy="Write it again")])

    with pytest.raises(DataError) as caught:
        metric_of("davis").measure(sample, Prediction(frames=Frames(6, build)))
    assert [problem.place for problem in caught.value.problems] == ["1.png", "2.png", "3.png", "4.png"]
    assert len(prediction.frames) == 6


def test_each_frame_is_decoded_once_and_none_is_kept() -> None:
    video = draw("typical", np.random.default_rng(0), size=(30, 40), num_frames=40, ids=(1, 2))
    sample, prediction = pair_of(video)
    assert sample.truth is not None
    decoded: list[tuple[str, int]] = []

    def counting(side: str, frames: Any) -> Frames:
        def build(index: int) -> Panoptic:
            decoded.append((side, index))
            return frames[index]

        return Frames(40, build)

    truth = replace(sample.truth, frames=counting("truth", sample.truth.frames))
    metric_of("davis").measure(replace(sample, truth=truth), Prediction(frames=counting("found", prediction.frames)))
    assert sorted(decoded) == sorted([("truth", 0), *((side, i) for side in ("truth", "found") for i in range(1, 39))])


def test_objects_of_a_frame_know_their_void() -> None:
    ids = np.array([[0, 1, 255]], np.int32)
    frame = Panoptic(
        segment_id=ids, segments=(Segment(id=1, class_index=0), Segment(id=255, class_index=0, is_crowd=True))
    )
    side = object_planes.Objects.of(frame)
    assert (side.ids, side.void_ids) == ((1,), (255,))
    assert side.void is not None and side.void.tolist() == [[0, 0, 255]]
