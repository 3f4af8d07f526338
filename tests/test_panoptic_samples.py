"""Panoptic quality on the small examples of other tools, where their conventions and the official one coincide.

torchmetrics and deeplab2 take dense (class, instance) arrays: every pair is a segment, but a stuff class is one.
Both deviate from the official metric where a prediction is void; in these examples that changes nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scene_views import toy_labels

from benchmark.contract import Panoptic, Prediction, Prompt, Sample, Scores, Segment, Task, Truth, summarise
from benchmark.labels import LabelSet
from benchmark.metrics.panoptic_quality import PanopticQuality


def dense(category: NDArray[np.int64], instance: NDArray[np.int64], labels: LabelSet) -> Panoptic:
    """A map of (category, instance) pairs [H, W] as listed segments; a category outside the label set is void."""
    ids = np.zeros(category.shape, np.int32)
    segments = []
    for label in labels.classes:
        numbers = np.where(label.is_thing, instance, 0)
        for number in np.unique(numbers[category == label.category_id]):
            segments.append(Segment(id=len(segments) + 1, class_index=label.class_index))
            ids[(category == label.category_id) & (numbers == number)] = segments[-1].id
    return Panoptic(segment_id=ids, segments=tuple(segments))


def score(truth: Panoptic, found: Panoptic, labels: LabelSet, repeat: int = 1) -> Scores:
    metric = PanopticQuality(labels)
    height, width = truth.segment_id.shape
    stats = []
    for number in range(repeat):
        sample = Sample(
            sample_id=str(number),
            frames=(),
            size=(height, width),
            prompt=Prompt(task=Task.PANOPTIC),
            truth=Truth(frames=(truth,)),
        )
        stats.append(metric.measure(sample, Prediction(frames=(found,))))
    return summarise(metric, stats)


@pytest.mark.parametrize("name", ["case_5x5", "case_points"])
def test_toy_grids_score_what_torchmetrics_states(name: str, samples_dir: Path) -> None:
    case = json.loads((samples_dir / "image" / "panoptic_quality_toy" / f"{name}.json").read_text())
    labels = toy_labels(case["things"], case["stuff"])
    sides = []
    for side in ("target", "pred"):
        grid = np.array(case[side])
        grid = grid if grid.ndim == 3 else grid[None]
        sides.append(dense(grid[..., 0], grid[..., 1], labels))
    result = score(sides[0], sides[1], labels, case["repeat"])
    assert result.values["PQ"] == pytest.approx(case["expected"]["PQ"], abs=5e-5)


def test_team_image_scores_what_deeplab2_states(samples_dir: Path) -> None:
    folder = samples_dir / "image" / "pq_team_image"
    case = json.loads((folder / "case.json").read_text())
    labels = toy_labels([1, 2], [])
    grey = np.array(Image.open(folder / "team_gt_instance.png").convert("L"), np.int64)
    classes = np.vectorize({int(key): value for key, value in case["gt_gray_value_to_class"].items()}.get)(grey)
    colors = np.array(Image.open(folder / "team_pred_class.png").convert("RGB"))
    found = np.zeros(grey.shape, np.int64)
    for text, value in case["pred_class_colour_to_class"].items():
        found[(colors == [int(part) for part in text.split(",")]).all(axis=-1)] = value
    instance = np.array(Image.open(folder / "team_pred_instance.png").convert("L"), np.int64)
    result = score(dense(classes, grey, labels), dense(found, instance, labels), labels)
    expected = case["expected_mean_over_classes"]
    for name in ("PQ", "SQ", "RQ"):
        assert result.values[name] == pytest.approx(expected[name], abs=case["tolerance"])
    means = {name: count / labels.num_classes for name, count in result.counts.items()}
    assert means == {name: expected[name] for name in ("TP", "FN", "FP")}
