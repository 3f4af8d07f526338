"""PASCAL Context: one official map serves three label sets, and all forms in which it is found read the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from benchmark import catalog, labels
from benchmark.contract import IGNORE, LabelMap, summarise
from benchmark.formats import pascal_context
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.formats.matlab_file import read_matrix, write_matrix
from benchmark.problems import DataError

IDS = np.array([[0, 2, 9, 18], [1, 458, 3, 459], [284, 284, 360, 0]], np.uint16)
NUM_CLASSES = {"pascal_context59": 59, "pascal_context60": 60, "pascal_context459": 459}
INDICES = {
    "pascal_context59": [[IGNORE, 0, 1, 2], [IGNORE, 58, IGNORE, IGNORE], [36, 36, 46, IGNORE]],
    "pascal_context60": [[0, 1, 2, 3], [0, 59, 0, 0], [37, 37, 47, 0]],
    "pascal_context459": [[IGNORE, 1, 8, 17], [0, 457, 2, 458], [283, 283, 359, IGNORE]],
}
"""What the reference says: 59 drops the background, 60 counts it as class 0, 459 shifts the ids by one."""


def _matlab_root(home: Path) -> Path:
    write_jpeg(home / "JPEGImages/a.jpg", np.zeros((*IDS.shape, 3), np.uint8))
    write_matrix(home / "trainval/a.mat", "LabelMap", IDS)
    (home / "ImageSets/Main").mkdir(parents=True)
    (home / "ImageSets/Main/val.txt").write_text("a\n", encoding="utf-8")
    return home


def _class_index(name: str, root: Path) -> NDArray[np.uint16]:
    row = catalog.get(name)
    (root / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
    (sample,) = catalog.open_samples(row, root, is_mini=True)
    assert sample.size == IDS.shape and sample.truth is not None
    (frame,) = sample.truth.frames
    assert isinstance(frame, LabelMap)
    return frame.class_index


@pytest.mark.parametrize("name", NUM_CLASSES)
def test_label_tables_are_in_the_order_of_the_official_ids(name: str) -> None:
    found = labels.load(name)
    assert found.num_classes == NUM_CLASSES[name]
    ids = [row.category_id for row in found.classes]
    assert ids == sorted(ids) and len(set(ids)) == len(ids)
    everything = labels.load("pascal_context459")
    assert all(everything.names[row.category_id - 1] == row.name for row in found.classes if row.category_id)


@pytest.mark.parametrize("name", NUM_CLASSES)
def test_the_official_map_serves_every_label_set(tmp_path: Path, name: str) -> None:
    root = _matlab_root(tmp_path)
    row = f"pascal_context_semantic_{NUM_CLASSES[name]}_val"
    np.testing.assert_array_equal(_class_index(row, root), INDICES[name])


@pytest.mark.parametrize("number", [59, 60])
def test_converted_pngs_read_as_the_official_maps(tmp_path: Path, number: int) -> None:
    with_background = np.array(INDICES["pascal_context60"], np.uint8)
    write_jpeg(tmp_path / "JPEGImages/a.jpg", np.zeros((*IDS.shape, 3), np.uint8))
    write_png(tmp_path / "SegmentationClassContext/a.png", with_background)
    (tmp_path / "ImageSets/SegmentationContext").mkdir(parents=True)
    (tmp_path / "ImageSets/SegmentationContext/val.txt").write_text("a\n", encoding="utf-8")
    found = _class_index(f"pascal_context_semantic_{number}_val", tmp_path)
    np.testing.assert_array_equal(found, INDICES[f"pascal_context{number}"])


@pytest.mark.parametrize(("number", "suffix", "nothing"), [(59, "png", 255), (459, "tif", 65535)])
def test_shifted_maps_read_as_the_official_maps(tmp_path: Path, number: int, suffix: str, nothing: int) -> None:
    wanted = np.array(INDICES[f"pascal_context{number}"], np.uint16)
    stored = np.where(wanted == IGNORE, nothing, wanted).astype(np.uint8 if nothing == 255 else np.uint16)
    home = tmp_path / "pascal_ctx_d2"
    (home / f"annotations_ctx{number}/validation").mkdir(parents=True)
    assert cv2.imwrite(str(home / f"annotations_ctx{number}/validation/a.{suffix}"), stored)
    write_jpeg(home / "images/validation/a.jpg", np.zeros((*IDS.shape, 3), np.uint8))
    np.testing.assert_array_equal(_class_index(f"pascal_context_semantic_{number}_val", tmp_path), wanted)


@pytest.mark.parametrize("protocol", ["union", "present"])
@pytest.mark.parametrize("number", [59, 60, 459])
def test_mean_iou_counts_by_hand(tmp_path: Path, number: int, protocol: str) -> None:
    """All of the truth right but one pixel of the person, taken for sky: IoU 1/2 of the one, 1/2 of the other."""
    row = catalog.get(f"pascal_context_semantic_{number}_val")
    _matlab_root(tmp_path)
    truth = _class_index(row.name, tmp_path)
    found = truth.copy()
    found[2, 1] = truth[2, 2]
    (sample,) = samples = catalog.open_samples(row, tmp_path, is_mini=True)
    write_png(tmp_path / "found/a.png", np.where(found == IGNORE, 255 if number < 459 else 65535, found).astype(
        np.uint8 if number < 459 else np.uint16))  # fmt: skip
    predictions = catalog.read_predictions(row, tmp_path / "found", samples)
    metric = catalog.build_metric(row, protocol)
    scores = summarise(metric, [metric.measure(sample, predictions["a"])])
    present = len(set(truth.ravel().tolist()) - {IGNORE})
    assert scores.values["mIoU"] == pytest.approx((present - 1) / present, abs=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
@pytest.mark.parametrize("is_packed", [True, False])
def test_matrices_are_read_as_scipy_writes_them(tmp_path: Path, dtype: str, is_packed: bool) -> None:
    numbers = np.random.default_rng(1).integers(0, 200, (7, 5)).astype(dtype)
    before = {"a": np.zeros((2, 2)), "LabelMap": numbers}
    scipy.io.savemat(tmp_path / "a.mat", before, do_compression=is_packed)
    np.testing.assert_array_equal(read_matrix(tmp_path / "a.mat", "LabelMap"), numbers)


def test_scipy_reads_the_matrices_that_we_write(tmp_path: Path) -> None:
    write_matrix(tmp_path / "a.mat", "LabelMap", IDS)
    np.testing.assert_array_equal(scipy.io.loadmat(tmp_path / "a.mat")["LabelMap"], IDS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:60], "is no MATLAB 5 file"),
        (lambda data: data[:-9], "is damaged"),
        (lambda data: data[:140] + bytes(20) + data[160:], "is damaged"),
        (lambda data: data[:136], "is damaged"),
        (lambda data: data[:128], "holds no matrix 'LabelMap'"),
    ],
)
def test_a_broken_map_is_one_clear_line(tmp_path: Path, damage: object, message: str) -> None:
    write_matrix(tmp_path / "a.mat", "LabelMap", IDS)
    data = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(damage(data))  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        pascal_context.of_matlab(labels.load("pascal_context59")).decode(tmp_path / "a.mat")


def test_every_cut_and_flip_of_a_map_is_refused_or_read(tmp_path: Path) -> None:
    write_matrix(tmp_path / "a.mat", "LabelMap", IDS)
    whole = (tmp_path / "a.mat").read_bytes()
    dice = np.random.default_rng(5)
    for _ in range(200):
        data = bytearray(whole[: dice.integers(1, len(whole) + 1)])
        data[dice.integers(len(data))] ^= 1 << dice.integers(8)
        (tmp_path / "b.mat").write_bytes(bytes(data))
        try:
            found = read_matrix(tmp_path / "b.mat", "LabelMap")
        except DataError as error:
            assert len(error.problems) == 1
        else:
            assert found.ndim == 2


def test_numbers_outside_the_label_set_are_named(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.full((2, 2), 77, np.uint8))
    with pytest.raises(DataError, match="4 pixels hold 77, which are outside the label set"):
        pascal_context.of_indices(labels.load("pascal_context59")).decode(tmp_path / "a.png")


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    root = _matlab_root(tmp_path)
    (root / "ImageSets/Main/val.txt").unlink()
    with pytest.raises(DataError, match="the list of the split is missing"):
        catalog.open_samples(catalog.get("pascal_context_semantic_59_val"), root, is_mini=True)
