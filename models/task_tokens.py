"""The task token, and the text list that tells a training image's content: OneFormer's conditioning.

Follows SHI-Labs/OneFormer at 4962ef6: the token is an MLP over raw token ids, cast to float; texts stand in class order
and are padded with a sentence that names the task only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.contract import Panoptic, Task
from models.attention import Mlp
from models.tokenizers import Tokenizer

TASK_SENTENCES = {task: f"the task is {task.value}" for task in Task}
OBJECT_TYPES = {Task.SEMANTIC: "region", Task.INSTANCE: "object", Task.PANOPTIC: "segment"}
"""Words for `{type}` of a text template. The paper's ablation has such words but does not name them; these are ours."""

PAD_TEXTS = {Task.SEMANTIC: "a semantic photo", Task.INSTANCE: "an instance photo", Task.PANOPTIC: "a panoptic photo"}


class TaskEncoder(nn.Module):
    """Task sentence to task token. length: ids per sentence."""

    def __init__(self, length: int = 77, *, dim: int = 256, num_layers: int = 2) -> None:
        super().__init__()
        self.mlp = Mlp(length, hidden_dim=dim, out_dim=dim, num_layers=num_layers)

    def forward(self, token_ids: Tensor) -> Tensor:
        """float32 [B, D]. token_ids: int64 [B, L]. Half precision cannot tell 49406 from 49407, so it is left out."""
        with torch.autocast(token_ids.device.type, enabled=False):
            return self.mlp(token_ids.float())


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTargets:
    """What one task wants of an image. labels: int64 [M]. masks: bool [M, H, W]. counts: int64 [K], texts a class."""

    labels: NDArray[np.int64]
    masks: NDArray[np.bool_]
    counts: NDArray[np.int64]


def label_targets(panoptic: Panoptic, *, is_thing: Sequence[bool], task: Task) -> LabelTargets:
    """The targets of `task`, from the panoptic annotation alone; M may be 0.

    Crowds, classes outside `is_thing` (K flags) and segments without pixels are left out. Semantic: one target a class,
    in order of first appearance. Instance: one a thing. Panoptic: one a segment.
    """
    wanted = [s for s in panoptic.segments if not s.is_crowd and s.class_index < len(is_thing)]
    if task is Task.INSTANCE:
        wanted = [segment for segment in wanted if is_thing[segment.class_index]]
    regions = {segment.id: panoptic.segment_id == segment.id for segment in wanted}
    kept = [segment for segment in wanted if regions[segment.id].any()]
    groups: dict[int, list[NDArray[np.bool_]]] = {}
    for segment in kept:
        group = segment.class_index if task is Task.SEMANTIC else segment.id
        groups.setdefault(group, []).append(regions[segment.id])
    labels = [segment.class_index for segment in kept]
    if task is Task.SEMANTIC:
        labels = list(groups)
    masks = [np.logical_or.reduce(parts) if len(parts) > 1 else parts[0] for parts in groups.values()]
    return LabelTargets(
        labels=np.array(labels, np.int64),
        masks=np.stack(masks) if masks else np.zeros((0, *panoptic.segment_id.shape), bool),
        counts=np.bincount(labels, minlength=len(is_thing)).astype(np.int64),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextList:
    """Writes an image's texts.

    num_texts: queries minus context rows. template: with `{name}` for the class and, if wanted, `{type}` for the kind
    of object that the task is about.
    """

    tokenizer: Tokenizer
    num_texts: int
    template: str = "a photo with a {name}"

    def texts(self, counts: NDArray[np.int64], class_names: Sequence[str], task: Task) -> list[str]:
        """`num_texts` texts: every class as often as it is a target, in class order, then the task's padding.

        counts: int64 [K], targets of each class.
        """
        listed = [
            self.template.format(name=class_names[index], type=OBJECT_TYPES[task])
            for index in np.flatnonzero(counts).tolist()
            for _ in range(counts[index])
        ]
        return (listed + [PAD_TEXTS[task]] * self.num_texts)[: self.num_texts]

    def __call__(self, counts: NDArray[np.int64], class_names: Sequence[str], task: Task) -> NDArray[np.int64]:
        """Token ids of the texts, int64 [num_texts, L]."""
        texts = self.texts(counts, class_names, task)
        # Most texts are the padding, so each one is tokenised once.
        ids = {text: self.tokenizer(text) for text in dict.fromkeys(texts)}
        return np.stack([ids[text] for text in texts])
