"""Image encoders twice over from the same numbers: transformers' configuration of one, and ours. Neither drops paths.

What the tests of encoders, checkpoints and the whole OneFormer compare with each other on equal weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn
from transformers import ConvNextConfig, DinatConfig, PretrainedConfig, ResNetConfig, SwinConfig

from models.backbones import ResNet
from models.convnext import ConvNeXt
from models.dinat import DiNAT
from models.swin import Swin

STAGES = ["stage1", "stage2", "stage3", "stage4"]
RESNETS = {18: ("basic", [2, 2, 2, 2]), 26: ("bottleneck", [2, 2, 2, 2]), 50: ("bottleneck", [3, 4, 6, 3])}
"""Depth -> (kind of block, blocks of each stage)."""

Pair = tuple[PretrainedConfig, nn.Module]
MakePair = Callable[[], Pair]


def resnet(
    depth: int = 50,
    *,
    widths: Sequence[int] = (256, 512, 1024, 2048),
    stem_width: int = 64,
    norm: Literal["bn", "frozen_bn"] = "frozen_bn",
) -> Pair:
    """A ResNet; the published widths unless others are given."""
    kind, depths = RESNETS[depth]
    config = ResNetConfig(
        embedding_size=stem_width, hidden_sizes=list(widths), depths=depths, layer_type=kind, out_features=STAGES
    )
    return config, ResNet(depth=depth, widths=widths, stem_width=stem_width, norm=norm)


def swin(*, width: int, depths: Sequence[int], num_heads: Sequence[int], window_size: int) -> Pair:
    """A Swin of any size."""
    config = SwinConfig(
        embed_dim=width,
        depths=list(depths),
        num_heads=list(num_heads),
        window_size=window_size,
        drop_path_rate=0.0,
        out_features=STAGES,
    )
    return config, Swin(width=width, depths=depths, num_heads=num_heads, window_size=window_size, drop_path=0.0)


def convnext(*, widths: Sequence[int], depths: Sequence[int]) -> Pair:
    """A ConvNeXt of any size."""
    config = ConvNextConfig(hidden_sizes=list(widths), depths=list(depths), drop_path_rate=0.0, out_features=STAGES)
    return config, ConvNeXt(widths=widths, depths=depths, drop_path=0.0)


def dinat(*, dilations: Sequence[Sequence[int]], width: int = 16, num_heads: Sequence[int] = (1, 2, 2, 4)) -> Pair:
    """A DiNAT with neighbourhoods of 3 x 3. dilations: of each block, by stage."""
    config = DinatConfig(
        embed_dim=width,
        depths=[len(level) for level in dilations],
        num_heads=list(num_heads),
        kernel_size=3,
        dilations=dilations,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        layer_scale_init_value=0.0,
        out_features=STAGES,
    )
    return config, DiNAT(dilations=dilations, width=width, num_heads=num_heads, kernel=3, drop_path=0.0)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference over largest value. ours, theirs: float of the same shape."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())
