"""One matrix in a MATLAB 5 file (.mat): the form of PASCAL Context's label maps and of JHMDB's masks.

    128 bytes of header   elements: type, number of bytes, data, padded to 8; type 15 is a compressed element,
                          type 14 a matrix of flags, sizes, name and numbers, column by column

Only plain numbers are understood; cells, structures, objects and MATLAB 7.3 (HDF5) are refused. Nothing is executed.
https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.formats.image_files import write_whole
from benchmark.formats.image_records import MAX_SIDE
from benchmark.problems import DataError, Problem

MATRIX, COMPRESSED = 14, 15
STORED: Mapping[int, str] = MappingProxyType(
    {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
)
"""NumPy's letter of each type of numbers."""
NUMERIC = range(6, 16)
"""Classes of matrices that hold plain numbers."""
UINT16_CLASS, UINT16 = 11, 4
HEADER = 128
LARGEST = 2**28
"""Bytes of an element that are believed."""
REMEDY = "Give the official .mat file"


def read_matrix(path: Path, name: str, *, num_sides: int = 2) -> NDArray[Any]:
    """The numbers of a matrix, [H, W] or, of three sides, [H, W, T]. Raises DataError when it is missing or damaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise _error(path, "the file is missing") from error
    except OSError as error:
        raise _error(path, f"cannot be read ({error.strerror})") from error
    order = {b"IM": "<", b"MI": ">"}.get(data[HEADER - 2 : HEADER])
    if order is None or len(data) < HEADER:
        raise _error(path, "is no MATLAB 5 file")
    try:
        for kind, content in _elements(data[HEADER:], order):
            found = _matrix(kind, content, order, name, num_sides)
            if found is not None:
                return found
    except (ValueError, struct.error, zlib.error, KeyError, StopIteration) as error:
        raise _error(path, f"is damaged ({error})") from error
    raise _error(path, f"holds no matrix {name!r}")


def write_matrix(path: Path, name: str, numbers: NDArray[np.uint16]) -> None:
    """Write one compressed matrix, whole or not at all. numbers: uint16 [H, W]."""
    parts = (
        _element(6, struct.pack("<II", UINT16_CLASS, 0)),
        _element(5, struct.pack("<ii", *numbers.shape)),
        _element(1, name.encode("ascii")),
        _element(UINT16, numbers.astype("<u2").tobytes(order="F")),
    )
    packed = zlib.compress(_element(MATRIX, b"".join(parts)))
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    write_whole(path, head + struct.pack("<II", COMPRESSED, len(packed)) + packed)


def _matrix(kind: int, content: bytes, order: str, name: str, num_sides: int) -> NDArray[Any] | None:
    """The matrix in an element; None for one of another name. Raises ValueError for what is not understood."""
    if kind == COMPRESSED:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(content, LARGEST)
        if unpacker.unconsumed_tail:
            raise ValueError(f"an element is larger than {LARGEST:,} bytes")
        kind, content = next(_elements(plain, order))
    if kind != MATRIX:
        return None
    parts = _elements(content, order)
    (_, flags), (_, sizes), (_, found_name) = next(parts), next(parts), next(parts)
    if found_name.decode("ascii", errors="replace") != name:
        return None
    numeric_class = struct.unpack_from(f"{order}I", flags)[0] & 255
    shape = tuple(int(one) for one in np.frombuffer(sizes, f"{order}i4"))
    if numeric_class not in NUMERIC or len(shape) != num_sides or not all(1 <= side <= MAX_SIDE for side in shape):
        raise ValueError(f"{name!r} is not a plain matrix: class {numeric_class}, size {shape}")
    stored, numbers = next(parts)
    values = np.frombuffer(numbers, f"{order}{STORED[stored]}")
    if len(values) != math.prod(shape):
        raise ValueError(f"{name!r} has {len(values)} numbers, expected {' x '.join(map(str, shape))}")
    return values.reshape(shape, order="F")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, content) of the elements that lie one after the other. Raises ValueError for one that is cut off."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start = place + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if size > len(data) - start or (start == place + 4 and size > 4):
            raise ValueError(f"an element states {size:,} bytes, {len(data) - start:,} are left")
        yield kind, data[start : start + size]
        end = start + size
        place = end if kind == COMPRESSED else end + -(end - place) % 8


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _error(path: Path, message: str) -> DataError:
    return DataError([Problem(place=str(path), message=message, remedy=REMEDY)])
