"""Following what was shown: a box through a video, or masks of several objects that may appear at any time.

Follows MasterBin-IIAU/UNINEXT at 5ab0386: an object is asked for by two looks at it, the first one and one that is
renewed while answers are good; nothing is assumed about motion. Objects are independent until their masks are merged.
Shapes: H W the original size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmark import masks
from benchmark.contract import Instances, Prediction, make_instances
from models.augmentation import resize_ids
from models.frame_answers import enlarged, in_format, instances, layers_of, merged_label
from models.frame_objects import Asked, Detector, Seen, Shown, Target
from models.frame_steps import FrameAt
from models.object_answers import select, soft_masks, to_pixels
from models.task_settings import TargetRules, TaskSettings

Box = tuple[float, float, float, float]
COARSEST = 32
"""Sides of frames that are multiples of it need no padding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks(Generic[Shown]):
    """Two looks at an object: as it was first shown, and as it was last seen well."""

    first: Shown
    last: Shown


class FollowedBox(Generic[Seen, Asked, Shown]):
    """Single-object tracking. The frame in which the object is given is answered with what was given.

    start: frame of the object. given: its only row. sentence: names the task.
    """

    def __init__(
        self,
        detector: Detector[Seen, Asked, Shown],
        *,
        given: Mapping[int, Instances],
        settings: TaskSettings,
        rules: TargetRules,
        sentence: str,
    ) -> None:
        self.detector, self.settings, self.rules, self.sentence = detector, settings, rules, sentence
        self.start = min(given)
        self.box = _xywh(given[self.start])
        self._looks: Looks[Shown] | None = None
        self._frames: list[Instances] = []

    def see(self, frame: FrameAt[Seen]) -> None:
        """Answer a frame, and look at the object again where it is time and the answer is good."""
        if self._looks is None:
            self._start(frame)
            return
        question = self.detector.ask_targets([self._looks.first, self._looks.last], sentence=self.sentence)
        found = self.detector.find(frame.seen, [question])[0]
        chosen = select(found, self.settings.selection)
        self._frames.append(instances(found, chosen, self.settings, size=frame.size))
        is_time = frame.index % self.rules.update_interval == 0
        if is_time and len(chosen.score) and float(chosen.score[0]) > self.rules.update_score:
            left, top, right, bottom = to_pixels(chosen.boxes, frame.seen_size)[0].tolist()
            if right > left and bottom > top:
                target = Target(box_xywh=(left, top, right - left, bottom - top))
                self._looks = replace(self._looks, last=self.detector.show(frame.seen, target))

    def _start(self, frame: FrameAt[Seen]) -> None:
        """Take the frame in which the object is given; earlier ones are answered with nothing."""
        is_given = frame.index == self.start
        if is_given:
            shown = self.detector.show(frame.seen, Target(box_xywh=_scaled(self.box, frame)))
            self._looks = Looks(first=shown, last=shown)
        x, y, width, height = self.box
        corners = np.array([[x, y, x + width, y + height]])[: int(is_given)]
        self._frames.append(
            make_instances(
                class_index=[0] * len(corners),
                boxes=in_format(corners, self.settings.box_format, frame.size),
                box_format=self.settings.box_format,
                area=np.full(len(corners), width * height),
            )
        )

    def prediction(self) -> Prediction:
        """One box a frame."""
        return Prediction(frames=tuple(self._frames))


class FollowedMasks(Generic[Seen, Asked, Shown]):
    """Video object segmentation. Objects are known from the frame in which they are given, where the truth is answered.

    given: frame -> the objects that are given there, with masks. sentence: names the task.
    """

    def __init__(
        self,
        detector: Detector[Seen, Asked, Shown],
        *,
        given: Mapping[int, Instances],
        settings: TaskSettings,
        rules: TargetRules,
        sentence: str,
    ) -> None:
        self.detector, self.given = detector, given
        self.settings, self.rules, self.sentence = settings, rules, sentence
        self._looks: dict[int, Looks[Shown]] = {}
        self._frames: list[Instances] = []

    def see(self, frame: FrameAt[Seen]) -> None:
        """Answer a frame and look again at the objects that are seen well."""
        given = _given_masks(self.given[frame.index]) if frame.index in self.given else {}
        searched = [one for one in sorted(self._looks) if one not in given]
        for one, mask in given.items():
            shown = self.detector.show(frame.seen, _target(mask, frame))
            self._looks[one] = Looks(first=shown, last=shown)
        layers = self._search(frame, searched)
        layers |= {one: (torch.from_numpy(mask).float(), 1.0) for one, mask in given.items()}
        ids = sorted(layers)
        soft = [layers[one][0].cpu() for one in ids]
        label = merged_label(torch.stack(soft) if soft else torch.zeros(0, *frame.size))
        self._frames.append(layers_of(label, ids, [layers[one][1] for one in ids]))
        if frame.index % self.rules.update_interval == 0 and not self._is_left_out(frame):
            for one in searched:
                if layers[one][1] >= self.rules.update_score:
                    self._look_again(one, label == ids.index(one) + 1, frame)

    def _search(self, frame: FrameAt[Seen], searched: list[int]) -> dict[int, tuple[Tensor, float]]:
        """Probabilities [H, W] and score of known objects by id."""
        looks = [self._looks[one] for one in searched]
        questions = [self.detector.ask_targets([one.first, one.last], sentence=self.sentence) for one in looks]
        layers = {}
        for one, found in zip(searched, self.detector.find(frame.seen, questions) if questions else [], strict=True):
            chosen = select(found, self.settings.selection)
            score = float(chosen.score[0]) if len(chosen.score) else 0.0
            is_hidden = self.rules.least_score is not None and score < self.rules.least_score
            soft = enlarged(soft_masks(found.draw(chosen.query[:1]), found), frame.size)
            layers[one] = (torch.zeros(frame.size) if is_hidden or not len(soft) else soft[0], score)
        return layers

    def _look_again(self, one: int, region: Tensor, frame: FrameAt[Seen]) -> None:
        """Renew the last look at an object from its answer. region: bool [H, W]."""
        small = F.interpolate(region[None, None].float(), size=frame.seen_size)[0, 0] > 0
        if small.any():
            target = Target(box_xywh=_extent(small.numpy()), mask=small)
            self._looks[one] = replace(self._looks[one], last=self.detector.show(frame.seen, target))

    def _is_left_out(self, frame: FrameAt[Seen]) -> bool:
        return self.rules.skips_odd_sizes and any(side % COARSEST for side in frame.seen_size)

    def prediction(self) -> Prediction:
        """One annotation a frame; objects do not overlap and keep their ids."""
        return Prediction(frames=tuple(self._frames))


def _given_masks(objects: Instances) -> dict[int, NDArray[np.bool_]]:
    """Masks bool [H, W] by object id; one without a pixel shows nothing and is left out."""
    decoded = zip(objects.object_id.tolist(), map(masks.decode, objects.masks or ()), strict=True)
    return {one: mask for one, mask in decoded if mask.any()}


def _target(mask: NDArray[np.bool_], frame: FrameAt[Seen]) -> Target:
    """What is shown of a mask, bool [H, W], at the size of the detector's frame."""
    small = resize_ids(mask.astype(np.int32), frame.seen_size) > 0
    return Target(box_xywh=_scaled(_extent(mask), frame), mask=torch.from_numpy(small))


def _extent(mask: NDArray[np.bool_]) -> Box:
    """(x, y, width, height) between the outermost pixels, as upstream without their own width; at least a pixel.

    mask: bool [H, W], not empty.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    width, height = columns[-1] - columns[0], rows[-1] - rows[0]
    return float(columns[0]), float(rows[0]), float(max(width, 1)), float(max(height, 1))


def _scaled(box: Box, frame: FrameAt[Seen]) -> Box:
    """A box in pixels of the frame as the detector saw it."""
    down, across = (new / old for new, old in zip(frame.seen_size, frame.size, strict=True))
    x, y, width, height = box
    return x * across, y * down, width * across, height * down


def _xywh(objects: Instances) -> Box:
    """The first object's box."""
    x, y, width, height = objects.boxes[0].tolist()
    return (x, y, width, height) if objects.box_format == "xywh" else (x, y, width - x, height - y)
