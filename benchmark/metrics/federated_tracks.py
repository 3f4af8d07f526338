"""Average precision of tracks of boxes on federated truth, as the TAO toolkit (a3a713c): github.com/TAO-Dataset/tao

The IoU of two tracks is their summed intersection over their summed union, frame by frame; 0.5 is needed. Only classes
that a video's truth holds or lists as absent are judged there, and where a class is not marked throughout, tracks
without a truth are neither right nor wrong. The 300 most confident boxes of a frame count; a track's score is the mean
of its boxes' scores. Objects are grouped by mean area and by the number of frames in which they are marked. Equal
scores keep the order in which tracks appear in a video (the toolkit's order follows its hash tables).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Annotation, Instances, Pooled, Prediction, Sample, Scores, Stats, Tracks
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws, overlaps
from benchmark.metrics.average_precision import match
from benchmark.metrics.class_curves import Curves
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.precision_curve import ClassCurve, Integral
from benchmark.metrics.weighted_curves import WeightedCurves
from benchmark.problems import BenchmarkError

PER_FRAME = 300
GROUPS = ("", "s", "m", "l", "_short", "_medium", "_long")
"""All objects, then by area, then by duration; the groups of the statistics' columns."""
AREAS = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10], *[[0, 1e10]] * 3])
DURATIONS = np.array([*[[0, 1e5]] * 4, [0, 3], [3, 10], [10, 1e5]])
"""float64 [7, 2]: square pixels, and frames, both ends included."""
SCORE_NAMES = (*(f"AP{group}" for group in GROUPS), *(f"AR{group}@{PER_FRAME}" for group in GROUPS))
_EMPTY: dict[str, NDArray[Any]] = {
    "class_index": np.zeros(0, np.int64),
    "score": np.zeros(0, np.float64),
    "is_hit": np.zeros((0, len(GROUPS)), bool),
    "is_false": np.zeros((0, len(GROUPS)), bool),
    "truth_class": np.zeros(0, np.int64),
    "truth_counts": np.zeros((0, len(GROUPS)), bool),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """K tracks of one side of a video of T frames, in order of appearance.

    boxes: float64 [K, T, 4], (x, y, w, h), zeros where a track has none. areas: float64 [K, T], likewise.
    score: float64 [K]. class_index: int64 [K]. is_ignored: bool [K].
    """

    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    score: NDArray[np.float64]
    class_index: NDArray[np.int64]
    is_ignored: NDArray[np.bool_]

    def is_outside(self) -> NDArray[np.bool_]:
        """bool [7, K]: mean area or duration lie outside the group."""
        duration = (self.areas > 0).sum(axis=1)
        area = self.areas.sum(axis=1) / np.maximum(duration, 1)
        is_wrong_size = (area < AREAS[:, :1]) | (area > AREAS[:, 1:])
        return np.asarray(is_wrong_size | (duration < DURATIONS[:, :1]) | (duration > DURATIONS[:, 1:]))

    def take(self, rows: NDArray[np.int64]) -> _Side:
        """Some of the tracks. rows: int64 [M]."""
        return _Side(
            boxes=self.boxes[rows],
            areas=self.areas[rows],
            score=self.score[rows],
            class_index=self.class_index[rows],
            is_ignored=self.is_ignored[rows],
        )


@dataclass(frozen=True, slots=True)
class FederatedTrackAP:
    """Track AP over the classes of `labels`."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Match the tracks of one video; keeps a row a judged track and a row a truth."""
        truth, found = _sides(sample, prediction)
        assert sample.truth is not None
        judged = np.union1d(truth.class_index, np.array(sample.truth.negative_labels, np.int64))
        parts = [
            _match(
                truth.take(np.flatnonzero(truth.class_index == one)),
                found.take(_ranked(found, int(one))),
                int(one),
                is_partly_marked=int(one) in sample.truth.not_exhaustive_labels,
            )
            for one in judged
        ]
        arrays = {name: np.concatenate([nothing, *(part[name] for part in parts)]) for name, nothing in _EMPTY.items()}
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sort each class by score once; the returned function repeats and integrates."""
        rows = frames.columns(stats, _EMPTY)
        arrays = {
            **rows.arrays,
            "is_hit": rows.arrays["is_hit"][..., None],
            "is_false": rows.arrays["is_false"][..., None],
            "rank": np.zeros(len(rows.arrays["score"]), np.int64),
        }
        shown = np.union1d(arrays["class_index"], arrays["truth_class"]).tolist()
        curves = [ClassCurve.of(frames.Columns(rows.order, arrays, rows.sample), one) for one in shown]
        together = cache(lambda: WeightedCurves(Curves.joined(curves), (1,)))

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            if given is None or not curves:
                points = [curve.integrate(weights, (1,)) for curve in curves]
            else:
                points = together().integrate(weights)
            return self._scores(dict(zip(shown, points, strict=True)), int(weights.sum()))

        return score

    def _scores(self, points: dict[int, Integral], num: int) -> Scores:
        nothing = np.full((1, len(GROUPS)), np.nan)
        precision = np.concatenate([nothing, *(one.precision.reshape(1, -1) for one in points.values())])
        recall = np.concatenate([nothing, *(one.recall.reshape(1, -1) for one in points.values())])
        means = [frames.mean(table[:, group]) for table in (precision, recall) for group in range(len(GROUPS))]
        per_class = {
            self.labels.names[one]: {"AP": float(point.precision[0, 0]), f"AR@{PER_FRAME}": float(point.recall[0, 0])}
            for one, point in points.items()
        }
        counts = {
            "truths": sum(point.num_truths for point in points.values()),
            "detections": sum(point.num_detections for point in points.values()),
        }
        values = dict(zip(SCORE_NAMES, means, strict=True))
        return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)


def _match(truth: _Side, found: _Side, class_index: int, *, is_partly_marked: bool) -> dict[str, NDArray[Any]]:
    """The rows of one class, see `_EMPTY`. found: by falling score."""
    is_ignored = truth.is_ignored | truth.is_outside()
    no_crowd = np.zeros(len(truth.score), bool)
    # The first of COCO's thresholds is the one that counts.
    is_matched, is_void = (flags[:, 0] for flags in match(_ious(found, truth), no_crowd, is_ignored))
    is_void = is_void | (~is_matched & (found.is_outside() | is_partly_marked))
    return {
        "class_index": np.full(len(found.score), class_index),
        "score": found.score,
        "is_hit": (is_matched & ~is_void).T,
        "is_false": (~is_matched & ~is_void).T,
        "truth_class": np.full(len(truth.score), class_index),
        "truth_counts": ~is_ignored.T,
    }


def _ious(found: _Side, truth: _Side) -> NDArray[np.float64]:
    """float64 [D, G], summed intersection over summed union."""
    common = np.zeros((len(found.score), len(truth.score)))
    for column in range(len(truth.score)):
        here, there = found.boxes, truth.boxes[column]
        start = np.maximum(here[..., :2], there[:, :2])
        end = np.minimum(here[..., :2] + here[..., 2:], there[:, :2] + there[:, 2:])
        common[:, column] = np.maximum(end - start, 0).prod(axis=-1).sum(axis=-1)
    whole = [side.boxes[..., 2:].prod(axis=-1).sum(axis=-1) for side in (found, truth)]
    union = whole[0][:, None] + whole[1] - common
    return np.divide(common, union, out=np.zeros(union.shape), where=union > 0)


def _ranked(side: _Side, class_index: int) -> NDArray[np.int64]:
    """Tracks of a class by falling score, int64 [M]."""
    rows = np.flatnonzero(side.class_index == class_index)
    return rows[np.argsort(-side.score[rows], kind="stable")]


def _sides(sample: Sample, prediction: Prediction) -> tuple[_Side, _Side]:
    """(truth, prediction) of a video with tracks and equal numbers of frames; else BenchmarkError."""
    truth = sample.truth
    if truth is None or truth.tracks is None or prediction.tracks is None:
        message = "truth and prediction need tracks; this metric ranks tracks"
        raise BenchmarkError(f"{sample.sample_id}: {message}.")
    if len(truth.frames) != len(prediction.frames):
        message = f"prediction has {len(prediction.frames)} frames, the video has {len(truth.frames)}"
        raise BenchmarkError(f"{sample.sample_id}: {message}. Predict for every annotated frame.")
    right = [_boxes(sample, frame) for frame in truth.frames]
    left = [_boxes(sample, frame) for frame in prediction.frames]
    return (
        _side(right, [frame.area for frame in right], truth.tracks),
        _side([_most_confident(frame) for frame in left], None, prediction.tracks),
    )


def _side(shown: Sequence[Instances], areas: Sequence[NDArray[np.float64]] | None, tracks: Tracks) -> _Side:
    """areas: of the boxes of each frame, float64 [N], None: width times height."""
    place = {object_id: row for row, object_id in enumerate(tracks.object_id.tolist())}
    boxes, surface = np.zeros((len(place), len(shown), 4)), np.zeros((len(place), len(shown)))
    scores: dict[int, list[float]] = {}
    first: dict[int, None] = {}
    for index, frame in enumerate(shown):
        rows = [place[one] for one in frame.object_id.tolist()]
        corners = overlaps.xywh(frame)
        sizes = corners[:, 2] * corners[:, 3] if areas is None else areas[index]
        for row, box, size, score in zip(rows, corners, sizes, frame.score.tolist(), strict=True):
            scores.setdefault(row, []).append(score)
            if size > 0:
                boxes[row, index], surface[row, index] = box, size
                first.setdefault(row)
    kept = np.array(list(first), np.int64)
    means = np.array([_mean(scores[row]) for row in first], np.float64)
    return _Side(
        boxes=boxes[kept],
        areas=surface[kept],
        score=means,
        class_index=tracks.class_index[kept],
        is_ignored=tracks.is_crowd[kept],
    )


def _mean(scores: Sequence[float]) -> float:
    return scores[0] if len(set(scores)) == 1 else float(np.mean(scores))


def _most_confident(frame: Instances) -> Instances:
    if len(frame) <= PER_FRAME:
        return frame
    kept = np.argsort(-frame.score, kind="stable")[:PER_FRAME]
    return Instances(
        masks=None,
        boxes=frame.boxes[kept],
        box_format=frame.box_format,
        area=frame.area[kept],
        class_index=frame.class_index[kept],
        score=frame.score[kept],
        object_id=frame.object_id[kept],
        is_crowd=frame.is_crowd[kept],
    )


def _boxes(sample: Sample, frame: Annotation) -> Instances:
    if not isinstance(frame, Instances):
        raise BenchmarkError(f"{sample.sample_id}: a frame is of kind {type(frame).__name__}; this metric needs boxes.")
    if np.isnan(frame.score).any():
        raise BenchmarkError(f"{sample.sample_id}: prediction holds a score that is NaN. Write finite scores.")
    return frame


ENTRIES = {
    "federated_track_ap": MetricEntry(
        protocols={"tao": Protocol(build=FederatedTrackAP, score_names=SCORE_NAMES)},
        tool="TAO toolkit a3a713c (TaoEval)",
        laws=laws.fractions(*SCORE_NAMES),
    ),
}
