"""What is read off a query besides its class: mask, box quality and identity.

Follows MasterBin-IIAU/UNINEXT at 5ab0386. Masks come from CondInst's dynamic convolutions (arXiv 2003.05664): every
query brings the weights of three 1x1 convolutions over shared features and coordinates relative to its own centre.
Shapes: B batch, N queries, D width, h w size of the level at stride 8, P parameters of a query.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Mlp, fill_convolution
from models.deformable_decoder import DeformableDecoder, Memory
from models.feature_levels import aligned_upsample
from models.object_proposals import PRIOR_BIAS

MASK_STRIDE = 8


class MaskBranch(nn.Module):
    """The three finest encoded levels become a few non-negative feature maps at stride 8."""

    def __init__(self, dim: int = 256, *, out_dim: int = 8) -> None:
        super().__init__()
        self.coarse, self.middle, self.fine = (nn.Conv2d(dim, dim, 3, padding=1) for _ in range(3))
        self.narrow = nn.Conv2d(dim, dim // 4, 3, padding=1)
        self.out = nn.Conv2d(dim // 4, out_dim, 3, padding=1)
        for convolution in (self.coarse, self.middle, self.fine, self.narrow, self.out):
            fill_convolution(convolution)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """float [B, out_dim, h, w]. levels: [B, D, h, w] each, finest first; coarser than the third are not read."""
        fine, middle, coarse = levels[:3]
        x = F.relu(self.coarse(coarse))
        x = F.relu(self.middle(middle + F.interpolate(x, size=middle.shape[-2:])))
        x = F.relu(self.fine(fine + F.interpolate(x, size=fine.shape[-2:])))
        return F.relu(self.out(F.relu(self.narrow(x))))


class DynamicMaskHead(nn.Module):
    """Masks at stride 4 by convolutions whose weights each query brings.

    feature_dim: maps of the branch. hidden_dim: maps between the convolutions.
    """

    def __init__(self, dim: int = 256, *, feature_dim: int = 8, hidden_dim: int = 8) -> None:
        super().__init__()
        self.branch = MaskBranch(dim, out_dim=feature_dim)
        self.widths = (feature_dim + 2, hidden_dim, hidden_dim, 1)
        self.weight_sizes = [a * b for a, b in zip(self.widths, self.widths[1:])]
        num_parameters = sum(self.weight_sizes) + sum(self.widths[1:])
        self.controller = Mlp(dim, hidden_dim=dim, out_dim=num_parameters, num_layers=3)

    def features(self, levels: Sequence[Tensor]) -> Tensor:
        """Shared maps [B, feature_dim, h, w]. levels: encoded, [B, D, h, w] each, finest first."""
        return self.branch(levels)

    def forward(self, queries: Tensor, *, features: Tensor, points: Tensor) -> Tensor:
        """Mask logits [B, N, 2 h, 2 w].

        queries: [B, N, D]; only those whose masks are wanted. features: [B, feature_dim, h, w]. points: (x, y) in
        pixels of the network's input that coordinates are relative to, [B, N, 2].
        """
        height, width = features.shape[-2:]
        x = torch.cat((self._coordinates(points, height, width), self._spread(features, queries.shape[1])), dim=2)
        weights, biases = self._split(self.controller(queries))
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x = weight @ x + bias[..., None]
            x = F.relu(x) if index + 1 < len(weights) else x
        return aligned_upsample(x[:, :, 0].unflatten(-1, (height, width)), 2)

    @staticmethod
    def _spread(features: Tensor, num_queries: int) -> Tensor:
        return features.flatten(2)[:, None].expand(-1, num_queries, -1, -1)

    @staticmethod
    def _coordinates(points: Tensor, height: int, width: int) -> Tensor:
        """From every pixel of the map to the query's point, (x, y) in input pixels, [B, N, 2, h * w]."""
        y, x = torch.meshgrid(
            torch.arange(height, device=points.device), torch.arange(width, device=points.device), indexing="ij"
        )
        centres = torch.stack((x, y)).flatten(1) * MASK_STRIDE + MASK_STRIDE // 2
        return points[..., None] - centres

    def _split(self, parameters: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Weights [B, N, out, in] and biases [B, N, out] of the three layers; all weights come first."""
        pieces = parameters.split([*self.weight_sizes, *self.widths[1:]], dim=-1)
        num = len(self.weight_sizes)
        shapes = zip(self.widths[1:], self.widths, strict=False)
        weights = [piece.unflatten(-1, shape) for piece, shape in zip(pieces[:num], shapes, strict=True)]
        return weights, list(pieces[num:])


class IouHead(nn.Linear):
    """The logit of how well a query's box fits, whatever the prompt."""

    def __init__(self, dim: int = 256) -> None:
        super().__init__(dim, 1)
        nn.init.constant_(self.bias, PRIOR_BIAS)


class IdentityHead(DeformableDecoder):
    """An embedding by which an object is known again in another frame: further decoder layers, then an MLP.

    It learns from queries, boxes and memory without moving them. Embeddings are not normalised.
    """

    def __init__(self, dim: int = 256, *, num_layers: int = 2, num_levels: int = 4, hidden_dim: int = 2048) -> None:
        super().__init__(dim, num_layers=num_layers, num_levels=num_levels, hidden_dim=hidden_dim, is_refining=False)
        self.mlp = Mlp(dim, hidden_dim=dim, out_dim=dim, num_layers=3)

    def embed(self, queries: Tensor, boxes: Tensor, *, memory: Memory) -> Tensor:
        """float [B, N, D]. queries: [B, N, D]. boxes: [B, N, 4]."""
        decoded = self(queries.detach(), boxes.detach(), memory=memory.detached())
        return self.mlp(decoded.states[-1])
