"""How UNINEXT looks at a picture or at the frames of a clip in training: cut or whole, resized, mirrored.

Follows MasterBin-IIAU/UNINEXT at 5ab0386, but for one thing: what they resize, cut and resize again is resized once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.augmentation import short_side_size
from models.views import View

UNCAPPED = 1_000_000
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameViews:
    """Draws the views of all frames of an example.

    short_sides: of the views, the same for all frames. long_cap: most pixels of their long sides. sizes_before_cut:
    short sides that a picture is brought to before it is cut; none: it is cut as it is. cut: least and most pixels of
    either side of what is cut out, drawn anew for every frame. cut_share: how often examples are cut. mirror:
    probability, the same for all frames. spares_ordinals: a picture is not cut if what is said of it counts objects.
    """

    short_sides: Sequence[int]
    long_cap: int = 1333
    sizes_before_cut: Sequence[int] = ()
    cut: tuple[int, int] = (384, 600)
    cut_share: float = 0.5
    mirror: float = 0.5
    spares_ordinals: bool = False

    def __call__(self, size: tuple[int, int], number: int, rng: np.random.Generator, sentence: str = "") -> list[View]:
        """Views of `number` frames of this (height, width)."""
        short = int(rng.choice(np.asarray(self.short_sides)))
        is_mirrored = bool(rng.random() < self.mirror)
        is_cut = bool(rng.random() < self.cut_share)
        if self.spares_ordinals and any(word in ORDINALS for word in sentence.lower().split()):
            is_cut = False
        return [self._view(size, short, is_cut, is_mirrored, rng) for _ in range(number)]

    def _view(
        self, size: tuple[int, int], short: int, is_cut: bool, is_mirrored: bool, rng: np.random.Generator
    ) -> View:
        before, corner, cut = self._cut(size, rng) if is_cut else (size, (0, 0), size)
        window = short_side_size(*cut, short, self.long_cap)
        scales = [shown / whole for shown, whole in zip(window, cut, strict=True)]
        height, width = (
            max(round(whole * scale), shown) for whole, scale, shown in zip(before, scales, window, strict=True)
        )
        top, left = (round(start * scale) for start, scale in zip(corner, scales, strict=True))
        return View(
            original=size,
            resized=(height, width),
            corner=(min(top, height - window[0]), min(left, width - window[1])),
            window=window,
            padded=window,
            is_mirrored=is_mirrored,
        )

    def _cut(
        self, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(size of the whole, (top, left), (height, width)) of what is cut out."""
        if len(self.sizes_before_cut):
            size = short_side_size(*size, int(rng.choice(np.asarray(self.sizes_before_cut))), UNCAPPED)
        least, most = self.cut
        height, width = (int(rng.integers(min(side, least), min(side, most) + 1)) for side in size)
        top, left = int(rng.integers(size[0] - height + 1)), int(rng.integers(size[1] - width + 1))
        return size, (top, left), (height, width)
