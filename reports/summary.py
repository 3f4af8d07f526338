"""Which tables a run is worth: headline, published numbers, all scores, per class, task-prompt matrix, provenance.

Rows follow the catalogue. Mini numbers keep `@mini` in the row's name, and stand apart from published numbers, which
were measured on the real benchmark. A record with missing samples shows its coverage instead of scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from benchmark import catalog
from reports.published import PublishedNumber, headline, lookup, merge_sources
from reports.records import MatrixCell, Record, Run
from reports.tables import Cell, Score, Table

TASKS = ("panoptic", "instance", "semantic")
"""Of one picture and a vocabulary; the task-prompt matrix crosses them."""
FAMILIES = (*TASKS, "detection", "referring", "grounding", "sot", "vos", "mot", "mots", "vis", "rvos")
"""Every task in the order of a report."""

Item = TypeVar("Item")


def headline_table(runs: Sequence[Run], numbers: Sequence[PublishedNumber]) -> Table:
    """A row per benchmark: main score of every run with its 95 % interval, trivial baselines, the best published."""
    models = _column_names(runs)
    baselines = _unique(record.model for run in runs for record in run.baselines)
    rows = []
    for name in benchmark_names([record for run in runs for record in (*run.records, *run.baselines)]):
        ours = [_find(run.records, name) for run in runs]
        trivial = [_find([r for run in runs for r in run.baselines if r.model == model], name) for model in baselines]
        first = next(record for record in (*ours, *trivial) if record)
        asked = _unique((record.system, record.variant) for record in ours if record)
        best = [headline(numbers, first.benchmark, s, first.main_score, variant=v) for s, v in asked]
        rows.append(
            (
                name,
                first.main_score,
                *(main_cell(record) for record in (*ours, *trivial)),
                first.num_expected,
                next((_published_cell(number) for number in best if number), None),
            )
        )
    num_models = len(models) + len(baselines)
    rows += [(name, None, *[None] * num_models, reason, None) for name, reason in _not_run(runs).items()]
    is_published = any(row[-1] is not None for row in rows)
    is_mini = any(run.is_mini for run in runs)
    real = "Published (real data)" if is_mini else "Published"
    return Table(
        name="headline",
        title=f"Main scores in percent{_mini_title(runs)}",
        columns=("Benchmark", "Metric", *models, *baselines, "Samples", *([real] if is_published else [])),
        rows=tuple(row if is_published else row[:-1] for row in rows),
        note="In brackets: 95 % interval, resampled over the samples."
        + (_MINI_NOTE if is_mini else "")
        + (_APART_NOTE if is_mini and is_published else "")
        + ("" if all(r.truth_is_official or r.is_mini for run in runs for r in run.records) else _OWN_TRUTH_NOTE),
    )


_MINI_NOTE = (
    " Rows with @mini were measured on the generated miniature in the benchmark's official layout, not on the benchmark"
    " itself."
)
_OWN_TRUTH_NOTE = (
    " Truth was given with --truth: these samples are not the official split that published numbers are of."
)
_APART_NOTE = " They cannot be compared with the published column, which is the best released model of the same system."


def published_table(runs: Sequence[Run], numbers: Sequence[PublishedNumber]) -> Table:
    """What was printed for the released models of the runs' systems on the runs' benchmarks."""
    records = [record for run in runs for record in run.records]
    rows: list[tuple[Cell, ...]] = []
    for benchmark, system in _unique((record.benchmark, record.system) for record in in_order(records)):
        found = [number for number in lookup(numbers, benchmark, system=system) if number.unit == "fraction"]
        for number in sorted(merge_sources(found), key=lambda n: (n.variant, n.metric, n.protocol)):
            rows.append(
                (
                    number.benchmark,
                    f"{number.system}:{number.variant}",
                    number.metric,
                    Score(value=number.value),
                    number.protocol,
                    number.source,
                    number.note or None,
                )
            )
    return Table(
        name="published",
        title="Published numbers on the real benchmarks, in percent",
        columns=("Benchmark", "Model", "Metric", "Value", "Protocol", "Source", "Note"),
        rows=tuple(rows),
    )


def scores_table(records: Sequence[Record], task: str) -> Table:
    """Every score of one task: a row per record, a column per metric name."""
    records = [record for record in records if record.task == task]
    metrics = _unique(metric for record in records for metric in record.scores)
    models = _unique(record.model for record in records)
    rows = []
    for record in in_order(records):
        cells = [score_cell(record, metric) if record.is_complete else None for metric in metrics]
        model = (record.model,) if len(models) > 1 else ()
        rows.append((record.display_name, *model, *cells, coverage(record)))
    of_one = f" of {models[0]}" if len(models) == 1 else ""
    return Table(
        name=f"scores_{task}",
        title=f"All {task} scores{of_one} in percent"
        + (" (@mini)" if any(record.is_mini for record in records) else ""),
        columns=("Benchmark", *(("Model",) if len(models) > 1 else ()), *metrics, "Scored"),
        rows=tuple(rows),
    )


def per_class_table(record: Record) -> Table:
    """Scores of the classes of one record, best first; classes without any score are counted in the note."""
    metrics = sorted(
        _unique(metric for row in record.per_class.values() for metric in row), key=lambda m: m != class_metric(record)
    )
    shown = [(n, row) for n, row in record.per_class.items() if any(not math.isnan(v) for v in row.values())]
    if metrics:
        lowest = -math.inf
        shown.sort(key=lambda item: _or(item[1].get(metrics[0], math.nan), lowest), reverse=True)
    hidden = len(record.per_class) - len(shown)
    rows = tuple(
        (name, *(Score(value=row[metric]) if metric in row else None for metric in metrics)) for name, row in shown
    )
    return Table(
        name=f"per_class_{record.display_name}",
        title=f"{record.display_name}: scores per class in percent, {record.model}{of_samples(record)}",
        columns=("Class", *metrics),
        rows=rows,
        note=f"Left out, because neither truth nor predictions hold them: {hidden} of {len(record.per_class)} classes."
        if hidden
        else "",
    )


def class_metric(record: Record) -> str:
    """The score of a class that belongs to the record's main score: that one, IoU for mIoU, or the first there is."""
    known = _unique(metric for row in record.per_class.values() for metric in row)
    wanted = (record.main_score, record.main_score.removeprefix("m"))
    return next((metric for metric in wanted if metric in known), known[0] if known else "")


def matrix_table(run: Run) -> Table:
    """Task-prompt matrix: a row per task sentence, a column per metric; differences are paired with asking rightly."""
    columns = _unique((cell.benchmark, cell.scored, cell.metric) for cell in run.matrix)
    asked = [task for task in TASKS if any(cell.asked == task for cell in run.matrix)]
    heads, rows = [], []
    for _, _, metric in columns:
        heads += [metric, f"\N{GREEK CAPITAL LETTER DELTA} {metric}"]
    for task in asked:
        cells: list[Cell] = []
        for key in columns:
            cell = next((c for c in run.matrix if (c.benchmark, c.scored, c.metric) == key and c.asked == task), None)
            cells += [None if cell is None else Score(value=cell.value), difference_cell(cell)]
        rows.append((f"the task is {task}", *cells))
    names = ", ".join(_unique(display_name(run, benchmark) for benchmark, _, _ in columns))
    return Table(
        name="task_prompt_matrix",
        title=f"The same weights asked under each task sentence{_mini_title([run])}",
        columns=("Asked", *heads),
        rows=tuple(rows),
        note=f"Measured on {names}. Differences are to the same metric asked rightly, with a paired 95 % interval"
        " over the samples; * marks intervals that exclude zero.",
    )


def published_matrix_table(numbers: Sequence[PublishedNumber], system: str) -> Table:
    """What the paper prints for one set of weights under each task sentence, on the real benchmark."""
    settings = [f"asked as {task}" for task in TASKS]
    found = [number for number in numbers if number.system == system and number.setting in settings]
    columns = _unique((number.benchmark, number.metric) for number in found)
    rows: list[tuple[Cell, ...]] = []
    for task, setting in zip(TASKS, settings, strict=True):
        cells = [
            next((Score(value=n.value) for n in found if (n.benchmark, n.metric) == key and n.setting == setting), None)
            for key in columns
        ]
        rows.append((f"the task is {task}", *cells))
    origin = ", ".join(_unique(f"{number.system}:{number.variant}, {number.source}" for number in found))
    parts = _unique(part for number in found for part in number.note.split("; ") if "misprint" in part)
    return Table(
        name="published_task_prompt_matrix",
        title=f"The same question in print, on the real ADE20K: {origin}",
        columns=("Asked", *(metric for _, metric in columns)),
        rows=tuple(rows) if found else (),
        note=f"PQ asked as panoptic: {'; '.join(parts)}." if parts else "",
    )


def difference_cell(cell: MatrixCell | None) -> Cell:
    """The paired difference of a matrix cell, marked when its interval excludes zero; a dash on the diagonal."""
    if cell is None or math.isnan(cell.difference):
        return None
    is_clear = cell.high < 0 or cell.low > 0
    return Score(value=cell.difference, low=cell.low, high=cell.high, is_difference=True, mark="*" if is_clear else "")


def baselines_table(run: Run) -> Table:
    """Main scores of the trivial baselines with intervals: a row per baseline, a column per benchmark."""
    names = benchmark_names(run.baselines)
    models = _unique(record.model for record in run.baselines)
    rows = tuple(
        (model, *(main_cell(_find([r for r in run.baselines if r.model == model], name)) for name in names))
        for model in models
    )
    return Table(
        name="baselines",
        title=f"Trivial baselines, main scores in percent{_mini_title([run])}",
        columns=("Baseline", *names),
        rows=rows,
        note="colour_clusters: connected components of similar colour, named by size and mean colour."
        " most_frequent_class: looks at nothing.",
    )


_PROVENANCE = (
    *("Benchmark", "Model", "Protocol", "Benchmark version", "Scored", "Truth"),
    *("Checkpoint sha256", "Config hash", "Seed", "Device", "Time"),
)


def provenance_table(records: Sequence[Record]) -> Table:
    """Where each number comes from: protocol, versions, hashes, seed, device and duration."""
    rows = []
    for record in in_order(records):
        rows.append(
            (
                record.display_name,
                record.model,
                record.protocol or None,
                f"v{record.benchmark_version}",
                coverage(record),
                _truth(record),
                _short(record.checkpoint_sha256),
                _short(record.config_hash),
                record.seed,
                record.device or None,
                _duration(record.seconds),
            )
        )
    return Table(
        name="provenance",
        title="Where the numbers come from" + (" (@mini)" if any(record.is_mini for record in records) else ""),
        columns=_PROVENANCE,
        rows=tuple(rows),
    )


def main_cell(record: Record | None) -> Cell:
    """Main score with its interval; coverage when samples are missing; None when there is no record."""
    return None if record is None else score_cell(record, record.main_score)


def coverage(record: Record) -> str:
    """`200/200`: scored of expected samples."""
    return f"{record.num_scored:,}/{record.num_expected:,}"


def of_samples(record: Record) -> str:
    """What to add to the title of numbers that do not come from all samples."""
    return "" if record.is_complete else f", only {coverage(record)} samples"


def benchmark_names(records: Sequence[Record]) -> tuple[str, ...]:
    """Display names in catalogue order."""
    return _unique(record.display_name for record in in_order(records))


def display_name(run: Run, benchmark: str) -> str:
    """The benchmark's name as its record shows it, `@mini` included."""
    known = {record.benchmark: record.display_name for record in (*run.baselines, *run.records)}
    return known.get(benchmark, f"{benchmark}@mini" if run.is_mini else benchmark)


def score_cell(record: Record, metric: str) -> Cell:
    """One score with its interval; coverage when samples are missing; None for a score that the record lacks."""
    if not record.is_complete:
        return f"{coverage(record)} scored"
    if metric not in record.scores:
        return None
    low, high = record.intervals.get(metric, (math.nan, math.nan))
    return Score(value=record.scores[metric], low=low, high=high, is_brief=metric != record.main_score)


def _published_cell(number: PublishedNumber) -> Score:
    return Score(value=number.value, mark=f"({number.variant})")


def _column_names(runs: Sequence[Run]) -> list[str]:
    """One heading per run: its model, with the directory's name where two runs share a model."""
    models = [next((record.model for record in run.records), run.name) for run in runs]
    return [
        model if models.count(model) == 1 else f"{model} ({run.name})" for model, run in zip(models, runs, strict=True)
    ]


def _find(records: Sequence[Record], display: str) -> Record | None:
    return next((record for record in records if record.display_name == display), None)


def in_order(records: Iterable[Record]) -> list[Record]:
    """Records in catalogue order."""
    order = {name: position for position, name in enumerate(catalog.BENCHMARKS)}
    return sorted(records, key=lambda record: (order.get(record.benchmark, len(order)), record.display_name))


def _not_run(runs: Sequence[Run]) -> dict[str, str]:
    """Rows that a plan names and that no run has a record of, with the reason."""
    done = {record.display_name for run in runs for record in run.records}
    planned = [row for run in runs for row in run.plan.get("rows", ()) if row["display_name"] not in done]
    return {row["display_name"]: "not run" if row["state"] == "not run" else "not finished" for row in planned}


def _truth(record: Record) -> str:
    if record.is_mini:
        return "generated (mini)"
    return "official" if record.truth_is_official else "given with --truth"


def _mini_title(runs: Sequence[Run]) -> str:
    return " (@mini: generated data)" if any(run.is_mini for run in runs) else ""


def _short(digest: str | None) -> str | None:
    return digest[:12] if digest else None


def _duration(stages: Mapping[str, float]) -> str | None:
    """Seconds of a whole job; None where it was not measured."""
    if not stages:
        return None
    seconds = stages.get("total", sum(stages.values()))
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _or(value: float, fallback: float) -> float:
    return fallback if math.isnan(value) else value


def _unique(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))
