"""ViT-H with a simple feature pyramid, UNINEXT's largest image encoder: transformers' ViTDet, three maps from its last.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (arXiv 2203.16527): the plain transformer has no last norm; stride 8 is a
transposed convolution of its map, stride 32 a maximum. Shape suffixes: B batch, C channels, H W space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import VitDetBackbone, VitDetConfig

# The authors kept the window list of the 12-block model: blocks 2, 5, 8 and all from 11 on look everywhere.
WINDOWED_BLOCKS = (0, 1, 3, 4, 6, 7, 9, 10)


class ViT(nn.Module):
    """Patches of 16 pixels at one width, three maps out. The default sizes are those of ViT-H.

    windowed_blocks: attend inside windows of 14 patches. grid: side of the patch grid that the relative positions of
    the other blocks are made for; other sizes are interpolated. in_channels: 4 where a target mask comes along.
    has_finest: a fourth map at stride 4, by one more transposed convolution, for decoders that draw masks there.
    """

    def __init__(
        self,
        dim: int = 1280,
        *,
        num_layers: int = 32,
        num_heads: int = 16,
        windowed_blocks: Sequence[int] = WINDOWED_BLOCKS,
        grid: int = 64,
        drop_path: float = 0.5,
        in_channels: int = 3,
        patch: int = 16,
        has_finest: bool = False,
    ) -> None:
        super().__init__()
        config = VitDetConfig(
            hidden_size=dim,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            window_block_indices=list(windowed_blocks),
            window_size=14,
            image_size=grid * patch,
            pretrain_image_size=14 * patch,
            patch_size=patch,
            num_channels=in_channels,
            drop_path_rate=drop_path,
            use_absolute_position_embeddings=True,
            use_relative_position_embeddings=True,
        )
        self.vit = VitDetBackbone(config)
        self.finer = nn.ConvTranspose2d(dim, dim // 2, kernel_size=2, stride=2)
        self.finest = nn.ConvTranspose2d(dim // 2, dim // 4, kernel_size=2, stride=2) if has_finest else None
        coarser = (dim // 2, dim, dim)
        self.channels = (dim // 4, *coarser) if has_finest else coarser

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Maps float [B, channels[i], H/s, W/s] for s = (4,) 8, 16, 32; the sides are multiples of 32."""
        middle = self.vit(image_BCHW).feature_maps[-1]
        finer = self.finer(middle)
        maps = finer, middle, F.max_pool2d(middle, kernel_size=2, stride=2)
        return maps if self.finest is None else (self.finest(finer), *maps)
