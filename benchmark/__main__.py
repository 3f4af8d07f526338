"""The commands of `python -m benchmark`: list, describe, doctor, audit, score, demo.

Exit codes: 0 done, 1 the doctor found something broken, 2 the input or the call is wrong, in one clear line for each
problem. Commands import what they need when they are called, so that the help is there at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.problems import BenchmarkError, DataError, UsageError, shortened
from benchmark.progress import Progress

if TYPE_CHECKING:
    from benchmark.catalog import Benchmark

COMMANDS = ("list", "describe", "doctor", "audit", "score", "demo")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(given)
    try:
        return int(options.run(options))
    except DataError as error:
        print(*_shown(error), sep="\n", file=sys.stderr)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
    except BrokenPipeError:
        # The reader of the output has what it wanted (`| head`); the flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"benchmark: {place}{error.strerror or error}. Check the path, its permissions and the free space.",
              file=sys.stderr)  # fmt: skip
    except KeyboardInterrupt:
        print("benchmark: interrupted", file=sys.stderr)
        return 130
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m benchmark", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True, metavar="|".join(COMMANDS), parser_class=_Parser)

    one = commands.add_parser("list", help="every benchmark, one line each")
    one.add_argument("--json", action="store_true", help="print the catalogue as a JSON list")
    one.set_defaults(run=_list)

    one = commands.add_parser("describe", help="one benchmark in full; without a name, the mini data's world")
    one.add_argument("name", nargs="?", metavar="NAME")
    one.add_argument("--data-root", type=Path, help="where the data sets are; the mini data without it")
    one.set_defaults(run=_describe)

    one = commands.add_parser(
        "doctor", help="which official layouts lie below a data root, and what is wrong with them"
    )
    one.add_argument("root", type=Path, metavar="DATA_ROOT")
    one.add_argument("--out", type=Path, help="also write what was found to this JSON file")
    one.set_defaults(run=_doctor)

    one = commands.add_parser("audit", help="how many pictures training and evaluation splits share")
    one.add_argument("root", type=Path, metavar="DATA_ROOT")
    one.add_argument("--out", type=Path, help="also write all pairs to this JSON file")
    one.set_defaults(run=_audit)

    one = commands.add_parser("score", help="score prediction files of any tool")
    one.add_argument("name", metavar="NAME", help="a benchmark of 'list'")
    one.add_argument(
        "predictions", type=Path, metavar="PREDICTIONS", help="file, folder or zip; 'describe NAME' says the form"
    )
    truth = one.add_mutually_exclusive_group()
    truth.add_argument("--data-root", type=Path, help="where the data sets are; the mini data without it")
    truth.add_argument("--truth", type=Path, help="explicit truth in the row's layout; counts are not enforced")
    one.add_argument("--protocol", help="another protocol than the headline's")
    one.add_argument("--work-dir", type=Path, help="where record and statistics go (runs/score-<hash8>)")
    one.add_argument("--out", type=Path, help="also write the record to this JSON file")
    one.add_argument("--workers", type=_positive, metavar="N", help="processes at most (as many as cores)")
    one.add_argument("--no-stats", action="store_true", help="keep no per-sample statistics; cannot be continued")
    one.set_defaults(run=_score)

    one = commands.add_parser("demo", help="score stored example predictions and write a report; needs no torch")
    one.add_argument("--work-dir", type=Path, default=Path("runs"), help="where the run directory goes (runs)")
    one.set_defaults(run=_demo)

    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are one line, with a suggestion for a mistyped command."""

    def error(self, message: str) -> Any:
        from benchmark.labels import suggestion

        wrong = next((word for word in sys.argv[1:2] if not word.startswith("-") and word not in COMMANDS), "")
        near = suggestion(wrong, COMMANDS) if wrong and "invalid choice" in message else ""
        self.exit(2, f"{self.prog}: {message}.{near} See {self.prog} --help\n")


def _list(options: argparse.Namespace) -> int:
    from benchmark import catalog, overview

    rows = list(catalog.BENCHMARKS.values())
    if options.json:
        print(json.dumps([overview.facts(row) for row in rows], indent=1))
    else:
        print(*overview.table(rows, len(catalog.TRAINING)), sep="\n")
    return 0


def _describe(options: argparse.Namespace) -> int:
    from benchmark import catalog, overview

    root = options.data_root
    if options.name is None:
        from benchmark.minidata import clip_difficulty, difficulty

        root = root or _mini_root()
        if not catalog.is_mini_root(root):
            raise UsageError(
                f"{root} is not the mini data. Name a benchmark to describe: {', '.join(catalog.BENCHMARKS)}."
            )
        print(*difficulty.describe(root), sep="\n")
        if options.data_root is None:
            print("", *clip_difficulty.describe(), sep="\n")
        return 0
    row = catalog.get(options.name)
    print(*overview.describe(row), sep="\n")
    if root is not None:
        listing = catalog.open_listing(row, root, is_mini=catalog.is_mini_root(root))
        print(f"{'found':<12}{len(listing.entries):,} {row.unit} below {root}")
        for note, count in listing.notes.items():
            print(f"{'':<12}{count:,} {note}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from benchmark import doctor, overview

    _check_out(options.out)
    with Progress("examining") as progress:
        diagnosis = doctor.examine(options.root, report=progress.update)
    _keep(options.out, doctor.as_json(diagnosis))
    print(*overview.aligned(doctor.table(diagnosis)), sep="\n")
    for row, path in diagnosis.absent.items():
        print(f"not there: {row} (looked for {path})")
    problems = dict.fromkeys(problem for finding in diagnosis.findings for problem in finding.problems)
    for problem in problems:
        print(problem)
    return 0 if diagnosis.is_sound else 1


def _audit(options: argparse.Namespace) -> int:
    from benchmark import audit, overview
    from benchmark.wording import agreeing

    _check_out(options.out)
    with Progress("comparing") as progress:
        pairs = audit.examine(options.root, report=progress.update)
    _keep(options.out, audit.as_json(pairs))
    num_sharing = sum(pair.num_shared > 0 for pair in pairs)
    if num_sharing:
        print(*overview.aligned(audit.table(pairs), numbers=(2, 3)), sep="\n")
    print(agreeing(f"{num_sharing:,} of {len(pairs):,} pairs of splits share pictures"))
    return 0


def _check_out(path: Path | None) -> None:
    from benchmark import scoring

    if path is not None:
        scoring.check_target(path, is_folder=False)


def _keep(path: Path | None, content: Any) -> None:
    from benchmark import store

    if path is not None:
        store.write_json(path, content)


def _score(options: argparse.Namespace) -> int:
    from benchmark import catalog, score_lines, scoring
    from benchmark.formats import archives
    from benchmark.trust.suspicion import Diagnosis

    row = catalog.get(options.name)
    _check_out(options.out)
    root = options.data_root
    if root is None and options.truth is None:
        root = _miniature(row)
    request = scoring.Request(
        row=row,
        predictions=options.predictions,
        root=root,
        truth=options.truth,
        protocol=options.protocol,
        workers=options.workers,
    )
    work_dir = options.work_dir or scoring.work_directory(request)
    scoring.check_work_directory(request, work_dir)
    with Progress(f"scoring {row.name}") as progress:
        outcome = scoring.score(request, work_dir=None if options.no_stats else work_dir, report=progress.update)
    path = scoring.keep(request, outcome, work_dir, with_stats=not options.no_stats)
    _keep(options.out, outcome.record)
    print(*score_lines.of(outcome.record, row.unit), sep="\n")
    for one in outcome.record["diagnoses"]:
        print(f"warning: {Diagnosis(**one)}", file=sys.stderr)
    print(f"predictions: read as {archives.kind_of(options.predictions)}")
    print(f"record: {path}" + ("" if options.out is None else f", copied to {options.out}"))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from benchmark import demo, scoring

    scoring.check_target(options.work_dir, is_folder=True)
    return demo.run(options.work_dir, say=lambda line: print(line, flush=True))


def _mini_root() -> Path:
    from benchmark.minidata import generate

    return generate.ensure()


def _miniature(row: Benchmark) -> Path:
    """The data root of the row's miniature, generated at its first use."""
    from benchmark import catalog
    from benchmark.minidata import miniatures

    with Progress(f"mini data of {row.dataset}"):
        return miniatures.root_of(row, [*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()])


def _shown(error: DataError) -> list[str]:
    return shortened(str(problem).replace("\n", " ") for problem in error.problems)


if __name__ == "__main__":
    sys.exit(main())
