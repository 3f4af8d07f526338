"""What a run directory holds of single samples: predictions and statistics in append-only shards, keyed by sample id.

```text
predictions/0.jsonl   {"sample_id": "139", "prediction": {"frames": [{"kind": "panoptic", "size": [128, 128], ...}]}}
stats/0.jsonl         {"sample_id": "139", "stats": {"area": {"dtype": "<i8", "shape": [3], "zlib": "eJxj..."}}}
stats/0.stats         the same in blocks of many samples, see `stat_blocks`
```

One line is one sample. A line that a killed process left unfinished is dropped; of lines with one id the first wins.
Encoding is exact: `decode(encode(prediction)) == prediction` to the bit, floats through their shortest exact text.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import masks, stat_blocks
from benchmark.contract import (
    Annotation,
    Instances,
    LabelMap,
    Panoptic,
    Prediction,
    PredictionSet,
    Rle,
    Segment,
    Stats,
    Tracks,
)
from benchmark.problems import DataError, Problem

PREDICTIONS = "predictions"
STATS = "stats"

_HEAD = '{"sample_id": '


def encode(prediction: Prediction) -> dict[str, Any]:
    """The prediction as JSON values."""
    content: dict[str, Any] = {"frames": [_encode_frame(frame) for frame in prediction.frames]}
    if prediction.tracks is not None:
        content["tracks"] = {
            name: getattr(prediction.tracks, name).tolist()
            for name in ("object_id", "class_index", "score", "is_crowd", "area")
        }
    if prediction.is_no_target is not None:
        content["is_no_target"] = prediction.is_no_target
    if prediction.seconds is not None:
        content["seconds"] = prediction.seconds.tolist()
    return content


def decode(content: Mapping[str, Any]) -> Prediction:
    """The prediction that `encode` was given."""
    frames = tuple(_DECODERS[frame["kind"]](frame) for frame in content["frames"])
    tracks = content.get("tracks")
    return Prediction(
        frames=frames,
        tracks=None if tracks is None else _decode_tracks(tracks),
        is_no_target=content.get("is_no_target"),
        seconds=None if content.get("seconds") is None else np.array(content["seconds"], np.float64),
    )


def encode_stats(stats: Stats) -> dict[str, Any]:
    """Every array as its type, shape and compressed bytes."""
    return {name: _encode_array(array) for name, array in stats.arrays.items()}


def decode_stats(sample_id: str, content: Mapping[str, Any]) -> Stats:
    """The statistics that `encode_stats` was given."""
    return Stats(sample_id=sample_id, arrays={name: _decode_array(value) for name, value in content.items()})


def _encode_frame(frame: Annotation) -> dict[str, Any]:
    match frame:
        case Instances():
            return _encode_instances(frame)
        case LabelMap():
            return {"kind": "label_map", **_encode_map(frame.class_index)}
        case Panoptic():
            segments = [[s.id, s.class_index, s.is_crowd, s.score, s.area] for s in frame.segments]
            return {"kind": "panoptic", **_encode_map(frame.segment_id), "segments": segments}


def _encode_instances(frame: Instances) -> dict[str, Any]:
    found = frame.masks
    return {
        "kind": "instances",
        "masks": None if found is None else [[*rle.size, rle.counts.decode("latin-1")] for rle in found],
        "boxes": frame.boxes.tolist(),
        "box_format": frame.box_format,
        "area": frame.area.tolist(),
        "class_index": frame.class_index.tolist(),
        "score": frame.score.tolist(),
        "object_id": frame.object_id.tolist(),
        "is_crowd": frame.is_crowd.tolist(),
    }


def _decode_instances(content: Mapping[str, Any]) -> Instances:
    found = content["masks"]
    return Instances(
        masks=None if found is None else tuple(Rle(size=(h, w), counts=text.encode("latin-1")) for h, w, text in found),
        boxes=np.array(content["boxes"], np.float64).reshape(-1, 4),
        box_format=content["box_format"],
        area=np.array(content["area"], np.float64),
        class_index=np.array(content["class_index"], np.int64),
        score=np.array(content["score"], np.float64),
        object_id=np.array(content["object_id"], np.int64),
        is_crowd=np.array(content["is_crowd"], bool),
    )


def _decode_tracks(content: Mapping[str, Any]) -> Tracks:
    return Tracks(
        object_id=np.array(content["object_id"], np.int64),
        class_index=np.array(content["class_index"], np.int64),
        score=np.array(content["score"], np.float64),
        is_crowd=np.array(content["is_crowd"], bool),
        area=np.array(content["area"], np.float64),
    )


def _decode_label_map(content: Mapping[str, Any]) -> LabelMap:
    return LabelMap(class_index=_decode_map(content).astype(np.uint16))


def _decode_panoptic(content: Mapping[str, Any]) -> Panoptic:
    segments = tuple(
        Segment(id=number, class_index=class_index, is_crowd=is_crowd, score=score, area=area)
        for number, class_index, is_crowd, score, area in content["segments"]
    )
    return Panoptic(segment_id=_decode_map(content).astype(np.int32), segments=segments)


_DECODERS: Mapping[str, Callable[[Mapping[str, Any]], Annotation]] = MappingProxyType(
    {"instances": _decode_instances, "label_map": _decode_label_map, "panoptic": _decode_panoptic}
)


def _encode_map(values: NDArray[Any]) -> dict[str, Any]:
    """An integer map [H, W] as one run-length mask for each value that occurs; the most frequent value is implied."""
    found, counts = np.unique(values, return_counts=True)
    rest = int(found[counts.argmax()]) if len(found) else 0
    listed = [int(value) for value in found if value != rest]
    texts = [rle.counts.decode("latin-1") for rle in masks.encode_ids(values, listed)]
    return {"size": list(values.shape), "rest": rest, "values": listed, "masks": texts}


def _decode_map(content: Mapping[str, Any]) -> NDArray[np.int64]:
    """int64 [H, W]."""
    height, width = content["size"]
    values = np.full((height, width), content["rest"], np.int64)
    for value, text in zip(content["values"], content["masks"], strict=True):
        values[masks.decode(Rle(size=(height, width), counts=text.encode("latin-1")))] = value
    return values


def _encode_array(array: NDArray[np.generic]) -> dict[str, Any]:
    if array.dtype.kind not in stat_blocks.PLAIN_KINDS:
        raise TypeError(f"statistics must be bool, integer or float arrays, not {array.dtype}")
    packed = zlib.compress(np.ascontiguousarray(array).tobytes(), 1)
    return {"dtype": array.dtype.str, "shape": list(array.shape), "zlib": base64.b64encode(packed).decode("ascii")}


def _decode_array(content: Mapping[str, Any]) -> NDArray[np.generic]:
    raw = zlib.decompress(base64.b64decode(content["zlib"]))
    return np.frombuffer(raw, np.dtype(content["dtype"])).reshape(content["shape"])


class ShardWriter:
    """Appends one line a sample to a shard; each line reaches the operating system before the next is made.

    path: file of this writer alone. key: name of the value beside `sample_id`. A cut last line is removed on opening.
    """

    def __init__(self, path: Path, *, key: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._key = key
        self._file = path.open("ab")
        whole = _whole_lines_end(path)
        if whole < self._file.tell():
            self._file.truncate(whole)

    def append(self, sample_id: str, value: Mapping[str, Any]) -> None:
        """Store the value of one sample."""
        text = json.dumps({"sample_id": sample_id, self._key: value}, separators=(",", ": "))
        self._file.write(text.encode("utf-8") + b"\n")
        self._file.flush()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _whole_lines_end(path: Path) -> int:
    """Position after the last line end of a file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


@dataclass(frozen=True, slots=True)
class Shards(Mapping[str, Mapping[str, Any]]):
    """The stored values of a folder by sample id, read on access. places: id -> (file, offset of its line)."""

    places: Mapping[str, tuple[Path, int]]
    key: str

    def __getitem__(self, sample_id: str) -> Mapping[str, Any]:
        path, offset = self.places[sample_id]
        with path.open("rb") as file:
            file.seek(offset)
            line = file.readline()
        try:
            value: Mapping[str, Any] = json.loads(line)[self.key]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError([_damaged(path, sample_id)]) from error
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def open_shards(folder: Path, *, key: str) -> Shards:
    """Index the whole lines of every shard of a folder; raises DataError with every line that is none of ours."""
    places: dict[str, tuple[Path, int]] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.jsonl")):
        for offset, line in _lines(path):
            sample_id = _sample_id(line)
            if sample_id is None:
                problems.append(_damaged(path, f"byte {offset}"))
            else:
                places.setdefault(sample_id, (path, offset))
    if problems:
        raise DataError(problems)
    return Shards(places, key)


def open_predictions(directory: Path) -> PredictionSet:
    """The predictions stored in a job's directory, decoded on access."""
    shards = open_shards(directory / PREDICTIONS, key="prediction")

    def build(sample_id: str) -> Prediction:
        content = shards[sample_id]
        try:
            return decode(content)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError([_damaged(shards.places[sample_id][0], sample_id)]) from error

    return PredictionSet(tuple(shards), build)


@dataclass(frozen=True, slots=True)
class StatsSet(Sequence[Stats]):
    """Statistics of a job in the order of `ids`; those of lines are decoded on access. known: those of blocks."""

    ids: tuple[str, ...]
    shards: Shards
    known: Mapping[str, Stats]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Stats:  # type: ignore[override]
        sample_id = self.ids[index]
        found = self.known.get(sample_id)
        return decode_stats(sample_id, self.shards[sample_id]) if found is None else found


def open_stats(directory: Path, ids: Sequence[str] | None = None) -> StatsSet:
    """The statistics stored in a job's directory, of `ids` where given (in that order; ids not stored are left out)."""
    shards = open_shards(directory / STATS, key="stats")
    known = stat_blocks.read_folder(directory / STATS)
    stored = dict.fromkeys((*shards, *known))
    wanted = tuple(stored) if ids is None else tuple(sample_id for sample_id in ids if sample_id in stored)
    return StatsSet(wanted, shards, known)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, also when the machine stops in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every line that has its end."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield offset, line
            offset += len(line)


def _sample_id(line: bytes) -> str | None:
    """The id at the head of a line, without parsing the rest; None when the line is none of ours."""
    text = line[:4096].decode("utf-8", "replace")
    if not text.startswith(_HEAD) or not line.endswith(b"}\n"):
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, len(_HEAD))
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _damaged(path: Path, place: str) -> Problem:
    return Problem(
        place=f"{path} ({place})",
        message="the stored line is damaged",
        remedy="Move this file away and run the same command again; what it held is then computed anew",
    )
