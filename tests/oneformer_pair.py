"""OneFormer twice over from the same sizes: transformers 5's and ours, on equal random weights.

The port is bridged where it is known to differ from the authors: its text encoder gets the causal mask that it builds
but never passes, and its pixel decoder's dropout is 0 because it ignores `eval()`. What default initialisation makes
trivial is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from encoder_pairs import MakePair
from torch import Tensor, nn
from transformers import OneFormerConfig, OneFormerForUniversalSegmentation, PretrainedConfig

from models.checkpoint_layouts import detect
from models.checkpoints import convert
from models.contrastive import QueryTextContrast
from models.losses import PointSampling, SetCriterion
from models.pixel_decoder import PixelDecoder
from models.query_decoder import QueryDecoder, QueryInitialiser
from models.task_segmentation import UniversalSegmenter
from models.task_tokens import TaskEncoder
from models.text_encoders import CausalTextEncoder, TextMapper
from models.tokenizers import ClipTokenizer


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
    vocabulary_size: int = 49408


def build_port(
    backbone_config: PretrainedConfig, sizes: Sizes, *, is_training: bool
) -> OneFormerForUniversalSegmentation:
    """Transformers' model with nothing trivial in its weights."""
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
        text_encoder_vocab_size=sizes.vocabulary_size,
        num_labels=sizes.num_classes,
    )
    port = OneFormerForUniversalSegmentation(config)
    draw_trivial_weights(port)
    if is_training:
        for layer in port.model.text_mapper.text_encoder.transformer.layers:
            layer.self_attn.register_forward_pre_hook(add_causal_mask, with_kwargs=True)
    return port


def add_causal_mask(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, object]) -> tuple[object, object]:
    """The arguments of the port's text attention, with the mask that it forgets. args[0]: [L, B, C]."""
    length = args[0].shape[0]
    return args, kwargs | {"attn_mask": torch.full((length, length), float("-inf")).triu(1)}


def draw_trivial_weights(port: nn.Module) -> None:
    """Random values for what starts as zeros or ones, and larger ones for what starts too small to matter."""
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
    """Our model of the same sizes, under its own initial weights."""
    dim = sizes.dim
    text_encoder = CausalTextEncoder(
        dim, vocabulary_size=sizes.vocabulary_size, num_layers=sizes.text_layers, num_heads=dim // 64
    )
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
        text_mapper=TextMapper(text_encoder, dim=dim, num_context=sizes.num_context) if is_training else None,
        criterion=SetCriterion(QueryTextContrast(), sampling=PointSampling(num_points=sizes.num_points))
        if is_training
        else None,
    )


def build_pair(
    make_encoders: MakePair, sizes: Sizes, *, is_training: bool
) -> tuple[OneFormerForUniversalSegmentation, UniversalSegmenter]:
    """The port and ours on the port's weights; every weight must find its place."""
    torch.manual_seed(0)
    config, backbone = make_encoders()
    port = build_port(config, sizes, is_training=is_training).train(is_training)
    ours = build_ours(backbone, sizes, is_training=is_training).train(is_training)
    state = port.state_dict()
    layout = detect(state)
    assert layout is not None
    converted, report = convert(state, layout=layout, model=ours)
    problems = report.problems("the port")
    assert not problems, problems
    ours.load_state_dict(converted, strict=False)
    return port, ours
