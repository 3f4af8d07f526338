"""Find everything that is wrong with an archive: the file, its names, its PNGs, its content.

With samples (a data root, or truth) names, sizes and ids are compared with the split and the row's own reader reads
every result; without, only what an archive tells of itself is looked at.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark import problems as reading
from benchmark.contract import PredictionSet, SampleSet
from benchmark.problems import DataError
from benchmark.problems import Problem as ReaderProblem
from benchmark.row import Benchmark
from leaderboards import packing, pictures
from leaderboards.families import form_of
from leaderboards.forms import Contents, Form, Inspection, Size
from leaderboards.problems import Problem, error, from_reader, listed
from leaderboards.result_lists import SYSTEM

ABOUT_ABSENCE = ("missing", "no file fits", "no folder fits", "holds neither", "holds no result")
"""How readers speak of files that are not there."""
ABOUT_SIZE = "height x width"


def validate(row: Benchmark, archive: Path, samples: SampleSet | None = None) -> list[Problem]:
    """All problems of an archive, errors and warnings. archive: an existing file."""
    form = form_of(row)
    with tempfile.TemporaryDirectory(prefix="archive-") as home:
        contents, found = _opened(form, archive, Path(home))
        found = [*_name_problems(form, row, archive), *found]
        if contents.files:
            found += _problems_inside(form, row, contents, samples)
    return list(dict.fromkeys(found))


def open_results(row: Benchmark, archive: Path, folder: Path, sample_ids: Sequence[str]) -> Path:
    """Unpack an archive into an empty folder and return what the row's reader takes. Raises DataError."""
    form = form_of(row)
    contents, found = _opened(form, archive, folder)
    stripped, _ = _in_place(form, row, contents)
    form.restore(row, stripped.folder, sample_ids)
    results = form.results(row, stripped)
    if results is None or not results.exists():
        found = found or [error(archive.name, "holds no results", "Write it with 'python -m leaderboards write'")]
        raise DataError(ReaderProblem(place=one.place, message=one.message, remedy=one.remedy) for one in found)
    return results


def _opened(form: Form, archive: Path, folder: Path) -> tuple[Contents, list[Problem]]:
    """The files of an archive, below a new folder, and what is wrong with it as a file."""
    found: list[Problem] = []
    if form.is_zip:
        found = packing.unpack(archive, folder)
    elif zipfile.is_zipfile(archive):
        suffix = Path(form.archive).suffix
        found = [error(archive.name, f"is a zip file, the server takes the {suffix} itself", "Unpack it")]
    else:
        (folder / archive.name).symlink_to(archive.resolve())
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return Contents(name=archive.name, folder=folder, files=tuple(names)), found


def _name_problems(form: Form, row: Benchmark, archive: Path) -> Iterator[Problem]:
    """The archive's own name, where the server reads it."""
    suffix = Path(form.archive).suffix
    if form.is_named and system_in(form, row, archive.name) is None:
        expected = form.archive_name(row, "<system>")
        yield error(archive.name, f"is not named {expected}", "Rename it, and the file inside")
    elif archive.suffix.lower() != suffix:
        yield error(archive.name, f"is not named *{suffix}", f"Name it {form.archive_name(row, '<system>')}")


def system_in(form: Form, row: Benchmark, name: str) -> str | None:
    """The system that the name of an archive tells; None for a name that does not fit."""
    pattern = re.escape(form.archive_name(row, "\0")).replace("\0", f"({SYSTEM})")
    match = re.fullmatch(pattern, name)
    return match[1] if match else None


def _problems_inside(form: Form, row: Benchmark, contents: Contents, samples: SampleSet | None) -> list[Problem]:
    contents, found = _in_place(form, row, contents)
    needed = {} if samples is None else form.needed(row, samples, contents)
    absent = list(_coverage(form, row, contents, needed))
    if samples is None:
        absent += _counts(form, row, contents)
    stored = [] if form.png is None else list(pictures.problems(contents, form.png, needed))
    looked, unread = _read(form, row, contents, samples)
    found += [*absent, *stored, *_fresh(unread, absent, stored), *_uncovered(looked, absent)]
    for rule in form.rules:
        found += rule(looked)
    return found


def _in_place(form: Form, row: Benchmark, contents: Contents) -> tuple[Contents, list[Problem]]:
    """The contents as if all files lay where they should, where a folder above them is one too many or is lacking."""
    if form.depth_is_free or any(form.is_possible(row, name) for name in contents.files):
        return contents, []
    tops = {name.split("/")[0] for name in contents.files}
    inner = tuple(name.partition("/")[2] for name in contents.files)
    if len(tops) == 1 and any(form.is_possible(row, name) for name in inner):
        top = tops.pop()
        message = f"all files lie in the folder {top}, where the server does not look"
        stripped = replace(contents, folder=contents.folder / top, files=inner)
        return stripped, [error(contents.name, message, f"Pack what is in {top}, not {top} itself")]
    outer = tuple(f"{form.place}/{name}" for name in contents.files)
    if form.place and any(form.is_possible(row, name) for name in outer):
        home = contents.folder / form.place
        entries = list(contents.folder.iterdir())
        home.mkdir()
        for entry in entries:
            entry.rename(home / entry.name)
        message = f"the files do not lie in a folder {form.place}"
        remedy = f"Pack a folder {form.place} that holds them"
        return replace(contents, files=outer), [error(contents.name, message, remedy)]
    return contents, []


def _coverage(form: Form, row: Benchmark, contents: Contents, needed: Mapping[str, Size | None]) -> Iterator[Problem]:
    """Files that are needed and not there, and files that are there and not needed."""
    there = set(contents.files)
    missing = [name for name in needed if name not in there]
    if missing:
        message = f"{len(missing):,} of {len(needed):,} files are missing ({listed(missing)})"
        yield error(contents.name, message, "Predict the whole split")
    strange = [name for name in contents.files if not form.is_possible(row, name)]
    if strange:
        message = f"{len(strange):,} files have names or places that the server does not know ({listed(strange)})"
        yield error(contents.name, message, f"Write names like {_example(form, row, needed)}")
    if needed:
        known = set(needed)
        extra = [
            name
            for name in contents.files
            if name not in known and form.is_possible(row, name) and not form.is_optional(row, name)
        ]
        if extra:
            message = f"{len(extra):,} files belong to no sample of the split ({listed(extra)})"
            yield error(contents.name, message, "Leave them out, or name them after their samples")


def _example(form: Form, row: Benchmark, needed: Mapping[str, Size | None]) -> str:
    return next(iter(needed), form.place_of(row, "<system>") or f"those of the {form.unit}")


def _counts(form: Form, row: Benchmark, contents: Contents) -> Iterator[Problem]:
    """Without data at hand, how many samples the names tell of."""
    num = form.num_units(row, contents)
    if num is not None and row.num_samples and num != row.num_samples:
        message = f"holds {num:,} {form.unit}, the split has {row.num_samples:,}"
        yield error(contents.name, message, "Predict the whole split and nothing else")


def _read(
    form: Form, row: Benchmark, contents: Contents, samples: SampleSet | None
) -> tuple[Inspection, list[Problem]]:
    """What the row's reader makes of the results, and what it complains about."""
    results = form.results(row, contents)
    looked = Inspection(row=row, contents=contents, samples=samples, results=results)
    if samples is None or results is None or not results.exists():
        return looked, []
    form.restore(row, contents.folder, samples.ids)
    found: list[reading.Problem] = []
    predictions: PredictionSet | None = None
    notes: Mapping[str, int] = {}
    try:
        predictions, notes = row.layout.read_predictions(row, results, samples)
        found += _damage(predictions)
    except DataError as broken:
        found += broken.problems
    looked = replace(looked, predictions=predictions, notes=notes)
    return _renamed(form, row, looked), from_reader(found, contents.folder)


def _renamed(form: Form, row: Benchmark, looked: Inspection) -> Inspection:
    """The inspection after the files got their official names back."""
    form.finish(row, looked.contents.folder)
    return looked


def _damage(predictions: PredictionSet) -> Iterator[reading.Problem]:
    """What is wrong with single frames, all of which are decoded."""
    for sample_id in predictions:
        try:
            frames = predictions[sample_id].frames
            num_frames = len(frames)
        except DataError as broken:
            yield from broken.problems
            continue
        for index in range(num_frames):
            try:
                frames[index]
            except DataError as broken:
                yield from broken.problems


def _fresh(unread: list[Problem], absent: list[Problem], stored: list[Problem]) -> list[Problem]:
    """The reader's complaints without those that names and headers have told of already."""
    has_sizes = any(ABOUT_SIZE in one.message for one in stored)
    has_kinds = any("expected" in one.message and ABOUT_SIZE not in one.message for one in stored)
    return [
        one
        for one in unread
        if not (absent and any(text in one.message for text in ABOUT_ABSENCE))
        and not (has_sizes and ABOUT_SIZE in one.message)
        and not (has_kinds and "channel" in one.message)
    ]


def _uncovered(looked: Inspection, absent: list[Problem]) -> Iterator[Problem]:
    """Samples that the results do not speak of."""
    if looked.predictions is None or looked.samples is None or absent:
        return
    missing = [sample_id for sample_id in looked.samples.ids if sample_id not in looked.predictions]
    if missing:
        message = f"{len(missing):,} of {len(looked.samples):,} samples have no result ({listed(missing)})"
        yield error(looked.contents.name, message, "Predict the whole split")
