"""The mini world is deterministic, as hard as it claims, and the same in every layout."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmark import catalog, labels, masks
from benchmark.contract import IGNORE, Annotation, Instances, LabelMap, Panoptic
from benchmark.labels import LabelSet
from benchmark.minidata import difficulty, naming, scenes
from benchmark.minidata.difficulty import Statistics
from benchmark.minidata.folders import STAMP
from benchmark.minidata.generate import IMAGE_SIZE, SIZES, ensure
from benchmark.minidata.scene import (
    HELDOUT_PAIRS,
    NUM_KINDS,
    NUM_THINGS,
    SPLITS,
    STUFF_KINDS,
    THING_KINDS,
    WORLD_VERSION,
    Scene,
)
from benchmark.minidata.silhouettes import coverage
from benchmark.minidata.world import MAX_HIDDEN_SHARE, hidden_shares, render, sample_scene, scene_seed
from benchmark.problems import DataError

GOLDEN = Path(__file__).parent / "golden" / "minidata.json"
SMALL = {"train": 6, "val": 4, "heldout": 3}


@pytest.fixture(scope="module")
def counted() -> dict[str, Statistics]:
    """Statistics of the first 200 (held out: 100) scenes of each split at the size and seeds that the suite uses."""
    found = {}
    for split in SPLITS:
        records = []
        for number in range(1, min(200, SIZES[split]) + 1):
            scene = _scene(split, number)
            records.append(scenes.describe_scene(number, scene, *render(scene)))
        found[split] = difficulty.count(records)
    return found


@pytest.fixture(scope="module")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated data root."""
    return ensure(tmp_path_factory.mktemp("mini") / "root", sizes=SMALL, num_workers=1)


def _scene(split: str, number: int, size: tuple[int, int] = IMAGE_SIZE) -> Scene:
    return sample_scene(scene_seed(0, split, number), split, size)


def _digests(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_default_data_have_the_promised_size() -> None:
    assert SIZES["train"] >= 1000 and SIZES["val"] >= 200 and SIZES["heldout"] > 0
    assert min(IMAGE_SIZE) >= 128
    assert (len(THING_KINDS), len(STUFF_KINDS)) == (8, 4)


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_is_as_hard_as_promised(counted: dict[str, Statistics], split: str) -> None:
    found = counted[split]
    assert np.median(found.things_per_scene) >= 5
    assert found.things_per_scene.max() <= 10
    assert found.occluded >= 0.30
    assert found.look_alikes >= 0.50
    assert 0.04 <= found.crowds <= 0.20
    assert 0.05 <= found.void <= 0.30
    assert found.told_by_colour < 0.40
    assert min(found.num_by_kind.values()) > 0
    assert found.diameters.min() >= 17.9 and found.diameters.max() <= 50.1


def test_some_scene_has_no_thing_at_all(counted: dict[str, Statistics]) -> None:
    assert any((counted[split].things_per_scene == 0).any() for split in SPLITS)


def test_held_out_pairs_appear_in_the_held_out_split_only(counted: dict[str, Statistics]) -> None:
    assert not counted["train"].pairs & HELDOUT_PAIRS
    assert not counted["val"].pairs & HELDOUT_PAIRS
    assert counted["heldout"].pairs >= HELDOUT_PAIRS


def test_kinds_are_not_tied_to_colours(counted: dict[str, Statistics]) -> None:
    assert len(counted["train"].pairs) == 64 - len(HELDOUT_PAIRS)


def test_splits_and_seeds_never_share_a_scene_seed() -> None:
    taken = [
        scene_seed(seed, split, number)
        for seed in (0, 1, 2)
        for split in SPLITS
        for number in range(1, SIZES[split] + 1)
    ]
    assert len(set(taken)) == len(taken)


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others() -> None:
    first, again, other = (render(sample_scene(seed, "val")) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1].segment_id, again[1].segment_id)
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize("size", [(128, 128), (96, 160), (64, 64)])
@pytest.mark.parametrize("number", range(1, 9))
def test_truth_lists_exactly_the_ids_in_the_map(size: tuple[int, int], number: int) -> None:
    scene = _scene("train", number, size)
    image, truth = render(scene)
    assert (image.dtype, image.shape) == (np.uint8, (*size, 3))
    assert truth.segment_id.shape == size
    assert {segment.id for segment in truth.segments} == set(np.unique(truth.segment_id).tolist()) - {0}
    stuff = [segment.class_index for segment in truth.segments if segment.class_index >= NUM_THINGS]
    assert len(stuff) == len(set(stuff)) >= 1


@pytest.mark.parametrize("number", range(1, 13))
def test_hidden_share_counts_what_later_things_cover(number: int) -> None:
    scene = _scene("val", number)
    shares, visible = hidden_shares(scene.things, scene.size)
    _, truth = render(scene)
    first = max(segment.id for segment in truth.segments) - len(scene.things) + 1
    for position, thing in enumerate(scene.things):
        full = int((coverage(thing, scene.size).alpha >= 0.5).sum())
        seen = int((truth.segment_id == first + position).sum())
        assert seen == visible[position]
        assert shares[position] == pytest.approx(1 - seen / full)
    assert (shares <= MAX_HIDDEN_SHARE).all()


def test_a_ring_shows_what_lies_in_its_hole() -> None:
    things = [thing for number in range(1, 9) for thing in _scene("train", number).things]
    ring = next(thing for thing in things if thing.kind == "ring")
    cover = coverage(ring, (400, 400))
    middle = cover.alpha[round(ring.centre[0]) - cover.top, round(ring.centre[1]) - cover.left]
    assert middle == 0 and cover.alpha.max() == 1


@pytest.mark.parametrize("label_set", ["coco_panoptic", "ade20k", "cityscapes"])
def test_each_kind_is_a_class_of_its_own_and_of_the_right_sort(label_set: str) -> None:
    known = labels.load(label_set)
    indices = naming.class_indices(known)
    assert len(set(indices.tolist())) == NUM_KINDS
    assert known.is_thing[indices].tolist() == [True] * NUM_THINGS + [False] * len(STUFF_KINDS)


def test_word_list_is_the_vocabulary() -> None:
    assert naming.known_words() == naming.vocabulary()
    assert {"stop", "sign", "striped", "left", "behind", "hourglass", "purple"} <= set(naming.known_words())


def test_size_words_follow_the_scale_of_the_image() -> None:
    assert [naming.size_word(diameter, (128, 128)) for diameter in (18.0, 30.0, 48.0)] == ["small", "medium", "large"]
    assert naming.size_word(30.0, (64, 64)) == "large"


def test_files_do_not_depend_on_the_number_of_workers(small_root: Path, tmp_path: Path) -> None:
    other = ensure(tmp_path / "root", sizes=SMALL, num_workers=2)
    assert _digests(other) == _digests(small_root)


def test_a_whole_root_is_used_again_and_another_is_left_alone(small_root: Path, tmp_path: Path) -> None:
    before = (small_root / STAMP).stat().st_mtime_ns
    assert ensure(small_root, sizes=SMALL, num_workers=1) == small_root
    assert (small_root / STAMP).stat().st_mtime_ns == before
    with pytest.raises(DataError, match="another seed, size or version"):
        ensure(small_root, sizes=SMALL, seed=1, num_workers=1)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        ensure(tmp_path, sizes=SMALL, num_workers=1)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_broken_generation_starts_over(tmp_path: Path) -> None:
    part = tmp_path / "root.part"
    part.mkdir()
    (part / "half-written").write_text("x")
    root = ensure(tmp_path / "root", sizes={"val": 1}, num_workers=1)
    assert not part.exists() and not (root / "half-written").exists()
    assert json.loads((root / STAMP).read_text())["sizes"] == [["val", 1]]


def test_default_root_lies_in_the_cache_folder_under_a_hash_of_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNISEGBENCH_CACHE", str(tmp_path))
    one = ensure(sizes={"val": 1}, num_workers=1)
    other = ensure(sizes={"val": 1}, seed=1, num_workers=1)
    assert one.parent == other.parent == tmp_path / "minidata"
    assert one != other


def test_description_names_every_split_and_difficulty(small_root: Path) -> None:
    text = "\n".join(difficulty.describe(small_root))
    for expected in (
        "train: 6 scenes",
        "val: 4 scenes",
        "heldout: 3 scenes",
        "occluded",
        "look-alike",
        "crowd",
        "hourglass",
    ):
        assert expected in text


def test_scene_records_describe_the_truth(small_root: Path) -> None:
    record = next(iter(scenes.read(small_root, "val")))
    scene = _scene("val", 1)
    _, truth = render(scene)
    assert [thing["kind"] for thing in record["things"]] == [thing.kind for thing in scene.things]
    assert isinstance(truth, Panoptic)
    for thing in record["things"]:
        assert thing["visible"] == int((truth.segment_id == thing["segment_id"]).sum())


def test_label_files_stay_as_they_are_until_the_version_rises(small_root: Path) -> None:
    """After a wanted change raise WORLD_VERSION and run `UPDATE_GOLDEN=1 pytest tests/test_minidata.py`."""
    found = {"version": WORLD_VERSION, "sha256": _truth_digests(small_root)}
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))


def _truth_digests(root: Path) -> dict[str, str]:
    """SHA-256 over the decoded label files of each folder; pictures are left out, their encoders may differ."""
    digests: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix not in (".json", ".png", ".txt") or path.name == STAMP or "leftImg8bit" in path.parts:
            continue
        folder = str(path.parent.relative_to(root))
        digest = digests.setdefault(folder, hashlib.sha256())
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.suffix == ".png" else None
        digest.update(path.name.encode() + (path.read_bytes() if pixels is None else pixels.tobytes()))
    return {folder: digest.hexdigest() for folder, digest in digests.items()}


@pytest.mark.parametrize("name", [name for name, row in catalog.BENCHMARKS.items() if catalog.is_of_the_suite(row)])
@pytest.mark.parametrize("split", ["val", "heldout"])
def test_every_row_reads_the_scenes_back(small_root: Path, name: str, split: str) -> None:
    row = catalog.get(name)
    root = small_root / "heldout" if split == "heldout" else small_root
    samples = catalog.open_samples(row, root, is_mini=True)
    assert len(samples) == SMALL[split]
    for number, sample in enumerate(samples, start=1):
        image, truth = render(_scene(split, number))
        pixels = cv2.imread(str(sample.frames[0]), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(pixels.astype(int) - image).mean() < 8  # JPEG halves the resolution of colour
        assert sample.truth is not None
        _assert_same(sample.truth.frames[0], naming.relabel(truth, labels.load(row.labels)), labels.load(row.labels))


@pytest.mark.parametrize("name", [name for name, row in catalog.TRAINING.items() if catalog.is_of_the_suite(row)])
def test_every_training_row_reads_the_scenes_back(small_root: Path, name: str) -> None:
    row = catalog.get(name)
    samples = catalog.open_samples(row, small_root, is_mini=True)
    assert len(samples) == SMALL["train"]
    _, truth = render(_scene("train", 1))
    first = samples[0].truth
    assert first is not None
    _assert_same(first.frames[0], naming.relabel(truth, labels.load(row.labels)), labels.load(row.labels))


def _assert_same(found: Annotation, drawn: Panoptic, known: LabelSet) -> None:
    """What a row reads is what was drawn. Crowds are left out: each layout has its own way to write them."""
    crowds = [segment.id for segment in drawn.segments if segment.is_crowd]
    is_crowd = np.isin(drawn.segment_id, crowds)
    classes = {segment.id: segment.class_index for segment in drawn.segments}
    things = sorted(one.class_index for one in drawn.segments if known.is_thing[one.class_index] and not one.is_crowd)
    if isinstance(found, LabelMap):
        expected = np.vectorize(lambda one: classes.get(one, IGNORE))(drawn.segment_id)
        seen = np.where(found.class_index < known.num_classes, found.class_index, IGNORE)
        np.testing.assert_array_equal(seen[~is_crowd], expected[~is_crowd])
    elif isinstance(found, Instances):
        assert sorted(found.class_index[~found.is_crowd].tolist()) == things
        assert found.masks is not None
        covered = masks.decode(masks.union([found.masks[index] for index in np.flatnonzero(~found.is_crowd)]))
        is_thing = np.isin(drawn.segment_id, [one for one, index in classes.items() if known.is_thing[index]])
        np.testing.assert_array_equal(covered, is_thing & ~is_crowd)
    else:
        assert (
            sorted(one.class_index for one in found.segments if known.is_thing[one.class_index] and not one.is_crowd)
            == things
        )
        pairs = np.unique(np.stack([found.segment_id[~is_crowd], drawn.segment_id[~is_crowd]]), axis=1)
        listed = {segment.id: segment.class_index for segment in found.segments}
        assert len(set(pairs[0].tolist())) == len(set(pairs[1].tolist())) == pairs.shape[1]
        assert [listed.get(one) for one in pairs[0].tolist()] == [classes.get(one) for one in pairs[1].tolist()]
