"""Builds mmcv with its compiled operators and keeps the wheel, keyed by torch version, Python and CUDA.

The trap: built where torch cannot be seen, mmcv's setup skips the operators without an error and pip caches a wheel
without `mmcv._ext`. So the build runs without isolation, without pip's cache, and every wheel is opened before it
is trusted. Sources are unpacked into a folder that survives, so a killed compile continues with the next file.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.installation.stages import Shell, StageError

MMCV = "onedl-mmcv"
MEMORY_PER_JOB = 2.5
"""Gigabytes that the largest compile unit needs, with some room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """The torch that the operators are compiled against.

    version: with its local part, "2.13.0+cpu". python_tag: "cp311". nvcc: CUDA's compiler, or None for CPU operators.
    """

    version: str
    python_tag: str
    nvcc: str | None

    @property
    def key(self) -> str:
        """Folder name of wheels that fit this torch."""
        return f"torch{self.version}-{self.python_tag}-{'cuda' if self.nvcc else 'cpu'}"


def wheel_problem(wheel: Path) -> str | None:
    """Why this mmcv wheel must not be installed, or None if it holds the compiled operators."""
    if wheel.name.endswith("-none-any.whl"):
        return "it is a pure Python wheel, built without the operators"
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            broken = archive.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        return f"it is not a readable wheel ({error})"
    if broken:
        return f"its member {broken} is damaged"
    if not any(re.fullmatch(r"mmcv/_ext\.[^/]*so", name) for name in names):
        return "it lacks the compiled operators mmcv/_ext"
    return None


def find_wheel(folder: Path, python_tag: str) -> Path | None:
    """The trusted mmcv wheel of `folder` for this Python, or None; wheels that fail the check are passed over."""
    wheels = sorted(folder.glob(f"onedl_mmcv-*-{python_tag}-*.whl"))
    return next((wheel for wheel in wheels if wheel_problem(wheel) is None), None)


def ensure_wheel(shell: Shell, python: Path, torch: Torch, house: Path, version: str, carry: Path | None) -> Path:
    """Path of a trusted wheel for `torch`, compiled now unless `house` holds one.

    carry: folder with the source archive, where there is no network.
    """
    folder = house / torch.key
    wheel = find_wheel(folder, torch.python_tag)
    if wheel:
        return wheel
    source = _unpacked_source(shell, python, house, torch, version, carry)
    built = source.parent / "built"
    shutil.rmtree(built, ignore_errors=True)
    command: list[str | Path] = [
        python,
        "-m",
        "pip",
        "wheel",
        "-v",
        "--no-build-isolation",
        "--no-deps",
        "--no-cache-dir",
        "--no-index",
    ]
    shell.run([*command, "-w", built, source], variables=_build_variables(torch))
    made = next(built.glob("*.whl"))
    problem = wheel_problem(made)
    if problem:
        raise StageError(f"{shell.label}: {made.name} is refused: {problem}. Log: {shell.log}")
    folder.mkdir(parents=True, exist_ok=True)
    made.replace(folder / made.name)
    shutil.rmtree(source.parent)
    return folder / made.name


def _unpacked_source(shell: Shell, python: Path, house: Path, torch: Torch, version: str, carry: Path | None) -> Path:
    """Folder of mmcv's unpacked sources; one left by a killed build is used again with what it has compiled."""
    folder = house / f"{torch.key}.build"
    source = folder / f"onedl_mmcv-{version}"
    if source.is_dir():
        return source
    archives = carry
    if archives is None:
        archives = folder / "archive"
        command: list[str | Path] = [
            python,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-build-isolation",
            "--no-binary",
            MMCV,
        ]
        shell.run([*command, "-d", archives, f"{MMCV}=={version}"])
    archive = archives / f"onedl_mmcv-{version}.tar.gz"
    if not archive.is_file():
        raise StageError(f"{shell.label}: {archive} not found. Carry mmcv's source archive there")
    partial = folder / "unpacking"
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as opened:
        if hasattr(tarfile, "data_filter"):  # absent before Python 3.11.4
            opened.extraction_filter = tarfile.data_filter
        opened.extractall(partial)
    (partial / source.name).replace(source)
    return source


def _build_variables(torch: Torch) -> dict[str, str]:
    """Variables of the compile: no debug symbols, no more jobs than memory allows, CUDA only where it is wanted."""
    variables = {
        "CFLAGS": "-g0",
        "MAX_JOBS": str(num_jobs(os.environ)),
        "FORCE_CUDA": "1" if torch.nvcc else "0",
    }
    if not torch.nvcc:
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return variables


def num_jobs(variables: Mapping[str, str]) -> int:
    """Compilers to run at once: MAX_JOBS where it is set, else one per core as far as the free memory reaches."""
    if variables.get("MAX_JOBS", "").isdigit():
        return max(1, int(variables["MAX_JOBS"]))
    cores = len(os.sched_getaffinity(0))
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    memory = int(found[1]) / 1e6 if found else MEMORY_PER_JOB * cores
    return max(1, min(cores, int(memory / MEMORY_PER_JOB)))
