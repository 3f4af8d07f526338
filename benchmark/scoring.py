"""Score prediction files of any tool: check everything, measure, pool, and keep a record with per-sample statistics.

```text
<work dir>/<benchmark>/job.json            what was scored: predictions, truth, protocol, and the state of their files
<work dir>/<benchmark>/stats/0.stats       per-sample statistics, written as they are made
<work dir>/<benchmark>/record.json         written last
```

Nothing is written before every file has been read; all problems of all files are raised at once. A killed command that
is given again continues: while the files are the same, what is in `stats/` is not measured again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmark import catalog, intervals, measuring, prompts, record, stat_blocks, store
from benchmark.catalog import Benchmark
from benchmark.contract import Metric, PredictionSet, SampleSet, Scores, Stats
from benchmark.formats.listing import Listing
from benchmark.problems import BenchmarkError, DataError, UsageError
from benchmark.trust import lawful, splits
from benchmark.trust.diagnosis import diagnose, looked_at

JOB = "job.json"
INPUTS = "inputs"
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
    as the number of images asks for. workers: processes at most, None for one a core where the work is worth it.
    """

    row: Benchmark
    predictions: Path
    root: Path | None = None
    truth: Path | None = None
    protocol: str | None = None
    resamples: int | None = None
    workers: int | None = None

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
    """A scored request: its record (schema 1) and the statistics behind it. is_kept: they are on disk already."""

    record: dict[str, Any]
    stats: tuple[Stats, ...]
    is_kept: bool = False


@measuring.one_thread()
@measuring.memory_kept()
@measuring.seldom_collected()
def score(request: Request, *, work_dir: Path | None = None, report: Report | None = None) -> Outcome:
    """Check, measure and pool. Raises DataError with all problems of truth and predictions.

    work_dir: where statistics are kept as they are made, and found again after a kill; None: nowhere.
    """
    started = time.perf_counter()
    if request.row.truth == "private" and request.truth is None and not request.is_mini:
        name = request.row.name
        raise UsageError(
            f"The truth of {name} is not published. Let its server score the archive of 'python -m leaderboards write "
            f"RUN {name}', or give truth of your own with --truth."
        )
    metric = catalog.build_metric(request.row, request.chosen_protocol)
    # Truth is decoded when it is measured, which finds the same faults.
    listing = catalog.verify(
        request.row, request.root, truth=request.truth, is_mini=request.is_mini, needs_frames=False, decodes=False
    )
    samples = listing.samples(prompts.build_prompt(request.row.task, catalog.label_set(request.row)))
    predictions, left_out = _read(request, samples)
    read = time.perf_counter()
    with _undone_if_refused(request, work_dir):
        folder = None if work_dir is None else _begin(request, listing, work_dir)
        # What is diagnosed afterwards need not be decoded twice.
        with contextlib.suppress(BenchmarkError):
            samples, predictions = measuring.remembering(samples, predictions, looked_at(samples, predictions))
        work = measuring.Work(metric=metric, samples=samples, predictions=predictions, place=str(request.predictions))
        stats = measuring.measure(work, folder=folder, workers=request.workers, report=report)
    measured = time.perf_counter()
    scores = _with_coverage(metric.pool(stats)(None), samples, predictions)
    lawful.check(request.row.metric, scores, stats)
    found = {} if scores.missing else _intervals(metric, stats, request)
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
        facts=_facts(request, {**listing.notes, **left_out})
        | {"diagnoses": _diagnoses(request.row, metric, samples, predictions, scores)},
    )
    return Outcome(record=content, stats=tuple(stats), is_kept=folder is not None)


def measure(
    metric: Metric, samples: SampleSet, predictions: PredictionSet, *, place: str, report: Report | None = None
) -> list[Stats]:
    """Statistics of all samples that have a prediction. Raises one DataError with the problems of all of them."""
    work = measuring.Work(metric=metric, samples=samples, predictions=predictions, place=place)
    return measuring.measure(work, workers=1, report=report)


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
    if {name: value for name, value in held.items() if name != INPUTS} != request.identity():
        raise UsageError(f"{directory} holds another job. Name another --work-dir.")


def keep(request: Request, outcome: Outcome, work_dir: Path, *, with_stats: bool = True) -> Path:
    """Write job, record and, if they are not kept yet, statistics, the record last; returns the record's path."""
    directory = work_dir / request.row.name
    if not outcome.is_kept:
        _clear(directory)
        store.write_json(directory / JOB, request.identity())
        if with_stats:
            with stat_blocks.BlockWriter(directory / store.STATS) as shard:
                shard.append(stat_blocks.encode(outcome.stats))
    store.write_json(directory / record.RECORD, outcome.record)
    return directory / record.RECORD


def _begin(request: Request, listing: Listing, work_dir: Path) -> Path:
    """The folder of the statistics; emptied unless an unfinished run of the same command on the same files left it."""
    directory = work_dir / request.row.name
    wanted = request.identity() | {INPUTS: _state_of_inputs(request, listing)}
    held = None
    if (directory / JOB).is_file() and not (directory / record.RECORD).exists():
        with contextlib.suppress(ValueError):
            held = json.loads((directory / JOB).read_text(encoding="utf-8"))
    if held != wanted:
        _clear(directory)
        store.write_json(directory / JOB, wanted)
    return directory / store.STATS


@contextlib.contextmanager
def _undone_if_refused(request: Request, work_dir: Path | None) -> Iterator[None]:
    """Leave nothing behind of predictions that turn out to be broken: mended, they are another job."""
    stats = (work_dir or Path()) / request.row.name / store.STATS
    new = [folder for folder in (stats, *stats.parents) if not folder.exists()]
    try:
        yield
    except DataError:
        if work_dir is not None:
            _clear(stats.parent)
            (stats.parent / JOB).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                for folder in new:
                    folder.rmdir()
        raise


def _clear(directory: Path) -> None:
    """Remove what an earlier run of the job wrote."""
    (directory / record.RECORD).unlink(missing_ok=True)
    for pattern in (f"*{stat_blocks.SUFFIX}", "*.jsonl"):
        for path in (directory / store.STATS).glob(pattern):
            path.unlink()


def _state_of_inputs(request: Request, listing: Listing) -> str:
    """A digest of names, sizes and times of change of the files that are scored, and of the suite's version."""
    layout, root = request.row.layout, request.root
    paths = [path for entry in listing.entries for path in entry.labels]
    paths += [] if root is None else [root / name / layout.landmark(request.row) for name in layout.roots]
    for start in (request.predictions, request.truth):
        paths += [] if start is None else _files(start)
    digest = hashlib.sha256(json.dumps(record.versions(), sort_keys=True).encode())
    for path in paths:
        with contextlib.suppress(OSError):
            state = path.stat()
            digest.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(start: Path) -> list[Path]:
    """A file, with the folder that goes by its name where it has one, or all files below a folder, in order of name."""
    below = start if start.is_dir() else start.with_suffix("")
    found = sorted(path for path in below.rglob("*") if path.is_file()) if below.is_dir() else []
    return [start, *found]


def _read(request: Request, samples: SampleSet) -> tuple[PredictionSet, Mapping[str, int]]:
    try:
        return catalog.read_predictions_with_notes(request.row, request.predictions, samples)
    except DataError as error:
        raise splits.explain(request.row, request.root, request.predictions, samples, error) from error


def _diagnoses(
    row: Benchmark, metric: Metric, samples: SampleSet, predictions: PredictionSet, scores: Scores
) -> list[dict[str, str]]:
    headline = scores.values.get(row.main_score, math.nan)
    found = diagnose(metric, row.main_score, row.label_set, samples, predictions, headline=headline)
    return [asdict(one) for one in found]


def _with_coverage(scores: Scores, samples: SampleSet, predictions: PredictionSet) -> Scores:
    missing = tuple(sample_id for sample_id in samples.ids if sample_id not in predictions)
    num = len(samples)
    return replace(scores, num_expected=num, num_scored=num - len(missing), missing=missing)


def _intervals(metric: Metric, stats: list[Stats], request: Request) -> dict[str, tuple[float, float]]:
    draws_of = request.row.cluster or str
    if len({draws_of(one.sample_id) for one in stats}) < 2:
        return {}  # one image or video says nothing of how others would vary
    wanted = request.resamples
    resamples = (RESAMPLES if len(stats) <= LARGE else RESAMPLES_OF_LARGE_SETS) if wanted is None else wanted
    if not resamples:
        return {}
    workers = measuring.num_workers(request.workers)
    found = intervals.intervals(metric, stats, resamples=resamples, clusters=request.row.cluster, workers=workers)
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
