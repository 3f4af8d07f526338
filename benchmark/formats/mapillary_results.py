"""Instance results of Mapillary Vistas: a text file an image and a mask PNG an object.

    <key>.txt       lines of   relative/mask.png labelId-or-name confidence, # begins a comment
    mask PNG        non-zero where the object is

As in the official script, a mask that is listed twice counts twice and masks without pixels are skipped. An image
without a text file is missing. https://github.com/mapillary/mapillary_vistas
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark import masks
from benchmark.contract import Instances, Prediction, PredictionSet, Sample, make_instances
from benchmark.formats.csv_rows import number_of
from benchmark.formats.image_files import header_size, read_numbers, write_png, write_whole
from benchmark.formats.listing import problems_of
from benchmark.labels import LabelSet
from benchmark.problems import Problem, raise_if_any

REMEDY = "Write 'relative/mask.png labelId confidence'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One result: the mask's file, its class and its confidence."""

    mask: Path
    class_index: int
    score: float


def read_results(folder: Path, sample_ids: Sequence[str], labels: LabelSet) -> PredictionSet:
    """Predictions of the samples that have a text file. Raises DataError with the problems of all lines."""
    known = {row.code: row.class_index for row in labels.everything}
    known |= {str(row.category_id): row.class_index for row in labels.everything}
    problems: list[Problem] = []
    lines = {
        one: _read_lines(folder / f"{one}.txt", known, problems)
        for one in sample_ids
        if (folder / f"{one}.txt").is_file()
    }
    raise_if_any(problems)
    return PredictionSet(tuple(lines), lambda one: Prediction(frames=(_instances(lines[one]),)))


def write_results(folder: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write the masks and the text file of every sample."""
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Instances) or found.masks is None:
            raise ValueError(f"sample {sample.sample_id}: results of Vistas need instances with masks")
        lines = []
        for row, rle in enumerate(found.masks):
            name = f"masks/{sample.sample_id}_{row}.png"
            write_png(folder / name, masks.decode(rle).astype(np.uint8) * 255)
            lines.append(f"{name} {labels.category_id(int(found.class_index[row]))} {float(found.score[row])!r}\n")
        write_whole(folder / f"{sample.sample_id}.txt", "".join(lines).encode("utf-8"))


def _read_lines(path: Path, known: Mapping[str, int], problems: list[Problem]) -> list[Line]:
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not text.strip() or text.strip().startswith("#"):
            continue
        fields = text.split()
        message = _line_message(fields, known)
        if message:
            problems.append(Problem(place=f"{path}: line {number}", message=message, remedy=REMEDY))
            continue
        mask = path.parent / fields[0]
        problems += problems_of(lambda mask=mask: header_size(mask))  # type: ignore[misc]
        found.append(Line(mask=mask, class_index=known[fields[1]], score=float(fields[2])))
    return found


def _line_message(fields: Sequence[str], known: Mapping[str, int]) -> str:
    if len(fields) != 3:
        return f"has {len(fields)} fields, expected 3"
    if fields[0].startswith("/") or ".." in fields[0].split("/"):
        return f"mask {fields[0]} lies outside the folder of the results"
    if fields[1] not in known:
        return f"label {fields[1]!r} is outside the label set"
    return "" if number_of(fields[2]) is not None else f"confidence {fields[2]!r} is not a finite number"


def _instances(lines: Sequence[Line]) -> Instances:
    found = [(line, masks.encode(read_numbers(line.mask) != 0)) for line in lines]
    kept = [(line, rle) for line, rle in found if masks.area(rle)]
    rles = [rle for _, rle in kept]
    return make_instances(
        class_index=[line.class_index for line, _ in kept],
        masks=rles,
        boxes=masks.bounding_boxes(rles),
        area=masks.areas(rles).astype(np.float64),
        score=np.array([line.score for line, _ in kept], np.float64),
    )
