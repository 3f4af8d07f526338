"""AP over tracks: worked by hand on drawn videos, equal to the official tool on generated ones, and its laws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_metric_laws import same_bits
from video_instance_scenes import SCENARIOS, documents

from benchmark import catalog, labels, mask_tracks, masks, metrics
from benchmark.contract import (
    Frames,
    Instances,
    LabelMap,
    Prediction,
    Prompt,
    Sample,
    Scores,
    Stats,
    Task,
    Tracks,
    Truth,
    make_instances,
    summarise,
)
from benchmark.problems import BenchmarkError

GOLDEN = Path(__file__).parent / "golden/video_instances"
ROW = catalog.get("youtube_vis19_vis_val")
METRIC = catalog.build_metric(ROW)
BIRD, CAT = 2, 13
Box = tuple[int, int, int, int]
Drawn = Sequence[Box | None]
"""Of one track: left, top, width, height in each frame, None where it is not seen."""
LEFT, RIGHT = (0, 0, 4, 4), (4, 4, 4, 4)


def frame(index: int, tracks: Sequence[Drawn], size: tuple[int, int]) -> Instances:
    shown = [(number, track[index]) for number, track in enumerate(tracks, start=1)]
    kept = [(number, box) for number, box in shown if box is not None]
    found = []
    for _, (left, top, width, height) in kept:
        mask = np.zeros(size, bool)
        mask[top : top + height, left : left + width] = True
        found.append(masks.encode(mask))
    ids = np.array([number for number, _ in kept], np.int64)
    return make_instances(class_index=[CAT] * len(kept), masks=found, object_id=ids)


def whole(tracks: Sequence[Drawn], **fields: Sequence[Any]) -> Tracks:
    num = len(tracks)
    areas = [np.mean([box[2] * box[3] for box in track if box] or [0]) for track in tracks]
    return Tracks(
        object_id=np.arange(1, num + 1),
        class_index=np.array(fields.get("classes", [CAT] * num), np.int64),
        score=np.array(fields.get("score", [1.0] * num), np.float64),
        is_crowd=np.array(fields.get("crowd", [False] * num), bool),
        area=np.array(fields.get("area", areas), np.float64),
    )


def video(tracks: Sequence[Drawn], size: tuple[int, int] = (8, 8), **fields: Sequence[Any]) -> Sample:
    num_frames = len(tracks[0]) if tracks else 2
    frames = Frames(num_frames, lambda index: frame(index, tracks, size))
    truth = Truth(frames=frames, tracks=whole(tracks, **fields))
    return Sample(sample_id="1", frames=(), size=size, prompt=Prompt(task=Task.VIS), truth=truth)


def answer(tracks: Sequence[Drawn], sample: Sample, **fields: Sequence[Any]) -> Prediction:
    assert sample.truth is not None
    frames = Frames(len(sample.truth.frames), lambda index: frame(index, tracks, sample.size))
    return Prediction(frames=frames, tracks=whole(tracks, **fields))


def score(sample: Sample, prediction: Prediction) -> Scores:
    return summarise(METRIC, [METRIC.measure(sample, prediction)])


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ((LEFT, LEFT), (LEFT, LEFT), 1.0),
        # 16 common pixels of 32: the second mask is on one side only. IoU 0.5 matches at one of ten thresholds.
        ((LEFT, LEFT), (LEFT, None), 0.1),
        ((LEFT, None), (LEFT, LEFT), 0.1),
        # 16 + 8 common pixels of 32: 0.75 matches at 0.50, 0.55, ..., 0.75. The mean of the frames' IoU says the same.
        ((LEFT, LEFT), (LEFT, (0, 0, 4, 2)), 0.6),
        # 4 + 16 of 4 + 64: the large frame decides, where a mean over frames would be 0.625.
        (((0, 0, 2, 2), (0, 0, 8, 8)), ((0, 0, 2, 2), LEFT), 0.0),
        ((LEFT, LEFT), (RIGHT, RIGHT), 0.0),
        # No pixels on either side: IoU 0, nothing matches.
        (((0, 0, 0, 0), None), ((0, 0, 0, 0), None), 0.0),
        ((None, None), (None, None), 0.0),
    ],
)
def test_pixels_are_added_over_the_frames_before_they_are_divided(truth: Drawn, found: Drawn, expected: float) -> None:
    sample = video([truth])
    assert score(sample, answer([found], sample)).values["AP"] == pytest.approx(expected, abs=1e-12)


def test_a_crowd_excuses_by_plain_iou_not_by_the_share_of_the_detection() -> None:
    crowd = ((0, 0, 8, 8), (0, 0, 8, 8))
    sample = video([(RIGHT, RIGHT), crowd], crowd=[False, True])
    inside = answer([(LEFT, LEFT), (RIGHT, RIGHT)], sample, score=[0.9, 0.5])
    assert score(sample, inside).values["AP"] == pytest.approx(0.5)
    covering = answer([crowd, (RIGHT, RIGHT)], sample, score=[0.9, 0.5])
    assert score(sample, covering).values["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("area", "defined"),
    [(128**2 - 1, "s"), (128**2, "sm"), (128**2 + 1, "m"), (256**2, "ml"), (256**2 + 1, "l"), (0, "s")],
)
def test_stated_mean_area_chooses_the_size_and_both_ends_belong_to_it(area: int, defined: str) -> None:
    sample = video([(LEFT, LEFT)], area=[area])
    values = score(sample, answer([(LEFT, LEFT)], sample)).values
    assert "".join(size for size in "sml" if values[f"AP{size}"] > 0.999) == defined
    assert all(np.isnan(values[f"AR{size}"]) for size in "sml" if size not in defined)


def test_a_detections_size_is_the_mean_of_the_frames_in_which_it_has_pixels() -> None:
    # 200 x 100 in one of three frames: 20,000 is medium, so it is no false alarm among the small ones.
    seen: Drawn = ((0, 0, 200, 100), None, (0, 0, 0, 0))
    sample = video([((0, 100, 9, 9),) * 3], size=(200, 200))
    found = answer([seen, ((0, 100, 9, 9),) * 3], sample, score=[0.9, 0.5])
    values = score(sample, found).values
    assert (values["AP"], values["APs"]) == (pytest.approx(0.5), pytest.approx(1.0))


def test_only_the_hundred_best_tracks_of_a_class_and_video_count() -> None:
    wrong = [(RIGHT, RIGHT)] * 100
    sample = video([(LEFT, LEFT)])
    last = answer([*wrong, (LEFT, LEFT)], sample, score=[0.9] * 100 + [0.5])
    assert score(sample, last).values["AR100"] == 0.0
    other_class = answer([*wrong, (LEFT, LEFT)], sample, score=[0.9] * 100 + [0.5], classes=[BIRD] * 100 + [CAT])
    assert score(sample, other_class).values["AP"] == pytest.approx(1.0)


def test_classes_are_told_apart_by_the_track() -> None:
    sample = video([(LEFT, LEFT)])
    result = score(sample, answer([(LEFT, LEFT)], sample, classes=[BIRD]))
    assert result.values["AP"] == 0.0 and np.isnan(result.per_class["parrot"]["AP"])
    assert result.counts == {"truths": 1, "detections": 1}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scores_equal_the_frozen_ones_of_the_official_tool(scenario: str, tmp_path: Path) -> None:
    held = json.loads((GOLDEN / f"{scenario}.json").read_text(encoding="utf-8"))
    result = summarise(METRIC, measured(tmp_path, held["truth"], held["results"]))
    expected = {name: np.nan if value == -1 else value for name, value in held["expected"].items()}
    assert result.values == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("scenario", ["typical", "crowd", "polygons", "many_tracks"])
def test_overlaps_equal_a_count_of_pixels(scenario: str, tmp_path: Path) -> None:
    """The drawn bars are small, so every mask can be painted: an independent and slow measure of the same."""
    held = json.loads((GOLDEN / f"{scenario}.json").read_text(encoding="utf-8"))
    for sample, prediction in pairs(tmp_path, held["truth"], held["results"]):
        stats = METRIC.measure(sample, prediction)
        assert np.count_nonzero(stats.arrays["is_hit"][:, 0]) == hits_by_painting(sample, prediction)


def hits_by_painting(sample: Sample, prediction: Prediction) -> int:
    """Hits of all sizes and thresholds by the definition, on volumes bool [N, T, H, W]."""
    assert sample.truth is not None and sample.truth.tracks is not None and prediction.tracks is not None
    truth, found = sample.truth.tracks, prediction.tracks
    ious = np.array([[iou(one, other) for one in painted(sample.truth, sample.size)]
                     for other in painted(prediction, sample.size)]).reshape(len(found), len(truth))  # fmt: skip
    num = 0
    for threshold in np.linspace(0.5, 0.95, 10):
        for class_index in np.unique(found.class_index):
            rows = [row for row in range(len(found)) if found.class_index[row] == class_index]
            is_open = truth.class_index == class_index
            for row in sorted(rows, key=lambda row: -found.score[row])[:100]:
                reach = np.flatnonzero(is_open & (ious[row] >= threshold))
                better = [place for place in reach if not truth.is_crowd[place]] or reach
                if len(better):
                    chosen = max(better, key=lambda place: (ious[row, place], place))
                    num += not truth.is_crowd[chosen]
                    is_open[chosen] = truth.is_crowd[chosen]
    return num


def painted(side: Truth | Prediction, size: tuple[int, int]) -> np.ndarray:
    assert side.tracks is not None
    volume = np.zeros((len(side.tracks), len(side.frames), *size), bool)
    rows = {number: row for row, number in enumerate(side.tracks.object_id.tolist())}
    for index, shown in enumerate(side.frames):
        assert isinstance(shown, Instances)
        for number, rle in zip(shown.object_id.tolist(), shown.masks or (), strict=True):
            volume[rows[number], index] = masks.decode(rle)
    return volume


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def pairs(folder: Path, truth: Any, results: Any) -> list[tuple[Sample, Prediction]]:
    for name, content in (("truth.json", truth), ("results.json", results)):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    samples = catalog.open_samples(ROW, None, truth=folder / "truth.json")
    found = catalog.read_predictions(ROW, folder / "results.json", samples)
    return [(sample, found[sample.sample_id]) for sample in samples]


def measured(folder: Path, truth: Any, results: Any) -> list[Stats]:
    return [METRIC.measure(*pair) for pair in pairs(folder, truth, results)]


@cache
def drawn_stats(scenario: str, folder: Path) -> tuple[Stats, ...]:
    return tuple(measured(folder, *documents(scenario, seed=3)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@pytest.mark.parametrize("scenario", ["typical", "crowd", "ties", "empty_truth"])
def test_order_and_shards_change_no_bit(scenario: str, folder: Path) -> None:
    stats = list(drawn_stats(scenario, folder))
    result = summarise(METRIC, stats)
    assert same_bits(summarise(METRIC, stats[::-1]), result)
    assert same_bits(summarise(METRIC, [*stats[3:], *stats[:3]]), result)


@pytest.mark.parametrize("scenario", ["typical", "crowd", "ties"])
def test_a_weight_of_two_is_a_video_twice(scenario: str, folder: Path) -> None:
    stats = drawn_stats(scenario, folder)
    weights = np.array([2, 0, 1, 3, 1], np.int64)
    repeated = [one for one, weight in zip(stats, weights, strict=True) for _ in range(weight)]
    weighed, again = METRIC.pool(stats)(weights), summarise(METRIC, repeated)
    assert weighed.values == pytest.approx(again.values, abs=1e-12, nan_ok=True)
    assert weighed.counts == again.counts


def test_what_cannot_be_scored_is_refused_by_video() -> None:
    sample = video([(LEFT, LEFT)])
    good = answer([(LEFT, LEFT)], sample)
    flat = Frames(2, lambda _: LabelMap(class_index=np.zeros((8, 8), np.uint16)))
    cases: list[tuple[Prediction, str]] = [
        (Prediction(frames=good.frames), "prediction has no tracks"),
        (Prediction(frames=Frames(1, good.frames.__getitem__), tracks=good.tracks), "has 1 frames, the video has 2"),
        (Prediction(frames=flat, tracks=good.tracks), "has a frame without instance masks"),
        (Prediction(frames=good.frames, tracks=whole([])), "has a frame with an object twice, or one that is no track"),
        (answer([(LEFT, LEFT)], sample, score=[np.nan]), "holds a score that is NaN"),
        (answer([(LEFT, LEFT)], video([(LEFT, LEFT)], size=(9, 8))), "is 9x8 .*the video is 8x8"),
    ]
    for prediction, message in cases:
        with pytest.raises(BenchmarkError, match=rf"^1: .*{message}"):
            METRIC.measure(sample, prediction)
    with pytest.raises(BenchmarkError, match=r"^1: the sample has no truth"):
        METRIC.measure(Sample(sample_id="1", frames=(), size=(8, 8), prompt=sample.prompt), good)


def test_the_entry_names_the_scores_and_the_tool() -> None:
    entry = metrics.METRICS["video_segm_ap"]
    assert "YTVOSeval" in entry.tool
    for name in ("youtube_vis19", "youtube_vis21", "ovis"):
        values = summarise(metrics.build("video_segm_ap", labels.load(name)), []).values
        assert tuple(values) == entry.protocols["youtube_vis"].score_names


@pytest.mark.parametrize("seed", range(4))
def test_tracks_side_by_side_share_the_pixels_of_their_frames(seed: int) -> None:
    dice = np.random.default_rng(seed)
    size, num_frames = (int(dice.integers(3, 40)), int(dice.integers(3, 40))), int(dice.integers(1, 9))
    sides = [[[dice.random(size) < dice.random() for _ in range(num_frames)] for _ in range(3)] for _ in range(2)]
    shown = [[[None if dice.random() < 0.3 else mask for mask in track] for track in side] for side in sides]
    found, truth = (
        [[None if one is None else masks.encode(one).counts for one in track] for track in side] for side in shown
    )
    pixels = np.array([[0 if one is None else int(one.sum()) for one in track] for track in shown[0]])
    empty = [
        [None if count == 0 else one for one, count in zip(*pair, strict=True)]
        for pair in zip(found, pixels, strict=True)
    ]
    expected = [
        [sum(int((a & b).sum()) for a, b in zip(*pair, strict=True) if a is not None and b is not None) for pair in row]
        for row in ([(one, other) for other in shown[1]] for one in shown[0])
    ]
    for most in (mask_tracks.LONGEST, 2 * size[0] * size[1], 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mask_tracks, "LONGEST", most)
            assert mask_tracks.shared_pixels(empty, pixels, truth, size).tolist() == expected


def test_more_than_a_byte_of_masks_is_compared_in_one_call() -> None:
    mask = masks.encode(np.ones((4, 5), bool)).counts
    many, pixels = [[mask] * 30] * 12, np.full((12, 30), 20)
    assert (mask_tracks.shared_pixels(many, pixels, many[:10], (4, 5)) == 600).all()
