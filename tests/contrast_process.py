"""One of two processes that contrast their halves of a batch: `python contrast_process.py FOLDER RANK`.

Writes the loss and the gradient of its queries to FOLDER/RANK.pt.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.contrastive import QueryTextContrast
from models.matching import Pairs


def make_queries() -> tuple[Tensor, Tensor]:
    """Queries and text queries of a batch of four images, [4, 3, 5] each."""
    queries, texts = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    return queries, texts


def contrast(folder: Path, rank: int) -> None:
    """Contrast this process's two images with those of both."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    queries, texts = make_queries()
    share = slice(2 * rank, 2 * rank + 2)
    mine = queries[share].clone().requires_grad_()
    nothing = torch.zeros(0, dtype=torch.int64)
    pairs = Pairs(image=nothing, query=nothing, target=nothing)
    value = QueryTextContrast(weight=1.0)(mine, texts[share], nothing, pairs)["loss_contrastive"]
    value.backward()
    torch.save((value.detach(), mine.grad), folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    contrast(Path(sys.argv[1]), int(sys.argv[2]))
