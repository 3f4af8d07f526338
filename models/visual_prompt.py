"""A target that is shown, not described: a box or mask in a reference frame becomes a prompt.

Follows MasterBin-IIAU/UNINEXT at 5ab0386: a square around the target is cut from the normalised frame and given to an
encoder of its own together with the target's mask as a fourth channel. Zeros stand outside the frame, which is the mean
colour. Shapes: B batch, D width of the model, E width of the prompt, C side of the crop, H W size of the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.problems import UsageError
from models.feature_levels import LevelProjection, aligned_upsample
from models.prompt_tokens import PromptTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """image: float32 [4, C, C], three normalised channels and the target prior 0..1. valid: bool [C, C]."""

    image: Tensor
    valid: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateCrop:
    """How a target is cut out.

    size: side of the crop in pixels. factor: side of the square over the square root of the box's area.
    is_border_lost: a square that reaches the right or lower border loses the frame's last column or row, as upstream.
    """

    size: int = 256
    factor: float = 2.0
    is_border_lost: bool = True

    def __call__(
        self,
        frame: Tensor,
        box_xywh: tuple[float, float, float, float],
        *,
        valid: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Template:
        """The template of one target.

        frame: normalised [3, H, W]. box_xywh: in pixels of the frame. valid: bool [H, W], False on padding; None: all.
        mask: the target's mask [H, W] as prior; None: its box. Raises UsageError for a box without area or outside.
        """
        height, width = frame.shape[-2:]
        left, top, side = self._square(box_xywh, height, width)
        shown = torch.ones(height, width, device=frame.device) if valid is None else valid.float()
        image = self._cut(frame, left, top, side)
        # Outside the frame counts as padding.
        padding = 1 - self._cut(shown[None], left, top, side)
        if mask is None:
            prior = self._box_prior(box_xywh, left, top, side).to(frame)[None]
        else:
            prior = self._cut(mask.to(frame)[None], left, top, side)
        stacked = torch.cat((image, prior, padding))[None]
        resized = F.interpolate(stacked, size=(self.size, self.size), mode="bilinear", align_corners=False)[0]
        return Template(image=resized[:4], valid=resized[4] == 0)

    def _square(self, box: tuple[float, float, float, float], height: int, width: int) -> tuple[int, int, int]:
        """(left, top, side) of the square, in whole pixels."""
        x, y, w, h = box
        side = math.ceil(math.sqrt(max(w, 0) * max(h, 0)) * self.factor)
        left, top = round(x + 0.5 * w - 0.5 * side), round(y + 0.5 * h - 0.5 * side)
        is_inside = left < width and top < height and left + side > 0 and top + side > 0
        if side < 1 or not is_inside:
            raise UsageError(
                f"target box (x, y, width, height) {tuple(round(v, 2) for v in box)} cannot be cut from a frame of "
                f"{width} x {height} pixels. Give a box with area inside the frame"
            )
        return left, top, side

    def _cut(self, channels: Tensor, left: int, top: int, side: int) -> Tensor:
        """The square of channels [K, H, W], float [K, side, side], zeros outside."""
        height, width = channels.shape[-2:]
        lost = int(self.is_border_lost)
        before_x, before_y = max(0, -left), max(0, -top)
        after_x, after_y = max(0, left + side - width + lost), max(0, top + side - height + lost)
        rows, columns = slice(top + before_y, top + side - after_y), slice(left + before_x, left + side - after_x)
        return F.pad(channels[:, rows, columns], (before_x, after_x, before_y, after_y))

    @staticmethod
    def _box_prior(box: tuple[float, float, float, float], left: int, top: int, side: int) -> Tensor:
        """Ones inside the box, float32 [side, side]."""
        x, y, w, h = box
        prior = torch.zeros(side, side)
        row, column = round(y - top), round(x - left)
        prior[max(0, row) : max(0, round(row + h)), max(0, column) : max(0, round(column + w))] = 1
        return prior


class TemplateEncoder(nn.Module):
    """Templates become prompt tokens, one per pixel of the finest level.

    backbone: a copy of the image's with four input channels. The projection to feature levels is the image's own.
    """

    def __init__(self, backbone: nn.Module, *, dim: int = 256, prompt_dim: int = 768, num_levels: int = 4) -> None:
        super().__init__()
        self.backbone = backbone
        self.refinements = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in range(num_levels))
        self.projection = nn.Linear(dim, prompt_dim)

    def forward(self, images: Tensor, valid: Tensor, *, level_projection: LevelProjection) -> PromptTokens:
        """The prompt, L = (C / 8)^2 tokens. images: [B, 4, C, C]. valid: bool [B, C, C]."""
        levels = level_projection(self.backbone(images))
        fused = self.fuse(levels)
        shown = F.interpolate(valid[:, None].float(), size=fused.shape[-2:])[:, 0].bool()
        tokens = self.projection(fused.flatten(2).mT)
        return PromptTokens(tokens=tokens, valid=shown.flatten(1), kind="template")

    def fuse(self, levels: list[Tensor]) -> Tensor:
        """The sum of all levels at the finest size, [B, D, h, w]. levels: [B, D, h, w], every one half the last."""
        total = self.refinements[0](levels[0])
        for index in range(1, len(levels)):
            total = total + aligned_upsample(self.refinements[index](levels[index]), 2**index)
        return total
