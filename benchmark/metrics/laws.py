"""Laws that the scores of a metric obey whatever is scored: ranges, orders and identities.

Each metric declares its own beside its definition (`MetricEntry.laws`); they are checked between computing a number and
printing it. A law speaks of names of scores or counts and holds for the set as a whole and in every row of the table by
class that has all of its names; undefined values (NaN) obey every law. Only theorems are laws: where crowds or ignored
truth may break an order in principle, the law says so by its excuse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

import numpy as np

from benchmark.contract import Scores, Stats

TOLERANCE = 1e-9
"""By how much rounding may break a law."""


class Law(Protocol):
    """text: what holds, in symbols. breaches: where it does not."""

    @property
    def text(self) -> str: ...

    def breaches(self, scores: Scores, stats: Sequence[Stats]) -> Iterator[str]:
        """One description, with the values, of every row of the scores that breaks the law."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLaw:
    """names: scores or counts of one row. holds: whether their values obey.

    excuse: statistics of which the law is not a theorem; asked when it is broken.
    """

    text: str
    names: tuple[str, ...]
    holds: Callable[..., bool]
    excuse: Callable[[Stats], bool] | None = None

    def breaches(self, scores: Scores, stats: Sequence[Stats]) -> Iterator[str]:
        """Every row whose values do not obey."""
        for place, row in _rows(scores):
            values = [row.get(name, math.nan) for name in self.names]
            if any(map(math.isnan, values)) or self.holds(*values):
                continue
            if self.excuse is not None and any(map(self.excuse, stats)):
                return
            shown = ", ".join(f"{name} = {value:.9g}" for name, value in zip(self.names, values, strict=True))
            yield f"{place}{shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanLaw:
    """The score `name` of the set is the mean of `of` over the classes in which that is defined."""

    name: str
    of: str

    @property
    def text(self) -> str:
        """The law in words."""
        return f"{self.name} is the mean of {self.of} over the classes"

    def breaches(self, scores: Scores, stats: Sequence[Stats]) -> Iterator[str]:
        """The set, if its score is another one."""
        column = [row[self.of] for row in scores.per_class.values() if not math.isnan(row.get(self.of, math.nan))]
        value = scores.values.get(self.name, math.nan)
        if column and not math.isnan(value) and abs(float(np.mean(column)) - value) > TOLERANCE:
            yield f"{self.name} = {value:.9g}, mean {float(np.mean(column)):.9g}"


def near(left: float, right: float) -> bool:
    """Whether two scores are equal but for rounding."""
    return abs(left - right) <= TOLERANCE


def fractions(*names: str) -> tuple[Law, ...]:
    """Each score lies in 0..1."""
    return tuple(RowLaw(text=f"0 <= {name} <= 1", names=(name,), holds=partial(_within, 0.0, 1.0)) for name in names)


def signed(*names: str) -> tuple[Law, ...]:
    """Each score lies in -1..1."""
    return tuple(RowLaw(text=f"-1 <= {name} <= 1", names=(name,), holds=partial(_within, -1.0, 1.0)) for name in names)


def at_most_one(*names: str) -> tuple[Law, ...]:
    """Each score is at most 1 and may be negative without bound."""
    return tuple(RowLaw(text=f"{name} <= 1", names=(name,), holds=partial(_within, -math.inf, 1.0)) for name in names)


def not_negative(*names: str) -> tuple[Law, ...]:
    """Each score is at least 0 and has no upper bound."""
    return tuple(RowLaw(text=f"0 <= {name}", names=(name,), holds=partial(_within, 0.0, math.inf)) for name in names)


def rising(*names: str, excuse: Callable[[Stats], bool] | None = None) -> tuple[Law, ...]:
    """Each score is at most the next one."""
    return tuple(
        RowLaw(text=f"{low} <= {high}", names=(low, high), holds=_is_at_most, excuse=excuse)
        for low, high in pairwise(names)
    )


def equality(text: str, names: Sequence[str], formula: Callable[..., float]) -> RowLaw:
    """The first of the names is what the formula makes of the others."""
    return RowLaw(text=text, names=tuple(names), holds=lambda value, *others: near(value, formula(*others)))


def mean_of_steps(mean: str, shares: Mapping[str, float]) -> tuple[Law, ...]:
    """Bounds of a mean by the shares of its values that reach each of some rising thresholds.

    shares: name of the share -> its threshold. Values lie in 0..1.
    """
    names, thresholds = tuple(shares), np.array(list(shares.values()))
    low_steps = np.diff(thresholds, prepend=0.0)
    high_steps = np.diff(thresholds, append=1.0)

    def bounds(value: float, *reached: float) -> bool:
        low = float(low_steps @ reached)
        high = float(thresholds[0] + high_steps @ reached)
        return low - TOLERANCE <= value <= high + TOLERANCE

    text = f"{mean} lies within the bounds that {', '.join(names)} set"
    return (RowLaw(text=text, names=(mean, *names), holds=bounds),)


def ignores_truth(one: Stats) -> bool:
    """Whether some truth of a sample is ignored in all areas: detections on it are neither right nor wrong."""
    counts = one.arrays["truth_counts"]
    return bool(len(counts)) and not bool(counts[:, 0].all())


def average_precision(caps: Sequence[str] = ()) -> tuple[Law, ...]:
    """Laws of COCO's average precision. caps: names of the average recalls, by rising number of detections."""
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl", "ARs", "ARm", "ARl", *caps)
    ordered = (*rising("AP", "AP50", excuse=ignores_truth), *rising("AP75", "AP50", excuse=ignores_truth))
    return (*fractions(*names), *ordered, *rising(*caps), MeanLaw(name="AP", of="AP"), MeanLaw(name="AP50", of="AP50"))


def panoptic_quality() -> tuple[Law, ...]:
    """Laws of panoptic quality, of all classes and of things and stuff apart."""
    found: tuple[Law, ...] = ()
    for group in ("", "_th", "_st"):
        names = tuple(f"{name}{group}" for name in ("PQ", "SQ", "RQ"))
        found += (*fractions(*names), *rising(names[0], names[1]), *rising(names[0], names[2]))
    parts = ("PQ", "PQ_th", "PQ_st")
    between = RowLaw(text="PQ lies between PQ_th and PQ_st", names=parts, holds=_is_between)
    means = tuple(MeanLaw(name=name, of=name) for name in ("PQ", "SQ", "RQ"))
    return (*found, ClassLaw(text="PQ = SQ x RQ", names=("PQ", "SQ", "RQ"), holds=_is_product), between, *means)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLaw:
    """A law of every class that means over classes need not obey. names, holds: as of `RowLaw`."""

    text: str
    names: tuple[str, ...]
    holds: Callable[..., bool]

    def breaches(self, scores: Scores, stats: Sequence[Stats]) -> Iterator[str]:
        """Every class whose values do not obey."""
        for place, row in scores.per_class.items():
            values = [row.get(name, math.nan) for name in self.names]
            if not any(map(math.isnan, values)) and not self.holds(*values):
                shown = ", ".join(f"{name} = {value:.9g}" for name, value in zip(self.names, values, strict=True))
                yield f"{place}: {shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountLaw:
    """The score `name` of a set of one class is what the formula makes of counts; means of several classes are not."""

    text: str
    name: str
    counts: tuple[str, ...]
    formula: Callable[..., float]
    is_pooled: bool = False

    def breaches(self, scores: Scores, stats: Sequence[Stats]) -> Iterator[str]:
        """The set, if its score is another one. is_pooled: the score is one of all classes together."""
        known = [row for row in scores.per_class.values() if not math.isnan(row.get(self.name, math.nan))]
        value = scores.values.get(self.name, math.nan)
        if math.isnan(value) or not (self.is_pooled or len(known) == len(scores.per_class) == 1):
            return
        expected = self.formula(*(scores.counts[name] for name in self.counts))
        if not near(value, expected):
            shown = ", ".join(f"{name} = {scores.counts[name]}" for name in self.counts)
            yield f"{self.name} = {value:.9g}, of {shown} {expected:.9g}"


def _rows(scores: Scores) -> Iterator[tuple[str, Mapping[str, float]]]:
    yield "", scores.values
    for name, row in scores.per_class.items():
        yield f"{name}: ", row


def _within(low: float, high: float, value: float) -> bool:
    return low - TOLERANCE <= value <= high + TOLERANCE


def _is_at_most(low: float, high: float) -> bool:
    return low <= high + TOLERANCE


def _is_between(value: float, first: float, second: float) -> bool:
    return min(first, second) - TOLERANCE <= value <= max(first, second) + TOLERANCE


def _is_product(value: float, first: float, second: float) -> bool:
    return near(value, first * second)
