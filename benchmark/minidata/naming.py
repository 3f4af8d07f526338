"""World kinds under the names of each label set (`kinds.csv`), and the words a prompt about a scene may use.

The names fill official label tables; a "stop sign" of the mini data is a star. The word list is committed: `words.txt`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
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
    """int64 [12]: world class -> class_index of the label set."""
    table = names(labels.name)
    return np.array([labels.index_named(table[kind]) for kind in THING_KINDS + STUFF_KINDS], np.int64)


def relabel(truth: Panoptic, labels: LabelSet) -> Panoptic:
    """The same segments under the classes of a label set."""
    indices = class_indices(labels)
    segments = (replace(segment, class_index=int(indices[segment.class_index])) for segment in truth.segments)
    return replace(truth, segments=tuple(segments))


def size_word(diameter: float, size: tuple[int, int]) -> str:
    """How an expression calls a thing of this diameter in an image of this (height, width)."""
    at_128 = diameter * 128 / min(size)
    return SIZES[0] if at_128 < SMALL_BELOW else SIZES[2] if at_128 >= LARGE_FROM else SIZES[1]


def vocabulary() -> tuple[str, ...]:
    """Every single word of class names, kinds, attributes and relations, sorted; the content of `words.txt`."""
    phrases = [*THING_KINDS, *STUFF_KINDS, *COLOURS, *PATTERNS, *SIZES, *RELATIONS, *COMPARISONS, *CONNECTIVES, *NOUNS]
    for label_set in ("coco_panoptic", "ade20k", "cityscapes"):
        phrases.extend(names(label_set).values())
    return tuple(sorted({word for phrase in phrases for word in re.findall("[a-z]+", phrase)}))


def known_words() -> tuple[str, ...]:
    """The committed word list; a prompt word outside it must be reported, never passed over."""
    return tuple(WORDS.read_text(encoding="utf-8").split())
