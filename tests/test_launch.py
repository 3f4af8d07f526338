"""Launchers: the same task here and under torchrun, whose processes end with their parent and report through one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import fake_harness
import pytest
import small_run

from benchmark import launch
from benchmark.problems import BenchmarkError, UsageError


@pytest.fixture(autouse=True)
def _fake_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "harness", lambda: fake_harness)


def make_task(work_dir: Path, label_set: str = "coco_panoptic") -> launch.TrainingTask:
    return launch.TrainingTask(
        system="oneformer",
        variant="mini",
        options=("a=1",),
        label_set=label_set,
        data_root="data",
        is_mini=True,
        work_dir=str(work_dir),
        seed=3,
        num_processes=2,
    )


def ignore(done: int, total: int, loss: float) -> None:
    """A report that nobody reads."""


def test_training_here_reports_every_step(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    weights = launch.get("local")(make_task(tmp_path), lambda done, total, loss: heard.append((done, total)))
    assert weights.read_text().startswith("coco_panoptic 3 8")
    assert heard == [(number, 8) for number in range(1, 9)]


def test_torchrun_gets_the_task_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, launch.main([command[-1]]))

    monkeypatch.setattr(subprocess, "run", run)
    weights = launch.get("torchrun")(make_task(tmp_path), ignore)
    assert weights.read_text().startswith("coco_panoptic 3 8")
    assert commands[0][1:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    assert json.loads(Path(commands[0][-1]).read_text()) == asdict(make_task(tmp_path)) | {"options": ["a=1"]}


def test_a_failed_process_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(BenchmarkError, match="Training coco_panoptic under torchrun ended with code 1"):
        launch.torchrun(make_task(tmp_path), ignore)


@pytest.mark.parametrize(("rank", "expected"), [("0", "Unknown options.\n"), ("1", "")])
def test_only_the_first_process_speaks(
    rank: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(name: str, variant: str, options: object) -> None:
        raise UsageError("Unknown options.")

    monkeypatch.setattr(fake_harness, "load_system", refuse)
    monkeypatch.setenv("RANK", rank)
    (tmp_path / "task.json").write_text(json.dumps(asdict(make_task(tmp_path))))
    assert launch.main([str(tmp_path / "task.json")]) == 2
    assert capsys.readouterr().err == expected


def test_started_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    """The parent starts a sleeper the way torchrun is started, tells its number, and is killed."""
    code = (
        "import subprocess, sys, time; from benchmark import launch\n"
        "child = subprocess.Popen(['sleep', '60'], preexec_fn=launch._end_with_parent)\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=small_run.ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(child)


def is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_unknown_launcher_is_named() -> None:
    with pytest.raises(UsageError, match=r"Unknown launcher 'slurm'. Known: local, torchrun."):
        launch.get("slurm")
