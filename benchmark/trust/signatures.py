"""Signs of mistakes that need no other reading: nothing anywhere, copies, equal scores, maps of two values.

Each looks at some samples and returns what it found with the count behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.box_tracks import BoxTrack
from benchmark.contract import IGNORE, Annotation, Instances, LabelMap, Panoptic, Prediction, Sample, Truth
from benchmark.trust.suspicion import Case, Change, Diagnosis, each_frame, take

MOST_COPIES = 0.2
LEAST_COPIES = 3
MOST_SHARED = 0.5
LEAST_SAMPLES = 4
LEAST_SCORES = 20
SPARSE = 997
"""Of a map every so many pixels are looked at before all of them."""


def find(case: Case, now: float) -> Iterator[Diagnosis]:
    """Every sign that some samples show. now: the score."""
    if _is_empty(case):
        yield Diagnosis(
            name="predictions_empty",
            cause="no prediction holds an object or a class",
            remedy="Check the score threshold and that the files are those of a finished run",
            evidence=f"none of {len(case.pairs)} samples looked at, though the truth holds some",
        )
        return
    yield from _copies(case)
    yield from _shared(case)
    if now < 0.9:
        yield from _equal_scores(case)
        yield from _two_values(case)


def _is_empty(case: Case) -> bool:
    is_answered = any(_holds(frame) for _, answer in case.pairs for frame in _some(answer.frames))
    has_truth = any(
        _holds(frame) for sample, _ in case.pairs if sample.truth is not None for frame in _some(sample.truth.frames)
    )
    return has_truth and not is_answered


def _some(frames: Any) -> Iterator[Annotation]:
    if isinstance(frames, BoxTrack):
        yield from (frames[index] for index in range(0, len(frames), max(1, len(frames) // 8)))
    else:
        yield from frames


def _holds(frame: Annotation) -> bool:
    if isinstance(frame, Instances):
        return bool(_has_shape(frame).any())
    if isinstance(frame, LabelMap):
        return any(bool((frame.every(step) != IGNORE).any()) for step in (SPARSE, 1))
    return len(frame.segments) > 0


def _has_shape(frame: Instances) -> NDArray[np.bool_]:
    """bool [N]: the mask has pixels, or the box a number other than 0."""
    if frame.masks is not None:
        return np.asarray(masks.areas(frame.masks) > 0)
    return np.asarray(np.nan_to_num(frame.boxes).any(axis=1))


def _copies(case: Case) -> Iterator[Diagnosis]:
    frames = [frame for _, answer in case.pairs if not isinstance(answer.frames, BoxTrack) for frame in answer.frames]
    objects = [frame for frame in frames if isinstance(frame, Instances)]
    num, kept = sum(map(len, objects)), sum(len(_originals(frame)) for frame in objects)
    if num - kept < max(LEAST_COPIES, MOST_COPIES * num):
        return
    change: Change = lambda sample, answer: each_frame(answer, _without_copies)  # noqa: E731 (typed and used once)
    yield Diagnosis(
        name="predictions_duplicated",
        cause="predictions occur more than once",
        remedy="Write every object once; check that results of several processes were not joined twice",
        evidence=f"{num - kept:,} of {num:,} objects are exact copies; without them {case.score_name} would be "
        f"{case.value(change):.3f} instead of {case.value():.3f}",
    )


def _originals(frame: Instances) -> list[int]:
    """Rows of objects that no earlier row equals in class and shape; what has no shape is no copy."""
    shapes = frame.masks if frame.masks is not None else [row.tobytes() for row in frame.boxes]
    first: dict[Any, int] = {}
    columns = zip(frame.class_index.tolist(), shapes, _has_shape(frame).tolist(), strict=True)
    for row, (class_index, shape, has_shape) in enumerate(columns):
        first.setdefault((class_index, shape) if has_shape else row, row)
    return list(first.values())


def _without_copies(frame: Annotation) -> Annotation:
    return take(frame, _originals(frame)) if isinstance(frame, Instances) else frame


def _shared(case: Case) -> Iterator[Diagnosis]:
    """Answers that are equal to another picture's although the truths differ."""
    answers = [_shown(answer) for _, answer in case.pairs]
    truths = [_shown(sample.truth) for sample, _ in case.pairs]
    pictures = [_picture(sample) for sample, _ in case.pairs]
    filled = [index for index, one in enumerate(answers) if one is not None]
    num = sum(
        any(
            answers[one] == answers[other] and truths[one] != truths[other] and pictures[one] != pictures[other]
            for other in filled
        )
        for one in filled
    )
    if len(filled) >= LEAST_SAMPLES and num >= MOST_SHARED * len(filled):
        yield Diagnosis(
            name="samples_duplicated",
            cause="different samples have the same prediction",
            remedy="Check that every sample is predicted from its own picture and written under its own id",
            evidence=f"{num} of {len(filled)} predictions equal another sample's, whose truth differs",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """What frames show: all of it, and a little of it, which tells most of them apart."""

    frames: tuple[Annotation, ...]
    few: tuple[bytes, ...]

    @classmethod
    def of(cls, frames: Sequence[Annotation]) -> _Shown:
        """Look at a little of each frame."""
        return cls(tuple(frames), tuple(_bytes(frame, SPARSE) for frame in frames))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Shown) or self.few != other.few:
            return False
        pairs = zip(self.frames, other.frames, strict=True)
        return self is other or all(_bytes(one, 1) == _bytes(another, 1) for one, another in pairs)

    def __hash__(self) -> int:
        return hash(self.few)


def _shown(side: Prediction | Truth | None) -> _Shown | None:
    """What the first and middle frames show; None for nothing."""
    if side is None or not len(side.frames):
        return None
    chosen = [side.frames[place] for place in sorted({0, len(side.frames) // 2})]
    return _Shown.of(chosen) if any(map(_differs, chosen)) else None


def _differs(frame: Annotation) -> bool:
    """Whether a frame shows anything that can be told from another one."""
    if isinstance(frame, LabelMap):
        return any(bool((seen != seen[:1]).any()) for seen in map(frame.every, (SPARSE, 1)))
    return _holds(frame)


def _bytes(frame: Annotation, step: int) -> bytes:
    """The objects or runs of a frame, or every `step`-th pixel of a label map."""
    match frame:
        case Instances():
            counts = b"".join(rle.counts for rle in frame.masks or ())
            return frame.class_index.tobytes() + (counts if frame.masks is not None else frame.boxes.tobytes())
        case LabelMap():
            return frame.every(step).tobytes()
        case Panoptic():
            return b"".join(part.tobytes() for part in frame.row_runs())


def _picture(sample: Sample) -> str:
    return str(sample.frames[0]) if len(sample.frames) else sample.sample_id


def _equal_scores(case: Case) -> Iterator[Diagnosis]:
    if "AP" not in case.score_name:
        return
    scores = Counter(score for _, answer in case.pairs for score in _scores(answer))
    if len(scores) == 1 and scores.total() >= LEAST_SCORES:
        yield Diagnosis(
            name="scores_equal",
            cause="all scores are equal, so average precision ranks by file order",
            remedy="Write the confidence of every object",
            evidence=f"all {scores.total()} scores are {next(iter(scores)):g}",
        )


def _scores(answer: Prediction) -> list[float]:
    if answer.tracks is not None:
        return list(map(float, answer.tracks.score))
    return [float(one) for frame in answer.frames if isinstance(frame, Instances) for one in frame.score]


def _two_values(case: Case) -> Iterator[Diagnosis]:
    """Label maps that hold one class at most, beside pixels of none."""
    maps = [(s.truth.frames[0], a.frames[0]) for s, a in case.pairs if s.truth and isinstance(a.frames[0], LabelMap)]
    found = {value for _, one in maps for value in _values(one)}
    true = {value for one, _ in maps for value in _values(one)}
    num = case.labels.num_classes
    classes = {value for value in found if value < num}
    if maps and len(classes) <= 1 < len({value for value in true if value < num}):
        yield Diagnosis(
            name="maps_of_two_values",
            cause="the maps hold a picture of 0 and 255, or a single class, where class ids are expected",
            remedy="Write the class id of every pixel",
            evidence=f"{len(maps)} maps hold {len(found)} values, {len(classes)} of them a class",
        )


def _values(frame: Annotation) -> list[int]:
    """The class indices that a label map holds."""
    return [int(value) for value in frame.present()] if isinstance(frame, LabelMap) else []
