"""Blocks of statistics come back to the bit; a kill costs the last block, damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark import stat_blocks, store
from benchmark.contract import Stats
from benchmark.problems import DataError


def drawn(number: int) -> Stats:
    """Statistics of many types and shapes, some of them empty."""
    dice = np.random.default_rng(number)
    num = number % 4
    arrays = {
        "flags": dice.random((num, 2, 3)) < 0.5,
        "score": np.concatenate((dice.random(num), [np.nan, -0.0, np.inf])),
        "small": dice.integers(0, 255, num),
        "negative": dice.integers(-300, 300, (num, 2)),
        "large": dice.integers(-(2**62), 2**62, num),
        "bytes": dice.integers(0, 255, num).astype(np.uint8),
        "whole": np.array(number),
        "half": dice.random(num).astype(np.float32),
    }
    return Stats(sample_id=f"ünïcode/{number}", arrays=arrays)


def is_same(left: Stats, right: Stats) -> bool:
    """Equal in id, names, types, shapes and every bit."""
    if left.sample_id != right.sample_id or list(left.arrays) != list(right.arrays):
        return False
    pairs = [(np.asarray(left.arrays[name]), np.asarray(right.arrays[name])) for name in left.arrays]
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


@pytest.mark.parametrize("num", [1, 2, 9])
def test_statistics_come_back_to_the_bit(num: int) -> None:
    given = [drawn(number) for number in range(num)]
    found = stat_blocks.decode(stat_blocks.encode(given))
    assert len(found) == num and all(map(is_same, given, found))


def test_samples_whose_arrays_differ_are_kept_together() -> None:
    given = [drawn(0), Stats(sample_id="other", arrays={"n": np.array([3])}), Stats(sample_id="none", arrays={})]
    assert all(map(is_same, given, stat_blocks.decode(stat_blocks.encode(given))))


def test_booleans_take_a_bit_and_small_numbers_a_byte() -> None:
    arrays = {"flags": np.ones(8000, bool), "numbers": np.arange(8000) % 200}
    assert len(stat_blocks.encode([Stats(sample_id="7", arrays=arrays)])) < 9000 + 200


def test_statistics_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match="statistics must be"):
        stat_blocks.encode([Stats(sample_id="7", arrays={"a": np.array(["x"])})])


def test_every_cut_of_a_shard_keeps_its_whole_blocks(tmp_path: Path) -> None:
    blocks = [stat_blocks.encode([drawn(number), drawn(number + 10)]) for number in range(2)]
    for cut in range(len(blocks[1])):
        (tmp_path / "0.stats").write_bytes(blocks[0] + blocks[1][:cut])
        assert list(stat_blocks.read_folder(tmp_path)) == ["ünïcode/0", "ünïcode/10"]


def test_every_writer_has_a_shard_of_its_own_and_the_first_of_an_id_wins(tmp_path: Path) -> None:
    for value in (1, 2):
        with stat_blocks.BlockWriter(tmp_path) as shard:
            shard.append(stat_blocks.encode([Stats(sample_id="a", arrays={"n": np.array([value])})]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.stats", "1.stats"]
    assert stat_blocks.read_folder(tmp_path)["a"].arrays["n"].tolist() == [1]


def test_damaged_shards_are_named_all_at_once(tmp_path: Path) -> None:
    block = stat_blocks.encode([drawn(1)])
    (tmp_path / "0.stats").write_bytes(b"not a block, but long enough to be one")
    (tmp_path / "1.stats").write_bytes(block[:-1] + bytes([block[-1] ^ 1]) + block)
    with pytest.raises(DataError) as caught:
        stat_blocks.read_folder(tmp_path)
    assert len(caught.value.problems) == 2 and "0.stats (byte 0)" in str(caught.value)


def test_lines_of_earlier_versions_are_read_beside_blocks(tmp_path: Path) -> None:
    folder = tmp_path / store.STATS
    with store.ShardWriter(folder / "0.jsonl", key="stats") as lines:
        lines.append("ünïcode/3", store.encode_stats(drawn(3)))
    with stat_blocks.BlockWriter(folder) as shard:
        shard.append(stat_blocks.encode([drawn(5)]))
    found = store.open_stats(tmp_path, ["ünïcode/5", "x", "ünïcode/3"])
    assert len(found) == 2 and is_same(found[0], drawn(5)) and is_same(found[1], drawn(3))
