"""JSON files: quick reading, with a complaint that names line and column, atomic writing.

Nothing here knows what a document means; readers check its fields. What msgspec decodes, Python's json decodes to equal
values; whatever msgspec refuses (NaN, a byte order mark, ...) is left to json, which decides what such a file means.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from benchmark.formats.image_files import write_whole
from benchmark.problems import DataError, Problem

Typed = TypeVar("Typed")
QUICK_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for texts that it does not decode."""


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises DataError when the file is missing, unreadable or broken."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError as error:
        raise _error(str(path), "the file is missing", "Check the path, or download the annotations") from error
    except OSError as error:
        raise _error(
            str(path), f"cannot be read ({error.strerror})", "Check the file's kind and permissions"
        ) from error
    except RecursionError as error:
        raise _error(str(path), "broken JSON (nested too deeply)", "Expected a file of this row's layout") from error
    except json.JSONDecodeError as error:
        message = f"broken JSON at line {error.lineno}, column {error.colno} ({error.msg})"
        raise _error(str(path), message, "The file may be cut off; download or write it again") from error
    except UnicodeDecodeError as error:
        raise _error(str(path), f"is not text ({error.reason} at byte {error.start})", "Expected JSON") from error


def decode(data: bytes) -> Any:
    """The value of a JSON text, as `json.loads` has it and raises."""
    try:
        return msgspec.json.decode(data)
    except QUICK_ERRORS:
        return json.loads(data)


def decode_typed(data: bytes, kind: type[Typed]) -> Typed | None:
    """The value of a JSON text if it is of `kind` throughout, else None."""
    try:
        found = msgspec.json.decode(data, type=kind)
        # Text in fields that `kind` does not have is not looked at.
        return found if data.isascii() or data.decode("utf-8") else None
    except QUICK_ERRORS:
        return None


def write_json(path: Path, value: Any) -> None:
    """Write a value as compact JSON, whole or not at all."""
    write_whole(path, json.dumps(value, separators=(",", ":")).encode("utf-8"))


def expect_lists(path: Path, value: Any, names: tuple[str, ...]) -> dict[str, list[Any]]:
    """`value` if it is an object whose fields `names` are all lists; raises DataError otherwise."""
    if not isinstance(value, dict):
        found = f"holds a {type(value).__name__}, expected an object with {', '.join(names)}"
        raise _error(str(path), found, "Give the annotation file of this row")
    absent = [name for name in names if not isinstance(value.get(name), list)]
    if absent:
        raise lacking(path, absent, names)
    return value


def lacking(path: Path, absent: Sequence[str], names: Sequence[str]) -> DataError:
    """The complaint about a file without the lists `absent`; it should have all of `names`."""
    message = f"lacks the list {' and the list '.join(repr(name) for name in absent)}"
    return _error(str(path), message, f"Expected an object with the lists {', '.join(names)}")


def _error(place: str, message: str, remedy: str) -> DataError:
    return DataError([Problem(place=place, message=message, remedy=remedy)])
