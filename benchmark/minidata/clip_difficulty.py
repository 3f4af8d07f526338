"""How hard the clips and expressions of the miniatures are: what is hidden, what goes and returns, what is said.

Counted from the scenes themselves, drawn anew: no official layout holds motion, extents or kinds of expressions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmark.annotated import ExpressionKind
from benchmark.minidata import clips, language
from benchmark.minidata.difficulty import OCCLUDED_FROM
from benchmark.minidata.motion import MotionKind
from benchmark.minidata.pools import CLIPS_FROM, NUM_CLIPS, NUM_IMAGES, SIZE
from benchmark.minidata.world import render, sample_scene, scene_seed

K = TypeVar("K", MotionKind, ExpressionKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipStatistics:
    """Counts over the clips of one split.

    things_per_clip: int64 [num_clips]. occluded, half_hidden: fractions of (thing, frame) pairs, the thing wholly
    inside the picture, of which at least a tenth, and at least a half, is hidden. returning: clips in which a thing is
    seen, then out of the picture, then seen again. motions, expressions: how often each kind occurs.
    """

    num_frames: int
    things_per_clip: NDArray[np.int64]
    occluded: float
    half_hidden: float
    returning: int
    motions: Mapping[MotionKind, int]
    expressions: Mapping[ExpressionKind, int]


def count(split: str, num_clips: int, seed: int = 0) -> ClipStatistics:
    """Statistics of the first clips of a split (at least one)."""
    things, shares = list[int](), list[NDArray[np.float64]]()
    motions, said, returning = Counter[MotionKind](), Counter[ExpressionKind](), 0
    for number in range(1, num_clips + 1):
        clip = clips.sample_clip(scene_seed(seed, split, CLIPS_FROM + number), split, SIZE)
        drawn = clips.draw(clip)
        seen = frozenset(segment.id for truth in drawn.panoptic for segment in truth.segments)
        things.append(len(clip.scene.things))
        motions.update(motion.kind for motion in clip.motions)
        said.update(one.kind for one in language.clip_expressions(clip, seen))
        placed = [(_place(drawn.extents[one]), drawn.visibility[one]) for one in drawn.extents]
        returning += any(_returns(is_out, visible) for (_, is_out), visible in placed)
        shares += [visible[is_whole] for (is_whole, _), visible in placed]
    visible = np.concatenate([np.zeros(0), *shares])
    return ClipStatistics(
        num_frames=clips.NUM_FRAMES,
        things_per_clip=np.array(things, np.int64),
        occluded=float(np.mean(visible <= 1 - OCCLUDED_FROM)),
        half_hidden=float(np.mean(visible <= 0.5)),
        returning=returning,
        motions=motions,
        expressions=said,
    )


def count_expressions(split: str, num_images: int, seed: int = 0) -> Mapping[ExpressionKind, int]:
    """How often each kind of expression is said of the first scenes of a split."""
    said = Counter[ExpressionKind]()
    for number in range(1, num_images + 1):
        scene = sample_scene(scene_seed(seed, split, number), split, SIZE)
        seen = frozenset(segment.id for segment in render(scene)[1].segments)
        said.update(one.kind for one in language.image_expressions(scene, seen))
    return said


def describe() -> list[str]:
    """Lines of text about the clips and expressions of the miniatures' training and validation splits."""
    lines = list[str]()
    for split, num_clips in NUM_CLIPS.items():
        lines += _lines(split, count(split, num_clips))
        said = count_expressions(split, NUM_IMAGES[split])
        lines.append(f"  expressions of {NUM_IMAGES[split]} scenes: {_listed(said, ExpressionKind)}")
    return lines


def _lines(split: str, found: ClipStatistics) -> list[str]:
    """One paragraph."""
    per_clip, (height, width) = found.things_per_clip, SIZE
    size = f"{found.num_frames} frames of {height}x{width} pixels"
    return [
        f"{split}: {len(per_clip)} clips of {size}, {int(per_clip.sum())} things",
        f"  things inside the picture, frame by frame: a tenth or more hidden {found.occluded:.1%}, "
        f"a half or more {found.half_hidden:.1%}",
        f"  something leaves the picture and is seen again: {found.returning} of {len(per_clip)} clips",
        f"  motions: {_listed(found.motions, MotionKind)}",
        f"  expressions of the clips: {_listed(found.expressions, ExpressionKind)}",
    ]


def _listed(counts: Mapping[K, int], kinds: Iterable[K]) -> str:
    return ", ".join(f"{kind.replace('_', ' ')} {counts[kind]}" for kind in kinds if counts[kind])


def _place(boxes: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """bool [T]: the box (x, y, width, height) lies wholly in the picture; none of it does. boxes: [T, 4]."""
    (x, y, w, h), (height, width) = boxes.T, SIZE
    is_whole = (x >= 0) & (y >= 0) & (x + w <= width) & (y + h <= height)
    return is_whole, (x >= width) | (y >= height) | (x + w <= 0) | (y + h <= 0)


def _returns(is_out: NDArray[np.bool_], visible: NDArray[np.float64]) -> bool:
    """Whether a thing is seen before and after it is out of the picture. is_out: bool [T]. visible: float64 [T]."""
    away = np.flatnonzero(is_out)
    return bool(len(away)) and bool(visible[: away[0]].any()) and bool(visible[away[-1] + 1 :].any())
