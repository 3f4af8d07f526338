"""Lists in JSON files of any size, one element at a time, so that memory does not grow with the file.

A result file of LVIS holds six million objects; read whole, it would fill the memory ten times over. The file is read
in windows, one character a byte, so that the place of every element is known and it can be parsed again later.
"""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.formats.json_files import expect_lists, lacking, read_json
from benchmark.problems import DataError, Problem

SMALL = 32 * 2**20
"""Bytes up to which a file of several lists is read whole, which is faster."""
WINDOW = 2**22
LONGEST = 2**28
"""Bytes of one element from which on it is taken for broken."""
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CUT_OFF = "The file may be cut off; download or write it again"


class FileList(Sequence[Any]):
    """Elements of a JSON file, parsed on access. Filled by `add` in the order of the list."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts, self._ends = array("q"), array("q")
        self._file: BinaryIO | None = None

    def add(self, start: int, end: int) -> None:
        """Append the element whose text is bytes start..end of the file."""
        self._starts.append(start)
        self._ends.append(end)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, position: Any) -> Any:
        if self._file is None:
            self._file = _open(self.path)
        start = self._starts[position]
        return _DECODER.raw_decode(_read_at(self._file, start, self._ends[position] - start).decode())[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))


def elements(path: Path) -> Iterator[tuple[int, int, Any]]:
    """(start, end, value) of every element of the list that the file holds; its text is bytes start..end.

    Raises DataError when the file is missing, unreadable or broken, or holds something else.
    """
    with _open(path) as file:
        window = _Window(path, file)
        if window.character() != "[":
            kind = type(window.value()).__name__
            window.finish()
            raise _error(
                str(path), f"holds a {kind}, expected a list of results", "Write one list with an entry per object"
            )
        yield from window.elements()
        window.finish()


def open_lists(path: Path, names: tuple[str, ...]) -> dict[str, Sequence[Any]]:
    """The named lists of the object that the file holds; a large file's are parsed on access. Raises DataError."""
    if not path.is_file() or path.stat().st_size <= SMALL:
        return dict(expect_lists(path, read_json(path), names))
    found: dict[str, Sequence[Any]] = {}
    with _open(path) as file:
        window = _Window(path, file)
        if window.character() != "{":
            return dict(expect_lists(path, window.value(), names))
        for name in window.members():
            if window.character() != "[":
                window.value()
                continue
            items = FileList(path)
            for start, end, _ in window.elements():
                if name in names:
                    items.add(start, end)
            found[name] = items
        window.finish()
    absent = [name for name in names if name not in found]
    if absent:
        raise lacking(path, absent, names)
    return {name: found[name] for name in names}


def mentions(path: Path, word: str) -> bool:
    """Whether a word of letters may stand in the file: it does, or there are escaped letters. Raises DataError."""
    marks = (word.encode(), b"\\u")
    with _open(path) as file:
        tail = b""
        while window := file.read(WINDOW):
            text = tail + window
            if any(mark in text for mark in marks):
                return True
            tail = text[-len(word) :]
    return False


def first_of(path: Path, name: str) -> Any:
    """The first element of a named list of the object that the file holds, or None; nothing behind it is read.

    Raises DataError when the file is missing, unreadable, or broken before that place.
    """
    with _open(path) as file:
        window = _Window(path, file)
        if window.character() != "{":
            window.value()
            return None
        for found in window.members():
            if window.character() != "[":
                window.value()
                continue
            for _, _, value in window.elements():
                if found == name:
                    return value
    return None


class _Window:
    """A moving part of a file as text, one character a byte, and a place in it."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._text, self._at = "", 0
        self._offset, self._length, self._ended, self._is_ascii = 0, 0, False, True
        self._move()
        if self._text.startswith(_BYTE_ORDER_MARK.decode("latin-1")):
            self._at = len(_BYTE_ORDER_MARK)

    def character(self) -> str:
        """The next character that is no space, "" at the end of the file; it is not consumed."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._move()

    def value(self) -> Any:
        """The value that begins at the next character."""
        self.character()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or len(self._text) - self._at > LONGEST:
                    raise self._broken(error.pos, error.msg) from error
            except RecursionError as error:
                raise self._broken(self._at, "nested too deeply") from error
            else:
                # A number that the window cuts at its exponent looks like a shorter one with "e+" behind it.
                if end + 2 < len(self._text) or self._ended:
                    return self._take(found, end)
            self._move()

    def elements(self) -> Iterator[tuple[int, int, Any]]:
        """(start, end, value) of every element of the list that begins at the next character."""
        self._expect("[")
        if self.character() == "]":
            self._at += 1
            return
        while True:
            self.character()
            found = self.value()
            end = self._offset + self._at
            yield end - self._length, end, found
            if self.character() == "]":
                self._at += 1
                return
            self._expect(",")

    def members(self) -> Iterator[str]:
        """The names of the object that begins at the next character; the caller consumes the value of each."""
        self._expect("{")
        if self.character() == "}":
            self._at += 1
            return
        while True:
            if self.character() != '"':
                raise self._broken(self._at, "Expecting property name enclosed in double quotes")
            name = self.value()
            self._expect(":")
            yield name
            if self.character() == "}":
                self._at += 1
                return
            self._expect(",")

    def finish(self) -> None:
        """Complain about anything that follows."""
        if self.character():
            raise self._broken(self._at, "Extra data")

    def _take(self, found: Any, end: int) -> Any:
        start, self._length, self._at = self._at, end - self._at, end
        if self._is_ascii or self._text[start:end].isascii():
            return found
        try:
            return json.loads(self._text[start:end].encode("latin-1"))
        except UnicodeDecodeError as error:
            place = self._offset + start + error.start
            raise _error(str(self._path), f"is not text ({error.reason} at byte {place})", "Expected JSON") from error

    def _expect(self, character: str) -> None:
        found = self.character()
        if found != character:
            raise self._broken(self._at, f"Expecting {character!r} delimiter")
        self._at += 1

    def _move(self) -> None:
        """Drop what lies behind and read on; a value longer than the window widens it."""
        rest = self._text[self._at :]
        more = self._file.read(max(WINDOW, len(rest)))
        self._ended = not more
        self._offset += self._at
        self._text, self._at = rest + more.decode("latin-1"), 0
        self._is_ascii = self._text.isascii()

    def _broken(self, place: int, message: str) -> DataError:
        """The complaint about a place in the window. Its line is counted from the beginning of the file."""
        offset = self._offset + place
        self._file.seek(0)
        before = self._file.read(offset)
        line, column = before.count(b"\n") + 1, offset - before.rfind(b"\n")
        return _error(str(self._path), f"broken JSON at line {line}, column {column} ({message})", _CUT_OFF)


def _read_at(file: BinaryIO, start: int, size: int) -> bytes:
    """Bytes of a file; not mapped into memory, because the pages would count as ours."""
    try:
        number = file.fileno()
    except OSError:  # a member of an archive
        file.seek(start)
        return file.read(size)
    return os.pread(number, size, start)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise _error(str(path), "the file is missing", "Check the path, or download the annotations") from error
    except OSError as error:
        raise _error(
            str(path), f"cannot be read ({error.strerror})", "Check the file's kind and permissions"
        ) from error


def _error(place: str, message: str, remedy: str) -> DataError:
    return DataError([Problem(place=place, message=message, remedy=remedy)])
