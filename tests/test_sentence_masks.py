"""The authors' own masks of A2D- and JHMDB-Sentences: files as h5py and scipy write them, read and scored."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from replay import replayed
from scipy.io import savemat

from benchmark import catalog, masks
from benchmark.formats import sentence_masks
from benchmark.problems import DataError
from benchmark.scoring import Request, score

SIZE, NUM_FRAMES = (24, 40), 5
RNG = np.random.default_rng(3)
BLOBS = {number: RNG.random(SIZE) < 0.4 for number in (1, 2, 7)}


def write_hdf5(path: Path, instances: list[int], drawn: NDArray[Any]) -> Path:
    """A frame of A2D. drawn: [N, W, H] or [W, H]."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra hdf5)")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["instance"], file["reMask"] = np.array(instances, np.int32), drawn
        file["reBBox"] = np.zeros((4, len(instances)))
    return path


def write_a2d(root: Path) -> dict[str, NDArray[np.bool_]]:
    """Two frames of two actors, one of whom has two masks, and one frame of a single actor; their masks by sample."""
    home = root / "text_annotations" / "a2d_annotation_with_instances" / "clip"
    both = np.stack([BLOBS[1].T, BLOBS[2].T, BLOBS[7].T]).astype(np.uint8)
    write_hdf5(home / "00001.h5", [1, 2, 2], both)
    write_hdf5(home / "00030.h5", [1], BLOBS[7].T.astype(np.uint8))
    lines = [["a man", "clip", 1, 1], ["a dog", "clip", 1, 2], ["a man", "clip", 30, 1]]
    (root / "a2d_sentences_single_frame_test_annotations.json").write_text(json.dumps(lines))
    return {"v_clip_f_1_i_1": BLOBS[1], "v_clip_f_1_i_2": BLOBS[2] | BLOBS[7], "v_clip_f_30_i_1": BLOBS[7]}


def write_jhmdb(root: Path) -> dict[str, NDArray[np.bool_]]:
    """One video, of which two frames are asked about; their masks by sample."""
    planes = np.stack([np.roll(BLOBS[1], frame, axis=1) for frame in range(NUM_FRAMES)], axis=-1).astype(np.uint8)
    home = root / "puppet_mask" / "run" / "clip"
    home.mkdir(parents=True)
    savemat(home / "puppet_mask.mat", {"part_mask": planes, "other": np.eye(3)}, do_compression=True)
    lines = [
        ["clip", f"jhmdb_sentences/Rename_Images/run/clip/{frame:05d}.png",
         "jhmdb_sentences/puppet_mask/run/clip/puppet_mask.mat", NUM_FRAMES, "a man runs"]
        for frame in (2, 5)
    ]  # fmt: skip
    (root / "jhmdb_sentences_samples_metadata.json").write_text(json.dumps(lines))
    return {f"v_clip_f_{frame}": planes[:, :, frame - 1] != 0 for frame in (2, 5)}


WRITERS = {"a2d_sentences_rvos_test": write_a2d, "jhmdb_sentences_rvos_test": write_jhmdb}


@pytest.mark.parametrize("name", WRITERS)
def test_sentences_with_the_authors_masks_are_read_and_scored(tmp_path: Path, name: str) -> None:
    row, root = catalog.get(name), tmp_path / "data" / catalog.get(name).dataset
    root.mkdir(parents=True)
    expected = WRITERS[name](root)
    samples = catalog.open_samples(row, tmp_path / "data")
    assert samples.ids == tuple(expected)
    for sample in samples:
        assert sample.size == SIZE and sample.prompt.sentence in ("a man", "a dog", "a man runs")
    found = {one.sample_id: one for one in samples}
    for sample_id, mask in expected.items():
        truth = found[sample_id].truth
        assert truth is not None
        (rle,) = truth.frames[0].masks or ()  # type: ignore[union-attr]
        assert np.array_equal(masks.decode(rle) != 0, mask)
    path = tmp_path / "results.json"
    catalog.write_predictions(row, path, ((one, replayed(one)) for one in samples))
    for request in (
        Request(row=row, predictions=path, root=tmp_path / "data", resamples=0),
        Request(row=row, predictions=path, truth=root, resamples=0),
    ):
        record = score(request).record
        assert record["scores"]["mAP"] == record["scores"]["oIoU"] == 1.0 and record["diagnoses"] == []


def test_missing_masks_are_counted_and_none_at_all_is_not_there(tmp_path: Path) -> None:
    row = catalog.get("jhmdb_sentences_rvos_test")
    write_jhmdb(tmp_path)
    (path,) = tmp_path.rglob("*.mat")
    path.unlink()
    with pytest.raises(catalog.DataNotFound, match=r"neither are the authors' masks \(looked for puppet_mask/run/clip"):
        catalog.open_samples(row, None, truth=tmp_path)


@pytest.mark.parametrize(
    ("instances", "drawn", "message"),
    [
        ([1, 2], np.zeros((1, 4, 3)), r"holds masks of shape \(1, 4, 3\) for 2 instances"),
        ([1], np.zeros(4), r"holds masks of shape \(4,\) for 1 instances?, expected \[N, W, H\]"),
        ([3], np.zeros((4, 3)), r"holds no instance 1 \(there are 3\)"),
    ],
)
def test_odd_frames_of_a2d_are_refused(tmp_path: Path, instances: list[int], drawn: Any, message: str) -> None:
    path = write_hdf5(tmp_path / "00001.h5", instances, drawn)
    with pytest.raises(DataError, match=message):
        sentence_masks.read_instance(path, 1)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(90), b"no file of the kind"])
def test_broken_files_are_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed (extra hdf5)")
    path = tmp_path / "00001.h5"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        sentence_masks.read_instance(path, 1)


def test_without_h5py_the_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"which h5py reads. Install it: pip install 'unisegbench\[hdf5\]'"):
        sentence_masks.read_instance(tmp_path / "00001.h5", 1)


@pytest.mark.parametrize(("frame", "message"), [(0, "holds 5 frames, frame 0"), (6, "holds 5 frames, frame 6")])
def test_frames_outside_a_video_of_jhmdb_are_refused(tmp_path: Path, frame: int, message: str) -> None:
    write_jhmdb(tmp_path)
    (path,) = tmp_path.rglob("*.mat")
    with pytest.raises(DataError, match=message):
        sentence_masks.read_puppet(path, frame)
