"""Drawn inputs of the speed comparison, at the sizes of real benchmarks, in the official forms.

Every case is one folder with truth, results and `case.json`, which says how our command takes them:
{"row", "predictions", "truth" or "root", "protocol", "num_samples"}. Equal shares draw equal files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from polygon_scenes import KINDS, write_scenes
from pycocotools import mask as coco_mask

from benchmark import catalog, labels, masks
from benchmark.contract import Instances, LabelMap, Panoptic, Prediction, Sample, Task, make_instances
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.indexed_masks import write_ids

SHIFT = 3
"""Pixels by which drawn predictions are off; enough to match most segments and to miss the small ones."""
SIZE = (480, 640)
Draw = Callable[[Path, float], dict[str, Any]]
"""(folder, share of the usual size) -> content of case.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowdedness:
    """How full the images of a set of objects are. num_found: results an image."""

    row: str
    label_set: str
    num_images: int
    num_truths: int
    num_found: int
    key: str
    is_federated: bool = False


BOXES = Crowdedness(
    row="coco_detection_val2017", label_set="coco", num_images=1000, num_truths=8, num_found=50, key="bbox"
)
MASKS = replace(BOXES, row="coco_instance_val2017", key="segmentation")
LVIS = Crowdedness(
    row="lvis_instance_v1_val",
    label_set="lvis_v1",
    num_images=400,
    num_truths=12,
    num_found=300,
    key="segmentation",
    is_federated=True,
)
LVIS_SIZED = replace(LVIS, row="lvis_detection_v1_val", num_images=19809, key="bbox")


def draw_objects(what: Crowdedness, folder: Path, share: float) -> dict[str, Any]:
    """Truth and results of detection or instance segmentation, as one JSON each."""
    dice, names = np.random.default_rng(0), labels.load(what.label_set)
    things = [row for row in names.classes if row.is_thing]
    images, annotations, results = [], list[dict[str, Any]](), list[dict[str, Any]]()
    num = max(1, round(what.num_images * share))
    for number in range(1, num + 1):
        truths = [_outline(dice) for _ in range(what.num_truths)]
        classes = (len(things) * dice.random(len(truths)) ** 2).astype(int)
        images.append(_image(number, what, dice, [things[one].category_id for one in classes], things))
        for outline, place in zip(truths, classes, strict=True):
            annotations.append(_annotation(len(annotations) + 1, number, things[place].category_id, outline))
        # One good answer for each object, then worse and worse ones, as confident as they are good.
        copies = np.arange(what.num_found) % len(truths)
        noise = 0.2 + np.arange(what.num_found) // len(truths)
        found = [truths[one] + dice.normal(0, far, truths[one].shape) for one, far in zip(copies, noise, strict=True)]
        wrong = (len(things) * dice.random(len(found)) ** 2).astype(int)
        chosen = np.where(dice.random(len(found)) < 0.9, classes[copies], wrong)
        scores = (dice.random(len(found)) + 1) / (1 + noise)
        rles = coco_mask.frPyObjects([one.ravel().tolist() for one in found], *SIZE)
        shown = (
            [masks.to_json(masks.from_json(rle)) for rle in rles] if what.key == "segmentation" else map(_box, found)
        )
        for value, place, score in zip(shown, chosen, scores.round(5) / 2, strict=True):
            record = {"image_id": number, "category_id": things[place].category_id, "score": float(score)}
            results.append({**record, what.key: value})
    categories = [
        {"id": row.category_id, "name": row.name, "supercategory": row.supercategory, "frequency": row.supercategory}
        for row in things
    ]
    _write(folder / "truth.json", {"images": images, "annotations": annotations, "categories": categories})
    _write(folder / "found.json", results)
    return {"row": what.row, "predictions": "found.json", "truth": "truth.json", "num_samples": num}


def _outline(dice: np.random.Generator) -> NDArray[np.float64]:
    """A ragged outline float64 [N, 2] inside the image."""
    angle = np.sort(dice.random(dice.integers(8, 24))) * 2 * math.pi
    radius = SIZE[0] * dice.lognormal(-2.6, 0.8) * (0.6 + 0.5 * dice.random(angle.size))
    points = dice.random(2) * (SIZE[1], SIZE[0]) + np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    return np.clip(points, 0.5, (SIZE[1] - 1.0, SIZE[0] - 1.0)).round(2)


def _box(outline: NDArray[np.float64]) -> list[float]:
    low, high = outline.min(axis=0), outline.max(axis=0)
    return [round(float(one), 2) for one in (*low, *(high - low + 1))]


def _image(number: int, what: Crowdedness, dice: np.random.Generator, shown: list[int], things: Any) -> dict[str, Any]:
    image: dict[str, Any] = {"id": number, "height": SIZE[0], "width": SIZE[1], "file_name": f"{number:012d}.jpg"}
    if what.is_federated:
        others = [things[one].category_id for one in (len(things) * dice.random(6) ** 2).astype(int)]
        image["coco_url"] = f"http://images.cocodataset.org/val2017/{number:012d}.jpg"
        image["neg_category_ids"] = [one for one in dict.fromkeys(others) if one not in shown]
        image["not_exhaustive_category_ids"] = shown[:1]
    return image


def _annotation(number: int, image: int, category: int, outline: NDArray[np.float64]) -> dict[str, Any]:
    polygon = outline.ravel().tolist()
    area = float(coco_mask.area(coco_mask.frPyObjects([polygon], *SIZE))[0])
    shape = {"segmentation": [polygon], "bbox": _box(outline), "area": max(area, 1.0), "iscrowd": 0}
    return {"id": number, "image_id": image, "category_id": category, **shape}


def draw_scenes(row_name: str, num_scenes: int, folder: Path, share: float) -> dict[str, Any]:
    """Scenes of a data set of label maps, panoptic maps or Cityscapes' instances, and predictions that are off."""
    row = catalog.get(row_name)
    num = max(1, round(num_scenes * share))
    write_scenes(folder, replace(KINDS[row.dataset], num_scenes=num))
    samples = catalog.open_samples(row, folder, is_mini=True)
    has_folder = row.task is not Task.PANOPTIC
    path = folder / ("found" if has_folder else "found.json")
    dice = np.random.default_rng(0)
    catalog.write_predictions(row, path, ((sample, _shifted(sample, dice)) for sample in samples))
    (folder / catalog.MINI_STAMP).write_text("{}")
    return {"row": row_name, "predictions": path.name, "root": ".", "num_samples": num}


def _shifted(sample: Sample, dice: np.random.Generator) -> Prediction:
    """The truth, moved, without crowds and with drawn confidences."""
    assert sample.truth is not None
    (frame,) = sample.truth.frames
    if isinstance(frame, LabelMap):
        return Prediction(frames=(LabelMap(class_index=_moved(frame.class_index)),))
    if isinstance(frame, Panoptic):
        crowds = [segment.id for segment in frame.segments if segment.is_crowd]
        ids = _moved(np.where(np.isin(frame.segment_id, crowds), 0, frame.segment_id))
        seen = set(np.unique(ids).tolist())
        return Prediction(frames=(Panoptic(segment_id=ids, segments=tuple(s for s in frame.segments if s.id in seen)),))
    rows = np.flatnonzero(~frame.is_crowd)
    encoded = [masks.encode(_moved(masks.decode((frame.masks or ())[row]))) for row in rows]
    instances: Instances = make_instances(
        class_index=frame.class_index[rows],
        masks=encoded,
        boxes=frame.boxes[rows],
        box_format=frame.box_format,
        area=np.array([masks.area(one) for one in encoded], np.float64),
        score=dice.random(len(rows)).round(4),
    )
    return Prediction(frames=(instances,))


def _moved(values: Any) -> Any:
    """The map, `SHIFT` pixels to the right, what leaves it coming in on the left."""
    return np.ascontiguousarray(np.roll(values, SHIFT, axis=1))


def draw_boxes_in_videos(folder: Path, share: float) -> dict[str, Any]:
    """Ten sequences of MOT17, 500 frames of 20 pedestrians each, tracked with errors of every kind."""
    dice, num_frames = np.random.default_rng(0), max(20, round(500 * share))
    for number in range(10):
        name = f"MOT17-{number:02d}-DPM"
        truth, found = _tracks(dice, num_frames, 20)
        info = f"[Sequence]\nname={name}\nimDir=img1\nframeRate=30\nseqLength={num_frames}\nimWidth=1920\n"
        _write_text(folder / "train" / name / "seqinfo.ini", f"{info}imHeight=1080\nimExt=.jpg\n")
        _write_text(folder / "train" / name / "gt" / "gt.txt", "".join(truth))
        _write_text(folder / "trackers" / "one" / "data" / f"{name}.txt", "".join(found))
    return {"row": "mot17_mot_train", "predictions": "trackers/one/data", "truth": "train", "num_samples": 10}


def _tracks(dice: np.random.Generator, num_frames: int, num_objects: int) -> tuple[list[str], list[str]]:
    truth, found, renewed = [], [], 1000
    place = dice.uniform((0, 200), (1800, 800), (num_objects, 2))
    extent = dice.uniform((30, 80), (80, 220), (num_objects, 2))
    speed = dice.normal(0, 2.5, (num_objects, 2))
    answer = np.arange(1, num_objects + 1) + 100
    for frame in range(1, num_frames + 1):
        place = place + speed + dice.normal(0, 0.5, place.shape)
        for one in range(num_objects):
            x, y, w, h = (round(float(value), 2) for value in (*place[one], *extent[one]))
            truth.append(f"{frame},{one + 1},{x},{y},{w},{h},1,1,1\n")
            chance = dice.random(3)
            if chance[0] < 0.01:
                renewed += 1
                answer[one] = renewed
            if chance[1] < 0.88:
                x, y, w, h = (round(float(v + e), 2) for v, e in zip((x, y, w, h), dice.normal(0, 4, 4), strict=True))
                found.append(f"{frame},{answer[one]},{x},{y},{max(w, 5)},{max(h, 5)},0.9,-1,-1,-1\n")
            if chance[2] < 0.08:
                x, y = (round(float(one), 2) for one in dice.uniform((0, 0), (1800, 900)))
                found.append(f"{frame},{5000 + one},{x},{y},50,100,0.5,-1,-1,-1\n")
    return truth, found


def draw_masks_in_videos(folder: Path, share: float) -> dict[str, Any]:
    """Ten videos of DAVIS, 50 frames of three objects at 480p each."""
    dice, size, num_frames = np.random.default_rng(0), (480, 854), max(3, round(50 * share))
    names = [f"video-{number}" for number in range(10)]
    for name in names:
        for index, (truth, found) in enumerate(_drifting(dice, size, num_frames, 3)):
            write_ids(folder / "Annotations" / "480p" / name / f"{index:05d}.png", truth)
            write_ids(folder / "found" / name / f"{index:05d}.png", found)
            write_jpeg(folder / "JPEGImages" / "480p" / name / f"{index:05d}.jpg", np.zeros((*size, 3), np.uint8))
    _write_text(folder / "ImageSets" / "2017" / "val.txt", "".join(f"{name}\n" for name in names))
    return {"row": "davis17_vos_val", "predictions": "found", "truth": "Annotations/480p", "num_samples": 10}


def _drifting(
    dice: np.random.Generator, size: tuple[int, int], num_frames: int, num_objects: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """(truth, prediction) of each frame: ragged objects that drift, predicted a little late."""
    shapes = [_outline(dice) for _ in range(num_objects)]
    shapes = [one / one.max() * 260 + dice.random(2) * (400, 150) for one in shapes]
    speed = dice.normal(0, 3, (num_objects, 2))
    for index in range(num_frames):
        sides = np.zeros((2, *size), np.uint8)
        for one, shape in enumerate(shapes):
            for side, late in enumerate((0.0, 1.5)):
                wave = np.sin(np.arange(len(shape))[:, None] + 0.2 * (index - late)) * 4
                points = shape + speed[one] * (index - late) + wave + late * dice.normal(0, 1, shape.shape)
                cv2.fillPoly(sides[side], [points.astype(np.int32)], one + 1)
        yield sides[0], sides[1]


def _write(path: Path, value: Any) -> None:
    _write_text(path, json.dumps(value))


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


DRAWN: Mapping[str, Draw] = {
    "boxes": lambda folder, share: draw_objects(BOXES, folder, share),
    "masks": lambda folder, share: draw_objects(MASKS, folder, share),
    "lvis": lambda folder, share: draw_objects(LVIS, folder, share),
    "lvis_val": lambda folder, share: draw_objects(LVIS_SIZED, folder, share),
    "panoptic": lambda folder, share: draw_scenes("coco_panoptic_val2017", 200, folder, share),
    "semantic": lambda folder, share: draw_scenes("ade20k_semantic_val", 200, folder, share),
    "city_semantic": lambda folder, share: draw_scenes("cityscapes_semantic_val", 20, folder, share),
    "city_instance": lambda folder, share: draw_scenes("cityscapes_instance_val", 20, folder, share),
    "tracking": draw_boxes_in_videos,
    "video_objects": draw_masks_in_videos,
}


def draw(name: str, folder: Path, share: float) -> None:
    """Draw a case into a folder, once."""
    if not (folder / "case.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        content = DRAWN[name](folder, share)
        _write(folder / "case.json", content)
