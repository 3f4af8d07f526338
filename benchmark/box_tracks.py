"""One object's boxes through a video as one array: what readers of tracking files make and what their metrics take.

A frame's annotation is `Instances` with one row for each run of the tracker (one, except for GOT-10k's repeated runs),
`object_id` counting the runs from 1. A model may also answer frame by frame; `boxes_of` reads either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Annotation, Instances, make_instances
from benchmark.problems import BenchmarkError


@dataclass(frozen=True, slots=True, eq=False)
class BoxTrack(Sequence[Annotation]):
    """One object followed through a video.

    boxes: float64 [T, R, 4], x, y, width, height in pixels of T frames and R runs; NaN where a file says nothing.
    """

    boxes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: int) -> Instances:  # type: ignore[override]
        return make_instances(class_index=np.zeros(self.boxes.shape[1], np.int64), boxes=self.boxes[index])

    def __iter__(self) -> Iterator[Annotation]:
        return (self[index] for index in range(len(self)))


def one_run(boxes: NDArray[np.float64]) -> BoxTrack:
    """The track of a single run. boxes: float64 [T, 4]."""
    return BoxTrack(boxes[:, None])


def boxes_of(frames: Sequence[Annotation], place: str) -> NDArray[np.float64]:
    """float64 [T, R, 4], x, y, width, height of each frame and run; a frame without an object has zeros.

    place: what the frames belong to, for complaints. Raises BenchmarkError for masks alone and for uneven runs.
    """
    if isinstance(frames, BoxTrack):
        return frames.boxes
    rows = [_rows(frame, f"{place}, frame {index + 1}") for index, frame in enumerate(frames)]
    num_runs = max((len(row) for row in rows), default=1) or 1
    uneven = [index for index, row in enumerate(rows) if len(row) not in (0, num_runs)]
    if uneven:
        index = uneven[0]
        raise BenchmarkError(
            f"{place}: frame {index + 1} has {len(rows[index])} boxes, others {num_runs}. "
            "Give one box a frame, or as many as the tracker was run."
        )
    filled = [row if len(row) else np.zeros((num_runs, 4)) for row in rows]
    return np.stack(filled) if filled else np.zeros((0, num_runs, 4))


def _rows(frame: Annotation, place: str) -> NDArray[np.float64]:
    if not isinstance(frame, Instances):
        raise BenchmarkError(f"{place} is of kind {type(frame).__name__}, tracking compares boxes of Instances.")
    if frame.box_format == "xywh" or not len(frame):
        return frame.boxes
    if frame.box_format != "xyxy":
        raise BenchmarkError(f"{place} has no boxes (box_format {frame.box_format!r}). Give boxes as xywh or xyxy.")
    return np.hstack([frame.boxes[:, :2], frame.boxes[:, 2:] - frame.boxes[:, :2]])
