"""What a metric module says of itself: its protocols, the official tool it equals, and how its scores are printed.

Every metric module ends with `ENTRIES`, a mapping from metric names to these records; `metrics/__init__.py` gathers
them. A benchmark row names a metric and the protocols that it offers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmark.contract import Metric
from benchmark.labels import LabelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way of computing a metric. score_names: keys of `Scores.values`, in the order of the official summary."""

    build: Callable[[LabelSet], Metric]
    score_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEntry:
    """protocols: name -> how to compute it; the first is the default. tool: the official program it equals.

    is_higher_better, decimals (of the percentage that reports print): the same for all scores of the metric.
    """

    protocols: Mapping[str, Protocol]
    tool: str
    is_higher_better: bool = True
    decimals: int = 1
