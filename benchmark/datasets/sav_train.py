"""SA-V's training split: a JSON file a video with the masks of its objects in every fourth frame.

{SA-V/sav_train, sav_train, ..., .}/sav_000/sav_000001_manual.json, JPEGImages_24fps/sav_000001/00000.jpg

Videos come as sav_000001.mp4; their frames are read from the folder into which val and test are unpacked. Results are
those of val and test. Masks that were found automatically (_auto.json) are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import result_forms
from benchmark.annotated import AnnotatedClip, Scenes
from benchmark.contract import Prediction, PredictionSet, Prompt, Sample, SampleSet, Truth
from benchmark.datasets import videos
from benchmark.datasets.pictures import the_folder
from benchmark.datasets.videos import Outside
from benchmark.formats import clip_files, masklets, object_folders
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.indexed_masks import GivenObjects
from benchmark.formats.listing import Entry, FrameFiles, Listing
from benchmark.formats.masklets import Masklets
from benchmark.problems import Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark, DataNotFound

SUFFIX = "_manual.json"
PICTURES = "JPEGImages_24fps"
STEP = 4
Needed = Callable[[Sample], dict[int, list[str]]]


@dataclass(frozen=True, slots=True)
class MaskletListing(Listing):
    """Videos whose sizes stand in their files, which are read on access. files: one a video."""

    files: tuple[Path, ...] = ()

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of a video."""
        return masklets.read(self.files[index]).size


@dataclass(frozen=True, slots=True)
class SavTrainLayout:
    """needed: sample -> object id -> names of the frames that count."""

    needed: Needed
    roots: tuple[str, ...] = ("SA-V/sav_train", "sav_train", "sav/sav_train", "SAV/sav_train", ".")
    how_to_get: str = "Download SA-V train from https://ai.meta.com/datasets/segment-anything-video-downloads"

    def landmark(self, row: Benchmark) -> str:
        """The folder of the first videos."""
        return "sav_000"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """All videos that have masks made by people."""
        files = sorted(folder.glob(f"sav_*/*{SUFFIX}"))
        return _listing(files, folder / PICTURES) if files else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """One file, or any folder above some."""
        files = [truth] if truth.is_file() else sorted(truth.rglob(f"*{SUFFIX}"))
        if not files:
            remedy = f"Give a *{SUFFIX}, or a folder with some"
            raise DataNotFound([Problem(place=str(truth), message=f"holds no *{SUFFIX}", remedy=remedy)])
        return _listing(files, (truth if truth.is_dir() else truth.parent.parent) / PICTURES)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A folder an object below one a video."""
        return (result_forms.OBJECT_FOLDERS,)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """One folder an object below one folder a video."""
        needed = {sample.sample_id: self.needed(sample) for sample in samples}
        return object_folders.read_results(the_folder(path, row), samples, needed), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        object_folders.write_results(path, predictions)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Every thing, and the upper part of the first one; ten videos a folder."""
        home = root / self.roots[0]
        for row in rows:
            for number, clip in enumerate(scenes.clips(row), start=1):
                name = f"sav_{number:06d}"
                masklets.write(home / f"sav_{number // 10:03d}" / f"{name}{SUFFIX}", objects_of(clip), STEP)
                write_pictures(home / PICTURES / name, clip)


def objects_of(clip: AnnotatedClip) -> dict[int, list[NDArray[np.bool_]]]:
    """Object id -> masks of all frames, bool [H, W]: every thing, and the upper half of the first one."""
    maps = [[np.asarray(frame.segment_id == one) for frame in clip.panoptic] for one in clip_files.appearances(clip)]
    return dict(enumerate([*maps, *([_upper_part(mask) for mask in one] for one in maps[:1])]))


def write_pictures(folder: Path, clip: AnnotatedClip) -> None:
    """The pictures at the full rate, of which all between two annotated ones show the first."""
    for index, name in enumerate(clip_files.frame_names(STEP * (len(clip.panoptic) - 1) + 1)):
        write_jpeg(folder / f"{name}.jpg", clip.images[index // STEP])


def _upper_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The upper half of what bool [H, W] shows."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return mask
    return np.asarray(mask & (np.arange(len(mask)) <= (rows[0] + rows[-1]) // 2)[:, None])


def _listing(files: Sequence[Path], pictures: Path) -> Listing:
    def truth(index: int) -> Truth:
        found = masklets.read(files[index])
        return Truth(
            frames=found.frames(),
            tracks=videos.tracks_of(list(found.starts)),
            ignored=Outside(len(found.rows), _stretches(found)),
        )

    def ask(index: int, prompt: Prompt) -> Prompt:
        found = masklets.read(files[index])
        first: dict[int, list[int]] = {}
        for one, start in found.starts.items():
            first.setdefault(start, []).append(one)
        return replace(prompt, labels=None, objects=GivenObjects(found.frames(), first))

    entries = tuple(_entry(path, pictures) for path in files)
    return MaskletListing(entries=entries, truth=truth, ask=ask, files=tuple(files))


def _entry(path: Path, pictures: Path) -> Entry:
    name = path.name.removesuffix(SUFFIX)
    frames = FrameFiles(pictures / name, lambda index: f"{STEP * index:05d}.jpg", lambda: len(masklets.read(path).rows))
    return Entry(sample_id=name, frames=frames)


def _stretches(found: Masklets) -> dict[int, range]:
    return {one: range(start, len(found.rows)) for one, start in found.starts.items()}
