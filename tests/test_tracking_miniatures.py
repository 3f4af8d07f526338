"""The miniatures of tracking: forms of one truth agree, and what makes each data set hard occurs in its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layout_scenes import same, take

from benchmark import catalog
from benchmark.contract import Instances, Sample
from benchmark.formats import mots_text, sequence_map
from benchmark.minidata import miniatures
from benchmark.problems import DataError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validation splits of five data sets below one data root."""
    root = tmp_path_factory.mktemp("tracking")
    names = ("kitti_mots_val", "bdd100k_mots_val", "bdd100k_mot_val", "mot17_mot_train", "got10k_sot_val")
    miniatures.write(root, [catalog.get(name) for name in (*names, "lasot_sot_test")])
    return root


def samples(name: str, root: Path, truth: Path | None = None) -> list[Sample]:
    return list(catalog.open_samples(catalog.get(name), root, truth=truth, is_mini=True))


def counted(sample: Sample) -> list[Instances]:
    """The objects of every frame."""
    assert sample.truth is not None
    frames = list(sample.truth.frames)
    assert all(isinstance(frame, Instances) for frame in frames)
    return frames  # type: ignore[return-value]


def test_kitti_says_the_same_in_text_and_in_pictures(home: Path) -> None:
    labels = catalog.get("kitti_mots_val").label_set
    for sample in samples("kitti_mots_val", home):
        folder = home / "KITTI_MOTS" / "instances" / sample.sample_id
        drawn = mots_text.read_pngs(sorted(folder.glob("*.png")), labels)
        assert sample.truth is not None
        for index, frame in enumerate(counted(sample)):
            assert same(take(frame, np.argsort(frame.object_id)), drawn.frames[index])
            assert same(sample.truth.ignored[index].masks, drawn.ignored[index].masks)  # type: ignore[index]


def test_bdd100k_says_the_same_in_bitmasks_and_in_run_lengths(home: Path) -> None:
    documents = home / "bdd100k" / "labels" / "seg_track_20" / "rles" / "val"
    pairs = zip(samples("bdd100k_mots_val", home), samples("bdd100k_mots_val", home, documents), strict=True)
    for drawn, written in pairs:
        assert drawn.truth is not None and written.truth is not None
        for side in ("frames", "ignored"):
            for one, other in zip(getattr(drawn.truth, side), getattr(written.truth, side), strict=True):
                assert set(zip(one.object_id, one.masks, strict=True)) == set(
                    zip(other.object_id, other.masks, strict=True)
                )


def test_targets_leave_and_return(home: Path) -> None:
    returning = 0
    for sample in samples("lasot_sot_test", home):
        assert sample.truth is not None and sample.truth.absent is not None
        absent, boxes = sample.truth.absent, np.stack([frame.boxes[0] for frame in counted(sample)])
        assert not absent[0] and np.array_equal(absent, (boxes == 0).all(axis=1))
        gone = np.flatnonzero(absent)
        returning += bool(len(gone)) and not absent[gone[0] :].all()
        assert sample.prompt.sentence
    assert returning >= 4


def test_flags_say_why_a_target_is_absent(home: Path) -> None:
    flags = {name: "".join(path.read_text() for path in sorted(home.rglob(name))) for name in FLAG_FILES}
    assert all("1" in text and "0" in text for text in flags.values())


FLAG_FILES = ("out_of_view.txt", "absence.label", "cut_by_image.label")


def test_pedestrians_walk_among_what_is_excused(home: Path) -> None:
    labels = catalog.get("mot17_mot_train").label_set
    found = samples("mot17_mot_train", home)
    boxes = [frame for sample in found for frame in counted(sample)]
    categories = {labels.category_id(int(one)) for frame in boxes for one in frame.class_index}
    assert categories > {1, 2, 7, 8, 12}
    edges = np.concatenate(
        [np.hstack([frame.boxes[:, :2], frame.boxes[:, :2] + frame.boxes[:, 2:]]) for frame in boxes]
    )
    assert edges.min() < 0 and edges.max() > 129
    names = [sample.sample_id for sample in found]
    assert len(names) == 18 and {name.rsplit("-", 1)[1] for name in names} == {"DPM", "FRCNN", "SDP"}
    assert all(
        (path.parent / "det" / "det.txt").read_text() for path in (home / "MOT17" / "train").glob("*/seqinfo.ini")
    )


@pytest.mark.parametrize("name", ["kitti_mots_val", "bdd100k_mot_val", "bdd100k_mots_val"])
def test_some_regions_are_ignored(home: Path, name: str) -> None:
    ignored = [len(frame) for sample in samples(name, home) for frame in sample.truth.ignored]  # type: ignore[union-attr]
    assert any(ignored) and not all(ignored)


BAD_LINES = ("0002", "0002 empty 000001 000233", "0002 empty 000000 000000", "../x empty 000000 000010", "a b c d e")


@pytest.mark.parametrize("line", BAD_LINES)
def test_broken_lists_of_sequences_name_their_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "val.seqmap"
    path.write_text(f"0001 empty 000000 000016\n{line}\n")
    with pytest.raises(DataError) as raised:
        sequence_map.read(path)
    assert [problem.place for problem in raised.value.problems] == [f"{path}: line 2"]


def test_lists_of_sequences_round_trip(tmp_path: Path) -> None:
    lengths = {"0002": 233, "0006": 270}
    sequence_map.write(tmp_path / "val.seqmap", lengths)
    assert sequence_map.read(tmp_path / "val.seqmap") == lengths
