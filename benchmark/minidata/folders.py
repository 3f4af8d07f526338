"""A folder that is made once: by one process at a time, whole or not at all, and stamped with what is in it.

What is written into it is not known here; two commands that start together make it once.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.problems import DataError, Problem

STAMP = "minidata.json"


def cache() -> Path:
    """Where generated data lie: `$UNISEGBENCH_CACHE`, or `.cache` in the working directory."""
    return Path(os.environ.get("UNISEGBENCH_CACHE", ".cache")).resolve() / "minidata"


def make_once(root: Path, key: str, plan: Mapping[str, Any], fill: Callable[[Path], None]) -> Path:
    """The folder, filled unless it holds these data already.

    key: names its content. plan: what the stamp keeps beside it. fill: writes everything below a given new folder.
    A folder that holds something else, or other mini data, raises DataError and is left alone.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with _locked(root.with_name(f"{root.name}.lock")):
        if _is_whole(root, key):
            return root
        part = root.with_name(f"{root.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        fill(part)
        (part / STAMP).write_text(json.dumps({"key": key, **plan}, indent=1) + "\n", encoding="utf-8")
        part.rename(root)
    return root


def _is_whole(root: Path, key: str) -> bool:
    """Whether the root holds these mini data; False where it is absent or empty."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    stamp = root / STAMP
    if not stamp.is_file():
        message, remedy = f"no {STAMP} in a folder that is not empty", "Name a new folder for the mini data"
    elif json.loads(stamp.read_text(encoding="utf-8"))["key"] != key:
        message = "the folder holds mini data of another seed, size or version"
        remedy = "Name a new folder, or delete this one"
    else:
        return True
    raise DataError([Problem(place=str(root), message=message, remedy=f"{remedy}.")])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock, so that two commands started together generate once."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
