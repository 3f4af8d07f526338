"""Two runs over the same samples: the difference of every common row's main score with a paired 95 % interval.

Uses the statistics that both runs stored; nothing is predicted or measured again.
"""

from __future__ import annotations

from benchmark import catalog, intervals, store
from benchmark.problems import UsageError
from reports.records import Record, Run
from reports.summary import in_order, main_cell
from reports.tables import Cell, Score, Table


def comparison_table(run_a: Run, run_b: Run) -> Table:
    """Main scores of both runs and B minus A; raises UsageError when they have no row in common."""
    others = {record.display_name: record for record in run_b.records}
    pairs = [
        (record, others[record.display_name]) for record in in_order(run_a.records) if record.display_name in others
    ]
    if not pairs:
        raise UsageError(
            f"{run_a.folder} and {run_b.folder} have no benchmark in common. Mini and real rows are different."
        )
    names = [_name(run_a, run_b), _name(run_b, run_a)]
    rows = tuple((a.display_name, a.main_score, main_cell(a), main_cell(b), _difference(a, b)) for a, b in pairs)
    return Table(
        name="comparison",
        title=f"{names[1]} against {names[0]}, in percent" + (" (@mini)" if run_a.is_mini else ""),
        columns=("Benchmark", "Metric", names[0], names[1], "Difference"),
        rows=rows,
        note="Difference: second minus first on the same samples, with its paired 95 % interval; * marks intervals that"
        " exclude zero.",
    )


def _difference(a: Record, b: Record) -> Cell:
    if a.protocol != b.protocol or a.benchmark_version != b.benchmark_version:
        return "protocols differ"
    if not (a.is_complete and b.is_complete):
        return None
    row = catalog.get(a.benchmark)
    metric = catalog.build_metric(row, a.protocol or None)
    sides = {record.folder: list(store.open_stats(record.folder)) for record in (b, a)}
    for folder, side in sides.items():
        if not side:
            raise UsageError(f"{folder} holds no statistics. Compare whole run directories, not single record files.")
    found = intervals.paired_interval(metric, sides[b.folder], sides[a.folder], a.main_score, clusters=row.cluster)
    return Score(
        value=found.value, low=found.low, high=found.high, is_difference=True, mark="*" if found.excludes_zero else ""
    )


def _name(run: Run, other: Run) -> str:
    """The run's model, with its directory where both runs have the same model."""
    models = [next((record.model for record in one.records), "") for one in (run, other)]
    return models[0] if models[0] != models[1] else f"{models[0]} ({run.name})"
