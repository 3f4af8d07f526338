"""Segmentation tracking in text, one mask a line, as KITTI MOTS and MOTSChallenge have it; and its 16-bit PNGs.

    frame id class height width run-lengths        id = class * 1000 + instance, 10000 is an ignored region
    <sequence>/000000.png                          the same ids as pixels, 0 where there is nothing

Frames start at 0 in KITTI and at 1 in MOTSChallenge. Masks of one frame must not overlap, ids must not repeat. Lines
are checked when a file is read, run lengths when a frame is decoded. Results of other classes are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Annotation, Frames, Instances, Prediction, Rle, Truth, make_instances
from benchmark.formats.image_files import header_size, read_numbers, write_png, write_whole
from benchmark.formats.image_records import MAX_SIDE
from benchmark.formats.values import LARGEST
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem, raise_if_any

FIELDS = 6
IGNORED = 10
"""Class of regions that are left out of the count."""
PER_CLASS = 1000
SHOWN = 20
"""Broken lines of a file that are listed one by one."""
REMEDY = "Write 'frame id class height width run-lengths', separated by single spaces"
_WHOLE = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One mask. frame: from 0."""

    frame: int
    object_id: int
    category: int
    mask: Rle


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskTable:
    """The masks of one sequence, by frame and then as the file has them. path: of the file, for messages."""

    path: Path
    lines: tuple[Line, ...]

    @property
    def num_frames(self) -> int:
        """Frames up to the last that has a mask."""
        return max((line.frame for line in self.lines), default=-1) + 1

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the masks, None where there are none."""
        return self.lines[0].mask.size if self.lines else None

    def truth(self, num_frames: int, labels: LabelSet) -> Truth:
        """Objects of evaluated classes, and the ignored region of every frame."""
        by_frame = self._by_frame(num_frames)

        def objects(index: int) -> Annotation:
            self._check(by_frame[index])
            return _instances([one for one in by_frame[index] if _is_evaluated(one.category, labels)], labels)

        def ignored(index: int) -> Annotation:
            regions = [one.mask for one in by_frame[index] if one.category == IGNORED]
            return make_instances(class_index=[0] * bool(regions), masks=[masks.union(regions)] if regions else [])

        return Truth(
            frames=Frames(num_frames, objects),
            ignored=cast("Sequence[Instances]", Frames(num_frames, ignored)),
        )

    def prediction(self, num_frames: int, labels: LabelSet) -> Prediction:
        """Answers of evaluated classes."""
        by_frame = self._by_frame(num_frames)

        def build(index: int) -> Annotation:
            self._check(by_frame[index])
            return _instances([one for one in by_frame[index] if _is_evaluated(one.category, labels)], labels)

        return Prediction(frames=Frames(num_frames, build))

    def num_left_out(self, labels: LabelSet) -> int:
        """Masks of classes that are not evaluated."""
        return sum(not _is_evaluated(line.category, labels) for line in self.lines)

    def _by_frame(self, num_frames: int) -> list[list[Line]]:
        found: list[list[Line]] = [[] for _ in range(num_frames)]
        for line in self.lines:
            found[line.frame].append(line)
        return found

    def _check(self, lines: Sequence[Line]) -> None:
        """Run lengths must fill the size and no two masks share a pixel. Raises DataError."""
        problems = []
        for line in lines:
            try:
                masks.from_json({"size": line.mask.size, "counts": line.mask.counts})
            except ValueError as error:
                place = f"{self.path}: frame {line.frame}, id {line.object_id}"
                message = f"the mask is broken: {error}"
                problems.append(Problem(place=place, message=message, remedy="Write COCO's compressed run lengths"))
        raise_if_any(problems)
        rles = [line.mask for line in lines if line.category != IGNORED]
        regions = [line.mask for line in lines if line.category == IGNORED]
        rles += [masks.union(regions)] if regions else []
        if len(rles) > 1 and masks.areas(rles).sum() != masks.area(masks.union(rles)):
            place = f"{self.path}: frame {lines[0].frame}, counted from 0"
            message = "masks overlap, which the evaluation does not allow"
            raise DataError([Problem(place=place, message=message, remedy="Give every pixel to one object")])


def read_table(path: Path, num_frames: int | None, first_frame: int, size: tuple[int, int] | None) -> MaskTable:
    """The masks of one file. Raises DataError with all problems.

    num_frames: length of the sequence, None: unknown. first_frame: number of the first one. size: (height, width) of
    the sequence, None: whatever the first line says.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        raise DataError([Problem(place=str(path), message=message, remedy="Check the file")]) from error
    last = None if num_frames is None else first_frame + num_frames - 1
    lines: list[Line] = []
    problems: list[tuple[int, str]] = []
    seen: set[tuple[int, int]] = set()
    for number, row in enumerate(text.splitlines(), start=1):
        if not row.strip():
            continue
        fields = row.split()
        message = _message(fields, first_frame, last, size)
        if not message and int(fields[2]) != IGNORED:
            key = (int(fields[0]), int(fields[1]))
            message = f"id {fields[1]} occurs twice in frame {fields[0]}" if key in seen else ""
            seen.add(key)
        if message:
            problems.append((number, message))
            continue
        frame, object_id, category, height, width = (int(field) for field in fields[:5])
        size = size or (height, width)
        mask = Rle(size=(height, width), counts=fields[5].encode("utf-8"))
        lines.append(Line(frame=frame - first_frame, object_id=object_id, category=category, mask=mask))
    if problems:
        raise DataError(_limited(path, problems))
    return MaskTable(path=path, lines=tuple(sorted(lines, key=lambda line: line.frame)))


def write_results(path: Path, prediction: Prediction, labels: LabelSet, first_frame: int) -> None:
    """Write the masks of one sequence; object ids are the file's own, class * 1000 + instance."""
    _write(path, ((index, frame, None) for index, frame in enumerate(prediction.frames)), labels, first_frame)


def write_truth(path: Path, truth: Truth, labels: LabelSet, first_frame: int) -> None:
    """Write objects and ignored regions of one sequence."""
    ignored = truth.ignored or [None] * len(truth.frames)  # type: ignore[list-item]
    rows = ((index, frame, ignored[index]) for index, frame in enumerate(truth.frames))
    _write(path, rows, labels, first_frame)


def read_pngs(paths: Sequence[Path | None], labels: LabelSet) -> Truth:
    """Truth of a sequence of 16-bit PNGs, decoded on access. paths: of every frame, None where there is none."""

    def ids(index: int) -> NDArray[np.int64]:
        path = paths[index]
        return np.zeros((0, 0), np.int64) if path is None else read_numbers(path).astype(np.int64)

    def objects(index: int) -> Annotation:
        found = ids(index)
        values = [one for one in np.unique(found).tolist() if one and _is_evaluated(one // PER_CLASS, labels)]
        lines = [
            Line(frame=index, object_id=value, category=value // PER_CLASS, mask=mask)
            for value, mask in zip(values, masks.encode_ids(found, values), strict=True)
        ]
        return _instances(lines, labels)

    def ignored(index: int) -> Annotation:
        found = ids(index) == IGNORED * PER_CLASS
        return make_instances(class_index=[0] * bool(found.any()), masks=[masks.encode(found)] if found.any() else [])

    return Truth(frames=Frames(len(paths), objects), ignored=cast("Sequence[Instances]", Frames(len(paths), ignored)))


def write_pngs(folder: Path, truth: Truth, name_of: Callable[[int], str]) -> None:
    """Write truth as 16-bit PNGs. name_of: index of a frame -> file name."""
    for index, frame in enumerate(truth.frames):
        regions = truth.ignored[index] if truth.ignored is not None else None
        rows: list[tuple[int, Rle]] = []
        if isinstance(frame, Instances):
            rows += zip(frame.object_id.tolist(), frame.masks or (), strict=True)
        rows += [(IGNORED * PER_CLASS, mask) for mask in (regions.masks or () if regions is not None else ())]
        if rows:
            drawn = np.zeros(rows[0][1].size, np.uint16)
            for value, mask in rows:
                drawn[masks.decode(mask)] = value
            write_png(folder / name_of(index), drawn)


def png_size(paths: Iterable[Path | None]) -> tuple[int, int] | None:
    """(height, width) of the first PNG, None where there is none. Raises DataError."""
    first = next((path for path in paths if path is not None), None)
    return None if first is None else header_size(first)


def _write(
    path: Path, rows: Iterable[tuple[int, Annotation, Instances | None]], labels: LabelSet, first_frame: int
) -> None:
    lines = []
    for index, frame, regions in rows:
        if not isinstance(frame, Instances) or frame.masks is None:
            raise ValueError(f"{path.stem}: MOTS files need instances with masks")
        categories = [labels.category_id(int(one)) for one in frame.class_index]
        entries = list(zip(frame.object_id.tolist(), categories, frame.masks, strict=True))
        entries += [(IGNORED * PER_CLASS, IGNORED, mask) for mask in (regions.masks or () if regions else ())]
        for object_id, category, mask in entries:
            height, width = mask.size
            text = mask.counts.decode("ascii")
            lines.append(f"{index + first_frame} {object_id} {category} {height} {width} {text}\n")
    write_whole(path, "".join(lines).encode("ascii"))


def _is_evaluated(category: int, labels: LabelSet) -> bool:
    return labels.has_category(category) and labels.index_of(category) < labels.num_classes


def _instances(lines: Sequence[Line], labels: LabelSet) -> Instances:
    return make_instances(
        class_index=[labels.index_of(line.category) for line in lines],
        masks=[line.mask for line in lines],
        object_id=np.array([line.object_id for line in lines], np.int64),
    )


def _message(fields: Sequence[str], first: int, last: int | None, size: tuple[int, int] | None) -> str:
    if len(fields) != FIELDS:
        return f"has {len(fields)} fields, expected {FIELDS}"
    wrong = next((field for field in fields[:5] if not _WHOLE.fullmatch(field)), None)
    if wrong is not None:
        return f"{wrong[:40]!r} is not a whole number"
    frame, object_id, _, height, width = (int(field) for field in fields[:5])
    if frame < first or (last is not None and frame > last) or fields[0] != str(frame):
        return f"frame {fields[0]} is outside the sequence ({first} to {'its end' if last is None else last})"
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or object_id > LARGEST:
        return f"a mask of {height}x{width} pixels (height x width) is not believed"
    if size is not None and (height, width) != size:
        return f"the mask is {height}x{width} (height x width), expected {size[0]}x{size[1]}"
    return ""


def _limited(path: Path, messages: Sequence[tuple[int, str]]) -> list[Problem]:
    problems = [
        Problem(place=f"{path}: line {number}", message=message, remedy=REMEDY) for number, message in messages[:SHOWN]
    ]
    if len(messages) > SHOWN:
        text = f"{len(messages) - SHOWN:,} more lines are wrong"
        problems.append(Problem(place=str(path), message=text, remedy="Mend the first ones, then score again"))
    return problems
