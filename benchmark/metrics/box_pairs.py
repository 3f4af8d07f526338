"""Truth and prediction of single object tracking as arrays, checked once, and how far two boxes are apart.

Boxes are x, y, width, height in pixels. The official programs write the far edge as x + w - 1 and add the pixel again;
the order of these operations is kept, so that sizes with decimals round as theirs do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark import box_tracks
from benchmark.contract import Prediction, Sample
from benchmark.problems import BenchmarkError, DataError, Problem


def pair(sample: Sample, prediction: Prediction) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(truth float64 [T, 4], prediction float64 [F, R, 4]) of a video; BenchmarkError where one of them is not there.

    F, the number of answered frames, need not be T: what follows is the protocol's business.
    """
    if sample.truth is None:
        raise BenchmarkError(f"{sample.sample_id}: the sample has no truth to score against. Name one with --truth.")
    truth = box_tracks.boxes_of(sample.truth.frames, f"{sample.sample_id}: truth")[:, 0]
    if np.isnan(truth).any():
        raise BenchmarkError(f"{sample.sample_id}: the truth tells the first frame alone. Send results to the server.")
    found = box_tracks.boxes_of(prediction.frames, f"{sample.sample_id}: prediction")
    return truth, found


def the_only_run(sample: Sample, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [F, 4]; BenchmarkError for several runs. found: float64 [F, R, 4]."""
    if found.shape[1] != 1:
        raise BenchmarkError(f"{sample.sample_id}: {found.shape[1]} runs were given; this protocol judges one.")
    return found[:, 0]


def wrong_length(sample: Sample, num_found: int, num_frames: int) -> DataError:
    """The complaint about a result of a wrong number of lines."""
    message = f"the result has {num_found:,} boxes, the video has {num_frames:,} annotated frames"
    return DataError([Problem(place=sample.sample_id, message=message, remedy="Write one line for each frame")])


def bad_frames(sample: Sample, is_bad: NDArray[np.bool_], what: str, remedy: str) -> DataError:
    """The complaint about frames of a result. is_bad: bool [T]."""
    frames = np.flatnonzero(is_bad) + 1
    shown = ", ".join(str(frame) for frame in frames[:5]) + (", ..." if len(frames) > 5 else "")
    message = f"{len(frames):,} frames have {what} (frame {shown}, counted from 1)"
    return DataError([Problem(place=sample.sample_id, message=message, remedy=remedy)])


def overlap(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [T], intersection over union as pytracking and the toolkits have it. found, truth: float64 [T, 4].

    NaN where both boxes are empty; with decimals it may exceed 1 by one unit in the last place, as theirs does.
    """
    corner = np.maximum(found[:, :2], truth[:, :2])
    end = np.minimum(found[:, :2] + found[:, 2:] - 1.0, truth[:, :2] + truth[:, 2:] - 1.0)
    common = np.maximum(end - corner + 1.0, 0.0).prod(axis=1)
    return np.asarray(common / (found[:, 2:].prod(axis=1) + truth[:, 2:].prod(axis=1) - common))


def plain_overlap(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [T], intersection over union as the got10k toolkit has it, 0..1. found, truth: float64 [T, 4]."""
    start = np.maximum(found[:, :2], truth[:, :2])
    end = np.minimum(found[:, :2] + found[:, 2:], truth[:, :2] + truth[:, 2:])
    common = np.maximum(end - start, 0).prod(axis=1)
    union = found[:, 2:].prod(axis=1) + truth[:, 2:].prod(axis=1) - common
    return np.clip(common / (union + np.finfo(np.float64).eps), 0.0, 1.0)


def centers(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [T, 2], centres of float64 [T, 4] boxes of inclusive pixels."""
    return boxes[:, :2] + 0.5 * (boxes[:, 2:] - 1.0)


def distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [T], Euclidean distance of float64 [T, 2] points."""
    return np.asarray(np.sqrt(((first - second) ** 2).sum(axis=1)))


def num_above(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 [K], how many values exceed each threshold; NaN none. values: float64 [N]; thresholds: float64 [K]."""
    known = np.sort(values[~np.isnan(values)])
    return (len(known) - np.searchsorted(known, thresholds, side="right")).astype(np.int64)


def num_within(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 [K], how many values are within each threshold; NaN none. values: float64 [N]; thresholds: float64 [K]."""
    known = np.sort(values[~np.isnan(values)])
    return np.searchsorted(known, thresholds, side="right").astype(np.int64)
