"""Coverage of the intervals: over many synthetic data sets of a known truth, 95 % of them hold it, for every kind.

A data set is drawn from a population whose score is known: from the formula, or from one very large draw. Clusters are
what is drawn: where samples of a video are alike, intervals that ignore it are too narrow, which is shown as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mutants
import numpy as np
import pytest
from mutant_worlds import ONE, World, world
from test_mutants import CATALOGUE

from benchmark import intervals, metrics
from benchmark.contract import Metric, Stats, summarise

NUM_SETS, RESAMPLES = 200, 200
LOW, HIGH = 0.90, 0.99
Dice = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """metric, protocol, score: what is covered. draw: (dice, size) -> statistics of a data set.

    size: samples of a data set. num_sets: how many are drawn.
    """

    metric: str
    protocol: str
    score: str
    draw: Callable[[Dice, int], list[Stats]]
    size: int = 60
    num_sets: int = NUM_SETS

    def build(self) -> Metric:
        """The metric over the world's labels."""
        return metrics.build(self.metric, world(CATALOGUE[self.metric, self.protocol].world).labels, self.protocol)


def _stats(number: int, **arrays: object) -> Stats:
    return Stats(sample_id=str(number), arrays={name: np.asarray(value) for name, value in arrays.items()})


def referring(dice: Dice, size: int) -> list[Stats]:
    """Expressions of masks of very different sizes; the IoU grows with the size (oIoU is a ratio of sums)."""
    union = dice.lognormal(6, 0.7, size).astype(np.int64) + 20
    share = np.clip(dice.beta(4, 2, size) * (union / union.mean()) ** 0.1, 0, 1)
    common = (union * share).astype(np.int64)
    return [
        _stats(n, intersection=[i], union=[u], has_mask=[True], has_box=[True], is_box_hit=[bool(2 * i > u)])
        for n, (i, u) in enumerate(zip(common, union, strict=True))
    ]


def semantic(dice: Dice, size: int) -> list[Stats]:
    """Confusion matrices of images: five classes of the toy labels, some pixels taken for the next class."""
    found = []
    for number in range(size):
        pixels = dice.integers(500, 3000, 5)
        wrong = (pixels * dice.beta(2, 8, 5)).astype(np.int64)
        side = 9
        cell = np.concatenate((np.arange(5) * (side + 1), np.arange(5) * (side + 1) + 1))
        order = np.argsort(cell)
        found.append(_stats(number, cell=cell[order], pixels=np.concatenate((pixels - wrong, wrong))[order]))
    return found


def panoptic(dice: Dice, size: int) -> list[Stats]:
    """Hits, false and missed segments of three classes."""
    found = []
    for number in range(size):
        truths = dice.integers(0, 3, dice.integers(3, 12))
        is_hit = dice.random(len(truths)) < 0.7
        union = dice.integers(300, 900, int(is_hit.sum()))
        false = dice.integers(0, 3, dice.poisson(2))
        common = (union * dice.uniform(0.55, 1, len(union))).astype(np.int64)
        arrays = {"hit_intersection": common, "hit_union": union, "false_class": false}
        found.append(_stats(number, hit_class=truths[is_hit], missed_class=truths[~is_hit], **arrays))
    return found


def detections(dice: Dice, size: int) -> list[Stats]:
    """Detections of one class whose scores tell hits from false ones imperfectly."""
    found = []
    for number in range(size):
        num_truths = int(dice.integers(2, 8))
        num_hits = int(dice.binomial(num_truths, 0.8))
        is_hit = np.concatenate((np.ones(num_hits, bool), np.zeros(int(dice.poisson(3)), bool)))
        score = np.where(is_hit, dice.normal(1, 1, len(is_hit)), dice.normal(0, 1, len(is_hit)))
        order = np.argsort(-score)
        is_hit, score = is_hit[order], score[order]
        hits = np.broadcast_to(is_hit[:, None, None], (len(is_hit), 4, 10))
        found.append(
            _stats(
                number,
                class_index=np.zeros(len(score), np.int64),
                score=score,
                rank=np.arange(len(score)),
                is_hit=hits,
                is_false=~hits,
                truth_class=np.zeros(num_truths, np.int64),
                truth_counts=np.ones((num_truths, 4), bool),
            )
        )
    return found


def overlaps(dice: Dice, size: int) -> list[Stats]:
    """Frames of single tracks; each video has a difficulty of its own."""
    videos = [np.clip(dice.normal(dice.uniform(0.3, 0.9), 0.1, dice.integers(20, 80)), 0, 1) for _ in range(size)]
    return [_stats(number, overlap=np.sort(one)) for number, one in enumerate(videos)]


def tracks(dice: Dice, size: int) -> list[Stats]:
    """Counts of BDD100K's tracking: MOTA is a ratio of sums over videos of different length."""
    found = []
    for number in range(size):
        objects = int(dice.integers(40, 400))
        matches = int(dice.binomial(objects, dice.beta(8, 3)))
        answers = matches + int(dice.poisson(objects * 0.1))
        counts = [[objects, answers, matches, dice.poisson(3), 2, 3, 2, 6, int(matches * dice.uniform(0.6, 1))]]
        found.append(_stats(number, count_class=[0], counts=counts, similarity=[matches * 0.8]))
    return found


KINDS = {
    "ratio of sums": Kind(metric="referring_iou", protocol="original", score="oIoU", draw=referring),
    "mean over samples": Kind(metric="referring_iou", protocol="original", score="mIoU", draw=referring),
    "share of hits": Kind(metric="referring_iou", protocol="original", score="P@0.7", draw=referring),
    "confusion matrix": Kind(metric="semantic_iou", protocol="present", score="mIoU", draw=semantic),
    "segments": Kind(metric="panoptic_quality", protocol="coco", score="PQ", draw=panoptic),
    "ranking": Kind(metric="coco_bbox_ap", protocol="coco", score="AP50", draw=detections, num_sets=80),
    "pooled frames": Kind(metric="average_overlap", protocol="got10k", score="AO", draw=overlaps),
    "track counts": Kind(metric="bdd100k_box_tracking", protocol="scalabel", score="MOTA", draw=tracks),
}


@pytest.mark.parametrize("name", KINDS)
def test_intervals_hold_the_population_as_often_as_they_say(name: str) -> None:
    kind = KINDS[name]
    dice, metric = np.random.default_rng([11, len(name)]), kind.build()
    truth = summarise(metric, kind.draw(np.random.default_rng(0), 10_000)).values[kind.score]
    held = 0
    for trial in range(kind.num_sets):
        found = intervals.interval(metric, kind.draw(dice, kind.size), kind.score, resamples=RESAMPLES, seed=trial)
        held += found.low <= truth <= found.high
    assert LOW <= held / kind.num_sets <= HIGH


def test_samples_of_one_video_must_be_drawn_together() -> None:
    """Ten expressions a video that succeed or fail together: drawn apart, the intervals hold far too seldom."""
    dice, metric = np.random.default_rng(4), metrics.build("referring_iou", ONE)
    held = {"together": 0, "apart": 0}
    for trial in range(NUM_SETS):
        level = np.repeat(dice.random(30) < 0.5, 10)
        stats = [
            Stats(
                sample_id=f"{n // 10}_{n % 10}",
                arrays={**one.arrays, "intersection": one.arrays["union"] * int(level[n])},
            )
            for n, one in enumerate(referring(dice, 300))
        ]
        for name, clusters in (("together", _video), ("apart", None)):
            found = intervals.interval(metric, stats, "mIoU", resamples=100, seed=trial, clusters=clusters)
            held[name] += found.low <= 0.5 <= found.high
    assert LOW - 0.02 <= held["together"] / NUM_SETS <= HIGH
    assert held["apart"] / NUM_SETS < 0.7


def _video(sample_id: str) -> str:
    return sample_id.split("_")[0]


@pytest.mark.parametrize(("name", "protocol"), CATALOGUE)
def test_every_metric_has_an_interval_of_every_score_around_its_value(name: str, protocol: str) -> None:
    """Two of three samples are answered, so that replicates differ; the interval lies around the score."""
    row = CATALOGUE[name, protocol]
    place: World = world(row.world)
    metric = metrics.build(name, place.labels, protocol)
    silent = mutants.answers("nothing", place.samples)
    right = [mutants.right_answer(number, sample) for number, sample in enumerate(place.samples)]
    answers = [right[number] if number % 3 else silent[number] for number in range(len(right))]
    stats = [metric.measure(sample, answer) for sample, answer in zip(place.samples, answers, strict=True)]
    found = intervals.intervals(metric, stats, resamples=40)
    values = summarise(metric, stats).values
    assert {one: interval.value for one, interval in found.items()} == pytest.approx(dict(values), nan_ok=True)
    main = found[row.sensitive]
    assert main.low <= main.value <= main.high and main.low < main.high
    again = intervals.intervals(metric, stats[::-1], resamples=40)
    assert again[row.sensitive] == main
