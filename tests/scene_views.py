"""Drawn scenes as samples and predictions of every metric, in the label set that the metric is official for.

A view gives the classes of a scene's slots to one layout; `RUNS` names the view of each metric and protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scenes import NUM_THING_SLOTS, SIZE, Region, Scene

from benchmark import labels, masks
from benchmark.contract import (
    IGNORE,
    Annotation,
    Instances,
    LabelMap,
    Panoptic,
    Prediction,
    Prompt,
    Sample,
    Segment,
    Task,
    Truth,
    make_instances,
)

COCO_SLOTS = (0, 2, 15, 79, 80, 100, 132)
ADE_SLOTS = (7, 12, 20, 149, 0, 2, 3)
CITY_SLOTS = (11, 12, 13, 18, 0, 1, 8)
CITY_CARAVAN, CITY_VOID = 32, 19


def toy_labels(things: Sequence[object], stuff: Sequence[object]) -> labels.LabelSet:
    """A label set of a few classes named by what is given, things first; integers are the category ids."""
    rows = [(given, True) for given in things] + [(given, False) for given in stuff]
    classes = tuple(
        labels.LabelClass(
            class_index=index,
            category_id=given if isinstance(given, int) else index,
            name=str(given),
            is_thing=is_thing,
            color=(0, 0, 0),
            supercategory="",
            instance_category_id=None,
        )
        for index, (given, is_thing) in enumerate(rows)
    )
    return labels.LabelSet(name="toy", classes=classes)


def _sample(scene: Scene, task: Task, truth: Truth) -> Sample:
    return Sample(sample_id=str(scene.number), frames=(), size=SIZE, prompt=Prompt(task=task), truth=truth)


def _answer(frame: Annotation) -> Prediction:
    return Prediction(frames=(frame,))


def panoptic(scene: Scene, slots: Sequence[int]) -> tuple[Sample, Prediction]:
    """Scene as COCO panoptic: ids above 255, stated truth areas."""
    sides = []
    for id_map, regions in ((scene.truth, scene.truth_regions), (scene.found, scene.found_regions)):
        segments = tuple(
            Segment(
                id=region.index * 777,
                class_index=slots[region.slot],
                is_crowd=region.is_crowd,
                area=int((id_map == region.index).sum()) if id_map is scene.truth else None,
            )
            for region in regions
        )
        sides.append(Panoptic(segment_id=id_map * np.int32(777), segments=segments))
    return _sample(scene, Task.PANOPTIC, Truth(frames=(sides[0],))), _answer(sides[1])


def truth_instances(scene: Scene, slots: Sequence[int]) -> Instances:
    """The thing regions of the truth; areas and boxes as a file would state them."""
    things = [region for region in scene.truth_regions if region.slot < NUM_THING_SLOTS]
    found = list(masks.encode_ids(scene.truth, [region.index for region in things]))
    for mask, region in scene.overlaps:
        things.append(region)
        found.append(masks.encode(mask))
    return make_instances(
        class_index=[slots[region.slot] for region in things],
        masks=found,
        boxes=masks.bounding_boxes(found) + 0.25,
        area=masks.areas(found) * scene.area_scale,
        is_crowd=np.array([region.is_crowd for region in things], bool),
    )


def found_instances(scene: Scene, slots: Sequence[int]) -> Instances:
    """The detections of a scene."""
    found = masks.encode_many(np.array([one.mask for one in scene.detections], bool).reshape(-1, *SIZE))
    return make_instances(
        class_index=[slots[one.slot] for one in scene.detections],
        masks=found,
        boxes=masks.bounding_boxes(found),
        score=np.array([one.score for one in scene.detections]),
    )


def instances(scene: Scene, slots: Sequence[int]) -> tuple[Sample, Prediction]:
    """Scene as COCO instances."""
    truth = Truth(frames=(truth_instances(scene, slots),))
    return _sample(scene, Task.INSTANCE, truth), _answer(found_instances(scene, slots))


def label_map(id_map: NDArray[np.int32], regions: Sequence[Region], slots: Sequence[int], void: int) -> LabelMap:
    """Classes of a map; crowds keep their class."""
    table = np.full(int(id_map.max(initial=0)) + 1, void, np.uint16)
    for region in regions:
        table[region.index] = slots[region.slot]
    return LabelMap(class_index=table[id_map])


def semantic(scene: Scene, slots: Sequence[int]) -> tuple[Sample, Prediction]:
    """Scene as label maps with ignored truth and a prediction that leaves pixels out."""
    truth = label_map(scene.truth, scene.truth_regions, slots, IGNORE)
    found = label_map(scene.found, scene.found_regions, slots, IGNORE)
    return _sample(scene, Task.SEMANTIC, Truth(frames=(truth,))), _answer(found)


def instance_ids(scene: Scene) -> NDArray[np.int32]:
    """The scene as a Cityscapes instanceIds map: label id * 1000 + k, plain label id for stuff, groups and void.

    The last two regions of slot 3 are a caravan and a caravan group, which no score evaluates.
    """
    official = labels.load("cityscapes")
    table = np.zeros(int(scene.truth.max(initial=0)) + 1, np.int32)
    rare = [region.index for region in scene.truth_regions if region.slot == NUM_THING_SLOTS - 1][-2:]
    for region in scene.truth_regions:
        index = CITY_CARAVAN if region.index in rare else CITY_SLOTS[region.slot]
        label_id = official.category_id(index)
        is_single = region.slot < NUM_THING_SLOTS and not region.is_crowd and region.index not in rare[1:]
        table[region.index] = label_id * 1000 + region.index if is_single else label_id
    return table[scene.truth]


def cityscapes_pixels(scene: Scene) -> tuple[Sample, Prediction]:
    """Scene as Cityscapes label maps with their instances; void predictions are the label "unlabeled"."""
    ids = instance_ids(scene)
    label_ids = np.where(ids >= 1000, ids // 1000, ids)
    found = label_map(scene.found, scene.found_regions, CITY_SLOTS, CITY_VOID).class_index
    truth = Truth(frames=(LabelMap(class_index=_city_index(label_ids)),), objects=_city_objects(ids, has_groups=False))
    return _sample(scene, Task.SEMANTIC, truth), _answer(LabelMap(class_index=found))


def cityscapes_instances(scene: Scene) -> tuple[Sample, Prediction]:
    """Scene as Cityscapes instances: groups are crowds, void is what an ignored label id covers."""
    ids = instance_ids(scene)
    ignored = [label.category_id for label in labels.load("cityscapes").ignored]
    truth = Truth(frames=(_city_objects(ids, has_groups=True),), ignore=masks.encode(np.isin(ids, ignored)))
    return _sample(scene, Task.INSTANCE, truth), _answer(found_instances(scene, CITY_SLOTS))


def cityscapes_panoptic(scene: Scene) -> tuple[Sample, Prediction]:
    """Scene as Cityscapes panoptic: every ignored label is void, the groups of a class are one crowd segment."""
    official = labels.load("cityscapes")
    ids = instance_ids(scene)
    segments = []
    for value in np.unique(ids):
        index = official.index_of(int(value) // 1000 if value >= 1000 else int(value))
        if index >= official.num_classes:
            ids = np.where(ids == value, 0, ids)
            continue
        is_crowd = bool(official.is_thing[index]) and value < 1000
        area = int((ids == value).sum())
        segments.append(Segment(id=int(value), class_index=index, is_crowd=is_crowd, area=area))
    truth = Panoptic(segment_id=ids.astype(np.int32), segments=tuple(segments))
    return _sample(scene, Task.PANOPTIC, Truth(frames=(truth,))), panoptic(scene, CITY_SLOTS)[1]


def _city_index(label_ids: NDArray[np.int32]) -> NDArray[np.uint16]:
    table = np.full(256, IGNORE, np.uint16)
    for label in labels.load("cityscapes").everything:
        if label.category_id >= 0:
            table[label.category_id] = label.class_index
    return table[label_ids]


def _city_objects(ids: NDArray[np.int32], has_groups: bool) -> Instances:
    official = labels.load("cityscapes")
    things = {label.category_id for label in official.everything if label.is_thing}
    values = [int(one) for one in np.unique(ids) if one >= 1000 or (has_groups and one in things)]
    return make_instances(
        class_index=[official.index_of(value // 1000 if value >= 1000 else value) for value in values],
        masks=masks.encode_ids(ids, values),
        object_id=np.array(values, np.int64),
        is_crowd=np.array([value < 1000 for value in values], bool),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one metric sees a scene. metric, protocol: as in METRICS."""

    metric: str
    protocol: str
    labels: str
    view: Callable[[Scene], tuple[Sample, Prediction]]


RUNS: Mapping[str, Run] = {
    "coco_segm_ap": Run(
        metric="coco_segm_ap", protocol="coco", labels="coco_panoptic", view=lambda scene: instances(scene, COCO_SLOTS)
    ),
    "coco_bbox_ap": Run(
        metric="coco_bbox_ap", protocol="coco", labels="coco_panoptic", view=lambda scene: instances(scene, COCO_SLOTS)
    ),
    "ade20k_segm_ap": Run(
        metric="ade20k_segm_ap", protocol="places", labels="ade20k", view=lambda scene: instances(scene, ADE_SLOTS)
    ),
    "panoptic_quality": Run(
        metric="panoptic_quality",
        protocol="coco",
        labels="coco_panoptic",
        view=lambda scene: panoptic(scene, COCO_SLOTS),
    ),
    "cityscapes_panoptic": Run(
        metric="panoptic_quality", protocol="coco", labels="cityscapes", view=cityscapes_panoptic
    ),
    "semantic_present": Run(
        metric="semantic_iou", protocol="present", labels="ade20k", view=lambda scene: semantic(scene, ADE_SLOTS)
    ),
    "semantic_all": Run(
        metric="semantic_iou", protocol="all", labels="ade20k", view=lambda scene: semantic(scene, ADE_SLOTS)
    ),
    "semantic_union": Run(
        metric="semantic_iou", protocol="union", labels="ade20k", view=lambda scene: semantic(scene, ADE_SLOTS)
    ),
    "cityscapes_iou": Run(metric="cityscapes_iou", protocol="official", labels="cityscapes", view=cityscapes_pixels),
    "cityscapes_instance_ap": Run(
        metric="cityscapes_instance_ap", protocol="official", labels="cityscapes", view=cityscapes_instances
    ),
}
