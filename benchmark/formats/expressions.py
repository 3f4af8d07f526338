"""Expressions about the objects of videos: Ref-YouTube-VOS, MeViS and their relatives.

meta_expressions.json   {"videos": {"<video>": {"expressions": {"0": {"exp": "a bird", "obj_id": "1"}}, "frames": []}}}
mask_dict.json          {"<anno id>": [mask | null, ...]}, one a frame; an expression of MeViS has "anno_id": [3, 8]

Results are binary PNGs, <video>/<expression id>/<frame>.png; whatever is not black in grey is the target.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Frames, Instances, Panoptic, Prediction, Rle, Sample, make_instances
from benchmark.formats.image_files import write_png, write_whole
from benchmark.formats.indexed_masks import id_map
from benchmark.formats.json_files import read_json
from benchmark.problems import DataError, Problem

TARGET = 1
"""Object id of what an expression means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One expression. object_ids: ids in the video's masks. anno_ids: keys of mask_dict.json. frames: their names.

    type_id: 0 refers, 1 needs reasoning, 2 has no target (ReVOS); 0 elsewhere.
    """

    video: str
    expression_id: str
    text: str
    object_ids: tuple[int, ...]
    anno_ids: tuple[str, ...]
    frames: tuple[str, ...]
    type_id: int = 0

    @property
    def sample_id(self) -> str:
        """The folder of its results."""
        return f"{self.video}/{self.expression_id}"


def read_expressions(path: Path) -> tuple[list[Expression], list[Problem]]:
    """Sound expressions in order of the file, and what is wrong with the others. Raises DataError."""
    document = read_json(path)
    videos = document.get("videos") if isinstance(document, dict) else None
    if not isinstance(videos, dict):
        message, remedy = "lacks the object 'videos'", "Give the data set's own meta_expressions.json"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    found: list[Expression] = []
    problems: list[Problem] = []
    for name, video in videos.items():
        message = _video_message(name, video)
        if message:
            problems.append(_problem(path, name, message))
            continue
        for key, value in video["expressions"].items():
            one = _expression(name, key, value, tuple(video["frames"]))
            if isinstance(one, str):
                problems.append(_problem(path, f"{name}, expression {key}", one))
            else:
                found.append(one)
    return found, problems


def _video_message(name: str, video: Any) -> str:
    if not _is_path(name):
        return "has no name of a folder"
    frames = video.get("frames") if isinstance(video, dict) else None
    is_named = isinstance(frames, list) and all(isinstance(one, str) and is_folder(one) for one in frames)
    if not isinstance(frames, list) or not frames or not is_named:
        return "lacks the list 'frames' with at least one name"
    if not isinstance(video.get("expressions"), dict):
        return "lacks the object 'expressions'"
    return "" if len(set(frames)) == len(frames) else "names a frame twice"


def _expression(video: str, key: str, value: Any, frames: tuple[str, ...]) -> Expression | str:
    if not is_folder(key):
        return "has no name of a folder"
    if not isinstance(value, dict) or not isinstance(value.get("exp"), str):
        return "lacks the text 'exp'"
    objects, annos = (_several(value.get(name, [])) for name in ("obj_id", "anno_id"))
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in (*objects, *annos)):
        return "obj_id and anno_id must be whole numbers"
    type_id = value.get("type_id", 0)
    if type_id not in (0, 1, 2):
        return f"type_id {type_id!r} is not 0, 1 or 2"
    return Expression(
        video=video,
        expression_id=key,
        text=value["exp"],
        object_ids=tuple(int(one) for one in objects),
        anno_ids=annos,
        frames=frames,
        type_id=type_id,
    )


def _several(value: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in (value if isinstance(value, list) else [value]))


def is_folder(name: str) -> bool:
    """Whether it can be the name of one folder, and of nothing else."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\\" not in name


def _is_path(name: str) -> bool:
    return all(map(is_folder, name.split("/")))


def _problem(path: Path, video: str, message: str) -> Problem:
    remedy = "Restore the data set's own meta_expressions.json"
    return Problem(place=f"{path}: video {video}", message=message, remedy=remedy)


def read_masks(path: Path, expressions: Sequence[Expression]) -> tuple[Mapping[str, list[Any]], list[Problem]]:
    """mask_dict.json, and what is missing of it. Raises DataError."""
    document = read_json(path)
    if not isinstance(document, dict):
        message, remedy = f"holds a {type(document).__name__}, expected an object", "Give the data set's mask_dict.json"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    problems: dict[str, Problem] = {}
    for one in expressions:
        for key in one.anno_ids:
            value = document.get(key)
            if not isinstance(value, list) or len(value) != len(one.frames):
                number = f"{len(value):,} masks" if isinstance(value, list) else "no list of masks"
                message = f"has {number}, video {one.video} has {len(one.frames):,} frames"
                place = f"{path}: anno id {key}"
                problems[key] = Problem(place=place, message=message, remedy="Restore the data set's mask_dict.json")
    return document, list(problems.values())


def united(path: Path, rows: Mapping[str, list[Any]], one: Expression, size: tuple[int, int]) -> Frames:
    """The union of an expression's objects, frame by frame. size: (height, width). Access raises DataError."""

    def build(index: int) -> Instances:
        found = [_mask(path, key, index, rows[key][index], size) for key in one.anno_ids if rows[key][index]]
        return make_instances(class_index=[0] if found else [], masks=[masks.union(found)] if found else [])

    return Frames(len(one.frames), build)


def listed(path: Path, rows: Mapping[str, list[Any]], one: Expression, size: tuple[int, int]) -> Frames:
    """`united` without uniting: a mask for each object of the expression that a frame shows, all of them TARGET."""

    def build(index: int) -> Instances:
        found = [_mask(path, key, index, rows[key][index], size) for key in one.anno_ids if rows[key][index]]
        ids = np.full(len(found), TARGET, np.int64)
        return make_instances(class_index=[0] * len(found), masks=found, object_id=ids)

    return Frames(len(one.frames), build)


def size_of(rows: Mapping[str, list[Any]], expressions: Iterable[Expression]) -> dict[str, tuple[int, int]]:
    """Video -> (height, width) as the first of its masks states it; videos without a mask are left out."""
    sizes: dict[str, tuple[int, int]] = {}
    for one in expressions:
        for key in one.anno_ids if one.video not in sizes else ():
            given = rows.get(key)
            first = next((mask for mask in given if isinstance(mask, dict)), None) if isinstance(given, list) else None
            value = first.get("size") if first else None
            if isinstance(value, list) and len(value) == 2 and all(isinstance(side, int) for side in value):
                sizes[one.video] = (value[0], value[1])
                break
    return sizes


def _mask(path: Path, key: str, index: int, value: Any, size: tuple[int, int]) -> Rle:
    place = f"{path}: anno id {key}, frame {index}"
    try:
        rle = masks.from_json(value)
    except (TypeError, ValueError, UnicodeError) as error:
        message, remedy = f"the mask is broken ({error})", "Restore the data set's mask_dict.json"
        raise DataError([Problem(place=place, message=message, remedy=remedy)]) from error
    if tuple(rle.size) != size:
        message = f"the mask is {rle.size[0]}x{rle.size[1]}, the others of the video are {size[0]}x{size[1]}"
        raise DataError([Problem(place=place, message=message, remedy="Restore the data set's mask_dict.json")])
    return rle


def chosen(frames: Frames, object_ids: Sequence[int]) -> Frames:
    """The same frames with the objects of an expression alone, as the target."""

    def build(index: int) -> Instances:
        frame = frames[index]
        assert isinstance(frame, Panoptic)
        target = np.isin(frame.segment_id, object_ids)
        rles = [masks.encode(target)] if target.any() else []
        return make_instances(class_index=[0] * len(rles), masks=rles)

    return Frames(len(frames), build)


def write_expressions(path: Path, expressions: Iterable[Expression], *, has_types: bool = False) -> None:
    """Write meta_expressions.json. Objects are listed where an expression has anno ids, else it names one of them.

    has_types: with type_id, as ReVOS has it.
    """
    videos: dict[str, Any] = {}
    for one in expressions:
        value: dict[str, Any] = {"exp": one.text}
        value |= {"type_id": one.type_id} if has_types else {}
        if one.anno_ids or has_types:
            value |= {"obj_id": list(one.object_ids), "anno_id": [int(key) for key in one.anno_ids]}
        elif one.object_ids:
            value["obj_id"] = str(one.object_ids[0])
        video = videos.setdefault(one.video, {"expressions": {}, "frames": list(one.frames)})
        video["expressions"][one.expression_id] = value
    write_whole(path, json.dumps({"videos": videos}).encode())


def mask_row(masks_of_frames: Iterable[NDArray[np.bool_]]) -> list[dict[str, Any] | None]:
    """A value of mask_dict.json: the object's mask in each frame, bool [H, W], None where it is not seen."""
    return [masks.to_json(masks.encode(mask)) if mask.any() else None for mask in masks_of_frames]


def write_results(
    folder: Path, predictions: Iterable[tuple[Sample, Prediction]], *, keeps_values: bool = False
) -> None:
    """Write binary PNGs (0 and 255), one a frame, below the sample's id. keeps_values: with their numbers instead."""
    for sample, prediction in predictions:
        for path, frame in zip(sample.frames, prediction.frames, strict=True):
            numbers = id_map(frame, sample.size)
            values = numbers if keeps_values else 255 * (numbers != 0)
            write_png(folder / sample.sample_id / f"{path.stem}.png", values.astype(np.uint8))
