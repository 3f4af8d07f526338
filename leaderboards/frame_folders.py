"""Archives of one PNG for each frame of each video: given objects, referred objects, BDD100K's bitmasks.

    <video>/00000.png                             DAVIS, MOSE: at the root; BDD100K with the names of its pictures
    Annotations/<video>/00000.png                 YouTube-VOS, LVOS
    <video>/<expression>/00000.png                MeViS: at the root
    Annotations/<video>/<expression>/00000.png    Ref-YouTube-VOS

Objects are palette indices, referred ones 0 and 255 in grey. DAVIS' server says of a folder above the videos: "should
be placed directly inside the zip without any subfolder" (https://github.com/codalab/codalab-competitions/issues/2709).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.contract import Panoptic, Sample, SampleSet
from benchmark.formats.image_files import read_numbers
from benchmark.problems import DataError
from benchmark.row import Benchmark
from leaderboards.forms import BINARY, BITMASK, INDEXED, Contents, Form, Inspection, Png, Size
from leaderboards.problems import Problem, error, listed

MOST_PROPOSALS = 20
VIDEO, EXPRESSION = 1, 2
"""Folders below the place, down to the frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFolders(Form):
    """One PNG for each frame. levels: folders of a video's frames. from_first_given: earlier frames may be absent."""

    png: Png | None = INDEXED
    unit: str = "videos"
    levels: int = VIDEO
    from_first_given: bool = False
    are_known: bool = True

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """A PNG named like each picture, of its size; of objects with folders of their own the reader knows."""
        if not self.are_known:
            return {}
        return {
            "/".join((*self._above, sample.sample_id, f"{picture.stem}.png")): sample.size
            for sample in samples
            for picture in sample.frames[_first(sample) if self.from_first_given else 0 :]
        }

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """A PNG in as many folders as it should lie in."""
        if self.depth_is_free:
            return name.endswith(".png")
        parts = name.split("/")
        above = (*self._above,)
        return name.endswith(".png") and tuple(parts[: len(above)]) == above and len(parts) == len(above) + self._depth

    def is_optional(self, row: Benchmark, name: str) -> bool:
        """Frames before the first given one, and objects with folders of their own."""
        return self.from_first_given or not self.are_known

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """Folders of frames."""
        if self.depth_is_free:
            return len({name.rpartition("/")[0] for name in contents.files})
        depth = len((*self._above,)) + self.levels
        return len({"/".join(name.split("/")[:depth]) for name in contents.files if name.endswith(".png")})

    def results(self, row: Benchmark, contents: Contents) -> Path | None:
        """The folder of the videos, wherever it lies."""
        home = contents.folder / self.place
        return home if home.is_dir() else contents.folder

    @property
    def _above(self) -> tuple[str, ...]:
        return (self.place,) if self.place else ()

    @property
    def _depth(self) -> int:
        return self.levels + (1 if self.are_known else 2)


def only_given_ids(looked: Inspection) -> Iterator[Problem]:
    """An object that nobody gave: DAVIS' evaluation ends, others count it as nothing."""
    for sample, predicted in _predicted(looked):
        given = _given_ids(sample)
        others = sorted(predicted - given)
        if given and others:
            message = f"shows object {', '.join(map(str, others[:5]))}, which is not given (given: {_range(given)})"
            yield error(sample.sample_id, message, "Use the ids of the given masks, and 0 elsewhere (no 255)")


def few_proposals(looked: Inspection) -> Iterator[Problem]:
    """The unsupervised task takes at most 20 proposals a video, numbered from 1."""
    for sample, predicted in _predicted(looked):
        if predicted and max(predicted) > MOST_PROPOSALS:
            message = f"shows proposal {max(predicted)}, at most {MOST_PROPOSALS} are taken"
            yield error(sample.sample_id, message, "Keep the best proposals and number them from 1")


def only_black_and_white(looked: Inspection) -> Iterator[Problem]:
    """Masks of expressions are 0 and 255; other numbers are taken for objects by one reader and not by the next."""
    wrong = []
    for name in looked.contents.files:
        try:
            numbers = read_numbers(looked.contents.folder / name)
        except DataError:
            continue
        if ((numbers != 0) & (numbers != np.iinfo(np.uint8).max)).any():
            wrong.append(name)
    if wrong:
        message = f"{len(wrong):,} masks hold other numbers than 0 and 255 ({listed(wrong)})"
        yield error(looked.contents.name, message, "Write 255 where the target is")


def _predicted(looked: Inspection) -> Iterator[tuple[Sample, set[int]]]:
    """(sample, ids that its frames show); frames that are absent or damaged have been complained about before."""
    if looked.predictions is None or looked.samples is None:
        return
    for sample in looked.samples:
        if sample.sample_id in looked.predictions:
            frames = looked.predictions[sample.sample_id].frames
            yield sample, set().union(*(_ids(frames, index) for index in range(len(frames))))


def _ids(frames: object, index: int) -> set[int]:
    try:
        frame = frames[index]  # type: ignore[index]
    except DataError:
        return set()
    return {one.id for one in frame.segments} if isinstance(frame, Panoptic) else set()


def _given_ids(sample: Sample) -> set[int]:
    """Ids that a model is given; of DAVIS all up to the highest, which the evaluation counts."""
    given: set[int] = set()
    for objects in (sample.prompt.objects or {}).values():
        given |= set(objects.object_id.tolist())
    return given


def _first(sample: Sample) -> int:
    return min(sample.prompt.objects or (0,))


def _range(ids: set[int]) -> str:
    return ", ".join(map(str, sorted(ids)))


DAVIS = FrameFolders(rules=(only_given_ids,))
PROPOSALS = FrameFolders(rules=(few_proposals,))
MOSE = FrameFolders(rules=(only_given_ids,))
YOUTUBE_VOS = FrameFolders(place="Annotations", from_first_given=True, rules=(only_given_ids,))
LVOS = FrameFolders(place="Annotations", from_first_given=True, rules=(only_given_ids,))
OWN_FOLDERS = FrameFolders(are_known=False)
LISTS = FrameFolders(levels=EXPRESSION)
MEVIS = FrameFolders(png=BINARY, levels=EXPRESSION, unit="expressions", rules=(only_black_and_white,))
REF_YOUTUBE_VOS = FrameFolders(
    place="Annotations", png=BINARY, levels=EXPRESSION, unit="expressions", rules=(only_black_and_white,)
)
NAMED_EXPRESSIONS = FrameFolders(png=None, depth_is_free=True, unit="expressions")
BITMASKS = FrameFolders(png=BITMASK)
