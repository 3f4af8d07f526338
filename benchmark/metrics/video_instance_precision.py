"""Average precision of tracks in video instance segmentation, as the YouTube-VIS API (revision f3f9948 of 2019).

https://github.com/youtubevos/cocoapi. The IoU of two tracks is their common pixels over the pixels of either, both
summed over the frames of the video. Crowds are ignored, but their IoU is the plain one. A track's size is the mean area
over the frames in which it has pixels: as stated for truth, counted for detections. Matching and integration are
COCO's, with tracks in place of objects and videos in place of images. Deviations: those of `CocoAP`, and a video of
which truth and prediction have different numbers of frames is refused (the API cuts both to the shorter).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Annotation, Instances, Pooled, Prediction, Rle, Sample, Stats, Tracks
from benchmark.labels import LabelSet
from benchmark.metrics import average_precision
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError

AREA_RANGES = np.array([[0, 1e10], [0, 128**2], [128**2, 256**2], [256**2, 1e10]])
"""All, small, medium, large: square pixels of a track's mean mask, both ends included."""
MAX_DETS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class TrackAP:
    """AP over the thing classes of `labels`. max_dets: tracks kept per video and class, ascending."""

    labels: LabelSet
    max_dets: tuple[int, ...] = MAX_DETS

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Match the tracks of one video; keeps a row a detection and a row a truth."""
        truth, found = _sides(sample, prediction)
        rivals = self._rivals(truth.tracks, found.tracks)
        sums = _Sums.of(truth, found, rivals)
        ious, areas = sums.ious(), sums.mean_areas()
        parts = [
            average_precision.match_class(
                one.class_index,
                found.tracks.score[one.ranked],
                ious[np.ix_(one.ranked, one.truths)],
                areas=areas[one.ranked],
                is_crowd=truth.tracks.is_crowd[one.truths],
                truth_areas=truth.tracks.area[one.truths],
                ranges=AREA_RANGES,
            )
            for one in rivals
        ]
        return average_precision.stats_of(sample.sample_id, parts)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sort each class by score once; the returned function repeats, cuts and integrates."""
        return average_precision.pool(stats, self.labels, self.max_dets)

    def _rivals(self, truth: Tracks, found: Tracks) -> list[_Rivals]:
        present = np.intersect1d(np.union1d(truth.class_index, found.class_index), np.flatnonzero(self.labels.is_thing))
        return [
            _Rivals(
                class_index=int(one),
                ranked=average_precision.rank(found.class_index, found.score, int(one), self.max_dets[-1]),
                truths=np.flatnonzero(truth.class_index == one),
            )
            for one in present
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rivals:
    """One class in one video. ranked: int64 [D], found tracks by falling score. truths: int64 [G]."""

    class_index: int
    ranked: NDArray[np.int64]
    truths: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """The masks of one frame. rows: int64 [N], positions of their tracks. areas: int64 [N], counted pixels."""

    rows: NDArray[np.int64]
    masks: tuple[Rle, ...]
    areas: NDArray[np.int64]

    def among(self, tracks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in this frame, int64 [M], of the masks of some tracks."""
        return np.flatnonzero(np.isin(self.rows, tracks))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """Truth or prediction of one video."""

    sample: Sample
    role: str
    tracks: Tracks
    frames: Sequence[Annotation]

    def shown(self, wanted: NDArray[np.int64]) -> Iterator[_Shown]:
        """Frame by frame the masks of the wanted tracks; BenchmarkError for a frame that does not fit the video."""
        rows = {object_id: row for row, object_id in enumerate(self.tracks.object_id.tolist())}
        is_wanted = np.zeros(len(self.tracks), bool)
        is_wanted[wanted] = True
        for frame in self.frames:
            if not isinstance(frame, Instances) or frame.masks is None:
                raise self._error("has a frame without instance masks", "This metric compares masks")
            ids = frame.object_id.tolist()
            if len(set(ids)) != len(ids) or not rows.keys() >= set(ids):
                raise self._error(
                    "has a frame with an object twice, or one that is no track", "Give every mask a track"
                )
            self._check_sizes(frame.masks)
            found = np.array([rows[object_id] for object_id in ids], np.int64)
            kept = np.flatnonzero(is_wanted[found])
            chosen = tuple(frame.masks[position] for position in kept)
            yield _Shown(rows=found[kept], masks=chosen, areas=masks.areas(chosen))

    def _check_sizes(self, found: Sequence[Rle]) -> None:
        for rle in found:
            if rle.size != self.sample.size:
                sizes = [f"{height}x{width}" for height, width in (rle.size, self.sample.size)]
                raise self._error(
                    f"is {sizes[0]} (height x width), the video is {sizes[1]}", "Write masks at the video's own size"
                )

    def _error(self, message: str, remedy: str) -> BenchmarkError:
        return BenchmarkError(f"{self.sample.sample_id}: {self.role} {message}. {remedy}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Sums over the frames of a video. common: int64 [D, G] pixels. found, truth: int64 [D] and [G] pixels.

    num_shown: int64 [D], frames in which a found track has pixels.
    """

    common: NDArray[np.int64]
    found: NDArray[np.int64]
    truth: NDArray[np.int64]
    num_shown: NDArray[np.int64]

    @classmethod
    def of(cls, truth: _Side, found: _Side, rivals: Sequence[_Rivals]) -> _Sums:
        num_found, num_truth = len(found.tracks), len(truth.tracks)
        sums = cls(
            common=np.zeros((num_found, num_truth), np.int64),
            found=np.zeros(num_found, np.int64),
            truth=np.zeros(num_truth, np.int64),
            num_shown=np.zeros(num_found, np.int64),
        )
        nobody = np.zeros(0, np.int64)
        ranked = np.concatenate([nobody, *(one.ranked for one in rivals)])
        truths = np.concatenate([nobody, *(one.truths for one in rivals if len(one.ranked))])
        both = [one for one in rivals if len(one.ranked) and len(one.truths)]
        for shown, answer in zip(found.shown(ranked), truth.shown(truths), strict=True):
            sums.add(shown, answer, both)
        return sums

    def add(self, shown: _Shown, answer: _Shown, rivals: Sequence[_Rivals]) -> None:
        """Add one frame. rivals: classes that both sides have."""
        self.found[shown.rows] += shown.areas
        self.num_shown[shown.rows] += shown.areas > 0
        self.truth[answer.rows] += answer.areas
        for one in rivals:
            here, there = shown.among(one.ranked), answer.among(one.truths)
            if len(here) and len(there):
                chosen = [shown.masks[position] for position in here]
                # A crowd's IoU is the intersection over the first mask's area, from which rounding recovers pixels.
                shares = masks.iou(chosen, [answer.masks[position] for position in there], np.ones(len(there), bool))
                common = np.rint(shares * shown.areas[here, None]).astype(np.int64)
                self.common[np.ix_(shown.rows[here], answer.rows[there])] += common

    def ious(self) -> NDArray[np.float64]:
        """float64 [D, G]; 0 where neither track has pixels."""
        union = self.found[:, None] + self.truth - self.common
        return np.divide(self.common, union, out=np.zeros(union.shape), where=union > 0)

    def mean_areas(self) -> NDArray[np.float64]:
        """Mean pixels of the found tracks where they have any, float64 [D]; 0 for a track without pixels."""
        return self.found / np.maximum(self.num_shown, 1)


def _sides(sample: Sample, prediction: Prediction) -> tuple[_Side, _Side]:
    """(truth, prediction) of a video with tracks and equal numbers of frames; else BenchmarkError."""
    truth = sample.truth
    if truth is None:
        raise BenchmarkError(f"{sample.sample_id}: the sample has no truth to score against. Name one with --truth.")
    if truth.tracks is None or prediction.tracks is None:
        role = "truth" if truth.tracks is None else "prediction"
        raise BenchmarkError(f"{sample.sample_id}: {role} has no tracks, this metric ranks tracks.")
    if len(truth.frames) != len(prediction.frames):
        raise BenchmarkError(
            f"{sample.sample_id}: prediction has {len(prediction.frames)} frames, the video has {len(truth.frames)}. "
            "Predict for every frame of the video."
        )
    if np.isnan(prediction.tracks.score).any():
        raise BenchmarkError(f"{sample.sample_id}: prediction holds a score that is NaN. Write finite scores.")
    return (
        _Side(sample=sample, role="truth", tracks=truth.tracks, frames=truth.frames),
        _Side(sample=sample, role="prediction", tracks=prediction.tracks, frames=prediction.frames),
    )


ENTRIES = {
    "video_segm_ap": MetricEntry(
        protocols={
            "youtube_vis": Protocol(build=TrackAP, score_names=average_precision.score_names(MAX_DETS)),
        },
        tool="YouTube-VIS API f3f9948 (YTVOSeval)",
    ),
}
