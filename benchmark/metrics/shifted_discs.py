"""Contours of single masks, and how many of their pixels lie near another contour, for a disc of any radius.

The disc is `skimage.morphology.disk` under `cv2.dilate`: for a radius that is no whole number its grid starts at minus
the radius, so that it is not symmetric. Rows of a disc are runs, which are looked up in sums along the rows of the
contour's picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Disc = tuple[tuple[int, int, int], ...]
"""(row, first column, last column) of the offsets of a disc, row by row."""


@cache
def disc(radius: float) -> Disc:
    """The offsets from a pixel to the pixels that count as near it. radius: pixels."""
    line = np.arange(-radius, radius + 1)
    is_inside = line[None, :] ** 2 + line[:, None] ** 2 <= radius**2
    anchor = len(line) // 2
    rows = []
    for row, columns in enumerate(is_inside):
        some = np.flatnonzero(columns)
        if some.size:
            rows.append((row - anchor, int(some[0]) - anchor, int(some[-1]) - anchor))
    # OpenCV takes the first place of an empty kernel for the only one.
    return tuple(rows) or ((-anchor, -anchor, -anchor),)


@dataclass(frozen=True, slots=True)
class Contours:
    """Pixels of a mask that differ from their right, lower or lower right neighbour. y, x: int64 [N]."""

    y: NDArray[np.int64]
    x: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    @classmethod
    def of(cls, mask: NDArray[np.bool_] | None) -> Contours:
        """The contour of bool [H, W], None for an empty one; the border of the picture is none."""
        rows, columns = _window(mask)
        if mask is None or rows.stop == 0:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64))
        height, width = mask.shape
        # One row and one column more below and to the right, which repeat the last ones, change nothing there.
        below, right = slice(rows.start, rows.stop + 1), slice(columns.start, columns.stop + 1)
        part = mask[below, right]
        pad = ((0, int(rows.stop == height)), (0, int(columns.stop == width)))
        part = np.pad(part, pad, mode="edge")
        own = part[:-1, :-1]
        is_edge = (own != part[:-1, 1:]) | (own != part[1:, :-1]) | (own != part[1:, 1:])
        y, x = np.nonzero(is_edge)
        return cls(y + rows.start, x + columns.start)

    def near(self, other: Contours, offsets: Disc) -> int:
        """How many pixels have one of the other contour among their offsets."""
        if not len(self) or not len(other):
            return 0
        reach = max(max(abs(value) for value in row) for row in offsets) + 1
        top, left = int(min(self.y.min(), other.y.min())), int(min(self.x.min(), other.x.min()))
        height = int(max(self.y.max(), other.y.max())) - top + 1 + 2 * reach
        width = int(max(self.x.max(), other.x.max())) - left + 1 + 2 * reach
        sums = np.zeros((height, width + 1), np.int32)
        sums[other.y - top + reach, other.x - left + reach + 1] = 1
        np.cumsum(sums, axis=1, out=sums)
        y, x = self.y - top + reach, self.x - left + reach
        is_near = np.zeros(len(self), bool)
        for row, first, last in offsets:
            is_near |= sums[y + row, x + last + 1] > sums[y + row, x + first]
        return int(np.count_nonzero(is_near))


def _window(mask: NDArray[np.bool_] | None) -> tuple[slice, slice]:
    """Rows and columns that hold a mask's contour: its box, one pixel wider towards the origin; empty for no mask."""
    some = [] if mask is None else [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    if not some or not some[0].size:
        return slice(0, 0), slice(0, 0)
    rows, columns = (slice(max(int(one[0]) - 1, 0), int(one[-1]) + 1) for one in some)
    return rows, columns
