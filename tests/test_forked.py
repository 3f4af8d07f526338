"""Values shared out to processes come back in order, and so do their errors."""

from __future__ import annotations

import os

import numpy as np
import pytest

from benchmark import forked
from benchmark.problems import BenchmarkError


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("num", [0, 1, 2, 3, 11])
def test_values_come_back_in_order(monkeypatch: pytest.MonkeyPatch, workers: int, num: int) -> None:
    monkeypatch.setattr(forked, "PATIENCE", -1.0)
    found = forked.each(lambda row: (int(row.sum()), os.getpid()), list(np.arange(2 * num).reshape(num, 2)), workers)
    assert [one for one, _ in found] == [4 * place + 1 for place in range(num)]
    assert len({process for _, process in found}) == min(workers, max(num - 2, 1), num)


def test_little_work_stays_in_one_process() -> None:
    assert set(forked.each(lambda _: os.getpid(), range(50), 4)) == {os.getpid()}


def test_errors_of_other_processes_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "PATIENCE", -1.0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        forked.each(lambda value: 1 // (3 - value), range(6), 2)
    home = os.getpid()
    with pytest.raises(BenchmarkError, match="ended from outside"):
        forked.each(lambda _: None if os.getpid() == home else os._exit(9), range(6), 2)
