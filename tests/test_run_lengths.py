"""Run-length strings decoded together say what each of them says alone, sound or broken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from benchmark import masks, run_lengths
from benchmark.contract import Rle


def alone(text: bytes) -> tuple[int, int]:
    """(area, pixels) by the decoder of single masks."""
    try:
        runs = masks.counts(Rle(size=(0, 0), counts=text))
    except ValueError:
        return run_lengths.BROKEN, run_lengths.BROKEN
    return (run_lengths.BROKEN,) * 2 if (runs < 0).any() else (int(runs[1::2].sum()), int(runs.sum()))


def together(strings: list[bytes]) -> list[tuple[int, int]]:
    return [(int(area), int(pixels)) for area, pixels in zip(*run_lengths.measure(strings), strict=True)]


def drawn(generator: np.random.Generator) -> np.ndarray:
    """A mask of any look: bool [H, W]."""
    height, width = generator.integers(1, 400, 2)
    columns = np.arange(width) * generator.uniform(0.5, 3)
    return (np.arange(height)[:, None] + columns) % generator.integers(2, 300) < generator.integers(0, 150)


def test_areas_and_sizes_are_those_of_the_coco_api() -> None:
    generator = np.random.default_rng(0)
    rles = [masks.encode(drawn(generator)) for _ in range(250)]
    areas, pixels = run_lengths.measure([rle.counts for rle in rles])
    assert areas.tolist() == [int(coco_mask.area({"size": list(rle.size), "counts": rle.counts})) for rle in rles]
    assert pixels.tolist() == [height * width for height, width in (rle.size for rle in rles)]


def test_a_broken_string_spoils_no_other_of_its_block() -> None:
    sound = masks.encode(np.eye(9, dtype=bool)).counts
    broken = [b"", b"0P", b"p", b"\x7f", b"5O", b"PPPPPPPP0", b"54OO"]
    mixed = [sound, *broken, sound]
    assert together(mixed) == [alone(text) for text in mixed]
    assert together(mixed)[0] == together(mixed)[-1] == (9, 81)
    assert together([b""]) == [(0, 0)]
    assert all(pixels != 81 for _, pixels in together(broken))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(st.integers(44, 115), max_size=12).map(bytes), max_size=6))
def test_any_strings_are_decoded_as_one_by_one(strings: list[bytes]) -> None:
    assert together(strings) == [alone(text) for text in strings]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(st.integers(0, 2**23), min_size=1, max_size=9), min_size=1, max_size=5))
def test_runs_of_any_length_add_up(many: list[list[int]]) -> None:
    strings = [masks.from_counts(runs, (1, sum(runs))).counts for runs in many]
    assert together(strings) == [(sum(runs[1::2]), sum(runs)) for runs in many]


@pytest.mark.parametrize("runs", [[2**29], [2**24, 2**25, 2**24, 0]])
def test_runs_that_pycocotools_would_write_beyond_its_memory_are_refused(runs: list[int]) -> None:
    with pytest.raises(ValueError, match=r"none above 536,870,911|too long to be written"):
        masks.from_counts(runs, (1, sum(runs)))
