"""What every reader returns first: the entries of a data set with their files, truth decoded on demand.

A `Listing` is complete as to structure (counts, ids, categories) before any picture is opened; `problems_of_files`
opens them. `SampleSet`s are made of it by adding what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.contract import LabelMap, Prompt, Sample, SampleSet, Truth
from benchmark.formats.image_files import check_image, header_size, size_problem
from benchmark.problems import DataError, Problem

UNKNOWN_SIZE = (0, 0)
"""Size of a sample whose annotations do not state it (boxes in text files) and whose pictures are not there."""


@dataclass(frozen=True, slots=True)
class FrameFiles(Sequence[Path]):
    """Pictures of a video, named and counted on access.

    name: index -> file name.   num_frames: how many there are; raises DataError.
    """

    folder: Path
    name: Callable[[int], str]
    num_frames: Callable[[], int]

    def __len__(self) -> int:
        return self.num_frames()

    def __getitem__(self, index: int) -> Path:  # type: ignore[override]
        return self.folder / self.name(index if index >= 0 else index + len(self))

    def __iter__(self) -> Iterator[Path]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sample. frames: its pictures (they may be absent when only scores are wanted). labels: its own label files.

    size: (height, width) as the annotation file states it; None: the header of the first label file or else of the
    first picture says it.
    """

    sample_id: str
    frames: Sequence[Path]
    size: tuple[int, int] | None = None
    labels: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """entries: in file order. truth: index -> Truth; raises DataError. notes: what was repaired, and how often.

    problems: what is wrong with the structure; whoever opens a data set raises them, together with those of the files.
    ask: (index, the row's prompt) -> what this sample is asked, where samples differ (an expression, given objects).
    """

    entries: tuple[Entry, ...]
    truth: Callable[[int], Truth]
    notes: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    ask: Callable[[int, Prompt], Prompt] | None = None

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of an entry."""
        entry = self.entries[index]
        if entry.size or entry.labels:
            return entry.size or header_size(entry.labels[0])
        return header_size(entry.frames[0]) if entry.frames[0].is_file() else UNKNOWN_SIZE

    def samples(self, prompt: Prompt) -> SampleSet:
        """Samples that all carry the row's prompt, or what `ask` makes of it."""

        def build(index: int) -> Sample:
            entry = self.entries[index]
            truth = self.truth(index)
            return Sample(
                sample_id=entry.sample_id,
                frames=entry.frames,
                size=entry.size or _drawn_size(truth) or self.size(index),
                prompt=prompt if self.ask is None else self.ask(index, prompt),
                truth=truth,
            )

        return SampleSet(tuple(entry.sample_id for entry in self.entries), build)

    def problems_of_files(self, *, with_frames: bool, decode: bool) -> list[Problem]:
        """All problems of the pictures and label files: presence, header, end mark, size; decode: of their content.

        Of videos that name their pictures on access the first picture alone is looked at.
        """
        found: list[Problem] = []
        for index, entry in enumerate(self.entries):
            size, label_problems = self._label_problems(index)
            found += label_problems
            pictures = entry.frames if isinstance(entry.frames, tuple) else (entry.frames[0],)
            for frame in pictures if with_frames else ():
                found += check_image(frame, size, decode=decode)
            if decode and not label_problems:
                found += problems_of(lambda index=index: self.truth(index))  # type: ignore[misc]
        return found

    def _label_problems(self, index: int) -> tuple[tuple[int, int] | None, list[Problem]]:
        entry = self.entries[index]
        size, found = entry.size, list[Problem]()
        for path in entry.labels:
            try:
                stated = header_size(path)
            except DataError as error:
                found += error.problems
                continue
            size = stated if size is None else size
            found += [] if stated == size else [size_problem(path, stated, size)]
        return size, found


def _drawn_size(truth: Truth) -> tuple[int, int] | None:
    """(height, width) of a label map that has been decoded anyway."""
    (frame,) = truth.frames if isinstance(truth.frames, tuple) and len(truth.frames) == 1 else (None,)
    return frame.size if isinstance(frame, LabelMap) else None


def problems_of(action: Callable[[], object]) -> list[Problem]:
    """The problems that an action raises, [] if it succeeds."""
    try:
        action()
    except DataError as error:
        return list(error.problems)
    return []


def duplicates(values: Iterable[str]) -> list[str]:
    """Values that occur more than once, each listed once, in order of their second occurrence."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for value in values:
        if value in seen:
            twice[value] = None
        seen.add(value)
    return list(twice)
