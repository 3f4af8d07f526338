"""Run lengths, polygons and id-coded colours agree with pycocotools and survive a round trip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from benchmark import masks
from benchmark.contract import Rle

DRAWN = np.array(
    [
        [0, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 1],
    ],
    bool,
)
DRAWN_RUNS = [3, 2, 1, 2, 3, 1]
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))


def square(size: tuple[int, int], top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = True
    return mask


@settings(deadline=None, max_examples=60)
@given(arrays(np.bool_, SHAPES))
def test_decode_inverts_encode(mask: NDArray[np.bool_]) -> None:
    rle = masks.encode(mask)
    assert rle.size == mask.shape
    assert np.array_equal(masks.decode(rle), mask)
    assert masks.decode(rle).dtype == bool
    assert masks.area(rle) == mask.sum()
    assert masks.from_json(masks.to_json(rle)) == rle
    assert masks.from_json(masks.to_json_uncompressed(rle)) == rle
    assert masks.encode_ids(mask.astype(np.int32), [1, 0])[0] == rle
    assert np.array_equal(coco_mask.decode(masks.to_json(rle)), mask)


def test_drawn_mask_has_the_runs_read_off_its_columns() -> None:
    rle = masks.encode(DRAWN)
    assert masks.counts(rle).tolist() == DRAWN_RUNS
    assert masks.from_counts(DRAWN_RUNS, (3, 4)) == rle
    assert masks.bounding_box(rle) == (1.0, 0.0, 3.0, 3.0)
    assert masks.area(rle) == 5


@pytest.mark.parametrize("size", [(1, 1), (480, 640), (300, 7)])
def test_long_runs_decode_as_pycocotools_counts_them(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(3)
    for density in (0.0, 0.001, 0.3, 1.0):
        mask = generator.random(size) < density
        rle = masks.encode(mask)
        assert masks.area(rle) == coco_mask.area({"size": list(size), "counts": rle.counts}) == mask.sum()
        assert masks.counts(rle).sum() == mask.size
        assert masks.from_counts(masks.counts(rle), size) == rle


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (12, 3), (4, 30)])
@pytest.mark.parametrize("density", [0.0, 0.2, 0.9, 1.0])
def test_a_band_of_rows_encodes_like_the_whole_mask(size: tuple[int, int], density: float) -> None:
    dice = np.random.default_rng(2)
    for top in range(size[0]):
        for bottom in range(top + 1, size[0] + 1):
            mask = np.zeros(size, bool)
            mask[top:bottom] = dice.random((bottom - top, size[1])) < density
            whole = tuple(
                masks._from_coco(one) for one in coco_mask.encode(np.asfortranarray(mask[..., None], np.uint8))
            )
            assert masks.encode(mask[top:bottom], top=top, height=size[0]) == masks.encode(mask) == whole[0]


def test_encode_many_equals_encode_one_by_one() -> None:
    stack = np.random.default_rng(0).random((5, 9, 13)) < 0.4
    assert masks.encode_many(stack) == tuple(masks.encode(mask) for mask in stack)
    assert masks.encode_many(stack[:0]) == ()


def test_encode_ids_gives_each_region_and_an_empty_mask_for_an_absent_id() -> None:
    ids = np.random.default_rng(1).integers(0, 4, (17, 11))
    found = masks.encode_ids(ids, [3, 0, 99, 1])
    assert found == (masks.encode(ids == 3), masks.encode(ids == 0), masks.empty((17, 11)), masks.encode(ids == 1))


def test_areas_of_more_than_255_masks_do_not_overflow() -> None:
    rles = [masks.encode(square((40, 40), 0, 0, 30, 30))] * 300
    assert masks.areas(rles).tolist() == [900] * 300
    assert masks.areas([]).shape == (0,)


def test_iou_divides_by_the_detection_alone_on_a_crowd() -> None:
    detection = masks.encode(square((8, 8), 0, 0, 4, 4))
    truth = masks.encode(square((8, 8), 0, 2, 4, 6))
    assert masks.iou([detection], [truth])[0, 0] == 8 / 32
    assert masks.iou([detection], [truth], np.array([True]))[0, 0] == 8 / 16
    assert masks.iou([], [truth]).shape == (0, 1)
    assert masks.iou([detection], []).shape == (1, 0)
    boxes = np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 0, 6, 4]])
    assert masks.box_iou(*boxes)[0, 0] == 8 / 32
    assert masks.box_iou(*boxes, np.array([True]))[0, 0] == 8 / 16


def test_intersections_are_exact_pixel_counts() -> None:
    generator = np.random.default_rng(5)
    left, right = generator.random((4, 31, 37)) < 0.5, generator.random((6, 31, 37)) < 0.2
    expected = np.einsum("nhw,mhw->nm", left.astype(np.int64), right.astype(np.int64))
    assert np.array_equal(masks.intersections(masks.encode_many(left), masks.encode_many(right)), expected)


def test_union_holds_the_pixels_of_any_mask() -> None:
    generator = np.random.default_rng(6)
    stack = generator.random((3, 8, 8)) < 0.5
    rles = masks.encode_many(stack)
    assert np.array_equal(masks.decode(masks.union(rles)), stack.any(axis=0))
    assert np.array_equal(masks.bounding_boxes(rles)[0], masks.bounding_box(rles[0]))
    assert masks.bounding_boxes([]).shape == (0, 4)


def test_polygons_rasterise_as_pycocotools_does_and_unite() -> None:
    polygons = [[1.0, 1, 6, 1, 6, 5, 1, 5], [4.5, 4, 9.5, 4, 7, 8.2]]
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, 10, 12)))
    assert np.array_equal(masks.decode(masks.from_polygons(polygons, (10, 12))), expected.astype(bool))
    assert masks.from_polygons([], (4, 5)) == masks.empty((4, 5))


def test_polygon_outside_the_image_is_empty_and_an_overshooting_one_is_clipped() -> None:
    assert masks.area(masks.from_polygons([[20.0, 20, 30, 20, 30, 30, 20, 30]], (10, 10))) == 0
    assert masks.area(masks.from_polygons([[5.0, 5, 30, 5, 30, 30, 5, 30]], (10, 10))) == 25


@pytest.mark.parametrize("polygon", [[1.0, 1, 2, 2], [1.0, 1, 2, 2, 3, 3, 4], []])
def test_broken_polygons_are_refused(polygon: list[float]) -> None:
    with pytest.raises(ValueError, match="numbers; expected x, y pairs"):
        masks.from_polygons([polygon], (10, 10))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"size": [2, 2], "counts": [1, 2]}, "cover 3 pixels"),
        ({"size": [2, 2], "counts": [5, -1]}, "expected runs >= 0"),
        ({"size": [2, 2], "counts": "4\x01"}, "outside its code"),
        ({"size": [2, 2], "counts": "T"}, "ends too early"),
        ({"size": [2, 2], "counts": "5"}, "cover 5 pixels"),
        ({"size": [2, 2]}, "expected 'size' and 'counts'"),
    ],
)
def test_damaged_run_lengths_are_refused(value: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        masks.from_json(value)


def test_more_than_35_bits_in_one_number_are_refused() -> None:
    with pytest.raises(ValueError, match="35 bits"):
        masks.counts(Rle(size=(1, 1), counts=b"o" * 8 + b"1"))


@settings(deadline=None, max_examples=40)
@given(arrays(np.int32, SHAPES, elements=st.integers(0, (1 << 24) - 1)))
def test_id_coded_colours_round_trip(ids: NDArray[np.int32]) -> None:
    colors = masks.colors_from_ids(ids)
    assert np.array_equal(masks.ids_from_colors(colors), ids)
    assert colors[0, 0].tolist() == [ids[0, 0] % 256, ids[0, 0] // 256 % 256, ids[0, 0] // 65536]


@pytest.mark.parametrize("value", [-1, 1 << 24])
def test_ids_that_three_channels_cannot_hold_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="three 8-bit channels"):
        masks.colors_from_ids(np.full((1, 1), value, np.int32))


def test_resizing_repeats_and_drops_whole_pixels() -> None:
    labels = np.array([[1, 2], [3, 4]])
    doubled = masks.resize_nearest(labels, (4, 4))
    assert doubled.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert np.array_equal(masks.resize_nearest(doubled, (2, 2)), labels)


def test_run_lengths_beyond_any_number_are_refused() -> None:
    with pytest.raises(ValueError, match="beyond any picture"):
        masks.from_counts([10**30], (4, 4))
