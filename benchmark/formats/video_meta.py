"""The JSON beside indexed masks that says which objects a video has: YouTube-VOS and LVOS.

meta.json         {"videos": {"<id>": {"objects": {"1": {"category": "person", "frames": ["00000", "00005"]}}}}}
valid_meta.json   the same, but {"frame_range": {"start": 1, "end": 500, "frame_nums": 99}} for each object
meta.json         of MOSEv2: {"videos": {"<name>": {"length": 60, "height": 720, "width": 1280, "objects": ["1", "2"]}}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmark.formats.json_files import read_json
from benchmark.formats.values import is_whole
from benchmark.problems import DataError, Problem

MOST_ID = 254
"""Highest object id: 255 is void, and an indexed PNG holds no more."""
Member = TypeVar("Member")


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object of YouTube-VOS. category: name of its class. frames: names of the frames in which it is annotated."""

    category: str
    frames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RangedObject:
    """An object of LVOS. start, end: frame numbers, the end is not part of it. num_frames: how many there should be."""

    start: int
    end: int
    num_frames: int


@dataclass(frozen=True, slots=True)
class CountedVideo:
    """A video of MOSEv2. num_frames: how many there should be. object_ids: of all its objects."""

    num_frames: int
    object_ids: tuple[int, ...]


def read_listed(path: Path) -> tuple[dict[str, dict[int, ListedObject]], list[Problem]]:
    """Video -> object id -> object, in order of the file, and what is wrong with the others. Raises DataError."""
    return _read(path, _listed)


def read_ranged(path: Path) -> tuple[dict[str, dict[int, RangedObject]], list[Problem]]:
    """Video -> object id -> object, in order of the file, and what is wrong with the others. Raises DataError."""
    return _read(path, _ranged)


def read_counted(path: Path) -> tuple[dict[str, CountedVideo], list[Problem]]:
    """Video of MOSEv2 -> what its meta file says of it, and what is wrong with the others. Raises DataError."""
    document = read_json(path)
    videos = document.get("videos") if isinstance(document, dict) else None
    if not isinstance(videos, dict):
        raise DataError([_no_videos(path)])
    found: dict[str, CountedVideo] = {}
    problems: list[Problem] = []
    for name, video in videos.items():
        length = video.get("length") if isinstance(video, dict) else None
        objects = video.get("objects") if isinstance(video, dict) else None
        ids = [str(one) for one in objects] if isinstance(objects, dict | list) else []
        if "/" in name or name.startswith(".") or not is_whole(length, 1) or not ids or not all(map(_is_id, ids)):
            message = f"needs a length from 1 and objects with ids from 1 to {MOST_ID}"
            remedy = "Restore the data set's own meta file"
            problems.append(Problem(place=f"{path}: video {name}", message=message, remedy=remedy))
        else:
            found[name] = CountedVideo(int(length or 0), tuple(map(int, ids)))
    return found, problems


def _no_videos(path: Path) -> Problem:
    return Problem(place=str(path), message="lacks the object 'videos'", remedy="Give the data set's own meta file")


def _read(path: Path, turn: Callable[[Any], Member | str]) -> tuple[dict[str, dict[int, Member]], list[Problem]]:
    document = read_json(path)
    videos = document.get("videos") if isinstance(document, dict) else None
    if not isinstance(videos, dict):
        raise DataError([_no_videos(path)])
    found: dict[str, dict[int, Member]] = {}
    problems: list[Problem] = []
    for name, video in videos.items():
        objects = video.get("objects") if isinstance(video, dict) else None
        place = f"{path}: video {name}"
        if "/" in name or name.startswith(".") or not isinstance(objects, dict):
            message = "lacks the object 'objects'" if not isinstance(objects, dict) else "has no name of a folder"
            problems.append(Problem(place=place, message=message, remedy="Every video lists its objects by id"))
            continue
        found[name] = {}
        for key, value in objects.items():
            made: Member | str = turn(value) if _is_id(key) else f"id {key!r} is no whole number from 1 to {MOST_ID}"
            if isinstance(made, str):
                remedy = "Restore the data set's own meta file"
                problems.append(Problem(place=f"{place}, object {key}", message=made, remedy=remedy))
            else:
                found[name][int(key)] = made
    return found, problems


def _is_id(key: str) -> bool:
    return key.isascii() and key.isdigit() and 1 <= int(key) <= MOST_ID


def _listed(value: Any) -> ListedObject | str:
    frames = value.get("frames") if isinstance(value, dict) else None
    category = value.get("category") if isinstance(value, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(one, str) for one in frames):
        return "lacks the list 'frames' with at least one name"
    if not isinstance(category, str):
        return f"category {category!r} is not text"
    return ListedObject(category, tuple(frames))


def _ranged(value: Any) -> RangedObject | str:
    given = value.get("frame_range") if isinstance(value, dict) else None
    if not isinstance(given, Mapping):
        return "lacks the object 'frame_range'"
    numbers = [_number(given.get(name)) for name in ("start", "end", "frame_nums")]
    if not all(is_whole(one, 0) for one in numbers):
        return "frame_range needs the whole numbers start, end and frame_nums"
    start, end, num_frames = (int(one or 0) for one in numbers)
    return RangedObject(start, end, num_frames)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value
