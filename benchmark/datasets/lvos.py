"""LVOS versions 1 and 2: given objects in long videos.

{LVOS/v1, LVOS_v1, ..., .}/{train,valid,test}/Annotations/<video>/00000001.png, JPEGImages/, valid_meta.json

Every fifth frame is annotated; the meta file says from where to where each object counts. Which videos show classes
that training has not seen is listed by the evaluation's authors (lvos_unseen.csv).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmark.annotated import AnnotatedClip, Scenes
from benchmark.contract import Sample, Task
from benchmark.datasets import videos
from benchmark.datasets.videos import Clip, FolderResults, Wanted
from benchmark.formats import clip_files
from benchmark.formats.image_files import write_whole
from benchmark.formats.indexed_masks import Reading
from benchmark.formats.listing import Listing
from benchmark.formats.video_meta import RangedObject, read_ranged
from benchmark.problems import Problem
from benchmark.row import Benchmark, DataNotFound

SEEN, UNSEEN = 0, 1
STEP, DIGITS = 5, 8
FEWEST_FRAMES = 3
"""Frames from the first to the last of an object; with fewer, none would count."""
ROOTS: Mapping[str, tuple[str, ...]] = {
    "lvos_v1": ("LVOS/v1", "LVOS_v1", "LVOS_V1", "lvos_v1", "LVOS", "."),
    "lvos_v2": ("LVOS/v2", "LVOS_v2", "LVOS_V2", "lvos_v2", "LVOS", "."),
}


class LvosLayout(FolderResults):
    """A folder a split, with its meta file inside or beside it."""

    how_to_get = "Download the version's splits from https://lingyihongfd.github.io/lvos.github.io"

    def __init__(self, dataset: str) -> None:
        self.roots = ROOTS[dataset]

    def landmark(self, row: Benchmark) -> str:
        """The list of videos and their objects."""
        split = videos.FOLDERS[row.split]
        return f"{split}/{split}_meta.json"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The videos of the split's meta file."""
        home = folder / videos.FOLDERS[row.split]
        meta = _meta_of(home, row)
        return None if meta is None else _listing(row, home, meta, Wanted.ANY)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The folder of a split, or the one above it."""
        home = videos.home_of_masks(truth, row)
        meta = _meta_of(home, row)
        if meta is None:
            message, remedy = f"has no {Path(self.landmark(row)).name} inside or beside it", "Add the split's meta file"
            raise DataNotFound([Problem(place=str(home), message=message, remedy=remedy)])
        return _listing(row, home, meta, Wanted.ANNOTATED)

    def needed(self, row: Benchmark, sample: Sample) -> Iterable[int]:
        """Frames in which an object counts."""
        return videos.counting(sample, has_ends=True)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Every thing from where it is first seen to where it is last seen; every other video shows unseen classes."""
        for row in rows:
            home = root / self.roots[0] / videos.FOLDERS[row.split]
            meta: dict[str, Any] = {}
            names = sorted(unseen_videos())
            for clip in scenes.clips(row):
                is_unseen = not row.is_train and clip.number % 2 == 0
                name = names[clip.number // 2 % len(names)] if is_unseen else f"{clip.number:08x}"
                ranges = _write_clip(home, name, clip)
                if ranges:
                    meta[name] = {"objects": {one: {"frame_range": value} for one, value in ranges.items()}}
            write_whole(root / self.roots[0] / self.landmark(row), json.dumps({"videos": meta}).encode())


def counting_frames(one: RangedObject) -> list[str]:
    """Names of the frames in which an object counts: its range without the first and the last that it should have."""
    steps = range(one.start, one.end, STEP)
    return [f"{number:0{DIGITS}d}" for number in steps[1 : max(one.num_frames - 1, 0)]]


def _listing(row: Benchmark, home: Path, meta: Path, wanted: Wanted) -> Listing:
    ranged, problems = read_ranged(meta)
    labels, pictures = home / "Annotations", home / "JPEGImages"

    def build(name: str) -> tuple[Clip | None, list[Problem]]:
        place = f"{row.name}: {name}"
        files, found = videos.paired(pictures / name, labels / name, place, wanted)
        if not files:
            return None, found
        place_of = {one: index for index, one in enumerate(files)}
        stretches: dict[int, list[int]] = {}
        given: dict[int, list[int]] = {}
        for one, value in ranged[name].items():
            needed = [f"{value.start:0{DIGITS}d}", *counting_frames(value)]
            lost = [frame for frame in needed if frame not in files or _is_hidden(row, files[frame][1])]
            if lost:
                message = f"{len(lost):,} of {len(needed):,} frames of object {one} are not there (first: {lost[0]})"
                found.append(Problem(place=place, message=message, remedy="Complete the download"))
            else:
                stretches[one] = [place_of[frame] for frame in needed[1:]]
                given.setdefault(place_of[needed[0]], []).append(one)
        frames, masks = zip(*files.values(), strict=True)
        group = UNSEEN if name in unseen_videos() else SEEN
        tracks = videos.tracks_of(list(stretches), [group] * len(stretches))
        clip = Clip(name=name, frames=frames, labels=masks, tracks=tracks, stretches=stretches, given=given)
        return clip, found

    return videos.listing(sorted(ranged), build, Reading(), problems)


def _write_clip(home: Path, name: str, clip: AnnotatedClip) -> dict[str, dict[str, Any]]:
    """Write every fifth frame from 00000001 on; the ranges of the objects in the meta file."""
    shown = {
        one: index for one, index in clip_files.appearances(clip).items() if index[-1] - index[0] + 1 >= FEWEST_FRAMES
    }
    if not shown:
        return {}
    numbers = {one: number for number, one in enumerate(shown, start=1)}
    frames = clip_files.frame_names(len(clip.panoptic), first=1, step=STEP, digits=DIGITS)
    clip_files.write_masks(home / "Annotations" / name, frames, clip_files.object_maps(clip, numbers))
    clip_files.write_pictures(home / "JPEGImages" / name, frames, clip)
    return {
        str(numbers[one]): {
            "start": str(1 + STEP * index[0]),
            "end": str(1 + STEP * (index[-1] + 1)),
            "frame_nums": index[-1] - index[0] + 1,
        }
        for one, index in shown.items()
    }


def _is_hidden(row: Benchmark, mask: Path | None) -> bool:
    return row.truth == "public" and mask is None


@cache
def unseen_videos() -> frozenset[str]:
    """Names of the videos whose objects are of classes that training has not seen."""
    with (Path(__file__).parent / "lvos_unseen.csv").open(newline="", encoding="utf-8") as file:
        return frozenset(row["video"] for row in csv.DictReader(file))


def _meta_of(home: Path, row: Benchmark) -> Path | None:
    name = f"{videos.FOLDERS[row.split]}_meta.json"
    return next((path for path in (home / name, home.parent / name) if path.is_file()), None)


def _rows(dataset: str, num_train: int, num_val: int, num_test: int) -> tuple[Benchmark, ...]:
    row = partial(
        Benchmark,
        dataset=dataset,
        task=Task.VOS,
        labels="seen_unseen",
        layout=LvosLayout(dataset),
        metric="j_and_f_grouped",
        main_score="J&F",
        protocols=("lvos",),
        notes="J, F and V average the means of seen and of unseen objects; V, the deviation over time, is better when "
        "lower. The official decay is meaningless and left out. The official tool scores 0 for frames that a meta file "
        "counts beyond its own range; here they do not count.",
    )
    return (
        row(name=f"{dataset}_vos_val", split="val", num_samples=num_val),
        row(name=f"{dataset}_vos_test", split="test", num_samples=num_test, truth="private"),
        row(name=f"{dataset}_vos_train", split="train", num_samples=num_train, is_train=True, main_score="J_seen"),
    )


ROWS = (*_rows("lvos_v1", 120, 50, 50), *_rows("lvos_v2", 420, 140, 160))
