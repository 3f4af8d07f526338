"""The text files of Ref-DAVIS17: one expression a line, by two annotators, of the first frame and of the whole video.

Davis17_annot1.txt      bike-packing 1 "a person riding a bike"

The second annotator's files are latin-1, and three names of videos are misspelt in some files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmark.formats.image_files import write_whole
from benchmark.problems import DataError, Problem

FILES: Mapping[str, str] = MappingProxyType(
    {
        "Davis17_annot1.txt": "utf-8",
        "Davis17_annot1_full_video.txt": "utf-8",
        "Davis17_annot2.txt": "latin-1",
        "Davis17_annot2_full_video.txt": "latin-1",
    }
)
"""Name -> encoding, in the order in which results are numbered."""
MISSPELT: Mapping[str, str] = MappingProxyType(
    {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}
)
_LINE = re.compile(r"(\S+)\s+(\d{1,3})\s+(.*)")


def write_texts(path: Path, encoding: str, texts: Mapping[str, Mapping[int, str]]) -> None:
    """Write the expressions of some videos. texts: video -> object id -> expression."""
    lines = [f'{video} {one} "{text}"\n' for video, by_id in texts.items() for one, text in by_id.items()]
    write_whole(path, "".join(lines).encode(encoding))


def read_texts(path: Path, encoding: str) -> dict[str, dict[int, str]]:
    """Video -> object id -> expression. Raises DataError with all problems of the file."""
    try:
        lines = path.read_text(encoding=encoding).splitlines()
    except OSError as error:
        problem = Problem(place=str(path), message=f"cannot be read ({error.strerror})", remedy="Complete the download")
        raise DataError([problem]) from error
    except UnicodeDecodeError as error:
        message = f"is not {encoding} ({error.reason} at byte {error.start})"
        raise DataError([Problem(place=str(path), message=message, remedy="Restore the official file")]) from error
    texts: dict[str, dict[int, str]] = {}
    problems = []
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line.strip())
        if match:
            video = MISSPELT.get(match[1], match[1])
            texts.setdefault(video, {})[int(match[2])] = match[3].strip().strip('"')
        elif line.strip():
            message, remedy = "is no video, object id and expression", "Restore the official file"
            problems.append(Problem(place=f"{path}: line {number}", message=message, remedy=remedy))
    if problems:
        raise DataError(problems)
    return texts
