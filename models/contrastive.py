"""Losses that tie the initial queries to the image's content: OneFormer's contrastive loss and its ablation.

Follows SHI-Labs/OneFormer at 4962ef6: one vector per image (all queries flattened), both directions summed, negatives
from every process. Shapes: B batch, N queries, D width.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from models.matching import Pairs

Level = Literal["image", "query"]


class QueryTextContrast(nn.Module):
    """Symmetric contrastive loss between the initial queries and the text queries.

    temperature: initial; its inverse is learnt, at most 100. level: "image" makes one pair per image, as the authors'
    code does, "query" one per query.
    """

    def __init__(self, weight: float = 0.5, *, temperature: float = 0.07, level: Level = "image") -> None:
        super().__init__()
        self.weight, self.level = weight, level
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))

    def forward(self, queries: Tensor, text_queries: Tensor, labels: Tensor, pairs: Pairs) -> dict[str, Tensor]:
        """{"loss_contrastive"}, weighted. queries, text_queries: [B, N, D]; the other arguments are not looked at."""
        start = 1 if self.level == "image" else 2
        a, b = (
            F.normalize(x.float().flatten(1) if start == 1 else x.float().flatten(0, 1), dim=-1)
            for x in (queries, text_queries)
        )
        scale = self.logit_scale.exp().clamp(max=100)
        wanted = torch.arange(len(a), device=a.device) + len(a) * _rank()
        forwards = F.cross_entropy(scale * a @ gather(b).T, wanted)
        backwards = F.cross_entropy(scale * b @ gather(a).T, wanted)
        return {"loss_contrastive": self.weight * (forwards + backwards)}


class QueryClassification(nn.Module):
    """The paper's ablation: the initial queries are classified by a linear layer of their own instead.

    The paper gives no details; ours wants the class that the prediction of the initial queries was matched with.
    """

    def __init__(self, weight: float = 0.5, *, dim: int, num_classes: int, no_object_weight: float = 0.1) -> None:
        super().__init__()
        self.weight, self.num_classes, self.no_object_weight = weight, num_classes, no_object_weight
        self.head = nn.Linear(dim, num_classes + 1)

    def forward(self, queries: Tensor, text_queries: Tensor, labels: Tensor, pairs: Pairs) -> dict[str, Tensor]:
        """{"loss_query_class"}, weighted.

        queries: float [B, N, D]. text_queries: not used. labels: int64 [M], the batch's concatenated targets. pairs:
        who has which.
        """
        logits = self.head(queries).float()
        wanted = torch.full(logits.shape[:2], self.num_classes, device=logits.device)
        wanted[pairs.image, pairs.query] = labels[pairs.target]
        weights = logits.new_ones(self.num_classes + 1)
        weights[-1] = self.no_object_weight
        return {"loss_query_class": self.weight * F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), weights)}


class _Gather(torch.autograd.Function):
    """`torch.distributed` gathers without gradients, so the way back is written out: sum over processes, own rows."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def gather(x: Tensor) -> Tensor:
    """The rows of all processes in the order of their ranks, [world size * B, ...]; x: [B, ...].

    Gradients flow back to the process that owns the row.
    """
    return _Gather.apply(x) if dist.is_available() and dist.is_initialized() else x


def _rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
