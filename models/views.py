"""How a picture is looked at in training: resized, cut, padded, mirrored, with its masks and boxes.

A view is drawn once and applied to whatever belongs to the picture, so objects that overlap, boxes without masks and
several frames can share it. Pictures are resized with PIL's bilinear filter, masks take the nearest pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.augmentation import PAD_VALUE, resize_image, short_side_size


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Sizes are (height, width). resized: of the whole picture. corner: (top, left) of the window in it.

    window: what is cut out. padded: what the window is filled up to, right and bottom. is_mirrored: left to right,
    before it is padded.
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    corner: tuple[int, int]
    window: tuple[int, int]
    padded: tuple[int, int]
    is_mirrored: bool

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [h, w, 3] of uint8 [H, W, 3] RGB; padding is grey."""
        (top, left), (height, width) = self.corner, self.window
        shown = resize_image(image, self.resized)[top : top + height, left : left + width]
        shown = shown[:, ::-1] if self.is_mirrored else shown
        rows, columns = self._padding
        return np.ascontiguousarray(np.pad(shown, ((0, rows), (0, columns), (0, 0)), constant_values=PAD_VALUE))

    def masks(self, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """bool [M, h, w] of bool [M, H, W]; padding is empty."""
        rows, columns = (self._sources(axis) for axis in (0, 1))
        columns = columns[::-1] if self.is_mirrored else columns
        shown = masks[:, rows][:, :, columns]
        below, right = self._padding
        return np.pad(shown, ((0, 0), (0, below), (0, right)))

    def boxes(self, xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [M, 4] in pixels of the view, clipped to the window, of boxes in pixels of the picture."""
        scale = np.array(self.resized[::-1] * 2) / np.array(self.original[::-1] * 2)
        top, left = self.corner
        height, width = self.window
        moved = np.clip(xyxy * scale - (left, top, left, top), 0, (width, height, width, height))
        if self.is_mirrored:
            moved = np.stack((width - moved[:, 2], moved[:, 1], width - moved[:, 0], moved[:, 3]), axis=1)
        return moved

    @property
    def _padding(self) -> tuple[int, int]:
        return self.padded[0] - self.window[0], self.padded[1] - self.window[1]

    def _sources(self, axis: int) -> NDArray[np.int64]:
        """For each row or column of the window the nearest one of the picture."""
        places = self.corner[axis] + np.arange(self.window[axis]) + 0.5
        return np.minimum(places * self.original[axis] / self.resized[axis], self.original[axis] - 1).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewDraw:
    """Draws views. short_sides: of the resized picture. long_cap: most pixels of its long side.

    window: (height, width) that is cut out and filled up to, None: the whole picture. mirror: probability.
    """

    short_sides: Sequence[int]
    long_cap: int = 1333
    window: tuple[int, int] | None = None
    mirror: float = 0.5

    def __call__(self, size: tuple[int, int], rng: np.random.Generator) -> View:
        """A view of a picture of this (height, width)."""
        short = int(rng.choice(np.asarray(self.short_sides)))
        resized = short_side_size(*size, short, self.long_cap)
        window = resized if self.window is None else (min(self.window[0], resized[0]), min(self.window[1], resized[1]))
        corner = (int(rng.integers(resized[0] - window[0] + 1)), int(rng.integers(resized[1] - window[1] + 1)))
        return View(
            original=size,
            resized=resized,
            corner=corner,
            window=window,
            padded=self.window or window,
            is_mirrored=bool(rng.random() < self.mirror),
        )
