"""The suite killed with SIGKILL, in training and in evaluation, and started again with the same command."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
import small_run

SUITE = """suite = {
    "benchmarks": ["coco_panoptic_val2017", "coco_semantic_val2017", "ade20k_panoptic_val"],
    "matrix": ["coco_panoptic"],
    "baselines": ["most_frequent_class"],
}
"""
WEIGHTS = Path("train") / "coco_panoptic" / "final.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a suite and two finished runs of it: `whole` and, killed twice on its way, `parts`."""
    folder = tmp_path_factory.mktemp("suite")
    small_run.make_data(folder)
    (folder / "mine.py").write_text(SUITE)
    finish(small_run.start(*arguments(folder, "whole"), has_report=True))
    parts = folder / "parts" / only(folder / "whole").name
    process = small_run.start(*arguments(folder, "parts"), pause=0.1)
    small_run.kill_when(process, parts / "train" / "coco_panoptic" / "state.txt", 0)
    assert not (parts / WEIGHTS).exists()
    process = small_run.start(*arguments(folder, "parts"), pause=0.03)
    small_run.kill_when(process, parts / "coco_semantic_val2017" / "predictions" / "0.jsonl", 4)
    assert (parts / WEIGHTS).is_file() and not (parts / "coco_semantic_val2017" / "record.json").exists()
    finish(small_run.start(*arguments(folder, "parts")))
    return folder


def arguments(folder: Path, name: str) -> list[str | Path]:
    return ["--suite", folder / "mine.py", "--data-root", folder / "mini", "--work-dir", folder / name]


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_a_run_killed_in_training_and_in_evaluation_ends_with_the_same_scores(place: Path) -> None:
    whole, parts = only(place / "whole"), only(place / "parts")
    records = [path.parent.relative_to(whole) for path in sorted(whole.rglob("record.json"))]
    assert len(records) == 3 + 2 + 3
    for folder in records:
        assert small_run.without_durations(parts / folder) == small_run.without_durations(whole / folder)
    assert (parts / "matrix" / "matrix.json").read_bytes() == (whole / "matrix" / "matrix.json").read_bytes()
    assert (parts / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_the_second_label_set_starts_from_the_weights_of_the_first(place: Path) -> None:
    weights = only(place / "whole") / "train" / "ade20k" / "final.safetensors"
    assert weights.read_text().startswith("ade20k 0 4 coco_panoptic 0 8")


def test_the_run_directory_says_everything(place: Path) -> None:
    whole = only(place / "whole")
    assert {path.name for path in whole.iterdir() if not path.name.startswith(".")} == {
        *("plan.json", "config.py", "environment.json", "train", "matrix", "baselines", "report"),
        *("coco_panoptic_val2017", "coco_semantic_val2017", "ade20k_panoptic_val"),
    }
    environment = json.loads((whole / "environment.json").read_text())
    assert environment["device"] == "fake" and environment["versions"]["python"].startswith("3.")
    content = json.loads((whole / "coco_panoptic_val2017" / "record.json").read_text())
    assert content["checkpoint"] == str(WEIGHTS)
    namespace: dict[str, object] = {}
    exec((whole / "config.py").read_text(), namespace)
    assert namespace["trainings"] == {"options": []}
    assert (whole / "report" / "index.html").is_file()


def test_a_finished_run_prints_everything_again_without_work(place: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in only(place / "parts").rglob("record.json")}
    output = finish(small_run.start(*arguments(place, "parts"), "--eval-only", pause=5))
    assert output.count("(finished before)") == 8
    assert {path: path.stat().st_mtime_ns for path in only(place / "parts").rglob("record.json")} == before


def test_no_resume_starts_a_fresh_directory_beside_the_old_one(place: Path) -> None:
    finish(small_run.start(*arguments(place, "whole"), "--no-resume", "--benchmarks", "coco_panoptic_val2017"))
    first, second = sorted((place / "whole").iterdir(), key=lambda path: len(path.name))
    assert second.name == f"{first.name}-2"
    folder = Path("coco_panoptic_val2017")
    assert small_run.without_durations(second / folder) == small_run.without_durations(first / folder)
    subprocess.run(["rm", "-r", second], check=True)


def test_two_processes_never_work_in_one_run_directory(place: Path) -> None:
    rows = ["--benchmarks", "coco_panoptic_val2017", "--seed", "5"]
    first = small_run.start(*arguments(place, "parts"), *rows, pause=0.5)
    folder = place / "parts"
    while len(list(folder.glob("*/train/coco_panoptic"))) < 2:
        assert first.poll() is None
        time.sleep(0.02)
    second = small_run.start(*arguments(place, "parts"), *rows)
    _, errors = second.communicate(timeout=120)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert "Another process is working in" in errors


def test_a_fallen_score_is_named_and_ends_with_exit_code_1(place: Path) -> None:
    content = json.loads((only(place / "whole") / "coco_panoptic_val2017" / "record.json").read_text())
    value = content["scores"]["PQ"]
    for recorded, code in ((value + 0.005, 0), (value + 0.05, 1)):
        baseline = {"schema": 1, "scores": {content["display_name"]: {"PQ": {"value": recorded, "tolerance": 0.01}}}}
        (place / "baseline.json").write_text(json.dumps(baseline))
        process = small_run.start(*arguments(place, "whole"), "--baseline", place / "baseline.json")
        output, errors = process.communicate(timeout=120)
        assert process.returncode == code, errors
    assert "coco_panoptic_val2017@mini" in output and "fell" in output
