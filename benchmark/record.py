"""The outcome of one job as `record.json`, and where it was made.

A record is written last and whole: a directory with a valid one is a finished job. Scores are fractions, undefined ones
null. A record that misses samples has no headline number: its main score is null and `missing` lists the ids.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmark import store
from benchmark.contract import Scores

SCHEMA = 1
RECORD = "record.json"
ENVIRONMENT = "environment.json"

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "pillow",
    "opencv-python-headless",
    "pycocotools",
    "torch",
    "onedl-mmengine",
    "onedl-mmcv",
    "onedl-mmdetection",
    "transformers",
    "safetensors",
)
"""Packages whose version can move a number."""


def build(
    scores: Scores,
    *,
    main_score: str,
    intervals: Mapping[str, tuple[float, float]],
    seconds: Mapping[str, float],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """The record of a job. facts: every field that is not a result (names, hashes, versions).

    intervals: score name -> (low, high), fractions. seconds: stage -> duration.
    """
    is_complete = not scores.missing and scores.num_scored == scores.num_expected
    values = {name: number(value) for name, value in scores.values.items()}
    if not is_complete:
        values[main_score] = None
    return {
        "schema": SCHEMA,
        **facts,
        "main_score": main_score,
        "scores": values,
        "intervals": {name: [number(low), number(high)] for name, (low, high) in intervals.items()},
        "counts": {name: int(value) for name, value in scores.counts.items()},
        "per_class": {
            name: {metric: number(value) for metric, value in row.items()} for name, row in scores.per_class.items()
        },
        "num_expected": scores.num_expected,
        "num_scored": scores.num_scored,
        "missing": list(scores.missing),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }


def number(value: float) -> float | None:
    """A score for JSON: null where it is undefined."""
    return None if math.isnan(value) else float(value)


def read(directory: Path) -> dict[str, Any] | None:
    """The record of a finished job's directory; None where there is no valid one."""
    try:
        content = json.loads((directory / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_valid = isinstance(content, dict) and content.get("schema") == SCHEMA and isinstance(content.get("scores"), dict)
    return content if is_valid else None


def is_complete(content: Mapping[str, Any]) -> bool:
    """Whether every expected sample was scored."""
    return content["num_scored"] == content["num_expected"] > 0


def versions() -> dict[str, str]:
    """Versions of Python, of this suite, and of the installed packages that can move a number."""
    return dict(_versions())


@cache
def _versions() -> Mapping[str, str]:
    found = {"python": platform.python_version()}
    for name in ("unisegbench", *PACKAGES):
        try:
            found[name] = _version_of(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _version_of(name: str) -> str:
    """Version of an installed package, from the head of its metadata: parsing the rest takes longer than scoring."""
    text = metadata.distribution(name).read_text("METADATA") or ""
    lines = (line for line in text.split("\n\n", 1)[0].splitlines() if line.startswith("Version: "))
    return next(lines, "").removeprefix("Version: ").strip() or metadata.version(name)


def environment(device: str) -> dict[str, Any]:
    """Where a run is made: machine, interpreter, packages, and the commit of the suite if it is a git checkout."""
    return {
        "schema": SCHEMA,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "num_cpus": len(os.sched_getaffinity(0)),
        "device": device,
        "versions": versions(),
        "commit": commit(Path(__file__).resolve().parents[1]),
    }


def write_environment(run_directory: Path, device: str) -> None:
    """Write `environment.json` of the process that works on a run now."""
    store.write_json(run_directory / ENVIRONMENT, environment(device))


def commit(folder: Path) -> str | None:
    """Commit of a git checkout, with "-changed" when tracked files differ from it; None elsewhere."""
    head = _git(folder, ["rev-parse", "HEAD"])
    if head is None:
        return None
    changed = _git(folder, ["status", "--porcelain", "--untracked-files=no"])
    return f"{head}-changed" if changed else head


def _git(folder: Path, arguments: Iterable[str]) -> str | None:
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """The processor's name as Linux states it, or what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
