"""MOTChallenge text: one box a line, truth (gt.txt) and results (<sequence>.txt) alike.

    frame,id,left,top,width,height,confidence,class,visibility      truth from MOT16 on; frames from 1
    frame,id,left,top,width,height,confidence,-1,-1,-1              results, and truth of MOT15

The confidence of truth is a flag: 0 takes the box out of the count. What TrackEval refuses is refused, line by line:
frames outside the sequence, an id twice in a frame, too few columns, results of a class above 1. Ids are cut to
integers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Annotation, Frames, Instances, Prediction
from benchmark.formats.image_files import write_whole
from benchmark.formats.values import LARGEST
from benchmark.problems import DataError, Problem

COLUMNS = 7
FRAME, ID, CONFIDENCE, CLASS = 0, 1, 6, 7
BOX = slice(2, 6)
SHOWN = 20
"""Broken lines of a file that are listed one by one."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FRAME = re.compile(r"[1-9]\d{0,8}")
_PLAIN = np.zeros(256, bool)
_PLAIN[list(b"0123456789.+-eE,\n")] = True
REMEDY = "Write frame,id,left,top,width,height,confidence,-1,-1,-1 with frames from 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """N boxes of a sequence, by frame and then as the file has them.

    frame: int64 [N], from 0.   object_id, category: int64 [N]; category is 1 where the file has no such column.
    boxes: float64 [N, 4], xywh.   score: float64 [N], the confidence or flag.
    """

    frame: NDArray[np.int64]
    object_id: NDArray[np.int64]
    category: NDArray[np.int64]
    boxes: NDArray[np.float64]
    score: NDArray[np.float64]

    @property
    def num_frames(self) -> int:
        """Frames up to the last that has a box."""
        return int(self.frame.max(initial=-1)) + 1

    def frames(self, num_frames: int, class_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Frames:
        """The frames of the sequence. class_of: categories -> class indices."""
        starts = np.searchsorted(self.frame, np.arange(num_frames + 1))
        class_index = class_of(self.category)

        def build(index: int) -> Annotation:
            part = slice(starts[index], starts[index + 1])
            boxes = self.boxes[part]
            return Instances(
                masks=None,
                boxes=boxes,
                box_format="xywh",
                area=boxes[:, 2] * boxes[:, 3],
                class_index=class_index[part],
                score=self.score[part],
                object_id=self.object_id[part],
                is_crowd=np.zeros(len(boxes), bool),
            )

        return Frames(num_frames, build)


def read_table(path: Path, num_frames: int | None, *, is_truth: bool = False) -> Table:
    """The boxes of one file. num_frames: length of the sequence, None: unknown. Raises DataError with all problems."""
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        raise DataError([Problem(place=str(path), message=message, remedy="Check the file")]) from error
    needed = CLASS + 1 if is_truth else COLUMNS
    values, lines = _plain_values(data), None
    if values is None or values.shape[1] < needed:
        values, lines = _values_by_line(path, data, needed)
    messages = _messages(values, lines, num_frames, is_truth=is_truth)
    if messages:
        raise DataError(_limited(path, messages))
    order = np.argsort(values[:, FRAME], kind="stable")
    values = values[order]
    has_class = values.shape[1] > CLASS
    return Table(
        frame=values[:, FRAME].astype(np.int64) - 1,
        object_id=values[:, ID].astype(np.int64),
        category=values[:, CLASS].astype(np.int64) if has_class else np.ones(len(values), np.int64),
        boxes=np.ascontiguousarray(values[:, BOX]),
        score=np.ascontiguousarray(values[:, CONFIDENCE]),
    )


def write_results(path: Path, prediction: Prediction) -> None:
    """Write the boxes of one sequence in the form that the server takes."""
    lines = []
    for number, frame in enumerate(prediction.frames, start=1):
        if not isinstance(frame, Instances) or frame.box_format != "xywh":
            raise ValueError(f"{path.stem}: MOTChallenge results need instances with xywh boxes")
        for row in range(len(frame)):
            box = ",".join(repr(float(value)) for value in frame.boxes[row])
            lines.append(f"{number},{int(frame.object_id[row])},{box},{float(frame.score[row])!r},-1,-1,-1\n")
    write_whole(path, "".join(lines).encode("ascii"))


def single_class(category: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class index 0 for every box. category: int64 [N]."""
    return np.zeros(len(category), np.int64)


def _plain_values(data: bytes) -> NDArray[np.float64] | None:
    """float64 [lines, columns] of a file of commas and plain numbers only; None where each line needs a look."""
    text = data.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
    if len(text) == 1:
        return None
    symbols = np.frombuffer(text, np.uint8)
    ends, commas = np.flatnonzero(symbols == ord("\n")), np.flatnonzero(symbols == ord(","))
    width = len(commas) // len(ends)
    if width < 1 or len(commas) != width * len(ends) or not _PLAIN[symbols].all():
        return None
    grid = np.concatenate(
        (np.concatenate(([-1], ends[:-1]))[:, None], commas.reshape(-1, width), ends[:, None]), axis=1
    )
    if (np.diff(grid, axis=1) < 2).any():
        return None
    try:
        values = np.fromstring(text[:-1].replace(b"\n", b","), sep=",")
    except ValueError:
        return None
    if len(values) != grid.shape[0] * (width + 1):
        return None
    values = values.reshape(-1, width + 1)
    # A frame is written as the evaluator looks it up: "7", not "7.0" or "07".
    written = grid[:, 1] - grid[:, 0] - 1
    digits = np.floor(np.log10(np.maximum(values[:, FRAME], 1))) + 1
    is_whole = (values[:, FRAME] >= 1) & (values[:, FRAME] == np.floor(values[:, FRAME]))
    return values if (is_whole & (digits == written)).all() else None


def _values_by_line(path: Path, data: bytes, needed: int) -> tuple[NDArray[np.float64], list[int]]:
    """(float64 [lines, columns], their line numbers), or DataError with what is wrong with the lines."""
    rows: list[list[float]] = []
    numbers: list[int] = []
    messages: list[tuple[int, str]] = []
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.strip().rstrip(",").split(",")] if "," in line else line.split()
        message = _line_message(fields, needed)
        if not message and rows and len(fields) != len(rows[0]):
            message = f"has {len(fields)} columns, the lines before have {len(rows[0])}"
        if message:
            messages.append((number, message))
            continue
        rows.append([float(field) for field in fields])
        numbers.append(number)
    if messages:
        raise DataError(_limited(path, messages))
    return np.array(rows, np.float64).reshape(len(rows), len(rows[0]) if rows else needed), numbers


def _line_message(fields: Sequence[str], needed: int) -> str:
    if len(fields) < needed:
        return f"has {len(fields)} columns, expected at least {needed}"
    wrong = next((field for field in fields if not _NUMBER.fullmatch(field)), None)
    if wrong is not None:
        return f"{wrong[:40]!r} is not a number"
    return "" if _FRAME.fullmatch(fields[FRAME]) else f"frame {fields[FRAME][:40]!r} is not a whole number from 1"


def _messages(
    values: NDArray[np.float64], lines: Sequence[int] | None, num_frames: int | None, *, is_truth: bool
) -> list[tuple[int, str]]:
    """(line, what is wrong) of lines that are readable but make no sense."""
    found: list[tuple[int, str]] = []

    def complain(is_wrong: NDArray[np.bool_], text: Callable[[NDArray[np.float64]], str]) -> None:
        for row in np.flatnonzero(is_wrong).tolist():
            found.append((lines[row] if lines else row + 1, text(values[row])))

    if not len(values):
        return found
    frame, object_id = values[:, FRAME], values[:, ID]
    last = np.full(len(values), np.inf if num_frames is None else num_frames)
    is_late: NDArray[np.bool_] = np.asarray(frame > last, bool)
    complain(is_late, lambda row: f"frame {int(row[FRAME])} is outside the sequence (1 to {num_frames})")
    is_strange: NDArray[np.bool_] = np.any(~(np.abs(values) <= LARGEST), axis=1)
    complain(is_strange, lambda row: "holds a number that is not finite or too large")
    is_id = (object_id >= 0) & (object_id <= LARGEST)
    complain(np.asarray(~is_id, bool), lambda row: f"id {row[ID]:g} is negative")
    keys = np.stack((frame, np.trunc(object_id)))
    order = np.lexsort(keys)
    is_twice = np.zeros(len(values), bool)
    is_twice[order[1:]] = (keys[:, order[1:]] == keys[:, order[:-1]]).all(axis=0)
    complain(is_twice & is_id, lambda row: f"id {int(row[ID])} occurs twice in frame {int(row[FRAME])}")
    if not is_truth and values.shape[1] > CLASS:
        complain(
            np.trunc(values[:, CLASS]) > 1,
            lambda row: f"class {row[CLASS]:g} in column 8 is not evaluated (1 is pedestrian, -1 says nothing)",
        )
    return sorted(found)


def _limited(path: Path, messages: Sequence[tuple[int, str]]) -> list[Problem]:
    problems = [
        Problem(place=f"{path}: line {number}", message=message, remedy=REMEDY) for number, message in messages[:SHOWN]
    ]
    if len(messages) > SHOWN:
        text = f"{len(messages) - SHOWN:,} more lines are wrong"
        problems.append(Problem(place=str(path), message=text, remedy="Mend the first ones, then score again"))
    return problems
