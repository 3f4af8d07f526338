"""What is remembered of a picture changes no answer, is bounded, and is forgotten with the weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from small_checkpoints import small_model
from torch import Tensor

from benchmark import store
from benchmark.contract import Prompt, Sample, Task
from models.recent import RecentResults, fingerprint, num_bytes
from models.task_segmentation import UniversalSegmenter
from models.task_tokens import TASK_SENTENCES

SEGMENTATION = (Task.PANOPTIC, Task.INSTANCE, Task.SEMANTIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    maps: tuple[Tensor, ...]
    queries: Tensor


def ask(model: UniversalSegmenter, image: np.ndarray, task: Task, asked: Task) -> object:
    prompt = Prompt(task=task, sentence=TASK_SENTENCES[asked])
    sample = Sample(sample_id="1", frames=(Path("none.png"),), size=image.shape[:2], prompt=prompt)
    return store.encode(model.predict(image, sample))


@pytest.fixture
def model(one_seed_and_thread: None) -> UniversalSegmenter:
    return small_model(is_training=False).eval()


@pytest.fixture
def pictures() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8))


def test_every_cell_of_the_matrix_keeps_its_bits_and_each_picture_is_encoded_once(
    model: UniversalSegmenter, pictures: list[np.ndarray]
) -> None:
    cells = list(product(SEGMENTATION, SEGMENTATION, pictures))
    with torch.inference_mode():
        fresh = [ask(model, image, task, asked) for task, asked, image in cells]
        model.recent = RecentResults(2**30)
        with (
            patch.object(model, "encode", wraps=model.encode) as encode,
            patch.object(model, "decode", wraps=model.decode) as decode,
        ):
            remembered = [ask(model, image, task, asked) for task, asked, image in cells]
    assert remembered == fresh
    assert (encode.call_count, decode.call_count) == (2, 6)


def test_other_weights_are_asked_anew(model: UniversalSegmenter, pictures: list[np.ndarray]) -> None:
    model.recent = RecentResults(2**30)
    with torch.inference_mode():
        ask(model, pictures[0], Task.PANOPTIC, Task.PANOPTIC)
    assert len(model.recent) == 2
    model.load_state_dict(model.state_dict())
    assert len(model.recent) == 0
    with torch.inference_mode():
        ask(model, pictures[0], Task.PANOPTIC, Task.PANOPTIC)
    assert len(model.recent) == 2
    model.train()
    assert len(model.recent) == 0


def test_nothing_is_kept_where_gradients_are_recorded(model: UniversalSegmenter, pictures: list[np.ndarray]) -> None:
    model.recent = RecentResults(2**30)
    ask(model, pictures[0], Task.SEMANTIC, Task.SEMANTIC)
    assert len(model.recent) == 0


def test_the_least_recently_used_result_makes_room() -> None:
    recent, computed = RecentResults(100), []

    def look(key: str, num: int = 10) -> Tensor:
        def compute() -> Tensor:
            computed.append(key)
            return torch.zeros(num)

        return recent.get(key, compute)

    for key in ("a", "b", "a", "c", "a", "b"):
        look(key)
    assert computed == ["a", "b", "c", "b"]
    look("large", 26)
    look("a")
    look("b")
    assert computed[4:] == ["large"]


def test_bytes_are_those_of_whole_storages_each_once() -> None:
    large = torch.zeros(4, 10)
    assert num_bytes(Found(maps=(large[0], large[1]), queries=torch.zeros(3))) == 160 + 12


def test_pictures_differ_by_content_shape_and_type() -> None:
    flat = torch.arange(12, dtype=torch.uint8)
    others = [flat.view(3, 4), flat.view(4, 3), flat.float(), flat.flip(0), flat.view(3, 4).T]
    assert len({fingerprint(one) for one in (flat, *others)}) == 6
    assert fingerprint(flat) == fingerprint(flat.clone())
