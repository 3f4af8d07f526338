"""Archives of one result file: COCO and LVIS detections, video instances, the Open Images contests, expressions.

    detections_test-dev2017_<system>_results.zip   holds detections_test-dev2017_<system>_results.json
    <anything>.zip                                 holds results.json: YouTube-VIS and OVIS
    <anything>.zip                                 holds TAO_train.json, TAO_val.json and TAO_test.json
    <anything>.json, <anything>.csv                taken as they are: LVIS at EvalAI, Open Images at Kaggle

COCO's and LVIS' rules: https://cocodataset.org/#upload, https://www.lvisdataset.org/challenge_2021. TAO's server
wants the results of all splits, if need be empty ones: https://github.com/TAO-Dataset/tao (docs/evaluation.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.contract import SampleSet
from benchmark.formats import json_lists
from benchmark.formats.coco_results import STRIPPED
from benchmark.formats.open_images_results import ELSEWHERE
from benchmark.problems import DataError
from benchmark.row import Benchmark
from leaderboards.forms import Contents, Form, Inspection, Size
from leaderboards.problems import Problem, error, listed, warning

SYSTEM = r"[A-Za-z0-9][A-Za-z0-9._-]*"
OF_COCO, OF_LVIS = 100, 300
"""Detections of an image that the official tools look at: COCO of each class, LVIS of all classes together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile(Form):
    """One file at the root of the archive, or the bare file. place: its name."""

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Whether the name is the official one, for whatever system."""
        if not self.is_zip:
            return True
        pattern = re.escape(self.place).replace(r"\{split\}", re.escape(row.split)).replace(r"\{row\}", row.name)
        return re.fullmatch(pattern.replace(r"\{system\}", SYSTEM), name) is not None

    def is_optional(self, row: Benchmark, name: str) -> bool:
        """The file itself."""
        return True

    def results(self, row: Benchmark, contents: Contents) -> Path | None:
        """The one file of its kind, preferably the one that is rightly named."""
        of_kind = [name for name in contents.files if name.endswith(Path(self.place).suffix)]
        named = [name for name in of_kind if self.is_possible(row, name)] or of_kind
        return contents.folder / named[0] if len(named) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EverySplit(Form):
    """One file a split, of which the row's own is read; the others may be empty lists."""

    splits: tuple[str, ...]

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """A file for each split."""
        return dict.fromkeys(map(self.place.format, self.splits))

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Nothing else."""
        return name in map(self.place.format, self.splits)

    def results(self, row: Benchmark, contents: Contents) -> Path | None:
        """The file of the row's split."""
        path = contents.folder / self.place.format(row.split)
        return path if path.is_file() else None

    def place_of(self, row: Benchmark, system: str) -> str:
        """The name of the row's file."""
        return self.place.format(row.split)

    def finish(self, row: Benchmark, folder: Path) -> None:
        """Empty lists for the splits that are not answered."""
        for name in map(self.place.format, self.splits):
            if not (folder / name).exists():
                (folder / name).write_text("[]", encoding="utf-8")


def one_file(looked: Inspection) -> Iterator[Problem]:
    """The result file must be alone of its kind."""
    if looked.results is None and len(looked.contents.files) > 1:
        message = f"holds {len(looked.contents.files):,} files ({listed(looked.contents.files)}), expected one"
        yield error(looked.contents.name, message, "Pack the result file alone, at the root")


def no_boxes_beside_masks(looked: Inspection) -> Iterator[Problem]:
    """The official loaders take a file whose first result has a box for a file of boxes."""
    count = looked.notes.get(STRIPPED, 0)
    if count:
        message = f"{count:,} results have a 'bbox' beside their mask, whose area the server would take"
        yield error(_place(looked), message, "Leave 'bbox' out of mask results")


def no_other_images(looked: Inspection) -> Iterator[Problem]:
    """Results of images outside the split."""
    count = looked.notes.get(ELSEWHERE, 0)
    if count:
        message = f"{count:,} results are of images outside the split"
        yield error(_place(looked), message, "Write results of this split alone")


def _entries(looked: Inspection) -> Iterator[tuple[int, dict[str, Any]]]:
    """(position, entry) of all results that are objects; nothing of a file that the reader could not read."""
    if looked.results is None:
        return
    try:
        for position, (_, _, entry) in enumerate(json_lists.elements(looked.results)):
            if isinstance(entry, dict):
                yield position, entry
    except DataError:
        return


def sound_entries(looked: Inspection) -> Iterator[Problem]:
    """What results say that the official readers pass over in silence."""
    ranged, negative, total = 0, 0, 0
    for _, entry in _entries(looked):
        total += 1
        score, box = entry.get("score"), entry.get("bbox")
        ranged += isinstance(score, int | float) and (score < 0 or score > 1)
        is_box = isinstance(box, list) and len(box) == 4 and all(isinstance(side, int | float) for side in box)
        negative += is_box and min(box[2], box[3]) < 0  # type: ignore[index]
    if ranged:
        message = f"{ranged:,} of {total:,} scores lie outside 0 to 1"
        yield warning(_place(looked), message, "Write probabilities; ranks alone decide, but some tools cut at 0 or 1")
    if negative:
        message = f"{negative:,} boxes have a negative width or height, which no size range counts"
        yield error(_place(looked), message, "Write [x, y, width, height], not corners")


def not_too_many(looked: Inspection) -> Iterator[Problem]:
    """More results of an image than the official tool looks at."""
    is_lvis = looked.row.dataset == "lvis"
    limit = OF_LVIS if is_lvis else OF_COCO
    counts: Counter[tuple[str, str]] = Counter()
    for _, entry in _entries(looked):
        counts[str(entry.get("image_id")), "" if is_lvis else str(entry.get("category_id"))] += 1
    most = [image for (image, _), count in counts.items() if count > limit]
    if most:
        of = "all classes" if is_lvis else "a class"
        message = (
            f"{len(set(most)):,} images have more than {limit} results of {of} (first: {most[0]}); the rest is cut"
        )
        yield warning(_place(looked), message, f"Keep the {limit} most confident ones")


def some_tracks(looked: Inspection) -> Iterator[Problem]:
    """The server's loader fails on an empty list."""
    is_empty = looked.predictions is not None and next(_entries(looked), None) is None
    if is_empty:
        yield error(_place(looked), "holds no track, on which the server fails", "Write at least one track")


def _place(looked: Inspection) -> str:
    assert looked.results is not None
    return looked.results.relative_to(looked.contents.folder).as_posix()


_COCO_RULES = (one_file, sound_entries, not_too_many, no_boxes_beside_masks)
COCO = ResultFile(
    archive="detections_{split}_{system}_results.zip",
    is_named=True,
    place="detections_{split}_{system}_results.json",
    rules=_COCO_RULES,
)
LVIS = ResultFile(archive="lvis_{split}_{system}_results.json", place="results.json", rules=_COCO_RULES)
ONE_LIST = ResultFile(archive="{row}_{system}.json", place="results.json", rules=_COCO_RULES)
VIDEO_INSTANCES = ResultFile(place="results.json", rules=(one_file, sound_entries, some_tracks))
TAO = EverySplit(place="TAO_{}.json", splits=("train", "val", "test"))
TABLE = ResultFile(archive="{row}_{system}.csv", place="results.csv", rules=(one_file, no_other_images))
ANSWERS = ResultFile(place="results.json", rules=(one_file,))
