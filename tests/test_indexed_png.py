"""Palette indices read by zlib alone are those that Pillow reads, and unusual files are left to Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.formats import indexed_masks, indexed_png
from benchmark.formats.image_files import read_numbers
from benchmark.problems import DataError


def png(ids: np.ndarray, **options: object) -> bytes:
    """An indexed PNG as Pillow writes it. ids: uint8 [H, W]."""
    image = Image.fromarray(ids)
    image.putpalette(indexed_masks.palette())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def drawn(size: tuple[int, int] = (23, 31), most: int = 5) -> np.ndarray:
    return np.random.default_rng(size[0]).integers(0, most, size).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 1), (23, 31), (300, 200)])
@pytest.mark.parametrize("most", [1, 2, 200, 256])
def test_eight_bits_are_read_as_by_pillow(size: tuple[int, int], most: int) -> None:
    data = png(drawn(size, most), bits=8)
    found = indexed_png.decode(data)
    assert found is not None and found.dtype == np.uint8
    assert (found == by_pillow(data)).all()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_rows(rows: bytes, header: bytes = struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0)) -> bytes:
    """A PNG of 4x2 pixels made of raw rows, each behind the number of its filter."""
    parts = [chunk(b"IHDR", header), chunk(b"PLTE", indexed_masks.palette()), chunk(b"IDAT", zlib.compress(rows))]
    return indexed_png.START + b"".join([*parts, chunk(b"IEND", b"")])


PLAIN = b"\0\1\2\3\4\0\5\6\7\0"
LEFT_TO_PILLOW: dict[str, bytes] = {
    "four bits": png(drawn(), bits=4),
    "one bit": png(drawn(most=2), bits=1),
    "filtered rows": with_rows(b"\1\1\1\1\1\2\1\1\1\1"),
    "too few rows": with_rows(PLAIN[:5]),
    "too many rows": with_rows(PLAIN * 2),
    "interlaced": with_rows(PLAIN, struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 1)),
    "grey": with_rows(PLAIN, struct.pack(">IIBBBBB", 4, 2, 8, 0, 0, 0, 0)),
    "no pixels": with_rows(b"", struct.pack(">IIBBBBB", 0, 0, 8, 3, 0, 0, 0)),
    "huge": with_rows(PLAIN, struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, 3, 0, 0, 0)),
    "unknown chunk": with_rows(PLAIN).replace(b"PLTE", b"acTL"),
    "cut": with_rows(PLAIN)[:-8],
    "empty": b"",
    "no PNG": b"GIF89a" + bytes(40),
}


@pytest.mark.parametrize("kind", LEFT_TO_PILLOW)
def test_unusual_files_are_left_to_pillow(kind: str) -> None:
    assert indexed_png.decode(LEFT_TO_PILLOW[kind]) is None


def test_plain_rows_are_read() -> None:
    found = indexed_png.decode(with_rows(PLAIN))
    assert found is not None and found.tolist() == [[1, 2, 3, 4], [5, 6, 7, 0]]


def test_a_small_file_that_unpacks_to_much_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(1 << 27), 9)
    assert len(bomb) * indexed_png.DEFLATE > indexed_png.MOST_BYTES
    header = struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"PLTE", b"\0\0\0"), chunk(b"IDAT", bomb), chunk(b"IEND", b"")]
    assert indexed_png.decode(indexed_png.START + b"".join(parts)) is None


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_gives_pillows_pixels_or_an_error(place: int, value: int) -> None:
    data = bytearray(png(drawn(), bits=8))
    data[place % len(data)] = value
    found = indexed_png.decode(bytes(data))
    if found is not None:
        assert (found == by_pillow(bytes(data))).all()


def test_damage_is_told_by_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    data = png(drawn((200, 200), 90), bits=8)
    path.write_bytes(data[: len(data) // 2] + data[-12:])
    with pytest.raises(DataError, match="is truncated or damaged"):
        read_numbers(path)


@pytest.mark.parametrize("most", [1, 4, 17, 256])
def test_present_numbers_are_found(most: int) -> None:
    for size in ((1, 1), (1, 7), (8, 8), (9, 13), (60, 70)):
        numbers = drawn(size, most)
        assert indexed_masks.present(numbers) == [one for one in np.unique(numbers).tolist() if one]
    sparse = np.zeros((40, 50), np.uint8)
    sparse[20, 30], sparse[-1, -1] = most - 1, 255
    assert indexed_masks.present(sparse) == sorted({most - 1, 255} - {0})


def test_a_palette_of_broken_colours_is_left_to_pillow() -> None:
    data = png(drawn())
    palette = indexed_masks.palette()[:-1]
    chunk = struct.pack(">I", len(palette)) + b"PLTE" + palette + struct.pack(">I", zlib.crc32(b"PLTE" + palette))
    place = data.index(b"PLTE") - 4
    assert indexed_png.decode(data[:place] + chunk + data[place + 12 + 768 :]) is None
