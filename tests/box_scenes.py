"""Videos of single object tracking drawn by dice: truth, flags of absence and results with every corner case.

Each group is a small data set. `expected.py` in tests/golden/boxes runs the official tools on the same videos.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchmark import box_tracks
from benchmark.contract import Prediction, Prompt, Sample, Task, Truth

SIZE = (120, 160)
Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxScene:
    """truth: float64 [T, 4]. absent: bool [T]. found: float64 [F, R, 4]. seconds: float64 [F, R]."""

    name: str
    truth: Boxes
    absent: NDArray[np.bool_]
    found: Boxes
    seconds: Boxes

    def sample(self) -> Sample:
        """As readers give it, with flags of absence."""
        truth = Truth(frames=box_tracks.one_run(self.truth), absent=self.absent)
        return Sample(sample_id=self.name, frames=(), size=SIZE, prompt=Prompt(task=Task.SOT), truth=truth)

    def prediction(self) -> Prediction:
        """As readers give it."""
        return Prediction(frames=box_tracks.BoxTrack(self.found), seconds=self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What is special about a small data set; shares are chances a frame.

    decimals: of all numbers.   noise: pixels of error.   absent, flat, at_edge: truth out of sight, of no width,
    touching the left edge.   lost, negative, unknown: results of zero size, of negative size, of NaN.   more, fewer:
    lines beyond the video, lines that are missing.   num_runs: repeated runs.   is_lost_from_the_start: the object of
    the last video is absent in frame 1 and never found.
    """

    decimals: int = 2
    noise: float = 4.0
    absent: float = 0.1
    flat: float = 0.0
    at_edge: float = 0.0
    lost: float = 0.0
    negative: float = 0.0
    unknown: float = 0.0
    more: int = 0
    fewer: int = 0
    num_runs: int = 1
    is_lost_from_the_start: bool = False


GROUPS: Mapping[str, Group] = MappingProxyType(
    {
        "typical": Group(lost=0.1),
        "whole_numbers": Group(decimals=0, noise=2.0, lost=0.1),
        "invalid_truth": Group(decimals=1, flat=0.15, at_edge=0.2, lost=0.1),
        "longer_results": Group(more=5, lost=0.2),
        "broken_results": Group(negative=0.1, unknown=0.1, lost=0.1, flat=0.1),
        "never_found": Group(absent=0.4, lost=0.3, is_lost_from_the_start=True),
        "shorter_results": Group(decimals=1, fewer=6, unknown=0.05, lost=0.05, absent=0.0),
        "halves": Group(decimals=0, noise=1.0, absent=0.0),
        "three_runs": Group(num_runs=3, absent=0.2, at_edge=0.3),
    }
)


@cache
def scenes(group: str, num: int = 6) -> tuple[BoxScene, ...]:
    """The videos of a group, the same at every call."""
    rng = np.random.default_rng(sum(map(ord, group)))
    return tuple(_scene(rng, GROUPS[group], f"{group}-{index + 1}", is_last=index + 1 == num) for index in range(num))


def _scene(rng: np.random.Generator, group: Group, name: str, *, is_last: bool) -> BoxScene:
    num = int(rng.integers(20, 45))
    steps = np.hstack([rng.normal(0, 2, (num, 2)), rng.normal(0, 1, (num, 2))])
    truth = np.array([60.0, 40.0, 30.0, 22.0]) + steps.cumsum(axis=0)
    truth[:, 2:] = np.maximum(truth[:, 2:], 4.0)
    absent = rng.random(num) < group.absent
    absent[0] = is_last and group.is_lost_from_the_start
    truth[_some(rng, num, group.at_edge), :1] *= -0.05
    truth[_some(rng, num, group.flat), 2] = 0.0
    lengths = num + group.more - int(rng.integers(0, group.fewer + 1))
    runs = [_result(rng, group, truth, lengths) for _ in range(group.num_runs)]
    found = np.stack(runs, axis=1)
    if is_last and group.is_lost_from_the_start:
        found[...] = [2000.0, 3000.0, 5.0, 5.0]
    offset = 0.5 if name.startswith("halves") else 0.0
    return BoxScene(
        name=name,
        truth=np.round(truth, group.decimals) + offset,
        absent=absent,
        found=np.round(found, group.decimals) + offset,
        seconds=np.round(rng.uniform(0.01, 0.2, found.shape[:2]), 4),
    )


def _result(rng: np.random.Generator, group: Group, truth: Boxes, length: int) -> Boxes:
    kept = np.minimum(np.arange(length), len(truth) - 1)
    drift = rng.random((length, 1)) * group.noise
    found = truth[kept] + rng.normal(0, 1, (length, 4)) * drift
    found[:, 2:] = np.maximum(np.abs(found[:, 2:]), 1.0)
    found[_some(rng, length, group.lost) & (np.arange(length) < len(truth))] = 0.0  # beyond, pytracking stops
    found[_some(rng, length, group.negative), 2] = -3.0
    found[_some(rng, length, group.unknown)] = np.nan
    return found


def _some(rng: np.random.Generator, num: int, share: float) -> NDArray[np.bool_]:
    """bool [num], never the first frame."""
    chosen = rng.random(num) < share
    chosen[0] = False
    return chosen
