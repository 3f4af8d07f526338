"""Instance results as a text file an image and a mask PNG an object: what Cityscapes and Mapillary Vistas share.

    <text file>     lines of   relative/mask.png label confidence
    mask PNG        non-zero where the object is

Masks without pixels are skipped. What a label may be and which masks count is told by the two formats themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark import masks
from benchmark.contract import Instances, Prediction, Rle, Sample, make_instances
from benchmark.formats.csv_rows import number_of
from benchmark.formats.image_files import header_size, read_grey_band, write_png, write_whole
from benchmark.formats.listing import problems_of
from benchmark.labels import LabelSet
from benchmark.problems import Problem

REMEDY = "Write 'relative/mask.png labelId confidence'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One result: the mask's file, its class and its confidence."""

    mask: Path
    class_index: int
    score: float


def read_lines(
    path: Path,
    class_of: Callable[[str], int | None],
    is_inside: Callable[[str], bool],
    problems: list[Problem],
    *,
    comment: str | None = None,
) -> list[Line]:
    """The lines of a text file; what is wrong with others, or with the heads of their masks, is added to problems.

    class_of: label -> class_index, None for an unknown one. is_inside: whether a mask's name stays with the results.
    comment: what begins a line that says nothing.
    """
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        fields = text.split()
        if not fields or (comment and fields[0].startswith(comment)):
            continue
        message = _flaw(fields, class_of, is_inside)
        if message:
            problems.append(Problem(place=f"{path}: line {number}", message=message, remedy=REMEDY))
            continue
        mask, class_index = path.parent / fields[0], class_of(fields[1])
        assert class_index is not None
        problems += problems_of(lambda mask=mask: header_size(mask))  # type: ignore[misc]
        found.append(Line(mask=mask, class_index=class_index, score=float(fields[2])))
    return found


def _flaw(fields: Sequence[str], class_of: Callable[[str], int | None], is_inside: Callable[[str], bool]) -> str:
    """What is wrong with a line, "" if nothing."""
    if len(fields) != 3:
        return f"has {len(fields)} fields, expected 3"
    if not is_inside(fields[0]):
        return f"mask {fields[0]} lies outside the folder of the results"
    if class_of(fields[1]) is None:
        return f"label {fields[1]!r} is outside the label set"
    return "" if number_of(fields[2]) is not None else f"confidence {fields[2]!r} is not a finite number"


def instances(lines: Sequence[Line], read: Callable[[Path], Rle]) -> Instances:
    """The objects of an image, in the order of the lines. read: PNG -> mask of the pixels that are not 0."""
    found = [(line, read(line.mask)) for line in lines]
    kept = [(line, rle) for line, rle in found if masks.area(rle)]
    rles = [rle for _, rle in kept]
    return make_instances(
        class_index=[line.class_index for line, _ in kept],
        masks=rles,
        boxes=masks.bounding_boxes(rles),
        area=masks.areas(rles).astype(np.float64),
        score=np.array([line.score for line, _ in kept], np.float64),
    )


def mask_of_grey(path: Path) -> Rle:
    """The pixels of a picture that are not 0 once it is grey, as `image_files.read_grey` has it. Raises DataError."""
    band = read_grey_band(path)
    return masks.encode(band.rows, top=band.top, height=band.height)


def write_results(
    folder: Path,
    predictions: Iterable[tuple[Sample, Prediction]],
    labels: LabelSet,
    *,
    text_name: str,
    mask_name: str,
) -> None:
    """Write the masks and the text file of every sample. text_name, mask_name: with {sample} and {row} to fill in."""
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Instances) or found.masks is None:
            raise ValueError(f"sample {sample.sample_id}: results need instances with masks")
        lines = []
        for row, rle in enumerate(found.masks):
            name = mask_name.format(sample=sample.sample_id, row=row)
            write_png(folder / name, masks.decode(rle).astype(np.uint8) * 255)
            lines.append(f"{name} {labels.category_id(int(found.class_index[row]))} {float(found.score[row])!r}\n")
        write_whole(folder / text_name.format(sample=sample.sample_id), "".join(lines).encode("utf-8"))
