"""What is wrong with a file, and the errors that carry it.

A reader or validator collects every `Problem` of its input and raises one `DataError` at the end, so a user sees all of
them at once. Commands print each problem as one line and exit with code 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.wording import agreeing

OTHER_SPLIT = "score against the split that these results were made for"
"""How a remedy ends, in either case, where ids fit no sample: `trust.splits` then looks at the other splits."""
LONGEST = 400
"""Characters of a place and of a message that are shown; the values in them may fill a file."""
MOST_LINES, MOST_ALIKE = 100, 10
"""Problems that are printed, in all and of one kind; the rest is counted."""
_VARYING = re.compile(r"'[^']*'|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One defect of a user's input.

    place: file (and id inside it) where the defect is.
    message: what was found and what was expected, with the values.
    remedy: what the user can do about it.
    """

    place: str
    message: str
    remedy: str

    @property
    def is_foreign(self) -> bool:
        """Whether results of another split may be the cause."""
        return self.remedy.lower().endswith(OTHER_SPLIT)

    def __str__(self) -> str:
        return f"{_shown(self.place)}: {agreeing(_shown(self.message))}. {self.remedy}"


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


class BenchmarkError(Exception):
    """Base of all errors that are the input's or the call's fault (exit code 2)."""


class DataError(BenchmarkError):
    """The files of a benchmark, or of a prediction, break their contract."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(BenchmarkError):
    """The command line asks for something that does not exist or does not fit together."""


def shortened(lines: Iterable[str]) -> list[str]:
    """Lines of problems, those of one kind together, and counts of what is left out.

    Of one kind are lines that differ in their place (up to the first colon), in numbers and in quoted words: a file
    made for another benchmark is wrong in every entry, and other faults must not drown in that.
    """
    kinds: dict[str, list[str]] = {}
    for line in lines:
        kinds.setdefault(_VARYING.sub("", line.partition(": ")[2] or line), []).append(line)
    shown: list[str] = []
    for alike in kinds.values():
        rest = len(alike) - MOST_ALIKE
        shown += alike if rest < 2 else [*alike[:MOST_ALIKE], f"... and {rest:,} more like the {MOST_ALIKE} above."]
    rest = sum(map(len, kinds.values())) - MOST_LINES
    return shown if len(shown) <= MOST_LINES else [*shown[:MOST_LINES], f"... and {rest:,} more problems."]


def raise_if_any(problems: Iterable[Problem]) -> None:
    """Raise one `DataError` with all problems, equal ones once, or return if there are none."""
    found = tuple(dict.fromkeys(problems))
    if found:
        raise DataError(found)
