"""TAO's annotations: COCO's form with videos and tracks, and with federated truth of each video.

    {"videos": [{"id", "width", "height", "neg_category_ids": [...], "not_exhaustive_category_ids": [...]}],
     "images": [{"id", "video_id", "frame_index", "file_name"}], "tracks": [{"id", "category_id", "video_id"}],
     "categories": [{"id", "name", "merged"?: [{"id"}, ...]}],
     "annotations": [{"id", "image_id", "track_id", "category_id", "bbox": [x, y, w, h], "area"}]}

Categories that another one has `merged` are read as that one, in truth and results. The files of the test split list
videos and images only. https://github.com/TAO-Dataset/tao
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np

from benchmark.contract import Frames, Instances, Tracks, Truth, make_instances
from benchmark.formats.image_records import MAX_SIDE
from benchmark.formats.json_files import expect_lists, read_json
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.values import are_numbers, is_number, is_whole
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem

FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")
PRIVATE = "the truth of this split is not public"
SHOWN = 20
"""Broken records of a file that are listed one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedFrames(Sequence[Path]):
    """The pictures of a video with the ids that results use.

    paths: in order. image_ids: of each. merged: category id -> the one it is read as.
    """

    paths: tuple[Path, ...]
    image_ids: tuple[int, ...]
    merged: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Path:  # type: ignore[override]
        return self.paths[index]

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One object in one frame. box: (x, y, w, h), pixels. area: square pixels as stated. score: 1 for truth."""

    frame: int
    object_id: int
    class_index: int
    box: tuple[float, ...]
    area: float
    score: float = 1.0


def frames_of(boxes: Sequence[Box], num_frames: int) -> Frames:
    """The boxes frame by frame, those of a frame in their order."""
    by_frame: dict[int, list[Box]] = {}
    for one in boxes:
        by_frame.setdefault(one.frame, []).append(one)

    def build(index: int) -> Instances:
        shown = by_frame.get(index, [])
        return make_instances(
            class_index=[one.class_index for one in shown],
            boxes=np.array([one.box for one in shown], np.float64),
            area=np.array([one.area for one in shown], np.float64),
            score=np.array([one.score for one in shown], np.float64),
            object_id=np.array([one.object_id for one in shown], np.int64),
        )

    return Frames(num_frames, build)


def tracks_of(boxes: Sequence[Box], ignored: frozenset[int] = frozenset()) -> Tracks:
    """The objects as a whole, in order of appearance; scores and areas are means. ignored: object ids."""
    groups: dict[int, list[Box]] = {}
    for one in sorted(boxes, key=lambda box: box.frame):
        groups.setdefault(one.object_id, []).append(one)
    return Tracks(
        object_id=np.array(list(groups), np.int64),
        class_index=np.array([group[0].class_index for group in groups.values()], np.int64),
        score=np.array([np.mean([one.score for one in group]) for group in groups.values()], np.float64),
        is_crowd=np.array([object_id in ignored for object_id in groups], bool),
        area=np.array([np.mean([one.area for one in group]) for group in groups.values()], np.float64),
    )


def read(path: Path, frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Videos with their tracks, in file order. Raises DataError if the JSON is broken. frame_of: file name -> picture.

    Truth that the file does not hold raises DataError when a frame is looked at.
    """
    document = expect_lists(path, read_json(path), ("videos", "images", "categories"))
    is_private = document.get("annotations") is None
    if not is_private:
        expect_lists(path, document, ("annotations", "tracks"))
    reader = _Reader(path=path, labels=labels, frame_of=frame_of, merged=merges(document["categories"]))
    for name, add in (("videos", reader.add_video), ("images", reader.add_image)):
        for position, record in enumerate(document[name]):
            add(position, record)
    for position, record in enumerate(() if is_private else document["tracks"]):
        reader.add_track(position, record)
    for position, record in enumerate(() if is_private else document["annotations"]):
        reader.add_box(position, record)
    return reader.listing(is_private=is_private)


def merges(categories: Sequence[Any]) -> dict[int, int]:
    """Category id -> the one that it is merged into; what is no such record is left out."""
    found: dict[int, int] = {}
    for record in categories:
        if isinstance(record, dict) and is_whole(record.get("id"), 0):
            parts = record.get("merged")
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, dict) and is_whole(part.get("id"), 0):
                    found[part["id"]] = record["id"]
    return found


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Looks at the records one by one and collects the sound ones, and what is wrong with the others."""

    path: Path
    labels: LabelSet
    frame_of: Callable[[str], Path]
    merged: Mapping[int, int]
    problems: list[Problem] = field(default_factory=list)
    videos: dict[int, dict[str, Any]] = field(default_factory=dict)
    images: dict[int, dict[str, Any]] = field(default_factory=dict)
    tracks: dict[int, dict[str, Any]] = field(default_factory=dict)
    boxes: dict[int, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def add_video(self, position: int, record: Any) -> None:
        """A video with its federated lists."""
        sides = ("width", "height")
        if not isinstance(record, dict) or not is_whole(record.get("id"), 0) or record["id"] in self.videos:
            self._complain(f"videos[{position}]", "has no id of its own (a whole number from 0)")
        elif not all(is_whole(record.get(name), 1, MAX_SIDE) for name in sides):
            self._complain(f"video {record['id']}", f"width or height is no whole number from 1 to {MAX_SIDE:,}")
        else:
            for name in FEDERATED:
                ids = record.get(name, [])
                if not isinstance(ids, list) or not all(self._class_of(one) is not None for one in ids):
                    self._complain(f"video {record['id']}", f"{name} is no list of ids of {self.labels.name}")
                    return
            self.videos[record["id"]] = record

    def add_image(self, position: int, record: Any) -> None:
        """A frame of a video."""
        if not isinstance(record, dict) or not is_whole(record.get("id"), 0) or record["id"] in self.images:
            self._complain(f"images[{position}]", "has no id of its own (a whole number from 0)")
        elif _id_of(record, "video_id") not in self.videos:
            self._complain(f"image {record['id']}", f"video_id {record.get('video_id')!r} is not in 'videos'")
        elif not is_whole(record.get("frame_index"), 0) or not _is_inside(record.get("file_name")):
            self._complain(f"image {record['id']}", "lacks frame_index, or a file_name below the folder of the frames")
        else:
            self.images[record["id"]] = record

    def add_track(self, position: int, record: Any) -> None:
        """An object of a video."""
        if not isinstance(record, dict) or not is_whole(record.get("id"), 0) or record["id"] in self.tracks:
            self._complain(f"tracks[{position}]", "has no id of its own (a whole number from 0)")
        elif _id_of(record, "video_id") not in self.videos:
            self._complain(f"track {record['id']}", f"video_id {record.get('video_id')!r} is not in 'videos'")
        elif self._class_of(record.get("category_id")) is None:
            remedy = "Give the file without free-form categories (validation.json, train.json)"
            message = f"category_id {record.get('category_id')!r} is not in {self.labels.name}"
            self._complain(f"track {record['id']}", message, remedy)
        else:
            self.tracks[record["id"]] = record

    def add_box(self, position: int, record: Any) -> None:
        """An object in a frame."""
        message = self._box_message(record)
        if message:
            self._complain(f"annotations[{position}]", message)
            return
        self.seen.add((record["image_id"], record["track_id"]))
        self.boxes.setdefault(self.images[record["image_id"]]["video_id"], []).append((position, record))

    def listing(self, *, is_private: bool) -> Listing:
        """The videos that have frames."""
        images: dict[int, list[dict[str, Any]]] = {}
        for record in self.images.values():
            images.setdefault(record["video_id"], []).append(record)
        numbers = [one for one in self.videos if one in images]
        entries = []
        for one in numbers:
            images[one].sort(key=lambda record: int(record["frame_index"]))
            frames = NumberedFrames(
                paths=tuple(self.frame_of(record["file_name"]) for record in images[one]),
                image_ids=tuple(record["id"] for record in images[one]),
                merged=self.merged,
            )
            size = (self.videos[one]["height"], self.videos[one]["width"])
            entries.append(Entry(sample_id=str(one), frames=frames, size=size))

        def truth(index: int) -> Truth:
            if is_private:
                return Truth(frames=Frames(len(entries[index].frames), lambda _: self._hidden()), tracks=tracks_of(()))
            return self._truth(numbers[index], images[numbers[index]])

        if len(self.problems) > SHOWN:
            message = f"{len(self.problems) - SHOWN:,} more records are wrong"
            last = Problem(place=str(self.path), message=message, remedy="Mend the first ones, then score again")
            self.problems[SHOWN:] = [last]
        return Listing(entries=tuple(entries), truth=truth, problems=tuple(self.problems))

    def _truth(self, video_id: int, images: Sequence[Mapping[str, Any]]) -> Truth:
        place = {record["id"]: index for index, record in enumerate(images)}
        boxes = [
            Box(
                frame=place[record["image_id"]],
                object_id=record["track_id"],
                class_index=self._class_of(record["category_id"]) or 0,
                box=tuple(record["bbox"]),
                area=record["area"],
            )
            for _, record in self.boxes.get(video_id, [])
        ]
        ignored = frozenset(number for number, track in self.tracks.items() if track.get("ignore"))
        negative, partly = (
            tuple(self._class_of(one) or 0 for one in self.videos[video_id].get(name, [])) for name in FEDERATED
        )
        return Truth(
            frames=frames_of(boxes, len(images)),
            tracks=tracks_of(boxes, ignored),
            negative_labels=negative,
            not_exhaustive_labels=partly,
        )

    def _class_of(self, category_id: Any) -> int | None:
        number = self.merged.get(category_id, category_id) if is_whole(category_id, 0) else None
        return None if number is None or not self.labels.has_category(number) else self.labels.index_of(number)

    def _box_message(self, record: Any) -> str:
        """What is wrong with an annotation, "" if nothing is."""
        if not isinstance(record, dict):
            return "is not an object"
        track, image = self.tracks.get(_id_of(record, "track_id")), self.images.get(_id_of(record, "image_id"))
        if track is None or image is None:
            return f"track_id {record.get('track_id')!r} or image_id {record.get('image_id')!r} is not in its list"
        if track["video_id"] != image["video_id"]:
            return f"track {track['id']} is of video {track['video_id']}, image {image['id']} of {image['video_id']}"
        if self._class_of(record.get("category_id")) != self._class_of(track["category_id"]):
            return f"category_id {record.get('category_id')!r} is not that of its track, {track['category_id']}"
        if not are_numbers(record.get("bbox"), 4) or not is_number(record.get("area")):
            return "bbox is not [x, y, width, height], or area is no number"
        is_twice = (image["id"], track["id"]) in self.seen
        return f"track {track['id']} has two boxes in image {image['id']}" if is_twice else ""

    def _hidden(self) -> NoReturn:
        remedy = "Send the results to the benchmark's server, or score videos with truth: --truth FILE"
        raise DataError([Problem(place=str(self.path), message=PRIVATE, remedy=remedy)])

    def _complain(self, place: str, message: str, remedy: str = "Take the file of the official download") -> None:
        self.problems.append(Problem(place=f"{self.path}: {place}", message=message, remedy=remedy))


def _id_of(record: Mapping[str, Any], name: str) -> int:
    """A whole number of a record, -1 for whatever else it holds."""
    value = record.get(name)
    return value if isinstance(value, int) and is_whole(value, 0) else -1


def _is_inside(name: Any) -> bool:
    """Whether a JSON value is a path that stays below its folder."""
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
