"""Scores of the official tools on the files of `tests/federated_scenes.py`, printed as JSON; see README.md."""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from boundary_iou.lvis_instance_api.eval import LVISEval as BoundaryEval
from boundary_iou.lvis_instance_api.lvis import LVIS as BoundaryTruth  # noqa: N811
from boundary_iou.lvis_instance_api.results import LVISResults as BoundaryResults
from federated_scenes import CASES, documents
from lvis import LVIS, LVISEval, LVISResults

PER_CLASS = 20


def main() -> None:
    """Print case -> protocol -> score -> value."""
    with contextlib.redirect_stdout(sys.stderr):
        scores = {name: case_scores(*documents(case)) for name, case in CASES.items()}
    json.dump(scores, sys.stdout, indent=1)
    sys.stdout.write("\n")


def case_scores(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Scores by protocol of one case."""
    masks = [{name: value for name, value in one.items() if name != "bbox"} for one in results]
    limited = best_of_each_class(masks)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.json"
        path.write_text(json.dumps(truth))
        return {
            "segm": evaluate(path, masks, "segm", 300),
            "bbox": evaluate(path, results, "bbox", 300),
            "fixed": evaluate(path, limited, "segm", -1),
            "boundary": evaluate_boundary(path, masks),
        }


def best_of_each_class(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The most confident results of every class over all images; equal scores by image, then in file order."""
    results = sorted(results, key=lambda one: one["image_id"])
    ranked = sorted(range(len(results)), key=lambda row: -results[row]["score"])
    kept = []
    for category_id in {one["category_id"] for one in results}:
        kept += [row for row in ranked if results[row]["category_id"] == category_id][:PER_CLASS]
    return [results[row] for row in sorted(kept)]


def evaluate(path: Path, results: list[dict[str, Any]], iou_type: str, max_dets: int) -> dict[str, float]:
    """The LVIS API's summary."""
    truth = LVIS(str(path))
    evaluation = LVISEval(truth, LVISResults(truth, copy.deepcopy(results), max_dets=max_dets), iou_type)
    evaluation.run()
    return {name: float(value) for name, value in evaluation.get_results().items()}


def evaluate_boundary(path: Path, results: list[dict[str, Any]]) -> dict[str, float]:
    """The Boundary IoU API's summary; it wants `iscrowd`, which LVIS does not have."""
    document = json.loads(path.read_text())
    for annotation in document["annotations"]:
        annotation["iscrowd"] = 0
    path.write_text(json.dumps(document))
    truth = BoundaryTruth(str(path), get_boundary=True)
    with mock.patch.object(np, "float", float, create=True):
        evaluation = BoundaryEval(truth, BoundaryResults(truth, copy.deepcopy(results)), "boundary")
        evaluation.run()
    return {name: float(value) for name, value in evaluation.get_results().items()}


if __name__ == "__main__":
    main()
