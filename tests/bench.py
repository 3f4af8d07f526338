"""Our scoring beside the peers that are installed, on the same files: CPU seconds and memory, as ratios.

`make bench` draws inputs at the sizes of real benchmarks. Every tool reads and scores them in a process of its own, and
the tools take turns, so that what else the machine does meets them all. Medians count. Where a tool's score should be
ours and is not, the run fails: times of different numbers mean nothing. The floor is merely decoding the files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_tools import ABSENT, TOOLS

from benchmark.formats.image_files import write_whole

HERE = Path(__file__).resolve().parent
OURS = ("ours", "ours, no statistics")
DECODING = ("OpenCV decoding", "Pillow decoding")
COCO = ("pycocotools", "faster-coco-eval", "hotcoco")
HEADER = (
    "case",
    "tool",
    "score",
    "CPU s",
    "peak MiB",
    "ours / its CPU",
    "without statistics",
    "ours / its peak",
    "asked",
)
DIFFERENT = frozenset(
    {
        ("lvis", "faster-coco-eval"),
        ("lvis", "hotcoco"),
        ("tracking", "motmetrics"),
        ("video_objects", "vos-benchmark"),
    }
)
"""Tools whose score may be another: detections without area in LVIS, IDF1 for HOTA, other rules for frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row group of the table. what: the inputs in words. asked: ratio to the fastest peer, or to decoding."""

    what: str
    peers: tuple[str, ...]
    asked: float | None
    against: str = "peer"


CASES: Mapping[str, Case] = {
    "boxes": Case(what="box AP, 1,000 images x 50 results", peers=COCO, asked=2.0),
    "masks": Case(what="mask AP, 1,000 images x 50 results", peers=COCO, asked=2.0),
    "lvis": Case(
        what="LVIS mask AP, 400 images x 300 results", peers=("lvis-api", "faster-coco-eval", "hotcoco"), asked=2.0
    ),
    "panoptic": Case(what="PQ, 200 pairs of 640x480", peers=("panopticapi", "hotcoco panoptic", *DECODING), asked=2.0),
    "tracking": Case(
        what="HOTA, CLEAR, Identity, 10 x 500 frames x 20 objects",
        peers=("TrackEval", "motrics", "motmetrics"),
        asked=1.5,
    ),
    "semantic": Case(what="mIoU, 200 pairs of ADE20K's size", peers=DECODING, asked=1.1, against="decoding"),
    "city_semantic": Case(
        what="Cityscapes IoU and iIoU, 20 images",
        peers=("cityscapesscripts pixels", *DECODING),
        asked=1.5,
        against="decoding",
    ),
    "city_instance": Case(
        what="Cityscapes instance AP, 20 images",
        peers=("cityscapesscripts instances", *DECODING),
        asked=1.2,
        against="decoding",
    ),
    "video_objects": Case(
        what="J&F, 10 videos x 50 frames x 3 objects at 480p",
        peers=("davis2017-evaluation", "vos-benchmark", *DECODING),
        asked=2.5,
        against="decoding",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Medians of one tool. score: None where it computes none."""

    score: float | None
    cpu: float
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where tools run. interpreters: tried in turn. paths: more folders to import from. repeats: runs of each tool."""

    interpreters: tuple[str, ...]
    paths: tuple[str, ...]
    repeats: int

    def measure(self, folder: Path, tools: Sequence[str]) -> tuple[dict[str, Measured], list[float]]:
        """(medians of the tools that are installed, loads of the machine), the tools in turn."""
        runs: dict[str, list[Mapping[str, Any]]] = {tool: [] for tool in tools}
        absent: set[str] = set()
        for _ in range(self.repeats):
            for tool in [one for one in tools if one not in absent]:
                found = self._run(tool, folder)
                if found is None:
                    absent.add(tool)
                else:
                    runs[tool].append(found)
        return {
            tool: Measured(
                score=some[0]["score"],
                cpu=statistics.median(one["cpu"] for one in some),
                peak=statistics.median(one["peak"] for one in some),
            )
            for tool, some in runs.items()
            if some
        }, [one["load"] for some in runs.values() for one in some]

    def _run(self, tool: str, folder: Path) -> Mapping[str, Any] | None:
        """One measurement, None where no interpreter has the tool."""
        paths = [str(HERE.parent), str(HERE), *self.paths]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        for interpreter in self.interpreters:
            done = subprocess.run(
                [interpreter, str(HERE / "bench_tools.py"), tool, str(folder)],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
                return found
            if done.returncode != ABSENT:
                raise RuntimeError(f"{tool} on {folder}: {done.stderr[-2000:]}")
        return None


def rows_of(name: str, found: Mapping[str, Measured]) -> tuple[list[list[str]], bool]:
    """(lines of the table, whether the scores agree) of a case."""
    case, ours = CASES[name], found["ours"]
    lean = found["ours, no statistics"]
    base = {one: found[one] for one in case.peers if one in found and (one in DECODING) == (case.against == "decoding")}
    fastest = min(base, key=lambda one: base[one].cpu) if base else ""
    lines, agreed = [], True
    for tool in (*OURS, *case.peers):
        if tool not in found:
            lines.append([case.what, tool, "not installed", *[""] * (len(HEADER) - 3)])
            continue
        one = found[tool]
        ratios = [f"{ours.cpu / one.cpu:.2f}", f"{lean.cpu / one.cpu:.2f}", f"{ours.peak / one.peak:.2f}"]
        asked = f"{case.asked:g}" if tool == fastest else ""
        score = "" if one.score is None else f"{one.score:.9f}"
        lines.append([case.what, tool, score, f"{one.cpu:.2f}", f"{one.peak:.0f}", *ratios, asked])
        if one.score is not None and ours.score is not None and (name, tool) not in DIFFERENT:
            agreed &= abs(one.score - ours.score) < 1e-9
    return lines, agreed


def processor() -> str:
    """The processor's name as Linux states it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def machine() -> str:
    """The machine in a line."""
    cores = len(os.sched_getaffinity(0))
    return f"{processor()}, {cores} cores, Python {platform.python_version()}"


def page(lines: Sequence[Sequence[str]], options: argparse.Namespace, loads: Sequence[float]) -> str:
    """The table as a page."""
    table = [f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}", *(f"| {' | '.join(row)} |" for row in lines)]
    text = (
        "# Speed and memory of scoring\n\n"
        f"Made by `make bench` on {machine()}: median of {options.repeats}, share {options.share:g} of the inputs, "
        f"load of the machine {min(loads):.1f} to {max(loads):.1f}. CPU seconds (user and system) of reading and "
        "scoring in one process; peak memory of the whole process, imports included. A ratio above 1 means that we "
        "need more. `asked` stands beside the tool that the target is about: the fastest peer, or decoding. The score "
        "of motmetrics is IDF1; vos-benchmark counts other frames. Our command also diagnoses: up to 32 samples are "
        "looked at twice, which weighs in sets as small as these.\n\n"
    )
    return text + "\n".join(table) + "\n"


def main() -> int:
    """Print the table and perhaps write it; 1 if a score differs."""
    parser = argparse.ArgumentParser(description="Compare our scoring's CPU time and memory with the peers'.")
    parser.add_argument("--share", type=float, default=1.0, help="share of the usual inputs (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each tool, the median counts (default 5)")
    parser.add_argument("--only", default="", metavar="START", help="measure the cases whose names start so")
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help="interpreter that has peers")
    parser.add_argument("--path", action="append", default=[], metavar="DIR", help="folder to import peers from")
    parser.add_argument("--inputs", type=Path, help="where inputs are drawn, and found again (a temporary folder)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table here, too")
    options = parser.parse_args()
    bench = Bench(interpreters=(sys.executable, *options.peers), paths=tuple(options.path), repeats=options.repeats)
    lines, loads, agreed = list[list[str]](), list[float](), True
    with tempfile.TemporaryDirectory() as temporary:
        for name in [name for name in CASES if name.startswith(options.only)]:
            folder = (options.inputs or Path(temporary)) / name
            draw(name, folder, options.share)
            found, seen = bench.measure(folder, (*OURS, *CASES[name].peers))
            rows, is_equal = rows_of(name, found)
            lines += rows
            loads += seen
            agreed &= is_equal
            print("\n".join("  ".join(row) for row in rows), flush=True)
    if options.write:
        write_whole(options.write, page(lines, options, loads).encode())
    return 0 if agreed else 1


def draw(name: str, folder: Path, share: float) -> None:
    """Draw the inputs of a case; imported here, since tools run without it."""
    import bench_inputs

    bench_inputs.draw(name, folder, share)


assert {tool for case in CASES.values() for tool in (*case.peers, *OURS)} <= TOOLS.keys()

if __name__ == "__main__":
    sys.exit(main())
