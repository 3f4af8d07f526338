"""From a config to a trained system: resolves variants, builds components, hands data to trainer and model.

A system is one file in `configs/`: a base (`model`, `trainer`) and `variants` that hold differences. Nested
`dict(type=Class, ...)` are built from the inside out, so components receive finished modules. Models never open files
and never learn a data set's name: this module loads images and hands over arrays, class names and thing flags.
"""

from __future__ import annotations

import ast
import ctypes
import difflib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.config.lazy import LazyAttr, LazyObject
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from benchmark import labels, training_sources
from benchmark.contract import Prediction, Sample
from benchmark.formats.image_files import read_rgb
from benchmark.problems import UsageError
from benchmark.prompts import ANY_LABEL_SET

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FINAL_WEIGHTS = "final.safetensors"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""
MMAP_BYTES = 32 * 2**20
"""The most that glibc accepts."""
KEPT_BYTES = 2**30

Report = Callable[[int, int, float], None]
"""Called with (iterations done, iterations in all, mean total loss since the last call)."""

Answers = Callable[[Sequence[Callable[[], NDArray[np.uint8]]], Sample], Prediction]
"""Called with what reads each frame, uint8 [H, W, 3] RGB, and the sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One set of weights. label_set: the classes it answers. rows: training row name -> share of the images seen.

    start_from: label set whose weights it begins with, or None. config: its resolved `model`, `trainer` and `source`.
    """

    label_set: str
    rows: Mapping[str, float]
    iterations: int
    start_from: str | None
    config: Mapping[str, Any]

    @property
    def is_prompted(self) -> bool:
        """Whether one set of weights answers every label set, because classes are prompts."""
        return self.label_set == ANY_LABEL_SET


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system's variant, resolved. config_hash: hexadecimal SHA-256 of `config_text` (JSON)."""

    name: str
    variant: str
    trainings: tuple[Training, ...]
    config_text: str
    config_hash: str

    def training_for(self, label_set: str) -> Training | None:
        """The training that answers a label set, or None."""
        return next((training for training in self.trainings if training.label_set == label_set), None)


def list_systems() -> tuple[str, ...]:
    """Every `system:variant`, in file order."""
    configs = {path.stem: Config.fromfile(path, lazy_import=True) for path in sorted(CONFIGS.glob("*.py"))}
    return tuple(f"{name}:{variant}" for name, config in configs.items() for variant in config.get("variants", ()))


def load_system(name: str, variant: str, options: Sequence[str] = ()) -> System:
    """The system with its variant's differences and the command line's `key=value` options applied.

    Raises UsageError for a name, variant or option that does not exist, with the nearest one that does.
    """
    path = CONFIGS / f"{name}.py"
    if not path.is_file():
        raise UsageError(_unknown("system", name, sorted({known.split(":")[0] for known in list_systems()})))
    config = Config.fromfile(path, lazy_import=True)
    if variant not in config.variants:
        raise UsageError(_unknown(f"variant of {name}", variant, list(config.variants)))
    row = config.variants[variant]
    shared = {key: config[key] for key in ("model", "trainer", "load_weights", "answers") if key in config}
    base = merged(shared, _without(row, "trainings"))
    trainings = tuple(_training(base, differences, options) for differences in row["trainings"])
    text = json.dumps({training.label_set: plain(training.config) for training in trainings}, indent=1, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return System(name=name, variant=variant, trainings=trainings, config_text=text, config_hash=digest)


def _training(base: Mapping[str, Any], differences: Mapping[str, Any], options: Sequence[str]) -> Training:
    config = merged(base, _without(differences, "label_set", "rows", "start_from"))
    for option in options:
        config = merged(config, _parsed(option, config))
    return Training(
        label_set=differences["label_set"],
        rows=dict(differences["rows"]),
        iterations=config["trainer"]["iterations"],
        start_from=differences.get("start_from"),
        config=config,
    )


def merged(base: Mapping[str, Any], differences: Mapping[str, Any]) -> dict[str, Any]:
    """A deep merge; a difference that names another `type` replaces the whole dict."""
    result = dict(base)
    for key, value in differences.items():
        old = result.get(key)
        is_replaced = not (isinstance(value, Mapping) and isinstance(old, Mapping)) or (
            "type" in value and plain(value["type"]) != plain(old.get("type"))
        )
        result[key] = value if is_replaced else merged(old or {}, value)
    return result


def build(node: Any, **given: Any) -> Any:
    """Construct nested `dict(type=Class, ...)` from the inside out; `given` are more arguments of the outermost one."""
    if isinstance(node, Mapping):
        values = {key: build(value) for key, value in node.items() if key != "type"} | given
        return node["type"](**values) if "type" in node else values
    if isinstance(node, (list, tuple)):
        return type(node)(build(item) for item in node)
    return node


def plain(node: Any) -> Any:
    """The config as JSON values, classes as dotted names."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [plain(item) for item in node]
    if isinstance(node, (LazyObject, LazyAttr)):
        return node.dotted_name if hasattr(node, "dotted_name") else str(node)
    return f"{node.__module__}.{node.__qualname__}" if callable(node) else node


def build_model(training: Training) -> Any:
    """The training's model with fresh weights, told its class names and which of them are things."""
    return build(training.config["model"], **({} if training.is_prompted else _classes(training)))


def _classes(training: Training) -> dict[str, Any]:
    label_set = labels.load(training.label_set)
    return {"class_names": label_set.names, "is_thing": tuple(bool(flag) for flag in label_set.is_thing)}


def train(
    training: Training,
    *,
    data_root: Path,
    is_mini: bool,
    work_dir: Path,
    seed: int,
    report: Report,
    start_from: Path | None = None,
) -> Path:
    """Train, or continue, in `work_dir`; returns the file of the final weights.

    start_from: weights to begin with; tensors whose shape differs keep their fresh values. Raises DataError where
    training data is missing or broken.
    """
    final = work_dir / FINAL_WEIGHTS
    if final.is_file():
        return final
    keep_freed_memory()
    join_processes()
    opened = partial(training_sources.annotated, data_root=data_root, is_mini=is_mini)
    sources: Sequence[Any]
    if training.is_prompted:
        sources = training_sources.prompted(training.rows, data_root=data_root, is_mini=is_mini)
    else:
        sources = opened(training.rows)
    work_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = build_model(training)
    if start_from is not None:
        load_matching(model, load_file(start_from))
    elif "warm_up" in training.config:
        warm_up = build(training.config["warm_up"])
        label_set = training.config["warm_up_labels"] if training.is_prompted else training.label_set
        warm_up.fit(
            model.backbone,
            opened({training.config["warm_up_row"]: 1.0}) if training.is_prompted else sources,
            is_thing=labels.load(label_set).is_thing,
            work_dir=work_dir / "warm_up",
            seed=seed,
            report=_part(report, before=0, after=training.iterations),
        )
        report = _part(report, before=warm_up.trainer.iterations, after=0)
    classes = {} if training.is_prompted else {"recipe": _classes(training)}
    trainer = build(merged(training.config["trainer"], classes))
    weights = trainer.fit(model, sources, work_dir=work_dir, seed=seed, report=report)
    if int(os.environ.get("RANK", "0")) == 0:
        part = final.with_suffix(".partial")
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, part)
        part.replace(final)
    return final


def _part(report: Report, *, before: int, after: int) -> Report:
    """`report` for a run that has `before` iterations behind it and `after` ahead of it."""
    return lambda done, total, loss: report(before + done, before + total + after, loss)


def join_processes() -> None:
    """Join the group that torchrun started this process in, if it did. Without CUDA the processes talk through gloo."""
    if "RANK" in os.environ and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def keep_freed_memory() -> None:
    """Let glibc reuse large blocks instead of returning them to the kernel.

    Every step allocates the same tensors again; a block that was returned faults in page by page, a tenth of a step.
    """
    if not torch.cuda.is_available():
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def device_name() -> str:
    """What models run on here, for records."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def load_matching(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """Load the tensors whose name and shape fit; returns the names that keep their fresh values."""
    own = model.state_dict()
    fitting = {name: tensor for name, tensor in weights.items() if name in own and own[name].shape == tensor.shape}
    model.load_state_dict(fitting, strict=False)
    return tuple(sorted(set(own) - set(fitting)))


def load_predictor(training: Training, checkpoint: Path) -> Callable[[Sample], Prediction]:
    """A training's model with a checkpoint's weights, as a function from samples to predictions.

    checkpoint: our own safetensors file or a published layout that the system's `load_weights` knows. Raises
    BenchmarkError when a key is missing, unexpected or of another shape.
    """
    if training.is_prompted:
        answer = load_answers(training, checkpoint)
        return lambda sample: answer([partial(read_rgb, path) for path in sample.frames], sample)
    model = _load_model(training, checkpoint)

    def predict(sample: Sample) -> Prediction:
        with torch.inference_mode():
            return model.predict(read_rgb(sample.frames[0]), sample)

    return predict


def load_answers(training: Training, checkpoint: Path) -> Answers:
    """A prompted training's model with a checkpoint's weights, for frames that somebody else reads."""
    answers = build(training.config["answers"], model=_load_model(training, checkpoint))

    def answer(frames: Sequence[Callable[[], NDArray[np.uint8]]], sample: Sample) -> Prediction:
        with torch.inference_mode():
            return answers.predict(frames, sample)

    return answer


def _load_model(training: Training, checkpoint: Path) -> Any:
    """The model in evaluation mode, on the GPU where there is one."""
    keep_freed_memory()
    model = build_model(training)
    build(training.config["load_weights"])(model, checkpoint)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _parsed(option: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """One `a.b.c=value` of the command line as nested differences; the path must exist in the config."""
    path, separator, text = option.partition("=")
    keys, node = path.split("."), config
    for depth, key in enumerate(keys):
        if not separator or not isinstance(node, Mapping) or key not in node:
            place = ".".join(keys[:depth]) or "the config"
            raise UsageError(_unknown(f"option {option!r}: key of {place}", key, list(node)))
        node = node[key]
    value = _literal(text)
    for key in reversed(keys):
        value = {key: value}
    return value


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return (
        f"Unknown {kind}: {name!r}. " + (f"Did you mean {near[0]!r}? " if near else "") + f"Known: {', '.join(known)}."
    )
