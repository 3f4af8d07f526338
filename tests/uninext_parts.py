"""The mini model of UNINEXT's configuration with random weights, saved as a file the suite can evaluate."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from benchmark import harness


@cache
def training(variant: str = "mini") -> harness.Training:
    """The resolved training of a variant of `uninext`."""
    return harness.load_system("uninext", variant).trainings[0]


def random_model() -> Any:
    """The mini model, the same weights every time."""
    torch.manual_seed(0)
    return harness.build_model(training())


def random_file(path: Path) -> Path:
    """Its weights in our own layout."""
    save_file({name: tensor.contiguous() for name, tensor in random_model().state_dict().items()}, path)
    return path
