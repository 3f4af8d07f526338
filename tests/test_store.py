"""Predictions and statistics survive storing bit for bit, a kill in the middle of a line, and duplicated samples."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark import masks, store
from benchmark.contract import (
    IGNORE,
    Annotation,
    LabelMap,
    Panoptic,
    Prediction,
    Segment,
    Stats,
    Tracks,
    make_instances,
)
from benchmark.problems import DataError

# JSON knows one NaN: the bits that hypothesis varies in it are not kept.
FLOATS = st.floats(allow_nan=False, width=64) | st.just(math.nan)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def is_same(left: Any, right: Any) -> bool:
    """Equal in type, dtype and every bit, NaN included."""
    if type(left) is not type(right):
        return False
    if is_dataclass(left):
        return all(is_same(getattr(left, field.name), getattr(right, field.name)) for field in fields(left))
    if isinstance(left, tuple):
        return len(left) == len(right) and all(is_same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return left == right


@st.composite
def label_maps(draw: st.DrawFn) -> LabelMap:
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    values = draw(
        st.lists(st.sampled_from([0, 1, 2, 149, IGNORE]), min_size=size[0] * size[1], max_size=size[0] * size[1])
    )
    return LabelMap(class_index=np.array(values, np.uint16).reshape(size))


@st.composite
def panoptics(draw: st.DrawFn) -> Panoptic:
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    ids = [0, 1, 7, 26001, 2**24 - 1]
    values = draw(st.lists(st.sampled_from(ids), min_size=size[0] * size[1], max_size=size[0] * size[1]))
    score, area = st.none() | FLOATS, st.none() | st.integers(0, 10**7)
    segments = tuple(
        Segment(id=i, class_index=i % 133, is_crowd=draw(st.booleans()), score=draw(score), area=draw(area))
        for i in ids[1:]
    )
    return Panoptic(segment_id=np.array(values, np.int32).reshape(size), segments=segments)


@st.composite
def instances(draw: st.DrawFn) -> Annotation:
    num, size = draw(st.integers(0, 4)), draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    bits = draw(st.lists(st.booleans(), min_size=num * size[0] * size[1], max_size=num * size[0] * size[1]))
    floats = np.array(draw(st.lists(FLOATS, min_size=6 * num, max_size=6 * num)), np.float64).reshape(num, 6)
    return make_instances(
        class_index=draw(st.lists(st.integers(0, 132), min_size=num, max_size=num)),
        masks=masks.encode_many(np.array(bits, bool).reshape(num, *size)) if draw(st.booleans()) else None,
        boxes=floats[:, :4],
        box_format=draw(st.sampled_from(["xywh", "xyxy"])),
        area=floats[:, 4].copy(),
        score=floats[:, 5].copy(),
        is_crowd=np.array(draw(st.lists(st.booleans(), min_size=num, max_size=num)), bool),
    )


def test_tracks_survive_encoding_to_the_bit() -> None:
    tracks = Tracks(
        object_id=np.array([3, 9]),
        class_index=np.array([0, 39]),
        score=np.array([0.1 + 0.2, 1.0]),
        is_crowd=np.array([False, True]),
        area=np.array([12.5, 0.0]),
    )
    prediction = Prediction(frames=(make_instances(class_index=[0]),), tracks=tracks)
    assert is_same(store.decode(json.loads(json.dumps(store.encode(prediction)))), prediction)


@pytest.mark.parametrize("is_no_target", [None, False, True])
def test_the_no_target_flag_survives_encoding(is_no_target: bool | None) -> None:
    prediction = Prediction(frames=(make_instances(class_index=[]),), is_no_target=is_no_target)
    assert is_same(store.decode(json.loads(json.dumps(store.encode(prediction)))), prediction)


@QUICK
@given(st.lists(label_maps() | panoptics() | instances(), min_size=1, max_size=2))
def test_decoding_gives_the_encoded_prediction_to_the_bit(frames: list[Annotation]) -> None:
    prediction = Prediction(frames=tuple(frames))
    text = json.dumps(store.encode(prediction))
    assert is_same(store.decode(json.loads(text)), prediction)


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "int32", "float64", "float32"])
@pytest.mark.parametrize("shape", [(0,), (3,), (0, 4), (2, 3), ()])
def test_statistics_come_back_with_type_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 2**40, size=shape)
    stats = Stats(sample_id="7", arrays={"a": np.asarray(values).astype(dtype), "b": np.array([np.nan, -0.0])})
    found = store.decode_stats("7", json.loads(json.dumps(store.encode_stats(stats))))
    assert found.arrays.keys() == stats.arrays.keys()
    assert all(is_same(np.asarray(found.arrays[name]), stats.arrays[name]) for name in stats.arrays)


def test_statistics_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match="statistics must be"):
        store.encode_stats(Stats(sample_id="7", arrays={"a": np.array([object()])}))


def write(path: Path, **values: int) -> None:
    with store.ShardWriter(path, key="stats") as shard:
        for sample_id, value in values.items():
            shard.append(sample_id, {"n": value})


@pytest.mark.parametrize("cut", [1, 2, 5, 20])
def test_a_line_cut_by_a_kill_is_dropped_and_written_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "0.jsonl"
    write(path, a=1, b=2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert list(store.open_shards(tmp_path, key="stats")) == ["a"]
    write(path, b=2)
    assert path.read_bytes() == whole


def test_a_shard_of_nothing_but_a_cut_line_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "0.jsonl"
    path.write_bytes(b"x" * 100_000)
    assert not store.open_shards(tmp_path, key="stats")
    write(path, a=1)
    assert dict(store.open_shards(tmp_path, key="stats")) == {"a": {"n": 1}}


def test_the_first_of_two_lines_with_one_id_wins_in_and_between_shards(tmp_path: Path) -> None:
    write(tmp_path / "0.jsonl", a=1)
    write(tmp_path / "0.jsonl", a=2, b=3)
    write(tmp_path / "1.jsonl", b=4, c=5)
    found = store.open_shards(tmp_path, key="stats")
    assert {sample_id: value["n"] for sample_id, value in found.items()} == {"a": 1, "b": 3, "c": 5}


@pytest.mark.parametrize("sample_id", ['quo"ted', "ünïcode \u2028", "a/b\\c", "000000000139"])
def test_ids_of_any_text_are_found_again(tmp_path: Path, sample_id: str) -> None:
    write(tmp_path / "0.jsonl", **{sample_id: 9})
    assert store.open_shards(tmp_path, key="stats")[sample_id] == {"n": 9}


def test_every_damaged_line_is_reported_at_once_with_file_and_place(tmp_path: Path) -> None:
    path = tmp_path / "0.jsonl"
    write(path, a=1)
    path.write_bytes(b"garbage\n" + path.read_bytes() + b'{"sample_id": 5}\n')
    with pytest.raises(DataError) as caught:
        store.open_shards(tmp_path, key="stats")
    assert len(caught.value.problems) == 2
    assert "0.jsonl (byte 0)" in str(caught.value) and "Move this file away" in str(caught.value)


def test_a_damaged_value_is_reported_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "0.jsonl").write_bytes(b'{"sample_id": "a","prediction": {"frames": [{]}}\n')
    with pytest.raises(DataError, match="the stored line is damaged"):
        store.open_predictions(tmp_path)["a"]


def test_stored_statistics_follow_the_asked_order_and_leave_out_what_is_not_there(tmp_path: Path) -> None:
    with store.ShardWriter(tmp_path / "stats" / "0.jsonl", key="stats") as shard:
        for number, sample_id in enumerate("abc"):
            shard.append(sample_id, store.encode_stats(Stats(sample_id=sample_id, arrays={"n": np.array([number])})))
    found = store.open_stats(tmp_path, ["c", "x", "a"])
    assert [(stats.sample_id, int(stats.arrays["n"][0])) for stats in found] == [("c", 2), ("a", 0)]


def test_a_json_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "record.json"
    store.write_json(path, {"PQ": None})
    store.write_json(path, {"PQ": 0.5})
    assert json.loads(path.read_text()) == {"PQ": 0.5}
    assert [child.name for child in path.parent.iterdir()] == ["record.json"]
