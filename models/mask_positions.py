"""Where a query's mask lies, told to the query.

Masked attention reads values without positions, so a query that found an object does not know where it is; boxes,
expressions of place and identities need it. After each prediction the query is given the sine encoding of its mask's
box, as decoders with box anchors do (DAB-DETR, arXiv 2201.12329). Shapes: B batch, N queries, D width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.attention import Mlp

FEATURES = 16
"""Sines and cosines of each of the four numbers; the shortest wave is a 64th of the picture."""
WIDTH_OF_DEVIATION = math.sqrt(12.0)
"""A box that is filled evenly is this many standard deviations wide."""
LEAST_SIDE = 1e-2


def mask_boxes(mask_logits: Tensor) -> Tensor:
    """Boxes of soft masks, cxcywh in 0..1 [B, N, 4]: mean and spread of the mask's probability along each axis.

    mask_logits: [B, N, h, w]; no gradient flows.
    """
    probability = mask_logits.detach().float().sigmoid()
    centres, sides = [], []
    for axis in (-2, -1):
        share = probability.sum(axis)
        share = share / share.sum(-1, keepdim=True).clamp(min=1e-6)
        places = (torch.arange(share.shape[-1], device=share.device) + 0.5) / share.shape[-1]
        mean = (share * places).sum(-1)
        variance = (share * (places - mean[..., None]).square()).sum(-1)
        centres.append(mean)
        sides.append((WIDTH_OF_DEVIATION * variance.clamp(min=0).sqrt()).clamp(min=LEAST_SIDE, max=1 - 1e-4))
    return torch.stack((*centres, *sides), dim=-1)


class MaskPositions(nn.Module):
    """An embedding of the box of each query's mask."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mlp = Mlp(4 * FEATURES, hidden_dim=dim, out_dim=dim, num_layers=2)

    def forward(self, mask_logits: Tensor) -> Tensor:
        """float [B, N, D]. mask_logits: [B, N, h, w]."""
        boxes = mask_boxes(mask_logits)
        waves = math.pi * 2 ** torch.arange(FEATURES // 2, device=boxes.device)
        angles = boxes[..., None] * waves
        return self.mlp(torch.cat((angles.sin(), angles.cos()), dim=-1).flatten(-2))
