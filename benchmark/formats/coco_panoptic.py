"""COCO's panoptic form, which ADE20K and Cityscapes use too: one JSON and a folder of id-coded PNGs.

    panoptic_val2017.json   {"images": [...], "categories": [...],
                             "annotations": [{"image_id", "file_name", "segments_info": [
                                 {"id", "category_id", "area", "bbox", "iscrowd"}]}]}
    panoptic_val2017/000000000139.png                        id = R + 256 G + 65536 B, 0 is void

A prediction needs neither images nor areas. As in panopticapi, truth may hold pixels that the JSON does not list; a
prediction may not. Form: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark import masks
from benchmark.contract import Panoptic, Prediction, PredictionSet, Sample, Segment, Truth
from benchmark.formats.image_files import read_rgb, size_problem, write_png
from benchmark.formats.image_records import Image, read_images
from benchmark.formats.json_files import expect_lists, read_json, write_json
from benchmark.formats.listing import Entry, Listing, problems_of
from benchmark.formats.values import is_number, is_whole
from benchmark.labels import LabelSet
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any
from benchmark.stored_maps import PanopticRuns

MAX_ID = (1 << 24) - 1
"""Largest id that three 8-bit channels hold."""
EXTRA = "predicted images outside the benchmark ignored"
CLASS_REMEDY = "Use the ids of the annotation file's categories"


def read_truth(path: Path, folder: Path, frame_of: Callable[[Image], Path], labels: LabelSet) -> Listing:
    """Images with their segments. folder: the PNGs. frame_of: the picture of a listed image.

    Images with a faulty annotation are left out and reported in `problems`. Raises DataError if the JSON is broken.
    """
    document = expect_lists(path, read_json(path), ("images", "annotations"))
    images, problems = read_images(path, document["images"])
    reader = _Reader(path=path, folder=folder, class_of=class_numbering(document, labels))
    for position, annotation in enumerate(document["annotations"]):
        reader.add(position, annotation, images)
    problems += [*reader.problems, *reader.unknown]
    for sample_id in images.keys() - reader.segments.keys() - reader.damaged:
        remedy = "List its segments, or take the image off the list"
        problems.append(Problem(place=f"{path}: image {sample_id}", message="has no annotation", remedy=remedy))
    ordered = [images[sample_id] for sample_id in images if sample_id in reader.segments]

    def truth(index: int) -> Truth:
        image = ordered[index]
        return Truth(frames=(reader.panoptic(image.sample_id, image.size, is_prediction=False),))

    entries = tuple(
        Entry(
            sample_id=image.sample_id,
            frames=(frame_of(image),),
            size=image.size,
            labels=(folder / reader.files[image.sample_id],),
        )
        for image in ordered
    )
    return Listing(entries=entries, truth=truth, problems=tuple(problems))


def read_predictions(
    path: Path, folder: Path, sample_ids: Sequence[str], labels: LabelSet
) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of the samples that the file lists, and how many others were ignored. Raises DataError."""
    document = expect_lists(path, read_json(path), ("annotations",))
    known = dict.fromkeys(sample_ids)
    reader = _Reader(path=path, folder=folder, class_of=class_numbering(document, labels))
    for position, annotation in enumerate(document["annotations"]):
        reader.add(position, annotation, known)
    reader.check_presence()
    if reader.problems:
        raise DataError([*reader.problems, *reader.problems_of_maps()])
    ids = tuple(sample_id for sample_id in sample_ids if sample_id in reader.segments)
    if reader.unknown and not ids:
        message = f"none of its {len(reader.unknown):,} images is in this benchmark"
        raise DataError([Problem(place=str(path), message=message, remedy=OTHER_SPLIT.capitalize())])
    build = PredictionSet(ids, lambda sample_id: Prediction(frames=(reader.panoptic(sample_id),)))
    return build, {EXTRA: len(reader.unknown)} if reader.unknown else {}


def write_predictions(
    path: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet, name_of: Callable[[str], str]
) -> None:
    """Write the PNGs into the folder of the JSON's stem, then the JSON. name_of: sample id -> PNG name."""
    annotations = []
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Panoptic):
            raise ValueError(f"sample {sample.sample_id}: expected a panoptic answer, got a {type(found).__name__}")
        name = name_of(sample.sample_id)
        write_png(path.with_suffix("") / name, masks.colors_from_ids(found.segment_id))
        image_id = int(sample.sample_id) if sample.sample_id.isdigit() else sample.sample_id
        segments = [_prediction_record(segment, labels) for segment in found.segments]
        annotations.append({"image_id": image_id, "file_name": name, "segments_info": segments})
    write_json(path, {"annotations": annotations})


def class_numbering(document: Mapping[str, Any], labels: LabelSet) -> Callable[[Any], int | None]:
    """category_id -> class_index of a file, None for ids outside the label set.

    Cityscapes files circulate with label ids and with train ids: the names in `categories` tell which, or else ids
    that only one of the two numberings has.
    """
    of_category = {row.category_id: row.class_index for row in labels.classes}
    if labels.name == "cityscapes" and _has_train_ids(document, labels):
        of_category = {row.class_index: row.class_index for row in labels.classes}
    return lambda value: of_category.get(value) if isinstance(value, int) else None


def folder_of(path: Path) -> Path:
    """Where the PNGs of a panoptic JSON are: the folder of its stem, beside it or one level up."""
    beside, above = path.with_suffix(""), path.parent.parent / path.stem
    return above if above.is_dir() and not beside.is_dir() else beside


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Collects the annotations of one file: segments and PNG name by sample id, and what is wrong."""

    path: Path
    folder: Path
    class_of: Callable[[Any], int | None]
    problems: list[Problem] = field(default_factory=list)
    unknown: list[Problem] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    segments: dict[str, tuple[Segment, ...]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def add(self, position: int, annotation: Any, known: Mapping[str, object]) -> None:
        """Check one annotation and keep it if it is sound."""
        if not isinstance(annotation, dict):
            self._complain(f"annotations[{position}]", "is not an object", "Write one object for each image")
            return
        sample_id = str(annotation.get("image_id"))
        place = f"image {sample_id}"
        if sample_id not in known:
            remedy = "List the image, or remove its annotation"
            self.unknown.append(Problem(place=f"{self.path}: {place}", message="is not in 'images'", remedy=remedy))
            return
        number = len(self.problems)
        if sample_id in self.segments:
            self._complain(place, "has two annotations", "Write exactly one for each image")
        name, listed = annotation.get("file_name"), annotation.get("segments_info")
        if not isinstance(name, str) or not isinstance(listed, list):
            self._complain(place, "lacks file_name or segments_info", "Write the PNG's name and its list of segments")
            listed, name = [], ""
        segments = [self._segment(place, record) for record in listed]
        self._check_ids(place, [segment.id for segment in segments if segment is not None])
        if len(self.problems) > number:
            self.damaged.add(sample_id)
        else:
            self.segments[sample_id] = tuple(segment for segment in segments if segment is not None)
            self.files[sample_id] = name

    def check_presence(self) -> None:
        """Report PNGs that are not there."""
        for sample_id, name in self.files.items():
            if not (self.folder / name).is_file():
                self._complain(f"image {sample_id}", f"its PNG {self.folder / name} is missing", "Add the file")

    def problems_of_maps(self) -> list[Problem]:
        """Problems of all predicted PNGs that exist, to be reported together with those of the JSON."""
        found: list[Problem] = []
        for sample_id, name in self.files.items():
            if (self.folder / name).is_file():
                found += problems_of(lambda sample_id=sample_id: self.panoptic(sample_id))  # type: ignore[misc]
        return found

    def panoptic(self, sample_id: str, size: tuple[int, int] | None = None, *, is_prediction: bool = True) -> Panoptic:
        """The map of one image; raises DataError when its PNG does not fit its segments or its size."""
        path = self.folder / self.files[sample_id]
        rgb = read_rgb(path)
        if size is not None and rgb.shape[:2] != size:
            raise DataError([size_problem(path, rgb.shape, size)])
        edge, ids = masks.id_runs_from_colors(rgb)
        segments = self.segments[sample_id]
        raise_if_any(_disagreements(path, set(ids.tolist()), segments, is_prediction))
        height, width = rgb.shape[:2]
        return PanopticRuns(size=(height, width), edge=edge, ids=ids, segments=segments)

    def _segment(self, place: str, record: Any) -> Segment | None:
        if not isinstance(record, dict) or not is_whole(record.get("id"), 1, MAX_ID):
            message = f"a segment has the id {record.get('id') if isinstance(record, dict) else record!r}"
            self._complain(place, message, f"Use whole numbers from 1 to {MAX_ID:,}; 0 is void")
            return None
        where = f"{place}, segment {record['id']}"
        class_index = self.class_of(record.get("category_id"))
        if class_index is None:
            message = f"category_id {record.get('category_id')!r} is outside the label set"
            self._complain(where, message, CLASS_REMEDY)
        area, score, crowd = record.get("area"), record.get("score"), record.get("iscrowd", 0)
        if crowd not in (0, 1):
            self._complain(where, f"iscrowd {crowd!r} is neither 0 nor 1", "Write 0 or 1")
        if area is not None and not (is_number(area) and area >= 1):
            self._complain(where, f"area {area!r} is not a number of pixels", "Write the segment's pixel count")
        if score is not None and not is_number(score):
            self._complain(where, f"score {score!r} is not a finite number", "Write a number, or leave it out")
        return Segment(
            id=record["id"],
            class_index=class_index or 0,
            is_crowd=bool(crowd),
            score=score,
            area=int(area) if area is not None and is_number(area) else None,
        )

    def _check_ids(self, place: str, ids: Sequence[int]) -> None:
        for twice in sorted({number for number in ids if ids.count(number) > 1}) if len(set(ids)) < len(ids) else ():
            self._complain(f"{place}, segment {twice}", "is listed twice", "Give every segment an id of its own")

    def _complain(self, place: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(place=f"{self.path}: {place}", message=message, remedy=remedy))


def _disagreements(
    path: Path, present: set[int], segments: Sequence[Segment], is_prediction: bool
) -> Iterable[Problem]:
    listed = {segment.id for segment in segments}
    for number in sorted(listed - present):
        remedy = "Remove the segment from segments_info, or paint it"
        yield Problem(place=f"{path}: segment {number}", message="is listed but has no pixels", remedy=remedy)
    if is_prediction:
        for number in sorted(present - listed - {0}):
            remedy = "List it in segments_info, or paint it 0 (void)"
            yield Problem(place=f"{path}: segment {number}", message="has pixels but is not listed", remedy=remedy)


def _has_train_ids(document: Mapping[str, Any], labels: LabelSet) -> bool:
    categories = document.get("categories")
    if isinstance(categories, list):
        named = {
            row["name"]: row.get("id")
            for row in categories
            if isinstance(row, dict) and isinstance(row.get("name"), str)
        }
        if any(name in named for name in labels.names):
            return any(named.get(row.name) == row.class_index for row in labels.classes)
    used = {
        record["category_id"]
        for annotation in document["annotations"]
        if isinstance(annotation, dict) and isinstance(annotation.get("segments_info"), list)
        for record in annotation["segments_info"]
        if isinstance(record, dict) and isinstance(record.get("category_id"), int)
    }
    label_ids = {row.category_id for row in labels.classes}
    return bool(used) and not used <= label_ids and used <= set(range(labels.num_classes))


def _prediction_record(segment: Segment, labels: LabelSet) -> dict[str, Any]:
    record = {"id": segment.id, "category_id": labels.category_id(segment.class_index)}
    return record if segment.score is None else record | {"score": float(segment.score)}
