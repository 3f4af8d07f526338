"""One table type and its four spellings: Markdown, CSV, LaTeX and (for the page) rows of display text.

A cell is text, a whole number, a `Score` (a fraction, printed times 100 with one decimal) or None, which prints as an
em dash. This is the only module that turns fractions into percent.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

ABSENT = "\N{EM DASH}"
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        ABSENT: "---",
        "\N{EN DASH}": "--",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A fraction with an interval (NaN: none). is_difference: printed with its sign. mark: short text after it.

    is_brief: the interval is left to the CSV, where there is room.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    is_difference: bool = False
    mark: str = ""
    is_brief: bool = False


Cell = str | int | Score | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as a reader sees it. name: file name without suffix. rows: cells, one per heading in `columns`."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def percent(value: float, *, is_difference: bool = False) -> str:
    """A fraction in percent with one decimal; NaN is an em dash. The minus sign is the typographic one."""
    if math.isnan(value):
        return ABSENT
    text = f"{100 * value:+.1f}" if is_difference else f"{100 * value:.1f}"
    text = {"-0.0": "0.0", "+0.0": "0.0"}.get(text, text)
    return text.replace("-", "\N{MINUS SIGN}")


def interval(cell: Score) -> str:
    """The interval in brackets, or nothing."""
    if cell.is_brief or not _has_interval(cell):
        return ""
    signed = cell.is_difference
    return f"[{percent(cell.low, is_difference=signed)}, {percent(cell.high, is_difference=signed)}]"


def text(cell: Cell) -> str:
    """One cell as plain text."""
    match cell:
        case None:
            return ABSENT
        case Score():
            parts = (percent(cell.value, is_difference=cell.is_difference), interval(cell), cell.mark)
            return " ".join(part for part in parts if part)
        case _:
            return str(cell)


def is_numeric(table: Table, column: int) -> bool:
    """The column holds scores or counts (and perhaps gaps), so it is set flush right."""
    cells = [row[column] for row in table.rows if row[column] is not None]
    return bool(cells) and sum(isinstance(cell, Score | int) for cell in cells) * 2 > len(cells)


def to_markdown(table: Table) -> str:
    """A GitHub table with its title above and its note below; columns padded so that the source reads well too."""
    body = [[text(cell).replace("|", r"\|").replace("\n", " ") for cell in row] for row in table.rows]
    heads = [column.replace("|", r"\|") for column in table.columns]
    widths = [max([3, len(head), *(len(row[i]) for row in body)]) for i, head in enumerate(heads)]
    right = [is_numeric(table, i) for i in range(len(heads))]
    rule = ["-" * (width - 1) + ":" if flush else "-" * width for width, flush in zip(widths, right, strict=True)]
    lines = [_padded(heads, widths, right), _padded(rule, widths, right)]
    lines += [_padded(row, widths, right) for row in body]
    note = f"\n{table.note}\n" if table.note else ""
    return f"### {table.title}\n\n" + "\n".join(lines) + "\n" + note


def _padded(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if flush else cell.ljust(width)
        for cell, width, flush in zip(cells, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def to_csv(table: Table) -> str:
    """Comma-separated values in percent with four decimals; an interval becomes two more columns, a gap is empty."""
    spread = [any(_has_interval(row[i]) for row in table.rows) for i in range(len(table.columns))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = zip(table.columns, spread, strict=True)
    writer.writerow([name + part for name, wide in heads for part in ("", " low", " high")[: 3 if wide else 1]])
    for row in table.rows:
        cells = [_csv_cells(cell, wide) for cell, wide in zip(row, spread, strict=True)]
        writer.writerow([cell for group in cells for cell in group])
    return out.getvalue()


def _has_interval(cell: Cell) -> bool:
    return isinstance(cell, Score) and not any(math.isnan(value) for value in (cell.value, cell.low, cell.high))


def _csv_cells(cell: Cell, is_wide: bool) -> list[str]:
    if isinstance(cell, Score):
        values = [cell.value, cell.low, cell.high] if is_wide else [cell.value]
        return ["" if math.isnan(value) else f"{100 * value:.4f}" for value in values]
    return ["" if cell is None else str(cell), *(["", ""] if is_wide else [])]


def to_latex(table: Table) -> str:
    """A `booktabs` table environment; text is escaped, intervals are set small."""
    columns = "".join("r" if is_numeric(table, i) else "l" for i in range(len(table.columns)))
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{latex_text(table.title)}.{' ' + latex_text(table.note) if table.note else ''}}}",
        f"  \\label{{tab:{table.name}}}",
        f"  \\begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        "    " + " & ".join(latex_text(column) for column in table.columns) + r" \\",
        r"    \midrule",
        *("    " + " & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_text(plain: str) -> str:
    """Plain text with LaTeX's special characters escaped."""
    return plain.translate(_LATEX).replace("\N{MINUS SIGN}", "$-$")


def _latex_cell(cell: Cell) -> str:
    if not isinstance(cell, Score):
        return latex_text(text(cell))
    parts = [latex_text(percent(cell.value, is_difference=cell.is_difference))]
    if interval(cell):
        parts.append(f"{{\\scriptsize {latex_text(interval(cell))}}}")
    if cell.mark:
        parts.append(latex_text(cell.mark))
    return " ".join(parts)
