"""Other readings of names: classes that are permuted or counted from another number, and objects with others' ids.

Predictions are paired with the truth by their pixels alone, whatever they are called; the best one-to-one renaming is
then an assignment (Kuhn, 1955) on the table of pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmark import masks
from benchmark.box_tracks import BoxTrack
from benchmark.contract import NO_BOXES, Annotation, Instances, LabelMap, Panoptic, Prediction, Sample
from benchmark.labels import LabelSet
from benchmark.trust.suspicion import Case, Change, Reading, each_frame, first_frames

STEP = 3
"""Every so manieth row and column of a map is looked at."""
FRAMES = 4
"""Frames of a video in which classes are looked at."""
LEAST_IOU = 0.5
FEW_IDS = 256


def confusion(case: Case) -> NDArray[np.float64]:
    """float64 [K, K], truth class x predicted class: the share of a true class that each predicted one covers."""
    num = case.labels.num_classes
    table = np.zeros((num, num))
    for sample, answer in case.fitting:
        for true, found in _frames(sample, answer):
            table += _pairs(true, found, num)
    return np.asarray(table / np.maximum(table.sum(axis=1, keepdims=True), 1e-9), np.float64)


def assignment(table: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 [K], what each predicted class should be called; a class that covers nothing keeps its name.

    table: float64 [K, K], as `confusion` makes it.
    """
    mapping = np.arange(len(table))
    true, found = linear_sum_assignment(-table)
    is_seen = table[true, found] > 0
    mapping[found[is_seen]] = true[is_seen]
    return mapping


def _learn_permutation(case: Case) -> Change | None:
    if not _has_classes(case):
        return None
    mapping = assignment(confusion(case))
    return None if (mapping == np.arange(len(mapping))).all() else partial(_renamed, mapping)


def _learn_shift(step: int, case: Case) -> Change | None:
    """Every class called as the one `step` category ids on, where there is one."""
    if not _has_classes(case):
        return None
    mapping = np.array([_neighbour(case.labels, index, step) for index in range(case.labels.num_classes)])
    return partial(_renamed, mapping)


def _neighbour(labels: LabelSet, class_index: int, step: int) -> int:
    wanted = labels.category_id(class_index) + step
    known = labels.index_of(wanted) if labels.has_category(wanted) else class_index
    return known if known < labels.num_classes else class_index


def _renamed(mapping: NDArray[np.int64], sample: Sample, prediction: Prediction) -> Prediction:
    def convert(frame: Annotation) -> Annotation:
        match frame:
            case Instances():
                return replace(frame, class_index=_looked_up(mapping, frame.class_index))
            case LabelMap():
                return LabelMap(class_index=_looked_up(mapping, frame.class_index).astype(np.uint16))
            case Panoptic():
                names = _looked_up(mapping, np.array([one.class_index for one in frame.segments], np.int64))
                renamed = [replace(one, class_index=int(name)) for one, name in zip(frame.segments, names, strict=True)]
                return Panoptic(segment_id=frame.segment_id, segments=tuple(renamed))

    tracks = prediction.tracks
    if tracks is not None:
        tracks = replace(tracks, class_index=_looked_up(mapping, tracks.class_index))
    return replace(each_frame(prediction, convert), tracks=tracks)


def _looked_up(mapping: NDArray[np.int64], names: NDArray[Any]) -> NDArray[np.int64]:
    """The new names of evaluated classes; others stay. names: integers [...]."""
    wide = names.astype(np.int64)
    is_known = wide < len(mapping)
    return np.where(is_known, mapping[np.where(is_known, wide, 0)], wide)


def _has_classes(case: Case) -> bool:
    is_single = any(isinstance(answer.frames, BoxTrack) for _, answer in case.pairs)
    return case.labels.num_classes > 1 and not is_single


def _frames(sample: Sample, answer: Prediction) -> Iterator[tuple[Annotation, Annotation]]:
    if sample.truth is None or len(sample.truth.frames) != len(answer.frames):
        return
    num = len(answer.frames)
    for index in np.unique(np.linspace(0, num - 1, min(num, FRAMES)).astype(int)).tolist():
        yield sample.truth.frames[index], answer.frames[index]


def _pairs(true: Annotation, found: Annotation, num: int) -> NDArray[np.float64]:
    """float64 [num, num]: pixels of maps, or pairs of objects, by true and predicted class."""
    if isinstance(true, Instances) and isinstance(found, Instances):
        rows, columns = _partners(true, found)
        names = true.class_index[rows], found.class_index[columns]
    elif isinstance(true, LabelMap | Panoptic) and isinstance(found, LabelMap | Panoptic):
        maps = _classes(true), _classes(found)
        if maps[0].shape != maps[1].shape:
            return np.zeros((num, num))
        names = maps[0].ravel(), maps[1].ravel()
    else:
        return np.zeros((num, num))
    is_known = (names[0] < num) & (names[1] < num)
    codes = names[0][is_known] * num + names[1][is_known]
    return np.bincount(codes, minlength=num * num).astype(np.float64).reshape(num, num)


def _classes(frame: LabelMap | Panoptic) -> NDArray[np.int64]:
    """int64 [h, w], classes of some pixels; a number above all classes for void."""
    if isinstance(frame, LabelMap):
        return frame.class_index[::STEP, ::STEP].astype(np.int64)
    ids = frame.segment_id[::STEP, ::STEP]
    drawn = np.full(ids.shape, np.iinfo(np.int32).max, np.int64)
    for one in frame.segments:
        drawn[ids == one.id] = one.class_index
    return drawn


def _partners(true: Instances, found: Instances) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of truths, and of the predictions that cover each best, int64 [P] each."""
    if not len(true) or not len(found):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if true.masks is not None and found.masks is not None:
        ious = masks.iou(found.masks, true.masks)
    elif NO_BOXES in (true.box_format, found.box_format):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    else:
        ious = masks.box_iou(_xywh(found), _xywh(true))
    best = ious.argmax(axis=0)
    kept = (ious.max(axis=0) >= LEAST_IOU) & ~true.is_crowd
    return np.flatnonzero(kept), best[kept]


def _xywh(objects: Instances) -> NDArray[np.float64]:
    if objects.box_format == "xywh":
        return objects.boxes
    return np.concatenate((objects.boxes[:, :2], objects.boxes[:, 2:] - objects.boxes[:, :2]), axis=1)


def _learn_objects(case: Case) -> Change | None:
    """Per video, the ids of masks assigned by their pixels to the ids of the truth."""
    is_video = any(len(answer.frames) > 1 for _, answer in case.pairs)
    return _reidentified if is_video and isinstance(first_frames(case)[0], Panoptic) else None


def _reidentified(sample: Sample, prediction: Prediction) -> Prediction:
    table = np.zeros((FEW_IDS, FEW_IDS))
    for true, found in _frames(sample, prediction):
        if isinstance(true, Panoptic) and isinstance(found, Panoptic) and _fit(true, found):
            ids = (one.segment_id[::STEP, ::STEP].ravel().astype(np.int64) for one in (true, found))
            np.add.at(table, tuple(ids), 1)
    table[0] = table[:, 0] = 0
    mapping = assignment(table)
    return each_frame(prediction, partial(_with_ids, mapping)) if len(set(mapping.tolist())) == FEW_IDS else prediction


def _fit(true: Panoptic, found: Panoptic) -> bool:
    highest = max(true.segment_id.max(initial=0), found.segment_id.max(initial=0))
    return true.segment_id.shape == found.segment_id.shape and bool(highest < FEW_IDS)


def _with_ids(mapping: NDArray[np.int64], frame: Annotation) -> Annotation:
    if not isinstance(frame, Panoptic) or frame.segment_id.max(initial=0) >= FEW_IDS:
        return frame
    segments = tuple(replace(one, id=int(mapping[one.id])) for one in frame.segments)
    return Panoptic(segment_id=mapping[frame.segment_id].astype(np.int32), segments=segments)


def moved(mapping: Iterable[int]) -> list[tuple[int, int]]:
    """(old, new) of the names that change."""
    return [(old, new) for old, new in enumerate(mapping) if old != new]


_OFF_BY_ONE = "Check whether class ids start at 0 or at 1, and whether a background class is counted"

READINGS = (
    *(
        Reading(
            name="category_ids_off_by_one",
            cause=f"category ids are one too {word}",
            remedy=_OFF_BY_ONE,
            phrase=f"every category id {'lowered' if step < 0 else 'raised'} by one",
            learn=partial(_learn_shift, step),
        )
        for step, word in ((-1, "high"), (1, "low"))
    ),
    Reading(
        name="labels_permuted",
        cause="classes carry each other's names",
        remedy="Map class ids through the label table of the annotation file; 'describe' names it",
        phrase="classes renamed as their pixels suggest",
        learn=_learn_permutation,
    ),
    Reading(
        name="object_ids_permuted",
        cause="objects carry each other's ids",
        remedy="Keep the ids of the first frame's annotation",
        phrase="objects renumbered as their pixels suggest",
        learn=_learn_objects,
    ),
)
