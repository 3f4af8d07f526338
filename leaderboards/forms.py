"""What an archive family is: where the results lie in the archive, which files it must hold, and what else is asked.

A family is a module with one or several `Form`s; `families` says which row has which. Files are written and read by
the row's own layout, so that a form is about names, places and what servers ask beyond the official readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.contract import PredictionSet, SampleSet
from benchmark.row import Benchmark
from leaderboards.problems import Problem

Size = tuple[int, int]
"""(height, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Png:
    """How the pixels of a PNG are stored. bit_depths, color_types: what the header may say. meaning: in words."""

    bit_depths: tuple[int, ...]
    color_types: tuple[int, ...]
    meaning: str


GREY, RGB, PALETTE, RGBA = 0, 2, 3, 6
LABELS = Png(bit_depths=(8,), color_types=(GREY, PALETTE), meaning="one channel of 8 bits")
WIDE_LABELS = Png(bit_depths=(8, 16), color_types=(GREY, PALETTE), meaning="one channel of 8 or 16 bits")
COLORS = Png(bit_depths=(8,), color_types=(RGB,), meaning="RGB of 8 bits, without alpha and palette")
BITMASK = Png(bit_depths=(8,), color_types=(RGBA,), meaning="RGBA of 8 bits")
INDEXED = Png(bit_depths=(1, 2, 4, 8), color_types=(PALETTE,), meaning="an indexed PNG with its palette")
BINARY = Png(bit_depths=(8,), color_types=(GREY,), meaning="8 bit grey, 0 and 255")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """An unpacked archive. name: of the archive. folder: where its files lie. files: their names, in order."""

    name: str
    folder: Path
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What the rules of a form look at.

    samples: of the split; None where no data are at hand. predictions, notes: what the row's reader made of the
    results; None and empty where it did not get that far. results: what the reader was given.
    """

    row: Benchmark
    contents: Contents
    samples: SampleSet | None = None
    predictions: PredictionSet | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    results: Path | None = None


Rule = Callable[[Inspection], Iterable[Problem]]
"""What a server asks beyond names and the official reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the results of a row lie in an archive. In texts, {row}, {split} and {system} are filled in.

    archive: name of the archive; its suffix tells whether it is a zip file or one bare file.
    is_named: the server reads the archive's name.
    place: where the row's writer puts its results inside, "" for the root.
    png: how PNGs are stored, None where there are none or several kinds.
    depth_is_free: the server finds results in any folder.
    unit: what one of `num_units` is called.
    rules: see `Rule`.
    """

    archive: str = "{row}_{system}.zip"
    is_named: bool = False
    place: str = ""
    png: Png | None = None
    depth_is_free: bool = False
    unit: str = "files"
    rules: tuple[Rule, ...] = ()

    @property
    def is_zip(self) -> bool:
        """Whether the server takes a zip file; else it takes the result file itself."""
        return self.archive.endswith(".zip")

    def archive_name(self, row: Benchmark, system: str) -> str:
        """The name of the archive."""
        return filled(self.archive, row, system)

    def place_of(self, row: Benchmark, system: str) -> str:
        """Where the row's writer puts its results."""
        return filled(self.place, row, system)

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """Name -> size of the picture (None: it is none) of every file that the archive must hold.

        contents: what it holds, where a server leaves a part of a name free.
        """
        return {}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Whether a file of that name may be in the archive at all."""
        return True

    def is_optional(self, row: Benchmark, name: str) -> bool:
        """Whether a possible file that is not needed is expected all the same."""
        return False

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """How many samples the archive has files of, as its names tell; None where they do not tell."""
        return None

    def results(self, row: Benchmark, contents: Contents) -> Path | None:
        """What the row's reader takes of an unpacked archive; None where it is not there."""
        return contents.folder / self.place if self.place else contents.folder

    def finish(self, row: Benchmark, folder: Path) -> None:
        """Give the written files their official names, where the row's writer has others."""

    def restore(self, row: Benchmark, folder: Path, sample_ids: Sequence[str]) -> None:
        """Give the files of an unpacked archive the names that the row's reader looks for."""


def filled(text: str, row: Benchmark, system: str) -> str:
    """A name with the row, the split and the system filled in."""
    return text.format(row=row.name, split=row.split, system=system)
