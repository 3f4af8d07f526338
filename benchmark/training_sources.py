"""Training rows opened as sources: pictures with panoptic truth, or samples of any task with their prompts.

Small sets are decoded once and kept. On the mini data each data set is generated when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import catalog
from benchmark.contract import AnnotatedSource, Panoptic, PromptedSource, Sample, SampleSet
from benchmark.formats.image_files import read_rgb
from benchmark.minidata import miniatures
from benchmark.minidata.naming import world_classes
from benchmark.minidata.pools import Pools
from benchmark.row import Benchmark

BYTES_PER_PIXEL = 3 + 4
MEMORY_FOR_SAMPLES = 512 * 2**20
"""Training sets whose decoded images and ids fit into this many bytes are decoded once."""
POOLS = Pools(num_images={"train": 1500, "val": 40}, num_clips={"train": 80, "val": 6})
"""Scenes of the miniatures that a model is trained on."""


def annotated(rows: Mapping[str, float], *, data_root: Path, is_mini: bool) -> list[AnnotatedSource]:
    """Sources of pictures with panoptic truth. rows: training row -> share. Raises DataError."""
    found = []
    for name, weight in rows.items():
        samples = open_row(catalog.get(name), data_root, is_mini=is_mini)
        found.append(AnnotatedSource(size=len(samples), load=panoptic_loader(samples), weight=weight))
    return found


def prompted(rows: Mapping[str, float], *, data_root: Path, is_mini: bool) -> list[PromptedSource]:
    """Sources of samples with their prompts. rows: training row -> share. Raises DataError."""
    return [
        prompted_row(catalog.get(name), weight, data_root=data_root, is_mini=is_mini) for name, weight in rows.items()
    ]


def prompted_row(row: Benchmark, weight: float, *, data_root: Path, is_mini: bool) -> PromptedSource:
    """One source of samples with their prompts."""
    samples = open_row(row, data_root, is_mini=is_mini)
    labels = row.label_set
    is_small = _bytes_of(samples) <= MEMORY_FOR_SAMPLES

    def read(sample: Sample, frame: int) -> NDArray[np.uint8]:
        return _read_kept(sample.frames[frame]) if is_small else read_rgb(sample.frames[frame])

    return PromptedSource(
        name=row.name,
        size=len(samples),
        load=cache(samples.__getitem__) if is_small else samples.__getitem__,
        read=read,
        names=labels.names,
        is_thing=tuple(bool(flag) for flag in labels.is_thing),
        asked=world_classes(labels) if is_mini else tuple(range(len(labels.names))),
        weight=weight,
    )


def open_row(row: Benchmark, data_root: Path, *, is_mini: bool) -> SampleSet:
    """A training row's samples below the data root, or in its own miniature."""
    root = data_root
    if is_mini and not miniatures.is_generated(row):
        root = miniatures.root_of(row, catalog.rows(), pools=POOLS)
    return catalog.open_samples(row, root, is_mini=is_mini)


@cache
def _read_kept(path: Path) -> NDArray[np.uint8]:
    return read_rgb(path)


def _bytes_of(samples: SampleSet) -> int:
    """Decoded size of a set, from its first sample."""
    height, width = samples[0].size
    return len(samples) * len(samples[0].frames) * height * width * BYTES_PER_PIXEL


def panoptic_loader(samples: SampleSet) -> Callable[[int], tuple[str, NDArray[np.uint8], Panoptic]]:
    """Index -> (id, RGB uint8 [H, W, 3], truth); raises TypeError for truth that is not panoptic."""

    def load(index: int) -> tuple[str, NDArray[np.uint8], Panoptic]:
        sample = samples[index]
        truth = sample.truth.frames[0] if sample.truth else None
        if not isinstance(truth, Panoptic):
            raise TypeError(f"{sample.sample_id}: joint training needs panoptic annotation")
        return sample.sample_id, read_rgb(sample.frames[0]), truth

    return cache(load) if _bytes_of(samples) <= MEMORY_FOR_SAMPLES else load
