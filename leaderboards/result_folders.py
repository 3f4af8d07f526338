"""Archives of one file for each data set of a collection (ODinW, SegInW) or for each video (BDD100K boxes).

    Aquarium.json, Raccoon.json, ...      at the root
    data/<video>.json                     BDD100K: "a zip file of a folder that contains JSON files of each video"

BDD100K's rules: https://doc.bdd100k.com/evaluate.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from benchmark.contract import SampleSet
from benchmark.row import Benchmark
from leaderboards.forms import Contents, Form, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class OneJsonEach(Form):
    """One JSON for each part of the split, below `place`. parts_of_ids: a part is the first part of a sample's id."""

    parts_of_ids: bool = False

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """A JSON for each part."""
        parts = dict.fromkeys(one.split("/")[0] if self.parts_of_ids else one for one in samples.ids)
        there = {PurePosixPath(name).name: name for name in contents.files} if self.depth_is_free else {}
        return {there.get(f"{part}.json", _below(self.place, f"{part}.json")): None for part in parts}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Any JSON below the place, or anywhere."""
        is_placed = self.depth_is_free or PurePosixPath(name).parent == PurePosixPath(self.place or ".")
        return name.endswith(".json") and is_placed

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """Videos, where each has a file; the data sets of a collection say nothing of its images."""
        return None if self.parts_of_ids else sum(name.endswith(".json") for name in contents.files)


def _below(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


COLLECTION = OneJsonEach(parts_of_ids=True)
BOX_TRACKS = OneJsonEach(place="data", unit="videos", depth_is_free=True)
