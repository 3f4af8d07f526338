"""Swin Transformer as OneFormer uses it: mmdet's modules, which are exact, behind the library's encoder interface.

Windows always apply, also on maps smaller than a window. mmdet orders the 4C channels of its patch merging otherwise
than the published checkpoints do; `checkpoint_layouts.py` permutes `reduction` and `norm` on the way in and out.
Needs mmdet; importing it takes seconds, so nothing but a configuration that names Swin should.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.models.backbones.swin import SwinTransformer, WindowMSA
from torch import Tensor, nn

from models.backbones import Maps


class Swin(SwinTransformer):
    """Four stages of (shifted) window attention, each output with a LayerNorm of its own.

    Swin-T: the default values. Swin-L: `width=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48), window_size=12`.
    """

    def __init__(
        self,
        *,
        width: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int = 7,
        drop_path: float = 0.3,
    ) -> None:
        super().__init__(
            embed_dims=width,
            depths=tuple(depths),
            num_heads=tuple(num_heads),
            window_size=window_size,
            drop_path_rate=drop_path,
        )
        self.channels = tuple(self.num_features)
        self.init_weights()

    def init_weights(self) -> None:
        """Draws matrices and position tables from a normal of deviation 0.02, cut at two; biases become 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, WindowMSA):
                nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)

    def train(self, mode: bool = True) -> Swin:
        """Itself, as every module but mmdet's."""
        super().train(mode)
        return self

    def forward(self, image_B3HW: Tensor) -> Maps:
        """Maps float [B, channels[i], H/s, W/s] for s = 4, 8, 16, 32."""
        res2, res3, res4, res5 = super().forward(image_B3HW)
        return res2, res3, res4, res5
