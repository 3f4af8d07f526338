"""How a model is trained, apart from what it is: parameter groups, autocast, the MMEngine Runner.

`Trainer` is the component a config names with its numbers; it is handed a model and annotated images and returns the
final weights. Killed at any moment, it continues from its last resume point to the same bits.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, get_world_size, is_distributed
from mmengine.hooks import EMAHook, Hook
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from models.precision import AutocastOptimWrapper
from models.sampling import Examples, PositionSampler, collate
from models.training_hooks import (
    RESUME_FILE,
    SCALARS_FILE,
    Report,
    ResumePoint,
    ScalarLog,
    SeedEachIteration,
    StopOnNonFiniteLoss,
)

NO_DECAY_PARAMETERS = ("relative_position_bias_table", "absolute_pos_embed")
NO_DECAY_MODULES = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm, nn.Embedding)


def parameter_groups(
    model: nn.Module,
    *,
    learning_rate: float,
    backbone_factor: float,
    weight_decay: float,
    decay_backbone_norms: bool = False,
) -> list[dict[str, Any]]:
    """Optimiser groups after the authors' rule.

    The backbone learns at `backbone_factor` times the rate; norm layers, embeddings and relative position tables are
    not decayed, biases and free parameters are. decay_backbone_norms: the authors' ConvNeXt has norms of its own class,
    which their rule does not find. Frozen parameters are left out.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            is_backbone = "backbone" in module_name.split(".")
            rate = learning_rate * (backbone_factor if is_backbone else 1.0)
            is_free = isinstance(module, NO_DECAY_MODULES) and not (is_backbone and decay_backbone_norms)
            is_free = is_free or name in NO_DECAY_PARAMETERS
            groups.setdefault((rate, 0.0 if is_free else weight_decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """Numbers of one training run.

    batch_size: images an iteration over all processes. schedule: MMEngine parameter schedulers, their class under
    `kind`; a `begin` or `end` that is a float is a share of the iterations. clip_norm: largest L2 norm of the
    gradient, None for no clipping. autocast: "bfloat16" (where native), "float16" (with loss scaling, GPU only) or
    None. examples: what turns sources into examples with the recipe. ema_momentum: weight of the newest parameters in
    the moving average, None for none. ema_interval: iterations from one update of it to the next.
    """

    iterations: int
    batch_size: int
    recipe: Any
    examples: Callable[..., Dataset[dict[str, Any]]] = Examples
    learning_rate: float = 1e-4
    backbone_factor: float = 0.1
    weight_decay: float = 0.05
    schedule: Sequence[Mapping[str, Any]] = ()
    clip_norm: float | None = None
    decay_backbone_norms: bool = False
    autocast: str | None = None
    ema_momentum: float | None = None
    ema_interval: int = 1
    workers: int = 2
    save_interval: int = 1000
    log_interval: int = 50

    def fit(
        self, model: nn.Module, sources: Sequence[Any], *, work_dir: Path, seed: int, report: Report
    ) -> dict[str, Tensor]:
        """Train, or continue from `work_dir`; returns the final weights (the moving average where there is one)."""
        resume_file = work_dir / RESUME_FILE
        runner = Runner(
            model=model,
            work_dir=str(work_dir),
            train_dataloader=self._dataloader(sources, seed),
            train_cfg={"by_epoch": False, "max_iters": self.iterations},
            optim_wrapper=self._optim_wrapper(model),
            param_scheduler=_schedulers(self.schedule, self.iterations),
            default_hooks={"timer": None, "logger": None, "checkpoint": None, "sampler_seed": None},
            custom_hooks=self._hooks(work_dir, seed, report),
            load_from=str(resume_file) if resume_file.is_file() else None,
            resume=resume_file.is_file(),
            launcher="pytorch" if is_distributed() else "none",
            randomness={"seed": seed},
            log_level="ERROR",
            experiment_name=uuid.uuid4().hex,
            cfg={"model_wrapper_cfg": _wrapper()},
        )
        runner.train()
        # Rank 0 writes the last resume point, every rank reads it.
        barrier()
        return load_weights(resume_file)

    def _dataloader(self, sources: Sequence[Any], seed: int) -> DataLoader[dict[str, Any]]:
        share, rest = divmod(self.batch_size, get_world_size())
        if rest or share == 0:
            raise ValueError(f"batch size {self.batch_size} cannot be shared by {get_world_size()} processes")
        return DataLoader(
            self.examples_of(sources, seed),
            batch_size=share,
            sampler=PositionSampler(self.iterations * share),
            num_workers=self.workers,
            collate_fn=collate,
            persistent_workers=self.workers > 0,
        )

    def examples_of(self, sources: Sequence[Any], seed: int) -> Dataset[dict[str, Any]]:
        """The examples of the whole run, by position."""
        return self.examples(sources, recipe=self.recipe, seed=seed, length=self.iterations * self.batch_size)

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Optimiser groups of what learns."""
        return parameter_groups(
            model,
            learning_rate=self.learning_rate,
            backbone_factor=self.backbone_factor,
            weight_decay=self.weight_decay,
            decay_backbone_norms=self.decay_backbone_norms,
        )

    def _optim_wrapper(self, model: nn.Module) -> OptimWrapper:
        optimizer = torch.optim.AdamW(self.groups(model), lr=self.learning_rate, fused=True)
        clip = None if self.clip_norm is None else {"max_norm": self.clip_norm}
        match self.autocast:
            case None:
                return OptimWrapper(optimizer=optimizer, clip_grad=clip)
            case "bfloat16":
                return AutocastOptimWrapper(optimizer=optimizer, clip_grad=clip)
            case "float16":
                return AmpOptimWrapper(optimizer=optimizer, clip_grad=clip, dtype="float16")
        raise ValueError(f"autocast is None, 'bfloat16' or 'float16', not {self.autocast!r}")

    def _hooks(self, work_dir: Path, seed: int, report: Report) -> list[Hook]:
        hooks: list[Hook] = [
            SeedEachIteration(seed),
            StopOnNonFiniteLoss(),
            ScalarLog(work_dir / SCALARS_FILE, interval=self.log_interval, report=report),
            ResumePoint(self.save_interval),
        ]
        if self.ema_momentum is not None:
            hooks.append(EMAHook(momentum=self.ema_momentum, interval=self.ema_interval, update_buffers=True))
        return hooks


def _schedulers(rows: Sequence[Mapping[str, Any]], iterations: int) -> list[dict[str, Any]]:
    """The schedule in iterations, as MMEngine wants it; a row that a short run leaves no room for is dropped."""
    found = []
    for row in rows:
        settings = {"by_epoch": False, **{key: value for key, value in row.items() if key != "kind"}}
        shares = [key for key in ("begin", "end") if isinstance(settings.get(key), float)]
        settings |= {key: round(settings[key] * iterations) for key in shares}
        if settings.get("begin", 0) < settings.get("end", iterations):
            found.append({"type": row["kind"], **settings})
    return found


def load_weights(path: Path) -> dict[str, Tensor]:
    """The model's tensors of a resume point (a pickle of our own making); the moving average where there is one."""
    return dict(torch.load(path, map_location="cpu", weights_only=False)["state_dict"])


def _wrapper() -> dict[str, Any]:
    """Arguments of MMEngine's DDP wrapper; on a CPU it must not be given device ids."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else None
    return {"type": MMDistributedDataParallel, "device_ids": devices, "broadcast_buffers": False}
