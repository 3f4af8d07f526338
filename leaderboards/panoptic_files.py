"""Archives of a panoptic JSON with the folder of its PNGs.

    panoptic_test-dev2017_<system>_results.json
    panoptic_test-dev2017_<system>_results/000000000001.png

Rules: https://cocodataset.org/#upload; Cityscapes takes the same with free names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark.contract import Panoptic, SampleSet
from benchmark.formats import json_lists
from benchmark.formats.coco_panoptic import EXTRA
from benchmark.problems import DataError
from benchmark.row import Benchmark
from leaderboards.forms import COLORS, Contents, Form, Inspection, Png, Size
from leaderboards.problems import Problem, error, listed, warning
from leaderboards.result_lists import SYSTEM


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonWithPngs(Form):
    """place: name of the JSON, whose stem is the folder of its PNGs."""

    png: Png | None = COLORS
    unit: str = "images"

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """The PNG that the JSON names for each image, of its size."""
        found = self.results(row, contents)
        if found is None:
            return {}
        named, home = _file_names(found), _folder(contents)
        return {f"{home}/{named[sample.sample_id]}": sample.size for sample in samples if sample.sample_id in named}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """The JSON under its official name, and PNGs in a folder of the same stem."""
        stem = re.escape(self.place.removesuffix(".json")).replace(r"\{split\}", re.escape(row.split))
        stem = stem.replace(r"\{system\}", SYSTEM).replace(r"\{row\}", re.escape(row.name))
        return re.fullmatch(rf"{stem}(\.json|/[^/]+\.png)", name) is not None

    def is_optional(self, row: Benchmark, name: str) -> bool:
        """The JSON; PNGs of images outside the split are told of by their annotations."""
        return True

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """PNGs."""
        return sum(name.endswith(".png") for name in contents.files)

    def results(self, row: Benchmark, contents: Contents) -> Path | None:
        """The only JSON."""
        found = [name for name in contents.files if name.endswith(".json")]
        return contents.folder / found[0] if len(found) == 1 else None


def one_json(looked: Inspection) -> Iterator[Problem]:
    """Exactly one JSON, with the folder of its stem."""
    found = [name for name in looked.contents.files if name.endswith(".json")]
    if len(found) != 1 and looked.contents.files:
        message = f"holds {len(found)} JSON files ({listed(found)}), expected one" if found else "holds no JSON"
        yield error(looked.contents.name, message, "Pack one JSON and the folder of its PNGs")


def no_other_images(looked: Inspection) -> Iterator[Problem]:
    """Answers about images outside the split are passed over."""
    count = looked.notes.get(EXTRA, 0)
    if count:
        message = f"answers {count:,} images that are not in the split"
        yield warning(looked.contents.name, message, "Write this split's images alone")


def stuff_is_one_segment(looked: Inspection) -> Iterator[Problem]:
    """Of several segments of one stuff class at most one can match."""
    if looked.predictions is None:
        return
    is_thing = looked.row.label_set.is_thing
    split = []
    for sample_id in looked.predictions:
        try:
            frame = looked.predictions[sample_id].frames[0]
        except DataError:
            continue
        assert isinstance(frame, Panoptic)
        counts = Counter(one.class_index for one in frame.segments if not is_thing[one.class_index])
        if counts and max(counts.values()) > 1:
            split.append(sample_id)
    if split:
        message = f"{len(split):,} images have several segments of one stuff class ({listed(split)})"
        yield warning(looked.contents.name, message, "Merge the segments of a stuff class")


def _file_names(path: Path) -> dict[str, str]:
    """Image id -> name of its PNG; nothing of a file that the reader will complain about."""
    try:
        rows = json_lists.open_lists(path, ("annotations",))["annotations"]
    except DataError:
        return {}
    sound = [one for one in rows if isinstance(one, dict) and isinstance(one.get("file_name"), str)]
    return {str(one.get("image_id")): one["file_name"] for one in sound}


def _folder(contents: Contents) -> str:
    return next(name.removesuffix(".json") for name in contents.files if name.endswith(".json"))


_RULES = (one_json, no_other_images, stuff_is_one_segment)
COCO = JsonWithPngs(
    archive="panoptic_{split}_{system}_results.zip",
    is_named=True,
    place="panoptic_{split}_{system}_results.json",
    rules=_RULES,
)
FREE = JsonWithPngs(place="{row}.json", rules=_RULES)
