"""Small worlds whose scores can be worked out on paper: squares of 20 x 20 pixels, at most four a picture.

An image has one object of each of four classes on a background; in a video of ten frames two objects move by four
pixels a frame, a single one by (8, 2). Every world holds samples with truth; `replay.replayed` answers them rightly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scene_views import toy_labels

from benchmark import box_tracks, labels, masks
from benchmark.contract import (
    NO_BOXES,
    Frames,
    Instances,
    LabelMap,
    Panoptic,
    Prompt,
    Sample,
    Segment,
    Task,
    Tracks,
    Truth,
    make_instances,
)

SIZE = (96, 160)
SIDE, NUM_IMAGES, NUM_VIDEOS, NUM_FRAMES, SPEED = 20, 8, 6, 10, 4
CORNERS = np.array([[50, 4], [110, 4], [50, 30], [110, 30]])
TOY = toy_labels(things=[1, 2, 3, 4, 5, 6], stuff=[7, 8])
BACKGROUND = 6
ONE = toy_labels(things=[1], stuff=[])
TWO = toy_labels(things=[1, 2], stuff=[])
CITY_OBJECTS = 11
OFFICIAL: Mapping[str, tuple[int, int]] = MappingProxyType({"cityscapes": (CITY_OBJECTS, 0), "mapillary_v12": (19, 2)})
"""Label set -> class_index of the first of four things in a row, and of a class of stuff."""
LONG_SIZE, NUM_LONG = (200, 320), 30
"""Size and length of the videos of one object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Samples of one kind, each with truth, and the classes that they are about."""

    samples: tuple[Sample, ...]
    labels: labels.LabelSet


def square(corner: NDArray[np.int64], size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    """bool [H, W]. corner: int [2], x and y."""
    drawn = np.zeros(size, bool)
    drawn[corner[1] : corner[1] + SIDE, corner[0] : corner[0] + SIDE] = True
    return drawn


def objects(
    corners: NDArray[np.int64], first_class: int = 0, *, form: str = "xywh", with_masks: bool = True
) -> Instances:
    """Squares at corners [N, 2], each of the next class. form: of their boxes; "inclusive" ends on the last pixel."""
    far = {"xywh": np.full_like(corners, SIDE), "inclusive": corners + SIDE - 1}.get(form, corners + SIDE)
    drawn = [masks.encode(square(corner)) for corner in corners] if with_masks else None
    return make_instances(
        class_index=np.arange(first_class, first_class + len(corners)),
        masks=drawn,
        boxes=np.concatenate((corners, far), axis=1).astype(np.float64),
        box_format="xyxy" if form == "inclusive" else form,
        area=np.full(len(corners), float(SIDE**2)),
    )


def jitter(index: int) -> NDArray[np.int64]:
    """int64 [2], so that no two pictures are alike."""
    return np.array([index % 8, 3 * index % 8])


def sample(index: int, truth: Truth, task: Task, size: tuple[int, int] = SIZE) -> Sample:
    """One sample with pictures of its own."""
    paths = tuple(Path(f"{index}/{frame}.jpg") for frame in range(len(truth.frames)))
    return Sample(sample_id=str(index + 1), frames=paths, size=size, prompt=Prompt(task=task), truth=truth)


def images(form: str = "xywh", *, with_masks: bool = True, city: bool = False) -> World:
    """Objects with boxes, or with masks too."""
    first = CITY_OBJECTS if city else 0
    found = [objects(CORNERS + jitter(index), first, form=form, with_masks=with_masks) for index in range(NUM_IMAGES)]
    samples = tuple(sample(index, Truth(frames=(one,)), Task.INSTANCE) for index, one in enumerate(found))
    return World(samples=samples, labels=labels.load("cityscapes") if city else TOY)


def segment_map(index: int) -> NDArray[np.int32]:
    """int32 [H, W]: 5 is the background, 1 to 4 are the objects."""
    drawn = np.full(SIZE, 5, np.int32)
    for number, corner in enumerate(CORNERS + jitter(index)):
        drawn[square(corner)] = number + 1
    return drawn


def panoptic() -> World:
    """Four things and one stuff segment that fill the picture."""
    classes = (0, 1, 2, 3, BACKGROUND)
    segments = tuple(Segment(id=number + 1, class_index=one) for number, one in enumerate(classes))
    truths = [Truth(frames=(Panoptic(segment_id=segment_map(i), segments=segments),)) for i in range(NUM_IMAGES)]
    return World(samples=tuple(sample(i, one, Task.PANOPTIC) for i, one in enumerate(truths)), labels=TOY)


def semantic(name: str = "") -> World:
    """The classes of the same pictures. name: of an official label set, for metrics that are about one alone."""
    first, ground = OFFICIAL.get(name, (0, BACKGROUND))
    table = np.array([0, first, first + 1, first + 2, first + 3, ground], np.uint16)
    samples = []
    for index in range(NUM_IMAGES):
        shown = objects(CORNERS + jitter(index), first)
        truth = Truth(frames=(LabelMap(class_index=table[segment_map(index)]),), objects=shown if name else None)
        samples.append(sample(index, truth, Task.SEMANTIC))
    return World(samples=tuple(samples), labels=labels.load(name) if name else TOY)


def expressions(*, num_empty: int = 0, with_masks: bool = True) -> World:
    """One object a picture; the last `num_empty` expressions mean nothing."""
    samples = []
    for index in range(NUM_IMAGES):
        kept = 0 if index >= NUM_IMAGES - num_empty else 1
        shown = objects((CORNERS + jitter(index))[:kept], with_masks=with_masks)
        samples.append(sample(index, Truth(frames=(shown,), subsets=("short",)), Task.REFERRING))
    return World(samples=tuple(samples), labels=ONE)


def single_tracks() -> World:
    """One object that moves by (8, 2) a frame, always in view."""
    samples = []
    for index in range(NUM_VIDEOS):
        steps = np.arange(NUM_LONG)[:, None] * np.array([8, 2]) + np.array([50, 80]) + jitter(index)
        boxes = np.concatenate((steps, np.full_like(steps, SIDE)), axis=1).astype(np.float64)
        truth = Truth(frames=box_tracks.one_run(boxes), absent=np.zeros(NUM_LONG, bool))
        samples.append(sample(index, truth, Task.SOT, LONG_SIZE))
    return World(samples=tuple(samples), labels=ONE)


def moving(index: int, frame: int) -> NDArray[np.int64]:
    """int64 [2, 2], corners of the two objects of a video in a frame."""
    return np.array([[50, 4], [50, 30]]) + np.array([SPEED * frame, 0]) + jitter(index)


def box_tracks_of(form: str = "xywh", *, with_masks: bool = False) -> World:
    """Two objects of one class with ids, through every frame."""

    def shown(index: int, frame: int) -> Instances:
        found = objects(moving(index, frame), form=form, with_masks=with_masks)
        return make_instances(
            class_index=[0, 0], masks=found.masks, boxes=found.boxes, box_format=found.box_format, area=found.area
        )

    frames = [tuple(shown(index, frame) for frame in range(NUM_FRAMES)) for index in range(NUM_VIDEOS)]
    samples = tuple(sample(index, Truth(frames=one), Task.MOT) for index, one in enumerate(frames))
    return World(samples=samples, labels=ONE)


def object_maps() -> World:
    """The same videos as maps of ids; object 1 belongs to class 0 (seen), object 2 to class 1 (unseen)."""

    def drawn(index: int, frame: int) -> Panoptic:
        ids = np.zeros(SIZE, np.int32)
        for number, corner in enumerate(moving(index, frame)):
            ids[square(corner)] = number + 1
        segments = tuple(Segment(id=number, class_index=0) for number in (1, 2))
        return Panoptic(segment_id=ids, segments=segments)

    def build(index: int) -> Truth:
        return Truth(frames=Frames(NUM_FRAMES, lambda frame: drawn(index, frame)), tracks=_tracks())

    samples = tuple(sample(index, build(index), Task.VOS) for index in range(NUM_VIDEOS))
    return World(samples=samples, labels=TWO)


def asked_objects() -> World:
    """The first object of each video, asked for by name and by reasoning in turn; both objects are annotated."""

    def drawn(index: int, frame: int) -> Panoptic:
        ids = square(moving(index, frame)[0]).astype(np.int32)
        return Panoptic(segment_id=ids, segments=(Segment(id=1, class_index=0),))

    samples = []
    for index in range(NUM_VIDEOS):
        truth = Truth(
            frames=tuple(drawn(index, frame) for frame in range(NUM_FRAMES)),
            foreground=[objects(moving(index, frame)) for frame in range(NUM_FRAMES)],
            subsets=("referring" if index % 2 else "reasoning",),
        )
        samples.append(sample(index, truth, Task.RVOS))
    return World(samples=tuple(samples), labels=ONE)


def instance_tracks(*, with_masks: bool = True) -> World:
    """The same videos with a class for each track."""

    def shown(index: int, frame: int) -> Instances:
        found = objects(moving(index, frame), with_masks=with_masks)
        if not with_masks:
            return found
        return make_instances(class_index=[0, 1], masks=found.masks, box_format=NO_BOXES, area=found.area)

    frames = [tuple(shown(index, frame) for frame in range(NUM_FRAMES)) for index in range(NUM_VIDEOS)]
    truths = [Truth(frames=one, tracks=_tracks()) for one in frames]
    samples = tuple(sample(index, one, Task.VIS) for index, one in enumerate(truths))
    return World(samples=samples, labels=TOY)


def _tracks() -> Tracks:
    return Tracks(
        object_id=np.array([1, 2]),
        class_index=np.array([0, 1]),
        score=np.ones(2),
        is_crowd=np.zeros(2, bool),
        area=np.full(2, float(SIDE**2)),
    )


_BUILDERS: Mapping[str, Callable[[], World]] = MappingProxyType(
    {
        "boxes": lambda: images(with_masks=False),
        "corner_boxes": lambda: images("xyxy", with_masks=False),
        "masks": images,
        "corner_masks": lambda: images("xyxy"),
        "city_masks": lambda: images(city=True),
        "panoptic": panoptic,
        "semantic": semantic,
        "city_semantic": lambda: semantic("cityscapes"),
        "vistas_semantic": lambda: semantic("mapillary_v12"),
        "expressions": expressions,
        "some_empty": lambda: expressions(num_empty=2),
        "phrases": lambda: expressions(with_masks=False),
        "single_tracks": single_tracks,
        "box_tracks": box_tracks_of,
        "inclusive_tracks": lambda: box_tracks_of("inclusive"),
        "mask_tracks": lambda: box_tracks_of(with_masks=True),
        "object_maps": object_maps,
        "asked_objects": asked_objects,
        "instance_tracks": instance_tracks,
        "box_instance_tracks": lambda: instance_tracks(with_masks=False),
    }
)


@cache
def world(name: str) -> World:
    """The world of that name, made once."""
    return _BUILDERS[name]()
