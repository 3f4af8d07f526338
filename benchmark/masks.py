"""Binary masks as run lengths, polygons, id-coded colours and resizing: the only bit-level code of the suite.

Run lengths follow the COCO API (column-major, the first run counts zeros; compressed strings hold 5-bit groups) and
pycocotools 2.0.11 does the work on them: https://github.com/ppwwyyxx/cocoapi. Nothing here reads or writes files.
An id-coded image stores id = R + 256 G + 65536 B, as the panoptic PNGs of COCO and Cityscapes do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from benchmark.contract import Rle
from benchmark.runs import IN_CACHE, Runs, block_edges, joint_runs

MAX_ID = (1 << 24) - 1
"""Largest id that three channels of eight bits hold."""
_MAX_RUN = 2**29 - 1
"""Longest run that fits into six characters. pycocotools 2.0.11 reserves six a run and nothing for the final zero, so
longer runs, and four or more that all need six, would be written beyond its memory."""
_NEEDS_SIX = 2**24


class Counted(tuple[Rle, ...]):
    """Masks of which the pixels were counted when they were read. areas: int64 [N]."""

    areas: NDArray[np.int64]

    @classmethod
    def of(cls, rles: Iterable[Rle], areas: NDArray[np.int64]) -> Counted:
        """The masks with their areas, int64 [N]."""
        found = cls(rles)
        found.areas = areas
        return found


def encode(mask: NDArray[Any], *, top: int = 0, height: int | None = None) -> Rle:
    """Run lengths of the pixels of one mask that are not zero. mask: bool or integers [H, W].

    height: of the whole mask, where the given rows begin at `top` and all others are zero; None: they are all.
    """
    num_rows, width = mask.shape
    size = (num_rows if height is None else height, width)
    columns = np.flatnonzero(np.bitwise_or.reduce(mask, axis=0))
    if not columns.size:
        return empty(size)
    (runs,) = joint_runs(mask[:, columns[0] : columns[-1] + 1] != 0)
    # Runs end with their column. Where the whole column is drawn, the next one may go on with it.
    edges = runs.edge[:-1][runs.value], runs.edge[1:][runs.value] - 1
    start, last = ((edge // num_rows + columns[0]) * size[0] + edge % num_rows + top for edge in edges)
    ends = np.stack((start, last + 1), axis=1).ravel()
    is_kept = np.ones(len(ends), bool)
    is_kept[1:-1] = np.repeat(ends[1:-1:2] != ends[2::2], 2)
    return _from_ends(ends[is_kept], size)


def encode_many(masks: NDArray[np.bool_]) -> tuple[Rle, ...]:
    """Run lengths of N masks. masks: bool [N, H, W]."""
    if not len(masks):
        return ()
    columns = np.asfortranarray(np.moveaxis(np.asarray(masks), 0, -1), dtype=np.uint8)
    return tuple(_from_coco(found) for found in coco_mask.encode(columns))


def encode_ids(id_map: NDArray[Any] | Runs, ids: Iterable[int]) -> tuple[Rle, ...]:
    """Run lengths of the regions `id_map == id`, one for each of `ids`, in one pass over the map.

    id_map: integers [H, W], or its longest runs. An id that does not occur gives an empty mask.
    """
    runs = id_map if isinstance(id_map, Runs) else Runs.of(id_map)
    order = np.argsort(runs.value, kind="stable")
    ranked = runs.value[order]
    found = []
    for wanted in ids:
        low, high = np.searchsorted(ranked, wanted, "left"), np.searchsorted(ranked, wanted, "right")
        rows = order[low:high]
        found.append(_from_ends(np.stack((runs.edge[rows], runs.edge[rows + 1]), axis=1).ravel(), runs.size))
    return tuple(found)


def encode_any(runs: Runs, ids: Sequence[int]) -> Rle:
    """Run lengths of the pixels that hold any of `ids`."""
    is_in = np.concatenate(([False], np.isin(runs.value, ids), [False]))
    return _from_ends(runs.edge[np.flatnonzero(is_in[1:] != is_in[:-1])], runs.size)


def decode(rle: Rle) -> NDArray[np.bool_]:
    """The mask as bool [H, W]."""
    runs = counts(rle)
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(rle.size[1], rle.size[0])
    return np.ascontiguousarray(columns.T)


def empty(size: tuple[int, int]) -> Rle:
    """A mask without pixels. size: (height, width)."""
    return from_counts([size[0] * size[1]], size)


def counts(rle: Rle) -> NDArray[np.int64]:
    """Uncompressed run lengths, int64 [R]; the first run counts zeros. Raises ValueError for a damaged string."""
    symbols = np.frombuffer(rle.counts, np.uint8).astype(np.int64) - 48
    if not symbols.size:
        return symbols
    is_last = (symbols & 32) == 0
    if symbols.min() < 0 or symbols.max() > 63 or not is_last[-1]:
        raise ValueError(f"run-length string {rle.counts[:20]!r} holds characters outside its code or ends too early")
    starts = np.concatenate(([0], np.flatnonzero(is_last)[:-1] + 1))
    lengths = np.diff(np.append(starts, symbols.size))
    if lengths.max() > 7:
        raise ValueError(f"run-length string {rle.counts[:20]!r} holds a number of more than 35 bits")
    place = np.arange(symbols.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((symbols & 31) << (5 * place), starts)
    is_negative = (symbols[starts + lengths - 1] & 16) != 0
    values -= np.where(is_negative, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def from_counts(runs: Sequence[int] | NDArray[np.integer[Any]], size: tuple[int, int]) -> Rle:
    """A mask of uncompressed run lengths. Raises ValueError unless they are >= 0 and fill `size` (height, width)."""
    height, width = size
    try:
        lengths = np.asarray(runs, np.int64)
    except OverflowError as error:
        raise ValueError("the run lengths hold a number beyond any picture") from error
    _check_runs(lengths, size)
    return _from_coco(coco_mask.frPyObjects({"size": [height, width], "counts": lengths}, height, width))


def area(rle: Rle) -> int:
    """Number of pixels of the mask."""
    return int(counts(rle)[1::2].sum())


def areas(rles: Sequence[Rle]) -> NDArray[np.int64]:
    """Number of pixels of N masks, int64 [N]."""
    if isinstance(rles, Counted):
        return rles.areas
    # At most 255 masks a call: pycocotools fails on more under NumPy 2 (OverflowError).
    calls = [coco_mask.area([_to_coco(rle) for rle in rles[start : start + 255]]) for start in range(0, len(rles), 255)]
    return np.concatenate([np.zeros(0, np.int64), *calls]).astype(np.int64)


def bounding_box(rle: Rle) -> tuple[float, float, float, float]:
    """The box (x, y, w, h) around the mask, pixels; all zero for an empty mask."""
    x, y, w, h = (float(value) for value in coco_mask.toBbox(_to_coco(rle)))
    return x, y, w, h


def bounding_boxes(rles: Sequence[Rle]) -> NDArray[np.float64]:
    """Boxes (x, y, w, h) around N masks, float64 [N, 4]."""
    if not rles:
        return np.zeros((0, 4))
    return np.asarray(coco_mask.toBbox([_to_coco(rle) for rle in rles]), np.float64).reshape(-1, 4)


def iou(
    detections: Sequence[Rle], truths: Sequence[Rle], is_crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Mask IoU, float64 [D, G]. For a crowd truth the denominator is the area of the detection alone.

    is_crowd: bool [G], None: no crowds.
    """
    flags = np.zeros(len(truths), bool) if is_crowd is None else is_crowd
    return _pairwise([_to_coco(rle) for rle in detections], [_to_coco(rle) for rle in truths], flags)


def shares_of_texts(masks: Sequence[bytes], others: Sequence[bytes], size: tuple[int, int]) -> NDArray[np.float64]:
    """Share of each of N masks that each of M covers, float64 [N, M]. masks, others: compressed run lengths.

    size: (height, width) of all.
    """
    stated = list(size)
    return _pairwise(
        [{"size": stated, "counts": text} for text in masks],
        [{"size": stated, "counts": text} for text in others],
        np.ones(len(others), bool),
    )


def box_iou(
    detections: NDArray[np.float64], truths: NDArray[np.float64], is_crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Box IoU, float64 [D, G], of (x, y, w, h) boxes [D, 4] and [G, 4], with the crowd rule of `iou`."""
    flags = np.zeros(len(truths), bool) if is_crowd is None else is_crowd
    return _pairwise(np.asarray(detections, np.float64), np.asarray(truths, np.float64), flags)


def intersections(masks: Sequence[Rle], others: Sequence[Rle]) -> NDArray[np.int64]:
    """Number of common pixels, int64 [N, M], of every one of N masks with every one of M."""
    # A crowd's IoU is the intersection over the first mask's area, from which rounding recovers the integer.
    shares = iou(masks, others, np.ones(len(others), bool))
    return np.rint(shares * areas(masks)[:, None]).astype(np.int64)


def value_counts(masks: Sequence[Rle], runs: Runs, num_values: int) -> NDArray[np.int64]:
    """How many pixels of each of N masks hold each value of a map of their size, int64 [N, num_values].

    Values from num_values on are left out.
    """
    # A mask's bounds are the starts and ends of its stretches of ones, in turn; a last stretch of zeros is cut off.
    bounds = [bound[: len(bound) // 2 * 2] for bound in (np.cumsum(counts(rle)) for rle in masks)]
    start, end = np.concatenate([np.zeros(0, np.int64), *bounds]).reshape(-1, 2).T
    owner = np.repeat(np.arange(len(masks)), [len(bound) // 2 for bound in bounds])
    first = np.searchsorted(runs.edge, start, "right") - 1
    num = np.searchsorted(runs.edge, end, "left") - first
    stretch = np.repeat(np.arange(len(start)), num)
    run = np.arange(len(stretch)) + (first - np.cumsum(num) + num)[stretch]
    pixels = np.minimum(runs.edge[run + 1], end[stretch]) - np.maximum(runs.edge[run], start[stretch])
    cell = owner[stretch] * (num_values + 1) + np.minimum(runs.value[run], num_values)
    table = np.bincount(cell, weights=pixels, minlength=len(masks) * (num_values + 1))
    return table.astype(np.int64).reshape(-1, num_values + 1)[:, :num_values]


def union(rles: Sequence[Rle]) -> Rle:
    """Pixels of any of at least one mask of equal size."""
    return _from_coco(coco_mask.merge([_to_coco(rle) for rle in rles]))


def intersection(rles: Sequence[Rle]) -> Rle:
    """Pixels of all of at least one mask of equal size."""
    return _from_coco(coco_mask.merge([_to_coco(rle) for rle in rles], intersect=True))


def from_polygons(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Rle:
    """Union of polygons, rasterised as COCO does (boundary traced at 5x resolution, clipped to the image).

    polygons: flat lists x0, y0, x1, y1, ... of at least three points, pixels. size: (height, width).
    Raises ValueError for a polygon of fewer than three points or an odd number of values.
    """
    if not polygons:
        return empty(size)
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"polygon has {len(polygon)} numbers; expected x, y pairs of at least 3 points")
    parts = coco_mask.frPyObjects([list(polygon) for polygon in polygons], *size)
    return _from_coco(coco_mask.merge(parts))


def from_polygon_lists(objects: Sequence[Sequence[Sequence[float]]], size: tuple[int, int]) -> list[Rle]:
    """`from_polygons` of several objects, all rasterised in one call."""
    outlines = [list(polygon) for polygons in objects for polygon in polygons]
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in outlines):
        return [from_polygons(polygons, size) for polygons in objects]
    parts = iter(coco_mask.frPyObjects(outlines, *size) if outlines else ())
    own = [[next(parts) for _ in polygons] for polygons in objects]
    return [_from_coco(coco_mask.merge(rles) if len(rles) > 1 else rles[0]) if rles else empty(size) for rles in own]


def from_json(value: Mapping[str, Any]) -> Rle:
    """A mask of COCO's JSON form: `size` [h, w] and `counts` as compressed text or as a list of run lengths.

    Raises ValueError when a field is missing or the run lengths do not fill the size.
    """
    if not {"size", "counts"} <= set(value):
        raise ValueError(f"run-length mask has fields {sorted(value)}; expected 'size' and 'counts'")
    height, width = (int(number) for number in value["size"])
    runs = value["counts"]
    if isinstance(runs, str | bytes):
        rle = Rle(size=(height, width), counts=runs.encode("ascii") if isinstance(runs, str) else runs)
        _check_runs(counts(rle), rle.size)
        return rle
    return from_counts(runs, (height, width))


def to_json(rle: Rle) -> dict[str, Any]:
    """COCO's compressed JSON form: {"size": [h, w], "counts": text}."""
    return {"size": list(rle.size), "counts": rle.counts.decode("ascii")}


def to_json_uncompressed(rle: Rle) -> dict[str, Any]:
    """COCO's uncompressed JSON form, used for crowd regions: {"size": [h, w], "counts": [ints]}."""
    return {"size": list(rle.size), "counts": counts(rle).tolist()}


def ids_from_colors(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Ids int32 [H, W] of an id-coded image uint8 [H, W, 3]."""
    # The bytes R, G, B and 255, lowest first, are an id with 255 above it.
    ids: NDArray[np.int32] = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2RGBA).view("<i4")[..., 0]
    ids &= MAX_ID
    return ids


def id_runs_from_colors(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Runs along the rows of an id-coded image uint8 [H, W, 3]: edge int64 [R + 1] and id int32 [R].

    Neighbours may be equal.
    """
    height, width = rgb.shape[:2]
    num_rows = max(1, min(height, IN_CACHE // max(1, 4 * width)))
    edges, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
    memory, is_new = np.empty((num_rows, width, 4), np.uint8), np.ones(num_rows * width, bool)
    for start in range(0, height if width else 0, num_rows):
        rows = slice(start, min(start + num_rows, height))
        rgba = cv2.cvtColor(rgb[rows], cv2.COLOR_RGB2RGBA, memory[: rows.stop - start])
        ids = np.asarray(rgba).view("<i4").ravel()
        edge = block_edges(ids, is_new)
        values.append(ids.take(edge) & MAX_ID)
        edges.append(edge + start * width)
    return np.concatenate((*edges, [height * width])), np.concatenate(values)


def colors_from_ids(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Id-coded image uint8 [H, W, 3] of ids [H, W]. Raises ValueError for an id outside 0..2^24 - 1."""
    wide = np.asarray(ids, np.int64)
    if wide.size and (wide.min() < 0 or wide.max() > MAX_ID):
        raise ValueError(f"ids reach from {wide.min()} to {wide.max()}; three 8-bit channels hold 0 to {MAX_ID}")
    return np.stack((wide & 255, wide >> 8 & 255, wide >> 16), axis=-1).astype(np.uint8)


def resize_nearest(labels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Labels or masks [H, W] at `size` (height, width); each pixel takes the source pixel under its centre."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for new, old in zip(size, labels.shape, strict=True)
    )
    return labels[rows[:, None], columns[None, :]]


def _from_ends(ends: NDArray[np.int64], size: tuple[int, int]) -> Rle:
    """A mask of its stretches of ones. ends: the first pixel of each and the first after it, in turn, int64 [2 N]."""
    lengths = np.diff(np.concatenate(([0], ends, [size[0] * size[1]])))
    return from_counts(lengths if lengths[-1] or len(lengths) == 1 else lengths[:-1], size)


def _check_runs(lengths: NDArray[np.int64], size: tuple[int, int]) -> None:
    total = int(np.add.reduce(lengths))
    if total != size[0] * size[1] or lengths.min() < 0 or lengths.max() > _MAX_RUN:
        fit = f"runs >= 0, none above {_MAX_RUN:,}, that fill {size[0]}x{size[1]}"
        raise ValueError(f"run lengths cover {total} pixels; expected {fit}")
    if total >= 4 * _NEEDS_SIX:
        steps = np.concatenate((lengths[:3], lengths[3:] - lengths[1:-2]))
        if len(steps) > 3 and (np.abs(steps) >= _NEEDS_SIX).all():
            raise ValueError(f"{len(steps)} runs cover {total} pixels, all of them too long to be written")


def _pairwise(detections: Any, truths: Any, is_crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not len(detections) or not len(truths):
        return np.zeros((len(detections), len(truths)))
    return np.asarray(coco_mask.iou(detections, truths, [int(flag) for flag in is_crowd]), np.float64)


def _to_coco(rle: Rle) -> dict[str, Any]:
    return {"size": rle.size, "counts": rle.counts}


def _from_coco(value: Mapping[str, Any]) -> Rle:
    height, width = value["size"]
    return Rle(size=(int(height), int(width)), counts=bytes(value["counts"]))
