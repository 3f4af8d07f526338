"""Confidence intervals of any score, by the percentile bootstrap over samples.

A replicate draws as many samples as there are, with replacement, and scores them with the weights that `Pooled` takes,
so no prediction is measured twice. Samples of one video are drawn together (`Clusters`), and as many videos as there
are. Two systems are compared on the same draws. Statistics are put into official order
first: the order in which they arrive changes nothing. Efron and Tibshirani (1993), chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Metric, Stats, sample_order
from benchmark.problems import BenchmarkError

Clusters = Callable[[str], str]
"""Sample id -> what is drawn as a whole, such as the video of an expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A score (or a difference of scores) with its interval, fractions; NaN where the score is undefined.

    num_resamples: replicates in which the score was defined, out of those drawn.
    """

    value: float
    low: float
    high: float
    num_resamples: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies strictly on one side of zero."""
        return self.low > 0 or self.high < 0


def interval(
    metric: Metric,
    stats: Sequence[Stats],
    score_name: str,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> Interval:
    """The interval of one score; KeyError for a name that the metric does not have."""
    return intervals(metric, stats, resamples=resamples, seed=seed, level=level, clusters=clusters)[score_name]


def intervals(
    metric: Metric,
    stats: Sequence[Stats],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> dict[str, Interval]:
    """Score name -> interval, all from the same replicates. clusters: None draws each sample on its own."""
    ordered = _ordered(stats)
    values = metric.pool(ordered)(None).values
    replicates = resample(metric, ordered, resamples=resamples, seed=seed, clusters=clusters)
    return {name: summary(value, replicates[name], level) for name, value in values.items()}


def paired_interval(
    metric: Metric,
    stats_a: Sequence[Stats],
    stats_b: Sequence[Stats],
    score_name: str,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> Interval:
    """The interval of score a minus score b over the same samples; BenchmarkError unless the sample ids are equal."""
    first, second = _ordered(stats_a), _ordered(stats_b)
    ids_a, ids_b = ([one.sample_id for one in side] for side in (first, second))
    if ids_a != ids_b:
        apart = sorted(set(ids_a) ^ set(ids_b), key=sample_order) or ids_a
        raise BenchmarkError(
            f"A paired comparison needs the same samples on both sides; {len(ids_a)} and {len(ids_b)} were given and "
            f"{len(apart)} differ (first: {apart[0]}). Score both runs on the same samples."
        )
    values = [metric.pool(side)(None).values[score_name] for side in (first, second)]
    replicates = [
        resample(metric, side, resamples=resamples, seed=seed, clusters=clusters)[score_name]
        for side in (first, second)
    ]
    return summary(values[0] - values[1], replicates[0] - replicates[1], level)


def resample(
    metric: Metric,
    stats: Sequence[Stats],
    *,
    resamples: int = 1000,
    seed: int = 0,
    clusters: Clusters | None = None,
) -> Mapping[str, NDArray[np.float64]]:
    """Score name -> float64 [resamples], the score of each replicate. Equal seeds draw equal samples for equal ids."""
    ordered = _ordered(stats)
    score = metric.pool(ordered)
    cluster = _cluster_of(ordered, clusters)
    num = int(cluster.max(initial=-1)) + 1
    draws = [score(weights[cluster]).values for weights in draw(num, resamples=resamples, seed=seed)]
    return {name: np.array([values[name] for values in draws]) for name in score(None).values}


def draw(num_samples: int, *, resamples: int, seed: int) -> NDArray[np.int64]:
    """int64 [resamples, num_samples], how often each sample occurs in each replicate; rows sum to num_samples."""
    if not num_samples:
        return np.zeros((resamples, 0), np.int64)
    chances = np.full(num_samples, 1 / num_samples)
    return np.random.default_rng(seed).multinomial(num_samples, chances, size=resamples).astype(np.int64, copy=False)


def summary(value: float, replicates: NDArray[np.float64], level: float = 0.95) -> Interval:
    """The central `level` of the replicates that are defined. replicates: float64 [resamples]."""
    known = replicates[~np.isnan(replicates)]
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2)) if known.size else (np.nan, np.nan)
    return Interval(value=float(value), low=float(low), high=float(high), num_resamples=int(known.size))


def _cluster_of(ordered: Sequence[Stats], clusters: Clusters | None) -> NDArray[np.int64]:
    """int64 [N], the number of each sample's cluster, in order of first occurrence."""
    if clusters is None:
        return np.arange(len(ordered))
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(clusters(one.sample_id), len(numbers)) for one in ordered], np.int64)


def _ordered(stats: Sequence[Stats]) -> list[Stats]:
    return sorted(stats, key=lambda one: sample_order(one.sample_id))
