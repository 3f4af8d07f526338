"""Plain PNGs hold what Pillow and OpenCV read in them, and unusual files are left to these."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.formats import indexed_masks, plain_png
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
    found = plain_png.decode(data)
    assert found is not None and found.dtype == np.uint8
    assert (found == by_pillow(data)).all()


KINDS: dict[str, tuple[int, ...]] = {"grey": (), "colours": (3,), "colours and alpha": (4,)}


def stored(kind: str, size: tuple[int, int], most: int) -> np.ndarray:
    """Drawn pixels, mostly equal to their neighbours, so that rows are filtered in every way."""
    channels = KINDS[kind]
    dice = np.random.default_rng([*size, most])
    coarse = dice.integers(0, most, (-(-size[0] // 5), -(-size[1] // 3), *channels)).astype(np.uint8)
    pixels = coarse.repeat(5, axis=0).repeat(3, axis=1)[: size[0], : size[1]]
    rare = dice.random(pixels.shape) < 0.02
    return np.where(rare, pixels // 2 + 1, pixels).astype(np.uint8)


def by_opencv(data: bytes) -> np.ndarray | None:
    """Pixels as OpenCV reads them, colours turned to RGB(A)."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim == 2:
        return pixels
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def written(pixels: np.ndarray, tool: str) -> bytes:
    """A PNG by one of the tools that write label files; their rows are filtered differently."""
    if tool == "Pillow":
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        return buffer.getvalue()
    turned = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    level = [] if tool == "OpenCV" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    return bytes(cv2.imencode(".png", np.ascontiguousarray(turned), level)[1])


@pytest.mark.parametrize("tool", ["Pillow", "OpenCV", "OpenCV, all filters"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (40, 1), (23, 31), (64, 200)])
def test_filtered_rows_are_read_as_they_were_written(kind: str, size: tuple[int, int], tool: str) -> None:
    for most in (1, 4, 256):
        pixels = stored(kind, size, most)
        found = plain_png.decode(written(pixels, tool))
        assert found is not None and found.dtype == pixels.dtype
        assert found.shape == pixels.shape and (found == pixels).all()


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10_000), st.integers(0, 255))
def test_changed_rows_with_a_sound_checksum_give_opencvs_pixels_or_none(kind: str, place: int, value: int) -> None:
    data = written(stored(kind, (23, 31), 9), "Pillow")
    start = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", data[start - 8 : start - 4])
    rows = bytearray(zlib.decompress(data[start : start + length]))
    rows[place % len(rows)] = value
    packed = zlib.compress(bytes(rows))
    packed = packed[: len(packed) - place % 3 * 4]
    changed = data[: start - 8] + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    found = plain_png.decode(changed)
    if found is not None:
        other = by_opencv(changed)
        assert other is None or (found == other).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [(0, 1), (0, 3), (7, 9), (57, 60), (59, 60), (20, 45)])
@pytest.mark.parametrize("columns", [(0, 1), (30, 33), (3, 20)])
def test_rows_of_zeros_around_an_object_come_back(kind: str, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    pixels = np.zeros((60, 33, *KINDS[kind]), np.uint8)
    pixels[slice(*rows), slice(*columns)] = 255
    found = plain_png.decode(written(pixels, "OpenCV, all filters"))
    assert found is not None and (found == pixels).all()


def test_a_stream_with_a_wrong_checksum_is_left_to_others() -> None:
    data = written(stored("grey", (23, 31), 9), "Pillow")
    place = data.index(b"IDAT") - 4
    packed = data[place + 8 : place + 8 + struct.unpack_from(">I", data, place)[0]]
    wrong = chunk(b"IDAT", packed[:-1] + bytes([packed[-1] ^ 1]))
    assert plain_png.decode(data[:place] + wrong + chunk(b"IEND", b"")) is None


def test_transparency_of_grey_and_colours_is_left_to_others() -> None:
    for kind, hidden in (("grey", b"\0\1"), ("colours", bytes(6))):
        data = written(stored(kind, (9, 9), 4), "Pillow")
        assert plain_png.decode(data[:33] + chunk(b"tRNS", hidden) + data[33:]) is None


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_rows(rows: bytes, header: bytes = struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0)) -> bytes:
    """A PNG of 4x2 pixels made of raw rows, each behind the number of its filter."""
    parts = [chunk(b"IHDR", header), chunk(b"PLTE", indexed_masks.palette()), chunk(b"IDAT", zlib.compress(rows))]
    return plain_png.START + b"".join([*parts, chunk(b"IEND", b"")])


PLAIN = b"\0\1\2\3\4\0\5\6\7\0"
LEFT_TO_PILLOW: dict[str, bytes] = {
    "sixteen bits": bytes(cv2.imencode(".png", np.arange(99, dtype=np.uint16).reshape(9, 11))[1]),
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
    assert plain_png.decode(LEFT_TO_PILLOW[kind]) is None


def test_plain_rows_are_read() -> None:
    found = plain_png.decode(with_rows(PLAIN))
    assert found is not None and found.tolist() == [[1, 2, 3, 4], [5, 6, 7, 0]]


def test_a_small_file_that_unpacks_to_much_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(1 << 27), 9)
    assert len(bomb) * plain_png.DEFLATE > 1 << 26
    header = struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"PLTE", b"\0\0\0"), chunk(b"IDAT", bomb), chunk(b"IEND", b"")]
    assert plain_png.decode(plain_png.START + b"".join(parts)) is None


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_gives_pillows_pixels_or_an_error(place: int, value: int) -> None:
    data = bytearray(png(drawn(), bits=8))
    data[place % len(data)] = value
    found = plain_png.decode(bytes(data))
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
    assert plain_png.decode(data[:place] + chunk + data[place + 12 + 768 :]) is None
