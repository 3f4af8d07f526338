"""Pixels of the PNGs that label data sets ship, as they are stored; up to four times as fast as a general decoder.

Rows are inflated by igzip, which checks them to their end; libspng takes the filters off. Everything unusual (other bit
depths, interlacing, unknown or damaged parts, chunks that say what a pixel means) is left to a general decoder, which
decides what such a file means: https://www.w3.org/TR/png-3/. What is decoded here equals what Pillow and OpenCV decode.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyspng
from isal import isal_zlib
from numpy.typing import NDArray

START = b"\x89PNG\r\n\x1a\n"
PALETTE = 3
CHANNELS = {0: 1, 2: 3, PALETTE: 1, 6: 4}
"""Colour type -> numbers of a pixel, each of them a byte."""
DEPTH = 8
PLAIN_METHODS = bytes(3)
"""The numbers of compression, filter and interlacing."""
SILENT = frozenset((b"gAMA", b"sRGB", b"pHYs", b"tEXt", b"tIME"))
"""Chunks that change no stored number in any decoder."""
ONLY_INDEXED = frozenset((b"PLTE", b"tRNS"))
PALETTES = range(3, 3 * 256 + 1, 3)
"""Bytes that a palette may have."""
MOST_PIXELS = 1 << 26
DEFLATE = 1032
"""Bytes that one byte of a deflate stream can become at most."""
_WORD = 8
_BLOCK = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The rows of a picture [height, W] from `top` on, outside of which all is 0. rows: [h, W] or [h, W, C]."""

    rows: NDArray[np.uint8]
    top: int
    height: int

    def whole(self) -> NDArray[np.uint8]:
        """All rows, [height, W] or [height, W, C]."""
        if len(self.rows) == self.height:
            return self.rows
        pixels = np.zeros((self.height, *self.rows.shape[1:]), self.rows.dtype)
        pixels[self.top : self.top + len(self.rows)] = self.rows
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What a file of numbers of 8 bits says of its pixels. kind: colour type."""

    height: int
    width: int
    kind: int

    @classmethod
    def of(cls, content: bytes) -> _Header | None:
        """The content of IHDR; None for pictures that are not plain."""
        if len(content) != 13 or content[10:] != PLAIN_METHODS or content[8] != DEPTH or content[9] not in CHANNELS:
            return None
        width, height = struct.unpack(">II", content[:8])
        is_believed = 0 < height * width <= MOST_PIXELS
        return cls(height=height, width=width, kind=content[9]) if is_believed else None

    @property
    def stride(self) -> int:
        """Bytes of a row, the number of its filter included."""
        return self.width * CHANNELS[self.kind] + 1

    @property
    def num_bytes(self) -> int:
        """Bytes of all rows."""
        return self.height * self.stride

    def allows(self, kind: bytes, content: bytes) -> bool:
        """Whether a chunk may stand in a plain file."""
        if kind in ONLY_INDEXED:
            return self.kind == PALETTE and (kind != b"PLTE" or len(content) in PALETTES)
        return kind in SILENT


def decode(data: bytes) -> NDArray[np.uint8] | None:
    """Stored numbers of a whole file; None where a general decoder should look at it.

    uint8 [H, W] for palette indices and grey, uint8 [H, W, 3 or 4] for colours, RGB(A) in this order.
    """
    band = decode_band(data)
    return None if band is None else band.whole()


def decode_band(data: bytes) -> Band | None:
    """`decode`, of the rows that hold something alone where there are others: most of a mask's file is empty."""
    header, packed = None, []
    for kind, content in _chunks(data):
        if kind == b"IDAT":
            packed.append(content)
        elif kind == b"IEND":
            return _pixels(packed, header) if header is not None else None
        elif kind == b"IHDR":
            if header is not None:
                return None
            header = _Header.of(content)
        elif header is None or not header.allows(kind, content):
            return None
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of the chunks; ends at the first that is damaged."""
    place = len(START)
    while data.startswith(START) and place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 8 + length
        kind, content = data[place + 4 : place + 8], data[place + 8 : end]
        if end + 4 > len(data) or isal_zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return
        yield kind, content
        place = end + 4


def _pixels(packed: list[bytes], header: _Header) -> Band | None:
    """The pixels of a file whose chunks are sound and plain."""
    rows = _inflated(b"".join(packed), header.num_bytes)
    if rows is None:
        return None
    if np.frombuffer(rows, np.uint8)[:: header.stride].any():
        return _unfiltered(rows, header) if header.kind != PALETTE else None
    stored = np.frombuffer(rows, np.uint8).reshape(header.height, header.stride)[:, 1:]
    if CHANNELS[header.kind] > 1:
        stored = stored.reshape(header.height, header.width, CHANNELS[header.kind])
    return Band(rows=stored, top=0, height=header.height)


def _inflated(packed: bytes, length: int) -> bytes | None:
    """What a deflate stream holds; None unless it is sound to its end and holds `length` bytes."""
    if len(packed) * DEFLATE < length:
        return None
    stream = isal_zlib.decompressobj()
    try:
        rows: bytes = stream.decompress(packed, length + 1)
    except isal_zlib.error:  # type: ignore[misc]  # the stub calls the class an instance
        return None
    return rows if stream.eof and len(rows) == length else None


def _unfiltered(rows: bytes, header: _Header) -> Band | None:
    """Numbers of 8 bits by libspng, which is given a file of inflated rows; None where it refuses.

    Rows of zeros at both ends are left out.
    """
    top, bottom = _drawn_rows(rows, header.stride)
    try:
        drawn = pyspng.load(_file_of(memoryview(rows)[top * header.stride : bottom * header.stride], header))
    except RuntimeError:
        return None
    return Band(rows=drawn, top=top, height=header.height)


def _drawn_rows(rows: bytes, stride: int) -> tuple[int, int]:
    """The first row that is not all zeros, filter included, and the one after the last such row."""
    height, num_words = len(rows) // stride, len(rows) // _WORD
    if rows.count(0, 0, stride) < stride:
        return 0, height
    drawn = np.flatnonzero(np.frombuffer(rows, np.uint64, num_words) != 0) * _WORD
    first = int(drawn[0]) if drawn.size else num_words * _WORD
    end = len(rows) if any(rows[num_words * _WORD :]) else int(drawn[-1]) + _WORD
    return first // stride, -(-end // stride)


def _file_of(rows: memoryview, header: _Header) -> bytes:
    """A PNG of inflated rows, which lie in it as they are, in blocks of at most 65,535 bytes."""
    size = struct.pack(">II", header.width, len(rows) // header.stride)
    parts: list[bytes | memoryview] = [b"IDAT\x78\x01"]
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        parts += [struct.pack("<BHH", start + _BLOCK >= len(rows), len(block), len(block) ^ 0xFFFF), block]
    parts.append(isal_zlib.adler32(rows).to_bytes(4, "big"))
    opening = [START, *_chunk(b"IHDR" + size + bytes((DEPTH, header.kind)) + PLAIN_METHODS)]
    return b"".join((*opening, *_chunk(*parts), *_chunk(b"IEND")))


def _chunk(*parts: bytes | memoryview) -> list[bytes | memoryview]:
    """The parts of a chunk, its kind first, between its length and its checksum."""
    checksum = 0
    for part in parts:
        checksum = isal_zlib.crc32(part, checksum)
    return [(sum(map(len, parts)) - 4).to_bytes(4, "big"), *parts, checksum.to_bytes(4, "big")]
