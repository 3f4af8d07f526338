"""What tells the tasks apart once queries are found: sizes, thresholds, trackers, templates. One row a task.

The numbers are those that MasterBin-IIAU/UNINEXT at 5ab0386 publishes; another detector brings rows of its own. Where
the authors set a number by data set, the row holds the usual one and the field says what else is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from benchmark.contract import Task
from models.object_answers import SelectionRules
from models.tracking import BoxTrackerRules, MaskTrackerRules


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """How a frame is read off for one task.

    short_side, long_cap: pixels of the frame as the detector sees it, unless the long side would exceed the cap; None:
    frames are left as they are. Crowded scenes of video instances (OVIS) are published at 720. has_boxes, has_masks:
    what an answer consists of. box_format: of the boxes of an answer, see `Instances`. clips_boxes: what reaches over
    the border of the frame is cut.
    """

    short_side: int | None = 800
    long_cap: int = 1333
    selection: SelectionRules = field(default_factory=SelectionRules)
    has_boxes: bool = True
    has_masks: bool = True
    box_format: str = "xywh"
    clips_boxes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRules:
    """How the memory of a shown target is kept: its first look for ever, and one that is renewed.

    update_interval: frames between two updates. update_score: an answer needs more than it. least_score: a mask that
    scores lower is empty, or None; 0.5 is published for YouTube-VOS. skips_odd_sizes: no update unless both sides of
    the frame are multiples of 32, which is what the authors' code of June 2023 does with ConvNeXt and ViT (with a
    ResNet it stops); their published numbers are older than that.
    """

    update_interval: int = 1
    update_score: float = 0.7
    least_score: float | None = None
    skips_odd_sizes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRules:
    """Which tracks of a video are answers. least_score: a (track, class) pair needs more. From frame `grace_frames` on,
    a track seen fewer than `least_seen` times is dropped once it was missing for `missing_frames` frames."""

    least_score: float = 0.05
    grace_frames: int = 9
    least_seen: int = 3
    missing_frames: int = 2


_TRACKED = SelectionRules(rates_boxes=False, least_score=0.1, top_k=None)
TASK_SETTINGS: Mapping[Task, TaskSettings] = MappingProxyType(
    {
        Task.DETECTION: TaskSettings(selection=SelectionRules(top_k=100), has_masks=False),
        Task.INSTANCE: TaskSettings(selection=SelectionRules(top_k=100)),
        Task.GROUNDING: TaskSettings(has_masks=False),
        Task.REFERRING: TaskSettings(),
        Task.VIS: TaskSettings(
            short_side=480,
            selection=SelectionRules(rates_boxes=False, least_score=0.1, nms_iou=0.9, top_k=None),
            has_boxes=False,
        ),
        Task.MOT: TaskSettings(selection=_TRACKED, has_masks=False, clips_boxes=False),
        Task.MOTS: TaskSettings(selection=_TRACKED, clips_boxes=False),
        Task.RVOS: TaskSettings(short_side=480, selection=SelectionRules(nms_iou=None), has_boxes=False),
        Task.SOT: TaskSettings(has_masks=False),
        Task.VOS: TaskSettings(short_side=480, has_boxes=False),
    }
)
"""How the authors read off each task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRules:
    """All numbers of inference. tasks: a row for every task that is answered. sot, vos: memory of shown targets."""

    tasks: Mapping[Task, TaskSettings] = field(default_factory=lambda: TASK_SETTINGS)
    mask_tracker: MaskTrackerRules = field(default_factory=MaskTrackerRules)
    box_tracker: BoxTrackerRules = field(default_factory=BoxTrackerRules)
    clips: ClipRules = ClipRules()
    sot: TargetRules = TargetRules(update_interval=200)
    vos: TargetRules = TargetRules()
