"""Two runs over the same samples: the difference of scores with a paired 95 % interval and a p-value.

Uses the statistics that both runs stored; nothing is predicted or measured again. A run is a run directory or what
`python -m benchmark score --work-dir DIR` left. Samples of one video are drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmark import catalog, intervals, metrics, store
from benchmark.intervals import Interval
from benchmark.problems import UsageError
from reports.records import Record, Run
from reports.summary import in_order, main_cell, score_cell
from reports.tables import Cell, Score, Table

COLUMNS = ("Difference", "p", "Better")
NOTE = (
    "Difference: second minus first on the same samples, with its paired 95 % interval; * marks intervals that exclude"
    " zero, and only then one of the two is called better. p: two-sided, by the same bootstrap."
)
Row = tuple[Cell, ...]


def comparison_table(run_a: Run, run_b: Run, *, every_score: bool = False) -> Table:
    """Scores of both runs and B minus A; raises UsageError when they have no row in common.

    every_score: a line for each score of a benchmark instead of its main score alone.
    """
    others = {record.display_name: record for record in run_b.records}
    pairs = [
        (record, others[record.display_name]) for record in in_order(run_a.records) if record.display_name in others
    ]
    if not pairs:
        raise UsageError(
            f"{run_a.folder} and {run_b.folder} have no benchmark in common. Mini and real rows are different."
        )
    names = _name(run_a, run_b), _name(run_b, run_a)
    rows = tuple(row for a, b in pairs for row in _rows(a, b, names, every_score=every_score))
    return Table(
        name="comparison",
        title=f"{names[1]} against {names[0]}, in percent" + (" (@mini)" if run_a.is_mini else ""),
        columns=("Benchmark", "Metric", *names, *COLUMNS),
        rows=rows,
        note=NOTE,
    )


def _rows(a: Record, b: Record, names: tuple[str, str], *, every_score: bool) -> Iterator[Row]:
    if a.protocol != b.protocol or a.benchmark_version != b.benchmark_version:
        yield (a.display_name, a.main_score, main_cell(a), main_cell(b), "protocols differ", None, None)
        return
    if not (a.is_complete and b.is_complete):
        yield (a.display_name, a.main_score, main_cell(a), main_cell(b), None, None, None)
        return
    wanted = tuple(a.scores) if every_score else (a.main_score,)
    for score, found in _differences(a, b, wanted).items():
        sides = score_cell(a, score), score_cell(b, score)
        yield (a.display_name, score, *sides, *_verdict(a, score, found, names))


def _differences(a: Record, b: Record, wanted: tuple[str, ...]) -> dict[str, Interval]:
    """Score -> b minus a."""
    row = catalog.get(a.benchmark)
    metric = catalog.build_metric(row, a.protocol or None)
    sides = {record.folder: list(store.open_stats(record.folder)) for record in (b, a)}
    for folder, side in sides.items():
        if not side:
            raise UsageError(f"{folder} holds no statistics. Compare whole run directories, not single record files.")
    return intervals.paired_intervals(metric, sides[b.folder], sides[a.folder], clusters=row.cluster, names=wanted)


def _verdict(record: Record, score: str, found: Interval, names: tuple[str, str]) -> Row:
    """The difference, its p-value, and which of the two runs is better, if one is."""
    is_clear = found.excludes_zero
    mark = "*" if is_clear else ""
    cell = Score(value=found.value, low=found.low, high=found.high, is_difference=True, mark=mark)
    entry = metrics.METRICS[catalog.get(record.benchmark).metric]
    better = names[int((found.value > 0) == entry.is_higher_better(score))] if is_clear else None
    return cell, None if math.isnan(found.p_value) else f"{found.p_value:.3f}", better


def _name(run: Run, other: Run) -> str:
    """The run's model, with its directory where both runs have the same model."""
    models = [next((record.model for record in one.records), "") for one in (run, other)]
    return models[0] if models[0] != models[1] else f"{models[0]} ({run.name})"
