"""The mini model trained by two processes under torchrun: they share a batch, agree on the weights, and continue."""

from __future__ import annotations

import json
from pathlib import Path

import small_run
import torch
from safetensors.torch import load_file

from benchmark import launch

OPTIONS = ("trainer.iterations=2", "trainer.log_interval=1", "warm_up.trainer.iterations=1")


def test_two_processes_train_the_mini_model_and_continue(tmp_path: Path) -> None:
    data_root = small_run.make_data(tmp_path)
    work_dir = tmp_path / "work"
    task = launch.TrainingTask(
        system="oneformer",
        variant="mini",
        options=OPTIONS,
        label_set="coco_panoptic",
        data_root=str(data_root),
        is_mini=True,
        work_dir=str(work_dir),
        seed=0,
        num_processes=2,
    )
    heard: list[tuple[int, int]] = []
    weights = load_file(launch.torchrun(task, lambda done, total, loss: heard.append((done, total))))
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values() if tensor.is_floating_point())
    steps = [json.loads(line)["step"] for line in (work_dir / "scalars.json").read_text().splitlines()]
    assert (steps, heard) == ([1, 2], [(1, 1)])
    # Without its final weights the training continues from the resume point, to the same bits.
    (work_dir / "final.safetensors").unlink()
    again = load_file(launch.torchrun(task, lambda done, total, loss: None))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
