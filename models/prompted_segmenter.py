"""`PromptedSegmenter`: any detector answers any prompted task, image or video, one frame in memory at a time.

The prompt decides what is asked (class names, an expression, a shown object), the task how the answers are read. Frames
are read when their turn comes. No data set is known here; what a benchmark wants otherwise is a row of settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Prediction, Sample, Task
from benchmark.problems import UsageError
from models.augmentation import resize_image, short_side_size
from models.frame_objects import Asked, Detector, Seen, Shown
from models.frame_steps import EachFrame, FrameAt, FrameStep, MergedExpressions, Vocabulary
from models.target_steps import FollowedBox, FollowedMasks
from models.task_settings import InferenceRules, TaskSettings
from models.task_tokens import TASK_SENTENCES
from models.track_steps import TrackedBoxes, TrackedMasks
from models.tracking import BoxTracker, MaskTracker

Pixels = NDArray[np.uint8]
Frame = Pixels | Callable[[], Pixels]
"""uint8 [H, W, 3] RGB, or a function that reads it."""


class PromptedSegmenter(Generic[Seen, Asked, Shown]):
    """Detection, instances, referring, grounding, SOT, VOS, MOT, MOTS, VIS and R-VOS by prompts."""

    def __init__(self, detector: Detector[Seen, Asked, Shown], *, rules: InferenceRules | None = None) -> None:
        self.detector, self.rules = detector, rules or InferenceRules()

    def predict(self, frames: Sequence[Frame], sample: Sample) -> Prediction:
        """The answer to a sample, at the original size.

        frames: one for each of the sample's, in order. Raises UsageError for a prompt that lacks what its task needs.
        """
        if len(frames) != len(sample.frames):
            raise ValueError(f"{sample.sample_id}: {len(frames)} frames were given, it has {len(sample.frames)}")
        settings = self._settings(sample)
        step = self._step(sample, settings)
        for index, frame in enumerate(frames):
            step.see(self._look(frame() if callable(frame) else frame, index, settings))
        return step.prediction()

    def _settings(self, sample: Sample) -> TaskSettings:
        task = sample.prompt.task
        if task not in self.rules.tasks:
            known = ", ".join(one.value for one in self.rules.tasks)
            raise UsageError(f"{sample.sample_id}: the task {task.value} is not answered from prompts. Known: {known}")
        return self.rules.tasks[task]

    def _look(self, pixels: Pixels, index: int, settings: TaskSettings) -> FrameAt[Seen]:
        """The frame at its test size. pixels: uint8 [H, W, 3]."""
        size = seen_size = (pixels.shape[0], pixels.shape[1])
        if settings.short_side is not None:
            seen_size = short_side_size(*size, settings.short_side, settings.long_cap)
        seen = self.detector.look(resize_image(pixels, seen_size))
        return FrameAt(index=index, seen=seen, size=size, seen_size=seen_size)

    def _step(self, sample: Sample, settings: TaskSettings) -> FrameStep[Seen]:
        """What to do with the frames; the question is asked once."""
        prompt = sample.prompt
        match prompt.task:
            case Task.SOT | Task.VOS:
                return self._follow(sample, settings)
            case Task.RVOS if prompt.labels:
                questions = [self._expression(one, prompt.task) for one in prompt.labels]
                return MergedExpressions(self.detector, questions=questions, settings=settings)
            case Task.RVOS | Task.REFERRING | Task.GROUNDING:
                if not prompt.sentence:
                    raise UsageError(f"{sample.sample_id}: the prompt has no expression. Give a sentence to look for")
                question = self._expression(prompt.sentence, prompt.task)
                is_one = prompt.task is Task.RVOS
                return EachFrame(self.detector, question=question, settings=settings, is_one=is_one)
        return self._name(sample, settings)

    def _expression(self, expression: str, task: Task) -> Asked:
        return self.detector.ask_expression(expression, sentence=TASK_SENTENCES[task])

    def _name(self, sample: Sample, settings: TaskSettings) -> FrameStep[Seen]:
        """Tasks that are asked by class names."""
        prompt, rules = sample.prompt, self.rules
        vocabulary = Vocabulary.of(prompt.labels or ())
        if not vocabulary.names:
            raise UsageError(f"{sample.sample_id}: the prompt has no class names. Give the classes to look for")
        sentence = prompt.sentence or TASK_SENTENCES[prompt.task]
        question = self.detector.ask_categories(vocabulary.names, sentence=sentence)
        if prompt.task is Task.VIS:
            return TrackedMasks(
                self.detector,
                vocabulary=vocabulary,
                question=question,
                settings=settings,
                tracker=MaskTracker(rules.mask_tracker),
                rules=rules.clips,
            )
        if prompt.task in (Task.MOT, Task.MOTS):
            tracker = BoxTracker(rules.box_tracker)
            return TrackedBoxes(
                self.detector, vocabulary=vocabulary, question=question, settings=settings, tracker=tracker
            )
        return EachFrame(self.detector, question=question, settings=settings, vocabulary=vocabulary)

    def _follow(self, sample: Sample, settings: TaskSettings) -> FrameStep[Seen]:
        """Tasks that are asked by objects in frames."""
        given, task = sample.prompt.objects, sample.prompt.task
        if not given:
            raise UsageError(
                f"{sample.sample_id}: the prompt shows no object to follow. Give its box or mask in a frame"
            )
        sentence = TASK_SENTENCES[task]
        if task is Task.SOT:
            return FollowedBox(self.detector, given=given, settings=settings, rules=self.rules.sot, sentence=sentence)
        return FollowedMasks(self.detector, given=given, settings=settings, rules=self.rules.vos, sentence=sentence)
