"""Maps of labels or ids cut into runs of one value: some ten thousand of them where a map has millions of pixels.

Counting, finding and painting regions run by run is what keeps scoring as fast as decoding. Nothing here knows what a
value means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

IN_CACHE = 1 << 18
"""Bytes that are compared at a time: what is made of them stays in the processor's cache and in memory at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """A map [H, W] cut, column by column, into R runs of one value.

    size: (height, width).   value: integers or bool [R].
    edge: int64 [R + 1], the first pixel of every run, column-major, then the number of pixels.
    """

    size: tuple[int, int]
    edge: NDArray[np.int64]
    value: NDArray[Any]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Runs:
        """The longest runs of a map; neighbours differ. values: integers or bool [H, W]."""
        (runs,) = joint_runs(values)
        # A column may begin with the value that the one before ends with.
        is_new = np.ones(len(runs.value), bool)
        is_new[1:] = runs.value[1:] != runs.value[:-1]
        return cls(size=runs.size, edge=np.append(runs.edge[:-1][is_new], values.size), value=runs.value[is_new])


def joint_runs(*maps: NDArray[Any]) -> tuple[Runs, ...]:
    """The runs of several maps, all cut where any map changes or a column ends. maps: integers or bool [H, W]."""
    height, width = maps[0].shape
    # Rows are compared where they lie and the few pixels that differ are sorted: turning a map costs far more.
    is_new = np.not_equal(maps[0][1:], maps[0][:-1])
    for other in maps[1:]:
        is_new |= other[1:] != other[:-1]
    place = np.concatenate((np.arange(width if height else 0), np.flatnonzero(is_new) + width))
    row = place // max(width, 1)
    column = place - row * width
    # NumPy sorts by radix up to 16 bits.
    order = np.argsort(column.astype(np.min_scalar_type(width)), kind="stable")
    edge = np.append((column * height + row)[order], height * width)
    return tuple(Runs(size=(height, width), edge=edge, value=one.ravel().take(place)[order]) for one in maps)


def run_edges(*arrays: NDArray[Any]) -> NDArray[np.int64]:
    """Where the runs begin in which none of some arrays [N] changes, then N; int64 [R + 1]."""
    first, *others = arrays
    if not first.size:
        return np.zeros(1, np.int64)
    is_new = first[1:] != first[:-1]
    for other in others:
        is_new |= other[1:] != other[:-1]
    return np.concatenate(([0], np.flatnonzero(is_new) + 1, [first.size]))


def one_a_run(values: NDArray[Any]) -> NDArray[Any]:
    """A number of every run along the rows, [R]: all that occur, though far fewer than pixels. values: [H, W]."""
    flat = values.ravel()
    return flat.take(run_edges(flat)[:-1])


def joint_counts(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(pair, pixels), int64 [P] each: how many pixels hold each pair of values, as first x 256 + second, ascending.

    first, second: uint8 [H, W].
    """
    height, width = first.shape
    num_rows = max(1, min(height, IN_CACHE // max(1, 2 * width)))
    values, edges = [np.zeros(0, np.uint16)], [np.zeros(0, np.int64)]
    memory, is_new = np.empty((num_rows, width, 2), np.uint8), np.ones(num_rows * width, bool)
    for start in range(0, height if width else 0, num_rows):
        rows = slice(start, min(start + num_rows, height))
        # Two bytes side by side are one number of 16 bits, the lower byte first.
        merged = cv2.merge([second[rows], first[rows]], memory[: rows.stop - start])
        both = np.asarray(merged).view("<u2").ravel()
        edge = block_edges(both, is_new)
        values.append(both.take(edge))
        edge += start * width
        edges.append(edge)
    lengths = np.diff(np.concatenate((*edges, [height * width])))
    pixels = np.bincount(np.concatenate(values), weights=lengths[: sum(map(len, values))], minlength=1 << 16)
    # NumPy finds what is true many times as fast as what is not zero.
    pair = np.flatnonzero(pixels != 0)
    return pair, pixels[pair].astype(np.int64)


def block_edges(values: NDArray[Any], is_new: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where the runs of a block of values [N] begin, the first at 0. is_new: memory of N bool or more; [0] is true."""
    np.not_equal(values[1:], values[:-1], out=is_new[1 : values.size])
    return np.flatnonzero(is_new[: values.size])


def joined(
    first: tuple[NDArray[np.int64], NDArray[Any]], second: tuple[NDArray[np.int64], NDArray[Any]]
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """(pixels int64 [J], values of the first [J], of the second [J]) of the runs that are cut where either map is.

    first, second: (edge, value) of two maps of one size, in one order of pixels.
    """
    num = len(first[1])
    starts = np.concatenate((first[0][:-1], second[0][:-1]))
    # Two sorted halves: a stable sort merges them.
    order = np.argsort(starts, kind="stable")
    is_first = order < num
    pixels = np.diff(starts[order], append=first[0][-1])
    kept = np.flatnonzero(pixels)
    place = np.cumsum(is_first)[kept]
    return pixels[kept], first[1][place - 1], second[1][kept - place]
