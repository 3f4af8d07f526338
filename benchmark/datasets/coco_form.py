"""What data sets share that come as one COCO annotation file a split: Objects365 and D3.

A result is one COCO list with the ids of that file. What differs is told by fields: names of files and folders, and
the dialect of the annotation file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmark import result_forms
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, the_file
from benchmark.formats import coco_instances, coco_results
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark


class CocoResults:
    """The result form of layouts that take COCO's list of boxes or masks."""

    __slots__ = ()

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """COCO's list of objects."""
        return (result_forms.MASKS if row.task is Task.INSTANCE else result_forms.BOXES,)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A COCO result JSON."""
        numbering = coco_results.coco_numbering(samples.ids, row.label_set)
        needs_masks = row.task is Task.INSTANCE
        return coco_results.read_results(the_file(path, row), samples.ids, lambda _: numbering, needs_masks=needs_masks)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        coco_results.write_results(path, predictions, coco_results.coco_numbering((), row.label_set))


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoForm(CocoResults):
    """A layout of one annotation file a split.

    files: split -> names of its annotation file below a root, the usual one first. folders: split -> names of the
    folder of its pictures. num_parts: how many parts of a file_name, from its end, lie below that folder.
    """

    roots: tuple[str, ...]
    how_to_get: str
    files: Mapping[str, tuple[str, ...]]
    folders: Callable[[str], tuple[str, ...]]
    num_parts: int = 1
    dialect: coco_instances.Dialect = coco_instances.COCO

    def landmark(self, row: Benchmark) -> str:
        """The annotation file."""
        return self.files[row.split][0]

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The official file of the split."""
        found = [folder / name for name in self.files[row.split] if (folder / name).is_file()]
        return self._read(row, found[0], [folder, found[0].parent]) if found else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """An annotation file."""
        return self._read(row, the_file(truth, row), homes_of(truth, root, self.roots))

    def _read(self, row: Benchmark, path: Path, homes: Iterable[Path]) -> Listing:
        def name(of: str, image: Image | None) -> str:
            return "/".join(PurePosixPath(of).parts[-self.num_parts :])

        pictures = Pictures.below(homes, self.folders(row.split), name)
        needs_masks = row.task is Task.INSTANCE
        return coco_instances.read(path, pictures, row.label_set, needs_masks=needs_masks, dialect=self.dialect)
