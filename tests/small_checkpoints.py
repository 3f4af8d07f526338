"""A small OneFormer of every encoder, and its checkpoint as the authors' modules would name and shape it.

The key list is written from the authors' modules (https://github.com/SHI-Labs/OneFormer, commit 4962ef6), not from our
table of layouts, which it tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import encoder_pairs
import torch
from encoder_pairs import MakePair
from oneformer_pair import Sizes, build_ours
from torch import Tensor

from models.checkpoints import Report
from models.task_segmentation import UniversalSegmenter

DIM, FFN, PIXEL_FFN, QUERIES, CLASSES, CONTEXT, VOCABULARY = 64, 48, 40, 6, 5, 3, 50
SMALL = Sizes(
    dim=DIM,
    ffn_dim=FFN,
    encoder_ffn_dim=PIXEL_FFN,
    encoder_layers=2,
    decoder_layers=3,
    num_queries=QUERIES,
    num_context=CONTEXT,
    num_classes=CLASSES,
    text_layers=2,
    vocabulary_size=VOCABULARY,
)
WIDTHS = (8, 16, 32, 64)
RESNET_WIDTHS = (256, 512, 1024, 2048)
DILATIONS = ((1, 2), (1,), (1, 2), (1,))
ENCODERS: Mapping[str, MakePair] = {
    "resnet": partial(encoder_pairs.resnet, 26),
    "resnet_with_statistics": partial(encoder_pairs.resnet, 26, norm="bn"),
    "swin": partial(encoder_pairs.swin, width=8, depths=(2, 2, 2, 2), num_heads=(2, 2, 2, 2), window_size=3),
    "convnext": partial(encoder_pairs.convnext, widths=WIDTHS, depths=(2, 2, 2, 2)),
    "dinat": partial(encoder_pairs.dinat, dilations=DILATIONS, width=8, num_heads=(2, 2, 2, 2)),
}
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def small_model(encoder: str = "convnext", *, is_training: bool = True) -> UniversalSegmenter:
    """OneFormer in small: every kind of parameter, few of each."""
    return build_ours(ENCODERS[encoder]()[1], SMALL, is_training=is_training)


def outcomes(report: Report, outcome: str) -> set[str]:
    """The keys that had this outcome: our name, or theirs where we have none."""
    return {entry.ours or entry.theirs[0] for entry in report.entries if entry.outcome == outcome}


def authors_state(encoder: str = "convnext") -> dict[str, Tensor]:
    """A random checkpoint of `small_model` under the authors' keys."""
    encoder_shapes, channels = AUTHORS[encoder]
    shapes = (*encoder_shapes(), *authors_pixel_decoder(channels), *authors_predictor(), *authors_texts())
    return {name: torch.randn(shape) for name, shape in shapes}


def write_pth(state: Mapping[str, Tensor], folder: Path) -> Path:
    """`model_final.pth` as the authors' trainer leaves it."""
    torch.save({"model": dict(state), "iteration": 159_999}, folder / "model_final.pth")
    return folder / "model_final.pth"


def both(name: str, *weight: int) -> Shapes:
    yield f"{name}.weight", weight
    yield f"{name}.bias", weight[:1]


def packed(name: str) -> Shapes:
    yield f"{name}.in_proj_weight", (3 * DIM, DIM)
    yield f"{name}.in_proj_bias", (3 * DIM,)
    yield from both(f"{name}.out_proj", DIM, DIM)


def authors_pixel_decoder(channels: tuple[int, ...]) -> Shapes:
    root = "sem_seg_head.pixel_decoder"
    for i, width in enumerate(reversed(channels[1:])):
        yield from both(f"{root}.input_proj.{i}.0", DIM, width, 1, 1)
        yield from both(f"{root}.input_proj.{i}.1", DIM)
    yield f"{root}.transformer.level_embed", (3, DIM)
    for i in range(2):
        layer = f"{root}.transformer.encoder.layers.{i}"
        yield from both(f"{layer}.self_attn.sampling_offsets", 192, DIM)
        yield from both(f"{layer}.self_attn.attention_weights", 96, DIM)
        yield from both(f"{layer}.self_attn.value_proj", DIM, DIM)
        yield from both(f"{layer}.self_attn.output_proj", DIM, DIM)
        yield from both(f"{layer}.norm1", DIM)
        yield from both(f"{layer}.linear1", PIXEL_FFN, DIM)
        yield from both(f"{layer}.linear2", DIM, PIXEL_FFN)
        yield from both(f"{layer}.norm2", DIM)
    yield f"{root}.adapter_1.weight", (DIM, channels[0], 1, 1)
    yield from both(f"{root}.adapter_1.norm", DIM)
    yield f"{root}.layer_1.weight", (DIM, DIM, 3, 3)
    yield from both(f"{root}.layer_1.norm", DIM)
    yield from both(f"{root}.mask_features", DIM, DIM, 1, 1)


def authors_predictor() -> Shapes:
    root = "sem_seg_head.predictor"
    for i in range(2):
        layer = f"{root}.class_transformer.decoder.layers.{i}"
        yield from packed(f"{layer}.self_attn")
        yield from packed(f"{layer}.multihead_attn")
        yield from both(f"{layer}.linear1", FFN, DIM)
        yield from both(f"{layer}.linear2", DIM, FFN)
        for norm in ("norm1", "norm2", "norm3"):
            yield from both(f"{layer}.{norm}", DIM)
    yield from both(f"{root}.class_transformer.decoder.norm", DIM)
    for i in range(3):
        yield from packed(f"{root}.transformer_cross_attention_layers.{i}.multihead_attn")
        yield from both(f"{root}.transformer_cross_attention_layers.{i}.norm", DIM)
        yield from packed(f"{root}.transformer_self_attention_layers.{i}.self_attn")
        yield from both(f"{root}.transformer_self_attention_layers.{i}.norm", DIM)
        yield from both(f"{root}.transformer_ffn_layers.{i}.linear1", FFN, DIM)
        yield from both(f"{root}.transformer_ffn_layers.{i}.linear2", DIM, FFN)
        yield from both(f"{root}.transformer_ffn_layers.{i}.norm", DIM)
        yield from both(f"{root}.mask_embed.layers.{i}", DIM, DIM)
    yield from both(f"{root}.decoder_norm", DIM)
    yield f"{root}.query_embed.weight", (QUERIES, DIM)
    yield f"{root}.level_embed.weight", (3, DIM)
    yield from both(f"{root}.class_input_proj", DIM, DIM, 1, 1)
    yield from both(f"{root}.class_embed", CLASSES + 1, DIM)


def authors_texts() -> Shapes:
    yield from both("task_mlp.layers.0", DIM, 77)
    yield from both("task_mlp.layers.1", DIM, DIM)
    yield "text_encoder.token_embedding.weight", (VOCABULARY, DIM)
    yield "text_encoder.positional_embedding", (77, DIM)
    yield from both("text_encoder.ln_final", DIM)
    for i in range(2):
        block = f"text_encoder.transformer.resblocks.{i}"
        yield from packed(f"{block}.attn")
        yield from both(f"{block}.ln_1", DIM)
        yield from both(f"{block}.ln_2", DIM)
        yield from both(f"{block}.mlp.c_fc", 4 * DIM, DIM)
        yield from both(f"{block}.mlp.c_proj", DIM, 4 * DIM)
        yield from both(f"text_projector.layers.{i}", DIM, DIM)
    yield "prompt_ctx.weight", (CONTEXT, DIM)
    yield "criterion.logit_scale", ()
    yield "criterion.empty_weight", (CLASSES + 1,)


def authors_resnet() -> Shapes:
    def convolution(name: str, *weight: int) -> Shapes:
        yield f"backbone.{name}.weight", weight
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"backbone.{name}.norm.{part}", weight[:1]

    yield from convolution("stem.conv1", 64, 3, 7, 7)
    before = 64
    for stage, (depth, width) in enumerate(zip((2, 2, 2, 2), RESNET_WIDTHS, strict=True), start=2):
        for i in range(depth):
            if i == 0:
                yield from convolution(f"res{stage}.{i}.shortcut", width, before, 1, 1)
            yield from convolution(f"res{stage}.{i}.conv1", width // 4, before, 1, 1)
            yield from convolution(f"res{stage}.{i}.conv2", width // 4, width // 4, 3, 3)
            yield from convolution(f"res{stage}.{i}.conv3", width, width // 4, 1, 1)
            before = width


def authors_swin() -> Shapes:
    yield from both("backbone.patch_embed.proj", 8, 3, 4, 4)
    yield from both("backbone.patch_embed.norm", 8)
    for stage, width in enumerate(WIDTHS):
        for i in range(2):
            block = f"backbone.layers.{stage}.blocks.{i}"
            yield from both(f"{block}.norm1", width)
            yield f"{block}.attn.relative_position_bias_table", (25, 2)
            yield f"{block}.attn.relative_position_index", (9, 9)
            yield from both(f"{block}.attn.qkv", 3 * width, width)
            yield from both(f"{block}.attn.proj", width, width)
            yield from both(f"{block}.norm2", width)
            yield from both(f"{block}.mlp.fc1", 4 * width, width)
            yield from both(f"{block}.mlp.fc2", width, 4 * width)
        if stage < 3:
            yield f"backbone.layers.{stage}.downsample.reduction.weight", (2 * width, 4 * width)
            yield from both(f"backbone.layers.{stage}.downsample.norm", 4 * width)
        yield from both(f"backbone.norm{stage}", width)


def authors_convnext() -> Shapes:
    before = 3
    for stage, width in enumerate(WIDTHS):
        size = 2 if stage else 4
        yield from both(f"backbone.downsample_layers.{stage}.{1 if stage else 0}", width, before, size, size)
        yield from both(f"backbone.downsample_layers.{stage}.{0 if stage else 1}", before if stage else width)
        for i in range(2):
            block = f"backbone.stages.{stage}.{i}"
            yield f"{block}.gamma", (width,)
            yield from both(f"{block}.dwconv", width, 1, 7, 7)
            yield from both(f"{block}.norm", width)
            yield from both(f"{block}.pwconv1", 4 * width, width)
            yield from both(f"{block}.pwconv2", width, 4 * width)
        yield from both(f"backbone.norm{stage}", width)
        before = width


def authors_dinat() -> Shapes:
    yield from both("backbone.patch_embed.proj.0", 4, 3, 3, 3)
    yield from both("backbone.patch_embed.proj.1", 8, 4, 3, 3)
    yield from both("backbone.patch_embed.norm", 8)
    for stage, width in enumerate(WIDTHS):
        for i in range(len(DILATIONS[stage])):
            block = f"backbone.levels.{stage}.blocks.{i}"
            yield from both(f"{block}.norm1", width)
            yield f"{block}.attn.rpb", (2, 5, 5)
            yield from both(f"{block}.attn.qkv", 3 * width, width)
            yield from both(f"{block}.attn.proj", width, width)
            yield from both(f"{block}.norm2", width)
            yield from both(f"{block}.mlp.fc1", 2 * width, width)
            yield from both(f"{block}.mlp.fc2", width, 2 * width)
        if stage < 3:
            yield f"backbone.levels.{stage}.downsample.reduction.weight", (2 * width, width, 3, 3)
            yield from both(f"backbone.levels.{stage}.downsample.norm", 2 * width)
        yield from both(f"backbone.norm{stage}", width)


AUTHORS: Mapping[str, tuple[Callable[[], Shapes], tuple[int, ...]]] = {
    "resnet": (authors_resnet, RESNET_WIDTHS),
    "swin": (authors_swin, WIDTHS),
    "convnext": (authors_convnext, WIDTHS),
    "dinat": (authors_dinat, WIDTHS),
}
"""Encoder -> (its keys and shapes, the widths of its four maps)."""
