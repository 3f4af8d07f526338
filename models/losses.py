"""OneFormer's criterion: class, mask and dice losses of every prediction, masks compared at sampled points.

Follows SHI-Labs/OneFormer at 4962ef6, and draws its random numbers in the same order. Void, crowd and padding are
background of every mask. Shapes: S predictions, B batch, N queries, M targets, G matched pairs, P points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from models.contrastive import QueryClassification, QueryTextContrast
from models.matching import MatchingCost, Pairs, assign, sample_points
from models.query_decoder import QueryPredictions
from models.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSampling:
    """num_points: P. oversampling: candidates per point. important: share taken where the logit is nearest to 0."""

    num_points: int = 12544
    oversampling: float = 3.0
    important: float = 0.75

    @property
    def num_candidates(self) -> int:
        return int(self.num_points * self.oversampling)

    @property
    def num_important(self) -> int:
        return int(self.num_points * self.important)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Random points of one prediction, uniform in 0..1.

    match: [B, P, 2]. candidates: [G, 3 P, 2]. rest: [G, P / 4, 2].
    """

    match: Tensor
    candidates: Tensor
    rest: Tensor


class MaskTarget(Protocol):
    """What an image's queries should find. has_masks: False where the masks are filled boxes, which masks are not
    compared with."""

    @property
    def labels(self) -> Tensor: ...

    @property
    def masks(self) -> Tensor: ...

    @property
    def has_masks(self) -> bool: ...


class SetCriterion(nn.Module):
    """Weighted losses of all predictions: {"loss_ce", "loss_mask", "loss_dice"}, then the same with "_0", "_1", ...

    query_loss: what ties the initial queries to the texts or classes, or None. no_object_weight: class weight of
    "no object". deep_supervision: every prediction has losses, not only the last.
    """

    def __init__(
        self,
        query_loss: QueryTextContrast | QueryClassification | None = None,
        *,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        no_object_weight: float = 0.1,
        cost: MatchingCost | None = None,
        sampling: PointSampling | None = None,
        deep_supervision: bool = True,
    ) -> None:
        super().__init__()
        self.query_loss = query_loss
        self.class_weight, self.mask_weight, self.dice_weight = class_weight, mask_weight, dice_weight
        self.no_object_weight, self.deep_supervision = no_object_weight, deep_supervision
        self.cost, self.sampling = cost or MatchingCost(), sampling or PointSampling()

    def forward(
        self, predictions: QueryPredictions, text_queries: Tensor | None, targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """targets: one per image, masks padded to the network's input size. text_queries: [B, N, D]."""
        with torch.autocast(predictions.initial_queries.device.type, enabled=False):
            losses, matched = self.compare(predictions, targets)
            if self.query_loss is not None:
                labels = torch.cat([target.labels for target in targets])
                pairs = matched[min(1, len(matched) - 1)]
                losses |= self.query_loss(predictions.initial_queries, text_queries, labels, pairs)
        return losses

    def compare(
        self, predictions: QueryPredictions, targets: Sequence[MaskTarget]
    ) -> tuple[dict[str, Tensor], list[Pairs]]:
        """The losses of classes and masks, and the pairs of every prediction, the last prediction's first."""
        # The last prediction comes first, as the authors draw its points first.
        order = [-1, *range(len(predictions.class_logits) - 1)] if self.deep_supervision else [-1]
        class_logits = [predictions.class_logits[index].float() for index in order]
        mask_logits = [predictions.mask_logits[index].float() for index in order]
        counts = [len(target.labels) for target in targets]
        draws = [self._draw(counts, logits) for logits in mask_logits]
        matched = self._match(class_logits, mask_logits, targets, draws)
        return self._losses(class_logits, mask_logits, targets, matched, draws), matched

    def _draw(self, counts: Sequence[int], like: Tensor) -> Draws:
        num_queries, num_points = like.shape[1], self.sampling.num_points
        num_pairs = sum(min(count, num_queries) for count in counts)
        draw = [torch.rand(1, num_points, 2, device=like.device) for _ in counts]
        return Draws(
            match=torch.cat(draw),
            candidates=torch.rand(num_pairs, self.sampling.num_candidates, 2, device=like.device),
            rest=torch.rand(num_pairs, num_points - self.sampling.num_important, 2, device=like.device),
        )

    @torch.no_grad()
    def _match(
        self,
        class_logits: Sequence[Tensor],
        mask_logits: Sequence[Tensor],
        targets: Sequence[MaskTarget],
        draws: Sequence[Draws],
    ) -> list[Pairs]:
        labels = pad_sequence([target.labels for target in targets], batch_first=True)
        masks = pad_sequence([target.masks.float() for target in targets], batch_first=True)
        counts = [len(target.labels) for target in targets]
        costs = [
            self.cost(classes, sample_points(logits, drawn.match), labels, sample_points(masks, drawn.match))
            for classes, logits, drawn in zip(class_logits, mask_logits, draws, strict=True)
        ]
        # One transfer to the CPU for all predictions.
        return [assign(cost, counts, labels.device) for cost in torch.stack(costs).cpu()]

    def _losses(
        self,
        class_logits: Sequence[Tensor],
        mask_logits: Sequence[Tensor],
        targets: Sequence[MaskTarget],
        matched: Sequence[Pairs],
        draws: Sequence[Draws],
    ) -> dict[str, Tensor]:
        labels = torch.cat([target.labels for target in targets])
        masks = torch.cat([target.masks for target in targets]).float()
        num_masks = mean_over_processes(len(labels), labels.device)
        is_drawn = torch.cat([masks.new_full((len(target.labels),), float(target.has_masks)) for target in targets])
        losses = {}
        for index, (classes, logits, pairs, drawn) in enumerate(
            zip(class_logits, mask_logits, matched, draws, strict=True)
        ):
            suffix = "" if index == 0 else f"_{index - 1}"
            values, wanted = self._sample(logits[pairs.image, pairs.query], masks[pairs.target], drawn)
            losses[f"loss_ce{suffix}"] = self.class_weight * self._class_loss(classes, labels, pairs)
            counted = is_drawn[pairs.target]
            losses[f"loss_mask{suffix}"] = self.mask_weight * (mask_cross_entropy(values, wanted) @ counted) / num_masks
            losses[f"loss_dice{suffix}"] = self.dice_weight * (dice(values, wanted) @ counted) / num_masks
        return losses

    def _class_loss(self, logits: Tensor, labels: Tensor, pairs: Pairs) -> Tensor:
        num_classes = logits.shape[-1] - 1
        wanted = torch.full(logits.shape[:2], num_classes, device=logits.device)
        wanted[pairs.image, pairs.query] = labels[pairs.target]
        weights = logits.new_ones(num_classes + 1)
        weights[-1] = self.no_object_weight
        return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), weights)

    def _sample(self, logits: Tensor, masks: Tensor, drawn: Draws) -> tuple[Tensor, Tensor]:
        """Logits and targets [G, P] at mostly uncertain points. logits: [G, h, w]. masks: 0 or 1, [G, H, W]."""
        with torch.no_grad():
            doubt = -sample_points(logits[:, None], drawn.candidates)[:, 0].abs()
            best = doubt.topk(self.sampling.num_important, dim=1).indices
            chosen = drawn.candidates.gather(1, best[:, :, None].expand(-1, -1, 2))
            points = torch.cat((chosen, drawn.rest), dim=1)
            wanted = sample_points(masks[:, None], points)[:, 0]
        return sample_points(logits[:, None], points)[:, 0], wanted


def mask_cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross entropy, mean over the points, [G]. logits, wanted: [G, P]."""
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(1)


def dice(logits: Tensor, wanted: Tensor) -> Tensor:
    """1 - dice with 1 added above and below, [G]. logits, wanted: [G, P]."""
    probability = logits.sigmoid()
    both = 2 * (probability * wanted).sum(-1)
    return 1 - (both + 1) / (probability.sum(-1) + wanted.sum(-1) + 1)


def mean_over_processes(count: int, device: torch.device) -> float:
    """The count averaged over all processes, at least 1."""
    if not (dist.is_available() and dist.is_initialized()):
        return max(float(count), 1.0)
    total = torch.tensor([float(count)], device=device)
    dist.all_reduce(total)
    return max(float(total) / dist.get_world_size(), 1.0)
