"""Maps cut into runs hold what the maps hold, pixel by pixel, whatever their type and shape."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from benchmark import masks
from benchmark.contract import Panoptic
from benchmark.formats.panoptic_files import paint, present_ids
from benchmark.runs import Runs, joined, joint_counts, joint_runs, run_edges
from benchmark.stored_maps import PanopticRuns

SHAPES = st.tuples(st.integers(0, 9), st.integers(0, 9))
TYPES = st.sampled_from([np.uint8, np.uint16, np.int32, np.int64])


def by_column(runs: Runs) -> NDArray[np.int64]:
    """The map that runs stand for."""
    flat = np.repeat(runs.value, np.diff(runs.edge))
    return flat.reshape(runs.size[1], runs.size[0]).T


def test_drawn_map_has_the_runs_read_off_its_columns() -> None:
    runs = Runs.of(np.array([[1, 1, 2], [1, 2, 2], [3, 2, 1]], np.uint8))
    assert runs.size == (3, 3)
    assert runs.value.tolist() == [1, 3, 1, 2, 1]
    # The third run goes on from the second column into the third.
    assert runs.edge.tolist() == [0, 2, 3, 4, 8, 9]


@settings(deadline=None, max_examples=80)
@given(TYPES.flatmap(lambda dtype: arrays(dtype, SHAPES, elements=st.integers(0, 3))))
def test_runs_hold_the_map_and_neighbours_differ(values: NDArray[np.int64]) -> None:
    runs = Runs.of(values)
    assert np.array_equal(by_column(runs), values)
    assert (runs.value[1:] != runs.value[:-1]).all()
    assert runs.value.dtype == values.dtype


@pytest.mark.parametrize("size", [(1, 70_000), (70_000, 1), (3, 256), (300, 255), (2, 65_536)])
def test_wide_and_high_maps_keep_the_order_of_their_columns(size: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(0, 3, size, np.uint16)
    assert np.array_equal(by_column(Runs.of(values)), values)
    assert np.array_equal(by_column(Runs.of(values[:, ::-1])), values[:, ::-1])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_joint_runs_hold_their_maps_and_share_their_edges(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    maps = [data.draw(arrays(np.uint16, shape, elements=st.integers(0, 2))) for _ in range(3)]
    found = joint_runs(*maps)
    assert all(np.array_equal(by_column(runs), values) for runs, values in zip(found, maps, strict=True))
    assert all(runs.edge.tolist() == found[0].edge.tolist() for runs in found)
    assert (np.diff(found[0].edge) > 0).all()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_joint_counts_are_those_of_the_pixels(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    first, second = (data.draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 255]))) for _ in range(2))
    pair, pixels = joint_counts(first, second)
    expected = np.unique(first.astype(np.int64) * 256 + second, return_counts=True)
    assert (pair.tolist(), pixels.tolist()) == (expected[0].tolist(), expected[1].tolist())


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_joined_runs_hold_every_pair_of_pixels(data: st.DataObject) -> None:
    num = data.draw(st.integers(0, 30))
    sides = [data.draw(arrays(np.int32, num, elements=st.integers(0, 2))) for _ in range(2)]
    cut = [(edge, side.take(edge[:-1])) for side in sides for edge in [run_edges(side)]]
    pixels, *values = joined(cut[0], cut[1])
    assert (pixels > 0).all()
    assert [np.repeat(one, pixels).tolist() for one in values] == [side.tolist() for side in sides]


@pytest.mark.parametrize("size", [(0, 4), (3, 0), (5, 7), (300, 401)])
def test_id_coded_images_are_cut_into_runs_as_they_are_drawn(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 2, (*size, 3), np.uint8)
    edge, ids = masks.id_runs_from_colors(rgb)
    stored = PanopticRuns(size=size, edge=edge, ids=ids, segments=())
    drawn = Panoptic(segment_id=rgb.astype(np.int32) @ np.array([1, 256, 65536], np.int32), segments=())
    assert np.array_equal(stored.segment_id, drawn.segment_id)
    assert stored.segment_id.dtype == np.int32
    assert stored.size == drawn.size == size
    copied = pickle.loads(pickle.dumps(stored))
    assert np.array_equal(copied.segment_id, drawn.segment_id)
    pixels, *values = joined(stored.row_runs(), drawn.row_runs())
    assert pixels.sum() == drawn.segment_id.size
    assert np.array_equal(*values)


def test_joint_counts_of_a_large_map_are_complete() -> None:
    dice = np.random.default_rng(0)
    first, second = (dice.integers(0, 3, (300, 257), np.uint8)[:, 1:] for _ in range(2))
    pair, pixels = joint_counts(first, second)
    expected = np.bincount((first.astype(np.int64) * 256 + second).ravel(), minlength=1 << 16)
    assert np.array_equal(expected[pair], pixels)
    assert pixels.sum() == first.size


def test_edges_of_several_arrays_lie_where_any_of_them_changes() -> None:
    assert run_edges(np.array([5, 5, 5, 7, 7])).tolist() == [0, 3, 5]
    assert run_edges(np.array([5, 5, 5, 7, 7]), np.array([1, 2, 2, 2, 2])).tolist() == [0, 1, 3, 5]
    assert run_edges(np.array([5])).tolist() == [0, 1]
    assert run_edges(np.zeros(0, np.int32)).tolist() == [0]


@settings(deadline=None, max_examples=80)
@given(arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)))
def test_regions_of_runs_are_those_of_the_map(values: NDArray[np.uint16]) -> None:
    runs = Runs.of(values)
    assert masks.encode_ids(runs, [0, 3, 9]) == tuple(masks.encode(values == number) for number in (0, 3, 9))
    for chosen in ([], [1], [0, 1], [2, 4, 7], [0, 1, 2, 3, 4]):
        assert masks.encode_any(runs, chosen) == masks.encode(np.isin(values, chosen))


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_values_under_masks_are_counted_pixel_by_pixel(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    values = data.draw(arrays(np.uint16, shape, elements=st.sampled_from([0, 1, 2, 4, 65535])))
    regions = data.draw(st.lists(arrays(np.bool_, shape), max_size=4))
    found = masks.value_counts([masks.encode(region) for region in regions], Runs.of(values), 3)
    expected = [[np.count_nonzero(values[region] == value) for value in range(3)] for region in regions]
    assert found.dtype == np.int64
    assert found.tolist() == np.array(expected, np.int64).reshape(-1, 3).tolist()


@settings(deadline=None, max_examples=60)
@given(arrays(np.int32, SHAPES, elements=st.sampled_from([0, 1, 7, 65_535, 65_536, (1 << 24) - 1])))
def test_painting_gives_listed_ids_their_values_and_all_others_the_rest(ids: NDArray[np.int32]) -> None:
    values = {1: 5, 65_536: 6, (1 << 24) - 1: 7, 99: 8}
    painted = paint(ids, values, 255)
    assert painted.dtype == np.int32
    assert np.array_equal(painted, np.array([values.get(number, 255) for number in ids.flat]).reshape(ids.shape))
    assert present_ids(ids).tolist() == sorted(set(ids.flat))
