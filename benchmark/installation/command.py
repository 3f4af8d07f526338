"""The command behind `benchmark/environment.py`: check the system, then run the stages that are not done yet.

A checkout whose stages are all done and whose packages are all there is recognised without starting anything.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.installation.packages import Setup, plan_stages
from benchmark.installation.stages import StageError, are_done, end_leftover, run_stages
from benchmark.installation.system import SPACE_NEEDED, Missing, inspect_machine, missing_pieces

TORCH_RANGE = ((2, 4), (2, 14))
PRESENT_TORCH = """
import json, os, torch
print(json.dumps([torch.__version__, torch.cuda.is_available(), os.path.dirname(os.path.dirname(torch.__file__))]))
"""


def main() -> int:
    """Build or complete the environment; 0 done, 2 something is missing, 1 a stage failed."""
    options = _parser().parse_args()
    root = Path(__file__).resolve().parents[2]
    setup = Setup(
        root=root, level=options.level, operators=options.operators,
        carry=options.carry.resolve() if options.carry else None,
        present_site=_present_site(options.torch, root),
    )  # fmt: skip
    if is_ready(setup):
        print(f"Environment ready: {setup.venv}", flush=True)
        return 0
    space_needed = 0.5 if (setup.markers / "operators").exists() else SPACE_NEEDED[options.level]
    missing = missing_pieces(inspect_machine(root), options.level, space_needed=space_needed)
    if options.carry and not options.carry.is_dir():
        missing.append(Missing(what=f"the folder {options.carry}", remedy="Name the folder that holds the archives"))
    if missing:
        print(*missing, sep="\n")
        return 2
    try:
        with _only_one(setup):
            return _build(setup)
    except StageError as error:
        print(error)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command continues where it stopped.")
        return 130


def _build(setup: Setup) -> int:
    """Run the stages that are left and note which distributions there are."""
    stages = plan_stages(setup)
    minutes = sum(stage.minutes for stage in stages)
    print(f"Environment ({setup.level}) in {setup.venv}: {len(stages)} stages, about {minutes:.0f} min when new")
    run_stages(stages, setup.markers, setup.logs, _environment(setup))
    for level in ("base", setup.level):
        _listing(setup, level).write_text(json.dumps(sorted(_distributions(setup))))
    print(f"Environment ready: {setup.venv}", flush=True)
    return 0


def is_ready(setup: Setup) -> bool:
    """Whether every stage is done and every distribution that was there then is there now.

    If one was removed or changed since, the markers go, so that pip looks at everything again.
    """
    if not setup.python.exists() or not are_done(plan_stages(setup), setup.markers):
        return False
    listing = _listing(setup, setup.level)
    recorded = set(json.loads(listing.read_text())) if listing.is_file() else {"never listed"}
    if recorded <= _distributions(setup):
        return True
    for marker in setup.markers.iterdir():
        if marker.name != "create":
            marker.unlink()
    return False


def _distributions(setup: Setup) -> set[str]:
    """Names of the installed distributions with their versions, and mmcv's operator file."""
    site = setup.site_packages
    return {path.name for pattern in ("*.dist-info", "mmcv/_ext.*") for path in site.glob(pattern)}


def _listing(setup: Setup, level: str) -> Path:
    """File with the distributions that were there when the level was finished."""
    return setup.markers / f".{level}.json"


def _environment(setup: Setup) -> dict[str, str]:
    """Variables of every command: the environment's programs first, nothing of the user's own Python set-up."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    path = f"{setup.venv / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(setup.venv), "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def _only_one(setup: Setup) -> Iterator[None]:
    """Hold the checkout's setup lock; a second setup waits for the first."""
    setup.logs.mkdir(parents=True, exist_ok=True)
    with (setup.logs / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another setup of this checkout is running; waiting for it to end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        end_leftover(setup.logs)
        yield


def _present_site(choice: str, root: Path) -> Path | None:
    """Folder of an already installed torch that is to be used, or None to install the pinned one.

    choice: "pinned", "present" (must be there), or "auto": present if it sees a CUDA device, and once chosen, kept.
    """
    pointers = list((root / ".venv" / "lib").glob("python*/site-packages/present_torch.pth"))
    if choice == "auto" and pointers:
        return Path(pointers[0].read_text().strip())
    if choice == "pinned" or (choice == "auto" and (root / ".venv" / ".stages" / "create").exists()):
        return None
    done = subprocess.run([sys.executable, "-c", PRESENT_TORCH], capture_output=True, text=True, check=False)
    version, has_device, site = json.loads(done.stdout) if done.returncode == 0 else ("0.0", False, "")
    lowest, limit = TORCH_RANGE
    fits = lowest <= tuple(int(part) for part in version.split(".")[:2]) < limit
    if choice == "present" and not fits:
        raise SystemExit(f"No torch >=2.4,<2.14 found in {sys.executable}. Install one there, or leave out --torch")
    return Path(site) if fits and (has_device or choice == "present") else None


def _parser() -> argparse.ArgumentParser:
    """The options of `benchmark/environment.py`."""
    parser = argparse.ArgumentParser(prog="benchmark/environment.py", description="Build the environment .venv/.")
    parser.add_argument("--level", choices=("base", "full"), default="full", help="base: no torch, no compiler")
    parser.add_argument(
        "--operators", choices=("auto", "cpu", "cuda"), default="auto", help="what mmcv is compiled for"
    )
    parser.add_argument("--torch", choices=("auto", "pinned", "present"), default="auto", help="install or use torch")
    parser.add_argument("--carry", type=Path, metavar="DIR", help="no network: install from these archives")
    return parser
