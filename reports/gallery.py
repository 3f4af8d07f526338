"""Which samples a report shows: the best, the median and the worst of each benchmark by their own score.

Reads stored statistics and predictions of a job's directory, and the samples through the catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import catalog, labels, store
from benchmark.contract import Metric, PredictionSet, Sample, SampleSet, Stats, sample_order
from reports.clips import clip_panel
from reports.records import Record, Run
from reports.render import Panel, Tile, describe, draw, panel
from reports.sources import read_image
from reports.summary import TASKS
from reports.tables import percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A sample worth showing. score: its own main score, a fraction. rank: "best", "median" or "worst"."""

    sample_id: str
    score: float
    rank: str


def choose(metric: Metric, stats: Sequence[Stats], main_score: str) -> tuple[Choice, ...]:
    """Best, median and worst sample by its own score; samples without one are left out, none is chosen twice."""
    scored = [(metric.pool([one])(None).values[main_score], one.sample_id) for one in stats]
    ranked = sorted(
        ((score, sample_id) for score, sample_id in scored if not math.isnan(score)),
        key=lambda item: (-item[0], sample_order(item[1])),
    )
    if not ranked:
        return ()
    last = len(ranked) - 1
    places = {last // 2: "median", last: "worst", 0: "best"} if last else {0: "only"}
    return tuple(Choice(sample_id=ranked[p][1], score=ranked[p][0], rank=r) for p, r in sorted(places.items()))


def panels(record: Record, samples: SampleSet, predictions: PredictionSet) -> tuple[Panel, ...]:
    """The chosen samples of one job, drawn from its predictions."""
    row = catalog.get(record.benchmark)
    metric = catalog.build_metric(row, record.protocol or None)
    chosen = choose(metric, store.open_stats(record.folder), record.main_score)
    positions = {sample_id: index for index, sample_id in enumerate(samples.ids)}
    label_set = labels.load(row.labels)
    return tuple(
        (clip_panel if len(samples[positions[choice.sample_id]].frames) > 1 else panel)(
            samples[positions[choice.sample_id]],
            predictions[choice.sample_id],
            label_set,
            rank=choice.rank,
            score_text=f"{record.main_score} {percent(choice.score)}",
        )
        for choice in chosen
        if choice.sample_id in positions and choice.sample_id in predictions
    )


def prompt_panel(run: Run, record: Record, samples: SampleSet) -> Panel | None:
    """The median sample (of two, the best) of a benchmark, answered under each task sentence; None without a matrix."""
    folders = _asked_folders(run, record)
    if set(folders) != set(TASKS):
        return None
    row = catalog.get(record.benchmark)
    metric = catalog.build_metric(row, record.protocol or None)
    chosen = {one.rank: one for one in choose(metric, store.open_stats(record.folder), record.main_score)}
    wanted = next((chosen[rank] for rank in ("median", "only", "best") if rank in chosen), None)
    if wanted is None or wanted.sample_id not in samples.ids:
        return None
    sample = samples[samples.ids.index(wanted.sample_id)]
    shown = panel(
        sample, store.open_predictions(record.folder)[wanted.sample_id], labels.load(row.labels), rank="median"
    )
    tiles = [tile for tile in shown.tiles if tile.title != "prediction"]
    tiles += [_asked_tile(folders[task], sample, row.labels, task) for task in TASKS]
    return Panel(sample_id=shown.sample_id, rank="median", score_text="", tiles=tuple(tiles), legend=shown.legend)


def _asked_tile(folder: Path, sample: Sample, label_set: str, task: str) -> Tile:
    frame = store.open_predictions(folder)[sample.sample_id].frames[0]
    loaded = labels.load(label_set)
    return Tile(
        f"asked: {task}", f"asked as {task}: {describe(frame, loaded)}", draw(read_image(sample), frame, loaded)
    )


def _asked_folders(run: Run, record: Record) -> Mapping[str, Path]:
    """Directories with predictions of one benchmark, by the task that was asked."""
    found = {record.asked or record.task: record.folder}
    for task in TASKS:
        folder = run.folder / "matrix" / f"{record.benchmark}.asked_{task}"
        if (folder / store.PREDICTIONS).is_dir():
            found[task] = folder
    return found
