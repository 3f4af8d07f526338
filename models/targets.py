"""A training example: the augmented image and what the drawn task wants of it, from panoptic annotation alone.

Follows SHI-Labs/OneFormer at 4962ef6: the task is drawn per image, so a batch mixes tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmark.contract import Panoptic, Task
from models.augmentation import Augmentation
from models.task_tokens import TextList, label_targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """labels: int64 [M]. masks: bool [M, H, W]. task: the drawn one. text_ids: int64 [T, L]."""

    labels: Tensor
    masks: Tensor
    task: Task
    text_ids: Tensor
    has_masks: ClassVar[bool] = True

    def to(self, device: torch.device) -> Target:
        """The same target on another device."""
        return Target(
            labels=self.labels.to(device, non_blocking=True),
            masks=self.masks.to(device, non_blocking=True),
            task=self.task,
            text_ids=self.text_ids.to(device, non_blocking=True),
        )

    def padded(self, height: int, width: int) -> Target:
        """The same target with masks extended right and bottom by background."""
        rows, columns = height - self.masks.shape[1], width - self.masks.shape[2]
        if not rows and not columns:
            return self
        return replace(self, masks=F.pad(self.masks, (0, columns, 0, rows)))


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTaskRecipe:
    """Augment, draw a task, make its targets and texts.

    class_names, is_thing: K each. task_probabilities: of semantic, instance, panoptic; they sum to 1. needs_things:
    images without a thing outside crowds are not trained on (the authors' rule for COCO).
    """

    class_names: Sequence[str]
    is_thing: Sequence[bool]
    augmentation: Augmentation
    text_list: TextList
    task_probabilities: tuple[float, float, float] = (0.33, 0.33, 0.34)
    needs_things: bool = False

    def accepts(self, panoptic: Panoptic) -> bool:
        """Whether the image is trained on."""
        return not self.needs_things or any(
            self.is_thing[segment.class_index] and not segment.is_crowd for segment in panoptic.segments
        )

    def __call__(self, image: NDArray[np.uint8], panoptic: Panoptic, rng: np.random.Generator) -> tuple[Tensor, Target]:
        """(uint8 [3, H, W] RGB, its target)."""
        image, segment_id = self.augmentation(image, panoptic.segment_id, rng)
        task = self.draw_task(rng.random())
        seen = Panoptic(segment_id=segment_id, segments=panoptic.segments)
        found = label_targets(seen, is_thing=self.is_thing, task=task)
        target = Target(
            labels=torch.from_numpy(found.labels),
            masks=torch.from_numpy(found.masks),
            task=task,
            text_ids=torch.from_numpy(self.text_list(found.counts, self.class_names, task)),
        )
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), target

    def draw_task(self, u: float) -> Task:
        """The task of a uniform number in 0..1: cumulative thresholds, semantic first."""
        semantic, instance, _ = self.task_probabilities
        if u < semantic:
            return Task.SEMANTIC
        return Task.INSTANCE if u < semantic + instance else Task.PANOPTIC
