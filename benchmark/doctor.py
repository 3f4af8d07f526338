"""What of the catalogue lies below a data root, and whether it is whole: counts, ids, sizes and pairings.

Every row is looked for as `score` looks for it. Problems of one kind in one folder are told in one line with their
number, so that a download that broke off does not fill the screen. Nothing is decoded but headers, end marks and, of
small sets, the pictures; only what is wrong is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmark import catalog, row
from benchmark.catalog import Benchmark
from benchmark.formats.image_files import check_image
from benchmark.formats.listing import Listing, duplicates
from benchmark.problems import BenchmarkError, DataError, Problem, UsageError
from benchmark.row import DataNotFound

ALONE = 3
"""Up to this number problems of one kind are told one by one."""
Report = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row that was found. place: its folder. num_samples: found; num_expected: 0 where nobody states it.

    has_pictures: they are there, at least their folder. problems: grouped; () for a sound split.
    """

    row: str
    place: str
    num_samples: int
    num_expected: int
    has_pictures: bool
    problems: tuple[Problem, ...]

    @property
    def state(self) -> str:
        """In one word, or two."""
        if self.problems:
            return "broken"
        return "sound" if self.has_pictures else "sound, no pictures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """findings: of the rows that are there. absent: row -> what it lacks, where the data set's folder is there."""

    findings: tuple[Finding, ...]
    absent: dict[str, str]

    @property
    def is_sound(self) -> bool:
        """Whether everything that was found is whole."""
        return not any(finding.problems for finding in self.findings)


def examine(root: Path, rows: Iterable[Benchmark] | None = None, *, report: Report | None = None) -> Diagnosis:
    """Look for every row below a data root. rows: None for the whole catalogue. Raises UsageError if none is there."""
    if not root.exists():
        raise UsageError(f"No folder at {root}. Give the folder above the data sets.")
    chosen = [*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()] if rows is None else list(rows)
    ordered = sorted(chosen, key=lambda one: one.dataset)
    findings: list[Finding] = []
    absent: dict[str, str] = {}
    num_done = 0
    for _, family in groupby(ordered, key=lambda one: one.dataset):
        checked = _Checked()
        for one in family:
            finding = _examine(one, root, checked)
            if finding is not None:
                findings.append(finding)
            elif (lacking := _lacking(one, root)) is not None:
                absent[one.name] = lacking
            num_done += 1
            if report is not None:
                report(num_done, len(ordered))
    if not findings:
        raise UsageError(_nothing(root, chosen))
    return Diagnosis(findings=tuple(findings), absent=absent)


def table(diagnosis: Diagnosis) -> list[list[str]]:
    """A header and one line for each row that was found: row, state, samples, where."""
    lines = [["row", "state", "samples", "where"]]
    for one in diagnosis.findings:
        expected = f" of {one.num_expected:,}" if one.num_expected and one.num_expected != one.num_samples else ""
        lines.append([one.row, one.state, f"{one.num_samples:,}{expected}", one.place])
    return lines


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The same as JSON values."""
    found = [
        {
            "row": one.row,
            "state": one.state,
            "place": one.place,
            "num_samples": one.num_samples,
            "num_expected": one.num_expected,
            "has_pictures": one.has_pictures,
            "problems": [str(problem) for problem in one.problems],
        }
        for one in diagnosis.findings
    ]
    return {"found": found, "absent": diagnosis.absent}


def _examine(one: Benchmark, root: Path, checked: _Checked) -> Finding | None:
    """checked: pictures that were looked at for another row of the data set."""
    expected = 0 if catalog.is_mini_root(root) else one.num_samples
    try:
        place, listing = row.find_below(one, root)
    except DataNotFound:
        return None
    except DataError as error:
        return _broken(one, str(root), expected, error.problems)
    except BenchmarkError as error:
        problem = Problem(place=str(root), message=str(error), remedy="Restore the official files")
        return _broken(one, str(root), expected, [problem])
    has_pictures = catalog.has_frames(listing)
    found = _Grouped()
    found.add(listing.problems)
    found.add(_count_problems(one, place, listing, expected))
    is_small = catalog.num_pictures(listing) <= catalog.DECODE_UP_TO
    found.add(listing.problems_of_files(with_frames=False, decode=is_small))
    for path, size in _pictures(listing) if has_pictures else ():
        found.add(checked.problems(path, size, decode=is_small))
    return Finding(
        row=one.name,
        place=str(place),
        num_samples=len(listing.entries),
        num_expected=expected,
        has_pictures=has_pictures,
        problems=tuple(found.lines()),
    )


def _broken(one: Benchmark, place: str, expected: int, problems: Sequence[Problem]) -> Finding:
    grouped = _Grouped()
    grouped.add(problems)
    return Finding(
        row=one.name,
        place=place,
        num_samples=0,
        num_expected=expected,
        has_pictures=False,
        problems=tuple(grouped.lines()),
    )


def _count_problems(one: Benchmark, place: Path, listing: Listing, expected: int) -> list[Problem]:
    num = len(listing.entries)
    twice = duplicates(entry.sample_id for entry in listing.entries)
    found = []
    if expected and num != expected:
        message = f"{one.name} has {num:,} usable samples, expected {expected:,}"
        found.append(Problem(place=str(place), message=message, remedy=f"{one.layout.how_to_get}"))
    if not num:
        found.append(Problem(place=str(place), message=f"{one.name} has no samples", remedy=one.layout.how_to_get))
    if twice:
        message = f"{one.name} has {len(twice):,} ids twice (first: {twice[0]})"
        found.append(Problem(place=str(place), message=message, remedy="Download the annotations again"))
    return found


def _pictures(listing: Listing) -> Iterator[tuple[Path, tuple[int, int] | None]]:
    """(file, stated size) of the pictures; of videos that name theirs on access the first alone."""
    for entry in listing.entries:
        for path in entry.frames if isinstance(entry.frames, tuple) else (entry.frames[0],):
            yield path, entry.size


def _lacking(one: Benchmark, root: Path) -> str | None:
    """What is looked for, if the data set's own folder is there at least."""
    homes = [root / name for name in one.layout.roots if name != "." and (root / name).is_dir()]
    return str(homes[0] / one.layout.landmark(one)) if homes else None


def _nothing(root: Path, rows: Sequence[Benchmark]) -> str:
    homes = dict.fromkeys(name for one in rows for name in one.layout.roots[:1] if name != ".")
    return (
        f"{root} holds none of the {len(rows)} rows' data. Give the folder above the data sets "
        f"({', '.join(list(homes)[:8])}, ...); 'describe NAME' says what is looked for."
    )


class _Checked:
    """Pictures that were looked at, once each; what is wrong with one is told again to every row that has it."""

    def __init__(self) -> None:
        self._sound: set[int] = set()
        self._broken: dict[int, list[Problem]] = {}

    def problems(self, path: Path, size: tuple[int, int] | None, *, decode: bool) -> list[Problem]:
        """What is wrong with a picture. size: (height, width) as it is stated, or None."""
        key, plain = hash((str(path), size)), hash((str(path), None))
        if {key, plain} & self._broken.keys():
            return self._broken.get(key, self._broken.get(plain, []))
        if key in self._sound:
            return []
        found = check_image(path, size, decode=decode)
        if found:
            self._broken[key] = found
        else:
            self._sound |= {key, plain}
        return found


class _Grouped:
    """Problems by folder and kind: how many, and the first of each."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], tuple[int, list[Problem]]] = {}

    def add(self, problems: Iterable[Problem]) -> None:
        """Count them; the first few of each kind are kept."""
        for problem in problems:
            folder = str(Path(problem.place).parent)
            key = (folder, problem.message, problem.remedy)
            num, first = self._kinds.setdefault(key, (0, []))
            self._kinds[key] = (num + 1, first)
            if len(first) < ALONE:
                first.append(problem)

    def lines(self) -> Iterator[Problem]:
        """One problem for each that is rare, one for all of a kind that is frequent."""
        for (folder, message, remedy), (num, first) in self._kinds.items():
            if num <= ALONE:
                yield from first
            else:
                names = ", ".join(Path(one.place).name for one in first)
                yield Problem(place=folder, message=f"{num:,} times: {message} ({names}, ...)", remedy=remedy)
