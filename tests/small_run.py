"""A small set of mini data and quick jobs on it, shared by the tests of jobs, the matrix and the suite."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmark.minidata import generate

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"train": 6, "val": 10, "heldout": 1}


def make_data(folder: Path) -> Path:
    """A data root with ten validation scenes."""
    return generate.ensure(folder / "mini", sizes=SIZES, image_size=(64, 64), num_workers=1)


def without_durations(directory: Path) -> dict[str, Any]:
    """The record of a job without what may differ between two equal jobs."""
    content = json.loads((directory / "record.json").read_text())
    del content["seconds"]
    return dict(content)


def start(*arguments: str | Path, pause: float = 0.0, has_report: bool = False) -> subprocess.Popen[str]:
    """Start the suite with the fake system in a process of its own."""
    environment = os.environ | {"FAKE_HARNESS_PAUSE": str(pause), "PYTHONPATH": str(ROOT)}
    environment |= {} if has_report else {"FAKE_HARNESS_NO_REPORT": "1"}
    command = [sys.executable, str(ROOT / "tests" / "fake_harness.py"), *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def kill_when(process: subprocess.Popen[str], path: Path, num_lines: int, seconds: float = 60.0) -> None:
    """Send SIGKILL as soon as a file has that many lines."""
    deadline = time.monotonic() + seconds
    while not (path.is_file() and path.read_bytes().count(b"\n") >= num_lines):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            output, errors = process.communicate()
            raise AssertionError(f"{path} never had {num_lines} lines\n{output}\n{errors}")
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
