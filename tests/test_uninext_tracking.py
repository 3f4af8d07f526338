"""The online trackers: detections kept and ids given equal the authors' on frames with look-alikes, gaps and ties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from uninext_oracle import Oracle

from models.association import (
    Detections,
    box_overlap,
    mask_overlap,
)
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
