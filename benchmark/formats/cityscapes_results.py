"""Cityscapes instance results: a text file an image and a mask PNG an object.

    frankfurt_000000_000294_pred.txt      lines of   relative/mask.png labelId confidence
    frankfurt_000000_000294_0.png         non-zero where the object is, once it is turned to grey

As in cityscapesscripts 2.3.0, a mask that is listed twice counts with its later line, masks without pixels are
skipped, and masks may overlap; a dark palette entry can be lost in grey. Results are found by the start of the text
file's name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark import masks
from benchmark.contract import Instances, Prediction, PredictionSet, Sample, make_instances
from benchmark.formats.image_files import header_size, read_grey, write_png, write_whole
from benchmark.formats.label_maps import files_by_prefix
from benchmark.formats.listing import problems_of
from benchmark.labels import LabelSet
from benchmark.problems import Problem, raise_if_any


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One result: the mask's file, its class and its confidence."""

    mask: Path
    class_index: int
    score: float


def read_results(folder: Path, sample_ids: Sequence[str], labels: LabelSet) -> PredictionSet:
    """Predictions of the samples that have a text file. Raises DataError with the problems of all lines."""
    texts = files_by_prefix(folder, sample_ids, ".txt")
    problems: list[Problem] = []
    lines: dict[str, list[Line]] = {}
    for sample_id, path in texts.items():
        lines[sample_id] = _read_lines(path, folder, labels, problems)
    raise_if_any(problems)

    def build(sample_id: str) -> Prediction:
        return Prediction(frames=(_instances(lines[sample_id]),))

    return PredictionSet(tuple(texts), build)


def write_results(folder: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write the masks and the text file of every sample."""
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Instances) or found.masks is None:
            raise ValueError(f"sample {sample.sample_id}: Cityscapes results need instances with masks")
        lines = []
        for row, rle in enumerate(found.masks):
            name = f"{sample.sample_id}_{row}.png"
            write_png(folder / name, masks.decode(rle).astype(np.uint8) * 255)
            lines.append(f"{name} {labels.category_id(int(found.class_index[row]))} {float(found.score[row])!r}\n")
        write_whole(folder / f"{sample.sample_id}_pred.txt", "".join(lines).encode("utf-8"))


def _read_lines(path: Path, root: Path, labels: LabelSet, problems: list[Problem]) -> list[Line]:
    by_mask: dict[Path, Line] = {}
    home = root.resolve()
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not text.strip():
            continue
        fields = text.split()
        message = _line_message(fields, path, home, labels)
        if message:
            remedy = "Write 'relative/mask.png labelId confidence'"
            problems.append(Problem(place=f"{path}: line {number}", message=message, remedy=remedy))
            continue
        mask = path.parent / fields[0]
        line = Line(mask=mask, class_index=labels.index_of(int(fields[1])), score=float(fields[2]))
        problems += problems_of(lambda mask=mask: header_size(mask))  # type: ignore[misc]
        by_mask[mask] = line
    return list(by_mask.values())


def _line_message(fields: Sequence[str], path: Path, home: Path, labels: LabelSet) -> str:
    """What is wrong with a line, "" if nothing. home: the folder of the results, resolved."""
    if len(fields) != 3:
        return f"has {len(fields)} fields, expected 3"
    if not fields[0].isprintable() or not (path.parent / fields[0]).resolve().is_relative_to(home):
        return f"mask {fields[0]} lies outside the folder of the results"
    if not fields[1].isdigit() or not labels.has_category(int(fields[1])):
        return f"label id {fields[1]!r} is outside the label set"
    try:
        is_finite = math.isfinite(float(fields[2]))
    except ValueError:
        is_finite = False
    return "" if is_finite else f"confidence {fields[2]!r} is not a finite number"


def _instances(lines: Sequence[Line]) -> Instances:
    found = [(line, masks.encode(read_grey(line.mask))) for line in lines]
    kept = [(line, rle) for line, rle in found if masks.area(rle)]
    rles = [rle for _, rle in kept]
    return make_instances(
        class_index=[line.class_index for line, _ in kept],
        masks=rles,
        boxes=masks.bounding_boxes(rles),
        area=masks.areas(rles).astype(np.float64),
        score=np.array([line.score for line, _ in kept], np.float64),
    )
