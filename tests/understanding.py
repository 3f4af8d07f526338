"""What an expression of the mini world means, worked out from its words and from what is seen, not how it was made.

Each reading gives two sets of segment ids, 0 standing for what must not be meant (members of a crowd, things that come
later): those of which the words are clearly true, and those of which a person might hold them to be true.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KINDS = ("disc", "box", "triangle", "star", "ring", "cross", "crescent", "hourglass")
SINGULAR = {("crosses" if one == "cross" else "boxes" if one == "box" else
             "hourglasses" if one == "hourglass" else f"{one}s"): one for one in KINDS}  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
PATTERNS = ("plain", "striped", "checked", "dotted")
SIZES = ("small", "medium", "large")
WAYS = {"right": (1.0, 0.0), "down": (0.0, 1.0), "left": (-1.0, 0.0), "up": (0.0, -1.0)}
CLEAR_GAP, STEP = 6.0, 1.0
"""Pixels between places that clearly differ, and that a thing moves between two frames if it moves at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One thing. id: its segment, 0 for what must not be meant. place: (x, y). diameter: pixels. depth: larger: nearer.

    path: float64 [T, 2], its places (x, y) over time. is_inside: bool [T], some of its box lies in the picture. Both
    None in a still picture.
    """

    id: int
    kind: str
    colour: str
    pattern: str
    place: tuple[float, float]
    diameter: float
    depth: int
    path: NDArray[np.float64] | None = None
    is_inside: NDArray[np.bool_] | None = None

    @property
    def size(self) -> str:
        """The word for its diameter in a picture of 128 pixels."""
        return SIZES[(self.diameter >= 25) + (self.diameter >= 36)]


Reading = tuple[set[int], set[int]]
"""Segment ids: clearly meant, possibly meant."""


def understand(sentence: str, things: Sequence[Seen]) -> Reading:
    """Both readings of an expression. Raises ValueError for one that follows no known pattern."""
    for pattern, read in PATTERNS_OF_SPEECH:
        found = re.fullmatch(pattern, sentence)
        if found:
            return read(things, *found.groups())
    raise ValueError(f"nobody understands {sentence!r}")


def _plainly(found: Sequence[Seen]) -> Reading:
    ids = {one.id for one in found}
    return ids, ids


def _named(things: Sequence[Seen], words: str) -> list[Seen]:
    """What a name fits: each word is a size, a colour, a pattern, a kind, or "thing"."""
    found = list(things)
    for word in words.split():
        is_kind, is_colour, is_pattern = word in KINDS, word in COLOURS, word in PATTERNS
        if not (is_kind or is_colour or is_pattern or word in SIZES or word == "thing"):
            raise ValueError(f"no attribute {word!r}")
        found = [
            one
            for one in found
            if word in (one.kind, one.colour, one.pattern, one.size, "thing" if word == "thing" else one.kind)
        ]
    return found


def _the(things: Sequence[Seen], name: str) -> Seen:
    """The one thing that a name fits."""
    found = _named(things, name)
    if len(found) != 1:
        raise ValueError(f"{len(found)} things are called {name!r}")
    return found[0]


def _all(things: Sequence[Seen], words: str) -> Reading:
    return _plainly(_named(things, SINGULAR.get(words, words.replace("things", "thing"))))


def _only(things: Sequence[Seen], pattern: str) -> Reading:
    return _plainly(_named(things, pattern))


def _like(things: Sequence[Seen], attribute: str, name: str) -> Reading:
    anchor = _the(things, name)
    return _plainly(
        [one for one in things if one is not anchor and getattr(one, attribute) == getattr(anchor, attribute)]
    )


MEASURES: dict[str, Callable[[Seen], float]] = {
    "smallest": lambda one: one.diameter,
    "largest": lambda one: -one.diameter,
    "leftmost": lambda one: one.place[0],
    "rightmost": lambda one: -one.place[0],
    "topmost": lambda one: one.place[1],
    "bottommost": lambda one: -one.place[1],
}


def _extreme(things: Sequence[Seen], superlative: str, name: str) -> Reading:
    """The clear winner, and whoever comes near it."""
    measure, group = MEASURES[superlative], _named(things, name)
    if any(not one.id for one in group):
        return set(), {one.id for one in group}
    best = min(group, key=measure)
    if superlative in ("smallest", "largest"):
        near = [one for one in group if max(one.diameter, best.diameter) <= 1.15 * min(one.diameter, best.diameter)]
    else:
        near = [one for one in group if measure(one) - measure(best) <= CLEAR_GAP]
    return {best.id}, {one.id for one in near}


def _beside(things: Sequence[Seen], name: str, relation: str, other: str) -> Reading:
    anchor = _the(things, other)
    group = [one for one in _named(things, name) if one is not anchor]
    clear = {one.id for one in group if _stands(relation, one, anchor, CLEAR_GAP, 0.7)}
    return clear, {one.id for one in group if not one.id or _stands(relation, one, anchor, 0.0, 1.1)}


def _stands(relation: str, one: Seen, anchor: Seen, gap: float, share: float) -> bool:
    if relation in ("in front of", "behind"):
        touches = math.dist(one.place, anchor.place) < share * (one.diameter + anchor.diameter) / 2
        return touches and (one.depth > anchor.depth) == (relation == "in front of")
    along = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}[relation]
    return sum(step * (mine - its) for step, mine, its in zip(along, one.place, anchor.place, strict=True)) > gap


def _moving(things: Sequence[Seen], name: str, words: str) -> Reading:
    clear, possible = MOVES[words] if words in MOVES else (_goes(words, 30), _goes(words, 60))
    group = _named(things, name)
    return {one.id for one in group if clear(one)}, {one.id for one in group if possible(one)}


def _goes(words: str, degrees: float) -> Callable[[Seen], bool]:
    """Whether a thing goes a way: all the time where 30 degrees are given, ever where 60 are."""
    way = np.array(WAYS[words.removeprefix("moves ")])
    every = all if degrees == 30 else any

    def test(one: Seen) -> bool:
        steps = _steps(one)
        lengths = np.linalg.norm(steps, axis=1)
        along = steps[lengths > 0.01] @ way / lengths[lengths > 0.01]
        return bool(len(along)) and every(along >= math.cos(math.radians(degrees)) - 1e-9)

    return test


def _steps(one: Seen) -> NDArray[np.float64]:
    return np.diff(one.path, axis=0)  # type: ignore[arg-type, no-any-return]


def _is_still(one: Seen) -> bool:
    return float(np.abs(_steps(one)).max()) < 0.01


def _comes_back(one: Seen) -> bool:
    """Whether a thing that moves ends where it began."""
    return not _is_still(one) and math.dist(one.path[0], one.path[-1]) < STEP  # type: ignore[index]


def _inside(one: Seen) -> tuple[bool, bool, bool]:
    """Whether it is in the picture at the first frame, always in between, and at the last."""
    first, *middle, last = one.is_inside.tolist()  # type: ignore[union-attr]
    return first, all(middle), last


def _leaves_and_returns(one: Seen) -> bool:
    return _inside(one) == (True, False, True)


MOVES: dict[str, tuple[Callable[[Seen], bool], Callable[[Seen], bool]]] = {
    "stays where it is": (_is_still, _is_still),
    "moves to and fro": (lambda one: _comes_back(one) and not _leaves_and_returns(one), _comes_back),
    "comes into the picture": (
        lambda one: not _inside(one)[0] and _inside(one)[2],
        lambda one: not all(one.is_inside[:-1]) and _inside(one)[2],  # type: ignore[index]
    ),
    "leaves the picture": (
        lambda one: _inside(one)[0] and not _inside(one)[2],
        lambda one: _inside(one)[0] and not all(one.is_inside[1:]),  # type: ignore[index]
    ),
    "leaves the picture and comes back": (_leaves_and_returns, _leaves_and_returns),
}
"""Words -> (clearly, possibly)."""
PATTERNS_OF_SPEECH: tuple[tuple[str, Callable[..., Reading]], ...] = (
    (r"all (.+)", _all),
    (r"the only (\w+) thing", _only),
    (r"the thing that has the same (colour|pattern) as the (.+)", _like),
    (r"the (\w+most|largest|smallest) (.+)", _extreme),
    (r"the (\w+) (left of|right of|above|below|in front of|behind) the (.+)", _beside),
    (r"the (\w+) that (.+)", _moving),
    (r"the ([\w ]+)", lambda things, name: _plainly(_named(things, name))),
)
