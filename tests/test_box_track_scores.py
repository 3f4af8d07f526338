"""Scores of single object tracking: equal to the official tools on drawn videos, rules worked by hand, laws, bounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_scenes import GROUPS, SIZE, BoxScene, scenes

from benchmark import box_tracks, intervals, labels, metrics
from benchmark.contract import Metric, Prediction, Prompt, Sample, Scores, Stats, Task, Truth, make_instances, summarise
from benchmark.metrics.success_plots import RULES
from benchmark.problems import BenchmarkError, DataError

GOLDEN = json.loads((Path(__file__).parent / "golden/boxes/expected.json").read_text(encoding="utf-8"))
LABELS = labels.load("object")
EXACT = 1e-12
METRIC_OF = {"devkit": ("trackingnet", "devkit"), "average_overlap": ("average_overlap", "got10k")}
CASES = [(group, key) for group, found in GOLDEN.items() for key in found]
EVERY = [("success_plots", name) for name in RULES] + list(METRIC_OF.values())
every_metric = pytest.mark.parametrize(("name", "protocol"), EVERY)


def metric_of(name: str, protocol: str) -> Metric:
    return metrics.build(name, LABELS, protocol)


def measured(metric: Metric, drawn: Sequence[BoxScene]) -> list[Stats]:
    return [metric.measure(scene.sample(), scene.prediction()) for scene in drawn]


def video(truth: object, found: object, absent: Sequence[int] = ()) -> tuple[Sample, Prediction]:
    """A video from lists of boxes. absent: indices of frames."""
    boxes = np.array(truth, np.float64)
    flags = np.isin(np.arange(len(boxes)), absent)
    sample = Sample(
        sample_id="v", frames=(), size=SIZE, prompt=Prompt(task=Task.SOT),
        truth=Truth(frames=box_tracks.one_run(boxes), absent=flags),
    )  # fmt: skip
    return sample, Prediction(frames=box_tracks.one_run(np.array(found, np.float64)))


def scores(protocol: str, *pairs: tuple[Sample, Prediction], name: str = "success_plots") -> Scores:
    metric = metric_of(name, protocol)
    numbered = [(replace(sample, sample_id=str(index)), found) for index, (sample, found) in enumerate(pairs)]
    return summarise(metric, [metric.measure(*pair) for pair in numbered])


@pytest.mark.parametrize(("group", "key"), CASES)
def test_scores_equal_the_official_tool(group: str, key: str) -> None:
    name, protocol = METRIC_OF.get(key, ("success_plots", key))
    drawn = list(scenes(group))
    if key == "devkit":  # the last video has no result file; the devkit takes zeros
        drawn[-1] = replace(drawn[-1], found=np.zeros((len(drawn[-1].truth), 1, 4)))
    metric = metric_of(name, protocol)
    assert summarise(metric, measured(metric, drawn)).values == pytest.approx(GOLDEN[group][key], abs=EXACT)


def test_the_official_numbers_tell_the_protocols_apart() -> None:
    assert len({json.dumps(GOLDEN["invalid_truth"][key]) for key in RULES}) == len(RULES)
    assert GOLDEN["never_found"]["toolkit"]["AUC"] != GOLDEN["never_found"]["pytracking"]["AUC"]


@every_metric
def test_order_and_shards_change_no_bit(name: str, protocol: str) -> None:
    metric = metric_of(name, protocol)
    stats = measured(metric, scenes("typical"))
    result = summarise(metric, stats)
    assert summarise(metric, [stats[place] for place in (3, 0, 5, 1, 4, 2)]) == result


@every_metric
def test_counting_a_video_twice_equals_giving_it_twice(name: str, protocol: str) -> None:
    metric = metric_of(name, protocol)
    stats = measured(metric, scenes("typical"))
    twice = [*stats, replace(stats[1], sample_id="again")]
    weighted = metric.pool(stats)(np.array([1, 2, 1, 1, 1, 1]))
    assert weighted.values == pytest.approx(summarise(metric, twice).values, abs=EXACT)
    assert weighted.counts == summarise(metric, twice).counts


@every_metric
def test_statistics_are_integers_or_one_sorted_list(name: str, protocol: str) -> None:
    for one in measured(metric_of(name, protocol), scenes("typical")):
        floats = [array for array in one.arrays.values() if array.dtype.kind == "f"]
        assert {array.dtype.kind for array in one.arrays.values()} <= set("if") and len(floats) <= 1
        assert all((np.diff(array) >= 0).all() for array in floats)


@every_metric
def test_no_video_has_no_score(name: str, protocol: str) -> None:
    assert all(np.isnan(value) for value in summarise(metric_of(name, protocol), []).values.values())


@every_metric
def test_intervals_hold_the_score(name: str, protocol: str) -> None:
    metric = metric_of(name, protocol)
    for one in intervals.intervals(metric, measured(metric, scenes("typical")), resamples=50).values():
        assert one.low <= one.value <= one.high


@pytest.mark.parametrize("protocol", RULES)
@pytest.mark.parametrize("group", ["typical", "invalid_truth"])
def test_replayed_truth_scores_20_of_21_of_the_frames_that_can_be_judged(protocol: str, group: str) -> None:
    """Overlap 1 exceeds every threshold but the last, so each judged frame has 20 of 21 (in whole numbers)."""
    drawn = [replace(scene, truth=np.round(scene.truth)) for scene in scenes(group)]
    drawn = [replace(scene, found=scene.truth[:, None]) for scene in drawn]
    rule = RULES[protocol]
    shares, within, near = [], [], []
    for scene in drawn:
        absent = scene.absent if rule.flags != "unread" else np.zeros_like(scene.absent)
        has_size = (scene.truth[:, 2:] > 0).all(axis=1) & ((scene.truth > 0).all(axis=1) | (not rule.needs_corner))
        judged = has_size & ~absent
        shares.append(judged.mean())
        within.append((judged | (rule.center_of_invalid & ~absent & ~has_size)).mean())
        near.append((judged | (~absent & ~has_size) | (absent & rule.norm_of_absent)).mean())
    values = summarise(
        metric_of("success_plots", protocol), measured(metric_of("success_plots", protocol), drawn)
    ).values
    assert values["AUC"] == pytest.approx(np.mean(shares) * 20 / 21, abs=EXACT)
    assert values["P"] == pytest.approx(1.0 if rule.judges_all else np.mean(within), abs=EXACT)
    assert values["P_norm"] == pytest.approx(1.0 if rule.judges_all else np.mean(near), abs=EXACT)


@pytest.mark.parametrize("protocol", RULES)
def test_nothing_found_scores_the_first_frame_alone(protocol: str) -> None:
    """Frame 1 is the truth's; zeros repeat the result's own first line, which is nothing, too."""
    drawn = [replace(scene, found=np.zeros_like(scene.found)) for scene in scenes("whole_numbers")]
    values = summarise(
        metric_of("success_plots", protocol), measured(metric_of("success_plots", protocol), drawn)
    ).values
    assert values["AUC"] == pytest.approx(np.mean([20 / 21 / len(scene.truth) for scene in drawn]), abs=EXACT)


def test_trackingnet_ceiling_and_floor() -> None:
    drawn = scenes("typical")
    metric = metric_of("trackingnet", "devkit")
    perfect = summarise(metric, measured(metric, [replace(scene, found=scene.truth[:, None]) for scene in drawn]))
    assert set(perfect.values.values()) == {1.0}
    empty = summarise(metric, measured(metric, [replace(scene, found=np.zeros_like(scene.found)) for scene in drawn]))
    first = float(np.mean([1 / len(scene.truth) for scene in drawn]))
    assert empty.values["Success"] == pytest.approx(first + (1 - first) / 40, abs=EXACT)  # overlap 0 passes t = 0
    missing = [replace(scene, found=scene.truth[:1, None]) for scene in drawn]
    assert summarise(metric, measured(metric, missing)).values["Success"] == pytest.approx(first, abs=EXACT)


def test_average_overlap_ceiling_and_floor() -> None:
    metric = metric_of("average_overlap", "got10k")
    drawn = scenes("three_runs")
    perfect = summarise(metric, measured(metric, [replace(scene, found=scene.truth[:, None]) for scene in drawn]))
    assert perfect.values == pytest.approx({"AO": 1.0, "SR50": 1.0, "SR75": 1.0}, abs=1e-9)
    assert perfect.counts["frames"] == sum(int((~scene.absent[1:]).sum()) for scene in drawn)
    empty = summarise(metric, measured(metric, [replace(scene, found=np.zeros_like(scene.found)) for scene in drawn]))
    assert set(empty.values.values()) == {0.0}


def test_success_is_strict_at_every_threshold() -> None:
    """Overlaps 1/2, 3/4 and 1 of 10 x 10 boxes: passed are 10, 15 and 20 of the 21 thresholds."""
    truth = [[5, 5, 10, 10]] * 4
    found = [[9, 9, 9, 9], [5, 5, 10, 5], [5, 5, 10, 7.5], [5, 5, 10, 10]]
    values = scores("pytracking", video(truth, found)).values
    assert values["AUC"] == pytest.approx((20 + 10 + 15 + 20) / 4 / 21, abs=EXACT)
    assert values["OP50"] == 3 / 4 and values["OP75"] == 2 / 4


def test_precision_counts_the_threshold_itself() -> None:
    truth = [[5, 5, 10, 10]] * 3
    found = [[5, 5, 10, 10], [25, 5, 10, 10], [25.01, 5, 10, 10]]
    assert scores("pytracking", video(truth, found)).values["P"] == 2 / 3


def test_a_lost_frame_repeats_the_result_of_the_last_one_and_not_the_truth_of_frame_1() -> None:
    truth = [[5, 5, 10, 10]] * 3
    lost = scores("pytracking", video(truth, [[50, 50, 9, 9], [0, 0, 0, 0], [5, 5, 10, 10]])).values
    assert lost["AUC"] == pytest.approx(2 / 3 * 20 / 21, abs=EXACT)
    kept = scores("pytracking", video(truth, [[5, 5, 10, 10], [0, 0, 0, 0], [0, 0, 0, 0]])).values
    assert kept["AUC"] == pytest.approx(20 / 21, abs=EXACT)


@pytest.mark.parametrize(
    ("protocol", "success", "precision", "normalised"),
    [
        ("pytracking", 1 / 4, 1 / 4, 2 / 4),
        ("pytracking_ext", 1 / 4, 1 / 4, 3 / 4),
        ("uninext", 2 / 4, 2 / 4, 2 / 4),
        ("uninext_no_flags", 3 / 4, 3 / 4, 3 / 4),
        ("toolkit", 1 / 4, 2 / 4, 2 / 4),
        ("got10k", 3 / 4, 3 / 4, 3 / 4),
    ],
)
def test_frames_that_cannot_be_judged_count_as_the_protocol_says(
    protocol: str, success: float, precision: float, normalised: float
) -> None:
    """Frame 1 is sound, frame 2 touches the edge, frame 3 is absent, frame 4 is missed; the result equals truth."""
    truth = [[5, 5, 10, 10], [0, 5, 10, 10], [5, 5, 10, 10], [5, 5, 10, 10]]
    found = [*truth[:3], [500, 500, 10, 10]]
    values = scores(protocol, video(truth, found, absent=[2])).values
    assert values["OP50"] == success
    assert (values["P"], values["P_norm"]) == (precision, normalised)


def test_toolkit_leaves_out_videos_whose_whole_curve_is_zero() -> None:
    truth = [[5, 5, 10, 10]] * 2
    good, bad = video(truth, truth), video(truth, [[900, 900, 1, 1]] * 2, absent=[0])
    assert scores("toolkit", good, bad).values["AUC"] == pytest.approx(20 / 21, abs=EXACT)
    assert scores("pytracking", good, bad).values["AUC"] == pytest.approx(10 / 21, abs=EXACT)


def test_trackingnet_rounds_both_sides_half_to_even() -> None:
    """10.5 rounds to 10 and 11.5 to 12: the boxes are equal after rounding."""
    truth, found = [[9, 9, 4, 4], [10.5, 11.5, 4, 4]], [[0, 0, 1, 1], [10, 12, 4.4, 3.6]]
    assert set(scores("devkit", video(truth, found), name="trackingnet").values.values()) == {1.0}


def test_trackingnet_precision_is_an_area_in_steps_of_two_and_a_half_pixels() -> None:
    """10 pixels away fails t = 0, 2.5, 5, 7.5: the frame's area is 1 - 0.05 * 3.5."""
    truth = [[50, 50, 40, 40]] * 2
    values = scores("devkit", video(truth, [truth[0], [60, 50, 40, 40]]), name="trackingnet").values
    assert values["Precision"] == pytest.approx((1 + 1 - 0.05 * 3.5) / 2, abs=EXACT)


def test_got10k_clips_the_corner_and_keeps_the_size() -> None:
    """Truth -10..10 becomes 0..20 when its corner moves, which is what the result says."""
    truth, found = [[1, 1, 2, 2], [-10, 0, 20, 20]], [[1, 1, 2, 2], [0, 0, 20, 20]]
    assert scores("got10k", video(truth, found), name="average_overlap").values["AO"] == pytest.approx(1.0)


def test_got10k_pools_frames_and_not_videos() -> None:
    box = [5, 5, 10, 10]
    values = scores(
        "got10k", video([box] * 2, [box] * 2), video([box] * 4, [box] + [[90, 90, 5, 5]] * 3), name="average_overlap"
    ).values
    assert values["AO"] == pytest.approx(1 / 4)


def test_frame_by_frame_answers_score_as_one_track() -> None:
    scene = scenes("typical")[0]
    boxes = scene.found[:, 0]
    frames = tuple(
        make_instances(class_index=[0], boxes=row[None]) if row.any() else make_instances(class_index=[])
        for row in boxes
    )
    corners = tuple(
        make_instances(class_index=[0], boxes=np.hstack([row[:2], row[:2] + row[2:]])[None], box_format="xyxy")
        for row in np.round(boxes)
    )
    metric = metric_of("success_plots", "pytracking")
    assert summarise(metric, [metric.measure(scene.sample(), Prediction(frames=frames))]) == summarise(
        metric, [metric.measure(scene.sample(), scene.prediction())]
    )
    rounded = Prediction(frames=box_tracks.one_run(np.round(boxes)))
    assert summarise(metric, [metric.measure(scene.sample(), Prediction(frames=corners))]) == summarise(
        metric, [metric.measure(scene.sample(), rounded)]
    )


BOX = [5.0, 5.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("name", "protocol", "found", "message"),
    [
        ("success_plots", "pytracking", [BOX], "the result has 1 box, the video has 3 annotated frames"),
        ("success_plots", "toolkit", [BOX], "Write one line for each frame"),
        ("success_plots", "pytracking", [BOX, [1, 1, -2, 3], BOX], r"1 frame has NaN or a negative size \(frame 2,"),
        ("success_plots", "uninext", [BOX, [np.nan] * 4, BOX], "choose protocol 'toolkit'"),
        ("average_overlap", "got10k", [BOX] * 4, "the result has 4 boxes, the video has 3"),
        ("average_overlap", "got10k", [BOX, BOX, [np.nan] * 4], r"NaN \(frame 3,"),
    ],
)
def test_results_that_the_official_tool_refuses_are_named(
    name: str, protocol: str, found: list[list[float]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        scores(protocol, video([BOX] * 3, found), name=name)


@pytest.mark.parametrize("protocol", ["pytracking", "uninext", "toolkit"])
def test_protocols_that_need_flags_say_so(protocol: str) -> None:
    sample, found = video([BOX] * 2, [BOX] * 2)
    assert sample.truth is not None
    sample = replace(sample, truth=replace(sample.truth, absent=None))
    with pytest.raises(BenchmarkError, match="needs flags of absence"):
        metric_of("success_plots", protocol).measure(sample, found)
    assert metric_of("success_plots", "pytracking_ext").measure(sample, found)


def test_private_truth_is_no_truth() -> None:
    pair = video([BOX, [np.nan] * 4], [BOX] * 2)
    with pytest.raises(BenchmarkError, match="first frame alone"):
        scores("devkit", pair, name="trackingnet")


def test_every_group_is_scored_by_a_tool() -> None:
    assert set(GOLDEN) == set(GROUPS)
