"""The table of metrics: what a benchmark row may name, the protocols of each, and what reports need to print it.

Every metric follows `contract.Metric`. Adding one is a module beside this one and an entry here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmark.contract import Metric
from benchmark.labels import LabelSet
from benchmark.metrics import (
    average_precision,
    cityscapes_instances,
    cityscapes_iou,
    panoptic_quality,
    semantic_iou,
)
from benchmark.problems import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way of computing a metric. score_names: keys of `Scores.values`, in the order of the official summary."""

    build: Callable[[LabelSet], Metric]
    score_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEntry:
    """protocols: name -> how to compute it; the first is the default. tool: the official program it equals.

    is_higher_better, decimals (of the percentage that reports print): the same for all scores of the metric.
    """

    protocols: Mapping[str, Protocol]
    tool: str
    is_higher_better: bool = True
    decimals: int = 1


_COCO = (1, 10, 100)
_PLACES = (1, 50, 255)

METRICS: Mapping[str, MetricEntry] = MappingProxyType(
    {
        "coco_segm_ap": MetricEntry(
            protocols={
                "coco": Protocol(
                    build=lambda labels: average_precision.CocoAP(labels, "segm", _COCO),
                    score_names=average_precision.score_names(_COCO),
                )
            },
            tool="pycocotools 2.0.11",
        ),
        "coco_bbox_ap": MetricEntry(
            protocols={
                "coco": Protocol(
                    build=lambda labels: average_precision.CocoAP(labels, "bbox", _COCO),
                    score_names=average_precision.score_names(_COCO),
                )
            },
            tool="pycocotools 2.0.11",
        ),
        "ade20k_segm_ap": MetricEntry(
            protocols={
                "coco": Protocol(
                    build=lambda labels: average_precision.CocoAP(labels, "segm", _COCO),
                    score_names=average_precision.score_names(_COCO),
                ),
                "places": Protocol(
                    build=lambda labels: average_precision.CocoAP(labels, "segm", _PLACES),
                    score_names=average_precision.score_names(_PLACES),
                ),
            },
            tool="pycocotools 2.0.11",
        ),
        "panoptic_quality": MetricEntry(
            protocols={
                "coco": Protocol(build=panoptic_quality.PanopticQuality, score_names=panoptic_quality.SCORE_NAMES)
            },
            tool="panopticapi, last commit",
        ),
        "semantic_iou": MetricEntry(
            protocols={
                "present": Protocol(
                    build=lambda labels: semantic_iou.SemanticIoU(labels, "present"),
                    score_names=semantic_iou.score_names("present"),
                ),
                "all": Protocol(
                    build=lambda labels: semantic_iou.SemanticIoU(labels, "all"),
                    score_names=semantic_iou.score_names("all"),
                ),
                "union": Protocol(
                    build=lambda labels: semantic_iou.SemanticIoU(labels, "union"),
                    score_names=semantic_iou.score_names("union"),
                ),
            },
            tool="detectron2 0.6 (present), CSAILVision/sceneparsing (all), mmsegmentation 1.2.2 (union)",
        ),
        "cityscapes_iou": MetricEntry(
            protocols={
                "official": Protocol(build=cityscapes_iou.CityscapesIoU, score_names=cityscapes_iou.SCORE_NAMES)
            },
            tool="cityscapesscripts 2.3.0",
        ),
        "cityscapes_instance_ap": MetricEntry(
            protocols={
                "official": Protocol(
                    build=cityscapes_instances.CityscapesAP, score_names=cityscapes_instances.SCORE_NAMES
                )
            },
            tool="cityscapesscripts 2.3.0",
        ),
    }
)


def build(name: str, labels: LabelSet, protocol: str | None = None) -> Metric:
    """The metric of that name over `labels`; protocol None: its default. Raises UsageError that suggests neighbours."""
    return protocol_of(name, protocol).build(labels)


def protocol_of(name: str, protocol: str | None = None) -> Protocol:
    """The entry of METRICS behind a metric's name and its protocol's; raises UsageError that suggests neighbours."""
    if name not in METRICS:
        raise UsageError(f"Unknown metric {name!r}.{_neighbours(name, METRICS)} Known: {', '.join(METRICS)}.")
    known = METRICS[name].protocols
    wanted = next(iter(known)) if protocol is None else protocol
    if wanted not in known:
        raise UsageError(
            f"Metric {name!r} has no protocol {wanted!r}.{_neighbours(wanted, known)} Known: {', '.join(known)}."
        )
    return known[wanted]


def _neighbours(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=2)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
