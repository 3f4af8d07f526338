"""Which detection answers which object, frame by frame, as the official trackers' evaluators pair them.

Most frames need no search: where no detection overlaps two objects and no object two detections, every pair that
qualifies is a match under every rule below. Only the other frames are solved, each as the full matrix that the official
tools give to `scipy.optimize.linear_sum_assignment`, so that equal scores are decided alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmark.metrics.track_rows import EPSILON, Pairs, Video

NOBODY = -1
THRESHOLD = 0.5
CONTINUITY = 1000.0
"""TrackEval's bonus for the partner of the previous frame."""
FORBIDDEN = -10000.0
"""TrackEval's score of pairs below the threshold where it looks for predictions to excuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame that must be solved.

    number: its index.   pairs: slice of the candidate pairs.   row, column: int64 [P], places in the frame's matrix.
    shape: of the matrix.   truth, found: first row of the frame on each side.
    """

    number: int
    pairs: slice
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    shape: tuple[int, int]
    truth: int
    found: int

    def matrix(self, values: NDArray[np.float64], rest: float) -> NDArray[np.float64]:
        """float64 [shape] with `values`, float64 [P], at the pairs and `rest` elsewhere."""
        matrix = np.full(self.shape, rest)
        matrix[self.row, self.column] = values
        return matrix


def unambiguous(video: Video, pairs: Pairs) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(is_settled bool [P], numbers of the other frames int64 [F]): pairs of frames in which no two share a side."""
    is_shared = (np.bincount(pairs.truth, minlength=1)[pairs.truth] > 1) | (
        np.bincount(pairs.found, minlength=1)[pairs.found] > 1
    )
    frame = video.truth.frame[pairs.truth]
    is_open = np.zeros(video.num_frames, bool)
    is_open[frame[is_shared]] = True
    return ~is_open[frame], np.flatnonzero(is_open)


def frames(video: Video, pairs: Pairs, numbers: NDArray[np.int64]) -> Iterator[Frame]:
    """The listed frames in order. numbers: int64 [F]."""
    truth, found = video.truth.starts(video.num_frames), video.found.starts(video.num_frames)
    first = np.searchsorted(pairs.truth, truth)
    for number in numbers.tolist():
        part = slice(int(first[number]), int(first[number + 1]))
        low, left = int(truth[number]), int(found[number])
        yield Frame(
            number=number,
            pairs=part,
            row=pairs.truth[part] - low,
            column=pairs.found[part] - left,
            shape=(int(truth[number + 1]) - low, int(found[number + 1]) - left),
            truth=low,
            found=left,
        )


def best(video: Video, pairs: Pairs, score: NDArray[np.float64], rest: float = 0.0) -> NDArray[np.bool_]:
    """bool [P], the pairs of each frame's matching of highest total score. score: float64 [P]; rest: of all others."""
    is_matched, numbers = unambiguous(video, pairs)
    for frame in frames(video, pairs, numbers):
        rows, columns = linear_sum_assignment(frame.matrix(score[frame.pairs], rest), maximize=True)
        is_matched[frame.pairs] = _chosen(frame, rows, columns)
    return is_matched


def fewest_missed(video: Video, pairs: Pairs) -> NDArray[np.bool_]:
    """bool [P], as many pairs a frame as possible, and of those matchings the one of least distance (motmetrics)."""
    is_matched, numbers = unambiguous(video, pairs)
    for frame in frames(video, pairs, numbers):
        distance = 1 - pairs.similarity[frame.pairs]
        is_matched[frame.pairs] = _least_distance(frame, distance, np.ones(len(distance), bool))
    return is_matched


def trackeval_clear(video: Video, pairs: Pairs, truth_id: NDArray[np.int64], found_id: NDArray[np.int64]) -> Pairs:
    """TrackEval's CLEAR matches: most similarity in all, after keeping the partners of the previous frame.

    A frame in which one side is empty leaves that memory as it is. truth_id, found_id: int64 [rows], from 0.
    """
    is_matched, numbers = unambiguous(video, pairs)
    has_both = _has_both(video)
    before = _frame_before(has_both)
    partner = np.full(len(video.truth), NOBODY, np.int64)
    partner[pairs.truth[is_matched]] = found_id[pairs.found[is_matched]]
    starts = video.truth.starts(video.num_frames)
    previous = np.full(int(truth_id.max(initial=0)) + 1, NOBODY, np.int64)
    for frame in frames(video, pairs, numbers):
        last = before[frame.number]
        rows = slice(starts[last], starts[last + 1]) if last != NOBODY else slice(0, 0)
        previous[truth_id[rows]] = partner[rows]
        similarity = pairs.similarity[frame.pairs]
        is_kept = previous[truth_id[pairs.truth[frame.pairs]]] == found_id[pairs.found[frame.pairs]]
        previous[truth_id[rows]] = NOBODY
        score = frame.matrix(np.where(is_kept, CONTINUITY, 0.0) + similarity, 0.0)
        found_rows, columns = linear_sum_assignment(score, maximize=True)
        chosen = _chosen(frame, found_rows, columns)
        is_matched[frame.pairs] = chosen
        partner[pairs.truth[frame.pairs][chosen]] = found_id[pairs.found[frame.pairs][chosen]]
    return pairs.take(is_matched)


def motmetrics_clear(video: Video, pairs: Pairs, truth_id: NDArray[np.int64], found_id: NDArray[np.int64]) -> Pairs:
    """motmetrics' CLEAR matches: every object in turn takes its last known partner if that is near, then the rest.

    truth_id, found_id: int64 [rows], from 0.
    """
    is_matched, numbers = unambiguous(video, pairs)
    known = np.full(int(truth_id.max(initial=0)) + 1, NOBODY, np.int64)
    told = 0
    for frame in frames(video, pairs, numbers):
        # What the frames in between have settled; of several matches of an object the last one stays.
        since = slice(told, frame.pairs.start)
        is_new = is_matched[since]
        known[truth_id[pairs.truth[since][is_new]]] = found_id[pairs.found[since][is_new]]
        chosen = _keep_and_match(
            frame,
            1 - pairs.similarity[frame.pairs],
            known[truth_id[pairs.truth[frame.pairs]]] == found_id[pairs.found[frame.pairs]],
        )
        is_matched[frame.pairs] = chosen
        told = frame.pairs.start
    return pairs.take(is_matched)


def _keep_and_match(frame: Frame, distance: NDArray[np.float64], is_known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(distance), bool)
    taken: set[int] = set()
    for place in np.flatnonzero(is_known).tolist():
        column = int(frame.column[place])
        if column not in taken:
            taken.add(column)
            chosen[place] = True
    is_free = ~np.isin(frame.row, frame.row[chosen]) & ~np.isin(frame.column, frame.column[chosen])
    return chosen | _least_distance(frame, distance, is_free)


def _least_distance(frame: Frame, distance: NDArray[np.float64], is_free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool [P]. distance: float64 [P]. is_free: bool [P], the pairs that may still be chosen."""
    if not is_free.any():
        return np.zeros(len(distance), bool)
    # motmetrics' price of an impossible pair: one of them is dearer than any full matching without.
    dear = 2 * min(frame.shape) * (np.abs(distance[is_free]).max() + 1) + 1
    matrix = np.full(frame.shape, dear)
    matrix[frame.row[is_free], frame.column[is_free]] = distance[is_free]
    rows, columns = linear_sum_assignment(matrix)
    return _chosen(frame, rows, columns) & is_free


def _chosen(frame: Frame, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [P], the frame's candidates that an assignment picked."""
    column_of = np.full(frame.shape[0], NOBODY, np.int64)
    column_of[rows] = columns
    is_picked: NDArray[np.bool_] = column_of[frame.row] == frame.column
    return is_picked


def _has_both(video: Video) -> NDArray[np.bool_]:
    """bool [num_frames], the frame has truth and answers."""
    count = [np.bincount(side.frame, minlength=video.num_frames) > 0 for side in (video.truth, video.found)]
    both: NDArray[np.bool_] = count[0] & count[1]
    return both


def _frame_before(is_counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64 [F], the last counted frame before each, or NOBODY. is_counted: bool [F]."""
    numbers = np.where(is_counted, np.arange(len(is_counted)), NOBODY)
    return np.concatenate(([NOBODY], np.maximum.accumulate(numbers)))[:-1].astype(np.int64)


ClearMatcher = Callable[[Video, Pairs, NDArray[np.int64], NDArray[np.int64]], Pairs]
"""(video, pairs above the threshold, truth ids, found ids) -> the matches."""


def qualifying(pairs: Pairs) -> Pairs:
    """The pairs that TrackEval lets match: similarity of 0.5 but for a rounding error."""
    return pairs.take(pairs.similarity >= THRESHOLD - EPSILON)
