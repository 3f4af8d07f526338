"""Carry out a plan: check the data, train, evaluate, put trivial baselines and the task-prompt matrix beside it.

Every step looks at the run directory first and does only what is not there yet; a killed call continues where it was.
Reports are started by name as commands of their own, because this folder imports none of the folders above it.
"""

from __future__ import annotations

import fcntl
import json
import pprint
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmark import catalog, job, labels, launch, matrix, record, store, trivial
from benchmark.catalog import Benchmark
from benchmark.contract import SampleSet, Task
from benchmark.job import Predictor
from benchmark.minidata import generate
from benchmark.plan import Plan, PlannedRow, TrainingLike, check_training_data, describe, label_sets_of, with_mini_data
from benchmark.problems import BenchmarkError, UsageError
from benchmark.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
TRAIN = "train"
BASELINES = "baselines"
PLAN = "plan.json"
CONFIG = "config.py"
LOCK = ".lock"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A plan that is being carried out. launcher, num_processes: how it trains. device: where it predicts."""

    plan: Plan
    launcher: str
    num_processes: int
    device: str
    say: Say


def run(plan: Plan, *, command: Sequence[str], launcher: str, num_processes: int, say: Say) -> Plan:
    """Carry out everything but the report and return the plan with its data opened.

    Raises BenchmarkError; whatever is finished by then stays and is not done again.
    """
    if plan.truth is not None:
        say(f"[1/5] truth {plan.truth}")
    elif plan.data_root is None:
        say("[1/5] mini data")
        plan = with_mini_data(plan, generate.ensure())
    else:
        say(f"[1/5] data under {plan.data_root}")
        check_training_data(_untrained(plan), plan.data_root)
    with locked(plan.run_directory):
        device = launch.harness().device_name()
        store.write_json(plan.run_directory / PLAN, describe(plan, command))
        store.write_text(plan.run_directory / CONFIG, _config_module(plan))
        record.write_environment(plan.run_directory, device)
        running = Running(plan=plan, launcher=launcher, num_processes=num_processes, device=device, say=say)
        say("[2/5] training" if plan.checkpoint is None else f"[2/5] weights of {plan.checkpoint}, no training")
        wanted = plan.answering_sets if plan.is_eval_only else [one.label_set for one in plan.trainings]
        weights = {one.label_set: train(running, one) for one in plan.trainings if one.label_set in wanted}
        say("[3/5] evaluation")
        for label_set in plan.answering_sets:
            evaluate(running, label_set, weights[label_set])
        say("[4/5] trivial baselines")
        evaluate_baselines(running)
    return plan


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the run directory; raises UsageError when another process does. The lock ends with the process."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"Another process is working in {directory}. Wait for it, or use another --work-dir."
            raise UsageError(message) from error
        yield


def weights_file(plan: Plan, label_set: str) -> Path:
    """Where the training of a label set leaves its weights."""
    return plan.run_directory / TRAIN / label_set / str(launch.harness().FINAL_WEIGHTS)


def _untrained(plan: Plan) -> list[TrainingLike]:
    """The trainings that will be run."""
    if plan.checkpoint is not None or plan.is_eval_only:
        return []
    return [training for training in plan.trainings if not weights_file(plan, training.label_set).is_file()]


def check_weights(plan: Plan) -> None:
    """Raise UsageError when nothing may be trained and weights are missing."""
    if plan.checkpoint is not None or not plan.is_eval_only:
        return
    for label_set in plan.answering_sets:
        weights = weights_file(plan, label_set)
        if not weights.is_file():
            raise UsageError(
                f"No trained weights of {plan.model} for {label_set}: {weights} does not exist. "
                "Run the same command without --eval-only, or give --checkpoint FILE."
            )


def train(running: Running, training: TrainingLike) -> Path:
    """The weights of a label set: given, trained before, or trained now."""
    plan = running.plan
    weights = weights_file(plan, training.label_set)
    if plan.checkpoint is not None:
        return plan.checkpoint
    if weights.is_file():
        running.say(f"  {training.label_set}: trained before")
        return weights
    start_from = None if training.start_from is None else str(weights_file(plan, training.start_from).resolve())
    task = launch.TrainingTask(
        system=plan.system.name,
        variant=plan.system.variant,
        options=plan.options,
        label_set=training.label_set,
        data_root=str(Path(plan.data_root or "").resolve()),
        is_mini=plan.is_mini,
        work_dir=str(weights.parent.resolve()),
        seed=plan.seed,
        start_from=start_from,
        num_processes=running.num_processes,
    )
    progress, report = launch.show_training(training.label_set)
    with progress:
        return launch.get(running.launcher)(task, report)


def evaluate(running: Running, label_set: str, weights: Path) -> None:
    """Every row of a label set, and its task-prompt matrix where the suite asks for one."""
    plan = running.plan
    rows = plan.answered_by(label_set)
    facts: dict[str, Any] = {
        "system": plan.system.name,
        "variant": plan.system.variant,
        "overrides": plan.options,
        "config_hash": plan.system.config_hash,
        "checkpoint": _inside(plan.run_directory, weights),
        "checkpoint_sha256": job.sha256_of_file(weights),
    }
    predict = _predictor(plan, label_set, weights)
    for row in rows:
        _run_job(running, row, predict, plan.run_directory / row.benchmark.name, facts | {"role": "system"})
    by_name = {row.benchmark.name: row for row in rows if row.benchmark.labels in plan.suite.matrix}
    if len(by_name) < 2:
        return
    cells = matrix.plan_cells([row.benchmark for row in by_name.values()], plan.run_directory)
    for cell in cells:
        if not cell.is_asked_rightly:
            overrides = facts | {"role": "matrix", "asked": str(cell.asked)}
            _run_job(running, by_name[cell.row.name], predict, cell.directory, overrides)
    target = plan.run_directory / matrix.FOLDER / matrix.MATRIX
    store.write_json(target, matrix.compare(cells, ", ".join(plan.suite.matrix)))


def _inside(run_directory: Path, weights: Path) -> str:
    """The weights' path, relative where they lie in the run directory, so that a run can be moved."""
    is_inside = weights.resolve().is_relative_to(run_directory.resolve())
    return str(weights.resolve().relative_to(run_directory.resolve()) if is_inside else weights)


def evaluate_baselines(running: Running) -> None:
    """The suite's trivial baselines on every row; on mini data only, where their training split is at hand."""
    plan = running.plan
    for name in plan.suite.baselines if plan.is_mini else ():
        pictures = [row for row in plan.running if catalog.is_of_the_suite(row.benchmark)]
        for label_set in label_sets_of(pictures):
            predict = _baseline(plan, name, label_set)
            for row in pictures:
                if row.benchmark.labels == label_set:
                    directory = plan.run_directory / BASELINES / name / row.benchmark.name
                    _run_job(running, row, predict, directory, {"role": "baseline", "system": name, "variant": ""})


def _run_job(running: Running, row: PlannedRow, predict: Predictor, directory: Path, facts: dict[str, Any]) -> None:
    """One job with its progress, and a line with its main score."""
    plan, samples = running.plan, row.samples
    if samples is None:
        raise UsageError(f"{row.benchmark.name} has no samples.")
    fields = {"seed": plan.seed, "limit": plan.limit, "data": plan.data, **facts}
    one = job.make_job(row.benchmark, is_mini=plan.is_mini, **fields)
    label = _label(plan, one, row.benchmark)
    is_finished = job.is_finished(one, samples, directory)
    device = running.device if one.role != "baseline" else "cpu"
    with Progress(label) as progress:
        content = job.run_job(one, row.benchmark, samples, predict, directory, report=progress.update, device=device)
    running.say(f"  {label}: {headline(content)}{' (finished before)' if is_finished else ''}")


def headline(content: dict[str, Any]) -> str:
    """Main score with its interval, or the coverage where samples are missing; fractions."""
    name, value = content["main_score"], content["scores"].get(content["main_score"])
    if not record.is_complete(content):
        return f"{content['num_scored']:,} of {content['num_expected']:,} samples scored, no headline number"
    if value is None:
        return f"{name} undefined"
    low, high = content["intervals"].get(name, (None, None))
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{name} {value:.3f}{interval}"


def report(plan: Plan) -> int:
    """Print the table, write the report and name its page; returns the exit code of the command that failed, or 0."""
    folder = str(plan.run_directory.resolve())
    return _start(["table", folder]) or _start(["build", folder])


def check(plan: Plan, baseline: Path) -> int:
    """Compare the run with recorded scores; 1 when one fell by more than its tolerance."""
    return _start(["check", str(plan.run_directory.resolve()), "--baseline", str(baseline.resolve())])


def _start(arguments: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "reports", *arguments], cwd=ROOT, check=False).returncode


def _predictor(plan: Plan, label_set: str, weights: Path) -> Predictor:
    """A predictor that loads its weights when the first sample comes; finished jobs never load them."""
    training = next(one for one in plan.trainings if one.label_set == label_set)
    load = cache(lambda: launch.harness().load_predictor(training, weights))
    return lambda sample: load()(sample)


def _baseline(plan: Plan, name: str, label_set: str) -> Predictor:
    """A trivial baseline that is fitted when the first sample comes."""
    load = cache(lambda: trivial.build(name, _training_samples(plan, label_set), labels.load(label_set)))
    return lambda sample: load()(sample)


def _training_samples(plan: Plan, label_set: str) -> SampleSet:
    """The panoptic training split of a label set."""
    row = next(row for row in catalog.TRAINING.values() if row.labels == label_set and row.task is Task.PANOPTIC)
    if plan.data_root is None:
        raise BenchmarkError("the training split has no data root")
    return catalog.open_samples(row, plan.data_root, is_mini=plan.is_mini)


def _label(plan: Plan, one: job.Job, row: Benchmark) -> str:
    """Name of a job in progress lines."""
    prefix = f"{one.system}: " if one.role == "baseline" else ""
    suffix = f" asked as {one.asked}" if one.role == "matrix" else ""
    return f"{prefix}{row.display_name(is_mini=plan.is_mini)}{suffix}"


def _config_module(plan: Plan) -> str:
    """The resolved config as a Python module."""
    content = pprint.pformat(json.loads(plan.system.config_text), width=118, sort_dicts=True)
    title = f'"""{plan.model}, resolved with its variant and options; SHA-256 {plan.system.config_hash}."""'
    return f"{title}\n\ntrainings = {content}\n"
