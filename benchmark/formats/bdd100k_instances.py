"""BDD100K's instance bitmasks with a JSON of scores: RGBA PNGs, red class, green attributes, blue and alpha instance.

    labels/ins_seg/bitmasks/val/<name>.png       R class 1..8   G crowd 2, ignored 1   (B << 8) + A instance
    results: <name>.png at any depth, and one    [{"name": "<name>.jpg", "labels": [{"id", "index", "score"}]}]

`index` is the instance of the bitmask. Instances that the JSON does not list are no results, those that it lists and
the bitmask does not hold are left out; an image without a bitmask or without an entry is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Prediction, PredictionSet, Rle, Sample, Truth, make_instances
from benchmark.formats.bdd100k_bitmasks import CROWD, IGNORED, LARGEST_ID, write_frame
from benchmark.formats.image_files import read_rgba
from benchmark.formats.json_files import read_json, write_json
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.values import is_number, is_whole
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem, raise_if_any

SCORES, FOLDER = "scores.json", "bitmasks"
Scored = Sequence[tuple[int, float]]
"""Instances of an image with their scores, in file order."""


def read_truth(paths: Mapping[str, Path], frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Images with their objects. paths: sample id -> bitmask. frame_of: sample id -> picture."""
    files = list(paths.values())
    entries = tuple(Entry(sample_id=one, frames=(frame_of(one),), labels=(path,)) for one, path in paths.items())
    return Listing(entries=entries, truth=lambda index: _truth(files[index], labels))


def read_predictions(
    paths: Mapping[str, Path], scores: Path, sample_ids: Sequence[str], labels: LabelSet
) -> PredictionSet:
    """Predictions of the samples that have a bitmask and scores. Raises DataError with all problems of the JSON."""
    scored = _read_scores(scores)
    known = tuple(one for one in sample_ids if one in paths and one in scored)
    return PredictionSet(known, lambda one: Prediction(frames=(_found(paths[one], scored[one], labels),)))


def write_predictions(folder: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write one bitmask a sample and the JSON; where objects overlap, the more confident one is kept."""
    document = []
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Instances) or found.masks is None:
            raise ValueError(f"sample {sample.sample_id}: bitmasks need instances with masks")
        numbered = make_instances(class_index=found.class_index, masks=found.masks, score=found.score)
        write_frame(folder / FOLDER / f"{sample.sample_id}.png", sample.size, [(numbered, 0)], labels)
        listed = [
            {"id": str(number), "index": number, "score": score}
            for number, score in enumerate(found.score.tolist(), start=1)
        ]
        document.append({"name": f"{sample.sample_id}.jpg", "labels": listed})
    write_json(folder / SCORES, document)


def _truth(path: Path, labels: LabelSet) -> Truth:
    """Objects that count, crowds among them, and the ignored ones; classes that no metric looks at are left out."""
    ids, categories, attributes, found = _objects(path)
    is_known = np.array([labels.has_category(one) for one in categories.tolist()], bool)
    is_crowd, is_ignored = attributes & CROWD > 0, attributes & IGNORED > 0
    sides = []
    for rows in (np.flatnonzero(is_known & ~is_ignored), np.flatnonzero(is_known & is_ignored)):
        own = [found[row] for row in rows.tolist()]
        sides.append(
            make_instances(
                class_index=[labels.index_of(one) for one in categories[rows].tolist()],
                masks=own,
                area=masks.areas(own).astype(np.float64),
                object_id=ids[rows],
                # A crowd that counts must be found like any other object.
                is_crowd=is_crowd[rows] & is_ignored[rows],
            )
        )
    counted, ignored = sides
    return Truth(frames=(counted,), ignored=(ignored,), group_of=is_crowd[is_known & ~is_ignored])


def _found(path: Path, scored: Scored, labels: LabelSet) -> Instances:
    """The listed instances that the bitmask holds, in the order of the list. Raises DataError."""
    ids, categories, _, found = _objects(path)
    place = {number: row for row, number in enumerate(ids.tolist())}
    rows = [(place[number], score) for number, score in scored if number in place]
    unknown = sorted({int(categories[row]) for row, _ in rows if not labels.has_category(int(categories[row]))})
    if unknown:
        message = f"holds class {unknown[0]} in its red channel, expected 1 to {labels.num_classes}"
        raise DataError([Problem(place=str(path), message=message, remedy="Write BDD100K's class ids")])
    own = [found[row] for row, _ in rows]
    return make_instances(
        class_index=[labels.index_of(int(categories[row])) for row, _ in rows],
        masks=own,
        area=masks.areas(own).astype(np.float64),
        score=np.array([score for _, score in rows], np.float64),
        object_id=ids[[row for row, _ in rows]],
    )


def _objects(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Sequence[Rle]]:
    """Ids, classes, attribute bytes, int64 [N] each, and masks of a bitmask, by rising id. Raises DataError."""
    pixels = read_rgba(path).astype(np.int64)
    ids = (pixels[..., 2] << 8) + pixels[..., 3]
    codes = np.unique((ids << 16) + (pixels[..., 0] << 8) + pixels[..., 1])
    codes = codes[codes >> 16 > 0]
    numbers = codes >> 16
    twice = numbers[1:][np.diff(numbers) == 0]
    if len(twice):
        message = f"instance {twice[0]} has pixels of several classes or attributes"
        raise DataError([Problem(place=str(path), message=message, remedy="Give each instance one of each")])
    return numbers, codes >> 8 & 255, codes & 255, masks.encode_ids(ids, numbers.tolist())


def _read_scores(path: Path) -> dict[str, Scored]:
    """Scores by sample id. Raises DataError with all problems."""
    document = read_json(path)
    if not isinstance(document, list):
        message = f"holds a {type(document).__name__}, expected a list of one object an image"
        raise DataError([Problem(place=str(path), message=message, remedy="Write BDD100K's JSON of scores")])
    found: dict[str, Scored] = {}
    problems = []
    for position, record in enumerate(document):
        message = _record_message(record)
        name = "" if message else Path(record["name"]).stem
        if not message and name in found:
            message = f"image {name} is listed twice"
        if message:
            remedy = 'Write {"name": ..., "labels": [{"index": ..., "score": ...}]}'
            problems.append(Problem(place=f"{path}: entry {position}", message=message, remedy=remedy))
        else:
            found[name] = [(one["index"], float(one["score"])) for one in record.get("labels") or ()]
    raise_if_any(problems)
    return found


def _record_message(record: Any) -> str:
    """What is wrong with an entry, "" if nothing is."""
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        return "is no object with a name"
    listed = record.get("labels") or []
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return "labels is no list of objects"
    for one in listed:
        if not is_whole(one.get("index"), 1, LARGEST_ID):
            return f"index {one.get('index')!r} is not a whole number from 1 to {LARGEST_ID}"
        if not is_number(one.get("score")):
            return f"score {one.get('score')!r} is not a finite number"
    indices = [one["index"] for one in listed]
    return "an index is listed twice" if len(set(indices)) < len(indices) else ""
