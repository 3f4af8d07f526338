"""Freeze what the Boundary IoU API says of drawn scenes, as `golden/boundary_ap.json`.

    git clone https://github.com/bowenc0221/boundary-iou-api DIR     (commit 37d2558)
    python tests/freeze_boundary.py DIR

The API names NumPy types that NumPy has dropped; they are given back to it here.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from official_tools import quiet
from scene_views import RUNS
from scenes import scenes
from test_boundary_precision import GOLDEN, SCENARIOS_FROZEN, documents


def main(checkout: Path) -> None:
    """Write the twelve numbers of every scenario, null for what the API marks -1."""
    sys.path.insert(0, str(checkout))
    np.float = float  # type: ignore[attr-defined]
    api: Any = importlib.import_module("boundary_iou.coco_instance_api.coco").COCO
    evaluator: Any = importlib.import_module("boundary_iou.coco_instance_api.cocoeval").COCOeval
    found = {}
    for scenario in SCENARIOS_FROZEN:
        pairs = [RUNS["coco_segm_ap"].view(scene) for scene in scenes(scenario)]
        with tempfile.TemporaryDirectory() as folder, quiet():
            files = [Path(folder) / "truth.json", Path(folder) / "found.json"]
            for path, document in zip(files, documents(pairs), strict=True):
                path.write_text(json.dumps(document), encoding="utf-8")
            truth = api(str(files[0]), get_boundary=True)
            evaluation = evaluator(truth, truth.loadRes(str(files[1])), "boundary")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        found[scenario] = [None if value == -1 else float(value) for value in evaluation.stats]
    GOLDEN.write_text(json.dumps({"command": "python tests/freeze_boundary.py DIR", **found}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
