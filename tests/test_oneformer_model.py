"""The composed OneFormer, very small: training terms, empty targets, sizes, options, augmentation at test time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from contrast_process import make_queries
from torch import Tensor, nn

from benchmark.contract import Instances, LabelMap, Panoptic, Prompt, Sample, Segment, Task
from benchmark.problems import UsageError
from models import task_segmentation
from models.augmentation import Chain
from models.contrastive import QueryClassification, QueryTextContrast
from models.losses import PointSampling, SetCriterion, dice, mask_cross_entropy
from models.matching import Pairs
from models.pixel_decoder import PixelDecoder
from models.postprocess import AnswerRules, select_segments, to_original_size
from models.query_decoder import QueryDecoder, QueryInitialiser
from models.targets import JointTaskRecipe, Target
from models.task_segmentation import Request, UniversalSegmenter
from models.task_tokens import TASK_SENTENCES, TaskEncoder, TextList
from models.text_encoders import CausalTextEncoder, TextMapper
from models.tokenizers import WordTokenizer
from models.tta import ScalesAndFlips

DIM, QUERIES, CONTEXT, LENGTH = 32, 6, 2, 8
NAMES, IS_THING = ("tree", "car", "sky"), (False, True, False)
WORDS = WordTokenizer(NAMES, length=LENGTH)
NOTHING = torch.zeros(0, dtype=torch.int64)
NO_PAIRS = Pairs(image=NOTHING, query=NOTHING, target=NOTHING)


class Pyramid(nn.Module):
    """Four strided convolutions: the smallest encoder there is."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = (8, 8, 8, 8)
        strides = [(3, 4), (8, 2), (8, 2), (8, 2)]
        self.layers = nn.ModuleList(nn.Conv2d(width, 8, stride, stride) for width, stride in strides)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for layer in self.layers:
            image = layer(image)
            maps.append(image)
        return tuple(maps)


def build(criterion: SetCriterion | None = None, **options: object) -> UniversalSegmenter:
    torch.manual_seed(0)
    encoder = CausalTextEncoder(16, vocabulary_size=WORDS.vocabulary_size, length=LENGTH, num_layers=1, num_heads=2)
    initialiser = QueryInitialiser(DIM, mask_dim=DIM, num_heads=4, hidden_dim=DIM, dropout=0.0)
    return UniversalSegmenter(
        Pyramid(),
        pixel_decoder=PixelDecoder(
            (8, 8, 8, 8), dim=DIM, mask_dim=DIM, num_heads=4, num_layers=1, hidden_dim=DIM, dropout=0.0
        ),
        task_encoder=TaskEncoder(LENGTH, dim=DIM),
        query_decoder=QueryDecoder(
            initialiser,
            num_classes=3,
            num_queries=QUERIES,
            dim=DIM,
            mask_dim=DIM,
            num_layers=3,
            num_heads=4,
            hidden_dim=DIM,
        ),
        tokenizer=WORDS,
        class_names=NAMES,
        is_thing=IS_THING,
        text_mapper=TextMapper(encoder, dim=DIM, num_context=CONTEXT),
        criterion=criterion or SetCriterion(QueryTextContrast(), sampling=PointSampling(num_points=32)),
        rules=AnswerRules(object_mask_threshold=0.1, overlap_threshold=0.1),
        **options,
    )


def make_batch(*sizes: tuple[int, int], tasks: tuple[Task, ...] = tuple(Task)) -> tuple[list[Tensor], list[Target]]:
    rng = np.random.default_rng(0)
    recipe = JointTaskRecipe(
        class_names=NAMES,
        is_thing=IS_THING,
        augmentation=Chain(()),
        text_list=TextList(tokenizer=WORDS, num_texts=QUERIES - CONTEXT),
    )
    images, targets = [], []
    for size, task in zip(sizes, tasks):
        chosen = tuple(float(task is one) for one in (Task.SEMANTIC, Task.INSTANCE, Task.PANOPTIC))
        segments = (Segment(id=1, class_index=0), Segment(id=2, class_index=1), Segment(id=3, class_index=1))
        ids = np.kron(rng.integers(0, 4, (2, 2)), np.ones((size[0] // 2, size[1] // 2))).astype(np.int32)
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        made, target = replace(recipe, task_probabilities=chosen)(
            image, Panoptic(segment_id=ids, segments=segments), rng
        )
        images.append(made)
        targets.append(target)
    return images, targets


def without_targets(target: Target) -> Target:
    return replace(target, labels=target.labels[:0], masks=target.masks[:0])


def ask(model: UniversalSegmenter, image: np.ndarray, task: Task, sentence: str | None = None) -> object:
    prompt = Prompt(task=task, sentence=sentence)
    sample = Sample(sample_id="1", frames=(Path("1.png"),), size=image.shape[:2], prompt=prompt)
    with torch.inference_mode():
        return model.eval().predict(image, sample).frames[0]


def test_a_training_batch_of_mixed_sizes_and_tasks_gives_every_term_and_gradient() -> None:
    model = build()
    images, targets = make_batch((64, 96), (32, 64), (96, 32))
    losses = model(images, targets, mode="loss")
    suffixes = ("", "_0", "_1", "_2")
    terms = {f"loss_{kind}{suffix}" for kind in ("ce", "mask", "dice") for suffix in suffixes}
    assert losses.keys() == terms | {"loss_contrastive"}
    total, _ = model.parse_losses(losses)
    total.backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert idle == []


@pytest.mark.parametrize("num_empty", [1, 3])
def test_images_without_targets_are_all_background(num_empty: int) -> None:
    model = build()
    images, targets = make_batch((64, 64), (64, 64), (64, 64))
    targets = [without_targets(target) if index < num_empty else target for index, target in enumerate(targets)]
    losses = model(images, targets, mode="loss")
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    if num_empty == 3:
        assert all(value == 0 for name, value in losses.items() if "mask" in name or "dice" in name)
        # Every query is "no object": cross entropy is the mean of its logit's loss, weighted twice.
        assert losses["loss_ce"] > 0


def test_more_targets_than_queries_are_matched_as_far_as_queries_go() -> None:
    images, targets = make_batch((64, 64))
    many = 9
    target = replace(
        targets[0], labels=torch.zeros(many, dtype=torch.int64), masks=targets[0].masks[:1].expand(many, -1, -1)
    )
    losses = build()(images, [target], mode="loss")
    assert all(torch.isfinite(value) for value in losses.values())


def test_padding_of_the_batch_is_background_and_zero_after_normalisation() -> None:
    model = build()
    images, targets = make_batch((64, 96), (32, 40))
    batch = model.batch(images)
    assert batch.shape == (2, 3, 64, 96)
    assert not batch[1, :, 32:].any()
    assert not batch[1, :, :, 40:].any()
    expected = (images[1].float() - model.pixel_mean) / model.pixel_std
    assert torch.equal(batch[1, :, :32, :40], expected)
    assert not targets[1].padded(64, 96).masks[:, 32:].any()


def test_without_deep_supervision_only_the_last_prediction_has_losses() -> None:
    criterion = SetCriterion(None, sampling=PointSampling(num_points=16), deep_supervision=False)
    losses = build(criterion)(*make_batch((64, 64)), mode="loss")
    assert losses.keys() == {"loss_ce", "loss_mask", "loss_dice"}


def test_queries_can_be_classified_instead_of_contrasted() -> None:
    criterion = SetCriterion(
        QueryClassification(dim=DIM, num_classes=3, weight=0.5), sampling=PointSampling(num_points=16)
    )
    losses = build(criterion)(*make_batch((64, 64), (64, 64)), mode="loss")
    losses["loss_query_class"].backward()
    assert criterion.query_loss.head.weight.grad.abs().sum() > 0


def test_contrast_between_queries_pairs_each_query_with_its_text() -> None:
    queries = nn.functional.normalize(torch.eye(6), dim=-1).view(2, 3, 6)
    loss = QueryTextContrast(weight=1.0, level="query", temperature=0.01)
    value = loss(queries, queries, torch.zeros(0), NO_PAIRS)["loss_contrastive"]
    assert value.item() == pytest.approx(0.0, abs=1e-6)
    swapped = loss(queries, queries.flip(1), torch.zeros(0), NO_PAIRS)["loss_contrastive"]
    assert swapped > 1


def test_one_image_has_no_contrast() -> None:
    value = QueryTextContrast()(torch.randn(1, 3, 4), torch.randn(1, 3, 4), torch.zeros(0), NO_PAIRS)
    assert value["loss_contrastive"] == 0


def test_mask_losses_by_hand() -> None:
    logits, wanted = torch.zeros(2, 4), torch.tensor([[1.0, 1, 0, 0], [0.0, 0, 0, 0]])
    assert mask_cross_entropy(logits, wanted).sum().item() == pytest.approx(2 * np.log(2), abs=1e-6)
    # Sums of probability and target are 2 + 2 and 2 + 0; both is 2 * 1 and 0.
    assert dice(logits, wanted).sum().item() == pytest.approx((1 - 3 / 5) + (1 - 1 / 3), abs=1e-6)


@pytest.mark.parametrize(("task", "kind"), [("semantic", LabelMap), ("instance", Instances), ("panoptic", Panoptic)])
def test_answers_have_the_kind_of_the_task_and_the_size_of_the_image(task: str, kind: type) -> None:
    image = np.random.default_rng(1).integers(0, 256, (50, 75, 3), dtype=np.uint8)
    found = ask(build(test_size=task_segmentation.TestSize(short_side=64, long_cap=128)), image, Task(task))
    assert isinstance(found, kind)
    if isinstance(found, LabelMap):
        assert found.class_index.shape == (50, 75)
    elif isinstance(found, Panoptic):
        assert found.segment_id.shape == (50, 75)
        assert {segment.id for segment in found.segments} == set(np.unique(found.segment_id)) - {0}
    else:
        assert {rle.size for rle in found.masks} <= {(50, 75)}
        assert set(found.class_index.tolist()) <= {1}


def test_the_sentence_conditions_and_the_task_selects() -> None:
    model = build().eval()
    image = torch.randint(256, (3, 64, 64), generator=torch.Generator().manual_seed(0))
    one, other = (
        model([Request(image=image, size=(64, 64), sentence=TASK_SENTENCES[task], task=Task.SEMANTIC)])
        for task in (Task.SEMANTIC, Task.PANOPTIC)
    )
    assert not torch.equal(one.class_logits[-1], other.class_logits[-1])


def test_a_request_is_answered_alike_alone_and_in_a_batch_of_its_size() -> None:
    model = build().eval()
    images, _ = make_batch((64, 64), (64, 64))
    requests = [
        Request(image=image, size=(64, 64), sentence=TASK_SENTENCES[Task.PANOPTIC], task=Task.SEMANTIC)
        for image in images
    ]
    with torch.inference_mode():
        together, alone = model(requests), model(requests[1:])
    torch.testing.assert_close(together.mask_logits[-1][1:], alone.mask_logits[-1], atol=1e-4, rtol=1e-4)


def test_an_unknown_word_in_the_question_is_named() -> None:
    with pytest.raises(UsageError, match="'zebras'"):
        ask(build(), np.zeros((64, 64, 3), np.uint8), Task.SEMANTIC, "the task is zebras")


@pytest.mark.parametrize(("mode", "message"), [("train", "unknown mode 'train'"), ("loss", "needs targets")])
def test_a_wrong_call_is_refused(mode: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()([torch.zeros(3, 32, 32)], mode=mode)


def test_class_names_must_fit_the_decoder() -> None:
    model = build()
    with pytest.raises(ValueError, match="2 class names and 3 thing flags for a decoder of 3 classes"):
        UniversalSegmenter(
            Pyramid(),
            pixel_decoder=model.pixel_decoder,
            task_encoder=model.task_encoder,
            query_decoder=model.query_decoder,
            tokenizer=WORDS,
            class_names=NAMES[:2],
            is_thing=IS_THING,
        )


def test_masks_are_resized_cropped_and_resized() -> None:
    logits = torch.zeros(1, 8, 8)
    logits[:, :4, :6] = 1
    found = to_original_size(logits, padded=(32, 32), cropped=(16, 24), original=(8, 12))
    assert found.shape == (1, 8, 12)
    assert (found[:, :7, :11] == 1).all()


def test_augmented_scores_are_the_mean_over_sizes_and_mirror_images() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    seen: list[np.ndarray] = []

    def scores_of(resized: np.ndarray) -> Tensor:
        seen.append(resized)
        column = torch.linspace(0, 1, 30).expand(1, 20, 30)
        return column * (1 + len(seen))

    mean = ScalesAndFlips(short_sides=(10, 40), long_cap=45).average(image, scores_of)
    assert [passed.shape[:2] for passed in seen] == [(10, 15)] * 2 + [(30, 45)] * 2
    assert (seen[1] == seen[0][:, ::-1]).all()
    column = torch.linspace(0, 1, 30)
    assert torch.allclose(mean[0, 0], (2 * column + 3 * column.flip(0) + 4 * column + 5 * column.flip(0)) / 4)


def test_augmentation_at_test_time_answers_semantic_questions_only() -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    tta = ScalesAndFlips(short_sides=(64, 96), long_cap=96)
    assert isinstance(ask(build(tta=tta), image, Task.SEMANTIC), LabelMap)
    assert isinstance(ask(build(tta=tta), image, Task.PANOPTIC), Panoptic)


def test_stuff_of_one_class_shares_an_id_and_what_falls_below_half_stays_void() -> None:
    classes = torch.full((3, 4), -10.0)
    classes[:2, 0], classes[2, 1] = 10, 10
    logits = torch.full((3, 2, 3), -5.0)
    logits[0, :, 0] = logits[1, 1, 1] = logits[2, 0, 1] = 5
    rules = AnswerRules(object_mask_threshold=0.5, overlap_threshold=0.5)
    found = select_segments(classes, logits, is_thing=IS_THING, rules=rules)
    assert found.segment_id.tolist() == [[1, 2, 0], [1, 1, 0]]
    assert [(segment.id, segment.class_index) for segment in found.segments] == [(1, 0), (2, 1)]


def test_two_processes_contrast_with_each_others_images(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("contrast_process.py")), str(tmp_path)]
    started = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
    try:
        assert [process.wait(timeout=200) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    queries, texts = make_queries()
    whole = QueryTextContrast(weight=1.0)(queries.requires_grad_(), texts, NOTHING, NO_PAIRS)["loss_contrastive"]
    whole.backward()
    # Averaged over the processes, loss and gradients are those of one process with the whole batch.
    assert torch.stack([value for value, _ in parts]).mean().item() == pytest.approx(whole.item(), rel=1e-5)
    torch.testing.assert_close(torch.cat([grad for _, grad in parts]) / 2, queries.grad)
