"""BDD100K's panoptic bitmasks, one RGBA PNG an image, and its label PNGs, where predictions may lack files.

    labels/pan_seg/bitmasks/val/<name>.png   R class id 0..40   G attributes   (B << 8) + A instance id, 0 background
    labels/sem_seg/masks/val/<name>.png      train ids 0..18, anything else is ignored

An attribute byte with the crowd (2) or ignored (1) bit makes a segment one that does not count. All pixels of an
instance have one class and one attribute byte, and a prediction holds at most 100 segments: the official tool stops
otherwise. It takes an image without a file for one that is ignored throughout, and so do we, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.contract import IGNORE, LabelMap, Panoptic, Prediction, PredictionSet, Sample, Segment, Truth
from benchmark.formats.bdd100k_bitmasks import CROWD, IGNORED, LARGEST_ID, MOST_INSTANCES, NOT_COUNTED
from benchmark.formats.image_files import read_rgba, write_png
from benchmark.formats.label_maps import Encoding
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.panoptic_files import paint
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem

MISSING = "images without a prediction file taken as ignored throughout"


def read_truth(paths: Mapping[str, Path], frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Images with panoptic truth. paths: sample id -> bitmask. frame_of: sample id -> picture."""
    files = list(paths.values())
    entries = tuple(Entry(sample_id=one, frames=(frame_of(one),), labels=(path,)) for one, path in paths.items())
    return Listing(entries=entries, truth=lambda index: Truth(frames=(read_map(files[index], labels),)))


def read_predictions(
    paths: Mapping[str, Path], samples: Mapping[str, tuple[int, int]], labels: LabelSet
) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of all samples, and notes. paths: sample id -> bitmask. samples: sample id -> (height, width)."""

    def build(sample_id: str) -> Prediction:
        if sample_id not in paths:
            return Prediction(frames=(Panoptic(segment_id=np.zeros(samples[sample_id], np.int32), segments=()),))
        return Prediction(frames=(read_map(paths[sample_id], labels, is_prediction=True),))

    return PredictionSet(tuple(samples), build), _note(paths, samples)


def read_label_predictions(
    paths: Mapping[str, Path], samples: Mapping[str, tuple[int, int]], encoding: Encoding
) -> tuple[PredictionSet, Mapping[str, int]]:
    """The same of label PNGs."""

    def build(sample_id: str) -> Prediction:
        if sample_id not in paths:
            return Prediction(frames=(LabelMap(class_index=np.full(samples[sample_id], IGNORE, np.uint16)),))
        return Prediction(frames=(encoding.decode(paths[sample_id]),))

    return PredictionSet(tuple(samples), build), _note(paths, samples)


def read_map(path: Path, labels: LabelSet, *, is_prediction: bool = False) -> Panoptic:
    """The segments of a bitmask by ascending id. Raises DataError when it is damaged or breaks the form."""
    pixels = read_rgba(path).astype(np.int64)
    ids = (pixels[..., 2] << 8) + pixels[..., 3]
    codes = (ids << 16) + (pixels[..., 0] << 8) + pixels[..., 1]
    found = np.unique(codes)
    found = found[found >> 16 > 0]
    numbers, classes, attributes = found >> 16, found >> 8 & 255, found & 255
    _check(path, numbers.tolist(), classes.tolist(), labels, is_prediction=is_prediction)
    segments = tuple(
        Segment(id=number, class_index=labels.index_of(one), is_crowd=bool(bits & NOT_COUNTED))
        for number, one, bits in zip(numbers.tolist(), classes.tolist(), attributes.tolist(), strict=True)
    )
    return Panoptic(segment_id=ids.astype(np.int32), segments=segments)


def write_predictions(folder: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write one bitmask a sample; what does not count is marked as ignored. Raises ValueError for ids above 65,535."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Panoptic):
            raise ValueError(f"sample {sample.sample_id}: expected a panoptic map, got a {type(found).__name__}")
        write_map(folder / f"{sample.sample_id}.png", found, labels, bit=IGNORED)


def write_map(path: Path, found: Panoptic, labels: LabelSet, *, bit: int = CROWD) -> None:
    """Write one bitmask. bit: the attribute of a crowd. Raises ValueError for ids above 65,535."""
    largest = max((segment.id for segment in found.segments), default=0)
    if largest > LARGEST_ID:
        raise ValueError(f"sample {path.stem}: id {largest} does not fit into a bitmask (1 to {LARGEST_ID})")
    classes = {one.id: labels.category_id(one.class_index) for one in found.segments}
    bits = {one.id: bit * one.is_crowd for one in found.segments}
    ids = paint(found.segment_id, {one.id: one.id for one in found.segments}, 0)
    planes = (paint(ids, classes, 0), paint(ids, bits, 0), ids >> 8, ids & 255)
    write_png(path, np.stack(planes, axis=-1).astype(np.uint8))


def _check(path: Path, ids: Sequence[int], classes: Sequence[int], labels: LabelSet, *, is_prediction: bool) -> None:
    messages = []
    twice = sorted({one for place, one in enumerate(ids) if place and ids[place - 1] == one})
    if twice:
        messages.append(f"instance {twice[0]} has pixels of several classes or attributes, expected one of each")
    unknown = sorted({one for one in classes if not labels.has_category(one)})
    if unknown:
        messages.append(f"holds class {unknown[0]} in its red channel, expected 0 to {labels.num_classes}")
    if is_prediction and len(ids) > MOST_INSTANCES:
        messages.append(f"holds {len(ids)} segments, the official tool takes at most {MOST_INSTANCES} of an image")
    if messages:
        remedy = "Write BDD100K's panoptic bitmasks"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy) for message in messages])


def _note(paths: Mapping[str, Path], samples: Mapping[str, tuple[int, int]]) -> Mapping[str, int]:
    missing = sum(sample_id not in paths for sample_id in samples)
    return {MISSING: missing} if missing else {}
