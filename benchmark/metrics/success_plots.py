"""Success and precision plots of single object tracking: LaSOT, LaSOT-ext, TNL2K. One pass, one video a sample.

Shared by all: frame 1 of the result is replaced by the truth; overlap > t at 21 t in 0..1, centre error <= t at 0..50
pixels, error over the truth's size <= t at 0..0.5; each curve counts over *all* annotated frames and is averaged over
videos. AUC is the mean of the 21 values (so 20/21 is the most), P the value at 20 pixels, P_norm the value at 0.2.
What differs is which frames can be judged, and what the others count as (`Rule`):

    pytracking         papers: https://github.com/visionml/pytracking (7eb9e74) on LaSOT
    pytracking_ext     the same code on every other data set: absent frames pass normalised precision
    uninext            its copy in https://github.com/MasterBin-IIAU/UNINEXT: a truth needs no positive corner
    uninext_no_flags   that copy on TNL2K, for which it reads no absence flags
    toolkit            https://github.com/HengLan/LaSOT_Evaluation_Toolkit (95bf38a) and TNL2K's (1a96f6e), Matlab
    got10k             https://github.com/got-10k/toolkit (956e728): all frames are judged; it prints P_norm_AUC

pytracking keeps its curves in float32; ours agree to its precision. Thresholds are k x 0.05 in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import box_pairs, frames, laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import BenchmarkError

SCORE_NAMES = ("AUC", "P", "P_norm", "OP50", "OP75", "P_norm_AUC")
OVERLAPS = np.arange(21, dtype=np.float64) * np.float64(0.05)
PIXELS = np.arange(51, dtype=np.float64)
SIZES = np.arange(51, dtype=np.float64) / np.float64(100)
AT_20_PIXELS, AT_A_FIFTH, AT_50, AT_75 = 20, 20, 10, 15
NO_BOX = "Write 0,0,0,0 where there is no box, or choose protocol 'toolkit'"
_EMPTY: dict[str, NDArray[Any]] = {
    "overlap": np.zeros((0, 21), np.int64),
    "center": np.zeros((0, 51), np.int64),
    "norm": np.zeros((0, 51), np.int64),
    "frames": np.zeros((0, 3), np.int64),
}


class Flags(StrEnum):
    """What a rule does with the flags of absence."""

    NEEDED = "needed"
    USED = "used where they are"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which frames can be judged, and what the others count as; none of them is ever a success of overlap.

    flags: see `Flags`.   needs_corner: a truth needs positive x and y, too.   judges_all: any truth is judged, over a
    size of at least one pixel.   carries: results of zero size repeat the last frame's; with `carries_all` those of a
    negative size or NaN do, too, which are refused without.   center_of_invalid: frames of an invalid truth are within
    every distance.   norm_of_absent: absent frames are within every normalised distance.   skips_zero_curves: videos
    whose whole curve is zero are left out of its mean.
    """

    flags: Flags
    needs_corner: bool = False
    judges_all: bool = False
    carries: bool = True
    carries_all: bool = False
    center_of_invalid: bool = False
    norm_of_absent: bool = False
    skips_zero_curves: bool = False


RULES = MappingProxyType(
    {
        "pytracking": Rule(flags=Flags.NEEDED, needs_corner=True),
        "pytracking_ext": Rule(flags=Flags.USED, needs_corner=True, norm_of_absent=True),
        "uninext": Rule(flags=Flags.NEEDED),
        "uninext_no_flags": Rule(flags=Flags.UNREAD),
        "toolkit": Rule(
            flags=Flags.NEEDED,
            needs_corner=True,
            carries_all=True,
            center_of_invalid=True,
            skips_zero_curves=True,
        ),
        "got10k": Rule(flags=Flags.UNREAD, judges_all=True, carries=False),
    }
)


@dataclass(frozen=True, slots=True)
class SuccessPlots:
    """AUC, P, P_norm and their kin under one of the `RULES`."""

    labels: LabelSet
    rule: Rule

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """How many of a video's frames pass each threshold; and [annotated, absent, answered beyond them] frames."""
        truth, found = box_pairs.pair(sample, prediction)
        run = box_pairs.the_only_run(sample, found)
        if len(run) < len(truth):
            raise box_pairs.wrong_length(sample, len(run), len(truth))
        absent = self._absent(sample, len(truth))
        with np.errstate(all="ignore"):
            counts = self._counts(self._carried(sample, run[: len(truth)]), truth, absent)
        numbers = [[len(truth), int(absent.sum()), len(run) - len(truth)]]
        return Stats(sample_id=sample.sample_id, arrays={**counts, "frames": np.array(numbers, np.int64)})

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Turn counts into curves, one row a video; the returned function averages them."""
        rows = frames.columns(stats, _EMPTY)
        numbers = rows.arrays["frames"]
        curves = {name: rows.arrays[name] / numbers[:, :1] for name in ("overlap", "center", "norm")}

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            return self._score(curves, (numbers * weights[:, None]).sum(axis=0), weights)

        return score

    def _absent(self, sample: Sample, num_frames: int) -> NDArray[np.bool_]:
        absent = sample.truth.absent if sample.truth else None
        if self.rule.flags is Flags.NEEDED and absent is None:
            raise BenchmarkError(
                f"{sample.sample_id}: the protocol needs flags of absence, and the truth has none. Give the "
                "annotations of the evaluation toolkit with --truth, or choose another protocol."
            )
        return np.zeros(num_frames, bool) if absent is None or self.rule.flags is Flags.UNREAD else absent

    def _carried(self, sample: Sample, run: NDArray[np.float64]) -> NDArray[np.float64]:
        """The result after frames that say nothing repeat the last that does; frame 1 is the result's own so far."""
        if not self.rule.carries:
            return run
        is_unknown = np.isnan(run).max(axis=1)
        sizes = run[:, 2:]
        if self.rule.carries_all:
            is_bad = is_unknown | (sizes <= 0).any(axis=1)
        else:
            is_refused = is_unknown | (sizes < 0).max(axis=1)
            if is_refused.any():
                raise box_pairs.bad_frames(
                    sample,
                    is_refused,
                    "NaN or a negative size",
                    NO_BOX,
                )
            is_bad = (sizes == 0).any(axis=1)
        source = np.where(is_bad, 0, np.arange(len(run)))
        return run[np.maximum.accumulate(source)]

    def _counts(
        self, found: NDArray[np.float64], truth: NDArray[np.float64], absent: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.int64]]:
        rule = self.rule
        found = np.concatenate([truth[:1], found[1:]])
        has_size = (truth[:, (0 if rule.needs_corner else 2) :] > 0).all(axis=1)
        judged = np.ones(len(truth), bool) if rule.judges_all else has_size & ~absent
        invalid = int((~judged & ~absent).sum())
        passed = {"center": invalid * rule.center_of_invalid, "norm": invalid + int(absent.sum()) * rule.norm_of_absent}
        found, truth = found[judged], truth[judged]
        here, there = box_pairs.centers(found), box_pairs.centers(truth)
        size = truth[:, 2:]
        if rule.judges_all:
            overlap = box_pairs.plain_overlap(found, truth)
            norm = box_pairs.distance((here - there) / np.maximum(size, 1.0), np.zeros_like(here))
        else:
            overlap = box_pairs.overlap(found, truth)
            norm = box_pairs.distance(here / size, there / size)
        error = box_pairs.distance(here, there)
        return {
            "overlap": box_pairs.num_above(overlap, OVERLAPS)[None],
            "center": (box_pairs.num_within(error, PIXELS) + passed["center"])[None],
            "norm": (box_pairs.num_within(norm, SIZES) + passed["norm"])[None],
        }

    def _score(
        self, curves: dict[str, NDArray[np.float64]], numbers: NDArray[np.int64], weights: NDArray[np.int64]
    ) -> Scores:
        overlap, center, norm = (self._mean(curves[name], weights) for name in ("overlap", "center", "norm"))
        values = {
            "AUC": float(overlap.mean()),
            "P": float(center[AT_20_PIXELS]),
            "P_norm": float(norm[AT_A_FIFTH]),
            "OP50": float(overlap[AT_50]),
            "OP75": float(overlap[AT_75]),
            "P_norm_AUC": float(norm.mean()),
        }
        counts = dict(zip(("frames", "frames_absent", "frames_beyond_truth"), map(int, numbers), strict=True))
        num = int(weights.sum())
        per_class = {name: dict(values) for name in self.labels.names}
        return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)

    def _mean(self, curves: NDArray[np.float64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [K], the mean curve of float64 [S, K]; NaN of no video."""
        counted = weights * curves.any(axis=1) if self.rule.skips_zero_curves else weights
        return frames.ratio((curves * counted[:, None]).sum(axis=0), counted.sum())


def _curve_laws() -> tuple[laws.Law, ...]:
    """A curve's mean lies between the means of the steps below and above it that its published points set."""
    return (
        laws.RowLaw(
            text="AUC lies within the bounds that OP50, OP75 set",
            names=("AUC", "OP50", "OP75"),
            holds=lambda auc, half, more: (
                (11 * half + 5 * more) / 21 - laws.TOLERANCE <= auc <= (10 + 5 * half + 6 * more) / 21 + laws.TOLERANCE
            ),
        ),
        laws.RowLaw(
            text="P_norm_AUC lies within the bounds that P_norm sets",
            names=("P_norm_AUC", "P_norm"),
            holds=lambda area, point: (
                31 * point / 51 - laws.TOLERANCE <= area <= (21 * point + 30) / 51 + laws.TOLERANCE
            ),
        ),
    )


def _build(rule: Rule, labels: LabelSet) -> SuccessPlots:
    return SuccessPlots(labels, rule)


ENTRIES = {
    "success_plots": MetricEntry(
        protocols={
            name: Protocol(build=partial(_build, rule), score_names=SCORE_NAMES) for name, rule in RULES.items()
        },
        tool="pytracking, UNINEXT's copy of it, the LaSOT and TNL2K evaluation toolkits, got10k",
        laws=(*laws.fractions(*SCORE_NAMES), *laws.rising("OP75", "OP50"), *_curve_laws()),
    ),
}
