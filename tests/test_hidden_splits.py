"""Splits whose truth is hidden: pictures open and can be answered, an archive is written of them, nothing is scored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from replay import replayed

from benchmark import catalog, doctor
from benchmark.__main__ import main
from benchmark.contract import PredictionSet
from benchmark.minidata import miniatures
from benchmark.minidata.pools import Pools
from benchmark.problems import DataError
from leaderboards import validation, writing
from leaderboards.families import form_of
from leaderboards.problems import has_errors

FEW = Pools(num_images={"train": 1, "val": 2}, num_clips={"train": 1, "val": 1})
COCO = ("coco/annotations/instances_test-dev2017.json", "coco/annotations/panoptic_test-dev2017.json")
COCO += ("coco/annotations/panoptic_test-dev2017", "coco/panoptic_semseg_test-dev2017")
ADE20K = ("ade20k/ADEChallengeData2016",)
MAPILLARY = ("mapillary_vistas/testing/v1.2",)
HIDDEN = {
    **{f"coco_{task}_test-dev2017": (20288, COCO) for task in ("panoptic", "instance", "detection")},
    **{f"cityscapes_{task}_test": (1525, ("cityscapes/gtFine",)) for task in ("panoptic", "instance", "semantic")},
    **{f"ade20k_{task}_test": (3352, ADE20K) for task in ("instance", "semantic")},
    **{f"bdd100k_{task}_test": (2000, ("bdd100k/labels",)) for task in ("semantic", "panoptic", "instance")},
    **{f"mapillary_{task}_v12_test": (5000, MAPILLARY) for task in ("semantic", "panoptic", "instance")},
    "mapillary_panoptic_v20_test": (5000, ("mapillary_vistas/testing/v2.0",)),
    "kitti_mots_test": (29, ("KITTI_MOTS/testing/instances", "KITTI_MOTS/testing/instances_txt")),
    "davis17_unsupervised_vos_test-dev": (30, ("DAVIS/Annotations_unsupervised",)),
    "davis17_unsupervised_vos_test-challenge": (30, ("DAVIS/Annotations_unsupervised",)),
}
"""Row -> (official number of samples, files that the organisers keep to themselves)."""


@pytest.fixture(scope="module")
def root_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A data root with the small miniature of a row's split, truth included."""
    home = tmp_path_factory.mktemp("hidden")

    def find(name: str) -> Path:
        if not (home / name).is_dir():
            miniatures.write(home / name, [catalog.get(name)], FEW)
        return home / name

    return find


@pytest.fixture
def bare_root(root_of: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """The same as it is downloaded: without what is hidden."""

    def find(name: str) -> Path:
        root = tmp_path / "bare"
        shutil.copytree(root_of(name), root)
        for inner in HIDDEN[name][1]:
            path = root / inner
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return root

    return find


@pytest.mark.parametrize("name", HIDDEN)
def test_a_hidden_split_has_the_official_count_and_is_not_scored(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = catalog.get(name)
    assert (row.truth, row.num_samples) == ("private", HIDDEN[name][0])
    call = ["score", name, str(tmp_path), "--data-root", str(tmp_path), "--work-dir", str(tmp_path / "work")]
    assert main(call) == 2
    assert f"leaderboards write RUN {name}" in capsys.readouterr().err


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_downloaded_opens_as_with_its_truth(
    root_of: Callable[[str], Path], bare_root: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    row = catalog.get(name)
    whole = catalog.open_samples(row, root_of(name), is_mini=True)
    row = replace(row, num_samples=len(whole))
    bare = catalog.open_samples(row, bare_root(name))
    assert bare.ids == whole.ids
    for left, right in zip(bare, whole, strict=True):
        assert (left.size, left.prompt) == (right.size, right.prompt)
        assert [one.name for one in left.frames] == [one.name for one in right.frames]
        assert left.frames[0].is_file() and left.truth is not None
        with pytest.raises(DataError, match="not public"):
            left.truth.frames[0]
    (finding,) = doctor.examine(tmp_path / "bare", [row]).findings
    assert not finding.problems and finding.has_pictures


@pytest.mark.parametrize("name", HIDDEN)
def test_an_archive_is_written_without_the_truth(
    root_of: Callable[[str], Path], bare_root: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    row = catalog.get(name)
    answers = {one.sample_id: replayed(one) for one in catalog.open_samples(row, root_of(name), is_mini=True)}
    bare = catalog.open_samples(replace(row, num_samples=len(answers)), bare_root(name))
    target = tmp_path / form_of(row).archive_name(row, "ours")
    found = writing.write(row, bare, PredictionSet(tuple(answers), answers.__getitem__), target)
    assert not has_errors(found) and not validation.validate(row, target, bare)


@pytest.mark.parametrize("name", HIDDEN)
def test_a_split_that_is_not_there_says_what_was_looked_for(tmp_path: Path, name: str) -> None:
    row = catalog.get(name)
    with pytest.raises(catalog.DataNotFound) as caught:
        catalog.open_samples(row, tmp_path)
    (problem,) = caught.value.problems
    assert row.layout.landmark(row).rstrip("/") in problem.message


@pytest.mark.parametrize("split", ["dev", "challenge"])
def test_lists_of_lvis_without_annotations_open(root_of: Callable[[str], Path], tmp_path: Path, split: str) -> None:
    row = catalog.get(f"lvis_instance_v1_test_{split}")
    root = tmp_path / "bare"
    shutil.copytree(root_of(row.name), root)
    path = root / "lvis" / row.layout.landmark(row)
    document = json.loads(path.read_text(encoding="utf-8"))
    plain = ("id", "height", "width", "coco_url")
    images = [{name: one[name] for name in plain} for one in document["images"]]
    path.write_text(json.dumps({"images": images, "categories": document["categories"]}), encoding="utf-8")
    bare = catalog.open_samples(replace(row, num_samples=len(images)), root)
    assert bare.ids == catalog.open_samples(row, root_of(row.name), is_mini=True).ids
    assert bare[0].frames[0].is_file() and bare[0].size == (images[0]["height"], images[0]["width"])
