"""Clips as videos of YouTube-VIS: pictures, and the tracks of their things and crowds.

Every thing is a track with a mask in each frame that shows it; a crowd is a track that is marked as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.annotated import AnnotatedClip
from benchmark.contract import Prompt, Rle, Sample, Task, Truth
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.track_masks import Track, frames_of, tracks_of


def write_pictures(clips: Iterable[AnnotatedClip], folder: Path, name_of: Callable[[int], str]) -> Iterator[Sample]:
    """Write the pictures of clips, and give their samples: video ids and track ids count from 1.

    name_of: index of a frame -> file name.
    """
    numbers = count(1)
    for video_id, clip in enumerate(clips, start=1):
        home = folder / f"{clip.number:010x}"
        frames = tuple(home / name_of(index) for index in range(len(clip.images)))
        for path, image in zip(frames, clip.images, strict=True):
            write_jpeg(path, image)
        tracks = list(_tracks(clip, numbers))
        truth = Truth(frames=frames_of(tracks, len(frames), _as_it_is), tracks=tracks_of(tracks))
        size = (clip.images.shape[1], clip.images.shape[2])
        yield Sample(sample_id=str(video_id), frames=frames, size=size, prompt=Prompt(task=Task.VIS), truth=truth)


def _tracks(clip: AnnotatedClip, numbers: Iterator[int]) -> Iterator[Track]:
    """The things and crowds of a clip, by segment id."""
    segments = {segment.id: segment for truth in clip.panoptic for segment in truth.segments}
    for segment_id, segment in sorted(segments.items()):
        if segment_id in clip.extents or segment.is_crowd:
            shown = [_mask(truth.segment_id == segment_id) for truth in clip.panoptic]
            yield Track(
                object_id=next(numbers),
                class_index=segment.class_index,
                masks=shown,
                areas=[None if mask is None else float(masks.area(mask)) for mask in shown],
                boxes=[None if mask is None else masks.bounding_box(mask) for mask in shown],
                is_crowd=segment.is_crowd,
            )


def _mask(pixels: NDArray[np.bool_]) -> Rle | None:
    """None where nothing is seen. pixels: bool [H, W]."""
    return masks.encode(pixels) if pixels.any() else None


def _as_it_is(mask: Rle) -> Rle:
    return mask
