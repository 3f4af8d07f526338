"""What the headers of an archive's PNGs say: how their pixels are stored, and how large they are.

Damaged files are left to the row's reader, which decodes every pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.formats.image_files import PNG_START, header_size
from benchmark.problems import DataError
from leaderboards.forms import Contents, Png, Size
from leaderboards.problems import Problem, error, listed

KINDS = {0: "grey", 2: "RGB", 3: "a palette", 4: "grey with alpha", 6: "RGBA"}


def problems(contents: Contents, png: Png, sizes: Mapping[str, Size | None]) -> Iterator[Problem]:
    """What is wrong with the PNGs of an archive, one problem for each kind. sizes: name -> expected size."""
    stored: dict[str, list[str]] = {}
    resized: list[str] = []
    for name in contents.files:
        if not name.endswith(".png"):
            continue
        path = contents.folder / name
        kind = _other_kind(path, png)
        if kind:
            stored.setdefault(kind, []).append(name)
        elif _has_other_size(path, sizes.get(name)):
            resized.append(name)
    for kind, names in stored.items():
        message = f"{len(names):,} PNGs are {kind}, expected {png.meaning} ({listed(names)})"
        yield error(contents.name, message, "Write the numbers themselves, not a picture of them")
    if resized:
        height, width = header_size(contents.folder / resized[0])
        expected = sizes[resized[0]]
        message = f"{len(resized):,} PNGs are not of their picture's size (first: {resized[0]}, {height}x{width}"
        message += f", expected {expected[0]}x{expected[1]}, height x width)" if expected else ")"
        yield error(contents.name, message, "Write every map at the original size of its picture")


def _other_kind(path: Path, png: Png) -> str:
    """How the pixels are stored, "" if as expected; damaged files are the reader's."""
    with path.open("rb") as file:
        start = file.read(26)
    if start[:8] != PNG_START or len(start) < 26:
        return ""
    depth, color = start[24], start[25]
    if depth in png.bit_depths and color in png.color_types:
        return ""
    return f"{KINDS.get(color, 'of an unknown kind')} of {depth} bits"


def _has_other_size(path: Path, expected: Size | None) -> bool:
    try:
        return expected is not None and header_size(path) != expected
    except DataError:
        return False
