"""MOSE version 2: given objects that vanish and return, scored with a contour tolerance that follows their size.

{MOSEv2, mosev2, ..., .}/{train,valid,test}/Annotations/<video>/00000.png, JPEGImages/<video>/00000.jpg, meta.json

The meta file lists the objects of each video. Only the first masks of `valid` and `test` are public.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.annotated import Scenes
from benchmark.contract import Task
from benchmark.datasets import videos
from benchmark.datasets.videos import Clip, SplitFolders, Wanted
from benchmark.formats import clip_files
from benchmark.formats.image_files import write_whole
from benchmark.formats.indexed_masks import Reading
from benchmark.formats.listing import Listing
from benchmark.formats.video_meta import read_counted
from benchmark.problems import Problem
from benchmark.row import Benchmark

META = "meta.json"


class Mose2Layout(SplitFolders):
    """A folder a split with its meta.json; results are one folder a video."""

    roots = ("MOSEv2", "mosev2", "MOSE_v2", "MOSE/v2", "MOSE2", ".")
    how_to_get = "Download MOSEv2 from https://mose.video"
    mark = META

    def listing(self, row: Benchmark, home: Path, wanted: Wanted) -> Listing:
        """The videos of the meta file."""
        return _listing(row, home, wanted)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """The objects of first frames, through every frame."""
        for row in rows:
            home = root / self.roots[0] / videos.FOLDERS[row.split]
            meta: dict[str, Any] = {}
            for clip in scenes.clips(row):
                numbers, name = clip_files.first_objects(clip), f"{clip.number:08x}"
                num, height, width, _ = clip.images.shape
                frames = clip_files.frame_names(num)
                if numbers:
                    clip_files.write_masks(home / "Annotations" / name, frames, clip_files.object_maps(clip, numbers))
                    clip_files.write_pictures(home / "JPEGImages" / name, frames, clip)
                    ids = [str(one) for one in numbers.values()]
                    meta[name] = {"length": num, "height": height, "width": width, "objects": ids}
            write_whole(home / META, json.dumps({"videos": meta}).encode())


def _listing(row: Benchmark, home: Path, wanted: Wanted) -> Listing:
    counted, problems = read_counted(home / META)
    labels, pictures = home / "Annotations", home / "JPEGImages"

    def build(name: str) -> tuple[Clip | None, list[Problem]]:
        place = f"{row.name}: {name}"
        files, found = videos.paired(pictures / name, labels / name, place, wanted)
        expected = counted[name].num_frames
        if files and len(files) != expected and wanted is not Wanted.ANY:
            message = f"has {len(files):,} frames, {META} says {expected:,}"
            found.append(Problem(place=place, message=message, remedy="Complete the download"))
        if not files:
            return None, found
        frames, masks = zip(*files.values(), strict=True)
        tracks = videos.tracks_of(counted[name].object_ids)
        return Clip(name=name, frames=frames, labels=masks, tracks=tracks), found

    return videos.listing(counted, build, Reading(), problems)


_mose2 = partial(
    Benchmark,
    dataset="mose2",
    task=Task.VOS,
    labels="object",
    layout=Mose2Layout(),
    metric="j_and_f_new",
    main_score="J&F_new",
    protocols=("mose2",),
    notes="Version 2. F_new is the contour accuracy that the paper writes with a dot. J has 1 added above and below, "
    "so silence scores a little where an object is. Objects that a result lacks are empty, ids that it invents do not "
    "matter. How many videos a split has is not checked.",
)

ROWS = (
    _mose2(name="mose2_vos_val", split="val", num_samples=0, truth="private"),
    _mose2(name="mose2_vos_test", split="test", num_samples=0, truth="private"),
    _mose2(name="mose2_vos_train", split="train", num_samples=0, is_train=True),
)
