"""LaSOT and its extension: one object through long videos, with flags of absence and a sentence for each.

{lasot, LaSOT, LaSOTBenchmark, .}/airplane/airplane-1/{groundtruth,full_occlusion,out_of_view,nlp}.txt, img/00000001.jpg
{lasot_ext, LaSOT_Ext, LaSOT_extension_subset, ...}/atv/atv-1/... the same
annos/airplane-1.txt, annos/absent/, annos/nlp/: the evaluation toolkit's copy, in place of either
{training,testing}_set.txt: the videos of a split, one a line

The test set is "protocol II": 4 videos of each of 70 classes, listed in lasot_test.csv; the other 16 are for training.
Lists beside the videos may name others.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from benchmark.contract import Task
from benchmark.datasets import box_tracking, single_targets
from benchmark.datasets.box_tracking import BoxTrackLayout
from benchmark.formats import box_videos
from benchmark.formats.box_videos import VideoFiles
from benchmark.row import Benchmark

LISTS = {"train": "training_set.txt", "test": "testing_set.txt"}
VIDEOS_OF_A_CLASS = 20
EXTENSION_VIDEOS = 10
EXTENSION = (
    "atv",
    "badminton",
    "cosplay",
    "dancingshoe",
    "footbag",
    "frisbee",
    "jianzi",
    "lantern",
    "misc",
    "opossum",
    "paddle",
    "raccoon",
    "rhino",
    "skatingshoe",
    "wingsuit",
)


def video_files(folder: Path) -> VideoFiles:
    """The files of a video of the data set. folder: `<class>/<class>-<n>`."""
    return VideoFiles(
        name=folder.name,
        boxes=folder / "groundtruth.txt",
        absent=(folder / "full_occlusion.txt", folder / "out_of_view.txt"),
        are_flags_in_one_line=True,
        sentence=folder / "nlp.txt",
        pictures=folder / "img",
    )


@cache
def official_names(dataset: str, split: str) -> tuple[str, ...]:
    """The videos of a split in official order."""
    if dataset == "lasot_ext":
        return tuple(f"{name}-{number}" for name in EXTENSION for number in range(1, EXTENSION_VIDEOS + 1))
    with Path(__file__).with_name("lasot_test.csv").open(newline="", encoding="ascii") as file:
        test = {row["class"]: set(map(int, row["test_videos"].split())) for row in csv.DictReader(file)}
    return tuple(
        f"{name}-{number}"
        for name, numbers in test.items()
        for number in range(1, VIDEOS_OF_A_CLASS + 1)
        if (number in numbers) == (split == "test")
    )


def find(row: Benchmark, folder: Path, is_official: bool) -> Sequence[VideoFiles]:
    """The data set's folders, or the toolkit's annotations."""
    if not is_official:
        return box_tracking.folders(folder, video_files)
    names = _names(row, folder)
    for found in (
        [video_files(folder / class_of(name) / name) for name in names],
        [video_files(folder / name) for name in names],
        [box_tracking.toolkit_files(folder / "annos" / f"{name}.txt") for name in names],
    ):
        if any(video.boxes.is_file() for video in found):
            return found
    return ()


def class_of(name: str) -> str:
    """The class in a video's name."""
    return name.rsplit("-", 1)[0]


def _names(row: Benchmark, folder: Path) -> Sequence[str]:
    """The videos of a list beside them, unless it is of the other data set; else the official ones."""
    official = official_names(row.dataset, row.split)
    listed = box_videos.read_names(folder / LISTS[row.split])
    is_ours = {class_of(name) for name in listed} <= {class_of(name) for name in official}
    return listed if listed and is_ours else official


def _place(row: Benchmark, home: Path, number: int) -> VideoFiles:
    """Of each class in turn its first official video."""
    official = official_names(row.dataset, row.split)
    firsts = list({class_of(name): name for name in reversed(official)}.values())[::-1]
    name = firsts[number % len(firsts)]
    return video_files(home / class_of(name) / name)


def _landmark(row: Benchmark) -> str:
    name = official_names(row.dataset, row.split)[0]
    return f"{class_of(name)}/{name}/groundtruth.txt"


LASOT = BoxTrackLayout(
    roots=("lasot", "LaSOT", "LaSOTBenchmark", "LaSOTTest", "."),
    how_to_get="Download LaSOT from http://vision.cs.stonybrook.edu/~lasot",
    landmark_of=_landmark,
    find=find,
    place=_place,
    truth_of=single_targets.with_flags,
    list_of=lambda row: LISTS[row.split],
)
LASOT_EXT = BoxTrackLayout(
    roots=("lasot_ext", "LaSOT_Ext", "LaSOT_extension_subset", "lasot_extension_subset", "LaSOT_ext", "."),
    how_to_get="Download the extension subset from http://vision.cs.stonybrook.edu/~lasot",
    landmark_of=_landmark,
    find=find,
    place=_place,
    truth_of=single_targets.with_flags,
    list_of=lambda row: LISTS[row.split],
)
_row = partial(Benchmark, task=Task.SOT, labels="object", metric="success_plots", main_score="AUC")

ROWS = (
    _row(
        name="lasot_sot_test",
        dataset="lasot",
        split="test",
        layout=LASOT,
        protocols=("pytracking", "toolkit", "uninext", "got10k"),
        num_samples=280,
        notes="Headline as in papers (pytracking); 'toolkit' is the official Matlab code: visible frames of invalid "
        "truth pass its precision, videos whose whole curve is zero leave its mean. Absent frames stay in the "
        "denominator, so a perfect AUC is 20/21 of the visible share. pytracking averages in float32, we in float64.",
    ),
    _row(
        name="lasot_sot_train",
        dataset="lasot",
        split="train",
        layout=LASOT,
        protocols=("pytracking", "toolkit", "uninext", "got10k"),
        num_samples=1120,
        is_train=True,
    ),
    _row(
        name="lasot_ext_sot_test",
        dataset="lasot_ext",
        split="test",
        layout=LASOT_EXT,
        protocols=("pytracking_ext", "uninext", "toolkit", "got10k"),
        num_samples=150,
        notes="pytracking does not know this set as LaSOT, so absent frames pass its normalised precision; "
        "UNINEXT's loader calls it lasot, so they do not ('uninext').",
    ),
)
