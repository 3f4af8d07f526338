"""The commands of `python -m leaderboards`: list, write, validate.

Exit codes: 0 done, 1 an archive has errors (none is written then), 2 the input or the call is wrong. Commands import
what they need when they run, so that help is there at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.labels import suggestion
from benchmark.problems import BenchmarkError, DataError, UsageError, shortened
from benchmark.wording import agreeing
from leaderboards.problems import ERROR, Problem, has_errors

COMMANDS = ("list", "write", "validate")
SUBMISSION, RESULT = "submission", "validation.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(given).parse_args(given)
    try:
        return int(options.run(options))
    except DataError as error:
        lines = [str(problem).replace("\n", " ") for problem in error.problems]
        print(*shortened(lines), sep="\n", file=sys.stderr)
    except BenchmarkError as error:
        print(f"leaderboards: {error}", file=sys.stderr)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = f"{place}{error.strerror or error}"
        print(f"leaderboards: {reason}. Check the path, its permissions and the free space.", file=sys.stderr)
    except KeyboardInterrupt:
        print("leaderboards: interrupted", file=sys.stderr)
        return 130
    return 2


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are one line, with a suggestion for a mistyped command."""

    word = ""

    def error(self, message: str) -> Any:
        near = suggestion(self.word, COMMANDS) if self.word and "invalid choice" in message else ""
        self.exit(2, f"{self.prog}: {message}.{near} See {self.prog} --help\n")


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m leaderboards", description=(__doc__ or "").splitlines()[0])
    parser.word = next((word for word in given[:1] if not word.startswith("-")), "")
    commands = parser.add_subparsers(required=True, metavar="|".join(COMMANDS), parser_class=_Parser)
    one = commands.add_parser("list", help="every server: its state, its rules, and the archive that it takes")
    one.add_argument("name", nargs="?", metavar="NAME", help="a benchmark: its server in full")
    one.set_defaults(run=_list)
    one = commands.add_parser("write", help="write the archive of a benchmark")
    one.add_argument("source", type=Path, metavar="RUN", help="a run directory, or predictions in the result form")
    one.add_argument("name", metavar="NAME", help="a benchmark of 'python -m benchmark list'")
    one.add_argument("--out", type=Path, help="the archive (RUN/NAME/submission/ and the official name)")
    _add_data_root(one, "where the data sets are; as the run says, or the mini data")
    one.set_defaults(run=_write)
    one = commands.add_parser("validate", help="list everything that is wrong with an archive")
    one.add_argument("name", metavar="NAME", help="a benchmark of 'python -m benchmark list'")
    one.add_argument("file", type=Path, metavar="FILE", help="the archive")
    _add_data_root(one, "where the data sets are: names, sizes and ids are compared with them")
    one.set_defaults(run=_validate)
    return parser


def _add_data_root(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--data-root", type=Path, metavar="DIR", help=text)


def _list(options: argparse.Namespace) -> int:
    from leaderboards import servers

    if options.name is not None:
        print(*_in_full(options.name), sep="\n")
        return 0
    rows = [["server", "state", "checked", "archive", "submissions", "address"]]
    for key, server in servers.all_servers().items():
        name = "—" if server.form is None else server.form.archive.format(row="NAME", split="SPLIT", system="SYSTEM")
        rows.append(
            [key, str(server.state), server.state.checked, name, server.rules.submissions, server.state.address]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _in_full(name: str) -> list[str]:
    from benchmark import catalog
    from leaderboards import servers
    from leaderboards.families import form_of

    row = catalog.get(name)
    form, server = form_of(row), servers.server_of(row)
    facts = {"benchmark": row.name, "archive": form.archive_name(row, "<system>")}
    facts["inside"] = form.place_of(row, "<system>") or "the results at the root"
    if server is None:
        facts["server"] = "none: the truth is public, or nobody scores it"
    else:
        facts |= {
            "server": server.state.address,
            "state": f"{server.state} (looked up {server.state.checked})",
            "evidence": server.state.evidence,
            "submissions": server.rules.submissions,
            "size": server.rules.size,
            "refuses": "; ".join(server.rules.refuses) or "nothing is stated",
        }
    return [f"{key:<13}{value}" for key, value in facts.items()]


def _write(options: argparse.Namespace) -> int:
    from benchmark import catalog
    from leaderboards import servers, sources, writing

    row = catalog.get(options.name)
    source = sources.find(options.source, row)
    folder = Path() if source.job is None else source.job / SUBMISSION
    target = writing.target_of(row, options.out, folder, source.system)
    root = sources.data_root(source, row, options.data_root)
    samples = sources.samples_of(row, root)
    found = writing.write(row, samples, source.predictions(row, samples), target)
    _tell(found)
    if source.job is not None and options.out is None:
        content = {"benchmark": row.name, "archive": target.name, "problems": [_facts(one) for one in found]}
        sources.write_result(folder / RESULT, content)
    if has_errors(found):
        print(f"{target} was not written: its server would refuse it, or score something else.")
        return 1
    print(agreeing(f"{target}: {target.stat().st_size:,} bytes, {len(samples):,} samples"))
    server = servers.server_of(row)
    if catalog.is_mini_root(root):
        print("It answers the mini data, which no server knows.")
    print("server: none" if server is None else f"server: {server.state}, {server.state.address}")
    return 0


def _validate(options: argparse.Namespace) -> int:
    from benchmark import catalog
    from leaderboards import sources, validation

    row = catalog.get(options.name)
    if not options.file.is_file():
        kind = "is a folder" if options.file.is_dir() else "does not exist"
        raise UsageError(f"{options.file} {kind}. Give the archive itself.")
    samples = None if options.data_root is None else sources.samples_of(row, options.data_root)
    found = validation.validate(row, options.file, samples)
    _tell(found)
    num = sum(one.severity == ERROR for one in found)
    print(agreeing(f"{options.file}: {num:,} errors, {len(found) - num:,} warnings"))
    if samples is None:
        print(f"Names, sizes and ids were not compared with {row.name}: give --data-root DIR for the whole check.")
    return 1 if num else 0


def _tell(found: Sequence[Problem]) -> None:
    lines = [str(problem).replace("\n", " ") for problem in found]
    if lines:
        print(*shortened(lines), sep="\n")


def _facts(problem: Problem) -> dict[str, str]:
    return {name: getattr(problem, name) for name in ("severity", "place", "message", "remedy")}


if __name__ == "__main__":
    sys.exit(main())
