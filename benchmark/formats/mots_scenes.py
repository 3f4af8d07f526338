"""Clips as the truth of segmentation tracking: every thing has an id of class * 1000 + instance.

Crowds are ignored regions, and so is, frame by frame, a thing of which too little is seen to be told what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from benchmark import masks
from benchmark.annotated import AnnotatedClip
from benchmark.contract import Annotation, Frames, Instances, Segment, Truth, make_instances
from benchmark.formats.mots_text import PER_CLASS
from benchmark.labels import LabelSet

CLEAR_PIXELS = 30
"""Things of which fewer pixels are seen are ignored in that frame."""


def truth_of(clip: AnnotatedClip, labels: LabelSet) -> Truth:
    """The clip's truth, as a reader of it would have it."""
    instance_of = {segment_id: number for number, segment_id in enumerate(sorted(clip.extents), start=1)}

    def number(segment: Segment) -> int:
        return labels.category_id(segment.class_index) * PER_CLASS + instance_of[segment.id]

    def objects(index: int) -> Annotation:
        clear, _ = _parts(clip, index)
        return make_instances(
            class_index=[segment.class_index for segment in clear],
            masks=masks.encode_ids(clip.panoptic[index].segment_id, [segment.id for segment in clear]),
            object_id=np.array([number(segment) for segment in clear], np.int64),
        )

    def ignored(index: int) -> Annotation:
        _, unclear = _parts(clip, index)
        ids = [segment.id for segment in unclear]
        region = masks.encode(np.isin(clip.panoptic[index].segment_id, ids))
        return make_instances(class_index=[0] * bool(ids), masks=[region] if ids else [])

    num_frames = len(clip.panoptic)
    return Truth(frames=Frames(num_frames, objects), ignored=cast("Sequence[Instances]", Frames(num_frames, ignored)))


def _parts(clip: AnnotatedClip, index: int) -> tuple[list[Segment], list[Segment]]:
    """(things that count, what is ignored) of a frame."""
    truth = clip.panoptic[index]
    pixels = np.bincount(truth.segment_id.ravel())
    things = [one for one in truth.segments if one.id in clip.extents]
    clear = [one for one in things if pixels[one.id] >= CLEAR_PIXELS]
    crowds = [one for one in truth.segments if one.is_crowd]
    return clear, [*crowds, *(one for one in things if one not in clear)]
