"""Annotated clips as files of videos: pictures, object ids of each frame, and when an object is seen.

A thing keeps its segment id through a clip; a data set numbers its objects in its own way, so writers say which segment
gets which number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.annotated import AnnotatedClip
from benchmark.contract import Panoptic
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.indexed_masks import VOID, write_ids


def frame_names(num_frames: int, *, first: int = 0, step: int = 1, digits: int = 5) -> list[str]:
    """Names of frames without suffix: 00000, 00001, ... by default."""
    return [f"{first + step * index:0{digits}d}" for index in range(num_frames)]


def appearances(clip: AnnotatedClip) -> dict[int, list[int]]:
    """Segment id of each thing -> indices of the frames in which it is seen, both ascending. Crowds are left out."""
    shown = [{segment.id for segment in frame.segments} for frame in clip.panoptic]
    return {one: [index for index, ids in enumerate(shown) if one in ids] for one in sorted(clip.extents)}


def first_objects(clip: AnnotatedClip) -> dict[int, int]:
    """Segment id -> object id 1, 2, ... of the things that the first frame shows, as DAVIS numbers its objects."""
    here = [one for one, frames in appearances(clip).items() if frames[0] == 0]
    return {one: number for number, one in enumerate(here, start=1)}


def object_map(frame: Panoptic, numbers: Mapping[int, int], *, has_void: bool = False) -> NDArray[np.uint8]:
    """Object ids uint8 [H, W], 0 for none. numbers: segment id -> object id. has_void: crowds become VOID."""
    table = np.zeros(int(frame.segment_id.max(initial=0)) + 1, np.uint8)
    crowds = {one.id: VOID for one in frame.segments if one.is_crowd and has_void}
    for segment_id, number in {**crowds, **numbers}.items():
        if segment_id < len(table):
            table[segment_id] = number
    return table[frame.segment_id]


def object_maps(
    clip: AnnotatedClip, numbers: Mapping[int, int], *, has_void: bool = False
) -> Iterator[NDArray[np.uint8]]:
    """`object_map` of every frame."""
    return (object_map(frame, numbers, has_void=has_void) for frame in clip.panoptic)


def write_pictures(folder: Path, names: Sequence[str], clip: AnnotatedClip) -> None:
    """One JPEG a frame."""
    for name, image in zip(names, clip.images, strict=True):
        write_jpeg(folder / f"{name}.jpg", image)


def write_masks(folder: Path, names: Sequence[str], maps: Iterable[NDArray[np.uint8]]) -> None:
    """One indexed PNG a frame. maps: object ids uint8 [H, W]."""
    for name, ids in zip(names, maps, strict=True):
        write_ids(folder / f"{name}.png", ids)
