"""What the layouts of image data sets share: where pictures are, and which kind of path a result must be.

Pictures may be absent when only scores are wanted, so finding their folder never fails; label files must be there, and
the helpers here say in one line what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.annotated import AnnotatedImage
from benchmark.contract import PredictionSet
from benchmark.formats import label_maps
from benchmark.formats.image_records import Image
from benchmark.problems import OTHER_SPLIT, DataError, Problem
from benchmark.row import Benchmark, DataNotFound

TRAIN_FROM = 600_000
"""Pictures of written training splits are numbered from here, those of all others below it."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Finds the picture of a sample. name: (sample id or file name, record of the annotation file) -> path below it."""

    folder: Path
    name: Callable[[str, Image | None], str]

    @classmethod
    def below(cls, homes: Iterable[Path], folders: Sequence[str], name: Callable[[str, Image | None], str]) -> Pictures:
        """With the first folder that exists below one of the homes, else the first that could."""
        candidates = [home / folder for home in homes for folder in folders]
        return cls(next((one for one in candidates if one.is_dir()), candidates[0]), name)

    def __call__(self, name: str) -> Path:
        """The picture of a sample id or a file name."""
        return self.folder / self.name(name, None)

    def of(self, image: Image) -> Path:
        """The picture of a record of the annotation file."""
        return self.folder / self.name(image.file_name, image)


def unique_number(row: Benchmark, image: AnnotatedImage) -> int:
    """A number for a scene that becomes a picture, where the splits of a data set share a folder."""
    return image.number + (TRAIN_FROM if row.is_train else 0)


def homes_of(truth: Path, root: Path | None, roots: Sequence[str]) -> list[Path]:
    """Where pictures of an explicit truth may be: below the data root if there is one, or near the truth."""
    near = truth if truth.is_dir() else truth.parent
    inside = [] if root is None else [root / name for name in roots]
    return [*inside, near, *near.parents[:3]]


def the_folder(path: Path, row: Benchmark) -> Path:
    """The path of predictions that are a folder; raises DataError for a file."""
    if path.is_dir():
        return path
    message = f"is a file; predictions of {row.name} are a folder with {_expected(row)}"
    remedy = f"Give the folder with the results of all {row.unit}, or a zip of it"
    raise DataError([Problem(place=str(path), message=message, remedy=remedy)])


def the_file(path: Path, row: Benchmark) -> Path:
    """The path of predictions that are one file; raises DataError for a folder."""
    if path.is_file():
        return path
    message = f"is a folder; predictions of {row.name} are one file such as {_expected(row)}"
    raise DataError([Problem(place=str(path), message=message, remedy="Give the file")])


def _expected(row: Benchmark) -> str:
    """The names of the files that the row's first form has."""
    form = row.layout.result_forms(row)[0]
    return " and ".join(one.removeprefix(form.given) or one for one in form.files)


def some(files: dict[str, Path], folder: Path, pattern: str) -> dict[str, Path]:
    """The truth files that were found; raises DataNotFound where there is none."""
    if not files:
        remedy = "Give the folder of the row's label files"
        raise DataNotFound([Problem(place=str(folder), message=f"holds no {pattern}", remedy=remedy)])
    return files


def some_predictions(found: PredictionSet, path: Path, sample_ids: Sequence[str], example: str) -> PredictionSet:
    """The predictions that were found; raises DataError where no file fits a sample."""
    if sample_ids and not found.ids:
        message = f"no file fits any of the {len(sample_ids):,} images (expected names like {example})"
        remedy = f"Name predictions after their images, or {OTHER_SPLIT}"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    return found


def read_label_maps(
    row: Benchmark, path: Path, files: Mapping[str, Path], sample_ids: Sequence[str], example: str
) -> PredictionSet:
    """Semantic predictions from label PNGs. files: sample id -> PNG. example: a file name that would fit."""
    wanted = {sample_id: files[sample_id] for sample_id in sample_ids if sample_id in files}
    found = label_maps.read_predictions(wanted, label_maps.encoding_of(row.label_set))
    return some_predictions(found, path, sample_ids, example)
