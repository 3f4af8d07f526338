"""BDD100K's bitmasks, one RGBA PNG a frame: red is the category, green the attributes, blue and alpha the instance.

    R category id 1..8, 0 background   G truncated << 3 | occluded << 2 | crowd << 1 | ignored   (B << 8) + A id

Alpha is data: the bytes are read and written as they are. All pixels of an id have one category and one attribute byte.
The official tool compares at most 100 instances of a predicted frame and breaks on more, so more are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Annotation, Frames, Instances, Prediction, Truth, make_instances
from benchmark.formats.image_files import read_rgba, write_png
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem

CROWD, IGNORED = 2, 1
NOT_COUNTED = CROWD | IGNORED
MOST_INSTANCES = 100
LARGEST_ID = (1 << 16) - 1


def read_truth(paths: Sequence[Path], labels: LabelSet) -> Truth:
    """Objects that count and ignored ones, decoded on access; categories beyond the label set do not count."""

    def objects(index: int) -> Annotation:
        return _instances(paths[index], labels, is_ignored=False, is_truth=True)

    def ignored(index: int) -> Annotation:
        return _instances(paths[index], labels, is_ignored=True, is_truth=True)

    return Truth(frames=Frames(len(paths), objects), ignored=cast("Sequence[Instances]", Frames(len(paths), ignored)))


def read_prediction(paths: Sequence[Path], labels: LabelSet) -> Prediction:
    """Answers, decoded on access; those with a crowd or ignored bit are dropped, as the official tool does."""
    return Prediction(
        frames=Frames(len(paths), lambda index: _instances(paths[index], labels, is_ignored=False, is_truth=False))
    )


def write_frame(path: Path, size: tuple[int, int], sides: Sequence[tuple[Instances, int]], labels: LabelSet) -> None:
    """Write one frame; later objects cover earlier ones, so objects are drawn by rising score.

    size: (height, width). sides: (objects, their attribute byte).
    """
    pixels = np.zeros((*size, 4), np.uint8)
    for objects, attributes in sides:
        for row in np.argsort(objects.score, kind="stable").tolist():
            number = int(objects.object_id[row])
            if not 1 <= number <= LARGEST_ID:
                raise ValueError(f"{path.name}: instance id {number} does not fit into a bitmask (1 to {LARGEST_ID})")
            inside = masks.decode((objects.masks or ())[row])
            category = labels.category_id(int(objects.class_index[row]))
            pixels[inside] = (category, attributes, number >> 8, number & 255)
    write_png(path, pixels)


def _instances(path: Path, labels: LabelSet, *, is_ignored: bool, is_truth: bool) -> Instances:
    pixels = read_rgba(path).astype(np.int64)
    ids = (pixels[..., 2] << 8) + pixels[..., 3]
    found, first = np.unique(ids, return_index=True)
    found, first = found[found > 0], first[found > 0]
    properties = pixels[..., :2].reshape(-1, 2)
    _check_uniform(path, ids, properties, found, first)
    if not is_truth and len(found) > MOST_INSTANCES:
        message = f"holds {len(found)} instances, the official tool takes at most {MOST_INSTANCES} in a frame"
        raise DataError([Problem(place=str(path), message=message, remedy="Keep the most confident ones")])
    category, attributes = properties[first].T
    is_wanted = (attributes & NOT_COUNTED > 0) == is_ignored
    is_known = np.array([labels.has_category(one) for one in category.tolist()], bool)
    if not is_truth and not is_known[is_wanted].all():
        wrong = category[is_wanted & ~is_known][0]
        message = f"holds category {wrong} in its red channel, expected 1 to {labels.num_classes}"
        raise DataError([Problem(place=str(path), message=message, remedy="Write BDD100K's category ids")])
    kept = np.flatnonzero(is_wanted & (is_known | is_ignored))
    rles = masks.encode_ids(ids, found[kept].tolist())
    classes = [labels.index_of(one) if labels.has_category(one) else 0 for one in category[kept].tolist()]
    return make_instances(class_index=classes, masks=rles, object_id=found[kept])


def _check_uniform(
    path: Path,
    ids: NDArray[np.int64],
    properties: NDArray[np.int64],
    found: NDArray[np.int64],
    first: NDArray[np.int64],
) -> None:
    """Every pixel of an id has the category and attributes of its first. Raises DataError."""
    if not len(found):
        return
    place = np.searchsorted(found, ids.ravel())
    inside = ids.ravel() > 0
    is_other = (properties[inside] != properties[first[place[inside]]]).any(axis=1)
    if is_other.any():
        wrong = np.unique(ids.ravel()[inside][is_other]).tolist()
        message = f"instance {wrong[0]} has pixels of several categories or attributes"
        raise DataError([Problem(place=str(path), message=message, remedy="Give each instance id one of each")])
