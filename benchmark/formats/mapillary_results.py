"""Instance results of Mapillary Vistas: a text file an image and a mask PNG an object.

    <key>.txt       lines of   relative/mask.png labelId-or-name confidence, # begins a comment
    mask PNG        non-zero where the object is

As in the official script, a mask that is listed twice counts twice and masks without pixels are skipped. An image
without a text file is missing. https://github.com/mapillary/mapillary_vistas
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark import masks
from benchmark.contract import Prediction, PredictionSet, Rle, Sample
from benchmark.formats import mask_lists
from benchmark.formats.image_files import read_numbers
from benchmark.labels import LabelSet
from benchmark.problems import Problem, raise_if_any


def read_results(folder: Path, sample_ids: Sequence[str], labels: LabelSet) -> PredictionSet:
    """Predictions of the samples that have a text file. Raises DataError with the problems of all lines."""
    known = {row.code: row.class_index for row in labels.everything}
    known |= {str(row.category_id): row.class_index for row in labels.everything}
    problems: list[Problem] = []
    lines = {
        one: mask_lists.read_lines(folder / f"{one}.txt", known.get, _is_inside, problems, comment="#")
        for one in sample_ids
        if (folder / f"{one}.txt").is_file()
    }
    raise_if_any(problems)
    return PredictionSet(tuple(lines), lambda one: Prediction(frames=(mask_lists.instances(lines[one], _drawn),)))


def write_results(folder: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write the masks and the text file of every sample."""
    mask_lists.write_results(
        folder, predictions, labels, text_name="{sample}.txt", mask_name="masks/{sample}_{row}.png"
    )


def _is_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")


def _drawn(path: Path) -> Rle:
    return masks.encode(read_numbers(path))
