"""A stand-in for `benchmark.harness`: a system whose training counts and whose predictor spoils the truth a little.

What it answers follows from the sample, the asked sentence and the weights alone, so interrupted runs can be compared.
`python tests/fake_harness.py ...` is `python benchmark/run.py ...` with this system.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.contract import Instances, LabelMap, Panoptic, Prediction, Sample
from benchmark.problems import UsageError

FINAL_WEIGHTS = "final.safetensors"
PAUSE = "FAKE_HARNESS_PAUSE"
"""Environment variable: seconds that one iteration or one prediction takes."""
NO_REPORT = "FAKE_HARNESS_NO_REPORT"
"""Environment variable: leave out the report, which has tests of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    label_set: str
    rows: Mapping[str, float]
    iterations: int
    start_from: str | None = None
    config: Mapping[str, Any] = field(default_factory=lambda: {"seconds_per_iteration": 0.5})


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    name: str
    variant: str
    trainings: tuple[Training, ...]
    config_text: str
    config_hash: str

    def training_for(self, label_set: str) -> Training | None:
        return next((training for training in self.trainings if training.label_set == label_set), None)


def load_system(name: str, variant: str, options: Sequence[str] = ()) -> System:
    if any("=" not in option for option in options):
        raise UsageError(f"Option {options[0]!r} is not of the form key=value.")
    text = json.dumps({"options": list(options)})
    trainings = (
        Training(label_set="coco_panoptic", rows={"coco_panoptic_train2017": 1.0}, iterations=8),
        Training(label_set="ade20k", rows={"ade20k_panoptic_train": 1.0}, iterations=4, start_from="coco_panoptic"),
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return System(name=name, variant=variant, trainings=trainings, config_text=text, config_hash=digest)


def train(
    training: Training,
    *,
    data_root: Path,
    is_mini: bool,
    work_dir: Path,
    seed: int,
    report: Callable[[int, int, float], None],
    start_from: Path | None = None,
) -> Path:
    work_dir.mkdir(parents=True, exist_ok=True)
    state = work_dir / "state.txt"
    first = int(state.read_text()) if state.is_file() else 0
    for iteration in range(first, training.iterations):
        pause()
        partial = work_dir / ".state"
        partial.write_text(str(iteration + 1))
        partial.replace(state)
        report(iteration + 1, training.iterations, 1.0 / (iteration + 1))
    begin = "" if start_from is None else start_from.read_text()
    weights = work_dir / FINAL_WEIGHTS
    weights.write_text(f"{training.label_set} {seed} {state.read_text()} {begin}\n")
    return weights


def load_predictor(training: Training, checkpoint: Path) -> Callable[[Sample], Prediction]:
    weights = checkpoint.read_text()
    return lambda sample: predict(sample, weights)


def device_name() -> str:
    return "fake"


def pause() -> None:
    time.sleep(float(os.environ.get(PAUSE, "0")))


def predict(sample: Sample, weights: str) -> Prediction:
    """The truth with noise; with much more of it when the sentence names another task."""
    pause()
    text = f"{sample.sample_id}|{sample.prompt.sentence}|{weights}"
    dice = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
    is_asked_rightly = str(sample.prompt.task) in (sample.prompt.sentence or "")
    keep = 0.9 if is_asked_rightly else 0.3
    truth = sample.truth.frames[0] if sample.truth else None
    match truth:
        case Instances():
            chosen = np.flatnonzero((dice.random(len(truth)) < keep) & ~truth.is_crowd)
            found = replace(
                truth,
                masks=None if truth.masks is None else tuple(truth.masks[index] for index in chosen),
                **{name: getattr(truth, name)[chosen] for name in ("boxes", "area", "class_index", "object_id")},
                score=dice.random(len(chosen)),
                is_crowd=np.zeros(len(chosen), bool),
            )
            return Prediction(frames=(found,))
        case LabelMap():
            is_kept = dice.random(truth.class_index.shape) < keep
            spoiled = np.where(is_kept, truth.class_index, 0).astype(np.uint16)
            return Prediction(frames=(LabelMap(class_index=spoiled),))
        case Panoptic():
            kept = tuple(one for one in truth.segments if not one.is_crowd and dice.random() < keep)
            is_kept = np.isin(truth.segment_id, [one.id for one in kept])
            segments = tuple(replace(one, score=0.5, area=None) for one in kept)
            return Prediction(frames=(Panoptic(segment_id=truth.segment_id * is_kept, segments=segments),))
        case _:
            raise TypeError(f"{sample.sample_id} has no truth to spoil")


if __name__ == "__main__":
    from benchmark import launch, plan, run, suite

    if NO_REPORT in os.environ:
        suite.report = lambda done: 0  # type: ignore[assignment]
    launch.harness = lambda: sys.modules["__main__"]  # type: ignore[assignment]
    plan.list_systems = lambda: ("oneformer:mini",)  # type: ignore[assignment]
    sys.exit(run.main(sys.argv[1:]))
