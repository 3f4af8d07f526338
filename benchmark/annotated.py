"""Annotated scenes: what the writer of a layout turns into the files of a data set.

The mini data are made of them; a person's own pictures could be. Lengths are pixels, sizes (height, width).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Panoptic

if TYPE_CHECKING:
    from benchmark.row import Benchmark


class ExpressionKind(StrEnum):
    """What must be understood to find what an expression means."""

    ATTRIBUTE = "attribute"
    COMPARISON = "comparison"
    RELATION = "relation"
    REASONING = "reasoning"
    GROUP = "group"
    MOTION = "motion"
    NO_TARGET = "no_target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """segment_ids: of the things that the sentence refers to, ascending; () where it refers to nothing."""

    sentence: str
    segment_ids: tuple[int, ...]
    kind: ExpressionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """One image with its panoptic truth in the label set of the row that is written.

    number: 1, 2, ...; each layout makes its file name and image id of it. image: uint8 [H, W, 3] RGB.
    """

    number: int
    image: NDArray[np.uint8]
    panoptic: Panoptic
    expressions: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedClip:
    """One video of T frames. A thing keeps its segment id; frames in which nothing of it is seen do not list it.

    images: uint8 [T, H, W, 3] RGB. panoptic: one a frame, in the label set of the row that is written.
    extents: segment id -> float64 [T, 4], the box (x, y, width, height) of the whole thing, with what is hidden and
    what lies beyond the picture. visibility: segment id -> float64 [T], the share of the thing that is seen.
    Regions and crowds have neither.
    """

    number: int
    images: NDArray[np.uint8]
    panoptic: tuple[Panoptic, ...]
    extents: Mapping[int, NDArray[np.float64]]
    visibility: Mapping[int, NDArray[np.float64]]
    expressions: tuple[Expression, ...] = ()


class Scenes(Protocol):
    """The scenes that become a row's split, drawn on access. Rows of one split get the same ones."""

    def images(self, row: Benchmark) -> Sequence[AnnotatedImage]: ...

    def clips(self, row: Benchmark) -> Sequence[AnnotatedClip]: ...
