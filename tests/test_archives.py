"""Archives: each rule broken gives exactly its problem; the same content gives the same bytes; nothing is overwritten.

That every row's archive is sound and scores the same is in `test_every_row`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from broken_archives import CASES, COCO, Archives, Break, pack
from replay import replayed

from benchmark import catalog, scoring, servers, store
from benchmark.__main__ import main as benchmark
from benchmark.minidata import miniatures
from leaderboards import packing, track_texts, validation
from leaderboards.__main__ import main
from leaderboards.families import form_of
from leaderboards.problems import WARNING, Problem
from leaderboards.servers import RULES, all_servers

SCORE_FREE = ("no speed is shown",)
"""Warnings that sound archives of replayed truth have."""


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Sound archives of small rows."""
    return Archives(tmp_path_factory.mktemp("archives"))


def _look(archives: Archives, name: str, archive: Path) -> list[Problem]:
    found = validation.validate(catalog.get(name), archive, archives.sound(name)[1])
    return [one for one in found if not any(text in one.message for text in SCORE_FREE)]


@pytest.mark.parametrize(("name", "damage", "expected"), CASES, ids=[f"{n}: {e}" for n, _, e in CASES])
def test_a_broken_rule_gives_exactly_its_problem(
    archives: Archives, tmp_path: Path, name: str, damage: Break, expected: list[str]
) -> None:
    assert not _look(archives, name, archives.sound(name)[0])
    found = _look(archives, name, archives.broken(name, damage, tmp_path))
    lines = "\n".join(map(str, found))
    assert len(found) == len(expected), lines
    assert all(any(text in one.message for one in found) for text in expected), lines
    assert all(one.remedy and str(tmp_path) not in str(one) for one in found), lines


@pytest.mark.parametrize("name", [one for one, row in catalog.BENCHMARKS.items() if miniatures.is_generated(row)])
def test_an_archive_of_images_scores_what_its_files_score(archives: Archives, tmp_path: Path, name: str) -> None:
    row, root = catalog.get(name), archives.root(name)
    samples = catalog.open_samples(row, root, is_mini=True)
    path = tmp_path / "found.json"
    catalog.write_predictions(row, path, ((sample, replayed(sample)) for sample in samples))
    before, after = (
        scoring.score(scoring.Request(row=row, predictions=found, root=root, resamples=0)).record["scores"]
        for found in (path, archives.sound(name)[0])
    )
    assert before == after and before[row.main_score] is not None


def test_help_is_there_without_the_catalogue() -> None:
    code = (
        "import sys; from leaderboards.__main__ import _parser; _parser([]); print('benchmark.catalog' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _not_a_zip(path: Path) -> None:
    path.write_bytes(b"[]")


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr(archive.namelist()[0], "[]")


def _escaping(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../above.json", "[]")


def _foreign(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._results.json", "x")


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200:220] = bytes(20)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (_not_a_zip, "is no readable zip file"),
        (_twice, "occur more than once"),
        (_escaping, "leave the archive"),
        (_foreign, "files of a file manager"),
        (_damaged, "cannot be unpacked"),
    ],
)
def test_a_broken_zip_file_is_told_of(
    archives: Archives, tmp_path: Path, damage: Callable[[Path], None], expected: str
) -> None:
    archive = archives.broken(COCO, lambda folder: None, tmp_path)
    damage(archive)
    assert expected in _look(archives, COCO, archive)[0].message
    assert not (tmp_path.parent / "above.json").exists()


def test_kittis_limit_counts_the_unpacked_files(archives: Archives, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, _ = archives.sound("kitti_mots_val")
    monkeypatch.setattr(track_texts, "KITTI_LIMIT", 1000)
    (found,) = _look(archives, "kitti_mots_val", archive)
    assert "the server takes 1,000" in found.message


def test_names_that_servers_read_are_checked(archives: Archives, tmp_path: Path) -> None:
    sound, _ = archives.sound(COCO)
    other = tmp_path / "mine.zip"
    other.write_bytes(sound.read_bytes())
    (found,) = _look(archives, COCO, other)
    assert "is not named detections_val2017_<system>_results.zip" in found.message


def test_a_server_of_bare_files_takes_no_zip(archives: Archives, tmp_path: Path) -> None:
    name = "ade20k_instance_val"
    sound, _ = archives.sound(name)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / sound.name).write_bytes(sound.read_bytes())
    pack(tmp_path / "inner", tmp_path / sound.name)
    (found,) = _look(archives, name, tmp_path / sound.name)
    assert "is a zip file, the server takes the .json itself" in found.message


def test_without_data_an_archive_is_counted(archives: Archives) -> None:
    name = "ade20k_semantic_val"
    (found,) = validation.validate(catalog.get(name), archives.sound(name)[0])
    assert "holds 3 images, the split has 2,000" in found.message


def test_the_same_predictions_give_the_same_bytes(archives: Archives, tmp_path: Path) -> None:
    for name in (COCO, "cityscapes_instance_val"):
        sound, _ = archives.sound(name)
        with zipfile.ZipFile(sound) as archive:
            archive.extractall(tmp_path / name)
        packing.pack(tmp_path / name, tmp_path / sound.name)
        assert (tmp_path / sound.name).read_bytes() == sound.read_bytes()


def _run_directory(archives: Archives, folder: Path, name: str, num_left_out: int = 0) -> Path:
    """A run with stored predictions of one row, the truth replayed."""
    row, root = catalog.get(name), archives.root(name)
    samples = catalog.open_samples(row, root, is_mini=True)
    store.write_json(folder / "plan.json", {"data_root": str(root)})
    store.write_json(folder / name / "job.json", {"data": "files"})
    with store.ShardWriter(folder / name / store.PREDICTIONS / "0.jsonl", key="prediction") as shard:
        for sample in list(samples)[num_left_out:]:
            shard.append(sample.sample_id, store.encode(replayed(sample)))
    return folder


def test_a_run_becomes_an_archive_once(archives: Archives, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = _run_directory(archives, tmp_path / "ours", COCO)
    assert main(["write", str(run), COCO]) == 0
    home = run / COCO / "submission"
    (archive,) = home.glob("*.zip")
    assert archive.read_bytes() == archives.sound(COCO)[0].read_bytes()
    assert json.loads((home / "validation.json").read_text())["problems"] == []
    assert main(["write", str(run), COCO]) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert sorted(path.name for path in home.iterdir()) == sorted([archive.name, "validation.json"])


def test_an_archive_with_errors_is_not_left_behind(
    archives: Archives, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run_directory(archives, tmp_path / "ours", COCO, num_left_out=1)
    out = tmp_path / "detections_val2017_part_results.zip"
    assert main(["write", str(run), COCO, "--out", str(out)]) == 1
    assert "1 of 3 samples has no prediction" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.zip*")) and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (["write", "nowhere", COCO], "nowhere does not exist"),
        (["write", ".", "coco_instance_val"], "Did you mean 'coco_instance_val2017'"),
        (["write", ".", COCO, "--out", "x.tar"], "is not named *.zip"),
        (["write", ".", COCO, "--out", "x.zip"], "Call it detections_val2017_<system>_results.zip"),
        (["validate", COCO, "nowhere.zip"], "nowhere.zip does not exist"),
        (["validate", COCO, "."], "is a folder"),
        (["list", "coco_instance"], "Did you mean"),
    ],
)
def test_a_wrong_call_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(call) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


def test_a_run_without_the_row_names_what_it_has(
    archives: Archives, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run_directory(archives, tmp_path / "ours", COCO)
    assert main(["write", str(run), "coco_panoptic_val2017"]) == 2
    assert f"It holds {COCO}." in capsys.readouterr().err


def test_every_server_has_rules_a_state_and_evidence() -> None:
    assert set(RULES) == set(servers.states())
    for key, server in all_servers().items():
        state = server.state
        assert state.state in servers.STATES and state.checked and state.address.startswith("http"), key
        assert len(state.evidence.split()) > 5, key
        assert state.seen or state.state == "unconfirmed", key


def test_every_hidden_truth_has_an_archive_and_a_server_or_says_why() -> None:
    hidden = [row for row in catalog.BENCHMARKS.values() if row.truth == "private"]
    lacking = [row.name for row in hidden if servers.state_of(row.name) is None]
    assert lacking == ["bdd100k_panoptic_test"]
    for row in (*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()):
        assert form_of(row).archive_name(row, "ours")


def test_the_catalogue_lists_the_state_of_each_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark(["list", "--json"]) == 0
    shown = {row["name"]: row["server"] for row in json.loads(capsys.readouterr().out)}
    assert shown["mevis_rvos_val"] == "moved (seen 2026-09-15)"
    assert shown["lasot_sot_test"] == "none"
    assert main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["server", *servers.states()]
    assert main(["list", "lvis_instance_v1_val"]) == 0
    assert "EvalAI/issues/4305" in capsys.readouterr().out


def test_warnings_alone_are_no_errors(archives: Archives, capsys: pytest.CaptureFixture[str]) -> None:
    name = "got10k_sot_test"
    archive, samples = archives.sound(name)
    assert [one.severity for one in validation.validate(catalog.get(name), archive, samples)] == [WARNING]
    assert main(["validate", name, str(archive), "--data-root", str(archives.root(name))]) == 0
    assert "0 errors, 1 warning\n" in capsys.readouterr().out
