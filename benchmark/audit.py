"""How many pictures training and evaluation splits share, of all that lie below a data root.

Data sets of one source share their official names, whatever else they change: the number of a COCO picture, the name of
a DAVIS video. Between sources the content decides: length, beginning and end of the file, then every byte. Videos are
told by their names or by their first picture. Only 8 bytes a picture are kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import catalog, row
from benchmark.catalog import Benchmark
from benchmark.contract import Task
from benchmark.formats.listing import Listing
from benchmark.problems import DataError, UsageError

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "coco": "coco",
        "lvis": "coco",
        "refcoco": "coco",
        "refcoco+": "coco",
        "refcocog": "coco",
        "refcocog_google": "coco",
        "grefcoco": "coco",
        "davis16": "davis",
        "davis17": "davis",
        "davis17_unsupervised": "davis",
        "ref_davis17": "davis",
        "youtube_vos18": "youtube_vos",
        "youtube_vos19": "youtube_vos",
        "youtube_vis19": "youtube_vos",
        "youtube_vis21": "youtube_vos",
        "ref_youtube_vos": "youtube_vos",
        "mot16": "mot",
        "mot17": "mot",
        "motschallenge": "mot",
    }
)
"""Data set -> where its pictures come from; a data set that is not listed is its own source."""
VIDEOS = (Task.SOT, Task.VOS, Task.MOT, Task.MOTS, Task.VIS, Task.RVOS)
INNER = frozenset({"img", "img1", "imgs", "image"})
"""Folders within a video's own that hold its pictures."""
PART = 4096
"""Bytes at the beginning and the end of a file that its mark is made of."""
EXAMPLES = 3
Marks = NDArray[np.uint64]
Report = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A row that is there. names, contents: uint64, sorted, one for each picture or video. contents: () without files.

    rows: names of all rows that have exactly these pictures.
    """

    rows: tuple[str, ...]
    row: Benchmark
    names: Marks
    contents: Marks

    @property
    def source(self) -> str:
        """Where its pictures come from."""
        return SOURCES.get(self.row.dataset, self.row.dataset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What two splits share. how: "official names" or "content". examples: pictures of the evaluation split."""

    training: tuple[str, ...]
    evaluation: tuple[str, ...]
    num_shared: int
    num_evaluation: int
    num_training: int
    how: str
    examples: tuple[str, ...]


def examine(root: Path, rows: Iterable[Benchmark] | None = None, *, report: Report | None = None) -> list[Shared]:
    """Compare every training split with every evaluation split that is there; pairs that share nothing are left in.

    rows: None for the whole catalogue. Raises UsageError where no pair is there.
    """
    chosen = [*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()] if rows is None else list(rows)
    splits: list[Split] = []
    for number, one in enumerate(chosen, start=1):
        found = _split(one, root)
        if found is not None:
            splits = _with(splits, found)
        if report is not None:
            report(number, len(chosen))
    training = [split for split in splits if split.row.is_train]
    evaluation = [split for split in splits if not split.row.is_train]
    if not training or not evaluation:
        kind = "training" if not training else "evaluation"
        raise UsageError(f"{root} holds no {kind} split of the catalogue. 'doctor {root}' says what is there.")
    return [_shared(root, one, other) for one in training for other in evaluation]


def table(pairs: Sequence[Shared]) -> list[list[str]]:
    """A header and one line for each pair that shares something, the largest share first."""
    lines = [["training", "evaluation", "shared", "of", "told by", "first"]]
    some = [pair for pair in pairs if pair.num_shared]
    for pair in sorted(some, key=lambda pair: -pair.num_shared / pair.num_evaluation):
        numbers = [f"{pair.num_shared:,}", f"{pair.num_evaluation:,}"]
        lines.append([_brief(pair.training), _brief(pair.evaluation), *numbers, pair.how, pair.examples[0]])
    return lines


def as_json(pairs: Sequence[Shared]) -> list[dict[str, Any]]:
    """All pairs as JSON values."""
    return [
        {
            "training": list(pair.training),
            "evaluation": list(pair.evaluation),
            "num_shared": pair.num_shared,
            "num_evaluation": pair.num_evaluation,
            "num_training": pair.num_training,
            "told_by": pair.how,
            "examples": list(pair.examples),
        }
        for pair in pairs
    ]


def official_name(one: Benchmark, frame: Path) -> str:
    """The name of a picture, or of the video that it is the first picture of, within its source."""
    source = SOURCES.get(one.dataset, one.dataset)
    stem = PurePosixPath(frame.name).stem
    if source == "bdd100k":
        return "-".join(stem.split("-")[:2])
    if one.task in VIDEOS:
        folder = frame.parent.parent if frame.parent.name in INNER else frame.parent
        numbered = re.fullmatch(r"MOTS?\d+-(\d+)(-\w+)?", folder.name)
        return numbered.group(1) if numbered and source == "mot" else folder.name
    number = re.fullmatch(r"(?:COCO_\w+_)?(\d+)", stem) if source == "coco" else None
    return str(int(number.group(1))) if number else frame.name


def _split(one: Benchmark, root: Path) -> Split | None:
    """None where the row is not there, or cannot be read: that is the doctor's business."""
    try:
        listing = row.open_below(one, root)
    except DataError:
        return None
    if not listing.entries:
        return None
    names = {_mark(official_name(one, frame).encode()) for frame in _units(listing)}
    return Split(rows=(one.name,), row=one, names=_sorted(names), contents=_contents(listing))


def _with(splits: list[Split], found: Split) -> list[Split]:
    """The list with another split, which joins one of the same kind that has the same pictures."""
    for index, split in enumerate(splits):
        is_same = split.source == found.source and split.row.is_train == found.row.is_train
        if is_same and np.array_equal(split.names, found.names):
            joined = Split(rows=split.rows + found.rows, row=split.row, names=split.names, contents=split.contents)
            return [*splits[:index], joined, *splits[index + 1 :]]
    return [*splits, found]


def _units(listing: Listing) -> Iterator[Path]:
    """The picture of every sample, or the first of its video; one that follows itself is told once."""
    before: Path | None = None
    for entry in listing.entries:
        frame = entry.frames[0]
        if frame != before:
            before = frame
            yield frame


def _contents(listing: Listing) -> Marks:
    found: set[int] = set()
    for frame in _units(listing):
        mark = _content_mark(frame)
        if mark is not None:
            found.add(mark)
    return _sorted(found)


def _content_mark(path: Path) -> int | None:
    """A number for length, beginning and end of a file; None where it is missing."""
    try:
        with path.open("rb") as file:
            start = file.read(PART)
            length = file.seek(0, 2)
            file.seek(max(0, length - PART))
            return _mark(start + file.read() + str(length).encode())
    except OSError:
        return None


def _mark(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _sorted(marks: set[int]) -> Marks:
    return np.sort(np.fromiter(marks, np.uint64, len(marks)))


def _shared(root: Path, one: Split, other: Split) -> Shared:
    is_one_source = one.source == other.source
    mine, theirs = (one.names, other.names) if is_one_source else (one.contents, other.contents)
    both = np.intersect1d(mine, theirs, assume_unique=True)
    examples: tuple[str, ...] = ()
    num = len(both)
    if num:
        found = list(_frames_of(root, other, both, by_name=is_one_source))
        if not is_one_source:
            found = _really_the_same(root, one, both, found)
            num = len(found)
        examples = tuple(str(path) for path in found[:EXAMPLES])
    return Shared(
        training=one.rows,
        evaluation=other.rows,
        num_shared=num,
        num_evaluation=len(other.names),
        num_training=len(one.names),
        how="official names" if is_one_source else "content",
        examples=examples,
    )


def _frames_of(root: Path, split: Split, marks: Marks, *, by_name: bool) -> Iterator[Path]:
    """The pictures of a split that have one of the marks, each mark once."""
    wanted = set(marks.tolist())
    for frame in _units(row.open_below(split.row, root)):
        mark = _mark(official_name(split.row, frame).encode()) if by_name else _content_mark(frame)
        if mark in wanted:
            wanted.discard(mark)
            yield frame


def _really_the_same(root: Path, training: Split, marks: Marks, candidates: Sequence[Path]) -> list[Path]:
    """Those of the pictures whose every byte is that of the training picture of the same mark."""
    digests = {_digest(path) for path in _frames_of(root, training, marks, by_name=False)}
    return [path for path in candidates if _digest(path) in digests]


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _brief(rows: Sequence[str]) -> str:
    return rows[0] if len(rows) == 1 else f"{rows[0]} (and {len(rows) - 1} more)"
