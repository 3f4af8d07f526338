"""mask_dict_foreground.json of ReVOS: masks of everything that is annotated in each frame of each video.

{"<video>": {"masks_rle": [mask, ...]}}, one a frame; where a frame has a list of masks, all of them belong to it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import masks
from benchmark.contract import Instances, make_instances
from benchmark.formats.expressions import Expression
from benchmark.formats.json_files import read_json, write_json
from benchmark.problems import DataError, Problem

REMEDY = "Restore the data set's mask_dict_foreground.json"


@dataclass(frozen=True, slots=True)
class Foreground(Sequence[Instances]):
    """The masks of a video's frames, decoded on access, which raises DataError. place: for messages."""

    rows: Sequence[Any]
    place: str

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Instances:  # type: ignore[override]
        value = self.rows[index]
        listed = value if isinstance(value, list) else [] if value is None else [value]
        try:
            found = [masks.from_json(one) for one in listed]
        except (TypeError, ValueError, UnicodeError) as error:
            message = f"the mask of frame {index} is broken ({error})"
            raise DataError([Problem(place=self.place, message=message, remedy=REMEDY)]) from error
        return make_instances(class_index=[0] * len(found), masks=found)

    def __iter__(self) -> Iterator[Instances]:
        return (self[index] for index in range(len(self.rows)))


def read_foreground(path: Path, expressions: Iterable[Expression]) -> tuple[dict[str, Foreground], list[Problem]]:
    """Video of an expression -> its masks, and what is missing. Raises DataError."""
    document = read_json(path)
    if not isinstance(document, dict):
        message = f"holds a {type(document).__name__}, expected an object"
        raise DataError([Problem(place=str(path), message=message, remedy=REMEDY)])
    found: dict[str, Foreground] = {}
    problems: list[Problem] = []
    for video, frames in {one.video: one.frames for one in expressions}.items():
        value = document.get(video)
        rows = value.get("masks_rle") if isinstance(value, dict) else None
        place = f"{path}: video {video}"
        if isinstance(rows, list) and len(rows) == len(frames):
            found[video] = Foreground(rows, place)
        else:
            number = f"{len(rows):,} masks" if isinstance(rows, list) else "no list 'masks_rle'"
            message = f"has {number}, the video has {len(frames):,} frames"
            problems.append(Problem(place=place, message=message, remedy=REMEDY))
    return found, problems


def write_foreground(path: Path, rows: Mapping[str, Sequence[Any]]) -> None:
    """Write the file. rows: video -> the JSON form of each frame's mask."""
    write_json(path, {video: {"masks_rle": list(values)} for video, values in rows.items()})
