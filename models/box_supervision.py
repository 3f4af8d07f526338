"""Masks learnt from boxes alone: their extent must be the box's, and pixels of like colour must agree.

Follows BoxInst (arXiv 2012.02310) as MasterBin-IIAU/UNINEXT at 5ab0386 has it in its first stage, defects included
behind an option each. Shapes: M matched pairs, h w masks at stride 4, H W the padded input. A pixel has eight
neighbours, two pixels away, in row order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 4
DILATION = 2
# sRGB to CIE XYZ and the D65 white point for 2 degrees (IEC 61966-2-1, CIE 15).
TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)


def lab(image: Tensor) -> Tensor:
    """CIE L*a*b* of an sRGB image, float32 [3, h, w]. image: 0..1, [3, h, w]."""
    linear = torch.where(image > 0.04045, ((image + 0.055) / 1.055) ** 2.4, image / 12.92)
    xyz = torch.einsum("ij,jhw->ihw", linear.new_tensor(TO_XYZ), linear) / linear.new_tensor(WHITE)[:, None, None]
    x, y, z = torch.where(xyz > 0.008856, xyz ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)))


def neighbours(maps: Tensor) -> Tensor:
    """The eight neighbours of every pixel, zeros outside, [K, 8, h, w]. maps: [K, h, w]."""
    shape = maps.shape[-2:]
    around = F.unfold(maps[:, None], kernel_size=3, padding=DILATION, dilation=DILATION).unflatten(-1, shape)
    return torch.cat((around[:, :4], around[:, 5:]), dim=1)


def colour_similarity(
    image: Tensor, valid: Tensor, *, removed_rows: int = 0, swaps_channels: bool = True, sharpness: float = 0.5
) -> Tensor:
    """How like every pixel is to its neighbours in colour, 0 for invalid ones, float32 [8, H / 4, W / 4].

    image: RGB 0..255, zeros on padding, [3, H, W]. valid: bool [H, W], False on padding. removed_rows: invalid rows at
    the lower end of the unpadded image. swaps_channels: colours are compared as if red were blue, as upstream.
    """
    height = int(valid[:, 0].sum())
    shown = valid.clone()
    shown[max(height - removed_rows, 0) :] = False
    pooled = F.avg_pool2d(image[None].float(), STRIDE)[0].floor() / 255
    colours = lab(pooled.flip(0) if swaps_channels else pooled)
    distance = (colours[:, None] - neighbours(colours)).norm(dim=0)
    return (-sharpness * distance).exp() * neighbours(
        shown[None, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].float()
    )[0]


def removed_rows(height: int, original_height: int, *, pixels: int = 10) -> int:
    """Rows of an image of `height` that show the lowest `pixels` rows of the original, which often hold a logo."""
    return int(pixels * height / original_height)


def filled_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks bool [G, H, W] of boxes: whole pixels from the first that a box touches. boxes: xyxy in pixels [G, 4]."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool, device=boxes.device)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.tolist()):
        mask[int(y1) : int(y2 + 1), int(x1) : int(x2 + 1)] = True
    return masks


class BoxSupervision(nn.Module):
    """Projection and pairwise losses of matched masks.

    least_similarity: pairs of pixels above it must agree. warm_up: iterations over which the pairwise loss grows.
    counts_layers: the counter moves once per decoder layer, not once per iteration, as upstream; a warm-up then ends
    six times too early. most_pairs: random pairs above this number are left out.
    """

    num_calls: Tensor

    def __init__(
        self,
        least_similarity: float = 0.3,
        *,
        warm_up: int = 10_000,
        counts_layers: bool = True,
        most_pairs: int = 64,
    ) -> None:
        super().__init__()
        self.least_similarity, self.warm_up = least_similarity, warm_up
        self.counts_layers, self.most_pairs = counts_layers, most_pairs
        self.register_buffer("num_calls", torch.zeros(1))

    def forward(self, logits: Tensor, boxes: Tensor, similarity: Tensor, *, is_first: bool) -> dict[str, Tensor]:
        """Unweighted losses. logits: [M, h, w]. boxes: filled, bool [M, h, w]. similarity: [M, 8, h, w].

        is_first: of the iteration's layers.
        """
        if is_first or self.counts_layers:
            self.num_calls += 1
        if len(logits) > self.most_pairs:
            kept = torch.randperm(len(logits), device=logits.device)[: self.most_pairs]
            logits, boxes, similarity = logits[kept], boxes[kept], similarity[kept]
        factor = (self.num_calls / self.warm_up).clamp(max=1)[0]
        return {
            "loss_prj": projection_loss(logits.sigmoid(), boxes.to(logits.dtype)),
            "loss_pairwise": factor * self._pairwise(logits, boxes, similarity),
        }

    def _pairwise(self, logits: Tensor, boxes: Tensor, similarity: Tensor) -> Tensor:
        """-log of the probability that a pixel and its neighbour are alike, over like-coloured pairs in the box."""
        inside, outside = F.logsigmoid(logits), F.logsigmoid(-logits)
        both_inside = inside[:, None] + neighbours(inside)
        both_outside = outside[:, None] + neighbours(outside)
        losses = -torch.logaddexp(both_inside, both_outside)
        weights = (similarity >= self.least_similarity) & boxes[:, None]
        return (losses * weights).sum() / weights.sum().clamp(min=1)


def projection_loss(probability: Tensor, boxes: Tensor) -> Tensor:
    """Dice losses of the largest value of every row and of every column, added, mean over the masks.

    probability, boxes: [M, h, w].
    """
    total = probability.new_zeros(len(probability))
    for axis in (1, 2):
        found, wanted = probability.amax(axis), boxes.amax(axis)
        both, squares = (found * wanted).sum(1), (found**2).sum(1) + (wanted**2).sum(1)
        total = total + 1 - 2 * both / (squares + 1e-5)
    return total.mean() if len(total) else total.sum()
