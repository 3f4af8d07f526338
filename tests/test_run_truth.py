"""`run.py --truth`: given weights answer images that are no official split, here two real COCO images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmark import harness, run

NAMES = ("coco_panoptic_val2017", "coco_instance_val2017", "coco_semantic_val2017")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fresh weights of the mini model: what is looked at here are the files, not the scores."""
    training = harness.load_system("oneformer", "mini").training_for("coco_panoptic")
    assert training is not None
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "fresh.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in harness.build_model(training).state_dict().items()}, path)
    return path


@pytest.fixture
def images(samples_dir: Path, tmp_path: Path) -> Path:
    """The two images in the layout of the COCO rows; returns the truth."""
    folder = samples_dir / "image" / "panoptic_coco_two_images"
    for source, target in (
        ("input_images", "val2017"),
        ("panoptic_examples", "annotations/panoptic_val2017"),
        ("panoptic_examples.json", "annotations/panoptic_val2017.json"),
    ):
        (tmp_path / "coco" / target).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "coco" / target).symlink_to(folder / source)
    return tmp_path / "coco" / "annotations" / "panoptic_val2017.json"


def test_given_weights_answer_the_three_tasks_on_real_images(images: Path, weights: Path, tmp_path: Path) -> None:
    arguments = ["--benchmarks", ",".join(NAMES), "--truth", images, "--checkpoint", weights]
    assert run.main([str(one) for one in [*arguments, "--work-dir", tmp_path / "runs"]]) == 0
    (run_directory,) = (tmp_path / "runs").iterdir()
    assert run_directory.name.startswith("oneformer-mini-")
    for name in NAMES:
        record = json.loads((run_directory / name / "record.json").read_text())
        assert (record["num_expected"], record["num_scored"]) == (2, 2)
        assert (record["is_mini"], record["truth_is_official"], record["display_name"]) == (False, False, name)
    panels = sorted((run_directory / "report" / "panels").glob("*.png"))
    assert {panel.name.split(".")[0] for panel in panels} >= {*NAMES, "task_prompt"}
    assert all(min(Image.open(panel).size) > 100 for panel in panels)
    assert "given with --truth" in (run_directory / "report" / "tables" / "provenance.md").read_text()


def test_the_official_split_has_another_run_directory(
    images: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def directory(*extra: str | Path) -> str:
        arguments = ["--dry-run", "--benchmarks", NAMES[0], "--checkpoint", weights, *extra]
        assert run.main([str(one) for one in arguments]) == 0
        return next(line for line in capsys.readouterr().out.splitlines() if "run directory" in line)

    assert directory("--truth", images) != directory()


def test_fewer_images_than_the_official_split_need_truth_of_their_own(
    images: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--benchmarks", NAMES[0], "--data-root", tmp_path, "--checkpoint", weights]
    assert run.main([str(one) for one in [*arguments, "--work-dir", tmp_path / "runs"]]) == 2
    complaint = [line for line in capsys.readouterr().err.splitlines() if "Loading" not in line]
    assert len(complaint) == 1
    assert "2 usable images, expected 5,000" in complaint[0] and "--truth" in complaint[0]
