"""HOTA, CLEAR and identity scores of tracked boxes and masks, as TrackEval 1.3.0: github.com/JonathonLuiten/TrackEval

Protocols differ in what is excused before anything is counted. `mot17` (also MOT16) and `mot20`: predictions on
distractors; `no_preprocessing` (MOT15): nothing. Masks (`trackeval`: KITTI MOTS, MOTSChallenge): unmatched predictions
mostly inside the ignored region, class by class. Several classes are averaged (TrackEval's `cls_comb_cls_av`). As
there, a ratio of nothing is 0 and LocA without a match is 1; a class that occurs on neither side is undefined (NaN).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, track_counts, track_matching, tracking_laws
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.track_counts import ALPHAS
from benchmark.metrics.track_rows import EPSILON, Video, compare_boxes, compare_masks

COUNTS = (
    "GT_Dets", "Dets", "GT_IDs", "IDs", "CLR_Frames", "CLR_TP", "IDSW", "Frag", "MT", "PT", "IDTP",
)  # fmt: skip
"""Columns of the integer statistics; all others follow from them."""
HOTA_NAMES = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA")
CLEAR_NAMES = ("MOTA", "MOTP", "MODA", "CLR_Re", "CLR_Pr", "MTR", "PTR", "MLR", "sMOTA", "CLR_F1", "FP_per_frame",
               "MOTAL")  # fmt: skip
_REPORTED = ("HOTA", "MOTA", "IDF1", "DetA", "AssA")
"""What papers and the challenge's tables show, which comes first; all others follow as the tool has them."""
_ALL = (*HOTA_NAMES, "RHOTA", "HOTA(0)", "LocA(0)", "HOTALocA(0)", *CLEAR_NAMES, "IDF1", "IDR", "IDP")
SCORE_NAMES = tuple(dict.fromkeys((*_REPORTED, *_ALL)))
MASK_NAMES = {"sMOTSA": "sMOTA", "MOTSA": "MOTA", "MOTSP": "MOTP"}
"""What papers call these scores when they are of masks."""
NUM_ALPHAS = len(ALPHAS)
_EMPTY: dict[str, NDArray[Any]] = {
    "count_class": np.zeros(0, np.int64),
    "counts": np.zeros((0, len(COUNTS)), np.int64),
    "matches": np.zeros((0, NUM_ALPHAS), np.int64),
    "similarity": np.zeros((0, NUM_ALPHAS + 1)),
    "pair_class": np.zeros(0, np.int64),
    "pair_length": np.zeros((0, 2), np.int64),
    "pair_matches": np.zeros((0, NUM_ALPHAS), np.int64),
}

Row = Mapping[str, float]


class TrackEvalBoxes:
    """TrackEval's overlap of (x, y, w, h) boxes; boxes without an area overlap nothing."""

    box_format = "xywh"

    def ends(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Right and lower edge, float64 [N, 2]. boxes: float64 [N, 4]."""
        return boxes[:, :2] + boxes[:, 2:]

    def areas(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area of each box, float64 [N]. boxes: float64 [N, 4]."""
        sides = self.ends(boxes) - boxes[:, :2]
        return sides[:, 0] * sides[:, 1]

    def own_areas(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same, float64 [N]. boxes: float64 [N, 4]."""
        return self.areas(boxes)

    def iou(
        self, common: NDArray[np.float64], truth: NDArray[np.float64], found: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Intersection over union, float64 [P]. common, truth, found: float64 [P], areas."""
        union = truth + found - common
        is_real = (truth > EPSILON) & (found > EPSILON) & (union > EPSILON)
        return np.divide(common, union, out=np.zeros(len(common)), where=is_real)


@dataclass(frozen=True, slots=True)
class BoxTracking:
    """Scores of tracked boxes. distractors: category ids of truth that excuses the predictions on it.

    The truth's `score` is the file's flag: 0 takes a box out of the count, after the excuses.
    """

    labels: LabelSet
    distractors: tuple[int, ...] = ()

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Counts of one video."""
        video = compare_boxes(sample, prediction, TrackEvalBoxes())
        counted = video.truth.class_index < self.labels.num_classes
        kept = np.ones(len(video.found), bool)
        if self.distractors:
            near = track_matching.qualifying(video.pairs)
            matched = near.take(track_matching.best(video, near, near.similarity))
            excusing = [row.class_index for row in self.labels.everything if row.category_id in self.distractors]
            is_excused = np.isin(video.truth.class_index[matched.truth], excusing)
            kept[matched.found[is_excused]] = False
        return _stats(sample, self.labels, [video.take(counted & (video.truth.score != 0), kept)])

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """The scoring function over all videos."""
        return _pool(self.labels, stats, {})


@dataclass(frozen=True, slots=True)
class MaskTracking:
    """Scores of tracked masks, class by class; `Truth.ignored` excuses unmatched predictions."""

    labels: LabelSet

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Counts of one video."""
        video = compare_masks(sample, prediction)
        return _stats(sample, self.labels, [self._of_class(video, index) for index in range(self.labels.num_classes)])

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """The scoring function over all videos."""
        return _pool(self.labels, stats, MASK_NAMES)

    @staticmethod
    def _of_class(whole: Video, class_index: int) -> Video:
        video = whole.of_class(class_index)
        near = track_matching.qualifying(video.pairs)
        matched = near.take(track_matching.best(video, near, near.similarity, track_matching.FORBIDDEN))
        kept = video.in_ignored <= 0.5 + EPSILON
        kept[matched.found] = True
        return video.take(np.ones(len(video.truth), bool), kept)


def _stats(sample: Sample, labels: LabelSet, videos: Sequence[Video]) -> Stats:
    """One row a class. videos: of each class."""
    parts: list[dict[str, NDArray[Any]]] = []
    for class_index, video in enumerate(videos):
        sizes = track_counts.Sizes.of(video)
        clear = track_counts.trackeval_clear(video, sizes)
        common = video.pairs.take(video.pairs.similarity >= track_matching.THRESHOLD)
        found = track_counts.association(video, sizes)
        # TrackEval forgets to count the frames of a sequence in which one side is empty.
        num_frames = video.num_frames if len(video.truth) and len(video.found) else 0
        counts = (
            len(video.truth), len(video.found), len(sizes.truth_length), len(sizes.found_length), num_frames,
            clear.matches, clear.switches, clear.fragments, clear.mostly_tracked, clear.partly_tracked,
            track_counts.identity_matches(sizes, common),
        )  # fmt: skip
        parts.append(
            {
                "count_class": np.array([class_index]),
                "counts": np.array([counts], np.int64),
                "matches": found.matches[None],
                "similarity": np.append(found.similarity, clear.similarity)[None],
                "pair_class": np.full(len(found.pair_length), class_index),
                "pair_length": found.pair_length,
                "pair_matches": found.pair_matches,
            }
        )
    arrays = {name: np.concatenate([nothing, *(part[name] for part in parts)]) for name, nothing in _EMPTY.items()}
    return Stats(sample_id=sample.sample_id, arrays=arrays)


def _pool(labels: LabelSet, stats: Sequence[Stats], names: Mapping[str, str]) -> Pooled:
    """Lay the counts of all videos end to end. names: further name -> name of a score."""
    rows = frames.columns(stats, _EMPTY)
    shares = _pair_shares(rows.arrays["pair_length"], rows.arrays["pair_matches"])

    def score(given: NDArray[np.int64] | None) -> Scores:
        weights = rows.weights(given)
        tables = []
        for class_index in range(labels.num_classes):
            picked = np.flatnonzero(rows.arrays["count_class"] == class_index)
            times = weights[rows.sample["count_class"]][picked]
            pairs = np.flatnonzero(rows.arrays["pair_class"] == class_index)
            pair_times = weights[rows.sample["pair_class"]][pairs]
            sums = _Sums(
                counts=dict(zip(COUNTS, (times @ rows.arrays["counts"][picked]).tolist(), strict=True)),
                matches=times @ rows.arrays["matches"][picked],
                similarity=(times[:, None] * rows.arrays["similarity"][picked]).sum(axis=0),
                shares=np.stack([(pair_times[:, None] * share[pairs]).sum(axis=0) for share in shares]),
            )
            tables.append(sums)
        return _scores(labels, tables, int(weights.sum()), names)

    return score


def _pair_shares(length: NDArray[np.int64], matches: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Of every pair of trajectories, its part in AssA, AssRe and AssPr: matches squared over a length, float64 [K, 19].

    length: int64 [K, 2], truth and found. matches: int64 [K, 19].
    """
    truth, found = length[:, :1], length[:, 1:]
    totals = (truth + found - matches, truth, found)
    return tuple(matches * (matches / np.maximum(1, total)) for total in totals)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """One class over all videos. matches: int64 [19]. similarity: float64 [20]. shares: float64 [3, 19]."""

    counts: Mapping[str, int]
    matches: NDArray[np.int64]
    similarity: NDArray[np.float64]
    shares: NDArray[np.float64]

    @property
    def is_empty(self) -> bool:
        """The class occurs on neither side."""
        return not (self.counts["GT_Dets"] or self.counts["Dets"])

    def derived_counts(self) -> dict[str, int]:
        """TrackEval's integer fields."""
        counts = dict(self.counts)
        truth, found = counts["GT_Dets"], counts["Dets"]
        return {
            "GT_Dets": truth,
            "Dets": found,
            "GT_IDs": counts["GT_IDs"],
            "IDs": counts["IDs"],
            "CLR_TP": counts["CLR_TP"],
            "CLR_FN": truth - counts["CLR_TP"],
            "CLR_FP": found - counts["CLR_TP"],
            "IDSW": counts["IDSW"],
            "MT": counts["MT"],
            "PT": counts["PT"],
            "ML": counts["GT_IDs"] - counts["MT"] - counts["PT"],
            "Frag": counts["Frag"],
            "CLR_Frames": counts["CLR_Frames"],
            "IDTP": counts["IDTP"],
            "IDFN": truth - counts["IDTP"],
            "IDFP": found - counts["IDTP"],
        }

    def by_alpha(self) -> dict[str, NDArray[np.float64]]:
        """HOTA's scores, float64 [19] each."""
        truth, found, hits = self.counts["GT_Dets"], self.counts["Dets"], self.matches
        association = self.shares / np.maximum(1, hits)
        scores = {
            "DetA": hits / np.maximum(1, truth + found - hits),
            "DetRe": hits / max(1, truth),
            "DetPr": hits / max(1, found),
            "AssA": association[0],
            "AssRe": association[1],
            "AssPr": association[2],
            "LocA": np.maximum(1e-10, self.similarity[:-1]) / np.maximum(1e-10, hits),
        }
        scores["HOTA"] = np.sqrt(scores["DetA"] * scores["AssA"])
        scores["RHOTA"] = np.sqrt(scores["DetRe"] * scores["AssA"])
        return scores

    def values(self) -> dict[str, float]:
        """Every score of `SCORE_NAMES`."""
        if self.is_empty:
            return dict.fromkeys(SCORE_NAMES, float("nan"))
        curves = self.by_alpha()
        means = {name: float(curves[name].mean()) for name in (*HOTA_NAMES, "RHOTA")}
        first = {"HOTA(0)": float(curves["HOTA"][0]), "LocA(0)": float(curves["LocA"][0])}
        found = {**means, **first, "HOTALocA(0)": first["HOTA(0)"] * first["LocA(0)"]}
        found |= self._clear() | self._identity()
        return {name: found[name] for name in SCORE_NAMES}

    def _clear(self) -> dict[str, float]:
        row = self.derived_counts()
        truth, ids = max(1, row["GT_Dets"]), max(1, row["GT_IDs"])
        hits, missed, false, switches = row["CLR_TP"], row["CLR_FN"], row["CLR_FP"], row["IDSW"]
        similarity = float(self.similarity[-1])
        return {
            "MOTA": (hits - false - switches) / truth,
            "MOTP": similarity / max(1, hits),
            "MODA": (hits - false) / truth,
            "CLR_Re": hits / truth,
            "CLR_Pr": hits / max(1, hits + false),
            "MTR": row["MT"] / ids,
            "PTR": row["PT"] / ids,
            "MLR": row["ML"] / ids,
            "sMOTA": (similarity - false - switches) / truth,
            "CLR_F1": hits / max(1.0, hits + 0.5 * missed + 0.5 * false),
            "FP_per_frame": false / max(1, row["CLR_Frames"]),
            "MOTAL": (hits - false - (float(np.log10(switches)) if switches else 0.0)) / truth,
        }

    def _identity(self) -> dict[str, float]:
        row = self.derived_counts()
        hits, missed, false = row["IDTP"], row["IDFN"], row["IDFP"]
        return {
            "IDF1": hits / max(1.0, hits + 0.5 * false + 0.5 * missed),
            "IDR": hits / max(1.0, hits + missed),
            "IDP": hits / max(1.0, hits + false),
        }


def _scores(labels: LabelSet, tables: Sequence[_Sums], num: int, names: Mapping[str, str]) -> Scores:
    by_class = {name: sums.values() for name, sums in zip(labels.names, tables, strict=True)}
    values = {name: frames.mean(np.array([row[name] for row in by_class.values()])) for name in SCORE_NAMES}
    counts: dict[str, int] = {}
    for sums in tables:
        for name, count in sums.derived_counts().items():
            counts[name] = counts.get(name, 0) + int(count)
    per_class = {
        name: {**_named(row, names), **_curves(sums)}
        for (name, row), sums in zip(by_class.items(), tables, strict=True)
    }
    return Scores(values=_named(values, names), counts=counts, per_class=per_class, num_expected=num, num_scored=num)


def _named(row: Row, names: Mapping[str, str]) -> dict[str, float]:
    """Scores in the order of `SCORE_NAMES`, behind the first of them those that have a name of their own."""
    first, *rest = SCORE_NAMES
    return {first: row[first], **{new: row[old] for new, old in names.items()}, **{name: row[name] for name in rest}}


def _curves(sums: _Sums) -> dict[str, float]:
    """HOTA, DetA, AssA and LocA at every alpha, as "HOTA@0.05"."""
    curves = sums.by_alpha()
    return {
        f"{name}@{alpha:.2f}": float("nan") if sums.is_empty else float(value)
        for name in ("HOTA", "DetA", "AssA", "LocA")
        for alpha, value in zip(ALPHAS, curves[name], strict=True)
    }


MOT17_DISTRACTORS = (2, 7, 8, 12)
"""Person on vehicle, static person, distractor, reflection."""
MOT20_DISTRACTORS = (*MOT17_DISTRACTORS, 6)
"""And the non-motorised vehicle."""
_TOOL = "TrackEval 1.3.0"

ENTRIES = {
    "box_tracking": MetricEntry(
        protocols={
            "mot17": Protocol(build=partial(BoxTracking, distractors=MOT17_DISTRACTORS), score_names=SCORE_NAMES),
            "mot20": Protocol(build=partial(BoxTracking, distractors=MOT20_DISTRACTORS), score_names=SCORE_NAMES),
            "no_preprocessing": Protocol(build=BoxTracking, score_names=SCORE_NAMES),
        },
        tool=_TOOL,
        laws=tracking_laws.LAWS,
        lower_is_better=tracking_laws.LOWER_IS_BETTER,
    ),
    "mask_tracking": MetricEntry(
        protocols={
            "trackeval": Protocol(build=MaskTracking, score_names=(SCORE_NAMES[0], *MASK_NAMES, *SCORE_NAMES[1:]))
        },
        tool=_TOOL,
        laws=tracking_laws.LAWS,
        lower_is_better=tracking_laws.LOWER_IS_BETTER,
    ),
}
