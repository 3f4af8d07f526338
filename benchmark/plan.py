"""What a call of the suite will do, before it does anything: rows, data, trainings, run directory, expected minutes.

Suites are literal tables in `configs/suites.py` (or a file of the user's with the same form), systems the files beside
it; both are read as syntax trees here, so that a wrong name is answered at once and without torch.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from benchmark import catalog
from benchmark.catalog import Benchmark
from benchmark.contract import SampleSet, Task
from benchmark.labels import suggestion
from benchmark.minidata import generate, miniatures
from benchmark.minidata.naming import world_classes
from benchmark.problems import DataError, Problem, UsageError, raise_if_any
from benchmark.prompts import ANY_LABEL_SET, build_prompt

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SUITES = CONFIGS / "suites.py"
SECONDS_PER_PREDICTION = 0.04
"""Of a mini model on one sample of the mini data, two CPU cores; only for the expected minutes."""
SECONDS_FOR_THE_REST = 120
"""Data, intervals, baselines, report."""
LEAST_IN_A_MINIATURE = 6
"""Samples of a miniature that is not generated yet; most have more."""
PICTURE_TASKS = (Task.SEMANTIC, Task.INSTANCE, Task.PANOPTIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A named selection; the fields are described in `configs/suites.py`."""

    name: str
    benchmarks: tuple[str, ...]
    matrix: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    limit: int | None = None
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """A row and its data. samples: None where nothing was found, or is not generated yet. reason: why it is not run.

    data_root: where it was found, if that is another place than the plan's.
    """

    benchmark: Benchmark
    samples: SampleSet | None = None
    reason: str | None = None
    data_root: Path | None = None

    @property
    def is_run(self) -> bool:
        """Whether the row's data are at hand or will be."""
        return self.reason is None


class TrainingLike(Protocol):
    """What the plan reads of `harness.Training`."""

    label_set: str
    rows: Mapping[str, float]
    iterations: int
    start_from: str | None
    config: Mapping[str, Any]


class SystemLike(Protocol):
    """What the plan reads of `harness.System`."""

    name: str
    variant: str
    trainings: tuple[Any, ...]
    config_text: str
    config_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole call. data_root: None until the mini data are generated. checkpoint: weights that replace training.

    truth: file or folder that stands in for the official truth of the rows. data: "mini:<key>", "truth:<path>" or
    "files", part of the run's identity. trainings: the needed ones, those they start from first.
    """

    suite: Suite
    system: SystemLike
    options: tuple[str, ...]
    rows: tuple[PlannedRow, ...]
    data: str
    data_root: Path | None
    run_directory: Path
    seed: int
    limit: int | None
    truth: Path | None = None
    checkpoint: Path | None = None
    checkpoint_sha256: str | None = None
    is_eval_only: bool = False
    trainings: tuple[TrainingLike, ...] = field(default=())

    @property
    def is_mini(self) -> bool:
        """The mini data stand in for official files."""
        return self.data.startswith("mini")

    @property
    def answering_sets(self) -> tuple[str, ...]:
        """Label sets of the trainings that answer what is run."""
        return answering_sets(self.trainings, self.rows)

    def answered_by(self, label_set: str) -> tuple[PlannedRow, ...]:
        """The rows that are run by the training of a label set."""
        return tuple(row for row in self.running if answering(self.trainings, row) == label_set)

    @property
    def running(self) -> tuple[PlannedRow, ...]:
        """The rows that are run."""
        return tuple(row for row in self.rows if row.is_run)

    @property
    def model(self) -> str:
        """`system:variant`."""
        return f"{self.system.name}:{self.system.variant}"


def load_suite(name: str) -> Suite:
    """The suite of that name, or of a file with `suite = {...}`; raises UsageError."""
    if name.endswith(".py"):
        found = _literal(Path(name), "suite")
    else:
        known = _literal(SUITES, "suites")
        if name not in known:
            listed = ", ".join(known)
            raise UsageError(f"Unknown suite {name!r}.{suggestion(name, known)} Known: {listed}, or a file FILE.py.")
        found = known[name]
    fields = set(Suite.__slots__) - {"name"}
    odd = [key for key in found if key not in fields]
    if odd or "benchmarks" not in found:
        what = f"has no field {odd[0]!r}" if odd else "needs the field 'benchmarks'"
        raise UsageError(f"Suite {name!r}: a suite {what}. Fields: {', '.join(sorted(fields))}.")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}
    return Suite(name=name, **values)


def list_suites() -> tuple[Suite, ...]:
    """Every suite of the table."""
    return tuple(load_suite(name) for name in _literal(SUITES, "suites"))


def list_systems() -> tuple[str, ...]:
    """Every `system:variant`, read from the config files without importing them."""
    found = []
    for path in sorted(CONFIGS.glob("*.py")):
        value = _assigned(path, "variants")
        keys: Sequence[str | None] = []
        if isinstance(value, ast.Dict):
            keys = [str(key.value) if isinstance(key, ast.Constant) else None for key in value.keys]
        elif isinstance(value, ast.Call):
            keys = [keyword.arg for keyword in value.keywords]
        found += [f"{path.stem}:{key}" for key in keys if key]
    return tuple(found)


def parse_system(text: str) -> tuple[str, str]:
    """(system, variant) of `NAME[:VARIANT]`, `mini` where no variant is given; raises UsageError for unknown ones."""
    known = list_systems()
    wanted = text if ":" in text else f"{text}:mini"
    if wanted not in known:
        raise UsageError(
            f"Unknown system {text!r}.{suggestion(wanted, known)} Run with --list to see all {len(known)}."
        )
    name, variant = wanted.split(":", 1)
    return name, variant


def select_rows(suite: Suite, names: Iterable[str] | None) -> tuple[Benchmark, ...]:
    """The suite's rows, or the named rows of the catalogue; raises UsageError with all unknown names."""
    wanted = tuple(dict.fromkeys(suite.benchmarks if names is None else names))
    rows, errors = [], []
    for name in wanted:
        try:
            rows.append(catalog.get(name))
        except UsageError as error:
            errors.append(str(error))
    errors += [f"{row.name} is for training, it has no score to report." for row in rows if row.is_train]
    if errors:
        raise UsageError("\n".join(errors))
    return tuple(rows)


def open_rows(
    rows: Iterable[Benchmark], data_root: Path | None, *, truth: Path | None = None, is_mini: bool = False
) -> tuple[PlannedRow, ...]:
    """The rows with their verified samples, or with the path that was looked for.

    truth: explicit truth of all of them; one of the two is given.
    Raises one DataError with all problems of all rows.
    """
    found: list[PlannedRow] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            listing = catalog.verify(row, data_root, truth=truth, is_mini=is_mini)
        except catalog.DataNotFound as error:
            found.append(PlannedRow(benchmark=row, reason=str(error)))
        except DataError as error:
            problems.extend(error.problems)
        else:
            named = world_classes(row.label_set) if is_mini else None
            prompt = build_prompt(row.task, row.label_set, named=named)
            found.append(PlannedRow(benchmark=row, samples=listing.samples(prompt)))
    raise_if_any(dict.fromkeys(problems))
    return tuple(found)


def check_training_data(trainings: Iterable[TrainingLike], data_root: Path) -> None:
    """Raise one DataError with everything that is wrong with the lists of the training splits."""
    problems: list[Problem] = []
    for name in dict.fromkeys(name for training in trainings for name in training.rows):
        try:
            catalog.open_listing(catalog.get(name), data_root)
        except DataError as error:
            problems.extend(error.problems)
    raise_if_any(dict.fromkeys(problems))


def with_mini_data(plan: Plan, data_root: Path) -> Plan:
    """The plan with the generated data opened."""
    by_name = {}
    for row in plan.running:
        is_shared = miniatures.is_generated(row.benchmark)
        root = data_root if is_shared else miniatures.root_of(row.benchmark, catalog.rows())
        opened = open_rows([row.benchmark], root, is_mini=True)[0]
        by_name[row.benchmark.name] = opened if is_shared else replace(opened, data_root=root)
    rows = tuple(by_name.get(row.benchmark.name, row) for row in plan.rows)
    return replace(plan, rows=rows, data_root=data_root)


def data_of(data_root: Path | None, truth: Path | None = None) -> str:
    """What a run's identity says of its data: "files", "truth:<path>", or "mini:<key>", also for given mini data."""
    if truth is not None:
        return f"truth:{truth.absolute()}"
    if data_root is None:
        return f"mini:{mini_data_key()}"
    stamp = catalog.mini_stamp(data_root)
    if stamp is None:
        return "files"
    return f"mini:{json.loads(stamp.read_text(encoding='utf-8')).get('key', 'unknown')}"


def mini_data_key() -> str:
    """Name of the mini data's content; it changes whenever the files would."""
    sizes = tuple(sorted(generate.SIZES.items()))
    return generate.Plan(seed=0, sizes=sizes, image_size=generate.IMAGE_SIZE).key()


def needed_trainings(
    system: SystemLike, label_sets: Iterable[str], *, is_alone: bool = False
) -> tuple[TrainingLike, ...]:
    """The trainings that answer the label sets, each after the one it starts from; UsageError if there is none.

    is_alone: leave out what a training starts from, because its weights are given.
    """
    by_label_set = {training.label_set: training for training in system.trainings}
    ordered: dict[str, TrainingLike] = {}
    for name in label_sets:
        chain: list[str] = []
        wanted: str | None = name
        while wanted is not None and wanted not in ordered and wanted not in chain:
            if wanted not in by_label_set:
                answers, model = ", ".join(by_label_set), f"{system.name}:{system.variant}"
                raise UsageError(f"{model} has no training for the label set {wanted!r}; it answers {answers}.")
            chain.append(wanted)
            wanted = None if is_alone else by_label_set[wanted].start_from
        ordered |= {link: by_label_set[link] for link in reversed(chain)}
    return tuple(ordered.values())


def answered(rows: Iterable[PlannedRow], system: SystemLike) -> tuple[PlannedRow, ...]:
    """The rows, those that the system was not made for with the reason why they are not run."""
    known = ", ".join(dict.fromkeys(_answered_by(training) for training in system.trainings))
    reason = f"{system.name}:{system.variant} answers {known}"
    return tuple(
        row if answering(system.trainings, row) is not None else replace(row, reason=row.reason or reason)
        for row in rows
    )


def check_tasks(rows: Iterable[PlannedRow], system: SystemLike) -> None:
    """Raise UsageError, one line a row, where no label set matters but the system does not answer the row's task."""
    if not any("tasks" in training.config for training in system.trainings):
        return
    known = ", ".join(dict.fromkeys(_answered_by(training) for training in system.trainings))
    errors = [
        f"{row.benchmark.name} is a row of the task {row.benchmark.task}, which {system.name}:{system.variant} "
        f"does not answer. It answers {known}."
        for row in rows
        if answering(system.trainings, row) is None
    ]
    if errors:
        raise UsageError("\n".join(errors))


def answering(trainings: Iterable[TrainingLike], row: PlannedRow) -> str | None:
    """The label set of the training that answers a row, `ANY_LABEL_SET` where one answers all; None without one.

    A training of a closed label set answers pictures only, one of any label set the `tasks` of its config, or all.
    """
    for training in trainings:
        is_closed = training.label_set != ANY_LABEL_SET
        answered_tasks = PICTURE_TASKS if is_closed else training.config.get("tasks", tuple(Task))
        if row.benchmark.task in answered_tasks and (not is_closed or training.label_set == row.benchmark.labels):
            return training.label_set
    return None


def _answered_by(training: TrainingLike) -> str:
    """What a training answers, for people: its label set, or its tasks."""
    if training.label_set != ANY_LABEL_SET or "tasks" not in training.config:
        return training.label_set
    return ", ".join(training.config["tasks"])


def answering_sets(trainings: Sequence[TrainingLike], rows: Iterable[PlannedRow]) -> tuple[str, ...]:
    """The label sets of the trainings that answer the rows that are run, in order; a row without one keeps its own."""
    return tuple(dict.fromkeys(answering(trainings, row) or row.benchmark.labels for row in rows if row.is_run))


def several_label_sets(rows: Iterable[PlannedRow]) -> UsageError:
    """What is said when one checkpoint should answer several label sets."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row.is_run:
            groups.setdefault(row.benchmark.labels, []).append(row.benchmark.name)
    choices = " or ".join(f"--benchmarks {','.join(names)}" for names in groups.values())
    return UsageError(f"A checkpoint answers one label set, these rows have {', '.join(groups)}. Choose {choices}.")


def label_sets_of(rows: Iterable[PlannedRow]) -> tuple[str, ...]:
    """Label sets of the rows that are run, in order."""
    return tuple(dict.fromkeys(row.benchmark.labels for row in rows if row.is_run))


def run_directory(work_dir: Path, system: SystemLike, *, is_fresh: bool = False, **identity: Any) -> Path:
    """`<work dir>/<system>-<variant>-<hash8>`; with `is_fresh`, a name that is not taken yet.

    identity: whatever makes two runs different besides the resolved config (checkpoint, seed, limit, data).
    """
    text = json.dumps({"config": system.config_hash, **identity}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    directory = work_dir / f"{system.name}-{system.variant}-{digest}"
    number = 2
    while is_fresh and directory.exists():
        directory = work_dir / f"{system.name}-{system.variant}-{digest}-{number}"
        number += 1
    return directory


def num_samples(plan: Plan, row: PlannedRow) -> int:
    """Samples that a row will score."""
    if row.samples is not None:
        available = len(row.samples)
    elif not plan.is_mini:
        available = row.benchmark.num_samples
    else:
        available = generate.SIZES["val"] if miniatures.is_generated(row.benchmark) else LEAST_IN_A_MINIATURE
    return available if plan.limit is None else min(plan.limit, available)


def expected_minutes(plan: Plan) -> float | None:
    """Minutes on two CPU cores, from the `seconds_per_iteration` that trainings state; None where one does not."""
    is_trained = plan.checkpoint is None and not plan.is_eval_only
    trainings = plan.trainings if is_trained else ()
    stated = [training.config.get("seconds_per_iteration") for training in trainings]
    if not plan.is_mini or None in stated:
        return None
    seconds = sum(float(one or 0) * training.iterations for one, training in zip(stated, trainings, strict=True))
    matrix = [row for row in plan.running if row.benchmark.labels in plan.suite.matrix]
    predictions = sum(num_samples(plan, row) for row in plan.running)
    predictions += (len(matrix) - 1) * sum(num_samples(plan, row) for row in matrix)
    return (seconds + predictions * SECONDS_PER_PREDICTION + SECONDS_FOR_THE_REST) / 60


def describe(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """Content of `plan.json`."""
    rows = [
        {
            "benchmark": row.benchmark.name,
            "display_name": row.benchmark.display_name(is_mini=plan.is_mini),
            "state": "run" if row.is_run else "not run",
            "reason": row.reason,
            "num_samples": num_samples(plan, row) if row.is_run else 0,
            "data_root": None if row.data_root is None else str(row.data_root.resolve()),
        }
        for row in plan.rows
    ]
    trainings = [
        {"label_set": one.label_set, "rows": dict(one.rows), "iterations": one.iterations, "start_from": one.start_from}
        for one in plan.trainings
    ]
    return {
        "schema": 1,
        "command": list(command),
        "suite": plan.suite.name,
        "system": plan.system.name,
        "variant": plan.system.variant,
        "options": list(plan.options),
        "config_hash": plan.system.config_hash,
        "seed": plan.seed,
        "limit": plan.limit,
        "data": plan.data,
        "is_mini": plan.is_mini,
        "data_root": None if plan.data_root is None else str(plan.data_root.resolve()),
        "truth": None if plan.truth is None else str(plan.truth.absolute()),
        "checkpoint": None if plan.checkpoint is None else str(plan.checkpoint),
        "rows": rows,
        "trainings": trainings,
        "matrix": list(plan.suite.matrix),
        "baselines": list(plan.suite.baselines) if plan.is_mini else [],
        "expected_minutes": expected_minutes(plan),
    }


def lines(plan: Plan) -> list[str]:
    """The plan to read."""
    data = str(plan.data_root or plan.truth or f"generated mini data {plan.data.partition(':')[2]}")
    text = [f"Suite {plan.suite.name} with {plan.model}, seed {plan.seed}, data: {data}"]
    width = max(len(row.benchmark.name) for row in plan.rows) + len("@mini")
    for row in plan.rows:
        name = row.benchmark.display_name(is_mini=plan.is_mini)
        state = f"{num_samples(plan, row):>6,} samples" if row.is_run else f"not run: {row.reason}"
        text.append(f"  {name:<{width}}  {state}")
    for one in () if plan.checkpoint is not None else plan.trainings:
        start = f", starts from {one.start_from}" if one.start_from else ""
        text.append(f"  train {one.label_set}: {one.iterations:,} iterations on {', '.join(one.rows)}{start}")
    if plan.checkpoint is not None:
        text.append(f"  weights: {plan.checkpoint}")
    elif plan.is_eval_only:
        text.append("  weights: as trained before (--eval-only)")
    extra = [f"trivial baselines {', '.join(plan.suite.baselines)}"] if plan.is_mini and plan.suite.baselines else []
    extra += [f"task-prompt matrix of {', '.join(plan.suite.matrix)}"] if plan.suite.matrix else []
    text += [f"  and: {'; '.join(extra)}"] if extra else []
    minutes = expected_minutes(plan)
    text.append(f"  run directory: {plan.run_directory}")
    text.append(f"  expected: {'not known' if minutes is None else f'about {minutes:.0f} min on two CPU cores'}")
    return text


def _literal(path: Path, name: str) -> dict[str, Any]:
    """The literal assigned to `name` in a Python file; raises UsageError where there is none."""
    value = _assigned(path, name)
    try:
        found = ast.literal_eval(value) if value is not None else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{path} does not assign a literal dict to {name!r}; see {SUITES} for the form.")
    return found


def _assigned(path: Path, name: str) -> ast.expr | None:
    """The expression assigned to a top-level name, or None."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}.") from error
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path} is not a Python file: {error}.") from error
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return node.value
    return None
