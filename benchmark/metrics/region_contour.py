"""Counts behind J (region overlap) and F (contour accuracy) of the masks of one frame, all objects at once.

Equal to davis2017-evaluation (https://github.com/davisvideochallenge/davis2017-evaluation, ac7c43f): a contour pixel
is one that differs from its right, lower or lower right neighbour, so an object has no contour along the image border;
it is a hit where a contour pixel of the other side lies within a disc of ceil(0.008 of the image's diagonal) pixels.
Masks are bit planes: bit b of a pixel says that the pixel belongs to object b, so eight objects cost what one costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

BOUND = 0.008
"""Tolerance of a contour as a share of the image's diagonal."""
NUM_PLANES = 8
_MOST_PIXELS = 1 << 24
"""A float32 histogram counts so far without rounding; larger frames are counted in strips."""
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.float64)


def tolerance(size: tuple[int, int], bound: float = BOUND) -> int:
    """Radius of the disc in pixels, 8 at 480x854. size: (height, width)."""
    return math.ceil(bound * math.sqrt(size[0] * size[0] + size[1] * size[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Pixels of N predicted against M true masks of a frame, whole numbers as int64.

    found, truth: [N] and [M], pixels of each mask.   common: [N, M], pixels of both.
    found_edge, truth_edge: [N] and [M], contour pixels.
    found_hits: [N, M], predicted contour pixels near the true contour.   truth_hits: [N, M], the other way round.
    """

    found: NDArray[np.int64]
    truth: NDArray[np.int64]
    common: NDArray[np.int64]
    found_edge: NDArray[np.int64]
    truth_edge: NDArray[np.int64]
    found_hits: NDArray[np.int64]
    truth_hits: NDArray[np.int64]

    def columns(self, found: Sequence[int], truth: Sequence[int]) -> NDArray[np.int64]:
        """int64 [P, 6] of P pairs (position among the predictions, position among the truths): see `COLUMNS`."""
        rows, columns = np.asarray(found, np.intp), np.asarray(truth, np.intp)
        common = self.common[rows, columns]
        union = self.found[rows] + self.truth[columns] - common
        edges = (self.found_edge[rows], self.truth_edge[columns])
        return np.stack((common, union, *edges, self.found_hits[rows, columns], self.truth_hits[rows, columns]), axis=1)


COLUMNS = ("common", "union", "found_edge", "truth_edge", "found_hits", "truth_hits")
"""What `Counts.columns` holds of a pair, and `region` and `contour` turn into scores."""


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


def count_same(
    found: Sequence[NDArray[np.uint8]], truth: Sequence[NDArray[np.uint8]], radius: int
) -> NDArray[np.int64]:
    """int64 [8 * P, 6]: object b of plane p of one side against the same object of the other; see `COLUMNS`.

    found, truth: P planes each, uint8 [H, W], cropped alike. radius: the tolerance in pixels.
    """
    parts = [_compare_plane(a, b, radius) for a, b in zip(found, truth, strict=True)]
    return np.concatenate([np.zeros((0, len(COLUMNS)), np.int64), *parts])


def count_pairs(found: Sequence[NDArray[np.uint8]], truth: Sequence[NDArray[np.uint8]], radius: int) -> Counts:
    """Every object of one side against every object of the other.

    found, truth: planes uint8 [H, W], cropped alike; N and M of the result are 8 a plane. radius: in pixels.
    """
    edges_found, edges_truth = ([_Edges(plane, radius) for plane in planes] for planes in (found, truth))
    return Counts(
        found=_concatenated([_pixels(plane) for plane in found]),
        truth=_concatenated([_pixels(plane) for plane in truth]),
        common=_blocks([[_common(a, b) for b in truth] for a in found]),
        found_edge=_concatenated([edges.pixels for edges in edges_found]),
        truth_edge=_concatenated([edges.pixels for edges in edges_truth]),
        found_hits=_blocks([[a.near(b) for b in edges_truth] for a in edges_found]),
        truth_hits=_blocks([[b.near(a).T for b in edges_truth] for a in edges_found]),
    )


def _compare_plane(found: NDArray[np.uint8], truth: NDArray[np.uint8], radius: int) -> NDArray[np.int64]:
    a, b = _Edges(found, radius), _Edges(truth, radius)
    common = _pixels(found & truth)
    union = _pixels(found) + _pixels(truth) - common
    hits = np.diagonal(a.near(b)), np.diagonal(b.near(a))
    return np.stack((common, union, a.pixels, b.pixels, *hits), axis=1)


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


def _pixels(plane: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64 [8], pixels of each object of a plane."""
    present = int(np.bitwise_or.reduce(plane, axis=None)) if plane.size else 0
    if present in (1, 0):
        return np.array([cv2.countNonZero(plane) if present else 0, *[0] * (NUM_PLANES - 1)], np.int64)
    bits = range(NUM_PLANES)
    return np.array([cv2.countNonZero(plane & (1 << bit)) if present >> bit & 1 else 0 for bit in bits], np.int64)


def _common(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64 [8, 8], common pixels of every object of one plane with every object of the other."""
    joint = np.zeros((256, 256))
    rows = max(1, _MOST_PIXELS // max(found.shape[1], 1))
    for start in range(0, found.shape[0], rows) if found.size else ():
        strips = [np.ascontiguousarray(plane[start : start + rows]) for plane in (found, truth)]
        joint += cv2.calcHist(strips, [0, 1], None, [256, 256], [0, 256, 0, 256])
    return np.rint(_BITS.T @ joint @ _BITS).astype(np.int64)


class _Edges:
    """The contours of one plane: where they are, and how to ask whether another's pixels lie near them.

    Rows are laid end to end with `radius` zeros between them and `radius` empty rows above and below, so that a shift
    by any offset inside the disc is a shift of one flat array.
    """

    def __init__(self, plane: NDArray[np.uint8], radius: int) -> None:
        height, width = plane.shape
        self.radius = radius
        self.stride = width + radius
        rows = np.zeros((height + 2 * radius, self.stride), np.uint8)
        edges = rows[radius : radius + height, :width]
        np.bitwise_xor(plane[:, :-1], plane[:, 1:], out=edges[:, :-1])
        edges[:-1] |= plane[:-1] ^ plane[1:]
        edges[:-1, :-1] |= plane[:-1, :-1] ^ plane[1:, 1:]
        self.flat = rows.ravel()
        points = cv2.findNonZero(edges) if plane.size else None
        columns, lines = (points[:, 0, 0], points[:, 0, 1]) if points is not None else (np.zeros(0, np.int32),) * 2
        self.position = (lines.astype(np.intp) + radius) * self.stride + columns
        self.bits = _BITS[self.flat[self.position]]

    @property
    def pixels(self) -> NDArray[np.int64]:
        """int64 [8], contour pixels of each object."""
        return np.rint(self.bits.sum(axis=0)).astype(np.int64)

    def near(self, other: _Edges) -> NDArray[np.int64]:
        """int64 [8, 8], contour pixels of each object in the disc around a contour pixel of each object of `other`."""
        if not len(self.position) or not len(other.position):
            return np.zeros((NUM_PLANES, NUM_PLANES), np.int64)
        found = np.zeros(len(self.position), np.uint8)
        for line in range(-self.radius, self.radius + 1):
            reach = math.isqrt(self.radius * self.radius - line * line)
            found |= other.spread[reach][self.position + (line * self.stride - reach)]
        return np.rint(self.bits.T @ _BITS[found]).astype(np.int64)

    @cached_property
    def spread(self) -> dict[int, NDArray[np.uint8]]:
        """Reach -> uint8 array whose pixel i is the union of the 2 reach + 1 pixels of a row that start at i."""
        runs = {1: self.flat}
        length = 1
        while 2 * length <= 2 * self.radius + 1:
            runs[2 * length] = np.bitwise_or(runs[length][:-length], runs[length][length:])
            length *= 2
        spread: dict[int, NDArray[np.uint8]] = {}
        for line in range(self.radius + 1):
            reach = math.isqrt(self.radius * self.radius - line * line)
            length = 1 << ((2 * reach + 1).bit_length() - 1)
            rest = 2 * reach + 1 - length
            run = runs[length]
            spread[reach] = np.bitwise_or(run[:-rest], run[rest:]) if rest else run
        return spread


def _concatenated(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _blocks(parts: Sequence[Sequence[NDArray[np.int64]]]) -> NDArray[np.int64]:
    return np.block([list(row) for row in parts]) if parts and parts[0] else np.zeros((0, 0), np.int64)
