"""Instance bitmasks of BDD100K: scores equal the official toolkit's frozen ones, files round-trip, damage is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bdd100k_objects import CASES, SIZE, draw
from layout_scenes import same

from benchmark import catalog
from benchmark.__main__ import main
from benchmark.contract import Instances, SampleSet, Scores, summarise
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.metrics.bdd100k_instances import match
from benchmark.problems import DataError

GOLDEN = Path(__file__).parent / "golden" / "bdd100k_instances.json"
ROW = catalog.get("bdd100k_instance_val")


def write_case(root: Path, case: str) -> Path:
    """Truth below a data root, results beside it; the path of the results."""
    found = root / "found"
    entries = []
    for name, truth, result, entry in draw(case):
        write_jpeg(root / f"bdd100k/images/10k/val/{name}.jpg", np.zeros((*SIZE, 3), np.uint8))
        write_png(root / f"bdd100k/labels/ins_seg/bitmasks/val/{name}.png", truth)
        write_png(found / "bitmasks" / f"{name}.png", result)
        entries.append(entry)
    (found / "scores.json").write_text(json.dumps(entries), encoding="utf-8")
    (root / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
    return found


def open_case(root: Path) -> SampleSet:
    return catalog.open_samples(ROW, root, is_mini=True)


def scores_of(root: Path, found: Path) -> Scores:
    samples = open_case(root)
    predictions = catalog.read_predictions(ROW, found, samples)
    metric = catalog.build_metric(ROW)
    return summarise(metric, [metric.measure(sample, predictions[sample.sample_id]) for sample in samples])


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_scores_equal_the_frozen_official_ones(tmp_path: Path, case: str) -> None:
    scores = scores_of(tmp_path, write_case(tmp_path, case))
    by_class = {f"AP/{name}": row["AP"] for name, row in scores.per_class.items()}
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))[case]
    found = {name: 100 * value for name, value in {**scores.values, **by_class}.items()}
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(math.nan if value is None else value, abs=1e-7, nan_ok=True), name


def test_the_command_scores_a_case(tmp_path: Path) -> None:
    found = write_case(tmp_path, "typical")
    out = tmp_path / "record.json"
    call = ["score", ROW.name, str(found), "--data-root", str(tmp_path), "--work-dir", str(tmp_path / "work")]
    assert main([*call, "--out", str(out)]) == 0
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))["typical"]["AP"]
    assert 100 * json.loads(out.read_text(encoding="utf-8"))["scores"]["AP"] == pytest.approx(expected, abs=1e-7)


def test_a_crowd_is_hit_by_every_detection_and_a_plain_truth_by_one() -> None:
    ious = np.array([[0.9, 0.2], [0.8, 0.3], [0.6, 0.7]])
    is_matched, best = match(ious, np.array([False, False]))
    assert is_matched[0].tolist() == [True, False, True] and best[0, 2] == 1
    is_matched, best = match(ious, np.array([True, False]))
    assert is_matched[0].tolist() == [True, True, True]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = write_case(tmp_path, "typical")
    samples = open_case(tmp_path)
    first = catalog.read_predictions(ROW, found, samples)
    catalog.write_predictions(ROW, tmp_path / "again", ((sample, first[sample.sample_id]) for sample in samples))
    second = catalog.read_predictions(ROW, tmp_path / "again", samples)
    for sample in samples:
        before, after = (side[sample.sample_id].frames[0] for side in (first, second))
        assert isinstance(before, Instances) and isinstance(after, Instances)
        assert before.masks == after.masks
        assert all(same(getattr(before, name), getattr(after, name)) for name in ("class_index", "score", "area"))


def test_an_image_without_results_is_missing(tmp_path: Path) -> None:
    found = write_case(tmp_path, "typical")
    (found / "bitmasks" / "typical-2.png").unlink()
    assert "typical-2" not in catalog.read_predictions(ROW, found, open_case(tmp_path))


def _edit(change: Callable[[Any], object]) -> Callable[[Path], None]:
    def damage(found: Path) -> None:
        document = json.loads((found / "scores.json").read_text(encoding="utf-8"))
        change(document)
        (found / "scores.json").write_text(json.dumps(document), encoding="utf-8")

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "two jsons": (lambda found: (found / "b.json").write_text("[]"), "holds 2 JSON files, expected one"),
    "no list": (lambda found: (found / "scores.json").write_text("{}"), "holds a dict, expected a list"),
    "no name": (_edit(lambda one: one[0].pop("name")), "is no object with a name"),
    "twice": (_edit(lambda one: one.append(one[0])), "image typical-0 is listed twice"),
    "index": (_edit(lambda one: one[0]["labels"][0].update(index=70000)), "index 70000 is not a whole number"),
    "score": (_edit(lambda one: one[0]["labels"][0].update(score="x")), "score 'x' is not a finite number"),
    "same index": (_edit(lambda one: one[0]["labels"].append(one[0]["labels"][0])), "an index is listed twice"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_scores_are_named(tmp_path: Path, name: str) -> None:
    found = write_case(tmp_path, "typical")
    damage, message = DAMAGES[name]
    damage(found)
    with pytest.raises(DataError, match=message):
        catalog.read_predictions(ROW, found, open_case(tmp_path))


def test_an_instance_of_two_classes_is_named(tmp_path: Path) -> None:
    found = write_case(tmp_path, "typical")
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[:2] = (1, 0, 0, 5)
    pixels[2:4] = (2, 0, 0, 5)
    write_png(found / "bitmasks/typical-0.png", pixels)
    with pytest.raises(DataError, match="instance 5 has pixels of several classes"):
        catalog.read_predictions(ROW, found, open_case(tmp_path))["typical-0"]
