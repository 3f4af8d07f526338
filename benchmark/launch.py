"""Start one training here or under torchrun: launchers of one signature, `launch(task, report) -> weights`.

A started process gets the task as a JSON file and runs `python -m benchmark.launch TASK.json`. It ends with the process
that started it, so that a killed command leaves nobody writing into the run directory.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmark import store
from benchmark.problems import BenchmarkError, UsageError
from benchmark.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
TASK_FILE = "task.json"
_PR_SET_PDEATHSIG = 1

Report = Callable[[int, int, float], None]
"""Called with (iterations done, iterations in all, mean total loss since the last call)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTask:
    """One training in plain values. Paths are absolute. start_from: weights to begin with, or None."""

    system: str
    variant: str
    options: tuple[str, ...]
    label_set: str
    data_root: str
    is_mini: bool
    work_dir: str
    seed: int
    start_from: str | None = None
    num_processes: int = 1


Launcher = Callable[[TrainingTask, Report], Path]


def harness() -> Any:
    """The module that trains and predicts; importing it brings torch."""
    return importlib.import_module("benchmark.harness")


def local(task: TrainingTask, report: Report) -> Path:
    """Train in this process."""
    trainer = harness()
    system = trainer.load_system(task.system, task.variant, task.options)
    return Path(
        trainer.train(
            system.training_for(task.label_set),
            data_root=Path(task.data_root),
            is_mini=task.is_mini,
            work_dir=Path(task.work_dir),
            seed=task.seed,
            report=report,
            start_from=None if task.start_from is None else Path(task.start_from),
        )
    )


def torchrun(task: TrainingTask, report: Report) -> Path:
    """Train in `num_processes` processes of this machine; they show their own progress, `report` hears the end."""
    work_dir = Path(task.work_dir)
    store.write_json(work_dir / TASK_FILE, asdict(task))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={task.num_processes}"]
    command += ["-m", "benchmark.launch", str(work_dir / TASK_FILE)]
    code = subprocess.run(command, cwd=ROOT, preexec_fn=_end_with_parent, check=False).returncode
    if code:
        raise BenchmarkError(
            f"Training {task.label_set} under torchrun ended with code {code}; its messages are above."
        )
    weights = work_dir / harness().FINAL_WEIGHTS
    if not weights.is_file():
        raise BenchmarkError(f"Training {task.label_set} under torchrun left no {weights}.")
    report(1, 1, float("nan"))
    return weights


LAUNCHERS: Mapping[str, Launcher] = MappingProxyType({"local": local, "torchrun": torchrun})
"""Launcher names of the command line."""


def get(name: str) -> Launcher:
    """The launcher of that name; raises UsageError."""
    if name not in LAUNCHERS:
        raise UsageError(f"Unknown launcher {name!r}. Known: {', '.join(LAUNCHERS)}.")
    return LAUNCHERS[name]


def show_training(label_set: str) -> tuple[Progress, Report]:
    """A progress display and the report function that feeds it."""
    progress = Progress(f"train {label_set}")

    def report(done: int, total: int, loss: float) -> None:
        progress.update(done, total, "" if loss != loss else f"loss {loss:.3f}")

    return progress, report


def _end_with_parent() -> None:
    """Ask Linux to end this process, and torchrun to end its workers, when the parent is gone."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _silent(done: int, total: int, loss: float) -> None:
    """Report nothing: another process shows the progress."""


def main(arguments: list[str]) -> int:
    """Run the task of a file in this process, one of several."""
    content = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    task = TrainingTask(**content | {"options": tuple(content["options"])})
    is_first = os.environ.get("RANK", "0") == "0"
    progress, report = show_training(task.label_set)
    try:
        with progress:
            local(task, report if is_first else _silent)
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n" if is_first else "")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
