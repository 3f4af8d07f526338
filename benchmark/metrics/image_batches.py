"""Detections and truths of several images laid end to end, class by class, as average precision matches them.

One image at a time, NumPy's calls cost more than the work. What is matched here for many images together equals, to the
bit, what each image gives alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Instances
from benchmark.metrics import overlaps
from benchmark.metrics.greedy_matches import Pairs, ranks

MOST_ALIENS = 64
"""Pairs of different classes that may be compared in vain where it saves a call; few of them touch at all."""


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
    def of(
        cls,
        images: Sequence[Instances],
        kept: Sequence[NDArray[np.int64]],
        *,
        by_score: bool,
        areas: NDArray[np.float64] | None = None,
    ) -> Side:
        """The kept rows of every image, int64 [n] each. areas: float64 [objects of all images], None: as stated."""
        image = np.repeat(np.arange(len(images)), [len(rows) for rows in kept])
        row = np.concatenate([np.zeros(0, np.int64), *kept])
        offsets = np.cumsum([0, *(len(one) for one in images[:-1])]) if images else np.zeros(1, np.int64)
        place = row + offsets[image]
        names = ("class_index", "score", "area", "is_crowd")
        columns = {name: np.concatenate([getattr(one, name) for one in images]) for name in names}
        columns |= {} if areas is None else {"area": areas}
        columns = {name: column[place] for name, column in columns.items()}
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
    parts = []
    for call in _calls(founds, group, first, num, most=0 if kind == "boundary" else MOST_ALIENS):
        ours, theirs = (np.array([row for one in call for row in range(*one[side])]) for side in (0, 1))
        image = int(founds.image[ours[0]])
        rows = founds.row[ours], truths.row[theirs]
        iou = overlaps.compare(kind, found[image], rows[0], truth[image], rows[1], is_crowd[theirs])
        above = left = 0
        for (low, high), (start, stop) in call:
            below, right = above + high - low, left + stop - start
            parts.append(iou[above:below, left:right].ravel())
            above, left = below, right
    return Pairs(detection=pairs.detection, truth=pairs.truth, iou=np.concatenate(parts))


_Group = tuple[tuple[int, int], tuple[int, int]]
"""From where to where the detections and the truths of an image and class are."""


def _calls(
    founds: Side, group: NDArray[np.int64], first: NDArray[np.int64], num: NDArray[np.int64], *, most: int
) -> Iterator[list[_Group]]:
    """Groups that have truths, together where they are of one image and few. most: pairs that each may add in vain."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    stops = np.append(starts[1:], len(group))
    kept = num[starts] > 0
    columns = (one[kept].tolist() for one in (starts, stops, first[starts], num[starts], founds.image[starts]))
    call, size, current = list[_Group](), (0, 0), -1
    for low, high, start, more, image in zip(*columns, strict=True):
        if call and (image != current or size[0] * more + (high - low) * size[1] > most):
            yield call
            call, size = [], (0, 0)
        call.append(((low, high), (start, start + more)))
        size, current = (size[0] + high - low, size[1] + more), image
    if call:
        yield call


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
