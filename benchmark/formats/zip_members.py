"""The directory of a zip file, checked before anything is read, and its members, read in place.

Nothing is ever written: small members are inflated in memory, large ones as they are read, with marks on the way from
which a reader that goes back starts again. What could leave the archive or fill the memory is refused as a whole:
absolute names, "..", links, encrypted, doubled or overlapping members, and members that inflate absurdly.
Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT; the directory is parsed by Python's zipfile.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from benchmark.formats.member_file import AGAIN, HEADER, HEADER_MARK, PIECE, InnerBytes, MemberFile, Source, refused
from benchmark.problems import DataError, Problem

SMALL = 2**22
"""Bytes up to which a member is inflated at once."""
BELIEVED = 2**24
MOST_RATIO = 300
"""Members above `BELIEVED` bytes that shrank more than this are taken for a trap; label maps shrink by less."""
EMPTY_MARK = b"PK\x05\x06"
PLAIN_FLAGS = 0b1000_0000_1110
"""Bits of a member's flags that change nothing: how hard it was packed, sizes behind it, names in UTF-8."""
NAMES_SHOWN = 3
JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What file managers add to an archive; "._" begins other such names."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Archive:
    """members: names of files -> directory entries. folders: name of a folder ("" is the top) -> names in it.

    path: of the zip file, for messages. source: where its bytes are. modified: seconds since 1970.
    """

    path: str
    source: Source
    members: Mapping[str, zipfile.ZipInfo]
    folders: Mapping[str, tuple[str, ...]]
    modified: float

    def __contains__(self, name: str) -> bool:
        return name in self.members or name in self.folders

    def open(self, name: str) -> BinaryIO:
        """A member as a seekable file. Raises DataError where it is damaged, here or while it is read."""
        member = self.members[name]
        if member.file_size > SMALL:
            return io.BufferedReader(MemberFile(self.source, self.path, member), PIECE)
        with MemberFile(self.source, self.path, member) as file:
            return io.BytesIO(file.readall())

    @property
    def inner_zips(self) -> tuple[str, ...]:
        """Names of the members that are zips themselves."""
        return tuple(name for name in self.members if name.lower().endswith(".zip"))

    def inner(self, name: str) -> Archive:
        """The directory of a zip in this zip. Raises DataError where it is damaged, or holds zips again."""
        return _read_inner(self, name)


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
    return _archive(path, modified / 1e9, path, path)


@lru_cache(maxsize=64)
def _read_inner(outer: Archive, name: str) -> Archive:
    path = f"{outer.path}/{name}"
    member = outer.members[name]
    source = InnerBytes(outer.source, outer.path, member)
    found = _archive(path, outer.modified, source, MemberFile(outer.source, outer.path, member))
    if found.inner_zips:
        message = f"is a zip in a zip and holds one again ({found.inner_zips[0]!r}), which is not looked into"
        raise refused(path, message, "Unpack the outermost zip once")
    return found


def _archive(path: str, modified: float, source: Source, content: str | BinaryIO | io.RawIOBase) -> Archive:
    """content: what the directory is read from."""
    try:
        with zipfile.ZipFile(content) as file:
            listed = file.infolist()
    except (zipfile.BadZipFile, EOFError, struct.error, ValueError, RuntimeError, OverflowError) as error:
        raise refused(path, f"is no whole zip file ({error})", AGAIN) from error
    problems = list(_problems(path, listed))
    if problems:
        raise DataError(problems)
    members = {_plain(one): one for one in listed if not one.is_dir() and not _is_junk(one)}
    if not members:
        raise refused(path, "is a zip file without files", "Put the files into it")
    return Archive(path=path, source=source, members=members, folders=_folders(members), modified=modified)


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
