"""MeViS (version 1): expressions of motion about one or several objects of a video.

{MeViS, mevis, MeViS_release, .}/{train,valid_u,valid,test}/meta_expressions.json, mask_dict.json, JPEGImages/<video>/

Truth of `train` and `valid_u` is public. Results are read in grey, as the official script reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmark import result_forms
from benchmark.annotated import AnnotatedClip, ExpressionKind, Scenes
from benchmark.contract import Frames, Prediction, Sample, Task, Truth
from benchmark.datasets import videos
from benchmark.datasets.videos import FolderResults
from benchmark.formats import clip_files, expressions
from benchmark.formats.expressions import Expression
from benchmark.formats.image_files import write_whole
from benchmark.formats.indexed_masks import Reading, lazily
from benchmark.formats.listing import Entry, Listing
from benchmark.problems import Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark, DataNotFound

META, MASKS = "meta_expressions.json", "mask_dict.json"
KINDS = (ExpressionKind.MOTION, ExpressionKind.GROUP)
FOLDERS: Mapping[str, str] = MappingProxyType({"train": "train", "val_u": "valid_u", "val": "valid", "test": "test"})


class ExpressionResults(FolderResults):
    """Results with a folder of binary PNGs for each expression below its video's."""

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A folder an expression below one a video; a folder Annotations may stand around them."""
        return (result_forms.REFERRED,)

    def reading(self, row: Benchmark) -> Reading:
        """Whatever is not black in grey is the target."""
        return Reading(is_grey=True)

    def needed(self, row: Benchmark, sample: Sample) -> range:
        """All frames count."""
        return range(len(sample.frames))

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        expressions.write_results(path, predictions)


class MevisLayout(ExpressionResults):
    """A folder a split, with its expressions and masks in two JSON files."""

    roots = ("MeViS", "mevis", "MeViS_release", ".")
    how_to_get = "Download MeViS from https://henghuiding.com/MeViS"

    def landmark(self, row: Benchmark) -> str:
        """The list of expressions."""
        return f"{FOLDERS[row.split]}/{META}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The expressions of the split."""
        home = folder / FOLDERS[row.split]
        return _listing(home, may_hide=row.truth != "public") if (home / META).is_file() else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The folder of a split, or the one above it."""
        home = next((one for one in (truth, truth / FOLDERS[row.split]) if (one / META).is_file()), None)
        if home is None:
            remedy = f"Give the folder that holds {META} and {MASKS}"
            raise DataNotFound([Problem(place=str(truth), message=f"holds no {META}", remedy=remedy)])
        return _listing(home, may_hide=False)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Expressions of motion and of groups; a group has the masks of all its objects."""
        for row in rows:
            home = root / self.roots[0] / FOLDERS[row.split]
            found: list[Expression] = []
            masks: dict[str, Any] = {}
            for clip in scenes.clips(row):
                spoken = expressions_of(clip, f"{clip.number:012x}", KINDS, first_anno=len(masks))
                found += spoken
                if spoken:
                    masks |= rows_of(clip, first_anno=len(masks))
                    clip_files.write_pictures(home / "JPEGImages" / spoken[0].video, spoken[0].frames, clip)
            expressions.write_expressions(home / META, found)
            write_whole(home / MASKS, json.dumps(masks).encode())


def video_of(sample_id: str) -> str:
    """The video of an expression."""
    return sample_id.rsplit("/", 1)[0]


def expressions_of(
    clip: AnnotatedClip,
    video: str,
    kinds: Collection[ExpressionKind],
    *,
    first_object: int = 0,
    first_anno: int | None = None,
    step: int = 1,
) -> list[Expression]:
    """The expressions of some kinds, of every so manieth frame.

    The n-th thing of the clip has the ids first_object + n and first_anno + n, the latter None where there is none.
    """
    place = {one: number for number, one in enumerate(clip_files.appearances(clip))}
    annos = {} if first_anno is None else {one: str(first_anno + number) for one, number in place.items()}
    chosen = [one for one in clip.expressions if one.kind in kinds]
    return [
        Expression(
            video=video,
            expression_id=str(number),
            text=one.sentence,
            object_ids=tuple(first_object + place[segment] for segment in one.segment_ids),
            anno_ids=tuple(annos[segment] for segment in one.segment_ids if annos),
            frames=tuple(clip_files.frame_names(len(clip.panoptic), step=step)),
        )
        for number, one in enumerate(chosen)
    ]


def rows_of(clip: AnnotatedClip, *, first_anno: int) -> dict[str, list[dict[str, Any] | None]]:
    """The lines of mask_dict.json of all things of a clip."""
    return {
        str(first_anno + number): expressions.mask_row(np.asarray(frame.segment_id == one) for frame in clip.panoptic)
        for number, one in enumerate(clip_files.appearances(clip))
    }


def _listing(home: Path, *, may_hide: bool) -> Listing:
    """may_hide: masks may be missing, as where only a server has them."""
    found, problems = expressions.read_expressions(home / META)
    path = home / MASKS
    is_hidden = may_hide and not path.is_file()
    rows, lost = ({}, []) if is_hidden else expressions.read_masks(path, found)
    sizes = expressions.size_of(rows, found)

    def truth(index: int) -> Truth:
        one = found[index]
        if is_hidden:
            return about_target(lazily([None] * len(one.frames), Reading(), videos.hidden(str(path))))
        return about_target(expressions.united(path, rows, one, sizes.get(one.video, (0, 0))))

    return listing_of(found, truth, home / "JPEGImages", sizes, [*problems, *lost])


def about_target(frames: Frames) -> Truth:
    """Truth whose only object is what an expression means."""
    return Truth(frames=frames, tracks=videos.tracks_of([expressions.TARGET]))


def listing_of(
    found: list[Expression],
    truth: Callable[[int], Truth],
    pictures: Path,
    sizes: Mapping[str, tuple[int, int]],
    problems: Iterable[Problem],
) -> Listing:
    """A listing of expressions. truth: index -> truth. sizes: video -> (height, width), where it is known."""
    entries = tuple(
        Entry(
            sample_id=one.sample_id,
            frames=tuple(pictures / one.video / f"{name}.jpg" for name in one.frames),
            size=sizes.get(one.video),
        )
        for one in found
    )
    return Listing(
        entries=entries,
        truth=truth,
        ask=lambda index, prompt: replace(prompt, sentence=found[index].text, labels=None),
        problems=tuple(problems),
    )


row_of_expressions = partial(
    Benchmark,
    task=Task.RVOS,
    labels="object",
    metric="j_and_f_expressions",
    cluster=video_of,
    main_score="J&F",
    protocols=("expressions",),
)
"""A row whose mean is over expressions."""

LAYOUT = MevisLayout()
_row = partial(
    row_of_expressions,
    dataset="mevis",
    layout=LAYOUT,
    notes="Version 1. All frames count, and the mean is over expressions. The official script scores 0 for the "
    "expressions of a missing video and drops one with a missing frame; here both are told.",
)

ROWS = (
    _row(name="mevis_rvos_val_u", split="val_u", num_samples=793),
    _row(name="mevis_rvos_val", split="val", num_samples=2236, truth="private"),
    _row(name="mevis_rvos_test", split="test", num_samples=2490, truth="private"),
    _row(name="mevis_rvos_train", split="train", num_samples=23051, is_train=True),
)
