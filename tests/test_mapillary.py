"""Mapillary Vistas: scores equal the official scripts' frozen ones, both versions are found, files round-trip."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from layout_scenes import same
from mapillary_scenes import CASES, SIZE, draw

from benchmark import catalog, labels, masks
from benchmark.contract import (
    Instances,
    LabelMap,
    Prediction,
    Prompt,
    Sample,
    Scores,
    Task,
    Truth,
    make_instances,
    summarise,
)
from benchmark.formats.image_files import read_numbers, write_jpeg, write_png
from benchmark.minidata import miniatures
from benchmark.minidata.pools import Pools
from benchmark.problems import DataError

GOLDEN = Path(__file__).parent / "golden" / "mapillary.json"
VERSION = {"mapillary_v12": ("v12", "v1.2"), "mapillary_v20": ("v20", "v2.0")}


def write_case(root: Path, case: str) -> tuple[str, Path]:
    """Truth below a data root, results beside it; the version and the folder of the results."""
    short, folder = VERSION[CASES[case][0]]
    home = root / "mapillary_vistas/validation"
    for image in draw(case):
        write_jpeg(home / f"images/{image.key}.jpg", np.zeros((*SIZE, 3), np.uint8))
        write_png(home / folder / f"instances/{image.key}.png", image.truth)
        write_png(root / f"maps/{image.key}.png", image.found)
        lines = ["# made by dice\n"]
        for number, (mask, label, score) in enumerate(image.objects):
            write_png(root / f"objects/masks/{image.key}-{number}.png", mask.astype(np.uint8) * 255)
            lines.append(f"masks/{image.key}-{number}.png {label} {score!r}\n")
        (root / "objects").mkdir(exist_ok=True)
        (root / f"objects/{image.key}.txt").write_text("".join(lines), encoding="utf-8")
    (root / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
    return short, root


def scores_of(root: Path, task: str, short: str) -> Scores:
    row = catalog.get(f"mapillary_{task}_{short}_val")
    samples = catalog.open_samples(row, root, is_mini=True)
    found = catalog.read_predictions(row, root / ("maps" if task == "semantic" else "objects"), samples)
    metric = catalog.build_metric(row)
    return summarise(metric, [metric.measure(sample, found[sample.sample_id]) for sample in samples])


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_scores_equal_the_frozen_official_ones(tmp_path: Path, case: str) -> None:
    short, root = write_case(tmp_path, case)
    found = {**scores_of(root, "semantic", short).values, **scores_of(root, "instance", short).values}
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))[case]
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(math.nan if value is None else value, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize(("name", "counts"), [("mapillary_v12", (37, 28, 1)), ("mapillary_v20", (70, 46, 8))])
def test_label_tables_have_the_official_numbers_of_things_stuff_and_void(
    name: str, counts: tuple[int, int, int]
) -> None:
    found = labels.load(name)
    things = int(found.is_thing.sum())
    assert (things, found.num_classes - things, len(found.ignored)) == counts
    assert sorted(row.category_id for row in found.everything) == list(range(sum(counts)))
    assert len({row.code for row in found.everything}) == sum(counts)


def _sample(truth: LabelMap | Instances, **more: object) -> Sample:
    full = Truth(frames=(truth,), **more)  # type: ignore[arg-type]
    size = (10, 20)
    return Sample(sample_id="a", frames=(), size=size, prompt=Prompt(task=Task.SEMANTIC), truth=full)


def _disc(left: int, width: int) -> np.ndarray:  # type: ignore[type-arg]
    mask = np.zeros((10, 20), bool)
    mask[:, left : left + width] = True
    return mask


def test_predicted_void_is_no_miss_of_the_class_and_a_miss_of_the_object() -> None:
    """A car of 100 pixels, 60 of them found, 40 called void: IoU 60/60, iIoU 60/100 whatever the average size."""
    row = catalog.get("mapillary_semantic_v12_val")
    known = labels.load("mapillary_v12")
    car, void, sky = known.index_named("Car"), known.index_named("Unlabeled"), known.index_named("Sky")
    truth, found = np.full((10, 20), sky, np.uint16), np.full((10, 20), sky, np.uint16)
    truth[:, :10] = car
    found[:, :6], found[:, 6:10] = car, void
    objects = make_instances(class_index=[car], masks=[masks.encode(_disc(0, 10))])
    sample = _sample(LabelMap(class_index=truth), objects=objects)
    metric = catalog.build_metric(row)
    scores = summarise(metric, [metric.measure(sample, Prediction(frames=(LabelMap(class_index=found),)))])
    assert scores.values["mIoU"] == 1.0
    assert scores.values["iIoU"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("width", "void_width", "expected"),
    [(10, 0, 1.0), (5, 0, math.nan), (9, 10, 0.0)],
    ids=["found", "nothing countable and nothing predicted", "excused"],
)
def test_small_truth_only_excuses(width: int, void_width: int, expected: float) -> None:
    """90 pixels do not count, but a class for which something is predicted scores 0 without countable truth."""
    known = labels.load("mapillary_v12")
    car = known.index_named("Car")
    truth = make_instances(class_index=[car], masks=[masks.encode(_disc(0, width))])
    is_found = not math.isnan(expected)
    found = make_instances(class_index=[car] * is_found, masks=[masks.encode(_disc(0, width))] * is_found)
    ignore = masks.encode(_disc(10, void_width)) if void_width else None
    metric = catalog.build_metric(catalog.get("mapillary_instance_v12_val"))
    scores = summarise(metric, [metric.measure(_sample(truth, ignore=ignore), Prediction(frames=(found,)))])
    assert scores.values["AP"] == pytest.approx(expected, nan_ok=True)


def test_the_layouts_of_both_downloads_are_found(tmp_path: Path) -> None:
    rows = [catalog.get(f"mapillary_{task}_v12_val") for task in ("semantic", "instance", "panoptic")]
    miniatures.write(tmp_path, rows, Pools(num_images={"train": 2, "val": 2}))
    (tmp_path / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
    home = tmp_path / "mapillary_vistas/validation"
    before = [catalog.open_samples(row, tmp_path, is_mini=True)[0].truth for row in rows]
    for folder in list((home / "v1.2").iterdir()):
        folder.rename(home / folder.name)
    after = [catalog.open_samples(row, tmp_path, is_mini=True)[0].truth for row in rows]
    assert all(same(one.frames[0], other.frames[0]) for one, other in zip(before, after, strict=True))  # type: ignore[union-attr]


def test_label_pngs_are_the_upper_byte_of_instance_pngs(tmp_path: Path) -> None:
    row = catalog.get("mapillary_semantic_v20_val")
    miniatures.write(tmp_path, [row], Pools(num_images={"train": 2, "val": 4}))
    home = tmp_path / "mapillary_vistas/validation/v2.0"
    groups = set()
    for path in sorted((home / "labels").iterdir()):
        numbers = read_numbers(path)
        np.testing.assert_array_equal(numbers, read_numbers(home / "instances" / path.name) // 256)
        groups |= set(np.unique(numbers).tolist()) & {31, 115}
    assert groups, "no crowd became a group"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png 19", "has 2 fields, expected 3"),
        ("../a.png 19 0.5", "lies outside the folder of the results"),
        ("masks/1-0-0.png 99 0.5", "label '99' is outside the label set"),
        ("masks/1-0-0.png human--person nan", "confidence 'nan' is not a finite number"),
        ("masks/none.png human--person 0.5", "the file is missing"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, message: str) -> None:
    short, root = write_case(tmp_path, "typical")
    (root / "objects/1-0.txt").write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        scores_of(root, "instance", short)


def test_truth_of_another_version_is_named(tmp_path: Path) -> None:
    short, root = write_case(tmp_path, "typical")
    write_png(root / "mapillary_vistas/validation/v1.2/instances/1-0.png", np.full(SIZE, 108 * 256, np.uint16))
    with pytest.raises(DataError, match="means label id 108, which is outside the label set"):
        scores_of(root, "semantic", short)
