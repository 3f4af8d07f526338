"""Confidence intervals of any score, by the percentile bootstrap over samples.

A replicate draws as many samples as there are, with replacement, and scores them with the weights that `Pooled` takes,
so no prediction is measured twice. Samples of one video are drawn together (`Clusters`), and as many videos as there
are. Two systems are compared on the same draws. Statistics are put into official order
first: the order in which they arrive changes nothing. Efron and Tibshirani (1993), chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark import forked
from benchmark.contract import Metric, Pooled, Stats, sample_order
from benchmark.problems import BenchmarkError

Clusters = Callable[[str], str]
"""Sample id -> what is drawn as a whole, such as the video of an expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A score (or a difference of scores) with its interval, fractions; NaN where the score is undefined.

    num_resamples: replicates in which the score was defined, out of those drawn. p_value: of a difference, how often
    chance alone would put it this far on either side of zero, at least 1 / (num_resamples + 1); NaN for a score.
    """

    value: float
    low: float
    high: float
    num_resamples: int
    p_value: float = math.nan

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
    workers: int = 1,
) -> dict[str, Interval]:
    """Score name -> interval, all from the same replicates. clusters: None draws each sample on its own.

    workers: processes at most, where the work is worth it.
    """
    ordered = _ordered(stats)
    score = metric.pool(ordered)
    values = score(None).values
    replicates = _replicates(score, ordered, values, resamples=resamples, seed=seed, clusters=clusters, workers=workers)
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
    """The interval of one score of a minus that of b, see `paired_intervals`; KeyError for an unknown name."""
    found = paired_intervals(
        metric, stats_a, stats_b, resamples=resamples, seed=seed, level=level, clusters=clusters, names=(score_name,)
    )
    return found[score_name]


def paired_intervals(
    metric: Metric,
    stats_a: Sequence[Stats],
    stats_b: Sequence[Stats],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Clusters | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, Interval]:
    """Score name -> interval of score a minus score b over the same draws of the same samples.

    names: the scores that are wanted, None: all. Raises BenchmarkError unless the sample ids are equal.
    """
    first, second = _ordered(stats_a), _ordered(stats_b)
    ids_a, ids_b = ([one.sample_id for one in side] for side in (first, second))
    if ids_a != ids_b:
        apart = sorted(set(ids_a) ^ set(ids_b), key=sample_order) or ids_a
        raise BenchmarkError(
            f"A paired comparison needs the same samples on both sides; {len(ids_a)} and {len(ids_b)} were given and "
            f"{len(apart)} differ (first: {apart[0]}). Score both runs on the same samples."
        )
    scores = [metric.pool(side) for side in (first, second)]
    values = [score(None).values for score in scores]
    drawn = [
        _replicates(score, first, values[0], resamples=resamples, seed=seed, clusters=clusters) for score in scores
    ]
    return {
        name: _difference(values[0][name] - values[1][name], drawn[0][name] - drawn[1][name], level)
        for name in (values[0] if names is None else names)
    }


def resample(
    metric: Metric,
    stats: Sequence[Stats],
    *,
    resamples: int = 1000,
    seed: int = 0,
    clusters: Clusters | None = None,
    workers: int = 1,
) -> Mapping[str, NDArray[np.float64]]:
    """Score name -> float64 [resamples], the score of each replicate. Equal seeds draw equal samples for equal ids.

    workers: processes at most, which change no bit.
    """
    ordered = _ordered(stats)
    score = metric.pool(ordered)
    names = score(None).values
    return _replicates(score, ordered, names, resamples=resamples, seed=seed, clusters=clusters, workers=workers)


def _replicates(
    score: Pooled,
    ordered: Sequence[Stats],
    names: Iterable[str],
    *,
    resamples: int,
    seed: int,
    clusters: Clusters | None,
    workers: int = 1,
) -> Mapping[str, NDArray[np.float64]]:
    """`resample` of statistics that are pooled. names: of the scores."""
    cluster = _cluster_of(ordered, clusters)
    num = int(cluster.max(initial=-1)) + 1
    drawn = draw(num, resamples=resamples, seed=seed)
    draws = forked.each(lambda weights: score(weights[cluster]).values, list(drawn), workers)
    return {name: np.array([values[name] for values in draws]) for name in names}


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


def _difference(value: float, replicates: NDArray[np.float64], level: float) -> Interval:
    """A difference with the two-sided p-value of its replicates, float64 [resamples]. Davison and Hinkley (1997), 4."""
    known = replicates[~np.isnan(replicates)]
    fewer = min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    p_value = min(1.0, 2 * (fewer + 1) / (known.size + 1)) if known.size else math.nan
    return replace(summary(value, replicates, level), p_value=p_value)


def _cluster_of(ordered: Sequence[Stats], clusters: Clusters | None) -> NDArray[np.int64]:
    """int64 [N], the number of each sample's cluster, in order of first occurrence."""
    if clusters is None:
        return np.arange(len(ordered))
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(clusters(one.sample_id), len(numbers)) for one in ordered], np.int64)


def _ordered(stats: Sequence[Stats]) -> list[Stats]:
    return sorted(stats, key=lambda one: sample_order(one.sample_id))
