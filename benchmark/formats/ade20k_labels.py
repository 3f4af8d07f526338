"""ADE20K truth as it is distributed: scene-parsing PNGs, and instance PNGs of R = class 1..100, G = number.

The panoptic truth that papers use is derived from the two: stuff is painted first, instances over it, and a thing's
pixels that belong to no instance stay void (Mask2Former's preparation script does the same). Objects are numbered by
their G value, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Instances, Panoptic, Segment, Truth, make_instances
from benchmark.formats.image_files import read_rgb, size_problem
from benchmark.formats.label_maps import Encoding
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.panoptic_files import present_ids
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem, raise_if_any

CODE = 256
"""An object's code in this module is class x CODE + number."""


def read_instances(paths: Mapping[str, Path], frame_of: Callable[[str], Path], labels: LabelSet) -> Listing:
    """Images with their objects. paths: sample id -> instance PNG. frame_of: sample id -> picture."""
    files = list(paths.values())

    def truth(index: int) -> Truth:
        return Truth(frames=(_objects(files[index], labels),))

    entries = tuple(Entry(sample_id=one, frames=(frame_of(one),), labels=(path,)) for one, path in paths.items())
    return Listing(entries=entries, truth=truth)


def read_panoptic(
    semantic: Mapping[str, Path],
    instances: Mapping[str, Path],
    frame_of: Callable[[str], Path],
    labels: LabelSet,
    encoding: Encoding,
) -> Listing:
    """Images with derived panoptic truth. semantic, instances: sample id -> PNG."""
    ids = list(semantic)

    def truth(index: int) -> Truth:
        return Truth(frames=(_panoptic(semantic[ids[index]], instances[ids[index]], labels, encoding),))

    entries = tuple(
        Entry(sample_id=one, frames=(frame_of(one),), labels=(semantic[one], instances[one])) for one in ids
    )
    return Listing(entries=entries, truth=truth)


def _codes(path: Path, labels: LabelSet) -> tuple[NDArray[np.int32], dict[int, int]]:
    """Object codes, int32 [H, W], 0 for none; and class_index by code, in order of the objects' numbers."""
    rgb = read_rgb(path).astype(np.int32)
    codes = np.where(rgb[..., 1] > 0, rgb[..., 0] * CODE + rgb[..., 1], 0).astype(np.int32)
    class_of = {row.instance_category_id: row.class_index for row in labels.classes if row.instance_category_id}
    present = [code for code in present_ids(codes).tolist() if code]
    raise_if_any(
        Problem(
            place=f"{path}: object {code % CODE}",
            message=f"its class {code // CODE} (red channel) is outside the label set",
            remedy="Write instance classes 1 to 100",
        )
        for code in present
        if code // CODE not in class_of
    )
    ordered = sorted(present, key=lambda code: (code % CODE, code))
    return codes, {code: class_of[code // CODE] for code in ordered}


def _objects(path: Path, labels: LabelSet) -> Instances:
    codes, class_of = _codes(path, labels)
    found = masks.encode_ids(codes, class_of)
    return make_instances(
        class_index=list(class_of.values()),
        masks=found,
        boxes=masks.bounding_boxes(found),
        area=masks.areas(found).astype(np.float64),
    )


def _panoptic(semantic: Path, instances: Path, labels: LabelSet, encoding: Encoding) -> Panoptic:
    classes = encoding.decode(semantic).class_index
    codes, class_of = _codes(instances, labels)
    if codes.shape != classes.shape:
        raise DataError([size_problem(instances, codes.shape, classes.shape)])
    ids = np.zeros(classes.shape, np.int32)
    segments: list[Segment] = []

    def add(class_index: int, where: NDArray[np.bool_]) -> None:
        segments.append(Segment(id=len(segments) + 1, class_index=class_index))
        ids[where] = segments[-1].id

    is_open = codes == 0
    for class_index in present_ids(classes.astype(np.int32)).tolist():
        where = (classes == class_index) & is_open
        if class_index < labels.num_classes and not labels.classes[class_index].is_thing and where.any():
            add(class_index, where)
    for code, class_index in class_of.items():
        add(class_index, codes == code)
    return Panoptic(segment_id=ids, segments=tuple(segments))
