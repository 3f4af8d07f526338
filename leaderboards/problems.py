"""What is wrong with an archive. An error makes a server refuse it or score something else; a warning does not.

Places are names inside the archive, wherever it is unpacked for a look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import problems
from benchmark.wording import agreeing

ERROR, WARNING = "error", "warning"
SHOWN = 3
"""Names that a problem of many files shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One defect. severity: ERROR or WARNING. place, message, remedy: as in `benchmark.problems.Problem`."""

    severity: str
    place: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.place}: {agreeing(self.message)}. {self.remedy}"


def error(place: str, message: str, remedy: str) -> Problem:
    """A defect for which a server refuses an archive, or scores something else."""
    return Problem(severity=ERROR, place=place, message=message, remedy=remedy)


def warning(place: str, message: str, remedy: str) -> Problem:
    """Something that costs score, or that a server passes over."""
    return Problem(severity=WARNING, place=place, message=message, remedy=remedy)


def from_reader(found: Iterable[problems.Problem], folder: Path) -> list[Problem]:
    """What the reader of a result form complains about. folder: where the archive was unpacked."""
    prefix = f"{folder}/"
    return [
        error(one.place.replace(prefix, ""), one.message.replace(prefix, ""), one.remedy)
        for one in dict.fromkeys(found)
    ]


def has_errors(found: Iterable[Problem]) -> bool:
    """Whether a server would refuse the archive, or score something else."""
    return any(one.severity == ERROR for one in found)


def listed(names: Sequence[str]) -> str:
    """The first names of many: "a, b, c, ..."."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
