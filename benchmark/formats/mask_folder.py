"""A folder of one PNG for each sample, named <sample id>.png: whatever is not 0 is the mask.

PhraseCut's evaluator takes this form (0 and 1), and many tools write it (0 and 255).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmark import masks
from benchmark.contract import NO_BOXES, Instances, Prediction, PredictionSet, Rle, Sample, make_instances
from benchmark.formats.image_files import read_numbers, write_png
from benchmark.problems import OTHER_SPLIT, DataError, Problem


def read_masks(folder: Path, sample_ids: Sequence[str]) -> PredictionSet:
    """The mask of every sample that has a file, decoded on access. Raises DataError where no file fits."""
    files = {path.stem: path for path in sorted(folder.glob("*.png"))}
    known = tuple(sample_id for sample_id in sample_ids if sample_id in files)
    if sample_ids and not known:
        message = f"no file fits any of the {len(sample_ids):,} samples (expected names like {sample_ids[0]}.png)"
        remedy = f"Name masks after their samples, or {OTHER_SPLIT}"
        raise DataError([Problem(place=str(folder), message=message, remedy=remedy)])
    return PredictionSet(known, lambda sample_id: _prediction(files[sample_id]))


def write_masks(folder: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write the united masks of every answer, 1 on 0."""
    for sample, prediction in predictions:
        found = prediction.frames[0]
        if not isinstance(found, Instances):
            raise ValueError(f"sample {sample.sample_id}: a mask is written of instances")
        mask = masks.union(found.masks) if found.masks else masks.empty(sample.size)
        write_png(folder / f"{sample.sample_id}.png", masks.decode(mask).astype(np.uint8))


def one_mask(rle: Rle) -> Prediction:
    """The answer that consists of one mask."""
    objects = make_instances(
        class_index=[0], masks=[rle], box_format=NO_BOXES, area=np.array([masks.area(rle)], np.float64)
    )
    return Prediction(frames=(objects,))


def _prediction(path: Path) -> Prediction:
    return one_mask(masks.encode(read_numbers(path) > 0))
