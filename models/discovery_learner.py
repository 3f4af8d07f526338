"""UNINEXT as something that can be trained: clips in, weighted loss terms out, and the trainer of its stages.

Follows MasterBin-IIAU/UNINEXT at 5ab0386: AdamW, one flat factor for encoders and for sampling offsets, a rate of its
own for the text encoder, weight decay on every parameter, and a gradient, if only zero, for every trained parameter in
every iteration. Shapes: B batch, G objects, H W the padded input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from models.box_supervision import colour_similarity, filled_boxes, removed_rows
from models.discovery import ObjectDiscovery
from models.discovery_training import DiscoveryCriterion, Supervised
from models.identity_loss import FramePair
from models.lesson_examples import LessonExamples
from models.lessons import Clip, LessonFrame
from models.object_answers import to_corners
from models.object_matching import ObjectTargets
from models.prompt_tokens import PromptKind, PromptTokens
from models.stage_start import load_start
from models.text_prompts import TextPrompt
from models.training import Trainer
from models.training_hooks import Report
from models.visual_prompt import Template

NETWORK = "network."
SLOW_PARTS = ("backbone", "sampling_offsets")
"""Parts of names of parameters that learn at the encoder's factor."""


class DiscoveryLearner(BaseModel):
    """The network with its losses."""

    def __init__(self, network: ObjectDiscovery, *, criterion: DiscoveryCriterion) -> None:
        super().__init__()
        self.network, self.criterion = network, criterion

    def forward(
        self,
        inputs: Sequence[tuple[Clip, ...]],
        targets: Sequence[Any] | None = None,
        mode: str = "loss",
        sample_ids: Sequence[str] = (),
    ) -> dict[str, Tensor]:
        """Weighted terms of a batch, a scalar each. inputs: clips of one lesson."""
        if mode != "loss":
            raise ValueError(f"unknown mode {mode!r}; known: loss")
        clips = [clip for example in inputs for clip in example]
        kinds = {clip.lesson.kind for clip in clips}
        if len(kinds) != 1:
            raise ValueError(f"a batch has one kind of prompt, not {sorted(kinds)}")
        kind, keys = clips[0].lesson.kind, [clip.key for clip in clips]
        wanted = self._targets(keys, clips[0].lesson.uses_box_colours)
        done = self.criterion(self.network, [frame.image for frame in keys], self.ask(keys, kind), wanted)
        losses = done.losses | self._identities(clips, done, kind)
        # Whatever a batch does not use still gets a gradient, which weight decay and several processes rely on.
        unused = sum((parameter.sum() for parameter in self.parameters() if parameter.requires_grad), torch.zeros(()))
        return self.criterion.weighted(losses) | {"loss_unused": 0 * unused}

    def ask(self, frames: Sequence[LessonFrame], kind: PromptKind) -> PromptTokens:
        """The prompts of a batch of frames."""
        shown = [frame.prompt for frame in frames if isinstance(frame.prompt, Template)]
        device = self.network.pixel_mean.device
        if shown:
            if self.network.template_encoder is None:
                raise ValueError("targets are shown to a model that was built without a template encoder")
            images = torch.stack([template.image for template in shown]).to(device)
            valid = torch.stack([template.valid for template in shown]).to(device)
            return self.network.template_encoder(images, valid, level_projection=self.network.level_projection)
        said = [frame.prompt for frame in frames if isinstance(frame.prompt, TextPrompt)]
        ids, valid = (
            torch.stack([torch.from_numpy(rows) for rows in parts]).to(device)
            for parts in zip(*[(prompt.token_ids, prompt.valid) for prompt in said], strict=True)
        )
        return self.network.ask_text(ids, valid, kind)

    def _identities(self, clips: Sequence[Clip], done: Supervised, kind: PromptKind) -> dict[str, Tensor]:
        """Terms of clips with a second frame; none for a model without identities."""
        references = [clip.reference for clip in clips if clip.reference is not None]
        if not references or self.network.identity_head is None:
            return {}
        network, device = self.network, self.network.pixel_mean.device
        encoded = network.encode(*network.batch([frame.image for frame in references]))
        later = network.discover(encoded, self.ask(references, kind))
        anchors, embeddings, logits = network.identify(done.found), network.identify(later), network.retrieve(later)
        pairs = []
        for index, (clip, target) in enumerate(zip(clips, self._targets(references, False), strict=True)):
            present = clip.is_present.to(device)
            cheapest = done.matches[-1][index].cheapest[present]
            pairs.append(
                FramePair(
                    anchors=anchors[index][cheapest],
                    embeddings=embeddings[index],
                    logits=logits[index],
                    boxes=later.decoded.boxes[-1][index],
                    # Objects that are not there take part in the authors' matching, with empty boxes; not in ours.
                    targets=ObjectTargets(boxes=target.boxes[present], positives=target.positives[present]),
                    is_present=torch.ones(len(cheapest), dtype=torch.bool, device=device),
                )
            )
        return dict(self.criterion.identity_loss(pairs))

    def _targets(self, frames: Sequence[LessonFrame], uses_box_colours: bool) -> list[ObjectTargets]:
        size = self.network.padded_size([frame.image for frame in frames])
        return [_targets(frame, size, uses_box_colours, self.network.pixel_mean.device) for frame in frames]


def _targets(frame: LessonFrame, size: tuple[int, int], uses_box_colours: bool, device: torch.device) -> ObjectTargets:
    """The objects of a frame, masks padded to the network's input. size: (H, W)."""
    height, width = frame.image.shape[1:]
    padding = (0, size[1] - width, 0, size[0] - height)
    masks, similarity = frame.masks, None
    if uses_box_colours:
        corners = to_corners(frame.boxes) * torch.tensor([width, height, width, height])
        masks = filled_boxes(corners, size)
        shown = F.pad(torch.ones(height, width, dtype=torch.bool), padding)
        rows = removed_rows(height, frame.original_height)
        similarity = colour_similarity(F.pad(frame.image, padding).to(device), shown.to(device), removed_rows=rows)
    elif masks is not None:
        masks = F.pad(masks, padding)
    return ObjectTargets(
        boxes=frame.boxes.to(device),
        positives=frame.positives.to(device),
        masks=None if masks is None else masks.to(device),
        similarity=similarity,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryTrainer(Trainer):
    """Numbers of one stage.

    criterion: the losses. frozen: beginnings of names of what does not learn. text_rate: learning rate of the text
    encoder. start_from: weights of the stage before, of any known layout, or None. stride: pictures are padded to it.
    """

    criterion: DiscoveryCriterion = field(default_factory=DiscoveryCriterion)
    frozen: Sequence[str] = ()
    text_rate: float = 1e-5
    start_from: str | None = None
    stride: int = 32

    def fit(
        self, model: nn.Module, sources: Sequence[Any], *, work_dir: Path, seed: int, report: Report
    ) -> dict[str, Tensor]:
        """Train, or continue from `work_dir`; returns the network's final weights."""
        if not isinstance(model, ObjectDiscovery):
            raise TypeError(f"lessons are for object discovery, not {type(model).__name__}")
        if self.start_from is not None:
            load_start(model, Path(self.start_from))
        model.stride = self.stride
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith(tuple(self.frozen)))
        learner = DiscoveryLearner(model, criterion=self.criterion)
        weights = Trainer.fit(self, learner, sources, work_dir=work_dir, seed=seed, report=report)
        return {name.removeprefix(NETWORK): one for name, one in weights.items() if name.startswith(NETWORK)}

    def examples_of(self, sources: Sequence[Any], seed: int) -> Dataset[dict[str, Any]]:
        """The examples of the whole run."""
        length = self.iterations * self.batch_size
        return LessonExamples(sources, recipe=self.recipe, seed=seed, length=length, batch_size=self.batch_size)

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Optimiser groups; everything is decayed."""
        return learning_groups(model, self.learning_rate, self.backbone_factor, self.text_rate, self.weight_decay)


def learning_groups(
    model: nn.Module, learning_rate: float, slow_factor: float, text_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Optimiser groups of what learns, by rate; everything is decayed. Encoders and sampling offsets are slow."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = learning_rate
        if any(part in name for part in SLOW_PARTS):
            rate = learning_rate * slow_factor
        elif "text_encoder" in name:
            rate = text_rate
        groups.setdefault(rate, []).append(parameter)
    return [{"params": some, "lr": rate, "weight_decay": weight_decay} for rate, some in groups.items()]
