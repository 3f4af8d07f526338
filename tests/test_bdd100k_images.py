"""BDD100K's maps: panoptic counts equal to the toolkit's, rules worked by hand, round trips, broken files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import bdd100k_maps
import numpy as np
import pytest
from layout_scenes import same
from numpy.typing import NDArray

from benchmark import catalog, labels
from benchmark.contract import (
    IGNORE,
    LabelMap,
    Panoptic,
    Prediction,
    Prompt,
    Sample,
    Scores,
    Segment,
    Task,
    Truth,
    summarise,
)
from benchmark.formats import bdd100k_panoptic
from benchmark.formats.image_files import write_png
from benchmark.metrics.bdd100k_iou import Bdd100kIoU
from benchmark.metrics.bdd100k_panoptic import Bdd100kPanopticQuality
from benchmark.problems import DataError

GOLDEN = Path(__file__).parent / "golden/bdd100k_images/expected.json"
LABELS = labels.load("bdd100k_panoptic")
CAR, ROAD, UNLABELED = (LABELS.index_named(name) for name in ("car", "road", "unlabeled"))


def read_map(folder: Path, pixels: NDArray[np.uint8], *, is_prediction: bool = False) -> Panoptic:
    write_png(folder / "map.png", pixels)
    return bdd100k_panoptic.read_map(folder / "map.png", LABELS, is_prediction=is_prediction)


def sample_of(truth: Panoptic, number: int = 1) -> Sample:
    size = (truth.segment_id.shape[0], truth.segment_id.shape[1])
    prompt = Prompt(task=Task.PANOPTIC)
    return Sample(sample_id=str(number), frames=(), size=size, prompt=prompt, truth=Truth(frames=(truth,)))


@pytest.mark.parity
@pytest.mark.parametrize("case", range(bdd100k_maps.NUM_CASES))
def test_counts_equal_the_toolkit(tmp_path: Path, case: int) -> None:
    truth, found = (read_map(tmp_path, pixels) for pixels in bdd100k_maps.draw(case))
    stats = Bdd100kPanopticQuality(LABELS).measure(sample_of(truth), Prediction(frames=(found,))).arrays
    expected = {row[0]: row[1:] for row in json.loads(GOLDEN.read_text(encoding="utf-8"))[case]}
    for row in LABELS.classes:
        own = stats["hit_class"] == row.class_index
        counts = [int((stats[f"{name}_class"] == row.class_index).sum()) for name in ("hit", "false", "missed")]
        total = float((stats["hit_intersection"][own] / stats["hit_union"][own]).sum())
        assert [*counts, total] == pytest.approx(expected.get(row.category_id, [0, 0, 0, 0.0]), abs=1e-12), row.name


def panoptic(ids: list[list[int]], *rows: tuple[int, int, bool]) -> Panoptic:
    """A map with segments (id, class_index, does not count)."""
    segments = tuple(Segment(id=one, class_index=index, is_crowd=crowd) for one, index, crowd in rows)
    return Panoptic(segment_id=np.array(ids, np.int32), segments=segments)


def score(truth: Panoptic, found: Panoptic) -> Scores:
    metric = Bdd100kPanopticQuality(LABELS)
    return summarise(metric, [metric.measure(sample_of(truth), Prediction(frames=(found,)))])


def test_void_stays_in_the_union() -> None:
    # COCO's PQ would give 1: the two pixels beside the car are void.
    result = score(panoptic([[1, 1, 1, 0, 0]], (1, CAR, False)), panoptic([[1, 1, 1, 1, 1]], (1, CAR, False)))
    assert result.values["PQ"] == pytest.approx(3 / 5)


def test_a_prediction_mostly_outside_the_truth_is_no_error_and_one_mostly_on_it_is() -> None:
    truth = panoptic([[1, 1, 0, 0, 0, 0]], (1, CAR, False))
    assert score(truth, panoptic([[0, 5, 5, 5, 0, 0]], (5, ROAD, False))).counts == {"TP": 0, "FP": 0, "FN": 1}
    assert score(truth, panoptic([[0, 5, 5, 0, 0, 0]], (5, ROAD, False))).counts == {"TP": 0, "FP": 1, "FN": 1}


def test_crowds_count_on_neither_side_and_unlabeled_truth_excuses_nothing() -> None:
    crowd = panoptic([[1, 1, 1, 1]], (1, CAR, True))
    car = panoptic([[1, 1, 1, 1]], (1, CAR, False))
    assert score(crowd, car).counts == {"TP": 0, "FP": 0, "FN": 0}
    assert score(car, crowd).counts == {"TP": 0, "FP": 0, "FN": 1}
    assert score(panoptic([[1, 1, 1, 1]], (1, UNLABELED, False)), car).counts == {"TP": 0, "FP": 1, "FN": 0}


def test_truth_replayed_scores_one_and_nothing_scores_zero(tmp_path: Path) -> None:
    metric = Bdd100kPanopticQuality(LABELS)
    truths = [read_map(tmp_path, bdd100k_maps.draw(case)[0]) for case in range(8)]
    pairs = [(sample_of(truth, number), truth) for number, truth in enumerate(truths)]
    full = summarise(metric, [metric.measure(sample, Prediction(frames=(one,))) for sample, one in pairs])
    assert {full.values[name] for name in ("PQ", "SQ", "RQ")} == {1.0}
    blank = Panoptic(segment_id=np.zeros(bdd100k_maps.SIZE, np.int32), segments=())
    none = summarise(metric, [metric.measure(sample, Prediction(frames=(blank,))) for sample, _ in pairs])
    assert none.values["PQ"] == 0.0 and none.counts["TP"] == none.counts["FP"] == 0


def test_written_bitmasks_are_read_back_to_the_bit(tmp_path: Path) -> None:
    found = read_map(tmp_path, bdd100k_maps.draw(3)[1])
    bdd100k_panoptic.write_predictions(tmp_path / "out", [(sample_of(found), Prediction(frames=(found,)))], LABELS)
    assert same(bdd100k_panoptic.read_map(tmp_path / "out/1.png", LABELS, is_prediction=True), found)


def _many(num: int) -> NDArray[np.uint8]:
    pixels = np.zeros((2, 200, 4), np.uint8)
    pixels[0, :num, 0], pixels[0, :num, 3] = 35, np.arange(1, num + 1)
    return pixels


def _two_classes() -> NDArray[np.uint8]:
    pixels = _many(2)
    pixels[1, :2] = (7, 0, 0, 1)
    return pixels


def _class(number: int) -> NDArray[np.uint8]:
    pixels = _many(1)
    pixels[0, 0, 0] = number
    return pixels


DAMAGES: dict[str, tuple[Callable[[], NDArray[np.uint8]], str]] = {
    "two classes": (_two_classes, "instance 1 has pixels of several classes or attributes"),
    "unknown class": (lambda: _class(41), "holds class 41 in its red channel, expected 0 to 40"),
    "too many": (lambda: _many(101), "holds 101 segments, the official tool takes at most 100"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_bitmasks_that_break_the_form_are_refused(tmp_path: Path, case: str) -> None:
    draw, expected = DAMAGES[case]
    with pytest.raises(DataError, match=expected):
        read_map(tmp_path, draw(), is_prediction=True)
    assert len(read_map(tmp_path, _many(101)).segments) == 101


def test_predictions_for_no_image_of_the_split_are_refused(tmp_path: Path) -> None:
    for folder, name in (("truth", "a"), ("found", "b")):
        (tmp_path / folder).mkdir()
        write_png(tmp_path / folder / f"{name}.png", np.zeros((4, 5), np.uint8))
    row = catalog.get("bdd100k_semantic_val")
    samples = catalog.open_samples(row, None, truth=tmp_path / "truth")
    with pytest.raises(DataError, match=r"no file fits any of the 1 image \(expected names like a.png\)"):
        catalog.read_predictions(row, tmp_path / "found", samples)


def test_semantic_scores_of_a_drawn_map() -> None:
    # Two roads of which one is called a sidewalk, one sidewalk, one pixel that a prediction leaves out.
    official = labels.load("bdd100k_semantic")
    truth = LabelMap(class_index=np.array([[0, 0, 1, 1, IGNORE]], np.uint16))
    found = LabelMap(class_index=np.array([[0, 1, 1, IGNORE, 0]], np.uint16))
    prompt = Prompt(task=Task.SEMANTIC)
    sample = Sample(sample_id="1", frames=(), size=(1, 5), prompt=prompt, truth=Truth(frames=(truth,)))
    metric = Bdd100kIoU(official)
    values = summarise(metric, [metric.measure(sample, Prediction(frames=(found,)))]).values
    assert values["mIoU"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert values["mAcc"] == pytest.approx((1 + 1 / 2) / 2)
    assert values["fIoU"] == pytest.approx((1 / 2 + 1 / 3) / 2) and values["pAcc"] == pytest.approx(1 / 2)


def test_numbers_beyond_the_train_ids_are_ignored_in_both_maps(tmp_path: Path) -> None:
    for folder in ("truth", "found"):
        (tmp_path / folder).mkdir()
    write_png(tmp_path / "truth/a.png", np.array([[0, 3, 30, 255]], np.uint8))
    write_png(tmp_path / "found/a.png", np.array([[0, 19, 1, 1]], np.uint8))
    row = catalog.get("bdd100k_semantic_val")
    samples = catalog.open_samples(row, None, truth=tmp_path / "truth")
    predictions = catalog.read_predictions(row, tmp_path / "found", samples)
    metric = catalog.build_metric(row)
    result = summarise(metric, [metric.measure(samples[0], predictions["a"])])
    assert result.counts["pixels"] == 2 and result.values["mIoU"] == pytest.approx(1 / 2)
