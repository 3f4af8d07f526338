"""Damage to single files of a sound data root and of predictions for it, and what scoring the predictions then says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layout_scenes import replay, write_root

from benchmark import catalog
from benchmark.__main__ import main
from benchmark.contract import Task
from benchmark.formats.image_files import read_rgb, write_png

FOUND_COCO = "found/coco_instance_val2017.json"
CITY_TEXT = "found/cityscapes_instance_val/minitown_000001_000019_pred.txt"
INSTANCES = "coco/annotations/instances_val2017.json"
PANOPTIC = "coco/annotations/panoptic_val2017.json"
MAPS = "coco/annotations/panoptic_val2017"
CITY = "cityscapes/gtFine/val/minitown/minitown_000001_000019_gtFine"
ADE = "ade20k/ADEChallengeData2016"

Damage = Callable[[Path], object]
Case = tuple[str, Damage, list[str]]
"""The row to score, the damage, and a part of each line that must come of it."""


def write_sound_root(folder: Path) -> Path:
    """A sound data root and, in `found`, predictions of every row."""
    root = write_root(folder, ["val"])
    for row in filter(catalog.is_of_the_suite, catalog.BENCHMARKS.values()):
        samples = catalog.open_samples(row, root, is_mini=True)
        catalog.write_predictions(row, found_path(root, row.name), [(sample, replay(sample)) for sample in samples])
    return root


def found_path(root: Path, name: str) -> Path:
    """Folder or file of the predictions of one row."""
    row = catalog.get(name)
    is_folder = row.task is Task.SEMANTIC or (row.task is Task.INSTANCE and row.dataset == "cityscapes")
    return root / "found" / (name if is_folder else f"{name}.json")


def edit(path: str, change: Callable[[Any], object]) -> Damage:
    """Change a JSON document."""

    def damage(root: Path) -> None:
        document = json.loads((root / path).read_text(encoding="utf-8"))
        change(document)
        (root / path).write_text(json.dumps(document), encoding="utf-8")

    return damage


def cut(path: str) -> Damage:
    """Leave out the last 40 bytes of a file."""
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:-40])


def remove(path: str) -> Damage:
    """Delete a file."""
    return lambda root: (root / path).unlink()


def paint(path: str, color: tuple[int, int, int]) -> Damage:
    """Give the first four pixels of a PNG another colour."""

    def damage(root: Path) -> None:
        pixels = read_rgb(root / path)
        pixels[0, :4] = color
        write_png(root / path, pixels)

    return damage


def paint_over(path: str, number: int, new: int) -> Damage:
    """Give all pixels of a segment to another one."""

    def damage(root: Path) -> None:
        pixels = read_rgb(root / path)
        pixels[pixels[..., 0] == number] = (new, 0, 0)
        write_png(root / path, pixels)

    return damage


def shrink(path: str) -> Damage:
    """Leave out the last row of a PNG."""
    return lambda root: write_png(root / path, read_rgb(root / path)[:-1])


def set_fields(position: int, **fields: Any) -> Callable[[Any], object]:
    """A change of one annotation, counted from 0."""
    return lambda document: document["annotations"][position].update(fields)


def set_segment(position: int, **fields: Any) -> Callable[[Any], object]:
    """A change of one segment of the first annotation, counted from 0."""
    return lambda document: document["annotations"][0]["segments_info"][position].update(fields)


def score_found(root: Path, name: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit code and the lines on standard error of scoring the stored predictions; nothing may be written."""
    work = root.parent / "work"
    out = root.parent / "out.json"
    arguments = ["score", name, str(found_path(root, name)), "--data-root", str(root), "--work-dir", str(work)]
    code = main([*arguments, "--out", str(out)])
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("  scoring")]
    assert code == 0 or not (work.exists() or out.exists())
    return code, errors


def assert_refused(case: Case, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scoring a damaged root says each expected line once and no other, and exits with 2, or 0 if none is expected."""
    name, damage, messages = case
    damage(root)
    code, errors = score_found(root, name, capsys)
    assert (code, len(errors)) == (2 if messages else 0, len(messages)), errors
    for message in messages:
        assert sum(message in line for line in errors) == 1, errors
    assert all(". " in line for line in errors)
