"""What tracking metrics count of one video: CLEAR events, identities, and HOTA's pairs of trajectories.

All are integers but the sums of similarities. Bernardin and Stiefelhagen (2008) for CLEAR, Ristani et al. (2016) for
identities, Luiten et al. (2021) for HOTA; corner cases are those of TrackEval 1.3.0 and motmetrics 1.4.0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmark.metrics import track_matching
from benchmark.metrics.track_matching import THRESHOLD
from benchmark.metrics.track_rows import EPSILON, Pairs, Rows, Video

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Localisation thresholds of HOTA, float64 [19], TrackEval's own rounding errors included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Ids of both sides from 0, and how long each trajectory is.

    truth_id, found_id: int64 [rows].   truth_length, found_length: int64 [ids], frames in which each id occurs.
    """

    truth_id: NDArray[np.int64]
    found_id: NDArray[np.int64]
    truth_length: NDArray[np.int64]
    found_length: NDArray[np.int64]

    @classmethod
    def of(cls, video: Video) -> Sizes:
        """Of the video's rows."""
        truth_id, truth_length = _numbered(video.truth)
        found_id, found_length = _numbered(video.found)
        return cls(truth_id=truth_id, found_id=found_id, truth_length=truth_length, found_length=found_length)


def _numbered(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    _, number, length = np.unique(rows.object_id, return_inverse=True, return_counts=True)
    return number.reshape(-1).astype(np.int64), length.astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """CLEAR counts. similarity: summed over the matches."""

    matches: int
    switches: int
    fragments: int
    mostly_tracked: int
    partly_tracked: int
    similarity: float


def trackeval_clear(video: Video, sizes: Sizes) -> Clear:
    """As TrackEval: a trajectory is mostly tracked above 80 %, any frame in between may interrupt it."""
    matches = track_matching.trackeval_clear(
        video, track_matching.qualifying(video.pairs), sizes.truth_id, sizes.found_id
    )
    both = _occupied(video.truth, video.num_frames) & _occupied(video.found, video.num_frames)
    moment = np.cumsum(both.astype(np.int64))[video.truth.frame[matches.truth]]
    tracked = _tracked_share(sizes, matches)
    return Clear(
        matches=len(matches),
        switches=_switches(sizes, matches),
        fragments=_interruptions(sizes, matches, moment),
        mostly_tracked=int(np.count_nonzero(tracked > 0.8)),
        partly_tracked=int(np.count_nonzero(tracked >= 0.2) - np.count_nonzero(tracked > 0.8)),
        similarity=float(matches.similarity.sum()),
    )


def motmetrics_clear(video: Video, sizes: Sizes) -> Clear:
    """As motmetrics: mostly tracked from 80 %, only frames in which the object is there interrupt it."""
    near = video.pairs.take(is_near(video.pairs))
    matches = track_matching.motmetrics_clear(video, near, sizes.truth_id, sizes.found_id)
    moment = _occurrence(sizes.truth_id)[matches.truth]
    tracked = _tracked_share(sizes, matches)
    return Clear(
        matches=len(matches),
        switches=_switches(sizes, matches),
        fragments=_interruptions(sizes, matches, moment),
        mostly_tracked=int(np.count_nonzero(tracked >= 0.8)),
        partly_tracked=int(np.count_nonzero((tracked >= 0.2) & (tracked < 0.8))),
        similarity=float(matches.similarity.sum()),
    )


def is_near(pairs: Pairs) -> NDArray[np.bool_]:
    """bool [P], the pairs that motmetrics lets match: distance of at most 0.5."""
    near: NDArray[np.bool_] = 1 - pairs.similarity <= 1 - THRESHOLD
    return near


def identity_matches(sizes: Sizes, pairs: Pairs) -> int:
    """IDTP: the most frames in which trajectories, each paired with at most one other, overlap. pairs: near enough."""
    truth, found = sizes.truth_id[pairs.truth], sizes.found_id[pairs.found]
    truths, rows = np.unique(truth, return_inverse=True)
    founds, columns = np.unique(found, return_inverse=True)
    common = np.zeros((len(truths), len(founds)))
    np.add.at(common, (rows.reshape(-1), columns.reshape(-1)), 1)
    return int(common[linear_sum_assignment(common, maximize=True)].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """HOTA's counts.

    matches: int64 [19], true positives by alpha.   similarity: float64 [19], summed over them.
    pair_length: int64 [K, 2], lengths of truth and found trajectory of each pair that ever matches.
    pair_matches: int64 [K, 19], frames in which they match by alpha.
    """

    matches: NDArray[np.int64]
    similarity: NDArray[np.float64]
    pair_length: NDArray[np.int64]
    pair_matches: NDArray[np.int64]


def association(video: Video, sizes: Sizes) -> Association:
    """Match every frame once, by similarity weighed with how well the trajectories align, and count by alpha."""
    pairs = video.pairs
    key = sizes.truth_id[pairs.truth] * len(sizes.found_length) + sizes.found_id[pairs.found]
    known, place = np.unique(key, return_inverse=True)
    place = place.reshape(-1)
    length = np.stack(
        (sizes.truth_length[known // max(1, len(sizes.found_length))],
         sizes.found_length[known % max(1, len(sizes.found_length))]), axis=1,
    )  # fmt: skip
    common = np.bincount(place, weights=_normalised(video), minlength=len(known))
    alignment = common / (length.sum(axis=1) - common)
    is_matched = track_matching.best(video, pairs, alignment[place] * pairs.similarity)
    similarity = pairs.similarity[is_matched]
    is_hit = similarity[:, None] >= ALPHAS - EPSILON
    counts = np.stack(
        [np.bincount(place[is_matched][hit], minlength=len(known)) for hit in is_hit.T], axis=1
    ).astype(np.int64)  # fmt: skip
    is_used = counts[:, 0] > 0
    return Association(
        matches=is_hit.sum(axis=0).astype(np.int64),
        similarity=(similarity[:, None] * is_hit).sum(axis=0),
        pair_length=length[is_used],
        pair_matches=counts[is_used],
    )


def _normalised(video: Video) -> NDArray[np.float64]:
    """float64 [P], each similarity over all similarity in which one of its sides takes part."""
    pairs = video.pairs
    by_truth = np.bincount(pairs.truth, weights=pairs.similarity, minlength=len(video.truth))
    by_found = np.bincount(pairs.found, weights=pairs.similarity, minlength=len(video.found))
    total = by_found[pairs.found] + by_truth[pairs.truth] - pairs.similarity
    return np.divide(pairs.similarity, total, out=np.zeros(len(pairs)), where=total > EPSILON)


def _occupied(rows: Rows, num_frames: int) -> NDArray[np.bool_]:
    """bool [num_frames], the frame has a row."""
    return np.bincount(rows.frame, minlength=num_frames) > 0


def _occurrence(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [N], how often each row's id occurred before. ids: int64 [N]."""
    order = np.argsort(ids, kind="stable")
    ranked = ids[order]
    first = np.flatnonzero(np.diff(ranked, prepend=-1))
    length = np.diff(np.append(first, len(ids)))
    found = np.empty(len(ids), np.int64)
    found[order] = np.arange(len(ids)) - np.repeat(first, length)
    return found


def _tracked_share(sizes: Sizes, matches: Pairs) -> NDArray[np.float64]:
    """float64 [truth ids], share of each truth's frames in which it is matched."""
    return np.bincount(sizes.truth_id[matches.truth], minlength=len(sizes.truth_length)) / sizes.truth_length


def _switches(sizes: Sizes, matches: Pairs) -> int:
    """How often a truth's match has another id than its last match."""
    truth, found = sizes.truth_id[matches.truth], sizes.found_id[matches.found]
    order = np.argsort(truth, kind="stable")
    truth, found = truth[order], found[order]
    return int(np.count_nonzero((truth[1:] == truth[:-1]) & (found[1:] != found[:-1])))


def _interruptions(sizes: Sizes, matches: Pairs, moment: NDArray[np.int64]) -> int:
    """How often a truth is matched again after moments without a match. moment: int64 [P], rising with the frame."""
    truth = sizes.truth_id[matches.truth]
    order = np.argsort(truth, kind="stable")
    truth, moment = truth[order], moment[order]
    return int(np.count_nonzero((truth[1:] == truth[:-1]) & (np.diff(moment) > 1)))
