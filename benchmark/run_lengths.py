"""Many compressed run-length strings at once: what `masks.counts` says of one, without a call for each.

Result files of videos hold hundreds of thousands of masks. Their strings are laid end to end and decoded together, so
that every one of them can be checked. The code of the strings is COCO's, see `masks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Rle

BROKEN = -1
"""Pixels of a string that is no run lengths: characters outside the code, cut short, numbers too long or negative."""
_BLOCK = 200
"""Strings decoded together: few enough for the processor's cache, enough to spread the cost of the calls."""
_LONGEST = 7
_MORE = 80
"""Characters from here on are followed by another one of the same number."""
_CONTINUED = bytes(range(_MORE, _MORE + 32))


def measure(strings: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(areas, pixels) of N masks, int64 [N] each: the runs of ones, and all runs together; both `BROKEN` if it is so.

    A mask is sound if its pixels are height x width.
    """
    areas, pixels = np.zeros(len(strings), np.int64), np.zeros(len(strings), np.int64)
    for start in range(0, len(strings), _BLOCK):
        block = slice(start, start + _BLOCK)
        sums = _of_sound(strings[block])
        if sums is None:
            sums = np.array([_of_any(text) for text in strings[block]], np.int64).T
        areas[block], pixels[block] = sums
    return areas, pixels


def _of_any(text: bytes) -> tuple[int, int]:
    """(area, pixels) of one string, sound or not."""
    try:
        runs = masks.counts(Rle(size=(0, 0), counts=text))
    except ValueError:
        return BROKEN, BROKEN
    return (BROKEN, BROKEN) if (runs < 0).any() else (int(runs[1::2].sum()), int(runs.sum()))


def _of_sound(strings: Sequence[bytes]) -> NDArray[np.int64] | None:
    """(areas, pixels), int64 [2, N], of at least one string; None if any of them is empty or broken."""
    if not all(strings) or any(text[-1] >= _MORE for text in strings):
        return None
    num_runs = [len(text.translate(None, _CONTINUED)) for text in strings]
    # A run of ones ends every mask, if need be one that repeats the last: masks then begin at even positions.
    whole = b"".join(text + b"0" if num & 1 else text for text, num in zip(strings, num_runs, strict=True))
    symbols = np.frombuffer(whole, np.uint8) - np.uint8(48)
    if symbols.max() > 63:
        return None
    values = _numbers(symbols)
    return None if values is None else _sums(values, np.array(num_runs))


def _numbers(symbols: NDArray[np.uint8]) -> NDArray[np.int64] | None:
    """The numbers, int64 [V]: five bits a symbol, lowest first, the sign in the last. None: one is too long."""
    ends = np.flatnonzero(symbols < 32)
    sizes = np.empty_like(ends)
    sizes[0] = ends[0] + 1
    np.subtract(ends[1:], ends[:-1], out=sizes[1:])
    if sizes.max() > _LONGEST:
        return None
    bits = symbols & 31
    # The last symbol's highest bit is the sign: 16..31 stand for -16..-1.
    values = ((bits[ends] ^ 16).astype(np.int64)) - 16
    rows = np.flatnonzero(sizes > 1)
    for place in range(1, int(sizes.max())):
        values[rows] = values[rows] * 32 + bits[ends[rows] - place]
        rows = rows[np.flatnonzero(sizes[rows] > place + 1)]
    return values


def _sums(values: NDArray[np.int64], num_runs: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """(areas, pixels), int64 [2, N]; None if a run is negative. values: int64 [V]. num_runs: int64 [N], unpadded.

    From the fourth on, a mask's values are differences to the last but one.
    """
    num_pairs = (num_runs + 1) // 2
    stops = np.cumsum(num_pairs)
    heads = stops - num_pairs
    zeros, ones = values[::2].copy(), values[1::2].copy()
    first = zeros[heads]
    zeros[heads] = 0
    for runs in (zeros, ones):
        np.cumsum(runs, out=runs)
        before = runs[heads - 1]
        before[0] = 0
        runs -= np.repeat(before, num_pairs)
    if min(first.min(), zeros.min(), ones.min()) < 0:
        return None
    areas = np.add.reduceat(ones, heads) - np.where(num_runs & 1, ones[stops - 1], 0)
    return np.stack((areas, areas + first + np.add.reduceat(zeros, heads)))
