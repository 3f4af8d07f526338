"""`python -m models predict`: own pictures and videos, the answer as files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file
from unified_parts import random_model

from benchmark import masks
from benchmark.contract import Task
from benchmark.formats.image_files import read_rgb, write_png
from benchmark.own_files import ANSWER, colour_of, open_footage
from models.__main__ import main

SIZE = (96, 128)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in random_model().state_dict().items()}, path)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "own.png"
    write_png(path, np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    folder.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        write_png(folder / f"{index:03d}.png", pixels)
    return folder


def ask(weights: Path, file: Path, *options: str) -> dict:
    assert main(["predict", str(file), "--checkpoint", str(weights), *options]) == 0
    return json.loads((file.with_name(f"{file.stem}.answer") / ANSWER).read_text())


OF_A_PICTURE = {
    "expression": (("--prompt", "the leftmost red disc"), Task.REFERRING),
    "instances": (("--classes", "donut,kite"), Task.INSTANCE),
    "panoptic": (("--classes", "donut,sea", "--task", "panoptic", "--things", "donut"), Task.PANOPTIC),
    "semantic": (("--classes", "donut,sea", "--task", "semantic"), Task.SEMANTIC),
}


@pytest.mark.parametrize("kind", OF_A_PICTURE)
def test_a_picture_is_answered(kind: str, weights: Path, picture: Path, one_seed_and_thread: None) -> None:
    options, task = OF_A_PICTURE[kind]
    answer = ask(weights, picture, *options)
    assert answer["task"] == task.value
    assert answer["size"] == list(SIZE)
    (frame,) = answer["frames"]
    known = {"donut", "kite", "sea", "the leftmost red disc"}
    for one in frame["objects"]:
        assert one["name"] in known
        assert masks.decode(masks.from_json(one["segmentation"])).shape == SIZE
    overlay = picture.with_name("own.answer") / "own.overlay.png"
    assert read_rgb(overlay).shape == (*SIZE, 3)


OF_A_CLIP = {
    "expression": (("--prompt", "the leftmost red disc"), Task.RVOS),
    "tracks": (("--classes", "turtle,truck"), Task.VIS),
    "box": (("--box", "10,10,40,30"), Task.SOT),
}


@pytest.mark.parametrize("kind", OF_A_CLIP)
def test_a_video_is_answered_frame_by_frame(kind: str, weights: Path, clip: Path, one_seed_and_thread: None) -> None:
    options, task = OF_A_CLIP[kind]
    answer = ask(weights, clip, *options)
    assert answer["task"] == task.value
    assert [frame["frame"] for frame in answer["frames"]] == ["000", "001", "002"]
    assert len(list(clip.with_name("clip.answer").glob("*.overlay.png"))) == 3
    if kind == "box":
        assert answer["frames"][0]["objects"][0]["box_xywh"] == [10, 10, 40, 30]


def test_a_video_file_gives_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "own.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, SIZE[::-1])
    for level in (40, 120, 200):
        video.write(np.full((*SIZE, 3), level, np.uint8))
    video.release()
    footage = open_footage(path)
    assert (len(footage.names), footage.size, footage.is_video) == (3, SIZE, True)
    assert [round(float(footage.read(index).mean()), -1) for index in (0, 2, 1)] == [40, 200, 120]


REFUSED = {
    "nothing asked": ((), "Ask one thing"),
    "two things asked": (("--prompt", "the disc", "--classes", "kite"), "Ask one thing"),
    "a word that is not known": (("--prompt", "the xylophone"), "'xylophone'"),
    "a box in a picture": (("--box", "1,1,5,5"), "Give a folder of pictures"),
    "a video's task": (("--classes", "kite", "--task", "vis"), "cannot be asked of a picture"),
    "a closed system": (("--classes", "kite", "--system", "oneformer:mini"), "closed vocabulary"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_wrong_call_ends_in_one_line(
    kind: str, weights: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, said = REFUSED[kind]
    assert main(["predict", str(picture), "--checkpoint", str(weights), *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not picture.with_name("own.answer").exists()


def test_colours_follow_the_object(weights: Path) -> None:
    assert len({colour_of(number) for number in range(1, 21)}) == 20
