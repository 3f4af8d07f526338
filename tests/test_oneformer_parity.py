"""Our OneFormer against transformers 5's on equal random weights: logits of every prediction and every loss term.

The port is bridged where it is known to differ from the authors: its text encoder gets the causal mask that it builds
but never passes, its pixel decoder's dropout is 0 because it ignores `eval()`, and it sees whole batches because it
gathers from no other process. What default initialisation makes trivial is drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from plain_neighbourhoods import stand_in
from torch import Tensor, nn
from transformers import (
    ConvNextConfig,
    DinatConfig,
    OneFormerConfig,
    OneFormerForUniversalSegmentation,
    ResNetConfig,
    SwinConfig,
)

from benchmark.contract import Task
from models.backbones import ResNet
from models.checkpoint_layouts import detect
from models.checkpoints import convert
from models.contrastive import QueryTextContrast
from models.convnext import ConvNeXt
from models.dinat import DiNAT
from models.losses import PointSampling, SetCriterion
from models.pixel_decoder import PixelDecoder
from models.query_decoder import QueryDecoder, QueryInitialiser, QueryPredictions
from models.swin import Swin
from models.targets import Target
from models.task_tokens import TASK_SENTENCES, TaskEncoder
from models.text_encoders import CausalTextEncoder, TextMapper
from models.tokenizers import ClipTokenizer
from models.unified import PIXEL_MEAN, PIXEL_STD, Request, UniversalSegmenter

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
STAGES = ["stage1", "stage2", "stage3", "stage4"]
RESNET_50 = (256, 512, 1024, 2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of both models; the defaults keep the comparison quick."""

    dim: int = 128
    ffn_dim: int = 96
    encoder_ffn_dim: int = 80
    encoder_layers: int = 2
    decoder_layers: int = 9
    num_queries: int = 20
    num_context: int = 4
    num_classes: int = 11
    num_points: int = 128
    text_layers: int = 2


# The published Swin-T for ADE20K, but for fewer queries and points: they cost time and change no shape of a weight.
FULL = Sizes(
    dim=256, ffn_dim=2048, encoder_ffn_dim=1024, encoder_layers=6, num_queries=50, num_context=16,
    num_classes=150, num_points=2048, text_layers=6,
)  # fmt: skip


def resnet(depth: int = 50, norm: str = "frozen_bn") -> tuple[object, nn.Module]:
    config = ResNetConfig(out_features=STAGES, hidden_sizes=list(RESNET_50), depths=[3, 4, 6, 3])
    return config, ResNet(depth=depth, norm=norm)


def resnet_trained() -> tuple[object, nn.Module]:
    return resnet(norm="bn")


def swin_small() -> tuple[object, nn.Module]:
    config = SwinConfig(
        embed_dim=16,
        depths=[1, 2, 2, 1],
        num_heads=[1, 2, 2, 4],
        window_size=4,
        drop_path_rate=0.0,
        out_features=STAGES,
    )
    return config, Swin(width=16, depths=(1, 2, 2, 1), num_heads=(1, 2, 2, 4), window_size=4, drop_path=0.0)


def swin_tiny() -> tuple[object, nn.Module]:
    return SwinConfig(drop_path_rate=0.0, out_features=STAGES), Swin(drop_path=0.0)


def convnext() -> tuple[object, nn.Module]:
    widths, depths = (16, 32, 48, 64), (1, 1, 2, 1)
    config = ConvNextConfig(hidden_sizes=list(widths), depths=list(depths), out_features=STAGES, drop_path_rate=0.0)
    return config, ConvNeXt(widths=widths, depths=depths, drop_path=0.0)


ENCODERS: dict[str, Callable[[], tuple[object, nn.Module]]] = {
    "resnet_50": resnet,
    "swin": swin_small,
    "convnext": convnext,
}


def build_port(backbone_config: object, sizes: Sizes, *, is_training: bool) -> OneFormerForUniversalSegmentation:
    config = OneFormerConfig(
        backbone_config=backbone_config,
        is_training=is_training,
        dropout=0.0,
        num_queries=sizes.num_queries,
        conv_dim=sizes.dim,
        mask_dim=sizes.dim,
        hidden_dim=sizes.dim,
        encoder_feedforward_dim=sizes.encoder_ffn_dim,
        dim_feedforward=sizes.ffn_dim,
        encoder_layers=sizes.encoder_layers,
        decoder_layers=sizes.decoder_layers + 1,
        train_num_points=sizes.num_points,
        text_encoder_width=sizes.dim,
        text_encoder_num_layers=sizes.text_layers,
        text_encoder_n_ctx=sizes.num_context,
        num_labels=sizes.num_classes,
    )
    port = OneFormerForUniversalSegmentation(config)
    draw_trivial_weights(port)
    if is_training:
        for layer in port.model.text_mapper.text_encoder.transformer.layers:
            layer.self_attn.register_forward_pre_hook(add_causal_mask, with_kwargs=True)
    return port


def add_causal_mask(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, object]) -> tuple[object, object]:
    length = args[0].shape[0]
    return args, kwargs | {"attn_mask": torch.full((length, length), float("-inf")).triu(1)}


def draw_trivial_weights(port: nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in port.named_parameters():
            if name.endswith("bias") or "level_embed" in name:
                parameter.normal_(std=0.1)
            elif "sampling_offsets" in name or "attention_weights" in name:
                parameter.normal_(std=0.05)
            elif "queries_embedder" in name or "class_embed" in name:
                # Queries that say nearly the same would make the matching a tie, which rounding then decides.
                parameter.normal_(std=1.0 if "queries" in name else 0.2)
            elif parameter.dim() == 1 and "layer_scale" not in name:
                parameter.normal_(mean=1.0, std=0.1)
        port.get_parameter("model.task_encoder.task_mlp.layers.0.0.weight").mul_(1e-4)
        for name, buffer in port.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)


def build_ours(backbone: nn.Module, sizes: Sizes, *, is_training: bool) -> UniversalSegmenter:
    dim = sizes.dim
    encoder = CausalTextEncoder(sizes.dim, num_layers=sizes.text_layers, num_heads=sizes.dim // 64)
    return UniversalSegmenter(
        backbone,
        pixel_decoder=PixelDecoder(
            backbone.channels,
            dim=dim,
            mask_dim=dim,
            num_layers=sizes.encoder_layers,
            hidden_dim=sizes.encoder_ffn_dim,
            dropout=0.0,
        ),
        task_encoder=TaskEncoder(dim=dim),
        query_decoder=QueryDecoder(
            QueryInitialiser(dim, mask_dim=dim, hidden_dim=sizes.ffn_dim, dropout=0.0),
            num_classes=sizes.num_classes,
            num_queries=sizes.num_queries,
            dim=dim,
            mask_dim=dim,
            num_layers=sizes.decoder_layers,
            hidden_dim=sizes.ffn_dim,
        ),
        tokenizer=ClipTokenizer(),
        class_names=[f"class {index}" for index in range(sizes.num_classes)],
        is_thing=[True] * sizes.num_classes,
        text_mapper=TextMapper(encoder, dim=dim, num_context=sizes.num_context) if is_training else None,
        criterion=SetCriterion(QueryTextContrast(), sampling=PointSampling(num_points=sizes.num_points))
        if is_training
        else None,
    )


def build_pair(
    encoder: Callable[[], tuple[object, nn.Module]], sizes: Sizes, *, is_training: bool
) -> tuple[OneFormerForUniversalSegmentation, UniversalSegmenter]:
    torch.manual_seed(0)
    config, backbone = encoder()
    port = build_port(config, sizes, is_training=is_training).train(is_training)
    ours = build_ours(backbone, sizes, is_training=is_training).train(is_training)
    state = port.state_dict()
    layout = detect(state)
    assert layout is not None
    converted, report = convert(state, layout=layout, model=ours)
    assert report.problems("the port") == ()
    ours.load_state_dict(converted, strict=False)
    return port, ours


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


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference over largest value."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


def task_ids(tasks: list[Task]) -> Tensor:
    tokenizer = ClipTokenizer()
    return torch.stack([torch.from_numpy(tokenizer(TASK_SENTENCES[task])) for task in tasks])


def dinat() -> tuple[object, nn.Module]:
    dilations = ((1, 3), (1, 2), (2, 1), (1, 1))
    config = DinatConfig(
        embed_dim=16,
        depths=[len(level) for level in dilations],
        num_heads=[1, 2, 2, 4],
        kernel_size=3,
        dilations=dilations,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        layer_scale_init_value=0.0,
        out_features=STAGES,
    )
    return config, DiNAT(dilations=dilations, width=16, num_heads=(1, 2, 2, 4), kernel=3, drop_path=0.0)


def run_port(port: nn.Module, images: Tensor, tasks: list[Task], **training: object) -> object:
    return port(pixel_values=normalised(images), task_inputs=task_ids(tasks), output_auxiliary_logits=True, **training)


def ours_of_theirs(theirs: object) -> QueryPredictions:
    """The port's predictions as our record: those of the initial queries first, the last layer's last."""
    auxiliary = theirs.auxiliary_predictions
    return QueryPredictions(
        class_logits=(*(row["class_queries_logits"] for row in auxiliary), theirs.class_queries_logits),
        mask_logits=(*(row["masks_queries_logits"] for row in auxiliary), theirs.masks_queries_logits),
        initial_queries=theirs.transformer_decoder_contrastive_queries,
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
    encoder = resnet_trained if name == "resnet_50" else ENCODERS[name]
    assert_equal_training(*build_pair(encoder, Sizes(), is_training=True), Sizes(), (96, 160))


def test_dinat_over_plain_neighbourhoods_gives_the_ports_logits_and_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    assert_equal_training(*build_pair(dinat, Sizes(), is_training=True), Sizes(), (64, 96))


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
