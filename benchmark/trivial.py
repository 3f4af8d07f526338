"""Trivial baselines: what a score is worth if nobody looks at shapes or textures.

Each is fitted on a training split by counting and answers all three tasks. `colour_clusters` cuts an image into
connected components of similar colour and names each by its size and mean colour; `most_frequent_class` looks at
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark import masks
from benchmark.contract import (
    Instances,
    LabelMap,
    Panoptic,
    Prediction,
    Sample,
    SampleSet,
    Segment,
    Task,
    make_instances,
)
from benchmark.formats.image_files import read_rgb
from benchmark.labels import LabelSet, suggestion
from benchmark.problems import UsageError

Predictor = Callable[[Sample], Prediction]

NUM_CLUSTERS = 6
SMOOTHING = 0.02
"""Standard deviation of the blur before clustering, as fraction of the image's shorter side."""
MIN_COMPONENT_SHARE = 0.006
"""Smaller components, as fraction of the image, are given to their neighbours.

These three were the best of 48 settings on mini training scenes (PQ 0.04 to 0.065 there).
"""
NUM_ROUNDS = 8
MAX_TRAINING_SAMPLES = 400
MAX_REMEMBERED = 256
"""Images whose parts are kept, because the rows of all three tasks ask about the same ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCounts:
    """What is counted of the training segments; crowds left out.

    class_index: int64 [N]. share: float64 [N], fraction of the image. colour: float64 [N, 3], mean in CIELAB.
    """

    class_index: NDArray[np.int64]
    share: NDArray[np.float64]
    colour: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A cut image. ids: int32 [H, W], 0..N-1. colour: float64 [N, 3], CIELAB. share: float64 [N], of the image."""

    ids: NDArray[np.int32]
    colour: NDArray[np.float64]
    share: NDArray[np.float64]


def build(name: str, training: SampleSet, labels: LabelSet) -> Predictor:
    """The baseline of that name, fitted on panoptic training samples; an unknown name raises UsageError."""
    if name not in BASELINES:
        known = ", ".join(BASELINES)
        raise UsageError(f"Unknown baseline {name!r}.{suggestion(name, BASELINES)} Known: {known}.")
    return BASELINES[name](training, labels)


def fit_colour_clusters(training: SampleSet, labels: LabelSet) -> Predictor:
    """A predictor that names components by the class whose mean colour in the training data is nearest.

    Components above a size choose among stuff classes, the others among things; the size is the one that tells most
    training segments rightly.
    """
    counts = _count_segments(training, labels)
    is_thing = labels.is_thing
    largest_thing = _best_threshold(counts.share, is_thing[counts.class_index])
    present = np.unique(counts.class_index)
    means = np.stack([counts.colour[counts.class_index == index].mean(axis=0) for index in present])

    cut = lru_cache(MAX_REMEMBERED)(lambda image: _cut(_read_lab(image)))

    def predict(sample: Sample) -> Prediction:
        parts = cut(sample.frames[0])
        is_small = parts.share <= largest_thing
        class_index, score = _nearest(parts.colour, means, present, is_small[:, None] == is_thing[present])
        return Prediction(frames=(_answer(sample.prompt.task, parts.ids, class_index, is_thing[class_index], score),))

    return predict


def fit_most_frequent_class(training: SampleSet, labels: LabelSet) -> Predictor:
    """A predictor that paints the stuff class with the most training pixels everywhere and finds no object."""
    counts = _count_segments(training, labels)
    pixels = np.bincount(counts.class_index, weights=counts.share, minlength=labels.num_classes)
    if not labels.is_thing.all():
        pixels = np.where(labels.is_thing, -1.0, pixels)
    winner = np.array([pixels.argmax()])

    def predict(sample: Sample) -> Prediction:
        ids = np.zeros(sample.size, np.int32)
        is_thing, score = np.zeros(1, bool), np.ones(1)
        return Prediction(frames=(_answer(sample.prompt.task, ids, winner, is_thing, score),))

    return predict


BASELINES: Mapping[str, Callable[[SampleSet, LabelSet], Predictor]] = MappingProxyType(
    {"colour_clusters": fit_colour_clusters, "most_frequent_class": fit_most_frequent_class}
)
"""Name -> fit(training samples, label set)."""


def _read_lab(path: Path) -> NDArray[np.float32]:
    """float32 [H, W, 3] in CIELAB."""
    image = read_rgb(path)
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _count_segments(training: SampleSet, labels: LabelSet) -> SegmentCounts:
    """Class, size and colour of the evaluated segments of the first few hundred training samples."""
    class_index: list[int] = []
    share: list[NDArray[np.float64]] = []
    colour: list[NDArray[np.float64]] = []
    for sample in training.head(MAX_TRAINING_SAMPLES):
        truth = sample.truth.frames[0] if sample.truth else None
        if not isinstance(truth, Panoptic):
            raise UsageError("A trivial baseline is fitted on panoptic training samples; these hold no panoptic truth.")
        segments = [one for one in truth.segments if not one.is_crowd and one.class_index < labels.num_classes]
        if segments:
            lab = _read_lab(sample.frames[0])
            ids = np.array([segment.id for segment in segments])
            pixels, means = _measure(lab, truth.segment_id, ids)
            class_index.extend(segment.class_index for segment in segments)
            share.append(pixels / truth.segment_id.size)
            colour.append(means)
    if not class_index:
        raise UsageError("A trivial baseline needs at least one training segment; the training split has none.")
    return SegmentCounts(class_index=np.array(class_index), share=np.concatenate(share), colour=np.concatenate(colour))


def _measure(
    lab: NDArray[np.float32], id_map: NDArray[np.int32], ids: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels, float64 [N], and mean colour, float64 [N, 3], of the regions with these ids."""
    pixels = ndimage.sum_labels(np.ones(id_map.shape), id_map, ids)
    sums = np.stack([ndimage.sum_labels(lab[..., channel], id_map, ids) for channel in range(3)], axis=1)
    return pixels, sums / np.maximum(pixels, 1)[:, None]


def _best_threshold(share: NDArray[np.float64], is_thing: NDArray[np.bool_]) -> float:
    """The largest size of a thing that tells most things from stuff; 1 if there is no stuff, 0 if no thing."""
    order = np.argsort(share, kind="stable")
    right = np.concatenate([[0], np.cumsum(np.where(is_thing[order], 1, -1))])
    best = int(right.argmax())
    return 0.0 if best == 0 else 1.0 if best == len(order) else float(share[order[best - 1]])


def _cut(lab: NDArray[np.float32]) -> Parts:
    """Connected components of the colour clusters of a smoothed image."""
    smooth = np.asarray(cv2.GaussianBlur(lab, (0, 0), SMOOTHING * min(lab.shape[:2])), np.float32)
    clusters = _assign(smooth.reshape(-1, 3), _cluster_centres(smooth)).reshape(lab.shape[:2])
    ids = np.zeros(lab.shape[:2], np.int32)
    num = 0
    for cluster in np.unique(clusters):
        found, components = cv2.connectedComponents((clusters == cluster).astype(np.uint8), connectivity=4)
        ids += np.where(components > 0, components + num, 0)
        num += found - 1
    sizes = np.bincount(ids.ravel(), minlength=num + 1)
    is_large = sizes >= MIN_COMPONENT_SHARE * ids.size
    is_large[sizes.argmax()] = True
    nearest = ndimage.distance_transform_edt(~is_large[ids], return_distances=False, return_indices=True)
    kept, positions = np.unique(ids[tuple(nearest)], return_inverse=True)
    ids = positions.reshape(ids.shape).astype(np.int32)
    pixels, colour = _measure(lab, ids, np.arange(len(kept)))
    return Parts(ids=ids, colour=colour, share=pixels / ids.size)


def _cluster_centres(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """k-means centres, float32 [NUM_CLUSTERS, 3], from a subsample; starts at colours far from each other."""
    step = max(1, int(np.sqrt(lab.shape[0] * lab.shape[1] / 4096)))
    colours = lab[::step, ::step].reshape(-1, 3)
    centres = colours.mean(axis=0, keepdims=True)
    while len(centres) < NUM_CLUSTERS:
        distance = ((colours[:, None] - centres) ** 2).sum(axis=2).min(axis=1)
        centres = np.concatenate([centres, colours[distance.argmax()][None]])
    for _ in range(NUM_ROUNDS):
        nearest = _assign(colours, centres)
        pixels = np.bincount(nearest, minlength=NUM_CLUSTERS)
        sums = np.stack([np.bincount(nearest, colours[:, channel], NUM_CLUSTERS) for channel in range(3)], axis=1)
        centres = np.where(pixels[:, None] > 0, sums / np.maximum(pixels, 1)[:, None], centres).astype(np.float32)
    return centres


def _assign(colours: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """Index of the nearest centre, int64 [N]."""
    nearest = (centres**2).sum(axis=1) - 2 * colours @ centres.T
    return nearest.argmin(axis=1)


def _nearest(
    colour: NDArray[np.float64],
    means: NDArray[np.float64],
    present: NDArray[np.int64],
    is_allowed: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The allowed class with the nearest mean, int64 [N], and a score in 0..1 that falls with the distance.

    is_allowed: bool [N, K]; where a row allows nothing, every class is allowed.
    """
    distance = np.sqrt(((colour[:, None] - means) ** 2).sum(axis=2))
    is_allowed = is_allowed | ~is_allowed.any(axis=1, keepdims=True)
    distance = np.where(is_allowed, distance, np.inf)
    return present[distance.argmin(axis=1)], np.exp(-distance.min(axis=1) / 100)


def _answer(
    task: Task,
    ids: NDArray[np.int32],
    class_index: NDArray[np.int64],
    is_thing: NDArray[np.bool_],
    score: NDArray[np.float64],
) -> Instances | LabelMap | Panoptic:
    """The task's answer from parts 0..N-1 with a class each; parts of one stuff class become one segment."""
    if task is Task.SEMANTIC:
        return LabelMap(class_index=class_index[ids].astype(np.uint16))
    if task is Task.INSTANCE:
        things = np.flatnonzero(is_thing)
        rles = masks.encode_ids(ids, things.tolist())
        return make_instances(
            class_index=class_index[things],
            masks=rles,
            boxes=masks.bounding_boxes(rles),
            area=masks.areas(rles).astype(np.float64),
            score=score[things],
        )
    first_of_class = {int(index): part for part, index in reversed([*enumerate(class_index)]) if not is_thing[part]}
    segment_of = [part if is_thing[part] else first_of_class[int(index)] for part, index in enumerate(class_index)]
    segments = tuple(
        Segment(id=part + 1, class_index=int(class_index[part]), score=float(score[part]))
        for part in sorted(set(segment_of))
    )
    return Panoptic(segment_id=(np.array(segment_of, np.int32) + 1)[ids], segments=segments)
