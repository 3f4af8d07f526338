"""Panels of videos: a few frames, the truth above the prediction, objects in the same colour in every frame.

Segments of a panoptic truth are drawn as objects, so that an object keeps its colour whatever its neighbours are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark import masks
from benchmark.contract import NO_BOXES, Annotation, Instances, LabelMap, Panoptic, Prediction, Sample, make_instances
from benchmark.labels import LabelSet
from reports.render import (
    OBJECT_COLOURS,
    Panel,
    Tile,
    describe,
    draw,
    draw_instances,
    question_of,
    shown_objects,
)
from reports.sources import read_image

NUM_FRAMES = 4

Colour = tuple[int, int, int]


def clip_panel(sample: Sample, prediction: Prediction, labels: LabelSet, *, rank: str, score_text: str = "") -> Panel:
    """Frames from the first to the last, truth and prediction; raises DataError when a picture cannot be read."""
    frames = np.linspace(0, len(sample.frames) - 1, min(NUM_FRAMES, len(sample.frames))).round().astype(int).tolist()
    rows: list[tuple[str, Sequence[Annotation]]] = [("prediction", prediction.frames)]
    if sample.truth is not None and len(sample.truth.frames) == len(sample.frames):
        rows.insert(0, ("truth", sample.truth.frames))
    tiles = []
    for title, answers in rows:
        shown = [as_objects(answers[frame]) for frame in frames]
        colours = colours_of(shown)
        for frame, annotation in zip(frames, shown, strict=True):
            image = read_image(sample, frame)
            alt = f"{title} of frame {frame}: {describe(annotation, labels)}"
            tiles.append(Tile(f"{title}, frame {frame}", alt, _drawn(image, annotation, labels, colours)))
    return Panel(
        sample_id=sample.sample_id,
        rank=rank,
        score_text=score_text,
        tiles=tuple(tiles),
        legend=(),
        question=question_of(sample),
    )


def as_objects(annotation: Annotation) -> Annotation:
    """Segments as instances, which are drawn by object and not by class; anything else as it is."""
    if not isinstance(annotation, Panoptic):
        return annotation
    encoded = masks.encode_ids(annotation.segment_id, [one.id for one in annotation.segments])
    seen = [index for index, rle in enumerate(encoded) if masks.area(rle)]
    return make_instances(
        class_index=[annotation.segments[index].class_index for index in seen],
        masks=[encoded[index] for index in seen],
        box_format=NO_BOXES,
        object_id=np.array([annotation.segments[index].id for index in seen], np.int64),
        is_crowd=np.array([annotation.segments[index].is_crowd for index in seen], bool),
    )


def colours_of(frames: Sequence[Annotation]) -> Mapping[int, Colour]:
    """A colour for each object id that is shown in some frame, in order of the ids."""
    found = [
        frame.object_id[index] for frame in frames if isinstance(frame, Instances) for index in shown_objects(frame)
    ]
    ids = sorted({int(one) for one in found})
    return {one: OBJECT_COLOURS[place % len(OBJECT_COLOURS)] for place, one in enumerate(ids)}


def _drawn(image: np.ndarray, frame: Annotation, labels: LabelSet, colours: Mapping[int, Colour]) -> np.ndarray:
    if isinstance(frame, LabelMap | Panoptic):
        return draw(image, frame, labels)
    by_place = {index: colours[int(frame.object_id[index])] for index in shown_objects(frame)}
    return draw_instances(image, frame, labels, by_place)
