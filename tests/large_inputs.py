"""A data set of many tiny pictures, or a long video, scored in this process; prints the memory that it took.

    python tests/large_inputs.py write FOLDER semantic 20000        (or panoptic, detection, instance, video)
    python tests/large_inputs.py score FOLDER semantic [PREDICTIONS]

The second prints JSON: images, MB of peak memory in all and beyond what the process had before, seconds of CPU time.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import catalog, labels, masks, scoring
from benchmark.catalog import MINI_STAMP
from benchmark.formats.image_files import write_png
from benchmark.formats.indexed_masks import write_ids
from benchmark.formats.json_files import write_json

SIDE = 24
OBJECTS = 4
ROWS = {
    "semantic": "coco_semantic_val2017",
    "panoptic": "coco_panoptic_val2017",
    "detection": "coco_detection_val2017",
    "instance": "coco_instance_val2017",
    "video": "davis17_vos_val",
}
VIDEO_SIZE = (480, 854)
VIDEO_STEPS = 8
"""A video's frames are drawn for so many steps, then they begin again."""


def write(home: Path, kind: str, num: int) -> None:
    """Write truth and, where `found` says, predictions."""
    (home / MINI_STAMP).write_text("{}", encoding="utf-8")
    {"semantic": _semantic, "panoptic": _panoptic, "video": _video}.get(kind, _objects)(home, kind, num)


def _ids(rng: np.random.Generator) -> np.ndarray:
    """A map of 4 x 4 cells, uint8 [H, W], numbers 0 to 3."""
    return np.kron(rng.integers(0, OBJECTS, (4, 4)), np.ones((SIDE // 4, SIDE // 4), int)).astype(np.uint8)


def _images(num: int) -> list[dict[str, Any]]:
    return [{"id": n, "file_name": f"{n:012d}.jpg", "height": SIDE, "width": SIDE} for n in range(1, num + 1)]


def _semantic(home: Path, kind: str, num: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(1, num + 1):
        ids = _ids(rng) + number % 100
        write_png(home / "coco" / "panoptic_semseg_val2017" / f"{number:012d}.png", ids)
        write_png(home / "pred" / f"{number:012d}.png", ids + rng.integers(0, 2, dtype=np.uint8))


def _panoptic(home: Path, kind: str, num: int) -> None:
    rng = np.random.default_rng(0)
    label_set = labels.load("coco_panoptic")
    records = []
    folders = (home / "coco" / "annotations" / "panoptic_val2017", home / "pred")
    for number in range(1, num + 1):
        ids = _ids(rng).astype(np.int32) + 1
        present, counts = np.unique(ids, return_counts=True)
        segments = [
            {"id": one, "category_id": label_set.category_id((one + number) % 100), "area": area, "iscrowd": 0,
             "bbox": [0, 0, SIDE, SIDE]}
            for one, area in zip(present.tolist(), counts.tolist(), strict=True)
        ]  # fmt: skip
        name = f"{number:012d}.png"
        records.append({"image_id": number, "file_name": name, "segments_info": segments})
        for folder in folders:
            write_png(folder / name, masks.colors_from_ids(ids))
    categories = [{"id": one.category_id, "name": one.name, "isthing": int(one.is_thing)} for one in label_set.classes]
    truth = {"images": _images(num), "annotations": records, "categories": categories}
    write_json(folders[0].with_suffix(".json"), truth)
    write_json(home / "pred.json", {"annotations": records})


def _objects(home: Path, kind: str, num: int) -> None:
    rng = np.random.default_rng(0)
    label_set = labels.load("coco")
    truth, answers = [], []
    for number in range(1, num + 1):
        for box in rng.integers(1, SIDE // 2, (OBJECTS, 4)).astype(float).tolist():
            category = label_set.category_id(int(rng.integers(label_set.num_classes)))
            x, y, w, h = box
            polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
            entry = {"image_id": number, "category_id": category, "bbox": box}
            shape = masks.from_polygons([polygon], (SIDE, SIDE))
            truth.append({**entry, "id": len(truth) + 1, "area": w * h, "iscrowd": 0, "segmentation": [polygon]})
            rle = {"size": [SIDE, SIDE], "counts": shape.counts.decode()}
            answers.append({**entry, "score": float(rng.random())})
            if kind == "instance":
                answers[-1]["segmentation"] = rle
    categories = [{"id": one.category_id, "name": one.name} for one in label_set.classes]
    document = {"images": _images(num), "annotations": truth, "categories": categories}
    write_json(home / "coco" / "annotations" / "instances_val2017.json", document)
    write_json(home / "pred.json", answers)


def _video(home: Path, kind: str, num: int) -> None:
    """One video of 480p with two objects that move, predicted four pixels too far to the right."""
    name = home / "ImageSets" / "2017" / "val.txt"
    name.parent.mkdir(parents=True)
    name.write_text("long\n", encoding="utf-8")
    for number in range(num):
        ids = np.zeros(VIDEO_SIZE, np.uint8)
        for one, corner in enumerate((40, 240), start=1):
            ids[corner : corner + 150, 100 + 9 * (number % VIDEO_STEPS) :][:, :300] = one
        for place, drawn in (("Annotations/480p", ids), ("pred", np.roll(ids, 4, axis=1))):
            path = home / place / "long" / f"{number:05d}.png"
            if number < VIDEO_STEPS:
                write_ids(path, drawn)
            else:
                path.write_bytes(path.with_name(f"{number % VIDEO_STEPS:05d}.png").read_bytes())


def found(home: Path, kind: str) -> Path:
    """The predictions of a data set that was written."""
    return home / ("pred" if kind in ("semantic", "video") else "pred.json")


def score(home: Path, kind: str, predictions: Path) -> dict[str, float]:
    """Score, and what it took."""
    row = catalog.get(ROWS[kind])
    place = {"truth": home / "Annotations" / "480p"} if kind == "video" else {"root": home}
    request = scoring.Request(row=row, predictions=predictions, resamples=0, workers=1, **place)
    before, started = _peak(), time.process_time()
    with tempfile.TemporaryDirectory(dir=home) as work:
        outcome = scoring.score(request, work_dir=Path(work))
    return {
        "images": outcome.record["num_scored"],
        "peak_mb": round(_peak()),
        "growth_mb": round(_peak() - before),
        "seconds": round(time.process_time() - started, 1),
    }


def _peak() -> float:
    """MB; of this program alone, whatever started it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> int:
    """Write, or score and print."""
    action, home, kind, *rest = sys.argv[1:]
    if action == "write":
        write(Path(home), kind, int(rest[0]))
    else:
        predictions = Path(rest[0]) if rest else found(Path(home), kind)
        print(json.dumps(score(Path(home), kind, predictions)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
