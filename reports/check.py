"""Compare a run with recorded scores: what fell by more than its tolerance, what is missing, what improved.

A baseline is one JSON file: `{"schema": 1, "note": ..., "command": ..., "scores": {row: {metric: {"value": 0.61,
"tolerance": 0.02}}}}`; rows are display names, so mini and real numbers never meet. All scores here are better when
higher. A row or a metric that the run lacks, or that has no value any more, counts as a failure; with
`"is_exact": true` (stored predictions, scored again) so does a rise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

from benchmark.problems import DataError, Problem, UsageError
from reports.records import Record, Run
from reports.summary import coverage
from reports.tables import Score, Table, percent

SCHEMA = 1


class Verdict(StrEnum):
    """How one score stands against its recorded value."""

    FELL = "fell"
    CHANGED = "changed"
    MISSING = "missing"
    IMPROVED = "improved"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A recorded score. value, tolerance: fractions."""

    value: float
    tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Recorded scores by row and metric. note: what they are. command: how they were made.

    is_exact: a rise by more than the tolerance is a failure too, because nothing but the scoring can have moved it.
    """

    note: str
    command: str
    scores: Mapping[str, Mapping[str, Expected]]
    is_exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One recorded score beside the run's. value: fraction, NaN when missing. reason: why it is missing."""

    row: str
    metric: str
    expected: Expected
    value: float
    verdict: Verdict
    reason: str = ""

    @property
    def is_failure(self) -> bool:
        """It fell, changed where nothing may, or is not there."""
        return self.verdict in (Verdict.FELL, Verdict.CHANGED, Verdict.MISSING)

    @property
    def message(self) -> str:
        """One sentence with both values."""
        allowed = f"{percent(self.expected.value)} \N{PLUS-MINUS SIGN} {_points(self.expected.tolerance)}"
        if self.verdict is Verdict.MISSING:
            return f"{self.row} {self.metric} is missing ({self.reason}); recorded: {allowed}"
        change = percent(self.value - self.expected.value, is_difference=True)
        return f"{self.row} {self.metric} {self.verdict}: {percent(self.value)} ({change}), recorded {allowed}"


def check(runs: Sequence[Run], baseline: Baseline) -> tuple[Comparison, ...]:
    """Every recorded score compared with the runs' records, in the baseline's order."""
    records = {record.display_name: record for run in runs for record in run.records}
    return tuple(
        _compare(records.get(row), row, metric, expected, Verdict.CHANGED if baseline.is_exact else Verdict.IMPROVED)
        for row, metrics in baseline.scores.items()
        for metric, expected in metrics.items()
    )


def _compare(record: Record | None, row: str, metric: str, expected: Expected, risen: Verdict) -> Comparison:
    value, reason = math.nan, ""
    if record is None:
        reason = "the run has no record of this row"
    elif not record.is_complete:
        reason = f"{record.num_scored} of {record.num_expected} samples were scored"
    else:
        value = record.scores.get(metric, math.nan)
        reason = "the record has no value for it"
    verdict = Verdict.SAME
    if math.isnan(value):
        verdict = Verdict.MISSING
    elif value < expected.value - expected.tolerance:
        verdict = Verdict.FELL
    elif value > expected.value + expected.tolerance:
        verdict = risen
    return Comparison(row=row, metric=metric, expected=expected, value=value, verdict=verdict, reason=reason)


def make_baseline(
    runs: Sequence[Run],
    *,
    note: str,
    command: str,
    tolerance: float | None = None,
    factor: float = 2.0,
    floor: float = 0.01,
    is_exact: bool = False,
) -> Baseline:
    """Scores of one run, or the mean of several runs with a tolerance measured from their spread.

    tolerance: fraction for every score; None: `factor` times (highest - lowest) over the runs, at least `floor`.

    Raises:
        UsageError: one run without a tolerance, or runs that did not score the same rows completely.
    """
    if tolerance is None and len(runs) < 2:
        raise UsageError("One run has no spread: give --tolerance X, or at least two runs of different seeds.")
    rows = _same_rows(runs)
    scores: dict[str, dict[str, Expected]] = {}
    for row, first in rows[0].items():
        values = {metric: [records[row].scores.get(metric, math.nan) for records in rows] for metric in first.scores}
        scores[row] = {
            metric: Expected(
                value=sum(found) / len(found),
                tolerance=tolerance if tolerance is not None else max(floor, factor * (max(found) - min(found))),
            )
            for metric, found in values.items()
            if not any(math.isnan(value) for value in found)
        }
    return Baseline(note=note, command=command, scores=scores, is_exact=is_exact)


def _same_rows(runs: Sequence[Run]) -> list[dict[str, Record]]:
    """Each run's records by row; raises UsageError unless all runs scored the same rows completely."""
    rows = [{record.display_name: record for record in run.records} for run in runs]
    for run, records in zip(runs, rows, strict=True):
        if records.keys() != rows[0].keys():
            odd = ", ".join(sorted(records.keys() ^ rows[0].keys()))
            raise UsageError(f"{runs[0].folder} and {run.folder} scored different rows: {odd}. Give runs of one suite.")
        for record in records.values():
            if not record.is_complete:
                raise UsageError(f"{record.folder}: {coverage(record)} samples were scored; a baseline needs them all.")
    return rows


def read_baseline(path: Path) -> Baseline:
    """A baseline file; raises UsageError when it is not there and DataError when it is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        scores = {
            row: {metric: _expected(entry) for metric, entry in metrics.items()}
            for row, metrics in content["scores"].items()
        }
    except OSError as error:
        remedy = "Make one with 'python -m reports baseline'."
        raise UsageError(f"Cannot read the baseline {path}: {error.strerror}. {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "Expected scores -> row -> metric -> value and tolerance; make one with 'python -m reports baseline'"
        problem = Problem(place=str(path), message=f"not a baseline ({type(error).__name__}: {error})", remedy=remedy)
        raise DataError([problem]) from error
    if content.get("schema", SCHEMA) > SCHEMA:
        raise UsageError(f"{path} has schema {content['schema']}; this version reads {SCHEMA}. Update the suite.")
    return Baseline(
        note=content.get("note", ""),
        command=content.get("command", ""),
        scores=scores,
        is_exact=content.get("is_exact") is True,
    )


def _expected(entry: Mapping[str, float]) -> Expected:
    return Expected(value=float(entry["value"]), tolerance=float(entry["tolerance"]))


def to_json(baseline: Baseline) -> str:
    """The text of a baseline file; one line a score, so that a change is a readable diff."""
    rows = []
    for row, metrics in baseline.scores.items():
        lines = [
            f"      {json.dumps(metric)}: {json.dumps({'value': e.value, 'tolerance': e.tolerance})}"
            for metric, e in metrics.items()
        ]
        rows.append(f"    {json.dumps(row)}: {{\n" + ",\n".join(lines) + "\n    }")
    head: dict[str, object] = {"schema": SCHEMA, "note": baseline.note, "command": baseline.command}
    head |= {"is_exact": True} if baseline.is_exact else {}
    lines = [f"  {json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items()]
    return "{\n" + "".join(lines) + '  "scores": {\n' + ",\n".join(rows) + "\n  }\n}\n"


def comparison_table(comparisons: Sequence[Comparison], *, is_full: bool = False) -> Table:
    """What fell, what is missing and what improved; everything with `is_full`."""
    order = {verdict: place for place, verdict in enumerate(Verdict)}
    shown = [c for c in comparisons if is_full or c.verdict is not Verdict.SAME]
    found = {verdict: sum(c.verdict is verdict for c in comparisons) for verdict in order}
    counts = [f"{count} {verdict}" for verdict, count in found.items() if count or verdict is not Verdict.CHANGED]
    return Table(
        name="check",
        title="Against the recorded scores, in percent",
        columns=("", "Benchmark", "Metric", "Recorded", "Tolerance", "Now", "Change"),
        rows=tuple(
            (
                c.verdict.value,
                c.row,
                c.metric,
                Score(value=c.expected.value),
                _points(c.expected.tolerance),
                Score(value=c.value),
                Score(value=c.value - c.expected.value, is_difference=True),
            )
            for c in sorted(shown, key=lambda c: order[c.verdict])
        ),
        note=f"{len(comparisons)} scores: {', '.join(counts)}.",
    )


def to_junit(comparisons: Sequence[Comparison]) -> str:
    """JUnit XML: a test case per recorded score, a failure for each that fell or is missing."""
    failures = sum(comparison.is_failure for comparison in comparisons)
    suite = ElementTree.Element("testsuite", name="scores", tests=str(len(comparisons)), failures=str(failures))
    for comparison in comparisons:
        case = ElementTree.SubElement(suite, "testcase", classname=comparison.row, name=comparison.metric)
        if comparison.is_failure:
            ElementTree.SubElement(case, "failure", type=comparison.verdict.value, message=comparison.message)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def annotation_lines(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Workflow command lines that GitHub shows at the pull request: errors for failures, notices for improvements."""
    lines = []
    for comparison in comparisons:
        if comparison.verdict is not Verdict.SAME:
            level = "error" if comparison.is_failure else "notice"
            title = f"{comparison.row} {comparison.metric} {comparison.verdict}"
            lines.append(f"::{level} title={_escaped(title, is_property=True)}::{_escaped(comparison.message)}")
    return tuple(lines)


def _escaped(plain: str, *, is_property: bool = False) -> str:
    plain = plain.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return plain.replace(":", "%3A").replace(",", "%2C") if is_property else plain


def _points(tolerance: float) -> str:
    """A tolerance in percentage points, short enough to read even when it is tiny."""
    return f"{100 * tolerance:.1f}" if tolerance >= 0.0005 or tolerance == 0 else f"{100 * tolerance:.0e}"
