"""Tensors of a checkpoint on disk: safetensors, PyTorch and detectron2 files, and folders that transformers wrote.

    FILE.safetensors | FILE.pth (.pt, .bin, .ckpt) | FILE.pkl (numpy arrays) | FOLDER/{model.safetensors[.index.json],
    pytorch_model.bin[.index.json]}

Nothing in a file is ever executed: PyTorch files are read as weights only, pickles with an allow-list of numpy types.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmark.problems import DataError, Problem

WRAPPERS = ("model", "state_dict")
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")
UNREADABLE = (SafetensorError, RuntimeError, OSError, EOFError, ValueError, LookupError, pickle.UnpicklingError)
HARMLESS = {
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file or folder by name, on the CPU. Raises DataError when it cannot be read safely."""
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise _refused(path, "no such file", "Check the path")
    try:
        return _named_tensors(path, _read(path))
    except UNREADABLE as error:
        raise _refused(
            path, f"not a readable checkpoint ({_first_sentence(error)})", "Download or copy it again"
        ) from error


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if zipfile.is_zipfile(path) or path.suffix != ".pkl":
        # PyTorch maps zip files only; its older format is read into memory.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    with path.open("rb") as file:
        return _NumpyUnpickler(file).load()


class _NumpyUnpickler(pickle.Unpickler):
    """Reads dicts of numpy arrays and refuses everything else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """The type, if it is one of numpy's array types."""
        module = module.replace("numpy.core", "numpy._core")
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not an array")
        return super().find_class(module, name)


def _named_tensors(path: Path, content: Any) -> dict[str, Tensor]:
    """The state dict inside a checkpoint, without its wrapper and without the prefix of a distributed module."""
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise _refused(path, f"holds {type(content).__name__}, not named tensors", "Save the model's state dict")
    prefix = "module." if all(str(name).startswith("module.") for name in content) else ""
    tensors, others = {}, []
    for name, value in content.items():
        if isinstance(value, (Tensor, np.ndarray, np.generic)):
            tensors[str(name).removeprefix(prefix)] = torch.as_tensor(value)
        else:
            others.append(Problem(place=f"{path}: {name}", message=f"{type(value).__name__}, not a tensor",
                                  remedy="Save tensors only"))  # fmt: skip
    if others:
        raise DataError(others)
    return tensors


def _read_folder(folder: Path) -> dict[str, Tensor]:
    for name in FOLDER_FILES:
        if (folder / name).is_file():
            return read_tensors(folder / name)
        index = folder / f"{name}.index.json"
        if index.is_file():
            return _read_shards(index)
    raise _refused(folder, f"has neither {' nor '.join(FOLDER_FILES)}", "Give the folder that save_pretrained wrote")


def _read_shards(index: Path) -> dict[str, Tensor]:
    """The tensors of all shards that an index names; each must hold what the index says."""
    try:
        shard_of = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError) as error:
        raise _refused(index, "not an index of shards", "Download or copy it again") from error
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(shard_of.values())):
        tensors |= read_tensors(index.parent / Path(shard).name)
    absent = sorted(set(shard_of) - set(tensors))
    if absent:
        raise _refused(index, f"{len(absent)} tensors are not in their shards, first {absent[0]}", "Download it again")
    return tensors


def _refused(path: Path, message: str, remedy: str) -> DataError:
    return DataError([Problem(place=str(path), message=message, remedy=remedy)])


def _first_sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0].split(". ")[0].rstrip(".")
