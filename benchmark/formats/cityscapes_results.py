"""Cityscapes instance results: a text file an image and a mask PNG an object.

    frankfurt_000000_000294_pred.txt      lines of   relative/mask.png labelId confidence
    frankfurt_000000_000294_0.png         non-zero where the object is, once it is turned to grey

As in cityscapesscripts 2.3.0, a mask that is listed twice counts with its later line, masks without pixels are
skipped, and masks may overlap; a dark palette entry can be lost in grey. Results are found by the start of the text
file's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.contract import Prediction, PredictionSet, Sample
from benchmark.formats import mask_lists
from benchmark.formats.label_maps import files_by_prefix
from benchmark.formats.mask_lists import Line
from benchmark.labels import LabelSet
from benchmark.problems import Problem, raise_if_any


def read_results(folder: Path, sample_ids: Sequence[str], labels: LabelSet) -> PredictionSet:
    """Predictions of the samples that have a text file. Raises DataError with the problems of all lines."""
    texts = files_by_prefix(folder, sample_ids, ".txt")
    home = folder.resolve()
    problems: list[Problem] = []
    lines = {sample_id: _read_lines(path, home, labels, problems) for sample_id, path in texts.items()}
    raise_if_any(problems)
    return PredictionSet(
        tuple(texts), lambda one: Prediction(frames=(mask_lists.instances(lines[one], mask_lists.mask_of_grey),))
    )


def write_results(folder: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write the masks and the text file of every sample."""
    mask_lists.write_results(folder, predictions, labels, text_name="{sample}_pred.txt", mask_name="{sample}_{row}.png")


def _read_lines(path: Path, home: Path, labels: LabelSet, problems: list[Problem]) -> list[Line]:
    """The last line of every mask, in the order of the first ones. home: the folder of the results, resolved."""

    def class_of(label: str) -> int | None:
        return labels.index_of(int(label)) if label.isdigit() and labels.has_category(int(label)) else None

    def is_inside(name: str) -> bool:
        return name.isprintable() and (path.parent / name).resolve().is_relative_to(home)

    return list({line.mask: line for line in mask_lists.read_lines(path, class_of, is_inside, problems)}.values())
