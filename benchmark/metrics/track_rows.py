"""The detections of a video laid end to end, and which of the truth's overlap which of the answer's.

Tracking metrics look at whole videos: here frames are read once, in order, and only ids, classes and overlaps are kept,
so that masks of one frame at a time are in memory. Overlaps of boxes are computed for many frames in one go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Annotation, Instances, Prediction, Sample
from benchmark.problems import BenchmarkError

EPSILON = float(np.finfo(np.float64).eps)
PAIRS_AT_ONCE = 1 << 18
"""Box pairs whose overlap is computed together."""


class BoxRule(Protocol):
    """How a benchmark measures overlaps of boxes in `box_format`."""

    @property
    def box_format(self) -> str: ...

    def ends(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where boxes end, (x, y), float64 [N, 2]; they start at their first two numbers. boxes: float64 [N, 4]."""
        ...

    def areas(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area of each box in a union, float64 [N]. boxes: float64 [N, 4]."""
        ...

    def own_areas(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area of each box of which a share lies in a region, float64 [N]. boxes: float64 [N, 4]."""
        ...

    def iou(
        self, common: NDArray[np.float64], truth: NDArray[np.float64], found: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Intersection over union of P pairs, float64 [P]. common, truth, found: float64 [P], areas; common > 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """N detections of one side of a video.

    frame: int64 [N], rising.   object_id, class_index: int64 [N].   score: float64 [N].
    """

    frame: NDArray[np.int64]
    object_id: NDArray[np.int64]
    class_index: NDArray[np.int64]
    score: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, keep: NDArray[np.bool_]) -> Rows:
        """The rows for which `keep`, bool [N], holds."""
        return Rows(
            frame=self.frame[keep],
            object_id=self.object_id[keep],
            class_index=self.class_index[keep],
            score=self.score[keep],
        )

    def starts(self, num_frames: int) -> NDArray[np.int64]:
        """int64 [num_frames + 1]: the rows of frame t are starts[t] to starts[t + 1]."""
        return np.searchsorted(self.frame, np.arange(num_frames + 1)).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """P pairs that overlap, sorted by truth row, then found row.

    truth, found: int64 [P], rows of the two sides.   similarity: float64 [P], above 0.
    """

    truth: NDArray[np.int64]
    found: NDArray[np.int64]
    similarity: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, keep: NDArray[np.bool_]) -> Pairs:
        """The pairs for which `keep`, bool [P], holds; rows keep their numbers."""
        return Pairs(truth=self.truth[keep], found=self.found[keep], similarity=self.similarity[keep])


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """Both sides of one video. in_ignored: float64 [found rows], the largest share of each inside an ignored region."""

    num_frames: int
    truth: Rows
    found: Rows
    pairs: Pairs
    in_ignored: NDArray[np.float64]

    def take(self, truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> Video:
        """The rows for which `truth`, bool [truth rows], and `found`, bool [found rows], hold, renumbered."""
        keep = truth[self.pairs.truth] & found[self.pairs.found]
        pairs = Pairs(
            truth=(np.cumsum(truth) - 1)[self.pairs.truth[keep]],
            found=(np.cumsum(found) - 1)[self.pairs.found[keep]],
            similarity=self.pairs.similarity[keep],
        )
        return Video(
            num_frames=self.num_frames,
            truth=self.truth.take(truth),
            found=self.found.take(found),
            pairs=pairs,
            in_ignored=self.in_ignored[found],
        )

    def of_class(self, class_index: int) -> Video:
        """The detections of one class."""
        return self.take(self.truth.class_index == class_index, self.found.class_index == class_index)


def compare_boxes(sample: Sample, prediction: Prediction, rule: BoxRule) -> Video:
    """Both sides of a video of boxes. Raises BenchmarkError where they are no pair."""
    frames = list(_frames(sample, prediction, rule.box_format))
    truth, found = _rows(sample, [one[0] for one in frames]), _rows(sample, [one[1] for one in frames])
    ignored = _rows(sample, [one[2] for one in frames], has_ids=False)
    boxes = [np.concatenate([np.zeros((0, 4)), *(one[side].boxes for one in frames)]) for side in range(3)]
    areas = [rule.areas(one) for one in boxes[:2]]
    rows, columns, common = _intersections(rule, (truth, found), (boxes[0], boxes[1]), len(frames))
    overlaps = rule.iou(common, areas[0][rows], areas[1][columns])
    hit = overlaps > 0
    inner, _, inside = _intersections(rule, (found, ignored), (boxes[1], boxes[2]), len(frames))
    own = rule.own_areas(boxes[1])[inner]
    in_ignored = np.zeros(len(found))
    np.maximum.at(in_ignored, inner, np.divide(inside, own, out=np.zeros(len(inner)), where=own > 0))
    return Video(
        num_frames=len(frames),
        truth=truth,
        found=found,
        pairs=Pairs(truth=rows[hit], found=columns[hit], similarity=overlaps[hit]),
        in_ignored=in_ignored,
    )


def compare_masks(sample: Sample, prediction: Prediction) -> Video:
    """Both sides of a video of masks, one frame in memory at a time. Raises BenchmarkError where they are no pair."""
    sides: tuple[list[Instances], list[Instances]] = ([], [])
    rows, columns, similarity = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    shares, offsets, num_frames = [np.zeros(0)], [0, 0], 0
    for truth, found, ignored in _frames(sample, prediction, None):
        overlap = masks.iou(truth.masks or (), found.masks or ())
        row, column = np.nonzero(overlap > 0)
        rows.append(row + offsets[0])
        columns.append(column + offsets[1])
        similarity.append(overlap[row, column])
        inside = masks.iou(found.masks or (), ignored.masks or (), np.ones(len(ignored), bool))
        shares.append(inside.max(axis=1, initial=0.0))
        offsets = [offsets[0] + len(truth), offsets[1] + len(found)]
        sides[0].append(_without_masks(truth))
        sides[1].append(_without_masks(found))
        num_frames += 1
    pairs = Pairs(truth=np.concatenate(rows), found=np.concatenate(columns), similarity=np.concatenate(similarity))
    return Video(
        num_frames=num_frames,
        truth=_rows(sample, sides[0]),
        found=_rows(sample, sides[1]),
        pairs=pairs,
        in_ignored=np.concatenate(shares),
    )


def _without_masks(frame: Instances) -> Instances:
    return Instances(
        masks=None,
        boxes=frame.boxes,
        box_format=frame.box_format,
        area=frame.area,
        class_index=frame.class_index,
        score=frame.score,
        object_id=frame.object_id,
        is_crowd=frame.is_crowd,
    )


_NOTHING = Instances(
    masks=(),
    boxes=np.zeros((0, 4)),
    box_format="xywh",
    area=np.zeros(0),
    class_index=np.zeros(0, np.int64),
    score=np.zeros(0),
    object_id=np.zeros(0, np.int64),
    is_crowd=np.zeros(0, bool),
)


def _frames(
    sample: Sample, prediction: Prediction, box_format: str | None
) -> Iterator[tuple[Instances, Instances, Instances]]:
    """(truth, prediction, ignored) of each frame, checked. box_format: None for masks."""
    truth = sample.truth
    if truth is None:
        raise BenchmarkError(f"{sample.sample_id}: the sample has no truth to score against. Name one with --truth.")
    if len(truth.frames) != len(prediction.frames):
        raise BenchmarkError(
            f"{sample.sample_id}: prediction has {len(prediction.frames)} frames; the truth has {len(truth.frames)}."
        )
    for index, (right, answer) in enumerate(zip(truth.frames, prediction.frames, strict=True)):
        ignored = _NOTHING if truth.ignored is None else truth.ignored[index]
        yield (
            _checked(sample, right, f"truth of frame {index}", box_format),
            _checked(sample, answer, f"prediction of frame {index}", box_format),
            _checked(sample, ignored, f"ignored region of frame {index}", box_format),
        )


def _checked(sample: Sample, frame: Annotation, role: str, box_format: str | None) -> Instances:
    if not isinstance(frame, Instances):
        kind = type(frame).__name__
        raise BenchmarkError(f"{sample.sample_id}: {role} is of kind {kind}, this metric compares Instances.")
    if box_format is not None:
        if len(frame) and frame.box_format != box_format:
            raise BenchmarkError(f"{sample.sample_id}: {role} has {frame.box_format} boxes, this metric {box_format}.")
        return frame
    if frame.masks is None:
        raise BenchmarkError(f"{sample.sample_id}: {role} has no masks, this metric compares masks.")
    wrong = next((rle.size for rle in frame.masks if tuple(rle.size) != tuple(sample.size)), None)
    if wrong is not None:
        raise BenchmarkError(
            f"{sample.sample_id}: {role} is {wrong[0]}x{wrong[1]} (height x width), "
            f"the video is {sample.size[0]}x{sample.size[1]}. Write masks at the video's own size."
        )
    return frame


def _rows(sample: Sample, frames: list[Instances], *, has_ids: bool = True) -> Rows:
    nothing = np.zeros(0, np.int64)
    rows = Rows(
        frame=np.repeat(np.arange(len(frames)), [len(one) for one in frames]).astype(np.int64),
        object_id=np.concatenate([nothing, *(one.object_id for one in frames)]),
        class_index=np.concatenate([nothing, *(one.class_index for one in frames)]),
        score=np.concatenate([np.zeros(0), *(one.score for one in frames)]),
    )
    if has_ids:
        _check_ids(sample, rows)
    return rows


def _check_ids(sample: Sample, rows: Rows) -> None:
    """One object has one detection a frame (and class, as ids of two classes may be independent)."""
    order = np.lexsort((rows.class_index, rows.object_id, rows.frame))
    keys = np.stack((rows.frame, rows.object_id, rows.class_index))[:, order]
    twice = np.flatnonzero((keys[:, 1:] == keys[:, :-1]).all(axis=0))
    if twice.size:
        frame, object_id, _ = keys[:, twice[0]]
        raise BenchmarkError(
            f"{sample.sample_id}: object {object_id} occurs twice in frame {frame}. Give every object of a frame an id."
        )


def _intersections(
    rule: BoxRule, sides: tuple[Rows, Rows], boxes: tuple[NDArray[np.float64], NDArray[np.float64]], num_frames: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(left rows, right rows, common areas above 0) of the pairs that share a frame and a place.

    Sorted by left row, then right row. boxes: float64 [N, 4] and [M, 4].
    """
    left, right = sides
    starts = right.starts(num_frames)
    first = starts[left.frame]
    partners = starts[left.frame + 1] - first
    spans = [
        [(np.ascontiguousarray(one[:, axis]), np.ascontiguousarray(rule.ends(one)[:, axis])) for one in boxes]
        for axis in (0, 1)
    ]
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for low, high in _blocks(partners):
        count = partners[low:high]
        rows = np.repeat(np.arange(low, high), count)
        columns = np.arange(len(rows)) + np.repeat(first[low:high] - (np.cumsum(count) - count), count)
        wide = _common_length(spans[0], rows, columns)
        is_near = wide > 0
        rows, columns, wide = rows[is_near], columns[is_near], wide[is_near]
        common = wide * np.maximum(_common_length(spans[1], rows, columns), 0)
        is_hit = common > 0
        parts.append((rows[is_hit], columns[is_hit], common[is_hit]))
    rows, columns, common = (np.concatenate(one) for one in zip(*parts, strict=True))
    return rows, columns, common


def _common_length(
    spans: list[tuple[NDArray[np.float64], NDArray[np.float64]]], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How far two intervals overlap, float64 [P], negative where they do not. rows, columns: int64 [P]."""
    (left_start, left_end), (right_start, right_end) = spans
    end = np.minimum(left_end[rows], right_end[columns])
    length: NDArray[np.float64] = end - np.maximum(left_start[rows], right_start[columns])
    return length


def _blocks(partners: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of rows that together have about `PAIRS_AT_ONCE` partners. partners: int64 [N]."""
    total = np.cumsum(partners)
    low = 0
    while low < len(partners):
        done = int(total[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(total, done + PAIRS_AT_ONCE, "right")))
        yield low, high
        low = high
