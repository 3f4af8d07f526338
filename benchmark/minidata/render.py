"""From a scene to pixels and panoptic truth.

A pixel belongs to the front-most part of the scene that covers at least half of it; edges are anti-aliased.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Panoptic, Segment
from benchmark.minidata.scene import NUM_THINGS, STUFF_KINDS, THING_KINDS, Lighting, Rgb, Scene, Thing
from benchmark.minidata.silhouettes import Coverage, coverage
from benchmark.minidata.textures import beyond, grid, pattern, texture

RIM = 0.62
"""Brightness at a thing's edge relative to its inside; keeps overlapping look-alikes apart, as shading does."""


def class_index_of(kind: str) -> int:
    """World class: 0..7 for things, 8..11 for stuff; mapped to a label set by `naming`."""
    return THING_KINDS.index(kind) if kind in THING_KINDS else NUM_THINGS + STUFF_KINDS.index(kind)


def first_thing_id(scene: Scene) -> int:
    """Segment id of the scene's first thing; the others follow in painting order."""
    return len(scene.regions) + (scene.crowd is not None) + 1


def render(scene: Scene) -> tuple[NDArray[np.uint8], Panoptic]:
    """Image uint8 [H, W, 3] RGB and its truth in world classes; segment ids follow painting order, crowd included."""
    canvas = np.zeros((*scene.size, 3), np.float32)
    ids = np.zeros(scene.size, np.int32)
    segments: list[Segment] = []
    _paint_background(scene, canvas, ids, segments)
    if scene.crowd is not None:
        number = len(segments) + 1
        for member in scene.crowd.members:
            _paint_thing(member, coverage(member, scene.size), number, canvas, ids)
        kind = scene.crowd.members[0].kind
        segments.append(Segment(id=number, class_index=class_index_of(kind), is_crowd=True))
    for thing in scene.things:
        number = len(segments) + 1
        _paint_thing(thing, coverage(thing, scene.size), number, canvas, ids)
        segments.append(Segment(id=number, class_index=class_index_of(thing.kind)))
    visible = set(np.unique(ids).tolist())
    truth = Panoptic(segment_id=ids, segments=tuple(segment for segment in segments if segment.id in visible))
    return _expose(canvas, scene.lighting), truth


def _blend(low: Rgb, high: Rgb, field: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [H, W, 3]: `low` where the field is 0, `high` where it is 1."""
    first, second = np.array(low, np.float32), np.array(high, np.float32)
    return first + field[..., None] * (second - first)


def _paint_background(
    scene: Scene, canvas: NDArray[np.float32], ids: NDArray[np.int32], segments: list[Segment]
) -> None:
    """Regions in order, then the unlabelled strip."""
    for number, region in enumerate(scene.regions, start=1):
        alpha = np.ones(scene.size, np.float32) if region.border is None else beyond(region.border, scene.size)
        paint = _blend(region.low, region.high, texture(region, scene.size))
        canvas += alpha[..., None] * (paint - canvas)
        ids[alpha >= 0.5] = number
        segments.append(Segment(id=number, class_index=class_index_of(region.kind)))
    if scene.strip is not None:
        alpha = beyond(scene.strip.border, scene.size) * (1 - beyond(scene.strip.far_border, scene.size))
        canvas += alpha[..., None] * (np.array(scene.strip.rgb, np.float32) - canvas)
        ids[alpha >= 0.5] = 0


def _paint_thing(
    thing: Thing, cover: Coverage, number: int, canvas: NDArray[np.float32], ids: NDArray[np.int32]
) -> None:
    """Paint one thing over what is there and claim its pixels."""
    alpha = cover.alpha
    if not alpha.size:
        return
    height, width = alpha.shape
    window = np.s_[cover.top : cover.top + height, cover.left : cover.left + width]
    y, x = grid(height, width, cover.top, cover.left)
    field = pattern(thing, y, x)
    paint = np.array(thing.rgb, np.float32) if field is None else _blend(thing.rgb, thing.second_rgb, field)
    inside = cv2.blur(alpha, (3, 3), borderType=cv2.BORDER_REPLICATE)
    shade = np.clip((inside - 0.55) / 0.45, 0, 1) * np.float32(1 - RIM) + np.float32(RIM)
    patch = canvas[window]
    patch += alpha[..., None] * (paint * shade[..., None] - patch)
    ids[window][alpha >= 0.5] = number


def _expose(canvas: NDArray[np.float32], lighting: Lighting) -> NDArray[np.uint8]:
    """Light gradient, sensor noise, rounding."""
    height, width = canvas.shape[:2]
    y, x = grid(height, width)
    along = math.sin(lighting.angle) * (x / width - 0.5) + math.cos(lighting.angle) * (y / height - 0.5)
    light = np.float32(lighting.near) + (along + np.float32(0.5)) * np.float32(lighting.far - lighting.near)
    noise = np.random.default_rng(lighting.seed).standard_normal(canvas.shape, dtype=np.float32)
    exposed = canvas * light[..., None].astype(np.float32) + noise * np.float32(lighting.noise)
    return np.clip(np.rint(exposed), 0, 255).astype(np.uint8)
