"""Spatial relations between two things of a scene: strict about what is said, loose about what is ruled out.

Sides are told by centres, depth by nominal circles that cut each other.
"""

from __future__ import annotations

import math
from typing import Protocol

from benchmark.minidata.scene import Thing

NEEDED_GAP = 6.0
"""Pixels between two centres from which one clearly lies to a side of the other."""
RELATIONS = ("left of", "right of", "above", "below", "in front of", "behind")


class Placed(Protocol):
    """A thing with its place in depth; larger is nearer."""

    @property
    def thing(self) -> Thing: ...

    @property
    def depth(self) -> int: ...


def holds(relation: str, one: Placed, anchor: Placed, *, clearly: bool) -> bool:
    """Whether `one` stands in a relation to `anchor`. clearly: False already where a person might say so."""
    gap = NEEDED_GAP if clearly else 0.0
    down, right = (one.thing.centre[axis] - anchor.thing.centre[axis] for axis in (0, 1))
    match relation:
        case "left of":
            return -right > gap
        case "right of":
            return right > gap
        case "above":
            return -down > gap
        case "below":
            return down > gap
        case "in front of":
            return one.depth > anchor.depth and _overlap(one.thing, anchor.thing, clearly=clearly)
        case "behind":
            return one.depth < anchor.depth and _overlap(one.thing, anchor.thing, clearly=clearly)
    raise ValueError(f"unknown relation {relation!r}, known: {', '.join(RELATIONS)}")


def _overlap(one: Thing, other: Thing, *, clearly: bool) -> bool:
    """Whether the nominal circles cut each other, deeply where that must be clear."""
    share = 0.7 if clearly else 1.1
    return math.dist(one.centre, other.centre) < share * (one.diameter + other.diameter) / 2
