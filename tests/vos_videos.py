"""Drawn videos for the tests of video object segmentation, and their files in the official layouts.

A video is a pair of maps uint8 [T, H, W]: truth and prediction, 0 background, 255 void. Discs drift, vanish, return and
overlap; the prediction follows them late, swaps ids at times and grows specks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Frames, Panoptic, Prediction, Prompt, Sample, Segment, Task, Tracks, Truth
from benchmark.formats.image_files import write_png
from benchmark.formats.indexed_masks import VOID, present, write_ids

Map = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """truth, found: uint8 [T, H, W]. step, digits: of the names of frames (00000, 00001, ...)."""

    name: str
    truth: Map
    found: Map
    step: int = 1
    digits: int = 5

    @property
    def frame_names(self) -> list[str]:
        """Names of the frames, without suffix."""
        return [f"{self.step * index + (self.step > 1):0{self.digits}d}" for index in range(len(self.truth))]


def draw(
    name: str,
    dice: np.random.Generator,
    *,
    size: tuple[int, int],
    num_frames: int,
    ids: Sequence[int],
    void: bool = False,
) -> Video:
    """A video in which every object drifts at its own pace; some are absent for a while."""
    truth, found = np.zeros((2, num_frames, *size), np.uint8)
    place = {one: dice.uniform(0, size, 2) for one in ids}
    speed = {one: dice.uniform(-0.04, 0.04, 2) * size for one in ids}
    radius = {one: dice.uniform(0.03, 0.25) * min(size) for one in ids}
    away = {one: dice.integers(0, num_frames, 2) for one in ids}
    for index in range(num_frames):
        for one in ids:
            if index and away[one].min() <= index < away[one].max() and one % 2:
                continue
            y, x = place[one] + index * speed[one]
            cv2.circle(truth[index], (round(x), round(y)), max(1, round(radius[one])), one, -1)
            if dice.random() < 0.85:
                late = place[one] + max(index - 1, 0) * speed[one] + dice.uniform(-2, 2, 2)
                shown = int(dice.choice(list(ids))) if dice.random() < 0.1 else one
                cv2.circle(found[index], (round(late[1]), round(late[0])), max(1, round(radius[one] * 0.9)), shown, -1)
        found[index][dice.random(size) < 0.002] = int(dice.choice(list(ids)))
        if void and index % 3:
            truth[index, : size[0] // 5, : size[1] // 2] = VOID
    return Video(name=name, truth=truth, found=found)


def drawn_videos() -> list[Video]:
    """Videos of every kind that the official tools of given objects take."""
    dice = np.random.default_rng(20240517)
    videos = [
        draw("typical", dice, size=(97, 131), num_frames=14, ids=(1, 2, 3)),
        draw("single", dice, size=(60, 52), num_frames=9, ids=(1,)),
        draw("many", dice, size=(120, 160), num_frames=7, ids=tuple(range(1, 11))),
        draw("wide_disc", dice, size=(375, 500), num_frames=5, ids=(1, 2)),
        draw("three_frames", dice, size=(40, 44), num_frames=3, ids=(1, 2)),
    ]
    gap, late = (draw(name, dice, size=(70, 90), num_frames=8, ids=(1, 2, 3, 4)) for name in ("gap", "late"))
    gap.truth[gap.truth == 2] = 0
    late.truth[:3][late.truth[:3] == 4] = 0
    late.truth[:3][late.truth[:3] == 1] = 0
    nothing = draw("nothing_found", dice, size=(50, 60), num_frames=6, ids=(1, 2))
    nothing.found[:] = 0
    vanished = draw("vanished", dice, size=(50, 60), num_frames=10, ids=(1, 2))
    vanished.truth[3:] = 0
    full = draw("full_frame", dice, size=(30, 40), num_frames=5, ids=(1, 2))
    full.truth[:] = 1
    full.found[2] = 1
    for video in (gap, late, nothing, vanished, full):
        limit = video.truth[0].max()
        video.found[video.found > limit] = 0
        videos.append(video)
    return videos


def void_videos() -> list[Video]:
    """Videos with void pixels, for the protocol that matches proposals."""
    dice = np.random.default_rng(20240518)
    videos = [
        draw(f"void_{number}", dice, size=(64, 80), num_frames=6, ids=(1, 2, 3), void=number > 0) for number in range(3)
    ]
    for video in videos[1:]:
        table = np.arange(256, dtype=np.uint8)
        table[1:4] = (12, 3, 20)
        video.found[:] = table[video.found]
    return videos


def write_video(folder: Path, video: Video, maps: Map) -> None:
    """Write a side of a video as indexed PNGs below `folder`/<name>."""
    for name, numbers in zip(video.frame_names, maps, strict=True):
        write_ids(folder / video.name / f"{name}.png", numbers)


def panoptic(numbers: Map, *, has_void: bool = True) -> Panoptic:
    """A frame as the reader makes it. numbers: uint8 [H, W]."""
    ids = present(numbers)
    segments = tuple(Segment(id=one, class_index=0, is_crowd=has_void and one == VOID) for one in ids)
    return Panoptic(segment_id=numbers.astype(np.int32), segments=segments)


def pair_of(video: Video, tracks: Tracks | None = None) -> tuple[Sample, Prediction]:
    """The video as a sample with truth, and its prediction."""

    def frames(maps: Map, build: Callable[[Map], Panoptic] = panoptic) -> Frames:
        return Frames(len(maps), lambda index: build(maps[index]))

    height, width = video.truth.shape[1:]
    sample = Sample(
        sample_id=video.name,
        frames=tuple(Path(f"{name}.jpg") for name in video.frame_names),
        size=(height, width),
        prompt=Prompt(task=Task.VOS),
        truth=Truth(frames=frames(video.truth), tracks=tracks),
    )
    return sample, Prediction(frames=frames(video.found))


def stored(videos: Sequence[Video]) -> Mapping[str, Map]:
    """The maps of videos by name, as golden files hold them."""
    sides = [(f"{video.name}/{side}", getattr(video, side)) for video in videos for side in ("truth", "found")]
    return dict(sides)


def restored(arrays: Mapping[str, Map]) -> list[Video]:
    """The videos of `stored`."""
    names = dict.fromkeys(key.rsplit("/", 1)[0] for key in arrays)
    return [Video(name=name, truth=arrays[f"{name}/truth"], found=arrays[f"{name}/found"]) for name in names]


UNSEEN = "R3UJGYwy"
"""A video of LVOS whose objects count as unseen."""


def lvos_videos(videos: Sequence[Video]) -> list[Video]:
    """The videos in which each object counts for a frame at least, named as in LVOS; the first shows unseen objects."""
    chosen = [video for video in videos if len(video.truth) > 4 and video.name != "full_frame"]
    names = [UNSEEN, *(video.name for video in chosen[1:])]
    return [replace(video, name=name, step=5, digits=8) for name, video in zip(names, chosen, strict=True)]


def write_lvos(root: Path, videos: Sequence[Video]) -> None:
    """Masks and meta file of a split of LVOS. The frame at which an object's range ends counts, or it does not."""
    meta: dict[str, Any] = {}
    for video in videos:
        write_video(root / "Annotations", video, video.truth)
        numbers = [int(name) for name in video.frame_names]
        ranges = {}
        for one in range(1, int(video.truth[0].max()) + 1):
            start = numbers[2 if one % 2 == 0 and len(numbers) > 6 else 0]
            end, extra = (numbers[-1] + 5, 0) if one % 3 else (numbers[-1], 1)
            ranges[str(one)] = {"start": str(start), "end": str(end), "frame_nums": len(range(start, end, 5)) + extra}
        meta[video.name] = {"objects": {one: {"frame_range": value} for one, value in ranges.items()}}
    (root / "valid_meta.json").write_text(json.dumps({"videos": meta}), encoding="utf-8")


def write_objects(folder: Path, video: Video, maps: Map, ids: Sequence[int]) -> None:
    """A side of a video as SA-V has it: a folder an object."""
    for one in ids:
        part = replace(video, name=f"{one:03d}")
        write_video(folder / video.name, part, (maps == one).astype(np.uint8))


EXPRESSIONS: Mapping[str, tuple[int, ...]] = {"0": (1,), "1": (2, 1), "2": (), "a10": (3,)}
"""Expression id -> the objects that it means; some videos have no object 3, one expression means nobody."""


def mevis_videos(videos: Sequence[Video]) -> list[Video]:
    """Videos with a few objects each, whose masks come and go."""
    return [video for video in videos if video.name in ("typical", "late", "vanished", "nothing_found", "full_frame")]


def write_mevis(split: Path, videos: Sequence[Video]) -> None:
    """Expressions and masks of a split of MeViS."""
    meta: dict[str, Any] = {}
    rows: dict[str, Any] = {}
    for number, video in enumerate(videos):
        keys = {one: str(100 * number + one) for one in (1, 2, 3)}
        for one, key in keys.items():
            shown = [maps == one for maps in video.truth]
            rows[key] = [masks.to_json(masks.encode(mask)) if mask.any() else None for mask in shown]
        sentences = {
            key: {"exp": f"what {key} means", "anno_id": [int(keys[one]) for one in ids], "obj_id": list(ids)}
            for key, ids in EXPRESSIONS.items()
        }
        meta[video.name] = {"expressions": sentences, "frames": video.frame_names}
    split.mkdir(parents=True, exist_ok=True)
    (split / "meta_expressions.json").write_text(json.dumps({"videos": meta}), encoding="utf-8")
    (split / "mask_dict.json").write_text(json.dumps(rows), encoding="utf-8")


def write_answers(folder: Path, videos: Sequence[Video]) -> None:
    """Results of `EXPRESSIONS`: white, and for the expression about two objects with a palette."""
    for video in videos:
        for key, ids in EXPRESSIONS.items():
            shown = np.where(np.isin(video.found, ids or (2,)), video.found, 0).astype(np.uint8)
            for name, numbers in zip(video.frame_names, shown, strict=True):
                path = folder / video.name / key / f"{name}.png"
                if len(ids) > 1:
                    write_ids(path, numbers)
                else:
                    write_png(path, (numbers > 0).astype(np.uint8) * np.uint8(255))


TYPES: Mapping[str, tuple[tuple[int, ...], int]] = {"0": ((1,), 0), "1": ((2, 1), 0), "2": ((), 2), "3": ((3,), 1)}
"""Expression id of ReVOS -> the objects that it means, and its type."""


def revos_videos(videos: Sequence[Video]) -> list[Video]:
    """A few videos, of which the second object's mask also covers the first one's upper half (`revos_masks`)."""
    return [video for video in videos if video.name in ("typical", "late", "vanished", "nothing_found")]


def revos_masks(video: Video, one: int) -> NDArray[np.bool_]:
    """bool [T, H, W] of an object; those of 1 and 2 overlap."""
    shown = video.truth == one
    if one == 2:
        shown = shown | ((video.truth == 1) & (np.arange(shown.shape[1]) < shown.shape[1] // 2)[None, :, None])
    return np.asarray(shown)


def write_revos(root: Path, videos: Sequence[Video]) -> None:
    """Expressions, masks and foreground of ReVOS' validation."""
    meta: dict[str, Any] = {}
    rows: dict[str, Any] = {}
    foreground: dict[str, Any] = {}
    for number, video in enumerate(videos):
        keys = {one: str(100 * number + one) for one in (1, 2, 3)}
        for one, key in keys.items():
            rows[key] = [masks.to_json(masks.encode(mask)) if mask.any() else None for mask in revos_masks(video, one)]
        sentences = {
            key: {"exp": f"what {key} means", "anno_id": [int(keys[one]) for one in ids], "obj_id": [], "type_id": kind}
            for key, (ids, kind) in TYPES.items()
        }
        meta[video.name] = {"expressions": sentences, "frames": video.frame_names}
        foreground[video.name] = {"masks_rle": [masks.to_json(masks.encode(maps != 0)) for maps in video.truth]}
    root.mkdir(parents=True, exist_ok=True)
    contents = {"meta_expressions_valid_": {"videos": meta}, "mask_dict": rows, "mask_dict_foreground": foreground}
    for name, content in contents.items():
        (root / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def write_raw_answers(folder: Path, videos: Sequence[Video], value: int) -> None:
    """Results of `TYPES`, the target stored as `value`."""
    for video in videos:
        for key, (ids, _) in TYPES.items():
            shown = np.isin(video.found, ids or (2,)).astype(np.uint8) * np.uint8(value)
            for name, numbers in zip(video.frame_names, shown, strict=True):
                write_png(folder / video.name / key / f"{name}.png", numbers)


def write_reasonvos(root: Path, found: Path, videos: Sequence[Video]) -> None:
    """Expressions and masks of ReasonVOS, every other frame; results of all frames, dark grey or with a palette."""
    meta: dict[str, Any] = {}
    for video in videos:
        values = [
            {"obj_id": one, "exp_id": 7 + one, "exp_text": f"what {one} means", "is_sent": one % 2} for one in (1, 2)
        ]
        meta[video.name] = {"source": "MOSE", "frames": video.frame_names, "expressions": values}
        for one in (1, 2):
            key = f"MOSE_{video.name}_{one}"
            for index, name in enumerate(video.frame_names):
                if index % 2 == 0:
                    write_png(root / "Annotations" / key / f"{name}.png", (video.truth[index] == one) * np.uint8(255))
                shown = (video.found[index] == one).astype(np.uint8)
                path = found / key / str(7 + one) / f"{name}.png"
                if one == 1:
                    write_png(path, shown)
                else:
                    write_ids(path, shown * np.uint8(2))
    (root / "meta_expressions.json").write_text(json.dumps({"videos": meta}), encoding="utf-8")


def write_sentences(root: Path, found: Path, videos: Sequence[Video]) -> None:
    """Masks of A2D-Sentences in COCO's form, and results: a good mask and a bad one, at times with equal scores."""
    images, annotations, results = [], [], []
    for video in videos:
        height, width = video.truth.shape[1:]
        shown = [(index, one) for index in range(len(video.truth)) for one in (1, 2, 3)]
        for index, one in ((index, one) for index, one in shown if (video.truth[index] == one).any()):
            name, mask = f"v_{video.name}_f_{index + 1}_i_{one}", masks.encode(video.truth[index] == one)
            fields = {"image_id": name, "category_id": 1, "bbox": list(masks.bounding_box(mask))}
            number, area = len(annotations) + 1, float(masks.area(mask))
            images.append({"id": name, "height": height, "width": width})
            shape = {"segmentation": masks.to_json(mask), "area": area, "iscrowd": 0}
            annotations.append({"id": number, **fields, **shape})
            answers = [masks.encode(maps) for maps in (video.found[index] == one, video.found[index] != 0)]
            for answer, score in zip(answers, (0.5, 0.5 if number % 5 == 0 else 0.25), strict=True):
                entry = {"image_id": name, "category_id": 1, "segmentation": masks.to_json(answer)}
                results.append({**entry, "score": score + number / 1000})
    content = {"categories": [{"id": 1, "name": "dummy_class"}], "images": images, "annotations": annotations}
    root.mkdir(parents=True, exist_ok=True)
    path = root / "a2d_sentences_test_annotations_in_coco_format.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    found.write_text(json.dumps(results), encoding="utf-8")
