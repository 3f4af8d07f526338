"""The same function of many values, shared out to forked processes where there is much left to do.

Processes share what the first one holds, so nothing is read twice. Which of them computes a value changes no bit of it.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

from benchmark.problems import BenchmarkError

PATIENCE = 2.0
"""Seconds of work that must be left for other processes to be started."""
Given = TypeVar("Given")
Found = TypeVar("Found")


def each(work: Callable[[Given], Found], values: Sequence[Given], workers: int) -> list[Found]:
    """What `work` makes of each value, in their order. workers: processes at most.

    The first value is always worked on alone and is not timed: what `work` prepares there, all processes have.
    """
    found: list[Found] = []
    started = time.monotonic()
    for value in values:
        done = len(found)
        if workers > 1 and done > 1 and (time.monotonic() - started) / (done - 1) * (len(values) - done) > PATIENCE:
            return [*found, *_in_processes(work, values[done:], workers)]
        found.append(work(value))
        started = started if done else time.monotonic()
    return found


def _in_processes(work: Callable[[Given], Found], values: Sequence[Given], workers: int) -> list[Found]:
    """Every process takes every n-th value, this one too."""
    context = multiprocessing.get_context("fork")
    found: dict[int, Found] = {}
    started = []
    # What is there now is never looked at by the collector, whose marks would copy every page in every process.
    gc.collect()
    gc.freeze()
    try:
        for number in range(1, workers):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_serve, args=(work, values[number::workers], theirs), daemon=True)
            process.start()
            theirs.close()
            started.append((ours, process))
        shares = [[work(value) for value in values[::workers]], *(_received(line) for line, _ in started)]
        for number, share in enumerate(shares):
            found |= {number + workers * place: one for place, one in enumerate(share)}
    finally:
        for line, process in started:
            line.close()
            process.terminate()
            process.join()
        gc.unfreeze()
    return [found[place] for place in range(len(values))]


def _serve(work: Callable[[Given], Found], values: Sequence[Given], line: Connection) -> None:
    answer: object
    try:
        answer = [work(value) for value in values]
    except Exception:
        answer = RuntimeError(f"in another process:\n{traceback.format_exc()}")
    line.send(answer)


def _received(line: Connection) -> list[Found]:
    """A share of the values. Raises what the process raised, or BenchmarkError if it is gone."""
    try:
        answer = line.recv()
    except EOFError as error:
        raise BenchmarkError(
            "a process that drew replicates was ended from outside, perhaps for want of memory. '--workers 1' needs "
            "the least memory."
        ) from error
    if isinstance(answer, BaseException):
        raise answer
    found: list[Found] = answer
    return found
