"""The suite's command line: frozen options, plans that touch nothing, one line and exit code 2 for a wrong call."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import fake_harness
import pytest
import small_run

from benchmark import launch, plan, run, suite

ROWS = "coco_panoptic_val2017,coco_semantic_val2017"


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _fake_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "harness", lambda: fake_harness)
    monkeypatch.setattr(plan, "list_systems", lambda: ("oneformer:mini", "oneformer:swin_l_coco"))
    monkeypatch.setattr(run, "missing_environment", lambda modules: None)


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    try:
        code = run.main([str(one) for one in arguments])
    except SystemExit as error:
        code = int(error.code or 0)
    output, errors = capsys.readouterr()
    return code, output, errors


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_options_are_frozen() -> None:
    options = {option for action in run.parser()._actions for option in action.option_strings}
    assert options == {
        *("-h", "--help", "--suite", "--system", "--checkpoint", "--data-root", "--work-dir", "--benchmarks"),
        *("--limit", "--eval-only", "--resume", "--no-resume", "--launcher", "--workers", "--seed", "--cfg-options"),
        *("--truth", "--baseline", "--list", "--dry-run"),
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--suite", "ful"), "Unknown suite 'ful'. Did you mean 'full'?"),
        (("--suite", "gone.py"), "Cannot read gone.py: No such file or directory."),
        (("--system", "onefromer"), "Unknown system 'onefromer'. Did you mean 'oneformer:mini'"),
        (("--system", "oneformer:swin"), "Unknown system 'oneformer:swin'. Did you mean 'oneformer:mini' or"),
        (("--benchmarks", "coco_panotic_val2017"), "Did you mean 'coco_panoptic_val2017'"),
        (("--benchmarks", "coco_panoptic_train2017"), "coco_panoptic_train2017 is for training"),
        (("--benchmarks", ","), "argument --benchmarks: expected names separated by commas, got ','"),
        (("--limit", "0"), "argument --limit: expected an integer of at least 1, got '0'"),
        (("--limit", "many"), "argument --limit: expected an integer of at least 1, got 'many'"),
        (("--workers", "-1"), "argument --workers: expected an integer of at least 1, got '-1'"),
        (("--seed", "x"), "argument --seed: expected an integer of at least 0, got 'x'"),
        (("--launcher", "slrum"), "argument --launcher: invalid choice: 'slrum'"),
        (("--cfg-options", "iterations"), "Option 'iterations' is not of the form key=value."),
        (("--checkpoint", "gone.pth"), "No file at --checkpoint gone.pth."),
        (("--baseline", "gone.json"), "No file at --baseline gone.json."),
        (("--baseline", __file__), "test_run_calls.py is no baseline: it has no 'scores'."),
        (("--data-root", "gone"), "No folder or zip at --data-root gone. Leave it out to use the generated mini data."),
        (("--truth", "gone.json"), "Nothing at --truth gone.json."),
        (("--truth", __file__, "--checkpoint", __file__), "--truth is the truth of rows that are named: add --bench"),
        (("--truth", __file__, "--benchmarks", "coco_panoptic_val2017"), "--truth needs weights that are trained"),
        (("--checkpoint", __file__), "A checkpoint answers one label set, these rows have coco_panoptic, ade20k"),
        (
            ("--eval-only", "--benchmarks", "coco_panoptic_val2017"),
            "No trained weights of oneformer:mini for coco_panop",
        ),
        (("--benchmarks", "cityscapes_panoptic_val"), "oneformer:mini has no training for the label set 'cityscapes'"),
        (("--frobnicate",), "unrecognized arguments: --frobnicate. See --help."),
    ],
)
def test_a_wrong_call_is_one_line_and_leaves_no_file(
    arguments: Sequence[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, errors = call(capsys, *arguments, "--work-dir", tmp_path / "runs")
    complaint = [line for line in errors.splitlines() if not line.startswith("Loading")]
    assert (code, len(complaint)) == (2, 1)
    assert expected in complaint[0]
    assert not files_of(tmp_path)


def test_every_unknown_benchmark_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = call(capsys, "--benchmarks", "coco_x,ade_y", "--work-dir", tmp_path)
    assert code == 2
    assert [line.split("'")[1] for line in errors.splitlines()] == ["coco_x", "ade_y"]


def test_a_work_directory_that_cannot_be_written_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    code, output, errors = call(capsys, "--work-dir", tmp_path / "file" / "runs")
    assert (code, output) == (2, "")
    assert errors == (
        f"Cannot write to the work directory {tmp_path / 'file' / 'runs'}: Not a directory. "
        "Choose another with --work-dir.\n"
    )


def test_a_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = call(capsys, "--dry-run", "--benchmarks", ROWS, "--limit", "5", "--work-dir", tmp_path / "runs")
    assert code == 0
    assert not (tmp_path / "runs").exists()
    assert "coco_panoptic_val2017@mini       5 samples" in output
    assert "train coco_panoptic: 8 iterations on coco_panoptic_train2017" in output
    assert f"run directory: {tmp_path / 'runs' / 'oneformer-mini-'}" in output
    assert "expected: about" in output


@pytest.mark.parametrize(
    "change", [("--seed", "1"), ("--limit", "3"), ("--cfg-options", "a=1"), ("--checkpoint", __file__)]
)
def test_whatever_changes_the_numbers_changes_the_run_directory(
    change: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def directory(*arguments: str) -> str:
        _, output, _ = call(capsys, "--dry-run", "--benchmarks", ROWS, *arguments)
        return next(line for line in output.splitlines() if "run directory" in line)

    assert directory(*change) != directory()
    assert directory("--suite", "image") == directory()


def test_a_variant_is_named_after_a_colon(capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = call(capsys, "--dry-run", "--benchmarks", ROWS, "--system", "oneformer:swin_l_coco")
    assert "Suite full with oneformer:swin_l_coco" in output
    assert "oneformer-swin_l_coco-" in output


def test_the_lists_name_suites_systems_and_rows(capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = call(capsys, "--list")
    assert code == 0
    for name in ("full", "image", "smoke", "oneformer:mini", "coco_panoptic_val2017", "cityscapes_semantic_val"):
        assert f"  {name}" in output


def test_settings_of_a_suite_come_before_those_of_the_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("suite = {'benchmarks': ['coco_semantic_val2017'], 'options': {'oneformer:mini': ['a=1']}}\n")
    heard: list[Sequence[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        load = fake_harness.load_system
        patch.setattr(fake_harness, "load_system", lambda *given: heard.append(given[2]) or load(*given))
        for system in ("oneformer:mini", "oneformer:swin_l_coco"):
            call(capsys, "--dry-run", "--suite", mine, "--system", system, "--cfg-options", "b=2")
    assert heard == [("a=1", "b=2"), ("b=2",)]


def test_a_suite_may_be_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("suite = {'benchmarks': ['coco_semantic_val2017'], 'limit': 2}\n")
    code, output, _ = call(capsys, "--dry-run", "--suite", mine)
    assert code == 0
    assert "coco_semantic_val2017@mini       2 samples" in output
    mine.write_text("suite = {'benchmark': []}\n")
    code, _, errors = call(capsys, "--dry-run", "--suite", mine)
    assert (code, errors.count("\n")) == (2, 1)
    assert "a suite has no field 'benchmark'" in errors


def test_rows_without_data_are_not_run_and_the_others_are(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = tmp_path / "data"
    partial.mkdir()
    (partial / "coco").symlink_to(data_root / "coco")
    (partial / "minidata.json").symlink_to(data_root / "minidata.json")
    monkeypatch.setattr(suite, "report", lambda done: 0)
    mine = tmp_path / "mine.py"
    mine.write_text("suite = {'benchmarks': ['ade20k_semantic_val', 'coco_semantic_val2017']}\n")
    code, output, _ = call(capsys, "--data-root", partial, "--work-dir", tmp_path / "runs", "--suite", mine)
    assert code == 0
    line = next(line for line in output.splitlines() if line.startswith("  ade20k_semantic_val"))
    assert "not run: " in line and str(partial / "ade20k" / "ADEChallengeData2016") in line
    (run_directory,) = (tmp_path / "runs").iterdir()
    assert (run_directory / "coco_semantic_val2017" / "record.json").is_file()
    assert not (run_directory / "ade20k_semantic_val").exists()
    states = {row["benchmark"]: row["state"] for row in json.loads((run_directory / "plan.json").read_text())["rows"]}
    assert states == {"ade20k_semantic_val": "not run", "coco_semantic_val2017": "run"}


def test_a_zipped_data_root_is_run_as_its_files_are(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "report", lambda done: 0)
    mine = tmp_path / "mine.py"
    mine.write_text("suite = {'benchmarks': ['coco_semantic_val2017']}\n")
    packed = tmp_path / "data.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in (data_root / "minidata.json", *(data_root / "coco").rglob("*")):
            file.write(path, str(path.relative_to(data_root)))
    scores = []
    for number, root in enumerate((data_root, packed)):
        runs = tmp_path / f"runs{number}"
        code, _, _ = call(capsys, "--data-root", root, "--work-dir", runs, "--suite", mine)
        assert code == 0
        (found,) = runs.glob("*/coco_semantic_val2017/record.json")
        record = json.loads(found.read_text())
        scores.append((record["scores"], record["is_mini"]))
    assert scores[0] == scores[1]


def test_rows_of_other_label_sets_are_not_run_unless_they_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, _ = call(capsys, "--dry-run", "--work-dir", tmp_path)
    assert code == 0
    assert output.count("not run: oneformer:mini answers coco_panoptic, ade20k") == 3
    assert "train cityscapes" not in output


def test_nothing_found_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    code, output, errors = call(capsys, "--data-root", tmp_path / "empty", "--work-dir", tmp_path / "runs")
    assert code == 2
    assert output.count("not run: ") == 9
    assert "None of the benchmarks can be run; the reasons are above." in errors
    assert not files_of(tmp_path / "runs")


def test_every_broken_picture_is_named_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_run.make_data(tmp_path)
    cut, gone, *_ = sorted((root / "coco" / "val2017").iterdir())
    cut.write_bytes(cut.read_bytes()[:-40])
    gone.unlink()
    code, _, errors = call(capsys, "--data-root", root, "--work-dir", tmp_path / "runs", "--benchmarks", ROWS)
    lines = [line for line in errors.splitlines() if not line.startswith("Loading")]
    assert (code, len(lines)) == (2, 2)
    assert {str(path) in line for path, line in zip((cut, gone), sorted(lines), strict=True)} == {True}
    assert not files_of(tmp_path / "runs")


@pytest.mark.parametrize("missing", [["numpy", "torch"], ["pycocotools"]])
def test_a_python_without_the_environment_says_so_in_one_line(
    missing: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(run, "LIGHT", (*run.LIGHT, *(f"{name}_that_is_not_there" for name in missing)))
    code, output, errors = call(capsys, "--list")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert f"lacks {', '.join(f'{name}_that_is_not_there' for name in missing)}. Run 'make suite', or" in errors


def test_the_script_starts_from_any_folder_and_without_torch(tmp_path: Path) -> None:
    script = small_run.ROOT / "benchmark" / "run.py"
    spy = "import runpy, sys; sys.argv = sys.argv[1:]\ntry:\n runpy.run_path(sys.argv[0], run_name='__main__')\n"
    spy += "except SystemExit as error:\n print('torch' in sys.modules, error.code)"
    done = subprocess.run(
        [sys.executable, "-c", spy, str(script), "--list"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("False 0\n"), done.stderr


def test_an_interrupt_says_how_to_continue(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run", interrupt)
    code, _, errors = call(capsys, "--suite", "smoke", "--seed", "3")
    assert code == 130
    assert errors == "\nInterrupted. The same command continues: python benchmark/run.py --suite smoke --seed 3\n"
