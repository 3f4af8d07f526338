"""Every bridge over a defect of an official tool is still needed; a failure here means: remove the bridge."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as city_instances  # noqa: N813
from official_tools import cityscapes_instance_files, no_json_writer, numpy_in1d, quiet
from panopticapi.evaluation import PQStat
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from scene_views import RUNS, instance_ids
from scenes import scenes

from benchmark import labels, masks


def _run_instance_evaluator(folder: Path, scenario: str = "typical") -> None:
    """cityscapesscripts' instance evaluator without any bridge."""
    drawn_scenes = scenes(scenario, num=2)
    pairs = [RUNS["cityscapes_instance_ap"].view(scene) for scene in drawn_scenes]
    ids = [instance_ids(scene) for scene in drawn_scenes]
    truths, founds = cityscapes_instance_files(pairs, ids, labels.load("cityscapes"), folder)
    settings = city_instances.args
    with (
        quiet(),
        mock.patch.object(settings, "JSONOutput", False),
        mock.patch.object(settings, "quiet", True),
        mock.patch.object(settings, "predictionPath", str(folder)),
        mock.patch.object(settings, "gtInstancesFile", str(folder / "absent.json")),
    ):
        city_instances.evaluateImgLists(founds, truths, settings)


def test_cityscapesscripts_still_calls_the_removed_in1d(tmp_path: Path) -> None:
    with no_json_writer(city_instances), pytest.raises(AttributeError, match="in1d"):
        _run_instance_evaluator(tmp_path)


def test_cityscapesscripts_still_writes_numpy_integers_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with numpy_in1d(), pytest.raises(AttributeError, match="__dict__"):
        _run_instance_evaluator(tmp_path / "files")
    assert (tmp_path / "matches.json").exists()


def test_both_bridges_together_let_the_instance_evaluator_run(tmp_path: Path) -> None:
    with numpy_in1d(), no_json_writer(city_instances):
        _run_instance_evaluator(tmp_path)
    assert not hasattr(np, "in1d")


def test_panopticapi_still_divides_by_zero_without_categories() -> None:
    with pytest.raises(ZeroDivisionError):
        PQStat().pq_average({1: {"isthing": 1}}, isthing=None)


def test_pycocotools_still_fails_on_an_empty_list_of_results() -> None:
    truth = COCO()
    truth.dataset = {"images": [{"id": 1}], "categories": [], "annotations": []}
    with quiet():
        truth.createIndex()
        with pytest.raises(IndexError):
            truth.loadRes([])


def test_pycocotools_still_overflows_on_the_area_of_more_than_255_masks() -> None:
    rles = [masks.to_json(masks.from_counts([0, 4], (2, 2)))] * 300
    with pytest.raises(OverflowError):
        coco_mask.area(rles)
