"""Videos as a folder of binary PNGs for each object, which may overlap: SA-V, truth and results alike.

    <folder>/<video>/000/00004.png      object 0 at frame 4; whatever is not 0 is the object

Each object has frames of its own. Frames are decoded one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Frames, Instances, Prediction, PredictionSet, Rle, Sample, SampleSet, make_instances
from benchmark.formats.image_files import read_numbers
from benchmark.formats.indexed_masks import frames_of, write_ids
from benchmark.formats.video_results import home_of, problems_of
from benchmark.problems import DataError, Problem, raise_if_any

Files = Mapping[int, Mapping[str, Path]]
"""Object id -> name of a frame -> its PNG."""


def objects_of(video: Path) -> dict[int, dict[str, Path]]:
    """The objects of a video, in order of their ids; folders whose name is no number are left out."""
    folders = sorted(path for path in video.iterdir() if path.is_dir() and path.name.isascii() and path.name.isdigit())
    return {int(folder.name): frames_of(folder) for folder in folders}


def lazily(files: Files, names: Sequence[str]) -> Frames:
    """Frames of a video, each with the objects that have a PNG there. names: of the frames."""

    def build(index: int) -> Instances:
        name = names[index]
        shown = {one: _mask(frames[name]) for one, frames in files.items() if name in frames}
        return make_instances(
            class_index=[0] * len(shown),
            masks=list(shown.values()),
            object_id=np.array(list(shown), np.int64),
        )

    return Frames(len(names), build)


def read_results(folder: Path, samples: SampleSet, needed: Mapping[str, Mapping[int, Sequence[str]]]) -> PredictionSet:
    """Predictions of the videos that have a folder. needed: sample id -> object id -> names of the frames that count.

    Raises DataError where no folder fits, and with all missing files and files of a wrong size.
    """
    home = home_of(folder, samples.ids)
    found: dict[str, Frames] = {}
    problems: list[Problem] = []
    for sample in samples:
        place = home / sample.sample_id
        if place.is_dir():
            given = objects_of(place)
            for one, frames in needed[sample.sample_id].items():
                home_of_object = _folder(place, one)
                files = [given.get(one, {}).get(name, home_of_object / f"{name}.png") for name in frames]
                problems += problems_of(home_of_object, files, sample.size)
            found[sample.sample_id] = lazily(given, [path.stem for path in sample.frames])
    raise_if_any(problems)
    return PredictionSet(tuple(found), lambda sample_id: Prediction(frames=found[sample_id]))


def write_results(folder: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write a PNG for each object of each frame, an empty one where a given object is not found any more.

    Raises ValueError for anything but masks by object id.
    """
    for sample, prediction in predictions:
        given = {
            one: index for index, objects in (sample.prompt.objects or {}).items() for one in objects.object_id.tolist()
        }
        for index, (path, frame) in enumerate(zip(sample.frames, prediction.frames, strict=True)):
            if not isinstance(frame, Instances) or (frame.masks is None and len(frame)):
                raise ValueError(f"{sample.sample_id}: expected objects with masks, got a {type(frame).__name__}")
            shown = dict(zip(frame.object_id.tolist(), frame.masks or (), strict=True))
            lost = [one for one, first in given.items() if first <= index and one not in shown]
            for one, rle in {**shown, **dict.fromkeys(lost, masks.empty(sample.size))}.items():
                write_ids(_folder(folder / sample.sample_id, one) / f"{path.stem}.png", masks.decode(rle))


def write_object(video: Path, object_id: int, names: Sequence[str], masks: Iterable[NDArray[np.bool_]]) -> None:
    """Write the frames of one object below a video's folder. masks: bool [H, W] of each frame that is named."""
    for name, mask in zip(names, masks, strict=True):
        write_ids(_folder(video, object_id) / f"{name}.png", mask)


def _folder(video: Path, object_id: int) -> Path:
    return video / f"{object_id:03d}"


def _mask(path: Path) -> Rle:
    numbers = read_numbers(path)
    least, most = (numbers.min(), numbers.max()) if numbers.size else (0, 0)
    if ((numbers != least) & (numbers != most)).any():
        message = "shows more than one object; expected at most two values, 0 for nothing"
        raise DataError([Problem(place=str(path), message=message, remedy="Write one PNG for each object")])
    return masks.encode(np.asarray(numbers != 0))
