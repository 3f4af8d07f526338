"""Scalabel's JSON of tracked objects, truth and results of BDD100K: boxes, or masks as run lengths.

[{"videoName": v, "name": "v-0000001.jpg", "frameIndex": 0, "labels": [{"id": "7", "category": "car",
  "attributes": {"crowd": false, "ignored": false}, "box2d": {"x1", "y1", "x2", "y2"} | "rle": {"counts", "size"}}]}]

A file is such a list, or an object whose `frames` is one, of one video or of many; old files say `index` and `Crowd`.
Names that BDD100K maps to another class are mapped on reading, its distractors are ignored. Truth ids that are no
numbers are numbered in order. Objects are kept as arrays, so that a data set of JSON fits into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Annotation, Frames, Instances, Prediction, Rle, Truth, make_instances
from benchmark.formats.json_files import read_json, write_json
from benchmark.formats.values import is_number, is_whole
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem, raise_if_any

RENAMED = {"bike": "bicycle", "caravan": "car", "motor": "motorcycle", "person": "pedestrian", "van": "car"}
DISTRACTORS = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
"""Classes that are read as others and always ignored."""
CORNERS = ("x1", "y1", "x2", "y2")
LARGEST_ID = 2**31 - 1
SHOWN = 20
"""Broken objects of a file that are listed one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedVideo:
    """N objects of one video, by frame and then as the file has them. path: for messages.

    name: of the video.   frames: names of its pictures, in order of `indices`, int64 [F], the frames' own numbers.
    frame, object_id, class_index: int64 [N].   boxes: float64 [N, 4], xyxy.   masks: N, or None.
    is_ignored: bool [N], crowds, ignored objects and distractors.   score: float64 [N].
    """

    path: Path
    name: str
    frames: tuple[str, ...]
    indices: NDArray[np.int64]
    frame: NDArray[np.int64]
    object_id: NDArray[np.int64]
    class_index: NDArray[np.int64]
    boxes: NDArray[np.float64]
    masks: tuple[Rle, ...] | None
    is_ignored: NDArray[np.bool_]
    score: NDArray[np.float64]

    def truth(self) -> Truth:
        """Objects that count, and the ignored ones."""
        ignored = self._frames(self.is_ignored)
        return Truth(frames=self._frames(~self.is_ignored), ignored=cast("Sequence[Instances]", ignored))

    def prediction(self) -> Prediction:
        """Objects that are not ignored; a frame in which masks overlap loses all, as in the official tool."""
        return Prediction(frames=self._frames(~self.is_ignored, loses_overlaps=self.masks is not None))

    def _frames(self, keep: NDArray[np.bool_], *, loses_overlaps: bool = False) -> Frames:
        rows = np.flatnonzero(keep)
        starts = np.searchsorted(self.frame[rows], np.arange(len(self.frames) + 1))

        def build(index: int) -> Annotation:
            part = rows[starts[index] : starts[index + 1]]
            if loses_overlaps and self._overlaps(index):
                part = part[:0]
            found = None if self.masks is None else [self.masks[row] for row in part]
            return make_instances(
                class_index=self.class_index[part],
                masks=found,
                boxes=self.boxes[part],
                box_format="xyxy",
                object_id=self.object_id[part],
                score=self.score[part],
            )

        return Frames(len(self.frames), build)

    def _overlaps(self, index: int) -> bool:
        """Whether two masks of a frame share a pixel, ignored ones included."""
        low, high = np.searchsorted(self.frame, (index, index + 1))
        rles = (self.masks or ())[low:high]
        return len(rles) > 1 and bool(masks.areas(rles).sum() != masks.area(masks.union(rles)))


def read_videos(paths: Iterable[Path], labels: LabelSet, *, has_masks: bool, is_truth: bool) -> dict[str, TrackedVideo]:
    """The videos of all files by name, in order of name. Raises DataError with the problems of all files."""
    problems: list[Problem] = []
    found: dict[str, TrackedVideo] = {}
    for path in paths:
        reader = _Reader(path=path, labels=labels, has_masks=has_masks, is_truth=is_truth)
        try:
            videos = reader.read()
        except DataError as error:
            problems += error.problems
            continue
        for video in videos:
            if video.name in found:
                message = f"video {video.name} is in {found[video.name].path.name}, too"
                problems.append(Problem(place=str(path), message=message, remedy="Keep one file a video"))
            found[video.name] = video
    raise_if_any(problems)
    return {name: found[name] for name in sorted(found)}


def write_video(
    path: Path, name: str, frames: Sequence[str], sides: Sequence[tuple[Sequence[Annotation], bool]], labels: LabelSet
) -> None:
    """Write one video. frames: names of its pictures. sides: (objects of every frame, whether they are ignored)."""
    records = []
    for index, picture in enumerate(frames):
        objects = []
        for side, is_ignored in sides:
            found = side[index]
            if not isinstance(found, Instances):
                raise ValueError(f"{name}: Scalabel files hold instances")
            objects += [_record(found, row, is_ignored, labels) for row in range(len(found))]
        records.append({"videoName": name, "name": picture, "frameIndex": index, "labels": objects})
    write_json(path, records)


def _record(found: Instances, row: int, is_ignored: bool, labels: LabelSet) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": str(int(found.object_id[row])),
        "category": labels.everything[int(found.class_index[row])].name,
        "score": float(found.score[row]),
    }
    if is_ignored:
        record["attributes"] = {"ignored": True}
    if found.masks is not None:
        record["rle"] = {"counts": found.masks[row].counts.decode("ascii"), "size": list(found.masks[row].size)}
    elif found.box_format == "xyxy":
        record["box2d"] = dict(zip(CORNERS, found.boxes[row].tolist(), strict=True))
    else:
        raise ValueError(f"Scalabel files hold xyxy boxes, not {found.box_format}")
    return record


@dataclass(slots=True, kw_only=True)
class _Reader:
    path: Path
    labels: LabelSet
    has_masks: bool
    is_truth: bool
    problems: list[Problem] = field(default_factory=list)

    def read(self) -> list[TrackedVideo]:
        """The videos of the file; raises DataError with all problems."""
        content = read_json(self.path)
        frames = content.get("frames") if isinstance(content, dict) else content
        if not isinstance(frames, list):
            message = "holds no list of frames"
            remedy = "Write a list of {videoName, name, frameIndex, labels}"
            raise DataError([Problem(place=str(self.path), message=message, remedy=remedy)])
        videos: dict[str, list[Mapping[str, Any]]] = {}
        for position, frame in enumerate(frames):
            message = self._frame_message(frame)
            if message:
                self._complain(f"frame {position}", message, "Write {videoName, name, frameIndex, labels}")
            else:
                videos.setdefault(frame.get("videoName") or self.path.stem, []).append(frame)
        found = [self._video(name, rows) for name, rows in videos.items()]
        if len(self.problems) > SHOWN:
            text = f"{len(self.problems) - SHOWN:,} more objects are wrong"
            last = Problem(place=str(self.path), message=text, remedy="Mend the first ones, then score again")
            raise DataError([*self.problems[:SHOWN], last])
        raise_if_any(self.problems)
        return found

    def _video(self, name: str, rows: Sequence[Mapping[str, Any]]) -> TrackedVideo:
        rows = sorted(rows, key=_index)
        indices = [_index(frame) for frame in rows]
        if len(set(indices)) != len(indices):
            self._complain(name, "two frames have one frameIndex", "Number the frames of a video 0, 1, 2, ...")
        objects = [(place, label) for place, frame in enumerate(rows) for label in frame.get("labels") or ()]
        wanted = "rle" if self.has_masks else "box2d"
        objects = [(place, label) for place, label in objects if not isinstance(label, dict) or label.get(wanted)]
        sound = []
        for place, label in objects:
            message = self._label_message(label)
            if message:
                self._complain(f"{name}, frame {indices[place]}", message, "Write the object as BDD100K's format says")
            else:
                sound.append((place, label))
        numbers = self._ids(name, [label for _, label in sound])
        self._check_unique(name, [place for place, _ in sound], indices, numbers, [label for _, label in sound])
        named = [_class_of(label["category"]) for _, label in sound]
        return TrackedVideo(
            path=self.path,
            name=name,
            frames=tuple(str(frame.get("name", "")) for frame in rows),
            indices=np.array(indices, np.int64),
            frame=np.array([place for place, _ in sound], np.int64),
            object_id=np.array(numbers, np.int64),
            class_index=np.array([self.labels.index_named(one) for one, _ in named], np.int64),
            boxes=self._boxes([label for _, label in sound]),
            masks=self._masks(name, [label for _, label in sound]) if self.has_masks else None,
            is_ignored=np.array(
                [
                    is_distractor or _is_ignored(label)
                    for (_, is_distractor), (_, label) in zip(named, sound, strict=True)
                ],
                bool,
            ),
            score=np.array([_score(label) for _, label in sound], np.float64),
        )

    def _ids(self, name: str, labels: Sequence[Mapping[str, Any]]) -> list[int]:
        texts = [str(label["id"]) for label in labels]
        if all(_is_number_text(one) for one in texts):
            return [int(one) for one in texts]
        if self.is_truth:
            rank = {one: place + 1 for place, one in enumerate(sorted(set(texts)))}
            return [rank[one] for one in texts]
        wrong = next(one for one in texts if not _is_number_text(one))
        self._complain(name, f"id {wrong!r} is no whole number as text", "Number the tracks of a video")
        return [0] * len(texts)

    def _check_unique(
        self,
        name: str,
        places: Sequence[int],
        indices: Sequence[int],
        numbers: Sequence[int],
        labels: Sequence[Mapping[str, Any]],
    ) -> None:
        seen: set[tuple[int, int, str, bool]] = set()
        for place, number, label in zip(places, numbers, labels, strict=True):
            # Ignored objects are regions without an identity, and classes are judged apart.
            class_name, is_distractor = _class_of(label["category"])
            if is_distractor or _is_ignored(label):
                continue
            key = (place, number, class_name, False)
            if key in seen:
                message = f"id {label['id']} of class {class_name} occurs twice"
                self._complain(
                    f"{name}, frame {indices[place]}", message, "Give every track of a frame an id of its own"
                )
            seen.add(key)

    def _boxes(self, labels: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        if self.has_masks:
            return np.zeros((len(labels), 4))
        rows = [[label["box2d"][corner] for corner in CORNERS] for label in labels]
        return np.array(rows, np.float64).reshape(-1, 4)

    def _masks(self, name: str, labels: Sequence[Mapping[str, Any]]) -> tuple[Rle, ...]:
        found = []
        for label in labels:
            try:
                found.append(masks.from_json(label["rle"]))
            except (ValueError, TypeError, OverflowError, KeyError) as error:
                self._complain(name, f"the mask of id {label['id']} is broken: {error}", "Write COCO run lengths")
        return tuple(found)

    def _frame_message(self, frame: Any) -> str:
        if not isinstance(frame, dict):
            return "is not an object"
        if not is_whole(frame.get("frameIndex", frame.get("index", 0)), 0):
            return f"frameIndex {frame.get('frameIndex', frame.get('index'))!r} is not a whole number from 0"
        if not isinstance(frame.get("videoName") or "", str):
            return f"videoName {frame.get('videoName')!r} is not text"
        return "" if isinstance(frame.get("labels") or [], list) else "labels is not a list"

    def _label_message(self, label: Any) -> str:
        if not isinstance(label, dict):
            return "an object is not {id, category, box2d or rle}"
        category = label.get("category")
        if not isinstance(category, str) or _class_of(category)[0] not in self.labels.names:
            return f"category {category!r} is unknown (expected one of {', '.join(self.labels.names)})"
        if not isinstance(label.get("id"), str | int) or isinstance(label.get("id"), bool):
            return f"id {label.get('id')!r} is not text"
        if not isinstance(label.get("attributes") or {}, dict):
            return "attributes is not an object"
        shape = label.get("rle" if self.has_masks else "box2d")
        if not isinstance(shape, dict):
            return "box2d or rle is not an object"
        if not self.has_masks and not all(is_number(shape.get(corner)) for corner in CORNERS):
            return f"box2d {shape!r} has not four finite numbers x1, y1, x2, y2"
        return ""

    def _complain(self, place: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(place=f"{self.path}: {place}", message=message, remedy=remedy))


def _index(frame: Mapping[str, Any]) -> int:
    return int(frame.get("frameIndex", frame.get("index", 0)))


def _class_of(category: str) -> tuple[str, bool]:
    """(class name, whether it is a distractor) of a name in a file."""
    name = RENAMED.get(category, category)
    return DISTRACTORS.get(name, name), name in DISTRACTORS


def _is_ignored(label: Mapping[str, Any]) -> bool:
    attributes = label.get("attributes") or {}
    return any(bool(attributes.get(name)) for name in ("crowd", "Crowd", "ignored"))


def _is_number_text(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= LARGEST_ID


def _score(label: Mapping[str, Any]) -> float:
    return float(label["score"]) if is_number(label.get("score")) else 1.0
