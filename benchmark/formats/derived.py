"""Semantic maps and objects derived from panoptic truth, as OneFormer's and Mask2Former's scripts derive them.

The semantic map gives every segment its class, crowds included. Objects are the segments of thing classes, with the
crowd mark kept and with areas as the panoptic file states them (COCO's panoptic2instances).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from benchmark import masks
from benchmark.contract import IGNORE, Instances, LabelMap, Panoptic, Truth, make_instances
from benchmark.formats.listing import Listing
from benchmark.formats.panoptic_files import paint_classes
from benchmark.labels import LabelSet


def semantic(listing: Listing, labels: LabelSet) -> Listing:
    """The same images with label maps instead of panoptic truth."""
    return _with_truth(listing, lambda panoptic: label_map(panoptic, labels))


def instances(listing: Listing, labels: LabelSet) -> Listing:
    """The same images with objects instead of panoptic truth."""
    return _with_truth(listing, lambda panoptic: objects(panoptic, labels))


def label_map(panoptic: Panoptic, labels: LabelSet) -> LabelMap:
    """class_index of every pixel; void is ignored."""
    found = paint_classes(panoptic, {row.class_index: row.class_index for row in labels.everything}, IGNORE)
    return LabelMap(class_index=found.astype(np.uint16))


def objects(panoptic: Panoptic, labels: LabelSet) -> Instances:
    """The segments of thing classes."""
    things = [segment for segment in panoptic.segments if labels.everything[segment.class_index].is_thing]
    found = masks.encode_ids(panoptic.segment_id, [segment.id for segment in things])
    counted = masks.areas(found)
    area = [int(count) if s.area is None else s.area for s, count in zip(things, counted, strict=True)]
    return make_instances(
        class_index=[segment.class_index for segment in things],
        masks=found,
        boxes=masks.bounding_boxes(found),
        area=np.array(area, np.float64),
        object_id=np.array([segment.id for segment in things], np.int64),
        is_crowd=np.array([segment.is_crowd for segment in things], bool),
    )


def _with_truth(listing: Listing, convert: Callable[[Panoptic], LabelMap | Instances]) -> Listing:
    def truth(index: int) -> Truth:
        panoptic = cast(Panoptic, listing.truth(index).frames[0])
        return Truth(frames=(convert(panoptic),))

    return Listing(entries=listing.entries, truth=truth, notes=listing.notes, problems=listing.problems)
