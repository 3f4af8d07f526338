"""Clips as videos of TAO: boxes inside the picture, and what is known to be absent or is not marked throughout.

The class of a crowd is not marked throughout, and the class of the first kind of things has another one merged into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.annotated import AnnotatedClip
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.json_files import write_json
from benchmark.labels import LabelSet

MOST_NEGATIVE = 3
"""Classes of other videos that a video's list of absent ones holds."""


def write(path: Path, pictures: Path, word: str, clips: Iterable[AnnotatedClip], labels: LabelSet) -> None:
    """Write one split. path: annotation file. pictures: folder of the frames. word: the split's folder in it."""
    document: dict[str, list[Any]] = {name: [] for name in ("videos", "images", "tracks", "annotations")}
    shown: list[set[int]] = []
    for number, clip in enumerate(clips, start=1):
        height, width = clip.images.shape[1:3]
        name = f"{word}/mini/{clip.number:06d}"
        crowds = {one.class_index for frame in clip.panoptic for one in frame.segments if one.is_crowd}
        video = {"id": number, "name": name, "width": width, "height": height, "neg_category_ids": []}
        partly = [labels.category_id(one) for one in sorted(crowds)]
        document["videos"].append({**video, "not_exhaustive_category_ids": partly})
        first_image = len(document["images"]) + 1
        for index, image in enumerate(clip.images):
            file_name = f"{name}/frame{30 * index + 1:04d}.jpg"
            write_jpeg(pictures / file_name, image)
            record = {"id": first_image + index, "video_id": number, "frame_index": 30 * index}
            document["images"].append({**record, "file_name": file_name, "width": width, "height": height})
        classes = {one.id: one.class_index for frame in clip.panoptic for one in frame.segments}
        shown.append({labels.category_id(classes[one]) for one in clip.extents if one in classes})
        _add_tracks(document, clip, number, first_image, {one: labels.category_id(classes[one]) for one in classes})
    everywhere = sorted(set().union(*shown)) if shown else []
    for video, here in zip(document["videos"], shown, strict=True):
        absent = [one for one in everywhere if one not in here]
        video["neg_category_ids"] = [one for one in absent if one not in video["not_exhaustive_category_ids"]]
        video["neg_category_ids"] = video["neg_category_ids"][:MOST_NEGATIVE]
    merged = _merge_first(document, everywhere, labels)
    write_json(path, {**document, "categories": list(_categories(labels, merged)), "info": {}, "licenses": []})


def _add_tracks(
    document: dict[str, list[Any]], clip: AnnotatedClip, video: int, first_image: int, category_of: dict[int, int]
) -> None:
    """The things of a clip that any frame shows."""
    height, width = clip.images.shape[1:3]
    numbers = count(len(document["tracks"]) + 1)
    for segment_id in sorted(set(clip.extents) & set(category_of)):
        track, category = next(numbers), category_of[segment_id]
        document["tracks"].append({"id": track, "category_id": category, "video_id": video})
        corners = clip.extents[segment_id] @ np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]])
        inside = np.clip(corners, 0, [width, height, width, height]).round(2)
        for index in np.flatnonzero(clip.visibility[segment_id] > 0).tolist():
            left, top, right, bottom = inside[index].tolist()
            box = [left, top, round(right - left, 2), round(bottom - top, 2)]
            record = {"id": len(document["annotations"]) + 1, "image_id": first_image + index, "track_id": track}
            area = box[2] * box[3]
            document["annotations"].append(
                {**record, "video_id": video, "category_id": category, "bbox": box, "area": area, "iscrowd": 0}
            )


def _merge_first(document: dict[str, list[Any]], used: list[int], labels: LabelSet) -> tuple[int, int] | None:
    """Say every second track of the first class in the words of a class that is merged into it: (whole, part)."""
    free = [row.category_id for row in labels.classes if row.category_id not in used]
    if not used or not free:
        return None
    whole, part = used[0], free[0]
    renamed = {one["id"] for one in document["tracks"] if one["category_id"] == whole and one["id"] % 2}
    for name, key in (("tracks", "id"), ("annotations", "track_id")):
        for record in document[name]:
            if record[key] in renamed:
                record["category_id"] = part
    return whole, part


def _categories(labels: LabelSet, merged: tuple[int, int] | None) -> Iterator[dict[str, Any]]:
    for row in labels.classes:
        record: dict[str, Any] = {"id": row.category_id, "name": row.name, "frequency": row.supercategory}
        if merged is not None and row.category_id == merged[0]:
            record["merged"] = [{"id": merged[1], "name": labels.classes[labels.index_of(merged[1])].name}]
        yield record
