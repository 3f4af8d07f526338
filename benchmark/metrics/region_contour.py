"""Counts behind J (region overlap) and F (contour accuracy) of the masks of one frame, all objects at once.

Equal to davis2017-evaluation (https://github.com/davisvideochallenge/davis2017-evaluation, ac7c43f): a contour pixel
is one that differs from its right, lower or lower right neighbour, so an object has no contour along the image border;
it is a hit where a contour pixel of the other side lies within a disc of ceil(0.008 of the image's diagonal) pixels.
Contours lie in bit planes: bit b of a pixel says that it is on the contour of object b of a group of eight, so eight
objects cost what one costs; the disc is looked up around contour pixels alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

BOUND = 0.008
"""Tolerance of a contour as a share of the image's diagonal."""
GROUP_SIZE = 8
"""Objects of a bit plane."""
_WORD = 8
_MOST_PIXELS = 1 << 24
"""A float32 histogram counts so far without rounding; larger frames are counted in strips."""
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.float64)
COLUMNS = ("common", "union", "found_edge", "truth_edge", "found_hits", "truth_hits")
"""What is counted of a pair of masks, which `region` and `contour` turn into scores."""


def tolerance(size: tuple[int, int], bound: float = BOUND) -> int:
    """Radius of the disc in pixels, 8 at 480x854. size: (height, width)."""
    return math.ceil(bound * math.sqrt(size[0] * size[0] + size[1] * size[1]))


def region(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """J, float64 [...], of counts [..., 6]; 1 where both masks are empty."""
    common, union = counts[..., 0], counts[..., 1]
    return np.divide(common, union, out=np.ones(common.shape), where=union > 0)


def contour(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """F, float64 [...], of counts [..., 6]; 1 where neither has a contour, 0 where one has none."""
    found_edge, truth_edge = counts[..., 2], counts[..., 3]
    precision = np.divide(counts[..., 4], found_edge, out=np.ones(found_edge.shape), where=found_edge > 0)
    recall = np.divide(counts[..., 5], truth_edge, out=np.ones(truth_edge.shape), where=truth_edge > 0)
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros(total.shape), where=total > 0)


@dataclass(frozen=True, slots=True)
class Group:
    """Up to eight objects of a layer.

    table: uint8 [256], number of a pixel -> bits of the objects that it belongs to; 0 belongs to none.
    numbers: the one number of each object, -1 for an object that does not occur; None where numbers are bits.
    """

    table: NDArray[np.uint8]
    numbers: tuple[int, ...] | None

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Group:
        """Objects that cannot overlap, by their numbers."""
        table = np.zeros(256, np.uint8)
        for bit, number in enumerate(numbers):
            table[number] |= (1 << bit) if number > 0 else 0
        return cls(table, tuple(numbers))


@dataclass(frozen=True, slots=True)
class Layer:
    """Objects of one side of a frame.

    numbers: uint8 [H, W], contiguous.   groups: of up to eight objects each.
    """

    numbers: NDArray[np.uint8]
    groups: tuple[Group, ...]


class Scratch:
    """Memory that the frames of a video use in turn, so that none is asked for anew."""

    def __init__(self) -> None:
        self._arrays: dict[object, NDArray[np.uint8]] = {}

    def bytes(self, name: object, size: int) -> NDArray[np.uint8]:
        """uint8 [size] of unknown content; all 0 at first, and for ever where the user leaves it so."""
        if name not in self._arrays or len(self._arrays[name]) < size:
            self._arrays[name] = np.zeros(size, np.uint8)
        return self._arrays[name][:size]


def count_same(found: Sequence[Layer], truth: Sequence[Layer], radius: int, scratch: Scratch) -> NDArray[np.int64]:
    """int64 [8 * G, 6]: object b of group g of one side against the same object of the other; see `COLUMNS`.

    found, truth: layers cropped alike, of G groups in all. radius: the tolerance in pixels.
    """
    rows = [np.zeros((0, len(COLUMNS)), np.int64)]
    sides = _outlines(found, radius, scratch), _outlines(truth, radius, scratch)
    for a, b in zip(*sides, strict=True):
        common, area_found, area_truth = _same_pixels(a, b, scratch)
        (found_hits,), (truth_hits,) = _near([a], b, scratch), _near([b], a, scratch)
        hits = _per_object(a.bits & found_hits), _per_object(b.bits & truth_hits)
        counts = (common, area_found + area_truth - common, _per_object(a.bits), _per_object(b.bits), *hits)
        rows.append(np.stack(counts, axis=1))
    return np.concatenate(rows)


def count_pairs(found: Sequence[Layer], truth: Sequence[Layer], radius: int, scratch: Scratch) -> NDArray[np.int64]:
    """int64 [N, M, 6]: every object of one side against every object of the other; see `COLUMNS`.

    found, truth: layers cropped alike; N and M are 8 a group. radius: the tolerance in pixels.
    """
    a, b = _outlines(found, radius, scratch), _outlines(truth, radius, scratch)
    counts = np.zeros((GROUP_SIZE * len(a), GROUP_SIZE * len(b), len(COLUMNS)), np.int64)
    near_truth = [_near(a, other, scratch) for other in b]
    near_found = [_near(b, other, scratch) for other in a]
    for row, one in enumerate(a):
        for column, other in enumerate(b):
            part = counts[GROUP_SIZE * row : GROUP_SIZE * (row + 1), GROUP_SIZE * column : GROUP_SIZE * (column + 1)]
            common = part[..., 0] = _common(one, other)
            part[..., 1] = _areas(one, scratch)[:, None] + _areas(other, scratch) - common
            part[..., 2], part[..., 3] = _per_object(one.bits)[:, None], _per_object(other.bits)
            part[..., 4] = _per_pair(one.bits, near_truth[column][row])
            part[..., 5] = _per_pair(other.bits, near_found[row][column]).T
    return counts


def crop(*maps: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Rows and columns outside of which nothing happens: the box of the pixels that are not 0, one pixel wider.

    maps: uint8 [H, W] each. Contours reach one pixel beyond their object towards the origin.
    """
    some = maps[0]
    for other in maps[1:]:
        some = some | other
    x, y, width, height = cv2.boundingRect(some)
    if not width:
        return slice(0, 0), slice(0, 0)
    rows = slice(max(y - 1, 0), min(y + height + 1, some.shape[0]))
    return rows, slice(max(x - 1, 0), min(x + width + 1, some.shape[1]))


@dataclass(frozen=True, slots=True)
class _Outline:
    """The contours of one group of a layer.

    numbers: see `Layer`.   position: int64 [N], contour pixels, in an image whose rows have `stride` pixels and
    whose first `radius` rows are empty.   bits: uint8 [N], the objects on whose contour each of them is.
    """

    numbers: NDArray[np.uint8]
    group: Group
    radius: int
    position: NDArray[np.intp]
    bits: NDArray[np.uint8]

    @property
    def stride(self) -> int:
        """Rows stand apart, so that a shift by any offset inside the disc is a shift of one flat array."""
        return self.numbers.shape[1] + self.radius

    def mask(self, bit: int, memory: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """bool [H, W] of one object, in `memory`; None for one that does not occur."""
        out = memory.view(bool).reshape(self.numbers.shape)
        if self.group.numbers is None:
            return np.not_equal(self.numbers & np.uint8(1 << bit), 0, out=out)
        number = self.group.numbers[bit] if bit < len(self.group.numbers) else -1
        return np.equal(self.numbers, np.uint8(number), out=out) if number > 0 else None


def _outlines(layers: Sequence[Layer], radius: int, scratch: Scratch) -> list[_Outline]:
    """The contours of every group of every layer."""
    found = []
    for layer in layers:
        height, width = layer.numbers.shape
        flat = layer.numbers.ravel()
        place = _changes(layer.numbers, scratch)
        line = place // max(width, 1)
        column = place - line * width
        right = place + (column < width - 1)
        below = width * (line < height - 1)
        around = [flat[where] for where in (place, right, place + below, right + below)]
        position = place + (line * radius + radius * (width + radius))
        for group in layer.groups:
            own, *others = (group.table[one] for one in around)
            bits = np.zeros_like(own)
            for other in others:
                bits |= own ^ other
            some = np.flatnonzero(bits != 0)
            found.append(_Outline(layer.numbers, group, radius, position[some], bits[some]))
    return found


def _changes(numbers: NDArray[np.uint8], scratch: Scratch) -> NDArray[np.intp]:
    """Flat positions, int64 [N], of pixels that differ from their right, lower or lower right neighbour."""
    height, width = numbers.shape
    size = numbers.size
    if not size:
        return np.zeros(0, np.intp)
    flat = numbers.ravel()
    memory = scratch.bytes("changes", -(-size // _WORD) * _WORD)
    memory[size - 1 :] = 0
    np.bitwise_xor(flat[:-1], flat[1:], out=memory[: size - 1])
    _add_changes(flat, width + 1, memory, scratch)
    memory[:size].reshape(height, width)[:, -1] = 0  # no right neighbour, but a lower one
    _add_changes(flat, width, memory, scratch)
    words = memory.view(np.uint64)
    some = np.flatnonzero(words != 0)
    inside = np.flatnonzero(words[some].view(np.uint8) != 0)
    return some[inside // _WORD] * _WORD + inside % _WORD


def _add_changes(flat: NDArray[np.uint8], shift: int, memory: NDArray[np.uint8], scratch: Scratch) -> None:
    """Mark pixels that differ from the one `shift` further on."""
    if shift < len(flat):
        part = scratch.bytes("change", len(flat) - shift)
        np.bitwise_xor(flat[:-shift], flat[shift:], out=part)
        memory[: len(part)] |= part


def _near(queries: Sequence[_Outline], other: _Outline, scratch: Scratch) -> list[NDArray[np.uint8]]:
    """For each query uint8 [N]: the objects of `other` on whose contour a pixel of the disc around each pixel is."""
    near = [np.zeros(len(query.position), np.uint8) for query in queries]
    if not len(other.position) or not any(len(one) for one in near):
        return near
    radius, stride = other.radius, other.stride
    image = scratch.bytes("image", (other.numbers.shape[0] + 2 * radius) * stride)
    image[other.position] = other.bits
    runs = _runs(image, radius, scratch)
    for reach, lines in _lines(radius).items():
        spread = _spread(runs, reach, scratch)
        for line in lines:
            for query, found in zip(queries, near, strict=True):
                found |= spread[query.position + (line * stride - reach)]
    image[other.position] = 0
    return near


def _per_object(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64 [8], how many of the pixels [N] have each bit."""
    return np.rint(np.bincount(bits, minlength=256) @ _BITS).astype(np.int64)


def _per_pair(bits: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64 [8, 8], how many of the pixels [N] have each bit of the one and each of the other."""
    return np.rint(_BITS[bits].T @ _BITS[others]).astype(np.int64)


def _lines(radius: int) -> dict[int, list[int]]:
    """Half the length of a row of the disc -> the rows that have it, counted from the centre."""
    lines: dict[int, list[int]] = {}
    for line in range(-radius, radius + 1):
        lines.setdefault(math.isqrt(radius * radius - line * line), []).append(line)
    return lines


def _runs(image: NDArray[np.uint8], radius: int, scratch: Scratch) -> dict[int, NDArray[np.uint8]]:
    """Length -> array whose pixel i is the union of so many pixels from i on; lengths are powers of two."""
    runs = {1: image}
    length = 1
    while 2 * length <= 2 * radius + 1:
        out = scratch.bytes(("run", length), len(runs[length]) - length)
        runs[2 * length] = np.bitwise_or(runs[length][:-length], runs[length][length:], out=out)
        length *= 2
    return runs


def _spread(runs: dict[int, NDArray[np.uint8]], reach: int, scratch: Scratch) -> NDArray[np.uint8]:
    """Array whose pixel i is the union of the 2 reach + 1 pixels from i on."""
    length = 1 << ((2 * reach + 1).bit_length() - 1)
    rest = 2 * reach + 1 - length
    run = runs[length]
    return np.bitwise_or(run[:-rest], run[rest:], out=scratch.bytes("spread", len(run) - rest)) if rest else run


def _same_pixels(a: _Outline, b: _Outline, scratch: Scratch) -> NDArray[np.int64]:
    """int64 [3, 8]: common pixels of each object, its pixels in the one and in the other."""
    counts = np.zeros((3, GROUP_SIZE), np.int64)
    memory = [scratch.bytes(name, a.numbers.size) for name in ("mask", "other mask")]
    for bit in range(GROUP_SIZE):
        found, truth = a.mask(bit, memory[0]), b.mask(bit, memory[1])
        counts[1, bit] = 0 if found is None else np.count_nonzero(found)
        counts[2, bit] = 0 if truth is None else np.count_nonzero(truth)
        if found is not None and truth is not None:
            counts[0, bit] = np.count_nonzero(np.logical_and(found, truth, out=found))
    return counts


def _areas(outline: _Outline, scratch: Scratch) -> NDArray[np.int64]:
    """int64 [8], pixels of each object."""
    memory = scratch.bytes("mask", outline.numbers.size)
    found = (outline.mask(bit, memory) for bit in range(GROUP_SIZE))
    return np.array([0 if mask is None else np.count_nonzero(mask) for mask in found], np.int64)


def _common(a: _Outline, b: _Outline) -> NDArray[np.int64]:
    """int64 [8, 8], common pixels of every object of one group with every object of the other."""
    joint = np.zeros((256, 256))
    rows = max(1, _MOST_PIXELS // max(a.numbers.shape[1], 1))
    for start in range(0, a.numbers.shape[0], rows) if a.numbers.size else ():
        strips = [np.ascontiguousarray(one.numbers[start : start + rows]) for one in (a, b)]
        joint += cv2.calcHist(strips, [0, 1], None, [256, 256], [0, 256, 0, 256])
    return np.rint(_BITS[a.group.table].T @ joint @ _BITS[b.group.table]).astype(np.int64)
