"""The objects of a video frame as layers, which `region_contour` counts: bit b of group g is object 8 g + b.

A frame is a `Panoptic`, whose `segment_id` is the object's id, or `Instances` with masks by `object_id`, which may
overlap. Crowds of the truth are void: both sides lose those pixels. Only the part of the frame in which either side has
an object is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Annotation, Instances, Panoptic, Prediction, Sample
from benchmark.metrics.region_contour import GROUP_SIZE, Group, Layer, crop
from benchmark.problems import BenchmarkError, DataError, Problem, raise_if_any
from benchmark.stored_maps import PanopticBytes

_BYTE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """One side of a frame. ids: objects that have pixels.   void_ids: crowds that have pixels.

    support: uint8 [H, W], not 0 where there is an object or a crowd; [0, 0] where there is none.
    layers: the id behind each number of `support`, where objects cannot overlap; else None.
    masks: (id, uint8 [H, W] of 0 and 1) of each object, where they can.   void: uint8 [H, W], 255 in crowds, or None.
    """

    ids: tuple[int, ...]
    void_ids: tuple[int, ...]
    support: NDArray[np.uint8]
    layers: tuple[int, ...] | None
    masks: tuple[tuple[int, NDArray[np.uint8]], ...]
    void: NDArray[np.uint8] | None

    @classmethod
    def of(cls, frame: Annotation) -> Objects:
        """The objects of a frame. Raises BenchmarkError for a label map, or for boxes without masks."""
        if isinstance(frame, Panoptic):
            return cls._of_map(frame)
        if isinstance(frame, Instances) and (frame.masks is not None or not len(frame)):
            return cls._of_masks(frame)
        kind = "boxes" if isinstance(frame, Instances) else type(frame).__name__
        raise BenchmarkError(f"a frame is of kind {kind}, this metric compares masks of objects (Panoptic, Instances).")

    @classmethod
    def _of_map(cls, frame: Panoptic) -> Objects:
        layers = tuple(segment.id for segment in frame.segments)
        if all(0 < one < _BYTE for one in layers):
            numbers = frame.numbers if isinstance(frame, PanopticBytes) else frame.segment_id.astype(np.uint8)
            layers = _THEMSELVES
        elif len(layers) < _BYTE:
            order = np.sort(np.array([0, *layers]))
            numbers = np.searchsorted(order, frame.segment_id).astype(np.uint8)
            layers = tuple(order.tolist())
        else:
            raise BenchmarkError(f"a frame has {len(layers)} objects, at most {_BYTE - 1} can be told apart.")
        crowds = tuple(one.id for one in frame.segments if one.is_crowd)
        ids = tuple(one.id for one in frame.segments if not one.is_crowd)
        void = _marked(numbers, [layers.index(one) for one in crowds]) if crowds else None
        return cls(ids=ids, void_ids=crowds, support=numbers, layers=layers, masks=(), void=void)

    @classmethod
    def _of_masks(cls, frame: Instances) -> Objects:
        decoded = [masks.decode(rle).view(np.uint8) for rle in frame.masks or ()]
        shown = [row for row, mask in enumerate(decoded) if mask.any()]
        if not shown:
            nothing = np.zeros((0, 0), np.uint8)
            return cls(ids=(), void_ids=(), support=nothing, layers=None, masks=(), void=None)
        crowds = [row for row in shown if frame.is_crowd[row]]
        others = [row for row in shown if not frame.is_crowd[row]]
        void = reduce(np.bitwise_or, [decoded[row] for row in crowds]) * np.uint8(255) if crowds else None
        return cls(
            ids=_ids(frame, others),
            void_ids=_ids(frame, crowds),
            support=reduce(np.bitwise_or, decoded),
            layers=None,
            masks=tuple((int(frame.object_id[row]), decoded[row]) for row in shown),
            void=void,
        )

    def mask(self, one: int) -> NDArray[np.bool_] | None:
        """bool [H, W] of one object (or crowd); None for one that has no pixels."""
        if one not in self.ids and one not in self.void_ids:
            return None
        if self.layers is not None:
            return np.asarray(self.support == self._numbers([one])[0])
        return reduce(np.bitwise_or, [mask for number, mask in self.masks if number == one]).view(bool)

    def layers_of(self, ids: Sequence[int], window: tuple[slice, slice], keep: NDArray[np.uint8] | None) -> list[Layer]:
        """Layers of ceil(N / 8) groups in all for N object ids, inside a window; ids that do not occur are empty.

        keep: uint8 [h, w], 0 where a pixel belongs to nobody, else 255; None: everywhere 255.
        """
        groups = [ids[start : start + GROUP_SIZE] for start in range(0, len(ids), GROUP_SIZE)]
        if self.layers is None:
            planes = [self._plane(group, window) for group in groups]
            return [Layer(_kept(plane, keep), (_BITS,)) for plane in planes]
        numbers = _kept(np.ascontiguousarray(self.support[window]), keep)
        return [Layer(numbers, tuple(Group.of_numbers(self._numbers(group)) for group in groups))]

    def _numbers(self, ids: Sequence[int]) -> list[int]:
        """The number of each id in `support`, -1 for an id that has none."""
        layers = self.layers or ()
        if layers is _THEMSELVES:
            return [one if 0 < one < _BYTE else -1 for one in ids]
        return [layers.index(one) if one in layers else -1 for one in ids]

    def _plane(self, ids: Sequence[int], window: tuple[slice, slice]) -> NDArray[np.uint8]:
        bit_of = {one: 1 << bit for bit, one in enumerate(ids)}
        plane = np.zeros((window[0].stop - window[0].start, window[1].stop - window[1].start), np.uint8)
        for one, mask in self.masks:
            if one in bit_of:
                plane |= mask[window] * np.uint8(bit_of[one])
        return plane


@dataclass(frozen=True, slots=True)
class FramePair:
    """Truth and prediction of one frame."""

    truth: Objects
    found: Objects

    def layers(
        self, found_ids: Sequence[int], truth_ids: Sequence[int], *, keeps_void: bool = False
    ) -> tuple[list[Layer], list[Layer]]:
        """Layers of the predicted and of the true objects, cropped alike, without void by default."""
        supports = [side.support for side in (self.truth, self.found) if side.support.size]
        window = crop(*supports) if supports else (slice(0, 0), slice(0, 0))
        keep = None if self.truth.void is None or keeps_void else ~self.truth.void[window]
        return self.found.layers_of(found_ids, window, keep), self.truth.layers_of(truth_ids, window, keep)


def pairs(sample: Sample, prediction: Prediction, wanted: Sequence[int]) -> Iterator[tuple[int, FramePair]]:
    """(frame index, pair) of the wanted frames, each decoded once.

    Raises BenchmarkError where the sides do not fit, and, after the last frame, one DataError with the problems of all
    frames whose files are broken.
    """
    if sample.truth is None:
        raise BenchmarkError(f"{sample.sample_id}: the sample has no truth to score against. Name one with --truth.")
    sides = {"truth": sample.truth.frames, "prediction": prediction.frames}
    if len(sides["truth"]) != len(sides["prediction"]):
        numbers = f"{len(sides['prediction'])} frames, the truth has {len(sides['truth'])}"
        raise BenchmarkError(f"{sample.sample_id}: prediction has {numbers}.")
    problems: list[Problem] = []
    for index in wanted:
        try:
            truth, found = (_checked(sample, role, index, side[index]) for role, side in sides.items())
        except DataError as error:
            problems += error.problems
            continue
        if not problems:
            yield index, FramePair(truth, found)
    raise_if_any(problems)


def _checked(sample: Sample, role: str, index: int, frame: Annotation) -> Objects:
    sizes = {frame.size} if isinstance(frame, Panoptic) else set[tuple[int, ...]]()
    if isinstance(frame, Instances):
        sizes = {tuple(rle.size) for rle in frame.masks or ()}
    for height, width in sizes - {tuple(sample.size)}:
        raise BenchmarkError(
            f"{sample.sample_id}: {role} of frame {index} is {height}x{width} (height x width), "
            f"the video is {sample.size[0]}x{sample.size[1]}. Write masks at the video's own size."
        )
    try:
        return Objects.of(frame)
    except BenchmarkError as error:
        raise BenchmarkError(f"{sample.sample_id}: {role}, frame {index}: {error}") from error


def _ids(frame: Instances, rows: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(frame.object_id[row]) for row in rows))


def _kept(numbers: NDArray[np.uint8], keep: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    return numbers if keep is None else numbers & keep


def _marked(numbers: NDArray[np.uint8], chosen: Sequence[int]) -> NDArray[np.uint8]:
    """uint8 [H, W], 255 where one of the chosen numbers stands, else 0."""
    table = np.zeros(_BYTE, np.uint8)
    table[list(chosen)] = 255
    return table[numbers]


_THEMSELVES = tuple(range(_BYTE))
"""`Objects.layers` where a pixel's number is the object's id."""
_BITS = Group(np.arange(_BYTE, dtype=np.uint8), None)
"""The group of a plane, whose numbers are bits."""
