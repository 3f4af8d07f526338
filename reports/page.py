"""The report as one self-contained HTML page: no request leaves it, it reads on a phone and in the dark.

`Report` gathers what a run has (tables, plots, panels); `render` puts it into `templates/page.html.j2`.
"""

from __future__ import annotations

import base64
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from reports.published import PublishedNumber, headline
from reports.records import Record, Run
from reports.render import Panel, to_webp
from reports.summary import FAMILIES, benchmark_names, coverage, in_order
from reports.tables import Cell, Score, Table, interval, is_numeric, percent, text

TEMPLATES = Path(__file__).with_name("templates")
DATASETS = {"coco": "COCO", "ade20k": "ADE20K", "cityscapes": "Cityscapes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a page shows. tables, plots (SVG text): by name. panels: by display name of the benchmark."""

    run: Run
    tables: Mapping[str, Table]
    plots: Mapping[str, str]
    panels: Mapping[str, Sequence[Panel]]
    prompt_panel: Panel | None = None
    missing_panels: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One line of the score board; positions are percent of the track, texts are ready to print."""

    name: str
    task: str
    metric: str
    value: str
    interval: str
    width: float
    low: float | None
    high: float | None
    baselines: tuple[tuple[str, str, float], ...]
    coverage: str
    published: str


def render(report: Report, numbers: Sequence[PublishedNumber]) -> str:
    """The page as HTML text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["table"] = table_html
    environment.filters["webp"] = _webp_uri
    environment.filters["svg"] = Markup
    return environment.get_template("page.html.j2").render(_context(report, numbers))


def _context(report: Report, numbers: Sequence[PublishedNumber]) -> dict[str, Any]:
    run = report.run
    shown = [*run.records] or [*run.baselines]
    first = shown[0]
    return {
        "report": report,
        "run": run,
        "model": first.model,
        "is_mini": run.is_mini,
        "facts": _facts(run, shown),
        "groups": score_board(run, numbers),
        "tasks": [task for task in FAMILIES if any(record.task == task for record in run.records)],
        "task_of": {record.display_name: record.task for record in run.records},
        "per_class": [n for n in benchmark_names(run.records) if f"per_class_{n}" in report.tables],
        "label_sets": sorted(run.curves, key=lambda name: (not name.startswith("coco_panoptic"), name)),
        "environment": _environment(run),
        "versions": sorted(first.versions.items()),
        "command": _command(run),
    }


def _command(run: Run) -> str:
    """The command that made the run, as a user would type it."""
    words = run.plan.get("command", "")
    return words if isinstance(words, str) else shlex.join(words)


def _facts(run: Run, shown: Sequence[Record]) -> list[tuple[str, str]]:
    """Label and text of the line under the title."""
    samples = sorted({record.num_expected for record in shown})
    facts = [
        ("model", shown[0].model),
        ("benchmarks", str(len(run.records))),
        ("samples each", " or ".join(f"{number:,}" for number in samples)),
        ("seed", ", ".join(str(seed) for seed in sorted({r.seed for r in shown if r.seed is not None}))),
        ("device", ", ".join(sorted({record.device for record in shown if record.device}))),
        ("finished", _finished(shown)),
    ]
    return [(name, value) for name, value in facts if value]


def _finished(records: Sequence[Record]) -> str:
    """Day and time (UTC) at which the last record was written."""
    times = [path.stat().st_mtime for record in records if (path := record.folder / "record.json").is_file()]
    return datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%d %H:%M UTC") if times else ""


def _environment(run: Run) -> list[tuple[str, str]]:
    """Plain values of the environment file; nested ones and the schema number are left out."""
    plain = {name: value for name, value in run.environment.items() if isinstance(value, str | int | float)}
    return [(name.replace("_", " "), str(value)) for name, value in plain.items() if name != "schema"]


def score_board(run: Run, numbers: Sequence[PublishedNumber]) -> list[tuple[str, list[Bar]]]:
    """Data set -> a bar per benchmark row, in catalogue order."""
    groups: dict[str, list[Bar]] = {}
    for record in in_order(run.records):
        dataset = record.benchmark.split("_")[0]
        trivial = [other for other in run.baselines if other.display_name == record.display_name]
        groups.setdefault(DATASETS.get(dataset, dataset), []).append(_bar(record, trivial, numbers))
    return list(groups.items())


def _bar(record: Record, trivial: Sequence[Record], numbers: Sequence[PublishedNumber]) -> Bar:
    value = record.scores.get(record.main_score, math.nan) if record.is_complete else math.nan
    low, high = record.intervals.get(record.main_score, (math.nan, math.nan))
    printed = headline(numbers, record.benchmark, record.system, record.main_score, variant=record.variant)
    known = [(other.model, other.scores.get(record.main_score, math.nan)) for other in trivial if other.is_complete]
    return Bar(
        name=record.display_name,
        task=record.task,
        metric=record.main_score,
        value=percent(value),
        interval=interval(Score(value=value, low=low, high=high)),
        width=_place(value) or 0.0,
        low=None if math.isnan(value) else _place(low),
        high=None if math.isnan(value) else _place(high),
        baselines=tuple((name, percent(v), _place(v) or 0.0) for name, v in known if not math.isnan(v)),
        coverage="" if record.is_complete else f"{coverage(record)} samples scored: no headline number",
        published=f"{percent(printed.value)} ({printed.variant})" if printed else "",
    )


def _place(value: float) -> float | None:
    """Position on a track from 0 to 100 percent."""
    return None if math.isnan(value) else round(min(100.0, max(0.0, 100 * value)), 2)


def table_html(table: Table) -> Markup:
    """A table with headings for screen readers, in a box that scrolls sideways where the screen is narrow."""
    kinds = [_column_class(table, i) for i in range(len(table.columns))]
    heads = [_tag("th", name, kind, scope="col") for name, kind in zip(table.columns, kinds, strict=True)]
    rows = []
    for row in table.rows:
        cells = [_cell_html(cell, kind, is_first=i == 0) for i, (cell, kind) in enumerate(zip(row, kinds, strict=True))]
        rows.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
    note = Markup('<p class="note">{}</p>').format(table.note) if table.note else Markup("")
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{0}"><table><caption>{0}</caption>'
        "<thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div>{3}"
    ).format(table.title, Markup("").join(heads), Markup("").join(rows), note)


def _column_class(table: Table, column: int) -> str:
    """Style of a column: numbers are flush right, numbers of other people's real data stand apart."""
    names = ["num"] if is_numeric(table, column) else []
    return " ".join([*names, "apart"] if table.columns[column].startswith("Published") else names)


def _cell_html(cell: Cell, kind: str, *, is_first: bool) -> Markup:
    content: str | Markup = text(cell)
    if isinstance(cell, Score) and (interval(cell) or cell.mark):
        value = percent(cell.value, is_difference=cell.is_difference)
        content = Markup("{} <small>{} {}</small>").format(value, interval(cell), cell.mark)
    return _tag("th", content, kind, scope="row") if is_first else _tag("td", content, kind)


def _tag(name: str, content: str | Markup, kind: str, scope: str = "") -> Markup:
    attributes = Markup(' scope="{}"').format(scope) if scope else Markup("")
    attributes += Markup(' class="{}"').format(kind) if kind else Markup("")
    breakable = escape(content).replace("_", Markup("_<wbr>"))
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), attributes, breakable)


def _webp_uri(picture: Any) -> str:
    return f"data:image/webp;base64,{base64.b64encode(to_webp(picture)).decode('ascii')}"
