"""The online trackers: detections kept and ids given equal the authors' on frames with look-alikes, gaps and ties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from uninext_model import tracer
from uninext_oracle import TOLERANCE, Oracle, token_ids

from benchmark import masks
from benchmark.contract import Instances, Prediction, Task
from models.association import Detections, Tracked, box_overlap, mask_overlap
from models.discovery_detector import DiscoveryDetector, Part, Question, SeenFrame
from models.frame_steps import FrameAt, Vocabulary
from models.object_answers import Selected, select, to_pixels
from models.task_settings import TASK_SETTINGS, ClipRules
from models.track_steps import TrackedBoxes, TrackedMasks
from models.tracking import BoxTracker, MaskTracker

NUM_FRAMES = 18


@pytest.fixture(scope="module")
def oracle(samples_dir: Path) -> Oracle:
    return Oracle(samples_dir / "oracles" / "uninext", "tracker_synthetic")


def detections(oracle: Oracle, frame: int, *, has_masks: bool) -> Detections:
    """A stored frame as the trackers see it."""
    name = f"frame{frame:02d}"
    boxes = oracle.array(f"{name}_box_pixels_score")
    masks = torch.from_numpy(oracle.array(f"{name}_mask_logit"))
    return Detections(
        score=boxes[:, 4],
        class_index=oracle.array(f"{name}_label"),
        embedding=oracle.array(f"{name}_embedding"),
        overlap=mask_overlap(masks) if has_masks else box_overlap(torch.from_numpy(boxes[:, :4])),
    )


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["vis", "mot"])
def test_detections_and_ids_equal_the_authors(oracle: Oracle, kind: str) -> None:
    tracker = MaskTracker() if kind == "vis" else BoxTracker()
    for frame in range(NUM_FRAMES):
        tracked = tracker.update(detections(oracle, frame, has_masks=kind == "vis"), frame)
        assert tracked.row.tolist() == oracle.array(f"{kind}_frame{frame:02d}_detection").tolist(), frame
        expected = np.maximum(oracle.array(f"{kind}_frame{frame:02d}_track_id"), -1)
        assert tracked.track_id.tolist() == expected.tolist(), frame


class Witness:
    """A tracker that keeps what it is given and what it answers."""

    def __init__(self, tracker: MaskTracker | BoxTracker) -> None:
        self.tracker = tracker
        self.seen: list[tuple[Detections, Tracked]] = []

    def update(self, found: Detections, frame_index: int) -> Tracked:
        tracked = self.tracker.update(found, frame_index)
        self.seen.append((found, tracked))
        return tracked


SIZE, SEEN_SIZE = (144, 192), (192, 256)


class Clip:
    """The authors' three frames through our network and a tracker."""

    def __init__(self, folder: Path) -> None:
        self.oracle = oracle = Oracle(folder, "video_clip_192x256")
        model = tracer().model
        self.detector = DiscoveryDetector(model)
        with torch.no_grad():
            prompt = model.ask_text(*token_ids(oracle.array("token_ids")), "categories")
        positions = tuple(tuple(one) for one in oracle.case["label_to_token_positions"].values())
        num = len(positions)
        self.vocabulary = Vocabulary.of(oracle.case["words"])
        self.question = Question(
            parts=(Part(prompt=prompt, classes=tuple(range(num)), positions=positions),), num_classes=num
        )
        self.frames = [self.detector.look(oracle.array(f"frame{index}").transpose(1, 2, 0)) for index in range(3)]
        self.found = [self.detector.find(frame, [self.question])[0] for frame in self.frames]

    def selected(self, task: Task) -> list[Selected]:
        return [select(found, TASK_SETTINGS[task].selection) for found in self.found]

    def run(self, task: Task) -> tuple[Witness, Prediction]:
        asked = {"vocabulary": self.vocabulary, "question": self.question, "settings": TASK_SETTINGS[task]}
        step: TrackedMasks[SeenFrame, Question, object] | TrackedBoxes[SeenFrame, Question, object]
        if task is Task.VIS:
            witness = Witness(MaskTracker())
            step = TrackedMasks(self.detector, **asked, tracker=witness, rules=ClipRules())
        else:
            witness = Witness(BoxTracker())
            step = TrackedBoxes(self.detector, **asked, tracker=witness)
        for index, frame in enumerate(self.frames):
            step.see(FrameAt(index=index, seen=frame, size=SIZE, seen_size=SEEN_SIZE))
        return witness, step.prediction()


@pytest.fixture(scope="module")
def clip(samples_dir: Path) -> Clip:
    return Clip(samples_dir / "oracles" / "uninext")


@pytest.mark.parity
@pytest.mark.parametrize(("kind", "task"), [("vis", Task.VIS), ("mot", Task.MOT)])
def test_a_clips_detections_and_ids_equal_the_authors(clip: Clip, kind: str, task: Task) -> None:
    witness, _ = clip.run(task)
    for index, (chosen, (seen, tracked)) in enumerate(zip(clip.selected(task), witness.seen, strict=True)):
        name = f"{kind}_frame{index}"
        assert chosen.query.tolist() == clip.oracle.array(f"{name}_query_in").tolist()
        stored = clip.oracle.array(f"{name}_detection")
        boxes = (
            clip.found[index].boxes[chosen.query] if kind == "vis" else to_pixels(chosen.boxes, SIZE, is_clipped=False)
        )
        # Pixels: a hundredth of one.
        assert np.abs(boxes.numpy() - stored[:, :4]).max() < (TOLERANCE if kind == "vis" else 1e-2)
        assert np.abs(seen.score - stored[:, 4]).max() < TOLERANCE
        assert chosen.query[tracked.row].tolist() == clip.oracle.array(f"{name}_query_out").tolist()
        expected = np.maximum(clip.oracle.array(f"{name}_track_id"), -1)
        assert tracked.track_id.tolist() == expected.tolist()


@pytest.mark.parity
def test_a_clips_tracks_equal_the_authors(clip: Clip) -> None:
    _, prediction = clip.run(Task.VIS)
    assert prediction.tracks is not None
    assert np.abs(prediction.tracks.score - clip.oracle.array("vis_score")).max() < TOLERANCE
    assert prediction.tracks.class_index.tolist() == clip.oracle.array("vis_label").tolist()
    areas = np.full((len(prediction.tracks), 3), -1)
    for index, frame in enumerate(prediction.frames):
        assert isinstance(frame, Instances) and frame.masks is not None
        areas[frame.object_id - 1, index] = masks.areas(frame.masks)
    stored = clip.oracle.array("vis_mask_area")
    assert ((areas < 0) == (stored < 0)).all()
    # Pixels whose logit is zero to within rounding may change sides.
    assert np.abs(areas - stored).max() <= 3


@pytest.mark.parity
def test_a_clips_boxes_equal_the_authors(clip: Clip) -> None:
    _, prediction = clip.run(Task.MOT)
    rows = []
    for index, frame in enumerate(prediction.frames):
        assert isinstance(frame, Instances) and frame.box_format == "xywh"
        corners = np.concatenate((frame.boxes[:, :2], frame.boxes[:, :2] + frame.boxes[:, 2:]), axis=1)
        head = np.stack((np.full(len(frame), index), frame.class_index, frame.object_id - 1), axis=1)
        rows.append(np.concatenate((head, corners, frame.score[:, None]), axis=1))
    ours, stored = np.concatenate(rows), clip.oracle.array("mot_rows")
    assert len(ours) == len(stored)
    # The authors list a frame class by class.
    ours, stored = (one[np.lexsort((one[:, 2], one[:, 0]))] for one in (ours, stored))
    assert (ours[:, :3] == stored[:, :3]).all()
    assert np.abs(ours[:, 3:7] - stored[:, 3:7]).max() < 1e-2
    assert np.abs(ours[:, 7] - stored[:, 7]).max() < TOLERANCE
