"""The commands of `python -m models`: checkpoint, predict.

    python -m models checkpoint FILE --system oneformer:swin_l_ade20k_640
    python -m models predict PICTURE_OR_VIDEO --checkpoint FILE --prompt "the leftmost red disc"

Exit codes: 0 every key has its place or the answer is written, 2 the input or the call is wrong, in one clear line for
each problem.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmark import harness, own_files
from benchmark.contract import Task
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
    commands = parser.add_subparsers(required=True, metavar="checkpoint | predict")
    one = commands.add_parser("checkpoint", help="load a checkpoint strictly and say what became of every key")
    one.add_argument("file", type=Path, metavar="FILE", help="a .pth, .pkl or .safetensors file, or a folder")
    one.add_argument("--system", required=True, metavar="NAME:VARIANT", help="what it is loaded into")
    one.add_argument("--label-set", help="which of the variant's trainings (the first)")
    one.set_defaults(run=_checkpoint)
    _add_predict(commands.add_parser("predict", help="ask a model about your own picture or video"))
    return parser


def _add_predict(one: argparse.ArgumentParser) -> None:
    one.add_argument("file", type=Path, metavar="PICTURE_OR_VIDEO", help="a picture, a video, or a folder of pictures")
    one.add_argument("--prompt", metavar="TEXT", help="what to find, as in 'the leftmost red disc'")
    one.add_argument("--classes", type=_names, default=(), metavar="A,B", help="class names to look for")
    one.add_argument("--box", type=_box, metavar="X,Y,W,H", help="an object in the first frame of a video, in pixels")
    one.add_argument("--task", type=Task, choices=list(Task), metavar="T", help="kind of answer for --classes")
    one.add_argument("--things", type=_names, metavar="A,B", help="which of the classes are counted (all)")
    one.add_argument("--system", default="unified:mini", metavar="NAME:VARIANT", help="default: unified:mini")
    one.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="its weights")
    one.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: FILE's name with .answer)")
    one.set_defaults(run=_predict)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(value) for value in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected X,Y,W,H in pixels, got {text!r}") from None
    return x, y, width, height


def _predict(options: argparse.Namespace) -> None:
    """Write the answer and name its files."""
    footage = own_files.open_footage(options.file)
    prompt = own_files.question(
        footage, expression=options.prompt, classes=options.classes, box=options.box, task=options.task
    )
    if options.things is not None:
        prompt = replace(prompt, is_thing=tuple(name in options.things for name in prompt.labels or ()))
    if not options.checkpoint.is_file():
        raise UsageError(f"No weights at --checkpoint {options.checkpoint}")
    training = _training(options.system, None)
    if not training.is_prompted:
        raise UsageError(f"{options.system} has a closed vocabulary. Name a system that is prompted: unified:mini")
    answers = harness.load_answers(training, options.checkpoint)
    frames = [partial(footage.read, index) for index in range(len(footage.names))]
    prediction = answers(frames, own_files.sample_of(footage, prompt, options.file))
    folder = options.out or options.file.with_name(f"{options.file.stem}.answer")
    facts = {"system": options.system, "checkpoint": options.checkpoint.name, "asked": _asked(options)}
    written = own_files.write_answer(folder, footage, prompt, prediction, facts)
    print(f"{written[0]} and {len(written) - 1} overlay{'s' if len(written) > 2 else ''} beside it")


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """The question as JSON values."""
    asked = {"prompt": options.prompt, "classes": list(options.classes) or None, "box_xywh": options.box}
    return {name: value for name, value in asked.items() if value is not None}


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
