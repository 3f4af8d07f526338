"""What a fresh clone needs: each missing piece of the machine is one line, and every package is declared and pinned."""

from __future__ import annotations

import ast
import configparser
import re
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from benchmark.installation import packages, system, verification

ROOT = Path(__file__).resolve().parents[1]
NAMED = ("torch", "mmengine", "mmcv", "mmdet", "transformers", "pycocotools", "panopticapi")
NAMED += ("cityscapesscripts", "pandas", "pytest")


def machine(**changes: object) -> system.Machine:
    """A machine that has everything, with some facts changed."""
    facts: dict[str, object] = {
        "system": "Linux",
        "architecture": "x86_64",
        "python_version": (3, 11),
        "programs": {name: f"/usr/bin/{name}" for name in ("g++", "make", "git", "apt-get")},
        "libraries": frozenset({"libGL.so.1", "libgthread-2.0.so.0"}),
        "has_venv": True,
        "has_headers": True,
        "free_space": 100.0,
        "is_root": True,
    }
    return system.Machine(**{**facts, **changes})  # type: ignore[arg-type]


def without(*names: str, manager: str = "apt-get") -> Mapping[str, str]:
    """The programs of a complete machine with another package manager and without some."""
    return {name: f"/usr/bin/{name}" for name in ("g++", "make", "git", manager) if name not in names}


@pytest.mark.parametrize(
    ("changes", "piece", "remedy"),
    [
        ({"programs": without("g++")}, "a C++ compiler", "apt-get install -y g++"),
        ({"programs": without("make")}, "make", "apt-get install -y make"),
        ({"programs": without("git")}, "git", "apt-get install -y git"),
        ({"has_headers": False}, "Python.h", "apt-get install -y python3.11-dev"),
        ({"has_venv": False}, "venv module", "apt-get install -y python3.11-venv"),
        ({"libraries": frozenset({"libgthread-2.0.so.0"})}, "libGL.so.1", "apt-get install -y libgl1"),
        ({"libraries": frozenset({"libGL.so.1"})}, "libgthread-2.0.so.0", "apt-get install -y libglib2.0-0"),
        ({"programs": without("g++", manager="dnf")}, "a C++ compiler", "dnf install -y gcc-c++"),
        ({"programs": without("g++", manager="zypper")}, "a C++ compiler", "zypper install -y gcc-c++"),
        ({"programs": without("g++", "apt-get")}, "a C++ compiler", "Debian and Ubuntu: apt-get install -y g++"),
        ({"programs": without("git"), "is_root": False}, "git", "sudo apt-get install -y git"),
        ({"has_headers": False, "python_version": (3, 12)}, "Python.h", "apt-get install -y python3.12-dev"),
        ({"free_space": 2.5}, "2.5 GB free, 6.0 GB needed", "larger disk"),
        ({"system": "Darwin", "architecture": "arm64"}, "Linux x86-64", "Darwin arm64"),
    ],
)
def test_a_missing_piece_is_one_line_with_its_remedy(changes: dict[str, object], piece: str, remedy: str) -> None:
    lines = [str(missing) for missing in system.missing_pieces(machine(**changes), "full", space_needed=6.0)]
    assert len(lines) == 1 and "\n" not in lines[0]
    assert piece in lines[0] and remedy in lines[0]


def test_all_missing_pieces_are_listed_at_once() -> None:
    bare = machine(programs={"apt-get": "/usr/bin/apt-get"}, libraries=frozenset(), has_venv=False, has_headers=False)
    assert len(system.missing_pieces(bare, "full", space_needed=6.0)) == 7


def test_a_complete_machine_lacks_nothing() -> None:
    assert system.missing_pieces(machine(), "full", space_needed=6.0) == []


def test_the_base_level_needs_no_compiler_git_or_libraries() -> None:
    bare = machine(programs={}, libraries=frozenset(), has_headers=False)
    assert system.missing_pieces(bare, "base", space_needed=1.0) == []


def test_the_facts_of_this_machine_can_be_read() -> None:
    facts = system.inspect_machine(ROOT)
    assert facts.python_version == sys.version_info[:2] and facts.free_space > 0


def test_a_compiler_hidden_from_the_path_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    missing = [str(piece) for piece in system.missing_pieces(system.inspect_machine(ROOT), "full", space_needed=0.0)]
    assert any("a C++ compiler" in line for line in missing) and any("missing: git" in line for line in missing)


def test_an_unsupported_python_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "benchmark" / "environment.py"), run_name="__main__")
    assert stop.value.code == 2
    assert re.fullmatch(
        r"Python 3\.11 or 3\.12 needed, this is 3\.9\.1\. .*apt-get install .*\n", capsys.readouterr().out
    )


def test_old_pythons_can_read_the_command() -> None:
    tree = ast.parse((ROOT / "benchmark" / "environment.py").read_text())
    modern = (ast.JoinedStr, ast.NamedExpr, ast.Match, ast.AnnAssign)
    assert not [node for node in ast.walk(tree) if isinstance(node, modern)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]


def test_the_ten_named_packages_are_declared_and_verified() -> None:
    declared = " ".join(packages.requirements(ROOT, "train", "dev", "panoptic")).lower()
    assert [name for name in NAMED if name not in declared.replace("onedl-mmdetection", "mmdet")] == []
    assert [module.split(".")[0] for module in verification.PACKAGES] == list(NAMED)


def test_every_declared_requirement_is_pinned_to_a_version_that_fits() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.split("==")[0].lower(): line.split("==")[1] for line in lines if "==" in line}
    wanted = [Requirement(line) for line in packages.requirements(ROOT, "train", "dev")]
    unfit = [str(need) for need in wanted if not need.specifier.contains(pins.get(need.name.lower(), "0"))]
    assert unfit == []
    assert pins["opencv-python"] == pins["opencv-python-headless"]


@pytest.mark.parametrize("name", ["torchvision", "timm", "scalabel"])
def test_packages_that_break_the_others_stay_out(name: str) -> None:
    assert not re.search(rf"^{name}\b", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert not any(line.startswith(name) for line in packages.requirements(ROOT, "train", "dev"))


def test_the_supported_ranges_are_declared() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    assert parser["options"]["python_requires"] == ">=3.11,<3.13"
    assert "torch>=2.4,<2.14" in packages.requirements(ROOT, "train")


def test_panopticapi_is_installed_by_hash() -> None:
    lines = (ROOT / "benchmark" / "installation" / "panopticapi.txt").read_text().splitlines()
    assert re.fullmatch(r"panopticapi-lite==[\d.]+ --hash=sha256:[0-9a-f]{64}", lines[-1])
