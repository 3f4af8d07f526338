"""MOTChallenge's description of a sequence, `seqinfo.ini`: its length, its size, and the names of its pictures.

[Sequence] name=MOT17-02-DPM imDir=img1 frameRate=30 seqLength=600 imWidth=1920 imHeight=1080 imExt=.jpg (one a line)
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

from benchmark.formats.image_files import write_whole
from benchmark.formats.image_records import MAX_SIDE
from benchmark.problems import DataError, Problem, raise_if_any

FILE = "seqinfo.ini"
SECTION = "Sequence"
MOST_FRAMES = 1_000_000
"""Longest sequence that is believed; a mistyped length would fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceInfo:
    """folder, extension: of the pictures. num_frames: length. size: (height, width)."""

    folder: str
    extension: str
    num_frames: int
    size: tuple[int, int]

    def pictures(self, home: Path, digits: int = 6) -> tuple[Path, ...]:
        """The sequence's pictures below its own folder, frames counted from 1."""
        names = (f"{number:0{digits}d}{self.extension}" for number in range(1, self.num_frames + 1))
        return tuple(home / self.folder / name for name in names)


def read_info(path: Path) -> SequenceInfo:
    """The description in a file. Raises DataError with all problems."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _error(path, f"cannot be read ({error.strerror})") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise _error(path, f"is no description of a sequence ({str(error).splitlines()[0]})") from error
    if not parser.has_section(SECTION):
        raise _error(path, f"has no section [{SECTION}]")
    found = parser[SECTION]
    limits = {"seqLength": MOST_FRAMES, "imHeight": MAX_SIDE, "imWidth": MAX_SIDE}
    numbers = {name: _whole(found.get(name, ""), most) for name, most in limits.items()}
    raise_if_any(
        _problem(path, f"{name} is {found.get(name)!r}, expected a whole number from 1 to {limits[name]:,}")
        for name, number in numbers.items()
        if number is None
    )
    length, height, width = (number or 0 for number in numbers.values())
    return SequenceInfo(
        folder=found.get("imDir", "img1"),
        extension=found.get("imExt", ".jpg"),
        num_frames=length,
        size=(height, width),
    )


def write_info(path: Path, name: str, info: SequenceInfo) -> None:
    """Write a description. name: the sequence's."""
    fields = {
        "name": name,
        "imDir": info.folder,
        "frameRate": "30",
        "seqLength": str(info.num_frames),
        "imWidth": str(info.size[1]),
        "imHeight": str(info.size[0]),
        "imExt": info.extension,
    }
    lines = [f"[{SECTION}]", *(f"{key}={value}" for key, value in fields.items())]
    write_whole(path, "".join(f"{line}\n" for line in lines).encode("utf-8"))


def _whole(text: str, most: int) -> int | None:
    number = int(text) if text.strip().isascii() and text.strip().isdigit() and len(text) < 12 else 0
    return number if 1 <= number <= most else None


def _problem(path: Path, message: str) -> Problem:
    return Problem(place=str(path), message=message, remedy="Take the file of the official download")


def _error(path: Path, message: str) -> DataError:
    return DataError([_problem(path, message)])
