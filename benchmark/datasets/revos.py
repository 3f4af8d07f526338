"""ReVOS: expressions about videos that refer to objects, need reasoning, or mean nothing that is there.

{ReVOS, revos, .}/meta_expressions_{train,valid}_.json, mask_dict.json, mask_dict_foreground.json,
JPEGImages/<video>/00000.jpg

Results are <video>/<expression id>/<frame>.png, read in grey as they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmark import masks
from benchmark.annotated import AnnotatedClip, ExpressionKind, Scenes
from benchmark.contract import Prediction, Sample, Task, Truth
from benchmark.datasets.mevis import ExpressionResults, expressions_of, listing_of, rows_of, video_of
from benchmark.datasets.videos import tracks_of
from benchmark.formats import clip_files, expressions
from benchmark.formats.expressions import TARGET, Expression
from benchmark.formats.foreground_masks import read_foreground, write_foreground
from benchmark.formats.image_files import write_whole
from benchmark.formats.indexed_masks import Reading
from benchmark.formats.listing import Listing
from benchmark.problems import Problem
from benchmark.result_forms import REFERRED, ResultForm, one_kind
from benchmark.row import Benchmark, DataNotFound

MASKS, FOREGROUND = "mask_dict.json", "mask_dict_foreground.json"
LISTS: Mapping[str, str] = MappingProxyType(
    {"train": "meta_expressions_train_.json", "val": "meta_expressions_valid_.json"}
)
KINDS = ("referring", "reasoning", "no_target")
"""type_id -> the kind of an expression."""
TYPES: Mapping[ExpressionKind, int] = MappingProxyType(
    {
        ExpressionKind.ATTRIBUTE: 0,
        ExpressionKind.RELATION: 0,
        ExpressionKind.GROUP: 0,
        ExpressionKind.REASONING: 1,
        ExpressionKind.MOTION: 1,
        ExpressionKind.NO_TARGET: 2,
    }
)


class RevosLayout(ExpressionResults):
    """All videos in one folder, a list of expressions a split."""

    roots = ("ReVOS", "revos", ".")
    how_to_get = "Download ReVOS as https://github.com/cilinyan/ReVOS-api says"

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """As for other expressions; a video's name begins with its folder."""
        (holds,) = REFERRED.files.values()
        return (one_kind("results/<folder>/<video>/<expression>/<frame>.png", holds),)

    def landmark(self, row: Benchmark) -> str:
        """The list of expressions."""
        return LISTS[row.split]

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The expressions of the split."""
        return _listing(row, folder) if (folder / self.landmark(row)).is_file() else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The data set's own folder, or one that is like it."""
        listing = self.open(row, truth)
        if listing is None:
            remedy = f"Give the folder that holds {self.landmark(row)}, {MASKS} and {FOREGROUND}"
            problem = Problem(place=str(truth), message=f"holds no {self.landmark(row)}", remedy=remedy)
            raise DataNotFound([problem])
        return listing

    def reading(self, row: Benchmark) -> Reading:
        """The official tool calculates with the grey values."""
        return Reading(keeps_grey=True)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form. The target is 1, which both protocols understand."""
        expressions.write_results(path, predictions, keeps_values=True)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Expressions of the three types; the foreground is every thing and crowd."""
        home = root / self.roots[0]
        of_annos: dict[str, Any] = {}
        foreground: dict[str, list[Any]] = {}
        for row in rows:
            found: list[Expression] = []
            for clip in scenes.clips(row):
                name = f"{row.split}/{clip.number:06d}"
                spoken = expressions_of(clip, name, tuple(TYPES), first_anno=len(of_annos))
                kinds = [TYPES[one.kind] for one in clip.expressions if one.kind in TYPES]
                found += [replace(one, type_id=kind) for one, kind in zip(spoken, kinds, strict=True)]
                of_annos |= rows_of(clip, first_anno=len(of_annos))
                foreground[name] = _foreground_of(clip)
                frames = clip_files.frame_names(len(clip.panoptic))
                clip_files.write_pictures(home / "JPEGImages" / name, frames, clip)
            expressions.write_expressions(home / self.landmark(row), found, has_types=True)
        write_whole(home / MASKS, json.dumps(of_annos).encode())
        write_foreground(home / FOREGROUND, foreground)


def _foreground_of(clip: AnnotatedClip) -> list[Any]:
    """The JSON form of the union of all things of each frame."""
    things = list(clip_files.appearances(clip))
    maps = (np.isin(frame.segment_id, things) for frame in clip.panoptic)
    return [masks.to_json(masks.encode(one)) for one in maps]


def _listing(row: Benchmark, home: Path) -> Listing:
    found, problems = expressions.read_expressions(home / LISTS[row.split])
    rows, lost = expressions.read_masks(home / MASKS, found)
    foreground, unknown = read_foreground(home / FOREGROUND, found)
    sizes = expressions.size_of(rows, found)
    for one in found:
        if one.video not in sizes and one.video in foreground:
            first = foreground[one.video][0].masks
            sizes |= {one.video: first[0].size} if first else {}
    target = tracks_of([TARGET])

    def truth(index: int) -> Truth:
        one = found[index]
        frames = expressions.listed(home / MASKS, rows, one, sizes.get(one.video, (0, 0)))
        return Truth(frames=frames, tracks=target, subsets=(KINDS[one.type_id],), foreground=foreground.get(one.video))

    return listing_of(found, truth, home / "JPEGImages", sizes, [*problems, *lost, *unknown])


_row = partial(
    Benchmark,
    dataset="revos",
    task=Task.RVOS,
    labels="object",
    layout=RevosLayout(),
    metric="reasoning_videos",
    main_score="J&F",
    protocols=("binary", "official"),
    cluster=video_of,
    notes="Each score is the mean of its values over referring and over reasoning expressions; those without a target "
    "count nowhere. 'official' calculates A and R with the stored values of masks as the tool does, so that masks "
    "stored as 0 and 255 lose A and R; published A and R depend on it. The tool scores 0 for what is missing.",
)

ROWS = (
    _row(name="revos_rvos_val", split="val", num_samples=0),
    _row(name="revos_rvos_train", split="train", num_samples=0, is_train=True),
)
