"""Label sets: complete official tables, both directions of the id mapping, errors that suggest neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark import labels
from benchmark.contract import Task
from benchmark.problems import UsageError
from benchmark.prompts import build_prompt, task_sentence

COUNTS = {
    "coco_panoptic": (133, 80, 0),
    "coco": (80, 80, 0),
    "ade20k": (150, 100, 0),
    "cityscapes": (19, 8, 16),
    "lvis_v1": (1203, 1203, 0),
    "lvis_v05": (1230, 1230, 0),
    "objects365_v2": (365, 365, 0),
    "openimages_challenge": (500, 500, 0),
    "openimages_challenge_segmentable": (300, 300, 0),
    "d3": (422, 422, 0),
    "odinw13": (50, 50, 0),
    "odinw35": (314, 314, 0),
    "seginw": (85, 85, 0),
    "object": (1, 1, 0),
    "seen_unseen": (2, 2, 0),
    "mot_challenge": (1, 1, 12),
    "mots_challenge": (1, 1, 1),
    "kitti_mots": (2, 2, 0),
    "bdd100k_panoptic": (40, 10, 1),
    "bdd100k_semantic": (19, 8, 0),
    "bdd100k_tracking": (8, 8, 0),
    "pascal_context59": (59, 0, 0),
    "pascal_context60": (60, 0, 0),
    "pascal_context459": (459, 0, 0),
    "mapillary_v12": (65, 37, 1),
    "mapillary_v20": (116, 70, 8),
    "youtube_vis19": (40, 40, 0),
    "youtube_vis21": (40, 40, 0),
    "ovis": (25, 25, 0),
}


@pytest.mark.parametrize("name", labels.NAMES)
def test_each_table_is_complete_and_maps_both_ways(name: str) -> None:
    label_set = labels.load(name)
    assert (label_set.num_classes, int(label_set.is_thing.sum()), len(label_set.ignored)) == COUNTS[name]
    for position, row in enumerate(label_set.everything):
        assert row.class_index == position == label_set.index_of(row.category_id) == label_set.index_named(row.name)
        assert label_set.category_id(position) == row.category_id


def test_coco_table_is_the_official_list(samples_dir: Path) -> None:
    official = json.loads(
        (samples_dir / "image/panoptic_coco_two_images/panoptic_coco_categories.json").read_text(encoding="utf-8")
    )
    ours = [
        {"supercategory": c.supercategory, "color": list(c.color), "isthing": int(c.is_thing), "id": c.category_id,
         "name": c.name}
        for c in labels.load("coco_panoptic").classes
    ]  # fmt: skip
    assert ours == official


def test_coco_boxes_have_the_things_of_the_panoptic_table() -> None:
    things = [row for row in labels.load("coco_panoptic").classes if row.is_thing]
    assert labels.load("coco").classes == tuple(things)


def test_lvis_has_the_official_groups_of_frequency() -> None:
    groups = [row.supercategory for row in labels.load("lvis_v1").classes]
    assert [groups.count(group) for group in "rcf"] == [337, 461, 405]


def test_coco_things_come_first() -> None:
    is_thing = labels.load("coco_panoptic").is_thing
    assert is_thing[:80].all() and not is_thing[80:].any()


def test_cityscapes_table_equals_the_official_label_module() -> None:
    official = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    label_set = labels.load("cityscapes")
    assert len(official) == len(label_set.everything)
    for row in official:
        ours = label_set.everything[label_set.index_of(row.id)]
        assert (ours.name, ours.color, ours.is_thing, ours.supercategory) == (
            row.name, row.color, row.hasInstances, row.category,
        )  # fmt: skip
        assert (ours.class_index < 19) == (not row.ignoreInEval)
        if not row.ignoreInEval:
            assert ours.class_index == row.trainId


def test_ade20k_names_agree_with_the_official_object_list(samples_dir: Path) -> None:
    rows = (samples_dir / "image/ade20k_scene_parsing/objectInfo150.txt").read_text(encoding="utf-8").splitlines()[1:]
    synonyms = {int(row.split("\t")[0]): row.split("\t")[4] for row in rows}
    ade20k = labels.load("ade20k")
    different = [c.name for c in ade20k.classes if c.name.split()[-1] not in synonyms[c.class_index + 1]]
    assert len(synonyms) == 150
    assert different == [], different


def test_ade20k_instance_ids_number_the_things() -> None:
    ade20k = labels.load("ade20k")
    assert [c.instance_category_id for c in ade20k.classes if c.is_thing] == list(range(1, 101))
    assert all(c.instance_category_id is None for c in ade20k.classes if not c.is_thing)
    assert ade20k.classes[7].name == "bed" and ade20k.classes[7].instance_category_id == 1


@pytest.mark.parametrize("name", labels.NAMES)
def test_colours_are_bytes(name: str) -> None:
    colours = np.array([row.color for row in labels.load(name).everything])
    assert colours.min() >= 0 and colours.max() <= 255 and colours.shape[1] == 3


def test_unknown_label_set_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'cityscapes'"):
        labels.load("cityscape")


def test_unknown_class_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'bicycle'"):
        labels.load("coco_panoptic").index_named("bycicle")


def test_unknown_category_id_is_a_key_error() -> None:
    assert not labels.load("coco_panoptic").has_category(12)
    with pytest.raises(KeyError):
        labels.load("coco_panoptic").index_of(12)


@pytest.mark.parametrize("task", list(Task))
def test_prompt_names_the_asked_task_and_keeps_the_scored_one(task: Task) -> None:
    prompt = build_prompt(Task.PANOPTIC, labels.load("cityscapes"), asked=task)
    assert prompt.task is Task.PANOPTIC
    assert prompt.sentence == task_sentence(task) == f"the task is {task.value}"
    assert prompt.labels is not None and len(prompt.labels) == 19
