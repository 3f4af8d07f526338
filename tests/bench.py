"""Our scorers beside the official tools, on the same files: CPU seconds of reading and scoring, as ratios.

`make bench` draws scenes, writes truth and shifted predictions in the official forms, lets both sides read and score
them in one process and prints CPU time (user and system). Scores must agree, otherwise the times mean nothing. The
third peer scores nothing: it decodes the same PNGs, with OpenCV or Pillow, whichever is faster.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as city_instances  # noqa: N813
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as city_pixels  # noqa: N813
from official_tools import no_json_writer, numpy_in1d
from panopticapi import evaluation as panoptic_api
from PIL import Image
from polygon_scenes import KINDS, write_scenes
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
    Task,
    make_instances,
    summarise,
)

NOTHING = "-"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A row of the table. tool, official: what to compare with; None where no official tool is installed."""

    tool: str = NOTHING
    official: Official | None = None


PEERS: Mapping[str, Peer] = {
    "coco_instance_val2017": Peer(tool="pycocotools", official=coco_instances),
    "coco_panoptic_val2017": Peer(tool="panopticapi", official=coco_panoptic),
    "coco_semantic_val2017": Peer(),
    "ade20k_semantic_val": Peer(),
    "cityscapes_semantic_val": Peer(tool="cityscapesscripts", official=cityscapes_semantic),
    "cityscapes_instance_val": Peer(tool="cityscapesscripts", official=cityscapes_instance),
}
HEADER = (
    *("benchmark", "images", "our score", "our CPU s", "official tool", "its score", "its CPU s", "ours / its"),
    *("decoding by", "its CPU s", "ours / its"),
)


def with_opencv(files: Sequence[Path]) -> None:
    """Decode files as they are."""
    for path in files:
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def with_pillow(files: Sequence[Path]) -> None:
    """Decode files as they are."""
    for path in files:
        with Image.open(path) as image:
            np.asarray(image)


def png_files(row: Benchmark, root: Path, predictions: Path) -> list[Path]:
    """The PNGs of truth and predictions."""
    entries = catalog.open_listing(row, root, is_mini=True).entries
    folder = predictions if predictions.is_dir() else predictions.with_suffix("")
    return [*(path for entry in entries for path in entry.labels), *sorted(folder.rglob("*.png"))]


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """(result, CPU seconds) of one quiet call."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), numpy_in1d():
        warnings.simplefilter("ignore")
        start = time.process_time()
        result = run()
        return result, time.process_time() - start


def fastest(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, tuple[Any, float]]:
    """(result, fewest CPU seconds) of each run; they take turns, so that what else goes on meets them all."""
    results = [{name: timed(run) for name, run in runs.items()} for _ in range(repeats)]
    return {name: (results[0][name][0], min(result[name][1] for result in results)) for name in runs}


def compare(name: str, root: Path, folder: Path, repeats: int) -> tuple[list[str], bool]:
    """(cells of `HEADER`, whether both scores agree) of one benchmark."""
    row, peer = catalog.get(name), PEERS[name]
    is_folder = row.task is Task.SEMANTIC or name.startswith("cityscapes")
    predictions = folder / name if is_folder else folder / f"{name}.json"
    dice = np.random.default_rng(0)
    samples = catalog.open_samples(row, root, is_mini=True)
    catalog.write_predictions(row, predictions, ((sample, shifted(sample, dice)) for sample in samples))
    files = png_files(row, root, predictions)
    runs: dict[str, Callable[[], Any]] = {"ours": lambda: ours(row, root, predictions)}
    if peer.official is not None:
        runs[peer.tool] = lambda: peer.official and peer.official(root, predictions)
    if files:
        runs |= {"OpenCV": lambda: with_opencv(files), "Pillow": lambda: with_pillow(files)}
    found = fastest(runs, repeats)
    score, seconds = found["ours"]
    its_score = found.get(peer.tool, (score, 0.0))[0]
    decoder = min(("OpenCV", "Pillow"), key=lambda one: found[one][1]) if files else NOTHING
    cells = [name, str(len(samples)), f"{score:.6f}", f"{seconds:.2f}", peer.tool]
    cells += [f"{its_score:.6f}" if peer.official else NOTHING, *against(found, peer.tool)]
    return [*cells, decoder, *against(found, decoder)], abs(score - its_score) < 1e-9


def against(found: Mapping[str, tuple[Any, float]], name: str) -> list[str]:
    """A peer's CPU seconds, and ours as a multiple of them."""
    if name not in found:
        return [NOTHING, NOTHING]
    return [f"{found[name][1]:.2f}", f"{found['ours'][1] / found[name][1]:.2f}"]


def main() -> int:
    """Print the table; 1 if a score differs."""
    parser = argparse.ArgumentParser(description="Compare our scorers' CPU time with the official tools'.")
    parser.add_argument("--share", type=float, default=1.0, help="share of the usual number of scenes (default 1)")
    parser.add_argument("--repeats", type=int, default=2, help="calls of each side, the fastest counts (default 2)")
    parser.add_argument("--only", default="", metavar="START", help="measure the benchmarks whose names start so")
    options = parser.parse_args()
    names = [name for name in PEERS if name.startswith(options.only)]
    with tempfile.TemporaryDirectory() as temporary:
        folder, root = Path(temporary), Path(temporary) / "data"
        for dataset in sorted({catalog.get(name).dataset for name in names}):
            kind = KINDS[dataset]
            write_scenes(root, replace(kind, num_scenes=max(1, round(kind.num_scenes * options.share))))
        print("CPU seconds of reading and scoring drawn scenes of the real sizes, in one process. Decoding reads the")
        print("same PNGs and does nothing else. A ratio below 1 means that we are faster.\n")
        print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
        agreed = []
        for name in names:
            cells, is_equal = compare(name, root, folder, options.repeats)
            print(f"| {' | '.join(cells)} |", flush=True)
            agreed.append(is_equal)
    return 0 if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
