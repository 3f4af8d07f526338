"""Result folders of single object tracking, one text file a video.

    airplane-1.txt                            LaSOT, TNL2K: x,y,w,h a line; commas (toolkits) or tabs (pytracking)
    any/depth/0-6LB4FqxoE_0.txt               TrackingNet: found by its name anywhere below the folder
    GOT-10k_Val_000001/GOT-10k_Val_000001_001.txt, ..._002.txt, ..._003.txt, GOT-10k_Val_000001_time.txt
                                              GOT-10k: one file a run; seconds a frame, one column a run

Readers look at names at once and at lines when a video is asked for. How many lines there must be, the protocol says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import box_tracks
from benchmark.contract import Prediction, PredictionSet, Sample
from benchmark.formats import box_text
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any

MOST_RUNS = 3
NAMES_SHOWN = 3
MOST_COMPARISONS = 10_000_000
FOREIGN = "__MACOSX"


def read_files(files: Mapping[str, Path]) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of one run, and what separates their numbers. files: sample id -> result file."""

    def build(sample_id: str) -> Prediction:
        return Prediction(frames=box_tracks.one_run(box_text.read_boxes(files[sample_id])))

    return PredictionSet(tuple(files), build), separators(files.values())


def read_runs(files: Mapping[str, Sequence[Path]]) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of repeated runs with the time that each frame took. files: sample id -> a file a run."""

    def build(sample_id: str) -> Prediction:
        paths = files[sample_id]
        runs = [box_text.read_boxes(path) for path in paths]
        for path, run in zip(paths, runs, strict=True):
            box_text.require_length(path, len(run), len(runs[0]), "boxes of a repeated run")
        times = paths[0].with_name(f"{sample_id}_time.txt")
        seconds = box_text.read_numbers(times, len(runs[0])) if times.is_file() else None
        return Prediction(frames=box_tracks.BoxTrack(np.stack(runs, axis=1)), seconds=seconds)

    return PredictionSet(tuple(files), build), separators(path for paths in files.values() for path in paths)


def files_named(folder: Path, sample_ids: Iterable[str]) -> dict[str, Path]:
    """sample id -> `<sample id>.txt`, in the folder itself or else once below it. Raises DataError for two."""
    direct = {path.name: path for path in sorted(folder.glob("*.txt"))}
    wanted = [sample_id for sample_id in sample_ids if f"{sample_id}.txt" not in direct]
    below: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.txt")) if wanted else []:
        if path.parent != folder and FOREIGN not in path.parts:
            below.setdefault(path.name, []).append(path)
    _require_single(folder, {sample_id: below.get(f"{sample_id}.txt", []) for sample_id in wanted})
    found = {name: paths[0] for name, paths in below.items()} | direct
    return {one: found[f"{one}.txt"] for one in sample_ids if f"{one}.txt" in found}


def files_containing(folder: Path, sample_ids: Sequence[str]) -> dict[str, Path]:
    """sample id -> the text file whose path below the folder contains `<sample id>.txt`. Raises DataError for 2.

    Between very many names only whole names are compared.
    """
    paths = [path for path in sorted(folder.rglob("*.txt")) if FOREIGN not in path.parts]
    if len(paths) * len(sample_ids) > MOST_COMPARISONS:
        return files_named(folder, sample_ids)
    texts = [path.relative_to(folder).as_posix() for path in paths]
    found = {
        sample_id: [path for path, text in zip(paths, texts, strict=True) if f"{sample_id}.txt" in text]
        for sample_id in sample_ids
    }
    _require_single(folder, found)
    return {sample_id: files[0] for sample_id, files in found.items() if files}


def runs_named(folder: Path, sample_ids: Iterable[str]) -> dict[str, tuple[Path, ...]]:
    """sample id -> its run files in order, in a folder of its own or flat. Raises DataError for more than three."""
    found: dict[str, tuple[Path, ...]] = {}
    for sample_id in sample_ids:
        own, flat = folder / sample_id, folder / f"{sample_id}.txt"
        runs = tuple(sorted(own.glob(f"{sample_id}_[0-9]*.txt"))) if own.is_dir() else ()
        if runs or flat.is_file():
            found[sample_id] = runs or (flat,)
    raise_if_any(
        Problem(
            place=str(runs[0].parent),
            message=f"holds {len(runs)} runs of {sample_id}, at most {MOST_RUNS} count",
            remedy=f"Keep {sample_id}_001.txt to _003.txt",
        )
        for sample_id, runs in found.items()
        if len(runs) > MOST_RUNS
    )
    return found


def separators(files: Iterable[Path]) -> dict[str, int]:
    """What was found out about the files: "result files with numbers separated by commas" -> how many."""
    kinds: Counter[str] = Counter()
    for path in files:
        kinds[f"result files with numbers separated by {box_text.separator_in(path)}"] += 1
    return dict(sorted(kinds.items()))


def write_files(
    folder: Path, predictions: Iterable[tuple[Sample, Prediction]], name_of: Callable[[str], str], separator: str = ","
) -> None:
    """Write a result file a video. name_of: sample id -> path below the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample, prediction in predictions:
        runs = _runs(sample, prediction)
        if runs.shape[1] != 1:
            raise ValueError(f"sample {sample.sample_id}: {runs.shape[1]} runs, one result file holds one")
        box_text.write_boxes(folder / name_of(sample.sample_id), runs[:, 0], separator)


def write_runs(folder: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write a folder a video with a file a run, and the seconds of each frame where the prediction has them."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample, prediction in predictions:
        name = sample.sample_id
        runs = np.moveaxis(_runs(sample, prediction), 1, 0)
        for number, run in enumerate(runs, start=1):
            box_text.write_boxes(folder / name / f"{name}_{number:03d}.txt", run)
        if prediction.seconds is not None:
            box_text.write_rows(folder / name / f"{name}_time.txt", prediction.seconds)


def _runs(sample: Sample, prediction: Prediction) -> NDArray[np.float64]:
    return box_tracks.boxes_of(prediction.frames, f"{sample.sample_id}: prediction")


def _require_single(folder: Path, candidates: Mapping[str, Sequence[Path]]) -> None:
    raise_if_any(
        Problem(
            place=str(folder),
            message=f"{len(paths)} files fit video {sample_id} "
            f"({', '.join(str(path.relative_to(folder)) for path in paths[:NAMES_SHOWN])})",
            remedy="Keep exactly one for each video",
        )
        for sample_id, paths in candidates.items()
        if len(paths) > 1
    )


def require_some(found: Mapping[str, object], folder: Path, sample_ids: Sequence[str], example: str) -> None:
    """Raise DataError where no file fits any video. example: a file name that would fit."""
    if sample_ids and not found:
        message = f"no file fits any of the {len(sample_ids):,} videos (expected names like {example})"
        remedy = f"Name results after their videos, or {OTHER_SPLIT}"
        raise DataError([Problem(place=str(folder), message=message, remedy=remedy)])
