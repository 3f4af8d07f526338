"""What the unified model is told in training: classes and masks as OneFormer, boxes and identity as UNINEXT.

Every query is matched one to one by class and mask; the last prediction's pairs also teach boxes, the masks' quality
and, where an example shows two frames, who is who. Shapes: B batch, N queries, K concepts, G matched pairs, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.concept_pixels import ConceptPixels
from models.contrastive import QueryTextContrast
from models.losses import SetCriterion, mean_over_processes
from models.matching import Pairs
from models.object_answers import to_corners
from models.object_losses import paired_iou
from models.shots import Example, Shot, ShotTarget

if TYPE_CHECKING:
    from models.unified import Found

Summarise = Callable[[Sequence[str]], Tensor]
"""Texts to one feature each, [T, text width]."""


class TextQueries(nn.Module):
    """What is said of a picture, as many rows as there are queries: its texts, the task's padding, learnt context.

    num_texts: rows of texts and padding. num_context: learnt rows.
    """

    def __init__(self, text_dim: int, *, dim: int, num_texts: int, num_context: int) -> None:
        super().__init__()
        self.num_texts = num_texts
        self.projection = nn.Sequential(nn.Linear(text_dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.context = nn.Parameter(torch.randn(num_context, dim))

    def forward(self, shots: Sequence[Shot], summarise: Summarise) -> Tensor:
        """[B, num_texts + num_context, D]."""
        texts = [text for shot in shots for text in self._texts(shot)]
        different = list(dict.fromkeys(texts))
        place = torch.tensor([different.index(text) for text in texts])
        rows = self.projection(summarise(different))[place].unflatten(0, (len(shots), self.num_texts))
        return torch.cat((rows, self.context.expand(len(shots), -1, -1)), dim=1)

    def _texts(self, shot: Shot) -> list[str]:
        padding = f"a {shot.ask.task.value} photo"
        return [*shot.target.texts, *[padding] * self.num_texts][: self.num_texts]


class UnifiedCriterion(nn.Module):
    """Weighted losses. sets: of classes and masks. text_queries, contrast: of the initial queries, or None.

    pixels: of the pixel features, or None. box_weight: of L1; the generalised IoU counts `giou_weight`.
    """

    def __init__(
        self,
        sets: SetCriterion,
        *,
        text_queries: TextQueries | None = None,
        contrast: QueryTextContrast | None = None,
        pixels: ConceptPixels | None = None,
        box_weight: float = 5.0,
        giou_weight: float = 2.0,
        quality_weight: float = 1.0,
        identity_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.sets, self.text_queries, self.contrast, self.pixels = sets, text_queries, contrast, pixels
        self.box_weight, self.giou_weight = box_weight, giou_weight
        self.quality_weight, self.identity_weight = quality_weight, identity_weight

    def forward(self, found: Found, examples: Sequence[Example], summarise: Summarise) -> dict[str, Tensor]:
        """{"loss_ce", "loss_mask", ...}, each weighted. examples: whose shots, in order, are the batch."""
        shots = [shot for example in examples for shot in example]
        device = found.boxes.device
        targets = [shot.target.to(device).padded(*found.padded) for shot in shots]
        losses, matched = self.sets.compare(found.queries, targets)
        pairs = matched[0]
        losses |= self._boxes(found, targets, pairs)
        losses |= self._quality(found, targets, pairs)
        losses |= self._identity(found, examples, targets, pairs)
        if self.contrast is not None and self.text_queries is not None:
            said = self.text_queries(shots, summarise)
            labels = torch.cat([target.labels for target in targets])
            losses |= self.contrast(found.queries.initial_queries, said, labels, pairs)
        if self.pixels is not None:
            losses |= self.pixels(found.features, found.prompt, targets)
        return losses

    def _boxes(self, found: Found, targets: Sequence[ShotTarget], pairs: Pairs) -> dict[str, Tensor]:
        """L1 and generalised IoU of the matched boxes, a pair's mean."""
        ours = found.boxes[pairs.image, pairs.query].float()
        theirs = torch.cat([target.boxes for target in targets])[pairs.target]
        count = mean_over_processes(len(ours), ours.device)
        _, overlap = paired_iou(to_corners(ours), to_corners(theirs))
        return {
            "loss_box": self.box_weight * (ours - theirs).abs().sum() / count,
            "loss_giou": self.giou_weight * (1 - overlap).sum() / count,
        }

    def _quality(self, found: Found, targets: Sequence[ShotTarget], pairs: Pairs) -> dict[str, Tensor]:
        """Cross entropy between the quality and the IoU of masks, or of boxes where there are no masks."""
        with torch.no_grad():
            overlap = self._overlaps(found, targets, pairs)
        logits = found.quality[pairs.image, pairs.query].float()
        count = mean_over_processes(len(logits), logits.device)
        total = F.binary_cross_entropy_with_logits(logits, overlap, reduction="sum")
        return {"loss_quality": self.quality_weight * total / count}

    @staticmethod
    def _overlaps(found: Found, targets: Sequence[ShotTarget], pairs: Pairs) -> Tensor:
        """IoU of every pair, [G]."""
        logits = found.queries.mask_logits[-1][pairs.image, pairs.query]
        masks = torch.cat([target.masks for target in targets])[pairs.target].float()
        wanted = F.interpolate(masks[:, None], size=logits.shape[-2:], mode="area")[:, 0] > 0.5
        drawn = logits > 0
        both, either = (drawn & wanted).flatten(1).sum(1), (drawn | wanted).flatten(1).sum(1)
        of_masks = both / either.clamp(min=1)
        ours = to_corners(found.boxes[pairs.image, pairs.query])
        theirs = to_corners(torch.cat([target.boxes for target in targets])[pairs.target])
        of_boxes, _ = paired_iou(ours, theirs)
        has_masks = torch.cat([torch.full((len(t.labels),), t.has_masks, device=ours.device) for t in targets])
        return torch.where(has_masks[pairs.target], of_masks, of_boxes)

    def _identity(
        self, found: Found, examples: Sequence[Example], targets: Sequence[ShotTarget], pairs: Pairs
    ) -> dict[str, Tensor]:
        """Which query of the other frame is the same object: cross entropy over all of its queries, both ways."""
        losses, first = [found.identity.sum() * 0], 0
        for example in examples:
            if len(example) == 2:
                losses += self._same(found, targets, pairs, (first, first + 1))
            first += len(example)
        return {"loss_identity": self.identity_weight * torch.stack(losses).sum() / max(len(losses) - 1, 1)}

    @staticmethod
    def _same(found: Found, targets: Sequence[ShotTarget], pairs: Pairs, frames: tuple[int, int]) -> list[Tensor]:
        """One loss a direction, none where no object is in both frames. frames: positions in the batch."""
        ids = torch.cat([target.object_ids for target in targets])
        query = [
            {int(ids[target]): int(one) for one, target in zip(pairs.query[chosen], pairs.target[chosen], strict=True)}
            for chosen in (pairs.image == frame for frame in frames)
        ]
        both = [object_id for object_id in query[0] if object_id in query[1]]
        if not both:
            return []
        places = [torch.tensor([one[object_id] for object_id in both], device=ids.device) for one in query]
        a, b = (found.identity[frame].float() for frame in frames)
        return [F.cross_entropy(a[places[0]] @ b.T, places[1]), F.cross_entropy(b[places[1]] @ a.T, places[0])]
