"""What the truth replayed and what nothing scores, where that is not 1 and 0, each with its derivation.

Keys are rows; a row that is not listed has the ceiling 1 and the floor 0 in its main score on its miniature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import object_limits

from benchmark.contract import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """ceiling, floor: of the main score, derived from the samples of the miniature. why: the derivation in words."""

    ceiling: Callable[[Sequence[Sample]], float]
    floor: Callable[[Sequence[Sample]], float]
    why: str


def constant(value: float) -> Callable[[Sequence[Sample]], float]:
    """The same whatever the samples."""
    return lambda samples: value


USUAL = Limits(ceiling=constant(1.0), floor=constant(0.0), why="everything is right, or nothing is")

def _silent(floor: Callable[[Sequence[Sample]], float]) -> Limits:
    why = "Two empty masks agree: silence is right in the frames without the object."
    return Limits(ceiling=constant(1.0), floor=floor, why=why)


LIMITS: dict[str, Limits] = {
    **{name: _silent(floor) for name, floor in object_limits.floors().items()},
}
