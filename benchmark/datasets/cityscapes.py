"""Cityscapes, fine annotations: semantic, instance and panoptic segmentation of 19 classes.

{cityscapes, Cityscapes, .}/gtFine/val/, gtFine/cityscapes_panoptic_val.json, leftImg8bit/val/

The label files that come with the test pictures are dummies: ego vehicle and border alone are marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark import result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets import hidden_images, panoptic_json
from benchmark.datasets.pictures import (
    Pictures,
    homes_of,
    read_label_maps,
    some,
    some_predictions,
    the_folder,
)
from benchmark.formats import cityscapes, cityscapes_labels, cityscapes_results, label_maps
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

PICTURES, PICTURE = "leftImg8bit", "_leftImg8bit.png"
"""Folder of the pictures, and the end of their names."""


class CityscapesLayout:
    """gtFine and leftImg8bit, one folder a city; panoptic truth from its JSON or from the instance maps."""

    roots = ("cityscapes", "Cityscapes", ".")
    how_to_get = "Download leftImg8bit and gtFine from https://www.cityscapes-dataset.com (account needed)"

    def landmark(self, row: Benchmark) -> str:
        """The folder of the cities; of the test split that of the pictures."""
        return f"{PICTURES if row.truth == 'private' else 'gtFine'}/{row.split}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """From the label files; panoptic truth from its own JSON where there is one. Test pictures need no labels."""
        truth = folder / "gtFine" / row.split
        pictures = _pictures(row, [folder])
        path = folder / "gtFine" / f"cityscapes_panoptic_{row.split}.json"
        if row.truth == "private" and not (truth.is_dir() or path.is_file()):
            return hidden_images.of_folder(folder / self.landmark(row), PICTURE)
        if row.task is not Task.PANOPTIC:
            return _open_folder(row, truth, pictures) if truth.is_dir() else None
        if path.is_file():
            return panoptic_json.open_file(row, path, pictures)
        if not truth.is_dir():
            return None
        files = cityscapes_labels.find(truth, cityscapes_labels.INSTANCE_IDS)
        return cityscapes_labels.read_panoptic(files, pictures, row.label_set)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A panoptic JSON, the folder of its PNGs, or a folder of label files at any depth."""
        pictures = _pictures(row, homes_of(truth, root, self.roots))
        if truth.is_file():
            return panoptic_json.open_file(row, truth, pictures)
        if row.task is Task.PANOPTIC:
            name = f"cityscapes_panoptic_{row.split}.json"
            path = panoptic_json.beside(truth, name, f"gtFine/{name}")
            return panoptic_json.open_file(row, path, pictures, truth)
        return _open_folder(row, truth, pictures)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A panoptic JSON with PNGs, text files with mask PNGs, or label PNGs."""
        if row.task is Task.PANOPTIC:
            return (result_forms.panoptic("<image>_gtFine_panoptic.png"),)
        if row.task is Task.INSTANCE:
            lines = "lines of: mask PNG relative to this file, label id, score"
            masks = "the mask of an object: whatever is not 0"
            return (ResultForm(files={"results/<image>*.txt": lines, "results/**/<mask>.png": masks}),)
        return (result_forms.label_pngs("**/<image>*.png", label_maps.encoding_of(row.label_set).meaning),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A panoptic JSON with PNGs, a folder of text files and mask PNGs, or a folder of label PNGs."""
        if row.task is Task.PANOPTIC:
            return panoptic_json.read_predictions(row, path, samples.ids)
        folder = the_folder(path, row)
        if row.task is Task.INSTANCE:
            found = cityscapes_results.read_results(folder, samples.ids, row.label_set)
            return some_predictions(found, path, samples.ids, "<city>_<seq>_<frame>*.txt"), {}
        files = label_maps.files_by_prefix(folder, samples.ids, ".png")
        example = f"{samples.ids[0]}_pred.png" if samples.ids else "*.png"
        return read_label_maps(row, path, files, samples.ids, example), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same forms."""
        if row.task is Task.PANOPTIC:
            panoptic_json.write_predictions(row, path, predictions, lambda one: f"{one}_gtFine_panoptic")
        elif row.task is Task.INSTANCE:
            cityscapes_results.write_results(path, predictions, row.label_set)
        else:
            encoding = label_maps.encoding_of(row.label_set)
            label_maps.write_predictions(path, predictions, encoding, lambda one: f"{one}_pred.png")

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Every split with the files of all tasks."""
        for row in {one.split: one for one in rows}.values():
            cityscapes.write_split(root / self.roots[0], row.split, scenes.images(row), row.label_set)


def _open_folder(row: Benchmark, folder: Path, pictures: Pictures) -> Listing:
    """Semantic or instance truth. folder: gtFine, the split in it, or a folder above or below."""
    inner = [folder / "gtFine" / row.split, folder / row.split, folder]
    folder = next(one for one in inner if one.is_dir())
    is_semantic = row.task is Task.SEMANTIC
    suffix = cityscapes_labels.LABEL_IDS if is_semantic else cityscapes_labels.INSTANCE_IDS
    files = some(cityscapes_labels.find(folder, suffix), folder, f"*{suffix}")
    if is_semantic:
        encoding = label_maps.encoding_of(row.label_set)
        return cityscapes_labels.read_semantic(files, pictures, row.label_set, encoding)
    return cityscapes_labels.read_instances(files, pictures, row.label_set)


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        sample_id = of if image is None else image.sample_id
        city = sample_id.rsplit("_", 2)[0]
        return f"{city}/{sample_id}{PICTURE}"

    return Pictures.below(homes, (f"{PICTURES}/{row.split}",), name)


LAYOUT = CityscapesLayout()
_row = partial(Benchmark, dataset="cityscapes", labels="cityscapes", layout=LAYOUT)
_panoptic = partial(_row, task=Task.PANOPTIC, metric="panoptic_quality", main_score="PQ", protocols=("coco",))
_instance = partial(_row, task=Task.INSTANCE, metric="cityscapes_instance_ap", main_score="AP", protocols=("official",))
_semantic = partial(_row, task=Task.SEMANTIC, metric="cityscapes_iou", main_score="mIoU", protocols=("official",))
_VAL: dict[str, Any] = {"split": "val", "num_samples": 500}
_TRAIN: dict[str, Any] = {"split": "train", "num_samples": 2975, "is_train": True}
_HIDDEN: dict[str, Any] = {
    "split": "test",
    "num_samples": 1525,
    "truth": "private",
    "notes": "The truth is hidden; the label files among the downloads are dummies. The organisers' server scores it.",
}

ROWS = (
    _panoptic(
        **_VAL,
        name="cityscapes_panoptic_val",
        notes="Files with label ids and with train ids are both read; groups are crowds.",
    ),
    _instance(
        **_VAL,
        name="cityscapes_instance_val",
        notes="Not comparable with COCO's AP. A class whose predictions are all excused scores 0 "
        "(the official script fails).",
    ),
    _semantic(
        **_VAL,
        name="cityscapes_semantic_val",
        notes="Predictions hold label ids, not train ids.",
    ),
    _panoptic(**_HIDDEN, name="cityscapes_panoptic_test"),
    _instance(**_HIDDEN, name="cityscapes_instance_test"),
    _semantic(**_HIDDEN, name="cityscapes_semantic_test"),
    _panoptic(
        **_TRAIN,
        name="cityscapes_panoptic_train",
        notes="Joint training derives all three tasks from panoptic truth.",
    ),
)
