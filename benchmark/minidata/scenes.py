"""The scene record on disk: one JSON line an image, `scenes/<split>.jsonl` beside the layouts.

A line keeps what no official label file holds (colour, pattern, depth order, hidden share) and expressions need:
`{"number": 1, "seed": ..., "size": [H, W], "regions": [...], "things": [...], "crowd": ..., "void_pixels": 0}`.
Things come back to front; `segment_id` is the id in the panoptic truth, `visible` its pixels, `mean_rgb` their colour.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Panoptic, Segment
from benchmark.minidata.render import first_thing_id
from benchmark.minidata.scene import NUM_THINGS, STUFF_KINDS, THING_KINDS, Scene
from benchmark.minidata.world import hidden_shares


def describe_scene(number: int, scene: Scene, image: NDArray[np.uint8], truth: Panoptic) -> dict[str, Any]:
    """The JSON record of one rendered scene. image: uint8 [H, W, 3]. truth: in world classes."""
    pixels, means = _measure(image, truth)
    measured = {
        segment.id: {"segment_id": segment.id, "visible": int(pixels[segment.id]), "mean_rgb": means[segment.id]}
        for segment in truth.segments
    }
    kinds = THING_KINDS + STUFF_KINDS
    hidden, _ = hidden_shares(scene.things, scene.size)
    first = first_thing_id(scene)
    things = [
        {
            "kind": thing.kind,
            "colour": thing.colour,
            "pattern": thing.pattern,
            "centre": [round(at, 2) for at in thing.centre],
            "diameter": round(thing.diameter, 2),
            "angle": round(thing.angle, 3),
            "hidden": round(float(hidden[position]), 4),
            **measured[first + position],
        }
        for position, thing in enumerate(scene.things)
    ]
    stuff = [segment for segment in truth.segments if segment.class_index >= NUM_THINGS]
    return {
        "number": number,
        "seed": scene.seed,
        "size": list(scene.size),
        "regions": [{"kind": kinds[segment.class_index], **measured[segment.id]} for segment in stuff],
        "things": things,
        "crowd": _describe_crowd(scene, truth.segments, measured),
        "void_pixels": int(pixels[0]),
    }


def _describe_crowd(scene: Scene, segments: tuple[Segment, ...], measured: dict[int, dict[str, Any]]) -> Any:
    """The crowd's entry, or None where there is none or nothing of it is seen."""
    seen = [segment for segment in segments if segment.is_crowd]
    if scene.crowd is None or not seen:
        return None
    member = scene.crowd.members[0]
    entry = {"kind": member.kind, "colour": member.colour, "num_members": len(scene.crowd.members)}
    return entry | measured[seen[0].id]


def _measure(image: NDArray[np.uint8], truth: Panoptic) -> tuple[NDArray[np.int64], list[list[int]]]:
    """Pixels and rounded mean colour by segment id, 0 (void) included."""
    ids = truth.segment_id.ravel()
    pixels = np.bincount(ids)
    sums = [np.bincount(ids, weights=image[..., channel].ravel()) for channel in range(3)]
    means = np.rint(np.stack(sums, axis=1) / np.maximum(pixels, 1)[:, None]).astype(int)
    return pixels, means.tolist()


def write(root: Path, split: str, records: Iterable[dict[str, Any]]) -> None:
    """Write the records of a split."""
    path = _path(root, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(record, separators=(",", ":")) for record in records)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(root: Path, split: str) -> Iterator[dict[str, Any]]:
    """The records of a split of a generated data root, in image order."""
    with _path(root, split).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _path(root: Path, split: str) -> Path:
    return root / "scenes" / f"{split}.jsonl"
