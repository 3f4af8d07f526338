"""Plots as SVG text that reads well on light and dark pages and is the same to the byte for the same numbers.

Neutral ink is written as `currentColor`; a style inside each file sets it from the reader's colour scheme. Colours of
series are those of Okabe and Ito, which colour-blind readers can tell apart. No dates, no random identifiers.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports.records import MatrixCell, Record
from reports.summary import TASKS, class_metric
from reports.tables import percent

_INK = "#010203"
_STYLE = "svg.plot{color:#24292f}@media(prefers-color-scheme:dark){svg.plot{color:#d8dee6}}"
_SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#999999")
_LOSSES = (
    ("loss", "total"),
    ("loss_ce", "class"),
    ("loss_mask", "mask"),
    ("loss_dice", "dice"),
    ("loss_contrastive", "contrastive"),
)
_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def training_plot(curves: Mapping[str, Sequence[float]], name: str, title: str) -> str:
    """Losses (thin: as logged, thick: smoothed) and learning rate over the steps of one training."""
    steps = np.asarray(curves["step"])
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(8.2, 3.3), layout="constrained")
        losses, rate = figure.subplots(1, 2, width_ratios=(2.2, 1))
        shown = [(key, label) for key, label in _LOSSES if key in curves and not np.all(np.isnan(curves[key]))]
        for (key, label), color in zip(shown, _SERIES, strict=False):
            _curve(losses, steps, np.asarray(curves[key], float), label, color)
        losses.set_yscale("log")
        losses.set_title("loss (log scale)")
        losses.legend(loc="upper right", ncols=2, fontsize=9)
        _plain_log_ticks(losses)
        if "lr" in curves:
            rate.plot(steps, curves["lr"], color=_SERIES[0], lw=1.8)
        rate.set_title("learning rate")
        rate.set_ylim(bottom=0)
        rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
        for axes in (losses, rate):
            axes.set_xlabel("step")
            _grid(axes)
        return _svg(figure, name, title)


def _curve(axes: Axes, steps: np.ndarray, values: np.ndarray, label: str, color: str) -> None:
    smooth = pd.Series(values).ewm(span=max(5, len(values) // 15)).mean()
    axes.plot(steps, values, color=color, lw=0.7, alpha=0.3)
    axes.plot(steps, smooth, color=color, lw=1.9, label=label)


def per_class_plot(record: Record, name: str, title: str, *, limit: int = 40) -> str:
    """Horizontal bars of the leading score per class, best first, the mean as a dashed line."""
    metric = class_metric(record)
    scores = {n: row[metric] for n, row in record.per_class.items() if metric in row}
    ranked = sorted(((v, n) for n, v in scores.items() if not math.isnan(v)), key=lambda item: (-item[0], item[1]))
    ranked = ranked[:limit]
    values, names = [100 * value for value, _ in ranked], [name for _, name in ranked]
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(8.2, 1.0 + 0.235 * len(ranked)), layout="constrained")
        axes = figure.subplots()
        axes.barh(range(len(names)), values, color=_SERIES[0], height=0.68)
        for position, value in enumerate(values):
            axes.text(106, position, f"{value:.1f}", va="center", ha="right", fontsize=9)
        mean = 100 * float(np.mean([value for value in scores.values() if not math.isnan(value)]))
        axes.axvline(mean, color=_SERIES[1], lw=1.3, ls="--", label=f"mean {mean:.1f}")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderpad=0, fontsize=9)
        axes.set_yticks(range(len(names)), names, fontsize=9)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 106)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel(f"{metric} (percent)")
        axes.tick_params(axis="y", length=0)
        _grid(axes, axis="x")
        return _svg(figure, name, title)


def matrix_plot(cells: Sequence[MatrixCell], name: str, title: str) -> str:
    """Heat map of the task-prompt matrix: colour is the score relative to asking rightly, text is the score."""
    columns = list(dict.fromkeys((cell.benchmark, cell.scored, cell.metric) for cell in cells))
    asked = [task for task in TASKS if any(cell.asked == task for cell in cells)]
    found = {(cell.benchmark, cell.asked): cell for cell in cells}
    right = {c[0]: found[c[0], c[1]].value for c in columns if (c[0], c[1]) in found}
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(6.4, 3.5), layout="constrained")
        axes = figure.subplots()
        shades = matplotlib.colormaps["cividis"]
        for row, task in enumerate(asked):
            for column, (benchmark, _, _) in enumerate(columns):
                cell = found.get((benchmark, task))
                share = _share(cell, right.get(benchmark, math.nan))
                color = shades(0.08 + 0.84 * share)
                axes.add_patch(_cell_patch(column, row, color))
                axes.text(
                    column,
                    row,
                    _cell_text(cell),
                    ha="center",
                    va="center",
                    color="#000000" if share > 0.5 else "#ffffff",
                )
        axes.set_xticks(range(len(columns)), [f"{metric}\n({scored})" for _, scored, metric in columns])
        axes.set_yticks(range(len(asked)), [f"“the task is {task}”" for task in asked])
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(asked) - 0.5, -0.5)
        axes.set_xlabel("scored")
        axes.set_ylabel("asked")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return _svg(figure, name, title)


def _cell_patch(column: int, row: int, color: tuple[float, float, float, float]) -> matplotlib.patches.Rectangle:
    return matplotlib.patches.Rectangle((column - 0.485, row - 0.47), 0.97, 0.94, color=color, lw=0)


def _share(cell: MatrixCell | None, right: float) -> float:
    """How much of the rightly asked score a cell reaches, 0..1."""
    if cell is None or math.isnan(cell.value) or not right > 0:
        return 0.0
    return min(1.0, max(0.0, cell.value / right))


def _cell_text(cell: MatrixCell | None) -> str:
    if cell is None:
        return percent(math.nan)
    if math.isnan(cell.difference):
        return percent(cell.value)
    is_clear = cell.high < 0 or cell.low > 0
    return f"{percent(cell.value)}\n{percent(cell.difference, is_difference=True)}{' *' if is_clear else ''}"


def _grid(axes: Axes, axis: str = "both") -> None:
    axes.grid(True, axis=axis, color=_INK, alpha=0.13, lw=0.7)  # type: ignore[arg-type]


def _plain_log_ticks(axes: Axes) -> None:
    """Numbers such as 0.5, 1, 2 instead of powers of ten."""
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def _svg(figure: Figure, name: str, title: str) -> str:
    """The figure as one `<svg>` element: themed ink, accessible title, identifiers that start with `name`."""
    out = io.StringIO()
    empty = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.patch.set_visible(False)
        for axes in figure.axes:
            axes.patch.set_visible(False)
        FigureCanvasSVG(figure).print_svg(out, metadata=empty)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-").replace(_INK, "currentColor")
    text = re.sub(r'xmlns:xlink="[^"]*" ?', "", text).replace("xlink:href", "href")
    head = f'<svg class="plot" role="img" aria-label="{escape(title)}"'
    style = f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    first_tag = text.index(">") + 1
    return head + text[len("<svg") : first_tag] + style + text[first_tag:]
