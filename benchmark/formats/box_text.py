"""The small text files of single object tracking: a box a line, a flag a frame, a sentence.

    121,338,40,22        x,y,width,height: commas, tabs or blanks, found out by the first line; decimals and nan allowed
    0,0,1,1,0            flags, with commas in one line or one a line

Numbers are written by their shortest exact text, so reading them again gives the same bits.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.formats.image_files import write_whole
from benchmark.problems import DataError, Problem, raise_if_any

SEPARATORS = {",": "commas", "\t": "tabs", " ": "blanks"}
MOST_BYTES = 1 << 26
"""Size of a file that is believed; a million lines fit."""
SEPARATOR_WITHIN = 4096
"""Bytes of a file in which its first line is looked for."""
SENTENCE_WITHIN = 1 << 16
SHOWN = 3
FORM = "Write x,y,width,height on each line, with one kind of separator"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?nan", re.IGNORECASE)


def read_boxes(path: Path) -> NDArray[np.float64]:
    """float64 [T, 4], the lines of a file, NaN where it says so. Raises DataError with all problems of its lines."""
    lines = _text(path).split("\n")
    separator = separator_of(lines)
    delimiter = None if separator == " " else separator
    kept = [line for line in lines if line.strip()]
    if not kept:
        raise DataError([Problem(place=str(path), message="is empty, expected a box on each line", remedy=FORM)])
    try:
        boxes = np.loadtxt(kept, dtype=np.float64, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError as error:
        raise DataError(_line_problems(path, lines, delimiter) or [_unread(path, error)]) from error
    if boxes.shape[1] != 4 or np.isinf(boxes).any():
        raise DataError(_line_problems(path, lines, delimiter) or [_unread(path, "lines of unequal form")])
    return boxes


def holds_one_line(path: Path) -> bool:
    """Whether a file has no second line; of one that cannot be read, whoever reads it complains."""
    try:
        with path.open("rb") as file:
            file.readline(SENTENCE_WITHIN)
            return not file.readline(SENTENCE_WITHIN).strip()
    except OSError:
        return False


def write_boxes(path: Path, boxes: NDArray[np.float64], separator: str = ",") -> None:
    """Write a box a line. boxes: float64 [T, 4]."""
    write_rows(path, boxes, separator)


def write_rows(path: Path, values: NDArray[np.float64], separator: str = ",") -> None:
    """Write numbers, a row a line. values: float64 [T, C]."""
    lines = [separator.join(map(_shortest, row)) for row in np.asarray(values, np.float64).tolist()]
    write_whole(path, "".join(f"{line}\n" for line in lines).encode("ascii"))


def separator_of(lines: list[str]) -> str:
    """The separator of the first line that is not blank: a comma, a tab or a blank."""
    first = next((line.strip() for line in lines if line.strip()), "")
    return next((one for one in (",", "\t") if one in first), " ")


def separator_in(path: Path) -> str:
    """In words, what separates the numbers of a file's first line."""
    with path.open("rb") as file:
        start = file.read(SEPARATOR_WITHIN)
    return SEPARATORS[separator_of(start.decode("ascii", errors="replace").splitlines())]


def read_numbers(path: Path, num_rows: int) -> NDArray[np.float64]:
    """float64 [num_rows, C], any number of columns (seconds a frame, one column a run). Raises DataError."""
    lines = [line for line in _text(path).split("\n") if line.strip()]
    delimiter = separator_of(lines).strip() or None
    nothing = np.zeros((0, 1))
    try:
        values = np.loadtxt(lines, np.float64, delimiter=delimiter, comments=None, ndmin=2) if lines else nothing
    except ValueError as error:
        raise DataError([_unread(path, error)]) from error
    if len(values) != num_rows:
        message = f"has {len(values):,} lines, the boxes beside it {num_rows:,}"
        raise DataError([Problem(place=str(path), message=message, remedy="Write one line for each frame")])
    return values


def read_flags(path: Path, *, most: int = 1) -> NDArray[np.int64]:
    """int64 [T], whole numbers from 0 to `most`. Raises DataError."""
    words = _text(path).replace(",", " ").split()
    value_of = {word: int(float(word)) for word in set(words) if _is_flag(word, most)}
    wrong = [word for word in words if word not in value_of] if len(value_of) < len(set(words)) else []
    if wrong:
        shown = ", ".join(map(repr, wrong[:SHOWN])) + (", ..." if len(wrong) > SHOWN else "")
        message = f"{len(wrong):,} of {len(words):,} values are no whole number from 0 to {most} ({shown})"
        remedy = "Write one number a frame, in one line with commas or one a line"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    return np.fromiter(map(value_of.__getitem__, words), np.int64, len(words))


def write_flags(path: Path, flags: NDArray[np.int64], *, in_one_line: bool) -> None:
    """Write a flag a frame, with commas in one line or one a line. flags: int64 [T]."""
    text = ("," if in_one_line else "\n").join(str(int(flag)) for flag in flags)
    write_whole(path, f"{text}\n".encode("ascii"))


def read_sentence(path: Path) -> str:
    """The text of a file without the blanks around it; bytes that are no UTF-8 become replacement characters."""
    try:
        with path.open("rb") as file:
            return " ".join(file.read(SENTENCE_WITHIN).decode("utf-8", errors="replace").split())
    except OSError as error:
        raise DataError([_unreadable(path, error)]) from error


def write_sentence(path: Path, sentence: str) -> None:
    """Write a sentence as the only line."""
    write_whole(path, f"{sentence}\n".encode())


def require_length(path: Path, length: int, num_frames: int, what: str) -> None:
    """Raise DataError unless a file has one of `what` for each annotated frame."""
    message = f"holds {length:,} {what}, the boxes {num_frames:,} frames"
    remedy = "Download the annotations again"
    raise_if_any([Problem(place=str(path), message=message, remedy=remedy)] if length != num_frames else [])


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            message = f"has {path.stat().st_size:,} bytes, more than any video's boxes need"
            raise DataError([Problem(place=str(path), message=message, remedy=FORM)])
        return path.read_bytes().decode("ascii").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise DataError([_unreadable(path, error)]) from error
    except UnicodeDecodeError as error:
        message = f"is not plain text (byte {error.object[error.start]:#04x} at position {error.start})"
        raise DataError([Problem(place=str(path), message=message, remedy=FORM)]) from error


def _line_problems(path: Path, lines: list[str], delimiter: str | None) -> list[Problem]:
    """One problem for each kind of defect, with the lines that have it."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            message = _defect(line.strip(" ").split(delimiter))
            if message:
                found.setdefault(message, []).append(number)
    problems = []
    for message, numbers in found.items():
        others = f" (and {len(numbers) - 1:,} more lines)" if len(numbers) > 1 else ""
        problems.append(Problem(place=f"{path}: line {numbers[0]}{others}", message=message, remedy=FORM))
    return problems


def _defect(words: list[str]) -> str:
    if len(words) != 4:
        return f"has {len(words)} values, expected 4"
    wrong = next((word.strip() for word in words if not NUMBER.fullmatch(word.strip())), None)
    if wrong is not None:
        return f"{wrong[:20]!r} is not a number"
    wrong = next((word.strip() for word in words if np.isinf(float(word))), None)
    return "" if wrong is None else f"{wrong[:20]!r} is beyond any picture"


def _is_flag(word: str, most: int) -> bool:
    return bool(re.fullmatch(r"\d+(\.0*)?", word)) and len(word) < SHOWN * 6 and float(word) <= most


def _shortest(value: float) -> str:
    text = repr(value)
    return text.removesuffix(".0")


def _unread(path: Path, error: object) -> Problem:
    return Problem(place=str(path), message=f"cannot be read as numbers ({error})", remedy=FORM)


def _unreadable(path: Path, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(place=str(path), message="the file is missing", remedy="Add it, or check the path")
    return Problem(
        place=str(path), message=f"cannot be read ({error.strerror})", remedy="Check its kind and permissions"
    )
