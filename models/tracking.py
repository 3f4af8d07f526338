"""Online trackers: detections of one frame after the other get the ids of what was seen before.

`MaskTracker` is IDOL's (arXiv 2207.10661) and `BoxTracker` quasi-dense tracking (arXiv 2006.06664), both as
MasterBin-IIAU/UNINEXT at 5ab0386 runs them; the defaults are the published numbers. Neither looks into the future and
both forget, so memory does not grow with the video. Shapes: n detections, m remembered, D width of an embedding.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from models.association import NO_TRACK, Detections, Floats, Ids, Tracked, best_overlap, both_ways, without_duplicates


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskTrackerRules:
    """Numbers of video instance segmentation.

    start_score: a detection that is no known object starts a track above it. match_similarity: least similarity to a
    track. duplicate_iou: a mask that overlaps a better one more is dropped before matching. memory_frames: a track that
    was not seen for so many frames is forgotten. memory_length: embeddings a track is remembered by.
    prefers_long: of several similar tracks, the one with more detections. prefers_recent: later embeddings weigh more.
    """

    start_score: float = 0.2
    match_similarity: float = 0.5
    duplicate_iou: float = 0.5
    memory_frames: int = 10
    memory_length: int = 3
    prefers_long: bool = True
    prefers_recent: bool = True


@dataclass(slots=True)
class _MaskTrack:
    """What is remembered of an object."""

    embeddings: deque[Floats]
    scores: deque[float]
    last_frame: int
    num_seen: int = 0

    def embedding(self, *, prefers_recent: bool) -> Floats:
        """Mean of the embeddings, float32 [D], weighted by score and, if so wished, by place."""
        weights = np.array(self.scores, np.float32)
        if prefers_recent:
            weights += np.arange(1, len(weights) + 1, dtype=np.float32) / len(weights)
        return np.asarray((np.stack(self.embeddings) * weights[:, None]).sum(0) / weights.sum(), np.float32)


class MaskTracker:
    """Tracks objects by their masks' overlaps in a frame and their embeddings across frames; classes may change."""

    def __init__(self, rules: MaskTrackerRules | None = None) -> None:
        self.rules = rules or MaskTrackerRules()
        self._tracks: dict[int, _MaskTrack] = {}
        self._num_started = 0

    def update(self, found: Detections, frame_index: int) -> Tracked:
        """Ids of the detections that are no duplicates. found.overlap: of masks. frame_index: ascending."""
        row = without_duplicates(found.overlap, self.rules.duplicate_iou)
        kept = found.rows(row)
        track_id = self._matched(kept) if self._tracks and len(kept) else np.full(len(kept), NO_TRACK)
        is_new = (track_id == NO_TRACK) & (kept.score > self.rules.start_score)
        track_id[is_new] = self._num_started + np.arange(is_new.sum())
        self._num_started += int(is_new.sum())
        self._remember(kept, track_id, frame_index)
        return Tracked(row=row, track_id=track_id)

    def _matched(self, kept: Detections) -> Ids:
        """Ids of known tracks, int64 [n]; NO_TRACK for the others."""
        known = list(self._tracks)
        tracks = list(self._tracks.values())
        memory = np.stack([track.embedding(prefers_recent=self.rules.prefers_recent) for track in tracks])
        num_seen = np.array([track.num_seen for track in tracks], np.float32)
        similarity = both_ways(kept.embedding, memory)
        track_id = np.full(len(kept), NO_TRACK)
        for place in range(len(kept)):
            weighted = self._weighted(similarity[place], num_seen)
            best = int(weighted.argmax())
            if weighted[best] > self.rules.match_similarity:
                track_id[place] = known[best]
                similarity[:, best] = 0
        return track_id

    def _weighted(self, similarity: Floats, num_seen: Floats) -> Floats:
        """Similarities [m] to the tracks, those of long tracks raised where several are similar enough."""
        is_similar = similarity > self.rules.match_similarity
        if not self.rules.prefers_long or is_similar.sum() < 2:
            return similarity
        lengths = num_seen[is_similar]
        weights = np.full_like(num_seen, lengths.mean())
        weights[is_similar] = lengths
        return similarity * weights

    def _remember(self, kept: Detections, track_id: Ids, frame_index: int) -> None:
        for place in np.flatnonzero(track_id != NO_TRACK):
            track = self._tracks.get(int(track_id[place]))
            if track is None:
                length = self.rules.memory_length
                track = _MaskTrack(deque(maxlen=length), deque(maxlen=length), frame_index)
                self._tracks[int(track_id[place])] = track
            track.embeddings.append(kept.embedding[place])
            track.scores.append(float(kept.score[place]))
            track.last_frame = frame_index
            track.num_seen += 1
        oldest = frame_index - self.rules.memory_frames
        self._tracks = {one: track for one, track in self._tracks.items() if track.last_frame > oldest}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTrackerRules:
    """Numbers of multi-object tracking.

    start_score, match_similarity, memory_frames: as in `MaskTrackerRules`. object_score: a detection at or below it
    continues no track. duplicate_iou: a box that overlaps any better one more is dropped; weak_duplicate_iou: the same
    for detections below object_score, and the most a remembered background overlaps a better detection.
    background_frames: frames for which detections without a track are remembered as background. momentum: share of the
    new embedding in a track's. keeps_class: a track never changes its class.
    """

    start_score: float = 0.4
    object_score: float = 0.3
    match_similarity: float = 0.5
    weak_duplicate_iou: float = 0.3
    duplicate_iou: float = 0.7
    memory_frames: int = 10
    background_frames: int = 1
    momentum: float = 1.0
    keeps_class: bool = True


@dataclass(slots=True)
class _BoxTrack:
    """What is remembered of an object. embedding: float32 [D]."""

    embedding: Floats
    class_index: int
    last_frame: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    """Tracks, then background. track_id, class_index: int64 [m]. embedding: float32 [m, D]."""

    track_id: Ids
    class_index: Ids
    embedding: Floats


_LOST = -2
"""A detection that is too weak to continue the track it resembles, and therefore nothing."""


class BoxTracker:
    """Tracks objects by their embeddings; what was nothing in the last frame may claim detections, too."""

    def __init__(self, rules: BoxTrackerRules | None = None) -> None:
        self.rules = rules or BoxTrackerRules()
        self._tracks: dict[int, _BoxTrack] = {}
        self._background: deque[Detections] = deque(maxlen=self.rules.background_frames)
        self._num_started = 0

    def update(self, found: Detections, frame_index: int) -> Tracked:
        """Ids of the detections that are no duplicates. found.overlap: of boxes. frame_index: ascending."""
        is_weak = found.score < self.rules.object_score
        limit = np.where(is_weak, self.rules.weak_duplicate_iou, self.rules.duplicate_iou).astype(np.float32)
        row = np.flatnonzero(~(best_overlap(found.overlap) > limit))
        kept = found.rows(row)
        track_id = self._matched(kept) if self._tracks and len(kept) else np.full(len(kept), NO_TRACK)
        is_new = (track_id == NO_TRACK) & (kept.score > self.rules.start_score)
        track_id[is_new] = self._num_started + np.arange(is_new.sum())
        self._num_started += int(is_new.sum())
        self._remember(kept, track_id, frame_index)
        return Tracked(row=row, track_id=np.maximum(track_id, NO_TRACK))

    def _matched(self, kept: Detections) -> Ids:
        """Ids of known tracks, int64 [n]; NO_TRACK for what resembles none, _LOST for what is too weak for its own."""
        memory = self._memory()
        similarity = both_ways(kept.embedding, memory.embedding)
        if self.rules.keeps_class:
            similarity *= kept.class_index[:, None] == memory.class_index[None]
        track_id = np.full(len(kept), NO_TRACK)
        for place in range(len(kept)):
            best = int(similarity[place].argmax())
            if similarity[place, best] <= self.rules.match_similarity or memory.track_id[best] == NO_TRACK:
                continue
            if kept.score[place] > self.rules.object_score:
                track_id[place] = memory.track_id[best]
                similarity[:, best] = 0
            else:
                track_id[place] = _LOST
        return track_id

    def _memory(self) -> _Memory:
        tracks, past = list(self._tracks.values()), list(self._background)
        num_past = sum(len(one) for one in past)
        embeddings = [track.embedding[None] for track in tracks]
        return _Memory(
            track_id=np.array([*self._tracks, *[NO_TRACK] * num_past], np.int64),
            class_index=np.concatenate([[track.class_index for track in tracks], *(one.class_index for one in past)]),
            embedding=np.concatenate([*embeddings, *(one.embedding for one in past)]),
        )

    def _remember(self, kept: Detections, track_id: Ids, frame_index: int) -> None:
        for place in np.flatnonzero(track_id > NO_TRACK):
            old = self._tracks.get(int(track_id[place]))
            embedding, share = kept.embedding[place], self.rules.momentum
            self._tracks[int(track_id[place])] = _BoxTrack(
                embedding=embedding if old is None else (1 - share) * old.embedding + share * embedding,
                class_index=int(kept.class_index[place]),
                last_frame=frame_index,
            )
        is_apart = best_overlap(kept.overlap) <= self.rules.weak_duplicate_iou
        self._background.appendleft(kept.rows(np.flatnonzero((track_id == NO_TRACK) & is_apart)))
        oldest = frame_index - self.rules.memory_frames
        self._tracks = {one: track for one, track in self._tracks.items() if track.last_frame > oldest}
