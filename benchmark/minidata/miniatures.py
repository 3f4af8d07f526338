"""The miniature of any row of the catalogue: its data set, written in its official layout, once, and found again.

Rows of one data set lie below one data root. COCO, ADE20K and Cityscapes are what the suite trains on: what is public
of them has a root in common, and more scenes (`generate`); their hidden splits lie apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from benchmark.minidata import generate
from benchmark.minidata.folders import cache, make_once
from benchmark.minidata.pools import Pools
from benchmark.minidata.scene import WORLD_VERSION
from benchmark.row import Benchmark, WritesScenes

OF_THE_SUITE = ("coco", "ade20k", "cityscapes")
LAYOUT_VERSION = 3
"""Raise it whenever the same scenes are written differently."""


def is_generated(row: Benchmark) -> bool:
    """Whether the row's miniature is part of the suite's mini data."""
    return row.dataset in OF_THE_SUITE and row.truth == "public"


def root_of(row: Benchmark, rows: Iterable[Benchmark], root: Path | None = None, *, pools: Pools | None = None) -> Path:
    """The data root of the row's miniature, generated unless it is there already.

    rows: the catalogue; those of the row's data set are written with it. root: where to put it, None: the cache.
    pools: how many scenes; None: the usual number. The suite's own data are always whole.
    """
    if is_generated(row):
        return generate.ensure(root)
    family = [one for one in rows if one.dataset == row.dataset and not is_generated(one)]
    chosen = pools or Pools()
    numbers = sorted(chosen.num_images.items()), sorted(chosen.num_clips.items())
    text = repr((WORLD_VERSION, LAYOUT_VERSION, *numbers, chosen.size))
    names = ",".join(sorted(one.name for one in family))
    key = hashlib.sha256(f"{text}{names}".encode()).hexdigest()[:12]
    home = root or cache() / f"{row.dataset}-{key}"
    plan = {"dataset": row.dataset, "rows": [one.name for one in family]}
    return make_once(home, key, plan, lambda folder: write(folder, family, chosen))


def write(root: Path, rows: Iterable[Benchmark], pools: Pools | None = None) -> None:
    """Write the miniatures of some rows below a data root, those of one layout together."""
    ordered = sorted(rows, key=lambda row: id(row.layout))
    for _, group in groupby(ordered, key=lambda row: id(row.layout)):
        family = list(group)
        layout = family[0].layout
        if not isinstance(layout, WritesScenes):
            raise TypeError(f"{type(layout).__name__} cannot write scenes")
        layout.write_scenes(root, family, pools or Pools())
