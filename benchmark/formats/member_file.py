"""One member of a zip file as a file of its own, read in place, also where the zip lies in another zip.

Bytes are inflated on the way to where they are read, with marks from which a reader that goes back starts again.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import Any

from benchmark.problems import DataError, Problem

MARK_EVERY = 2**22
"""Bytes of a large member between two marks; a mark takes about one hundredth of that."""
PIECE = 2**18
HEADER = struct.Struct("<4s5HIIIHH")
HEADER_MARK = b"PK\x03\x04"
UTF8 = 0b1000_0000_0000
AGAIN = "Make or download the archive again"


class FileBytes:
    """The bytes of a file, read without moving a shared position."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 (closed by `close`)

    def at(self, place: int, size: int) -> bytes:
        """Bytes from a place on, fewer at the end. Raises OSError."""
        return os.pread(self._file.fileno(), size, place)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class InnerBytes:
    """The bytes of a zip in a zip. The member stays open, so that what is read in order is inflated once."""

    def __init__(self, source: Source, path: str, member: zipfile.ZipInfo) -> None:
        self._outer, self._path, self._member = source, path, member
        self._file: MemberFile | None = None

    def at(self, place: int, size: int) -> bytes:
        """Bytes from a place on, fewer at the end. Raises DataError where the outer zip is damaged."""
        if self._file is None:
            self._file = MemberFile(self._outer, self._path, self._member)
        self._file.seek(place)
        parts = []
        while size > 0 and (part := self._file.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Nothing is closed: the next member lies behind this one."""


Source = str | InnerBytes
"""A path of the file system, or a zip in a zip."""


class MemberFile(io.RawIOBase):
    """One member as a file that can be read from any place; bytes are inflated on the way there.

    The zip is read without moving a shared file position, so forked processes do not disturb each other.
    """

    def __init__(self, source: Source, path: str, member: zipfile.ZipInfo) -> None:
        super().__init__()
        self._path, self._member = path, member
        self._bytes = FileBytes(source) if isinstance(source, str) else source
        self._place = 0
        self._crc, self._checked = 0, 0
        self._begin = self._data_begin()
        self._marks: list[tuple[int, int, bytes, Any]] = []
        self._at, self._taken, self._rest = 0, 0, b""
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Close the zip, too."""
        self._bytes.close()
        super().close()

    def tell(self) -> int:
        """Bytes from the beginning of the member."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is inflated before something is read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._member.file_size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer. Raises DataError where the archive is damaged."""
        view = memoryview(buffer).cast("B")
        data = self._read_at(self._place, min(len(view), max(0, self._member.file_size - self._place)))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Everything from here on."""
        parts = []
        while self._place < self._member.file_size:
            parts.append(self._read_at(self._place, self._member.file_size - self._place))
            self._place += len(parts[-1])
        return b"".join(parts)

    def _read_at(self, place: int, size: int) -> bytes:
        if not size:
            return b""
        if self._member.compress_type == zipfile.ZIP_STORED:
            data = self._packed(place, size)
            self._check(place, data, size)
            return data
        if place < self._at:
            self._rewind(place)
        while self._at < place:
            self._inflate(min(PIECE, place - self._at))
        return self._inflate(size)

    def _inflate(self, size: int) -> bytes:
        """The next bytes, at most `size`."""
        if self._at >= (len(self._marks) + 1) * MARK_EVERY:
            self._marks.append((self._at, self._taken, self._rest, self._inflater.copy()))
        start = self._at
        data = b""
        while not data:
            if not self._rest and not self._inflater.eof:
                self._rest = self._packed(self._taken, min(PIECE, self._member.compress_size - self._taken))
                self._taken += len(self._rest)
            is_last = not self._rest
            try:
                data = self._inflater.decompress(self._rest, size)
            except zlib.error as error:
                raise self._damaged(str(error)) from error
            if not data and (self._inflater.eof or is_last):
                raise self._damaged(f"it ends after {self._at:,} of {self._member.file_size:,} bytes")
            self._rest = self._inflater.unconsumed_tail
        self._at += len(data)
        self._check(start, data, len(data))
        return data

    def _rewind(self, place: int) -> None:
        """Go back to the last mark before a place, or to the beginning."""
        number = bisect_right([mark[0] for mark in self._marks], place)
        if number:
            self._at, self._taken, self._rest, inflater = self._marks[number - 1]
            self._inflater = inflater.copy()
        else:
            self._at, self._taken, self._rest = 0, 0, b""
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def _check(self, start: int, data: bytes, expected: int) -> None:
        """Follow the checksum of what is read in order; complain at the end of the member."""
        if len(data) != expected:
            raise self._damaged(f"it ends after {start + len(data):,} of {self._member.file_size:,} bytes")
        if start == self._checked:
            self._crc = zlib.crc32(data, self._crc)
            self._checked += len(data)
            if self._checked == self._member.file_size and self._crc != self._member.CRC:
                raise self._damaged("its checksum is wrong")

    def _packed(self, place: int, size: int) -> bytes:
        try:
            return self._bytes.at(self._begin + place, size)
        except (OSError, OverflowError) as error:
            raise self._damaged(str(error)) from error

    def _data_begin(self) -> int:
        """Where the member's bytes begin, behind a header of its own. Raises DataError."""
        self._begin = self._member.header_offset
        header = self._packed(0, HEADER.size)
        if len(header) < HEADER.size or header[:4] != HEADER_MARK:
            self._bytes.close()
            raise self._damaged("its header is not where the directory says")
        *_, name_size, extra_size = HEADER.unpack(header)
        name = self._packed(HEADER.size, name_size).decode("utf-8" if _is_utf8(header) else "cp437", "replace")
        if name != self._member.orig_filename:
            self._bytes.close()
            raise self._damaged(f"it is called {name!r} where it lies")
        return self._begin + HEADER.size + int(name_size) + int(extra_size)

    def _damaged(self, why: str) -> DataError:
        return refused(f"{self._path}/{self._member.filename}", f"is damaged inside the zip ({why})", AGAIN)


def _is_utf8(header: bytes) -> bool:
    return bool(int.from_bytes(header[6:8], "little") & UTF8)


def refused(place: str, message: str, remedy: str) -> DataError:
    """The error of an archive that is not read."""
    return DataError([Problem(place=place, message=message, remedy=remedy)])
