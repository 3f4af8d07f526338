"""Score prediction files of any tool: check everything, measure, pool, and keep a record with per-sample statistics.

```text
<work dir>/<benchmark>/job.json            what was scored: predictions, truth, protocol
<work dir>/<benchmark>/stats/0.jsonl       per-sample statistics
<work dir>/<benchmark>/record.json         written last
```

Nothing is written before every file has been read; all problems of all files are raised at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark import catalog, intervals, prompts, record, store
from benchmark.catalog import Benchmark
from benchmark.contract import Metric, PredictionSet, SampleSet, Scores, Stats
from benchmark.problems import BenchmarkError, DataError, Problem, UsageError, raise_if_any

JOB = "job.json"
SHARD = "0.jsonl"
FIT = "Predict for the image as the truth has it"
RESAMPLES = 1000
RESAMPLES_OF_LARGE_SETS = 200
LARGE = 1000
"""Number of images above which fewer replicates say as much: the interval is narrow, and each replicate is dear."""
Report = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is scored. root: data root; truth: explicit truth instead of the official split; one of the two is given.

    protocol: None for the headline's. resamples: replicates of the confidence intervals, 0 for none, None for as many
    as the number of images asks for.
    """

    row: Benchmark
    predictions: Path
    root: Path | None = None
    truth: Path | None = None
    protocol: str | None = None
    resamples: int | None = None

    @property
    def is_mini(self) -> bool:
        """The truth comes from the mini data."""
        return self.truth is None and self.root is not None and catalog.is_mini_root(self.root)

    @property
    def chosen_protocol(self) -> str:
        """The protocol that is computed."""
        return self.protocol or self.row.headline_protocol(is_mini=self.is_mini)

    def identity(self) -> dict[str, Any]:
        """What tells this job from others; JSON values."""
        return {
            "schema": record.SCHEMA,
            "kind": "score",
            "benchmark": self.row.name,
            "benchmark_version": self.row.version,
            "protocol": self.chosen_protocol,
            "predictions": str(self.predictions.resolve()),
            "data_root": None if self.root is None else str(self.root.resolve()),
            "truth": None if self.truth is None else str(self.truth.absolute()),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A scored request: its record (schema 1) and the statistics behind it."""

    record: dict[str, Any]
    stats: tuple[Stats, ...]


def score(request: Request, *, report: Report | None = None) -> Outcome:
    """Check, measure and pool. Raises DataError with all problems of truth and predictions."""
    started = time.perf_counter()
    if request.row.truth == "private" and request.truth is None and not request.is_mini:
        name = request.row.name
        raise UsageError(
            f"The truth of {name} is not published. Let its server score the archive of 'python -m leaderboards write "
            f"RUN {name}', or give truth of your own with --truth."
        )
    metric = catalog.build_metric(request.row, request.chosen_protocol)
    listing = catalog.verify(
        request.row, request.root, truth=request.truth, is_mini=request.is_mini, needs_frames=False
    )
    samples = listing.samples(prompts.build_prompt(request.row.task, catalog.label_set(request.row)))
    predictions, left_out = catalog.read_predictions_with_notes(request.row, request.predictions, samples)
    read = time.perf_counter()
    stats = measure(metric, samples, predictions, place=str(request.predictions), report=report)
    measured = time.perf_counter()
    scores = _with_coverage(metric.pool(stats)(None), samples, predictions)
    found = {} if scores.missing else _intervals(metric, stats, request.resamples)
    seconds = {
        "read": read - started,
        "measure": measured - read,
        "total": time.perf_counter() - started,
    }
    content = record.build(
        scores,
        main_score=request.row.main_score,
        intervals=found,
        seconds=seconds,
        facts=_facts(request, {**listing.notes, **left_out}),
    )
    return Outcome(record=content, stats=tuple(stats))


def measure(
    metric: Metric, samples: SampleSet, predictions: PredictionSet, *, place: str, report: Report | None = None
) -> list[Stats]:
    """Statistics of all samples that have a prediction. Raises one DataError with the problems of all of them."""
    stats: list[Stats] = []
    problems: list[Problem] = []
    for index, sample_id in enumerate(samples.ids):
        if sample_id in predictions:
            try:
                stats.append(metric.measure(samples[index], predictions[sample_id]))
            except DataError as error:
                problems += error.problems
            except BenchmarkError as error:
                problems.append(Problem(place=place, message=str(error).rstrip("."), remedy=FIT))
        if report is not None:
            report(index + 1, len(samples))
    raise_if_any(problems)
    return stats


def work_directory(request: Request) -> Path:
    """The default work directory, which names what is scored by a hash."""
    text = json.dumps(request.identity(), sort_keys=True)
    return Path("runs") / f"score-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def check_target(path: Path, *, is_folder: bool) -> None:
    """Raise UsageError unless a file (or folder) can be written at `path`; nothing is left behind."""
    kind = "folder" if is_folder else "file"
    if path.exists() and path.is_dir() != is_folder:
        raise UsageError(f"{path} cannot be written: it is no {kind}. Name another {kind}.")
    home = path if is_folder and path.exists() else path.parent
    while not home.exists() and home != home.parent:
        home = home.parent
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}). Name a {kind} in a folder of yours.") from error


def check_work_directory(request: Request, work_dir: Path) -> None:
    """Raise UsageError unless the outcome can be kept there without touching another job's."""
    check_target(work_dir, is_folder=True)
    directory = work_dir / request.row.name
    try:
        held = json.loads((directory / JOB).read_text(encoding="utf-8"))
    except OSError:
        return
    except ValueError:
        held = {}
    if held != request.identity():
        raise UsageError(f"{directory} holds another job. Name another --work-dir.")


def keep(request: Request, outcome: Outcome, work_dir: Path) -> Path:
    """Write job, statistics and record, the record last; returns the record's path."""
    directory = work_dir / request.row.name
    store.write_json(directory / JOB, request.identity())
    lines = [
        json.dumps({"sample_id": one.sample_id, "stats": store.encode_stats(one)}, separators=(",", ": "))
        for one in outcome.stats
    ]
    store.write_text(directory / store.STATS / SHARD, "".join(f"{line}\n" for line in lines))
    store.write_json(directory / record.RECORD, outcome.record)
    return directory / record.RECORD


def _with_coverage(scores: Scores, samples: SampleSet, predictions: PredictionSet) -> Scores:
    missing = tuple(sample_id for sample_id in samples.ids if sample_id not in predictions)
    num = len(samples)
    return replace(scores, num_expected=num, num_scored=num - len(missing), missing=missing)


def _intervals(metric: Metric, stats: list[Stats], wanted: int | None) -> dict[str, tuple[float, float]]:
    resamples = (RESAMPLES if len(stats) <= LARGE else RESAMPLES_OF_LARGE_SETS) if wanted is None else wanted
    if not resamples:
        return {}
    found = intervals.intervals(metric, stats, resamples=resamples)
    return {name: (one.low, one.high) for name, one in found.items() if not math.isnan(one.value)}


def _facts(request: Request, notes: Mapping[str, int]) -> dict[str, Any]:
    row = request.row
    return {
        "benchmark": row.name,
        "display_name": row.display_name(is_mini=request.is_mini),
        "is_mini": request.is_mini,
        "task": str(row.task),
        "asked": str(row.task),
        "split": row.split,
        "protocol": request.chosen_protocol,
        "metric": row.metric,
        "system": request.predictions.stem,
        "variant": "",
        "role": "system",
        "seed": None,
        "checkpoint": None,
        "checkpoint_sha256": None,
        "config_hash": None,
        "benchmark_version": row.version,
        "versions": record.versions(),
        "device": "",
        "predictions": str(request.predictions),
        "truth": None if request.truth is None else str(request.truth),
        "truth_is_official": request.truth is None and not request.is_mini,
        "notes": dict(notes),
    }
