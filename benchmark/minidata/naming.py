"""World kinds under the names of each label set (`kinds.csv`), and the words a prompt about a scene may use.

The names fill official label tables; a "stop sign" of the mini data is a star. The word list is committed: `words.txt`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Panoptic
from benchmark.labels import LabelSet
from benchmark.minidata.scene import COLOURS, PATTERNS, STUFF_KINDS, THING_KINDS

KINDS_TABLE = Path(__file__).parent / "kinds.csv"
WORDS = Path(__file__).parent / "words.txt"
SENTENCE_WORDS = Path(__file__).parent / "sentence_words.txt"

SIZES = ("small", "medium", "large")
SMALL_BELOW, LARGE_FROM = 25.0, 36.0
"""Diameters in pixels at 128; between them an object is `medium`."""

RELATIONS = ("left of", "right of", "above", "below", "behind", "in front of", "on", "next to", "between")
COMPARISONS = ("smallest", "largest", "leftmost", "rightmost", "topmost", "bottommost", "same", "other", "only")
CONNECTIVES = (
    "the",
    "a",
    "an",
    "all",
    "no",
    "and",
    "or",
    "not",
    "with",
    "that",
    "is",
    "are",
    "which",
    "it",
    "as",
    "colour",
    "pattern",
)
NOUNS = ("thing", "shape", "object", "crowd", "task", "semantic", "instance", "panoptic")


@cache
def names(label_set: str) -> Mapping[str, str]:
    """World kind -> class name in a label set, things first, in world order."""
    with KINDS_TABLE.open(newline="", encoding="utf-8") as file:
        return {row["kind"]: row[label_set] for row in csv.DictReader(file)}


def class_indices(labels: LabelSet) -> NDArray[np.int64]:
    """int64 [12]: world class -> class_index of the label set, -1 where it has no such class.

    Label sets of `kinds.csv` have names chosen for the kinds ("" for none); in all others the kinds are spread over
    the thing and the stuff classes in order, several kinds to a class where these are few.
    """
    if labels.name in _named_sets():
        table = names(labels.name)
        chosen = (table[kind] for kind in THING_KINDS + STUFF_KINDS)
        return np.array([labels.index_named(name) if name else -1 for name in chosen], np.int64)
    things = [row.class_index for row in labels.classes if row.is_thing]
    stuff = [row.class_index for row in labels.classes if not row.is_thing]
    return np.array([*_spread(things, len(THING_KINDS)), *_spread(stuff, len(STUFF_KINDS))], np.int64)


def world_classes(labels: LabelSet) -> tuple[int, ...]:
    """The class indices that occur in the mini world, ascending; there is no use in asking for others."""
    return tuple(sorted({int(index) for index in class_indices(labels) if index >= 0}))


def _spread(classes: Sequence[int], num_kinds: int) -> list[int]:
    """A class for each kind, evenly spaced over the classes."""
    if not classes:
        return [-1] * num_kinds
    if len(classes) < num_kinds:
        return [classes[kind % len(classes)] for kind in range(num_kinds)]
    return [classes[kind * len(classes) // num_kinds] for kind in range(num_kinds)]


@cache
def _named_sets() -> tuple[str, ...]:
    """The label sets of `kinds.csv`."""
    with KINDS_TABLE.open(newline="", encoding="utf-8") as file:
        return tuple((csv.DictReader(file).fieldnames or [])[1:])


def relabel(truth: Panoptic, labels: LabelSet) -> Panoptic:
    """The same segments under the classes of a label set; what it has no class for becomes void."""
    indices = class_indices(labels)
    segments = tuple(replace(segment, class_index=int(indices[segment.class_index])) for segment in truth.segments)
    kept = tuple(segment for segment in segments if segment.class_index >= 0)
    if len(kept) == len(segments):
        return replace(truth, segments=segments)
    known = np.isin(truth.segment_id, [segment.id for segment in kept])
    return Panoptic(segment_id=np.where(known, truth.segment_id, 0), segments=kept)


def size_word(diameter: float, size: tuple[int, int]) -> str:
    """How an expression calls a thing of this diameter in an image of this (height, width)."""
    at_128 = diameter * 128 / min(size)
    return SIZES[0] if at_128 < SMALL_BELOW else SIZES[2] if at_128 >= LARGE_FROM else SIZES[1]


def vocabulary() -> tuple[str, ...]:
    """Every single word of class names, kinds, attributes and relations, sorted; the content of `words.txt`."""
    phrases = [*THING_KINDS, *STUFF_KINDS, *COLOURS, *PATTERNS, *SIZES, *RELATIONS, *COMPARISONS, *CONNECTIVES, *NOUNS]
    said = {word for phrase in phrases for word in re.findall("[a-z]+", phrase)}
    return tuple(sorted(said.union(class_words(("coco_panoptic", "ade20k", "cityscapes")))))


def class_words(label_sets: Sequence[str]) -> tuple[str, ...]:
    """Every single word of the names that the world's kinds have in these label sets, in lower case, sorted."""
    said = (names(label_set).values() for label_set in label_sets)
    return tuple(sorted({word for chosen in said for name in chosen for word in re.findall("[a-z]+", name.lower())}))


def sentence_words() -> tuple[str, ...]:
    """The committed words of expressions (`language.vocabulary`)."""
    return tuple(SENTENCE_WORDS.read_text(encoding="utf-8").split())


def known_words() -> tuple[str, ...]:
    """The committed word list; a prompt word outside it must be reported, never passed over."""
    return tuple(WORDS.read_text(encoding="utf-8").split())
