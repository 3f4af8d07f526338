"""J&F of the objects of a video: given objects, proposals that are matched to them, and expressions.

Equal to davis2017-evaluation (ac7c43f), vos-benchmark 0.1.0, SA-V's copy of it (sam2, 2b90b9f) and lvos-evaluation
(25cb02d); `RULES` says what tells them apart. The objects are `Truth.tracks`; without tracks they are the ids from 1 to
the highest of the first frame. `Truth.ignored` names, frame by frame, the objects outside their annotated stretch.
Frames are decoded one by one, those that no protocol looks at never; see `object_planes` for what a frame may be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmark.contract import Panoptic, Pooled, Prediction, Sample, Scores, Stats, Truth
from benchmark.labels import LabelSet
from benchmark.metrics import frames, object_means, object_planes, region_contour
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.object_means import ObjectScores
from benchmark.metrics.object_planes import FramePair
from benchmark.metrics.region_contour import Scratch
from benchmark.problems import BenchmarkError, DataError, Problem

MOST_PROPOSALS = 20
NUM_COLUMNS = len(region_contour.COLUMNS)
LONG = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What tells the protocols apart.

    has_ends: the first and the last frame of an object's stretch count.
    is_strict: a predicted id above the number of objects is an error.
    starts_when_seen: an object counts from the first of its frames in which truth or prediction shows it, and only if
    the truth shows it in one of them.
    has_void: void pixels of the truth are taken from both sides; otherwise they are background of the truth.
    is_matched: predicted ids are proposals, assigned to the objects of the video so that the sum of J&F is greatest.
    index_bits: decay is computed with indices of so many bits.   summary: a key of `object_means.SUMMARIES`.
    """

    has_ends: bool = False
    is_strict: bool = False
    starts_when_seen: bool = False
    has_void: bool = False
    is_matched: bool = False
    index_bits: int = LONG
    summary: str = "objects"


RULES: Mapping[str, Rules] = MappingProxyType(
    {
        "davis": Rules(is_strict=True),
        "davis_8bit": Rules(is_strict=True, index_bits=8),
        "vos_benchmark": Rules(starts_when_seen=True, summary="expressions"),
        "proposals": Rules(has_ends=True, has_void=True, is_matched=True),
        "youtube_vos": Rules(summary="groups"),
        "lvos": Rules(has_ends=True, summary="variation"),
        "expressions": Rules(has_ends=True, summary="expressions"),
    }
)
_EMPTY: dict[str, NDArray[Any]] = {
    "object_id": np.zeros(0, np.int64),
    "class_index": np.zeros(0, np.int64),
    "num_frames": np.zeros(0, np.int64),
    "counts": np.zeros((0, NUM_COLUMNS), np.int32),
}
Rows = dict[int, list[NDArray[np.int64]]]
"""Object id -> int64 [6] for each frame that counts."""


@dataclass(frozen=True, slots=True)
class VideoObjects:
    """J, F and their mean over objects, or over groups of objects (the classes of `labels`) first."""

    labels: LabelSet
    rules: Rules

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """A row of counts for each object and frame. Raises DataError with the problems of all frames."""
        rows = _measure_matched(sample, prediction) if self.rules.is_matched else self._measure(sample, prediction)
        tracks = None if sample.truth is None else sample.truth.tracks
        class_of = {} if tracks is None else dict(zip(tracks.object_id.tolist(), tracks.class_index, strict=True))
        counts = [np.zeros((0, NUM_COLUMNS), np.int64), *(np.stack(one) for one in rows.values() if one)]
        arrays: dict[str, NDArray[Any]] = {
            "object_id": np.array(list(rows), np.int64),
            "class_index": np.array([class_of.get(one, 0) for one in rows], np.int64),
            "num_frames": np.array([len(one) for one in rows.values()], np.int64),
            "counts": np.concatenate(counts).astype(np.int32),
        }
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Score every object once; the returned function averages them."""
        table = frames.columns(stats, _EMPTY)
        objects = _objects(table, self.rules)
        class_index = table.arrays["class_index"]
        summarise = object_means.SUMMARIES[self.rules.summary]

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = table.weights(given)
            each = weights[table.sample["class_index"]]
            groups = [objects.means(each * (class_index == row.class_index)) for row in self.labels.classes]
            num = int(weights.sum())
            return Scores(
                values=summarise(objects.means(each), groups),
                counts={"objects": int(each.sum()), "object_frames": int(each @ objects.num_frames)},
                per_class={
                    row.name: {name: means[name] for name in ("J&F", "J", "F")}
                    for row, means in zip(self.labels.classes, groups, strict=True)
                },
                num_expected=num,
                num_scored=num,
            )

        return score

    def _measure(self, sample: Sample, prediction: Prediction) -> Rows:
        stretches = _Stretches.of(_truth(sample), has_ends=self.rules.has_ends, is_open=self.rules.starts_when_seen)
        rows: Rows = {one: [] for one in stretches.object_ids}
        shown = _Shown(stretches) if self.rules.starts_when_seen else None
        beyond = _Beyond(sample, max(stretches.object_ids, default=0))
        radius, scratch = region_contour.tolerance(sample.size), Scratch()
        for index, pair in object_planes.pairs(sample, prediction, stretches.frames):
            ids = stretches.at[index] if shown is None else shown.update(index, pair)
            found, truth = pair.layers(ids, ids, keeps_void=not self.rules.has_void)
            for one, row in zip(ids, region_contour.count_same(found, truth, radius, scratch), strict=False):
                rows.setdefault(one, []).append(row)
            if self.rules.is_strict:
                beyond.note(index, [*pair.found.ids, *pair.found.void_ids])
        beyond.raise_if_any()
        return rows if shown is None else {one: rows[one] for one in sorted(shown.in_truth)}


def per_object(stats: Sequence[Stats], rules: Rules) -> dict[str, dict[str, float]]:
    """ "<video>_<object id>" -> the scores of `object_means.NAMES`, in the order of samples and objects."""
    table = frames.columns(stats, _EMPTY)
    scores = _objects(table, rules).scores
    ids = [stats[position].sample_id for position in table.order]
    names = [f"{ids[s]}_{one}" for s, one in zip(table.sample["object_id"], table.arrays["object_id"], strict=True)]
    return {
        name: dict(zip(object_means.NAMES, row.tolist(), strict=True)) for name, row in zip(names, scores, strict=True)
    }


def _objects(table: frames.Columns, rules: Rules) -> ObjectScores:
    return ObjectScores.of(table.arrays["counts"], table.arrays["num_frames"], rules.index_bits)


def _truth(sample: Sample) -> Truth:
    if sample.truth is None:
        raise BenchmarkError(f"{sample.sample_id}: the sample has no truth to score against. Name one with --truth.")
    return sample.truth


def _given_ids(truth: Truth) -> list[int]:
    """The objects of a video, ascending."""
    if truth.tracks is not None:
        return sorted(truth.tracks.object_id.tolist())
    if not len(truth.frames):
        return []
    first = truth.frames[0]
    if not isinstance(first, Panoptic):
        raise BenchmarkError(f"the first frame is of kind {type(first).__name__}; without tracks it must be Panoptic.")
    return list(range(1, max((one.id for one in first.segments if not one.is_crowd), default=0) + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretches:
    """Which objects count in which frame. at: frame -> object ids, ascending. is_open: the objects are not known."""

    object_ids: tuple[int, ...]
    at: Mapping[int, Sequence[int]]
    is_open: bool

    @property
    def frames(self) -> list[int]:
        """Frames that are looked at, ascending."""
        return sorted(self.at)

    @classmethod
    def of(cls, truth: Truth, *, has_ends: bool, is_open: bool) -> _Stretches:
        num = len(truth.frames)
        inner = slice(None) if has_ends else slice(1, -1)
        if is_open and truth.tracks is None:
            return cls(object_ids=(), at=dict.fromkeys(list(range(num))[inner], ()), is_open=True)
        ids = _given_ids(truth)
        left_out = [set(one.object_id.tolist()) for one in truth.ignored or ()] or [set[int]()] * num
        at: dict[int, list[int]] = {}
        for one in ids:
            for index in [index for index in range(num) if one not in left_out[index]][inner]:
                at.setdefault(index, []).append(one)
        return cls(object_ids=tuple(ids), at=at, is_open=False)


class _Shown:
    """Objects that truth or prediction have shown so far, in frames that count for them."""

    def __init__(self, stretches: _Stretches) -> None:
        self.stretches = stretches
        self.seen: set[int] = set()
        self.in_truth: set[int] = set()

    def update(self, index: int, pair: FramePair) -> list[int]:
        """The objects that count in this frame."""
        in_truth = {*pair.truth.ids, *pair.truth.void_ids}
        in_found = {*pair.found.ids, *pair.found.void_ids}
        everything = in_truth | in_found | self.seen
        counting = everything if self.stretches.is_open else set(self.stretches.at[index])
        self.in_truth |= in_truth & counting
        self.seen |= (in_truth | in_found) & counting
        return sorted(self.seen & counting)


class _Beyond:
    """Predicted ids above the number of objects, which the official tool refuses."""

    def __init__(self, sample: Sample, most: int) -> None:
        self.sample, self.most = sample, most
        self.ids: set[int] = set()
        self.frames: list[int] = []

    def note(self, index: int, ids: Sequence[int]) -> None:
        """Remember the ids of a frame that are too high."""
        high = {one for one in ids if one > self.most}
        if high:
            self.ids |= high
            self.frames.append(index)

    def raise_if_any(self) -> None:
        """Raise DataError, one line for the video."""
        if self.ids:
            shown = ", ".join(map(str, sorted(self.ids)[:5]))
            where = self.sample.frames[self.frames[0]].stem if self.sample.frames else self.frames[0]
            message = (
                f"{len(self.frames)} frames (first: {where}) hold ids {shown}; the highest of the video is {self.most}"
            )
            remedy = "Write 0 where there is no object, and no void"
            raise DataError([Problem(place=self.sample.sample_id, message=message, remedy=remedy)])


def _measure_matched(sample: Sample, prediction: Prediction) -> Rows:
    """Rows of every object for the proposal that it is assigned."""
    truth = _truth(sample)
    ids = _given_ids(truth)
    most = max(MOST_PROPOSALS, len(ids))
    beyond = _Beyond(sample, MOST_PROPOSALS)
    radius, scratch = region_contour.tolerance(sample.size), Scratch()
    counts = np.zeros((len(truth.frames), most, len(ids), NUM_COLUMNS), np.int32)
    highest = 0
    for index, pair in object_planes.pairs(sample, prediction, range(len(truth.frames))):
        beyond.note(index, [*pair.found.ids, *pair.found.void_ids])
        shown = [one for one in pair.found.ids if one <= MOST_PROPOSALS]
        highest = max([highest, *shown])
        counts[index] = _proposal_counts(pair, shown, ids, radius, scratch)
    beyond.raise_if_any()
    counts = counts[:, : max(highest, len(ids))]
    both = (region_contour.region(counts).mean(axis=0) + region_contour.contour(counts).mean(axis=0)) / 2
    proposals, places = linear_sum_assignment(-both)
    rows = {ids[place]: list(counts[:, one, place]) for one, place in zip(proposals, places, strict=True)}
    return {one: rows[one] for one in ids}


def _proposal_counts(
    pair: FramePair, shown: Sequence[int], ids: Sequence[int], radius: int, scratch: Scratch
) -> NDArray[np.int64]:
    """int64 [N, K, 6], N = max(20, K) proposals, whether shown or not, against every one of K objects."""
    nobody = -1
    found, truth = pair.layers([*shown, nobody], ids)
    table = np.zeros((max(MOST_PROPOSALS, len(ids)), len(ids), NUM_COLUMNS), np.int64)
    if ids:
        counts = region_contour.count_pairs(found, truth, radius, scratch)[:, : len(ids)]
        table[:] = counts[len(shown)]
        table[[one - 1 for one in shown]] = counts[: len(shown)]
    return table


def _protocol(name: str) -> Protocol:
    names = object_means.score_names(RULES[name].summary)
    return Protocol(build=lambda labels: VideoObjects(labels, RULES[name]), score_names=names)


ENTRIES = {
    "j_and_f": MetricEntry(
        protocols={name: _protocol(name) for name in ("davis", "davis_8bit", "vos_benchmark")},
        tool="davis2017-evaluation (davis; davis_8bit with its indices of 8 bits), vos-benchmark 0.1.0",
        laws=object_means.LAWS,
        lower_is_better=object_means.LOWER_IS_BETTER,
    ),
    "j_and_f_matched": MetricEntry(
        protocols={"davis": _protocol("proposals")},
        tool="davis2017-evaluation, unsupervised task",
        laws=object_means.LAWS,
        lower_is_better=object_means.LOWER_IS_BETTER,
    ),
    "j_and_f_grouped": MetricEntry(
        protocols={name: _protocol(name) for name in ("youtube_vos", "lvos")},
        tool="the published rule, as pytracking computes it (youtube_vos), lvos-evaluation (lvos)",
        laws=object_means.LAWS,
        lower_is_better=object_means.LOWER_IS_BETTER,
    ),
    "j_and_f_expressions": MetricEntry(
        protocols={"expressions": _protocol("expressions")},
        tool="MeViS, tools/eval_mevis.py",
        laws=object_means.LAWS,
    ),
}
