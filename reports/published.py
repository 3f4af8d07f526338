"""Numbers that other people printed, with the place where they printed them.

`published.csv` holds one row per number: what was measured (benchmark row, metric, protocol), on which model (system,
variant, and a `setting` when it is not the released model itself: an ablation, a re-training, a port) and where it is
printed. Scores are fractions; `params`, `flops` and `queries` carry their own unit.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_SECONDARY = ("multi-scale and flip", "truth: derived from panoptic_val2017", "truth not stated")
PUBLISHED_CSV = Path(__file__).with_name("published.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedNumber:
    """One printed number. setting: empty for the released model.

    unit: "fraction" for scores, else "M", "G" or "count".
    """

    system: str
    variant: str
    setting: str
    benchmark: str
    split: str
    metric: str
    value: float
    unit: str
    source: str
    protocol: str
    note: str


def load(path: Path = PUBLISHED_CSV) -> tuple[PublishedNumber, ...]:
    """All published numbers, in file order."""
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(_number(row) for row in csv.DictReader(file))


def _number(row: dict[str, str]) -> PublishedNumber:
    texts = {name: row[name] for name in PublishedNumber.__slots__ if name != "value"}
    return PublishedNumber(value=float(row["value"]), **texts)


def lookup(
    numbers: Sequence[PublishedNumber],
    benchmark: str,
    *,
    system: str | None = None,
    variant: str | None = None,
    metric: str | None = None,
    setting: str | None = "",
) -> tuple[PublishedNumber, ...]:
    """The numbers of one benchmark row that match; None matches everything. The default is released models only."""
    wanted = {"system": system, "variant": variant, "metric": metric, "setting": setting}
    return tuple(
        number
        for number in numbers
        if number.benchmark == benchmark
        and all(value is None or getattr(number, name) == value for name, value in wanted.items())
    )


def headline(
    numbers: Sequence[PublishedNumber], benchmark: str, system: str, metric: str, *, variant: str = ""
) -> PublishedNumber | None:
    """The number of a system's variant on a benchmark row, the system's best where that one is not printed, or None.

    Left out are test-time augmentation and truths other than the row's own; among equal values the first of the file
    wins (the authors' own).
    """
    found = [number for number in lookup(numbers, benchmark, system=system, metric=metric) if _is_primary(number)]
    own = [number for number in found if number.variant == variant]
    return max(own or found, key=lambda number: number.value, default=None)


def merge_sources(numbers: Sequence[PublishedNumber]) -> tuple[PublishedNumber, ...]:
    """Equal numbers for the same thing become one, with all its sources and notes."""
    merged: dict[tuple[str | float, ...], PublishedNumber] = {}
    for number in numbers:
        key = tuple(getattr(number, name) for name in PublishedNumber.__slots__ if name not in ("source", "note"))
        known = merged.get(key)
        merged[key] = (
            number
            if known is None
            else replace(known, source=_joined(known.source, number.source), note=_joined(known.note, number.note))
        )
    return tuple(merged.values())


def _joined(first: str, second: str) -> str:
    return "; ".join(dict.fromkeys(part for part in (*first.split("; "), *second.split("; ")) if part))


def _is_primary(number: PublishedNumber) -> bool:
    return number.protocol not in _SECONDARY
