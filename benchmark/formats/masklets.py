"""JSON files of SA-V's training videos: one a video, with the masks of all objects in every fourth frame.

{"video_id": "sav_000001", "video_height": 848.0, "video_width": 480.0, "masklet_id": [0, 1],
 "masklet_first_appeared_frame": [0.0, 113.0], "masklet": [[mask of 0, mask of 1], ...]}

`masklet` has a list for each annotated frame; first_appeared counts annotated frames. Masks are decoded on access.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Frames, Instances, Rle, make_instances
from benchmark.formats.json_files import read_json, write_json
from benchmark.formats.values import are_numbers, is_whole
from benchmark.problems import DataError, Problem, raise_if_any

REMEDY = "Restore the data set's own file"
STARTS = "masklet_first_appeared_frame"
MOST_SIDE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Masklets:
    """One video. size: (height, width). starts: object id -> its first annotated frame. rows: as in the file."""

    path: Path
    size: tuple[int, int]
    starts: Mapping[int, int]
    rows: Sequence[Sequence[Any]]

    def frames(self) -> Frames:
        """The annotated frames, each with the objects that have appeared, seen or not. Access raises DataError."""

        def build(index: int) -> Instances:
            shown = {one: place for place, one in enumerate(self.starts) if self.starts[one] <= index}
            found = [self._mask(index, place) for place in shown.values()]
            return make_instances(class_index=[0] * len(found), masks=found, object_id=np.array(list(shown), np.int64))

        return Frames(len(self.rows), build)

    def _mask(self, index: int, place: int) -> Rle:
        where = f"{self.path}: annotated frame {index}, object at {place}"
        try:
            rle = masks.from_json(self.rows[index][place])
        except (TypeError, ValueError, UnicodeError) as error:
            message = f"the mask is broken ({error})"
            raise DataError([Problem(place=where, message=message, remedy=REMEDY)]) from error
        if tuple(rle.size) != self.size:
            message = f"the mask is {rle.size[0]}x{rle.size[1]}, the video {self.size[0]}x{self.size[1]}"
            raise DataError([Problem(place=where, message=message, remedy=REMEDY)])
        return rle


@lru_cache(maxsize=2)
def read(path: Path) -> Masklets:
    """The masks of one video. Raises DataError with all problems of its structure."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise DataError([Problem(place=str(path), message="is no object", remedy=REMEDY)])
    sides = [document.get(f"video_{name}") for name in ("height", "width")]
    ids, starts, rows = (document.get(f"masklet{name}") for name in ("_id", "_first_appeared_frame", ""))
    messages = []
    if not are_numbers(sides, 2) or not all(is_whole(_number(one), 1, MOST_SIDE) for one in sides):
        messages.append(f"video_height and video_width {sides} are no numbers of pixels")
    if not isinstance(ids, list) or not ids or not all(is_whole(one, 0) for one in ids) or len(set(ids)) != len(ids):
        messages.append("masklet_id is no list of different whole numbers")
    num = len(ids) if isinstance(ids, list) else 0
    if not isinstance(starts, list) or len(starts) != num or not all(is_whole(_number(one), 0) for one in starts):
        messages.append(f"masklet_first_appeared_frame is no list of {num} whole numbers")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and len(row) == num for row in rows):
        messages.append(f"masklet is no list of frames with {num} masks each")
    raise_if_any(Problem(place=str(path), message=message, remedy=REMEDY) for message in messages)
    return Masklets(
        path=path,
        size=(int(document["video_height"]), int(document["video_width"])),
        starts={one: int(start) for one, start in zip(document["masklet_id"], document[STARTS], strict=True)},
        rows=document["masklet"],
    )


def write(path: Path, objects: Mapping[int, Sequence[NDArray[np.bool_]]], step: int) -> None:
    """Write the masks of one video. objects: object id -> bool [H, W] of each annotated frame; step: frames between."""
    masks_of = list(objects.values())
    num, (height, width) = len(masks_of[0]), masks_of[0][0].shape
    starts = [next((index for index, mask in enumerate(one) if mask.any()), 0) for one in masks_of]
    frames = [[masks.to_json(masks.encode(one[index])) for one in masks_of] for index in range(num)]
    facts = {
        "video_id": path.stem.removesuffix("_manual"),
        "video_frame_count": float(step * (num - 1) + 1),
        "video_height": float(height),
        "video_width": float(width),
        "video_split": "train",
        "masklet_id": list(objects),
        STARTS: [float(one) for one in starts],
        "masklet_frame_count": [num] * len(objects),
        "masklet_type": ["manual"] * len(objects),
        "masklet_num": len(objects),
    }
    write_json(path, {**facts, "masklet": frames})


def _number(value: Any) -> Any:
    """A whole number that the file writes as 848.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
