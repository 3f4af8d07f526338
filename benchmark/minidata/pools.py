"""The scenes of every row's miniature: which seeds a split has, drawn on access in the row's label set.

Rows of one split get the same scenes whatever their data set, so layouts can be held against each other. Training
splits, validation splits and all others are disjoint.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import MappingProxyType
from typing import TypeVar

from benchmark.annotated import AnnotatedClip, AnnotatedImage
from benchmark.contract import Panoptic
from benchmark.labels import LabelSet
from benchmark.minidata import clips, language
from benchmark.minidata.clips import Clip, DrawnClip
from benchmark.minidata.naming import relabel
from benchmark.minidata.world import render, sample_scene, scene_seed
from benchmark.row import Benchmark

T = TypeVar("T")

NUM_IMAGES: Mapping[str, int] = MappingProxyType({"train": 80, "val": 40})
NUM_CLIPS: Mapping[str, int] = MappingProxyType({"train": 12, "val": 6})
"""Scenes of a training split and of any other."""
SIZE = (128, 128)
CLIPS_FROM = 500_000
"""Clips and images never share a seed."""
STEP, NUM_STEPS = 500, 900
"""Splits that are neither training nor validation start at a multiple of STEP that their name decides."""


@dataclass(frozen=True, slots=True)
class Drawn(Sequence[T]):
    """num items, each drawn on access."""

    num: int
    draw: Callable[[int], T]

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> T:  # type: ignore[override]
        return self.draw(range(self.num)[index])

    def __iter__(self) -> Iterator[T]:
        return (self.draw(index) for index in range(self.num))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """`annotated.Scenes` of the mini world. size: (height, width) of every picture."""

    seed: int = 0
    size: tuple[int, int] = SIZE
    num_images: Mapping[str, int] = field(default_factory=lambda: NUM_IMAGES)
    num_clips: Mapping[str, int] = field(default_factory=lambda: NUM_CLIPS)

    def images(self, row: Benchmark) -> Sequence[AnnotatedImage]:
        """The pictures of a row's split."""
        split, first = pool_of(row)
        return Drawn(self.num_images[split], partial(self._image, split, first, row.label_set))

    def clips(self, row: Benchmark) -> Sequence[AnnotatedClip]:
        """The videos of a row's split."""
        split, first = pool_of(row)
        return Drawn(self.num_clips[split], partial(self._clip, split, first, row.label_set))

    def _image(self, split: str, first: int, labels: LabelSet, index: int) -> AnnotatedImage:
        scene = sample_scene(scene_seed(self.seed, split, first + index), split, self.size)
        image, truth = render(scene)
        return AnnotatedImage(
            number=first + index,
            image=image,
            panoptic=relabel(truth, labels),
            expressions=language.image_expressions(scene, _seen([truth])),
        )

    def _clip(self, split: str, first: int, labels: LabelSet, index: int) -> AnnotatedClip:
        clip, drawn = _draw(scene_seed(self.seed, split, CLIPS_FROM + first + index), split, self.size)
        panoptic = tuple(relabel(truth, labels) for truth in drawn.panoptic)
        kept = frozenset(segment.id for truth in panoptic for segment in truth.segments)
        seen = _seen(drawn.panoptic)
        return AnnotatedClip(
            number=first + index,
            images=drawn.images,
            panoptic=panoptic,
            extents={one: boxes for one, boxes in drawn.extents.items() if one in kept},
            visibility={one: shares for one, shares in drawn.visibility.items() if one in kept},
            expressions=language.clip_expressions(clip, seen),
        )


@lru_cache(maxsize=16)
def _draw(seed: int, split: str, size: tuple[int, int]) -> tuple[Clip, DrawnClip]:
    """Data sets of one split, written one after the other, share the drawing."""
    clip = clips.sample_clip(seed, split, size)
    return clip, clips.draw(clip)


def _seen(truths: Sequence[Panoptic]) -> frozenset[int]:
    return frozenset(segment.id for truth in truths for segment in truth.segments)


def pool_of(row: Benchmark) -> tuple[str, int]:
    """The world's split that a row's split belongs to, and the number of its first scene."""
    if row.is_train:
        return "train", 1
    return "val", 1 if row.short_split == "val" else 1 + STEP * (1 + zlib.crc32(row.split.encode()) % NUM_STEPS)
