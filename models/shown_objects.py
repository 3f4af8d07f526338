"""The objects that a sample's truth shows in one frame, as arrays that a view can be applied to.

Crowds are left out. Objects without masks (boxes only) carry their filled boxes. Shapes: M objects, H W picture size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark import masks as run_lengths
from benchmark.contract import NO_BOXES, Annotation, Instances, Panoptic, Sample, Task
from models.task_tokens import label_targets
from models.views import View

LEAST_PIXELS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownObjects:
    """labels, object_ids: int64 [M]. masks: bool [M, H, W]. boxes: float64 [M, 4], xyxy in pixels.

    has_masks: False where the masks are filled boxes.
    """

    labels: NDArray[np.int64]
    object_ids: NDArray[np.int64]
    masks: NDArray[np.bool_]
    boxes: NDArray[np.float64]
    has_masks: bool = True

    def __len__(self) -> int:
        return len(self.labels)

    def taken(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> ShownObjects:
        """Some of the objects."""
        fields = ("labels", "object_ids", "masks", "boxes")
        return replace(self, **{name: getattr(self, name)[chosen] for name in fields})

    def only(self, object_id: int) -> ShownObjects:
        """The object of that id, or none."""
        return self.taken(self.object_ids == object_id)

    def as_one_concept(self) -> ShownObjects:
        """The same objects as answers to a question with one concept."""
        return replace(self, labels=np.zeros_like(self.labels))

    def with_concepts(self, asked: Sequence[int]) -> ShownObjects:
        """Labels as positions among the asked classes; objects of other classes are left out."""
        place = {index: position for position, index in enumerate(asked)}
        known = np.array([label in place for label in self.labels.tolist()], bool)
        kept = self.taken(known)
        return replace(kept, labels=np.array([place[label] for label in kept.labels.tolist()], np.int64))

    def seen_through(self, view: View, *, keeps_empty: bool = False) -> ShownObjects:
        """What a view shows of them; boxes of masks are drawn anew. keeps_empty: also objects that are not seen."""
        if self.has_masks:
            masks = view.masks(self.masks)
            boxes = bounding_boxes(masks)
        else:
            boxes = view.boxes(self.boxes)
            masks = filled(boxes, view.padded)
        seen = replace(self, masks=masks, boxes=boxes)
        return seen if keeps_empty else seen.taken(masks.sum((1, 2)) >= LEAST_PIXELS)


def task_objects(sample: Sample, frame: int, task: Task, is_thing: Sequence[bool]) -> ShownObjects:
    """What a task wants of a frame: of a panoptic annotation as OneFormer derives it, else every object.

    is_thing: one flag a class. Object ids of pictures are those of the annotation; merged regions have id 0.
    """
    annotation = _truth(sample)[frame]
    if not isinstance(annotation, Panoptic):
        return shown_objects(sample, frame)
    found = label_targets(annotation, is_thing=is_thing, task=task)
    return ShownObjects(
        labels=found.labels,
        object_ids=np.zeros(len(found.labels), np.int64),
        masks=found.masks,
        boxes=bounding_boxes(found.masks),
    )


def shown_objects(sample: Sample, frame: int) -> ShownObjects:
    """Every annotated object of a frame that is not a crowd."""
    annotation = _truth(sample)[frame]
    if isinstance(annotation, Panoptic):
        return _segments(annotation)
    if not isinstance(annotation, Instances):
        raise TypeError(f"{sample.sample_id}: objects need instance annotation, not {type(annotation).__name__}")
    kept = np.flatnonzero(~annotation.is_crowd & _has_extent(annotation))
    size = sample.size
    if annotation.masks is None:
        boxes = _corners(annotation, size)[kept]
        masks = filled(boxes, size)
    else:
        encoded = [annotation.masks[index] for index in kept.tolist()]
        masks = np.array([run_lengths.decode(mask) for mask in encoded], bool).reshape(-1, *size)
        boxes = bounding_boxes(masks)
    return ShownObjects(
        labels=annotation.class_index[kept],
        object_ids=annotation.object_id[kept],
        masks=masks,
        boxes=boxes,
        has_masks=annotation.masks is not None,
    )


def _segments(annotation: Panoptic) -> ShownObjects:
    """The segments that are no crowd and have pixels."""
    listed = [segment for segment in annotation.segments if not segment.is_crowd]
    masks = np.array([annotation.segment_id == segment.id for segment in listed], bool)
    masks = masks.reshape(-1, *annotation.size)
    every = ShownObjects(
        labels=np.array([segment.class_index for segment in listed], np.int64),
        object_ids=np.array([segment.id for segment in listed], np.int64),
        masks=masks,
        boxes=bounding_boxes(masks),
    )
    return every.taken(np.asarray(masks.any((1, 2))))


def bounding_boxes(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 [M, 4] xyxy of the pixels' outer edges; zeros for empty masks. masks: bool [M, H, W]."""
    boxes = np.zeros((len(masks), 4))
    for index, mask in enumerate(masks):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if len(rows):
            boxes[index] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def filled(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool [M, H, W]: ones inside xyxy boxes [M, 4] in pixels. size: (H, W)."""
    y, x = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    rows = (y >= boxes[:, 1:2]) & (y < boxes[:, 3:4])
    columns = (x >= boxes[:, 0:1]) & (x < boxes[:, 2:3])
    return rows[:, :, None] & columns[:, None]


def _truth(sample: Sample) -> Sequence[Annotation]:
    if sample.truth is None:
        raise TypeError(f"{sample.sample_id} has no truth to learn from")
    return sample.truth.frames


def _has_extent(annotation: Instances) -> NDArray[np.bool_]:
    """bool [N]: which objects are seen at all."""
    if annotation.masks is not None:
        return np.array([run_lengths.areas([mask])[0] > 0 for mask in annotation.masks], bool)
    return np.asarray((annotation.boxes[:, 2:] > 0).all(1))


def _corners(annotation: Instances, size: tuple[int, int]) -> NDArray[np.float64]:
    """xyxy in pixels, clipped to the picture."""
    boxes = annotation.boxes
    match annotation.box_format:
        case "xywh":
            boxes = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
        case "xyxy_norm":
            boxes = boxes * (size[1], size[0], size[1], size[0])
        case _ if annotation.box_format == NO_BOXES:
            raise TypeError("objects without masks need boxes")
    return np.clip(boxes, 0, (size[1], size[0], size[1], size[0]))
