"""What `list` and `describe` say of the catalogue: one line a row, or one row in full. Nothing is printed here.

Counts are those of the official split; a dash where nobody states one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmark import metrics, servers
from benchmark.result_forms import IN_ZIPS
from benchmark.row import Benchmark

UNKNOWN = "—"
COLUMNS = ("name", "task", "split", "count", "score", "metric", "protocol", "truth", "server")


def facts(row: Benchmark) -> dict[str, Any]:
    """The row as `list --json` shows it."""
    return {
        "name": row.name,
        "dataset": row.dataset,
        "task": str(row.task),
        "split": row.split,
        "metric": row.metric,
        "main_score": row.main_score,
        "protocols": list(row.protocols),
        "mini_protocol": row.mini_protocol,
        "labels": row.labels,
        "num_samples": row.num_samples,
        "unit": row.unit,
        "truth": row.truth,
        "server": servers.words_for(row.name),
        "version": row.version,
        "notes": row.notes,
    }


def table(rows: Sequence[Benchmark], num_training: int) -> list[str]:
    """The lines of `list`: a table, and what its words mean."""
    cells = [list(COLUMNS), *(_cells(row) for row in rows)]
    last = f"{len(rows)} benchmarks; {num_training} training splits more, named ..._train, which 'describe' knows too."
    return [
        *aligned(cells, numbers=(COLUMNS.index("count"),)),
        "",
        last,
        "count: of what is scored one by one: images, videos, or texts with their picture or video; — is not stated.",
        "protocol: the headline's, and how many others the row has. truth: later, once a challenge is over.",
        "server: of what the row is submitted to; 'none' where scoring has always been local.",
    ]


def describe(row: Benchmark) -> list[str]:
    """The lines of `describe NAME`."""
    label_set = row.label_set
    num_things = int(label_set.is_thing.sum())
    others = f"; others: {', '.join(row.protocols[1:])}" if row.protocols[1:] else ""
    server = servers.state_of(row.name)
    lines = {
        "name": row.name,
        "task": f"{row.task}, split {row.split}, {_counted(row)}",
        "truth": row.truth,
        "server": "none" if server is None else f"{server}, {server.address}, checked {server.checked}",
        "classes": f"{label_set.num_classes} ({num_things} thing{'s' * (num_things != 1)}) of {label_set.name}",
        "score": f"{row.main_score}, metric {row.metric} (equal to {metrics.METRICS[row.metric].tool})",
        "protocol": f"{row.protocols[0]}{others}",
        "version": str(row.version),
        "looked for": ", ".join(_place(row, folder) for folder in row.layout.roots),
        "to get it": row.layout.how_to_get,
        "notes": row.notes or "none",
    }
    return [f"{name:<12}{value}" for name, value in lines.items()] + _forms(row)


def _forms(row: Benchmark) -> list[str]:
    """What may be given to `score`, and the call."""
    forms = row.layout.result_forms(row)
    lines = [
        f"{'or ' * (number > 0 and not place)}{line}"
        for number, form in enumerate(forms)
        for place, line in enumerate(form.lines())
    ]
    call = f"python -m benchmark score {row.name} {forms[0].given} --data-root DATA_ROOT"
    heads = ["predictions", *[""] * len(lines)]
    listed = [*lines, IN_ZIPS]
    return [*(f"{head:<12}{line}" for head, line in zip(heads, listed, strict=True)), f"{'to score':<12}{call}"]


def aligned(rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> list[str]:
    """Lines of cells of equal width. rows: at least one, all of one length. numbers: columns that are flush right."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in listed
    ]


def _cells(row: Benchmark) -> list[str]:
    others = f" +{len(row.protocols) - 1}" if row.protocols[1:] else ""
    protocol, server = f"{row.protocols[0]}{others}", servers.words_for(row.name)
    return [
        row.name, str(row.task), row.split, _count(row), row.main_score, row.metric, protocol,
        row.truth, server,
    ]  # fmt: skip


def _count(row: Benchmark) -> str:
    return f"{row.num_samples:,}" if row.num_samples else UNKNOWN


def _counted(row: Benchmark) -> str:
    return f"{_count(row)} {row.unit}" if row.num_samples else f"{row.unit} whose number nobody states: not checked"


def _place(row: Benchmark, folder: str) -> str:
    """Where a data root is searched, down to the file that must be there."""
    return f"DATA_ROOT/{folder}/{row.layout.landmark(row)}".replace("/./", "/")
