"""YouTube-VIS annotations (OVIS has the same): one JSON with videos, categories and the tracks of objects.

    {"videos": [{"id", "width", "height", "length", "file_names": ["<video>/00000.jpg", ...]}],
     "categories": [{"id", "name"}],
     "annotations": [{"id", "video_id", "category_id", "iscrowd", "segmentations": [mask | null, ...],
                      "areas": [number | null, ...], "bboxes": [[x, y, w, h] | null, ...]}]}

A mask is run lengths (compressed or not) or a list of polygons; lists have one entry a frame. The files of validation
and test splits have no annotations: their truth is private. https://github.com/youtubevos/cocoapi
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmark import masks
from benchmark.contract import NO_BOXES, Frames, Instances, Rle, Sample, Truth
from benchmark.formats.image_records import MAX_SIDE
from benchmark.formats.json_files import expect_lists, read_json, write_json
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.track_masks import FILL, TextMasks, Track, frames_of, tracks_of
from benchmark.formats.values import LARGEST, are_numbers, is_number, is_whole
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem

RENAMED = "categories named otherwise than in the label set"
PRIVATE = "the truth of this split is not public"
FARTHEST = 1_000_000
"""Polygon coordinates up to here are rasterised; the official rasteriser counts in 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """One listed video. sample_id: its id as text. size: (height, width). file_names: pictures, in order."""

    sample_id: str
    size: tuple[int, int]
    file_names: tuple[str, ...]


def read(path: Path, frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Videos with their tracks, in file order. Raises DataError if the JSON is broken.

    frame_of: file name -> picture. Truth that the file does not hold raises DataError when a frame is looked at.
    """
    document = expect_lists(path, read_json(path), ("videos", "categories"))
    is_private = document.get("annotations") is None
    annotations = [] if is_private else expect_lists(path, document, ("annotations",))["annotations"]
    reader = _Reader(path=path, labels=labels)
    reader.read_videos(document["videos"])
    notes = reader.read_categories(document["categories"])
    for position, annotation in enumerate(annotations):
        reader.add(position, annotation)
    reader.finish()
    videos = list(reader.videos.values())

    def truth(index: int) -> Truth:
        video = videos[index]
        tracks = reader.tracks[video.sample_id]
        if is_private:
            return Truth(frames=Frames(len(video.file_names), lambda _: _hidden(path)), tracks=tracks_of(()))
        frames = frames_of(tracks, len(video.file_names), lambda mask: _decode(mask, video.size))
        return Truth(frames=frames, tracks=tracks_of(tracks))

    entries = tuple(
        Entry(sample_id=video.sample_id, frames=tuple(map(frame_of, video.file_names)), size=video.size)
        for video in videos
    )
    return Listing(entries=entries, truth=truth, notes=notes, problems=tuple(reader.problems))


def write(path: Path, samples: Iterable[Sample], labels: LabelSet) -> None:
    """Write the truth of videos as one annotation file. A picture's file name is its last folder and its name."""
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for sample in samples:
        height, width = sample.size
        names = [f"{frame.parent.name}/{frame.name}" for frame in sample.frames]
        record = {"id": int(sample.sample_id), "height": height, "width": width, "length": len(names)}
        videos.append(record | {"file_names": names})
        annotations += _annotations(sample, labels)
    categories = [{"id": row.category_id, "name": row.name, "supercategory": row.supercategory}
                  for row in labels.classes]  # fmt: skip
    write_json(path, {"videos": videos, "categories": categories, "annotations": annotations})


def _annotations(sample: Sample, labels: LabelSet) -> list[dict[str, Any]]:
    if sample.truth is None or sample.truth.tracks is None:
        raise ValueError(f"sample {sample.sample_id}: an annotation file holds the truth of tracks, and it has none")
    tracks, num_frames = sample.truth.tracks, len(sample.truth.frames)
    found: dict[int, dict[str, Any]] = {
        object_id: {
            "id": object_id,
            "video_id": int(sample.sample_id),
            "category_id": labels.category_id(int(tracks.class_index[row])),
            "iscrowd": int(tracks.is_crowd[row]),
            "height": sample.size[0],
            "width": sample.size[1],
            "segmentations": [None] * num_frames,
            "areas": [None] * num_frames,
            "bboxes": [None] * num_frames,
        }
        for row, object_id in enumerate(tracks.object_id.tolist())
    }
    for index, frame in enumerate(sample.truth.frames):
        if not isinstance(frame, Instances) or frame.masks is None:
            raise ValueError(f"sample {sample.sample_id}: frame {index} holds no instance masks")
        boxes = masks.bounding_boxes(frame.masks) if frame.box_format == NO_BOXES else frame.boxes
        for row, object_id in enumerate(frame.object_id.tolist()):
            one = found[object_id]
            one["segmentations"][index] = masks.to_json_uncompressed(frame.masks[row])
            one["areas"][index] = float(frame.area[row])
            one["bboxes"][index] = boxes[row].tolist()
    return list(found.values())


def _hidden(path: Path) -> Instances:
    remedy = "Send the results to the benchmark's server, or score videos with truth: --truth FILE"
    raise DataError([Problem(place=str(path), message=PRIVATE, remedy=remedy)])


def _decode(mask: Any, size: tuple[int, int]) -> Rle:
    """The run lengths of a mask that was checked before. size: (height, width)."""
    match mask:
        case bytes():
            return Rle(size=size, counts=mask)
        case _:
            return cast(Rle, mask)


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Looks at the records one by one and collects the sound ones, and what is wrong with the others."""

    path: Path
    labels: LabelSet
    problems: list[Problem] = field(default_factory=list)
    videos: dict[str, Video] = field(default_factory=dict)
    tracks: dict[str, list[Track]] = field(default_factory=dict)
    categories: set[int] = field(default_factory=set)
    texts: TextMasks = field(default_factory=TextMasks)
    order: list[tuple[str, int]] = field(default_factory=list)
    ids: set[int] = field(default_factory=set)

    def read_videos(self, records: Sequence[Any]) -> None:
        """Fill `videos`."""
        for position, record in enumerate(records):
            message = _video_message(record)
            number = record.get("id", f"at position {position}") if isinstance(record, dict) else f"at {position}"
            if not message and str(number) in self.videos:
                message = "the id is used by two videos"
            if message:
                self._complain(f"video {number}", message, "Every video needs an id of its own, sizes and pictures")
                continue
            names = tuple(record["file_names"])
            size = (int(record["height"]), int(record["width"]))
            self.videos[str(number)] = Video(sample_id=str(number), size=size, file_names=names)
            self.tracks[str(number)] = []

    def read_categories(self, records: Sequence[Any]) -> Mapping[str, int]:
        """Fill `categories`; notes on what is named otherwise than in the label set."""
        renamed = 0
        for position, record in enumerate(records):
            number: Any = record.get("id") if isinstance(record, dict) else None
            if not is_whole(number, 0) or not self.labels.has_category(number):
                message = f"id {number!r} is not in the label set"
                self._complain(f"category at position {position}", message, f"Use the ids of {self.labels.name}")
                continue
            self.categories.add(number)
            renamed += record.get("name") != self.labels.everything[self.labels.index_of(number)].name
        return {RENAMED: renamed} if renamed else {}

    def add(self, position: int, annotation: Any) -> None:
        """Check one annotation and file it under its video."""
        if not isinstance(annotation, dict):
            self._complain(f"annotations[{position}]", "is not an object", "Write one object for each annotation")
            return
        number = len(self.problems)
        place = f"annotation {annotation.get('id', f'at position {position}')}"
        self._check_fields(place, annotation)
        video = self.videos.get(str(annotation.get("video_id")))
        if video is None:
            message = f"video_id {annotation.get('video_id')!r} is not in 'videos'"
            self._complain(place, message, "List the video, or remove the annotation")
            return
        self._check_lists(place, annotation, len(video.file_names))
        if len(self.problems) > number:
            return
        masks_of_frames = enumerate(annotation["segmentations"])
        counted = [self._mask(f"{place}, frame {index}", mask, video.size) for index, mask in masks_of_frames]
        shown = [mask for mask, _ in counted]
        self.texts.add(f"{self.path}: {place}", [one if isinstance(one, bytes) else None for one in shown], video.size)
        self.order.append((video.sample_id, len(self.tracks[video.sample_id])))
        self.tracks[video.sample_id].append(
            Track(
                object_id=annotation["id"],
                class_index=self.labels.index_of(annotation["category_id"]),
                masks=shown,
                areas=annotation["areas"],
                boxes=annotation.get("bboxes"),
                is_crowd=bool(annotation["iscrowd"]),
                pixels=[pixels for _, pixels in counted],
            )
        )

    def finish(self) -> None:
        """Check all compressed masks together, and count the pixels of every mask."""
        areas, problems = self.texts.check()
        self.problems += problems
        for (sample_id, row), counted in zip(self.order, areas, strict=True):
            track, texts = self.tracks[sample_id][row], iter(counted.tolist())
            if len(counted):
                pairs = zip(track.masks, track.pixels or (), strict=True)
                pixels = [next(texts) if isinstance(mask, bytes) else known for mask, known in pairs]
                self.tracks[sample_id][row] = replace(track, pixels=pixels)

    def _check_fields(self, place: str, annotation: Mapping[str, Any]) -> None:
        number: Any = annotation.get("id")
        if not is_whole(number, -LARGEST) or not number:
            remedy = "Number annotations from 1: the official tool takes a match with id 0 for a miss"
            self._complain(place, f"id {number!r} is not a whole number other than 0", remedy)
        elif number in self.ids:
            self._complain(place, "the id is used by two annotations", "Give every annotation an id of its own")
        else:
            self.ids.add(number)
        category = annotation.get("category_id")
        if not is_whole(category, -LARGEST) or category not in self.categories:
            self._complain(place, f"category_id {category!r} is not in 'categories'", "List the category")
        if annotation.get("iscrowd") not in (0, 1):
            self._complain(place, f"iscrowd {annotation.get('iscrowd')!r} is neither 0 nor 1", "Write 0 or 1")

    def _check_lists(self, place: str, annotation: Mapping[str, Any], num_frames: int) -> None:
        for name, is_sound, wanted in (
            ("segmentations", _is_any, "a mask or null"),
            ("areas", is_number, "a number or null"),
            ("bboxes", lambda box: are_numbers(box, 4), "[x, y, width, height] or null"),
        ):
            if name == "bboxes" and name not in annotation:
                continue
            values = annotation.get(name)
            if not isinstance(values, list) or len(values) != num_frames:
                found = f"has {len(values)} entries" if isinstance(values, list) else "is no list"
                message = f"{name} {found}, the video has {num_frames} frames"
                self._complain(place, message, f"Write {wanted} for every frame")
            elif not all(value is None or is_sound(value) for value in values):
                self._complain(place, f"{name} holds something else than {wanted}", "Write one of the two")

    def _mask(self, place: str, mask: Any, size: tuple[int, int]) -> tuple[bytes | Rle | None, int]:
        """(the mask as it is kept, its pixels): None for none, bytes of compressed run lengths, `Rle` of all others.

        Compressed masks are counted later, all together.
        """
        if mask is None or mask == []:
            return None, 0
        if isinstance(mask, list):
            if not all(_is_polygon(polygon) for polygon in mask):
                message = "segmentation is no list of polygons [x0, y0, x1, y1, ...] of at least three points"
                self._complain(place, message, "Write the object's mask as polygons or run lengths")
                return None, 0
            drawn = masks.from_polygons(mask, size)
            return drawn, int(masks.areas([drawn])[0])
        message = _form_message(mask, size)
        if not message and isinstance(mask["counts"], str):
            return mask["counts"].encode("utf-8", "surrogatepass"), 0
        if not message:
            try:
                return _from_list(mask["counts"], size)
            except ValueError as error:
                message = f"the mask is broken: {error}"
        self._complain(place, message, FILL)
        return None, 0

    def _complain(self, place: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(place=f"{self.path}: {place}", message=message, remedy=remedy))


def _video_message(record: Any) -> str:
    """What is wrong with a record of 'videos'; "" if nothing is."""
    if not isinstance(record, dict):
        return "is not an object"
    if not is_whole(record.get("id"), 0):
        return f"id {record.get('id')!r} is not a whole number from 0"
    wrong = [name for name in ("height", "width") if not is_whole(record.get(name), 1, MAX_SIDE)]
    if wrong:
        return f"{' and '.join(wrong)} must be a whole number of pixels from 1 to {MAX_SIDE:,}"
    names = record.get("file_names")
    if not isinstance(names, list) or not names or not all(_is_inside(name) for name in names):
        return "file_names is not a list of pictures, each named by its path below the folder of the pictures"
    if record.get("length", len(names)) != len(names):
        return f"length is {record['length']!r}, file_names has {len(names)}"
    return ""


def _is_inside(name: Any) -> bool:
    """Whether a JSON value is a path that stays below its folder."""
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    return not name.startswith("/") and ".." not in name.split("/")


def _is_any(value: Any) -> bool:
    return True


def _is_polygon(polygon: Any) -> bool:
    is_sound = are_numbers(polygon) and len(polygon) >= 6 and len(polygon) % 2 == 0
    return is_sound and min(polygon) >= -FARTHEST and max(polygon) <= FARTHEST


def _from_list(counts: list[Any], size: tuple[int, int]) -> tuple[Rle, int]:
    """The mask of plain run lengths and its pixels; ValueError unless they are whole numbers that fill `size`."""
    try:
        runs = array("q", counts)
    except (TypeError, OverflowError) as error:
        raise ValueError("run lengths are not whole numbers") from error
    lengths = np.frombuffer(runs, np.int64)
    return masks.from_counts(lengths, size), int(np.add.reduce(lengths[1::2]))


def _form_message(mask: Any, size: tuple[int, int]) -> str:
    """What is wrong with the form of run lengths; "" if nothing is."""
    if not isinstance(mask, dict) or not isinstance(mask.get("counts"), str | list):
        return "the mask is neither run lengths {size, counts} nor a list of polygons"
    if mask.get("size") != [*size]:
        return f"the mask is of size {mask.get('size')!r}, the video is {size[0]}x{size[1]} (height x width)"
    return ""
