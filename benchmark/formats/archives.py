"""Paths that see through zip files, so that every reader reads archives in place without knowing of them.

A result archive is a folder whose members are files. A data root with the official downloads
(`gtFine_trainvaltest.zip`, `annotations_trainval2017.zip`, ...) looks as if each were unpacked where it lies; what is
there unpacked is seen first, and a zip within a zip likewise. An archive may wrap everything in one folder, or be one
file: `ways_in` lists what a reader may try.
"""

from __future__ import annotations

import io
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PosixPath, PurePosixPath
from typing import IO, Any, TypeVar

from benchmark.formats.zip_members import Archive, looks_like_zip, open_archive
from benchmark.problems import DataError

T = TypeVar("T")
SUFFIXES_SHOWN = 3
Spec = tuple[tuple[str, str, int, int], ...]
"""(where the members appear, zip file, its time of change, its size) of each archive."""


class ArchivePath(PosixPath):
    """A path of the file system in which archives are mounted. Made by `mounted_file` and `mounted_root`.

    spec: the mounts. table: where members appear -> the archives that are seen there. whole: zips that are folders
    themselves. hidden: zips that lie in a folder beside their own members.
    """

    __slots__ = ()
    spec: Spec = ()
    table: Mapping[str, tuple[Archive, ...]] = {}
    whole: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()

    def __reduce__(self) -> tuple[Callable[[Spec, str], Path], tuple[Spec, str]]:
        return _again, (self.spec, str(self))

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Of the file system, else of a member. Raises FileNotFoundError."""
        if _absolute(self) not in self.whole:
            try:
                return super().stat(follow_symlinks=follow_symlinks)
            except (FileNotFoundError, NotADirectoryError) as error:
                missing = error
        else:
            missing = FileNotFoundError(str(self))
        for archive, name in self._inside():
            member = archive.members.get(name)
            mode, size = (stat.S_IFDIR | 0o555, 0) if member is None else (stat.S_IFREG | 0o444, member.file_size)
            when = int(archive.modified)
            return os.stat_result((mode, 0, 0, 1, 0, 0, size, when, when, when))
        raise missing

    def iterdir(self) -> Iterator[ArchivePath]:  # type: ignore[override]
        """Children in order of name, those of the file system and of the archives together."""
        is_whole = _absolute(self) in self.whole
        inside = [archive.folders[name] for archive, name in self._inside() if name in archive.folders]
        names = set().union(*inside)
        if not is_whole and (not inside or os.path.isdir(self)):  # noqa: PTH112 (of the file system alone)
            names |= set(os.listdir(self))  # noqa: PTH208
        zips = {Path(one).name for archive, name in self._inside() for one in archive.inner_zips
                if str(PurePosixPath(one).parent) in (name, name or ".")}  # fmt: skip
        children = (self / name for name in sorted(names - zips))
        return (child for child in children if _absolute(child) not in self.hidden)

    def open(  # type: ignore[override]
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """A file of the file system, else a member, which can only be read. Raises OSError, DataError."""
        is_there = _absolute(self) not in self.whole and os.path.lexists(self)
        inside = [] if is_there else self._inside()
        if not inside:
            try:
                return super().open(mode, buffering, encoding, errors, newline)
            except NotADirectoryError as error:  # the zip itself stands in the way
                raise FileNotFoundError(2, "No such file or directory", str(self)) from error
        if not set(mode) <= set("rbt"):
            raise PermissionError(30, "an archive is only read", str(self))
        archive, name = inside[0]
        if name not in archive.members:
            raise IsADirectoryError(21, "is a folder", str(self))
        file = archive.open(name)
        return file if "b" in mode else io.TextIOWrapper(file, encoding or "utf-8", errors, newline)

    def glob(self, pattern: str, **options: Any) -> Iterator[ArchivePath]:  # type: ignore[override]
        """Paths below this folder that fit; "**" stands for any number of folders."""
        return _fitting(self, PurePosixPath(pattern).parts)

    def rglob(self, pattern: str, **options: Any) -> Iterator[ArchivePath]:  # type: ignore[override]
        """Paths at any depth below this folder that fit."""
        parts = PurePosixPath(pattern).parts
        return _fitting(self, parts if parts[:1] == ("**",) else ("**", *parts))

    def _inside(self) -> list[tuple[Archive, str]]:
        """The archives that have a member or folder of this path, and its name there."""
        text = _absolute(self)
        found, inner = list[tuple[Archive, str]](), list[tuple[Archive, str]]()
        for place, archives in self.table.items():
            if text == place or text.startswith(f"{place}/"):
                name = text[len(place) + 1 :]
                found += [(archive, name) for archive in archives if name in archive]
                inner += [one for archive in archives for one in _in_inner_zips(archive, name)]
        return found + inner


def _in_inner_zips(archive: Archive, name: str) -> list[tuple[Archive, str]]:
    """The zips within a zip that have a member or folder, seen where they lie, and its name there.

    A zip that is called like the folder below it is opened first, and no other where that one has the name.
    """
    if name in archive.members:
        return []
    found = []
    for one in sorted(archive.inner_zips, key=lambda zip_name: not name.startswith(zip_name[: -len(".zip")])):
        home = one.rpartition("/")[0]
        if home and name != home and not name.startswith(f"{home}/"):
            continue
        below = name[len(home) :].lstrip("/")
        if below == one.rpartition("/")[2] or not (inner := archive.inner(one)):
            continue
        if below in inner:
            found.append((inner, below))
            if below and below.split("/")[0] == PurePosixPath(one).stem:
                break
    return found


def mounted_file(path: Path) -> Path:
    """A zip file as a folder. Raises DataError where it is damaged or unsafe."""
    found = path.stat()
    place = _absolute(path)
    return _mount(((place, place, found.st_mtime_ns, found.st_size),), str(path))


def mounted_root(root: Path, folders: Sequence[str] = (".",)) -> Path:
    """A data root, a zip file itself or a folder in which zips may lie, as if they were unpacked there.

    folders: below the root, in which zips are looked for. Raises DataError where one is damaged or unsafe.
    """
    if isinstance(root, ArchivePath):
        return root
    if looks_like_zip(root):
        return mounted_file(root)
    homes = dict.fromkeys(_absolute(root / name) for name in (".", *folders))
    spec = []
    for home in homes:
        for path in sorted(Path(home).glob("*.zip")) if Path(home).is_dir() else ():
            found = path.stat()
            spec.append((home, str(path), found.st_mtime_ns, found.st_size))
    return _mount(tuple(spec), str(root)) if spec else root


def of_zips_alone(path: Path) -> Path:
    """A folder that holds nothing but zips as if they were unpacked in it; any other path as it is."""
    if isinstance(path, ArchivePath) or not path.is_dir():
        return path
    children = [child for child in path.iterdir() if not child.name.startswith(".")]
    return mounted_root(path) if children and all(looks_like_zip(child) for child in children) else path


def ways_in(path: Path, own_names: frozenset[str] = frozenset()) -> list[Path]:
    """What a reader may try of a given path, in this order: for a zip itself, its only folder, its only file.

    own_names: names of folders that mean something and are not entered. Raises DataError.
    """
    if isinstance(path, ArchivePath) or not looks_like_zip(path):
        return [path]
    ways = [mounted_file(path)]
    while ways[-1].is_dir():
        children = list(ways[-1].iterdir())
        if len(children) != 1 or children[0].name in own_names:
            break
        ways.append(children[0])
    return ways


def first_that_fits(ways: Sequence[Path], read: Callable[[Path], T]) -> tuple[T, Path]:
    """What a reader makes of the first way in that it can read, and which that was; the last one's error is raised.

    ways: at least one.
    """
    failure: DataError | None = None
    for way in ways:
        try:
            return read(way), way
        except DataError as error:
            failure = error
    assert failure is not None
    raise failure


def kind_of(path: Path) -> str:
    """What a path is taken for, in a few words: "one .json file", "a folder of 3 folders of .png files"."""
    if not path.is_dir():
        plain = f"one {path.suffix or 'plain'} file"
        return plain if is_inside(path) or not looks_like_zip(path) else f"a zip: {kind_of(ways_in(path)[0])}"
    children = list(path.iterdir())
    folders = [child for child in children if child.is_dir()]
    suffixes = Counter(child.suffix or "plain" for child in children if not child.is_dir())
    common = suffixes.most_common(SUFFIXES_SHOWN)
    parts = [f"{count:,} {suffix} file{'s' if count > 1 else ''}" for suffix, count in common]
    if folders:
        inside = Counter(child.suffix for child in folders[0].iterdir() if child.suffix).most_common(1)
        content = f" of {inside[0][0]} files" if inside else ""
        parts.append(f"{len(folders):,} folder{'s' if len(folders) > 1 else ''}{content}")
    return f"a folder of {' and '.join(parts)}" if parts else "an empty folder"


def is_inside(path: Path) -> bool:
    """Whether a path sees through archives."""
    return isinstance(path, ArchivePath)


def _absolute(path: str | Path) -> str:
    """From the top of the file system, without "..", links as they are."""
    return os.path.abspath(path)  # noqa: PTH100 (`Path.resolve` would follow links)


def _again(spec: Spec, text: str) -> Path:
    """A path that was pickled."""
    return _mount(spec, text)


def _mount(spec: Spec, text: str) -> Path:
    return _class_of(spec)(text)


@lru_cache(maxsize=64)
def _class_of(spec: Spec) -> type[ArchivePath]:
    """The kind of path that sees these archives; children of such a path are of its kind."""
    table: dict[str, tuple[Archive, ...]] = {}
    for place, zip_path, _, _ in spec:
        archive = open_archive(Path(zip_path))
        for one in dict.fromkeys((place, os.path.realpath(place))):
            table[one] = (*table.get(one, ()), archive)
    whole = {one for place, path, _, _ in spec if place == path for one in (place, os.path.realpath(place))}
    hidden = {one for place, path, _, _ in spec if place != path for one in (path, os.path.realpath(path))}
    fields = {"spec": spec, "table": table, "whole": frozenset(whole), "hidden": frozenset(hidden), "__slots__": ()}
    return type("MountedPath", (ArchivePath,), fields)


def _fitting(folder: ArchivePath, parts: tuple[str, ...]) -> Iterator[ArchivePath]:
    if not parts:
        yield folder
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _fitting(folder, rest)
        for child in folder.iterdir():
            if child.is_dir() and not child.is_symlink():
                yield from _fitting(child, parts)
    elif not set(first) & set("*?["):
        child = folder / first
        if child.exists():
            yield from _fitting(child, rest)
    elif folder.is_dir():
        for child in folder.iterdir():
            if fnmatchcase(child.name, first) and (not rest or child.is_dir()):
                yield from _fitting(child, rest)
