"""What the layouts of tracking data share: sequences with one truth file and one result file each.

Pictures may be absent when only scores are wanted. Where nothing states a length, the truth's last frame does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmark.contract import Frames, Prediction, PredictionSet, Sample, SampleSet, Truth
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.sequence_info import FILE, SequenceInfo, read_info
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any
from benchmark.row import Benchmark, DataNotFound

UNKNOWN_SIZE = (0, 0)
"""Size of a sequence of boxes of which neither pictures nor a description are there; nothing needs it then."""
HIDDEN = "the truth of this sequence is not public"
LEFT_OUT = "result files of other sequences left out"
TRACKEVAL_FOLDER = "data"
"""Where TrackEval keeps the result files of a tracker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One sequence. frames: its pictures, at least one path. size: (height, width)."""

    name: str
    frames: tuple[Path, ...]
    size: tuple[int, int]
    truth: Truth


def listing(names: Iterable[str], build: Callable[[str], Clip]) -> Listing:
    """A listing of sequences, with the problems of all of them. build: name -> sequence; raises DataError."""
    clips: list[Clip] = []
    problems: list[Problem] = []
    for name in names:
        try:
            clips.append(build(name))
        except DataError as error:
            problems += error.problems
    entries = tuple(Entry(sample_id=clip.name, frames=clip.frames, size=clip.size) for clip in clips)
    return Listing(entries=entries, truth=lambda index: clips[index].truth, problems=tuple(problems))


def info_of(home: Path) -> SequenceInfo | None:
    """The description in a sequence's folder, None where there is none. Raises DataError for a broken one."""
    return read_info(home / FILE) if (home / FILE).is_file() else None


def hidden(num_frames: int) -> Truth:
    """Truth that cannot be looked at, of a test sequence."""

    def build(index: int) -> NoReturn:
        remedy = "Write a submission with 'python -m leaderboards write', or give your own --truth"
        raise DataError([Problem(place=f"frame {index}", message=HIDDEN, remedy=remedy)])

    return Truth(frames=Frames(num_frames, build))


def text_files(folder: Path, suffix: str = ".txt") -> dict[str, Path]:
    """Sequence -> file of a folder, in order of name."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(suffix) and not path.name.startswith("."))
    return {path.name.removesuffix(suffix): path for path in found if path.is_file()}


def some(found: Mapping[str, Path], place: Path, expected: str) -> Mapping[str, Path]:
    """The truth files that were found; raises DataNotFound where there is none."""
    if not found:
        remedy = "Give the folder of the sequences, or one truth file"
        raise DataNotFound([Problem(place=str(place), message=f"holds no {expected}", remedy=remedy)])
    return found


def read_results(
    row: Benchmark, path: Path, samples: SampleSet, read: Callable[[Path, Sample], Prediction]
) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of the sequences that have a file `<sequence>.txt`, and how many files belong to none.

    path: the folder, or one file where there is one sequence. Raises DataError with the problems of all files.
    """
    if path.is_file():
        if len(samples) != 1:
            message = f"is one file, but {row.name} has {len(samples)} sequences here"
            raise DataError([Problem(place=str(path), message=message, remedy="Give the folder of <sequence>.txt")])
        files, num_others = {samples.ids[0]: path}, 0
    else:
        inner = path / TRACKEVAL_FOLDER
        found = text_files(inner if inner.is_dir() else path)
        files = {name: found[name] for name in samples.ids if name in found}
        num_others = len(found) - len(files)
        if samples.ids and not files:
            message = f"no file fits any of the {len(samples):,} sequences (expected names like {samples.ids[0]}.txt)"
            remedy = f"Name results after their sequences, or {OTHER_SPLIT}"
            raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    problems: list[Problem] = []
    predictions: dict[str, Prediction] = {}
    for index, name in enumerate(samples.ids):
        if name in files:
            try:
                predictions[name] = read(files[name], samples[index])
            except DataError as error:
                problems += error.problems
    raise_if_any(problems)
    notes = {LEFT_OUT: num_others} if num_others else {}
    return PredictionSet(tuple(predictions), predictions.__getitem__), notes
