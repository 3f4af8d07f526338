"""Fields in 0..1 that blend two colours: the patterns of things and the texture families of stuff.

Also the borders between background regions. Nothing here knows a colour or paints a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.minidata.scene import Border, Region, Thing

Field = NDArray[np.float32]
"""float32 [H, W]; 0 shows the first colour, 1 the second."""


def grid(height: int, width: int, top: int = 0, left: int = 0) -> tuple[Field, Field]:
    """Pixel centres (y [H, 1], x [1, W]) of a patch, in image coordinates."""
    y = np.arange(top, top + height, dtype=np.float32)[:, None] + np.float32(0.5)
    x = np.arange(left, left + width, dtype=np.float32)[None, :] + np.float32(0.5)
    return y, x


def _soften(wave: Field, sharpness: float) -> Field:
    """A wave around zero as a 0..1 field with soft edges."""
    return np.clip(wave * np.float32(sharpness) + np.float32(0.5), 0, 1)


def _striped(u: Field, v: Field) -> Field:
    return _soften(np.sin(np.float32(2 * math.pi) * u) + 0 * v, 1.6)


def _checked(u: Field, v: Field) -> Field:
    turn = np.float32(math.pi)
    return _soften(np.sin(turn * u) * np.sin(turn * v), 2.5)


def _dotted(u: Field, v: Field) -> Field:
    turn = np.float32(2 * math.pi)
    return _soften(np.cos(turn * u) + np.cos(turn * v) - np.float32(0.55), 1.2)


PATTERN_FIELDS: Mapping[str, Callable[[Field, Field], Field]] = MappingProxyType(
    {"striped": _striped, "checked": _checked, "dotted": _dotted}
)
"""Pattern -> field over (u, v) in periods; `plain` has none."""


def pattern(thing: Thing, y: Field, x: Field) -> Field | None:
    """The pattern of a thing at pixel centres (y, x), turned with the thing; None for a plain one."""
    if thing.pattern == "plain":
        return None
    period = np.float32(max(6.0, thing.diameter / 4))
    cos, sin = np.float32(math.cos(thing.angle + 0.4)), np.float32(math.sin(thing.angle + 0.4))
    y, x = (y - np.float32(thing.centre[0])) / period, (x - np.float32(thing.centre[1])) / period
    return PATTERN_FIELDS[thing.pattern](cos * x + sin * y + np.float32(thing.phase), cos * y - sin * x)


def _noise(region: Region, size: tuple[int, int], cell: float) -> Field:
    """Smooth random field in 0..1 whose blobs are about `cell` pixels wide."""
    height, width = size
    shape = (max(2, math.ceil(height / cell) + 1), max(2, math.ceil(width / cell) + 1))
    coarse = np.random.default_rng(region.seed).random(shape, dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _waves(region: Region, y: Field, x: Field) -> Field:
    period = np.float32(region.period)
    wobble = np.sin(x / (np.float32(1.9) * period) + np.float32(region.phase)) * np.float32(0.9)
    return _soften(np.sin(np.float32(2 * math.pi) * y / period + wobble), 0.6)


def _blotches(region: Region, y: Field, x: Field) -> Field:
    return _soften(_noise(region, (y.size, x.size), region.period * 0.9) - np.float32(0.5), 2.4)


def _bricks(region: Region, y: Field, x: Field) -> Field:
    course = np.float32(region.period * 0.95)
    row = np.floor(y / course + np.float32(region.phase))
    rise = (y / course + np.float32(region.phase) - row) * course
    along = np.mod(x + (row % 2) * course, 2 * course)
    edge = np.minimum(rise, along)
    return 1 - np.clip(edge - np.float32(0.9), 0, 1)


def _grain(region: Region, y: Field, x: Field) -> Field:
    period = np.float32(region.period * 0.8)
    height, width = y.size, x.size
    shape = (height + width, width + height)
    fine = np.random.default_rng(region.seed).random((shape[0], max(2, shape[1] // 16)), dtype=np.float32)
    streaks = cv2.resize(fine, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    across = (y - x + np.float32(width)) * np.float32(0.9 * 2.0 / period * 1.6)
    along = y + x
    values = cv2.remap(
        streaks,
        np.broadcast_to(along, (height, width)).astype(np.float32),
        across.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return _soften(values - np.float32(0.5), 1.7)


TEXTURE_FIELDS: Mapping[str, Callable[[Region, Field, Field], Field]] = MappingProxyType(
    {"waves": _waves, "blotches": _blotches, "bricks": _bricks, "grain": _grain}
)
"""Stuff kind -> field."""


def texture(region: Region, size: tuple[int, int]) -> Field:
    """The texture of a background region over the whole image."""
    y, x = grid(*size)
    return np.broadcast_to(TEXTURE_FIELDS[region.kind](region, y, x), size)


def beyond(border: Border, size: tuple[int, int]) -> Field:
    """Coverage of the far side of a border, 0..1 with a one-pixel ramp.

    In float64, so that the sine of another processor gives nobody else's pixel.
    """
    y, x = (axis.astype(np.float64) for axis in grid(*size))
    cos, sin = math.cos(border.angle), math.sin(border.angle)
    along = (cos * x - sin * y) * (2 * math.pi / border.wavelength) + border.phase
    distance = sin * x + cos * y - border.offset - border.bend * np.sin(along)
    return np.clip(distance + 0.5, 0, 1).astype(np.float32)
