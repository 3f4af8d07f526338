"""The classes of each label set, and the only place where a data set's `category_id` meets our `class_index`.

One CSV a label set lies in `label_tables/`: COCO panoptic (133 classes: 80 things in the order of the official list,
then 53 stuff), ADE20K SceneParsing (150, official order) and Cityscapes (19 evaluated in the order of their train ids;
the official labels that no metric looks at follow as `ignored`, so that files round-trip). `object` is the one class
of benchmarks without classes.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.problems import UsageError

TABLES = Path(__file__).parent / "label_tables"
NAMES = (
    "coco_panoptic",
    "coco",
    "ade20k",
    "cityscapes",
    "lvis_v1",
    "lvis_v05",
    "objects365_v2",
    "openimages_challenge",
    "openimages_challenge_segmentable",
    "d3",
    "odinw13",
    "odinw35",
    "seginw",
    "object",
    "mot_challenge",
    "mots_challenge",
    "kitti_mots",
    "seen_unseen",
    "youtube_vis19",
    "youtube_vis21",
    "ovis",
    "bdd100k_panoptic",
    "bdd100k_semantic",
    "bdd100k_tracking",
    "pascal_context59",
    "pascal_context60",
    "pascal_context459",
    "mapillary_v12",
    "mapillary_v20",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelClass:
    """One class.

    class_index: zero-based position in its `LabelSet`.   category_id: the data set's own id.
    color: (red, green, blue), 0..255.   supercategory: the official group, "" if there is none.
    instance_category_id: ADE20K's second numbering of its 100 things (1..100), None elsewhere.
    code: the data set's own id where it is text (Open Images: /m/01g317), "" elsewhere.
    """

    class_index: int
    category_id: int
    name: str
    is_thing: bool
    color: tuple[int, int, int]
    supercategory: str
    instance_category_id: int | None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """classes: the evaluated ones, by class_index 0..num_classes-1. ignored: official ones that no metric looks at."""

    name: str
    classes: tuple[LabelClass, ...]
    ignored: tuple[LabelClass, ...] = ()
    _index_by_category: Mapping[int, int] = field(init=False, repr=False, compare=False)
    _index_by_name: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        everything = self.everything
        object.__setattr__(self, "_index_by_category", {row.category_id: row.class_index for row in everything})
        object.__setattr__(self, "_index_by_name", {row.name: row.class_index for row in everything})

    @property
    def everything(self) -> tuple[LabelClass, ...]:
        """Evaluated and ignored classes; position equals class_index."""
        return self.classes + self.ignored

    @property
    def num_classes(self) -> int:
        """Number of evaluated classes."""
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the evaluated classes."""
        return tuple(row.name for row in self.classes)

    @property
    def is_thing(self) -> NDArray[np.bool_]:
        """bool [num_classes]: the class has countable objects."""
        return np.array([row.is_thing for row in self.classes], bool)

    def has_category(self, category_id: int) -> bool:
        """Whether the data set has this id, evaluated or ignored."""
        return category_id in self._index_by_category

    def index_of(self, category_id: int) -> int:
        """class_index of a data set's category_id; raises KeyError for an id outside the label set."""
        return self._index_by_category[category_id]

    def category_id(self, class_index: int) -> int:
        """The data set's id of a class_index (evaluated or ignored)."""
        return self.everything[class_index].category_id

    def index_named(self, name: str) -> int:
        """class_index of a class name; raises UsageError that suggests neighbours."""
        if name not in self._index_by_name:
            raise UsageError(f"Unknown class {name!r} of {self.name}.{suggestion(name, self._index_by_name)}")
        return self._index_by_name[name]


@cache
def load(name: str) -> LabelSet:
    """The label set of that name; raises UsageError that suggests neighbours."""
    if name not in NAMES:
        raise UsageError(f"Unknown label set {name!r}.{suggestion(name, NAMES)} Known: {', '.join(NAMES)}.")
    with (TABLES / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = tuple(_label_class(row) for row in rows if row["is_evaluated"] == "1")
    ignored = tuple(_label_class(row) for row in rows if row["is_evaluated"] == "0")
    return LabelSet(name=name, classes=classes, ignored=ignored)


def suggestion(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """Text " Did you mean 'x' or 'y'?" with up to three similar names, or "" if none is similar."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f" Did you mean {' or '.join(repr(one) for one in near)}?" if near else ""


def _label_class(row: Mapping[str, str]) -> LabelClass:
    return LabelClass(
        class_index=int(row["class_index"]),
        category_id=int(row["category_id"]),
        name=row["name"],
        is_thing=row["is_thing"] == "1",
        color=(int(row["red"]), int(row["green"]), int(row["blue"])),
        supercategory=row["supercategory"],
        instance_category_id=int(row["instance_category_id"]) if row["instance_category_id"] else None,
        code=row.get("code", ""),
    )
