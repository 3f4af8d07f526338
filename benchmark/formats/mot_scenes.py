"""Clips as MOTChallenge sequences: pictures, gt.txt, det.txt and seqinfo.ini.

Boxes hold the whole object, also what is hidden and what lies beyond the picture; an object has no line while it is
wholly outside. Things that never move are static persons, and some others are what the evaluation takes out first:
persons on vehicles, distractors, reflections, non-motorised vehicles, cars. A crowd is one box of its own class. MOT15
knows no classes and no visibility.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.annotated import AnnotatedClip
from benchmark.formats.image_files import write_jpeg, write_whole
from benchmark.formats.sequence_info import FILE, SequenceInfo, write_info

PEDESTRIAN, STATIC_PERSON, CROWD = 1, 7, 13
OTHERS = (2, 8, 12, 6, 3)
"""Classes that every third moving thing gets in turn."""
EVERY_OTHER = 3
SHARE_FOUND = {"DPM": 0.6, "FRCNN": 0.8, "SDP": 0.9}
"""Detector -> chance that it finds a thing of which at least a third is seen."""
NEEDED_VISIBILITY = 1 / 3
SPREAD = 1.5
"""Standard deviation of a detected box's numbers, pixels."""


def write_sequence(home: Path, clip: AnnotatedClip, *, detector: str, has_classes: bool) -> None:
    """Write one sequence. home: its folder, whose name is the sequence's."""
    num_frames, height, width = clip.images.shape[:3]
    info = SequenceInfo(folder="img1", extension=".jpg", num_frames=num_frames, size=(height, width))
    write_info(home / FILE, home.name, info)
    for path, image in zip(info.pictures(home), clip.images, strict=True):
        write_jpeg(path, image)
    truth = truth_rows(clip) if has_classes else _without_classes(clip)
    _write_rows(home / "gt" / "gt.txt", truth)
    _write_rows(home / "det" / "det.txt", _detections(clip, detector, has_score=has_classes))


def truth_rows(clip: AnnotatedClip) -> NDArray[np.float64]:
    """float64 [N, 9]: frame, id, left, top, width, height, flag, class, visibility; frames and pixels from 1."""
    class_of = _classes(clip)
    things = (
        (*row[:6], float(class_of[int(row[1])] == PEDESTRIAN), class_of[int(row[1])], row[6]) for row in _seen(clip)
    )
    rows = sorted([*things, *_crowds(clip)], key=lambda row: (row[1], row[0]))
    return np.array(rows, np.float64).reshape(-1, 9)


def _without_classes(clip: AnnotatedClip) -> NDArray[np.float64]:
    """float64 [N, 10], as MOT15 has them: every thing counts, and three coordinates of the world are not known."""
    rows = sorted(((*row[:6], 1.0, -1.0, -1.0, -1.0) for row in _seen(clip)), key=lambda row: (row[1], row[0]))
    return np.array(rows, np.float64).reshape(-1, 10)


def _seen(clip: AnnotatedClip) -> Iterator[tuple[float, ...]]:
    """(frame, id, left, top, width, height, visibility) of the things that are not wholly beyond the picture."""
    height, width = clip.images.shape[1:3]
    for segment_id, boxes in clip.extents.items():
        is_in = (boxes[:, :2] < (width, height)).all(axis=1) & (boxes[:, :2] + boxes[:, 2:] > 0).all(axis=1)
        for index in np.flatnonzero(is_in).tolist():
            left, top, wide, high = boxes[index].round(2).tolist()
            shown = round(float(clip.visibility[segment_id][index]), 4)
            yield float(index + 1), float(segment_id), left + 1, top + 1, wide, high, shown


def _classes(clip: AnnotatedClip) -> dict[int, int]:
    """Segment id -> class of MOTChallenge."""
    found: dict[int, int] = {}
    for place, (segment_id, boxes) in enumerate(sorted(clip.extents.items())):
        is_other = place % EVERY_OTHER == EVERY_OTHER - 1
        found[segment_id] = OTHERS[(clip.number + place // EVERY_OTHER) % len(OTHERS)] if is_other else PEDESTRIAN
        if not is_other and place and np.ptp(boxes, axis=0).max() == 0:
            found[segment_id] = STATIC_PERSON
    return found


def _crowds(clip: AnnotatedClip) -> Iterator[tuple[float, ...]]:
    """Rows of crowds, around the pixels that are seen of them."""
    for index, truth in enumerate(clip.panoptic):
        for segment in truth.segments:
            if segment.is_crowd:
                rows, columns = np.nonzero(truth.segment_id == segment.id)
                left, top = int(columns.min()) + 1, int(rows.min()) + 1
                box = (left, top, int(columns.max()) + 2 - left, int(rows.max()) + 2 - top)
                yield float(index + 1), float(segment.id), *map(float, box), 0.0, CROWD, 1.0


def _detections(clip: AnnotatedClip, detector: str, *, has_score: bool) -> NDArray[np.float64]:
    """float64 [N, 10]: what a detector would find of the things, without identities."""
    dice = np.random.default_rng([clip.number, sorted(SHARE_FOUND).index(detector)])
    rows = []
    for frame, _, *box, shown in sorted(_seen(clip)):
        is_found = dice.random() < SHARE_FOUND[detector]
        left, top, wide, high = np.add(box, dice.normal(0, SPREAD, 4)).round(2).tolist()
        score = round(float(np.clip(shown + dice.normal(0, 0.1), 0, 1)), 3) if has_score else 1.0
        if is_found and shown >= NEEDED_VISIBILITY and min(wide, high) > 1:
            rows.append((frame, -1.0, left, top, wide, high, score, -1.0, -1.0, -1.0))
    return np.array(rows, np.float64).reshape(-1, 10)


def _write_rows(path: Path, rows: NDArray[np.float64]) -> None:
    lines: Sequence[str] = [",".join(repr(value).removesuffix(".0") for value in row) for row in rows.tolist()]
    write_whole(path, "".join(f"{line}\n" for line in lines).encode("ascii"))
