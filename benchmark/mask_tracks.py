"""Masks of the tracks of a video, kept by track, as readers of video instances make them and their metric takes them.

Frame by frame they are `Instances` like any other annotation; by track, many masks can be compared in one call. Masks
stay in the form of their file until they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Annotation, Instances, Rle

LONGEST = 2**28
"""Pixels of the pictures that are laid side by side; pycocotools decodes runs up to 2**29."""
MOST_PAIRS = 2_000_000
"""Pairs of masks whose overlap is asked for in one call; nearly all of them are of different frames."""
MORE = 80
"""Characters from here on are followed by another one of the same number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskTracks(Sequence[Annotation]):
    """K tracks of T frames. object_id: int64 [K], all different. pixels: int64 [K, T], 0 where nothing is seen.

    masks: one list a track, one entry a frame, None where the object is not seen. decode: turns an entry into run
    lengths. build: index of a frame -> its objects.
    """

    object_id: NDArray[np.int64]
    pixels: NDArray[np.int64]
    masks: Sequence[Sequence[Any]]
    decode: Callable[[Any], Rle]
    build: Callable[[int], Instances]

    def __len__(self) -> int:
        return self.pixels.shape[1]

    def __getitem__(self, index: int) -> Instances:  # type: ignore[override]
        return self.build(range(len(self))[index])

    def __iter__(self) -> Iterator[Annotation]:
        return (self.build(index) for index in range(len(self)))


def shared_pixels(
    found: Sequence[Sequence[Rle | None]], pixels: NDArray[np.int64], truth: Sequence[Sequence[Rle | None]]
) -> NDArray[np.int64]:
    """Pixels that two tracks have in common in all frames together, int64 [D, G].

    found, truth: D and G lists of one sound mask a frame, all of one size, None where nothing is seen. pixels: int64
    [D, T], of the found masks.
    """
    common = np.zeros((len(found), len(truth)), np.int64)
    size = next((mask.size for track in (*found, *truth) for mask in track if mask is not None), (1, 1))
    num_frames = pixels.shape[1]
    step = _frames_at_once(size, len(found) * len(truth))
    for start in range(0, num_frames, step):
        frames = range(start, min(start + step, num_frames))
        wide = (size[0], size[1] * len(frames))
        ours = _side_by_side(found, frames, wide)
        theirs = _side_by_side(truth, frames, wide)
        if not ours or not theirs:
            continue
        areas = np.array([pixels[row, index] for row, index, _ in ours], np.int64)
        # A crowd's IoU is the intersection over the first mask's area, from which rounding recovers the integer.
        shares = masks.iou([one[2] for one in ours], [one[2] for one in theirs], np.ones(len(theirs), bool))
        rows, columns = np.nonzero(shares)
        owners = np.array([one[0] for one in ours])[rows], np.array([one[0] for one in theirs])[columns]
        np.add.at(common, owners, np.rint(shares[rows, columns] * areas[rows]).astype(np.int64))
    return common


def _frames_at_once(size: tuple[int, int], num_pairs: int) -> int:
    """Frames that one picture may hold: its runs stay below COCO's limit, the pairs of its masks fit into memory."""
    return max(1, min(LONGEST // (size[0] * size[1]), int((MOST_PAIRS / max(num_pairs, 1)) ** 0.5)))


def _side_by_side(
    tracks: Sequence[Sequence[Rle | None]], frames: range, size: tuple[int, int]
) -> list[tuple[int, int, Rle]]:
    """(track, frame, mask) of all masks in some frames, each moved to its frame's place in a picture of `size`.

    Frames stand side by side, so that masks of different frames share no pixel.
    """
    area = size[0] * size[1] // len(frames)
    return [
        (row, index, Rle(size=size, counts=_moved(mask.counts, (index - frames.start) * area)))
        for row, track in enumerate(tracks)
        for index in frames
        if (mask := track[index]) is not None
    ]


def _moved(counts: bytes, pixels: int) -> bytes:
    """Compressed run lengths whose first run, of zeros, is longer by `pixels`."""
    if not pixels:
        return counts
    value, stop = 0, 0
    while counts[stop] >= MORE:
        value |= (counts[stop] - MORE) << 5 * stop
        stop += 1
    value = (value | (counts[stop] - 48) << 5 * stop) + pixels
    symbols = bytearray()
    while value > 15:
        symbols.append(MORE + (value & 31))
        value >>= 5
    symbols.append(48 + value)
    return bytes(symbols) + counts[stop + 1 :]
