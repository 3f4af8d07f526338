"""Answers of the unified model to samples of any task, at their original size.

Pictures with a vocabulary are answered as OneFormer answers them, with the prompt's concepts for classes; everything
else goes frame by frame through `models.prompted_segmenter`. Names without a letter are not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from benchmark.contract import Annotation, LabelMap, Panoptic, Prediction, Prompt, Sample, Task
from models.augmentation import resize_image, short_side_size
from models.concepts import Ask
from models.frame_steps import Vocabulary
from models.object_answers import SelectionRules
from models.postprocess import AnswerRules, answer, to_original_size
from models.prompted_segmenter import Frame, PromptedSegmenter
from models.task_segmentation import TestSize
from models.task_settings import InferenceRules, TaskSettings
from models.unified import UnifiedSegmenter
from models.unified_detector import UnifiedDetector
from models.visual_prompt import TemplateCrop

IMAGE_TASKS = (Task.SEMANTIC, Task.INSTANCE, Task.PANOPTIC)


class UnifiedAnswers:
    """model: in evaluation mode. test_size: of pictures with a vocabulary, None leaves them as they are.

    picture_rules: how their answers are read off. rules: of all other tasks, one row a task.
    """

    def __init__(
        self,
        model: UnifiedSegmenter,
        *,
        crop: TemplateCrop,
        picture_rules: AnswerRules,
        rules: InferenceRules,
        test_size: TestSize | None = None,
    ) -> None:
        self.detector = UnifiedDetector(model, crop=crop)
        self.prompted = PromptedSegmenter(self.detector, rules=rules)
        self.picture_rules, self.test_size = picture_rules, test_size

    def predict(self, frames: Sequence[Frame], sample: Sample) -> Prediction:
        """The answer to a sample. frames: one for each of the sample's, in order."""
        if sample.prompt.task in IMAGE_TASKS:
            return Prediction(frames=tuple(self._picture(frame, sample.prompt) for frame in frames))
        return self.prompted.predict(frames, sample)

    @torch.no_grad()
    def _picture(self, frame: Frame, prompt: Prompt) -> Annotation:
        """Semantic, instance or panoptic answer."""
        image = frame() if callable(frame) else frame
        original = (image.shape[0], image.shape[1])
        if self.test_size is not None:
            image = resize_image(image, short_side_size(*original, self.test_size.short_side, self.test_size.long_cap))
        vocabulary = Vocabulary.of(prompt.labels or ())
        ask = Ask(task=prompt.task, names=vocabulary.names, sentence=prompt.sentence)
        seen = self.detector.look(image)
        found = self.detector.decode(seen, [self.detector.ask(ask)])
        logits = to_original_size(
            found.queries.mask_logits[-1][0], padded=found.padded, cropped=seen.size, original=original
        )
        is_thing = prompt.is_thing or (True,) * len(prompt.labels or ())
        things = [is_thing[index] for index in vocabulary.class_index.tolist()]
        classes = found.queries.class_logits[-1][0].float()
        given = answer(classes, logits, task=prompt.task, is_thing=things, rules=self.picture_rules)
        return _with_classes(given, vocabulary)


def _with_classes(given: Annotation, vocabulary: Vocabulary) -> Annotation:
    """The same answer with class indices of the prompt's whole vocabulary."""
    index = vocabulary.class_index
    if isinstance(given, LabelMap):
        return LabelMap(class_index=index[given.class_index].astype(np.uint16))
    if isinstance(given, Panoptic):
        segments = tuple(replace(one, class_index=int(index[one.class_index])) for one in given.segments)
        return replace(given, segments=segments)
    return replace(given, class_index=index[given.class_index])


def task_rules(*, short_side: int | None, long_cap: int = 1333, least_meant: float = 0.5) -> InferenceRules:
    """Rules of all prompted tasks where queries are matched one to one, so nothing is suppressed.

    short_side, long_cap: pixels of a frame as the model sees it, None: as it is. least_meant: a query means an
    expression above this score; where none does, the answer is nothing.
    """
    best = SelectionRules(nms_iou=None)
    meant = SelectionRules(nms_iou=None, least_score=least_meant, keeps_best=False, top_k=None)
    tracked = SelectionRules(nms_iou=None, least_score=0.1, top_k=None)
    sized = partial(TaskSettings, short_side=short_side, long_cap=long_cap)
    tasks = {
        Task.DETECTION: sized(selection=replace(best, top_k=100), has_masks=False),
        Task.INSTANCE: sized(selection=replace(best, top_k=100)),
        Task.GROUNDING: sized(selection=best, has_masks=False),
        Task.REFERRING: sized(selection=meant),
        Task.VIS: sized(selection=tracked, has_boxes=False),
        Task.MOT: sized(selection=tracked, has_masks=False, clips_boxes=False),
        Task.MOTS: sized(selection=tracked, clips_boxes=False),
        Task.RVOS: sized(selection=meant, has_boxes=False),
        Task.SOT: sized(selection=best, has_masks=False),
        Task.VOS: sized(selection=best, has_boxes=False),
    }
    return InferenceRules(tasks=tasks)
