"""UNINEXT's training: what its lessons show, that every row of the mini stage trains, and how a stage begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import uninext_parts
from safetensors.torch import save_file
from unified_parts import source_of

from benchmark import catalog, harness
from benchmark.contract import PromptedSource
from benchmark.problems import DataError
from models.captions import CaptionDraw
from models.discovery_learner import DiscoveryLearner, DiscoveryTrainer, learning_groups
from models.frame_views import FrameViews
from models.lesson_examples import LessonExamples, class_weights
from models.lessons import Lesson
from models.stage_start import load_start
from models.text_prompts import PromptTokenizer, TextPrompt

NAMES = ("cat", "stop sign", "giant panda", "dog", "horse", "cow", "bird", "sheep")
STAGES = (
    *("boxes_r50", "boxes_convnext_l", "boxes_vit_h", "image_r50", "image_convnext_l", "image_vit_h"),
    *("video_r50", "video_convnext_l", "video_vit_h"),
)


def trainer(variant: str = "mini") -> DiscoveryTrainer:
    built: DiscoveryTrainer = harness.build(uninext_parts.training(variant).config["trainer"])
    return built


LESSONS: tuple[Lesson, ...] = tuple(trainer().recipe.lessons)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lessons")


def examples(lesson: Lesson, home: Path) -> LessonExamples:
    plan = replace(trainer().recipe, lessons=[lesson])
    return LessonExamples([source_of(lesson.row, home)], recipe=plan, seed=0, length=8, batch_size=2)


def silent(done: int, total: int, loss: float) -> None:
    pass


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: f"{one.row}-{one.kind}")
def test_two_iterations_of_every_row_train(
    lesson: Lesson, home: Path, tmp_path: Path, one_seed_and_thread: None
) -> None:
    settings = trainer()
    short = replace(
        settings, recipe=replace(settings.recipe, lessons=[lesson]), iterations=2, batch_size=2, schedule=()
    )
    model = uninext_parts.random_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights = short.fit(model, [source_of(lesson.row, home)], work_dir=tmp_path, seed=0, report=silent)
    assert set(weights) == set(before)
    changed = {name for name in before if not torch.equal(weights[name], before[name])}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
    parts = {"backbone.", "fusion.", "encoder.", "decoder.", "retrieval.", "mask_head.", "iou_heads.", "proposals."}
    parts |= {"template_encoder.backbone."} if lesson.kind == "template" else {"text_encoder."}
    assert all(any(name.startswith(part) for name in changed) for part in parts)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: f"{one.row}-{one.kind}")
def test_a_lesson_shows_what_it_asks_for(lesson: Lesson, home: Path) -> None:
    for position in range(4):
        inputs: Any = examples(lesson, home)[position]["inputs"]
        for clip in inputs:
            count, (height, width) = len(clip.key.boxes), clip.key.image.shape[1:]
            assert count > 0 and len(clip.is_present) == len(clip.key.positives) == count
            assert (clip.key.boxes[:, 2:] > 0).all() and (clip.key.boxes <= 1).all()
            assert clip.key.masks is None or clip.key.masks.shape == (count, height, width)
            assert clip.key.positives.any(1).all()
            assert (clip.reference is None) == (lesson.kind == "template")
            if clip.reference is not None:
                assert ((clip.reference.boxes[:, 2:] > 0).all(1) == clip.is_present).all()
            if lesson.kind == "categories":
                assert isinstance(clip.key.prompt, TextPrompt)
                assert bool((torch.from_numpy(clip.key.prompt.valid) | ~clip.key.positives).all())


def test_a_batch_of_one_process_is_of_one_row() -> None:
    source = PromptedSource(
        name="x",
        size=3,
        load=lambda index: pytest.fail("not read"),
        read=lambda sample, frame: pytest.fail("not read"),
        names=(),
        is_thing=(),
        asked=(),
    )
    plan = trainer().recipe
    sources = [replace(source, name=row) for row in {lesson.row for lesson in plan.lessons}]
    found = LessonExamples(sources, recipe=plan, seed=0, length=4000, batch_size=4)
    drawn = [found.lesson_at(position) for position in range(4000)]
    for start in range(0, 4000, 4):
        assert len({id(one) for one in drawn[start : start + 4]}) == 1
    total = sum(lesson.weight for lesson in plan.lessons)
    for lesson in plan.lessons:
        share = sum(one is lesson for one in drawn) / len(drawn)
        assert share == pytest.approx(lesson.weight / total, abs=0.05)


def test_captions_hold_what_is_there_and_what_fits() -> None:
    words = {word for name in NAMES for word in name.split()}
    rng = np.random.default_rng(0)
    roomy = CaptionDraw(tokenizer=PromptTokenizer(words=words, length=32))
    orders, sizes = set(), set()
    for _ in range(40):
        caption = roomy(NAMES, [1, 2, 1], tuple(range(len(NAMES))), rng)
        assert {1, 2} <= set(caption.tokens)
        orders.add(tuple(caption.tokens))
        sizes.add(len(caption.tokens))
        wanted = caption.positives([1, 3])
        assert wanted[0].sum() == 2
        assert wanted[1].nonzero()[:, 0].tolist() == list(caption.tokens.get(3, (0,)))
    assert len(orders) > 20 and max(sizes) == len(NAMES) and min(sizes) < len(NAMES)
    tight = CaptionDraw(tokenizer=PromptTokenizer(words=words, length=7))
    assert {len(tight(NAMES, [1, 2, 0], tuple(range(len(NAMES))), rng).tokens) for _ in range(20)} <= {1, 2}


@pytest.mark.parametrize("before", [(), (400, 500, 600)])
def test_views_are_cut_and_resized_within_their_numbers(before: tuple[int, ...]) -> None:
    draw = FrameViews(short_sides=(480, 800), sizes_before_cut=before)
    cut = 0
    for seed in range(40):
        one, other = draw((375, 500), 2, np.random.default_rng(seed))
        assert one.is_mirrored == other.is_mirrored
        for view in (one, other):
            assert min(view.window) in (480, 800) or max(view.window) == 1333
            assert all(start + side <= whole for start, side, whole in zip(view.corner, view.window, view.resized))
            cut += view.window != view.resized
    assert 20 < cut < 60


def test_what_counts_objects_is_not_cut_in_pictures() -> None:
    draw = FrameViews(short_sides=(480,), sizes_before_cut=(400,), spares_ordinals=True)
    for seed in range(20):
        (view,) = draw((375, 500), 1, np.random.default_rng(seed), "the second man from the left")
        assert view.window == view.resized


def test_rare_classes_weigh_more(home: Path) -> None:
    source = source_of("coco_instance_train2017", home)
    weights = class_weights(source)
    classes = [set(source.load(index).truth.frames[0].class_index.tolist()) for index in range(source.size)]
    assert weights.sum() == pytest.approx(len(set().union(*classes)))


def test_boxes_alone_teach_extent_and_colours(home: Path, one_seed_and_thread: None) -> None:
    lesson = replace(LESSONS[0], is_pair=False, uses_box_colours=True, balances_classes=True)
    found = examples(lesson, home)
    settings = trainer()
    learner = DiscoveryLearner(uninext_parts.random_model().train(), criterion=settings.criterion)
    learner.network.stride = 32
    inputs: Any = [found[position]["inputs"] for position in range(2)]
    losses = learner(inputs)
    assert {"loss_prj", "loss_pairwise"} <= set(losses) and "loss_mask" not in losses
    assert all(bool(torch.isfinite(value)) for value in losses.values())


@pytest.mark.parametrize("variant", STAGES)
def test_stages_are_rows_that_exist_with_the_released_numbers(variant: str) -> None:
    training = uninext_parts.training(variant)
    settings = trainer(variant)
    assert all(catalog.get(name).is_train for name in training.rows)
    assert training.rows == pytest.approx(
        {row: sum(one.weight for one in settings.recipe.lessons if one.row == row) for row in training.rows}
    )
    stage = variant.split("_")[0]
    iterations = {"boxes": 340_741, "image": 48_000 if variant == "image_vit_h" else 91_990, "video": 180_000}[stage]
    assert (settings.iterations, settings.clip_norm, settings.weight_decay) == (iterations, 0.1, 0.05)
    assert settings.learning_rate == (1e-4 if stage == "video" else 2e-4)
    # All groups of the last stage but BDD100K's detection pictures.
    total = {"boxes": 1.0, "image": 1.0, "video": 3.82 if "vit" in variant else 3.84}[stage]
    assert sum(training.rows.values()) == pytest.approx(total)


def test_learning_rates_follow_names_and_everything_decays() -> None:
    model = uninext_parts.random_model()
    model.text_encoder.requires_grad_(False)
    groups = learning_groups(model, 1e-4, 0.1, 3e-5, 0.05)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert {group["weight_decay"] for group in groups} == {0.05}
    for name, parameter in model.named_parameters():
        wanted = 1e-5 if "backbone" in name or "sampling_offsets" in name else 1e-4
        assert rates.get(id(parameter)) == (None if name.startswith("text_encoder.") else wanted), name


def test_the_last_stage_starts_from_the_second_with_a_wider_copy_of_the_encoder(tmp_path: Path) -> None:
    video = uninext_parts.random_model()
    image_level = {
        name: tensor + 1
        for name, tensor in video.state_dict().items()
        if not name.startswith(("template_encoder.", "identity_head."))
    }
    save_file(image_level, tmp_path / "image.safetensors")
    fresh = {name: tensor.clone() for name, tensor in video.state_dict().items()}
    load_start(video, tmp_path / "image.safetensors")
    for name, tensor in video.state_dict().items():
        if name.startswith("template_encoder.backbone."):
            source = image_level[name.removeprefix("template_encoder.")]
            if tensor.shape != source.shape:
                assert name.endswith("stem.conv1.weight") and not tensor[:, 3:].any()
                tensor = tensor[:, :3]
            assert torch.equal(tensor, source), name
        else:
            assert torch.equal(tensor, image_level.get(name, fresh[name])), name


def test_a_start_that_lacks_anything_else_is_refused(tmp_path: Path) -> None:
    video = uninext_parts.random_model()
    state = {name: tensor for name, tensor in video.state_dict().items() if not name.startswith("fusion.")}
    save_file(state, tmp_path / "broken.safetensors")
    with pytest.raises(DataError, match=r"fusion\."):
        load_start(video, tmp_path / "broken.safetensors")
