"""Embeddings by which an object is known again: those of one object attract, all others are pushed away.

Follows MasterBin-IIAU/UNINEXT at 5ab0386 (IDOL's contrast, arXiv 2207.10661, with queries of a reference frame chosen
by SimOTA). The sign of the exponent is the implementation's; UNINEXT's supplement prints the reverse. A known gap: on
the reference batch of two clips the authors' code gives 69.0526 and 0.75595, this module 69.0566 and 0.75807. Shapes:
N queries of a frame, G objects of a clip, D width, L prompt tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.object_matching import ObjectTargets, SimOta


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePair:
    """A clip's key and reference frame. Object i is the same one in both.

    anchors: embedding of each object's cheapest query in the key frame [G, D]. embeddings: of the reference frame's
    queries [N, D]. logits: of them [N, L]. boxes: of them [N, 4], cxcywh in 0..1. targets: of the reference frame.
    is_present: bool [G], whether the object is in the reference frame.
    """

    anchors: Tensor
    embeddings: Tensor
    logits: Tensor
    boxes: Tensor
    targets: ObjectTargets
    is_present: Tensor


class IdentityLoss(nn.Module):
    """Contrastive and auxiliary cosine losses, unweighted.

    num_candidates: boxes in SimOTA's sum for the positives of an object. num_spared: the same for the queries that are
    not used as its negatives. negatives_each: negatives per positive in the auxiliary loss.
    """

    def __init__(self, num_candidates: int = 10, *, num_spared: int = 100, negatives_each: int = 10) -> None:
        super().__init__()
        self.positives, self.spared = SimOta(num_candidates=num_candidates), SimOta(num_candidates=num_spared)
        self.negatives_each = negatives_each

    def forward(self, pairs: Sequence[FramePair], drawn: Sequence[Tensor] | None = None) -> dict[str, Tensor]:
        """Means over the objects that both frames of a clip show; zeros without one.

        drawn: int64 [K] for each of them in order, which of its negatives the auxiliary loss takes; None: random ones.
        """
        given = iter(drawn) if drawn is not None else None
        zero = sum((pair.embeddings.sum() * 0 for pair in pairs), torch.zeros(()))
        contrasts, cosines = [], []
        for pair in pairs:
            positive, spared = (self._matrix(matcher, pair) for matcher in (self.positives, self.spared))
            for index in pair.is_present.nonzero()[:, 0].tolist():
                near, far = pair.embeddings[positive[:, index]], pair.embeddings[~spared[:, index]]
                chosen = self._draw(len(near), len(far)) if given is None else next(given)
                contrasts.append(contrast(pair.anchors[index], near, far))
                cosines.append(cosine_loss(pair.anchors[index], near, far[chosen.to(far.device)]))
        count = max(len(contrasts), 1)
        return {"loss_reid": sum(contrasts, zero) / count, "loss_reid_aux": sum(cosines, zero) / count}

    @staticmethod
    def _matrix(matcher: SimOta, pair: FramePair) -> Tensor:
        """bool [N, G]: which queries of the reference frame stand for which object."""
        matches = matcher(pair.logits.detach(), pair.boxes.detach(), pair.targets)
        matrix = torch.zeros(len(pair.boxes), len(pair.targets), dtype=torch.bool, device=pair.boxes.device)
        matrix[matches.query, matches.target] = True
        return matrix

    def _draw(self, num_positive: int, num_negative: int) -> Tensor:
        wanted = self.negatives_each * max(num_positive, 1)
        return torch.randperm(num_negative)[: min(wanted, num_negative)]


def contrast(anchor: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """log(1 + sum of exp(a n - a p) over all pairs). anchor: [D]. positives: [P, D]. negatives: [Q, D]."""
    differences = (negatives @ anchor)[None] - (positives @ anchor)[:, None]
    return torch.cat((differences.new_zeros(1), differences.flatten())).logsumexp(0)


def cosine_loss(anchor: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean squared distance of cosines to 1 (positives) and 0. anchor: [D]. positives: [P, D]. negatives: [Q, D]."""
    others = torch.cat((positives, negatives))
    wanted = torch.cat((torch.ones(len(positives)), torch.zeros(len(negatives)))).to(others)
    return (F.cosine_similarity(anchor[None], others, dim=1) - wanted).square().mean()
