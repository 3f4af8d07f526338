"""A scoring command that is killed after so many samples: python killed_scoring.py WHO AFTER NUMBERS ARGUMENTS...

WHO is killed: "parent", "child" (a process that measures) or "nobody". NUMBERS: file to which a line is appended for
every sample that is measured.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from benchmark import measuring
from benchmark.__main__ import main
from benchmark.contract import Stats

WHO, AFTER, NUMBERS = sys.argv[1], int(sys.argv[2]), sys.argv[3]
measuring.FIRST_BLOCK = measuring.SAMPLES_OF_BLOCK = measuring.PORTION = 2
measuring.PATIENCE = 0.0
MAIN = os.getpid()
usual = measuring.Work.measure


def measure(work: measuring.Work, index: int) -> tuple[Stats | None, list[measuring.Found]]:
    """Count, measure, and perhaps be killed."""
    with Path(NUMBERS).open("a+", encoding="ascii") as numbers:
        numbers.write(f"{index}\n")
        numbers.flush()
        numbers.seek(0)
        is_late = len(numbers.readlines()) > AFTER
    if WHO == "parent" and is_late:
        os.kill(MAIN, signal.SIGKILL)
    if WHO == "child" and is_late and os.getpid() != MAIN:
        os.kill(os.getpid(), signal.SIGKILL)
    return usual(work, index)


measuring.Work.measure = measure  # type: ignore[method-assign]
sys.exit(main(sys.argv[4:]))
