"""Videos as folders of one indexed PNG a frame: truth and results of DAVIS, YouTube-VOS, MOSE and LVOS.

    <folder>/<video>/00000.png      palette index = object id, 0 background, 255 void where a data set has void

Frames are decoded one at a time, so memory does not grow with a video's length. PNGs without a palette are read as
numbers, too; written files carry the PASCAL palette, as the official ones do.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark import masks
from benchmark.contract import Annotation, Frames, Instances, Panoptic, Prediction, Sample, Segment, make_instances
from benchmark.formats.image_files import read_luminance, read_numbers, write_whole
from benchmark.problems import DataError, Problem
from benchmark.stored_maps import PanopticBytes

VOID = 255
_WORD = 8
_FEW = 16
"""Up to this number it is quicker to look for each number on its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the numbers of a PNG mean.

    has_void: 255 is void. is_single: whatever is not 0 is object 1. is_grey: the same of the luminance as OpenCV
    computes it, so that a dark colour of a palette may vanish. keeps_grey: that luminance itself is the number.
    """

    has_void: bool = False
    is_single: bool = False
    is_grey: bool = False
    keeps_grey: bool = False

    def decode(self, path: Path) -> Panoptic:
        """The objects of a frame by their ids. Raises DataError."""
        numbers = read_luminance(path) if self.is_grey or self.keeps_grey else read_numbers(path)
        if numbers.dtype != np.uint8:
            message = f"holds numbers of {numbers.dtype}"
            raise DataError([Problem(place=str(path), message=message, remedy="Write 8 bits a pixel, ids 0 to 255")])
        if self.is_single or self.is_grey:
            numbers = (numbers != 0).view(np.uint8)
        numbers = np.ascontiguousarray(numbers)
        segments = tuple(
            Segment(id=one, class_index=0, is_crowd=self.has_void and one == VOID) for one in present(numbers)
        )
        return PanopticBytes(numbers=numbers, segments=segments)


def present(numbers: NDArray[np.uint8]) -> list[int]:
    """The numbers other than 0 that occur, ascending. numbers: uint8 [H, W]."""
    highest = int(numbers.max()) if numbers.size else 0
    raw = numbers.tobytes()
    if highest <= _FEW:
        return [one for one in range(1, highest + 1) if raw.find(one) >= 0]
    # Eight pixels that equal the eight before them show nothing new, which spares most of a map.
    whole = len(raw) - len(raw) % _WORD
    words = np.frombuffer(raw, np.uint64, whole // _WORD)
    fresh = words[1:][words[1:] != words[:-1]]
    some = np.concatenate((words[:1].view(np.uint8), fresh.view(np.uint8), np.frombuffer(raw, np.uint8, -1, whole)))
    return [one for one in np.flatnonzero(np.bincount(some, minlength=1)).tolist() if one]


def videos_below(folder: Path) -> dict[str, dict[str, Path]]:
    """Video -> name of a frame -> its PNG, both in order of name; folders without PNGs are left out."""
    videos = {}
    for video in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = frames_of(video)
        if files:
            videos[video.name] = files
    return videos


def frames_of(folder: Path, suffix: str = ".png") -> dict[str, Path]:
    """Name of a frame -> its file, in order of name."""
    found = sorted(path for path in folder.iterdir() if path.suffix == suffix and not path.name.startswith("."))
    return {path.stem: path for path in found}


def objects_of(frame: Annotation, ids: Sequence[int] | None = None) -> Instances:
    """The objects of a frame with masks and boxes (x, y, w, h), as a model is given them. ids: None for all.

    Raises ValueError for a frame that holds neither an id map nor masks.
    """
    if isinstance(frame, Panoptic):
        shown = [one.id for one in frame.segments if not one.is_crowd]
        chosen = shown if ids is None else list(ids)
        rles = list(masks.encode_ids(frame.segment_id, chosen))
    elif isinstance(frame, Instances) and frame.masks is not None:
        by_id = dict(zip(frame.object_id.tolist(), frame.masks, strict=True))
        chosen = [one for one in by_id if ids is None or one in ids]
        rles = [by_id[one] for one in chosen]
    else:
        raise ValueError(f"expected objects with masks, got a {type(frame).__name__}")
    return make_instances(
        class_index=[0] * len(chosen),
        masks=rles,
        boxes=masks.bounding_boxes(rles),
        area=masks.areas(rles).astype(np.float64),
        object_id=np.array(chosen, np.int64),
    )


@dataclass(frozen=True, slots=True)
class GivenObjects(Mapping[int, Instances]):
    """Objects by the frame in which a model is given them, decoded on access.

    frames: decodes frames. ids: frame -> object ids, None for all that the frame shows.
    """

    frames: Sequence[Annotation]
    ids: Mapping[int, Sequence[int] | None]

    def __getitem__(self, index: int) -> Instances:
        wanted = self.ids[index]
        return objects_of(self.frames[index], wanted)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


def lazily(files: Sequence[Path | None], reading: Reading, absent: Problem) -> Frames:
    """Frames of a video. files: None for a frame without one, whose access raises DataError.

    absent: the problem of a video that lacks files, one for all its frames, so that it is told once.
    """

    def build(index: int) -> Panoptic:
        path = files[index]
        if path is None:
            raise DataError([absent])
        return reading.decode(path)

    return Frames(len(files), build)


def write_video(folder: Path, names: Sequence[str], prediction: Prediction, size: tuple[int, int]) -> None:
    """Write one indexed PNG a frame. names: of the frames, without suffix. Raises ValueError for ids above 255.

    Where masks overlap, the later object covers the earlier one.
    """
    for name, frame in zip(names, prediction.frames, strict=True):
        write_ids(folder / f"{name}.png", id_map(frame, size))


def id_map(frame: Annotation, size: tuple[int, int]) -> NDArray[np.int32]:
    """Object ids int32 [H, W] of a frame; 0 where there is none. size: (height, width)."""
    if isinstance(frame, Panoptic):
        return frame.segment_id
    if not isinstance(frame, Instances) or (frame.masks is None and len(frame)):
        raise ValueError(f"expected objects with masks, got a {type(frame).__name__}")
    ids = np.zeros(size, np.int32)
    for object_id, rle in zip(frame.object_id.tolist(), frame.masks or (), strict=True):
        ids[masks.decode(rle)] = object_id
    return ids


def write_ids(path: Path, ids: NDArray[Any]) -> None:
    """Write object ids [H, W], 0 to 255, as an indexed PNG with the PASCAL palette, whole or not at all."""
    if ids.size and (ids.min() < 0 or ids.max() > VOID):
        raise ValueError(f"{path.name}: ids reach from {ids.min()} to {ids.max()}; an indexed PNG holds 0 to 255")
    image = Image.fromarray(np.ascontiguousarray(ids, dtype=np.uint8))
    image.putpalette(palette())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    write_whole(path, buffer.getvalue())


def palette() -> bytes:
    """The 256 colours of PASCAL VOC, three bytes each: bit 3 k + c of the id is bit 7 - k of channel c."""
    ids = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for step in range(8):
        for channel in range(3):
            colours[:, channel] |= (ids >> (3 * step + channel) & 1) << (7 - step)
    return colours.astype(np.uint8).tobytes()


def write_results(folder: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write one folder a video, named by its sample id, with a PNG named like each picture."""
    for sample, prediction in predictions:
        write_video(folder / sample.sample_id, [path.stem for path in sample.frames], prediction, sample.size)
