"""YouTube-VIS results (OVIS takes the same): one JSON list with an entry for each predicted track.

    [{"video_id", "category_id", "score", "segmentations": [{"size": [h, w], "counts": text} | null, ...]}]

Kept as the official tool reads them: entries stay in file order, because order decides between equal scores, and masks
are compressed run lengths. Stricter than it: every track has one entry for each frame of its video.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark import masks
from benchmark.contract import Instances, Prediction, PredictionSet, Rle, Sample, SampleSet
from benchmark.formats.json_files import read_json, write_json
from benchmark.formats.track_masks import TextMasks, Track, frames_of, tracks_of
from benchmark.formats.values import is_number, is_whole
from benchmark.labels import LabelSet
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any

UNKNOWN = OTHER_SPLIT.capitalize()
FORM = 'Write compressed run lengths {"size": [height, width], "counts": text}, or null where the object is not seen'


def read_results(path: Path, samples: SampleSet, labels: LabelSet) -> PredictionSet:
    """Predictions of all videos; one without entries has no tracks. Raises DataError with all problems.

    Tracks of a video are numbered from 1 in file order; their areas are counted, and they have no boxes.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        message = f"holds a {type(entries).__name__}, expected a list of results"
        raise DataError(
            [Problem(place=str(path), message=message, remedy="Write one list with an entry for each track")]
        )
    reader = _Reader(path=path, labels=labels, videos={one.sample_id: (one.size, len(one.frames)) for one in samples})
    for position, entry in enumerate(entries):
        reader.add(position, entry)
    reader.finish()
    raise_if_any(reader.problems)
    return PredictionSet(samples.ids, reader.prediction)


def write_results(path: Path, predictions: Iterable[tuple[Sample, Prediction]], labels: LabelSet) -> None:
    """Write predictions as one result file, tracks in their order."""
    entries = [entry for sample, prediction in predictions for entry in _entries(sample, prediction, labels)]
    write_json(path, entries)


def _entries(sample: Sample, prediction: Prediction, labels: LabelSet) -> Iterable[dict[str, Any]]:
    if prediction.tracks is None:
        raise ValueError(f"sample {sample.sample_id}: a result file holds tracks, and the prediction has none")
    tracks = prediction.tracks
    shown: dict[int, list[Any]] = {number: [None] * len(prediction.frames) for number in tracks.object_id.tolist()}
    for index, frame in enumerate(prediction.frames):
        if not isinstance(frame, Instances) or frame.masks is None:
            raise ValueError(f"sample {sample.sample_id}: frame {index} holds no instance masks")
        for number, rle in zip(frame.object_id.tolist(), frame.masks, strict=True):
            shown[number][index] = masks.to_json(rle)
    for row, segmentations in enumerate(shown.values()):
        yield {
            "video_id": int(sample.sample_id),
            "category_id": labels.category_id(int(tracks.class_index[row])),
            "score": float(tracks.score[row]),
            "segmentations": segmentations,
        }


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Looks at the entries one by one. videos: sample id -> ((height, width), number of frames)."""

    path: Path
    labels: LabelSet
    videos: Mapping[str, tuple[tuple[int, int], int]]
    problems: list[Problem] = field(default_factory=list)
    texts: TextMasks = field(default_factory=TextMasks)
    tracks: dict[str, list[Track]] = field(default_factory=dict)
    order: list[tuple[str, int]] = field(default_factory=list)

    def add(self, position: int, entry: Any) -> None:
        """Check one entry and file it under its video."""
        if not isinstance(entry, dict):
            self._complain(position, "is not an object", "Write one object for each track")
            return
        video_id: Any = entry.get("video_id")
        category: Any = entry.get("category_id")
        video = self.videos.get(str(video_id)) if is_whole(video_id, 0) else None
        if video is None:
            self._complain(position, f"video_id {video_id!r} is not in this benchmark", UNKNOWN)
        is_known = is_whole(category, 0) and self.labels.has_category(category)
        if not is_known:
            remedy = "Use the ids of the annotation file's categories"
            self._complain(position, f"category_id {category!r} is not in the label set", remedy)
        if not is_number(entry.get("score")):
            message = f"score {entry.get('score')!r} is not a finite number"
            self._complain(position, message, "Rank tracks by finite scores")
        texts = None if video is None else self._texts(position, entry.get("segmentations"), *video)
        if video is None or texts is None or not is_known or not is_number(entry.get("score")):
            return
        held = self.tracks.setdefault(str(video_id), [])
        self.order.append((str(video_id), len(held)))
        class_index, score = self.labels.index_of(category), float(entry["score"])
        held.append(Track(object_id=len(held) + 1, class_index=class_index, masks=texts, areas=(), score=score))
        self.texts.add(f"{self.path}: result {position}", texts, video[0])

    def finish(self) -> None:
        """Check all masks together and fill in their areas."""
        areas, problems = self.texts.check()
        self.problems += problems
        for (sample_id, row), counted in zip(self.order, areas, strict=True):
            track = self.tracks[sample_id][row]
            pixels = iter(counted.tolist())
            filled = [0 if text is None else next(pixels) for text in track.masks]
            self.tracks[sample_id][row] = replace(track, areas=filled, pixels=filled)

    def prediction(self, sample_id: str) -> Prediction:
        """The tracks of one video, in file order; frames are decoded when they are looked at."""
        size, num_frames = self.videos[sample_id]
        tracks = self.tracks.get(sample_id, [])
        frames = frames_of(tracks, num_frames, lambda text: Rle(size=size, counts=text))
        return Prediction(frames=frames, tracks=tracks_of(tracks))

    def _texts(self, position: int, values: Any, size: tuple[int, int], num_frames: int) -> list[bytes | None] | None:
        """The compressed masks of a track, None where it is not seen; None, and a problem, for anything else."""
        if not isinstance(values, list) or len(values) != num_frames:
            found = f"has {len(values)} entries" if isinstance(values, list) else "is no list"
            message = f"segmentations {found}, the video has {num_frames} frames"
            self._complain(position, message, "Write a mask or null for every frame")
            return None
        wanted, texts = [*size], list[bytes | None]()
        for frame, value in enumerate(values):
            if value is None:
                texts.append(None)
            elif isinstance(value, dict) and isinstance(value.get("counts"), str) and value.get("size") == wanted:
                texts.append(value["counts"].encode("utf-8", "surrogatepass"))
            else:
                self._complain(f"{position}, frame {frame}", _mask_message(value, size), FORM)
        return texts if len(texts) == num_frames else None

    def _complain(self, position: int | str, message: str, remedy: str) -> None:
        self.problems.append(Problem(place=f"{self.path}: result {position}", message=message, remedy=remedy))


def _mask_message(value: Any, size: tuple[int, int]) -> str:
    if isinstance(value, dict) and isinstance(value.get("counts"), str):
        return f"the mask is of size {value.get('size')!r}, the video is {size[0]}x{size[1]} (height x width)"
    return "the mask is neither compressed run lengths nor null"
