"""What the machine must offer before anything is installed, and the command that installs what is missing.

Every missing piece is found in one pass. A `Machine` holds the facts, so a test can describe any machine; nothing
here changes anything.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GIGABYTE = 10**9
SPACE_NEEDED = {"base": 1.0, "full": 6.0}
"""Free disk space of an empty checkout, in gigabytes, per level."""

INSTALLERS = {
    "apt-get": "apt-get install -y",
    "dnf": "dnf install -y",
    "yum": "yum install -y",
    "zypper": "zypper install -y",
    "pacman": "pacman -S --noconfirm",
}
PACKAGES: Mapping[str, tuple[str, str, str, str, str]] = {
    "C++ compiler": ("g++", "gcc-c++", "gcc-c++", "gcc-c++", "gcc"),
    "make": ("make", "make", "make", "make", "make"),
    "git": ("git", "git", "git", "git", "git"),
    "Python headers": ("python{v}-dev", "python{v}-devel", "python{v}-devel", "python{n}-devel", "python"),
    "venv module": ("python{v}-venv", "python{v}", "python{v}", "python{n}", "python"),
    "libGL": ("libgl1", "mesa-libGL", "mesa-libGL", "Mesa-libGL1", "libglvnd"),
    "libgthread": ("libglib2.0-0", "glib2", "glib2", "libgthread-2_0-0", "glib2"),
}
"""System package of each piece, in the order of `INSTALLERS`; {v} is the Python version, {n} the same without dot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts that decide whether the setup can work.

    programs: path by program name, only of those that exist. free_space: gigabytes at the checkout.
    python_version: (major, minor). has_venv: `venv` and `ensurepip` can be imported. has_headers: Python.h is there.
    """

    system: str
    architecture: str
    python_version: tuple[int, int]
    programs: Mapping[str, str]
    libraries: frozenset[str]
    has_venv: bool
    has_headers: bool
    free_space: float
    is_root: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One missing piece. what: its name and why it is needed. remedy: the command or action that brings it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"missing: {self.what}. {self.remedy}"


def inspect_machine(root: Path) -> Machine:
    """The facts about this machine and this Python; `root` is the checkout."""
    wanted = ("c++", "g++", "make", "git", "nvcc", "nvidia-smi", *INSTALLERS)
    programs = {name: path for name in wanted if (path := shutil.which(name))}
    compiler = os.environ.get("CXX", "").split()
    if compiler and (path := shutil.which(compiler[0])):
        programs["c++"] = path
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        python_version=(sys.version_info.major, sys.version_info.minor),
        programs=programs,
        libraries=frozenset(name for name in ("libGL.so.1", "libgthread-2.0.so.0") if _can_load(name)),
        has_venv=all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
        has_headers=Path(sysconfig.get_paths()["include"], "Python.h").is_file(),
        free_space=shutil.disk_usage(root).free / GIGABYTE,
        is_root=os.geteuid() == 0,
    )


def missing_pieces(machine: Machine, level: str, *, space_needed: float) -> list[Missing]:
    """Everything this machine lacks for `level` ("base" or "full"), in the order a user would fix it.

    space_needed: gigabytes.
    """
    if (machine.system, machine.architecture) != ("Linux", "x86_64"):
        found = f"{machine.system} {machine.architecture}"
        return [Missing(what=f"a Linux x86-64 machine (this is {found})", remedy="Use one, or a container on it")]
    absent = [] if machine.has_venv else [("venv module", "Python's venv module")]
    if level == "full":
        absent += _absent_of_full(machine)
    missing = [Missing(what=what, remedy=_install_command(machine, piece)) for piece, what in absent]
    if machine.free_space < space_needed:
        what = f"disk space: {machine.free_space:.1f} GB free, {space_needed:.1f} GB needed here"
        missing.append(Missing(what=what, remedy="Free some, or clone onto a larger disk"))
    return missing


def _absent_of_full(machine: Machine) -> list[tuple[str, str]]:
    """(piece, description) of what only the full level needs and this machine lacks."""
    needs = [
        ("C++ compiler", "a C++ compiler, which builds mmcv's operators", {"c++", "g++"} & set(machine.programs)),
        ("Python headers", "the Python headers (Python.h)", machine.has_headers),
        ("make", "make", "make" in machine.programs),
        ("git", "git", "git" in machine.programs),
        ("libGL", "the library libGL.so.1, which OpenCV loads", "libGL.so.1" in machine.libraries),
        (
            "libgthread",
            "the library libgthread-2.0.so.0, which OpenCV loads",
            "libgthread-2.0.so.0" in machine.libraries,
        ),
    ]
    return [(piece, what) for piece, what, is_there in needs if not is_there]


def _install_command(machine: Machine, piece: str) -> str:
    """One sentence with the command that installs `piece` by this machine's package manager."""
    version = "{}.{}".format(*machine.python_version)
    names = [name.format(v=version, n=version.replace(".", "")) for name in PACKAGES[piece]]
    sudo = "" if machine.is_root else "sudo "
    for (manager, command), name in zip(INSTALLERS.items(), names, strict=True):
        if manager in machine.programs:
            return f"Install it with: {sudo}{command} {name}"
    return f"Install it with your package manager (Debian and Ubuntu: {sudo}apt-get install -y {names[0]})"


def _can_load(library: str) -> bool:
    """Whether the dynamic linker finds `library`."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
