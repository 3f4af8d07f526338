"""The stages of both levels: which packages are installed, in which order, from where.

`setup.cfg` says what is needed, `constraints.txt` which version. Torch comes before mmcv is compiled; mmcv only ever
from our own wheelhouse; panopticapi-lite by hash and without its dependencies, because its metadata is wrong.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmark.installation.stages import Shell, Stage, StageError
from benchmark.installation.wheelhouse import MMCV, Torch, ensure_wheel, num_jobs

BUILD_TOOLS = ("setuptools", "wheel")
TORCH_BUILD_TOOLS = ("packaging", "ninja", "psutil")
COMPILE_CPU_MINUTES = 11.0
"""Of one core, for all of mmcv's operators."""
TORCH_FACTS = """
import json, os, torch
from torch.utils import cpp_extension
nvcc = cpp_extension.CUDA_HOME and os.path.join(cpp_extension.CUDA_HOME, "bin", "nvcc")
print(json.dumps([torch.__version__, torch.cuda.is_available(), torch.version.cuda, nvcc]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is asked for, and where it goes.

    root: the checkout. level: "base" or "full". operators: "auto", "cpu" or "cuda".
    carry: folder of wheels and source archives for a machine without network, or None.
    present_site: site-packages folder whose torch is used instead of an installed one, or None.
    """

    root: Path
    level: str
    operators: str
    carry: Path | None
    present_site: Path | None

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def markers(self) -> Path:
        return self.venv / ".stages"

    @property
    def logs(self) -> Path:
        return self.root / ".cache" / "environment"

    @property
    def house(self) -> Path:
        return self.root / ".wheelhouse"

    @property
    def site_packages(self) -> Path:
        return self.venv / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"


def plan_stages(setup: Setup) -> list[Stage]:
    """The stages of the level; those of "base" come first, so that "full" continues where "base" ended."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    create = Stage(
        name="create .venv", slug="create", minutes=0.1,
        inputs=[python, str(setup.present_site)], run=lambda shell: create_venv(setup, shell),
    )  # fmt: skip
    if setup.carry:
        return [create, *_carried_stages(setup, setup.carry), _verify_stage(setup)]
    base = [create, *_base_stages(setup)]
    return base if setup.level == "base" else [*base, *_full_stages(setup), _verify_stage(setup)]


def requirements(root: Path, *extras: str) -> list[str]:
    """The requirement lines of setup.cfg: the base ones, then those of each extra."""
    parser = configparser.ConfigParser()
    parser.read(root / "setup.cfg")
    blocks = [parser["options"]["install_requires"]]
    blocks += [parser["options.extras_require"][extra] for extra in extras]
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def pinned(root: Path, name: str) -> str:
    """The version that constraints.txt gives to package `name`."""
    for line in (root / "constraints.txt").read_text().splitlines():
        if line.lower().startswith(f"{name.lower()}=="):
            return line.split("==")[1].strip()
    raise StageError(f"constraints.txt pins no version of {name}; add a line {name}==VERSION")


def create_venv(setup: Setup, shell: Shell) -> None:
    """Make the virtual environment; one that works is kept, one that a killed setup left half-made is made again."""
    making = setup.root / ".cache" / "environment" / "making-venv"
    is_ours = making.exists() or setup.markers.is_dir()
    if setup.venv.exists() and not _is_usable(setup.python):
        if not is_ours:
            message = (
                f"{setup.venv} exists but holds no working Python {sys.version_info.major}.{sys.version_info.minor}"
            )
            raise StageError(f"{shell.label}: {message}. Remove or rename it and run the same command again")
        shutil.rmtree(setup.venv)
    if not setup.venv.exists():
        making.touch()
        shell.run([sys.executable, "-m", "venv", setup.venv])
    making.unlink(missing_ok=True)
    pointer = setup.site_packages / "present_torch.pth"
    if setup.present_site:
        pointer.write_text(f"{setup.present_site}\n")
    else:
        pointer.unlink(missing_ok=True)


def _is_usable(python: Path) -> bool:
    """Whether `python` runs, has pip and is of the version that runs this setup."""
    code = "import sys, pip; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.split() == [str(part) for part in sys.version_info[:2]]


def _base_stages(setup: Setup) -> list[Stage]:
    """Packages of the base install, then this project itself."""
    needed = [*BUILD_TOOLS, *requirements(setup.root)]
    return [
        Stage(
            name="install the base packages", slug="base", minutes=0.7, inputs=[*needed, _constraints_text(setup)],
            run=lambda shell: install(setup, shell, *needed),
        ),
        Stage(
            name="install this project", slug="project", minutes=0.1, inputs=[str(setup.root), _metadata_text(setup)],
            run=lambda shell: install_project(setup, shell),
        ),
    ]  # fmt: skip


def _full_stages(setup: Setup) -> list[Stage]:
    """Torch, mmcv's operators, then everything that trains and tests."""
    torch = ["torch", *TORCH_BUILD_TOOLS]
    rest = [line for line in requirements(setup.root, "train", "dev") if not line.startswith("torch")]
    has_driver = str(bool(shutil.which("nvidia-smi")))
    by_hash = setup.root / "benchmark" / "installation" / "panopticapi.txt"
    return [
        Stage(
            name="install torch and the build tools", slug="torch", minutes=1, inputs=torch,
            run=lambda shell: install(setup, shell, *torch),
        ),
        Stage(
            name="compile mmcv's operators", slug="operators", minutes=_compile_minutes(),
            inputs=[pinned(setup.root, MMCV), setup.operators, has_driver],
            run=lambda shell: install_operators(setup, shell),
        ),
        Stage(
            name="install the training and test packages", slug="packages", minutes=1, inputs=rest,
            run=lambda shell: install(setup, shell, "--only-binary", MMCV, *rest),
        ),
        Stage(
            name="install panopticapi by hash", slug="panopticapi", minutes=0.1, inputs=[by_hash.read_text()],
            run=lambda shell: _pip(setup, shell, "--no-deps", "--require-hashes", "-r", by_hash),
        ),
    ]  # fmt: skip


def _carried_stages(setup: Setup, carry: Path) -> list[Stage]:
    """The same from a carried folder: its wheels as they are, mmcv and mmdet from their source archives."""
    wheels = sorted(carry.glob("*.whl"))
    sources = sorted(carry.glob("onedl_mmdetection-*.tar.gz"))
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    return [
        Stage(
            name="install the carried wheels", slug="carried", minutes=1, inputs=[path.name for path in wheels],
            run=lambda shell: _pip(setup, shell, *offline, *wheels),
        ),
        Stage(
            name="compile mmcv's operators", slug="operators", minutes=_compile_minutes(),
            inputs=[pinned(setup.root, MMCV), setup.operators], run=lambda shell: install_operators(setup, shell),
        ),
        Stage(
            name="install mmdet and this project", slug="project", minutes=0.2,
            inputs=[str(setup.root), _metadata_text(setup), *(path.name for path in sources)],
            run=lambda shell: _install_carried_project(setup, shell, *offline, *sources),
        ),
    ]  # fmt: skip


def _verify_stage(setup: Setup) -> Stage:
    """Import everything once; refuses an mmcv without its operators."""
    code = Path(__file__).with_name("verification.py").read_text()
    return Stage(
        name="verify the environment", slug="verify", minutes=0.3, inputs=[code, setup.operators],
        run=lambda shell: shell.run([setup.python, "-m", "benchmark.installation.verification"], cwd=setup.root),
    )  # fmt: skip


def install(setup: Setup, shell: Shell, *what: str) -> None:
    """Install requirement lines at the versions of constraints.txt, mmcv from the wheelhouse only."""
    constraints = setup.root / "constraints.txt"
    if setup.present_site:
        constraints = setup.logs / "constraints.txt"
        constraints.write_text(_constraints_text(setup))
        what = tuple(line for line in what if line != "torch")
    houses = [part for folder in sorted(setup.house.glob("torch*")) for part in ("--find-links", folder)]
    _pip(setup, shell, "-c", constraints, *houses, *what)


def install_operators(setup: Setup, shell: Shell) -> None:
    """Compile mmcv for the torch in the environment, or take the wheel that an earlier setup compiled."""
    torch = torch_facts(setup)
    version = pinned(setup.root, MMCV)
    wheel = ensure_wheel(shell, setup.python, torch, setup.house, version, setup.carry)
    _pip(setup, shell, "--no-deps", "--no-index", "--force-reinstall", wheel)


def torch_facts(setup: Setup) -> Torch:
    """Version of the installed torch, and CUDA's compiler where the operators are to run on a GPU."""
    done = subprocess.run([setup.python, "-c", TORCH_FACTS], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(f"torch cannot be imported from {setup.venv}: {done.stderr.strip().splitlines()[-1]}")
    version, has_device, cuda, nvcc = json.loads(done.stdout)
    wants_cuda = setup.operators == "cuda" or (setup.operators == "auto" and has_device)
    if wants_cuda and not (cuda and nvcc and Path(nvcc).is_file()):
        remedy = f"Install the CUDA toolkit {cuda or 'and a CUDA build of torch'}, or run again with OPERATORS=cpu"
        raise StageError(f"missing: CUDA's compiler nvcc, which builds mmcv's operators for this GPU. {remedy}")
    tag = "cp{}{}".format(*sys.version_info)
    return Torch(version=version, python_tag=tag, nvcc=nvcc if wants_cuda else None)


def install_project(setup: Setup, shell: Shell) -> None:
    """Install the checkout itself, editable, so that its folders import from anywhere."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--config-settings", "editable_mode=compat"]
    _pip(setup, shell, *options, "--editable", setup.root)


def _install_carried_project(setup: Setup, shell: Shell, *what: str | Path) -> None:
    """Install mmdet from its source archive, then the checkout."""
    _pip(setup, shell, *what)
    install_project(setup, shell)


def heal(site_packages: Path) -> list[str]:
    """Forget packages whose installation was killed halfway, so that pip installs them again; return their names.

    pip writes INSTALLER and RECORD last: a `.dist-info` folder that lacks one of them is unfinished.
    """
    halves = [
        folder
        for folder in sorted(site_packages.glob("*.dist-info"))
        if not ((folder / "INSTALLER").is_file() and (folder / "RECORD").is_file())
    ]
    for folder in halves:
        shutil.rmtree(folder)
    return [folder.name for folder in halves]


def _pip(setup: Setup, shell: Shell, *what: str | Path) -> None:
    """Run `pip install` in the environment, quietly into the stage's log."""
    heal(setup.site_packages)
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    shell.run([setup.python, "-m", "pip", "install", *quiet, *what])


def _constraints_text(setup: Setup) -> str:
    """constraints.txt, without torch where a present one is used."""
    lines = (setup.root / "constraints.txt").read_text().splitlines()
    kept = [line for line in lines if not (setup.present_site and line.startswith("torch=="))]
    return "\n".join(kept) + "\n"


def _metadata_text(setup: Setup) -> str:
    """The part of setup.cfg that decides what an installation looks like."""
    parser = configparser.ConfigParser()
    parser.read(setup.root / "setup.cfg")
    sections = ["metadata", "options.packages.find", "options.package_data", "options.entry_points"]
    return json.dumps({name: dict(parser[name]) for name in sections})


def _compile_minutes() -> float:
    """Expected minutes of the compile on this machine."""
    return round(max(2.0, COMPILE_CPU_MINUTES / num_jobs(os.environ)), 1)
