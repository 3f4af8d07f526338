"""Archives of one file for each data set of a collection (ODinW, SegInW) or for each video (BDD100K boxes).

    seginw_Airplane-Parts_val.json, ...   SegInW: in any folder, beside ade.json if one likes
    Aquarium.json, Raccoon.json, ...      ODinW: at the root; nobody states what its server takes
    data/<video>.json                     BDD100K: "a zip file of a folder that contains JSON files of each video"

SegInW's script reads every JSON whose path holds "ade" as scores of ADE20K, ends at any file that is no JSON, and
averages over the data sets that are there: https://github.com/microsoft/X-Decoder/tree/seginw (eval_with_json).
BDD100K's rules: https://doc.bdd100k.com/evaluate.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmark.contract import SampleSet
from benchmark.row import Benchmark
from leaderboards.forms import Contents, Form, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class OneJsonEach(Form):
    """One JSON for each part of the split, below `place`.

    parts_of_ids: a part is the first part of a sample's id. name: of its file. taken_away: what a path must not hold,
    unless the file is `extra`.
    """

    parts_of_ids: bool = False
    name: str = "{}.json"
    taken_away: str = ""
    extra: str = ""

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """A JSON for each part."""
        parts = dict.fromkeys(one.split("/")[0] if self.parts_of_ids else one for one in samples.ids)
        free = [name for name in contents.files if self.depth_is_free and self.is_possible(row, name)]
        there = {PurePosixPath(name).name: name for name in free}
        names = [self.name.format(part) for part in parts]
        return {there.get(name, _below(self.place, name)): None for name in names}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Any JSON below the place, or anywhere."""
        if self.taken_away and self.taken_away in name:
            return PurePosixPath(name).name == self.extra
        is_placed = self.depth_is_free or PurePosixPath(name).parent == PurePosixPath(self.place or ".")
        return name.endswith(".json") and is_placed

    def is_optional(self, row: Benchmark, name: str) -> bool:
        """What a server takes beside the results."""
        return bool(self.extra) and PurePosixPath(name).name == self.extra

    def results(self, row: Benchmark, contents: Contents) -> Path | None:
        """The folder of the files, wherever it lies."""
        home = contents.folder / self.place
        if not self.parts_of_ids or not self.depth_is_free:
            return home
        last = next((name for name in contents.files if PurePosixPath(name).match(self.name.format("*"))), "")
        return (home / last).parent if last else home

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """Videos, where each has a file; the data sets of a collection say nothing of its images."""
        return None if self.parts_of_ids else sum(name.endswith(".json") for name in contents.files)


def _below(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


COLLECTION = OneJsonEach(parts_of_ids=True)
SEGINW = OneJsonEach(
    parts_of_ids=True, name="seginw_{}_val.json", depth_is_free=True, taken_away="ade", extra="ade.json"
)
BOX_TRACKS = OneJsonEach(place="data", unit="videos", depth_is_free=True)
