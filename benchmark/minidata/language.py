"""What can be said of a scene or a clip: expressions whose meaning follows from the scene, not from a template's hope.

An expression is kept only where it fits exactly what it should: one thing, all things of a group, or nothing. Members
of a crowd are never meant, so no expression may fit them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.random import Generator

from benchmark.annotated import Expression, ExpressionKind
from benchmark.minidata.clips import Clip
from benchmark.minidata.motion import Motion, MotionKind
from benchmark.minidata.naming import size_word
from benchmark.minidata.relations import NEEDED_GAP, RELATIONS, holds
from benchmark.minidata.render import first_thing_id
from benchmark.minidata.scene import COLOURS, HELDOUT_PAIRS, THING_KINDS, Scene, Thing

LANGUAGE_STREAM = 78
"""Keeps the random numbers of the sentences apart from those of the scene."""
NAMES: tuple[tuple[str, ...], ...] = (
    ("kind",),
    ("colour", "kind"),
    ("pattern", "kind"),
    ("size", "kind"),
    ("size", "colour", "kind"),
    ("colour", "pattern", "kind"),
    ("size", "colour", "pattern", "kind"),
)
"""Attributes in the order in which they are spoken; the first that fit one thing alone are its name."""
CLEARLY_LARGER = 1.15
MOVES = {
    MotionKind.STILL: "that stays where it is",
    MotionKind.SWAY: "that moves to and fro",
    MotionKind.ENTER: "that comes into the picture",
    MotionKind.LEAVE: "that leaves the picture",
    MotionKind.RETURN: "that leaves the picture and comes back",
}
HEADINGS = ("right", "down", "left", "up")
"""Quarter turns from 0 radians on."""
ALSO_SAID_OF_RETURN = (MotionKind.SWAY, MotionKind.ENTER, MotionKind.LEAVE)
"""What returns goes to and fro, leaves and comes in as well, so nothing else may be told from it in these words."""
AT_REST = Motion(kind=MotionKind.STILL, heading=0.0, reach=0.0)
"""How the members of a crowd move."""
CLEARLY_HEADING, MAYBE_HEADING = np.radians(30), np.radians(60)
"""Angles to a direction up to which a thing surely moves that way, and might be said to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referent:
    """A thing that can be spoken of. segment_id: 0 for members of a crowd. depth: larger is nearer."""

    segment_id: int
    thing: Thing
    depth: int
    words: dict[str, str]


def image_expressions(scene: Scene, seen: frozenset[int]) -> tuple[Expression, ...]:
    """At most one expression of each kind that a still picture allows. seen: segment ids of which pixels are seen."""
    return _choose(scene, _referents(scene, seen), _crowd_members(scene), ())


def clip_expressions(clip: Clip, seen: frozenset[int]) -> tuple[Expression, ...]:
    """At most one expression of each kind; places and sizes are those of the first frame."""
    referents, crowd = _referents(clip.scene, seen), _crowd_members(clip.scene)
    here = [one for one in referents if _starts_inside(clip, one)]
    later = [replace(one, segment_id=0) for one in referents if not _starts_inside(clip, one)]
    return _choose(clip.scene, here, [*crowd, *later], _of_motion(clip, referents, crowd))


def _starts_inside(clip: Clip, one: Referent) -> bool:
    """Whether the thing is where the scene has it when the clip begins."""
    return clip.motions[one.segment_id - first_thing_id(clip.scene)].kind is not MotionKind.ENTER


def _choose(
    scene: Scene, referents: list[Referent], crowd: list[Referent], of_motion: Sequence[Expression]
) -> tuple[Expression, ...]:
    """One expression of each kind, picked by the scene's seed, the sentences all different.

    crowd: what no expression may fit, members of a crowd and things that are not there yet.
    """
    rng = np.random.default_rng([scene.seed, LANGUAGE_STREAM])
    found = [
        list(_of_attributes(referents, crowd)),
        list(_of_comparison(referents, crowd)),
        list(_of_relation(referents, crowd)),
        list(_of_reasoning(referents, crowd)),
        list(_of_groups(referents, crowd)),
        list(of_motion),
        list(_of_nothing(scene, rng)),
    ]
    chosen: dict[str, Expression] = {}
    for candidates in found:
        new = [one for one in candidates if one.sentence not in chosen]
        if new:
            one = new[int(rng.integers(len(new)))]
            chosen[one.sentence] = one
    return tuple(chosen.values())


def _referents(scene: Scene, seen: frozenset[int]) -> list[Referent]:
    first = first_thing_id(scene)
    return [
        Referent(segment_id=first + index, thing=thing, depth=index, words=_words(thing, scene.size))
        for index, thing in enumerate(scene.things)
        if first + index in seen
    ]


def _crowd_members(scene: Scene) -> list[Referent]:
    """One stands for all: they share kind, colour and pattern."""
    members = () if scene.crowd is None else scene.crowd.members[:1]
    return [Referent(segment_id=0, thing=one, depth=-1, words=_words(one, scene.size)) for one in members]


def _words(thing: Thing, size: tuple[int, int]) -> dict[str, str]:
    looks = {"kind": thing.kind, "colour": thing.colour, "pattern": thing.pattern}
    return looks | {"size": size_word(thing.diameter, size)}


def name_of(target: Referent, others: Sequence[Referent], without: str = "") -> str | None:
    """The shortest name that fits the target alone, as "small red disc"; None where every name fits another too.

    without: an attribute that must not be spoken.
    """
    for attributes in NAMES:
        wanted = [target.words[one] for one in attributes]
        fits = [other for other in others if [other.words[one] for one in attributes] == wanted]
        if without not in attributes and len(fits) == 1:
            return " ".join(wanted)
    return None


def _one(sentence: str, target: Referent, kind: ExpressionKind) -> Expression:
    return Expression(sentence=sentence, segment_ids=(target.segment_id,), kind=kind)


def _of_attributes(referents: list[Referent], crowd: list[Referent]) -> Iterator[Expression]:
    """ "the striped disc"."""
    for target in referents:
        name = name_of(target, [*referents, *crowd])
        if name is not None:
            yield _one(f"the {name}", target, ExpressionKind.ATTRIBUTE)


def _of_comparison(referents: list[Referent], crowd: list[Referent]) -> Iterator[Expression]:
    """ "the largest disc", "the leftmost red thing"; only where the second is clearly behind."""
    for attribute in ("kind", "colour"):
        for word in dict.fromkeys(one.words[attribute] for one in referents):
            group = [one for one in referents if one.words[attribute] == word]
            if len(group) < 2 or any(one.words[attribute] == word for one in crowd):
                continue
            noun = word if attribute == "kind" else f"{word} thing"
            for superlative, target in _extremes(group):
                yield _one(f"the {superlative} {noun}", target, ExpressionKind.COMPARISON)


def _extremes(group: list[Referent]) -> Iterator[tuple[str, Referent]]:
    """Superlatives that hold clearly, with the thing that they name."""
    by_size = sorted(group, key=lambda one: one.thing.diameter)
    if by_size[-1].thing.diameter > CLEARLY_LARGER * by_size[-2].thing.diameter:
        yield "largest", by_size[-1]
    if by_size[1].thing.diameter > CLEARLY_LARGER * by_size[0].thing.diameter:
        yield "smallest", by_size[0]
    for axis, (low, high) in enumerate([("topmost", "bottommost"), ("leftmost", "rightmost")]):
        ordered = sorted(group, key=lambda one: one.thing.centre[axis])
        places = [one.thing.centre[axis] for one in ordered]
        if places[1] - places[0] > NEEDED_GAP:
            yield low, ordered[0]
        if places[-1] - places[-2] > NEEDED_GAP:
            yield high, ordered[-1]


def _of_relation(referents: list[Referent], crowd: list[Referent]) -> Iterator[Expression]:
    """ "the disc left of the blue box", where discs elsewhere make the relation needed."""
    crowded = {one.thing.kind for one in crowd}
    for target, anchor in permutations(referents, 2):
        kind = target.thing.kind
        alike = [one for one in referents if one.thing.kind == kind and one is not anchor]
        name = name_of(anchor, [*referents, *crowd])
        if name is None or kind in crowded or len(alike) < 2:
            continue
        for relation in RELATIONS:
            possible = [one for one in alike if holds(relation, one, anchor, clearly=False)]
            if possible == [target] and holds(relation, target, anchor, clearly=True):
                yield _one(f"the {kind} {relation} the {name}", target, ExpressionKind.RELATION)


def _of_reasoning(referents: list[Referent], crowd: list[Referent]) -> Iterator[Expression]:
    """ "the thing that is the same colour as the star", "the only striped thing"."""
    everything = [*referents, *crowd]
    for attribute in ("colour", "pattern"):
        for anchor in referents:
            alike = [one for one in everything if one.words[attribute] == anchor.words[attribute] and one is not anchor]
            name = name_of(anchor, everything, without=attribute)
            if name is not None and len(alike) == 1 and alike[0].segment_id:
                sentence = f"the thing that has the same {attribute} as the {name}"
                yield _one(sentence, alike[0], ExpressionKind.REASONING)
    for target in referents:
        if sum(one.words["pattern"] == target.words["pattern"] for one in everything) == 1:
            yield _one(f"the only {target.words['pattern']} thing", target, ExpressionKind.REASONING)


def _of_groups(referents: list[Referent], crowd: list[Referent]) -> Iterator[Expression]:
    """ "all red things", two or more."""
    nouns: dict[str, Callable[[str], str]] = {"kind": _plural, "colour": lambda word: f"{word} things"}
    for attribute, noun in nouns.items():
        for word in dict.fromkeys(one.words[attribute] for one in referents):
            ids = tuple(one.segment_id for one in referents if one.words[attribute] == word)
            if len(ids) >= 2 and not any(one.words[attribute] == word for one in crowd):
                yield Expression(sentence=f"all {noun(word)}", segment_ids=ids, kind=ExpressionKind.GROUP)


def _of_nothing(scene: Scene, rng: Generator) -> Iterator[Expression]:
    """A kind in a colour that the scene does not show, though the split may show it."""
    shown = {(one.kind, one.colour) for one in scene.things}
    if scene.crowd is not None:
        shown |= {(one.kind, one.colour) for one in scene.crowd.members}
    pairs = [(kind, colour) for kind in THING_KINDS for colour in COLOURS]
    allowed = [one for one in pairs if one not in shown and (scene.split == "heldout" or one not in HELDOUT_PAIRS)]
    kind, colour = allowed[int(rng.integers(len(allowed)))]
    yield Expression(sentence=f"the {colour} {kind}", segment_ids=(), kind=ExpressionKind.NO_TARGET)


def _of_motion(clip: Clip, referents: list[Referent], crowd: list[Referent]) -> list[Expression]:
    """ "the disc that leaves the picture", "the thing that moves left", where that fits one thing alone."""
    first = first_thing_id(clip.scene)
    motions = {one.segment_id: clip.motions[one.segment_id - first] for one in referents}
    found = []
    for noun in ("thing", *THING_KINDS):
        group = [one for one in referents if noun in ("thing", one.thing.kind)]
        crowded = any(noun in ("thing", one.thing.kind) for one in crowd)
        for target in group if len(group) > 1 else ():
            move = move_of(motions[target.segment_id])
            others = [motions[one.segment_id] for one in group if one is not target]
            others += [AT_REST] if crowded else []
            if move is not None and not any(may_be_said(move, motion) for motion in others):
                found.append(_one(f"the {noun} {move}", target, ExpressionKind.MOTION))
    return found


def move_of(motion: Motion) -> str | None:
    """How a motion is spoken of; None for a drift that is neither clearly one way nor another."""
    if motion.kind is not MotionKind.DRIFT:
        return MOVES[motion.kind]
    return next((_moves(way) for way in HEADINGS if _turned_from(way, motion.heading) <= CLEARLY_HEADING), None)


def may_be_said(move: str, motion: Motion) -> bool:
    """Whether a person might say so of a motion, even if that is not how `move_of` puts it."""
    also = ALSO_SAID_OF_RETURN if motion.kind is MotionKind.RETURN else ()
    if any(MOVES.get(kind) == move for kind in (motion.kind, *also)):
        return True
    ways = {MotionKind.STILL: (), MotionKind.DRIFT: (0.0,), MotionKind.LEAVE: (0.0,), MotionKind.ENTER: (np.pi,)}
    turns = ways.get(motion.kind, (0.0, np.pi))
    return any(
        move == _moves(way) and _turned_from(way, motion.heading + turn) <= MAYBE_HEADING
        for way in HEADINGS
        for turn in turns
    )


def _moves(way: str) -> str:
    return f"that moves {way}"


def _turned_from(way: str, heading: float) -> float:
    """The angle, 0 to pi, between a heading and one of `HEADINGS`."""
    return abs((heading - HEADINGS.index(way) * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi)


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith(("x", "s")) else f"{kind}s"


def vocabulary() -> tuple[str, ...]:
    """Every word that an expression can use, sorted; the content of `sentence_words.txt`."""
    phrases = ["the all thing things only that moves has same colour pattern as plain striped checked dotted"]
    phrases += ["largest smallest leftmost rightmost topmost bottommost small medium large"]
    phrases += [*RELATIONS, *COLOURS, *THING_KINDS, *HEADINGS, *MOVES.values(), *map(_plural, THING_KINDS)]
    return tuple(sorted({word for phrase in phrases for word in phrase.split()}))
