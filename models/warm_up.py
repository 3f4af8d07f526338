"""Teaching an encoder to name pixels before the whole model is trained.

The published variants start from encoders that were trained on ImageNet. Where no such weights exist (the mini data),
the encoder first learns the training images' own classes, pixel by pixel; everything it needs besides is thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.contract import AnnotatedSource, Panoptic
from models.augmentation import Augmentation
from models.training import Trainer
from models.training_hooks import Report

UNLABELLED = -1
STRIDE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelRecipe:
    """An augmented image and the class of every pixel at a quarter of its size; void has none."""

    augmentation: Augmentation

    def accepts(self, panoptic: Panoptic) -> bool:
        """Every image is trained on."""
        return True

    def __call__(self, image: NDArray[np.uint8], panoptic: Panoptic, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(uint8 [3, H, W] RGB, int64 [H/4, W/4])."""
        image, segment_id = self.augmentation(image, panoptic.segment_id, rng)
        segment_id = segment_id[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
        classes = np.full(segment_id.shape, UNLABELLED, np.int64)
        for segment in panoptic.segments:
            classes[segment_id == segment.id] = segment.class_index
        channels_first = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return channels_first, torch.from_numpy(classes)


class PixelClassifier(BaseModel):
    """A backbone whose four maps are added at stride 4 and read off by a small head. All images have one size.

    is_thing: K flags. thing_weight: how much a pixel of a thing counts; things are few pixels and hard to tell.
    """

    def __init__(self, backbone: Any, *, is_thing: Sequence[bool], thing_weight: float, dim: int) -> None:
        super().__init__()
        weights = torch.tensor([thing_weight if flag else 1.0 for flag in is_thing])
        self.register_buffer("class_weights", weights, persistent=False)
        self.backbone = backbone
        self.laterals = nn.ModuleList(nn.Conv2d(width, dim, 1) for width in backbone.channels)
        self.head = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1), nn.BatchNorm2d(dim), nn.ReLU(), nn.Conv2d(dim, len(is_thing), 1)
        )

    def forward(
        self, inputs: Sequence[Tensor], targets: Sequence[Tensor], sample_ids: Sequence[str] = (), mode: str = "loss"
    ) -> dict[str, Tensor]:
        """{"loss_pixel": weighted mean cross entropy over labelled pixels}.

        inputs: uint8 [3, H, W] RGB, all of one size. targets: int64 [H/4, W/4] class indices, `UNLABELLED` for none.
        """
        images = (torch.stack(list(inputs)).float() - 127.5) / 58.0
        maps = self.backbone(images.contiguous(memory_format=torch.channels_last))
        size = maps[0].shape[-2:]
        merged = sum(
            F.interpolate(lateral(level), size=size, mode="bilinear")
            for lateral, level in zip(self.laterals, maps, strict=True)
        )
        wanted = torch.stack(list(targets)).to(images.device)
        logits = self.head(merged).float()
        return {"loss_pixel": F.cross_entropy(logits, wanted, self.class_weights, ignore_index=UNLABELLED)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderWarmUp:
    """trainer: with a `PixelRecipe`. thing_weight: of a thing's pixel in the loss. dim: width of the head."""

    trainer: Trainer
    thing_weight: float = 4.0
    dim: int = 96

    def fit(
        self,
        backbone: Any,
        sources: Sequence[AnnotatedSource],
        *,
        is_thing: Sequence[bool],
        work_dir: Path,
        seed: int,
        report: Report,
    ) -> None:
        """Train the backbone in place, or continue from `work_dir`."""
        classifier = PixelClassifier(backbone, is_thing=is_thing, thing_weight=self.thing_weight, dim=self.dim)
        weights = self.trainer.fit(classifier, sources, work_dir=work_dir, seed=seed, report=report)
        classifier.load_state_dict(weights)
