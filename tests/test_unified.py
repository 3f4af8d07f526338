"""The unified model: what a prompt may change and what it may not, in answers and in training examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from unified_parts import random_model, samples_of, source_of, training

from benchmark import catalog, harness, masks
from benchmark.contract import Task, summarise
from benchmark.formats.image_files import read_rgb
from benchmark.problems import UsageError
from models.concepts import Ask
from models.shots import ShotExamples
from models.unified import Found, UnifiedSegmenter
from models.unified_answers import task_rules
from models.visual_prompt import Template

ROWS = tuple(training().rows)
ASKED_ROWS = (
    "coco_panoptic_val2017",
    "coco_instance_val2017",
    "coco_semantic_val2017",
    "refcoco_referring_val",
    "grefcoco_referring_val",
    "davis17_vos_val",
    "lasot_sot_test",
    "youtube_vis19_vis_val",
    "bdd100k_mots_val",
    "bdd100k_mot_val",
    "ref_youtube_vos_rvos_val",
)
NAMES = ("donut", "sports ball", "sea", "kite")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unified")


@pytest.fixture(scope="module")
def model() -> UnifiedSegmenter:
    return random_model().eval()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 64, 96), dtype=np.uint8))


def answers(model: UnifiedSegmenter, image: torch.Tensor, *asks: Ask) -> Found:
    with torch.no_grad():
        return model.find([image] * len(asks), asks)


def template(seed: int) -> Template:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(4, 64, 64, generator=generator)
    pixels[3] = (torch.arange(64) > 20).float()
    return Template(image=pixels, valid=torch.ones(64, 64, dtype=torch.bool))


def test_the_order_of_names_means_nothing(model: UnifiedSegmenter, image: torch.Tensor) -> None:
    order = [2, 0, 3, 1]
    one, other = (
        answers(model, image, Ask(task=Task.PANOPTIC, names=names))
        for names in (NAMES, tuple(NAMES[index] for index in order))
    )
    columns = [order.index(index) for index in range(len(NAMES))] + [len(NAMES)]
    logits = other.queries.class_logits[-1][..., columns]
    torch.testing.assert_close(one.queries.class_logits[-1], logits, atol=2e-4, rtol=1e-4)
    # A convolution in bfloat16 rounds what the order of a sum changed.
    torch.testing.assert_close(one.queries.mask_logits[-1], other.queries.mask_logits[-1], atol=2e-2, rtol=1e-2)


QUESTIONS = {
    "names": Ask(task=Task.PANOPTIC, names=NAMES),
    "expression": Ask(task=Task.REFERRING, expression="the leftmost red disc"),
    "target": Ask(task=Task.VOS, templates=(template(1), template(2))),
}


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_question_is_answered_the_same_in_any_company(
    kind: str, model: UnifiedSegmenter, image: torch.Tensor
) -> None:
    ask, others = QUESTIONS[kind], [one for name, one in QUESTIONS.items() if name != kind]
    alone, beside = answers(model, image, ask), answers(model, image, ask, *others)
    num_concepts = alone.prompt.known.shape[1]
    assert beside.prompt.known[0].sum() == num_concepts
    kept = beside.queries.class_logits[-1][0][:, [*range(num_concepts), -1]]
    torch.testing.assert_close(alone.queries.class_logits[-1][0], kept, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(alone.boxes[0], beside.boxes[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", QUESTIONS)
def test_what_is_asked_changes_what_is_found(kind: str, model: UnifiedSegmenter, image: torch.Tensor) -> None:
    ask = QUESTIONS[kind]
    changed = {
        "names": Ask(task=Task.PANOPTIC, names=("banana", "tie", "airplane", "suitcase")),
        "expression": Ask(task=Task.REFERRING, expression="the rightmost blue ring"),
        "target": Ask(task=Task.VOS, templates=(template(3), template(4))),
    }[kind]
    one, other = answers(model, image, ask), answers(model, image, changed)
    assert (one.queries.mask_logits[-1] - other.queries.mask_logits[-1]).abs().max() > 1e-3


def test_the_task_sentence_changes_what_is_found(model: UnifiedSegmenter, image: torch.Tensor) -> None:
    one, other = (answers(model, image, Ask(task=task, names=NAMES)) for task in (Task.PANOPTIC, Task.SEMANTIC))
    assert (one.queries.initial_queries - other.queries.initial_queries).abs().max() > 1e-3


def test_the_concept_of_a_target_lies_inside_its_mask(model: UnifiedSegmenter) -> None:
    with torch.no_grad():
        prompt, _ = model.ask([QUESTIONS["target"]])
    inside = prompt.weights[0, 0].view(2, 8, 8)
    assert inside[:, :, :2].sum() == 0
    assert inside.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "wrong", [{}, {"names": NAMES, "expression": "the disc"}, {"names": NAMES, "templates": (template(0),)}]
)
def test_a_question_has_one_prompt(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="only one of them"):
        Ask(task=Task.PANOPTIC, **wrong)


def test_a_word_that_is_not_known_is_named(model: UnifiedSegmenter) -> None:
    with pytest.raises(UsageError, match="'xylophone'"):
        model.ask([Ask(task=Task.INSTANCE, names=("xylophone",))])


@pytest.mark.parametrize("name", ROWS)
def test_every_training_row_gives_examples_that_teach(name: str, home: Path) -> None:
    recipe = harness.build(training().config["trainer"]).recipe
    examples = ShotExamples([source_of(name, home)], recipe=recipe, seed=0, length=12)
    shots = [shot for position in range(12) for shot in examples[position]["inputs"]]
    assert sum(len(shot.target.labels) for shot in shots) > 0
    for shot in shots:
        target = shot.target
        assert shot.image.shape == (3, 128, 128)
        assert target.masks.shape == (len(target.labels), 128, 128)
        low, high = target.boxes[:, :2] - target.boxes[:, 2:] / 2, target.boxes[:, :2] + target.boxes[:, 2:] / 2
        assert (low >= -1e-6).all() and (high <= 1 + 1e-6).all()
        assert (target.labels < max(len(shot.ask.names), 1)).all()
        for mask, (x0, y0), (x1, y1) in zip(target.masks, low * 128, high * 128, strict=True):
            rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
            found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            wanted = [x0, y0, x1, y1]
            assert np.abs(np.array(found, float) - np.array(wanted, float)).max() <= (1e-3 if target.has_masks else 1)


def test_examples_depend_on_seed_and_position_alone(home: Path) -> None:
    recipe = harness.build(training().config["trainer"]).recipe
    sources = [source_of(name, home) for name in ("refcoco_referring_train", "davis17_vos_train")]
    first, again = (ShotExamples(sources, recipe=recipe, seed=3, length=9) for _ in range(2))
    for position in (5, 0, 8):
        ours, theirs = first[position]["inputs"], again[position]["inputs"]
        for shot, same in zip(ours, theirs, strict=True):
            assert torch.equal(shot.image, same.image)
            assert torch.equal(shot.target.masks, same.target.masks)
            assert shot.ask.expression == same.ask.expression


@pytest.mark.parametrize("name", ROWS)
def test_every_part_that_a_row_teaches_gets_a_gradient(name: str, home: Path, one_seed_and_thread: None) -> None:
    model = random_model().train()
    recipe = harness.build(training().config["trainer"]).recipe
    examples = ShotExamples([source_of(name, home)], recipe=recipe, seed=1, length=6)
    losses = model([examples[position]["inputs"] for position in range(6)], mode="loss")
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    parts = {"query_decoder", "pixel_decoder", "backbone", "fusion", "box_head", "concept_encoder"}
    moved = {key.split(".")[0] for key, one in model.named_parameters() if one.grad is not None and one.grad.any()}
    assert parts <= moved


@pytest.mark.parametrize("name", ASKED_ROWS)
def test_answers_are_what_the_metric_of_the_row_takes(
    name: str, home: Path, model: UnifiedSegmenter, one_seed_and_thread: None
) -> None:
    row, samples = catalog.get(name), samples_of(name, home)
    answering = harness.build(training().config["answers"], model=model)
    metric = catalog.build_metric(row, row.headline_protocol(is_mini=True))
    stats = []
    for sample in samples.head(2):
        frames = [read_rgb(path) for path in sample.frames]
        stats.append(metric.measure(sample, answering.predict(frames, sample)))
    scores = summarise(metric, stats)
    assert scores.num_scored == len(stats)
    assert row.main_score in scores.values


def test_expressions_that_mean_nothing_leave_frames_empty(
    home: Path, model: UnifiedSegmenter, one_seed_and_thread: None
) -> None:
    samples = samples_of("ref_davis17_rvos_val", home)
    answering = harness.build(training().config["answers"], model=model, rules=task_rules(short_side=64, least_meant=1))
    frames = [read_rgb(path) for path in samples[0].frames[:2]]
    sample = replace(samples[0], frames=samples[0].frames[:2])
    for frame in answering.predict(frames, sample).frames:
        assert not any(masks.areas(frame.masks))


@pytest.mark.parametrize("variant", ["r50", "convnext_l", "vit_h"])
def test_published_sizes_are_planned_for_rows_that_exist(variant: str) -> None:
    resolved = harness.load_system("unified", variant).trainings[0]
    assert resolved.is_prompted
    assert all(catalog.get(name).is_train for name in resolved.rows)


def test_a_large_model_names_what_it_lacks_to_read_words() -> None:
    resolved = harness.load_system("unified", "r50").trainings[0]
    tokenizer = harness.build(resolved.config["model"]["concept_encoder"]["tokenizer"])
    with pytest.raises(UsageError, match=r"vocab\.txt"):
        tokenizer("the leftmost car")
