"""Pictures whose truth its owners keep: they open and can be answered, and say so when they are to be scored.

leftImg8bit/test/<city>/<city>_<seq6>_<frame6>_leftImg8bit.png    a folder is all there is
annotations/image_info_test-dev2017.json                          or a list of the images, with their sizes
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from benchmark.contract import Frames, Truth
from benchmark.formats import json_lists
from benchmark.formats.image_records import Image, read_images
from benchmark.formats.listing import Entry, Listing
from benchmark.problems import DataError, Problem


def of_folder(folder: Path, suffix: str) -> Listing | None:
    """The pictures at any depth of a folder, in order of name; None where there are none.

    suffix: end of their file names; what stands before it is the sample id. Sizes are read from the files.
    """
    found = sorted(folder.rglob(f"*{suffix}"), key=lambda path: path.name) if folder.is_dir() else []
    shown = [path for path in found if not path.name.startswith(".")]
    entries = tuple(Entry(sample_id=path.name.removesuffix(suffix), frames=(path,)) for path in shown)
    return _listing(entries, ()) if entries else None


def of_records(
    path: Path, frame_of: Callable[[Image], Path], as_coco: Callable[[Any], Any] = lambda record: record
) -> Listing:
    """The images that a JSON like COCO's image_info_test-dev2017.json lists. Raises DataError if it is broken.

    frame_of: record -> picture. as_coco: a record of the file -> the record as COCO would write it.
    """
    records = json_lists.open_lists(path, ("images",))["images"]
    images, problems = read_images(path, [as_coco(record) for record in records])
    entries = tuple(Entry(sample_id=one.sample_id, frames=(frame_of(one),), size=one.size) for one in images.values())
    return _listing(entries, problems)


def _listing(entries: tuple[Entry, ...], problems: Iterable[Problem]) -> Listing:
    return Listing(entries=entries, truth=lambda index: _hidden(entries[index].sample_id), problems=tuple(problems))


def _hidden(sample_id: str) -> Truth:
    """Truth that cannot be looked at."""

    def build(index: int) -> NoReturn:
        remedy = "Write a submission with 'python -m leaderboards write', or give your own --truth"
        message = "the truth of this image is not public"
        raise DataError([Problem(place=f"image {sample_id}", message=message, remedy=remedy)])

    return Truth(frames=Frames(1, build))
