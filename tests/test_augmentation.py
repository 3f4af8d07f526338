"""Training augmentations: image and ids stay aligned, sizes are as published, nothing is random but the generator."""

from __future__ import annotations

import numpy as np
import pytest

from models.augmentation import (
    PAD_VALUE,
    Augmentation,
    Chain,
    ColourJitter,
    HorizontalFlip,
    LargeScaleJitter,
    Pad,
    RandomCrop,
    ResizeShortSide,
    short_side_size,
)

STEPS: dict[str, Augmentation] = {
    "resize": ResizeShortSide(choices=(40, 64), long_cap=200),
    "crop": RandomCrop(size=(32, 48)),
    "pad": Pad(size=(80, 100)),
    "flip": HorizontalFlip(probability=1.0),
    "colour": ColourJitter(),
    "large scale jitter": LargeScaleJitter(size=(64, 64)),
    "chain": Chain((HorizontalFlip(), RandomCrop(size=(40, 40)))),
}


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A 60x90 image of flat blocks, each with its own grey level and segment id."""
    blocks = np.random.default_rng(seed).integers(1, 200, (6, 9)).astype(np.int32)
    segment_id = np.kron(blocks, np.ones((10, 10), np.int32))
    return np.repeat(segment_id[..., None], 3, axis=2).astype(np.uint8), segment_id


@pytest.mark.parametrize("name", STEPS)
def test_step_depends_on_the_generator_only(name: str) -> None:
    first = STEPS[name](*drawn(), np.random.default_rng(7))
    second = STEPS[name](*drawn(), np.random.default_rng(7))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", sorted(set(STEPS) - {"colour"}))
def test_step_moves_image_and_ids_together(name: str) -> None:
    for seed in range(5):
        image, segment_id = STEPS[name](*drawn(seed), np.random.default_rng(seed))
        assert image.shape[:2] == segment_id.shape
        expected = np.where(segment_id == 0, PAD_VALUE, segment_id)
        assert np.mean(np.abs(image[..., 0].astype(int) - expected) <= 2) > 0.7


def test_large_scale_jitter_always_fills_its_window() -> None:
    step = LargeScaleJitter(size=(64, 48))
    sizes = {step(*drawn(), np.random.default_rng(seed))[0].shape for seed in range(20)}
    assert sizes == {(64, 48, 3)}


def test_colour_jitter_leaves_ids_alone_and_changes_colours() -> None:
    image, segment_id = drawn()
    changed = [ColourJitter()(image, segment_id, np.random.default_rng(seed)) for seed in range(8)]
    assert all(np.array_equal(ids, segment_id) for _, ids in changed)
    assert any(not np.array_equal(jittered, image) for jittered, _ in changed)


@pytest.mark.parametrize(
    ("size", "short", "cap", "expected"),
    [((480, 640), 800, 1333, (800, 1067)), ((427, 640), 800, 1333, (800, 1199)), ((200, 640), 800, 1333, (417, 1333))],
)
def test_short_side_size_keeps_aspect_under_the_cap(
    size: tuple[int, int], short: int, cap: int, expected: tuple[int, int]
) -> None:
    assert short_side_size(*size, short, cap) == expected
