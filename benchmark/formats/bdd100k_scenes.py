"""Clips as the truth of BDD100K's tracking: Scalabel JSON of boxes or run lengths, and bitmasks.

Crowds carry their attribute. Some pedestrians, cars and trucks are distractors ("other person", "other vehicle",
"trailer"), which bitmasks say by the ignored bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.annotated import AnnotatedClip
from benchmark.contract import Segment, make_instances
from benchmark.formats import bdd100k_bitmasks
from benchmark.formats.json_files import write_json
from benchmark.formats.scalabel_tracks import CORNERS, DISTRACTORS
from benchmark.labels import LabelSet

OCCLUDED_BELOW = 0.7
"""Visible share under which an object counts as occluded."""
EVERY_DISTRACTOR = 3
"""One in so many things of a class that has distractors is one."""
TRUNCATED, OCCLUDED = 8, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One object of one frame. name: its category in JSON. box: x1, y1, x2, y2, the last pixel included."""

    segment: Segment
    name: str
    box: tuple[float, ...]
    is_distractor: bool
    is_occluded: bool
    is_truncated: bool

    @property
    def attribute_bits(self) -> int:
        """The green byte of a bitmask."""
        not_counted = bdd100k_bitmasks.CROWD * self.segment.is_crowd | bdd100k_bitmasks.IGNORED * self.is_distractor
        return TRUNCATED * self.is_truncated | OCCLUDED * self.is_occluded | not_counted


def frame_names(video: str, num_frames: int) -> list[str]:
    """Names of a video's pictures."""
    return [f"{video}-{number:07d}.jpg" for number in range(1, num_frames + 1)]


def write_json_truth(path: Path, video: str, clip: AnnotatedClip, labels: LabelSet, *, has_masks: bool) -> None:
    """Write one video as Scalabel JSON."""
    records = []
    for index, name in enumerate(frame_names(video, len(clip.panoptic))):
        objects = [_record(one, clip, index, has_masks=has_masks) for one in _labelled(clip, index, labels)]
        records.append({"name": name, "videoName": video, "frameIndex": index, "labels": objects})
    write_json(path, records)


def write_bitmasks(folder: Path, video: str, clip: AnnotatedClip, labels: LabelSet) -> None:
    """Write one video as a PNG a frame."""
    for index, name in enumerate(frame_names(video, len(clip.panoptic))):
        ids = clip.panoptic[index].segment_id
        sides = []
        for one in _labelled(clip, index, labels):
            shown = make_instances(
                class_index=[one.segment.class_index],
                masks=masks.encode_ids(ids, [one.segment.id]),
                object_id=np.array([one.segment.id], np.int64),
            )
            sides.append((shown, one.attribute_bits))
        bdd100k_bitmasks.write_frame(folder / Path(name).with_suffix(".png"), ids.shape, sides, labels)


def _record(one: Labelled, clip: AnnotatedClip, index: int, *, has_masks: bool) -> dict[str, Any]:
    attributes = {"occluded": one.is_occluded, "truncated": one.is_truncated, "crowd": one.segment.is_crowd}
    record: dict[str, Any] = {"id": str(one.segment.id), "category": one.name, "attributes": attributes}
    if has_masks:
        (rle,) = masks.encode_ids(clip.panoptic[index].segment_id, [one.segment.id])
        return record | {"rle": {"counts": rle.counts.decode("ascii"), "size": list(rle.size)}}
    return record | {"box2d": dict(zip(CORNERS, one.box, strict=True))}


def _labelled(clip: AnnotatedClip, index: int, labels: LabelSet) -> Iterator[Labelled]:
    """The things and crowds that a frame shows."""
    truth = clip.panoptic[index]
    places = {segment_id: place for place, segment_id in enumerate(sorted(clip.extents), start=clip.number)}
    stood_for = {known: name for name, known in DISTRACTORS.items()}
    bounds = np.array(truth.segment_id.shape[::-1] * 2, np.float64)
    for segment in truth.segments:
        if not (segment.is_crowd or segment.id in places):
            continue
        known = labels.names[segment.class_index]
        is_distractor = known in stood_for and places.get(segment.id, 1) % EVERY_DISTRACTOR == 0
        corners = _corners(clip, segment, index)
        inside = np.clip(corners, 0, bounds - 1)
        yield Labelled(
            segment=segment,
            name=stood_for[known] if is_distractor else known,
            box=tuple(inside.round(3).tolist()),
            is_distractor=is_distractor,
            is_occluded=not segment.is_crowd and bool(clip.visibility[segment.id][index] < OCCLUDED_BELOW),
            is_truncated=bool((corners != inside).any()),
        )


def _corners(clip: AnnotatedClip, segment: Segment, index: int) -> NDArray[np.float64]:
    """x1, y1, x2, y2, float64 [4], the last pixel included: of the whole thing, or of the pixels of a crowd."""
    if segment.is_crowd:
        rows, columns = np.nonzero(clip.panoptic[index].segment_id == segment.id)
        return np.array([columns.min(), rows.min(), columns.max(), rows.max()], np.float64)
    left, top, width, height = clip.extents[segment.id][index]
    return np.array([left, top, left + width - 1, top + height - 1], np.float64)
