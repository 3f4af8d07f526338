"""What a run directory holds, read back as records: scores, task-prompt matrix, training curves, plan, environment.

Reads `record.json` of every job (schema 1; fields that an older writer did not know get their defaults, a newer schema
is refused by name), `matrix/matrix.json`, `train/<label set>/scalars.json`, `plan.json` and `environment.json`.
Nothing here computes a score.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.problems import DataError, Problem, UsageError

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The outcome of one job; `record.json` field by field. Scores are fractions, NaN where undefined.

    intervals: metric name -> (low, high), 95 %. role: "system", "baseline" or "matrix". folder: where it was read.
    """

    benchmark: str
    display_name: str
    task: str
    main_score: str
    scores: Mapping[str, float]
    num_expected: int
    num_scored: int
    is_mini: bool = False
    asked: str = ""
    split: str = ""
    protocol: str = ""
    metric: str = ""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    per_class: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    system: str = ""
    variant: str = ""
    role: str = "system"
    seed: int | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    config_hash: str | None = None
    benchmark_version: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    truth_is_official: bool = True
    folder: Path = Path()

    @property
    def is_complete(self) -> bool:
        """Every expected sample was scored; only then is there a headline number."""
        return self.num_scored == self.num_expected and self.num_expected > 0

    @property
    def model(self) -> str:
        """Name in tables: `system:variant`, or the system alone."""
        return f"{self.system}:{self.variant}" if self.variant else self.system


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One score of the task-prompt matrix and its paired difference to the same score asked rightly.

    difference, low, high: fractions, NaN on the diagonal.
    """

    benchmark: str
    scored: str
    asked: str
    metric: str
    value: float
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything one run directory says. curves: training -> columns of its scalars, equally long."""

    folder: Path
    records: tuple[Record, ...]
    baselines: tuple[Record, ...] = ()
    matrix: tuple[MatrixCell, ...] = ()
    curves: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_mini(self) -> bool:
        """Some record comes from the mini data."""
        return any(record.is_mini for record in (*self.records, *self.baselines))

    @property
    def name(self) -> str:
        """Name of the run directory."""
        return self.folder.resolve().name


def load_run(folder: Path) -> Run:
    """Read a run directory, or a folder with one `record.json`, or one record file.

    Raises:
        UsageError: nothing there.
        DataError: every file that does not parse, all at once.
    """
    problems: list[Problem] = []
    if folder.is_file():
        return Run(folder=folder.parent, records=(load_record(folder),))
    if not folder.is_dir():
        raise UsageError(f"No run directory at {folder}. Give that of 'python benchmark/run.py' or 'benchmark score'.")
    records = _records(sorted([*folder.glob("record.json"), *folder.glob("*/record.json")]), problems)
    baselines = _records(sorted(folder.glob("baselines/*/*/record.json")), problems)
    run = Run(
        folder=folder,
        records=records,
        baselines=baselines,
        matrix=_matrix(folder / "matrix" / "matrix.json", problems),
        curves=_all_curves(folder / "train", problems),
        plan=_optional_json(folder / "plan.json", problems),
        environment=_optional_json(folder / "environment.json", problems),
    )
    if problems:
        raise DataError(problems)
    if not records and not baselines:
        raise UsageError(f"{folder} holds no record.json. Is it a run directory in which a benchmark has finished?")
    return run


def load_record(path: Path) -> Record:
    """One `record.json`; raises DataError when it is not one."""
    content = _json(path)
    schema = content.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise _broken(path, "this is no record: it has no 'schema'", "Give a record.json, or the --out file of 'score'")
    if schema > SCHEMA:
        raise _broken(path, f"schema {schema} is newer than the {SCHEMA} this version reads", "Update the suite")
    known = {name: content[name] for name in Record.__slots__ if name in content and content[name] is not None}
    lacking = [n for n in ("benchmark", "main_score", "scores", "num_expected", "num_scored") if n not in known]
    if lacking:
        raise _broken(path, f"the record lacks {', '.join(lacking)}", "Score that benchmark again")
    known["scores"] = {name: _fraction(value) for name, value in known["scores"].items()}
    known["per_class"] = {
        name: {metric: _fraction(value) for metric, value in row.items()}
        for name, row in known.get("per_class", {}).items()
    }
    known["intervals"] = {
        name: (_fraction(pair[0]), _fraction(pair[1])) for name, pair in known.get("intervals", {}).items() if pair
    }
    known["missing"] = tuple(known.get("missing", ()))
    known.setdefault("display_name", known["benchmark"])
    known.setdefault("task", known["benchmark"].split("_")[1] if "_" in known["benchmark"] else "")
    known.setdefault("asked", known["task"])
    known["folder"] = path.parent
    return Record(**known)


def _records(paths: Sequence[Path], problems: list[Problem]) -> tuple[Record, ...]:
    records = []
    for path in paths:
        try:
            records.append(load_record(path))
        except DataError as error:
            problems.extend(error.problems)
    return tuple(records)


def _matrix(path: Path, problems: list[Problem]) -> tuple[MatrixCell, ...]:
    content = _optional_json(path, problems)
    return tuple(
        MatrixCell(
            benchmark=cell["benchmark"],
            scored=cell["scored"],
            asked=cell["asked"],
            metric=cell["metric"],
            value=_fraction(cell["value"]),
            difference=_fraction(cell.get("difference")),
            low=_fraction((cell.get("interval") or (None, None))[0]),
            high=_fraction((cell.get("interval") or (None, None))[1]),
        )
        for cell in content.get("cells", ())
    )


def _all_curves(folder: Path, problems: list[Problem]) -> Mapping[str, Mapping[str, Sequence[float]]]:
    """Curves of every training, and of the stages before it that lie one folder deeper, as `label set: stage`."""
    paths = sorted([*folder.glob("*/scalars.json"), *folder.glob("*/*/scalars.json")])
    names = [": ".join(path.parent.relative_to(folder).parts) for path in paths]
    return {name: _curves(path, problems) for name, path in zip(names, paths, strict=True)}


def _curves(path: Path, problems: list[Problem]) -> Mapping[str, Sequence[float]]:
    """Columns of a scalars file (JSON lines); a value that a line lacks is NaN. A cut last line is left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            if number != len(lines):
                problems.append(Problem(place=f"{path} line {number}", message="not JSON", remedy="Train again"))
    rows = [row for row in rows if "step" in row and "loss" in row]
    names = sorted({name for row in rows for name, value in row.items() if isinstance(value, int | float)})
    return {name: [_fraction(row.get(name)) for row in rows] for name in names}


def _optional_json(path: Path, problems: list[Problem]) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    try:
        return _json(path)
    except DataError as error:
        problems.extend(error.problems)
        return {}


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"No file at {path}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _broken(path, f"not readable as JSON ({error})", "Remove it and run the same command again") from error
    if not isinstance(content, dict):
        raise _broken(path, f"a JSON object was expected, this is a {type(content).__name__}", "Give another file")
    return content


def _broken(path: Path, message: str, remedy: str) -> DataError:
    return DataError([Problem(place=str(path), message=message, remedy=remedy)])


def _fraction(value: float | None) -> float:
    return math.nan if value is None else float(value)
