"""Training: parameter groups after the authors' rule, a killed run that continues to the same bits, a stop at NaN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import CosineAnnealingLR, LinearLR, PolyLR
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.contract import AnnotatedSource, Panoptic, Segment
from models.backbones import ResNet
from models.training import Trainer, parameter_groups
from models.warm_up import EncoderWarmUp, PixelRecipe

ITERATIONS = 12


class KilledError(Exception):
    """Stands for the end of the process in the middle of a run."""


class Regressor(BaseModel):
    """Guesses the mean colour; a dropout and a batch norm make it depend on random numbers and buffers."""

    def __init__(self, *, is_broken_after: int | None = None) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1))
        self.calls, self.is_broken_after = 0, is_broken_after

    def forward(self, inputs: list[Tensor], targets: list[Tensor], sample_ids: Any = (), mode: str = "loss") -> Any:
        self.calls += 1
        guess = self.net(torch.stack(inputs).float() / 255).flatten(1).mean(1)
        loss = (guess - torch.stack(targets)).square().mean()
        is_broken = self.is_broken_after is not None and self.calls > self.is_broken_after
        return {"loss_colour": loss * float("nan") if is_broken else loss}


class NoisyMean:
    """The image with noise, and its mean colour."""

    def accepts(self, panoptic: Panoptic) -> bool:
        return True

    def __call__(self, image: NDArray[np.uint8], panoptic: Panoptic, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        noisy = np.clip(image + rng.normal(0, 9, image.shape), 0, 255).astype(np.uint8)
        return torch.from_numpy(noisy.transpose(2, 0, 1).copy()), torch.tensor(float(image.mean() / 255))


def source(size: int = 10, side: int = 16) -> AnnotatedSource:
    def load(index: int) -> tuple[str, NDArray[np.uint8], Panoptic]:
        image = np.random.default_rng(index).integers(0, 255, (side, side, 3), dtype=np.uint8)
        segment_id = np.ones((side, side), np.int32)
        segment_id[: side // 2] = 2
        segments = (Segment(id=1, class_index=0), Segment(id=2, class_index=1))
        return str(index), image, Panoptic(segment_id=segment_id, segments=segments)

    return AnnotatedSource(size=size, load=load)


def trainer(**differences: Any) -> Trainer:
    schedule = [{"kind": PolyLR, "power": 0.9, "begin": 0, "end": ITERATIONS, "by_epoch": False}]
    settings = {"iterations": ITERATIONS, "batch_size": 4, "learning_rate": 0.01, "workers": 0, "save_interval": 5}
    settings |= {"log_interval": 3, "ema_momentum": 0.1, "clip_norm": 1.0, "schedule": schedule} | differences
    return Trainer(recipe=settings.pop("recipe", NoisyMean()), **settings)


def fit(work_dir: Path, *, killed_at: int | None = None, **differences: Any) -> dict[str, Tensor]:
    def report(done: int, total: int, loss: float) -> None:
        if killed_at is not None and done >= killed_at:
            raise KilledError

    torch.manual_seed(0)
    return trainer(**differences).fit(Regressor(), [source()], work_dir=work_dir, seed=0, report=report)


def test_killed_training_continues_to_the_same_bits(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole")
    with pytest.raises(KilledError):
        fit(tmp_path / "killed", killed_at=9)
    resumed = fit(tmp_path / "killed")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    logs = [(tmp_path / name / "scalars.json").read_text().splitlines() for name in ("whole", "killed")]
    steps = [[{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in log] for log in logs]
    assert [line["step"] for line in steps[1]] == [3, 6, 9, 12]
    assert steps[0][-1] == steps[1][-1]


def test_seed_changes_the_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = fit(tmp_path / "a")
    second = trainer().fit(Regressor(), [source()], work_dir=tmp_path / "b", seed=1, report=lambda *_: None)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_loss_that_is_not_finite_names_term_iteration_and_samples(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"loss_colour.* not finite at iteration 6, samples \['"):
        trainer().fit(Regressor(is_broken_after=5), [source()], work_dir=tmp_path, seed=0, report=lambda *_: None)


def test_batch_that_no_process_share_divides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch size 0 cannot be shared"):
        fit(tmp_path, batch_size=0)


def test_parameter_groups_follow_the_published_rule() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
            self.head, self.queries, self.norm = nn.Linear(4, 2), nn.Embedding(3, 4), nn.LayerNorm(4)
            self.relative_position_bias_table = nn.Parameter(torch.zeros(2))
            self.frozen = nn.Parameter(torch.zeros(1), requires_grad=False)

    model = Model()
    groups = parameter_groups(model, learning_rate=1.0, backbone_factor=0.1, weight_decay=0.05)
    found = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    expected = {
        "backbone.0.weight": (0.1, 0.05), "backbone.0.bias": (0.1, 0.05), "backbone.1.weight": (0.1, 0.0),
        "head.weight": (1.0, 0.05), "head.bias": (1.0, 0.05), "queries.weight": (1.0, 0.0),
        "norm.weight": (1.0, 0.0), "relative_position_bias_table": (1.0, 0.0),
    }  # fmt: skip
    assert {name: found[id(dict(model.named_parameters())[name])] for name in expected} == expected
    assert id(model.frozen) not in found
    decayed = parameter_groups(
        model, learning_rate=1.0, backbone_factor=0.1, weight_decay=0.05, decay_backbone_norms=True
    )
    norm = model.backbone[1].weight
    assert [g["weight_decay"] for g in decayed if any(p is norm for p in g["params"])] == [0.05]


def test_encoder_warm_up_teaches_the_encoder_in_place(tmp_path: Path) -> None:
    def no_augmentation(image: Any, ids: Any, rng: Any) -> Any:
        return image, ids

    backbone = ResNet(depth=10, widths=(4, 8, 8, 8), stem_width=4, norm="bn")
    before = backbone.stem.conv1.weight.detach().clone()
    recipe = PixelRecipe(augmentation=no_augmentation)
    warm_up = EncoderWarmUp(trainer=trainer(recipe=recipe, ema_momentum=None, iterations=30, batch_size=4), dim=8)
    warm_up.fit(backbone, [source(side=64)], is_thing=(True, False), work_dir=tmp_path, seed=0, report=lambda *_: None)
    losses = [json.loads(line)["loss_pixel"] for line in (tmp_path / "scalars.json").read_text().splitlines()]
    assert not torch.equal(backbone.stem.conv1.weight, before)
    assert losses[-1] < losses[0]


def test_shares_of_a_schedule_follow_the_number_of_iterations(tmp_path: Path) -> None:
    schedule = (
        {"kind": LinearLR, "start_factor": 0.5, "begin": 0.0, "end": 0.25},
        {"kind": CosineAnnealingLR, "eta_min": 0.0, "begin": 0.25, "end": 1.0},
    )
    for iterations in (4, 8, 2):
        fit(tmp_path / str(iterations), iterations=iterations, schedule=schedule, log_interval=1)
        lines = (tmp_path / str(iterations) / "scalars.json").read_text().splitlines()
        rates = [json.loads(line)["lr"] for line in lines]
        assert len(rates) == iterations and rates[-1] < 0.75 * max(rates)
