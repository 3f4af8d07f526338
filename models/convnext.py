"""ConvNeXt as OneFormer uses it: depthwise 7x7 convolutions, LayerScale, a LayerNorm on every output.

Parameter names are those of the published checkpoints (https://github.com/facebookresearch/ConvNeXt and OneFormer).

Shape suffixes: B batch, C channels, H W space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import ChannelNorm, DropPath, Maps, drop_path_rates

EPS = 1e-6


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, LayerNorm and a pointwise MLP of ratio 4, scaled per channel, around a shortcut."""

    def __init__(self, width: int, *, drop_path: float) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, kernel_size=7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.ones(width))
        self.drop_path = DropPath(drop_path)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """A map of the same shape."""
        branch_BHWC = self.norm(self.dwconv(map_BCHW).permute(0, 2, 3, 1))
        branch_BHWC = self.gamma * self.pwconv2(F.gelu(self.pwconv1(branch_BHWC)))
        return map_BCHW + self.drop_path(branch_BHWC.permute(0, 3, 1, 2))


class ConvNeXt(nn.Module):
    """Four stages of ConvNeXt blocks.

    ConvNeXt-L: the default values. ConvNeXt-XL: `widths=(256, 512, 1024, 2048)`. in_channels: 4 where a target mask
    comes with the image. norm_finest: the map at stride 4 has a norm of its own; UNINEXT does not read it.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (192, 384, 768, 1536),
        depths: Sequence[int] = (3, 3, 27, 3),
        drop_path: float = 0.4,
        in_channels: int = 3,
        norm_finest: bool = True,
    ) -> None:
        super().__init__()
        self.channels = tuple(widths)
        self.downsample_layers = nn.ModuleList()
        self.stages = nn.ModuleList()
        for stage, (width, rates) in enumerate(zip(widths, drop_path_rates(depths, drop_path), strict=True)):
            self.downsample_layers.append(_downsampling(in_channels, width, is_first=stage == 0))
            self.stages.append(nn.Sequential(*[ConvNeXtBlock(width, drop_path=rate) for rate in rates]))
            has_norm = norm_finest or stage > 0
            self.add_module(f"norm{stage}", ChannelNorm(width, eps=EPS) if has_norm else nn.Identity())
            in_channels = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image_B3HW: Tensor) -> Maps:
        """Maps float [B, channels[i], H/s, W/s] for s = 4, 8, 16, 32."""
        maps = []
        map_BCHW = image_B3HW
        for i, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            map_BCHW = stage(downsample(map_BCHW))
            maps.append(self.get_submodule(f"norm{i}")(map_BCHW))
        res2, res3, res4, res5 = maps
        return res2, res3, res4, res5


def _downsampling(in_channels: int, width: int, *, is_first: bool) -> nn.Sequential:
    """4x4/4 convolution then norm for the image, norm then 2x2/2 convolution between stages."""
    if is_first:
        return nn.Sequential(nn.Conv2d(in_channels, width, 4, stride=4), ChannelNorm(width, eps=EPS))
    return nn.Sequential(ChannelNorm(in_channels, eps=EPS), nn.Conv2d(in_channels, width, 2, stride=2))
