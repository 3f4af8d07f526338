"""Average precision on federated truth, as the LVIS API: https://github.com/lvis-dataset/lvis-api (v1, 2021)

Only classes that a person looked for count in an image: detections of a class that is neither marked nor verified to
be absent are dropped, and where a class is not marked exhaustively, detections without a truth are neither right nor
wrong. The 300 most confident detections of an image are kept, whatever their class; the fixed protocol (Dave et al.
2021) keeps instead the 10,000 most confident of each class over the data set. What has no area counts on neither side,
but towards the limits. There are no crowds: `is_crowd` of the truth holds the annotation's `ignore` flag. Deviations:
as of `CocoAP` (object id 0, NaN for -1), and no results at all score 0; in the fixed protocol equal scores at the limit
are kept in the order of image ids, not of the result file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, image_batches, laws, overlaps
from benchmark.metrics.average_precision import AREA_RANGES
from benchmark.metrics.class_curves import Curves, Ranking
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.greedy_matches import THRESHOLDS, match
from benchmark.metrics.image_batches import Side
from benchmark.metrics.precision_curve import Integral
from benchmark.metrics.weighted_curves import WeightedCurves

PER_IMAGE = 300
PER_CLASS = 10_000
FREQUENCIES = ("r", "c", "f")
"""Groups of classes by number of training images: up to 10, up to 100, more. They are the label set's supercategory."""
SCORES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf")
_EMPTY: dict[str, NDArray[Any]] = {
    "class_index": np.zeros(0, np.int32),
    "score": np.zeros(0, np.float64),
    "hits": np.zeros((0, len(AREA_RANGES)), np.uint16),
    "falses": np.zeros((0, len(AREA_RANGES)), np.uint16),
    "truth_class": np.zeros(0, np.int32),
    "truth_counts": np.zeros((0, len(AREA_RANGES)), bool),
}
"""A row a detection and a row a truth. hits, falses: one bit a threshold, so that six million rows stay small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LvisAP:
    """AP over the classes of `labels`. kind: what is compared.

    per_image: detections kept per image, over all classes. per_class: the same over the data set. None: all.
    """

    labels: LabelSet
    kind: overlaps.Kind
    per_image: int | None = PER_IMAGE
    per_class: int | None = None

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Match the detections of one image; keeps a row a detection and a row a truth."""
        return self.measure_many([(sample, prediction)])[0]

    def measure_many(self, pairs: Sequence[tuple[Sample, Prediction]]) -> list[Stats]:
        """`measure` of several images together."""
        truth, found, rows, others = [], [], [], []
        for sample, prediction in pairs:
            right, answer = frames.pair(sample, prediction, Instances)
            overlaps.check([sample.sample_id], self.kind, [right], [answer])
            answer = replace(answer, area=overlaps.areas(self.kind, [answer]))
            kept = self._most_confident(answer.score)
            counts = _are_judged(sample, right, answer, kept)
            truth.append(right)
            found.append(answer)
            rows.append(kept[counts])
            others.append(kept[~counts])
        truths = Side.of(truth, [np.flatnonzero(one.area > 0) for one in truth], by_score=False)
        founds = Side.of(found, rows, by_score=True)
        table = self._match(truth, found, truths, founds, _partly_marked(pairs, founds))
        return [
            _cut(sample.sample_id, table, founds.bounds(place), truths.bounds(place), self._unverified(answer, left))
            for place, ((sample, _), answer, left) in enumerate(zip(pairs, found, others, strict=True))
        ]

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sort each class by score once; the returned function repeats, cuts and integrates."""
        rows = frames.columns(stats, _EMPTY)
        curves = _curves(rows, self.labels.num_classes)
        together = cache(lambda: WeightedCurves(curves, (1,)))

        def score(weights: NDArray[np.int64] | None) -> Scores:
            full = rows.weights(weights)
            if self.per_class is not None:
                points = [curve.integrate(full, (1,), most=self.per_class) for curve in curves]
            else:
                points = curves.integrate((1,)) if weights is None else together().integrate(full)
            return self._score(points, int(full.sum()))

        return score

    def _most_confident(self, scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """Positions of the detections that are kept: all in file order, or the best by falling score."""
        if self.per_image is None or len(scores) <= self.per_image:
            return np.arange(len(scores))
        return np.argsort(-scores, kind="stable")[: self.per_image]

    def _match(
        self,
        truth: Sequence[Instances],
        found: Sequence[Instances],
        truths: Side,
        founds: Side,
        is_partly_marked: NDArray[np.bool_],
    ) -> dict[str, NDArray[Any]]:
        """Rows of all detections and truths of a batch. is_partly_marked: bool [D]."""
        no_crowd = np.zeros(len(truths), bool)
        is_ignored = (truths.is_crowd | _is_outside(truths.area)).T
        overlap = image_batches.compare(self.kind, found, truth, founds, truths, no_crowd)
        is_matched, is_void = match(overlap, image_batches.groups(founds), no_crowd, is_ignored)
        is_void |= ~is_matched & (_is_outside(founds.area) | is_partly_marked).T[:, :, None]
        return {
            "class_index": founds.class_index,
            "score": founds.score,
            "hits": _packed(is_matched & ~is_void),
            "falses": _packed(~is_matched & ~is_void),
            "truth_class": truths.class_index,
            "truth_counts": ~is_ignored,
        }

    def _unverified(self, found: Instances, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Detections that count towards the limit of a class and nothing else. rows: int64 [D]."""
        rows = rows if self.per_class is not None else rows[:0]
        nothing = np.zeros((len(rows), len(AREA_RANGES)), np.uint16)
        kept: dict[str, NDArray[Any]] = {
            "class_index": found.class_index[rows],
            "score": found.score[rows],
            "hits": nothing,
            "falses": nothing,
        }
        return {**_EMPTY, **kept}

    def _score(self, points: Sequence[Integral], num: int) -> Scores:
        precision, recall = _tables(points)
        groups = np.array([row.supercategory for row in self.labels.classes])
        values = {
            "AP": frames.mean(precision[:, 0]),
            "AP50": frames.mean(precision[:, 0, 0]),
            "AP75": frames.mean(precision[:, 0, 5]),
        }
        values |= {f"AP{letter}": frames.mean(precision[:, area]) for area, letter in ((1, "s"), (2, "m"), (3, "l"))}
        values |= {f"AP{group}": frames.mean(precision[groups == group, 0]) for group in FREQUENCIES}
        values |= {name: frames.mean(recall[:, area]) for area, name in enumerate(recall_names(self.per_image))}
        means, halves = precision[:, 0].mean(axis=-1).tolist(), precision[:, 0, 0].tolist()
        rows = zip(self.labels.classes, means, halves, strict=True)
        per_class = {row.name: {"AP": mean, "AP50": half} for row, mean, half in rows}
        counts = {
            "truths": sum(point.num_truths for point in points),
            "detections": sum(point.num_detections for point in points),
        }
        return Scores(values=values, counts=counts, per_class=per_class, num_expected=num, num_scored=num)


def recall_names(per_image: int | None) -> tuple[str, ...]:
    """Names of the average recalls: of all objects, small, medium and large ones."""
    limit = "" if per_image is None else f"@{per_image}"
    return tuple(f"AR{size}{limit}" for size in ("", "s", "m", "l"))


def _curves(rows: frames.Columns, num_classes: int) -> Curves:
    """The curves of all classes."""
    ranking = Ranking.of(np.arange(num_classes), rows.arrays["class_index"], rows.arrays["score"])
    is_hit, is_false = (_unpacked(rows.arrays[name][ranking.order]) for name in ("hits", "falses"))
    return Curves.of(rows, ranking, rank=None, is_hit=is_hit, is_false=is_false)


def _are_judged(sample: Sample, truth: Instances, found: Instances, kept: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [N], detections of classes that a person looked for. kept: int64 [N], positions in `found`."""
    marked = truth.class_index[truth.area > 0].tolist()
    verified = [*marked, *(sample.truth.negative_labels if sample.truth else ())]
    judged: NDArray[np.bool_] = np.isin(found.class_index[kept], verified) & (found.area[kept] > 0)
    return judged


def _partly_marked(pairs: Sequence[tuple[Sample, Prediction]], founds: Side) -> NDArray[np.bool_]:
    """bool [D], detections of classes that are not marked throughout in their image."""
    partly = [sample.truth.not_exhaustive_labels if sample.truth else () for sample, _ in pairs]
    width = 1 + max([int(founds.class_index.max(initial=0)), *(max(one, default=0) for one in partly)])
    keys = [image * width + one for image, labels in enumerate(partly) for one in labels]
    return np.isin(founds.image * width + founds.class_index, keys)


def _cut(
    sample_id: str,
    rows: Mapping[str, NDArray[Any]],
    found: slice,
    truth: slice,
    more: Mapping[str, NDArray[Any]],
) -> Stats:
    """The statistics of one image of a batch. found, truth: its rows. more: rows behind them."""
    own = {name: column[truth if name.startswith("truth") else found] for name, column in rows.items()}
    return Stats(
        sample_id=sample_id,
        arrays={name: np.concatenate((one, more[name])) if len(more[name]) else one for name, one in own.items()},
    )


def _is_outside(areas: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool [A, N]: the area lies outside the range."""
    return (areas < AREA_RANGES[:, :1]) | (areas > AREA_RANGES[:, 1:])


def _packed(flags: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """bool [N, A, T] as uint16 [N, A], a bit a threshold."""
    packed = np.packbits(flags, axis=-1, bitorder="little")
    return np.asarray(packed[..., 0] | packed[..., 1].astype(np.uint16) << 8, np.uint16)


def _unpacked(bits: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """uint16 [N, A] as bool [A, T, N]."""
    turned = np.ascontiguousarray(bits.T)
    flags = np.empty((len(turned), len(THRESHOLDS), len(bits)), bool)
    for level in range(len(THRESHOLDS)):
        np.not_equal(turned & np.uint16(1 << level), 0, out=flags[:, level])
    return flags


def _tables(points: Sequence[Integral]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision [C, A, T] and recall [C, A] of all classes."""
    return np.stack([point.precision for point in points]), np.stack([point.recall[:, 0] for point in points])


def _protocols(kinds: dict[str, overlaps.Kind], fixed: overlaps.Kind) -> dict[str, Protocol]:
    """Protocols by name: with the official limit an image for every kind, and with the fixed limits for one."""
    found = {
        name: Protocol(
            build=partial(_build, kind=kind, per_image=PER_IMAGE), score_names=(*SCORES, *recall_names(PER_IMAGE))
        )
        for name, kind in kinds.items()
    }
    build = partial(_build, kind=fixed, per_image=None, per_class=PER_CLASS)
    return found | {"fixed": Protocol(build=build, score_names=(*SCORES, *recall_names(None)))}


def _build(labels: LabelSet, *, kind: overlaps.Kind, per_image: int | None, per_class: int | None = None) -> LvisAP:
    return LvisAP(labels=labels, kind=kind, per_image=per_image, per_class=per_class)


TOOL = "lvis-api 0.5.3 (repository head)"
_LAWS = (
    *laws.average_precision(),
    *laws.fractions("APr", "APc", "APf", *recall_names(None), *recall_names(PER_IMAGE)),
)

ENTRIES = {
    "lvis_segm_ap": MetricEntry(
        protocols=_protocols({"lvis": "segm", "boundary": "boundary"}, "segm"), tool=TOOL, laws=_LAWS
    ),
    "lvis_bbox_ap": MetricEntry(protocols=_protocols({"lvis": "bbox"}, "bbox"), tool=TOOL, laws=_LAWS),
}
