"""Detections and truths of several images laid end to end, class by class, as average precision matches them.

One image at a time, NumPy's calls cost more than the work. What is matched here for many images together equals, to the
bit, what each image gives alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Instances
from benchmark.metrics import overlaps
from benchmark.metrics.greedy_matches import Pairs, ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """N objects by image and class, then by falling score (detections) or as the file has them (truths).

    image: int64 [N]. row: int64 [N], position in the image's own list. class_index: int64 [N].
    score, area: float64 [N]. is_crowd: bool [N]. starts: int64 [images + 1], where each image's begin.
    """

    image: NDArray[np.int64]
    row: NDArray[np.int64]
    class_index: NDArray[np.int64]
    score: NDArray[np.float64]
    area: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, images: Sequence[Instances], kept: Sequence[NDArray[np.int64]], *, by_score: bool) -> Side:
        """The kept rows of every image, int64 [n] each."""
        image = np.repeat(np.arange(len(images)), [len(rows) for rows in kept])
        row = np.concatenate([np.zeros(0, np.int64), *kept])
        offsets = np.cumsum([0, *(len(one) for one in images[:-1])]) if images else np.zeros(1, np.int64)
        place = row + offsets[image]
        names = ("class_index", "score", "area", "is_crowd")
        columns = {name: np.concatenate([getattr(one, name) for one in images])[place] for name in names}
        keys = (-columns["score"],) if by_score else ()
        order = np.lexsort((*keys, columns["class_index"], image))
        sides = {name: column[order] for name, column in columns.items()}
        starts = np.searchsorted(image[order], np.arange(len(images) + 1))
        return cls(image=image[order], row=row[order], starts=starts, **sides)

    def __len__(self) -> int:
        return len(self.image)

    def bounds(self, image: int) -> slice:
        """The rows of an image."""
        return slice(int(self.starts[image]), int(self.starts[image + 1]))

    def best(self, most: int) -> Side:
        """The first `most` of every image and class."""
        keep = ranks(self.image, self.class_index) < most
        return self if keep.all() else self.take(keep)

    def take(self, keep: NDArray[np.bool_]) -> Side:
        """The rows for which `keep`, bool [N], holds."""
        return Side(
            image=self.image[keep],
            row=self.row[keep],
            class_index=self.class_index[keep],
            score=self.score[keep],
            area=self.area[keep],
            is_crowd=self.is_crowd[keep],
            starts=np.searchsorted(self.image[keep], np.arange(len(self.starts))),
        )


def compare(
    kind: overlaps.Kind,
    found: Sequence[Instances],
    truth: Sequence[Instances],
    founds: Side,
    truths: Side,
    is_crowd: NDArray[np.bool_],
) -> Pairs:
    """The pairs of one image and class with their IoU. is_crowd: bool [G]."""
    group, first, num = _partners(founds, truths)
    detection = np.repeat(np.arange(len(founds)), num)
    inner = np.arange(len(detection)) - np.repeat(np.cumsum(num) - num, num)
    pairs = Pairs(detection=detection, truth=np.repeat(first, num) + inner, iou=np.zeros(len(detection)))
    if not len(detection):
        return pairs
    if kind == "bbox":
        ours, theirs = (_boxes(images, side) for images, side in ((found, founds), (truth, truths)))
        iou = overlaps.of_box_pairs(ours[pairs.detection], theirs[pairs.truth], is_crowd[pairs.truth])
        return Pairs(detection=pairs.detection, truth=pairs.truth, iou=iou)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    parts = []
    for low, high in zip(starts.tolist(), [*starts[1:].tolist(), len(group)], strict=True):
        if num[low]:
            image, part = int(founds.image[low]), slice(int(first[low]), int(first[low] + num[low]))
            rows = founds.row[low:high], truths.row[part]
            parts.append(overlaps.compare(kind, found[image], rows[0], truth[image], rows[1], is_crowd[part]).ravel())
    return Pairs(detection=pairs.detection, truth=pairs.truth, iou=np.concatenate(parts))


def _partners(founds: Side, truths: Side) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(group, first truth, number of truths) of every detection, int64 [D] each."""
    width = 1 + int(max(founds.class_index.max(initial=0), truths.class_index.max(initial=0)))
    group = founds.image * width + founds.class_index
    keys = truths.image * width + truths.class_index
    first = np.searchsorted(keys, group, "left")
    return group, first, np.searchsorted(keys, group, "right") - first


def groups(founds: Side) -> NDArray[np.int64]:
    """A number for each detection's image and class, int64 [D], rising."""
    return founds.image * (1 + int(founds.class_index.max(initial=0))) + founds.class_index


def _boxes(images: Sequence[Instances], side: Side) -> NDArray[np.float64]:
    """Boxes (x, y, w, h) of the rows of a side, float64 [N, 4]."""
    offsets = np.cumsum([0, *(len(one) for one in images[:-1])])
    joined: NDArray[np.float64] = np.concatenate([overlaps.xywh(one) for one in images])
    return joined[side.row + offsets[side.image]]
