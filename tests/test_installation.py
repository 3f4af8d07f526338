"""Installing a fresh clone: a wheel without operators is out, what was killed continues, what is finished is known."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from benchmark.installation import command, packages, stages, wheelhouse

ROOT = Path(__file__).resolve().parents[1]
TORCH = wheelhouse.Torch(version="2.13.0+cpu", python_tag="cp311", nvcc=None)


def shell(folder: Path) -> stages.Shell:
    """A shell that logs into `folder`."""
    environment = dict(os.environ)
    return stages.Shell(label="[1/1] try", log=folder / "1-try.log", minutes=1, environment=environment)


def make_wheel(folder: Path, name: str, members: tuple[str, ...]) -> Path:
    """A wheel file with some empty members."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for member in members:
            archive.writestr(member, "")
    return folder / name


GOOD = ("mmcv/__init__.py", "mmcv/_ext.cpython-311-x86_64-linux-gnu.so")


@pytest.mark.parametrize(
    ("name", "members", "problem"),
    [
        ("onedl_mmcv-2.3.6-py3-none-any.whl", ("mmcv/__init__.py",), "without the operators"),
        ("onedl_mmcv-2.3.6-py3-none-any.whl", GOOD, "without the operators"),
        ("onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl", ("mmcv/__init__.py", "mmcv/_ext.py"), "lacks the compiled"),
        ("onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl", ("mmcv/ops/_ext.so",), "lacks the compiled"),
        ("onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl", GOOD, None),
    ],
)
def test_a_wheel_without_operators_is_refused(
    tmp_path: Path, name: str, members: tuple[str, ...], problem: str | None
) -> None:
    wheel = make_wheel(tmp_path, name, members)
    found = wheelhouse.wheel_problem(wheel)
    assert found is None if problem is None else found is not None and problem in found
    assert wheelhouse.find_wheel(tmp_path, "cp311") == (wheel if problem is None else None)


def test_a_truncated_wheel_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl", GOOD)
    wheel.write_bytes(wheel.read_bytes()[:-30])
    assert "not a readable wheel" in str(wheelhouse.wheel_problem(wheel))


def test_a_trusted_wheel_is_taken_without_compiling(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / TORCH.key, "onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl", GOOD)
    taken = wheelhouse.ensure_wheel(shell(tmp_path), Path("no-python"), TORCH, tmp_path, "2.3.6", None)
    assert taken == wheel


def test_wheels_are_kept_apart_by_torch_python_and_cuda() -> None:
    others = [
        wheelhouse.Torch(version="2.12.0+cpu", python_tag="cp311", nvcc=None),
        wheelhouse.Torch(version="2.13.0+cpu", python_tag="cp312", nvcc=None),
        wheelhouse.Torch(version="2.13.0+cpu", python_tag="cp311", nvcc="nvcc"),
    ]
    assert len({TORCH.key, *(other.key for other in others)}) == 4


def test_carried_sources_that_are_absent_are_named(tmp_path: Path) -> None:
    with pytest.raises(stages.StageError, match=r"onedl_mmcv-2\.3\.6\.tar\.gz not found"):
        wheelhouse.ensure_wheel(shell(tmp_path), Path("no-python"), TORCH, tmp_path, "2.3.6", tmp_path)


def plan(ran: list[str], *, inputs: str = "x", fails: str = "") -> list[stages.Stage]:
    """Three stages that note that they ran; one may fail."""

    def step(slug: str) -> stages.Stage:
        def run(_: stages.Shell) -> None:
            if slug == fails:
                raise stages.StageError(slug)
            ran.append(slug)

        text = inputs if slug == "b" else "same"
        return stages.Stage(name=slug, slug=slug, minutes=1, inputs=[text], run=run)

    return [step(slug) for slug in "abc"]


def test_a_stage_that_was_stopped_runs_again_and_the_finished_ones_do_not(tmp_path: Path) -> None:
    ran: list[str] = []
    with pytest.raises(stages.StageError):
        stages.run_stages(plan(ran, fails="b"), tmp_path / "markers", tmp_path, {})
    assert not stages.are_done(plan(ran), tmp_path / "markers")
    assert stages.run_stages(plan(ran), tmp_path / "markers", tmp_path, {}) == 2
    assert ran == ["a", "b", "c"]
    assert stages.are_done(plan(ran), tmp_path / "markers")


def test_a_changed_input_repeats_its_stage_and_all_after_it(tmp_path: Path) -> None:
    ran: list[str] = []
    stages.run_stages(plan(ran), tmp_path / "markers", tmp_path, {})
    stages.run_stages(plan(ran, inputs="other"), tmp_path / "markers", tmp_path, {})
    assert ran == ["a", "b", "c", "b", "c"]


def test_a_failed_command_names_stage_log_and_last_lines(tmp_path: Path) -> None:
    code = "print('all was well'); raise SystemExit('the compiler fell over')"
    with pytest.raises(stages.StageError) as error:
        shell(tmp_path).run([sys.executable, "-c", code])
    first, *rest = str(error.value).splitlines()
    assert first.startswith("[1/1] try: failed (exit code 1)") and str(tmp_path / "1-try.log") in first
    assert rest[-1].strip() == "the compiler fell over"


def test_a_long_command_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "LINE_EVERY", 0.3)
    shell(tmp_path).run([sys.executable, "-uc", "import time; print('  [23/78] c++ -c a.cpp'); time.sleep(1)"])
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\[1/1\] try: 23 of 78 files, 0\.0 of about 1 min, log .*1-try\.log", lines[-1])


def test_a_command_left_by_a_killed_setup_is_ended(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    process = subprocess.Popen(sleeper, env={**os.environ, stages.OWNER: str(tmp_path)}, start_new_session=True)
    (tmp_path / "running").write_text(str(process.pid))
    time.sleep(0.2)
    stages.end_leftover(tmp_path)
    assert process.wait(timeout=10) < 0 and not (tmp_path / "running").exists()


def test_a_process_of_somebody_else_with_that_number_is_left_alone(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    (tmp_path / "running").write_text(str(process.pid))
    stages.end_leftover(tmp_path)
    assert process.poll() is None
    process.kill()
    process.wait()


def test_a_package_that_was_killed_halfway_is_forgotten(tmp_path: Path) -> None:
    for name, files in {"whole-1.dist-info": ("INSTALLER", "RECORD"), "half-1.dist-info": ("RECORD",)}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    assert packages.heal(tmp_path) == ["half-1.dist-info"]
    assert [path.name for path in tmp_path.iterdir()] == ["whole-1.dist-info"]


def setup_in(folder: Path) -> packages.Setup:
    """A base setup whose checkout is `folder`, with this repository's files."""
    for name in ("setup.cfg", "constraints.txt"):
        (folder / name).write_text((ROOT / name).read_text())
    return packages.Setup(root=folder, level="base", operators="auto", carry=None, present_site=None)


def finish(setup: packages.Setup, *distributions: str) -> None:
    """Pretend that all stages ran and that these distributions came of it."""
    setup.python.parent.mkdir(parents=True)
    setup.python.touch()
    for name in distributions:
        (setup.site_packages / name).mkdir(parents=True)
    planned = packages.plan_stages(setup)
    for stage, key in zip(planned, stages.chain_keys(planned), strict=True):
        stages.write_marker(setup.markers, stage, key)
    (setup.markers / ".base.json").write_text(f'["{distributions[0]}"]')


def test_a_finished_environment_is_recognised(tmp_path: Path) -> None:
    setup = setup_in(tmp_path)
    assert not command.is_ready(setup)
    finish(setup, "numpy-2.4.6.dist-info", "pip-23.dist-info")
    assert command.is_ready(setup)


def test_a_package_that_was_removed_by_hand_is_noticed(tmp_path: Path) -> None:
    setup = setup_in(tmp_path)
    finish(setup, "numpy-2.4.6.dist-info")
    (setup.site_packages / "numpy-2.4.6.dist-info").rename(setup.site_packages / "numpy-1.26.4.dist-info")
    assert not command.is_ready(setup)
    assert [path.name for path in setup.markers.iterdir()] == ["create"]


def test_a_changed_constraint_is_noticed(tmp_path: Path) -> None:
    setup = setup_in(tmp_path)
    finish(setup, "numpy-2.4.6.dist-info")
    (tmp_path / "constraints.txt").write_text((ROOT / "constraints.txt").read_text().replace("numpy==", "numpy==9"))
    assert not command.is_ready(setup)


def test_a_changed_test_option_does_not_rebuild_the_environment(tmp_path: Path) -> None:
    setup = setup_in(tmp_path)
    finish(setup, "numpy-2.4.6.dist-info")
    (tmp_path / "setup.cfg").write_text((ROOT / "setup.cfg").read_text().replace("-ra -q", "-ra"))
    assert command.is_ready(setup)


def test_a_broken_environment_of_the_user_is_not_removed(tmp_path: Path) -> None:
    setup = setup_in(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "notes.txt").touch()
    with pytest.raises(stages.StageError, match="Remove or rename it"):
        packages.create_venv(setup, shell(tmp_path))
    assert (tmp_path / ".venv" / "notes.txt").exists()
