"""The suite: `python benchmark/run.py --suite full` goes from files on disk (or the mini data) to a report.

Prints the plan first, progress during, and the table and the report's location last. Exit codes: 0 done, 1 a score fell
by more than its tolerance, 2 the input or the call is wrong (one line a problem), 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import importlib.util
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    # A script's own folder comes first on the path; the packages stand one level above it.
    sys.path[0] = str(ROOT)

if TYPE_CHECKING:
    from benchmark.plan import Plan

LIGHT = ("numpy", "scipy", "PIL", "cv2", "pycocotools", "pandas", "matplotlib", "jinja2")
HEAVY = ("torch", "mmengine", "mmcv", "mmdet", "transformers", "safetensors")
STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
DEFAULT_SYSTEM = "oneformer:mini"


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message}. See --help.\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(prog="benchmark/run.py", description=(__doc__ or "").strip().splitlines()[0], allow_abbrev=False)
    add = top.add_argument
    add("--suite", default="full", metavar="NAME", help="which rows: see --list, or a file FILE.py (default: full)")
    add("--system", default=DEFAULT_SYSTEM, metavar="NAME[:VARIANT]", help=f"default: {DEFAULT_SYSTEM}")
    add("--checkpoint", type=Path, metavar="FILE", help="evaluate these weights instead of training")
    add("--data-root", type=Path, metavar="DIR", help="official files (default: the generated mini data)")
    add(
        "--truth",
        type=Path,
        metavar="PATH",
        help="truth of the rows instead of the official split's: a subset, own data",
    )
    add("--work-dir", type=Path, default=Path("runs"), metavar="DIR", help="where run directories go (default: runs)")
    add("--benchmarks", type=_names, metavar="A,B", help="rows instead of the suite's")
    add("--limit", type=_positive, metavar="N", help="only the first N samples of each row")
    add("--eval-only", action="store_true", help="never train")
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="continue what an earlier call left (default), or start a fresh run directory",
    )
    add("--launcher", default="local", choices=("local", "torchrun"), help="how to train (default: local)")
    add("--workers", type=_positive, default=1, metavar="N", help="processes of the launcher torchrun (default: 1)")
    add("--seed", type=_natural, default=0, metavar="N", help="of training (default: 0)")
    add(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="k=v",
        help="settings of the system, such as trainer.iterations=9",
    )
    add("--baseline", type=Path, metavar="FILE", help="compare with recorded scores, exit 1 when one fell")
    add("--list", action="store_true", help="print suites, systems and benchmark rows")
    add("--dry-run", action="store_true", help="print the plan and stop")
    return top


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"expected names separated by commas, got {text!r}")
    return names


def _positive(text: str) -> int:
    return _at_least(text, 1)


def _natural(text: str) -> int:
    return _at_least(text, 0)


def _at_least(text: str, lowest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = lowest - 1
    if value < lowest:
        raise argparse.ArgumentTypeError(f"expected an integer of at least {lowest}, got {text!r}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    args = parser().parse_args(given)
    complaint = missing_environment(LIGHT if args.list else LIGHT + HEAVY)
    if complaint:
        return _complain(complaint)
    from benchmark.problems import BenchmarkError

    command = ["python", "benchmark/run.py", *given]
    try:
        return show_lists() if args.list else run(args, command)
    except BenchmarkError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print(f"\nInterrupted. The same command continues: {shlex.join(command)}", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        return _complain(
            f"Cannot write {error.filename or args.work_dir}: {error.strerror}. The same command continues."
        )


def missing_environment(modules: Sequence[str]) -> str | None:
    """One line when this Python lacks what is needed, else None."""
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        version = ".".join(map(str, sys.version_info[:3]))
        return f"Python 3.11 or 3.12 is needed, this is {version}. Run 'make suite', or activate .venv."
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    if lacking:
        return f"This Python lacks {', '.join(lacking)}. Run 'make suite', or activate .venv."
    return None


def show_lists() -> int:
    """Print what can be asked for."""
    from benchmark import catalog, plan

    print("suites")
    for suite in plan.list_suites():
        print(
            f"  {suite.name:<10}{len(suite.benchmarks)} rows" + (f", {suite.limit} samples each" if suite.limit else "")
        )
    print("systems")
    for name in plan.list_systems():
        print(f"  {name}")
    print("benchmarks")
    for row in catalog.BENCHMARKS.values():
        print(f"  {row.name:<28}{row.task:<10} {row.main_score:<6} {row.num_samples:>7,} samples")
    return 0


def run(args: argparse.Namespace, command: Sequence[str]) -> int:
    """Plan, carry out, report and check."""
    from benchmark import plan as planning

    if not args.dry_run:
        check_work_dir(args.work_dir)
    plan = make_plan(args)
    print("\n".join(planning.lines(plan)), flush=True)
    if not plan.running:
        return _complain("None of the benchmarks can be run; the reasons are above.")
    if args.dry_run:
        return 0
    from benchmark import suite

    suite.check_weights(plan)
    plan = suite.run(
        plan,
        command=command,
        launcher=args.launcher,
        num_processes=args.workers,
        say=lambda line: print(line, flush=True),
    )
    print("[5/5] report", flush=True)
    code = suite.report(plan)
    if args.baseline is not None:
        code = suite.check(plan, args.baseline) or code
    return code


def make_plan(args: argparse.Namespace) -> Plan:
    """The plan of a call; raises UsageError for anything that does not exist or does not fit together."""
    from benchmark import job, launch
    from benchmark import plan as planning

    suite = planning.load_suite(args.suite)
    rows = planning.select_rows(suite, args.benchmarks)
    name, variant = planning.parse_system(args.system)
    check_files(args)
    data = planning.data_of(args.data_root, args.truth)
    found = tuple(planning.PlannedRow(benchmark=row) for row in rows)
    if not (args.data_root is None and args.truth is None):
        found = planning.open_rows(rows, args.data_root, truth=args.truth, is_mini=data.startswith("mini"))
    print(f"Loading {name}:{variant} ...", file=sys.stderr, flush=True)
    options = (*suite.options.get(f"{name}:{variant}", ()), *args.cfg_options)
    system = launch.harness().load_system(name, variant, options)
    if args.benchmarks is None:
        found = planning.answered(found, system)
    planning.check_tasks([row for row in found if row.is_run], system)
    label_sets = planning.answering_sets(system.trainings, found)
    if args.checkpoint is not None and len(label_sets) > 1:
        raise planning.several_label_sets(found)
    digest = None if args.checkpoint is None else job.sha256_of_file(args.checkpoint)
    limit = args.limit if args.limit is not None else suite.limit
    identity = {"checkpoint": digest, "seed": args.seed, "limit": limit, "data": data}
    return planning.Plan(
        suite=suite,
        system=system,
        options=options,
        rows=found,
        data=data,
        data_root=args.data_root,
        run_directory=planning.run_directory(args.work_dir, system, is_fresh=not args.resume, **identity),
        seed=args.seed,
        limit=limit,
        truth=args.truth,
        checkpoint=args.checkpoint,
        checkpoint_sha256=digest,
        is_eval_only=args.eval_only,
        trainings=planning.needed_trainings(system, label_sets, is_alone=args.checkpoint is not None),
    )


def check_files(args: argparse.Namespace) -> None:
    """Raise UsageError for a path of the call that is not there."""
    from benchmark.formats.zip_members import looks_like_zip
    from benchmark.problems import UsageError

    root = args.data_root
    if root is not None and not (root.is_dir() or looks_like_zip(root)):
        raise UsageError(f"No folder or zip at --data-root {root}. Leave it out to use the generated mini data.")
    if args.truth is not None:
        check_truth(args)
    for option, path in (("--checkpoint", args.checkpoint), ("--baseline", args.baseline)):
        if path is not None and not path.is_file():
            raise UsageError(f"No file at {option} {path}.")
    if args.baseline is not None:
        check_baseline(args.baseline)


def check_truth(args: argparse.Namespace) -> None:
    """Raise UsageError unless the call says which rows an explicit truth belongs to and which weights answer."""
    from benchmark.problems import UsageError

    if not args.truth.exists():
        raise UsageError(f"Nothing at --truth {args.truth}.")
    if args.benchmarks is None:
        raise UsageError("--truth is the truth of rows that are named: add --benchmarks A,B.")
    if args.checkpoint is None:
        raise UsageError("--truth needs weights that are trained already: add --checkpoint FILE.")


def check_baseline(path: Path) -> None:
    """Raise UsageError unless a file has the outline of a baseline; its scores are read when they are compared."""
    from benchmark.problems import UsageError

    try:
        has_scores = "scores" in json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError):
        has_scores = False
    if not has_scores:
        raise UsageError(f"{path} is no baseline: it has no 'scores'. Make one with 'python -m reports baseline'.")


def check_work_dir(work_dir: Path) -> None:
    """Raise UsageError unless files can be made in the work directory; it is made if need be."""
    from benchmark.problems import UsageError

    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir):
            pass
    except OSError as error:
        message = f"Cannot write to the work directory {work_dir}: {error.strerror}. Choose another with --work-dir."
        raise UsageError(message) from error


def _complain(message: str) -> int:
    print(message, file=sys.stderr, flush=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
