"""Pixel-exact outlines: polygons that a rasteriser turns back into exactly the mask they were made of.

COCO's rasteriser wants an outline along pixel edges, so every vertex has integer coordinates. Polygons of one object
are united when they are rasterised, therefore a hole is reached by a bridge that is walked twice: the even-odd fill
cancels it. OpenCV and Pillow draw the outline itself, too: theirs runs through pixel centres.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Vertex = tuple[int, int]


def from_mask(mask: NDArray[np.bool_]) -> list[list[float]]:
    """Polygons x0, y0, x1, y1, ... of a mask bool [H, W], one for each 8-connected part; [] for an empty mask."""
    if not mask.any():
        return []
    top, left, crop = _crop(mask)
    _, parts = cv2.connectedComponents(crop.astype(np.uint8), connectivity=8)
    loops_of_part: dict[int, list[list[Vertex]]] = {}
    for loop in _loops(crop):
        x, y = min(loop, key=lambda vertex: (vertex[1], vertex[0]))
        # The topmost-leftmost corner of an outer loop has the object below it, that of a hole has it above.
        part = int(parts[y, x]) or int(parts[y - 1, x])
        loops_of_part.setdefault(part, []).append(loop)
    return [_join(loops, left, top) for _, loops in sorted(loops_of_part.items())]


def through_centres(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Outlines int64 [P, 2] as (x, y), P >= 3, for rasterisers that draw outline and inside; [] for an empty mask.

    mask: bool [H, W]. A part with holes is cut through them, so that no outline encloses what it should not.
    """
    found = list[NDArray[np.int64]]()
    waiting = [(0, mask.astype(np.uint8))]
    while waiting:
        left, stripe = waiting.pop()
        num, parts = cv2.connectedComponents(stripe, connectivity=8)
        for part in range(1, num):
            inside = (parts == part).astype(np.uint8)
            outer, *holes = _contours(inside)
            if holes:
                cut = (int(holes[0][:, 0].min()) + int(holes[0][:, 0].max()) + 1) // 2
                waiting += [(left, inside[:, :cut]), (left + cut, inside[:, cut:])]
            else:
                closed = np.concatenate((outer, np.repeat(outer[-1:], max(0, 3 - len(outer)), axis=0)))
                found.append(closed + np.array([left, 0]))
    return found


def _contours(mask: NDArray[np.uint8]) -> list[NDArray[np.int64]]:
    """The pixels (x, y) along the border of one part, int64 [P, 2], and then those around each of its holes."""
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    depth_first = np.argsort(tree[0, :, 3] >= 0, kind="stable")
    return [contours[index].reshape(-1, 2).astype(np.int64) for index in depth_first]


def _crop(mask: NDArray[np.bool_]) -> tuple[int, int, NDArray[np.bool_]]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return top, left, mask[top : rows[-1] + 1, left : columns[-1] + 1]


def _corners(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Corners (x, y) of the outline, int64 [V, 2]; a corner at which two pixels touch diagonally is listed twice."""
    padded = np.pad(mask, 1).astype(np.int8)
    count = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    is_touch = (count == 2) & (padded[:-1, :-1] == padded[1:, 1:])
    y, x = np.nonzero((count % 2 == 1) | is_touch)
    return np.repeat(np.stack((x, y), axis=1), 1 + is_touch[y, x], axis=0)


def _loops(mask: NDArray[np.bool_]) -> list[list[Vertex]]:
    """Closed outlines: along every row, and along every column, consecutive corners are the two ends of an edge."""
    corners = _corners(mask)
    across = _partners(np.lexsort((corners[:, 0], corners[:, 1])))
    down = _partners(np.lexsort((corners[:, 1], corners[:, 0])))
    vertices = [(x, y) for x, y in corners.tolist()]
    is_open = [True] * len(vertices)
    loops = []
    for start in range(len(vertices)):
        loop, corner = [], start
        while is_open[corner]:
            other = across[corner]
            is_open[corner] = is_open[other] = False
            loop += [vertices[corner], vertices[other]]
            corner = down[other]
        if loop:
            loops.append(loop)
    return loops


def _partners(order: NDArray[np.int64]) -> list[int]:
    """For every corner the other end of its edge, where `order` lists the two ends of each edge in succession."""
    partners = np.empty_like(order)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    return [int(partner) for partner in partners]


def _join(loops: list[list[Vertex]], left: int, top: int) -> list[float]:
    """One polygon of several loops: every further loop is reached from the first vertex, closed and left again."""
    path = list(loops[0])
    for loop in loops[1:]:
        path += [loops[0][0], *loop, loop[0]]
    return [float(value) for x, y in path for value in (x + left, y + top)]
