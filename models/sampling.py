"""Which sample stands at which position of a training run, as a function of (seed, position) alone.

A run that is killed and resumed sees the same images, crops and tasks as one that was not, because nothing depends on
how often a generator was called before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from mmengine.dist import get_rank, get_world_size
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from benchmark.contract import AnnotatedSource, Panoptic

MAX_REDRAWS = 1000


class Recipe(Protocol):
    """Turns an annotated image into (network input, training target), with all randomness from the generator.

    accepts: whether an image is trained on at all.
    """

    def accepts(self, panoptic: Panoptic) -> bool: ...

    def __call__(self, image: NDArray[np.uint8], panoptic: Panoptic, rng: np.random.Generator) -> tuple[Any, Any]: ...


class PositionSampler(Sampler[int]):
    """Yields the run's positions of this rank for ever: rank, rank + world size, ... length: those of a whole run.

    The data set turns a position into an example. `skip` moves on without loading anything: MMEngine resumes with it.
    """

    def __init__(self, length: int = 0) -> None:
        self._length = length
        self._next = get_rank()
        self._step = get_world_size()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        while True:
            position = self._next
            self._next += self._step
            yield position

    def skip(self, num_samples: int) -> None:
        """Leave out this rank's next `num_samples` positions."""
        self._next += num_samples * self._step

    def set_epoch(self, epoch: int) -> None:
        """Positions do not depend on epochs."""


class Mixture:
    """Which data set, and which of its samples, stands at a position of the run.

    sizes: samples of each data set. weights: their shares of the positions (any positive scale). A single data set is
    walked in seeded permutations, each sample once an epoch; of several, the data set is drawn by share and the sample
    uniformly, with replacement.
    """

    def __init__(self, sizes: Sequence[int], *, weights: Sequence[float], seed: int) -> None:
        if len(sizes) != len(weights) or min(sizes) < 1 or min(weights) <= 0:
            raise ValueError(
                f"every data set needs samples and a positive weight, got sizes {sizes}, weights {weights}"
            )
        self._sizes = tuple(sizes)
        self._shares = np.asarray(weights, np.float64) / float(sum(weights))
        self._seed = seed
        self._walked = (-1, np.empty(0, np.int64))

    def __getitem__(self, position: int) -> tuple[int, int]:
        """(data set number, sample index) of a position."""
        if len(self._sizes) > 1:
            rng = np.random.default_rng([self._seed, 1, position])
            number = int(rng.choice(len(self._sizes), p=self._shares))
            return number, int(rng.integers(self._sizes[number]))
        epoch, index = divmod(position, self._sizes[0])
        return 0, int(self._permutation(epoch)[index])

    def _permutation(self, epoch: int) -> np.ndarray:
        known_epoch, permutation = self._walked
        if known_epoch != epoch:
            permutation = np.random.default_rng([self._seed, 2, 0, epoch]).permutation(self._sizes[0])
            self._walked = (epoch, permutation)
        return permutation


def position_generator(seed: int, position: int) -> np.random.Generator:
    """The generator of one position's augmentation and task."""
    return np.random.default_rng([seed, 0, position])


class Examples(Dataset[dict[str, Any]]):
    """Training examples by position: {"inputs", "targets", "sample_ids"} as the recipe makes them."""

    def __init__(self, sources: Sequence[AnnotatedSource], *, recipe: Recipe, seed: int, length: int) -> None:
        self._sources, self._recipe, self._seed, self._length = sources, recipe, seed, length
        sizes, weights = [s.size for s in sources], [s.weight for s in sources]
        self._mixture = Mixture(sizes, weights=weights, seed=seed)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: int) -> dict[str, Any]:
        number, index = self._mixture[position]
        rng = position_generator(self._seed, position)
        sample_id, image, panoptic = self._load(number, index, rng)
        inputs, target = self._recipe(image, panoptic, rng)
        return {"inputs": inputs, "targets": target, "sample_ids": sample_id}

    def _load(self, number: int, index: int, rng: np.random.Generator) -> tuple[str, NDArray[np.uint8], Panoptic]:
        """The sample, or a random other one of the same data set while the recipe accepts none."""
        source = self._sources[number]
        for _ in range(MAX_REDRAWS):
            sample = source.load(index)
            if self._recipe.accepts(sample[2]):
                return sample
            index = int(rng.integers(source.size))
        raise ValueError(f"none of {MAX_REDRAWS} images of training data set {number} has what the recipe asks for")


def collate(examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One dict of lists; the model pads images of differing size itself."""
    return {key: [example[key] for example in examples] for key in examples[0]}
