"""Clips of the mini world: a scene that moves, drawn frame by frame, with whole extents and visible shares.

A clip depends on its seed only, so any number of processes in any order draw the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Panoptic
from benchmark.minidata.motion import Motion, frame, sample_motions
from benchmark.minidata.render import first_thing_id, render
from benchmark.minidata.scene import Scene
from benchmark.minidata.silhouettes import extent, num_pixels
from benchmark.minidata.world import sample_scene

NUM_FRAMES = 16
MOTION_STREAM = 77
"""Keeps the random numbers of the motion apart from those of the scene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A scene at time 0, and one motion for each of its things."""

    scene: Scene
    motions: tuple[Motion, ...]
    num_frames: int = NUM_FRAMES

    def frame(self, index: int) -> Scene:
        """The scene as one frame shows it."""
        return frame(self.scene, self.motions, index, self.num_frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnClip:
    """images: uint8 [T, H, W, 3] RGB. panoptic: in world classes. extents, visibility: as in `AnnotatedClip`."""

    images: NDArray[np.uint8]
    panoptic: tuple[Panoptic, ...]
    extents: Mapping[int, NDArray[np.float64]]
    visibility: Mapping[int, NDArray[np.float64]]


def sample_clip(seed: int, split: str, size: tuple[int, int], num_frames: int = NUM_FRAMES) -> Clip:
    """The clip of one seed. size: (height, width)."""
    scene = sample_scene(seed, split, size)
    motions = sample_motions(np.random.default_rng([seed, MOTION_STREAM]), scene)
    return Clip(scene=scene, motions=motions, num_frames=num_frames)


def draw(clip: Clip) -> DrawnClip:
    """All frames of a clip."""
    scenes = [clip.frame(index) for index in range(clip.num_frames)]
    drawn = [render(scene) for scene in scenes]
    first = first_thing_id(clip.scene)
    ids = range(first, first + len(clip.scene.things))
    pixels = np.stack([np.bincount(truth.segment_id.ravel(), minlength=ids.stop) for _, truth in drawn])
    areas = {one: np.array([num_pixels(scene.things[one - first]) for scene in scenes]) for one in ids}
    return DrawnClip(
        images=np.stack([image for image, _ in drawn]),
        panoptic=tuple(truth for _, truth in drawn),
        extents={one: np.array([extent(scene.things[one - first]) for scene in scenes]) for one in ids},
        visibility={one: np.minimum(pixels[:, one] / areas[one], 1.0) for one in ids},
    )
