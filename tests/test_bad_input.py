"""Wrong calls end in one line with exit code 2 and write nothing; junk in a file is refused, whatever it replaces."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from damaged_files import FOUND_COCO, INSTANCES, PANOPTIC, found_path

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.problems import DataError


@pytest.mark.parametrize("target", ["--out", "--work-dir"])
def test_an_unwritable_target_is_found_before_scoring(
    data_root: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = data_root.parent / "file"
    blocked.write_text("", encoding="utf-8")
    arguments = ["score", "coco_panoptic_val2017", "nowhere", "--data-root", str(data_root)]
    assert main([*arguments, target, str(blocked / "inside")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{blocked / 'inside'} cannot be written (Not a directory)" in line


def test_a_work_directory_of_another_job_is_left_alone(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = data_root.parent / "work/coco_panoptic_val2017/job.json"
    held.parent.mkdir(parents=True)
    held.write_text('{"another": "job"}', encoding="utf-8")
    found = found_path(data_root, "coco_panoptic_val2017")
    arguments = ["score", "coco_panoptic_val2017", str(found), "--data-root", str(data_root)]
    assert main([*arguments, "--work-dir", str(data_root.parent / "work")]) == 2
    assert "holds another job. Name another --work-dir." in capsys.readouterr().err
    assert held.read_text(encoding="utf-8") == '{"another": "job"}'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "coco_panotic_val2017", "x"], "Did you mean 'coco_panoptic_val2017'"),
        (["score", "coco_panoptic_val2017", "x", "--truth", "nowhere.json"], "nowhere.json: the truth is missing"),
        (["describe", "ade20k_panoptic"], "Did you mean 'ade20k_panoptic_val'"),
        (["score", "coco_panoptic_val2017", "x", "--truth", "."], "expected one JSON beside or in this folder"),
        (["score", "ade20k_semantic_val", "x", "--truth", "."], "holds no *.png"),
        (["score", "ade20k_semantic_val", "x", "--truth", ".", "--protocol", "coco"], "has no protocol 'coco'"),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []


JUNK: tuple[Any, ...] = (None, "x", [], {}, float("nan"), float("inf"), -1, 0, 1e300, 2**40, 10**30, True, [1], "1")
FUZZED = {
    "coco_instance_val2017": (INSTANCES, FOUND_COCO),
    "coco_panoptic_val2017": (PANOPTIC, "found/coco_panoptic_val2017.json"),
    "cityscapes_panoptic_val": (
        "cityscapes/gtFine/cityscapes_panoptic_val.json",
        "found/cityscapes_panoptic_val.json",
    ),
}


@pytest.mark.parametrize("name", FUZZED)
@pytest.mark.parametrize("place", [0, 1], ids=["truth", "predictions"])
def test_a_file_with_any_value_replaced_scores_or_is_refused_in_plain_words(
    name: str, place: int, data_root: Path
) -> None:
    path = data_root / FUZZED[name][place]
    document = json.loads(path.read_text(encoding="utf-8"))
    generator = random.Random(0)
    request = scoring.Request(
        row=catalog.get(name), predictions=found_path(data_root, name), root=data_root, resamples=0
    )
    refused = 0
    for _ in range(12):
        path.write_text(json.dumps(_with_junk(document, generator)), encoding="utf-8")
        try:
            scoring.score(request)
        except DataError as error:
            refused += 1
            assert error.problems
    assert refused > 0


def _with_junk(document: Any, generator: random.Random) -> Any:
    """A copy in which one value, at any depth, is something else."""
    changed = copy.deepcopy(document)
    holder, key = generator.choice(list(_places(changed)))
    holder[key] = generator.choice(JUNK)
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(min(len(value), 5)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
