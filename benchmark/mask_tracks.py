"""Masks of the tracks of a video, kept by track, as readers of video instances make them and their metric takes them.

Frame by frame they are `Instances` like any other annotation; by track, many masks can be compared in one call. Masks
stay in the form of their file until they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
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

    masks: one list a track, one entry a frame, None where the object is not seen; bytes are compressed run lengths.
    decode: turns an entry into run lengths. build: index of a frame -> its objects.
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
    found: Sequence[Sequence[bytes | None]],
    pixels: NDArray[np.int64],
    truth: Sequence[Sequence[bytes | None]],
    size: tuple[int, int],
) -> NDArray[np.int64]:
    """Pixels that two tracks have in common in all frames together, int64 [D, G].

    found, truth: D and G lists of the compressed run lengths of one sound mask a frame, None where nothing is seen.
    pixels: int64 [D, T], of the found masks. size: (height, width) of all.
    """
    common = np.zeros((len(found), len(truth)), np.int64)
    num_frames = pixels.shape[1]
    step = _frames_at_once(size, len(found) * len(truth))
    for start in range(0, num_frames, step):
        frames = range(start, min(start + step, num_frames))
        places, ours = _side_by_side(found, frames, size)
        others, theirs = _side_by_side(truth, frames, size)
        if not ours or not theirs:
            continue
        # A crowd's IoU is the intersection over the first mask's area, from which rounding recovers the integer.
        shares = masks.shares_of_texts(ours, theirs, (size[0], size[1] * len(frames)))
        row, frame = np.divmod(places, num_frames)
        cells = np.flatnonzero(shares)
        one, other = np.divmod(cells, len(theirs))
        counted = np.rint(shares.ravel()[cells] * pixels[row, frame][one]).astype(np.int64)
        np.add.at(common, (row[one], others[other] // num_frames), counted)
    return common


def _frames_at_once(size: tuple[int, int], num_pairs: int) -> int:
    """Frames that one picture may hold: its runs stay below COCO's limit, the pairs of its masks fit into memory."""
    return max(1, min(LONGEST // (size[0] * size[1]), int((MOST_PAIRS / max(num_pairs, 1)) ** 0.5)))


def _side_by_side(
    tracks: Sequence[Sequence[bytes | None]], frames: range, size: tuple[int, int]
) -> tuple[NDArray[np.int64], list[bytes]]:
    """All masks in some frames, each moved to its frame's place in a picture in which they stand side by side.

    So masks of different frames share no pixel. With places, int64 [N]: track x number of all frames + frame.
    """
    area = size[0] * size[1]
    shown = [
        (row * len(track) + index, _moved(text, (index - frames.start) * area))
        for row, track in enumerate(tracks)
        for index in frames
        if (text := track[index]) is not None
    ]
    return np.array([place for place, _ in shown], np.int64), [text for _, text in shown]


def _moved(counts: bytes, pixels: int) -> bytes:
    """Compressed run lengths whose first run, of zeros, is longer by `pixels`."""
    if not pixels:
        return counts
    value, stop = 0, 0
    while counts[stop] >= MORE:
        value |= (counts[stop] - MORE) << 5 * stop
        stop += 1
    return _number((value | (counts[stop] - 48) << 5 * stop) + pixels) + counts[stop + 1 :]


@cache
def _heads() -> list[bytes]:
    """The two symbols of every number of ten bits that goes on."""
    return [bytes((MORE + (value & 31), MORE + (value >> 5))) for value in range(1 << 10)]


def _number(value: int) -> bytes:
    """The symbols of a number from 0 to 2**29 - 1, at least three."""
    heads = _heads()
    if value < 1 << 14:
        return heads[value & 1023] + _TAILS[value >> 10]
    if value < 1 << 24:
        return heads[value & 1023] + heads[value >> 10 & 1023] + _TAILS[value >> 20]
    return heads[value & 1023] + heads[value >> 10 & 1023] + heads[value >> 20] + _TAILS[0]


_TAILS = [bytes((48 + value,)) for value in range(16)]
"""The last symbol of a number that is not negative."""
