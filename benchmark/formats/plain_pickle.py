"""Pickle files of lists, dictionaries, text and numbers, read without executing anything that they contain.

A pickle is a program for a stack machine. This reader knows the instructions that build plain values (protocols 0 to 5)
and refuses every other one: those that name, call or fill an object, and those that look anything up outside the file.
The standard unpickler is not asked, because a damaged file can make it fill the memory before it fails. Text that
Python 2 wrote is taken for UTF-8. Instructions: Lib/pickletools.py of CPython.
"""

from __future__ import annotations

import codecs
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.formats.image_files import write_whole
from benchmark.problems import DataError, Problem

REMEDY = "Only lists, dictionaries, text and numbers are read; get the official file, or save it as JSON"
_NAMES = {opcode.code.encode("latin-1")[0]: opcode.name for opcode in pickletools.opcodes}


class NotPlainError(ValueError):
    """The file asks for something that is no plain value, or is damaged."""


def read_pickle(path: Path) -> Any:
    """The value in a pickle file. Raises DataError where the file is missing, damaged, or more than plain values."""
    try:
        return loads(path.read_bytes())
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        raise DataError([Problem(place=str(path), message=message, remedy="Check the path and permissions")]) from error
    except NotPlainError as error:
        raise DataError([Problem(place=str(path), message=str(error), remedy=REMEDY)]) from error


def loads(data: bytes) -> Any:
    """The plain value of a pickle. Raises NotPlainError."""
    machine = _Machine(data)
    try:
        return machine.run()
    except NotPlainError:
        raise
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error) as error:
        raise NotPlainError(f"is a damaged pickle (byte {machine.position:,} of {len(data):,})") from error


def write_pickle(path: Path, value: Any) -> None:
    """Write a plain value as a pickle of protocol 2, which Python 2 reads too; whole or not at all."""
    write_whole(path, dumps(value))


def dumps(value: Any) -> bytes:
    """The pickle (protocol 2) of a value of lists, dictionaries, text and numbers. Raises TypeError for others."""
    parts = [b"\x80\x02"]
    _put(value, parts)
    return b"".join([*parts, b"."])


def _put(value: Any, parts: list[bytes]) -> None:
    match value:
        case None | bool():
            parts.append(b"N" if value is None else b"\x88" if value else b"\x89")
        case int():
            size = (value.bit_length() >> 3) + 1
            parts.append(b"\x8b" + struct.pack("<i", size) + value.to_bytes(size, "little", signed=True))
        case float():
            parts.append(b"G" + struct.pack(">d", value))
        case str():
            text = value.encode("utf-8")
            parts.append(b"X" + struct.pack("<I", len(text)) + text)
        case list():
            parts.append(b"](")
            for entry in value:
                _put(entry, parts)
            parts.append(b"e")
        case dict():
            parts.append(b"}(")
            for key, entry in value.items():
                _put(key, parts)
                _put(entry, parts)
            parts.append(b"u")
        case _:
            raise TypeError(f"a {type(value).__name__} is no plain value")


class _Machine:
    """The part of the stack machine that builds plain values. position: of the next instruction."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Execute up to the STOP instruction."""
        steps: dict[int, Callable[[], object]] = self._steps()
        data = self.data
        while True:
            if self.position >= len(data):
                raise NotPlainError(f"is a pickle that ends too early (after {len(data):,} bytes)")
            code = data[self.position]
            self.position += 1
            if code == 0x2E:
                return self.stack.pop()
            step = steps.get(code)
            if step is None:
                self._refuse(code)
            else:
                step()

    def _refuse(self, code: int) -> None:
        start = self.position - 1
        if code not in _NAMES:
            raise NotPlainError(f"is no pickle, or a damaged one (byte {start:,} of {len(self.data):,})")
        name = _NAMES[code]
        detail = ""
        if name in ("GLOBAL", "INST"):
            words = self.data[self.position : self.position + 200].split(b"\n")[:2]
            detail = f" {'.'.join(word.decode('ascii', 'replace') for word in words)!r}"
        elif name == "STACK_GLOBAL":
            detail = f" {'.'.join(str(word)[:100] for word in self.stack[-2:])!r}"
        raise NotPlainError(f"wants an object{detail} to be made (instruction {name} at byte {start:,})")

    def _steps(self) -> dict[int, Callable[[], object]]:
        push = self.stack.append
        steps: dict[str, Callable[[], object]] = {
            "\x80": lambda: self._take(1),
            "\x95": lambda: self._take(8),
            "(": lambda: self.marks.append(len(self.stack)),
            "N": lambda: push(None),
            "\x88": lambda: push(True),
            "\x89": lambda: push(False),
            "I": self._integer_line,
            "L": lambda: push(int(self._line().rstrip(b"L"))),
            "F": lambda: push(float(self._line())),
            "J": lambda: push(self._number("<i", 4)),
            "K": lambda: push(self._take(1)[0]),
            "M": lambda: push(self._number("<H", 2)),
            "G": lambda: push(self._number(">d", 8)),
            "\x8a": lambda: push(self._long(self._take(1)[0])),
            "\x8b": lambda: push(self._long(self._number("<i", 4))),
            "]": lambda: push([]),
            "}": lambda: push({}),
            ")": lambda: push(()),
        }
        steps |= self._text_steps() | self._container_steps() | self._memo_steps()
        return {ord(code): step for code, step in steps.items()}

    def _text_steps(self) -> dict[str, Callable[[], object]]:
        push = self.stack.append
        return {
            "S": lambda: push(self._quoted(self._line())),
            "T": lambda: push(_text(self._take(self._number("<i", 4)))),
            "U": lambda: push(_text(self._take(self._take(1)[0]))),
            "V": lambda: push(self._line().decode("raw-unicode-escape")),
            "X": lambda: push(_unicode(self._take(self._number("<I", 4)))),
            "\x8c": lambda: push(_unicode(self._take(self._take(1)[0]))),
            "\x8d": lambda: push(_unicode(self._take(self._number("<Q", 8)))),
        }

    def _container_steps(self) -> dict[str, Callable[[], object]]:
        push = self.stack.append
        return {
            "a": lambda: self._append([self.stack.pop()]),
            "e": lambda: self._append(self._since_mark()),
            "l": lambda: push(self._since_mark()),
            "s": lambda: self._set([self.stack.pop(-2), self.stack.pop()]),
            "u": lambda: self._set(self._since_mark()),
            "d": lambda: push(_dictionary(self._since_mark())),
            "t": lambda: push(tuple(self._since_mark())),
            "\x85": lambda: push((self.stack.pop(),)),
            "\x86": lambda: push((self.stack.pop(-2), self.stack.pop())),
            "\x87": lambda: push((self.stack.pop(-3), self.stack.pop(-2), self.stack.pop())),
        }

    def _memo_steps(self) -> dict[str, Callable[[], object]]:
        push, memo = self.stack.append, self.memo
        return {
            "p": lambda: memo.__setitem__(int(self._line()), self.stack[-1]),
            "q": lambda: memo.__setitem__(self._take(1)[0], self.stack[-1]),
            "r": lambda: memo.__setitem__(self._number("<I", 4), self.stack[-1]),
            "\x94": lambda: memo.__setitem__(len(memo), self.stack[-1]),
            "g": lambda: push(memo[int(self._line())]),
            "h": lambda: push(memo[self._take(1)[0]]),
            "j": lambda: push(memo[self._number("<I", 4)]),
        }

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise NotPlainError(f"is a pickle that ends too early (after {len(self.data):,} bytes)")
        found = self.data[self.position : end]
        self.position = end
        return found

    def _line(self) -> bytes:
        return self._take(self.data.index(b"\n", self.position) + 1 - self.position)[:-1]

    def _number(self, code: str, size: int) -> Any:
        (value,) = struct.unpack(code, self._take(size))
        return value

    def _long(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little", signed=True)

    def _integer_line(self) -> None:
        line = self._line()
        self.stack.append(line == b"01" if line in (b"00", b"01") else int(line))

    def _quoted(self, line: bytes) -> str:
        if len(line) < 2 or line[0] != line[-1] or line[0] not in b"\"'":
            raise NotPlainError("is a damaged pickle: a text has no quotes")
        escaped, _ = codecs.escape_decode(line[1:-1])
        return _text(escaped)

    def _since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        found = self.stack[mark:]
        del self.stack[mark:]
        return found

    def _append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise NotPlainError("is a damaged pickle: it appends to what is no list")
        target += values

    def _set(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise NotPlainError("is a damaged pickle: it fills what is no dictionary")
        target |= _dictionary(pairs)


def _unicode(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    """Bytes of Python 2."""
    return data.decode("utf-8", "replace")


def _dictionary(pairs: list[Any]) -> dict[Any, Any]:
    """A dictionary of alternating keys and values. Keys that nest would be hashed recursively, so they are refused."""
    keys = pairs[0::2]
    if len(pairs) % 2 or not all(isinstance(key, str | int | float | None) for key in keys):
        raise NotPlainError("is a damaged pickle: a dictionary has keys that are neither text nor numbers")
    return dict(zip(keys, pairs[1::2], strict=True))
