"""KITTI's list of sequences with their first and last frame, as the authors' mots_tools have it: `val.seqmap`.

0002 empty 000000 000233        name, a word that says nothing, first frame, one past the last
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmark.formats.image_files import write_whole
from benchmark.problems import DataError, Problem, raise_if_any

_LINE = re.compile(r"(?P<name>[\w-]{1,40}) \S+ 0{1,6} (?P<length>\d{1,6})")


def read(path: Path) -> dict[str, int]:
    """Sequence -> number of frames, in file order; {} where there is no such file. Raises DataError."""
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        raise DataError([Problem(place=str(path), message=message, remedy="Check its permissions")]) from error
    kept = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    found = [(number, _LINE.fullmatch(line)) for number, line in kept]
    remedy = "Write 'name empty 000000 length' for each sequence"
    raise_if_any(
        Problem(place=f"{path}: line {number}", message="names no sequence with its frames", remedy=remedy)
        for number, match in found
        if match is None or not int(match["length"])
    )
    return {match["name"]: int(match["length"]) for _, match in found if match is not None}


def write(path: Path, lengths: Mapping[str, int]) -> None:
    """Write a list. lengths: sequence -> number of frames."""
    lines = (f"{name} empty 000000 {length:06d}\n" for name, length in lengths.items())
    write_whole(path, "".join(lines).encode("ascii"))
