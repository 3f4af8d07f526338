"""The `images` list that COCO's instance and panoptic files (and their relatives) share.

{"id": 139, "file_name": "000000000139.jpg", "height": 426, "width": 640}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.formats.values import is_whole
from benchmark.problems import Problem

MAX_SIDE = 100_000
"""Longest side of an image that is believed; masks of a mistyped size would fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One listed image. sample_id: its id as text. size: (height, width)."""

    sample_id: str
    file_name: str
    size: tuple[int, int]


def read_images(
    path: Path, records: Sequence[Any], flaw: Callable[[Any], str] = lambda record: ""
) -> tuple[dict[str, Image], list[Problem]]:
    """Sound images by sample id, in file order, and the problems of all others.

    flaw: sound record -> what a data set's own fields lack, "" if nothing.
    """
    images: dict[str, Image] = {}
    problems = []
    for position, record in enumerate(records):
        message = _message(record) or flaw(record)
        sample_id = str(record["id"]) if not message else ""
        if not message and sample_id in images:
            message = "the id is used by two images"
        if message:
            name = record.get("id", f"at position {position}") if isinstance(record, dict) else f"at {position}"
            remedy = "Every image needs an id of its own, a file_name, a height and a width"
            problems.append(Problem(place=f"{path}: image {name}", message=message, remedy=remedy))
        else:
            size = (int(record["height"]), int(record["width"]))
            images[sample_id] = Image(sample_id=sample_id, file_name=record["file_name"], size=size)
    return images, problems


def _message(record: Any) -> str:
    if not isinstance(record, dict):
        return "is not an object"
    if not isinstance(record.get("id"), int | str):
        return f"id {record.get('id')!r} is neither a whole number nor text"
    if not isinstance(record.get("file_name"), str):
        return f"file_name {record.get('file_name')!r} is not text"
    wrong = [name for name in ("height", "width") if not is_whole(record.get(name), 1, MAX_SIDE)]
    return f"{' and '.join(wrong)} must be a whole number of pixels from 1 to {MAX_SIDE:,}" if wrong else ""
