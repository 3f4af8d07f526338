"""Maps of labels or ids cut into runs of one value: some ten thousand of them where a map has millions of pixels.

Counting, finding and painting regions run by run is what keeps scoring as fast as decoding. Nothing here knows what a
value means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """A map [H, W] cut, column by column, into R runs of one value.

    size: (height, width).   value: integers or bool [R]; neighbours differ.
    edge: int64 [R + 1], the first pixel of every run, column-major, then the number of pixels.
    """

    size: tuple[int, int]
    edge: NDArray[np.int64]
    value: NDArray[Any]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Runs:
        """The runs of a map. values: integers or bool [H, W]."""
        height, width = values.shape
        # Rows are compared where they lie and the few pixels that differ are sorted: turning the map costs far more.
        tops = np.arange(width if height else 0)
        place = np.concatenate((tops, np.flatnonzero(values[1:] != values[:-1]) + width))
        row = place // max(width, 1)
        column = place - row * width
        # NumPy sorts by radix up to 16 bits.
        order = np.argsort(column.astype(np.min_scalar_type(width)), kind="stable")
        start = (column * height + row)[order]
        value = values.ravel().take(place)[order]
        is_new = np.ones(len(value), bool)
        is_new[1:] = value[1:] != value[:-1]
        return cls(size=(height, width), edge=np.append(start[is_new], values.size), value=value[is_new])


def run_edges(*arrays: NDArray[Any]) -> NDArray[np.int64]:
    """Where the runs begin in which none of some arrays [N] changes, then N; int64 [R + 1]."""
    first, *others = arrays
    if not first.size:
        return np.zeros(1, np.int64)
    is_new = first[1:] != first[:-1]
    for other in others:
        is_new |= other[1:] != other[:-1]
    return np.concatenate(([0], np.flatnonzero(is_new) + 1, [first.size]))
