"""Ref-YouTube-VOS: expressions about the objects of YouTube-VOS 2019.

{ref-youtube-vos, Ref-YouTube-VOS, ..., .}/meta_expressions/{train,valid,test}/meta_expressions.json,
{train,valid}/JPEGImages/<video>/00000.jpg, {train,valid}/Annotations/<video>/00000.png

The expressions of `valid` contain those of `test`, which are left out. The validation's masks were published in 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark.annotated import ExpressionKind, Scenes
from benchmark.contract import Truth
from benchmark.datasets.mevis import (
    META,
    ExpressionResults,
    about_target,
    expressions_of,
    listing_of,
    row_of_expressions,
)
from benchmark.datasets.videos import FOLDERS, hidden
from benchmark.formats import clip_files, expressions
from benchmark.formats.expressions import Expression
from benchmark.formats.image_files import header_size
from benchmark.formats.indexed_masks import Reading, lazily
from benchmark.formats.listing import Listing
from benchmark.problems import DataError, Problem
from benchmark.row import Benchmark, DataNotFound

KINDS = (ExpressionKind.ATTRIBUTE, ExpressionKind.COMPARISON, ExpressionKind.RELATION, ExpressionKind.MOTION)


class RefYouTubeVosLayout(ExpressionResults):
    """Expressions apart from the videos."""

    roots = ("ref-youtube-vos", "Ref-YouTube-VOS", "ref_youtube_vos", "refer_youtube_vos", ".")
    how_to_get = "Download Ref-YouTube-VOS as https://github.com/skynbe/Refer-Youtube-VOS says"

    def landmark(self, row: Benchmark) -> str:
        """The list of expressions."""
        return f"meta_expressions/{FOLDERS[row.split]}/{META}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The expressions of the split whose videos the test list does not name."""
        return _listing(row, folder, folder / self.landmark(row)) if (folder / self.landmark(row)).is_file() else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The data set's own folder, or that of a split with the list of expressions inside."""
        for home, meta in ((truth, truth / self.landmark(row)), (truth, truth / META)):
            if meta.is_file():
                return _listing(row, home, meta)
        remedy = f"Give the folder that holds {self.landmark(row)}, or a split with {META} and Annotations"
        raise DataNotFound([Problem(place=str(truth), message=f"holds no {META}", remedy=remedy)])

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Expressions of one object; the list of validation names the videos of the test list, too, as officially."""
        home = root / self.roots[0]
        for row in rows:
            found = _write_split(home, row, scenes)
            if row.split == "val":
                apart = _write_split(home, replace(row, split="test"), scenes)
                expressions.write_expressions(home / f"meta_expressions/test/{META}", apart)
                found = sorted([*found, *apart], key=lambda one: one.sample_id)
            expressions.write_expressions(home / self.landmark(row), found)


def _listing(row: Benchmark, folder: Path, meta: Path) -> Listing:
    found, problems = expressions.read_expressions(meta)
    found = _without_test(row, found, folder / f"meta_expressions/test/{META}")
    split = folder / FOLDERS[row.split]
    home = split if split.is_dir() else folder
    sizes: dict[str, tuple[int, int]] = {}
    for one in found:
        if row.truth == "public" and not one.object_ids:
            message, remedy = "lacks 'obj_id'", "Give the meta_expressions.json that comes with the masks"
            problems.append(Problem(place=f"{meta}: {one.sample_id}", message=message, remedy=remedy))
        if one.video not in sizes:
            problems += _look(home / "Annotations" / one.video, one, sizes)

    def truth(index: int) -> Truth:
        one = found[index]
        files = [home / "Annotations" / one.video / f"{name}.png" for name in one.frames]
        there = [path if path.is_file() else None for path in files]
        return about_target(expressions.chosen(lazily(there, Reading(), hidden(one.video)), one.object_ids))

    return listing_of(found, truth, home / "JPEGImages", sizes, problems)


def _write_split(home: Path, row: Benchmark, scenes: Scenes) -> list[Expression]:
    """Write the pictures and masks of a split, every fifth frame; its expressions."""
    folder, found = home / FOLDERS[row.split], list[Expression]()
    for clip in scenes.clips(row):
        spoken = expressions_of(clip, f"{clip.number:010x}", KINDS, first_object=1, step=5)
        if spoken:
            first = spoken[0]
            numbers = {one: number for number, one in enumerate(clip_files.appearances(clip), start=1)}
            maps = clip_files.object_maps(clip, numbers)
            clip_files.write_masks(folder / "Annotations" / first.video, first.frames, maps)
            clip_files.write_pictures(folder / "JPEGImages" / first.video, first.frames, clip)
        found += spoken
    return found


def _look(folder: Path, one: Expression, sizes: dict[str, tuple[int, int]]) -> list[Problem]:
    """What is wrong with the masks of a video, whose size is noted."""
    lost = [name for name in one.frames if not (folder / f"{name}.png").is_file()]
    if lost:
        message = f"{len(lost):,} of {len(one.frames):,} masks are missing (first: {lost[0]}.png)"
        sizes[one.video] = (0, 0)
        return [Problem(place=str(folder), message=message, remedy="Complete the download")]
    try:
        sizes[one.video] = header_size(folder / f"{one.frames[0]}.png")
    except DataError as error:
        sizes[one.video] = (0, 0)
        return list(error.problems)
    return []


def _without_test(row: Benchmark, found: list[Expression], test: Path) -> list[Expression]:
    if row.split != "val" or not test.is_file():
        return found
    others = {one.video for one in expressions.read_expressions(test)[0]}
    return [one for one in found if one.video not in others]


LAYOUT = RefYouTubeVosLayout()
_row = partial(
    row_of_expressions,
    dataset="ref_youtube_vos",
    layout=LAYOUT,
    notes="202 validation videos. The server is closed and its code is not public: as reported, all frames of an "
    "expression count, and the mean is over expressions. Truth is looked for as in training: indexed masks and obj_id.",
)

ROWS = (
    _row(name="ref_youtube_vos_rvos_val", split="val", num_samples=834),
    _row(name="ref_youtube_vos_rvos_train", split="train", num_samples=12913, is_train=True),
)
