"""ReasonVOS: expressions and masks of objects of four data sets of videos.

meta_expressions.json   {"videos": {"<name>": {"source": "BURST", "frames": [], "expressions": [
                            {"obj_id": 1, "exp_id": 0, "exp_text": "what cuts the grass", "is_sent": 1}]}}}
Annotations/<source>_<name>_<obj_id>/<frame>.png     whatever is not black in grey is the object
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.formats.expressions import is_folder
from benchmark.formats.json_files import read_json, write_json
from benchmark.problems import DataError, Problem

REMEDY = "Restore the data set's own meta_expressions.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonExpression:
    """One expression. source: the data set that the video is from. is_sentence: more than the name of a thing."""

    source: str
    video: str
    object_id: str
    expression_id: str
    text: str
    is_sentence: bool

    @property
    def target(self) -> str:
        """The folder of its masks."""
        return f"{self.source}_{self.video}_{self.object_id}"

    @property
    def sample_id(self) -> str:
        """The folder of its results."""
        return f"{self.target}/{self.expression_id}"


def read_expressions(path: Path) -> tuple[list[ReasonExpression], list[Problem]]:
    """Sound expressions in order of the file, and what is wrong with the others. Raises DataError."""
    document = read_json(path)
    videos = document.get("videos") if isinstance(document, dict) else None
    if not isinstance(videos, dict):
        raise DataError([Problem(place=str(path), message="lacks the object 'videos'", remedy=REMEDY)])
    found: dict[str, ReasonExpression] = {}
    problems: list[Problem] = []
    for name, video in videos.items():
        values = video.get("expressions") if isinstance(video, dict) else None
        for value in values if isinstance(values, list) else [None]:
            one = _expression(name, video, value)
            if isinstance(one, ReasonExpression) and one.sample_id in found:
                one = f"expression {one.expression_id} of object {one.object_id} is there twice"
            if isinstance(one, str):
                problems.append(Problem(place=f"{path}: video {name}", message=one, remedy=REMEDY))
            else:
                found[one.sample_id] = one
    return list(found.values()), problems


def _expression(name: str, video: Any, value: Any) -> ReasonExpression | str:
    if not isinstance(value, dict):
        return "needs the list 'expressions' of objects"
    source, text = video.get("source"), value.get("exp_text")
    ids = [value.get(key) for key in ("obj_id", "exp_id")]
    is_named = isinstance(source, str) and all(isinstance(one, int | str) for one in ids)
    if not is_named or not all(is_folder(str(one)) for one in (name, source, *ids)):
        return "source, obj_id and exp_id must be names of folders"
    if not isinstance(text, str):
        return f"exp_text {text!r} is not text"
    return ReasonExpression(
        source=str(source),
        video=name,
        object_id=str(ids[0]),
        expression_id=str(ids[1]),
        text=text,
        is_sentence=bool(value.get("is_sent")),
    )


def write_expressions(path: Path, expressions: Iterable[ReasonExpression], frames: list[str]) -> None:
    """Write meta_expressions.json of videos that all have the same names of frames."""
    videos: dict[str, Any] = {}
    for one in expressions:
        video = videos.setdefault(one.video, {"source": one.source, "frames": frames, "expressions": []})
        sentence = {"exp_text": one.text, "is_sent": int(one.is_sentence)}
        video["expressions"].append({"obj_id": one.object_id, "exp_id": one.expression_id, **sentence})
    write_json(path, {"videos": videos})
