"""ODinW and SegInW: each data set scores as pycocotools scores it, their mean is the headline, all files are found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from layout_scenes import same
from official_tools import quiet
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark import catalog, labels, masks
from benchmark.contract import NO_BOXES, Instances, Prediction, Sample, Scores, make_instances, summarise
from benchmark.datasets.in_the_wild import EMPTY
from benchmark.problems import DataError

SIZE = (40, 60)
ODINW = {"Aquarium": 7, "PascalVOC": 20, "pothole": 1}
SEGINW = {"Bottles": 3, "Poles": 1}
ROWS = {"odinw_detection_13": (ODINW, 1, 6), "odinw_detection_35": (ODINW, 1, 6), "seginw_instance_val": (SEGINW, 0, 5)}
"""Row -> (data sets that are drawn with their number of classes, the first category id, images a data set)."""


def write_truth(root: Path, name: str) -> None:
    """Some data sets of a row, each in its official place."""
    sets, first, num_images = ROWS[name]
    parts = {part.name: part for part in catalog.get(name).layout.parts(catalog.get(name))}  # type: ignore[attr-defined]
    for place, (dataset, num_classes) in enumerate(sets.items()):
        dice = np.random.default_rng([3, place])
        annotations = []
        for number in range(12):
            polygon = _polygon(dice)
            rle = masks.from_polygons([polygon], SIZE)
            annotations.append(
                {
                    "id": number,
                    "image_id": number % num_images,
                    "category_id": first + int(dice.integers(num_classes)),
                    "bbox": list(masks.bounding_box(rle)),
                    "area": masks.area(rle),
                    "segmentation": [polygon],
                    "iscrowd": 0,
                }
            )
        images = [{"id": i, "file_name": f"{i}.jpg", "height": SIZE[0], "width": SIZE[1]} for i in range(num_images)]
        categories = [{"id": first + i, "name": f"class {i}"} for i in range(num_classes)]
        path = root / parts[dataset].annotations
        path.parent.mkdir(parents=True)
        document = {"images": images, "annotations": annotations, "categories": categories}
        path.write_text(json.dumps(document), encoding="utf-8")


def write_found(root: Path, folder: Path, name: str) -> None:
    """The truth moved a little, some of it twice, in the form of results."""
    sets, _, _ = ROWS[name]
    parts = {part.name: part for part in catalog.get(name).layout.parts(catalog.get(name))}  # type: ignore[attr-defined]
    folder.mkdir()
    for place, dataset in enumerate(sets):
        dice = np.random.default_rng([4, place])
        truth = json.loads((root / parts[dataset].annotations).read_text(encoding="utf-8"))
        found = []
        for one in truth["annotations"] * 2:
            moved = (np.array(one["segmentation"][0]) + dice.integers(-2, 3)).clip(0, 39).tolist()
            rle = masks.from_polygons([moved], SIZE)
            entry = {key: one[key] for key in ("image_id", "category_id")} | {"score": float(dice.random())}
            is_box = "detection" in name
            shape = {"bbox": list(masks.bounding_box(rle))} if is_box else {"segmentation": masks.to_json(rle)}
            found.append(entry | shape)
        (folder / f"{dataset}.json").write_text(json.dumps(found), encoding="utf-8")


def _polygon(dice: np.random.Generator) -> list[float]:
    (y, x), (high, wide) = dice.integers((2, 2), (24, 24)), dice.integers(6, 15, 2)
    return [float(v) for v in (x, y, x + wide, y, x + wide, y + high, x, y + high)]


def scores_of(root: Path, folder: Path, name: str) -> Scores:
    row = catalog.get(name)
    samples = catalog.open_samples(row, None, truth=root)
    found = catalog.read_predictions(row, folder, samples)
    metric = catalog.build_metric(row)
    return summarise(metric, [metric.measure(sample, found[sample.sample_id]) for sample in samples])


@pytest.mark.parity
@pytest.mark.parametrize("name", ROWS)
def test_every_data_set_scores_as_pycocotools_does(tmp_path: Path, name: str) -> None:
    root, folder = tmp_path / "root", tmp_path / "found"
    write_truth(root, name)
    write_found(root, folder, name)
    scores = scores_of(root, folder, name)
    official = {dataset: _official(root, folder, name, dataset) for dataset in ROWS[name][0]}
    for dataset, expected in official.items():
        assert list(scores.per_class[dataset].values()) == pytest.approx(expected, abs=1e-12), dataset
    columns = np.array(list(official.values()))
    values = [scores.values[one] for one in ("AP", "AP50", "AP_median", "AP50_median")]
    assert values == pytest.approx([*columns.mean(axis=0), *np.median(columns, axis=0)], abs=1e-12)


def _official(root: Path, folder: Path, name: str, dataset: str) -> list[float]:
    """[AP, AP50] of one data set, its annotations numbered from 1 for pycocotools."""
    parts = {part.name: part for part in catalog.get(name).layout.parts(catalog.get(name))}  # type: ignore[attr-defined]
    document = json.loads((root / parts[dataset].annotations).read_text(encoding="utf-8"))
    for number, annotation in enumerate(document["annotations"], start=1):
        annotation["id"] = number
    with quiet():
        truth = COCO()
        truth.dataset = document
        truth.createIndex()
        found = truth.loadRes(str(folder / f"{dataset}.json"))
        evaluation = COCOeval(truth, found, "bbox" if "detection" in name else "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:2]]


def _answer(sample: Sample) -> Prediction:
    """The truth as results have it."""
    assert sample.truth is not None
    (frame,) = sample.truth.frames
    assert isinstance(frame, Instances)
    if frame.masks is not None:
        area = masks.areas(frame.masks).astype(np.float64)
        found = make_instances(class_index=frame.class_index, masks=frame.masks, area=area, box_format=NO_BOXES)
        return Prediction(frames=(found,))
    area = frame.boxes[:, 2:].prod(axis=1)
    return Prediction(frames=(make_instances(class_index=frame.class_index, boxes=frame.boxes, area=area),))


@pytest.mark.parametrize("name", ROWS)
def test_truth_replayed_scores_one_nothing_zero_and_results_come_back(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    write_truth(root, name)
    row = catalog.get(name)
    samples = catalog.open_samples(row, None, truth=root)
    pairs = [(sample, _answer(sample)) for sample in samples]
    catalog.write_predictions(row, tmp_path / "found", pairs)
    assert scores_of(root, tmp_path / "found", name).values["AP"] == pytest.approx(1.0)
    again = catalog.read_predictions(row, tmp_path / "found", samples)
    assert all(same(again[sample.sample_id], prediction) for sample, prediction in pairs)
    for file in (tmp_path / "found").iterdir():
        file.write_text("[]", encoding="utf-8")
    assert scores_of(root, tmp_path / "found", name).values["AP"] == 0.0


def test_a_model_is_asked_for_the_classes_of_the_data_set_alone(tmp_path: Path) -> None:
    write_truth(tmp_path, "seginw_instance_val")
    samples = catalog.open_samples(catalog.get("seginw_instance_val"), None, truth=tmp_path)
    asked = {sample.sample_id.split("/")[0]: sample.prompt.labels for sample in samples}
    assert asked == {"Bottles": ("class 0", "class 1", "class 2"), "Poles": ("class 0",)}
    assert samples[0].frames[0] == tmp_path / "Bottles/valid/0.jpg"


def test_a_data_set_without_results_is_empty_and_counted(tmp_path: Path) -> None:
    root, folder, name = tmp_path / "root", tmp_path / "found", "odinw_detection_13"
    write_truth(root, name)
    write_found(root, folder, name)
    (folder / "pothole.json").unlink()
    row = catalog.get(name)
    samples = catalog.open_samples(row, None, truth=root)
    _, notes = catalog.read_predictions_with_notes(row, folder, samples)
    assert notes == {EMPTY: 1}
    assert scores_of(root, folder, name).per_class["pothole"]["AP"] == 0.0


def test_what_is_missing_or_foreign_is_named(tmp_path: Path) -> None:
    name = "odinw_detection_13"
    root = tmp_path / "odinw"
    write_truth(root, name)
    row = catalog.get(name)
    with pytest.raises(DataError, match=r"annotations_without_background.json: the file is missing"):
        catalog.open_samples(row, tmp_path)
    with pytest.raises(DataError, match="holds none of the data sets"):
        catalog.open_samples(row, None, truth=tmp_path)
    samples = catalog.open_samples(row, None, truth=root)
    (tmp_path / "found").mkdir()
    with pytest.raises(DataError, match=r"holds no result of any data set \(expected names like Aquarium.json\)"):
        catalog.read_predictions(row, tmp_path / "found", samples)
    entry = {"image_id": 99, "category_id": 0, "score": 1, "bbox": [0, 0, 1, 1]}
    (tmp_path / "found/Aquarium.json").write_text(json.dumps([entry]), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        catalog.read_predictions(row, tmp_path / "found", samples)
    assert "result 0: image_id 99 is not in this benchmark" in str(caught.value)
    assert "result 0: category_id 0 is not a thing of the label set" in str(caught.value)


def test_a_file_with_other_ids_is_refused(tmp_path: Path) -> None:
    write_truth(tmp_path, "seginw_instance_val")
    path = tmp_path / "Bottles/valid/_annotations_min1cat.coco.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["categories"] = [{"id": one["id"] + 1, "name": one["name"]} for one in document["categories"]]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DataError, match=r"has the category ids \[1, 2, 3\], expected 0 to 2"):
        catalog.open_samples(catalog.get("seginw_instance_val"), None, truth=tmp_path)


def test_the_tables_hold_the_official_numbers_of_data_sets() -> None:
    for name, count in (("odinw13", 13), ("odinw35", 35), ("seginw", 25)):
        assert len({row.supercategory for row in labels.load(name).classes}) == count
    for name in ROWS:
        row = catalog.get(name)
        groups = list(dict.fromkeys(one.supercategory for one in row.label_set.classes))
        assert groups == [part.name for part in row.layout.parts(row)]  # type: ignore[attr-defined]
