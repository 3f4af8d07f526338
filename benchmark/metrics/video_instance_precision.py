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
from benchmark.contract import Annotation, Instances, Pooled, Prediction, Sample, Stats, Tracks
from benchmark.labels import LabelSet
from benchmark.mask_tracks import MaskTracks, shared_pixels
from benchmark.metrics import average_precision
from benchmark.metrics.average_precision import Contest
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
        return self.measure_many([(sample, prediction)])[0]

    def measure_many(self, pairs: Sequence[tuple[Sample, Prediction]]) -> list[Stats]:
        """`measure` of several videos, whose tracks are matched together."""
        videos = [self._contests(sample, prediction) for sample, prediction in pairs]
        rows = average_precision.match_contests([one for contests in videos for one in contests], AREA_RANGES)
        found, truths = (
            np.cumsum([0, *(sum(one.iou.shape[side] for one in contests) for contests in videos)]).tolist()
            for side in (0, 1)
        )
        return [
            average_precision.cut(sample.sample_id, rows, slice(*found[n : n + 2]), slice(*truths[n : n + 2]))
            for n, (sample, _) in enumerate(pairs)
        ]

    def _contests(self, sample: Sample, prediction: Prediction) -> list[Contest]:
        """The classes of one video."""
        truth, found = _sides(sample, prediction)
        rivals = self._rivals(truth.tracks, found.tracks)
        sums = _Sums.of(truth, found, rivals)
        ious, areas = sums.ious(), sums.mean_areas()
        return [
            Contest(
                class_index=one.class_index,
                score=found.tracks.score[one.ranked],
                area=areas[one.ranked],
                iou=ious[one.ranked[:, None], one.truths],
                is_crowd=truth.tracks.is_crowd[one.truths],
                truth_area=truth.tracks.area[one.truths],
            )
            for one in rivals
        ]

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
class _Side:
    """Truth or prediction of one video."""

    sample: Sample
    role: str
    tracks: Tracks
    frames: Sequence[Annotation]

    def shown(self) -> Iterator[tuple[list[int], Instances]]:
        """The frames, with the positions of their objects' tracks; BenchmarkError for one that does not fit."""
        row_of = {object_id: row for row, object_id in enumerate(self.tracks.object_id.tolist())}
        for frame in self.frames:
            if not isinstance(frame, Instances) or frame.masks is None:
                raise self._error("has a frame without instance masks", "This metric compares masks")
            rows = [row_of.get(object_id, -1) for object_id in frame.object_id.tolist()]
            if len(set(rows)) != len(rows) or -1 in rows:
                raise self._error(
                    "has a frame with an object twice, or one that is no track", "Give every mask a track"
                )
            for height, width in {rle.size for rle in frame.masks} - {self.sample.size}:
                wanted = f"the video is {self.sample.size[0]}x{self.sample.size[1]}"
                raise self._error(
                    f"is {height}x{width} (height x width), {wanted}", "Write masks at the video's own size"
                )
            yield rows, frame

    def _error(self, message: str, remedy: str) -> BenchmarkError:
        return BenchmarkError(f"{self.sample.sample_id}: {self.role} {message}. {remedy}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Sums over the frames of a video. common: float64 [D, G], pixels. found, truth: float64 [D] and [G], pixels.

    num_shown: int64 [D], frames in which a found track has pixels. rival: for each found and each truth track, the
    class in which it may be matched, or -1.
    """

    common: NDArray[np.float64]
    found: NDArray[np.float64]
    truth: NDArray[np.float64]
    num_shown: NDArray[np.int64]
    rival: tuple[list[int], list[int]]

    @classmethod
    def of(cls, truth: _Side, found: _Side, rivals: Sequence[_Rivals]) -> _Sums:
        num_found, num_truth = len(found.tracks), len(truth.tracks)
        rival = np.full(num_found, -1), np.full(num_truth, -1)
        for one in rivals:
            if len(one.ranked) and len(one.truths):
                rival[0][one.ranked] = rival[1][one.truths] = one.class_index
        sums = cls(
            common=np.zeros((num_found, num_truth)),
            found=np.zeros(num_found),
            truth=np.zeros(num_truth),
            num_shown=np.zeros(num_found, np.int64),
            rival=(rival[0].tolist(), rival[1].tolist()),
        )
        if isinstance(found.frames, MaskTracks) and isinstance(truth.frames, MaskTracks):
            sums.add_tracks(found.frames, truth.frames, rivals, found.sample.size)
            return sums
        for (found_rows, found_frame), (truth_rows, truth_frame) in zip(found.shown(), truth.shown(), strict=True):
            sums.add(found_rows, found_frame, truth_rows, truth_frame)
        return sums

    def add_tracks(
        self, found: MaskTracks, truth: MaskTracks, rivals: Sequence[_Rivals], size: tuple[int, int]
    ) -> None:
        """Add all frames, whose tracks are in the order of the sums: what `add` does, with a call for each class."""
        self.found[:] = found.pixels.sum(axis=1)
        self.truth[:] = truth.pixels.sum(axis=1)
        self.num_shown[:] = (found.pixels > 0).sum(axis=1)
        for one in rivals:
            if len(one.ranked) and len(one.truths):
                ours, theirs = (
                    [_texts(side, row) for row in rows.tolist()]
                    for side, rows in ((found, one.ranked), (truth, one.truths))
                )
                cells = np.ix_(one.ranked, one.truths)
                self.common[cells] = shared_pixels(ours, found.pixels[one.ranked], theirs, size)

    def add(self, rows: list[int], shown: Instances, truths: list[int], answer: Instances) -> None:
        """Add one frame. rows, truths: positions of the tracks of the masks of `shown` and `answer`."""
        found_masks, truth_masks = shown.masks or (), answer.masks or ()
        areas = _counted(shown)
        self.found[rows] += areas
        self.num_shown[rows] += areas > 0
        self.truth[truths] += masks.areas(truth_masks)
        here, there = _by_class(rows, self.rival[0]), _by_class(truths, self.rival[1])
        for class_index in here.keys() & there.keys():
            chosen, wanted = here[class_index], there[class_index]
            # A crowd's IoU is the intersection over the first mask's area. Rounding recovers pixels, see `ious`.
            shares = masks.iou(
                [found_masks[place] for place in chosen],
                [truth_masks[place] for place in wanted],
                np.ones(len(wanted), bool),
            )
            shares *= areas[chosen, None]
            self.common[np.array(rows)[chosen, None], [truths[place] for place in wanted]] += shares

    def ious(self) -> NDArray[np.float64]:
        """float64 [D, G]; 0 where neither track has pixels."""
        common = np.rint(self.common)
        union = self.found[:, None] + self.truth - common
        return np.divide(common, union, out=np.zeros(union.shape), where=union > 0)

    def mean_areas(self) -> NDArray[np.float64]:
        """Mean pixels of the found tracks where they have any, float64 [D]; 0 for a track without pixels."""
        return self.found / np.maximum(self.num_shown, 1)


def _texts(tracks: MaskTracks, row: int) -> list[bytes | None]:
    """The compressed run lengths of a track's masks that have a pixel, one a frame."""
    return [
        (mask if isinstance(mask, bytes) else tracks.decode(mask).counts) if mask is not None and area else None
        for mask, area in zip(tracks.masks[row], tracks.pixels[row].tolist(), strict=True)
    ]


def _counted(shown: Instances) -> NDArray[np.float64]:
    """Pixels of predicted masks, float64 [N]: as their reader has counted them, or counted here where it has not."""
    if shown.area.all():
        return shown.area
    return masks.areas(shown.masks or ()).astype(np.float64)


def _by_class(rows: list[int], classes: list[int]) -> dict[int, list[int]]:
    """Class -> positions in a frame of the masks of its tracks. rows: of the tracks. classes: of all tracks, or -1."""
    found: dict[int, list[int]] = {}
    for position, row in enumerate(rows):
        if classes[row] >= 0:
            found.setdefault(classes[row], []).append(position)
    return found


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
        laws=average_precision.LAWS,
    ),
}
