"""Freeze what the bdd100k toolkit says of the bitmasks in `bdd100k_objects.py`.

Run where scalabel 0.3.1 is installed, with a checkout of https://github.com/bdd100k/bdd100k (commit 9ac17c6, 1.0.1):

    PYTHONPATH=tests:BDD100K python tests/freeze_bdd100k_instances.py > tests/golden/bdd100k_instances.json
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bdd100k.eval.ins_seg import BDD100KInsSegEval
from bdd100k_objects import CASES, draw
from PIL import Image

CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")


def main() -> None:
    """Print the percentages of every case by score, null for what is undefined."""
    np.float = float  # type: ignore[attr-defined]
    found = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            sides = [Path(folder) / name for name in ("truth", "found")]
            entries = []
            for name, *pictures, entry in draw(case):
                for side, pixels in zip(sides, pictures, strict=True):
                    side.mkdir(exist_ok=True)
                    Image.fromarray(pixels, "RGBA").save(side / f"{name}.png")
                entries.append(entry)
            scores = Path(folder) / "scores.json"
            scores.write_text(json.dumps(entries), encoding="utf-8")
            paths = [[str(path) for path in sorted(side.iterdir())] for side in sides]
            with contextlib.redirect_stdout(io.StringIO()):
                summary = _scores(BDD100KInsSegEval(*paths, str(scores), list(CLASSES), 1))
        found[case] = {name: None if np.isnan(value) else value for name, value in summary.items()}
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _scores(evaluation: Any) -> dict[str, float]:
    """What `evaluate_ins_seg` puts into its summary."""
    evaluation.params.catIds = list(range(1, len(CLASSES) + 1))
    evaluation.evaluate()
    evaluation.accumulate()
    found = {name: float(get(None)) for name, get in evaluation.get_score_funcs.items()}
    by_class = {f"AP/{name}": float(evaluation.get_score(number)) for number, name in enumerate(CLASSES, start=1)}
    return found | by_class


if __name__ == "__main__":
    main()
