"""Freeze what the official scripts of Mapillary Vistas say of the images in `mapillary_scenes.py`.

The scripts were written for Python 2: in a checkout of https://github.com/mapillary/mapillary_vistas (commit a648229)
the divisions by 256 become `//` and `np.bool` becomes `bool`, then

    PYTHONPATH=. python tests/freeze_mapillary.py CHECKOUT > tests/golden/mapillary.json

scikit-learn's `auc` of rising recalls is the trapezoid rule, which stands in for it here.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from mapillary_scenes import CASES, draw
from PIL import Image

from benchmark import labels


def config(name: str) -> list[dict[str, Any]]:
    """The labels of config.json, in its order."""
    found = labels.load(name)
    rows = sorted(found.everything, key=lambda row: row.category_id)
    return [
        {
            "name": row.code,
            "readable": row.name,
            "instances": row.is_thing,
            "evaluate": row in found.classes,
            "color": row.color,
        }
        for row in rows
    ]


def main(checkout: str) -> None:
    """Print the scores of every case, null for what is undefined."""
    sys.path.insert(0, checkout)
    _stand_in()
    official: Any = importlib.import_module("mapillary_vistas.evaluation.evaluation")
    found = {}
    for case, (name, _) in CASES.items():
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            found[case] = _scores(official, config(name), case, Path(folder))
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _stand_in() -> None:
    """Modules that the scripts import: scikit-learn's area, and drawing, which is not asked for."""
    metrics = ModuleType("sklearn.metrics")
    metrics.auc = lambda x, y: float(np.trapezoid(y, x))  # type: ignore[attr-defined]
    package = ModuleType("sklearn")
    package.metrics = metrics  # type: ignore[attr-defined]
    plot = ModuleType("mapillary_vistas.helpers.plot")
    plot.plot_confusion_matrix = plot.plot_precision_recall = None  # type: ignore[attr-defined]
    sys.modules |= {"sklearn": package, "sklearn.metrics": metrics, "mapillary_vistas.helpers.plot": plot}


def _scores(official: Any, config: list[dict[str, Any]], case: str, folder: Path) -> dict[str, float | None]:
    matrix, objects = None, []
    pixels: dict[str, dict[str, float]] = {one["name"]: dict.fromkeys(_NAMES, 0) for one in config}
    for image in draw(case):
        Image.fromarray(image.truth).save(folder / "truth.png")
        Image.fromarray(image.found).save(folder / "found.png")
        lines = []
        for number, (mask, label, score) in enumerate(image.objects):
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{number}.png")
            lines.append(f"{number}.png {label} {score!r}\n")
        (folder / "found.txt").write_text("".join(lines), encoding="utf-8")
        files = {"ground_truth": "truth.png", "prediction": "found.png", "instances": "found.txt"}
        result = official.process_image(config, {role: str(folder / name) for role, name in files.items()})
        matrix, pixels, objects = official.add_result(result, matrix, pixels, objects)
    scores: dict[str, float] = {}
    kept, matrix, _ = official.reduce_evaluation_to_evaluated_categories(config, matrix, pixels)
    for suffix, level in (("", None), ("_level2", 2), ("_level1", 1)):
        table = (kept, matrix, pixels)
        if level is not None:
            table = official.reduce_evaluation_to_metalevel(kept, matrix, pixels, level)
        rows = importlib.import_module("mapillary_vistas.evaluation.confusion_matrix").calculate_iiou(*table)
        scores[f"mIoU{suffix}"] = _mean(row[0] for row in rows)
        things = [row[1] for row, label in zip(rows, table[0], strict=True) if label["instances"]]
        scores[f"iIoU{suffix}"] = _mean(things)
    arguments = ModuleType("arguments")
    arguments.plot = False  # type: ignore[attr-defined]
    for name, values in zip(
        ("AP", "AP50"), official.calculate_average_precision(objects, config, arguments), strict=True
    ):
        scores[name] = _mean(values.values())
    return {name: None if np.isnan(value) else value for name, value in scores.items()}


_NAMES = ("raw_true_positives", "weighted_true_positives", "raw_false_negatives", "weighted_false_negatives")


def _mean(values: Any) -> float:
    known = [float(value) for value in values if not np.isnan(value)]
    return float(np.average(known)) if known else float("nan")


if __name__ == "__main__":
    main(sys.argv[1])
