"""`python -m benchmark demo`: stored example predictions scored on a little of the mini data, and a report to open.

Needs the base install only. The predictions are official result files in `example_predictions.tar.xz`, which `pack`
made from a run of the suite; they are read and scored by the code that reads and scores anybody's files.
To make them anew: `python -c "import pathlib, benchmark.demo as d; d.pack(pathlib.Path('runs/RUN'))"`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from benchmark import catalog, job, labels, record, store, trivial
from benchmark.catalog import Benchmark
from benchmark.contract import Task
from benchmark.job import Predictor
from benchmark.minidata import generate
from benchmark.problems import DataError, Problem, UsageError

EXAMPLES = Path(__file__).parent / "example_predictions.tar.xz"
MANIFEST = "manifest.json"
ROOT = Path(__file__).resolve().parents[1]
SIZES: Mapping[str, int] = MappingProxyType({"train": 60, "val": 40})
"""Scenes of the demo; the first ones of the whole mini data, so any run of the suite has predictions for them."""
BASELINE = "colour_clusters"
RESAMPLES = 300
"""Replicates of the intervals; a third of the usual number, which would take most of the demo's time."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Who made the example predictions, for how many scenes of each row, and with which version of the mini data."""

    system: str
    variant: str
    checkpoint_sha256: str | None
    num_samples: int
    world_version: int
    benchmarks: tuple[str, ...]


def run(work_dir: Path, *, say: Say, archive: Path = EXAMPLES) -> int:
    """Score the example predictions below `work_dir`, write a report and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder)
        manifest = _unpack(archive, unpacked)
        say(f"[1/4] mini data: {SIZES['val']} scenes to score, {SIZES['train']} to fit the trivial baseline")
        data_root = generate.ensure(sizes=SIZES)
        directory = work_dir / f"demo-{job.sha256_of_file(archive)[:8]}"
        store.write_json(directory / "plan.json", _plan(manifest, data_root))
        record.write_environment(directory, "cpu")
        say(f"[2/4] example predictions of {manifest.system}:{manifest.variant}")
        for name in manifest.benchmarks:
            _score(catalog.get(name), manifest, data_root, unpacked, directory, say)
    say(f"[3/4] trivial baseline {BASELINE}")
    fitted = cache(lambda label_set: _fit_baseline(label_set, data_root))
    for name in manifest.benchmarks:
        _score_baseline(catalog.get(name), fitted, data_root, directory / "baselines" / BASELINE / name, say)
    say("[4/4] report")
    return _start_reports(directory, data_root)


def pack(run_directory: Path, archive: Path = EXAMPLES) -> None:
    """Write the example predictions from the stored ones of a finished run on the mini data.

    Raises UsageError where a row is not finished or lacks one of the demo's scenes.
    """
    data_root = generate.ensure(sizes=SIZES)
    rows = [row for row in catalog.BENCHMARKS.values() if (run_directory / row.name).is_dir()]
    if not rows:
        raise UsageError(f"{run_directory} holds no finished benchmark. Give the directory of a finished run.")
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder)
        for row in rows:
            samples = catalog.open_samples(row, data_root, is_mini=True)
            stored = store.open_predictions(run_directory / row.name)
            missing = [sample_id for sample_id in samples.ids if sample_id not in stored]
            if missing:
                raise UsageError(
                    f"{run_directory / row.name} has no prediction of sample {missing[0]}. Finish the run."
                )
            pairs = ((sample, stored[sample.sample_id]) for sample in samples)
            catalog.write_predictions(row, place_of(unpacked, row), pairs)
        _write_manifest(unpacked, run_directory, rows)
        _archive(unpacked, archive)


def _write_manifest(folder: Path, run_directory: Path, rows: list[Benchmark]) -> None:
    first = record.read(run_directory / rows[0].name)
    if first is None:
        raise UsageError(f"{run_directory / rows[0].name} has no valid record. Finish the run.")
    content = {
        "system": first["system"],
        "variant": first["variant"],
        "checkpoint_sha256": first["checkpoint_sha256"],
        "num_samples": SIZES["val"],
        "world_version": generate.WORLD_VERSION,
        "benchmarks": [row.name for row in rows],
    }
    store.write_json(folder / MANIFEST, content)


def _archive(folder: Path, archive: Path) -> None:
    """An archive whose bytes depend on the files' content only; PNGs lie in it uncompressed, which makes it smaller."""
    part = archive.with_name(f".{archive.name}.part")
    with tarfile.open(part, "w:xz", preset=9) as target:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.suffix == ".png":
                pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
                path.write_bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes())
            member = tarfile.TarInfo(str(path.relative_to(folder)))
            member.size = path.stat().st_size
            with path.open("rb") as file:
                target.addfile(member, file)
    part.replace(archive)


def _unpack(archive: Path, folder: Path) -> Manifest:
    """Unpack the examples; raises DataError when they are missing, damaged or made for other mini data."""
    try:
        with tarfile.open(archive) as source:
            if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and later
                source.extraction_filter = tarfile.data_filter
            source.extractall(folder)
        content: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, tarfile.TarError) as error:
        problem = Problem(place=str(archive), message=f"no readable archive ({error})", remedy="Restore it with git.")
        raise DataError([problem]) from error
    manifest = Manifest(**(content | {"benchmarks": tuple(content["benchmarks"])}))
    made_for = (manifest.world_version, manifest.num_samples)
    if made_for != (generate.WORLD_VERSION, SIZES["val"]):
        message = f"made for {made_for[1]} scenes of version {made_for[0]} of the mini data"
        expected = f"this code draws {SIZES['val']} scenes of version {generate.WORLD_VERSION}"
        remedy = "Make them anew with benchmark.demo.pack(RUN)."
        raise DataError([Problem(place=str(archive), message=f"{message}; {expected}", remedy=remedy)])
    return manifest


def place_of(folder: Path, row: Benchmark) -> Path:
    """Where a row's result files lie: a folder, or the JSON that the row's form starts with."""
    is_folder = row.task is Task.SEMANTIC or (row.task is Task.INSTANCE and row.dataset == "cityscapes")
    return folder / row.name if is_folder else folder / f"{row.name}.json"


def _score(row: Benchmark, manifest: Manifest, data_root: Path, unpacked: Path, directory: Path, say: Say) -> None:
    """Score a row's example files."""
    samples = catalog.open_samples(row, data_root, is_mini=True)
    predictions = catalog.read_predictions(row, place_of(unpacked, row), samples)
    facts = {
        "role": "system",
        "system": manifest.system,
        "variant": manifest.variant,
        "checkpoint_sha256": manifest.checkpoint_sha256,
    }
    _run_job(row, lambda sample: predictions[sample.sample_id], data_root, directory / row.name, facts, say)


def _fit_baseline(label_set: str, data_root: Path) -> Predictor:
    """The trivial baseline of a label set."""
    training = next(row for row in catalog.TRAINING.values() if row.labels == label_set)
    samples = catalog.open_samples(training, data_root, is_mini=True)
    return trivial.build(BASELINE, samples, labels.load(label_set))


def _score_baseline(
    row: Benchmark, fitted: Callable[[str], Predictor], data_root: Path, directory: Path, say: Say
) -> None:
    """Score the trivial baseline; it is fitted when the first sample comes, for a finished row never."""
    facts = {"role": "baseline", "system": BASELINE, "variant": ""}
    _run_job(row, lambda sample: fitted(row.labels)(sample), data_root, directory, facts, say)


def _run_job(
    row: Benchmark, predict: Predictor, data_root: Path, directory: Path, facts: Mapping[str, Any], say: Say
) -> None:
    samples = catalog.open_samples(row, data_root, is_mini=True)
    one = job.make_job(row, is_mini=True, data=f"mini:{data_root.name}", **facts)
    content = job.run_job(one, row, samples, predict, directory, resamples=RESAMPLES)
    value = content["scores"][content["main_score"]]
    score = "undefined" if value is None else f"{value:.3f}"
    say(f"  {row.display_name(is_mini=True)}: {content['main_score']} {score}")


def _plan(manifest: Manifest, data_root: Path) -> dict[str, Any]:
    """Content of `plan.json`."""
    return {
        "schema": 1,
        "command": ["python", "-m", "benchmark", "demo"],
        "suite": "demo",
        "system": manifest.system,
        "variant": manifest.variant,
        "seed": 0,
        "limit": None,
        "data": f"mini:{data_root.name}",
        "is_mini": True,
        "data_root": str(data_root.resolve()),
        "rows": [
            {
                "benchmark": name,
                "display_name": f"{name}@mini",
                "state": "run",
                "reason": None,
                "num_samples": manifest.num_samples,
            }
            for name in manifest.benchmarks
        ],
        "baselines": [BASELINE],
    }


def _start_reports(directory: Path, data_root: Path) -> int:
    """Print the table and build the report, by name: this folder imports none of the folders above it."""
    run_directory = str(directory.resolve())
    for arguments in (["table", run_directory], ["build", run_directory, "--data-root", str(data_root.resolve())]):
        code = subprocess.run([sys.executable, "-m", "reports", *arguments], cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0
