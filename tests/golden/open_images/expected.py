"""Scores of the official evaluators on the files of `tests/open_images_files.py`, printed as JSON; see README.md."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import open_images_files as files
import pandas as pd
from object_detection.dataset_tools import oid_hierarchical_labels_expansion
from object_detection.metrics import oid_challenge_evaluation_utils
from object_detection.utils import object_detection_evaluation


def main() -> None:
    """Print case -> protocol -> score -> value."""
    found = {}
    with mock.patch.multiple(np, create=True, float=float, bool=bool, NAN=np.nan):
        for name, case in files.CASES.items():
            with tempfile.TemporaryDirectory() as folder:
                files.write(Path(folder), case)
                found[name] = scores_of(Path(folder))
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


def scores_of(folder: Path) -> dict[str, dict[str, float | None]]:
    """Scores by protocol of one case."""
    hierarchy = json.loads((folder / files.HIERARCHY).read_text())
    expansion = oid_hierarchical_labels_expansion.OIDHierarchicalLabelsExpansion(hierarchy)
    boxes = expanded(folder / files.BOXES, lambda line: expansion.expand_boxes_or_segments_from_csv(line, 1))
    shapes = expanded(folder / files.MASKS, lambda line: expansion.expand_boxes_or_segments_from_csv(line, 1))
    labels = expanded(folder / files.LABELS, lambda line: expansion.expand_labels_from_csv(line, 2, 3))
    labels = labels.rename(columns={"Confidence": "ConfidenceImageLabel"})
    merged = oid_challenge_evaluation_utils.merge_boxes_and_masks(boxes, shapes)
    found_boxes, found_masks = (pd.read_csv(folder / name) for name in (files.FOUND_BOXES, files.FOUND_MASKS))
    return {
        "challenge": evaluate(boxes, labels, found_boxes, 1.0, has_masks=False),
        "v2": evaluate(boxes, labels, found_boxes, 0.0, has_masks=False),
        "half": evaluate(boxes, labels, found_boxes, 0.5, has_masks=False),
        "masks": evaluate(merged, labels, found_masks, 1.0, has_masks=True),
    }


def expanded(path: Path, expand: object) -> pd.DataFrame:
    """A CSV whose lines were copied along the hierarchy."""
    header, *lines = path.read_text().splitlines()
    copies = [copy for line in lines for copy in expand(line)]
    return pd.read_csv(io.StringIO("\n".join([header, *copies])))


def evaluate(
    truth: pd.DataFrame, labels: pd.DataFrame, found: pd.DataFrame, weight: float, *, has_masks: bool
) -> dict[str, float | None]:
    """The official scores of one protocol; null where there is no truth."""
    numbers = {name: place + 1 for place, name in enumerate(files.codes())}
    evaluator = object_detection_evaluation.OpenImagesChallengeEvaluator(
        [{"id": number, "name": name} for name, number in numbers.items()],
        evaluate_masks=has_masks,
        group_of_weight=weight,
    )
    for image_id, group in pd.concat([truth, labels]).groupby("ImageID"):
        known = oid_challenge_evaluation_utils.build_groundtruth_dictionary(group, numbers)
        # pandas 3 hands out read-only arrays, and the evaluator subtracts in place.
        known = {name: np.array(value) for name, value in known.items()}
        evaluator.add_single_ground_truth_image_info(image_id, known)
        own = found.loc[found["ImageID"] == image_id]
        results = oid_challenge_evaluation_utils.build_predictions_dictionary(own, numbers)
        evaluator.add_single_detected_image_info(image_id, results)
    values = {name.rsplit("/", 1)[1]: value for name, value in evaluator.evaluate().items()}
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


if __name__ == "__main__":
    main()
