"""Answering frame by frame: what every task does with a frame, and the tasks for which frames are all there is.

A `FrameStep` is given one frame after the other and asked for the prediction at the end; only what belongs to the
answer stays. The tasks that follow objects through time are in `track_steps` and `target_steps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.contract import Instances, Prediction
from models.frame_answers import enlarged, instances, layers_of, merged_label
from models.frame_objects import Asked, Detector, Seen, Shown
from models.object_answers import Selected, select, soft_masks
from models.task_settings import TaskSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAt(Generic[Seen]):
    """A frame of a video. index: from 0. seen: the detector's. size, seen_size: (height, width), originally and as the
    detector saw it."""

    index: int
    seen: Seen
    size: tuple[int, int]
    seen_size: tuple[int, int]


class FrameStep(Protocol[Seen]):
    """What is done with the frames of one sample, in order."""

    def see(self, frame: FrameAt[Seen]) -> None:
        """Take in a frame."""
        ...

    def prediction(self) -> Prediction:
        """The answer to all frames that were seen."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """class_index: of the classes that were asked for, int64 [K]; names without a letter are not asked for."""

    names: tuple[str, ...]
    class_index: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Sequence[str]) -> Vocabulary:
        """The classes of a prompt."""
        rows = [row for row, name in enumerate(labels) if name.strip()]
        return cls(names=tuple(labels[row] for row in rows), class_index=np.array(rows, np.int64))

    def classes_of(self, chosen: Selected) -> NDArray[np.int64]:
        """class_index of the answers, int64 [M]."""
        return self.class_index[chosen.class_index.cpu().numpy()]


class EachFrame(Generic[Seen, Asked, Shown]):
    """Every frame for itself: detection, instances, expressions.

    vocabulary: None for an expression. is_one: whatever is found is one object, with id 1.
    """

    def __init__(
        self,
        detector: Detector[Seen, Asked, Shown],
        *,
        question: Asked,
        settings: TaskSettings,
        vocabulary: Vocabulary | None = None,
        is_one: bool = False,
    ) -> None:
        self.detector, self.question, self.settings = detector, question, settings
        self.vocabulary, self.is_one = vocabulary, is_one
        self._frames: list[Instances] = []

    def see(self, frame: FrameAt[Seen]) -> None:
        """Answer a frame."""
        found = self.detector.find(frame.seen, [self.question])[0]
        chosen = select(found, self.settings.selection)
        answer = instances(
            found,
            chosen,
            self.settings,
            size=frame.size,
            class_index=None if self.vocabulary is None else self.vocabulary.classes_of(chosen),
            object_id=np.ones(len(chosen.query), np.int64) if self.is_one else None,
        )
        self._frames.append(answer)

    def prediction(self) -> Prediction:
        """One annotation a frame; whether an expression has no target is said only if the rules allow it."""
        is_said = self.vocabulary is None and not self.settings.selection.keeps_best
        is_empty = not any(len(frame) for frame in self._frames)
        return Prediction(frames=tuple(self._frames), is_no_target=is_empty if is_said else None)


class MergedExpressions(Generic[Seen, Asked, Shown]):
    """Several expressions of one video, each an object; a pixel belongs to one of them at most."""

    def __init__(
        self, detector: Detector[Seen, Asked, Shown], *, questions: Sequence[Asked], settings: TaskSettings
    ) -> None:
        self.detector, self.questions, self.settings = detector, tuple(questions), settings
        self._frames: list[Instances] = []

    def see(self, frame: FrameAt[Seen]) -> None:
        """Answer a frame."""
        soft, score = [], []
        for found in self.detector.find(frame.seen, self.questions):
            chosen = select(found, self.settings.selection)
            drawn = enlarged(soft_masks(found.draw(chosen.query), found), frame.size)
            # Of an expression that means several queries, or none, the union counts.
            soft.append(drawn.amax(0) if len(drawn) else drawn.new_zeros(frame.size))
            score.append(float(chosen.score.max()) if len(drawn) else 0.0)
        self._frames.append(layers_of(merged_label(torch.stack(soft)), range(1, len(soft) + 1), score))

    def prediction(self) -> Prediction:
        """One annotation a frame, objects numbered from 1 in the order of the expressions."""
        return Prediction(frames=tuple(self._frames))
