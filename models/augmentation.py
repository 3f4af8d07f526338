"""Training augmentations of OneFormer: one frozen record per step, applied to an image and its segment ids together.

Follows the authors' data mappers (SHI-Labs/OneFormer, commit 4962ef6): images are resized with PIL's bilinear filter
on uint8, ids with nearest neighbour; colour jitter is SSD's. Every random number comes from the generator passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

PAD_VALUE = 128
"""Grey level of padding that is added before normalisation."""

U8 = NDArray[np.uint8]
Ids = NDArray[np.int32]


class Augmentation(Protocol):
    """image: uint8 [H, W, 3] RGB; segment_id: int32 [H, W], 0 void. Returns both at their new, common size."""

    def __call__(self, image: U8, segment_id: Ids, rng: np.random.Generator) -> tuple[U8, Ids]: ...


def resize_image(image: U8, size: tuple[int, int]) -> U8:
    """The uint8 [H, W, 3] image at size (height, width), PIL bilinear (which low-passes when it shrinks)."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def resize_ids(segment_id: Ids, size: tuple[int, int]) -> Ids:
    """The int32 [H, W] ids at size (height, width), nearest neighbour."""
    if segment_id.shape == tuple(size):
        return segment_id
    resized = Image.fromarray(segment_id).resize((size[1], size[0]), Image.Resampling.NEAREST)
    return np.asarray(resized, dtype=np.int32)


def short_side_size(height: int, width: int, short: int, long_cap: int) -> tuple[int, int]:
    """(height, width) with the short side at `short`, unless the long side would exceed `long_cap`."""
    scale = short / min(height, width)
    if scale * max(height, width) > long_cap:
        scale = long_cap / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeShortSide:
    """Short side drawn from `choices`, long side at most `long_cap`, aspect kept."""

    choices: Sequence[int]
    long_cap: int

    def __call__(self, image: U8, segment_id: Ids, rng: np.random.Generator) -> tuple[U8, Ids]:
        short = int(rng.choice(np.asarray(self.choices)))
        size = short_side_size(image.shape[0], image.shape[1], short, self.long_cap)
        return resize_image(image, size), resize_ids(segment_id, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomCrop:
    """A window of `size` (height, width); the whole extent along an axis that is shorter."""

    size: tuple[int, int]

    def __call__(self, image: U8, segment_id: Ids, rng: np.random.Generator) -> tuple[U8, Ids]:
        height, width = (min(want, have) for want, have in zip(self.size, image.shape[:2], strict=True))
        top = int(rng.integers(image.shape[0] - height + 1))
        left = int(rng.integers(image.shape[1] - width + 1))
        window = slice(top, top + height), slice(left, left + width)
        return image[window], segment_id[window]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """Pad right and bottom to `size` with grey 128 and void."""

    size: tuple[int, int]

    def __call__(self, image: U8, segment_id: Ids, rng: np.random.Generator) -> tuple[U8, Ids]:
        rows, columns = (max(want - have, 0) for want, have in zip(self.size, image.shape[:2], strict=True))
        if rows == 0 and columns == 0:
            return image, segment_id
        padded = np.pad(image, ((0, rows), (0, columns), (0, 0)), constant_values=PAD_VALUE)
        return padded, np.pad(segment_id, ((0, rows), (0, columns)))


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizontalFlip:
    """Mirror left to right with probability `probability`."""

    probability: float = 0.5

    def __call__(self, image: U8, segment_id: Ids, rng: np.random.Generator) -> tuple[U8, Ids]:
        if rng.random() >= self.probability:
            return image, segment_id
        return image[:, ::-1], segment_id[:, ::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourJitter:
    """SSD's colour distortion: each of the four changes with probability 1/2, contrast first or last at random.

    brightness: largest shift of grey levels. contrast, saturation: range of factors. hue: largest shift in OpenCV units
    (180 a turn).
    """

    brightness: int = 32
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: int = 18

    def __call__(self, image: U8, segment_id: Ids, rng: np.random.Generator) -> tuple[U8, Ids]:
        if rng.random() < 0.5:
            image = self._linear(image, 1.0, rng.uniform(-self.brightness, self.brightness))
        contrast_first = rng.random() < 0.5
        if contrast_first:
            image = self._contrast(image, rng)
        image = self._saturation_and_hue(image, rng)
        if not contrast_first:
            image = self._contrast(image, rng)
        return image, segment_id

    def _contrast(self, image: U8, rng: np.random.Generator) -> U8:
        return self._linear(image, rng.uniform(*self.contrast), 0.0) if rng.random() < 0.5 else image

    @staticmethod
    def _linear(image: U8, factor: float, shift: float) -> U8:
        return np.clip(image.astype(np.float32) * factor + shift, 0, 255).astype(np.uint8)

    def _saturation_and_hue(self, image: U8, rng: np.random.Generator) -> U8:
        change_saturation, change_hue = rng.random(2) < 0.5
        if not (change_saturation or change_hue):
            return image
        hsv = np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV), np.uint8)
        if change_saturation:
            hsv[..., 1] = self._linear(hsv[..., 1], rng.uniform(*self.saturation), 0.0)
        if change_hue:
            shift = int(rng.integers(-self.hue, self.hue))
            hsv[..., 0] = (hsv[..., 0].astype(np.int32) + shift) % 180
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeScaleJitter:
    """COCO's recipe: scale so that the image fits inside `scale * size`, then a window of exactly `size`.

    A larger image is cut at a random offset (one random number for both axes), a smaller one padded with grey and void.
    """

    size: tuple[int, int]
    scale: tuple[float, float] = (0.1, 2.0)

    def __call__(self, image: U8, segment_id: Ids, rng: np.random.Generator) -> tuple[U8, Ids]:
        factor = rng.uniform(*self.scale)
        fit = min(factor * want / have for want, have in zip(self.size, image.shape[:2], strict=True))
        scaled = (max(1, round(image.shape[0] * fit)), max(1, round(image.shape[1] * fit)))
        image, segment_id = resize_image(image, scaled), resize_ids(segment_id, scaled)
        place = rng.random()
        top, left = (int(place * max(have - want, 0)) for have, want in zip(scaled, self.size, strict=True))
        window = slice(top, top + self.size[0]), slice(left, left + self.size[1])
        return Pad(size=self.size)(image[window], segment_id[window], rng)


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps in order."""

    steps: tuple[Augmentation, ...]

    def __call__(self, image: U8, segment_id: Ids, rng: np.random.Generator) -> tuple[U8, Ids]:
        for step in self.steps:
            image, segment_id = step(image, segment_id, rng)
        return np.ascontiguousarray(image), np.ascontiguousarray(segment_id)
