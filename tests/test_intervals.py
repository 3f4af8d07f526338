"""Bootstrap intervals: weighing samples equals repeating them, draws are reproducible, pairs share their draws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_views import RUNS
from scenes import SCENARIOS, scenes

from benchmark import intervals, labels, metrics
from benchmark.contract import Metric, Pooled, Scores, Stats, summarise
from benchmark.problems import BenchmarkError

NUM = 6


@cache
def measured(name: str, scenario: str, seed: int = 0) -> tuple[Metric, tuple[Stats, ...]]:
    run = RUNS[name]
    metric = metrics.build(run.metric, labels.load(run.labels), run.protocol)
    drawn = scenes(scenario, num=NUM, seed=seed)
    return metric, tuple(metric.measure(*run.view(scene)) for scene in drawn)


@cache
def pooled(name: str, scenario: str) -> Pooled:
    metric, stats = measured(name, scenario)
    return metric.pool(stats)


def assert_equal(left: Scores, right: Scores) -> None:
    assert left.values == pytest.approx(right.values, abs=1e-12, nan_ok=True)
    assert left.counts == right.counts
    assert left.num_scored == right.num_scored
    for name, row in left.per_class.items():
        assert row == pytest.approx(right.per_class[name], abs=1e-12, nan_ok=True)


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(sorted(RUNS)),
    scenario=st.sampled_from(sorted(SCENARIOS)),
    weights=st.lists(st.integers(0, 3), min_size=NUM, max_size=NUM),
)
def test_weighing_samples_equals_repeating_them(name: str, scenario: str, weights: list[int]) -> None:
    metric, stats = measured(name, scenario)
    repeated = [one for one, weight in zip(stats, weights, strict=True) for _ in range(weight)]
    assert_equal(pooled(name, scenario)(np.array(weights, np.int64)), summarise(metric, repeated))


@pytest.mark.parametrize("name", RUNS)
def test_weights_follow_the_order_of_the_given_list(name: str) -> None:
    metric, stats = measured(name, "typical")
    order = [3, 0, 5, 1, 4, 2]
    weights = np.array([0, 2, 1, 0, 3, 1], np.int64)
    shuffled = metric.pool([stats[place] for place in order])(weights[order])
    assert_equal(shuffled, metric.pool(stats)(weights))


def test_draws_repeat_for_a_seed_and_keep_the_number_of_samples() -> None:
    first = intervals.draw(7, resamples=50, seed=3)
    assert first.shape == (50, 7)
    assert (first.sum(axis=1) == 7).all()
    assert np.array_equal(first, intervals.draw(7, resamples=50, seed=3))
    assert not np.array_equal(first, intervals.draw(7, resamples=50, seed=4))
    assert intervals.draw(0, resamples=2, seed=0).shape == (2, 0)


@pytest.mark.parametrize("name", RUNS)
def test_interval_holds_the_score_and_does_not_depend_on_the_order_of_samples(name: str) -> None:
    metric, stats = measured(name, "typical")
    main = metrics.METRICS[RUNS[name].metric].protocols[RUNS[name].protocol].score_names[0]
    found = intervals.interval(metric, stats, main, resamples=25, seed=1)
    assert found.value == summarise(metric, stats).values[main]
    assert found.low < found.high
    assert found.low - 0.1 <= found.value <= found.high + 0.1
    assert found.num_resamples == 25
    assert intervals.interval(metric, stats[::-1], main, resamples=25, seed=1) == found
    forward, backward = (intervals.resample(metric, side, resamples=9)[main] for side in (stats, stats[::-1]))
    assert np.array_equal(forward, backward)


def test_interval_of_equal_samples_has_no_width_and_of_an_undefined_score_is_undefined() -> None:
    metric, stats = measured("semantic_present", "typical")
    copies = [Stats(sample_id=str(number), arrays=stats[0].arrays) for number in range(5)]
    found = intervals.interval(metric, copies, "mIoU", resamples=20)
    assert found.low == pytest.approx(found.value) == pytest.approx(found.high)
    metric, stats = measured("coco_segm_ap", "empty_truth")
    undefined = intervals.interval(metric, stats, "AP", resamples=20)
    assert np.isnan([undefined.value, undefined.low, undefined.high]).all()
    assert undefined.num_resamples == 0


def test_samples_of_one_video_are_drawn_together() -> None:
    """Two copies of each of three samples, clustered, say no more than the three: the interval is as wide."""
    metric, stats = measured("semantic_present", "typical")
    once = [Stats(sample_id=f"anno_0/{one.sample_id}", arrays=one.arrays) for one in stats[:3]]
    twice = [*once, *(Stats(sample_id=f"anno_1/{one.sample_id}", arrays=one.arrays) for one in stats[:3])]
    alone = intervals.resample(metric, once, resamples=30)["mIoU"]
    together = intervals.resample(metric, twice, resamples=30, clusters=lambda one: one.split("/")[1])["mIoU"]
    apart = intervals.resample(metric, twice, resamples=30)["mIoU"]
    assert together == pytest.approx(alone, abs=1e-12)
    assert apart.std() < alone.std()


def test_coverage_of_a_mean_is_near_the_level() -> None:
    """Of 200 data sets of 40 coin-like samples with true accuracy 0.7, about 95 % of the intervals hold 0.7."""
    dice = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        hits = dice.random(40) < 0.7
        metric = _MeanMetric()
        stats = [Stats(sample_id=str(row), arrays={"hit": np.array([hit])}) for row, hit in enumerate(hits)]
        found = intervals.interval(metric, stats, "mean", resamples=200, seed=int(dice.integers(1 << 30)))
        held += found.low <= 0.7 <= found.high
    assert 0.88 <= held / 200 <= 0.99


class _MeanMetric:
    """Share of samples that hit."""

    def measure(self, sample: object, prediction: object) -> Stats:
        raise AssertionError("statistics are given")

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        hits = np.concatenate([one.arrays["hit"] for one in stats])

        def score(weights: np.ndarray | None) -> Scores:
            value = float(hits.mean() if weights is None else hits @ weights / weights.sum())
            return Scores(values={"mean": value}, counts={}, per_class={}, num_expected=len(hits), num_scored=len(hits))

        return score


def test_pair_of_equal_runs_differs_by_nothing_and_a_worse_run_is_told_apart() -> None:
    metric, stats = measured("panoptic_quality", "typical")
    same = intervals.paired_interval(metric, stats, stats[::-1], "PQ", resamples=40)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert not same.excludes_zero
    _, nothing = measured("panoptic_quality", "empty_prediction")
    worse = intervals.paired_interval(metric, stats, nothing, "PQ", resamples=40)
    assert worse.low > 0 and worse.excludes_zero
    mirrored = intervals.paired_interval(metric, nothing, stats, "PQ", resamples=40)
    assert (mirrored.low, mirrored.high) == pytest.approx((-worse.high, -worse.low))


def test_paired_interval_is_narrower_than_the_two_apart() -> None:
    metric, stats = measured("semantic_union", "typical")
    _, others = measured("semantic_union", "void")
    paired = intervals.paired_interval(metric, stats, stats, "mIoU", resamples=40)
    apart = intervals.interval(metric, stats, "mIoU", resamples=40)
    assert paired.high - paired.low < apart.high - apart.low
    assert intervals.paired_interval(metric, stats, others, "mIoU", resamples=40).num_resamples == 40


def test_pairs_over_other_samples_are_refused() -> None:
    metric, stats = measured("panoptic_quality", "typical")
    with pytest.raises(BenchmarkError, match=r"6 and 5 were given and 1 differ \(first: 6\)"):
        intervals.paired_interval(metric, stats, stats[:5], "PQ", resamples=2)


def test_unknown_score_is_a_key_error() -> None:
    metric, stats = measured("panoptic_quality", "typical")
    with pytest.raises(KeyError):
        intervals.interval(metric, stats, "mIoU", resamples=2)
