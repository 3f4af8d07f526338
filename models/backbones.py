"""ResNet, and what all image encoders share: four maps at strides 4, 8, 16 and 32 from one RGB image batch.

Every encoder of the library (here, `swin.py`, `convnext.py`, `dinat.py`) has `channels`, the widths of its four maps,
and a `forward` that takes the normalised image. Parameter names are those of the published OneFormer checkpoints
(https://github.com/SHI-Labs/OneFormer, commit 4962ef6, on detectron2 0.6), so that loading them is a short table.

Shape suffixes: B batch, C channels, H W space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Maps = tuple[Tensor, Tensor, Tensor, Tensor]
Norm = Literal["bn", "frozen_bn", "sync_bn"]

BASIC_DEPTHS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK_DEPTHS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class FrozenBatchNorm(nn.Module):
    """Batch norm whose four vectors are constants: no gradient, no update, not even the weight's decay."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_channels))
        self.register_buffer("bias", torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map, scaled and shifted per channel."""
        return F.batch_norm(map_BCHW, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "bn": nn.BatchNorm2d,
    "frozen_bn": FrozenBatchNorm,
    "sync_bn": nn.SyncBatchNorm,
}


class DropPath(nn.Module):
    """Drops a residual branch per sample with probability `rate` in training and scales the kept ones up."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """The branch, any shape with the batch first, with some samples zeroed."""
        if self.rate == 0.0 or not self.training:
            return branch
        keep = 1.0 - self.rate
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
        return branch * (torch.rand(shape, device=branch.device) < keep).to(branch.dtype).div_(keep)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of a channels-first map."""

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map, normalised at each pixel."""
        return super().forward(map_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def drop_path_rates(depths: Sequence[int], last: float) -> tuple[tuple[float, ...], ...]:
    """One rate per block, grouped by stage: linear from 0 at the first block of the encoder to `last` at the last."""
    num_blocks = sum(depths)
    rates = [last * i / max(num_blocks - 1, 1) for i in range(num_blocks)]
    starts = [sum(depths[:stage]) for stage in range(len(depths) + 1)]
    return tuple(tuple(rates[begin:end]) for begin, end in pairwise(starts))


class ConvNorm(nn.Conv2d):
    """A convolution without bias, "same" padding, then a norm; activation is the caller's."""

    def __init__(self, in_channels: int, *, out_channels: int, kernel: int, stride: int = 1, norm: Norm) -> None:
        super().__init__(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.norm = NORMS[norm](out_channels)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The normalised convolution."""
        return self.norm(super().forward(map_BCHW))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the first one carries the stride."""

    def __init__(self, in_channels: int, *, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm)
        self.conv1 = ConvNorm(in_channels, out_channels=out_channels, kernel=3, stride=stride, norm=norm)
        self.conv2 = ConvNorm(out_channels, out_channels=out_channels, kernel=3, norm=norm)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The block's map, `stride` times smaller."""
        branch = self.conv2(F.relu(self.conv1(map_BCHW), inplace=True))
        return F.relu(branch + self.shortcut(map_BCHW), inplace=True)


class BottleneckBlock(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; the 3x3 one carries the stride, a quarter of the width."""

    def __init__(self, in_channels: int, *, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        inner = out_channels // 4
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm)
        self.conv1 = ConvNorm(in_channels, out_channels=inner, kernel=1, norm=norm)
        self.conv2 = ConvNorm(inner, out_channels=inner, kernel=3, stride=stride, norm=norm)
        self.conv3 = ConvNorm(inner, out_channels=out_channels, kernel=1, norm=norm)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The block's map, `stride` times smaller."""
        branch = F.relu(self.conv1(map_BCHW), inplace=True)
        branch = self.conv3(F.relu(self.conv2(branch), inplace=True))
        return F.relu(branch + self.shortcut(map_BCHW), inplace=True)


class Stem(nn.Module):
    """A 7x7 convolution of stride 2 and a 3x3 maximum of stride 2."""

    def __init__(self, out_channels: int, *, norm: Norm, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, out_channels=out_channels, kernel=7, stride=2, norm=norm)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """The map at stride 4."""
        return F.max_pool2d(F.relu(self.conv1(image_B3HW), inplace=True), kernel_size=3, stride=2, padding=1)


class ResNet(nn.Module):
    """ResNet of basic blocks (depth 10, 18, 34) or bottleneck blocks (26, 50, 101, 152), stride on the 3x3.

    `ResNet(depth=50, norm="frozen_bn")` is OneFormer's R50 for ADE20K and COCO, `norm="sync_bn"` that for Cityscapes;
    no stage is frozen and no norm follows the outputs. `widths` and `stem_width` make small ones.
    in_channels: 4 where a target mask comes with the image.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        widths: Sequence[int] | None = None,
        stem_width: int = 64,
        norm: Norm = "frozen_bn",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        depths, block, expansion = _plan(depth)
        self.channels = tuple(widths or [expansion * width for width in (64, 128, 256, 512)])
        self.stem = Stem(stem_width, norm=norm, in_channels=in_channels)
        in_channels = stem_width
        for stage, (num_blocks, width) in enumerate(zip(depths, self.channels, strict=True)):
            blocks: list[nn.Module] = []
            for i in range(num_blocks):
                stride = 2 if i == 0 and stage > 0 else 1
                blocks.append(block(in_channels, out_channels=width, stride=stride, norm=norm))
                in_channels = width
            self.add_module(f"res{stage + 2}", nn.Sequential(*blocks))

    def forward(self, image_B3HW: Tensor) -> Maps:
        """Maps res2..res5, float [B, channels[i], H/s, W/s] for s = 4, 8, 16, 32."""
        res2 = self.get_submodule("res2")(self.stem(image_B3HW))
        res3 = self.get_submodule("res3")(res2)
        res4 = self.get_submodule("res4")(res3)
        return res2, res3, res4, self.get_submodule("res5")(res4)


def _plan(depth: int) -> tuple[tuple[int, ...], type[BasicBlock] | type[BottleneckBlock], int]:
    """Blocks per stage, kind of block and its width over the base width."""
    if depth in BASIC_DEPTHS:
        return BASIC_DEPTHS[depth], BasicBlock, 1
    if depth in BOTTLENECK_DEPTHS:
        return BOTTLENECK_DEPTHS[depth], BottleneckBlock, 4
    raise ValueError(f"depth {depth}: a ResNet has one of {sorted(BASIC_DEPTHS | BOTTLENECK_DEPTHS)} layers")


def _shortcut(in_channels: int, out_channels: int, stride: int, norm: Norm) -> nn.Module:
    """The identity where shapes agree, else a 1x1 convolution."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return ConvNorm(in_channels, out_channels=out_channels, kernel=1, stride=stride, norm=norm)
