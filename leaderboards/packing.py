"""Zip files: packed to the same bytes from the same content, and unpacked without trusting a name or a size in them.

Times, permissions and the order of members are fixed; names that leave the folder, links and encrypted or damaged
members are told of and left out.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from benchmark.problems import UsageError
from leaderboards.problems import Problem, error, listed, warning

TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can state; it is stated of every member."""
MODE = 0o644
LEVEL = 6
LARGEST = 1 << 38
"""Bytes that an archive may unpack to at most."""
CHUNK = 1 << 20
FOREIGN = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""Names that file managers leave behind."""
ENCRYPTED = 1
CLEAN = "Pack only the results, for instance with 'zip -X'"


def pack(folder: Path, target: Path) -> None:
    """Pack all files of a folder. The same content gives the same bytes; nothing is overwritten or left half-written.

    Raises UsageError where `target` exists.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    by_name = {path.relative_to(folder).as_posix(): path for path in files}
    partial = _partial(target)
    try:
        with zipfile.ZipFile(partial, "w", allowZip64=True) as archive:
            for name in sorted(by_name):
                _add(archive, name, by_name[name])
        publish(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def publish_copy(source: Path, target: Path) -> None:
    """Copy one file to a new name, whole or not at all. Raises UsageError where `target` exists."""
    partial = _partial(target)
    try:
        shutil.copyfile(source, partial)
        publish(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def publish(partial: Path, target: Path) -> None:
    """Give a whole file its name. Raises UsageError where the name is taken."""
    try:
        os.link(partial, target)
    except FileExistsError as taken:
        raise UsageError(f"{target} exists and is not overwritten. Name another --out.") from taken
    partial.unlink()


def unpack(archive: Path, folder: Path) -> list[Problem]:
    """Unpack an archive into an empty folder and return what is wrong with it as a zip file.

    Members that cannot be trusted are left out: names that leave the folder, links, damaged or encrypted content.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [one for one in opened.infolist() if not one.is_dir()]
            problems = list(_problems(archive.name, members))
            if sum(one.file_size for one in members) > LARGEST:
                return problems
            for one in members:
                if _is_safe(one) and not _is_foreign(one.filename):
                    problems += _extract(opened, one, folder)
    except (zipfile.BadZipFile, OSError, EOFError) as broken:
        message = f"is no readable zip file ({broken})"
        return [error(archive.name, message, "Pack it again, as a plain zip file")]
    return problems


def _partial(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    member = zipfile.ZipInfo(name, TIME)
    member.create_system = 3
    member.external_attr = (stat.S_IFREG | MODE) << 16
    # Pictures are compressed already.
    member.compress_type = zipfile.ZIP_STORED if path.suffix == ".png" else zipfile.ZIP_DEFLATED
    member._compresslevel = LEVEL  # type: ignore[attr-defined]
    with path.open("rb") as source, archive.open(member, "w", force_zip64=path.stat().st_size > 1 << 31) as out:
        shutil.copyfileobj(source, out, CHUNK)


def _problems(place: str, members: list[zipfile.ZipInfo]) -> Iterator[Problem]:
    """What the directory of an archive tells."""
    names = [one.filename for one in members]
    if not names:
        yield error(place, "holds no file", "Write the predictions of the whole split into it")
    unsafe = [one.filename for one in members if not _is_safe(one)]
    if unsafe:
        message = f"{len(unsafe):,} members leave the archive, are links or have names that no server takes"
        yield error(place, f"{message} ({listed(unsafe)})", "Use plain relative names")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        message = f"{len(twice):,} names occur more than once ({listed(twice)})"
        yield error(place, message, "Pack every file once")
    foreign = [name for name in names if _is_foreign(name)]
    if foreign:
        message = f"holds {len(foreign):,} files of a file manager ({listed(foreign)})"
        yield warning(place, message, CLEAN)
    total = sum(one.file_size for one in members)
    if total > LARGEST:
        yield error(place, f"unpacks to {total:,} bytes, which is not believed", "Pack the results alone")


def _extract(opened: zipfile.ZipFile, one: zipfile.ZipInfo, folder: Path) -> list[Problem]:
    if one.flag_bits & ENCRYPTED:
        return [error(one.filename, "is encrypted", "Pack without a password")]
    target = folder / one.filename
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(one) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, CHUNK)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as broken:
        if target.is_file():
            target.unlink()
        return [error(one.filename, f"cannot be unpacked ({broken})", "Pack it again")]
    return []


def _is_safe(one: zipfile.ZipInfo) -> bool:
    name = one.filename
    path = PurePosixPath(name)
    is_link = stat.S_ISLNK(one.external_attr >> 16)
    is_plain = name.isprintable() and "\\" not in name and ":" not in path.parts[0] if path.parts else False
    return bool(is_plain and not is_link and not path.is_absolute() and ".." not in path.parts)


def _is_foreign(name: str) -> bool:
    return any(part in FOREIGN or part.startswith("._") for part in PurePosixPath(name).parts)
