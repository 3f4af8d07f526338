"""What the layouts of video object segmentation share: clips on disk, made into a listing with given objects.

Pictures may be absent when only scores are wanted; then the names of the label files stand for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmark import result_forms
from benchmark.contract import (
    Frames,
    Instances,
    Prediction,
    PredictionSet,
    Prompt,
    Sample,
    SampleSet,
    Tracks,
    Truth,
    make_instances,
)
from benchmark.datasets.pictures import the_folder
from benchmark.formats import indexed_masks, video_results
from benchmark.formats.image_files import header_size
from benchmark.formats.indexed_masks import GivenObjects, Reading, frames_of, lazily
from benchmark.formats.listing import Entry, Listing
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark, DataNotFound

FOLDERS: Mapping[str, str] = MappingProxyType({"train": "train", "val": "valid", "test": "test"})
"""Split -> its folder in MOSE, YouTube-VOS and LVOS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One video.

    frames: pictures.   labels: the PNG of each frame, None where there is none.   tracks: objects, where a file lists
    them.   stretches: object id -> frame indices in which it may count, where objects differ.
    given: frame index -> object ids that a model is given there, None for all of the frame.
    """

    name: str
    frames: tuple[Path, ...]
    labels: tuple[Path | None, ...]
    tracks: Tracks | None = None
    stretches: Mapping[int, Collection[int]] | None = None
    given: Mapping[int, Sequence[int] | None] = field(default_factory=lambda: {0: None})


@dataclass(frozen=True, slots=True)
class Outside(Sequence[Instances]):
    """Frame by frame the objects outside their stretch, `Truth.ignored`."""

    num_frames: int
    stretches: Mapping[int, Collection[int]]

    def __len__(self) -> int:
        return self.num_frames

    def __getitem__(self, index: int) -> Instances:  # type: ignore[override]
        place = range(self.num_frames)[index]
        ids = [one for one, stretch in self.stretches.items() if place not in stretch]
        return make_instances(class_index=[0] * len(ids), object_id=np.array(ids, np.int64))

    def __iter__(self) -> Iterator[Instances]:
        return (self[index] for index in range(self.num_frames))


def hidden(place: str) -> Problem:
    """What is said of a video of which some masks are not there, once for all of them."""
    message, remedy = "masks are missing, or not public", "Give the whole truth with --truth"
    return Problem(place=place, message=message, remedy=remedy)


def listing(
    names: Iterable[str],
    build: Callable[[str], tuple[Clip | None, list[Problem]]],
    reading: Reading,
    known: Iterable[Problem] = (),
) -> Listing:
    """A listing of videos whose frames are decoded on access.

    build: name -> clip, and what is wrong with it. known: problems that have been found before.
    """
    clips: list[Clip] = []
    entries: list[Entry] = []
    problems = list(known)
    for name in names:
        clip, found = build(name)
        try:
            entry = None if clip is None else _entry(clip)
        except DataError as error:
            clip, found = None, [*found, *error.problems]
        problems += found
        if clip is not None and entry is not None:
            clips.append(clip)
            entries.append(entry)

    def frames(clip: Clip) -> Frames:
        return lazily(clip.labels, reading, hidden(clip.name))

    def truth(index: int) -> Truth:
        clip = clips[index]
        outside = None if clip.stretches is None else Outside(len(clip.frames), clip.stretches)
        return Truth(frames=frames(clip), tracks=clip.tracks, ignored=outside)

    def ask(index: int, prompt: Prompt) -> Prompt:
        clip = clips[index]
        given = GivenObjects(frames(clip), clip.given) if clip.given else None
        return replace(prompt, labels=None, objects=given)

    return Listing(entries=tuple(entries), truth=truth, ask=ask, problems=tuple(problems))


def _entry(clip: Clip) -> Entry:
    labels = tuple(path for path in clip.labels if path is not None)
    size = None if labels else header_size(clip.frames[0])
    return Entry(sample_id=clip.name, frames=clip.frames, labels=labels, size=size)


class FolderResults:
    """The result form of layouts that take one folder a video with one indexed PNG a frame."""

    def reading(self, row: Benchmark) -> Reading:
        """What the numbers of a result mean."""
        return Reading()

    def needed(self, row: Benchmark, sample: Sample) -> Iterable[int]:
        """Indices of the frames that scores look at."""
        return inner(len(sample.frames))

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A folder a video; a folder Annotations may stand around them."""
        return (result_forms.INDEXED,)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder of videos with one indexed PNG a frame."""
        folder = the_folder(path, row)
        return video_results.read_results(folder, samples, self.reading(row), partial(self.needed, row)), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        indexed_masks.write_results(path, predictions)


class Wanted(StrEnum):
    """Frames of a video that belong to it, where pictures and masks are not the same frames."""

    EVERY = "every frame needs a mask"
    ANNOTATED = "frames without a mask do not belong to the video"
    ANY = "masks of some frames are not public"


class SplitFolders(FolderResults, ABC):
    """Layouts of a folder a split whose masks and pictures lie in Annotations and JPEGImages.

    mark: the file or folder by which a split is known.
    """

    roots: tuple[str, ...]
    mark: str

    def landmark(self, row: Benchmark) -> str:
        """Where the split is known by its mark."""
        return f"{FOLDERS[row.split]}/{self.mark}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The videos of the split; masks of hidden truth may be missing."""
        if not (folder / self.landmark(row)).exists():
            return None
        return self.listing(row, folder / FOLDERS[row.split], Wanted.EVERY if row.truth == "public" else Wanted.ANY)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The folder of a split, or the one above it."""
        return self.listing(row, home_of_masks(truth, row), Wanted.ANNOTATED)

    @abstractmethod
    def listing(self, row: Benchmark, home: Path, wanted: Wanted) -> Listing:
        """The videos of a split's folder."""


def paired(
    pictures: Path, labels: Path, place: str, wanted: Wanted
) -> tuple[dict[str, tuple[Path, Path | None]], list[Problem]]:
    """Name of a frame -> (picture, PNG or None) of one video, in order of name, and what does not fit together.

    pictures, labels: the video's two folders, of which one may be absent.
    """
    images = frames_of(pictures, ".jpg") if pictures.is_dir() else {}
    files = frames_of(labels) if labels.is_dir() else {}
    problems = []
    lost = sorted(set(files) - set(images)) if images else []
    bare = sorted(set(images) - set(files))
    if lost:
        message = f"{len(lost):,} of {len(files):,} masks have no picture in {pictures} (first: {lost[0]})"
        problems.append(Problem(place=place, message=message, remedy="Complete the download"))
    if bare and wanted is Wanted.EVERY:
        message = f"{len(bare):,} of {len(images):,} pictures have no mask in {labels} (first: {bare[0]})"
        problems.append(Problem(place=place, message=message, remedy="Complete the download"))
    names = set(files) if wanted is Wanted.ANNOTATED else {*images, *files}
    if not names:
        message = f"has neither pictures ({pictures}) nor masks ({labels})"
        problems.append(Problem(place=place, message=message, remedy="Complete the download"))
    return {one: (images.get(one, pictures / f"{one}.jpg"), files.get(one)) for one in sorted(names)}, problems


def home_of_masks(truth: Path, row: Benchmark) -> Path:
    """The folder of a split in an explicit truth, which holds Annotations/<video>. Raises DataNotFound."""
    split = FOLDERS[row.split]
    for home in (truth / split, truth, truth.parent):
        if (home / "Annotations").is_dir() and (truth.name == "Annotations" or home != truth.parent):
            return home
    message = "holds no Annotations/<video>/*.png"
    remedy = f"Give the folder of a split, which holds Annotations, or the folder above {split}"
    raise DataNotFound([Problem(place=str(truth), message=message, remedy=remedy)])


def read_lines(path: Path) -> list[str]:
    """The lines of a list that are not empty. Raises DataError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        problem = Problem(place=str(path), message=f"cannot be read ({error.strerror})", remedy="Check the file")
        raise DataError([problem]) from error
    except UnicodeDecodeError as error:
        message = f"is not text ({error.reason} at byte {error.start})"
        raise DataError([Problem(place=str(path), message=message, remedy="Give the official list")]) from error
    odd = [line for line in lines if not line.strip().isprintable()]
    if odd:
        message = f"{odd[0][:40]!r} is no name of a video"
        raise DataError([Problem(place=str(path), message=message, remedy="Give the official list")])
    return [line.strip() for line in lines if line.strip()]


def counting(sample: Sample, *, has_ends: bool) -> set[int]:
    """Frame indices in which any object counts that its stretch does not leave out; see `Truth.ignored`."""
    assert sample.truth is not None and sample.truth.tracks is not None
    outside = [set(one.object_id.tolist()) for one in sample.truth.ignored or ()]
    found: set[int] = set()
    for one in sample.truth.tracks.object_id.tolist():
        stretch = [index for index, ids in enumerate(outside) if one not in ids]
        found |= set(stretch if has_ends else stretch[1:-1])
    return found


def tracks_of(object_ids: Sequence[int], class_index: Sequence[int] | None = None) -> Tracks:
    """The objects of a video. class_index: of each object, None for class 0."""
    num = len(object_ids)
    return Tracks(
        object_id=np.array(object_ids, np.int64),
        class_index=np.array([0] * num if class_index is None else class_index, np.int64),
        score=np.ones(num),
        is_crowd=np.zeros(num, bool),
        area=np.full(num, np.nan),
    )


def inner(num_frames: int) -> range:
    """Frame indices without the first and the last."""
    return range(1, num_frames - 1)
