"""Asking a model about a person's own picture or video, and writing what it answers.

A picture is any file that Pillow reads; a video is a folder of pictures in the order of their names, or a file that
OpenCV reads. The answer is a JSON and one overlay a frame. Sizes are (height, width).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Annotation, Instances, LabelMap, Panoptic, Prediction, Prompt, Sample, Task
from benchmark.contract import make_instances as given_objects
from benchmark.formats.image_files import read_rgb, write_png
from benchmark.problems import UsageError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
PICTURE_TASKS = (Task.SEMANTIC, Task.INSTANCE, Task.PANOPTIC)
ANSWER = "answer.json"
OPACITY = 0.5
GOLDEN_ANGLE = 137.508
"""Degrees of hue from one colour to the next; neighbours in number are far apart in colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What is asked about. names: of the frames. read: index -> RGB uint8 [H, W, 3]. size: of the first frame."""

    names: tuple[str, ...]
    read: Callable[[int], NDArray[np.uint8]]
    size: tuple[int, int]
    is_video: bool


def open_footage(path: Path) -> Footage:
    """A picture or a video; raises UsageError for anything else, DataError for a damaged picture."""
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in PICTURES)
        if not files:
            raise UsageError(f"{path} holds no pictures. Give a folder of {', '.join(PICTURES)} files")
        return _of_files(files, is_video=True)
    if not path.is_file():
        raise UsageError(f"No picture or video at {path}. Give a file, or a folder of pictures")
    if path.suffix.lower() in VIDEOS:
        return _of_video(path)
    return _of_files([path], is_video=False)


def _of_files(files: Sequence[Path], *, is_video: bool) -> Footage:
    height, width = read_rgb(files[0]).shape[:2]
    names = tuple(file.stem for file in files)
    return Footage(names=names, read=lambda index: read_rgb(files[index]), size=(height, width), is_video=is_video)


def _of_video(path: Path) -> Footage:
    """A video file, whose frames are decoded when they are read; going back starts anew."""
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    is_read, first = video.read()
    if not is_read:
        raise UsageError(f"{path} cannot be decoded as a video. Give it as a folder of pictures")

    def read(index: int) -> NDArray[np.uint8]:
        if int(video.get(cv2.CAP_PROP_POS_FRAMES)) != index:
            video.set(cv2.CAP_PROP_POS_FRAMES, index)
        is_there, frame = video.read()
        if not is_there:
            raise UsageError(f"{path}: frame {index} of {count} cannot be decoded. Give it as a folder of pictures")
        return np.ascontiguousarray(frame[..., ::-1])

    names = tuple(f"{index:05d}" for index in range(count))
    return Footage(names=names, read=read, size=(first.shape[0], first.shape[1]), is_video=True)


def question(
    footage: Footage,
    *,
    expression: str | None = None,
    classes: Sequence[str] = (),
    box: tuple[float, float, float, float] | None = None,
    task: Task | None = None,
) -> Prompt:
    """The prompt of exactly one of an expression, class names and a box (x, y, width, height) in the first frame.

    task: None: referring for an expression, instances (of a video: tracks) for names, a track for a box.
    """
    if [expression is not None, bool(classes), box is not None].count(True) != 1:
        raise UsageError("Ask one thing: --prompt TEXT, --classes A,B or --box X,Y,W,H")
    if expression is not None:
        return Prompt(task=_fitting(task, Task.RVOS if footage.is_video else Task.REFERRING), sentence=expression)
    if classes:
        wanted = task or (Task.VIS if footage.is_video else Task.INSTANCE)
        if footage.is_video == (wanted in PICTURE_TASKS):
            kind = "a video" if footage.is_video else "a picture"
            raise UsageError(f"--task {wanted} cannot be asked of {kind}. Leave --task out")
        return Prompt(task=wanted, sentence=f"the task is {wanted.value}", labels=tuple(classes))
    if not footage.is_video:
        raise UsageError("--box follows an object through a video. Give a folder of pictures or a video file")
    return Prompt(task=_fitting(task, Task.SOT), objects={0: _given(box or (0, 0, 0, 0), footage.size)})


def _fitting(task: Task | None, only: Task) -> Task:
    if task not in (None, only):
        raise UsageError(f"--task {task} does not fit this question, which is {only}. Leave --task out")
    return only


def _given(box: tuple[float, float, float, float], size: tuple[int, int]) -> Instances:
    """The object of a box; raises UsageError where it lies outside."""
    x, y, width, height = box
    if not (width > 0 and height > 0 and x >= 0 and y >= 0 and x + width <= size[1] and y + height <= size[0]):
        raise UsageError(
            f"--box {x:g},{y:g},{width:g},{height:g} does not lie inside the first frame of {size[1]} x {size[0]} "
            "pixels. Give x, y of the upper left corner, then width and height"
        )
    return given_objects(class_index=[0], boxes=np.array([box]), area=np.array([width * height]))


def sample_of(footage: Footage, prompt: Prompt, path: Path) -> Sample:
    """The sample that a model is asked."""
    frames = tuple(path / name for name in footage.names)
    return Sample(sample_id=path.stem, frames=frames, size=footage.size, prompt=prompt)


def write_answer(
    folder: Path, footage: Footage, prompt: Prompt, prediction: Prediction, facts: dict[str, Any]
) -> list[Path]:
    """`answer.json` and an overlay a frame below the folder; returns the paths. facts: what else the JSON says."""
    folder.mkdir(parents=True, exist_ok=True)
    written, frames = [], []
    for index, (name, frame) in enumerate(zip(footage.names, prediction.frames, strict=True)):
        target = folder / f"{name}.overlay.png"
        write_png(target, overlay(footage.read(index), frame))
        written.append(target)
        frames.append({"frame": name, "objects": list(_described(frame, prompt))})
    content = {**facts, "task": prompt.task.value, "size": list(footage.size), "frames": frames}
    target = folder / ANSWER
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return [target, *written]


def _described(frame: Annotation, prompt: Prompt) -> Iterator[dict[str, Any]]:
    """Each object as JSON values; of a label map each class that is there."""
    for name, object_id, score, box, mask in _objects(frame, prompt):
        found: dict[str, Any] = {"name": name, "object_id": object_id, "score": score}
        if box is not None:
            found["box_xywh"] = [round(float(value), 2) for value in box]
        if mask is not None:
            found["segmentation"] = masks.to_json(masks.encode(mask))
        yield found


Found = tuple[str, int, float | None, Any, NDArray[np.bool_] | None]


def _objects(frame: Annotation, prompt: Prompt) -> Iterator[Found]:
    """(name, object id, score, box xywh or None, mask or None) of everything in a frame."""
    names = prompt.labels or (prompt.sentence or "target",)
    if isinstance(frame, LabelMap):
        for index in frame.present().tolist():
            yield names[index], index + 1, None, None, frame.class_index == index
    elif isinstance(frame, Panoptic):
        for one in frame.segments:
            yield names[one.class_index], one.id, one.score, None, frame.segment_id == one.id
    else:
        has_boxes = frame.box_format == "xywh"
        for row in range(len(frame)):
            mask = None if frame.masks is None else masks.decode(frame.masks[row])
            box = frame.boxes[row] if has_boxes else None
            yield names[frame.class_index[row]], int(frame.object_id[row]), float(frame.score[row]), box, mask


def overlay(image: NDArray[np.uint8], frame: Annotation) -> NDArray[np.uint8]:
    """The picture with its objects in colours that follow the object id, uint8 [H, W, 3]. image: uint8 [H, W, 3]."""
    drawn = image.astype(np.float32)
    for _, object_id, _, box, mask in _objects(frame, Prompt(task=Task.INSTANCE, labels=("",) * 65536)):
        colour = np.array(colour_of(object_id), np.float32)
        if mask is not None:
            drawn[mask] = (1 - OPACITY) * drawn[mask] + OPACITY * colour
            edge = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
            drawn[edge] = colour
        if box is not None:
            x, y, width, height = (round(float(value)) for value in box)
            corner = (x + max(width - 1, 0), y + max(height - 1, 0))
            cv2.rectangle(drawn, (x, y), corner, tuple(colour.tolist()), 1)
    return drawn.round().clip(0, 255).astype(np.uint8)


def colour_of(object_id: int) -> tuple[int, int, int]:
    """RGB of an object, the same in every frame."""
    hue = int(object_id * GOLDEN_ANGLE % 360 / 2)
    red, green, blue = cv2.cvtColor(np.array([[[hue, 200, 230]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue
