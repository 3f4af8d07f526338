"""The commands of `python -m models`: checkpoint.

    python -m models checkpoint FILE --system oneformer:swin_l_ade20k_640

Exit codes: 0 every key has its place, 2 the input or the call is wrong, in one clear line for each problem.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import harness
from benchmark.problems import BenchmarkError, DataError, UsageError, raise_if_any
from models.checkpoints import convert, load_published


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except DataError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 2
    except BenchmarkError as error:
        print(f"models: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; the interpreter's own flush must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("models: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models")
    commands = parser.add_subparsers(required=True, metavar="checkpoint")
    one = commands.add_parser("checkpoint", help="load a checkpoint strictly and say what became of every key")
    one.add_argument("file", type=Path, metavar="FILE", help="a .pth, .pkl or .safetensors file, or a folder")
    one.add_argument("--system", required=True, metavar="NAME:VARIANT", help="what it is loaded into")
    one.add_argument("--label-set", help="which of the variant's trainings (the first)")
    one.set_defaults(run=_checkpoint)
    return parser


def _checkpoint(options: argparse.Namespace) -> None:
    """Print the report; raises DataError with every key that has no place."""
    published = load_published(options.file)
    model = harness.build_model(_training(options.system, options.label_set))
    _, report = convert(published.state, layout=published.layout, model=model)
    print(report)
    raise_if_any(report.problems(str(options.file)))


def _training(system: str, label_set: str | None) -> harness.Training:
    name, separator, variant = system.partition(":")
    if not separator:
        raise UsageError(f"--system {system}: expected NAME:VARIANT, such as oneformer:swin_l_ade20k_640")
    trainings = harness.load_system(name, variant).trainings
    known = {training.label_set: training for training in trainings}
    if label_set is None:
        return trainings[0]
    if label_set not in known:
        raise UsageError(f"--label-set {label_set}: {system} has {', '.join(known)}")
    return known[label_set]


if __name__ == "__main__":
    raise SystemExit(main())
