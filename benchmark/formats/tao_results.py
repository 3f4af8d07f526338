"""TAO results: COCO's list of boxes, each with its track, and the JSON of drawn truth.

    [{"image_id", "category_id", "bbox": [x, y, w, h], "score", "track_id", "video_id"?}]

A track belongs to one video and one category; merged categories (see `tao`) are read as the one that stands for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmark.contract import Instances, Prediction, PredictionSet, Sample, SampleSet
from benchmark.formats.json_files import write_json
from benchmark.formats.json_lists import elements
from benchmark.formats.tao import SHOWN, Box, NumberedFrames, frames_of, tracks_of
from benchmark.formats.values import are_numbers, is_number, is_whole
from benchmark.labels import LabelSet
from benchmark.problems import OTHER_SPLIT, DataError, Problem

FOREIGN = "is not in this benchmark"
REMEDY = "Write {image_id, category_id, bbox, score, track_id, video_id} of this split"


def read_results(path: Path, samples: SampleSet, labels: LabelSet) -> PredictionSet:
    """Predictions of all videos; one without boxes has no tracks. Raises DataError with all problems."""
    reader = _Reader(path=path, labels=labels)
    for sample in samples:
        reader.know(sample)
    for position, (_, _, entry) in enumerate(elements(path)):
        reader.add(position, entry)
    if reader.num_wrong > SHOWN:
        message = f"{reader.num_wrong - SHOWN:,} more results are wrong"
        last = Problem(place=str(path), message=message, remedy="Mend the first ones, then score again")
        reader.problems.append(last)
    if reader.problems:
        raise DataError(reader.problems)
    return PredictionSet(samples.ids, reader.prediction)


def write_results(path: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write predictions as one list; tracks are numbered from 1 through all videos."""
    numbers, entries = count(1), list[dict[str, Any]]()
    for sample, prediction in predictions:
        frames, number_of = numbered(sample), dict[int, int]()
        for image_id, frame in zip(frames.image_ids, prediction.frames, strict=True):
            if not isinstance(frame, Instances) or frame.box_format != "xywh":
                raise ValueError(f"sample {sample.sample_id}: TAO results hold instances with xywh boxes")
            for row, object_id in enumerate(frame.object_id.tolist()):
                if object_id not in number_of:
                    number_of[object_id] = next(numbers)
                entries.append(
                    {
                        "image_id": image_id,
                        "category_id": labels.category_id(int(frame.class_index[row])),
                        "bbox": frame.boxes[row].tolist(),
                        "score": float(frame.score[row]),
                        "track_id": number_of[object_id],
                        "video_id": int(sample.sample_id),
                    }
                )
    write_json(path, entries)


def numbered(sample: Sample) -> NumberedFrames:
    """The sample's frames with their image ids; ValueError for a sample that no TAO file gave."""
    if not isinstance(sample.frames, NumberedFrames):
        raise ValueError(f"sample {sample.sample_id}: its frames have no image ids")
    return sample.frames


@dataclass(slots=True, kw_only=True)
class _Reader:
    """images: image id -> (sample id, index of the frame). owners: track id -> (sample id, class)."""

    path: Path
    labels: LabelSet
    problems: list[Problem] = field(default_factory=list)
    num_wrong: int = 0
    images: dict[int, tuple[str, int]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)
    owners: dict[int, tuple[str, int]] = field(default_factory=dict)
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def know(self, sample: Sample) -> None:
        """Take in the image ids of a video."""
        frames = numbered(sample)
        self.images |= {one: (sample.sample_id, index) for index, one in enumerate(frames.image_ids)}
        self.lengths[sample.sample_id] = len(frames)
        self.merged |= frames.merged

    def add(self, position: int, entry: Any) -> None:
        """Check one box and file it under its video."""
        message = self._message(entry)
        if message:
            self.num_wrong += 1
            if self.num_wrong <= SHOWN:
                remedy = OTHER_SPLIT.capitalize() if message.endswith(FOREIGN) else REMEDY
                self.problems.append(Problem(place=f"{self.path}: result {position}", message=message, remedy=remedy))
            return
        sample_id, index = self.images[entry["image_id"]]
        _, class_index = self.owners[entry["track_id"]]
        self.seen.add((entry["image_id"], entry["track_id"]))
        _, _, width, height = box = tuple(float(value) for value in entry["bbox"])
        self.boxes.setdefault(sample_id, []).append(
            Box(
                frame=index,
                object_id=entry["track_id"],
                class_index=class_index,
                box=box,
                area=width * height,
                score=float(entry["score"]),
            )
        )

    def prediction(self, sample_id: str) -> Prediction:
        """The boxes of one video."""
        boxes = self.boxes.get(sample_id, [])
        return Prediction(frames=frames_of(boxes, self.lengths[sample_id]), tracks=tracks_of(boxes))

    def _message(self, entry: Any) -> str:
        """What is wrong with a result, "" if nothing is; remembers whose its track is."""
        if not isinstance(entry, dict):
            return "is not an object"
        image_id: Any = entry.get("image_id")
        track_id: Any = entry.get("track_id")
        if not is_whole(image_id, 0) or image_id not in self.images:
            return f"image_id {image_id!r} {FOREIGN}"
        if not is_whole(track_id, 0):
            return f"track_id {track_id!r} is not a whole number from 0"
        sample_id, _ = self.images[image_id]
        if str(entry.get("video_id", sample_id)) != sample_id:
            return f"video_id is {entry['video_id']!r}, image {image_id} is of video {sample_id}"
        class_index = self._class_of(entry.get("category_id"))
        if class_index is None:
            return f"category_id {entry.get('category_id')!r} is not in the label set"
        if not are_numbers(entry.get("bbox"), 4) or not is_number(entry.get("score")):
            return "bbox is not [x, y, width, height], or score is no finite number"
        if self.owners.setdefault(track_id, (sample_id, class_index)) != (sample_id, class_index):
            return f"track {track_id} is in two videos, or of two categories"
        return f"track {track_id} has two boxes in image {image_id}" if (image_id, track_id) in self.seen else ""

    def _class_of(self, category_id: Any) -> int | None:
        number = self.merged.get(category_id, category_id) if is_whole(category_id, 0) else None
        return None if number is None or not self.labels.has_category(number) else self.labels.index_of(number)
