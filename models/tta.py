"""Test-time augmentation of semantic segmentation: scores averaged over image sizes and mirror images.

Follows SHI-Labs/OneFormer at 4962ef6: every pass resizes the image that already has the test size, and scores (not
logits) are averaged at the original size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.augmentation import resize_image, short_side_size


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalesAndFlips:
    """short_sides: of the passes, pixels. long_cap: longest side of any pass. with_flip: each pass also mirrored."""

    short_sides: Sequence[int]
    long_cap: int
    with_flip: bool = True

    def average(self, image: NDArray[np.uint8], scores_of: Callable[[NDArray[np.uint8]], Tensor]) -> Tensor:
        """Mean scores [K, H, W]. image: uint8 [h, w, 3] at test size. scores_of: image -> scores at original size."""
        total: Tensor | None = None
        for resized in self._resized(image):
            passes = [scores_of(resized)]
            if self.with_flip:
                passes.append(scores_of(np.ascontiguousarray(resized[:, ::-1])).flip(-1))
            for scores in passes:
                total = scores if total is None else total + scores
        if total is None:
            raise ValueError("test-time augmentation needs at least one size")
        return total / (len(self.short_sides) * (2 if self.with_flip else 1))

    def _resized(self, image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        height, width = image.shape[:2]
        sizes = [short_side_size(height, width, short, self.long_cap) for short in self.short_sides]
        return [resize_image(image, size) for size in sizes]
