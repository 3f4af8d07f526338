"""MMEngine hooks of a training run: seeding by iteration, resume points, logs, a stop at non-finite losses.

MMEngine's own checkpoint and logger hooks are not used: they replace files in place and keep their own random state.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

RESUME_FILE = "latest.pth"
SCALARS_FILE = "scalars.json"

Report = Callable[[int, int, float], None]
"""Called with (iterations done, iterations in all, mean total loss since the last call)."""


class SeedEachIteration(Hook):
    """Seed torch from (seed, iteration, rank), so that sampled points and dropout do not depend on the history."""

    priority = "VERY_HIGH"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed before the forward pass."""
        state = np.random.SeedSequence([self._seed, 3, runner.iter, get_rank()]).generate_state(2, np.uint32)
        torch.manual_seed(int(state[0]) << 32 | int(state[1]))


class StopOnNonFiniteLoss(Hook):
    """End the run at the first loss that is not finite, naming the term, the iteration and the batch's samples."""

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Raise FloatingPointError; the checkpoint of the last good iterations stays."""
        broken = [name for name, value in (outputs or {}).items() if not math.isfinite(value.item())]
        if broken:
            raise FloatingPointError(
                f"{', '.join(broken)} not finite at iteration {runner.iter + 1}, samples {data_batch['sample_ids']}; "
                "lower the learning rate or switch mixed precision off"
            )


class ResumePoint(Hook):
    """Write `latest.pth` every `interval` iterations and at the end, replacing the former one in one step.

    A kill at any moment leaves either the old or the new file, never half of one.
    """

    priority = "VERY_LOW"

    def __init__(self, interval: int) -> None:
        self._interval = interval

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save when the interval or the run ends."""
        done = runner.iter + 1
        if done % self._interval and done != runner.max_iters:
            return
        runner.save_checkpoint(
            runner.work_dir,
            "latest.pth.partial",
            save_optimizer=True,
            save_param_scheduler=True,
            by_epoch=False,
            meta={"iter": done},
        )
        if get_rank() == 0:
            partial = Path(runner.work_dir) / "latest.pth.partial"
            partial.replace(partial.with_suffix(""))


class ScalarLog(Hook):
    """Append losses and learning rates to `scalars.json` (one JSON object a line) and report progress.

    report: called with (iterations done, iterations in all, total loss) every `interval` iterations.
    """

    def __init__(self, path: Path, *, interval: int, report: Report) -> None:
        self._path, self._interval, self._report = path, interval, report
        self._sums: dict[str, float] = {}
        self._count = 0
        self._last = time.monotonic()

    def before_train(self, runner: Any) -> None:
        """Drop lines after the iteration the run resumes from: they will be written again."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= runner.iter]
        if get_rank() == 0:
            self._path.write_text("".join(f"{line}\n" for line in kept))
        self._last = time.monotonic()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Add this iteration's losses; write their means at the interval."""
        for name, value in (outputs or {}).items():
            self._sums[name] = self._sums.get(name, 0.0) + value.item()
        self._count += 1
        done = runner.iter + 1
        if done % self._interval and done != runner.max_iters:
            return
        means = {name: value / self._count for name, value in self._sums.items()}
        now = time.monotonic()
        line = {"step": done, **means, "lr": max(runner.optim_wrapper.get_lr()["lr"]), "seconds": now - self._last}
        if get_rank() == 0:
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self._report(done, runner.max_iters, means.get("loss", math.nan))
        self._sums, self._count, self._last = {}, 0, now
