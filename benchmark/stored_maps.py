"""Maps as their files store them: pixels are turned into classes or ids only when somebody asks for them.

Scoring counts most maps without ever doing so. They are records of the contract and stand wherever it names their kind.
"""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.contract import LabelMap, Panoptic, Segment
from benchmark.runs import Runs, one_a_run


class CodedLabelMap(LabelMap):
    """A label map as its file stores it; class indices are looked up when somebody asks for them.

    codes: uint8 [H, W]. class_of: uint16 [256], code -> class_index.
    """

    __slots__ = ("class_of", "codes")

    codes: NDArray[np.uint8]
    class_of: NDArray[np.uint16]

    def __init__(self, *, codes: NDArray[np.uint8], class_of: NDArray[np.uint16]) -> None:
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "class_of", class_of)

    def __reduce__(self) -> tuple[partial[CodedLabelMap], tuple[()]]:
        return partial(CodedLabelMap, codes=self.codes, class_of=self.class_of), ()

    @property
    def class_index(self) -> NDArray[np.uint16]:
        """uint16 [H, W], looked up anew each time."""
        # OpenCV looks up a table several times as fast as NumPy.
        return np.asarray(cv2.LUT(self.codes, self.class_of))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.codes.shape
        return height, width

    def every(self, step: int) -> NDArray[np.uint16]:
        """class_index of the first pixel and of each `step`-th one after it, row by row, uint16 [N]."""
        return self.class_of[self.codes.ravel()[::step]]

    def present(self) -> NDArray[np.uint16]:
        """The class indices that occur, ascending, uint16 [N]."""
        return np.unique(self.class_of[np.unique(one_a_run(self.codes))])

    def runs(self) -> Runs:
        """The map cut into runs of one class_index; neighbours may be equal."""
        coded = Runs.of(self.codes)
        return Runs(size=coded.size, edge=coded.edge, value=self.class_of[coded.value])


class PanopticBytes(Panoptic):
    """A map of ids below 256 as its file stores it; wide ids are made when somebody asks for them.

    numbers: uint8 [H, W], contiguous.
    """

    __slots__ = ("numbers",)

    numbers: NDArray[np.uint8]

    def __init__(self, *, numbers: NDArray[np.uint8], segments: tuple[Segment, ...]) -> None:
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "segments", segments)

    def __reduce__(self) -> tuple[partial[PanopticBytes], tuple[()]]:
        return partial(PanopticBytes, numbers=self.numbers, segments=self.segments), ()

    @property
    def segment_id(self) -> NDArray[np.int32]:
        """int32 [H, W], made anew each time."""
        return self.numbers.astype(np.int32)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.numbers.shape
        return height, width


class PanopticRuns(Panoptic):
    """A panoptic map in runs along its rows; it is drawn when somebody asks for its pixels.

    edge: int64 [R + 1], the first pixel of every run, then the number of pixels. ids: int32 [R].
    """

    __slots__ = ("_drawn", "_size", "edge", "ids")

    edge: NDArray[np.int64]
    ids: NDArray[np.int32]
    _size: tuple[int, int]
    _drawn: NDArray[np.int32] | None

    def __init__(
        self,
        *,
        size: tuple[int, int],
        edge: NDArray[np.int64],
        ids: NDArray[np.int32],
        segments: tuple[Segment, ...],
    ) -> None:
        named = {"_size": size, "edge": edge, "ids": ids, "segments": segments, "_drawn": None}
        for name, value in named.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[partial[PanopticRuns], tuple[()]]:
        return partial(PanopticRuns, size=self.size, edge=self.edge, ids=self.ids, segments=self.segments), ()

    @property
    def segment_id(self) -> NDArray[np.int32]:
        """int32 [H, W], drawn once."""
        if self._drawn is None:
            object.__setattr__(self, "_drawn", np.repeat(self.ids, np.diff(self.edge)).reshape(self.size))
        return self._drawn  # type: ignore[return-value]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self._size

    def row_runs(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(edge int64 [R + 1], id int32 [R]): first pixel of every run, row by row, then the number of pixels."""
        return self.edge, self.ids
