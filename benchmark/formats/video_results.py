"""Result folders of video benchmarks: which files must be there, checked before any of them is decoded.

    <folder>/{, Annotations/}<sample id>/00000.png

Files of frames that nobody asked for are left alone. All problems of all videos are raised at once, one line for a
kind of problem of a video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmark.contract import Frames, Prediction, PredictionSet, Sample, SampleSet
from benchmark.formats.image_files import header_size
from benchmark.formats.indexed_masks import Reading, lazily
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any

INNER = (".", "Annotations", "Annotations/480p", "480p")
"""Folders of a result in which the videos may lie."""
WHOLE = "Write a PNG for every frame"


def read_results(
    folder: Path, samples: SampleSet, reading: Reading, needed: Callable[[Sample], Iterable[int]]
) -> PredictionSet:
    """Predictions of the videos that have a folder. needed: sample -> indices of the frames that scores look at.

    Raises DataError where no folder fits, and for missing files, files of a wrong size and broken headers.
    """
    home = home_of(folder, samples.ids)
    found: dict[str, Frames] = {}
    problems: list[Problem] = []
    for sample in samples:
        place = home / sample.sample_id
        if place.is_dir():
            files = [place / f"{frame.stem}.png" for frame in sample.frames]
            there = [path if path.is_file() else None for path in files]
            wanted = sorted(needed(sample))
            problems += problems_of(place, [files[index] for index in wanted], sample.size)
            absent = Problem(place=str(place), message="lacks PNGs of some frames", remedy=WHOLE)
            found[sample.sample_id] = lazily(there, reading, absent)
    raise_if_any(problems)
    return PredictionSet(tuple(found), lambda sample_id: Prediction(frames=found[sample_id]))


def home_of(folder: Path, sample_ids: Sequence[str]) -> Path:
    """The folder in which the videos lie; raises DataError where none fits."""
    candidates = [folder / name for name in INNER]
    for home in candidates:
        if any((home / one).is_dir() for one in sample_ids):
            return home
    example = f"{sample_ids[0]}/00000.png" if sample_ids else "<video>/00000.png"
    message = f"no folder fits any of the {len(sample_ids):,} videos (expected names like {example})"
    remedy = f"Write one folder a video, named after it, or {OTHER_SPLIT}"
    raise DataError([Problem(place=str(folder), message=message, remedy=remedy)])


def problems_of(place: Path, files: Sequence[Path], size: tuple[int, int]) -> list[Problem]:
    """What is wrong with the needed files of a video: one line for all missing ones, one for all of a wrong size."""
    missing = [path for path in files if not path.is_file()]
    problems = []
    if missing:
        message = f"{len(missing):,} of {len(files):,} needed frames are missing (first: {missing[0].name})"
        problems.append(Problem(place=str(place), message=message, remedy=WHOLE))
    sizes: dict[Path, tuple[int, int]] = {}
    for path in files:
        if path.is_file():
            try:
                sizes[path] = header_size(path)
            except DataError as error:
                problems += error.problems
    wrong = [path for path, found in sizes.items() if found != size]
    if wrong:
        height, width = sizes[wrong[0]]
        message = (
            f"{len(wrong):,} frames are not {size[0]}x{size[1]} (height x width) "
            f"(first: {wrong[0].name}, {height}x{width})"
        )
        problems.append(Problem(place=str(place), message=message, remedy="Write masks at the original size"))
    return problems
