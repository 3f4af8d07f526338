"""One scorer on one drawn case, measured: python tests/bench_tools.py TOOL FOLDER

Prints {"score", "cpu", "wall", "peak", "load"} in JSON: main score, CPU seconds (user and system, children too) and
wall seconds of reading and scoring, the largest memory of the process in MiB, and the machine's load before. Imports
are not measured. Runs in any environment that has the tool; ours need this repository on the path.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ABSENT = 3
"""Exit code for a tool that is not installed."""
Run = Callable[[], float]
"""Reads and scores; returns the main score as a fraction."""


def case_of(folder: Path) -> dict[str, Any]:
    """Content of case.json."""
    content: dict[str, Any] = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    return content


def ours(folder: Path, *, with_stats: bool = True, workers: int = 1) -> Run:
    """Our command, but for intervals and printing."""
    from benchmark import catalog, scoring

    case = case_of(folder)
    row = catalog.get(case["row"])
    places = {key: folder / case[key] for key in ("truth", "root") if key in case}

    def run() -> float:
        request = scoring.Request(
            row=row, predictions=folder / case["predictions"], resamples=0, workers=workers, **places
        )
        with tempfile.TemporaryDirectory() as kept:
            work_dir = Path(kept)
            outcome = scoring.score(request, work_dir=work_dir if with_stats else None)
            scoring.keep(request, outcome, work_dir, with_stats=with_stats)
        return float(outcome.record["scores"][row.main_score])

    return run


def coco_like(folder: Path, module: Any, load: str, kind: str, **options: Any) -> Run:
    """AP of pycocotools or a tool with its interface."""

    def run() -> float:
        truth = module.COCO(str(folder / "truth.json"))
        found = getattr(truth, load)(str(folder / "found.json"))
        evaluation = getattr(module, kind)(truth, found, iou_type(folder), **options)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return float(evaluation.stats[0])

    return run


def iou_type(folder: Path) -> str:
    """ "segm" or "bbox"."""
    return "bbox" if "detection" in case_of(folder)["row"] else "segm"


def with_old_names() -> None:
    """Bridge: names that NumPy dropped and that these tools call."""
    import numpy as np

    for name, kind in (("float", float), ("int", int), ("bool", bool), ("asfarray", np.asarray)):
        if name not in np.__dict__:
            setattr(np, name, kind)


def pycocotools(folder: Path) -> Run:
    """The official tool."""
    from types import SimpleNamespace

    from pycocotools import coco, cocoeval

    module = SimpleNamespace(COCO=coco.COCO, COCOeval=cocoeval.COCOeval)
    return coco_like(folder, module, "loadRes", "COCOeval")


def faster_coco_eval(folder: Path) -> Run:
    """Its C++ evaluator, in LVIS style where the case is LVIS."""
    import faster_coco_eval as module

    options = {"lvis_style": True} if "lvis" in case_of(folder)["row"] else {}
    return coco_like(folder, module, "loadRes", "COCOeval_faster", **options)


def hotcoco(folder: Path) -> Run:
    """Its Rust evaluator, in LVIS style where the case is LVIS."""
    import hotcoco as module

    options = {"lvis_style": True} if "lvis" in case_of(folder)["row"] else {}
    return coco_like(folder, module, "load_res", "COCOeval", **options)


def lvis(folder: Path) -> Run:
    """The official tool of LVIS."""
    import logging

    with_old_names()
    import lvis as module

    logging.disable(logging.CRITICAL)

    def run() -> float:
        evaluation = module.LVISEval(str(folder / "truth.json"), str(folder / "found.json"), iou_type(folder))
        evaluation.run()
        return float(evaluation.get_results()["AP"])

    return run


def panoptic_paths(folder: Path) -> tuple[Path, Path]:
    """(truth, results): JSON files, with folders of the same stem."""
    return folder / "coco" / "annotations" / "panoptic_val2017.json", folder / "found.json"


def panopticapi(folder: Path) -> Run:
    """The official tool, in one process."""
    from panopticapi import evaluation as module

    truth_path, found_path = panoptic_paths(folder)

    def run() -> float:
        truth, found = (json.loads(path.read_text()) for path in (truth_path, found_path))
        by_image = {annotation["image_id"]: annotation for annotation in found["annotations"]}
        categories = {category["id"]: category for category in truth["categories"]}
        pairs = [(annotation, by_image[annotation["image_id"]]) for annotation in truth["annotations"]]
        folders = (str(truth_path.with_suffix("")), str(found_path.with_suffix("")))
        quality = module.pq_compute_single_core(0, pairs, *folders, categories)
        return float(quality.pq_average(categories, isthing=None)[0]["pq"])

    return run


def hotcoco_panoptic(folder: Path) -> Run:
    """hotcoco's panoptic quality."""
    from hotcoco import panoptic as module

    truth, found = panoptic_paths(folder)

    def run() -> float:
        evaluation = module.PanopticEval(
            str(truth), str(found), gt_folder=str(truth.with_suffix("")), pred_folder=str(found.with_suffix(""))
        )
        evaluation.run()
        return float(evaluation.stats[0])

    return run


def trackeval(folder: Path) -> Run:
    """HOTA, CLEAR and Identity of TrackEval, in one process."""
    with_old_names()
    import trackeval as module

    def run() -> float:
        names = sorted(path.name for path in (folder / "train").iterdir())
        config = {
            "GT_FOLDER": str(folder / "train"), "TRACKERS_FOLDER": str(folder / "trackers"), "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": dict.fromkeys(names), "TRACKERS_TO_EVAL": ["one"], "PRINT_CONFIG": False, "BENCHMARK": "MOT17",
        }  # fmt: skip
        dataset = module.datasets.MotChallenge2DBox(config)
        quiet = {"PRINT_CONFIG": False}
        metrics = [module.metrics.HOTA(), module.metrics.CLEAR(quiet), module.metrics.Identity(quiet)]
        results: dict[str, list[Any]] = {}
        for name in dataset.seq_list:
            data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("one", name), "pedestrian")
            results[name] = [metric.eval_sequence(data) for metric in metrics]
        together = [
            metric.combine_sequences({name: row[place] for name, row in results.items()})
            for place, metric in enumerate(metrics)
        ]
        return float(together[0]["HOTA"].mean())

    return run


def motrics(folder: Path) -> Run:
    """HOTA, CLEAR and Identity of motrics, through its interface to MOTChallenge."""
    from motrics.compat import trackeval as module

    def run() -> float:
        names = sorted(path.name for path in (folder / "train").iterdir())
        config = {
            "GT_FOLDER": str(folder / "train"), "TRACKERS_FOLDER": str(folder / "trackers"), "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": dict.fromkeys(names), "TRACKERS_TO_EVAL": ["one"], "PRINT_CONFIG": False, "BENCHMARK": "MOT17",
        }  # fmt: skip
        settings = {"USE_PARALLEL": False, "PRINT_RESULTS": False, "PRINT_CONFIG": False, "OUTPUT_SUMMARY": False}
        settings |= {"OUTPUT_DETAILED": False, "PLOT_CURVES": False, "TIME_PROGRESS": False}
        evaluator = module.Evaluator(settings)
        metrics = [module.metrics.HOTA(), module.metrics.CLEAR(), module.metrics.Identity()]
        found, _ = evaluator.evaluate([module.datasets.MotChallenge2DBox(config)], metrics)
        combined = found["MotChallenge2DBox"]["one"]["COMBINED_SEQ"]["pedestrian"]
        return float(combined["HOTA"]["HOTA"].mean())

    return run


def motmetrics(folder: Path) -> Run:
    """CLEAR and Identity of motmetrics; it has no HOTA by default, so its score is IDF1."""
    with_old_names()
    import motmetrics as module

    def run() -> float:
        made, names = [], sorted(path.name for path in (folder / "train").iterdir())
        for name in names:
            truth = module.io.loadtxt(str(folder / "train" / name / "gt" / "gt.txt"), fmt="mot15-2D", min_confidence=1)
            found = module.io.loadtxt(str(folder / "trackers/one/data" / f"{name}.txt"), fmt="mot15-2D")
            made.append(module.utils.compare_to_groundtruth(truth, found, "iou", distth=0.5))
        summary = module.metrics.create().compute_many(
            made, names=names, metrics=module.metrics.motchallenge_metrics, generate_overall=True
        )
        return float(summary.loc["OVERALL", "idf1"])

    return run


def davis2017(folder: Path) -> Run:
    """davis2017-evaluation, semi-supervised task."""
    with_old_names()
    from davis2017.evaluation import DAVISEvaluation  # type: ignore[import-not-found]

    def run() -> float:
        evaluation = DAVISEvaluation(davis_root=str(folder), task="semi-supervised", gt_set="val")
        found = evaluation.evaluate(str(folder / "found"))
        return float((sum(found["J"]["M"]) / len(found["J"]["M"]) + sum(found["F"]["M"]) / len(found["F"]["M"])) / 2)

    return run


def vos_benchmark(folder: Path) -> Run:
    """vos-benchmark, in one process."""
    from vos_benchmark.benchmark import benchmark  # type: ignore[import-not-found]

    def run() -> float:
        found = benchmark(
            [str(folder / "Annotations" / "480p")],
            [str(folder / "found")],
            False,
            1,
            verbose=False,
            skip_first_and_last=True,
        )
        return float(found[0][0]) / 100

    return run


def cityscapes_pixels(folder: Path) -> Run:
    """cityscapesscripts' pixel evaluator; its JSON file is left out."""
    from official_tools import city_pixels, numpy_in1d

    def run() -> float:
        truths = sorted((folder / "cityscapes" / "gtFine" / "val").rglob("*_gtFine_labelIds.png"))
        found = [str(next((folder / "found").rglob(f"{_stem(truth)}*.png"))) for truth in truths]
        city_pixels.args.JSONOutput, city_pixels.args.quiet = False, True
        with numpy_in1d():
            result = city_pixels.evaluateImgLists(found, [str(path) for path in truths], city_pixels.args)
        return float(result["averageScoreClasses"])

    return run


def cityscapes_instances(folder: Path) -> Run:
    """cityscapesscripts' instance evaluator; its JSON and cache files are left out."""
    from official_tools import city_instances, no_json_writer, numpy_in1d

    def run() -> float:
        truths = sorted((folder / "cityscapes" / "gtFine" / "val").rglob("*_gtFine_instanceIds.png"))
        found = [str(next((folder / "found").rglob(f"{_stem(truth)}*.txt"))) for truth in truths]
        settings = city_instances.args
        settings.JSONOutput, settings.quiet = False, True
        settings.predictionPath, settings.gtInstancesFile = str(folder / "found"), str(folder / "absent.json")
        with no_json_writer(city_instances), numpy_in1d():
            result = city_instances.evaluateImgLists(found, [str(path) for path in truths], settings)
        return float(result["averages"]["allAp"])

    return run


def _stem(truth: Path) -> str:
    """City, sequence and frame of a truth file."""
    return truth.name.split("_gtFine")[0]


def label_files(folder: Path) -> list[Path]:
    """The PNGs of truth and results that a scorer must decode."""
    from benchmark import catalog

    case = case_of(folder)
    row = catalog.get(case["row"])
    places = {"truth": folder / case["truth"]} if "truth" in case else {}
    root = None if places else folder / case["root"]
    entries = catalog.open_listing(row, root, is_mini=True, **places).entries
    predictions = folder / case["predictions"]
    found = predictions if predictions.is_dir() else predictions.with_suffix("")
    truths = [path for entry in entries for path in entry.labels]
    return [*(truths or sorted((folder / "Annotations").rglob("*.png"))), *sorted(found.rglob("*.png"))]


def opencv(folder: Path) -> Run:
    """Decode the files as they are, on one thread."""
    import cv2

    cv2.setNumThreads(1)
    files = [str(path) for path in label_files(folder)]

    def run() -> float:
        for path in files:
            cv2.imread(path, cv2.IMREAD_UNCHANGED)
        return float("nan")

    return run


def pillow(folder: Path) -> Run:
    """Decode the files as they are."""
    import numpy as np
    from PIL import Image

    files = label_files(folder)

    def run() -> float:
        for path in files:
            with Image.open(path) as image:
                np.asarray(image)
        return float("nan")

    return run


TOOLS: Mapping[str, Callable[[Path], Run]] = {
    "ours": ours,
    "ours, no statistics": lambda folder: ours(folder, with_stats=False),
    "ours, two processes": lambda folder: ours(folder, workers=2),
    "pycocotools": pycocotools,
    "faster-coco-eval": faster_coco_eval,
    "hotcoco": hotcoco,
    "lvis-api": lvis,
    "panopticapi": panopticapi,
    "hotcoco panoptic": hotcoco_panoptic,
    "TrackEval": trackeval,
    "motrics": motrics,
    "motmetrics": motmetrics,
    "davis2017-evaluation": davis2017,
    "vos-benchmark": vos_benchmark,
    "cityscapesscripts pixels": cityscapes_pixels,
    "cityscapesscripts instances": cityscapes_instances,
    "OpenCV decoding": opencv,
    "Pillow decoding": pillow,
}


def cpu_seconds() -> float:
    """User and system time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_memory() -> float:
    """Largest resident memory of this process since its program began, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> int:
    """Measure one call."""
    tool, folder = sys.argv[1], Path(sys.argv[2])
    load = os.getloadavg()[0]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run = TOOLS[tool](folder)
        except ImportError as error:
            print(error, file=sys.stderr)
            return ABSENT
        started = cpu_seconds(), time.perf_counter()
        score = run()
        cpu, wall = cpu_seconds() - started[0], time.perf_counter() - started[1]
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    print(
        json.dumps({"score": None if score != score else score, "cpu": cpu, "wall": wall, "peak": peak, "load": load})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
