"""Video instances and multi-object tracking: detections of every frame, associated online, and the tracks they become.

Follows MasterBin-IIAU/UNINEXT at 5ab0386. Of the frames that passed only run-length masks, boxes and sums of scores are
kept. Shapes: n detections, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark import masks
from benchmark.contract import NO_BOXES, Frames, Instances, Prediction, Rle, Tracks, make_instances
from models.association import Detections, box_overlap, mask_overlap
from models.frame_answers import instances, mask_rles, without_overlap
from models.frame_objects import Asked, Detector, FrameObjects, Seen, Shown
from models.frame_steps import FrameAt, Vocabulary
from models.object_answers import Selected, select, to_pixels
from models.task_settings import ClipRules, TaskSettings
from models.tracking import BoxTracker, MaskTracker


@dataclass(slots=True)
class _Clip:
    """A track as it grows. masks: by frame. scores: sum over its detections of the scores of every class, [K]."""

    scores: NDArray[np.float64]
    masks: dict[int, Rle] = field(default_factory=dict)


class TrackedMasks(Generic[Seen, Asked, Shown]):
    """Video instance segmentation: a track is an answer for every class that it scores well in on average."""

    def __init__(
        self,
        detector: Detector[Seen, Asked, Shown],
        *,
        vocabulary: Vocabulary,
        question: Asked,
        settings: TaskSettings,
        tracker: MaskTracker,
        rules: ClipRules,
    ) -> None:
        self.detector, self.vocabulary, self.question = detector, vocabulary, question
        self.settings, self.tracker, self.rules = settings, tracker, rules
        self._clips: dict[int, _Clip] = {}
        self._num_frames = 0

    def see(self, frame: FrameAt[Seen]) -> None:
        """Associate what a frame holds and keep its masks."""
        found = self.detector.find(frame.seen, [self.question])[0]
        chosen = select(found, self.settings.selection)
        logits = found.draw(chosen.query)
        tracked = self.tracker.update(_detections(found, chosen, mask_overlap(logits)), frame.index).tracks_only()
        kept = torch.from_numpy(tracked.row).to(logits.device)
        encoded = mask_rles(logits[kept], found, frame.size)
        scores = found.scores[chosen.query[kept]].double().cpu().numpy()
        for rle, row, one in zip(encoded, scores, tracked.track_id.tolist(), strict=True):
            clip = self._clips.setdefault(one, _Clip(np.zeros(scores.shape[1])))
            clip.masks[frame.index] = rle
            clip.scores += row
        self._num_frames = frame.index + 1
        if frame.index >= self.rules.grace_frames:
            self._clips = {one: clip for one, clip in self._clips.items() if not self._is_noise(clip, frame.index)}

    def _is_noise(self, clip: _Clip, index: int) -> bool:
        is_missing = not any(index - back in clip.masks for back in range(self.rules.missing_frames))
        return is_missing and len(clip.masks) < self.rules.least_seen

    def prediction(self) -> Prediction:
        """An object for each (track, class) above the least score, numbered from 1; frames are built on access."""
        found = [
            (clip, place, float(score))
            for clip in self._clips.values()
            for place, score in enumerate(clip.scores / len(clip.masks))
            if score > self.rules.least_score
        ]
        tracks = _tracks(
            class_index=[int(self.vocabulary.class_index[place]) for _, place, _ in found],
            score=[score for _, _, score in found],
        )
        shown = [clip.masks for clip, _, _ in found]
        return Prediction(frames=Frames(self._num_frames, partial(_shown_at, shown, tracks)), tracks=tracks)


class TrackedBoxes(Generic[Seen, Asked, Shown]):
    """Multi-object tracking, of boxes or of masks that do not overlap: every detection that has a track."""

    def __init__(
        self,
        detector: Detector[Seen, Asked, Shown],
        *,
        vocabulary: Vocabulary,
        question: Asked,
        settings: TaskSettings,
        tracker: BoxTracker,
    ) -> None:
        self.detector, self.vocabulary, self.question = detector, vocabulary, question
        self.settings, self.tracker = settings, tracker
        self._frames: list[Instances] = []

    def see(self, frame: FrameAt[Seen]) -> None:
        """Associate what a frame holds and keep what has a track; ids start at 1."""
        found = self.detector.find(frame.seen, [self.question])[0]
        chosen = select(found, self.settings.selection)
        overlap = box_overlap(to_pixels(chosen.boxes, frame.size, is_clipped=self.settings.clips_boxes))
        tracked = self.tracker.update(_detections(found, chosen, overlap), frame.index).tracks_only()
        kept = _rows(chosen, torch.from_numpy(tracked.row).to(chosen.query.device))
        answer = instances(
            found,
            kept,
            self.settings,
            size=frame.size,
            class_index=self.vocabulary.classes_of(kept),
            object_id=tracked.track_id + 1,
        )
        self._frames.append(without_overlap(answer) if self.settings.has_masks else answer)

    def prediction(self) -> Prediction:
        """One annotation a frame, and the tracks with their mean scores."""
        ids, scores, classes = (
            np.concatenate([np.zeros(0, kind), *(getattr(frame, name) for frame in self._frames)])
            for name, kind in (("object_id", np.int64), ("score", np.float64), ("class_index", np.int64))
        )
        different, first, back = np.unique(ids, return_index=True, return_inverse=True)
        means = np.bincount(back, scores, len(different)) / np.bincount(back, minlength=len(different))
        tracks = replace(_tracks(class_index=classes[first].tolist(), score=means.tolist()), object_id=different)
        return Prediction(frames=tuple(self._frames), tracks=tracks)


def _detections(found: FrameObjects, chosen: Selected, overlap: NDArray[np.float32]) -> Detections:
    """What a tracker sees of the answers of a frame. overlap: float32 [n, n]."""
    if found.embed is None:
        raise ValueError("tracking needs a detector with identity embeddings")
    return Detections(
        score=chosen.score.float().cpu().numpy(),
        class_index=chosen.class_index.cpu().numpy(),
        embedding=found.embed()[chosen.query].float().cpu().numpy(),
        overlap=overlap,
    )


def _rows(chosen: Selected, row: Tensor) -> Selected:
    """Some of the answers. row: int64 [k]."""
    return Selected(
        query=chosen.query[row],
        class_index=chosen.class_index[row],
        score=chosen.score[row],
        boxes=chosen.boxes[row],
    )


def _tracks(class_index: list[int], score: list[float]) -> Tracks:
    num = len(score)
    return Tracks(
        object_id=np.arange(1, num + 1),
        class_index=np.array(class_index, np.int64),
        score=np.array(score, np.float64),
        is_crowd=np.zeros(num, bool),
        area=np.zeros(num),
    )


def _shown_at(shown: list[dict[int, Rle]], tracks: Tracks, index: int) -> Instances:
    """The objects that a frame shows. shown: masks by frame, of each track."""
    rows = [row for row, found in enumerate(shown) if index in found]
    rles = [shown[row][index] for row in rows]
    return make_instances(
        class_index=tracks.class_index[rows],
        masks=rles,
        box_format=NO_BOXES,
        area=masks.areas(rles).astype(np.float64),
        score=tracks.score[rows],
        object_id=tracks.object_id[rows],
    )
