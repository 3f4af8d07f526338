"""Average precision of COCO (boxes or masks), as pycocotools 2.0.11: https://github.com/ppwwyyxx/cocoapi

Per class and image, detections take truths greedily by score at ten IoU thresholds and in four ranges of area; the
precision envelope is sampled at 101 recalls. Crowds and truths outside a range are ignored. Deviations: a truth whose
object id is 0 can be matched (pycocotools counts it as missed), no results at all score 0 (it raises), and what it
marks -1 is NaN. ADE20K's official protocol is the same with 1, 50 and 255 detections per image and class; boundary AP
compares masks and their boundaries, see `overlaps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Instances, Pooled, Prediction, Sample, Scores, Stats
from benchmark.labels import LabelSet
from benchmark.metrics import frames, greedy_matches, image_batches, laws, overlaps
from benchmark.metrics.class_curves import Curves, Ranking
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.metrics.greedy_matches import THRESHOLDS, Pairs
from benchmark.metrics.image_batches import Side
from benchmark.metrics.precision_curve import Integral
from benchmark.metrics.weighted_curves import WeightedCurves

AREA_RANGES = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
"""All, small, medium, large: square pixels, both ends included."""
_SUFFIXES = ("", "s", "m", "l")
EMPTY: dict[str, NDArray[Any]] = {
    "class_index": np.zeros(0, np.int64),
    "score": np.zeros(0, np.float64),
    "rank": np.zeros(0, np.int64),
    "is_hit": np.zeros((0, len(AREA_RANGES), len(THRESHOLDS)), bool),
    "is_false": np.zeros((0, len(AREA_RANGES), len(THRESHOLDS)), bool),
    "truth_class": np.zeros(0, np.int64),
    "truth_counts": np.zeros((0, len(AREA_RANGES)), bool),
}


@dataclass(frozen=True, slots=True)
class CocoAP:
    """AP over the thing classes of `labels`.

    iou_type: what is compared; "bbox" measures detections by width x height, the others by mask area.
    max_dets: detections kept per image and class, ascending; the largest one is used for every AP.
    """

    labels: LabelSet
    iou_type: overlaps.Kind = "segm"
    max_dets: tuple[int, ...] = (1, 10, 100)

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Match the detections of one image; keeps a row a detection and a row a truth."""
        return self.measure_many([(sample, prediction)])[0]

    def measure_many(self, pairs: Sequence[tuple[Sample, Prediction]]) -> list[Stats]:
        """`measure` of several images together."""
        sides = [frames.pair(sample, prediction, Instances) for sample, prediction in pairs]
        truth, found = ([side[which] for side in sides] for which in (0, 1))
        overlaps.check([sample.sample_id for sample, _ in pairs], self.iou_type, truth, found)
        is_thing = self.labels.is_thing
        things = [[np.flatnonzero(is_thing[one.class_index]) for one in side] for side in (truth, found)]
        truths = Side.of(truth, things[0], by_score=False)
        areas = overlaps.areas(self.iou_type, found)
        founds = Side.of(found, things[1], by_score=True, areas=areas).best(self.max_dets[-1])
        overlap = image_batches.compare(self.iou_type, found, truth, founds, truths, truths.is_crowd)
        rows = _match_all(overlap, founds, truths)
        return [
            cut(sample.sample_id, rows, founds.bounds(place), truths.bounds(place))
            for place, (sample, _) in enumerate(pairs)
        ]

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sort each class by score once; the returned function repeats, cuts and integrates."""
        return pool(stats, self.labels, self.max_dets)


def score_names(max_dets: Sequence[int]) -> tuple[str, ...]:
    """Names of the scores of `CocoAP(max_dets=...)`, in the order of the official summary."""
    caps = tuple(f"AR{cap}" for cap in max_dets)
    return ("AP", "AP50", "AP75", "APs", "APm", "APl", *caps, "ARs", "ARm", "ARl")


def pool(stats: Sequence[Stats], labels: LabelSet, max_dets: tuple[int, ...]) -> Pooled:
    """Scores of statistics that hold the rows of `EMPTY`, over the things of `labels`; `max_dets` ascends."""
    rows = frames.columns(stats, EMPTY)
    arrays = rows.arrays
    ranking = Ranking.of(np.flatnonzero(labels.is_thing), arrays["class_index"], arrays["score"])
    is_hit, is_false = (
        np.ascontiguousarray(np.moveaxis(arrays[name][ranking.order], 0, -1)) for name in ("is_hit", "is_false")
    )
    curves = Curves.of(rows, ranking, rank=arrays["rank"][ranking.order], is_hit=is_hit, is_false=is_false)
    together = cache(lambda: WeightedCurves(curves, max_dets))
    all_names = labels.names
    names = [all_names[one] for one in ranking.classes.tolist()]

    def score(weights: NDArray[np.int64] | None) -> Scores:
        full = rows.weights(weights)
        points = curves.integrate(max_dets) if weights is None else together().integrate(full)
        return _scores(dict(zip(names, points, strict=True)), int(full.sum()), max_dets)

    return score


def stats_of(sample_id: str, parts: Sequence[Mapping[str, NDArray[Any]]]) -> Stats:
    """Statistics of one sample from the rows of its classes, named as in `EMPTY`. parts: name -> array [rows, ...]."""
    rows = {name: np.concatenate([nothing, *(part[name] for part in parts)]) for name, nothing in EMPTY.items()}
    return Stats(sample_id=sample_id, arrays=rows)


def rank(classes: NDArray[np.int64], scores: NDArray[np.float64], class_index: int, most: int) -> NDArray[np.int64]:
    """Positions, int64 [D], of the best `most` detections of a class by falling score; equal scores keep their order.

    classes: int64 [N]. scores: float64 [N].
    """
    members = np.flatnonzero(classes == class_index)
    return members[np.argsort(-scores[members], kind="stable")][:most]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One class in one sample, D detections by falling score and G truths.

    score, area: float64 [D]. iou: float64 [D, G]. is_crowd: bool [G]. truth_area: float64 [G].
    """

    class_index: int
    score: NDArray[np.float64]
    area: NDArray[np.float64]
    iou: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    truth_area: NDArray[np.float64]


def match_contests(contests: Sequence[Contest], ranges: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Rows of all contests, in their order, named as in `EMPTY`. ranges: float64 [A, 2], both ends included."""
    names = ("score", "area", "is_crowd", "truth_area")
    joined = {name: np.concatenate([np.zeros(0), *(getattr(one, name) for one in contests)]) for name in names}
    sizes = np.array([one.iou.shape for one in contests], np.int64).reshape(-1, 2)
    found, truths = sizes.T
    group = np.repeat(np.arange(len(contests)), found)
    num, first = truths[group], (np.cumsum(truths) - truths)[group]
    detection = np.repeat(np.arange(len(group)), num)
    inner = np.arange(len(detection)) - np.repeat(np.cumsum(num) - num, num)
    iou = np.concatenate([np.zeros(0), *(one.iou.ravel() for one in contests)])
    pairs = Pairs(detection=detection, truth=np.repeat(first, num) + inner, iou=iou)
    is_crowd, classes = joined["is_crowd"].astype(bool), np.array([one.class_index for one in contests], np.int64)
    is_ignored = is_crowd[:, None] | _is_outside(joined["truth_area"], ranges).T
    rows = _judged(pairs, group, joined["area"], is_crowd, is_ignored, ranges)
    rank = np.arange(len(group)) - np.repeat(np.cumsum(found) - found, found)
    kept = {"class_index": classes[group], "score": joined["score"], "rank": rank}
    return {**kept, **rows, "truth_class": np.repeat(classes, truths), "truth_counts": ~is_ignored}


def match(
    ious: NDArray[np.float64], is_crowd: NDArray[np.bool_], is_ignored: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which detections take a truth, and which of them an ignored one: bool [A, T, D] each; see `greedy_matches`.

    ious: float64 [D, G], detections by falling score. is_crowd: bool [G]. is_ignored: bool [A, G].
    """
    one_group = np.zeros(len(ious), np.int64)
    is_matched, is_void = greedy_matches.match(Pairs.of_matrix(ious), one_group, is_crowd, is_ignored.T)
    return np.moveaxis(is_matched, 0, -1), np.moveaxis(is_void, 0, -1)


def _match_all(overlap: Pairs, founds: Side, truths: Side) -> dict[str, NDArray[Any]]:
    """Rows of all detections and truths of a batch, named as in `EMPTY`."""
    is_ignored = truths.is_crowd[:, None] | _is_outside(truths.area, AREA_RANGES).T
    group = image_batches.groups(founds)
    return {
        "class_index": founds.class_index,
        "score": founds.score,
        "rank": greedy_matches.ranks(founds.image, founds.class_index),
        **_judged(overlap, group, founds.area, truths.is_crowd, is_ignored, AREA_RANGES),
        "truth_class": truths.class_index,
        "truth_counts": ~is_ignored,
    }


def _judged(
    overlap: Pairs,
    group: NDArray[np.int64],
    areas: NDArray[np.float64],
    is_crowd: NDArray[np.bool_],
    is_ignored: NDArray[np.bool_],
    ranges: NDArray[np.float64],
) -> dict[str, NDArray[np.bool_]]:
    """Which detections are hits and which are false; arguments as of `greedy_matches.match`. areas: float64 [D]."""
    is_matched, is_void = greedy_matches.match(overlap, group, is_crowd, is_ignored)
    is_void |= ~is_matched & _is_outside(areas, ranges).T[:, :, None]
    return {"is_hit": is_matched & ~is_void, "is_false": ~is_matched & ~is_void}


def cut(sample_id: str, rows: Mapping[str, NDArray[Any]], found: slice, truth: slice) -> Stats:
    """The statistics of one image of a batch. found, truth: its rows."""
    own = {name: column[truth if name.startswith("truth") else found] for name, column in rows.items()}
    return Stats(sample_id=sample_id, arrays=own)


def _is_outside(areas: NDArray[np.float64], ranges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool [A, N]: the area lies outside the range."""
    return (areas < ranges[:, :1]) | (areas > ranges[:, 1:])


def _scores(points: Mapping[str, Integral], num_samples: int, max_dets: tuple[int, ...]) -> Scores:
    """points: class name -> its curve's integrals."""
    precision = _stack([point.precision for point in points.values()], (len(AREA_RANGES), len(THRESHOLDS)))
    recall = _stack([point.recall for point in points.values()], (len(AREA_RANGES), len(max_dets)))
    values = {
        "AP": frames.mean(precision[:, 0]),
        "AP50": frames.mean(precision[:, 0, 0]),
        "AP75": frames.mean(precision[:, 0, 5]),
    }
    values |= {f"AP{_SUFFIXES[area]}": frames.mean(precision[:, area]) for area in (1, 2, 3)}
    values |= {f"AR{cap}": frames.mean(recall[:, 0, place]) for place, cap in enumerate(max_dets)}
    values |= {f"AR{_SUFFIXES[area]}": frames.mean(recall[:, area, -1]) for area in (1, 2, 3)}
    means, halves, found = precision[:, 0].mean(axis=-1), precision[:, 0, 0], recall[:, 0, -1]
    table = zip(means.tolist(), halves.tolist(), found.tolist(), strict=True)
    per_class = {
        name: {"AP": mean, "AP50": half, f"AR{max_dets[-1]}": share}
        for name, (mean, half, share) in zip(points, table, strict=False)
    }
    counts = {
        "truths": sum(point.num_truths for point in points.values()),
        "detections": sum(point.num_detections for point in points.values()),
    }
    return Scores(values=values, counts=counts, per_class=per_class, num_expected=num_samples, num_scored=num_samples)


def _stack(parts: Sequence[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.stack(parts) if parts else np.full((1, *shape), np.nan)


def _coco(kind: overlaps.Kind, caps: tuple[int, ...]) -> Protocol:
    return Protocol(build=lambda labels: CocoAP(labels, kind, caps), score_names=score_names(caps))


_COCO, _PLACES = (1, 10, 100), (1, 50, 255)
_TOOL = "pycocotools 2.0.11"
LAWS = laws.average_precision(("AR1", "AR10", "AR100"))

ENTRIES = {
    "coco_segm_ap": MetricEntry(
        protocols={"coco": _coco("segm", _COCO), "boundary": _coco("boundary", _COCO)},
        tool=f"{_TOOL}, boundary-iou-api (boundary)",
        laws=LAWS,
    ),
    "coco_bbox_ap": MetricEntry(protocols={"coco": _coco("bbox", _COCO)}, tool=_TOOL, laws=LAWS),
    "ade20k_segm_ap": MetricEntry(
        protocols={"coco": _coco("segm", _COCO), "places": _coco("segm", _PLACES)},
        tool=_TOOL,
        laws=(*LAWS, *laws.fractions("AR50", "AR255"), *laws.rising("AR1", "AR50", "AR255")),
    ),
}
