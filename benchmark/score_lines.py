"""What `score` prints of a record: a table of scores with intervals, then counts, coverage and notes.

Percent, because that is what the field prints; records hold fractions. Nothing is printed here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from benchmark import overview
from benchmark.wording import agreeing

RATES = frozenset({"FP_per_frame"})
"""Scores that are no share of anything: shown as they are, without percent."""
WIDTH = 110
MISSING_SHOWN = 3


def of(record: Mapping[str, Any], unit: str) -> list[str]:
    """The lines of a record, the headline's score first. unit: what its samples are, "images"."""
    num = record["num_expected"]
    lines = [agreeing(f"{record['display_name']}, protocol {record['protocol']}, {num:,} {unit}")]
    if not record["truth_is_official"] and not record["is_mini"]:
        lines.append(f"against {record['truth']} (not the official split: counts are not enforced)")
    if record["missing"]:
        first = ", ".join(record["missing"][:MISSING_SHOWN]) + ", ..." * (len(record["missing"]) > MISSING_SHOWN)
        scored = f"coverage {record['num_scored']:,} of {num:,}: no headline number"
        lines.append(f"{scored}; the scores are those of the answered {unit}; missing {first}")
    lines += [f"  {line}" for line in overview.aligned(_rows(record), numbers=(1,))]
    lines += _wrapped("counts: ", [f"{name} {value:,}" for name, value in record["counts"].items()])
    undefined = any(value is None and name != record["main_score"] for name, value in record["scores"].items())
    lines += ["\N{EM DASH}: not defined, because the truth has nothing of the kind"] if undefined else []
    return lines + [agreeing(f"note: {count:,} {note}") for note, count in record["notes"].items()]


def _rows(record: Mapping[str, Any]) -> list[list[str]]:
    main = record["main_score"]
    rows = [["score", "%", "95 % interval" if record["intervals"] else ""]]
    for name, value in sorted(record["scores"].items(), key=lambda item: item[0] != main):
        factor, sign = (1, " (not %)") if name in RATES else (100, "")
        low, high = record["intervals"].get(name, (None, None))
        span = "" if low is None or high is None else f"{factor * low:.1f} to {factor * high:.1f}"
        rows.append([name + sign, "\N{EM DASH}" if value is None else f"{factor * value:.2f}", span])
    return rows


def _wrapped(head: str, parts: list[str]) -> list[str]:
    """Parts in as few lines as they fit in, none of them broken."""
    unbroken = ", ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
    lines = textwrap.wrap(unbroken, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) if parts else []
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
