"""Pictures and label maps come back with the same numbers, whichever decoder does the work."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmark import labels
from benchmark.formats import cityscapes_labels, label_maps
from benchmark.formats.image_files import header_size, read_grey, read_numbers, read_rgb, write_png
from benchmark.formats.label_maps import encoding_of
from benchmark.problems import DataError

SIZE = (13, 17)
CITY = labels.load("cityscapes")


def picture(mode: str) -> Image.Image:
    """Noise in one of Pillow's modes."""
    dice = np.random.default_rng(1)
    image = Image.fromarray(dice.integers(0, 256, (*SIZE, 4), np.uint8), "RGBA")
    if mode == "I;16":
        return Image.fromarray(dice.integers(0, 1 << 16, SIZE, np.uint16))
    return image.convert("RGB").quantize(8) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "form"),
    [*((mode, "png") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")), ("L", "jpeg"), ("RGB", "jpeg")],
)
def test_grey_is_what_pillow_makes_of_every_kind_of_picture(mode: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{form}"
    picture(mode).save(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("L"))
    found = read_grey(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


def test_grey_with_a_transparent_value_stays_as_stored(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    picture("L").save(path, transparency=200)
    assert np.array_equal(read_grey(path), np.asarray(picture("L")))


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_numbers_are_those_that_pillow_finds(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "numbers.png"
    picture(mode).save(path)
    with Image.open(path) as image:
        assert np.array_equal(read_numbers(path), np.asarray(image))


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_colours_are_those_that_opencv_finds_the_other_way_round(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{form}"
    picture("RGB").save(path)
    found = read_rgb(path)
    assert found.flags["C_CONTIGUOUS"]
    assert np.array_equal(found[..., ::-1], np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR)))
    if form == "png":
        assert np.array_equal(found, np.asarray(picture("RGB")))


@pytest.mark.parametrize("name", ["cityscapes", "ade20k", "coco_panoptic"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_maps_decode_number_by_number(name: str, dtype: type[np.uint8 | np.uint16], tmp_path: Path) -> None:
    encoding = encoding_of(labels.load(name))
    known = np.flatnonzero(encoding.class_of != label_maps.UNKNOWN)
    numbers = np.random.default_rng(2).choice(known, SIZE).astype(dtype)
    write_png(tmp_path / "map.png", numbers)
    found = encoding.decode(tmp_path / "map.png").class_index
    assert found.dtype == np.uint16
    assert np.array_equal(found, encoding.class_of[numbers])


@pytest.mark.parametrize(
    ("name", "dtype", "number"),
    [
        ("cityscapes", np.uint8, 34),
        ("cityscapes", np.uint8, 255),
        ("ade20k", np.uint8, 151),
        ("coco_panoptic", np.uint8, 133),
        ("coco_panoptic", np.uint8, 254),
        ("coco_panoptic", np.uint16, 256),
        ("cityscapes", np.uint16, 65535),
    ],
)
def test_numbers_without_a_meaning_are_counted_and_named(
    name: str, dtype: type[np.uint8 | np.uint16], number: int, tmp_path: Path
) -> None:
    numbers = np.ones(SIZE, dtype)
    numbers[4, 3:6] = number
    write_png(tmp_path / "map.png", numbers)
    with pytest.raises(DataError, match=f"3 pixels hold {number}, which are outside the label set"):
        encoding_of(labels.load(name)).decode(tmp_path / "map.png")


def test_instance_map_of_another_size_than_its_label_map_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"a_000000_000019{cityscapes_labels.LABEL_IDS}"
    write_png(path, np.zeros(SIZE, np.uint8))
    write_png(tmp_path / f"a_000000_000019{cityscapes_labels.INSTANCE_IDS}", np.zeros((13, 16), np.uint16))
    listing = cityscapes_labels.read_semantic({"a_000000_000019": path}, lambda one: path, CITY, encoding_of(CITY))
    with pytest.raises(DataError, match=r"instanceIds.png: is 13x16 \(height x width\), expected 13x17"):
        listing.truth(0)


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (1 << 16, 1 << 16), (2**32 - 1, 1)])
def test_sizes_that_no_picture_has_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    write_png(path, np.zeros((8, 8), np.uint8))
    data = bytearray(path.read_bytes())
    data[16:24] = size[1].to_bytes(4, "big") + size[0].to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(DataError, match="which no picture is"):
        header_size(path)
