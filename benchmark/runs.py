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
