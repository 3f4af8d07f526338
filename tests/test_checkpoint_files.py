"""Checkpoint files: every kind is read, and what is broken, empty or not a checkpoint is refused in one clear line."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_checkpoints import authors_state, write_pth
from torch import Tensor

from benchmark.problems import DataError
from models.checkpoints import load_published

pytestmark = [pytest.mark.usefixtures("one_seed_and_thread"), pytest.mark.filterwarnings("ignore")]


def write_old_pth(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save({"state_dict": state}, folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


def write_distributed(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, folder / "ddp.pt")
    return folder / "ddp.pt"


def write_pkl(state: dict[str, Tensor], folder: Path) -> Path:
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    (folder / "model.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "someone"}))
    return folder / "model.pkl"


def write_safetensors(state: dict[str, Tensor], folder: Path) -> Path:
    save_file(state, folder / "model.safetensors")
    return folder / "model.safetensors"


def write_shards(state: dict[str, Tensor], folder: Path) -> Path:
    parts = {"a.safetensors": sorted(state)[::2], "b.safetensors": sorted(state)[1::2]}
    for name, keys in parts.items():
        save_file({key: state[key] for key in keys}, folder / name)
    where = ", ".join(f'"{key}": "{name}"' for name, keys in parts.items() for key in keys)
    (folder / "model.safetensors.index.json").write_text(f'{{"weight_map": {{{where}}}}}')
    return folder


WRITERS = (write_pth, write_old_pth, write_distributed, write_pkl, write_safetensors, write_shards)


@pytest.mark.parametrize("write", WRITERS)
def test_every_kind_of_file_is_read(write: Callable[[dict[str, Tensor], Path], Path], tmp_path: Path) -> None:
    state = authors_state()
    published = load_published(write(state, tmp_path))
    assert published.layout == "authors"
    assert published.state.keys() == state.keys()
    assert all(torch.equal(published.state[name], state[name]) for name in state)


@pytest.mark.parametrize("write", WRITERS[:5])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.9])
def test_a_truncated_file_is_one_line(
    write: Callable[[dict[str, Tensor], Path], Path], kept: float, tmp_path: Path
) -> None:
    path = write(authors_state(), tmp_path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError) as caught:
        load_published(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"{path}: not a readable checkpoint")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("bomb",)


@pytest.mark.parametrize("name", ["evil.pkl", "evil.pth"])
def test_code_in_a_file_is_refused_and_not_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name.endswith("pkl"):
        Path(name).write_bytes(pickle.dumps({"model": Bomb()}))
    else:
        torch.save({"model": Bomb()}, name)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_published(Path(name))
    assert not Path("bomb").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds list, not named tensors"),
        ({"epoch": 3}, "int, not a tensor"),
        ({"layer4.weight": torch.zeros(1)}, "1 tensors of no known layout, first 'layer4.weight'"),
    ],
)
def test_other_content_is_one_line(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(DataError, match=message):
        load_published(tmp_path / "other.pth")


def test_an_absent_file_and_an_empty_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_published(tmp_path / "nowhere.pth")
    with pytest.raises(DataError, match=r"has neither model\.safetensors nor pytorch_model\.bin"):
        load_published(tmp_path)


def test_a_shard_that_lacks_a_tensor_is_one_line(tmp_path: Path) -> None:
    write_shards(authors_state(), tmp_path)
    shard = load_file(tmp_path / "b.safetensors")
    shard.pop(min(shard))
    save_file(shard, tmp_path / "b.safetensors")
    with pytest.raises(DataError, match="1 tensors are not in their shards"):
        load_published(tmp_path)
