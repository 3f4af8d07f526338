"""Statistics of many samples as blocks of bytes, appended to shards: small, quick to write, and safe from a kill.

```text
<folder>/<number>.stats    block block block ...
block                      "STB1", sizes of head and body, their CRC-32 (uint32 each, little endian), head, body
head                       JSON: {"ids": [...], "arrays": [[name, dtype, stored as, [shape of each sample's array]]]}
body                       the arrays, one after another, each with its samples' values end to end
```

Booleans are stored as bits and integers in the fewest bytes that hold them; what is read equals what was written to the
bit. A block is whole or it does not count: what a killed process left unfinished at the end of a shard is left out.
Every writer has a shard of its own; of blocks that hold one id the first in order of shards wins.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Stats
from benchmark.problems import DataError, Problem

SUFFIX = ".stats"
PLAIN_KINDS = "biuf"
"""Kinds of NumPy types that statistics may have: bool, integers, floats."""
_START = struct.Struct("<4sIII")
_MARK = b"STB1"
_BITS = "bits"
_NARROW = tuple(np.dtype(name) for name in ("<u1", "<i1", "<u2", "<i2", "<u4", "<i4"))


class BlockWriter:
    """Appends blocks to a new shard of a folder; each block reaches the operating system before the next is made."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = _new_shard(folder)

    def append(self, blocks: bytes) -> None:
        """Store what `encode` made of some samples."""
        self._file.write(blocks)
        self._file.flush()

    def __enter__(self) -> BlockWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_folder(folder: Path) -> dict[str, Stats]:
    """All statistics in the shards of a folder by sample id. Raises DataError with every shard that is damaged."""
    found: dict[str, Stats] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob(f"*{SUFFIX}"), key=lambda one: (len(one.name), one.name)):
        try:
            with path.open("rb") as file:
                for one in _read(file, path.stat().st_size, path):
                    found.setdefault(one.sample_id, one)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return found


def encode(stats: Sequence[Stats]) -> bytes:
    """Blocks of some samples, one for each stretch of samples whose arrays have the same names and types.

    Raises TypeError for arrays that hold no plain numbers.
    """
    return b"".join(_encode_alike(list(alike)) for _, alike in groupby(stats, key=_structure))


def decode(blocks: bytes) -> list[Stats]:
    """The statistics that `encode` was given."""
    return list(_read(BytesIO(blocks), len(blocks), Path()))


def _encode_alike(stats: Sequence[Stats]) -> bytes:
    arrays, parts = [], []
    _check_plain(array.dtype for array in stats[0].arrays.values())
    for name in stats[0].arrays:
        rows = [one.arrays[name] for one in stats]
        stored, content = _packed(np.concatenate([row.reshape(-1) for row in rows]))
        arrays.append([name, rows[0].dtype.str, stored, [row.shape for row in rows]])
        parts.append(content)
    head = json.dumps({"ids": [one.sample_id for one in stats], "arrays": arrays}, separators=(",", ":")).encode()
    body = b"".join(parts)
    return _START.pack(_MARK, len(head), len(body), zlib.crc32(body, zlib.crc32(head))) + head + body


def _decode_alike(head: bytes, body: bytes) -> Iterator[Stats]:
    content = json.loads(head)
    columns: dict[str, list[NDArray[Any]]] = {}
    place = 0
    for name, dtype, stored, shapes in content["arrays"]:
        ends = np.cumsum([math.prod(shape) for shape in shapes]).tolist()
        values, place = _unpacked(body, place, np.dtype(dtype), stored, ends[-1])
        starts = [0, *ends[:-1]]
        columns[name] = [values[a:b].reshape(shape) for a, b, shape in zip(starts, ends, shapes, strict=True)]
    for row, sample_id in enumerate(content["ids"]):
        yield Stats(sample_id=sample_id, arrays={name: rows[row] for name, rows in columns.items()})


def _structure(stats: Stats) -> tuple[tuple[str, ...], tuple[np.dtype[Any], ...]]:
    return tuple(stats.arrays), tuple([array.dtype for array in stats.arrays.values()])


def _check_plain(dtypes: Iterable[np.dtype[Any]]) -> None:
    wrong = next((dtype for dtype in dtypes if dtype.kind not in PLAIN_KINDS), None)
    if wrong is not None:
        raise TypeError(f"statistics must be bool, integer or float arrays, not {wrong}")


def _packed(values: NDArray[Any]) -> tuple[str, bytes]:
    """(how they are stored, the bytes) of values [N]."""
    if values.dtype.kind == "b":
        return _BITS, np.packbits(values).tobytes()
    stored = values.dtype
    if values.dtype.kind in "iu":
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        fitting = (one for one in _NARROW if np.iinfo(one).min <= low and high <= np.iinfo(one).max)
        narrow = next(fitting, stored)
        stored = narrow if narrow.itemsize < stored.itemsize else stored
    return stored.str, values.astype(stored, copy=False).tobytes()


def _unpacked(body: bytes, place: int, dtype: np.dtype[Any], stored: str, num: int) -> tuple[NDArray[Any], int]:
    """(values [num], the place behind them)."""
    if stored == _BITS:
        end = place + (num + 7) // 8
        bits = np.frombuffer(body, np.uint8, end - place, place)
        return np.unpackbits(bits, count=num).view(bool), end
    kind = np.dtype(stored)
    values = np.frombuffer(body, kind, num, place)
    return values.astype(dtype, copy=False), place + num * kind.itemsize


def _read(file: BinaryIO, size: int, path: Path) -> Iterator[Stats]:
    """The samples of whole blocks; raises DataError for bytes that are none, except a cut end. size: of the file."""
    place = 0
    while place + _START.size <= size:
        mark, head_size, body_size, checksum = _START.unpack(file.read(_START.size))
        end = place + _START.size + head_size + body_size
        if mark != _MARK:
            raise DataError([_damaged(path, place)])
        if end > size:
            return
        head, body = file.read(head_size), file.read(body_size)
        if zlib.crc32(body, zlib.crc32(head)) != checksum:
            if end == size:
                return
            raise DataError([_damaged(path, place)])
        yield from _decode_alike(head, body)
        place = end


def _new_shard(folder: Path) -> BinaryIO:
    """A file that no other writer has, after all others in order."""
    taken = [int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit()]
    number = max(taken, default=-1) + 1
    while True:
        try:
            handle = os.open(folder / f"{number}{SUFFIX}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            number += 1
            continue
        return os.fdopen(handle, "wb")


def _damaged(path: Path, place: int) -> Problem:
    return Problem(
        place=f"{path} (byte {place})",
        message="the stored statistics are damaged",
        remedy="Move this file away and run the same command again; what it held is then computed anew",
    )
