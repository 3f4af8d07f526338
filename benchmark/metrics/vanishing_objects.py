"""J&F of objects that vanish and return, with a contour tolerance that shrinks with the object: MOSEv2.

Equal to tools/score.py of MOSE-api (henghuiding/MOSE-api, 241977a, MOSEv2/sam2_rcms). Its names are kept: F_new is the
contour accuracy whose tolerance is ceil(0.1 sqrt(area)) pixels, at most 0.008 of the diagonal. Where the diagonal
decides, neither F_new nor F rounds the radius up, and the disc lies half a pixel off its centre as in the tool.
J is (intersection + 1) / (union + 1). The first and the last frame do not count. Frames without the object, from where
it vanishes, and frames with it, from where it returns, are averaged stretch by stretch; what lies before the first
change belongs to neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, laws, object_planes
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.shifted_discs import Contours, disc
from benchmark.problems import BenchmarkError

DIAGONAL, AREA = 0.008, 0.1
"""Tolerance of a contour as a share of the picture's diagonal, and of the root of the object's area."""
COLUMNS = (
    "common",
    "union",
    "area",
    "found_edge",
    "truth_edge",
    "found_hits",
    "truth_hits",
    "found_near",
    "truth_near",
)
"""Counts of pixels of an object in a frame; hits: within F's tolerance, near: within that of F_new."""
SCORE_NAMES = ("J&F_new", "J", "F_new", "disappear_J&F_new", "reappear_J&F_new", "F", "J&F")
_PARTS = ("J", "F_new", "F", "disappear_J", "disappear_F", "reappear_J", "reappear_F")
_EMPTY: dict[str, NDArray[Any]] = {
    "object_id": np.zeros(0, np.int64),
    "num_frames": np.zeros(0, np.int64),
    "counts": np.zeros((0, len(COLUMNS)), np.int64),
}


@dataclass(frozen=True, slots=True)
class VanishingObjects:
    """The objects are `Truth.tracks`; ids that a result invents do not matter."""

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """A row of counts for each object and frame. Raises DataError with the problems of all frames."""
        if sample.truth is None or sample.truth.tracks is None:
            raise BenchmarkError(f"{sample.sample_id}: the truth lists no objects. Name one with --truth.")
        ids = sorted(sample.truth.tracks.object_id.tolist())
        rows: dict[int, list[list[int]]] = {one: [] for one in ids}
        inner = range(1, len(sample.truth.frames) - 1)
        for _, pair in object_planes.pairs(sample, prediction, inner):
            for one in ids:
                rows[one].append(_count(pair.found.mask(one), pair.truth.mask(one), sample.size))
        counts = [row for one in ids for row in rows[one]]
        arrays: dict[str, NDArray[Any]] = {
            "object_id": np.array(ids, np.int64),
            "num_frames": np.array([len(rows[one]) for one in ids], np.int64),
            "counts": np.array(counts, np.int64).reshape(-1, len(COLUMNS)),
        }
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Score every object once; the returned function averages them."""
        table = frames.columns(stats, _EMPTY)
        objects = _scores_of_objects(table.arrays["counts"], table.arrays["num_frames"])
        known = ~np.isnan(objects)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = table.weights(given)
            each = weights[table.sample["object_id"]]
            total = each @ np.where(known, objects, 0.0)
            means = dict(zip(_PARTS, frames.ratio(total, each @ known).tolist(), strict=True))
            num = int(weights.sum())
            return Scores(
                values=_values(means),
                counts={"objects": int(each.sum()), "object_frames": int(each @ table.arrays["num_frames"])},
                per_class={},
                num_expected=num,
                num_scored=num,
            )

        return score


def per_object(stats: Sequence[Stats]) -> dict[str, dict[str, float]]:
    """ "<video>_<object id>" -> J, F_new, F and those of its stretches, NaN where there is none."""
    table = frames.columns(stats, _EMPTY)
    ids = [stats[position].sample_id for position in table.order]
    names = [f"{ids[s]}_{one}" for s, one in zip(table.sample["object_id"], table.arrays["object_id"], strict=True)]
    scores = _scores_of_objects(table.arrays["counts"], table.arrays["num_frames"])
    return {name: dict(zip(_PARTS, row.tolist(), strict=True)) for name, row in zip(names, scores, strict=True)}


def radii(size: tuple[int, int], area: int) -> tuple[float, float]:
    """Radius of the disc for F and for F_new, pixels. size: (height, width). area: pixels of the true object."""
    bound = DIAGONAL * math.sqrt(size[0] * size[0] + size[1] * size[1])
    own = math.ceil(AREA * math.sqrt(area)) if area else math.ceil(bound)
    return (float(math.ceil(bound)), float(own)) if own < bound else (bound, bound)


def _count(found: NDArray[np.bool_] | None, truth: NDArray[np.bool_] | None, size: tuple[int, int]) -> list[int]:
    """A row of `COLUMNS`. found, truth: bool [H, W], None for an object without pixels."""
    found_area, area = (0 if mask is None else int(np.count_nonzero(mask)) for mask in (found, truth))
    common = 0 if found is None or truth is None else int(np.count_nonzero(found & truth))
    found_edge, truth_edge = Contours.of(found), Contours.of(truth)
    hits = [
        count
        for radius in radii(size, area)
        for count in (found_edge.near(truth_edge, disc(radius)), truth_edge.near(found_edge, disc(radius)))
    ]
    return [common, found_area + area - common, area, len(found_edge), len(truth_edge), *hits]


def _scores_of_objects(counts: NDArray[np.int64], num_frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [T, 7], columns as in `_PARTS`. counts: int64 [R, 9], object after object. num_frames: int64 [T]."""
    ends = np.cumsum(num_frames)
    common, union, area, found_edge, truth_edge, *hits = counts.T
    region = (common + 1) / (union + 1)
    classic = _contour(found_edge, truth_edge, hits[0], hits[1])
    adaptive = _contour(found_edge, truth_edge, hits[2], hits[3])
    rows = []
    for end, num in zip(ends.tolist(), num_frames.tolist(), strict=True):
        part = slice(end - num, end)
        rows.append(_score(region[part], adaptive[part], classic[part], area[part] == 0))
    return np.array(rows, np.float64).reshape(len(rows), len(_PARTS))


def _score(
    region: NDArray[np.float64], adaptive: NDArray[np.float64], classic: NDArray[np.float64], gone: NDArray[np.bool_]
) -> list[float]:
    """The scores of one object, as in `_PARTS`. region, adaptive, classic: float64 [T]. gone: bool [T]."""
    if not len(region):
        return [0.0, 0.0, 0.0, *[math.nan] * 4]
    changes = np.flatnonzero(gone[1:] != gone[:-1]) + 1
    stretches = list(zip(changes.tolist(), [*changes[1:].tolist(), len(gone)], strict=False))
    found = [float(region.mean()), float(adaptive.mean()), float(classic.mean())]
    for is_gone in (True, False):
        chosen = [slice(start, end) for start, end in stretches if gone[start] == is_gone]
        for values in (region, adaptive):
            found.append(float(np.mean([values[one].mean() for one in chosen])) if chosen else math.nan)
    return found


def _contour(
    found_edge: NDArray[np.int64],
    truth_edge: NDArray[np.int64],
    found_hits: NDArray[np.int64],
    truth_hits: NDArray[np.int64],
) -> NDArray[np.float64]:
    """F, float64 [R], of counts int64 [R]; 1 where neither side has a contour, 0 where one has none."""
    precision = np.divide(found_hits, found_edge, out=np.ones(found_edge.shape), where=found_edge > 0)
    recall = np.divide(truth_hits, truth_edge, out=np.ones(truth_edge.shape), where=truth_edge > 0)
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros(total.shape), where=total > 0)


def _values(means: Mapping[str, float]) -> dict[str, float]:
    """The scores that the tool prints. means: of `_PARTS`."""
    return {
        "J&F_new": (means["J"] + means["F_new"]) / 2,
        "J": means["J"],
        "F_new": means["F_new"],
        "disappear_J&F_new": (means["disappear_J"] + means["disappear_F"]) / 2,
        "reappear_J&F_new": (means["reappear_J"] + means["reappear_F"]) / 2,
        "F": means["F"],
        "J&F": (means["J"] + means["F"]) / 2,
    }


def _build(labels: LabelSet) -> VanishingObjects:
    return VanishingObjects()


ENTRIES = {
    "j_and_f_new": MetricEntry(
        protocols={"mose2": Protocol(build=_build, score_names=SCORE_NAMES)},
        tool="MOSE-api 241977a, MOSEv2/sam2_rcms/tools/score.py",
        laws=(
            *laws.fractions(*SCORE_NAMES),
            laws.equality("J&F_new = (J + F_new) / 2", ("J&F_new", "J", "F_new"), lambda j, f: (j + f) / 2),
            laws.equality("J&F = (J + F) / 2", ("J&F", "J", "F"), lambda j, f: (j + f) / 2),
        ),
    ),
}
