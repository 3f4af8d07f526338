"""Scoring killed with SIGKILL at several moments, alone and in processes, continues and ends with the same record."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import small_run
from replay import replayed

from benchmark import catalog
from benchmark.minidata import generate

ROW = "ade20k_semantic_val"
NUM = 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with mini data, predictions and the record of an uninterrupted command."""
    folder = tmp_path_factory.mktemp("scoring")
    root = generate.ensure(
        folder / "mini", sizes={"train": 1, "val": NUM, "heldout": 1}, image_size=(64, 64), num_workers=1
    )
    row = catalog.get(ROW)
    samples = catalog.open_samples(row, root, is_mini=True)
    catalog.write_predictions(row, folder / "found", ((one, replayed(one)) for one in samples))
    run(folder, "whole", "nobody", 0)
    return folder


def run(place: Path, name: str, who: str, after: int, *options: str) -> subprocess.CompletedProcess[str]:
    """One command with a work directory of that name."""
    script = Path(__file__).with_name("killed_scoring.py")
    call = [sys.executable, script, who, str(after), place / f"{name}.txt"]
    score = ["score", ROW, place / "found", "--data-root", place / "mini", "--work-dir", place / name, *options]
    environment = os.environ | {"PYTHONPATH": str(script.parents[1])}
    return subprocess.run(
        [str(one) for one in [*call, *score]], env=environment, capture_output=True, text=True, check=False
    )


def measured(place: Path, name: str) -> list[int]:
    """Indices of the samples that were measured, in order."""
    return [int(line) for line in (place / f"{name}.txt").read_text().split()]


def kept_and_again(place: Path, name: str, before: int) -> tuple[int, int]:
    """(samples that the first commands measured, how many of them were measured again)."""
    numbers = measured(place, name)
    return before, len(set(numbers[:before]) & set(numbers[before:]))


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("after", [0, 3, 17, NUM - 1])
def test_a_killed_command_continues_to_the_same_record(place: Path, after: int, workers: str) -> None:
    name = f"parts-{after}-{workers}"
    done = run(place, name, "parent", after, "--workers", workers)
    assert done.returncode == -signal.SIGKILL
    assert not (place / name / ROW / "record.json").exists()
    before = len(measured(place, name))
    assert run(place, name, "nobody", 0, "--workers", workers).returncode == 0
    assert small_run.without_durations(place / name / ROW) == small_run.without_durations(place / "whole" / ROW)
    assert set(measured(place, name)) == set(range(NUM))
    # Only what was in hand is measured again: a block of two, or one portion of two in each process.
    _, again = kept_and_again(place, name, before)
    assert again <= 2 * (1 + int(workers))


def test_a_command_killed_again_and_again_arrives(place: Path) -> None:
    for after in (8, 18, 28):
        assert run(place, "often", "parent", after, "--workers", "1").returncode == -signal.SIGKILL
    assert run(place, "often", "nobody", 0).returncode == 0
    assert small_run.without_durations(place / "often" / ROW) == small_run.without_durations(place / "whole" / ROW)


def test_a_process_that_dies_is_reported_and_the_command_continues(place: Path) -> None:
    done = run(place, "child", "child", 10, "--workers", "2")
    assert done.returncode == 2 and "ended from outside" in done.stderr and "Traceback" not in done.stderr
    assert run(place, "child", "nobody", 0, "--workers", "2").returncode == 0
    assert small_run.without_durations(place / "child" / ROW) == small_run.without_durations(place / "whole" / ROW)


def test_changed_predictions_are_measured_anew(place: Path) -> None:
    assert run(place, "changed", "parent", 20, "--workers", "1").returncode == -signal.SIGKILL
    before = len(measured(place, "changed"))
    path = sorted((place / "found").iterdir())[0]
    os.utime(path, ns=(1, 1))
    assert run(place, "changed", "nobody", 0, "--workers", "1").returncode == 0
    assert sorted(measured(place, "changed")[before:]) == list(range(NUM))


def test_a_finished_command_measures_again_and_writes_the_same(place: Path) -> None:
    shutil.copytree(place / "whole", place / "again")
    assert run(place, "again", "nobody", 0).returncode == 0
    assert len(measured(place, "again")) == NUM
    assert small_run.without_durations(place / "again" / ROW) == small_run.without_durations(place / "whole" / ROW)


def test_without_statistics_nothing_but_job_and_record_is_kept(place: Path) -> None:
    assert run(place, "none", "nobody", 0, "--no-stats").returncode == 0
    assert sorted(path.name for path in (place / "none" / ROW).rglob("*")) == ["job.json", "record.json"]
    assert small_run.without_durations(place / "none" / ROW) == small_run.without_durations(place / "whole" / ROW)


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_number_of_processes_that_makes_no_sense_is_refused(place: Path, number: str) -> None:
    done = run(place, "refused", "nobody", 0, "--workers", number)
    assert done.returncode == 2 and "is not a whole number from 1" in done.stderr
