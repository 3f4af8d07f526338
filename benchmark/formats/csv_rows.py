"""CSV files with a header line, read line by line: columns are found by name, fields are plain text without quotes.

Open Images writes its annotations this way, and masks in fields that are longer than the `csv` module accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmark.formats.image_files import write_whole
from benchmark.problems import DataError, Problem

Field = Callable[[str], str]
"""Name of a column -> the text of the line in it."""


def header(path: Path) -> list[str]:
    """Names of the columns. Raises DataError when the file is missing, unreadable, no text, or empty."""
    first = next(_lines(path), "")
    if not first:
        raise _error(str(path), "is empty", "Expected a header line with the names of the columns")
    return [name.strip() for name in first.removeprefix("\ufeff").split(",")]


def rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """(line number, the fields of the columns `needed`, in their order) of every line below the header.

    Raises DataError when a column is missing or a line has fewer or more fields than the header.
    """
    names = header(path)
    absent = [name for name in needed if name not in names]
    if absent:
        message = f"lacks the column {' and the column '.join(absent)} (its header is {','.join(names)[:200]})"
        raise _error(str(path), message, f"Expected at least {','.join(needed)}")
    places = [names.index(name) for name in needed]
    lines = _lines(path)
    next(lines)
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        fields = line.split(",")
        if len(fields) != len(names):
            message = f"has {len(fields)} fields, the header has {len(names)}"
            raise _error(f"{path}: line {number}", message, "The file may be cut off; download or write it again")
        yield number, [fields[place].strip() for place in places]


def write(path: Path, names: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Write a CSV, whole or not at all. names: columns. lines: their texts, without commas."""
    text = "".join(f"{','.join(fields)}\n" for fields in (names, *lines))
    write_whole(path, text.encode("utf-8"))


def number_of(text: str) -> float | None:
    """The number that a field holds, None if it holds none, or one that is not finite or beyond belief."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= 2**53 else None


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except FileNotFoundError as error:
        raise _error(str(path), "the file is missing", "Check the path, or download the annotations") from error
    except OSError as error:
        raise _error(
            str(path), f"cannot be read ({error.strerror})", "Check the file's kind and permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise _error(str(path), f"is not text ({error.reason} at byte {error.start})", "Expected a CSV") from error


def _error(place: str, message: str, remedy: str) -> DataError:
    return DataError([Problem(place=place, message=message, remedy=remedy)])
