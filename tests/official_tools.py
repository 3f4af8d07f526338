"""The official evaluators, run on samples and predictions in memory or on files that are written for them.

Bridges over their defects live here and nowhere else; `test_official_tools.py` fails when one is no longer needed.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as city_instances  # noqa: N813
from cityscapesscripts.evaluation import evalPanopticSemanticLabeling as city_panoptic  # noqa: N813
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as city_pixels  # noqa: N813
from numpy.typing import NDArray
from panopticapi import evaluation as panoptic_api
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark import masks
from benchmark.contract import Instances, LabelMap, Panoptic, Prediction, Sample
from benchmark.labels import LabelSet

Pairs = Sequence[tuple[Sample, Prediction]]


@contextlib.contextmanager
def numpy_in1d() -> Iterator[None]:
    """Bridge: NumPy 2.4 removed `in1d`, which cityscapesscripts 2.3.0 calls."""
    with mock.patch.object(np, "in1d", np.isin, create=True):
        yield


@contextlib.contextmanager
def no_json_writer(module: Any) -> Iterator[None]:
    """Bridge: cityscapesscripts 2.3.0 writes matches.json to the working directory and fails on NumPy integers."""
    with mock.patch.object(module, "writeDict2JSON", lambda *_: None):
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow what the official tools print, and their warnings about means of nothing."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def frame_of(annotation: Any, kind: type[Any]) -> Any:
    """The only frame, checked to be of `kind`."""
    (frame,) = annotation.frames
    assert isinstance(frame, kind)
    return frame


def coco_ap(
    pairs: Pairs, labels: LabelSet, iou_type: str, max_dets: tuple[int, ...]
) -> tuple[dict[str, float], dict[str, float]]:
    """(scores, AP by class) of pycocotools; -1 becomes NaN."""
    truth, found = COCO(), COCO()
    things = [label for label in labels.classes if label.is_thing]
    images = [_coco_image(sample) for sample, _ in pairs]
    categories = [{"id": label.class_index + 1, "name": label.name} for label in things]
    truth_rows: list[dict[str, Any]] = []
    found_rows: list[dict[str, Any]] = []
    for sample, prediction in pairs:
        truth_rows += _coco_rows(sample, frame_of(sample.truth, Instances))
        found_rows += _coco_rows(sample, frame_of(prediction, Instances))
    for row in found_rows:
        row["area"] = row["bbox"][2] * row["bbox"][3] if iou_type == "bbox" else row["pixels"]
    with quiet():
        for side, rows in ((truth, truth_rows), (found, found_rows)):
            numbered = [row | {"id": place + 1} for place, row in enumerate(rows)]
            # Bridge: `loadRes` fails on an empty list, so the results are set up as a data set.
            side.dataset = {"images": images, "categories": categories, "annotations": numbered}
            side.createIndex()
        evaluation = COCOeval(truth, found, iou_type)
        evaluation.params.maxDets = list(max_dets)
        evaluation.evaluate()
        evaluation.accumulate()
    return _coco_summary(evaluation, max_dets), _coco_per_class(evaluation, things)


def _coco_image(sample: Sample) -> dict[str, int]:
    return {"id": int(sample.sample_id), "height": sample.size[0], "width": sample.size[1]}


def _coco_rows(sample: Sample, frame: Instances) -> list[dict[str, Any]]:
    return [
        {
            "image_id": int(sample.sample_id),
            "category_id": int(frame.class_index[row]) + 1,
            "segmentation": masks.to_json((frame.masks or ())[row]),
            "pixels": masks.area((frame.masks or ())[row]),
            "bbox": frame.boxes[row].tolist(),
            "area": float(frame.area[row]),
            "iscrowd": int(frame.is_crowd[row]),
            "score": float(frame.score[row]),
        }
        for row in range(len(frame))
    ]


def _coco_summary(evaluation: COCOeval, max_dets: tuple[int, ...]) -> dict[str, float]:
    """The twelve numbers by their definition, since the official summary looks for 100 detections alone."""
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    cells = {"AP": precision[:, :, :, 0, -1], "AP50": precision[0, :, :, 0, -1], "AP75": precision[5, :, :, 0, -1]}
    for area, suffix in ((1, "s"), (2, "m"), (3, "l")):
        cells[f"AP{suffix}"] = precision[:, :, :, area, -1]
        cells[f"AR{suffix}"] = recall[:, :, area, -1]
    for place, cap in enumerate(max_dets):
        cells[f"AR{cap}"] = recall[:, :, 0, place]
    return {name: _mean_known(values) for name, values in cells.items()}


def _coco_per_class(evaluation: COCOeval, things: Sequence[Any]) -> dict[str, float]:
    precision = evaluation.eval["precision"]
    return {label.name: _mean_known(precision[:, :, place, 0, -1]) for place, label in enumerate(things)}


def _mean_known(values: NDArray[np.float64]) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else float("nan")


def coco_official_summary(pairs: Pairs, labels: LabelSet, iou_type: str) -> list[float]:
    """pycocotools' own twelve numbers, from files in its own result form; needs at least one detection."""
    truth = COCO()
    rows = [row for sample, _ in pairs for row in _coco_rows(sample, frame_of(sample.truth, Instances))]
    results = [row for sample, found in pairs for row in _coco_rows(sample, frame_of(found, Instances))]
    keep = {"image_id", "category_id", "score", "bbox" if iou_type == "bbox" else "segmentation"}
    with quiet():
        truth.dataset = {
            "images": [_coco_image(sample) for sample, _ in pairs],
            "categories": [{"id": label.class_index + 1} for label in labels.classes if label.is_thing],
            "annotations": [row | {"id": place + 1} for place, row in enumerate(rows)],
        }
        truth.createIndex()
        found = truth.loadRes([{key: value for key, value in row.items() if key in keep} for row in results])
        evaluation = COCOeval(truth, found, iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return list(evaluation.stats)


def panoptic_quality(
    pairs: Pairs, labels: LabelSet, folder: Path, module: Any = panoptic_api
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """(scores, tp, fp, fn and summed iou by class) of panopticapi, or of cityscapesscripts' copy, on files."""
    categories = {
        label.class_index: {"id": label.class_index, "isthing": int(label.is_thing)} for label in labels.classes
    }
    annotations = []
    for sample, prediction in pairs:
        sides = (("truth", frame_of(sample.truth, Panoptic)), ("found", frame_of(prediction, Panoptic)))
        annotations.append(tuple(_panoptic_files(sample, frame, folder / role) for role, frame in sides))
    with quiet():
        found = module.pq_compute_single_core(0, annotations, str(folder / "truth"), str(folder / "found"), categories)
    scores = {}
    for suffix, is_thing in (("", None), ("_th", True), ("_st", False)):
        try:
            means, _ = found.pq_average(categories, is_thing)
        except ZeroDivisionError:
            # Bridge: the official mean over no category divides by zero.
            means = dict.fromkeys(("pq", "sq", "rq"), float("nan"))
        scores |= {f"{key.upper()}{suffix}": float(means[key]) for key in ("pq", "sq", "rq")}
    per_class = {
        label.name: {key: float(getattr(found[label.class_index], key)) for key in ("tp", "fp", "fn", "iou")}
        for label in labels.classes
    }
    return scores, per_class


def _panoptic_files(sample: Sample, frame: Panoptic, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{sample.sample_id}.png"
    Image.fromarray(masks.colors_from_ids(frame.segment_id)).save(folder / name)
    segments = [
        {"id": row.id, "category_id": row.class_index, "area": row.area, "iscrowd": int(row.is_crowd)}
        for row in frame.segments
    ]
    return {"image_id": sample.sample_id, "file_name": name, "segments_info": segments}


def cityscapes_panoptic(
    pairs: Pairs, labels: LabelSet, folder: Path
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The panoptic evaluator of cityscapesscripts."""
    return panoptic_quality(pairs, labels, folder, city_panoptic)


def cityscapes_pixels(
    pairs: Pairs, instance_ids: Sequence[NDArray[np.int32]], labels: LabelSet, folder: Path
) -> Mapping[str, Any]:
    """The result record of cityscapesscripts' pixel evaluator on label maps and instance maps written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    table = np.zeros(65536, np.uint8)
    for label in labels.everything:
        table[label.class_index] = max(label.category_id, 0)
    truths, founds = [], []
    for (sample, prediction), ids in zip(pairs, instance_ids, strict=True):
        stem = f"synth_{int(sample.sample_id):06d}_000000"
        truths.append(str(folder / f"{stem}_gtFine_labelIds.png"))
        founds.append(str(folder / f"{stem}_pred.png"))
        Image.fromarray(np.where(ids >= 1000, ids // 1000, ids).astype(np.uint8)).save(truths[-1])
        Image.fromarray(ids.astype(np.uint16)).save(truths[-1].replace("labelIds", "instanceIds"))
        Image.fromarray(table[frame_of(prediction, LabelMap).class_index]).save(founds[-1])
    settings = city_pixels.args
    with (
        quiet(),
        numpy_in1d(),
        mock.patch.object(settings, "JSONOutput", False),
        mock.patch.object(settings, "quiet", True),
    ):
        return city_pixels.evaluateImgLists(founds, truths, settings)


def cityscapes_instances(
    pairs: Pairs, instance_ids: Sequence[NDArray[np.int32]], labels: LabelSet, folder: Path
) -> Mapping[str, Any]:
    """The averages of cityscapesscripts' instance evaluator on instance maps, masks and lists written to `folder`."""
    settings = city_instances.args
    truths, founds = cityscapes_instance_files(pairs, instance_ids, labels, folder)
    with (
        quiet(),
        numpy_in1d(),
        no_json_writer(city_instances),
        mock.patch.object(settings, "JSONOutput", False),
        mock.patch.object(settings, "quiet", True),
        mock.patch.object(settings, "predictionPath", str(folder)),
        mock.patch.object(settings, "gtInstancesFile", str(folder / "absent.json")),
    ):
        return city_instances.evaluateImgLists(founds, truths, settings)["averages"]


def cityscapes_instance_files(
    pairs: Pairs, instance_ids: Sequence[NDArray[np.int32]], labels: LabelSet, folder: Path
) -> tuple[list[str], list[str]]:
    """(truth files, prediction files) as the instance evaluator reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    truths, founds = [], []
    for (sample, prediction), ids in zip(pairs, instance_ids, strict=True):
        stem = f"synth_{int(sample.sample_id):06d}_000000"
        truths.append(str(folder / f"{stem}_gtFine_instanceIds.png"))
        founds.append(str(folder / f"{stem}_pred.txt"))
        Image.fromarray(ids.astype(np.uint16)).save(truths[-1])
        lines = []
        frame = frame_of(prediction, Instances)
        for row in range(len(frame)):
            name = f"{stem}_{row}.png"
            Image.fromarray(masks.decode((frame.masks or ())[row]).astype(np.uint8) * 255).save(folder / name)
            lines.append(f"{name} {labels.category_id(int(frame.class_index[row]))} {float(frame.score[row])!r}\n")
        Path(founds[-1]).write_text("".join(lines), encoding="ascii")
    return truths, founds
