"""The table of metrics: what a benchmark row may name, the protocols of each, and what reports need to print it.

Every metric follows `contract.Metric`. Adding one is a module beside this one with its own `ENTRIES`, gathered here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from benchmark.contract import Metric
from benchmark.labels import LabelSet
from benchmark.metrics import (
    average_overlap,
    average_precision,
    bdd100k_instances,
    bdd100k_iou,
    bdd100k_panoptic,
    bdd100k_tracking,
    cityscapes_instances,
    cityscapes_iou,
    concept_f1,
    described_precision,
    federated_precision,
    federated_tracks,
    generalized_referring,
    group_precision,
    grouped_precision,
    mapillary_instances,
    mapillary_iou,
    panoptic_quality,
    phrase_cut,
    phrase_grounding,
    reasoning_segmentation,
    reasoning_videos,
    referring,
    semantic_iou,
    sentence_frames,
    success_plots,
    tracking,
    trackingnet,
    vanishing_objects,
    video_instance_precision,
    video_objects,
)
from benchmark.metrics.entry import MetricEntry, Protocol
from benchmark.problems import UsageError

_MODULES = (
    average_precision,
    federated_precision,
    federated_tracks,
    group_precision,
    grouped_precision,
    described_precision,
    panoptic_quality,
    semantic_iou,
    cityscapes_iou,
    cityscapes_instances,
    mapillary_iou,
    mapillary_instances,
    video_instance_precision,
    video_objects,
    vanishing_objects,
    reasoning_videos,
    sentence_frames,
    tracking,
    success_plots,
    trackingnet,
    average_overlap,
    referring,
    generalized_referring,
    reasoning_segmentation,
    bdd100k_tracking,
    bdd100k_instances,
    bdd100k_iou,
    bdd100k_panoptic,
    phrase_cut,
    phrase_grounding,
    concept_f1,
)

METRICS: Mapping[str, MetricEntry] = MappingProxyType(
    {name: entry for module in _MODULES for name, entry in module.ENTRIES.items()}
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
