"""TNL2K: one object, given by a box and a sentence.

{tnl2k, TNL2K, TNL-2K, .}/{TNL2K_test_subset, test, .}/<video>/{groundtruth,language}.txt, imgs/* (png or jpg)
annos/gt_rect/<video>.txt, annos/absent/<video>.txt: the evaluation toolkit's, which alone has flags of absence

Official corrections of 12 training videos and 4 sentences are distributed as files in this layout: copy them over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark.contract import Task
from benchmark.datasets import box_tracking, single_targets
from benchmark.datasets.box_tracking import BoxTrackLayout
from benchmark.formats.box_videos import VideoFiles
from benchmark.row import Benchmark

LEVELS = 2
"""Folders between a split's own and a video's: the training set comes in parts."""


def video_files(folder: Path) -> VideoFiles:
    """The files of a video of the data set, with the toolkit's flags where `annos/absent` is near. folder: its own."""
    near = (home / "annos" / "absent" / f"{folder.name}.txt" for home in folder.parents[:3])
    return VideoFiles(
        name=folder.name,
        boxes=folder / "groundtruth.txt",
        absent=tuple(path for path in near if path.is_file())[:1],
        sentence=folder / "language.txt",
        pictures=folder / "imgs",
        pattern="",
    )


def find(row: Benchmark, folder: Path, is_official: bool) -> Sequence[VideoFiles]:
    """The data set's folders; the toolkit's annotations are the test set's."""
    if not is_official:
        return box_tracking.folders(folder, video_files)
    for name in (f"TNL2K_{row.split}_subset", f"TNL2K_{row.split}", row.split):
        videos = box_tracking.folders(folder / name, video_files, LEVELS)
        if any(video.pictures.is_dir() or video.sentence.is_file() for video in videos if video.sentence):
            return videos
    if row.is_train or not (folder / "annos" / "gt_rect").is_dir():
        return ()
    return box_tracking.flat(folder / "annos")


def _place(row: Benchmark, home: Path, number: int) -> VideoFiles:
    """A folder below the split's, with flags beside the test set's."""
    name = f"{row.split}_video_{number + 1:02d}"
    video = video_files(home / f"TNL2K_{row.split}_subset" / name)
    flags = () if row.is_train else (home / "annos" / "absent" / f"{name}.txt",)
    return replace(video, absent=flags)


LAYOUT = BoxTrackLayout(
    roots=("tnl2k", "TNL2K", "TNL-2K", "."),
    how_to_get="Download TNL2K from https://sites.google.com/view/langtrackbenchmark",
    landmark_of=lambda row: f"TNL2K_{row.split}_subset",
    find=find,
    place=_place,
    truth_of=single_targets.in_pixels,
)
_row = partial(
    Benchmark,
    dataset="tnl2k",
    task=Task.SOT,
    labels="object",
    metric="success_plots",
    main_score="AUC",
    protocols=("uninext_no_flags", "pytracking_ext", "toolkit"),
    layout=LAYOUT,
)

ROWS = (
    _row(
        name="tnl2k_sot_test",
        split="test",
        num_samples=700,
        notes="Headline as in papers: pytracking-style code that reads no flags of absence and judges every truth of "
        "positive size. 'toolkit' is the official Matlab code; it needs the toolkit's annotations for the flags, and "
        "truth with x or y <= 0 (14,567 visible frames) fails its success and passes its precision.",
    ),
    _row(name="tnl2k_sot_train", split="train", num_samples=1300, is_train=True),
)
