"""One row of the catalogue, and what its data set must be able to do: be found, be read, and be written.

A module of `benchmark/datasets` holds the rows of a data set and the `Layout` that they share; `catalog.py` gathers
them. Everything that differs between data sets on disk is behind `Layout`, everything after it is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from benchmark import labels as label_sets
from benchmark.annotated import Scenes
from benchmark.answer_boxes import BoxForm
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.formats import archives
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm

_VIDEO_TASKS = (Task.SOT, Task.VOS, Task.MOT, Task.MOTS, Task.VIS)
UNITS: Mapping[Task, str] = MappingProxyType(
    {
        **dict.fromkeys(_VIDEO_TASKS, "videos"),
        Task.RVOS: "video-text pairs",
        Task.REFERRING: "expressions",
        Task.GROUNDING: "phrases",
    }
)
"""Task -> what its samples are; "images" for all others."""


class DataNotFound(DataError):  # noqa: N818 (it names the finding, as its parent's family does)
    """The data set of a benchmark is not where it was looked for."""


class Layout(Protocol):
    """How a data set lies on disk, with the result files that its official tools take.

    roots: folders below a data root that are searched in turn, "." is the data root itself. how_to_get: one sentence.
    """

    @property
    def roots(self) -> tuple[str, ...]: ...

    @property
    def how_to_get(self) -> str: ...

    def landmark(self, row: Benchmark) -> str:
        """The file or folder by which the row's data are recognised, relative to the data set's own root."""
        ...

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The row's split below the data set's own root; None where it is not there. Raises DataError."""
        ...

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The samples of an explicit truth file or folder. root: where the pictures may be. Raises DataError."""
        ...

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """The forms of result files that `read_predictions` takes, first the one that `write_predictions` writes."""
        ...

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """Predictions, and what was left out with its count. Raises DataError with all problems."""
        ...

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """Write predictions in the row's official result form. path: the file, or the folder where it is one."""
        ...


@runtime_checkable
class WritesScenes(Protocol):
    """A layout that can also be written whole: pictures, truth, lists. What it writes, `Layout.open` reads."""

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Write the splits of some rows of the layout below a data root, in the first of `roots`.

        Truth is written whole, also of rows whose official truth is private.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One row.

    labels: name of the label set.   metric: key of `metrics.METRICS`.   main_score: the headline among its scores.
    protocols: the metric's protocols, the headline's first.   mini_protocol: the headline's on the mini data, if other.
    split: the layout's own word ("val2017", "val").   num_samples: size of the official split, enforced on official
    data; 0 where nobody states it.   truth: "public", "private" or "later".   version: rises whenever a change moves a
    number.   notes: deviations from the official tool, and what to know.   layout: how its data set lies on disk.
    boxes: how the files of its answers write boxes, see `benchmark.answer_boxes`.
    cluster: sample id -> what intervals draw as a whole, the video of an expression; None: every sample on its own.
    """

    name: str
    dataset: str
    task: Task
    split: str
    labels: str
    metric: str
    main_score: str
    protocols: tuple[str, ...]
    num_samples: int
    layout: Layout
    mini_protocol: str | None = None
    truth: str = "public"
    version: int = 1
    notes: str = ""
    is_train: bool = False
    boxes: BoxForm = "xywh"
    cluster: Callable[[str], str] | None = None

    @property
    def label_set(self) -> LabelSet:
        """The classes it is about."""
        return label_sets.load(self.labels)

    @property
    def unit(self) -> str:
        """What its samples are, for messages: "images", "videos", "expressions" ..."""
        return UNITS.get(self.task, "images")

    @property
    def short_split(self) -> str:
        """The split without COCO's year: "train" or "val"."""
        return self.split.removesuffix("2017")

    def headline_protocol(self, *, is_mini: bool) -> str:
        """The protocol of the headline number."""
        return (self.mini_protocol if is_mini else None) or self.protocols[0]

    def display_name(self, *, is_mini: bool) -> str:
        """The name to print: mini data carry their mark everywhere."""
        return f"{self.name}@mini" if is_mini else self.name


def open_below(row: Benchmark, root: Path) -> Listing:
    """The row's split below a data root; see `find_below`. Raises DataNotFound."""
    return find_below(row, root)[1]


def find_below(row: Benchmark, root: Path) -> tuple[Path, Listing]:
    """(the data set's own root, the row's split) below a data root, whose standard sub-folders are searched.

    Raises DataNotFound, and DataError where what is found is broken. A zip there is seen as if it were unpacked where
    it lies; the root itself may be one.
    """
    roots = archives.ways_in(root) if root.is_file() else [archives.mounted_root(root, _homes_of_downloads(row))]
    candidates = [one / name for one in roots for name in row.layout.roots]
    for folder in candidates:
        listing = row.layout.open(row, folder)
        if listing is not None:
            return folder, listing
    looked_for = ", ".join(str(folder / row.layout.landmark(row)) for folder in candidates)
    message = f"{row.name} is not there (looked for {looked_for})"
    remedy = f"{row.layout.how_to_get}, or give another --data-root"
    raise DataNotFound([Problem(place=str(root), message=message, remedy=remedy)])


def _homes_of_downloads(row: Benchmark) -> list[str]:
    """Folders below a data root in which official zips may lie: the data set's own, and that of its annotations."""
    beside = str(PurePosixPath(row.layout.landmark(row)).parent)
    return [*row.layout.roots, *(f"{one}/{beside}" for one in row.layout.roots)]


def open_given(row: Benchmark, truth: Path, root: Path | None) -> Listing:
    """The samples of an explicit truth file or folder. root: where the pictures may be. Raises DataError."""
    if not truth.exists():
        message, remedy = "the truth is missing", "Check the path"
        raise DataNotFound([Problem(place=str(truth), message=message, remedy=remedy)])
    pictures = None if root is None else archives.mounted_root(root, row.layout.roots)
    ways = archives.ways_in(truth)
    return archives.first_that_fits(ways, lambda way: row.layout.open_truth(row, way, pictures))[0]


def read_given(row: Benchmark, path: Path, samples: SampleSet) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions, and what was left out with its count. Raises DataError with all problems.

    A zip is read in place, from its top or from within the one folder or file that it holds.
    """
    if not path.exists():
        remedy = "Check the path of the predictions"
        raise DataError([Problem(place=str(path), message="the predictions are missing", remedy=remedy)])
    own_names = frozenset(one.split("/")[0] for one in samples.ids) if path.is_file() else frozenset[str]()
    ways = archives.ways_in(archives.of_zips_alone(path), own_names)
    (found, notes), way = archives.first_that_fits(ways, lambda way: row.layout.read_predictions(row, way, samples))
    return found, notes if way == ways[0] else {**notes, f"zip read in place ({way})": 1}
