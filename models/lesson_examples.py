"""UNINEXT's training examples by position of the run, every batch of a process from one row of the stage.

Follows MasterBin-IIAU/UNINEXT at 5ab0386: rows are drawn by weight, their samples with replacement; different
processes may have different rows in one iteration. Where a sample has nothing to learn from, theirs is replaced by one
of any data set, ours by another one of its own, which keeps the weights. Portrait and landscape are not kept apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.dist import get_world_size
from numpy.typing import NDArray
from torch.utils.data import Dataset

from benchmark.contract import Instances, PromptedSource
from benchmark.problems import UsageError
from models.lessons import Clip, Lesson, LessonPlan
from models.sampling import MAX_REDRAWS, position_generator


class LessonExamples(Dataset[dict[str, object]]):
    """Examples by position: {"inputs", "targets", "sample_ids"}; an input is a tuple of clips.

    sources: every lesson's row. batch_size: positions an iteration over all processes. length: positions of the run.
    """

    def __init__(
        self, sources: Sequence[PromptedSource], *, recipe: LessonPlan, seed: int, length: int, batch_size: int
    ) -> None:
        self._sources = {source.name: source for source in sources}
        unknown = [lesson.row for lesson in recipe.lessons if lesson.row not in self._sources]
        if unknown:
            raise UsageError(f"no training row {unknown[0]!r} for a lesson. Known: {', '.join(self._sources)}")
        self._recipe, self._seed, self._length, self._batch_size = recipe, seed, length, batch_size
        shares = np.array([lesson.weight / lesson.clips_each for lesson in recipe.lessons])
        self._shares = shares / shares.sum()
        balanced = {lesson.row for lesson in recipe.lessons if lesson.balances_classes}
        self._cumulated = {row: np.cumsum(class_weights(self._sources[row])) for row in sorted(balanced)}

    def __len__(self) -> int:
        return self._length

    def lesson_at(self, position: int) -> Lesson:
        """The row of a position, the same for all positions that one process sees in one iteration."""
        iteration, rank = position // self._batch_size, position % get_world_size()
        rng = np.random.default_rng([self._seed, 1, iteration, rank])
        return self._recipe.lessons[int(rng.choice(len(self._shares), p=self._shares))]

    def __getitem__(self, position: int) -> dict[str, object]:
        lesson, rng = self.lesson_at(position), position_generator(self._seed, position)
        found = [self._clip(lesson, rng) for _ in range(lesson.clips_each)]
        names = " ".join(f"{lesson.row}/{sample_id}" for sample_id, _ in found)
        return {"inputs": tuple(clip for _, clip in found), "targets": None, "sample_ids": names}

    def _clip(self, lesson: Lesson, rng: np.random.Generator) -> tuple[str, Clip]:
        source = self._sources[lesson.row]
        for _ in range(MAX_REDRAWS):
            sample = source.load(self._draw(lesson, source.size, rng))
            clip = self._recipe(lesson, sample, source, rng)
            if clip is not None:
                return sample.sample_id, clip
        raise ValueError(f"{source.name}: none of {MAX_REDRAWS} samples has something to learn from")

    def _draw(self, lesson: Lesson, size: int, rng: np.random.Generator) -> int:
        if not lesson.balances_classes:
            return int(rng.integers(size))
        cumulated = self._cumulated[lesson.row]
        return int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))


def class_weights(source: PromptedSource) -> NDArray[np.float64]:
    """float64 [samples]: the sum over a sample's classes of one over the number of samples with the class."""
    classes = [_classes(source, index) for index in range(source.size)]
    counts = np.bincount(np.concatenate(classes), minlength=len(source.names))
    return np.array([(1 / counts[one]).sum() for one in classes])


def _classes(source: PromptedSource, index: int) -> NDArray[np.int16]:
    truth = source.load(index).truth
    annotation = truth.frames[0] if truth is not None else None
    if not isinstance(annotation, Instances):
        raise TypeError(f"{source.name}: balanced classes need instance annotation")
    return np.unique(annotation.class_index[~annotation.is_crowd]).astype(np.int16)
