"""Masks of whole tracks, one entry a frame, and the records that are made of them: what video truth and results share.

Masks stay in the form of their file until a frame is looked at; compressed run lengths are checked all together first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks, run_lengths
from benchmark.contract import NO_BOXES, Instances, Rle, Tracks, make_instances
from benchmark.mask_tracks import MaskTracks
from benchmark.problems import Problem

FILL = "Write the run lengths of the whole frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One object of a video. masks: one a frame, as the file has it, None where the object is not seen.

    pixels: of each mask, 0 where there is none, or None for not yet counted.
    areas: square pixels a frame, None or 0 where it is not seen. boxes: (x, y, w, h) a frame, None where it is not
    seen; or None for a file that states none.
    """

    object_id: int
    class_index: int
    masks: Sequence[Any]
    areas: Sequence[float | None]
    boxes: Sequence[Sequence[float] | None] | None = None
    score: float = 1.0
    is_crowd: bool = False
    pixels: Sequence[int] | None = None


def tracks_of(tracks: Sequence[Track]) -> Tracks:
    """The tracks as a whole; their area is the mean over the frames in which it is not zero."""
    return Tracks(
        object_id=np.array([one.object_id for one in tracks], np.int64),
        class_index=np.array([one.class_index for one in tracks], np.int64),
        score=np.array([one.score for one in tracks], np.float64),
        is_crowd=np.array([one.is_crowd for one in tracks], bool),
        area=np.array([_mean_area(one.areas) for one in tracks], np.float64),
    )


def frames_of(tracks: Sequence[Track], num_frames: int, decode: Callable[[Any], Rle]) -> MaskTracks:
    """The objects of a video. decode: turns a mask of the file, which was checked before, into run lengths."""
    has_boxes = bool(tracks) and all(one.boxes is not None for one in tracks)

    def build(index: int) -> Instances:
        shown = [one for one in tracks if one.masks[index] is not None]
        boxes = [(one.boxes or ())[index] or (0, 0, 0, 0) for one in shown] if has_boxes else None
        return make_instances(
            class_index=[one.class_index for one in shown],
            masks=[decode(one.masks[index]) for one in shown],
            boxes=None if boxes is None else np.array(boxes, np.float64),
            box_format="xywh" if has_boxes else NO_BOXES,
            area=np.array([one.areas[index] or 0 for one in shown], np.float64),
            score=np.array([one.score for one in shown], np.float64),
            object_id=np.array([one.object_id for one in shown], np.int64),
            is_crowd=np.array([one.is_crowd for one in shown], bool),
        )

    pixels = np.zeros((len(tracks), num_frames), np.int64)
    for row, one in enumerate(tracks):
        pixels[row] = one.pixels if one.pixels is not None else _count(one, decode)
    return MaskTracks(
        object_id=np.array([one.object_id for one in tracks], np.int64),
        pixels=pixels,
        masks=[one.masks for one in tracks],
        decode=decode,
        build=build,
    )


def _count(track: Track, decode: Callable[[Any], Rle]) -> NDArray[np.int64]:
    """int64 [T], pixels of each mask of a track, 0 where there is none."""
    shown = [index for index, mask in enumerate(track.masks) if mask is not None]
    counted = np.zeros(len(track.masks), np.int64)
    counted[shown] = masks.areas([decode(track.masks[index]) for index in shown])
    return counted


@dataclass(frozen=True, slots=True)
class TextMasks:
    """Compressed masks of many tracks, gathered with `add` and checked together."""

    texts: list[bytes] = field(default_factory=list)
    tracks: list[tuple[str, Sequence[int], tuple[int, int]]] = field(default_factory=list)

    def add(self, place: str, masks_of_track: Sequence[bytes | None], size: tuple[int, int]) -> None:
        """Take in one track. place: where it is in its file. size: (height, width) of its video."""
        frames = [index for index, text in enumerate(masks_of_track) if text is not None]
        self.texts.extend(text for text in masks_of_track if text is not None)
        self.tracks.append((place, frames, size))

    def check(self) -> tuple[list[NDArray[np.int64]], list[Problem]]:
        """Areas of the masks of each track, int64 [masks], and a problem for each mask that does not fill its frame."""
        areas, pixels = run_lengths.measure(self.texts)
        counts = [len(frames) for _, frames, _ in self.tracks]
        stops = np.cumsum(counts, dtype=np.int64)
        wanted = np.repeat(np.array([height * width for _, _, (height, width) in self.tracks], np.int64), counts)
        problems = []
        for row in np.flatnonzero(pixels != wanted):
            number = int(np.searchsorted(stops, row, side="right"))
            place, frames, size = self.tracks[number]
            frame = frames[row - stops[number] + counts[number]]
            problems.append(_broken(f"{place}, frame {frame}", self.texts[row], size))
        return np.split(areas, stops[:-1]) if counts else [], problems


def _broken(place: str, text: bytes, size: tuple[int, int]) -> Problem:
    """What is wrong with a compressed mask that is not of `size` (height, width)."""
    message = f"the run lengths do not fill {size[0]}x{size[1]} (height x width)"
    try:
        masks.from_json({"size": size, "counts": text})
    except ValueError as error:
        message = f"the mask is broken: {error}"
    return Problem(place=place, message=message, remedy=FILL)


def _mean_area(areas: Sequence[float | None]) -> float:
    known = [area for area in areas if area]
    return float(np.array(known).mean()) if known else 0.0
