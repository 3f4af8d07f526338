"""Bfloat16 where the hardware multiplies it natively, float32 elsewhere.

For whole training steps (`AutocastOptimWrapper`), for the encoder alone (`Bfloat16Encoder`) or for one convolution
(`Bfloat16Convolution`): on a CPU convolutions gain much, while the small matrices of a decoder lose more in conversions
than they gain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether convolutions and matrix products of this device gain from bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class AutocastOptimWrapper(OptimWrapper):
    """MMEngine's optimiser wrapper under bfloat16 autocast, which needs no loss scaling and works on CPUs as well."""

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast the forward pass on the device of the model's parameters."""
        device = next(model.parameters()).device
        is_enabled = has_native_bfloat16(device)
        with super().optim_context(model), torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_enabled):
            yield


class Bfloat16Encoder(nn.Module):
    """An encoder under bfloat16 autocast whose maps come out in float32. channels: the encoder's."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.channels: tuple[int, ...] = encoder.channels

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """The encoder's maps, float32."""
        is_enabled = has_native_bfloat16(image_B3HW.device)
        with torch.autocast(image_B3HW.device.type, dtype=torch.bfloat16, enabled=is_enabled):
            maps = self.encoder(image_B3HW.contiguous(memory_format=torch.channels_last))
        return tuple(level.float() for level in maps)


class Bfloat16Convolution(nn.Conv2d):
    """A convolution that computes in bfloat16, also where autocast is switched off around it; its result is float32."""

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, C_out, H', W']. x: [B, C_in, H, W]."""
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=has_native_bfloat16(x.device)):
            return super().forward(x).float()
