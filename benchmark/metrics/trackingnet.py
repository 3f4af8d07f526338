"""TrackingNet's areas under curves and its coverage: https://github.com/SilvioGiancola/TrackingNet-devkit (79783f2)

Both sides are rounded to whole pixels (half to even), frame 1 is the truth's, boxes are inclusive pixels. A line that
is missing fails every threshold; a missing file is the reader's business (the devkit takes zeros). Curves count over
all frames, are averaged over videos and integrated by trapezia over a unit axis: Precision is no value at 20 pixels.

    Success               overlap >= t at 21 t in 0..1          (a box of no overlap passes t = 0: 1/40 comes free)
    Precision             centre distance <= t at 21 t in 0..50 pixels
    Normalized Precision  distance over the truth's size <= t at 21 t in 0..0.5
    Coverage              share of all frames with x + y + width + height > 0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import box_pairs, frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol

SCORE_NAMES = ("Success", "Precision", "Normalized Precision", "Coverage")
NUM_THRESHOLDS = 21
UNIT = np.linspace(0, 1, NUM_THRESHOLDS)
PIXELS = np.linspace(0, 50, NUM_THRESHOLDS)
SIZES = np.linspace(0, 0.5, NUM_THRESHOLDS)
CURVES = ("Success", "Precision", "Normalized Precision")
_EMPTY: dict[str, NDArray[Any]] = {
    "curves": np.zeros((0, 3, NUM_THRESHOLDS), np.int64),
    "frames": np.zeros((0, 2), np.int64),
}


@dataclass(frozen=True, slots=True)
class TrackingNet:
    """The four numbers of the official server."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """How many of a video's frames pass each threshold; and [annotated, covered] frames."""
        truth, runs = box_pairs.pair(sample, prediction)
        found = _to_length(box_pairs.the_only_run(sample, runs), len(truth))
        truth, found = np.round(truth), np.round(found)
        found[:1] = truth[:1]
        with np.errstate(all="ignore"):
            overlap, distance, norm = _overlap(found, truth), *_distances(found, truth)
            covered = found[:, 3] + found[:, 2] + found[:, 0] + found[:, 1] > 0
        curves = [_num_at_least(overlap, UNIT), *map(box_pairs.num_within, (distance, norm), (PIXELS, SIZES))]
        arrays = {
            "curves": np.array([curves], np.int64),
            "frames": np.array([[len(truth), int(covered.sum())]], np.int64),
        }
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Turn counts into areas, one row a video; the returned function averages them."""
        rows = frames.columns(stats, _EMPTY)
        numbers = rows.arrays["frames"]
        curves = rows.arrays["curves"] / numbers[:, :1, None]

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            mean = frames.ratio((curves * weights[:, None, None]).sum(axis=0), weights.sum())
            annotated, covered = (numbers * weights[:, None]).sum(axis=0)
            values = {name: float(np.trapezoid(curve, x=UNIT)) for name, curve in zip(CURVES, mean, strict=True)}
            values["Coverage"] = float(frames.ratio(covered, annotated))
            num = int(weights.sum())
            return Scores(
                values=values,
                counts={"frames": int(annotated), "frames_covered": int(covered)},
                per_class={name: dict(values) for name in self.labels.names},
                num_expected=num,
                num_scored=num,
            )

        return score


def _to_length(found: NDArray[np.float64], num_frames: int) -> NDArray[np.float64]:
    """Without lines beyond the video, and with NaN for those that are missing."""
    missing = np.full((max(num_frames - len(found), 0), 4), np.nan)
    return np.concatenate([found[:num_frames], missing])


def _overlap(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """As pandas computes it: a coordinate that is NaN leaves the other side's in the intersection."""
    corner = np.fmax(truth[:, :2], found[:, :2])
    end = np.fmin(truth[:, :2] + truth[:, 2:] - 1.0, found[:, :2] + found[:, 2:] - 1.0)
    common = np.maximum(np.round(end - corner + 1), 0).prod(axis=1)
    area = found[:, 3] * found[:, 2]
    return np.asarray(common / (truth[:, 3] * truth[:, 2] + area - common))


def _distances(
    found: NDArray[np.float64], truth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(in pixels, over the truth's size), in the devkit's order of operations."""
    apart = (truth[:, :2] + (truth[:, 2:] + 1.0) / 2.0) - (found[:, :2] + (found[:, 2:] + 1.0) / 2.0)
    square, norm = apart * apart, apart / truth[:, 2:] * apart / truth[:, 2:]
    return np.sqrt(square[:, 0] + square[:, 1]), np.sqrt(norm[:, 0] + norm[:, 1])


def _num_at_least(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    known = np.sort(values[~np.isnan(values)])
    return (len(known) - np.searchsorted(known, thresholds, side="left")).astype(np.int64)


ENTRIES = {
    "trackingnet": MetricEntry(
        protocols={"devkit": Protocol(build=TrackingNet, score_names=SCORE_NAMES)},
        tool="TrackingNet-devkit, metrics.py",
        laws=laws.fractions(*SCORE_NAMES),
        decimals=2,
    ),
}
