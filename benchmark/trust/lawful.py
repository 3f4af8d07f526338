"""The gate of every number: scores that break a law of their metric are a defect of the suite and are never printed.

The laws stand beside the metrics (`MetricEntry.laws`); here they are asked, all of them, for one set of scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark import metrics
from benchmark.contract import Scores, Stats
from benchmark.problems import BenchmarkError

SHOWN = 3


def breaches(metric_name: str, scores: Scores, stats: Sequence[Stats]) -> list[str]:
    """One line for each law that the scores break, with the values that break it. stats: those behind the scores."""
    found = []
    for law in metrics.METRICS[metric_name].laws:
        places = list(law.breaches(scores, stats))
        if places:
            rest = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
            found.append(f"{law.text} ({'; '.join(places[:SHOWN])}{rest})")
    return found


def check(metric_name: str, scores: Scores, stats: Sequence[Stats]) -> None:
    """Raise BenchmarkError when the scores break a law of their metric."""
    broken = breaches(metric_name, scores, stats)
    if broken:
        laws = "; ".join(broken)
        raise BenchmarkError(
            f"Metric {metric_name} broke {len(broken)} of its own laws, so no number is printed: {laws}. This is "
            "a defect of the suite, or of areas that the truth states: report it with the command and the files."
        )
