"""Drawn-by-dice scenes for the metric tests: a table of scenarios, and each scene as samples of every metric.

A scene has no label set: its classes are slots 0-3 (things) and 4-6 (stuff). `RUNS` turns scenes into the samples and
predictions of one metric, in the label set that the metric is official for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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

SIZE = (56, 72)
NUM_THING_SLOTS = 4
COCO_SLOTS = (0, 2, 15, 79, 80, 100, 132)
ADE_SLOTS = (7, 12, 20, 149, 0, 2, 3)
CITY_SLOTS = (11, 12, 13, 18, 0, 1, 8)
CITY_CARAVAN, CITY_VOID = 32, 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One listed region of a scene's map. index: its value there."""

    index: int
    slot: int
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One predicted object; detections may overlap. mask: bool [H, W]."""

    mask: NDArray[np.bool_]
    slot: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Truth and prediction of one image. truth, found: int32 [H, W], 0 is void.

    area_scale: stated over counted truth area. overlaps: further truths, for layouts that allow truths to overlap.
    """

    number: int
    truth: NDArray[np.int32]
    truth_regions: tuple[Region, ...]
    found: NDArray[np.int32]
    found_regions: tuple[Region, ...]
    detections: tuple[Detection, ...]
    area_scale: float
    overlaps: tuple[tuple[NDArray[np.bool_], Region], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What sets a scenario apart from the typical one; shares are chances per object or image."""

    slots: tuple[int, ...] = (0, 1, 2, 4, 5)
    found_slots: tuple[int, ...] | None = None
    num_things: int = 6
    radius: tuple[int, int] = (3, 14)
    num_crowds: int = 0
    num_voids: int = 1
    share_empty_found: float = 0.1
    share_empty_truth: float = 0.1
    score_step: float = 0.0
    num_copies: int = 1
    num_overlaps: int = 0


SCENARIOS: Mapping[str, Scenario] = {
    "typical": Scenario(),
    "crowd": Scenario(num_crowds=3),
    "void": Scenario(num_voids=6),
    "empty_prediction": Scenario(share_empty_found=1.0),
    "empty_truth": Scenario(share_empty_truth=1.0),
    "ties": Scenario(score_step=0.25, num_things=10),
    "single_class": Scenario(slots=(0, 4), num_things=10),
    "absent_class": Scenario(slots=(0, 1, 4), found_slots=(0, 1, 2, 3, 4, 5, 6)),
    "duplicates": Scenario(num_copies=3, score_step=0.1),
    "tiny": Scenario(radius=(1, 3), num_things=20),
    "overlapping_truth": Scenario(num_crowds=1, num_overlaps=8, num_copies=2),
}


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


def scenes(name: str, *, num: int = 8, seed: int = 0) -> list[Scene]:
    """`num` scenes of one scenario, the same for the same seed."""
    generator = np.random.default_rng([seed, sorted(SCENARIOS).index(name)])
    return [_scene(SCENARIOS[name], number + 1, generator) for number in range(num)]


def _scene(scenario: Scenario, number: int, dice: np.random.Generator) -> Scene:
    truth = np.zeros(SIZE, np.int32)
    regions: list[Region] = []
    if dice.random() >= scenario.share_empty_truth:
        things = [slot for slot in scenario.slots if slot < NUM_THING_SLOTS]
        stuff = [slot for slot in scenario.slots if slot >= NUM_THING_SLOTS]
        for place, slot in enumerate(stuff):
            regions.append(Region(index=len(regions) + 1, slot=slot))
            truth[:, SIZE[1] * place // len(stuff) :] = regions[-1].index
        for place in range(scenario.num_things + scenario.num_crowds):
            is_crowd = place >= scenario.num_things
            regions.append(Region(index=len(regions) + 1, slot=int(dice.choice(things)), is_crowd=is_crowd))
            truth[_ellipse(scenario.radius, dice)] = regions[-1].index
    for _ in range(scenario.num_voids):
        truth[_ellipse((2, 12), dice)] = 0
    is_empty = dice.random() < scenario.share_empty_found
    found, found_regions = _found_map(scenario, truth, regions, is_empty, dice)
    return Scene(
        number=number,
        truth=truth,
        truth_regions=tuple(region for region in regions if (truth == region.index).any()),
        found=found,
        found_regions=found_regions,
        detections=() if is_empty else _detections(scenario, truth, regions, dice),
        area_scale=float(dice.choice([1.0, 9.0, 90.0])),
        overlaps=_overlaps(scenario, truth, regions, dice),
    )


def _overlaps(
    scenario: Scenario, truth: NDArray[np.int32], regions: Sequence[Region], dice: np.random.Generator
) -> tuple[tuple[NDArray[np.bool_], Region], ...]:
    """Things once more, in place or one pixel aside, some as a crowd."""
    things = [region for region in regions if region.slot < NUM_THING_SLOTS and (truth == region.index).any()]
    found = []
    for _ in range(scenario.num_overlaps if things else 0):
        region = things[dice.integers(len(things))]
        mask = np.roll(truth == region.index, dice.integers(0, 2), axis=1)
        found.append((mask, replace(region, is_crowd=bool(dice.random() < 0.3))))
    return tuple(found)


def _ellipse(radius: tuple[int, int], dice: np.random.Generator) -> NDArray[np.bool_]:
    (y, x), (high, wide) = dice.integers(0, SIZE), dice.integers(radius[0], radius[1] + 1, 2)
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return ((rows - y) / (high + 0.3)) ** 2 + ((columns - x) / (wide + 0.3)) ** 2 <= 1


def _found_map(
    scenario: Scenario, truth: NDArray[np.int32], regions: Sequence[Region], is_empty: bool, dice: np.random.Generator
) -> tuple[NDArray[np.int32], tuple[Region, ...]]:
    if is_empty:
        return np.zeros(SIZE, np.int32), ()
    slots = scenario.found_slots or scenario.slots
    found = np.roll(truth, dice.integers(-1, 2, 2), axis=(0, 1))
    kept = []
    for region in regions:
        if dice.random() < 0.12:
            found[found == region.index] = 0
        slot = int(dice.choice(slots)) if dice.random() < 0.15 else region.slot
        kept.append(Region(index=region.index, slot=slot))
    for _ in range(2):
        kept.append(Region(index=len(regions) + len(kept) + 1, slot=int(dice.choice(slots))))
        found[_ellipse((2, 10), dice)] = kept[-1].index
    return found, tuple(region for region in kept if (found == region.index).any())


def _detections(
    scenario: Scenario, truth: NDArray[np.int32], regions: Sequence[Region], dice: np.random.Generator
) -> tuple[Detection, ...]:
    slots = [slot for slot in scenario.found_slots or scenario.slots if slot < NUM_THING_SLOTS]
    shapes = []
    for region in regions:
        if region.slot < NUM_THING_SLOTS and dice.random() < 0.9:
            for _ in range(scenario.num_copies):
                mask = np.roll(truth == region.index, dice.integers(-1, 2, 2), axis=(0, 1))
                slot = int(dice.choice(slots)) if dice.random() < 0.1 else region.slot
                shapes.append((mask & (dice.random(SIZE) < 0.97), slot))
    shapes += [(_ellipse((2, 10), dice), int(dice.choice(slots))) for _ in range(4)]
    found = []
    for mask, slot in shapes:
        score = float(dice.random())
        if scenario.score_step:
            score = round(score / scenario.score_step) * scenario.score_step
        found.append(Detection(mask=mask, slot=slot, score=score))
    return tuple(found)


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


def renumbered(sample: Sample, sample_id: str) -> Sample:
    """The same sample under another id."""
    return replace(sample, sample_id=sample_id)
