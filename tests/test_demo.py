"""The demo scores its example predictions as `score` does, and its archive can be made anew from any finished run."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from benchmark import __main__ as command
from benchmark import catalog, demo, intervals, job, record, scoring, store
from benchmark.contract import Prediction, Sample
from benchmark.minidata import generate
from benchmark.problems import DataError, UsageError

ROWS = ("coco_panoptic_val2017", "coco_semantic_val2017", "cityscapes_instance_val")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the demo's mini data."""
    folder = tmp_path_factory.mktemp("cache")
    key = generate.Plan(seed=0, sizes=tuple(sorted(demo.SIZES.items())), image_size=generate.IMAGE_SIZE).key()
    generate.ensure(folder / "minidata" / key, sizes=demo.SIZES, num_workers=1)
    return folder


@pytest.fixture(autouse=True)
def _use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are left out, they take most of the time and have tests of their own."""
    monkeypatch.setenv("UNISEGBENCH_CACHE", str(cache))
    monkeypatch.setattr(intervals, "intervals", lambda *arguments, **options: {})


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the commands that the demo starts, which do nothing here."""
    started: list[str] = []
    monkeypatch.setattr(demo, "_start_reports", lambda directory, data_root: started.append(directory.name) or 0)
    return started


@pytest.fixture(scope="module")
def truth_run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory in which some rows are answered with their own truth."""
    directory = tmp_path_factory.mktemp("run")
    data_root = next((cache / "minidata").glob("*[!.lock]"))
    for name in ROWS:
        row = catalog.get(name)
        samples = catalog.open_samples(row, data_root, is_mini=True)
        one = job.make_job(row, is_mini=True, system="truth", variant="replayed", data="mini:test")
        job.run_job(one, row, samples, _replay, directory / name)
    return directory


def _replay(sample: Sample) -> Prediction:
    assert sample.truth is not None
    return Prediction(frames=sample.truth.frames)


def test_the_committed_archive_is_small_and_fits_this_version() -> None:
    assert demo.EXAMPLES.stat().st_size < 700_000
    with tarfile.open(demo.EXAMPLES) as archive:
        member = archive.extractfile(demo.MANIFEST)
        assert member is not None
        manifest = json.load(member)
    assert manifest["world_version"] == generate.WORLD_VERSION
    assert manifest["num_samples"] == demo.SIZES["val"]
    assert set(manifest["benchmarks"]) == {
        name for name, row in catalog.BENCHMARKS.items() if catalog.is_of_the_suite(row)
    }


def test_the_demo_writes_a_run_directory_that_scores_like_the_score_command(
    tmp_path: Path, finished: list[str]
) -> None:
    lines: list[str] = []
    assert demo.run(tmp_path, say=lines.append) == 0
    directory = tmp_path / finished[0]
    data_root = Path(json.loads((directory / "plan.json").read_text())["data_root"])
    unpacked = tmp_path / "unpacked"
    with tarfile.open(demo.EXAMPLES) as archive:
        archive.extractall(unpacked)
    for row in filter(catalog.is_of_the_suite, catalog.BENCHMARKS.values()):
        found = record.read(directory / row.name)
        baseline = record.read(directory / "baselines" / demo.BASELINE / row.name)
        assert found is not None and baseline is not None
        assert found["display_name"] == f"{row.name}@mini"
        assert found["num_scored"] == found["num_expected"] == demo.SIZES["val"]
        assert any(f"{row.name}@mini" in line for line in lines)
        place = demo.place_of(unpacked, row)
        request = scoring.Request(row=row, predictions=place, root=data_root, resamples=0)
        assert scoring.score(request).record["scores"] == pytest.approx(found["scores"], abs=1e-12, nan_ok=True)


def test_examples_packed_from_a_run_score_as_the_run_did(tmp_path: Path, truth_run: Path, finished: list[str]) -> None:
    archive = tmp_path / "examples.tar.xz"
    demo.pack(truth_run, archive)
    assert demo.run(tmp_path, say=lambda line: None, archive=archive) == 0
    for name in ROWS:
        expected, found = record.read(truth_run / name), record.read(tmp_path / finished[0] / name)
        assert expected is not None and found is not None
        assert found["scores"] == pytest.approx(expected["scores"], nan_ok=True)
        assert found["scores"][found["main_score"]] == pytest.approx(1.0)
        assert (found["system"], found["variant"]) == ("truth", "replayed")


def test_packing_twice_gives_the_same_bytes(tmp_path: Path, truth_run: Path) -> None:
    one, other = tmp_path / "one.tar.xz", tmp_path / "other.tar.xz"
    (tmp_path / ROWS[0]).symlink_to(truth_run / ROWS[0])
    demo.pack(tmp_path, one)
    demo.pack(tmp_path, other)
    assert one.read_bytes() == other.read_bytes()


def test_a_run_that_lacks_a_scene_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no finished benchmark"):
        demo.pack(tmp_path, tmp_path / "examples.tar.xz")
    store.write_json(tmp_path / ROWS[0] / "job.json", {})
    with pytest.raises(UsageError, match="has no prediction of sample"):
        demo.pack(tmp_path, tmp_path / "examples.tar.xz")
    assert not (tmp_path / "examples.tar.xz").exists()


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_a_damaged_archive_is_named(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "examples.tar.xz"
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"examples\.tar\.xz: no readable archive"):
        demo.run(tmp_path, say=lambda line: None, archive=archive)


def test_the_command_refuses_a_place_that_it_cannot_write_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "file"
    taken.write_text("mine")
    assert command.main(["demo", "--work-dir", str(taken)]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert taken.read_text() == "mine"
