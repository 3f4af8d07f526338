"""Write the report of a run: the page, its tables in three forms, its plots and its panels, in one folder.

`index.html  tables/*.{md,csv,tex}  plots/*.svg  panels/*.png`; each file is written in one step.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark import store
from benchmark.problems import BenchmarkError, UsageError
from reports import gallery, page, plots, published, sources, summary
from reports.page import Report
from reports.records import Run
from reports.render import Panel, compose, to_png
from reports.sources import Places
from reports.tables import Table, to_csv, to_latex, to_markdown

NOWHERE = Places()
SPELLINGS = {"md": to_markdown, "csv": to_csv, "tex": to_latex}


def build_report(run: Run, folder: Path, *, places: Places = NOWHERE) -> Path:
    """Write everything and return the path of `index.html`; raises UsageError where the folder cannot be written."""
    report = gather(run, places=places)
    try:
        for table in report.tables.values():
            for suffix, spell in SPELLINGS.items():
                store.write_text(folder / "tables" / f"{file_name(table.name, run)}.{suffix}", spell(table))
        for name, svg in report.plots.items():
            store.write_text(folder / "plots" / f"{file_name(name, run)}.svg", svg)
        for name, shown in report.panels.items():
            for panel in shown:
                _write_panel(folder / "panels" / f"{file_name(name, run)}.{panel.rank}.png", panel)
        if report.prompt_panel is not None:
            _write_panel(folder / "panels" / f"{file_name('task_prompt', run)}.png", report.prompt_panel)
        store.write_text(folder / "index.html", page.render(report, published.load()))
    except OSError as error:
        raise UsageError(
            f"Cannot write the report to {folder}: {error.strerror}. Choose another place with --out."
        ) from error
    return folder / "index.html"


def build_page(run: Run, *, places: Places = NOWHERE) -> str:
    """Only the page, as text."""
    return page.render(gather(run, places=places), published.load())


def gather(run: Run, *, places: Places = NOWHERE) -> Report:
    """Tables, plots and panels of a run. Panels need the images; without them the page says why there are none."""
    drawn, asked, reason = _draw_panels(run, places)
    return Report(
        run=run,
        tables={table.name: table for table in _tables(run)},
        plots=_plots(run),
        panels=drawn,
        prompt_panel=asked,
        missing_panels=reason,
    )


def file_name(name: str, run: Run) -> str:
    """A safe file name without suffix; what holds mini numbers carries `@mini`, published numbers never do."""
    is_ours = run.is_mini and not name.startswith("published")
    marked = f"{name}@mini" if is_ours and "@mini" not in name else name
    return re.sub(r"[^\w@.-]+", "_", marked)


def _tables(run: Run) -> list[Table]:
    numbers = published.load()
    tables = [summary.headline_table([run], numbers), summary.published_table([run], numbers)]
    tables += [
        summary.scores_table(run.records, task)
        for task in summary.FAMILIES
        if any(record.task == task for record in run.records)
    ]
    tables += [summary.per_class_table(record) for record in run.records if record.per_class]
    if run.matrix:
        tables.append(summary.matrix_table(run))
        printed = summary.published_matrix_table(numbers, next((record.system for record in run.records), ""))
        tables += [printed] if printed.rows else []
    tables.append(summary.provenance_table(run.records))
    if run.baselines:
        tables.append(summary.baselines_table(run))
    return tables


def _plots(run: Run) -> dict[str, str]:
    mark = " (@mini)" if run.is_mini else ""
    drawn = {
        f"training_{name}": plots.training_plot(curves, _id(f"training_{name}"), f"Training curves on {name}{mark}")
        for name, curves in run.curves.items()
        if len(curves.get("step", ())) > 1
    }
    for record in run.records:
        metric = summary.class_metric(record)
        if any(not math.isnan(row.get(metric, math.nan)) for row in record.per_class.values()):
            name = f"per_class_{record.display_name}"
            title = f"{record.display_name}: {metric} per class in percent{summary.of_samples(record)}"
            drawn[name] = plots.per_class_plot(record, _id(name), title)
    if run.matrix:
        title = f"Task-prompt matrix{mark}: score by task sentence asked and metric"
        drawn["task_prompt_matrix"] = plots.matrix_plot(run.matrix, "task_prompt_matrix", title)
    return drawn


def _draw_panels(run: Run, places: Places) -> tuple[Mapping[str, Sequence[Panel]], Panel | None, str]:
    """Panels by benchmark, the task-prompt panel, and why some or all are missing."""
    drawn: dict[str, Sequence[Panel]] = {}
    asked: Panel | None = None
    reasons: dict[str, None] = {}
    for record in summary.in_order(run.records):
        try:
            samples = sources.open_samples(run, record, places)
            predictions = sources.open_predictions(record, samples)
            if predictions is not None:
                drawn[record.display_name] = gallery.panels(record, samples, predictions)
            if asked is None and record.task == "panoptic":
                asked = gallery.prompt_panel(run, record, samples)
        except BenchmarkError as error:
            reasons[str(error).splitlines()[0]] = None
    return drawn, asked, " ".join(reasons)


def _id(name: str) -> str:
    """A name that identifiers of an SVG may start with."""
    return re.sub(r"\W+", "_", name)


def _write_panel(path: Path, panel: Panel) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(to_png(compose(panel)))
    partial.replace(path)
