"""GOT-10k's average overlap and success rates: https://github.com/got-10k/toolkit (956e728)

Frame 1 is dropped. Both boxes are clipped to the picture (corner first, then size), frames that do not show the object
are dropped (`Truth.absent`, from cover.label), and the frames of all videos are laid end to end: AO is the mean
overlap, SR50 and SR75 the share above 0.5 and 0.75. The frames of repeated runs are laid end to end as well. The server
adds SR75, the toolkit does not compute it. The speed that both print beside (frames a second) is no fraction: left out.
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
from benchmark.problems import BenchmarkError

SCORE_NAMES = ("AO", "SR50", "SR75")
_EMPTY: dict[str, NDArray[Any]] = {"overlap": np.zeros(0, np.float64)}


@dataclass(frozen=True, slots=True)
class AverageOverlap:
    """AO, SR50 and SR75 over the pooled frames."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """The overlaps of all judged frames of all runs, float64 [N], ascending."""
        truth, runs = box_pairs.pair(sample, prediction)
        if len(runs) != len(truth):
            raise box_pairs.wrong_length(sample, len(runs), len(truth))
        unknown = np.isnan(runs.reshape(len(runs), -1)).max(axis=1, initial=False)
        if unknown.any():
            raise box_pairs.bad_frames(
                sample, unknown, "NaN", "Write a box for each frame, 0,0,0,0 where there is none"
            )
        if not all(sample.size):
            raise BenchmarkError(f"{sample.sample_id}: the picture's size is unknown. Add meta_info.ini to the truth.")
        absent = sample.truth.absent if sample.truth else None
        judged = np.ones(len(truth), bool) if absent is None else ~absent
        judged[:1] = False
        bound = np.array(sample.size[::-1], np.float64)
        here = _clipped(truth[judged], bound)
        found = [box_pairs.plain_overlap(_clipped(run[judged], bound), here) for run in np.moveaxis(runs, 1, 0)]
        return Stats(sample_id=sample.sample_id, arrays={"overlap": np.sort(np.concatenate(found))})

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sums and counts of each video; the returned function adds them up."""
        rows = frames.columns(stats, _EMPTY)
        overlap, sample, num = rows.arrays["overlap"], rows.sample["overlap"], len(rows.order)
        parts = (np.ones_like(overlap), overlap, overlap > 0.5, overlap > 0.75)
        sums = np.stack([np.bincount(sample, weights=part, minlength=num) for part in parts], axis=1)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            judged, *totals = (sums * weights[:, None]).sum(axis=0)
            values = {name: float(frames.ratio(total, judged)) for name, total in zip(SCORE_NAMES, totals, strict=True)}
            counted = int(weights.sum())
            return Scores(
                values=values,
                counts={"frames": int(judged)},
                per_class={name: dict(values) for name in self.labels.names},
                num_expected=counted,
                num_scored=counted,
            )

        return score


def _clipped(boxes: NDArray[np.float64], bound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes inside a picture of float64 [2] (width, height); a corner that moves keeps its box's size."""
    corner = np.clip(boxes[:, :2], 0, bound)
    return np.hstack([corner, np.clip(boxes[:, 2:], 0, bound - corner)])


ENTRIES = {
    "average_overlap": MetricEntry(
        protocols={"got10k": Protocol(build=AverageOverlap, score_names=SCORE_NAMES)},
        tool="got10k toolkit (AO, SR50), the GOT-10k server (SR75)",
        laws=(*laws.fractions(*SCORE_NAMES), *laws.mean_of_steps("AO", {"SR50": 0.5, "SR75": 0.75})),
    ),
}
