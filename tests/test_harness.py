"""Configs resolve, options reach their place, components are built from the inside out, mini trains and answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import catalog, harness, training_sources
from benchmark.annotated import AnnotatedImage
from benchmark.contract import Instances, LabelMap, Panoptic, Segment, Task
from benchmark.formats import coco
from benchmark.labels import load
from benchmark.minidata.naming import relabel
from benchmark.minidata.world import render, sample_scene, scene_seed
from benchmark.problems import UsageError

SYSTEMS = harness.list_systems()
QUICK = ("trainer.iterations=2", "trainer.batch_size=2", "warm_up.trainer.iterations=2", "warm_up.trainer.batch_size=2")


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_variant_resolves_to_plain_json_with_its_own_hash(system: str) -> None:
    name, variant = system.split(":")
    resolved = harness.load_system(name, variant)
    assert resolved.trainings
    for training in resolved.trainings:
        content = json.loads(resolved.config_text)[training.label_set]
        if not training.is_prompted:
            assert content["model"]["query_decoder"]["num_classes"] == load(training.label_set).num_classes
        assert content["trainer"]["iterations"] == training.iterations
        assert all(catalog.get(row).is_train for row in training.rows)


def test_variants_differ() -> None:
    hashes = {harness.load_system(*system.split(":")).config_hash for system in SYSTEMS}
    assert len(hashes) == len(SYSTEMS)


def test_option_changes_every_training_and_the_hash() -> None:
    plain, changed = (harness.load_system("oneformer", "mini", options) for options in ((), ("trainer.iterations=9",)))
    assert {training.iterations for training in changed.trainings} == {9}
    assert plain.config_hash != changed.config_hash


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("onformer", "mini", ()), r"Unknown system: 'onformer'\. Did you mean 'oneformer'\?"),
        (("oneformer", "swin_l_cooc", ()), r"Did you mean 'swin_l_coco'\?"),
        (("oneformer", "mini", ("trainer.iteration=9",)), r"Did you mean 'iterations'\?"),
        (("oneformer", "mini", ("trainer",)), "option 'trainer'"),
    ],
)
def test_unknown_name_is_refused_with_its_neighbour(call: tuple[str, str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        harness.load_system(*call)


def test_training_takes_the_merge_list_from_the_command_line() -> None:
    option = "trainer.recipe.text_list.tokenizer.merges=merges.txt.gz"
    training = harness.load_system("oneformer", "swin_l_coco", (option,)).trainings[0]
    assert training.config["trainer"]["recipe"]["text_list"]["tokenizer"]["merges"] == "merges.txt.gz"


def test_build_goes_from_the_inside_out_and_merging_replaces_other_types() -> None:
    node = {"type": dict, "inner": {"type": complex, "real": 1, "imag": 2}, "listed": [{"type": complex, "real": 3}]}
    assert harness.build(node) == {"inner": 1 + 2j, "listed": [3 + 0j]}
    merged = harness.merged(node, {"inner": {"imag": 5}, "listed": []})
    assert harness.build(merged) == {"inner": 1 + 5j, "listed": []}
    assert harness.merged(node, {"inner": {"type": float}})["inner"] == {"type": float}


def test_weights_of_another_shape_keep_their_fresh_values() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    before = model[1].weight.detach().clone()
    weights = {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(3), "1.weight": torch.ones(9, 3), "x": torch.ones(1)}
    assert harness.load_matching(model, weights) == ("1.bias", "1.weight")
    assert torch.equal(model[0].weight, torch.ones(3, 2)) and torch.equal(model[1].weight, before)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training and three validation scenes in COCO's layout."""
    root = tmp_path_factory.mktemp("data")
    label_set = load("coco_panoptic")
    for split, count in (("train", 6), ("val", 3)):
        scenes = [render(sample_scene(scene_seed(0, split, i), split)) for i in range(1, count + 1)]
        images = [
            AnnotatedImage(number=i, image=image, panoptic=relabel(panoptic, label_set))
            for i, (image, panoptic) in enumerate(scenes, start=1)
        ]
        coco.write_split(root / "coco", split, images, label_set)
    return root


def test_mini_trains_and_answers_every_task(data_root: Path, tmp_path: Path) -> None:
    training = harness.load_system("oneformer", "mini", QUICK).training_for("coco_panoptic")
    assert training is not None
    arguments = {"data_root": data_root, "is_mini": True, "work_dir": tmp_path, "seed": 0}
    weights = harness.train(training, report=lambda *_: None, **arguments)
    assert harness.train(training, report=pytest.fail, **arguments) == weights
    predict = harness.load_predictor(training, weights)
    kinds = {Task.PANOPTIC: Panoptic, Task.INSTANCE: Instances, Task.SEMANTIC: LabelMap}
    for task, kind in kinds.items():
        name = f"coco_{task.value}_val2017"
        sample = catalog.open_samples(catalog.get(name), data_root, is_mini=True)[0]
        first, second = predict(sample).frames[0], predict(sample).frames[0]
        assert isinstance(first, kind)
        if isinstance(first, LabelMap) and isinstance(second, LabelMap):
            assert np.array_equal(first.class_index, second.class_index)


def test_training_needs_panoptic_truth(data_root: Path) -> None:
    samples = catalog.open_samples(catalog.get("coco_semantic_val2017"), data_root, is_mini=True)
    with pytest.raises(TypeError, match="joint training needs panoptic annotation"):
        training_sources.panoptic_loader(samples)(0)


def test_recipe_of_coco_passes_over_images_without_things() -> None:
    training = harness.load_system("oneformer", "swin_t_coco").trainings[0]
    recipe = harness.build(harness.merged(training.config["trainer"]["recipe"], harness._classes(training)))
    sky = Panoptic(segment_id=np.ones((4, 4), np.int32), segments=(Segment(id=1, class_index=119),))
    crowd = Panoptic(segment_id=sky.segment_id, segments=(Segment(id=1, class_index=0, is_crowd=True),))
    thing = Panoptic(segment_id=sky.segment_id, segments=(Segment(id=1, class_index=0),))
    assert [recipe.accepts(truth) for truth in (sky, crowd, thing)] == [False, False, True]
