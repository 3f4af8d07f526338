"""Our OneFormer against transformers 5's on equal random weights: logits of every prediction and every loss term.

How the port is bridged to the authors' code stands in `oneformer_pair.py`; its losses see whole batches here because
it gathers from no other process.
"""

from __future__ import annotations

from functools import partial

import encoder_pairs
import pytest
import torch
from encoder_pairs import STAGES, MakePair, Pair, difference
from oneformer_pair import Sizes, build_pair
from plain_neighbourhoods import stand_in
from torch import Tensor, nn
from transformers import OneFormerForUniversalSegmentation, SwinConfig

from benchmark.contract import Task
from models.query_decoder import QueryPredictions
from models.swin import Swin
from models.targets import Target
from models.task_segmentation import PIXEL_MEAN, PIXEL_STD, Request, UniversalSegmenter
from models.task_tokens import TASK_SENTENCES
from models.tokenizers import ClipTokenizer

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
# The published Swin-T for ADE20K, but for fewer queries and points: they cost time and change no shape of a weight.
FULL = Sizes(
    dim=256, ffn_dim=2048, encoder_ffn_dim=1024, encoder_layers=6, num_queries=50, num_context=16,
    num_classes=150, num_points=2048, text_layers=6,
)  # fmt: skip
ENCODERS: dict[str, MakePair] = {
    "resnet_50": encoder_pairs.resnet,
    "swin": partial(encoder_pairs.swin, width=16, depths=(1, 2, 2, 1), num_heads=(1, 2, 2, 4), window_size=4),
    "convnext": partial(encoder_pairs.convnext, widths=(16, 32, 48, 64), depths=(1, 1, 2, 1)),
}
RESNET_TRAINED = partial(encoder_pairs.resnet, norm="bn")
DINAT = partial(encoder_pairs.dinat, dilations=((1, 3), (1, 2), (2, 1), (1, 1)))


def swin_tiny() -> Pair:
    """Both sides' own default sizes."""
    return SwinConfig(drop_path_rate=0.0, out_features=STAGES), Swin(drop_path=0.0)


def make_images(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, 3, height // 8, width // 8, generator=generator)
    return (255 * nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")).round()


def normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
    return (images - mean) / std


def make_targets(sizes: Sizes, height: int, width: int) -> list[Target]:
    generator = torch.Generator().manual_seed(2)
    targets = []
    for task, count in ((Task.PANOPTIC, 5), (Task.SEMANTIC, 3)):
        coarse = torch.randint(count, (1, 1, height // 16, width // 16), generator=generator).float()
        ids = nn.functional.interpolate(coarse, size=(height, width), mode="nearest")[0, 0]
        text_ids = torch.zeros(sizes.num_queries - sizes.num_context, 77, dtype=torch.int64)
        for row in text_ids:
            length = int(torch.randint(2, 9, (1,), generator=generator))
            row[0], row[length] = 49406, 49407
            row[1:length] = torch.randint(49000, (length - 1,), generator=generator)
        targets.append(
            Target(
                labels=torch.randint(sizes.num_classes, (count,), generator=generator),
                masks=torch.stack([ids == index for index in range(count)]),
                task=task,
                text_ids=text_ids,
            )
        )
    return targets


def task_ids(tasks: list[Task]) -> Tensor:
    tokenizer = ClipTokenizer()
    return torch.stack([torch.from_numpy(tokenizer(TASK_SENTENCES[task])) for task in tasks])


def run_port(port: nn.Module, images: Tensor, tasks: list[Task], **training: object) -> object:
    return port(pixel_values=normalised(images), task_inputs=task_ids(tasks), output_auxiliary_logits=True, **training)


def ours_of_theirs(theirs: object) -> QueryPredictions:
    """The port's predictions as our record: those of the initial queries first, the last layer's last."""
    auxiliary = theirs.auxiliary_predictions
    return QueryPredictions(
        class_logits=(*(row["class_queries_logits"] for row in auxiliary), theirs.class_queries_logits),
        mask_logits=(*(row["masks_queries_logits"] for row in auxiliary), theirs.masks_queries_logits),
        initial_queries=theirs.transformer_decoder_contrastive_queries,
        states=theirs.transformer_decoder_contrastive_queries,
    )


def assert_equal_predictions(ours: QueryPredictions, theirs: object) -> None:
    expected = ours_of_theirs(theirs)
    assert len(ours.class_logits) == len(expected.class_logits)
    for number, (classes, masks) in enumerate(zip(expected.class_logits, expected.mask_logits)):
        assert difference(ours.class_logits[number], classes) < TOLERANCE, f"class logits of prediction {number}"
        assert difference(ours.mask_logits[number], masks) < TOLERANCE, f"mask logits of prediction {number}"


@pytest.mark.parametrize("size", [(96, 128), (64, 64)])
@pytest.mark.parametrize("name", ENCODERS)
def test_inference_gives_the_ports_logits(name: str, size: tuple[int, int]) -> None:
    port, ours = build_pair(ENCODERS[name], Sizes(), is_training=False)
    images, tasks = make_images(*size), [Task.INSTANCE, Task.PANOPTIC]
    with torch.no_grad():
        theirs = run_port(port, images, tasks)
        requests = [
            Request(image=image, size=size, sentence=TASK_SENTENCES[task], task=task)
            for image, task in zip(images, tasks)
        ]
        assert_equal_predictions(ours(requests), theirs)


@pytest.mark.parametrize("name", ENCODERS)
def test_training_gives_the_ports_logits_and_losses(name: str) -> None:
    encoder = RESNET_TRAINED if name == "resnet_50" else ENCODERS[name]
    assert_equal_training(*build_pair(encoder, Sizes(), is_training=True), Sizes(), (96, 160))


def test_dinat_over_plain_neighbourhoods_gives_the_ports_logits_and_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    assert_equal_training(*build_pair(DINAT, Sizes(), is_training=True), Sizes(), (64, 96))


def test_swin_tiny_at_the_published_width_gives_the_ports_logits_and_losses() -> None:
    assert_equal_training(*build_pair(swin_tiny, FULL, is_training=True), FULL, (96, 160))


def assert_equal_training(
    port: OneFormerForUniversalSegmentation, ours: UniversalSegmenter, sizes: Sizes, size: tuple[int, int]
) -> None:
    images, targets = make_images(*size), make_targets(sizes, *size)
    with torch.no_grad():
        torch.manual_seed(3)
        theirs = run_port(
            port,
            images,
            [target.task for target in targets],
            text_inputs=torch.stack([target.text_ids for target in targets]),
            mask_labels=[target.masks.float() for target in targets],
            class_labels=[target.labels for target in targets],
        )
        predictions = ours.segment(list(images), [TASK_SENTENCES[target.task] for target in targets])
        assert_equal_predictions(predictions, theirs)
        assert difference(ours.text_mapper(torch.stack([t.text_ids for t in targets])), theirs.text_queries) < TOLERANCE
        torch.manual_seed(3)
        losses = ours(list(images), targets, mode="loss")
        torch.manual_seed(3)
        expected = port_losses(port, theirs, targets)
        torch.manual_seed(3)
        on_equal_logits = ours.criterion(ours_of_theirs(theirs), theirs.text_queries, targets)
    assert losses.keys() == on_equal_logits.keys() == expected.keys()
    assert len(losses) == 3 * (sizes.decoder_layers + 1) + 1
    for name, value in expected.items():
        assert difference(on_equal_logits[name], value) < TOLERANCE / 10, f"{name} of the port's own logits"
        assert difference(losses[name], value) < TOLERANCE, name
    assert difference(sum(losses.values()), theirs.loss) < TOLERANCE


def port_losses(port: nn.Module, outputs: object, targets: list[Target]) -> dict[str, Tensor]:
    """The port's weighted loss terms under our names."""
    terms = port.get_loss_dict(
        masks_queries_logits=outputs.masks_queries_logits,
        class_queries_logits=outputs.class_queries_logits,
        contrastive_queries_logits=outputs.transformer_decoder_contrastive_queries,
        mask_labels=[target.masks.float() for target in targets],
        class_labels=[target.labels for target in targets],
        text_queries=outputs.text_queries,
        auxiliary_predictions=outputs.transformer_decoder_auxiliary_predictions,
        calculate_contrastive_loss=True,
    )
    return {name.replace("loss_cross_entropy", "loss_ce"): value for name, value in terms.items()}
