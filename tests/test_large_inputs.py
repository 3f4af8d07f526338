"""20,000 images and long videos are scored in bounded memory, files and zips alike, and without the training family."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from large_inputs import found

SCRIPT = Path(__file__).with_name("large_inputs.py")
IMAGES = 20_000
MOST_MB = 250
"""Beyond what the imports take: about 10 KB an image, for ids, file names and statistics."""
MOST_OF_A_FRAME_MB = 0.04
"""A tenth of a frame's pixels: names and counts grow with a video, pixels do not."""


def call(*arguments: str) -> str:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("kind", ["semantic", "panoptic", "detection"])
def test_20000_images_are_scored_in_bounded_memory(tmp_path: Path, kind: str) -> None:
    call("write", str(tmp_path), kind, str(IMAGES))
    taken = [json.loads(call("score", str(tmp_path), kind))]
    if kind == "detection":
        packed = tmp_path / "packed.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.write(found(tmp_path, kind), "results.json")
        taken.append(json.loads(call("score", str(tmp_path), kind, str(packed))))
    for one in taken:
        assert one["images"] == IMAGES and one["growth_mb"] < MOST_MB, taken


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path: Path) -> None:
    growth = {}
    for frames in (50, 400):
        home = tmp_path / str(frames)
        home.mkdir()
        call("write", str(home), "video", str(frames))
        growth[frames] = json.loads(call("score", str(home), "video"))["growth_mb"]
    assert growth[400] - growth[50] < 350 * MOST_OF_A_FRAME_MB, growth


def test_scoring_needs_no_torch(tmp_path: Path) -> None:
    call("write", str(tmp_path), "detection", "50")
    banned = ("torch", "mmengine", "mmcv", "mmdet", "transformers")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({banned!r}))\n"
        "from benchmark.__main__ import main\n"
        f"sys.exit(main(['score', 'coco_detection_val2017', {str(tmp_path / 'pred.json')!r}, "
        f"'--data-root', {str(tmp_path)!r}, '--work-dir', {str(tmp_path / 'work')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
