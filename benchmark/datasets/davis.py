"""DAVIS 2016 and 2017: video object segmentation of given objects, and of proposals that are matched to objects.

{DAVIS, davis, .}/Annotations{,_unsupervised}/480p/<video>/00000.png, JPEGImages/480p/<video>/00000.jpg,
ImageSets/{2016,2017,2019}/<split>.txt

The hidden splits of 2019 ask for proposals and come without any mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark.annotated import AnnotatedClip, Scenes
from benchmark.contract import Sample, Task
from benchmark.datasets import videos
from benchmark.datasets.videos import Clip, FolderResults, Wanted
from benchmark.formats import clip_files, indexed_masks
from benchmark.formats.image_files import write_whole
from benchmark.formats.indexed_masks import Reading
from benchmark.formats.listing import Listing
from benchmark.problems import Problem
from benchmark.row import Benchmark, DataNotFound

RESOLUTION = "480p"
LISTS: Mapping[str, tuple[str, ...]] = {
    "davis16": ("2016", "480p"),
    "davis17": ("2017",),
    "davis17_unsupervised": ("2017",),
}
"""Folders of ImageSets in which the lists of a year lie; the release of 2016 names them by resolution."""
BARE = "2019"
"""The same of the splits that come as pictures alone: proposals are asked for and their truth is hidden."""


class DavisLayout(FolderResults):
    """The official folders at 480p; results are one folder a video."""

    roots = ("DAVIS", "davis", "DAVIS2017", "davis2017", "DAVIS/2017", ".")
    how_to_get = "Download DAVIS-2017-trainval-480p.zip (unsupervised: DAVIS-2017-Unsupervised-trainval-480p.zip) from "
    how_to_get += "https://davischallenge.org/davis2017/code.html"

    def landmark(self, row: Benchmark) -> str:
        """The list of videos."""
        return f"ImageSets/{_lists(row)[0]}/{row.split}.txt"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The videos of the split's list."""
        lists = [folder / "ImageSets" / name / f"{row.split}.txt" for name in _lists(row)]
        path = next((one for one in lists if one.is_file()), None)
        if path is None or not (_is_bare(row) or (folder / _labels(row)).is_dir()):
            return None
        names = dict.fromkeys(_video_of(line) for line in videos.read_lines(path))
        wanted = Wanted.EVERY if row.truth == "public" else Wanted.ANY
        return _listing(row, names, (folder / _labels(row), folder / "JPEGImages" / RESOLUTION), wanted)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A folder of videos, or any folder above it in the official layout; all its videos count."""
        above = [truth / _labels(row), truth / RESOLUTION, truth]
        home = next((one for one in above if one.is_dir() and indexed_masks.videos_below(one)), None)
        if home is None:
            remedy = "Give the folder in which each video has a folder of PNGs"
            raise DataNotFound([Problem(place=str(truth), message="holds no <video>/*.png", remedy=remedy)])
        near = [home.parent.parent / "JPEGImages" / RESOLUTION, home.parent / "JPEGImages", truth / "JPEGImages"]
        pictures = next((one for one in near if one.is_dir()), near[0])
        return _listing(row, indexed_masks.videos_below(home), (home, pictures), Wanted.ANNOTATED)

    def reading(self, row: Benchmark) -> Reading:
        """In results there is no void."""
        return Reading(is_single=_is_single(row))

    def needed(self, row: Benchmark, sample: Sample) -> range:
        """Proposals are scored in all frames, given objects in all but the first and the last."""
        return range(len(sample.frames)) if _is_unsupervised(row) else videos.inner(len(sample.frames))

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """The objects of first frames; those of 2016 are the union of those of 2017, in the same files."""
        home = root / self.roots[0]
        for row in rows:
            names = {f"{row.split}-{clip.number:04d}": clip for clip in scenes.clips(row)}
            kept = {name: clip for name, clip in names.items() if clip_files.first_objects(clip)}
            for name, clip in kept.items():
                write_clip(home, row, name, clip, list(clip_files.first_objects(clip)))
            write_whole(home / self.landmark(row), "".join(f"{name}\n" for name in kept).encode())


def _listing(row: Benchmark, names: Iterable[str], folders: tuple[Path, Path], wanted: Wanted) -> Listing:
    """folders: of the masks, of the pictures."""
    labels, pictures = folders

    def build(name: str) -> tuple[Clip | None, list[Problem]]:
        files, problems = videos.paired(pictures / name, labels / name, f"{row.name}: {name}", wanted)
        if not files:
            return None, problems
        frames, masks = zip(*files.values(), strict=True)
        return Clip(name=name, frames=frames, labels=masks, given={} if _is_unsupervised(row) else {0: None}), problems

    return videos.listing(names, build, Reading(is_single=_is_single(row), has_void=not _is_single(row)))


def write_clip(home: Path, row: Benchmark, name: str, clip: AnnotatedClip, segment_ids: Sequence[int]) -> None:
    """Write pictures and masks of a video, in which the segments become objects 1, 2, ...

    Crowds are void for proposals, and for given objects where no release of 2016 shares the files.
    """
    has_void = _is_unsupervised(row) or row.split not in ("train", "val")
    frames = clip_files.frame_names(len(clip.panoptic))
    numbers = {one: number for number, one in enumerate(segment_ids, start=1)}
    maps = clip_files.object_maps(clip, numbers, has_void=has_void)
    clip_files.write_masks(home / _labels(row) / name, frames, maps)
    clip_files.write_pictures(home / "JPEGImages" / RESOLUTION / name, frames, clip)


def _is_unsupervised(row: Benchmark) -> bool:
    return row.metric == "j_and_f_matched"


def _is_bare(row: Benchmark) -> bool:
    return _is_unsupervised(row) and row.truth == "private"


def _lists(row: Benchmark) -> tuple[str, ...]:
    return (BARE,) if _is_bare(row) else LISTS[row.dataset]


def _labels(row: Benchmark) -> str:
    return f"Annotations{'_unsupervised' if _is_unsupervised(row) else ''}/{RESOLUTION}"


def _is_single(row: Benchmark) -> bool:
    return row.dataset == "davis16"


def _video_of(line: str) -> str:
    """The video of a line: its name, or, in the release of 2016, "/JPEGImages/480p/<video>/00000.jpg ..."."""
    first = line.split()[0]
    return first.split("/")[-2] if "/" in first else first


LAYOUT = DavisLayout()
_given = partial(
    Benchmark,
    task=Task.VOS,
    labels="object",
    layout=LAYOUT,
    metric="j_and_f",
    main_score="J&F",
    protocols=("davis", "davis_8bit", "vos_benchmark"),
)
_davis16 = partial(
    _given,
    dataset="davis16",
    notes="Whatever is not 0 is the object, in truth and results; the first and the last frame do not count. "
    "Temporal stability is not computed.",
)
_davis17 = partial(
    _given,
    dataset="davis17",
    notes="The objects are the ids up to the highest of the first frame; the first and the last frame do not count. An "
    "id above is an error, as in the official tool. Its decay is wrong beyond 256 frames (davis_8bit). vos_benchmark "
    "finds objects by their pixels and counts each from where it is first seen.",
)
_PROPOSED = "Nothing is given: at most 20 proposals a video, assigned to the objects for the best J&F. All frames "
_PROPOSED += "count, void pixels do not."
_HIDDEN = f"The 30 videos of DAVIS 2019, other ones than those of 2017; pictures alone are public. {_PROPOSED}"
_proposals = partial(
    Benchmark,
    dataset="davis17_unsupervised",
    task=Task.VOS,
    labels="object",
    metric="j_and_f_matched",
    main_score="J&F",
    protocols=("davis",),
    num_samples=30,
    layout=LAYOUT,
    notes=_PROPOSED,
)

ROWS = (
    _davis16(name="davis16_vos_val", split="val", num_samples=20),
    _davis16(name="davis16_vos_train", split="train", num_samples=30, is_train=True),
    _davis17(name="davis17_vos_val", split="val", num_samples=30),
    _davis17(name="davis17_vos_test-dev", split="test-dev", num_samples=30, truth="private"),
    _davis17(name="davis17_vos_test-challenge", split="test-challenge", num_samples=30, truth="private"),
    _davis17(name="davis17_vos_train", split="train", num_samples=60, is_train=True),
    _proposals(name="davis17_unsupervised_vos_val", split="val"),
    _proposals(name="davis17_unsupervised_vos_test-dev", split="test-dev", truth="private", notes=_HIDDEN),
    _proposals(name="davis17_unsupervised_vos_test-challenge", split="test-challenge", truth="private", notes=_HIDDEN),
)
