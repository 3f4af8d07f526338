"""`UniversalSegmenter`: one model, one set of weights, any of the three segmentation tasks by a sentence.

The composition of OneFormer (arXiv 2211.06220): encode the image, ask with the task token, decode queries, select the
task's answer. It knows class names and thing flags, no data set. Shapes: B batch, N queries, K classes, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.contract import Annotation, LabelMap, Prediction, Sample, Task
from models.augmentation import resize_image, short_side_size
from models.losses import SetCriterion
from models.pixel_decoder import PixelDecoder, PixelFeatures
from models.pixel_supervision import PixelSupervision
from models.postprocess import AnswerRules, answer, label_map, semantic_scores, to_original_size
from models.query_decoder import QueryDecoder, QueryPredictions
from models.recent import RecentResults, fingerprint
from models.targets import Target
from models.task_tokens import TASK_SENTENCES, TaskEncoder
from models.text_encoders import TextMapper
from models.tokenizers import Tokenizer
from models.tta import ScalesAndFlips

PIXEL_MEAN, PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of one image.

    image: uint8 or float [3, h, w] RGB 0..255. size: (height, width) of the answer. sentence: conditions the model.
    task: kind of answer.
    """

    image: Tensor
    size: tuple[int, int]
    sentence: str
    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSize:
    """The image's short side at inference, unless the long one would exceed `long_cap`; pixels."""

    short_side: int
    long_cap: int


class UniversalSegmenter(BaseModel):
    """OneFormer. Components arrive finished.

    class_names, is_thing: K each. text_mapper, criterion, pixel_supervision: for training only. test_size: None leaves
    images as they are. tta: for semantic answers, or None. recent: what `predict` found of the last pictures, or None.
    stride: images are padded to a multiple of it.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        pixel_decoder: PixelDecoder,
        task_encoder: TaskEncoder,
        query_decoder: QueryDecoder,
        tokenizer: Tokenizer,
        class_names: Sequence[str],
        is_thing: Sequence[bool],
        text_mapper: TextMapper | None = None,
        criterion: SetCriterion | None = None,
        pixel_supervision: PixelSupervision | None = None,
        rules: AnswerRules | None = None,
        test_size: TestSize | None = None,
        tta: ScalesAndFlips | None = None,
        recent: RecentResults | None = None,
        stride: int = 32,
    ) -> None:
        super().__init__()
        if not len(class_names) == len(is_thing) == query_decoder.num_classes:
            raise ValueError(
                f"{len(class_names)} class names and {len(is_thing)} thing flags for a decoder of "
                f"{query_decoder.num_classes} classes"
            )
        self.backbone, self.pixel_decoder = backbone, pixel_decoder
        self.task_encoder, self.query_decoder = task_encoder, query_decoder
        self.text_mapper, self.criterion, self.pixel_supervision = text_mapper, criterion, pixel_supervision
        self.tokenizer, self.stride, self.test_size, self.tta = tokenizer, stride, test_size, tta
        self.class_names, self.is_thing = tuple(class_names), tuple(is_thing)
        self.rules = rules or AnswerRules()
        self.recent = recent
        self.register_load_state_dict_post_hook(_forget)
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN)[:, None, None], persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD)[:, None, None], persistent=False)

    def forward(
        self,
        inputs: Sequence[Tensor] | Sequence[Request],
        targets: Sequence[Target] | None = None,
        mode: str = "tensor",
        sample_ids: Sequence[str] = (),
    ) -> Any:
        """What `mode` names.

        "loss": dict of weighted loss terms; inputs: images, uint8 or float [3, h, w] RGB 0..255; targets: one each.
        "predict": list of Predictions; inputs: Requests. "tensor": QueryPredictions; inputs: Requests.
        """
        if mode == "loss":
            if targets is None:
                raise ValueError("training needs targets")
            return self.loss(inputs, targets)  # type: ignore[arg-type]
        if mode == "predict":
            return self.answer(inputs)  # type: ignore[arg-type]
        if mode == "tensor":
            images = [request.image for request in inputs]  # type: ignore[union-attr]
            return self.segment(images, [request.sentence for request in inputs])  # type: ignore[union-attr]
        raise ValueError(f"unknown mode {mode!r}; known: loss, predict, tensor")

    def segment(self, images: Sequence[Tensor], sentences: Sequence[str]) -> QueryPredictions:
        """The figure: image to features, sentence to task token, both to queries. images: [3, h, w] RGB 0..255 each."""
        features = self.encode(self.batch(images))
        return self.decode(features, self.ask(sentences))

    def encode(self, images: Tensor) -> PixelFeatures:
        """Backbone and pixel decoder. images: normalised [B, 3, H, W]."""
        return self.pixel_decoder(self.backbone(images))

    def ask(self, sentences: Sequence[str]) -> Tensor:
        """Task tokens [B, D]."""
        token_ids = np.stack([self.tokenizer(sentence) for sentence in sentences])
        return self.task_encoder(torch.from_numpy(token_ids).to(self.pixel_mean.device))

    def decode(self, features: PixelFeatures, task: Tensor) -> QueryPredictions:
        """Queries, task-initialised and refined, with all their predictions. task: task tokens [B, D]."""
        return self.query_decoder(features, task)

    def batch(self, images: Sequence[Tensor]) -> Tensor:
        """Normalised images [B, 3, H, W], zero-padded right and bottom to the largest size, rounded up to the stride.

        images: uint8 or float [3, h, w] RGB 0..255 each.
        """
        device = self.pixel_mean.device
        normalised = [(image.to(device).float() - self.pixel_mean) / self.pixel_std for image in images]
        height, width = self.padded_size([(image.shape[1], image.shape[2]) for image in images])
        return torch.stack([F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x in normalised])

    def padded_size(self, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """(height, width) of the network input that holds images of these sizes."""
        height, width = (-(-max(size[axis] for size in sizes) // self.stride) * self.stride for axis in (0, 1))
        return height, width

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Weighted loss terms of a training batch. images: uint8 or float [3, h, w] RGB 0..255 each."""
        if self.criterion is None:
            raise ValueError("the model was built without a criterion")
        features = self.encode(self.batch(images))
        predictions = self.decode(features, self.ask([TASK_SENTENCES[target.task] for target in targets]))
        height, width = self.padded_size([(image.shape[1], image.shape[2]) for image in images])
        padded = [target.to(self.pixel_mean.device).padded(height, width) for target in targets]
        text_queries = None
        if self.text_mapper is not None:
            text_queries = self.text_mapper(torch.stack([target.text_ids for target in padded]))
        losses: dict[str, Tensor] = self.criterion(predictions, text_queries, padded)
        if self.pixel_supervision is not None:
            losses |= self.pixel_supervision(features, padded, self.is_thing)
        return losses

    def answer(self, requests: Sequence[Request]) -> list[Prediction]:
        """Predictions at the original sizes."""
        images = [request.image for request in requests]
        found = self.segment(images, [request.sentence for request in requests])
        padded = self.padded_size([(image.shape[1], image.shape[2]) for image in images])
        return [
            Prediction(frames=(self.select(found, index, request, padded),)) for index, request in enumerate(requests)
        ]

    def select(self, found: QueryPredictions, index: int, request: Request, padded: tuple[int, int]) -> Annotation:
        """The answer to one request of a batch, from the last prediction."""
        logits = self._full_size(found, index, request, padded)
        return answer(
            found.class_logits[-1][index].float(), logits, task=request.task, is_thing=self.is_thing, rules=self.rules
        )

    def _full_size(self, found: QueryPredictions, index: int, request: Request, padded: tuple[int, int]) -> Tensor:
        return to_original_size(
            found.mask_logits[-1][index],
            padded=padded,
            cropped=(request.image.shape[1], request.image.shape[2]),
            original=request.size,
        )

    def predict(self, image: NDArray[np.uint8], sample: Sample) -> Prediction:
        """The answer to one sample. image: uint8 [H, W, 3] RGB.

        The prompt's sentence conditions the model; the prompt's task says what is answered.
        """
        original = (image.shape[0], image.shape[1])
        prompt = sample.prompt
        sentence = prompt.sentence or TASK_SENTENCES[prompt.task]
        if self.test_size is not None:
            image = resize_image(image, short_side_size(*original, self.test_size.short_side, self.test_size.long_cap))
        if self.tta is not None and prompt.task is Task.SEMANTIC:
            return Prediction(frames=(self._averaged(image, original, sentence),))
        request = self._request(image, original, sentence, prompt.task)
        padded = self.padded_size([(image.shape[0], image.shape[1])])
        return Prediction(frames=(self.select(self._look(request), 0, request, padded),))

    def train(self, mode: bool = True) -> UniversalSegmenter:
        """Switch between training and inference; what was found with other weights is forgotten."""
        _forget(self)
        super().train(mode)
        return self

    def _look(self, request: Request) -> QueryPredictions:
        """What the queries find; while `recent` holds a picture, it is not encoded again, nor asked the same again."""
        image, sentence, recent = request.image, request.sentence, self.recent
        if recent is None or self.training or torch.is_grad_enabled():
            return self.segment([image], [sentence])
        picture = fingerprint(image)

        def decode() -> QueryPredictions:
            features = recent.get(picture, lambda: self.encode(self.batch([image])))
            found = self.decode(features, self.ask([sentence]))
            return replace(found, class_logits=found.class_logits[-1:], mask_logits=found.mask_logits[-1:])

        return recent.get((picture, sentence), decode)

    @staticmethod
    def _request(image: NDArray[np.uint8], size: tuple[int, int], sentence: str, task: Task) -> Request:
        channels_first = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return Request(image=channels_first, size=size, sentence=sentence, task=task)

    def _averaged(self, image: NDArray[np.uint8], size: tuple[int, int], sentence: str) -> LabelMap:
        def scores_of(resized: NDArray[np.uint8]) -> Tensor:
            request = self._request(resized, size, sentence, Task.SEMANTIC)
            found = self.segment([request.image], [sentence])
            padded = self.padded_size([(resized.shape[0], resized.shape[1])])
            return semantic_scores(found.class_logits[-1][0].float(), self._full_size(found, 0, request, padded))

        if self.tta is None:
            raise ValueError("the model was built without test-time augmentation")
        return label_map(self.tta.average(image, scores_of))


def _forget(model: UniversalSegmenter, *_: object) -> None:
    """Drop what was found with the weights before."""
    if model.recent is not None:
        model.recent.clear()
