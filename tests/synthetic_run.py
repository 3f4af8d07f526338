"""Small run directories made without a model: from invented records, or from real jobs on a few mini samples."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import catalog, job, masks, matrix
from benchmark import record as benchmark_record
from benchmark.contract import Instances, LabelMap, Panoptic, Prediction, Sample, make_instances

ROWS = {
    "coco_panoptic_val2017": ("PQ", {"PQ": 0.6123, "SQ": 0.8011, "RQ": 0.7512, "PQ_th": 0.57, "PQ_st": 0.71}),
    "coco_instance_val2017": ("AP", {"AP": 0.3684, "AP50": 0.6012, "APs": None}),
    "coco_semantic_val2017": ("mIoU", {"mIoU": 0.7791, "pixel_accuracy": 0.9312}),
}
CLASSES = {"person": 0.61, "zebra": 0.9, "traffic light": None, "sky-other-merged": 0.95}


def record(benchmark: str, **changes: Any) -> dict[str, Any]:
    """A record as the suite writes it; `changes` replace fields."""
    main, scores = ROWS[benchmark]
    value = scores[main]
    task = benchmark.split("_")[1]
    return {
        "schema": 1,
        "benchmark": benchmark,
        "display_name": f"{benchmark}@mini",
        "is_mini": True,
        "task": task,
        "asked": task,
        "split": "val2017",
        "protocol": "coco",
        "metric": task,
        "main_score": main,
        "scores": dict(scores),
        "intervals": {main: [round(value - 0.021, 6), round(value + 0.019, 6)]},
        "counts": {"TP": 812, "FP": 90},
        "per_class": {name: {main: score} for name, score in CLASSES.items()},
        "num_expected": 200,
        "num_scored": 200,
        "missing": [],
        "system": "oneformer",
        "variant": "mini",
        "role": "system",
        "seed": 0,
        "checkpoint": "train/coco_panoptic/final.pth",
        "checkpoint_sha256": "0123456789abcdef" * 4,
        "config_hash": "fedcba9876543210",
        "benchmark_version": 1,
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "device": "cpu",
        "seconds": {"predict": 61.5, "measure": 8.25},
        "truth_is_official": True,
        **changes,
    }


def write_json(path: Path, content: Any) -> None:
    """Write JSON, making the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def write_run(folder: Path, shift: float = 0.0, **changes: Any) -> Path:
    """A run directory with three finished COCO rows; `shift` is added to every score, `changes` go into each record."""
    for benchmark in ROWS:
        content = record(benchmark, **changes)
        content["scores"] = {n: None if v is None else v + shift for n, v in content["scores"].items()}
        write_json(folder / benchmark / "record.json", content)
        trivial = record(benchmark, system="colour_clustering", variant="", role="baseline")
        trivial["scores"] = {n: None if v is None else v / 4 for n, v in trivial["scores"].items()}
        trivial["intervals"] = {}
        write_json(folder / "baselines" / "colour_clustering" / benchmark / "record.json", trivial)
    write_json(folder / "matrix" / "matrix.json", {"schema": 1, "cells": matrix_cells()})
    for number, label_set in enumerate(("coco_panoptic", "ade20k")):
        path = folder / "train" / label_set / "scalars.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "".join(json.dumps(scalars(step + number)) + "\n" for step in range(10, 410, 10)), encoding="utf-8"
        )
    write_json(folder / "plan.json", {"suite": "full", "command": "python benchmark/run.py --suite full", "seed": 0})
    write_json(
        folder / "environment.json", {"python": "3.11.9", "platform": "Linux", "torch": "2.13.0", "cpu_count": 2}
    )
    return folder


def scalars(step: int) -> dict[str, float]:
    """One line of a scalars file: losses that fall with a deterministic ripple."""
    fall = math.exp(-step / 150) + 0.05 * math.sin(step)
    names = {"loss": 9.0, "loss_ce": 3.0, "loss_mask": 2.5, "loss_dice": 2.5, "loss_contrastive": 1.0}
    return {
        "step": step,
        "lr": 1e-4,
        "time": 0.2,
        **{name: round(top * (fall + 0.4), 6) for name, top in names.items()},
    }


def matrix_cells() -> list[dict[str, Any]]:
    """Nine cells with paired differences; none on the diagonal."""
    cells = []
    for benchmark, (main, scores) in ROWS.items():
        scored = benchmark.split("_")[1]
        for asked in ("panoptic", "instance", "semantic"):
            gap = None if asked == scored else (-0.004 if {asked, scored} == {"panoptic", "instance"} else -0.31)
            interval = None if gap is None else [gap - 0.01, gap + 0.01]
            value = scores[main] + (gap or 0.0)
            cells.append(
                {"benchmark": benchmark, "scored": scored, "asked": asked, "metric": main, "value": round(value, 6),
                 "difference": gap, "interval": interval}
            )  # fmt: skip
    return cells


def write_mini_run(folder: Path, data_root: Path) -> Path:
    """A run of real jobs on small mini data below `data_root`; the "model" is the truth, moved by two pixels.

    Asked under another task's sentence it is moved further, so that the task-prompt matrix has something to show. Few
    jobs, because every job resamples its intervals: the three COCO rows, two more cells, one trivial baseline.
    """
    rows = [row for row in catalog.BENCHMARKS.values() if row.dataset == "coco" and catalog.is_of_the_suite(row)]
    for cell in (cells := matrix.plan_cells(rows, folder)):
        if cell.is_asked_rightly:
            _run(cell, data_root, "system", model=("oneformer", "mini"), shift=2)
        elif cell.row is rows[0]:
            _run(cell, data_root, "matrix", model=("oneformer", "mini"), shift=5)
    trivial = matrix.Cell(
        row=rows[2], asked=rows[2].task, directory=folder / "baselines" / "moved_truth" / rows[2].name
    )
    _run(trivial, data_root, "baseline", model=("moved_truth", ""), shift=12)
    finished = [cell for cell in cells if cell.row is rows[0]]
    write_json(folder / "matrix" / "matrix.json", matrix.compare(finished, "coco_panoptic"))
    path = folder / "train" / "coco_panoptic" / "scalars.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(scalars(step)) + "\n" for step in range(10, 410, 10)), encoding="utf-8")
    command = ["python", "benchmark/run.py", "--suite", "full"]
    plan = {"command": command, "data_root": str(data_root), "is_mini": True, "seed": 0}
    write_json(folder / "plan.json", plan)
    write_json(folder / "environment.json", benchmark_record.environment("cpu"))
    return folder


def _run(cell: matrix.Cell, data_root: Path, role: str, *, model: tuple[str, str], shift: int) -> None:
    fields = {"asked": str(cell.asked), "role": role, "system": model[0], "variant": model[1], "data": "mini:test"}
    made = job.make_job(cell.row, is_mini=True, **fields)
    samples = catalog.open_samples(cell.row, data_root, is_mini=True)
    job.run_job(made, cell.row, samples, lambda sample: moved(sample, shift), cell.directory)


def moved(sample: Sample, shift: int) -> Prediction:
    """The truth of a sample, rolled to the right."""
    assert sample.truth is not None
    frame = sample.truth.frames[0]
    match frame:
        case Panoptic():
            kept = tuple(segment for segment in frame.segments if not segment.is_crowd)
            ids = np.roll(frame.segment_id, shift, axis=1)
            ids[~np.isin(ids, [segment.id for segment in kept])] = 0
            return Prediction(frames=(Panoptic(segment_id=ids, segments=kept),))
        case LabelMap():
            return Prediction(frames=(LabelMap(class_index=np.roll(frame.class_index, shift, axis=1)),))
        case Instances():
            kept_masks = [np.roll(masks.decode(rle), shift, axis=1) for rle in frame.masks or ()]
            rles = [masks.encode(mask) for mask in kept_masks]
            score = np.linspace(0.97, 0.4, len(rles))
            return Prediction(frames=(make_instances(class_index=frame.class_index, masks=rles, score=score),))
