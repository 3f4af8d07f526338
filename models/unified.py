"""The unified system: one model and one set of weights for every task, whatever is prompted.

```text
class names | an expression | a shown target          task sentence
        \\            |            /                        |
      ConceptEncoder: prompt tokens, concepts          task token
                      |                                     |
image -> backbone -> early fusion -> pixel decoder -> task-conditioned queries -> masked-attention decoder
                      |                                                              |
                  concepts, having seen the image -----> retrieval  mask  box  quality  identity
```

Two papers meet in it. From OneFormer (arXiv 2211.06220): the task sentence becomes a token that initialises all
queries, masks come from masked attention over an encoded pyramid, training draws a task an image from one annotation,
and a contrastive loss ties the initial queries to texts about the image. From UNINEXT (arXiv 2303.06674): names,
expressions and reference annotations are prompts of one model, prompt and image look at each other before anything is
encoded, and objects are retrieved by comparing queries with the prompt instead of a closed class head; boxes, their
quality and identity embeddings are read off the same queries.

What is our own, and why. Retrieval is a softmax over the prompt's concepts *and nothing*: a semantic or panoptic answer
needs classes that compete for a pixel, which independent sigmoids do not give, and an expression without a target is
answered with nothing by the same rule that drops an empty query. Names are one token each and independent of their
order, so a vocabulary of any length is one prompt and changing it changes nothing else. A shown target is looked at by
the image's own backbone and marked by where it lies in its crop; a copy of the backbone with a fourth channel, as
UNINEXT has it, doubles the weights. Queries are matched one to one, so nothing has to be suppressed afterwards.

How tasks are answered: semantic, instance and panoptic as OneFormer does, with concepts for classes; referring by the
union of the queries that mean the expression; a shown target by the best query of each frame; tracking and video
instances by association of the identity embeddings. Shapes: B batch, N queries, K concepts, D width, H W input size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from models.attention import Mlp
from models.concepts import Ask, ConceptEncoder, ConceptTokens
from models.fusion import EarlyFusion
from models.heads import IouHead
from models.mask_positions import mask_boxes
from models.object_proposals import inverse_sigmoid
from models.pixel_decoder import PixelDecoder, PixelFeatures
from models.query_decoder import QueryDecoder, QueryPredictions
from models.task_segmentation import PIXEL_MEAN, PIXEL_STD


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the queries of a batch found.

    queries: classes (over the concepts, nothing last) and masks of every prediction. boxes: of the last prediction,
    cxcywh in 0..1 of the padded input, [B, N, 4]. quality: logits of the masks' IoU, [B, N]. identity: [B, N, D], unit
    vectors times the learnt scale's root. features, concepts: what the queries looked at. padded: (H, W).
    """

    queries: QueryPredictions
    boxes: Tensor
    quality: Tensor
    identity: Tensor
    features: PixelFeatures
    prompt: ConceptTokens
    padded: tuple[int, int]


class UnifiedSegmenter(BaseModel):
    """The composition. Components arrive finished.

    fusion: None leaves image and prompt alone until they are compared. uses_prompt_in_queries: the initial queries also
    know the prompt's mean, not only the task. criterion: for training only. stride: images are padded to a multiple.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        concept_encoder: ConceptEncoder,
        fusion: EarlyFusion | None,
        pixel_decoder: PixelDecoder,
        query_decoder: QueryDecoder,
        dim: int,
        identity_dim: int,
        criterion: nn.Module | None = None,
        uses_prompt_in_queries: bool = True,
        stride: int = 32,
    ) -> None:
        super().__init__()
        self.backbone, self.concept_encoder, self.fusion = backbone, concept_encoder, fusion
        self.pixel_decoder, self.query_decoder = pixel_decoder, query_decoder
        self.prompt_projection = nn.Linear(dim, dim) if uses_prompt_in_queries else None
        self.box_head = Mlp(dim, hidden_dim=dim, out_dim=4, num_layers=3)
        self.quality_head = IouHead(dim)
        self.identity_head = Mlp(dim, hidden_dim=dim, out_dim=identity_dim, num_layers=2)
        # Boxes start as those of the masks.
        for parameter in self.box_head.layers[-1].parameters():
            nn.init.zeros_(parameter)
        self.identity_scale = nn.Parameter(torch.tensor(10.0))
        self.criterion, self.stride = criterion, stride
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN)[:, None, None], persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD)[:, None, None], persistent=False)

    def forward(
        self,
        inputs: Sequence[Any],
        targets: Sequence[Any] | None = None,
        mode: str = "tensor",
        sample_ids: Sequence[str] = (),
    ) -> Any:
        """What `mode` names: "loss", a dict of weighted terms; "tensor", `Found`.

        inputs: examples of one or two shots (see `models.shots`), each a picture with its question.
        """
        shots = [shot for example in inputs for shot in example]
        found = self.find([shot.image for shot in shots], [shot.ask for shot in shots])
        if mode == "tensor":
            return found
        if mode != "loss":
            raise ValueError(f"unknown mode {mode!r}; known: loss, tensor")
        if self.criterion is None:
            raise ValueError("the model was built without a criterion")
        return self.criterion(found, inputs, self.concept_encoder.summarise)

    def find(self, images: Sequence[Tensor], asks: Sequence[Ask]) -> Found:
        """The figure. images: uint8 or float [3, h, w] RGB 0..255 each."""
        pixels = self.batch(images)
        return self.decode(self.backbone(pixels), *self.ask(asks), (pixels.shape[2], pixels.shape[3]))

    def ask(self, asks: Sequence[Ask]) -> tuple[ConceptTokens, Tensor]:
        """The prompts of a batch and its task tokens [B, D]."""
        return self.concept_encoder(asks, self.look), self.concept_encoder.task_tokens(asks)

    def decode(self, maps: Sequence[Tensor], prompt: ConceptTokens, task: Tensor, padded: tuple[int, int]) -> Found:
        """The figure from the backbone's maps on; a frame's maps serve all its questions.

        maps: [B, C, h, w] each. task: task tokens [B, D]. padded: (height, width) of the network's input.
        """
        features, prompt = self.fuse(maps, prompt)
        if self.prompt_projection is not None:
            task = task + self.prompt_projection(prompt.summary)
        queries = self.query_decoder(features, task, (prompt.concepts, prompt.known))
        directions = F.normalize(self.identity_head(queries.states), dim=-1)
        return Found(
            queries=queries,
            boxes=self._boxes(queries),
            quality=self.quality_head(queries.states)[..., 0],
            identity=directions * self.identity_scale.clamp(min=1.0).sqrt(),
            features=features,
            prompt=prompt,
            padded=padded,
        )

    def _boxes(self, queries: QueryPredictions) -> Tensor:
        """Boxes of the last masks, refined by what the queries know, [B, N, 4]."""
        first = inverse_sigmoid(mask_boxes(queries.mask_logits[-1]))
        return (first + self.box_head(queries.states)).sigmoid()

    def look(self, pictures: Tensor) -> Tensor:
        """Features [T, D, C / 8, C / 8] of shown targets: the projected maps at strides 8 and 16, before any prompt.

        pictures: normalised [T, 3, C, C].
        """
        _, fine, middle, _ = self.backbone(pictures)
        fine, middle = self.pixel_decoder.project([fine, middle])
        return fine + F.interpolate(middle, size=fine.shape[-2:], mode="bilinear", align_corners=False)

    def fuse(self, maps: Sequence[Tensor], prompt: ConceptTokens) -> tuple[PixelFeatures, ConceptTokens]:
        """Pixel features and prompt, each with the other's share where there is a fusion. maps: [B, C, h, w] each."""
        fused = prompt

        def meet(tokens: Tensor) -> Tensor:
            nonlocal fused
            if self.fusion is None:
                return tokens
            visual, met = self.fusion(tokens, prompt)
            fused = prompt.with_tokens(met.tokens)
            return visual

        return self.pixel_decoder(maps, meet), fused

    def normalise(self, image: Tensor) -> Tensor:
        """float32 [3, h, w]. image: uint8 or float [3, h, w] RGB 0..255."""
        return (image.to(self.pixel_mean.device).float() - self.pixel_mean) / self.pixel_std

    def batch(self, images: Sequence[Tensor]) -> Tensor:
        """Normalised images [B, 3, H, W], zero-padded right and bottom to a multiple of the stride."""
        height, width = (-(-max(image.shape[axis] for image in images) // self.stride) * self.stride for axis in (1, 2))
        normalised = [self.normalise(image) for image in images]
        return torch.stack([F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x in normalised])
