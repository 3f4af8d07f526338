"""UNINEXT's reference tensors and the weights they were made with, which follow from a rule on names and shapes.

The tensors were computed by the authors' code (MasterBin-IIAU/UNINEXT at 5ab0386); the rule stands in the README beside
them. Tests build a component, fill it through the converter's table and compare.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.checkpoint_layouts import find_rule

SEED = 12
NUM_QUERIES = 100
TOLERANCE = 1e-4
DIRECTIONS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
IMAGE_CASES = (
    "image_detection_192x256",
    "image_grounding_192x256",
    "image_detection_300x410",
    "image_grounding_300x410",
)
TEMPLATE_CASES = ("video_template_box_192x256", "video_template_two_300x410", "video_template_mask_192x256")
CASES = (*IMAGE_CASES, "video_detection_192x256", *TEMPLATE_CASES)
TEXT_CASES = CASES[:5]
GAINS = (
    (".dot_product_projection_text.weight", 8.0),
    (".controller.layers.2.weight", 0.5),
    (".mask_head.lay2.weight", 2.0),
    (".reid_embed_head.1.layers.2.weight", 4.0),
    (".linear2.weight", 0.4),
    (".out_proj.weight", 0.5),
    (".output_proj.weight", 2.0),
)


def draw(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The weight of a key of the authors' state dict."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()) + SEED))
    x = generator.standard_normal(shape)
    last = key.rsplit(".", 1)[-1]
    return _shaped(key, last, x).astype(np.float32)


def _shaped(key: str, last: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    if key.endswith("sampling_offsets.bias"):
        steps = np.arange(1, 5)[None, None, :, None]
        rays = np.array(DIRECTIONS, float)[:, None, None, :]
        return np.broadcast_to(steps * rays, (8, 4, 4, 2)).reshape(-1) + 0.05 * x
    if last in ("running_mean", "running_var"):
        return 0.1 * x if last == "running_mean" else 1 + 0.1 * abs(x)
    if last in ("gamma_v", "gamma_l"):
        return 0.5 + 0.05 * x
    if last == "level_embed" or key.endswith("tgt_embed.weight"):
        return 0.5 * x
    if key == "detr.detr.bbox_embed.6.layers.2.bias":
        return np.array([0, 0, 1.2, 1.2]) + 0.05 * x
    if x.ndim == 1:
        return 1 + 0.1 * x if last == "weight" else (0.05 if last in ("bias", "in_proj_bias") else 0.1) * x
    return gain(key, x.ndim) / np.sqrt(np.prod(x.shape[1:])) * x


def gain(key: str, ndim: int) -> float:
    """The factor of a matrix or filter."""
    found = next((value for suffix, value in GAINS if key.endswith(suffix)), None)
    if found is None and ndim == 4 and ".mask_head." in key:
        return float(np.sqrt(2))
    if found is None and ".bbox_embed." in key and key.endswith(".layers.2.weight"):
        return 0.3
    return found or 1.0


@torch.no_grad()
def fill(module: nn.Module, prefix: str) -> nn.Module:
    """The component in evaluation mode, with the rule's weights. prefix: its name in the whole model."""
    for name, tensor in module.state_dict().items():
        found = find_rule("uninext", f"{prefix}.{name}")
        assert found is not None, name
        rule, keys = found
        shape = rule.part_shape(tensor.shape)
        tensor.copy_(rule.join([torch.from_numpy(draw(key, shape)) for key in keys]))
    return module.eval()


class Oracle:
    """One file of reference tensors."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.case: dict[str, Any] = _manifest(folder)["files"][f"{name}.npz"]["case"]
        self._tensors = _manifest(folder)["files"][f"{name}.npz"]["tensors"]
        self._arrays = np.load(folder / f"{name}.npz")

    def __contains__(self, name: str) -> bool:
        return name in self._arrays.files

    def names(self) -> list[str]:
        """Of all stored tensors."""
        return list(self._arrays.files)

    def array(self, name: str) -> NDArray[Any]:
        """A stored array as it is."""
        return self._arrays[name]

    def bits(self, name: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Stored bits as booleans of a shape."""
        return np.unpackbits(self._arrays[name])[: int(np.prod(shape))].reshape(shape).astype(bool)

    def difference(self, name: str, ours: Tensor) -> float:
        """Largest absolute difference of our full tensor to the stored slice."""
        entry = self._tensors[name]
        full = ours.detach().numpy()
        expected_shape = tuple(entry.get("full_shape", entry["shape"]))
        assert full.shape == expected_shape, (name, full.shape, expected_shape)
        part = full
        for text in [entry["slice"][2:-1]] if "slice" in entry else []:
            part = full[tuple(_slice(axis) for axis in text.split(","))]
        stored = self._arrays[name]
        is_infinite = np.isinf(stored)
        assert (np.isinf(part) == is_infinite).all(), name
        return float(np.abs(np.where(is_infinite, 0, part) - np.where(is_infinite, 0, stored)).max())


def _slice(text: str) -> slice:
    return slice(*(int(number) if number else None for number in text.strip().split(":")))


@cache
def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


def token_ids(ids: list[int] | NDArray[np.int64], length: int = 256) -> tuple[Tensor, Tensor]:
    """(token ids int64 [1, L], valid bool [1, L]) of unpadded ids."""
    padded = torch.zeros(1, length, dtype=torch.long)
    padded[0, : len(ids)] = torch.as_tensor(np.asarray(ids))
    return padded, torch.arange(length)[None] < len(ids)
