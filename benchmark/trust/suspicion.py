"""What a diagnosis is, and the small part of a scored set on which it is made.

A suspicious score is read again under another reading of the same predictions (boxes as corners, classes renamed ...).
A reading is learnt on one half of the looked-at samples and judged on the other, so that it cannot fit noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark.box_tracks import BoxTrack
from benchmark.contract import Annotation, Frames, Instances, Metric, Prediction, Sample, summarise
from benchmark.labels import LabelSet
from benchmark.problems import BenchmarkError
from benchmark.wording import agreeing

MOST_FRAMES = 10
"""Frames of a video that are looked at."""
MOST_OBJECTS = 30
"""Predicted objects of an image that are looked at, the best of them."""
Pair = tuple[Sample, Prediction]
Change = Callable[[Sample, Prediction], Prediction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """name: a word for programs. cause: what probably happened. remedy: what to do. evidence: the number behind it."""

    name: str
    cause: str
    remedy: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.name}: {self.cause} ({agreeing(self.evidence)}). {self.remedy}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Some scored samples. score_name: the headline. fitting, judged: two halves of the samples, or twice the same."""

    metric: Metric
    score_name: str
    labels: LabelSet
    fitting: tuple[Pair, ...]
    judged: tuple[Pair, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All samples that are looked at, each once."""
        return self.judged if self.fitting == self.judged else (*self.fitting, *self.judged)

    def value(self, change: Change | None = None) -> float:
        """The headline of the judged samples, of changed predictions if any; NaN where these cannot be scored."""
        try:
            pairs = [(sample, answer if change is None else change(sample, answer)) for sample, answer in self.judged]
            scores = summarise(self.metric, [self.metric.measure(*pair) for pair in pairs])
        except BenchmarkError:
            return math.nan
        known = [value for value in scores.values.values() if not math.isnan(value)]
        value = scores.values.get(self.score_name, math.nan)
        return value if not math.isnan(value) or not known else known[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Another way of reading predictions. phrase: completes "with ...". learn: None where it does not apply."""

    name: str
    cause: str
    remedy: str
    phrase: str
    learn: Callable[[Case], Change | None]


def first_frames(case: Case) -> list[Annotation]:
    """The first frame of every answer that has one."""
    return [answer.frames[0] for _, answer in case.pairs if len(answer.frames)]


def ceiling(case: Case) -> float:
    """What the truth itself scores as single tracks of boxes, less than 1 where objects are absent; 1 for all else."""
    if not all(sample.truth is not None and isinstance(sample.truth.frames, BoxTrack) for sample, _ in case.judged):
        return 1.0
    value = case.value(_truth_instead)
    return 1.0 if math.isnan(value) else value


def _truth_instead(sample: Sample, answer: Prediction) -> Prediction:
    return answer if sample.truth is None else replace(answer, frames=sample.truth.frames)


def is_gain(now: float, otherwise: float, best: float = 1.0) -> bool:
    """Whether another reading is so much better that the predictions are surely meant that way.

    It must gain a tenth, and be three times as good or take away two fifths of what is missing. best: a perfect score.
    """
    if math.isnan(now) or math.isnan(otherwise):
        return False
    gain = otherwise - now
    return gain >= 0.1 and (otherwise >= 3 * max(now, 0.02) or gain >= 0.4 * (best - now))


def cut(sample: Sample, prediction: Prediction) -> Pair:
    """The first frames of a video and the best objects of an image; boxes of single objects as they are."""
    if isinstance(prediction.frames, BoxTrack) or sample.truth is None or isinstance(sample.truth.frames, BoxTrack):
        return sample, prediction
    num = len(sample.truth.frames)
    if num == 1:
        return sample, replace(prediction, frames=tuple(_best(frame) for frame in prediction.frames))
    if num <= MOST_FRAMES or len(prediction.frames) != num:
        return sample, prediction
    truth = sample.truth
    shorter = replace(
        truth,
        frames=_head(truth.frames),
        ignored=None if truth.ignored is None else [truth.ignored[index] for index in range(MOST_FRAMES)],
        absent=None if truth.absent is None else truth.absent[:MOST_FRAMES],
    )
    paths = tuple(sample.frames[index] for index in range(min(MOST_FRAMES, len(sample.frames))))
    return replace(sample, frames=paths, truth=shorter), replace(prediction, frames=_head(prediction.frames))


def each_frame(prediction: Prediction, change: Callable[[Annotation], Annotation]) -> Prediction:
    """The prediction with every frame changed."""
    return replace(prediction, frames=tuple(change(frame) for frame in prediction.frames))


def take(found: Instances, rows: Sequence[int] | NDArray[np.int64]) -> Instances:
    """The chosen objects. rows: int [M]."""
    kept = np.asarray(rows, np.int64)
    names = ("boxes", "area", "class_index", "score", "object_id", "is_crowd")
    chosen = {name: getattr(found, name)[kept] for name in names}
    return replace(found, masks=None if found.masks is None else tuple(found.masks[row] for row in kept), **chosen)


def _head(frames: Sequence[Annotation]) -> Frames:
    return Frames(MOST_FRAMES, lambda index: frames[index])


def _best(frame: Annotation) -> Annotation:
    if not isinstance(frame, Instances) or len(frame) <= MOST_OBJECTS:
        return frame
    return take(frame, np.sort(np.argsort(-frame.score, kind="stable")[:MOST_OBJECTS]))
