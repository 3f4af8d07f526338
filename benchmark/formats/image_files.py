"""PNG and JPEG files: decoding with a complaint that names the file, header sizes, end marks, atomic writing.

Label PNGs come back as their stored numbers (palette indices, not colours). Nothing here knows what a pixel means.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.formats import plain_png
from benchmark.formats.plain_png import Band
from benchmark.problems import DataError, Problem

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
SEGMENT, FRAMES = 0xFF, range(0xC0, 0xC3)
BEFORE_FRAME = frozenset((0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)))
"""Tables, comments and applications' own segments of a JPEG. FRAMES: headers of the usual kinds of frames."""
MOST_PIXELS = 2**29 - 1
"""Pixels that are believed; run lengths hold no more."""
TAIL = 4096
"""Bytes at the end of a file among which its end mark must lie; some cameras append a few of their own."""
EIGHT_BIT_GREY, EIGHT_BIT_RGB, EIGHT_BIT_RGBA = bytes((8, 0)), bytes((8, 2)), bytes((8, 6))
"""Bit depth and colour type, the bytes 24 and 25 of a PNG."""
EIGHT_BIT_INDICES, PALETTE = bytes((8, 3)), bytes((3,))
UNDECODABLE = (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for a damaged file."""
REMEDY = "Download or write this file again"


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """An image as uint8 [H, W, 3] RGB. Raises DataError."""
    data = _bytes(path)
    quick = plain_png.decode(data) if _is_png_of(data, EIGHT_BIT_RGB) else None
    return np.asarray(_decode(path, data, cv2.IMREAD_COLOR_RGB), np.uint8) if quick is None else quick


def read_numbers(path: Path) -> NDArray[Any]:
    """A single-channel PNG as stored: uint8 or uint16 [H, W]; palette images give indices. Raises DataError."""
    data = _bytes(path)
    kind = data[24:26] if data[:8] == PNG_START else b""
    numbers: NDArray[Any] | None = plain_png.decode(data) if kind in (EIGHT_BIT_GREY, EIGHT_BIT_INDICES) else None
    if numbers is None and kind[1:] == PALETTE:
        numbers = _with_pillow(path, data, lambda image: image)
    elif numbers is None:
        numbers = _decode(path, data, cv2.IMREAD_UNCHANGED)
    if numbers.ndim != 2:
        message = f"has {numbers.shape[2]} channels; expected one channel of numbers"
        raise DataError([Problem(place=str(path), message=message, remedy="Write it as an 8 or 16 bit grey PNG")])
    return numbers


def read_rgba(path: Path) -> NDArray[np.uint8]:
    """The four channels of an RGBA PNG as stored, uint8 [H, W, 4]; alpha is a number like the others. DataError."""
    data = _bytes(path)
    if not _is_png_of(data, EIGHT_BIT_RGBA):
        message = "is no PNG with four channels of 8 bits (RGBA)"
        raise DataError([Problem(place=str(path), message=message, remedy="Write the alpha channel, too: it is data")])
    quick = plain_png.decode(data)
    if quick is not None:
        return quick
    return np.ascontiguousarray(_decode(path, data, cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]])


def read_grey(path: Path) -> NDArray[np.uint8]:
    """An image in grey as Pillow's mode "L" has it (8 bit grey: as stored), uint8 [H, W]. Raises DataError."""
    return read_grey_band(path).whole()


def read_grey_band(path: Path) -> Band:
    """`read_grey`, of a band of rows outside of which all is 0. Raises DataError."""
    data = _bytes(path)
    grey: NDArray[np.uint8] | None = None
    if _is_png_of(data, EIGHT_BIT_GREY):
        quick = plain_png.decode_band(data)
        if quick is not None:
            return quick
        decoded = _decode(path, data, cv2.IMREAD_UNCHANGED)
        grey = decoded if decoded.ndim == 2 else None
    if grey is None:
        grey = _with_pillow(path, data, lambda image: image.convert("L"))
    return Band(rows=grey, top=0, height=len(grey))


def read_luminance(path: Path) -> NDArray[np.uint8]:
    """An image in grey as OpenCV has it (8 bit grey: as stored), uint8 [H, W]. Raises DataError."""
    data = _bytes(path)
    quick = plain_png.decode(data) if _is_png_of(data, EIGHT_BIT_GREY) else None
    return np.asarray(_decode(path, data, cv2.IMREAD_GRAYSCALE), np.uint8) if quick is None else quick


def header_size(path: Path) -> tuple[int, int]:
    """(height, width) as the file's header states it, and a check of its first and last bytes. Raises DataError."""
    try:
        with path.open("rb") as file:
            start = file.read(TAIL)
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - TAIL))
            end = file.read()
    except (OSError, ValueError) as error:
        raise DataError([_unreadable(path, error)]) from error
    if start[:8] == PNG_START and PNG_END in end and len(start) >= 24:
        return _believed(path, int.from_bytes(start[20:24], "big"), int.from_bytes(start[16:20], "big"))
    if start[:2] == JPEG_START and JPEG_END in end:
        return _jpeg_size(path, start)
    raise DataError([_broken(path, start)])


def _believed(path: Path, height: int, width: int) -> tuple[int, int]:
    """A size that a picture can have, so that no mask of it fills the memory. Raises DataError for others."""
    if 0 < height * width <= MOST_PIXELS:
        return height, width
    message = f"is {height}x{width} (height x width) by its header, which no picture is"
    raise DataError([Problem(place=str(path), message=message, remedy=REMEDY)])


def check_image(path: Path, size: tuple[int, int] | None, *, decode: bool) -> list[Problem]:
    """What is wrong with an image file. size: expected (height, width) or None. decode: look at every pixel, too."""
    try:
        found = header_size(path)
        if decode:
            found = _decode(path, _bytes(path), cv2.IMREAD_UNCHANGED).shape[:2]
    except DataError as error:
        return list(error.problems)
    return [] if size is None or found == size else [size_problem(path, found, size)]


def size_problem(path: Path, found: tuple[int, ...], expected: tuple[int, int]) -> Problem:
    """The complaint about a file of a wrong size. found, expected: (height, width)."""
    message = f"is {found[0]}x{found[1]} (height x width), expected {expected[0]}x{expected[1]}"
    return Problem(place=str(path), message=message, remedy="Use the file of the original size")


def write_png(path: Path, pixels: NDArray[Any], *, compression: int = 1) -> None:
    """Write uint8 or uint16 [H, W], or uint8 [H, W, 3 or 4] in RGB(A) order, whole or not at all."""
    _write(path, ".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, compression])


def write_jpeg(path: Path, pixels: NDArray[np.uint8], *, quality: int = 95) -> None:
    """Write uint8 [H, W, 3] RGB as a JPEG, whole or not at all."""
    _write(path, ".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write(path: Path, extension: str, pixels: NDArray[Any], options: list[int]) -> None:
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    is_done, data = cv2.imencode(extension, np.ascontiguousarray(pixels), options)
    if not is_done:
        raise ValueError(f"an image of shape {pixels.shape} and type {pixels.dtype} cannot be stored as {extension}")
    write_whole(path, data.tobytes())


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError([_unreadable(path, error)]) from error
    mark = PNG_END if data[:8] == PNG_START else JPEG_END
    if mark not in data[-TAIL:]:
        raise DataError([_broken(path, data)])
    return data


def _is_png_of(data: bytes, kind: bytes) -> bool:
    """Whether a file is a PNG of this bit depth and colour type."""
    return data[:8] == PNG_START and data[24:26] == kind


def _decode(path: Path, data: bytes, flag: int) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise DataError([_broken(path, data)])
    return np.asarray(pixels)


def _with_pillow(path: Path, data: bytes, turn: Callable[[Image.Image], Image.Image]) -> NDArray[Any]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(turn(image))
    except UNDECODABLE as error:
        raise DataError([_broken(path, data)]) from error


def _jpeg_size(path: Path, start: bytes) -> tuple[int, int]:
    """(height, width) as the frame header says, which is among the first bytes of most files."""
    place = 2
    while place + 9 <= len(start) and start[place] == SEGMENT and start[place + 1] in BEFORE_FRAME:
        place += 2 + int.from_bytes(start[place + 2 : place + 4], "big")
    if place + 9 <= len(start) and start[place] == SEGMENT and start[place + 1] in FRAMES:
        size = struct.unpack(">HH", start[place + 5 : place + 9])
        if all(size):
            return size
    try:
        with path.open("rb") as file, Image.open(file) as image:
            return image.height, image.width
    except UNDECODABLE as error:
        raise DataError([_broken(path, JPEG_START)]) from error


def _broken(path: Path, data: bytes) -> Problem:
    if not data:
        message = "is empty"
    elif data[:8] == PNG_START or data[:2] == JPEG_START:
        message = f"is truncated or damaged ({path.stat().st_size:,} bytes, no readable picture to its end)"
    else:
        message = f"is neither a PNG nor a JPEG file (it starts with {data[:8]!r})"
    return Problem(place=str(path), message=message, remedy=REMEDY)


def _unreadable(path: Path, error: OSError | ValueError) -> Problem:
    """The complaint about a file that cannot be opened; a ValueError is about its name."""
    if isinstance(error, FileNotFoundError):
        return Problem(place=str(path), message="the file is missing", remedy="Add it, or take it off the list")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Problem(place=str(path), message=f"cannot be read ({reason})", remedy="Check the file's permissions")
