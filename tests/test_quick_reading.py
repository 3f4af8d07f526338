"""The quick readers of COCO files take what the patient ones take, alike to the bit, and leave all else to them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_store import is_same

from benchmark import labels, masks
from benchmark.formats import coco_instances, coco_results, json_files, quick_results, sound_annotations

IDS = [str(number) for number in range(1, 6)]
SIZE = (40, 50)
THINGS = [row.category_id for row in labels.load("coco").classes if row.is_thing]


def polygon(dice: random.Random) -> list[float]:
    """Ten points around the image; some lie outside."""
    return [round(dice.uniform(-3, side + 3), 2) for _ in range(10) for side in (SIZE[1], SIZE[0])]


def results(dice: random.Random, *, has_masks: bool) -> list[dict[str, Any]]:
    """A few results, not in order of images."""
    rows = []
    for _ in range(30):
        rle = masks.from_polygons([polygon(dice)], SIZE)
        shape = {"segmentation": masks.to_json(rle)} if has_masks else {"bbox": [1, 2.5, 3, dice.random()]}
        score = dice.choice([dice.random(), 1, 0])
        rows.append({"image_id": int(dice.choice(IDS)), "category_id": dice.choice(THINGS), "score": score, **shape})
    return rows


def annotation_file(dice: random.Random) -> dict[str, Any]:
    """A truth file with polygons of several parts, crowds and polygons beyond the border."""
    images = [{"id": int(one), "file_name": f"{one}.jpg", "height": SIZE[0], "width": SIZE[1]} for one in IDS]
    annotations = []
    for number in range(1, 31):
        parts = [polygon(dice) for _ in range(dice.choice([1, 1, 2]))]
        is_crowd = int(dice.random() < 0.2)
        crowd = masks.to_json_uncompressed(masks.from_polygons(parts, SIZE))
        facts = {"id": number, "image_id": int(dice.choice(IDS)), "category_id": dice.choice(THINGS)}
        shape = {"segmentation": crowd if is_crowd else parts, "bbox": [1.5, 2, 3, 4], "area": dice.choice([7, 7.5])}
        annotations.append({**facts, **shape, "iscrowd": is_crowd})
    categories = [{"id": one, "name": str(one)} for one in THINGS]
    return {"images": images, "annotations": annotations, "categories": categories}


ODD: dict[str, Callable[[dict[str, Any]], object]] = {
    "text for a number": lambda row: row.update(category_id="1"),
    "true for one": lambda row: row.update(category_id=True),
    "unknown image": lambda row: row.update(image_id=99),
    "unknown class": lambda row: row.update(category_id=12),
    "huge number": lambda row: row.update(score=1e300, area=1e300),
    "NaN": lambda row: row.update(score=float("nan"), area=float("nan")),
    "nothing": lambda row: row.clear(),
    "a list": lambda row: row.update(segmentation=[], bbox=[]),
    "short box": lambda row: row.update(bbox=[1, 2, 3], segmentation=[[1, 2, 3, 4]]),
    "image named by text": lambda row: row.update(image_id=str(row["image_id"])),
    "more fields": lambda row: row.update(note={"deep": ["ü", None]}, bbox=row.get("bbox", [0, 0, 1, 1])),
    "broken mask": lambda row: row.update(segmentation={"size": list(SIZE), "counts": "0P"}),
    "small mask": lambda row: row.update(segmentation={"size": [4, 5], "counts": "d0"}),
    "far polygon": lambda row: row.update(segmentation=[[1, 1, 2e6, 2, 3, 3]]),
    "lost polygon": lambda row: row.update(segmentation=[[60, 1, 70, 2, 60, 3]]),
    "doubled id": lambda row: row.update(id=2),
}


def outcome(read: Callable[[], Any]) -> Any:
    """What reading gives, or its complaints in full."""
    try:
        return read()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def read_results(path: Path, *, has_masks: bool) -> Any:
    numbering = coco_results.coco_numbering(IDS, labels.load("coco"))
    found, notes = coco_results.read_results(path, IDS, lambda _: numbering, needs_masks=has_masks)
    return tuple(found[one] for one in IDS), dict(notes)


def read_truth(path: Path) -> Any:
    listing = coco_instances.read(path, Path, labels.load("coco"))
    sides = tuple(listing.truth(index) for index in range(len(listing.entries)))
    return tuple(one.frames[0] for one in sides), dict(listing.notes), listing.problems


@pytest.mark.parametrize("odd", ["none", *ODD])
@pytest.mark.parametrize("has_masks", [True, False])
def test_results_are_read_as_by_the_patient_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str, has_masks: bool
) -> None:
    dice = random.Random(odd)
    rows, path = results(dice, has_masks=has_masks), tmp_path / "found.json"
    ODD.get(odd, lambda row: None)(rows[7])
    path.write_text(json.dumps(rows), encoding="utf-8")
    quick = outcome(lambda: read_results(path, has_masks=has_masks))
    monkeypatch.setattr(quick_results, "read", lambda *_, **__: None)
    patient = outcome(lambda: read_results(path, has_masks=has_masks))
    assert quick == patient if isinstance(patient, str) else is_same(quick[0], patient[0]) and quick[1] == patient[1]


@pytest.mark.parametrize("odd", ["none", *ODD])
def test_truth_is_read_as_by_the_patient_checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    document, path = annotation_file(random.Random(odd)), tmp_path / "truth.json"
    ODD.get(odd, lambda row: None)(document["annotations"][7])
    path.write_text(json.dumps(document), encoding="utf-8")
    quick = outcome(lambda: read_truth(path))
    monkeypatch.setattr(sound_annotations.Sound, "check", lambda *_: None)
    patient = outcome(lambda: read_truth(path))
    assert quick == patient if isinstance(patient, str) else is_same(quick[0], patient[0]) and quick[1:] == patient[1:]


def test_sound_files_take_the_quick_way(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text(json.dumps(results(random.Random(0), has_masks=True)), encoding="utf-8")
    assert quick_results.read(path, needs_masks=True) is not None
    assert quick_results.read(path, needs_masks=False) is None


@pytest.mark.parametrize("piece", [300, 1000, 5000])
@pytest.mark.parametrize("form", ["plain", "spaced", "nested", "text"])
def test_pieces_of_a_long_list_are_read_as_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, form: str
) -> None:
    rows, path = results(random.Random(form), has_masks=False), tmp_path / "found.json"
    more = {"nested": {"parts": [{"a": 1}, {"b": 2}]}, "text": {"note": "}, {"}}.get(form, {})
    rows = [row | more for row in rows]
    path.write_text(json.dumps(rows, indent=3 if form == "spaced" else None), encoding="utf-8")
    whole = outcome(lambda: read_results(path, has_masks=False))
    monkeypatch.setattr(quick_results, "PIECE", piece)
    in_pieces = outcome(lambda: read_results(path, has_masks=False))
    assert is_same(in_pieces[0], whole[0]) and in_pieces[1] == whole[1]
    if form in ("plain", "spaced"):
        found = quick_results.read(path, needs_masks=False)
        assert found is not None and found.boxes.tolist() == [row["bbox"] for row in rows]


TEXTS = [
    b'{"a": 01}', b'{"a": NaN}', b'{"a": "\\ud800"}', b'{"a": "\xff"}', b"\xef\xbb\xbf[1]", b"[1e400]", b"[1,]",
    b"[-0, -0.0]",
    b"[123456789012345678901234567890]", b'{"a": 1, "a": 2}', b"[1] x", b"", b"[" * 5000, '{"a": 1}'.encode("utf-16"),
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_decoded_as_by_the_standard_library(text: bytes) -> None:
    found, expected = outcome(lambda: json_files.decode(text)), outcome(lambda: json.loads(text))
    assert type(found) is type(expected) and repr(found) == repr(expected)


def test_numbers_are_decoded_to_the_bit() -> None:
    dice = np.random.default_rng(0)
    values = dice.integers(0, 2**63, 20_000).view(np.float64)
    texts = [repr(one) for one in values[np.isfinite(values)].tolist()]
    texts += [f"{dice.integers(10**18)}.{dice.integers(10**18)}e{dice.integers(-300, 280)}" for _ in range(5000)]
    text = f"[{','.join(texts)}]".encode()
    assert json_files.decode(text) == json.loads(text)
