"""One object of a clip as the target of single object tracking, and how data sets write it down.

The target is seen in the first frame. One that leaves the picture and returns is preferred, then one that is hidden or
gone for a while, then one that a sentence describes. Boxes are x, y, width, height in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.annotated import AnnotatedClip, ExpressionKind
from benchmark.formats.box_videos import MOST_COVERED, VideoTruth

CLEARLY_SEEN = 0.5
"""Visible share in the first frame above which nobody doubts what is meant."""
UNDESCRIBED = "the thing in the box"
KINDS = (ExpressionKind.ATTRIBUTE, ExpressionKind.RELATION, ExpressionKind.COMPARISON, ExpressionKind.MOTION)
"""Kinds of sentences that describe a target, the preferred first; others serve too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object through T frames of one size (height, width).

    seen: float64 [T, 4], box of its visible pixels, zeros where there are none. whole: float64 [T, 4], box of all of
    it. visibility: float64 [T]. sentence: that describes it.
    """

    seen: NDArray[np.float64]
    whole: NDArray[np.float64]
    visibility: NDArray[np.float64]
    size: tuple[int, int]
    sentence: str

    @property
    def absent(self) -> NDArray[np.bool_]:
        """bool [T]: no pixel of it is seen."""
        return np.asarray(self.visibility == 0)

    @property
    def outside(self) -> NDArray[np.bool_]:
        """bool [T]: it lies wholly beyond the picture."""
        return outside(self.whole, self.size)

    @property
    def is_cut(self) -> NDArray[np.bool_]:
        """bool [T]: the picture's border cuts it."""
        is_inside = (self.whole[:, :2] >= 0).all(axis=1) & (_ends(self.whole) <= _bounds(self.size)).all(axis=1)
        return np.asarray(~is_inside & ~self.outside)


def target_of(clip: AnnotatedClip) -> Target | None:
    """The clip's target; None where nothing is seen in the first frame."""
    sentences = _sentences(clip)
    candidates = [one for one, shares in clip.visibility.items() if shares[0] > 0]
    if not candidates:
        return None
    chosen = max(candidates, key=lambda one: (*_merits(clip.visibility[one]), one in sentences, -one))
    return Target(
        seen=np.array([_box_of(truth.segment_id == chosen) for truth in clip.panoptic]),
        whole=clip.extents[chosen],
        visibility=clip.visibility[chosen],
        size=(clip.images.shape[1], clip.images.shape[2]),
        sentence=sentences.get(chosen, UNDESCRIBED),
    )


def outside(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool [T]: the box shares nothing with a picture of `size` (height, width). boxes: float64 [T, 4]."""
    is_apart = (_ends(boxes) <= 0) | (boxes[:, :2] >= _bounds(size))
    return np.asarray(is_apart.any(axis=1))


def clipped(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """float64 [T, 4]: the parts of boxes inside a picture of `size` (height, width), none below a pixel's size."""
    start = np.clip(boxes[:, :2], 0, _bounds(size) - 1)
    end = np.clip(_ends(boxes), start + 1, _bounds(size))
    return np.hstack([start, end - start])


def with_flags(target: Target) -> VideoTruth:
    """LaSOT: whole pixels counted from 1, zeros where it is not seen, flags that say why, a sentence."""
    boxes = np.where(target.absent[:, None], 0.0, target.seen + np.array([1.0, 1.0, 0.0, 0.0]))
    return VideoTruth(
        boxes=boxes, absent=target.absent, outside=target.outside & target.absent, sentence=target.sentence
    )


def in_pixels(target: Target) -> VideoTruth:
    """TNL2K: whole pixels counted from 0, zeros and a flag where it is not seen, a sentence."""
    return VideoTruth(boxes=target.seen, absent=target.absent, sentence=target.sentence)


def always_somewhere(target: Target) -> VideoTruth:
    """TrackingNet: boxes inside the picture with decimals; where it is not seen, the last place at which it was."""
    source = np.maximum.accumulate(np.where(target.absent, 0, np.arange(len(target.absent))))
    return VideoTruth(boxes=clipped(target.whole, target.size)[source].round(3))


def with_cover(target: Target) -> VideoTruth:
    """GOT-10k: the whole object, also beyond the picture, with its visible share in eighths."""
    return VideoTruth(
        boxes=target.whole.round(4),
        absent=target.absent,
        cover=np.ceil(target.visibility * MOST_COVERED).astype(np.int64),
        is_cut=target.is_cut,
        size=target.size,
    )


def _merits(shares: NDArray[np.float64]) -> tuple[bool, bool, bool]:
    """(clearly seen at first, gone and back again, gone for a while). shares: float64 [T], visible."""
    gone = np.flatnonzero(shares == 0)
    returns = bool(len(gone)) and bool((shares[gone[0] :] > 0).any())
    return bool(shares[0] > CLEARLY_SEEN), returns, bool(len(gone))


def _sentences(clip: AnnotatedClip) -> dict[int, str]:
    """Segment id -> what is said of this one thing."""
    ordered = sorted(clip.expressions, key=lambda one: KINDS.index(one.kind) if one.kind in KINDS else len(KINDS))
    return {one.segment_ids[0]: one.sentence for one in reversed(ordered) if len(one.segment_ids) == 1}


def _box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """The box around the pixels of a mask, bool [H, W]; zeros where it has none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return float(columns[0]), float(rows[0]), float(width), float(height)


def _ends(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return boxes[:, :2] + boxes[:, 2:]


def _bounds(size: tuple[int, int]) -> NDArray[np.float64]:
    """(width, height), float64 [2]."""
    return np.array(size[::-1], np.float64)
