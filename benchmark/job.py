"""Run one job: predict and store sample by sample, measure, and write the record last.

```text
<directory>/job.json              what is run; a directory never holds two different jobs
<directory>/predictions/*.jsonl   stored before they are scored
<directory>/stats/*.jsonl         per-sample statistics
<directory>/record.json           written last, whole: the job is finished
```

A killed job continues after its last complete sample and ends with the same scores.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark import catalog, intervals, labels, record, scoring, store
from benchmark.answer_boxes import in_form
from benchmark.catalog import Benchmark
from benchmark.contract import Metric, Prediction, Sample, SampleSet, Scores, Stats, Task
from benchmark.problems import UsageError
from benchmark.prompts import build_prompt
from benchmark.trust import lawful

JOB = "job.json"
SHARD = "0.jsonl"

Predictor = Callable[[Sample], Prediction]
Report = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is run. Equal jobs give equal records.

    asked: task that the prompt's sentence names; the row's own task unless it is overridden.
    role: "system", "baseline" or "matrix". data: "mini:<key>", "truth:<path>" or "files".
    checkpoint: file of the weights; only their SHA-256 is part of the identity.
    limit: number of samples, None for all.
    """

    benchmark: str
    benchmark_version: int
    split: str
    protocol: str
    asked: str
    role: str
    system: str
    variant: str
    overrides: tuple[str, ...] = ()
    config_hash: str | None = None
    checkpoint: str | None = field(default=None, compare=False)
    checkpoint_sha256: str | None = None
    seed: int = 0
    limit: int | None = None
    data: str = "files"

    @property
    def is_mini(self) -> bool:
        """The samples come from the mini data."""
        return self.data.startswith("mini")


def make_job(row: Benchmark, *, is_mini: bool, **fields: Any) -> Job:
    """A job on a catalogue row, with the row's own facts filled in; `fields` are the remaining ones of `Job`."""
    return Job(
        benchmark=row.name,
        benchmark_version=row.version,
        split=row.split,
        protocol=row.headline_protocol(is_mini=is_mini),
        **{"asked": str(row.task), "role": "system", **fields},
    )


def run_job(
    job: Job,
    row: Benchmark,
    samples: SampleSet,
    predictor: Predictor,
    directory: Path,
    *,
    report: Report | None = None,
    device: str = "cpu",
    resamples: int | None = None,
) -> dict[str, Any]:
    """Run or continue a job and return its record; a finished one is only read.

    samples: the whole row, its files verified (`catalog.verify`); `job.limit` cuts it. device: where it predicts.
    resamples: replicates of the intervals, None for as many as `score` takes.

    Raises:
        UsageError: the directory holds another job.
        DataError: a stored shard is damaged.
    """
    identity = _identity(job, samples)
    _check_directory(directory, identity)
    finished = record.read(directory)
    if finished is not None:
        return finished
    chosen = ask(samples.head(job.limit), row, Task(job.asked))
    store.write_json(directory / JOB, identity)
    started = time.perf_counter()
    metric = catalog.build_metric(row, job.protocol)
    seconds = _fill(chosen, _in_form_of(row, predictor), metric, directory, report)
    stats = list(store.open_stats(directory, chosen.ids))
    scores = _with_coverage(metric.pool(stats)(None), samples.ids, stats)
    lawful.check(row.metric, scores, stats)
    found = {} if scores.missing else _intervals(metric, stats, row, resamples)
    seconds["total"] = time.perf_counter() - started
    facts = _facts(job, row, device)
    content = record.build(scores, main_score=row.main_score, intervals=found, seconds=seconds, facts=facts)
    store.write_json(directory / record.RECORD, content)
    return content


def is_finished(job: Job, samples: SampleSet, directory: Path) -> bool:
    """Whether the directory holds the valid record of this job; raises UsageError when it holds another job."""
    _check_directory(directory, _identity(job, samples))
    return record.read(directory) is not None


def ask(samples: SampleSet, row: Benchmark, asked: Task) -> SampleSet:
    """The samples under the sentence of the task `asked`; what is scored stays the row's task."""
    if asked == row.task:
        return samples
    prompt = build_prompt(row.task, labels.load(row.labels), asked)
    return SampleSet(samples.ids, lambda index: replace(samples[index], prompt=prompt))


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _identity(job: Job, samples: SampleSet) -> dict[str, Any]:
    """Content of `job.json`."""
    digest = hashlib.sha256("\n".join(samples.ids).encode()).hexdigest()
    fields = asdict(job) | {"overrides": list(job.overrides)}
    return {"schema": record.SCHEMA, **fields, "num_samples": len(samples), "samples_sha256": digest}


def _check_directory(directory: Path, identity: Mapping[str, Any]) -> None:
    """Raise UsageError when the directory holds another job."""
    try:
        held = json.loads((directory / JOB).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        held = {}
    names = [name for name in identity if name != "checkpoint" and held.get(name) != identity[name]]
    if names:
        name = names[0]
        raise UsageError(
            f"{directory} holds another job: its {name} is {held.get(name)!r}, this one's is {identity[name]!r}. "
            "Use --no-resume for a fresh run directory, or another --work-dir."
        )


def _fill(
    samples: SampleSet, predictor: Predictor, metric: Metric, directory: Path, report: Report | None
) -> dict[str, float]:
    """Predict and measure every sample that is not stored yet; returns seconds by stage."""
    seconds = {"predict": 0.0, "measure": 0.0}
    predictions = store.open_predictions(directory)
    measured = store.open_shards(directory / store.STATS, key="stats")
    with (
        store.ShardWriter(directory / store.PREDICTIONS / SHARD, key="prediction") as new_predictions,
        store.ShardWriter(directory / store.STATS / SHARD, key="stats") as new_stats,
    ):
        for index, sample_id in enumerate(samples.ids):
            if sample_id not in measured or sample_id not in predictions:
                sample = samples[index]
                start = time.perf_counter()
                if sample_id in predictions:
                    prediction = predictions[sample_id]
                else:
                    prediction = predictor(sample)
                    new_predictions.append(sample_id, store.encode(prediction))
                middle = time.perf_counter()
                if sample_id not in measured:
                    new_stats.append(sample_id, store.encode_stats(metric.measure(sample, prediction)))
                seconds["predict"] += middle - start
                seconds["measure"] += time.perf_counter() - middle
            if report is not None:
                report(index + 1, len(samples))
    return seconds


def _in_form_of(row: Benchmark, predictor: Predictor) -> Predictor:
    """The predictor with boxes as the row's files have them."""
    return lambda sample: in_form(predictor(sample), row.boxes, sample.size)


def _with_coverage(scores: Scores, expected: Sequence[str], stats: Sequence[Stats]) -> Scores:
    """The scores with the coverage of the whole row."""
    scored = {one.sample_id for one in stats}
    missing = tuple(sample_id for sample_id in expected if sample_id not in scored)
    return replace(scores, num_expected=len(expected), num_scored=len(scored), missing=missing)


def _intervals(
    metric: Metric, stats: Sequence[Stats], row: Benchmark, wanted: int | None
) -> dict[str, tuple[float, float]]:
    """95 % intervals of every score that is defined."""
    usual = scoring.RESAMPLES if len(stats) <= scoring.LARGE else scoring.RESAMPLES_OF_LARGE_SETS
    found = intervals.intervals(metric, stats, resamples=wanted or usual, clusters=row.cluster)
    return {name: (one.low, one.high) for name, one in found.items() if not math.isnan(one.value)}


def _facts(job: Job, row: Benchmark, device: str) -> dict[str, Any]:
    """Fields of the record that are not results."""
    return {
        "benchmark": row.name,
        "display_name": row.display_name(is_mini=job.is_mini),
        "is_mini": job.is_mini,
        "task": str(row.task),
        "asked": job.asked,
        "split": job.split,
        "protocol": job.protocol,
        "metric": row.metric,
        "system": job.system,
        "variant": job.variant,
        "role": job.role,
        "seed": job.seed,
        "limit": job.limit,
        "checkpoint": job.checkpoint,
        "checkpoint_sha256": job.checkpoint_sha256,
        "config_hash": job.config_hash,
        "benchmark_version": job.benchmark_version,
        "versions": record.versions(),
        "device": device,
        "truth_is_official": job.data == "files",
    }
