"""The gauntlet of the catalogue: every row's miniature is written in its official layout, read, and scored.

Truth replayed scores the ceiling and nothing scores the floor (`ceilings`), both through result files. Nothing of the
truth is suspicious.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ceilings import LIMITS, USUAL
from replay import nothing, replayed

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Prediction, Sample
from benchmark.minidata import generate, miniatures
from benchmark.row import WritesScenes
from leaderboards.__main__ import main as leaderboards
from leaderboards.families import form_of

ROWS = {**catalog.BENCHMARKS, **catalog.TRAINING}
WRITTEN = [name for name, row in ROWS.items() if isinstance(row.layout, WritesScenes)]
AT_LEAST_IMAGES, AT_LEAST_CLIPS = 40, 6
SUITE = {"train": 40, "val": 40, "heldout": 1}
"""Scenes of the data that the suite trains on; the files do not depend on how many there are."""
CLIP_TASKS = {"sot", "vos", "mot", "mots", "vis", "rvos"}


ANOTHER_SPLIT = {
    "bdd100k_semantic_val": "bdd100k_semantic_test",
    "bdd100k_panoptic_val": "bdd100k_panoptic_test",
    "bdd100k_instance_val": "bdd100k_instance_test",
    "mapillary_panoptic_v12_val": "mapillary_panoptic_v12_train",
    "mapillary_instance_v12_val": "mapillary_instance_v12_train",
    "pascal_context_semantic_59_val": "pascal_context_semantic_59_train",
    "lvis_instance_v1_val": "lvis_instance_v1_train",
    "openimages_detection_challenge2019_val": "openimages_detection_challenge2019_train",
    "refcoco_referring_val": "refcoco_referring_testA",
    "phrasecut_referring_val": "phrasecut_referring_test",
    "flickr30k_grounding_val": "flickr30k_grounding_test",
    "davis17_vos_val": "davis17_vos_train",
    "sav_vos_val": "sav_vos_test",
    "lasot_sot_test": "lasot_sot_train",
    "trackingnet_sot_test": "trackingnet_sot_train",
    "got10k_sot_val": "got10k_sot_test",
    "bdd100k_mot_val": "bdd100k_mot_train",
    "bdd100k_mots_val": "bdd100k_mots_train",
    "youtube_vis19_vis_val": "youtube_vis19_vis_train",
    "tao_mot_val": "tao_mot_train",
}
"""A row of every reader of results -> another split of its data set, whose names differ."""


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gauntlet looks at scores, not at their intervals; those of 1,200 classes take most of a row's time."""
    monkeypatch.setattr(scoring, "RESAMPLES", 20)


@pytest.fixture(scope="session")
def root_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The data root of a row's miniature; rows of one data set share it. The suite's mini data are a part of them."""
    home, made = tmp_path_factory.mktemp("miniatures"), dict[str, Path]()

    def find(name: str) -> Path:
        row = ROWS[name]
        key = "suite" if miniatures.is_generated(row) else row.dataset
        if key == "suite" and key not in made:
            made[key] = generate.ensure(home / key, sizes=SUITE, num_workers=1)
        if key not in made:
            made[key] = miniatures.root_of(row, ROWS.values(), home / key)
        return made[key]

    return find


def _record(name: str, root: Path, folder: Path, answer: Callable[[Sample], Prediction]) -> dict[str, Any]:
    """The record of an answer that has been through files and the command."""
    row = ROWS[name]
    samples = catalog.open_samples(row, root, is_mini=True)
    path = folder / answer.__name__
    catalog.write_predictions(row, path, ((sample, answer(sample)) for sample in samples))
    out = folder / f"{answer.__name__}.record.json"
    call = ["score", name, str(path), "--data-root", str(root), "--out", str(out)]
    assert main([*call, "--work-dir", str(folder / "work" / answer.__name__)]) == 0
    record: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert record["is_mini"] and record["num_expected"] == record["num_scored"] == len(samples)
    return record


def _main_score(name: str, record: dict[str, Any]) -> float:
    value = record["scores"][ROWS[name].main_score]
    return math.nan if value is None else float(value)


@pytest.mark.parametrize("name", WRITTEN)
def test_the_miniature_is_large_enough_and_sound(root_of: Callable[[str], Path], name: str) -> None:
    row = ROWS[name]
    listing = catalog.verify(row, root_of(name), is_mini=True)
    if row.task.value in CLIP_TASKS and any(len(one.frames) > 1 for one in listing.entries):
        assert len(listing.entries) >= AT_LEAST_CLIPS
        assert all(len(one.frames) >= 16 for one in listing.entries)
    else:
        assert len({one.frames[0] for one in listing.entries}) >= AT_LEAST_IMAGES


@pytest.mark.parametrize("name", WRITTEN)
def test_truth_replayed_scores_the_ceiling_and_is_not_suspected(
    root_of: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    root = root_of(name)
    ceiling = LIMITS.get(name, USUAL).ceiling(catalog.open_samples(ROWS[name], root, is_mini=True))
    record = _record(name, root, tmp_path, replayed)
    assert _main_score(name, record) == pytest.approx(ceiling, abs=1e-12)
    assert record["diagnoses"] == []


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_scores_the_floor(root_of: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    root = root_of(name)
    floor = LIMITS.get(name, USUAL).floor(catalog.open_samples(ROWS[name], root, is_mini=True))
    score = _main_score(name, _record(name, root, tmp_path, nothing))
    assert score == pytest.approx(floor, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", WRITTEN)
def test_an_archive_is_sound_and_scores_the_same(
    root_of: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    row, root = ROWS[name], root_of(name)
    samples = catalog.open_samples(row, root, is_mini=True)
    form, *_ = row.layout.result_forms(row)
    written, archive = tmp_path / "raw" / form.given, tmp_path / form_of(row).archive_name(row, "ours")
    catalog.write_predictions(row, written, ((sample, replayed(sample)) for sample in samples))
    names = [str(path.relative_to(tmp_path / "raw")) for path in (tmp_path / "raw").rglob("*") if path.is_file()]
    assert [name for name in names if not form.fits(name)] == []
    data = ["--data-root", str(root)]
    assert leaderboards(["write", str(written), name, "--out", str(archive), *data]) == 0, capsys.readouterr().out
    assert leaderboards(["validate", name, str(archive), *data]) == 0
    assert "0 errors" in capsys.readouterr().out
    before, after = (
        scoring.score(scoring.Request(row=row, predictions=path, root=root, resamples=0)).record
        for path in (written, archive)
    )
    assert before["scores"] == after["scores"] and before["scores"][row.main_score] is not None
    assert after["num_scored"] == len(samples)


@pytest.mark.parametrize("name", ANOTHER_SPLIT)
def test_results_of_another_split_are_refused_and_told_where_they_belong(
    root_of: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    other, root = ROWS[ANOTHER_SPLIT[name]], root_of(name)
    path = tmp_path / other.layout.result_forms(other)[0].given
    samples = catalog.open_samples(other, root, is_mini=True)
    catalog.write_predictions(other, path, ((sample, replayed(sample)) for sample in samples))
    assert main(["score", name, str(path), "--data-root", str(root), "--work-dir", str(tmp_path / "work")]) == 2
    told = f"predicted samples belong to {other.name}, another split of {other.dataset}. Score them with 'python -m"
    assert told in capsys.readouterr().err
