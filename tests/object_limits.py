"""What silence scores where objects of videos may be absent: two empty masks agree, so such a frame counts as right.

J is 1 where both masks are empty and F is 1 where neither has a contour; an object that is shown scores 0 in both. So
silence scores each object's share of frames without it, averaged as the benchmark averages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmark.contract import Annotation, Instances, Panoptic, Sample
from benchmark.masks import area

Floor = Callable[[Sequence[Sample]], float]


def shown(frame: Annotation) -> set[int]:
    """Ids of the objects that have a pixel in a frame; void is none of them."""
    if isinstance(frame, Panoptic):
        return {one.id for one in frame.segments if not one.is_crowd}
    assert isinstance(frame, Instances)
    rows = zip(frame.object_id.tolist(), frame.masks or (), strict=True)
    return {one for one, mask in rows if area(mask)}


def absences(sample: Sample, *, has_ends: bool, starts_when_seen: bool = False) -> dict[int, float]:
    """Object id -> share of the frames that count for it in which it is absent; objects that never count are left out.

    has_ends: the first and the last frame of its stretch count. starts_when_seen: it counts from the first of its
    frames that shows it, and only if one does.
    """
    truth = sample.truth
    assert truth is not None
    seen = [shown(frame) for frame in truth.frames]
    if truth.tracks is None:
        ids = range(1, max(seen[0], default=0) + 1)
        stretches = {one: list(range(len(seen))) for one in ids}
    else:
        outside = [set(one.object_id.tolist()) for one in truth.ignored or ()] or [set()] * len(seen)
        stretches = {
            one: [index for index in range(len(seen)) if one not in outside[index]]
            for one in truth.tracks.object_id.tolist()
        }
    found = {}
    for one, stretch in stretches.items():
        there = [one in seen[index] for index in (stretch if has_ends else stretch[1:-1])]
        if starts_when_seen:
            there = there[there.index(True) :] if any(there) else []
        if there:
            found[one] = 1 - sum(there) / len(there)
    return found


def silence(*, has_ends: bool, starts_when_seen: bool = False, groups: tuple[int, ...] | None = None) -> Floor:
    """The score of nothing: a mean over objects, or over groups (`Tracks.class_index`) of such means."""

    def floor(samples: Sequence[Sample]) -> float:
        of_group: dict[int, list[float]] = {}
        for sample in samples:
            tracks = None if sample.truth is None else sample.truth.tracks
            group_of = {} if tracks is None else dict(zip(tracks.object_id.tolist(), tracks.class_index, strict=True))
            for one, share in absences(sample, has_ends=has_ends, starts_when_seen=starts_when_seen).items():
                of_group.setdefault(int(group_of.get(one, 0)) if groups else 0, []).append(share)
        return float(np.mean([np.mean(of_group[group]) for group in groups or (0,)]))

    return floor


def smoothed_silence(samples: Sequence[Sample]) -> float:
    """MOSEv2 adds 1 above and below J, so that silence scores 1 / (pixels + 1) in a frame with the object."""
    scores = []
    for sample in samples:
        truth = sample.truth
        assert truth is not None and truth.tracks is not None
        maps = [frame.segment_id for frame in truth.frames if isinstance(frame, Panoptic)][1:-1]
        for one in truth.tracks.object_id.tolist():
            areas = np.array([np.count_nonzero(ids == one) for ids in maps])
            scores.append(float(np.mean((1 / (areas + 1) + (areas == 0)) / 2)))
    return float(np.mean(scores))


def silence_by_kind(samples: Sequence[Sample]) -> float:
    """ReVOS averages over referring and over reasoning expressions, and leaves out those without a target."""
    of_kind: dict[str, list[float]] = {"referring": [], "reasoning": [], "no_target": []}
    for sample in samples:
        assert sample.truth is not None
        of_kind[sample.truth.subsets[0]] += absences(sample, has_ends=True).values()
    return float(np.mean([np.mean(of_kind[kind]) for kind in ("referring", "reasoning")]))


GIVEN = ("davis16_vos_val", "davis16_vos_train", "mose_vos_val", "mose_vos_test", "mose_vos_train")
GIVEN += tuple(f"davis17_vos_{split}" for split in ("val", "test-dev", "test-challenge", "train"))
WHOLE = ("ref_davis17_rvos_val", "ref_davis17_rvos_train")
WHOLE += tuple(f"davis17_unsupervised_vos_{split}" for split in ("val", "test-dev", "test-challenge"))
WHOLE += ("reasonvos_rvos_test",)
WHOLE += tuple(f"mevis_rvos_{split}" for split in ("val_u", "val", "test", "train"))
WHOLE += tuple(f"ref_youtube_vos_rvos_{split}" for split in ("val", "train"))
SEEN, UNSEEN = 0, 1


def floors() -> dict[str, Floor]:
    """Row -> the main score of silence, for the rows that compare masks of objects frame by frame."""
    found = dict.fromkeys(GIVEN, silence(has_ends=False))
    found |= dict.fromkeys(WHOLE, silence(has_ends=True))
    found |= dict.fromkeys(
        ("sav_vos_val", "sav_vos_test", "sav_vos_train"), silence(has_ends=False, starts_when_seen=True)
    )
    found |= {f"mose2_vos_{split}": smoothed_silence for split in ("val", "test", "train")}
    found |= {f"revos_rvos_{split}": silence_by_kind for split in ("val", "train")}
    for dataset in ("youtube_vos18", "youtube_vos19", "lvos_v1", "lvos_v2"):
        has_ends = dataset.startswith("lvos")
        both = silence(has_ends=has_ends, groups=(SEEN, UNSEEN))
        found |= {f"{dataset}_vos_val": both, f"{dataset}_vos_test": both}
        found[f"{dataset}_vos_train"] = silence(has_ends=has_ends, groups=(SEEN,))
    return found
