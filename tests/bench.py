"""Our scorers beside the official tools, on the same files: CPU seconds of reading and scoring, as a ratio.

`make bench` draws scenes, writes truth and shifted predictions in the official forms, lets both sides read and score
them in one process and prints CPU time (user and system). Scores must agree, otherwise the times mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as city_instances  # noqa: N813
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as city_pixels  # noqa: N813
from official_tools import no_json_writer, numpy_in1d
from panopticapi import evaluation as panoptic_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark import catalog, masks
from benchmark.catalog import Benchmark
from benchmark.contract import (
    Instances,
    LabelMap,
    Panoptic,
    Prediction,
    Sample,
    make_instances,
    summarise,
)
from benchmark.minidata import generate

SHIFT = 3
"""Pixels by which the predictions are off; enough to match most segments and to miss the small ones."""

Official = Callable[[Path, Path], float]
"""(data root, predictions) -> the main score."""


def shifted(sample: Sample, dice: np.random.Generator) -> Prediction:
    """The truth, moved, without crowds and with drawn confidences."""
    assert sample.truth is not None
    (frame,) = sample.truth.frames
    if isinstance(frame, LabelMap):
        return Prediction(frames=(LabelMap(class_index=moved(frame.class_index)),))
    if isinstance(frame, Panoptic):
        crowds = [segment.id for segment in frame.segments if segment.is_crowd]
        ids = moved(np.where(np.isin(frame.segment_id, crowds), 0, frame.segment_id))
        seen = set(np.unique(ids).tolist())
        return Prediction(frames=(Panoptic(segment_id=ids, segments=tuple(s for s in frame.segments if s.id in seen)),))
    rows = np.flatnonzero(~frame.is_crowd)
    encoded = [masks.encode(moved(masks.decode((frame.masks or ())[row]))) for row in rows]
    instances: Instances = make_instances(
        class_index=frame.class_index[rows],
        masks=encoded,
        boxes=frame.boxes[rows],
        box_format=frame.box_format,
        area=np.array([masks.area(one) for one in encoded], np.float64),
        score=dice.random(len(rows)).round(4),
    )
    return Prediction(frames=(instances,))


def moved(values: Any) -> Any:
    """The map, `SHIFT` pixels to the right, what leaves it coming in on the left."""
    return np.ascontiguousarray(np.roll(values, SHIFT, axis=1))


def ours(row: Benchmark, root: Path, predictions: Path) -> float:
    """Our main score, from the same files."""
    samples = catalog.open_samples(row, root, is_mini=True)
    found = catalog.read_predictions(row, predictions, samples)
    metric = catalog.build_metric(row)
    scores = summarise(metric, [metric.measure(sample, found[sample.sample_id]) for sample in samples])
    return scores.values[row.main_score]


def coco_instances(root: Path, predictions: Path) -> float:
    """AP of pycocotools."""
    truth = COCO(str(root / "coco" / "annotations" / "instances_val2017.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(predictions)), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


def coco_panoptic(root: Path, predictions: Path) -> float:
    """PQ of panopticapi, in one process."""
    folder = root / "coco" / "annotations"
    truth = json.loads((folder / "panoptic_val2017.json").read_text())
    found = json.loads(predictions.read_text())
    by_image = {annotation["image_id"]: annotation for annotation in found["annotations"]}
    categories = {category["id"]: category for category in truth["categories"]}
    pairs = [(annotation, by_image[annotation["image_id"]]) for annotation in truth["annotations"]]
    folders = (str(folder / "panoptic_val2017"), str(predictions.with_suffix("")))
    quality = panoptic_api.pq_compute_single_core(0, pairs, *folders, categories)
    return float(quality.pq_average(categories, isthing=None)[0]["pq"])


def cityscapes_semantic(root: Path, predictions: Path) -> float:
    """IoU over classes of cityscapesscripts' pixel evaluator; its JSON file is left out."""
    truths = sorted((root / "cityscapes" / "gtFine" / "val").rglob("*_gtFine_labelIds.png"))
    found = [str(next(predictions.rglob(f"{stem_of(truth)}*.png"))) for truth in truths]
    city_pixels.args.JSONOutput, city_pixels.args.quiet = False, True
    return float(
        city_pixels.evaluateImgLists(found, [str(path) for path in truths], city_pixels.args)["averageScoreClasses"]
    )


def cityscapes_instance(root: Path, predictions: Path) -> float:
    """AP of cityscapesscripts' instance evaluator; its JSON and cache files are left out."""
    truths = sorted((root / "cityscapes" / "gtFine" / "val").rglob("*_gtFine_instanceIds.png"))
    found = [str(next(predictions.rglob(f"{stem_of(truth)}*.txt"))) for truth in truths]
    settings = city_instances.args
    settings.JSONOutput, settings.quiet = False, True
    settings.predictionPath, settings.gtInstancesFile = str(predictions), str(predictions / "absent.json")
    with no_json_writer(city_instances):
        result = city_instances.evaluateImgLists(found, [str(path) for path in truths], settings)
    return float(result["averages"]["allAp"])


def stem_of(truth: Path) -> str:
    """City, sequence and frame of a truth file."""
    return truth.name.split("_gtFine")[0]


OFFICIAL: Mapping[str, tuple[str, Official]] = {
    "coco_instance_val2017": ("pycocotools", coco_instances),
    "coco_panoptic_val2017": ("panopticapi", coco_panoptic),
    "cityscapes_semantic_val": ("cityscapesscripts", cityscapes_semantic),
    "cityscapes_instance_val": ("cityscapesscripts", cityscapes_instance),
}


def timed(run: Callable[[], float]) -> tuple[float, float]:
    """(score, CPU seconds) of one quiet call."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), numpy_in1d():
        warnings.simplefilter("ignore")
        start = time.process_time()
        score = run()
        return score, time.process_time() - start


def compare(name: str, root: Path, folder: Path, repeats: int) -> tuple[str, bool]:
    """(table line, whether both scores agree) of one benchmark; the fastest of `repeats` alternating calls counts."""
    row = catalog.get(name)
    tool, official = OFFICIAL[name]
    is_folder = name.startswith("cityscapes")
    predictions = folder / name if is_folder else folder / f"{name}.json"
    dice = np.random.default_rng(0)
    samples = catalog.open_samples(row, root, is_mini=True)
    catalog.write_predictions(row, predictions, ((sample, shifted(sample, dice)) for sample in samples))
    results = [
        (timed(lambda: ours(row, root, predictions)), timed(lambda: official(root, predictions)))
        for _ in range(repeats)
    ]
    (our_score, _), (their_score, _) = results[0]
    our_time, their_time = (min(result[side][1] for result in results) for side in (0, 1))
    is_equal = abs(our_score - their_score) < 1e-9
    line = f"| {name} | {tool} | {our_score:.6f} | {their_score:.6f} | {our_time:.2f} | {their_time:.2f} "
    return f"{line}| {their_time / our_time:.1f}x |", is_equal


def main() -> int:
    """Print the table; 1 if a score differs."""
    parser = argparse.ArgumentParser(description="Compare our scorers' CPU time with the official tools'.")
    parser.add_argument("--images", type=int, default=100, help="scenes to score (default 100)")
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--repeats", type=int, default=2, help="calls of each side, the fastest counts (default 2)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = generate.ensure(
            folder / "data", sizes={"train": 1, "val": options.images}, image_size=tuple(options.size)
        )
        height, width = options.size
        print(f"{options.images} drawn scenes of {width}x{height}; CPU seconds of reading and scoring, one process\n")
        print("| benchmark | official tool | our score | its score | our CPU s | its CPU s | its / ours |")
        print("|---|---|---|---|---|---|---|")
        is_equal = True
        for benchmark in OFFICIAL:
            line, agrees = compare(benchmark, root, folder, options.repeats)
            print(line, flush=True)
            is_equal &= agrees
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
