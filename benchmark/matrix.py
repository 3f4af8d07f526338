"""The task-prompt matrix: the same weights asked under every task sentence, each answer scored by every task's metric.

A cell is a job whose prompt names another task than the one that is scored; the cell that is asked rightly is the row's
own job. Differences are asked otherwise minus asked rightly, with a paired 95 % interval over the samples.

```text
matrix/<benchmark>.asked_<task>/   job.json, predictions, stats, record.json
matrix/matrix.json                 {"schema": 1, "label_set": ..., "cells": [{"benchmark", "scored", "asked", "metric",
                                    "value", "difference", "interval": [low, high]}]}
```
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import catalog, intervals, record, store
from benchmark.catalog import Benchmark
from benchmark.contract import Task

FOLDER = "matrix"
MATRIX = "matrix.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One finished job of the matrix. asked: task of the sentence. directory: where the job is."""

    row: Benchmark
    asked: Task
    directory: Path

    @property
    def is_asked_rightly(self) -> bool:
        """The sentence names the task that is scored."""
        return self.asked == self.row.task


def plan_cells(rows: Iterable[Benchmark], run_directory: Path) -> tuple[Cell, ...]:
    """Every row under every task sentence of the given rows, row by row."""
    chosen = tuple(rows)
    asked = tuple(dict.fromkeys(row.task for row in chosen))
    return tuple(
        Cell(row=row, asked=task, directory=_directory(run_directory, row, task)) for row in chosen for task in asked
    )


def _directory(run_directory: Path, row: Benchmark, asked: Task) -> Path:
    if asked == row.task:
        return run_directory / row.name
    return run_directory / FOLDER / f"{row.name}.asked_{asked}"


def compare(cells: Sequence[Cell], label_set: str, *, resamples: int = 1000) -> dict[str, Any]:
    """Content of `matrix.json` from finished jobs. resamples: replicates of the intervals."""
    rightly = {cell.row.name: cell for cell in cells if cell.is_asked_rightly}
    return {
        "schema": record.SCHEMA,
        "label_set": label_set,
        "cells": [_compare(cell, rightly[cell.row.name], resamples) for cell in cells],
    }


def _compare(cell: Cell, rightly: Cell, resamples: int) -> dict[str, Any]:
    """One cell as JSON values; the rightly asked one has no difference."""
    content = record.read(cell.directory) or {}
    name = cell.row.main_score
    found = {
        "benchmark": cell.row.name,
        "scored": str(cell.row.task),
        "asked": str(cell.asked),
        "metric": name,
        "value": content.get("scores", {}).get(name),
        "difference": None,
        "interval": None,
    }
    if cell.is_asked_rightly or found["value"] is None:
        return found
    metric = catalog.build_metric(cell.row, content["protocol"])
    otherwise, right = (list(store.open_stats(one.directory)) for one in (cell, rightly))
    paired = intervals.paired_interval(metric, otherwise, right, name, resamples=resamples, clusters=cell.row.cluster)
    if not math.isnan(paired.value):
        found |= {"difference": paired.value, "interval": [record.number(paired.low), record.number(paired.high)]}
    return found
