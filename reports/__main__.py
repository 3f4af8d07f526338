"""`python -m reports`: tables, pages and verdicts from finished runs.

Exit codes: 0 done, 1 a score fell by more than its tolerance or is missing, 2 the call or the input is wrong (one line
per problem, no traceback).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmark import store
from benchmark.problems import BenchmarkError, UsageError
from reports import check, published, summary
from reports.records import Run, load_run
from reports.sources import Places
from reports.tables import Table, to_csv, to_latex, to_markdown

SPELLINGS: Mapping[str, Callable[[Table], str]] = {"md": to_markdown, "csv": to_csv, "tex": to_latex}


def build(args: argparse.Namespace) -> int:
    """Write the whole report of a run into its directory."""
    from reports.build import build_report

    folder = args.out or args.run / "report"
    page = build_report(load_run(args.run), folder, places=_places(args))
    print(page)
    return 0


def html(args: argparse.Namespace) -> int:
    """Write only the page."""
    from reports.build import build_page

    _write(args.out, build_page(load_run(args.run), places=_places(args)))
    print(args.out)
    return 0


def table(args: argparse.Namespace) -> int:
    """Print the headline table of one or more runs."""
    found = summary.headline_table(_runs(args.runs), published.load())
    sys.stdout.write(SPELLINGS[args.format](found))
    return 0


def check_scores(args: argparse.Namespace) -> int:
    """Compare runs with a baseline; 1 when something fell or is missing."""
    comparisons = check.check(_runs(args.runs), check.read_baseline(args.baseline))
    found = check.comparison_table(comparisons, is_full=args.full)
    sys.stdout.write(to_markdown(found) if found.rows else f"Against {args.baseline}: {found.note}\n")
    if args.junit:
        _write(args.junit, check.to_junit(comparisons))
    if args.annotate:
        sys.stdout.writelines(f"{line}\n" for line in check.annotation_lines(comparisons))
    return int(any(comparison.is_failure for comparison in comparisons))


def compare(args: argparse.Namespace) -> int:
    """Print the paired differences of two runs over the samples both scored."""
    from reports.compare import comparison_table

    found = comparison_table(load_run(args.run_a), load_run(args.run_b), every_score=args.all)
    sys.stdout.write(SPELLINGS[args.format](found))
    return 0


def baseline(args: argparse.Namespace) -> int:
    """Write a baseline file from one run with a given tolerance, or from several with a measured one."""
    words = ["python -m reports baseline", *map(str, args.runs), f"--out {args.out}"]
    words += [f"--tolerance {args.tolerance:g}"] if args.tolerance is not None else [f"--factor {args.factor:g}"]
    made = check.make_baseline(
        _runs(args.runs),
        note=args.note,
        command=args.command_line or " ".join(words),
        tolerance=args.tolerance,
        factor=args.factor,
        floor=args.floor,
        is_exact=args.exact,
    )
    _write(args.out, check.to_json(made))
    print(args.out)
    return 0


def _places(args: argparse.Namespace) -> Places:
    return Places(data_root=args.data_root, truth=args.truth)


def _runs(folders: Sequence[Path]) -> list[Run]:
    return [load_run(folder) for folder in folders]


def _write(path: Path, content: str) -> None:
    """Write a text file in one step; raises UsageError where that is not possible."""
    try:
        store.write_text(path, content)
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror}. Choose a place that you may write to.") from error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m reports", description="Tables, pages and verdicts from finished runs."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("build", help="write RUN/report: index.html, tables, plots, panels")
    one.add_argument("run", type=Path, metavar="RUN")
    one.add_argument("--out", type=Path, metavar="DIR", help="instead of RUN/report")
    _add_places(one)
    one.set_defaults(action=build)

    one = commands.add_parser("html", help="write one self-contained page")
    one.add_argument("run", type=Path, metavar="RUN")
    one.add_argument("--out", type=Path, metavar="F.html", required=True)
    _add_places(one)
    one.set_defaults(action=html)

    one = commands.add_parser("table", help="print the main scores of runs beside each other")
    one.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    one.add_argument("--format", choices=SPELLINGS, default="md")
    one.set_defaults(action=table)

    one = commands.add_parser("check", help="compare with recorded scores; exit 1 when one fell or is missing")
    one.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories or record files")
    one.add_argument("--baseline", type=Path, required=True, metavar="F.json")
    one.add_argument("--junit", type=Path, metavar="F.xml", help="also write JUnit XML")
    one.add_argument("--annotate", action="store_true", help="also print GitHub annotation lines")
    one.add_argument("--full", action="store_true", help="list unchanged scores too")
    one.set_defaults(action=check_scores)

    one = commands.add_parser("compare", help="paired differences of two runs, with 95 %% intervals")
    one.add_argument("run_a", type=Path, metavar="RUN_A")
    one.add_argument("run_b", type=Path, metavar="RUN_B", help="run directories, or work directories of 'score'")
    one.add_argument("--all", action="store_true", help="every score, not the headline's alone")
    one.add_argument("--format", choices=SPELLINGS, default="md")
    one.set_defaults(action=compare)

    one = commands.add_parser("baseline", help="record scores for `check`")
    one.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="one run with --tolerance, or runs of several seeds"
    )
    one.add_argument("--out", type=Path, required=True, metavar="F.json")
    one.add_argument("--tolerance", type=float, metavar="X", help="fraction by which every score may fall")
    one.add_argument(
        "--factor", type=float, default=2.0, metavar="K", help="tolerance = K x spread over runs (default 2)"
    )
    one.add_argument(
        "--floor", type=float, default=0.01, metavar="X", help="smallest measured tolerance (default 0.01)"
    )
    one.add_argument("--exact", action="store_true", help="a rise fails as well: for stored predictions, scored again")
    one.add_argument("--note", default="", help="one line on what these scores are")
    one.add_argument("--command-line", default="", help="how the runs were made (default: this command)")
    one.set_defaults(action=baseline)
    return top


def _add_places(one: argparse.ArgumentParser) -> None:
    """Options that say where the pictures of the panels are."""
    one.add_argument("--data-root", type=Path, metavar="DIR", help="where the images are (default: as the run says)")
    one.add_argument("--truth", type=Path, metavar="PATH", help="explicit truth instead of the official split")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = parser().parse_args(arguments)
    try:
        return int(args.action(args))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (`head`, a pager) has left; without this, Python complains once more while it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
