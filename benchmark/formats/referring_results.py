"""Result files of referring expressions: one JSON list, one entry for each expression, masks or boxes or both.

    [{"ref_id": 17, "sent_id": 51, "segmentation": RLE, "bbox": [x, y, w, h], "score": 0.9, "no_target": false}]

There is no official form for masks. An entry is named by "sample_id", or by "sent_id" with "ref_id" beside it where
sentence numbers alone are ambiguous; "segmentation" (COCO run lengths) and "bbox" are one value, a list of them, or
null where nothing was found; "score" goes with the boxes, or with the masks where there are none. A mask without a box
among answers with boxes has an empty box of score 0. Also read:

    {"predictions": [{"sent_id", "rle", "pred_box"}]}                     MAttNet, tools/eval_masks.py
    [{"refexp_id", "annotation_id", "predicted_bounding_boxes": [...]}]   Google toolbox; boxes are ranked
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import masks
from benchmark.contract import NO_BOXES, Instances, Prediction, PredictionSet, Rle, Sample, make_instances
from benchmark.formats.json_files import read_json, write_json
from benchmark.formats.values import are_numbers, is_number, shown
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any

ALIASES = {"rle": "segmentation", "pred_box": "bbox", "predicted_bounding_boxes": "bbox", "refexp_id": "sent_id"}
UNKNOWN = OTHER_SPLIT.capitalize()
KINDS = ("segmentation", "bbox")


def read_results(
    path: Path, sample_ids: Sequence[str], size_of: Callable[[str], tuple[int, int]]
) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of the expressions that the file answers, and no notes. Raises DataError with all problems.

    size_of: sample id -> (height, width), asked where an answer has no mask.
    """
    reader = _Reader(path=path, sample_ids=sample_ids, size_of=size_of)
    for position, entry in enumerate(_entries(path)):
        reader.add(position, entry)
    reader.check_kinds()
    if reader.problems:
        reader.check_masks()
    raise_if_any(reader.problems)
    return PredictionSet(tuple(one for one in sample_ids if one in reader.answers), reader.prediction), {}


def write_results(path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write predictions as one result file; boxes in the format they have."""
    write_json(path, [_entry_of(sample.sample_id, prediction) for sample, prediction in predictions])


def identity(sample_id: str) -> dict[str, Any]:
    """How an entry names its sample: ref_id and sent_id where the id is made of them."""
    ref_id, _, sent_id = sample_id.partition("_")
    if ref_id.isdecimal() and sent_id.isdecimal() and f"{int(ref_id)}_{int(sent_id)}" == sample_id:
        return {"ref_id": int(ref_id), "sent_id": int(sent_id)}
    return {"sample_id": sample_id}


def _entry_of(sample_id: str, prediction: Prediction) -> dict[str, Any]:
    found = prediction.frames[0]
    if not isinstance(found, Instances):
        raise ValueError(f"sample {sample_id}: a result file holds instances, not a {type(found).__name__}")
    entry = identity(sample_id)
    if len(found) and found.masks is not None:
        entry["segmentation"] = _single([masks.to_json(rle) for rle in found.masks])
    if len(found) and found.box_format != NO_BOXES:
        entry["bbox"] = _single(found.boxes.tolist())
        entry |= {} if found.box_format == "xywh" else {"box_format": found.box_format}
    if len(found):
        entry["score"] = _single(found.score.tolist())
    if prediction.is_no_target is not None:
        entry["no_target"] = prediction.is_no_target
    return entry


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _entries(path: Path) -> list[Any]:
    document = read_json(path)
    if isinstance(document, dict) and isinstance(document.get("predictions"), list):
        document = document["predictions"]
    if not isinstance(document, list):
        message = f"holds a {type(document).__name__}, expected a list of results"
        raise DataError([Problem(place=str(path), message=message, remedy="Write one entry for each expression")])
    return list(document)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """A checked entry. segmentations: run lengths as JSON; boxes: four numbers each; None: the entry has no such field.

    scores: one for each row that the prediction will have, or none for 1.
    """

    position: int
    segmentations: list[Any] | None
    boxes: list[Any] | None
    box_format: str
    scores: list[float]
    is_no_target: bool | None


@dataclass(slots=True, kw_only=True)
class _Reader:
    path: Path
    sample_ids: Sequence[str]
    size_of: Callable[[str], tuple[int, int]]
    problems: list[Problem] = field(default_factory=list)
    answers: dict[str, _Answer] = field(default_factory=dict)
    by_sentence: dict[str, list[str]] = field(init=False)
    known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.known = frozenset(self.sample_ids)
        self.by_sentence = {}
        for sample_id in self.sample_ids:
            self.by_sentence.setdefault(sample_id.rpartition("_")[2], []).append(sample_id)

    def add(self, position: int, entry: Any) -> None:
        """Check one entry and file it under its sample."""
        if not isinstance(entry, dict):
            self._complain(position, "is not an object", "Write one object for each expression")
            return
        entry = {ALIASES.get(name, name): value for name, value in entry.items()}
        before = len(self.problems)
        sample_id = self._sample_id(position, entry)
        answer = self._answer(position, entry)
        if sample_id in self.answers:
            message = f"answers expression {sample_id} again (first: result {self.answers[sample_id].position})"
            self._complain(position, message, "Write one entry for each expression; several masks or boxes as lists")
        elif len(self.problems) == before:
            self.answers[sample_id] = answer

    def check_kinds(self) -> None:
        """Complain of answers that lack the masks (or boxes) that others have; silence about both is no answer."""
        for kind, name in zip(KINDS, ("segmentations", "boxes"), strict=True):
            some = any(getattr(answer, name) is not None for answer in self.answers.values())
            for answer in self.answers.values() if some else ():
                is_silent = answer.segmentations is None and answer.boxes is None
                if getattr(answer, name) is None and not is_silent:
                    message = f"has no {kind!r}, which other results have"
                    self._complain(answer.position, message, "Write null where nothing was found")

    def check_masks(self) -> None:
        """Decode every mask, to report their problems together with those found before."""
        for answer in self.answers.values():
            try:
                self._masks(answer)
            except DataError as error:
                self.problems += error.problems

    def prediction(self, sample_id: str) -> Prediction:
        """The answer to one expression; masks are decoded here."""
        answer = self.answers[sample_id]
        found = self._masks(answer)
        num = _num_rows(answer)
        rows = None if found is None else self._aligned(found, num, sample_id)
        boxes = np.array([*(answer.boxes or []), *[[0.0] * 4] * num][:num], np.float64).reshape(num, 4)
        has_boxes = answer.boxes is not None or not num
        extent = boxes[:, 2:] - boxes[:, :2] if answer.box_format == "xyxy" else boxes[:, 2:]
        instances = make_instances(
            class_index=[0] * num,
            masks=rows if num else (),
            boxes=boxes,
            box_format=answer.box_format if has_boxes else NO_BOXES,
            area=extent.prod(axis=1) if rows is None else masks.areas(rows).astype(np.float64),
            score=np.array(answer.scores or [0.0 if answer.boxes == [] else 1.0] * num, np.float64),
        )
        return Prediction(frames=(instances,), is_no_target=answer.is_no_target)

    def _aligned(self, found: list[Rle], num: int, sample_id: str) -> list[Rle]:
        """As many masks as rows: as they are, or united in the first row."""
        if len(found) == num:
            return found
        nothing = masks.empty(found[0].size if found else self.size_of(sample_id))
        return [masks.union(found) if found else nothing, *[nothing] * (num - 1)][:num]

    def _sample_id(self, position: int, entry: Mapping[str, Any]) -> str:
        given = entry.get("sample_id")
        number, ref_id = entry.get("sent_id"), entry.get("ref_id")
        if isinstance(given, str | int) and str(given) in self.known:
            return str(given)
        if given is not None:
            self._complain(position, f"sample_id {shown(given)} is not in this benchmark", UNKNOWN)
        elif not isinstance(number, int) or isinstance(number, bool):
            self._complain(position, "has neither 'sample_id' nor 'sent_id'", "Name the expression that is answered")
        elif ref_id is not None:
            if isinstance(ref_id, int) and f"{ref_id}_{number}" in self.known:
                return f"{ref_id}_{number}"
            message = f"ref_id {shown(ref_id)} with sent_id {number} is not in this benchmark"
            self._complain(position, message, UNKNOWN)
        else:
            candidates = self.by_sentence.get(str(number), [])
            if len(candidates) == 1:
                return candidates[0]
            fit = f"fits {len(candidates)} expressions" if candidates else "is not in this benchmark"
            self._complain(position, f"sent_id {number} {fit}", "Give ref_id, too" if candidates else UNKNOWN)
        return ""

    def _answer(self, position: int, entry: Mapping[str, Any]) -> _Answer:
        answer = _Answer(
            position=position,
            segmentations=self._listed(position, entry, "segmentation", lambda one: isinstance(one, dict)),
            boxes=self._listed(position, entry, "bbox", lambda one: are_numbers(one, 4)),
            box_format=entry.get("box_format", "xywh"),
            scores=_scores(entry),
            is_no_target=entry.get("no_target"),
        )
        if answer.is_no_target not in (None, False, True):
            self._complain(position, f"no_target is {shown(answer.is_no_target)}", "Write true or false")
        if answer.box_format not in ("xywh", "xyxy"):
            message = f"box_format is {shown(answer.box_format)}"
            self._complain(position, message, "Write xywh, or xyxy for corners")
        num = _num_rows(answer)
        if not all(is_number(score) for score in answer.scores) or len(answer.scores) not in (0, num):
            message = f"score is {shown(entry.get('score'))}, expected {num} finite numbers"
            self._complain(position, message, "Write one score for each box (or mask)")
        return answer

    def _listed(
        self, position: int, entry: Mapping[str, Any], kind: str, is_sound: Callable[[Any], bool]
    ) -> list[Any] | None:
        """The values of a field: one, several, none for null; None where the field is absent."""
        if kind not in entry:
            return None
        value = entry[kind]
        listed = [] if value is None else [value] if is_sound(value) else value
        if isinstance(listed, list) and all(is_sound(one) for one in listed):
            return listed
        form = "run lengths" if kind == "segmentation" else "[x, y, width, height] in finite numbers"
        self._complain(position, f"{kind} is not {form}", f"Write {form}, a list of them, or null")
        return []

    def _masks(self, answer: _Answer) -> list[Rle] | None:
        """The masks of an answer; None where it does not speak of masks."""
        if answer.segmentations is None:
            return None
        found, problems = [], []
        for value in answer.segmentations:
            try:
                found.append(masks.from_json(value))
            except (ValueError, TypeError, OverflowError) as error:
                problems.append(
                    self._problem(answer.position, f"the mask is broken: {error}", "Write COCO run lengths")
                )
        sizes = sorted({rle.size for rle in found})
        if len(sizes) > 1:
            message = f"has masks of different sizes ({', '.join(f'{height}x{width}' for height, width in sizes)})"
            problems.append(self._problem(answer.position, message, "Write masks at the image's own size"))
        raise_if_any(problems)
        return found

    def _complain(self, position: int, message: str, remedy: str) -> None:
        self.problems.append(self._problem(position, message, remedy))

    def _problem(self, position: int, message: str, remedy: str) -> Problem:
        return Problem(place=f"{self.path}: result {position}", message=message, remedy=remedy)


def _num_rows(answer: _Answer) -> int:
    """Objects of the prediction: one for each box; masks without boxes, or as many as boxes, one for each mask."""
    num_masks, num_boxes = len(answer.segmentations or ()), len(answer.boxes or ())
    if answer.boxes is None:
        return num_masks
    return num_boxes or min(num_masks, 1)


def _scores(entry: Mapping[str, Any]) -> list[Any]:
    value = entry.get("score")
    return [] if value is None else value if isinstance(value, list) else [value]
