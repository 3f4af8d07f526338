"""YouTube-VOS 2018 and 2019: given objects of classes that training has seen, and of classes that it has not.

{YouTubeVOS2018, youtube_vos18, ..., .}/{train,valid,test}/Annotations/<video>/00005.png, JPEGImages/, meta.json

Masks are annotated at 6 frames a second. A class is seen when the training's meta.json has it. Only the masks in which
objects first appear are public for `valid` and `test`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
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
from benchmark.formats.video_meta import ListedObject, read_listed
from benchmark.problems import DataError, Problem
from benchmark.row import Benchmark

META = "meta.json"
SEEN, UNSEEN = 0, 1
STEP = 5
ROOTS: Mapping[str, tuple[str, ...]] = {
    "youtube_vos18": ("YouTubeVOS2018", "YouTubeVOS-2018", "YouTube2018", "youtube_vos18", "YouTube-VOS/2018", "."),
    "youtube_vos19": ("YouTubeVOS2019", "YouTubeVOS-2019", "YouTube", "youtube_vos19", "YouTube-VOS/2019", "."),
}


class YouTubeVosLayout(FolderResults):
    """A folder a split with its meta.json. year: which release."""

    how_to_get = "Download train, valid and test of the year's release from https://youtube-vos.org/dataset/vos"

    def __init__(self, dataset: str) -> None:
        self.roots = ROOTS[dataset]

    def landmark(self, row: Benchmark) -> str:
        """The list of videos and their objects."""
        return f"{videos.FOLDERS[row.split]}/{META}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The videos of the split's meta.json."""
        home = folder / videos.FOLDERS[row.split]
        if not (home / META).is_file():
            return None
        return _listing(row, home, folder / "train" / META, Wanted.EVERY if row.truth == "public" else Wanted.ANY)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The folder of a split, or the one above it; the training's meta.json is looked for beside the split."""
        home = videos.home_of_masks(truth, row)
        near = [
            home.parent / "train" / META,
            *([] if root is None else [root / one / "train" / META for one in self.roots]),
        ]
        train = next((path for path in near if path.is_file()), near[0])
        return _listing(row, home, train, Wanted.ANNOTATED)

    def needed(self, row: Benchmark, sample: Sample) -> Iterable[int]:
        """Frames in which an object counts: all after its first but the video's last."""
        return videos.counting(sample, has_ends=False)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Every thing from where it is first seen; in training, things of seen classes alone."""
        for row in rows:
            home = root / self.roots[0] / videos.FOLDERS[row.split]
            meta: dict[str, Any] = {}
            for clip in scenes.clips(row):
                objects = _numbered(clip, row)
                if objects:
                    name = f"{clip.number:010x}"
                    meta[name] = {"objects": _write_clip(home, name, clip, objects, row)}
            write_whole(home / META, json.dumps({"videos": meta}).encode())


def _listing(row: Benchmark, home: Path, train: Path, wanted: Wanted) -> Listing:
    listed, problems = read_listed(home / META)
    seen = _seen_classes(home / META, train, listed, row)
    labels, pictures = home / "Annotations", home / "JPEGImages"

    def build(name: str) -> tuple[Clip | None, list[Problem]]:
        place = f"{row.name}: {name}"
        files, found = videos.paired(pictures / name, labels / name, place, wanted)
        names = list(files)
        objects = {one: value for one, value in listed[name].items() if value.frames[0] in files}
        for one in listed[name].keys() - objects.keys():
            message = f"object {one} starts at frame {listed[name][one].frames[0]}, which is not there"
            found.append(Problem(place=place, message=message, remedy="Complete the download"))
        if not files or not objects:
            return None, found
        starts = {one: names.index(value.frames[0]) for one, value in objects.items()}
        frames, masks = zip(*files.values(), strict=True)
        classes = [SEEN if value.category in seen else UNSEEN for value in objects.values()]
        clip = Clip(
            name=name,
            frames=frames,
            labels=masks,
            tracks=videos.tracks_of(list(objects), classes),
            stretches={one: range(start, len(names)) for one, start in starts.items()},
            given={start: [one for one in starts if starts[one] == start] for start in sorted(set(starts.values()))},
        )
        return clip, found

    return videos.listing(listed, build, Reading(), problems)


def _numbered(clip: AnnotatedClip, row: Benchmark) -> dict[int, int]:
    """Segment id -> object id; ids start at 1 and skip one, as those of some official videos."""
    classes = _classes(clip)
    shown = [one for one in clip_files.appearances(clip) if not row.is_train or classes[one] == SEEN]
    return {one: number + (number > 1) for number, one in enumerate(shown, start=1)}


def _classes(clip: AnnotatedClip) -> dict[int, int]:
    return {one.id: one.class_index for frame in clip.panoptic for one in frame.segments}


def _write_clip(
    home: Path, name: str, clip: AnnotatedClip, objects: Mapping[int, int], row: Benchmark
) -> dict[str, dict[str, Any]]:
    """Write the frames at 6 a second from any frame on; the entries of the objects in meta.json."""
    frames = clip_files.frame_names(len(clip.panoptic), first=STEP * (clip.number % 3), step=STEP)
    clip_files.write_masks(home / "Annotations" / name, frames, clip_files.object_maps(clip, objects))
    clip_files.write_pictures(home / "JPEGImages" / name, frames, clip)
    shown, classes = clip_files.appearances(clip), _classes(clip)
    return {
        str(number): {
            "category": row.label_set.classes[classes[one]].name,
            "frames": [frames[index] for index in shown[one]],
        }
        for one, number in objects.items()
    }


def _seen_classes(own: Path, train: Path, listed: Mapping[str, Mapping[int, ListedObject]], row: Benchmark) -> set[str]:
    """Names of the classes of the training split."""
    if row.split != "train" and not train.is_file():
        message = f"which classes were seen is derived from the training's {META}, which is missing ({train})"
        raise DataError([Problem(place=str(own), message=message, remedy="Add it; the masks are not needed")])
    videos_of_training = listed if row.split == "train" else read_listed(train)[0]
    return {one.category for objects in videos_of_training.values() for one in objects.values()}


def _rows(dataset: str, year: int, num_val: int, num_test: int) -> tuple[Benchmark, ...]:
    row = partial(
        Benchmark,
        dataset=dataset,
        task=Task.VOS,
        labels="seen_unseen",
        layout=YouTubeVosLayout(dataset),
        metric="j_and_f_grouped",
        main_score="G",
        protocols=("youtube_vos",),
        notes=f"{year}. G is the mean of J and F over seen and unseen classes, each a mean over objects. The server's "
        "code is not public: an object counts from the frame after its first to the last but one of the video, as in "
        "pytracking's emulation. Results hold the 6 frames a second of meta.json.",
    )
    return (
        row(name=f"{dataset}_vos_val", split="val", num_samples=num_val, truth="private"),
        row(name=f"{dataset}_vos_test", split="test", num_samples=num_test, truth="private"),
        row(name=f"{dataset}_vos_train", split="train", num_samples=3471, is_train=True, main_score="J_seen"),
    )


ROWS = (*_rows("youtube_vos18", 2018, 474, 508), *_rows("youtube_vos19", 2019, 507, 541))
