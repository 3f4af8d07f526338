"""The directory of a zip file, checked before anything is read, and its members, read in place.

Nothing is ever written: small members are inflated in memory, large ones as they are read, with marks on the way from
which a reader that goes back starts again. What could leave the archive or fill the memory is refused as a whole:
absolute names, "..", links, encrypted, doubled or overlapping members, and members that inflate absurdly.
Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT; the directory is parsed by Python's zipfile.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.problems import DataError, Problem

SMALL = 2**22
"""Bytes up to which a member is inflated at once."""
MARK_EVERY = 2**22
"""Bytes of a large member between two marks; a mark takes about one hundredth of that."""
BELIEVED = 2**24
MOST_RATIO = 300
"""Members above `BELIEVED` bytes that shrank more than this are taken for a trap; label maps shrink by less."""
PIECE = 2**18
HEADER = struct.Struct("<4s5HIIIHH")
HEADER_MARK = b"PK\x03\x04"
EMPTY_MARK = b"PK\x05\x06"
PLAIN_FLAGS = 0b1000_0000_1110
"""Bits of a member's flags that change nothing: how hard it was packed, sizes behind it, names in UTF-8."""
UTF8 = 0b1000_0000_0000
NAMES_SHOWN = 3
JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What file managers add to an archive; "._" begins other such names."""
AGAIN = "Make or download the archive again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """members: names of files -> directory entries. folders: name of a folder ("" is the top) -> names in it.

    modified: seconds since 1970.
    """

    path: str
    members: Mapping[str, zipfile.ZipInfo]
    folders: Mapping[str, tuple[str, ...]]
    modified: float

    def __contains__(self, name: str) -> bool:
        return name in self.members or name in self.folders

    def open(self, name: str) -> BinaryIO:
        """A member as a seekable file. Raises DataError where it is damaged, here or while it is read."""
        member = self.members[name]
        if member.file_size > SMALL:
            return io.BufferedReader(MemberFile(self.path, member), PIECE)
        with MemberFile(self.path, member) as file:
            return io.BytesIO(file.readall())


def looks_like_zip(path: Path) -> bool:
    """Whether a file is called a zip, or begins like one."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".zip":
        return True
    with path.open("rb") as file:
        return file.read(4) == HEADER_MARK


def open_archive(path: Path) -> Archive:
    """The directory of a zip file, read once as long as the file stays the same. Raises DataError."""
    found = path.stat()
    return _read(str(path), found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=256)
def _read(path: str, modified: int, size: int) -> Archive:
    try:
        with zipfile.ZipFile(path) as file:
            listed = file.infolist()
    except (zipfile.BadZipFile, EOFError, struct.error, ValueError, RuntimeError, OverflowError) as error:
        raise _error(path, f"is no whole zip file ({error})", AGAIN) from error
    problems = list(_problems(path, listed))
    if problems:
        raise DataError(problems)
    members = {_plain(one): one for one in listed if not one.is_dir() and not _is_junk(one)}
    if not members:
        raise _error(path, "is a zip file without files", "Put the files into it")
    return Archive(path=path, members=members, folders=_folders(members), modified=modified / 1e9)


def _folders(members: Mapping[str, zipfile.ZipInfo]) -> dict[str, tuple[str, ...]]:
    below: dict[str, dict[str, None]] = {"": {}}
    for name in sorted(members):
        child = name
        while child:
            parent, _, last = child.rpartition("/")
            is_known = parent in below
            below.setdefault(parent, {})[last] = None
            child = "" if is_known else parent
    return {folder: tuple(names) for folder, names in below.items()}


def _problems(path: str, listed: Sequence[zipfile.ZipInfo]) -> Iterator[Problem]:
    """One line for each kind of problem, with the first names."""
    kinds: dict[str, list[str]] = {}
    seen: set[str] = set()
    parents = {parent for one in listed for parent in _parents(_plain(one))}
    for one in listed:
        name = _plain(one)
        is_folder_too = not one.is_dir() and name in parents
        message = "are listed twice" if name in seen and not one.is_dir() else _refusal(one)
        if message or is_folder_too:
            kinds.setdefault(message or "are both a file and a folder", []).append(one.filename)
        if not one.is_dir():
            seen.add(name)
    overlapping = list(_overlapping(listed))
    if overlapping:
        kinds["share their bytes with another member"] = overlapping
    for message, names in kinds.items():
        shown = ", ".join(repr(name[:80]) for name in names[:NAMES_SHOWN])
        text = f"{len(names):,} members {message} ({shown}{', ...' if len(names) > NAMES_SHOWN else ''})"
        yield Problem(place=path, message=text, remedy="Write a plain zip of files and folders")


def _refusal(member: zipfile.ZipInfo) -> str:
    """What forbids a member, "" if nothing does."""
    parts = _plain(member).split("/")
    kind = stat.S_IFMT(member.external_attr >> 16)
    ratio = member.file_size / max(member.compress_size, 1)
    if "\\" in member.filename or any(part in ("", ".", "..") for part in parts):
        return "have a name that leaves the archive or is none"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "are links or devices"
    if member.flag_bits & ~PLAIN_FLAGS:
        return "are encrypted or patched"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"are packed by method {member.compress_type}, only 'store' and 'deflate' are read"
    is_stored = member.compress_type == zipfile.ZIP_STORED
    if (is_stored and member.file_size != member.compress_size) or (not member.file_size and member.CRC):
        return "have sizes that contradict each other"
    if member.file_size > BELIEVED and ratio > MOST_RATIO:
        return f"would grow more than {MOST_RATIO} times"
    return ""


def _overlapping(listed: Sequence[zipfile.ZipInfo]) -> Iterator[str]:
    """Names of members that begin before the one in front of them ends."""
    end = 0
    for one in sorted(listed, key=lambda one: one.header_offset):
        if one.header_offset < end:
            yield one.filename
        end = max(end, one.header_offset + HEADER.size + one.compress_size)


def _plain(member: zipfile.ZipInfo) -> str:
    """The name without what some tools put around it ("./" and a folder's last slash)."""
    return member.filename.removeprefix("./").removesuffix("/")


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _is_junk(member: zipfile.ZipInfo) -> bool:
    parts = _plain(member).split("/")
    return any(part in JUNK or part.startswith("._") for part in parts)


def _is_utf8(header: bytes) -> bool:
    return bool(int.from_bytes(header[6:8], "little") & UTF8)


class MemberFile(io.RawIOBase):
    """One member as a file that can be read from any place; bytes are inflated on the way there.

    The zip is read without moving a shared file position, so forked processes do not disturb each other.
    """

    def __init__(self, path: str, member: zipfile.ZipInfo) -> None:
        super().__init__()
        self._path, self._member = path, member
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 (closed by `close`)
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
        self._file.close()
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
            return os.pread(self._file.fileno(), size, self._begin + place)
        except (OSError, OverflowError) as error:
            raise self._damaged(str(error)) from error

    def _data_begin(self) -> int:
        """Where the member's bytes begin, behind a header of its own. Raises DataError."""
        self._begin = self._member.header_offset
        header = self._packed(0, HEADER.size)
        if len(header) < HEADER.size or header[:4] != HEADER_MARK:
            self._file.close()
            raise self._damaged("its header is not where the directory says")
        *_, name_size, extra_size = HEADER.unpack(header)
        name = self._packed(HEADER.size, name_size).decode("utf-8" if _is_utf8(header) else "cp437", "replace")
        if name != self._member.orig_filename:
            self._file.close()
            raise self._damaged(f"it is called {name!r} where it lies")
        return self._begin + HEADER.size + int(name_size) + int(extra_size)

    def _damaged(self, why: str) -> DataError:
        return _error(f"{self._path}/{self._member.filename}", f"is damaged inside the zip ({why})", AGAIN)


def _error(place: str, message: str, remedy: str) -> DataError:
    return DataError([Problem(place=place, message=message, remedy=remedy)])
