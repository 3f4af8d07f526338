"""What a metric module says of itself: its protocols, the official tool it equals, and how its scores are printed.

Every metric module ends with `ENTRIES`, a mapping from metric names to these records; `metrics/__init__.py` gathers
them. A benchmark row names a metric and the protocols that it offers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmark.contract import Metric
from benchmark.labels import LabelSet
from benchmark.metrics.laws import Law


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way of computing a metric. score_names: keys of `Scores.values`, in the order of the official summary."""

    build: Callable[[LabelSet], Metric]
    score_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEntry:
    """protocols: name -> how to compute it; the first is the default. tool: the official program it equals.

    laws: what its scores obey whatever is scored. lower_is_better: the scores of which less is better.
    decimals: of the percentage that reports print, the same for all scores of the metric.
    """

    protocols: Mapping[str, Protocol]
    tool: str
    laws: tuple[Law, ...] = ()
    lower_is_better: frozenset[str] = frozenset()
    decimals: int = 1

    def is_higher_better(self, score_name: str) -> bool:
        """Whether more of this score is better."""
        return score_name not in self.lower_is_better
