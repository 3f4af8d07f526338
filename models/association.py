"""Detections of one frame as trackers see them, and how alike they are to what is remembered.

Nothing here knows of networks, pixels or tasks: detections have scores, classes, identity embeddings and overlaps, the
last computed from masks or from boxes. Shapes: n detections, m remembered, D width of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.object_answers import box_iou

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
NO_TRACK = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """n detections of one frame, best first.

    score: float32 [n], 0..1. class_index: int64 [n]. embedding: float32 [n, D], compared by raw products. overlap:
    float32 [n, n], IoU of the detections' masks or boxes with each other.
    """

    score: Floats
    class_index: Ids
    embedding: Floats
    overlap: Floats

    def __len__(self) -> int:
        return len(self.score)

    def rows(self, chosen: Ids) -> Detections:
        """Some of the detections. chosen: int64 [k]."""
        return Detections(
            score=self.score[chosen],
            class_index=self.class_index[chosen],
            embedding=self.embedding[chosen],
            overlap=self.overlap[np.ix_(chosen, chosen)],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What a tracker made of a frame. row: int64 [k], positions among the detections it was given, best first.

    track_id: int64 [k], from 0 in the order of appearance, or NO_TRACK.
    """

    row: Ids
    track_id: Ids

    def tracks_only(self) -> Tracked:
        """Without the detections that have no track."""
        is_track = self.track_id != NO_TRACK
        return Tracked(row=self.row[is_track], track_id=self.track_id[is_track])


def both_ways(detected: Floats, remembered: Floats) -> Floats:
    """Bi-softmax of raw products, float32 [n, m], 0..1: a pair is alike if each prefers the other.

    detected: [n, D]. remembered: [m, D].
    """
    products = detected @ remembered.T
    return ((_softmax(products, 1) + _softmax(products, 0)) / 2).astype(np.float32)


def _softmax(values: Floats, axis: int) -> Floats:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True), np.float32)


def without_duplicates(overlap: Floats, limit: float) -> Ids:
    """Rows that overlap no better kept one by more than `limit`, int64 [k]. overlap: [n, n], best first."""
    is_kept = np.ones(len(overlap), bool)
    for row in range(len(overlap)):
        if is_kept[row]:
            is_kept[row + 1 :] &= ~(overlap[row, row + 1 :] > limit)
    return np.flatnonzero(is_kept)


def best_overlap(overlap: Floats) -> Floats:
    """The largest overlap of every detection with any better one, float32 [n]; 0 for the first."""
    return np.asarray(np.tril(overlap, -1).max(axis=1, initial=0.0), np.float32)


def mask_overlap(mask_logits: Tensor) -> Floats:
    """IoU of masks with each other, float32 [n, n]; two empty masks are the same. mask_logits: [n, h, w]."""
    bits = (mask_logits > 0).flatten(1).float()
    both, areas = bits @ bits.T, bits.sum(1)
    union = areas[:, None] + areas[None] - both
    return torch.where(union > 0, both / union.clamp(min=1), 1.0).cpu().numpy()


def box_overlap(boxes: Tensor) -> Floats:
    """IoU of xyxy boxes [n, 4] with each other, float32 [n, n]; boxes without area overlap nothing."""
    return box_iou(boxes, boxes).nan_to_num(0.0).cpu().numpy()
