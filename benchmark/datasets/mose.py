"""MOSE (version 1): given objects among look-alikes, scored by the rules of DAVIS.

{MOSE, mose, MOSE_release, .}/{train,valid,test}/Annotations/<video>/00000.png, JPEGImages/<video>/00000.jpg

Only the first masks of `valid` and `test` are public.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from benchmark.annotated import Scenes
from benchmark.contract import Task
from benchmark.datasets import videos
from benchmark.datasets.videos import Clip, SplitFolders, Wanted
from benchmark.formats import clip_files
from benchmark.formats.indexed_masks import Reading
from benchmark.formats.listing import Listing
from benchmark.problems import Problem
from benchmark.row import Benchmark


class MoseLayout(SplitFolders):
    """A folder a split; results are one folder a video."""

    roots = ("MOSE", "mose", "MOSE_release", "MOSEv1", ".")
    how_to_get = "Download MOSE from https://mose.video"
    mark = "Annotations"

    def listing(self, row: Benchmark, home: Path, wanted: Wanted) -> Listing:
        """All videos that have a folder of masks or of pictures."""
        return _listing(row, home, wanted)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """The objects of first frames, through every frame."""
        for row in rows:
            home = root / self.roots[0] / videos.FOLDERS[row.split]
            for clip in scenes.clips(row):
                numbers, name = clip_files.first_objects(clip), f"{clip.number:08x}"
                frames = clip_files.frame_names(len(clip.panoptic))
                if numbers:
                    clip_files.write_masks(home / "Annotations" / name, frames, clip_files.object_maps(clip, numbers))
                    clip_files.write_pictures(home / "JPEGImages" / name, frames, clip)


def _listing(row: Benchmark, home: Path, wanted: Wanted) -> Listing:
    labels, pictures = home / "Annotations", home / "JPEGImages"

    def build(name: str) -> tuple[Clip | None, list[Problem]]:
        files, problems = videos.paired(pictures / name, labels / name, f"{row.name}: {name}", wanted)
        if not files:
            return None, problems
        frames, masks = zip(*files.values(), strict=True)
        return Clip(name=name, frames=frames, labels=masks), problems

    return videos.listing(_names(labels, pictures), build, Reading())


def _names(*folders: Path) -> Iterable[str]:
    found = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir()}
    return sorted(found)


LAYOUT = MoseLayout()
_mose = partial(
    Benchmark,
    dataset="mose",
    task=Task.VOS,
    labels="object",
    layout=LAYOUT,
    metric="j_and_f",
    main_score="J&F",
    protocols=("davis", "davis_8bit", "vos_benchmark"),
    notes="Version 1, scored as DAVIS scores given objects. The server is closed; the numbers of videos are reported, "
    "not stated in a primary source.",
)

ROWS = (
    _mose(name="mose_vos_val", split="val", num_samples=311, truth="private"),
    _mose(name="mose_vos_test", split="test", num_samples=331, truth="private"),
    _mose(name="mose_vos_train", split="train", num_samples=1507, is_train=True),
)
