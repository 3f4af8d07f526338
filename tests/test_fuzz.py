"""A fixed choice of the damaged files of `make fuzz`, in a process of its own with limits of time and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_subjects import FAMILIES

TESTS = Path(__file__).parent
INPUTS = 200


@pytest.mark.parametrize("family", FAMILIES)
def test_damaged_files_are_refused_or_score_what_they_say(family: str) -> None:
    command = [sys.executable, str(TESTS / "fuzz.py"), "--inputs", str(INPUTS), "--families", family]
    run = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert f"{family}: {INPUTS} inputs" in run.stdout
