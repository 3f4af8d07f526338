"""The outlines of the eight thing kinds and their coverage masks, anti-aliased by supersampling.

Coverage is computed in whole numbers from float64 geometry, so that every machine gives a pixel to the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.minidata.scene import Thing

OVERSAMPLING = 4
SUBPIXEL_BITS = 4
FULL = 15 * OVERSAMPLING**2
"""Value of a covered sample; the mean of 4x4 of them is a whole number, so no rounding decides who owns a pixel."""

Contours = tuple[NDArray[np.float64], ...]
"""Closed outlines, float64 [N, 2] as (x, y) in units of the radius; an outline inside another is a hole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """alpha: float32 [h, w] in 0..1, the covered share of each pixel. top, left: where the patch lies in the image."""

    alpha: NDArray[np.float32]
    top: int
    left: int


def _circle(
    radius: float, x: float = 0.0, y: float = 0.0, start: float = 0.0, stop: float = 2 * math.pi
) -> NDArray[np.float64]:
    """Points of an arc, float64 [40, 2]."""
    angles = np.linspace(start, stop, 40)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def _fan(radii: tuple[float, ...], start: float = -math.pi / 2) -> NDArray[np.float64]:
    """Points at equal angles, the first on top, with the given radii."""
    angles = start + 2 * math.pi * np.arange(len(radii)) / len(radii)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None]


def _crescent() -> NDArray[np.float64]:
    """A disc with an equal disc cut off its right side; the points meet at the two horns."""
    horn = math.radians(62)
    outer = _circle(1.12, start=horn, stop=2 * math.pi - horn)
    tip_x, tip_y = outer[0]
    bite_x = tip_x + 0.35
    bite_angle = math.atan2(tip_y, tip_x - bite_x)
    inner = _circle(math.hypot(tip_x - bite_x, tip_y), x=bite_x, start=2 * math.pi - bite_angle, stop=bite_angle)
    return np.concatenate([outer, inner]) + np.array([0.25, 0.0])


def _cross() -> NDArray[np.float64]:
    """A plus sign with arms a third of its width."""
    long, short = 1.05, 0.36
    quarter = np.array([[short, -long], [short, -short], [long, -short]])
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, count) for count in range(4)])


OUTLINES: Mapping[str, Contours] = MappingProxyType(
    {
        "disc": (_circle(0.92),),
        "box": (np.array([[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]]),),
        "triangle": (_fan((1.2, 1.2, 1.2)) + np.array([0.0, 0.15]),),
        "star": (_fan((1.25, 0.52) * 5),),
        "ring": (_circle(1.0), _circle(0.52)),
        "cross": (_cross(),),
        "crescent": (_crescent(),),
        "hourglass": (np.array([[-0.9, -1.05], [0.9, -1.05], [0.16, 0.0], [0.9, 1.05], [-0.9, 1.05], [-0.16, 0.0]]),),
    }
)
"""Thing kind -> outline."""


def coverage(thing: Thing, size: tuple[int, int]) -> Coverage:
    """The part of a thing that lies inside the image, nothing hidden yet; an empty patch if it lies wholly outside."""
    height, width = size
    reach = 0.7 * thing.diameter + 2
    top, left = (max(0, math.floor(at - reach)) for at in thing.centre)
    bottom = min(height, math.ceil(thing.centre[0] + reach))
    right = min(width, math.ceil(thing.centre[1] + reach))
    if bottom <= top or right <= left:
        return Coverage(alpha=np.zeros((0, 0), np.float32), top=0, left=0)
    turn = _turn(thing)
    origin = np.array([thing.centre[1] - left, thing.centre[0] - top])
    fixed_point = OVERSAMPLING * 2**SUBPIXEL_BITS
    # cv2 counts from pixel centres, the world from pixel corners
    outlines = [
        np.round((outline @ turn + origin) * fixed_point - 2 ** (SUBPIXEL_BITS - 1)).astype(np.int32)
        for outline in OUTLINES[thing.kind]
    ]
    canvas = np.zeros(((bottom - top) * OVERSAMPLING, (right - left) * OVERSAMPLING), np.uint8)
    cv2.fillPoly(canvas, outlines, (float(FULL),), shift=SUBPIXEL_BITS)
    alpha = cv2.resize(canvas, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return Coverage(alpha=alpha.astype(np.float32) / np.float32(FULL), top=top, left=left)


def extent(thing: Thing) -> tuple[float, float, float, float]:
    """The box (x, y, width, height) of the whole outline, in pixels, beyond the picture if it lies there."""
    points = np.concatenate(OUTLINES[thing.kind]) @ _turn(thing) + np.array(thing.centre[::-1])
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right - left), float(bottom - top)


def num_pixels(thing: Thing) -> int:
    """Pixels that the thing has where nothing hides it and no border cuts it, but for one on the brink of a half."""
    room = 2 * math.ceil(thing.diameter)
    centre = (room + thing.centre[0] % 1, room + thing.centre[1] % 1)
    return int((coverage(replace(thing, centre=centre), (2 * room, 2 * room)).alpha >= 0.5).sum())


def _turn(thing: Thing) -> NDArray[np.float64]:
    """float64 [2, 2]: from units of the radius to pixels, turned."""
    cos, sin = math.cos(thing.angle), math.sin(thing.angle)
    return np.array([[cos, sin], [-sin, cos]]) * thing.diameter / 2
