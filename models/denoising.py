"""Contrastive denoising: queries that start from noised boxes and must find the object again, or refuse.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (DINO, arXiv 2203.03605, without label noise): all of an image's denoising
queries start from its pooled prompt. They come in groups, each with a positive (noise below one half size) and a
negative (above) for every object, and stand before the other queries. Shapes: B batch, T objects of the batch, P
denoising queries, N other queries, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.object_answers import to_corners
from models.object_matching import Matches, ObjectTargets
from models.object_proposals import inverse_sigmoid


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoisingQueries:
    """content: [B, P, D], zero for slots without an object. boxes: [B, P, 4] cxcywh in 0..1. box_logits: [B, P, 4].

    matches: one per image, the positive slots and their objects. slots: per group, positive and negative.
    """

    content: Tensor
    box_logits: Tensor
    matches: tuple[Matches, ...]
    slots: int

    @property
    def boxes(self) -> Tensor:
        return self.box_logits.sigmoid()

    def __len__(self) -> int:
        return self.box_logits.shape[1]

    def allowed(self, num_queries: int) -> Tensor:
        """bool [1, P + N, P + N], which query may see which: a group itself and the others, the others themselves."""
        num_noised = len(self)
        group = torch.arange(num_noised + num_queries, device=self.content.device) // self.slots
        is_other = torch.arange(len(group), device=group.device) >= num_noised
        return (is_other[None, :] | ((group[:, None] == group[None, :]) & ~is_other[:, None]))[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoising:
    """How boxes are noised. num_queries: about as many positive ones an image. scale: of the noise; 1 moves a corner by
    up to half the box for positives and up to all of it for negatives."""

    num_queries: int = 100
    scale: float = 1.0

    def num_groups(self, targets: Sequence[ObjectTargets]) -> int:
        """At least one."""
        return max(1, 2 * self.num_queries // (2 * max(len(target) for target in targets)))

    def draw(self, targets: Sequence[ObjectTargets], generator: torch.Generator | None = None) -> Tensor:
        """Signed corner noise in half sizes, float32 [groups, 2, T, 4]: below 1 for positives, 1 to 2 for negatives."""
        total = sum(len(target) for target in targets)
        shape = (self.num_groups(targets), 2, total, 4)
        sign = torch.randint(0, 2, shape, generator=generator).float() * 2 - 1
        magnitude = torch.rand(shape, generator=generator)
        magnitude[:, 1] += 1
        return sign * magnitude

    def __call__(self, content: Tensor, targets: Sequence[ObjectTargets], noise: Tensor) -> DenoisingQueries:
        """content: one vector an image [B, D]. noise: of `draw`, [groups, 2, T, 4]."""
        most = max(len(target) for target in targets)
        boxes = torch.cat([target.boxes for target in targets])
        half = boxes[:, 2:].repeat(1, 2) / 2
        corners = (to_corners(boxes) + noise.to(boxes) * half * self.scale).clamp(0, 1)
        low, high = corners.split(2, dim=-1)
        logits = inverse_sigmoid(torch.cat(((low + high) / 2, high - low), dim=-1))
        groups = len(noise)
        placed = boxes.new_zeros(len(targets), groups, 2, most, 4)
        filled = content.new_zeros(len(targets), groups, 2, most, 1)
        first = 0
        for index, target in enumerate(targets):
            placed[index, :, :, : len(target)] = logits[:, :, first : first + len(target)]
            filled[index, :, :, : len(target)] = 1
            first += len(target)
        return DenoisingQueries(
            content=filled.flatten(1, 3) * content[:, None],
            box_logits=placed.flatten(1, 3),
            matches=tuple(_positives(len(target), most, groups, content.device) for target in targets),
            slots=2 * most,
        )


def _positives(count: int, most: int, groups: int, device: torch.device) -> Matches:
    """Positive slots of an image with `count` objects; every object's first slot stands for the cheapest."""
    starts = torch.arange(groups, device=device) * 2 * most
    target = torch.arange(count, device=device)
    query = (starts[:, None] + target).flatten()
    return Matches(query=query, target=target.repeat(groups), cheapest=target)
