"""Write the mini data to disk in every official layout, once, and find it again.

```text
<root>/coco  <root>/ade20k/ADEChallengeData2016  <root>/cityscapes     splits train and val
<root>/heldout/coco ...                                               the held-out scenes, as a val split of their own
<root>/scenes/{train,val,heldout}.jsonl                               what the layouts cannot hold
<root>/minidata.json                                                  written last: the data are whole
```

The same scenes, pixel for pixel, stand in every layout. Two processes share the work; the files do not depend on how.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmark import labels
from benchmark.annotated import AnnotatedImage
from benchmark.formats import ade20k, cityscapes, coco
from benchmark.minidata import scenes
from benchmark.minidata.folders import cache, make_once
from benchmark.minidata.naming import relabel
from benchmark.minidata.scene import WORLD_VERSION
from benchmark.minidata.world import render, sample_scene, scene_seed
from benchmark.progress import Progress

SIZES: Mapping[str, int] = MappingProxyType({"train": 3000, "val": 200, "heldout": 100})
"""Number of scenes of each split."""
IMAGE_SIZE = (128, 128)
CHUNK = 25

LAYOUTS = MappingProxyType(
    {
        "coco_panoptic": (coco, "coco"),
        "ade20k": (ade20k, "ade20k/ADEChallengeData2016"),
        "cityscapes": (cityscapes, "cityscapes"),
    }
)
"""Label set -> (layout module, its folder in a data root)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a data root holds; equal plans give equal files. sizes: (split, number of scenes) pairs, sorted."""

    seed: int
    sizes: tuple[tuple[str, int], ...]
    image_size: tuple[int, int]
    world_version: int = WORLD_VERSION

    def key(self) -> str:
        """Short hash of the plan; names the cache folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def ensure(
    root: Path | None = None,
    *,
    seed: int = 0,
    sizes: Mapping[str, int] = SIZES,
    image_size: tuple[int, int] = IMAGE_SIZE,
    num_workers: int = 2,
) -> Path:
    """The data root of the mini data, generated unless it is there already.

    root: where to put it; None: `$UNISEGBENCH_CACHE` or `.cache` in the working directory, under a name that hashes
    what is in it. sizes: scenes of each split. image_size: (height, width). A folder that holds something else, or
    other mini data, raises DataError and is left alone.
    """
    plan = Plan(seed=seed, sizes=tuple(sorted(sizes.items())), image_size=image_size)
    key = plan.key()
    if root is None:
        root = cache() / key
    return make_once(root, key, asdict(plan), lambda folder: _generate(folder, plan, num_workers))


def _generate(root: Path, plan: Plan, num_workers: int) -> None:
    """Draw every scene into every layout, then write the index files and the scene records."""
    chunks = [
        (str(root), plan.seed, plan.image_size, split, range(first, min(first + CHUNK, size + 1)))
        for split, size in plan.sizes
        for first in range(1, size + 1, CHUNK)
    ]
    records: dict[tuple[str, str], list[Any]] = {}
    total, done = sum(size for _, size in plan.sizes), 0
    with Progress("mini data") as progress:
        for (_, _, _, split, numbers), drawn in zip(chunks, _map(chunks, num_workers), strict=True):
            for name, entries in drawn.items():
                records.setdefault((split, name), []).extend(entries)
            done += len(numbers)
            progress.update(done, total, "scenes")
    for split, _ in plan.sizes:
        scenes.write(root, split, records[split, "scenes"])
        for name, (layout, _) in LAYOUTS.items():
            layout.write_index(_folder(root, split, name), _official(split), records[split, name], labels.load(name))


def _map(chunks: list[Any], num_workers: int) -> Iterator[dict[str, list[Any]]]:
    """Results of `_write_chunk` in the order of the chunks."""
    if num_workers < 2:
        yield from map(_write_chunk, chunks)
        return
    # a forked child would inherit the locks of a parent's thread pools
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_chunk, chunks)


def _write_chunk(chunk: tuple[str, int, tuple[int, int], str, range]) -> dict[str, list[Any]]:
    """Draw some scenes and write their files; returns index records by label set, and scene records."""
    root, seed, image_size, split, numbers = Path(chunk[0]), chunk[1], chunk[2], chunk[3], chunk[4]
    records: dict[str, list[Any]] = {name: [] for name in (*LAYOUTS, "scenes")}
    for number in numbers:
        scene = sample_scene(scene_seed(seed, split, number), split, image_size)
        image, truth = render(scene)
        records["scenes"].append(scenes.describe_scene(number, scene, image, truth))
        for name, (layout, _) in LAYOUTS.items():
            label_set = labels.load(name)
            annotated = AnnotatedImage(number=number, image=image, panoptic=relabel(truth, label_set))
            records[name].append(layout.write_image(_folder(root, split, name), _official(split), annotated, label_set))
    return records


def _folder(root: Path, split: str, name: str) -> Path:
    """The layout's folder; the held-out scenes get a data root of their own."""
    return (root / "heldout" if split == "heldout" else root) / LAYOUTS[name][1]


def _official(split: str) -> str:
    """The split's name in the layouts, which know no third one."""
    return "val" if split == "heldout" else split
