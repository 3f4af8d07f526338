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
_LONGEST = 6
"""Symbols of a number that are decoded quickly; no run of a sound mask needs more."""
_WIDE = 2**31
"""Running sums that might reach so far are taken in 64 bits."""
_MORE = 80
"""Characters from here on are followed by another one of the same number."""


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
    stops = np.cumsum([len(text) for text in strings])
    symbols = np.frombuffer(b"".join(strings), np.uint8) - np.uint8(48)
    if not all(strings) or symbols.max() > 63 or (symbols[stops - 1] >= _MORE - 48).any():
        return None
    ends = np.flatnonzero(symbols < _MORE - 48)
    values = _numbers(symbols, ends)
    return None if values is None else _sums(values, np.searchsorted(ends, stops))


def _numbers(symbols: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.int32] | None:
    """The numbers, int32 [V]: five bits a symbol, lowest first, the sign in the last. None: one is too long.

    ends: int64 [V], where each number's last symbol is.
    """
    # The last symbol's highest bit is the sign: 16..31 stand for -16..-1.
    values = (symbols[ends] ^ 16).astype(np.int32) - np.int32(16)
    rows = np.flatnonzero(symbols[ends - 1] >= _MORE - 48)
    # Before the first number there is none that goes on; its own last symbol does not either.
    place = 1
    while len(rows):
        if place == _LONGEST:
            return None
        before = ends[rows] - place
        values[rows] = values[rows] * np.int32(32) + (symbols[before] & 31)
        rows, before = rows[before > 0], before[before > 0]
        rows = rows[symbols[before - 1] >= _MORE - 48]
        place += 1
    return values


def _sums(values: NDArray[np.int32], stops: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """(areas, pixels), int64 [2, N]; None if a run is negative. values: int32 [V]. stops: int64 [N], ends of masks.

    From the fourth on, a mask's values are differences to the last but one, so runs are running sums over every other
    value. They go on from mask to mask; what they were before a mask is taken off again.
    """
    heads = np.concatenate(([0], stops[:-1]))
    first = values[heads]
    values[heads] = 0
    # Sums of the whole block may overflow, what is left of them within a mask may not.
    if max(int(values.max()), -int(values.min())) * int((stops - heads).max()) >= _WIDE:
        values = values.astype(np.int64)
    totals = np.zeros((2, len(heads)), np.int64)
    for parity in (0, 1):
        low, high = (heads + 1 - parity) // 2, (stops + 1 - parity) // 2
        # Zeros at both ends: what is before the first mask, and where a last mask without such runs would begin.
        runs = np.zeros((len(values) + 1 - parity) // 2 + 2, values.dtype)
        np.cumsum(values[parity::2], out=runs[1:-1])
        runs[1:-1] -= np.repeat(runs[low], high - low)
        if runs.min() < 0:
            return None
        totals[parity] = np.where(high > low, np.add.reduceat(runs[1:], low, dtype=np.int64), 0)
    if first.min() < 0:
        return None
    is_odd = heads % 2
    ones, zeros = np.where(is_odd, totals, totals[::-1])
    return np.stack((ones, ones + zeros + first))
