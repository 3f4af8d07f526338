"""Our video instance AP beside the YouTube-VIS API, on the same files in one process: CPU seconds, and their ratio.

    python tests/bench_video_instances.py --api CLONE/PythonAPI/pycocotools

CLONE is https://github.com/youtubevos/cocoapi (f3f9948), which runs on the installed pycocotools; its two modules need
`np.float` and a whole number of points in `np.linspace`, which NumPy lacks or asks for. Both sides read the files; the
last column compares what comes after reading, the algorithm alone. Ours decodes its masks there, theirs while reading.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pycocotools.mask
from numpy.typing import NDArray

from benchmark import catalog, masks, measuring, polygons
from benchmark.contract import summarise

ROW = "youtube_vis19_vis_val"
PACKAGE = "youtube_vis_api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is drawn. size: (height, width). corners: of an outline. form: of the truth's masks."""

    num_videos: int
    num_frames: int
    num_objects: int
    num_found: int
    num_classes: int
    size: tuple[int, int] = (720, 1280)
    corners: int = 24
    form: str = "lists"


CASES: Mapping[str, Case] = {
    "typical: 3 objects, 10 tracks": Case(num_videos=30, num_frames=25, num_objects=3, num_found=10, num_classes=4),
    "one class, 100 tracks": Case(num_videos=4, num_frames=20, num_objects=6, num_found=100, num_classes=1),
    "40 classes, 100 tracks": Case(num_videos=8, num_frames=20, num_objects=6, num_found=100, num_classes=40),
    "one object, one track": Case(num_videos=100, num_frames=25, num_objects=1, num_found=1, num_classes=1),
    "fine outlines": Case(num_videos=10, num_frames=20, num_objects=5, num_found=20, num_classes=4, corners=300),
    "polygons": Case(num_videos=20, num_frames=25, num_objects=3, num_found=10, num_classes=4, form="polygons"),
    "small frames": Case(
        num_videos=40, num_frames=25, num_objects=3, num_found=10, num_classes=4, size=(180, 320), corners=12
    ),
}


def draw(case: Case, folder: Path) -> None:
    """Write truth.json and found.json."""
    dice = np.random.default_rng(0)
    videos, annotations, results = [], list[dict[str, Any]](), list[dict[str, Any]]()
    height, width = case.size
    for number in range(1, case.num_videos + 1):
        names = [f"{number:04d}/{frame:05d}.jpg" for frame in range(case.num_frames)]
        videos.append({"id": number, "height": height, "width": width, "length": len(names), "file_names": names})
        objects = [(1 + int(dice.integers(case.num_classes)), _outline(dice, case)) for _ in range(case.num_objects)]
        for category, outline in objects:
            shown = [_shown(dice, outline + 3 * frame, case.size) for frame in range(case.num_frames)]
            annotations.append(_annotation(len(annotations) + 1, number, category, shown, case.form))
        for _ in range(case.num_found):
            category, outline = objects[int(dice.integers(len(objects)))]
            category = category if dice.random() < 0.7 else 1 + int(dice.integers(case.num_classes))
            moved = outline + dice.normal(0, 8, 2)
            shown = [_shown(dice, moved + 3 * frame, case.size) for frame in range(case.num_frames)]
            encoded = [None if mask is None else masks.to_json(masks.encode(mask)) for mask in shown]
            score = round(float(dice.random()), 5)
            results.append({"video_id": number, "category_id": category, "score": score, "segmentations": encoded})
    categories = [{"id": row.category_id, "name": row.name} for row in catalog.get(ROW).label_set.classes]
    truth = {"videos": videos, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    (folder / "found.json").write_text(json.dumps(results), encoding="utf-8")


def _outline(dice: np.random.Generator, case: Case) -> NDArray[np.float64]:
    """float64 [corners, 2], (x, y) around a centre in the frame."""
    radius = case.size[0] * dice.uniform(0.1, 0.3)
    radii = radius * dice.uniform(0.7, 1.2, case.corners)
    angles = np.linspace(0, 2 * np.pi, case.corners, endpoint=False)
    centre = dice.uniform(0.25, 0.75, 2) * case.size[::-1]
    return centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _shown(dice: np.random.Generator, outline: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_] | None:
    if dice.random() < 0.1:
        return None
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [np.rint(outline).astype(np.int32)], (1,))
    return canvas.astype(bool) if canvas.any() else None


def _annotation(
    number: int, video: int, category: int, shown: list[NDArray[np.bool_] | None], form: str
) -> dict[str, Any]:
    rles = [None if mask is None else masks.encode(mask) for mask in shown]
    segmentations: list[Any] = [None if rle is None else masks.to_json_uncompressed(rle) for rle in rles]
    if form == "polygons":
        segmentations = [None if mask is None else polygons.from_mask(mask) for mask in shown]
    return {
        "id": number,
        "video_id": video,
        "category_id": category,
        "iscrowd": 0,
        "segmentations": segmentations,
        "areas": [None if rle is None else masks.area(rle) for rle in rles],
        "bboxes": [None if rle is None else list(masks.bounding_box(rle)) for rle in rles],
    }


Algorithm = Callable[[], float]
"""The AP of what was read."""
Reading = Callable[[Path], Algorithm]
"""Reads the files of a folder."""


@measuring.seldom_collected()
def ours(folder: Path) -> Algorithm:
    """Our reading."""
    row = catalog.get(ROW)
    samples = catalog.open_samples(row, None, truth=folder / "truth.json")
    found = catalog.read_predictions(row, folder / "found.json", samples)

    @measuring.seldom_collected()
    def run() -> float:
        metric = catalog.build_metric(row)
        work = measuring.Work(metric=metric, samples=samples, predictions=found, place="found.json")
        scores = summarise(metric, measuring.measure(work, workers=1))
        return scores.values[row.main_score]

    return run


def official(api: Path) -> Reading:
    """The API's reading. api: folder of its modules."""
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(api)]
    sys.modules |= {PACKAGE: package, f"{PACKAGE}.mask": pycocotools.mask}
    package.mask = pycocotools.mask  # type: ignore[attr-defined]
    ytvos, ytvoseval = (importlib.import_module(f"{PACKAGE}.{name}") for name in ("ytvos", "ytvoseval"))

    def read(folder: Path) -> Algorithm:
        truth = ytvos.YTVOS(str(folder / "truth.json"))
        found = truth.loadRes(str(folder / "found.json"))

        def run() -> float:
            evaluation = ytvoseval.YTVOSeval(truth, found, "segm")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            return float(evaluation.stats[0])

        return run

    return read


@contextlib.contextmanager
def older_numpy() -> Iterator[None]:
    """What the API expects of NumPy."""
    linspace = np.linspace
    np.float = float  # type: ignore[attr-defined]
    np.linspace = lambda start, stop, num, **rest: linspace(start, stop, int(num), **rest)  # type: ignore[assignment]
    try:
        yield
    finally:
        np.linspace = linspace
        del np.float  # type: ignore[attr-defined]


def timed(read: Reading, folder: Path) -> tuple[float, float, float]:
    """(score, CPU seconds of everything, CPU seconds after reading) of one quiet call."""
    with contextlib.redirect_stdout(io.StringIO()), older_numpy():
        start = time.process_time()
        run = read(folder)
        middle = time.process_time()
        score = run()
        end = time.process_time()
        return score, end - start, end - middle


def main() -> int:
    """Print the table; 1 if a score differs."""
    parser = argparse.ArgumentParser(description="Compare our video instance AP with the YouTube-VIS API's.")
    parser.add_argument("--api", type=Path, required=True, help="folder of ytvos.py and ytvoseval.py")
    parser.add_argument("--repeats", type=int, default=3, help="calls of each side, the fastest counts (default 3)")
    parser.add_argument("--only", default="", metavar="START", help="draw the cases whose names start so")
    parser.add_argument("--inputs", type=Path, help="where inputs are drawn, and found again (a temporary folder)")
    options = parser.parse_args()
    sides = {"ours": ours, "theirs": official(options.api)}
    is_equal = True
    print("| case | AP | our CPU s | YouTube-VIS API CPU s | times faster | algorithm alone: times faster |")
    print("|---|---|---|---|---|---|")
    for name, case in CASES.items():
        if name.startswith(options.only):
            with tempfile.TemporaryDirectory() as temporary:
                folder = (options.inputs or Path(temporary)) / name.split(":")[0].replace(" ", "_")
                if not (folder / "found.json").is_file():
                    folder.mkdir(parents=True, exist_ok=True)
                    draw(case, folder)
                runs = [{side: timed(read, folder) for side, read in sides.items()} for _ in range(options.repeats)]
            here, there = (min(run[side][1] for run in runs) for side in sides)
            bare = [min(run[side][2] for run in runs) for side in sides]
            score, other = runs[0]["ours"][0], runs[0]["theirs"][0]
            is_equal &= abs(score - other) < 1e-9
            print(
                f"| {name} | {score:.6f} | {here:.2f} | {there:.2f} | {there / here:.2f} | {bare[1] / bare[0]:.2f} |",
                flush=True,
            )
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
