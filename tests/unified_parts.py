"""The unified mini model with random weights, and small miniatures of every row that it is trained or asked on."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmark import catalog, harness, prompts
from benchmark.contract import PromptedSource, SampleSet
from benchmark.formats.image_files import read_rgb
from benchmark.minidata import generate, miniatures
from benchmark.minidata.naming import world_classes
from benchmark.minidata.pools import Pools

SMALL = Pools(num_images={"train": 4, "val": 4}, num_clips={"train": 2, "val": 2})
SIZES = {"train": 4, "val": 4, "heldout": 2}


@cache
def training() -> harness.Training:
    """The resolved training of `unified:mini`."""
    return harness.load_system("unified", "mini").trainings[0]


def random_model() -> Any:
    """The mini model, the same weights every time."""
    torch.manual_seed(0)
    return harness.build_model(training())


def samples_of(name: str, root: Path) -> SampleSet:
    """A row's samples from a small miniature below `root`, written when it is first asked for."""
    row = catalog.get(name)
    if miniatures.is_generated(row):
        home = generate.ensure(root / "suite", sizes=SIZES)
    else:
        home = root / name
        if not home.is_dir():
            family = [one for one in catalog.rows() if one.layout is row.layout and one.is_train == row.is_train]
            miniatures.write(home, family, SMALL)
    prompt = prompts.build_prompt(row.task, row.label_set, named=world_classes(row.label_set))
    return catalog.open_listing(row, home, is_mini=True).samples(prompt)


def source_of(name: str, root: Path) -> PromptedSource:
    """The same as a training source."""
    row, samples = catalog.get(name), samples_of(name, root)
    return PromptedSource(
        name=name,
        size=len(samples),
        load=samples.__getitem__,
        read=lambda sample, frame: read_rgb(sample.frames[frame]),
        names=row.label_set.names,
        is_thing=tuple(bool(flag) for flag in row.label_set.is_thing),
        asked=world_classes(row.label_set),
    )
