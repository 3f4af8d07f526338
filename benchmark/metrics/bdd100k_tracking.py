"""BDD100K's tracking scores, as scalabel 0.3.1 and bdd100k 1.0.1 compute them on motmetrics 1.4.0: doc.bdd100k.com

Ignored truth of every class excuses predictions that match nothing and lie in it by more than half. Counts are summed
by class over videos; mMOTA, mIDF1 and mMOTP are means over all eight classes in which an undefined or infinite score is
0; the others pool all classes. By class, a score without truth is undefined (the tools say minus infinity for MOTA).
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
from benchmark.metrics import frames, laws, track_counts, track_matching
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.track_rows import Video, compare_boxes, compare_masks

MEANS = ("mMOTA", "mIDF1", "mMOTP")
POOLED = ("MOTA", "IDF1", "MOTP")
SCORE_NAMES = (*MEANS, *POOLED)
MASK_NAMES = {"mMOTSA": "mMOTA", "mMOTSP": "mMOTP", "MOTSA": "MOTA", "MOTSP": "MOTP"}
"""What papers call these scores when they are of masks."""
COUNTS = ("objects", "answers", "matches", "IDSw", "FM", "MT", "PT", "tracks", "IDTP")
"""Columns of the statistics. objects, answers: detections of truth and prediction that count. tracks: of the truth."""
MOST_IGNORED = 0.5
_EMPTY: dict[str, NDArray[Any]] = {
    "count_class": np.zeros(0, np.int64),
    "counts": np.zeros((0, len(COUNTS)), np.int64),
    "similarity": np.zeros(0),
}


class ScalabelBoxes:
    """Overlap of (x1, y1, x2, y2) boxes whose last pixel belongs to them, as motmetrics and scalabel compute it."""

    box_format = "xyxy"

    def ends(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Right and lower edge, float64 [N, 2]. boxes: float64 [N, 4]."""
        return boxes[:, :2] + (boxes[:, 2:] - boxes[:, :2] + 1)

    def areas(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area of each box, float64 [N]. boxes: float64 [N, 4]."""
        sides = np.maximum(self.ends(boxes) - boxes[:, :2], 0)
        return sides[:, 0] * sides[:, 1]

    def own_areas(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same but for rounding, float64 [N]. boxes: float64 [N, 4]."""
        sides = boxes[:, 2:] - boxes[:, :2] + 1
        return sides[:, 0] * sides[:, 1]

    def iou(
        self, common: NDArray[np.float64], truth: NDArray[np.float64], found: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Intersection over union, float64 [P]. common, truth, found: float64 [P], areas."""
        return common / (truth + found - common)


@dataclass(frozen=True, slots=True)
class Bdd100kTracking:
    """Scores of tracked boxes or masks over the classes of `labels`."""

    labels: LabelSet
    has_masks: bool = False

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Counts of one video by class."""
        whole = (
            compare_masks(sample, prediction) if self.has_masks else compare_boxes(sample, prediction, ScalabelBoxes())
        )
        rows = [_count(_excused(whole.of_class(index))) for index in range(self.labels.num_classes)]
        arrays = {
            "count_class": np.arange(len(rows)),
            "counts": np.array([counts for counts, _ in rows], np.int64).reshape(-1, len(COUNTS)),
            "similarity": np.array([similarity for _, similarity in rows], np.float64),
        }
        return Stats(sample_id=sample.sample_id, arrays=arrays)

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """The scoring function over all videos."""
        rows = frames.columns(stats, _EMPTY)

        def score(given: NDArray[np.int64] | None) -> Scores:
            weights = rows.weights(given)
            times = weights[rows.sample["count_class"]]
            counts = np.zeros((self.labels.num_classes, len(COUNTS)), np.int64)
            np.add.at(counts, rows.arrays["count_class"], times[:, None] * rows.arrays["counts"])
            similarity = np.zeros(self.labels.num_classes)
            np.add.at(similarity, rows.arrays["count_class"], times * rows.arrays["similarity"])
            return self._scores(counts, similarity, int(weights.sum()))

        return score

    def _scores(self, counts: NDArray[np.int64], similarity: NDArray[np.float64], num: int) -> Scores:
        """counts: int64 [classes, 9]. similarity: float64 [classes]."""
        by_class = [_ratios(row, total) for row, total in zip(counts, similarity, strict=True)]
        values = {
            f"m{name}": float(np.nan_to_num([row[name] for row in by_class], nan=0, posinf=0, neginf=0).mean())
            if num
            else float("nan")
            for name in ("MOTA", "IDF1", "MOTP")
        }
        values |= _finite(_ratios(counts.sum(axis=0), float(similarity.sum())))
        names = MASK_NAMES if self.has_masks else {}
        per_class = {name: _finite(row) for name, row in zip(self.labels.names, by_class, strict=True)}
        for group in dict.fromkeys(row.supercategory for row in self.labels.classes if row.supercategory):
            members = [row.class_index for row in self.labels.classes if row.supercategory == group]
            per_class[group] = _finite(_ratios(counts[members].sum(axis=0), float(similarity[members].sum())))
        return Scores(
            values={name: values[name] for name in SCORE_NAMES} | {new: values[old] for new, old in names.items()},
            counts=_named_counts(counts.sum(axis=0)),
            per_class=per_class,
            num_expected=num,
            num_scored=num,
        )


def _excused(video: Video) -> Video:
    """Without the answers that match nothing and lie in ignored truth."""
    near = video.pairs.take(track_counts.is_near(video.pairs))
    matched = near.take(track_matching.fewest_missed(video, near))
    kept = video.in_ignored <= MOST_IGNORED
    kept[matched.found] = True
    return video.take(np.ones(len(video.truth), bool), kept)


def _count(video: Video) -> tuple[tuple[int, ...], float]:
    """(`COUNTS`, summed similarity of the matches)."""
    sizes = track_counts.Sizes.of(video)
    clear = track_counts.motmetrics_clear(video, sizes)
    common = video.pairs.take(track_counts.is_near(video.pairs))
    counts = (
        len(video.truth), len(video.found), clear.matches, clear.switches, clear.fragments, clear.mostly_tracked,
        clear.partly_tracked, len(sizes.truth_length), track_counts.identity_matches(sizes, common),
    )  # fmt: skip
    return counts, clear.similarity


def _named_counts(row: NDArray[np.int64]) -> dict[str, int]:
    """The tools' counts. row: int64 [9]."""
    count = dict(zip(COUNTS, row.tolist(), strict=True))
    return {
        "FP": count["answers"] - count["matches"],
        "FN": count["objects"] - count["matches"],
        "IDSw": count["IDSw"],
        "MT": count["MT"],
        "PT": count["PT"],
        "ML": count["tracks"] - count["MT"] - count["PT"],
        "FM": count["FM"],
        "objects": count["objects"],
        "answers": count["answers"],
    }


def _ratios(row: NDArray[np.int64], similarity: float) -> dict[str, float]:
    """MOTA, IDF1 and MOTP, infinite or NaN where the tools' are. row: int64 [9]."""
    count = dict(zip(COUNTS, row.tolist(), strict=True))
    named = _named_counts(row)
    errors = named["FN"] + named["IDSw"] + named["FP"]
    return {
        "MOTA": 1 - (errors / count["objects"] if count["objects"] else float("inf") if errors else float("nan")),
        "IDF1": _share(2 * count["IDTP"], count["objects"] + count["answers"]),
        "MOTP": _share(similarity, count["matches"]),
    }


def _share(part: float, whole: int) -> float:
    return part / whole if whole else float("nan")


def _finite(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value if np.isfinite(value) else float("nan") for name, value in row.items()}


def _mota(objects: int, missed: int, false: int, switches: int) -> float:
    return 1 - (missed + false + switches) / objects if objects else float("nan")


_TOOL = "scalabel 0.3.1, bdd100k 1.0.1, motmetrics 1.4.0"
_LAWS = (
    *laws.at_most_one("MOTA", "mMOTA", "MOTSA", "mMOTSA"),
    *laws.fractions("IDF1", "mIDF1", "MOTP", "mMOTP", "MOTSP", "mMOTSP"),
    laws.CountLaw(
        text="MOTA = 1 - (FN + FP + IDSw) / objects",
        name="MOTA",
        counts=("objects", "FN", "FP", "IDSw"),
        formula=_mota,
        is_pooled=True,
    ),
)

ENTRIES = {
    "bdd100k_box_tracking": MetricEntry(
        protocols={"scalabel": Protocol(build=Bdd100kTracking, score_names=SCORE_NAMES)}, tool=_TOOL, laws=_LAWS
    ),
    "bdd100k_mask_tracking": MetricEntry(
        protocols={
            "scalabel": Protocol(
                build=partial(Bdd100kTracking, has_masks=True), score_names=(*SCORE_NAMES, *MASK_NAMES)
            )
        },
        tool=_TOOL,
        laws=_LAWS,
    ),
}
