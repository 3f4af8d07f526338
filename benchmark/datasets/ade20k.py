"""ADE20K, the scene parsing subset: semantic, instance and panoptic segmentation of 150 classes.

{ade20k/, }ADEChallengeData2016/{images,annotations,annotations_instance}/validation/
{ade20k/, }release_test/testing/ADE_test_00000001.jpg: the truth is hidden
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
from benchmark.datasets.pictures import Pictures, homes_of, read_label_maps, some, the_file, the_folder
from benchmark.formats import ade20k, ade20k_labels, coco_results, label_maps
from benchmark.formats.ade20k import FOLDERS, TEST_PICTURES
from benchmark.formats.coco_results import Numbering
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

HOME = "ADEChallengeData2016"
PLACES_FIRST: Mapping[str, int] = {"train": 0, "val": 20210, "test": 22210}
"""Number of a split's first image in the list that the Places challenge of 2017 counts through."""


class Ade20kLayout:
    """ADEChallengeData2016 with the instance maps of the 2017 challenge; panoptic truth is derived from both."""

    roots = (f"ade20k/{HOME}", HOME, "ade20k", ".")
    how_to_get = "Download ADEChallengeData2016.zip and annotations_instance.tar from http://sceneparsing.csail.mit.edu"

    def landmark(self, row: Benchmark) -> str:
        """The folder of label maps; of the test split that of the pictures."""
        return TEST_PICTURES if row.truth == "private" else f"{_maps(row)}/{FOLDERS[row.split]}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """From the label maps; panoptic truth from its own JSON where there is one. Test pictures need no labels."""
        pictures = _pictures(row, [folder])
        if row.truth == "private" and not (folder / _maps(row) / FOLDERS[row.split]).is_dir():
            return hidden_images.of_folder(pictures.folder, ".jpg")
        semantic, instances = (folder / name / FOLDERS[row.split] for name in ("annotations", "annotations_instance"))
        path = folder / f"ade20k_{row.task.value}_{row.split}.json"
        if row.task is Task.PANOPTIC and path.is_file():
            return panoptic_json.open_file(row, path, pictures)
        if row.task is Task.INSTANCE:
            if instances.is_dir():
                return ade20k_labels.read_instances(label_maps.files_by_stem(instances), pictures, row.label_set)
            return panoptic_json.open_file(row, path, pictures) if path.is_file() else None
        if not semantic.is_dir():
            return None
        files = label_maps.files_by_stem(semantic)
        encoding = label_maps.encoding_of(row.label_set)
        if row.task is Task.SEMANTIC:
            return label_maps.read_truth(files, pictures, encoding)
        if not instances.is_dir():
            return None
        objects = {sample_id: instances / path.name for sample_id, path in files.items()}
        return ade20k_labels.read_panoptic(files, objects, pictures, row.label_set, encoding)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A JSON, or a folder of label maps."""
        pictures = _pictures(row, homes_of(truth, root, self.roots))
        if truth.is_file():
            return panoptic_json.open_file(row, truth, pictures)
        if row.task is Task.PANOPTIC:
            path = panoptic_json.beside(truth, f"ade20k_panoptic_{row.split}.json")
            return panoptic_json.open_file(row, path, pictures, truth)
        name, split = _maps(row), FOLDERS[row.split]
        inner = [truth / name / split, truth / name, truth / split, truth]
        folder = next((one for one in inner if one.is_dir() and any(one.glob("*.png"))), truth)
        files = some(label_maps.files_by_stem(folder), folder, "*.png")
        if row.task is Task.INSTANCE:
            return ade20k_labels.read_instances(files, pictures, row.label_set)
        return label_maps.read_truth(files, pictures, label_maps.encoding_of(row.label_set))

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """As COCO has them; an image is its name, or its number in the Places challenge."""
        if row.task is Task.PANOPTIC:
            return (result_forms.panoptic("<image>.png"),)
        if row.task is Task.INSTANCE:
            return (result_forms.MASKS,)
        return (result_forms.label_pngs("<image>.png", label_maps.encoding_of(row.label_set).meaning),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A result JSON in either numbering, a panoptic JSON with PNGs, or a folder of label PNGs."""
        if row.task is Task.PANOPTIC:
            return panoptic_json.read_predictions(row, path, samples.ids)
        if row.task is Task.INSTANCE:
            return coco_results.read_results(
                the_file(path, row), samples.ids, lambda first: _numbering(row, samples.ids, first)
            )
        files = label_maps.files_by_stem(the_folder(path, row))
        example = f"{samples.ids[0]}.png" if samples.ids else "*.png"
        return read_label_maps(row, path, files, samples.ids, example), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same forms."""
        if row.task is Task.PANOPTIC:
            panoptic_json.write_predictions(row, path, predictions, str)
        elif row.task is Task.INSTANCE:
            first_image_id = PLACES_FIRST[row.split] if row.truth == "private" else None
            coco_results.write_results(path, predictions, _numbering(row, (), first_image_id))
        else:
            encoding = label_maps.encoding_of(row.label_set)
            label_maps.write_predictions(path, predictions, encoding, lambda one: f"{one}.png")

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Every split with the files of all tasks."""
        for row in {one.split: one for one in rows}.values():
            ade20k.write_split(root / self.roots[0], row.split, scenes.images(row), row.label_set)


def places_numbering(row: Benchmark, sample_ids: Sequence[str]) -> Numbering:
    """ADE20K as the Places challenge numbered it: images counted over all splits, things 1 to 100."""
    first = PLACES_FIRST[row.split]
    labels = row.label_set
    by_number = {first + int(one.rsplit("_", 1)[1]) - 1: one for one in sample_ids if one.rsplit("_", 1)[-1].isdigit()}
    things = {one.instance_category_id: one.class_index for one in labels.classes if one.instance_category_id}
    return Numbering(
        image=lambda value: by_number.get(value) if isinstance(value, int) else None,
        category=lambda value: things.get(value) if isinstance(value, int) else None,
        image_id=lambda sample_id: first + int(sample_id.rsplit("_", 1)[1]) - 1,
        category_id=lambda class_index: labels.classes[class_index].instance_category_id or 0,
    )


def _numbering(row: Benchmark, sample_ids: Sequence[str], first_image_id: Any) -> Numbering:
    """Numbers mean the Places challenge's list, texts are file names."""
    if isinstance(first_image_id, int):
        return places_numbering(row, sample_ids)
    return coco_results.coco_numbering(sample_ids, row.label_set)


def _maps(row: Benchmark) -> str:
    return "annotations_instance" if row.task is Task.INSTANCE else "annotations"


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        return of if of.endswith(".jpg") else f"{of}.jpg"

    if row.split == "test":
        beside = [home.parent if home.name == HOME else home for home in homes]
        return Pictures.below(beside, (TEST_PICTURES,), name)
    return Pictures.below(homes, (f"images/{FOLDERS[row.split]}", "images"), name)


LAYOUT = Ade20kLayout()
_row = partial(Benchmark, dataset="ade20k", labels="ade20k", layout=LAYOUT)
_panoptic = partial(_row, task=Task.PANOPTIC, metric="panoptic_quality", main_score="PQ", protocols=("coco",))
_instance = partial(_row, task=Task.INSTANCE, metric="ade20k_segm_ap", main_score="AP")
_semantic = partial(
    _row,
    task=Task.SEMANTIC,
    metric="semantic_iou",
    main_score="mIoU",
    protocols=("all", "present", "union"),
    mini_protocol="present",
)
_VAL: dict[str, Any] = {"split": "val", "num_samples": 2000}
_TRAIN: dict[str, Any] = {"split": "train", "num_samples": 20210, "is_train": True}
_HIDDEN: dict[str, Any] = {"split": "test", "num_samples": 3352, "truth": "private"}

ROWS = (
    _panoptic(
        **_VAL,
        name="ade20k_panoptic_val",
        notes="Derived: stuff first, instances over it; pixels of a thing without an instance are void.",
    ),
    _instance(
        **_VAL,
        name="ade20k_instance_val",
        protocols=("coco", "places"),
        notes="Recent papers cap at 100 detections ('coco'); the 2017 challenge at 255 a class ('places').",
    ),
    _semantic(
        **_VAL,
        name="ade20k_semantic_val",
        notes="The official script counts an absent class as 0; on the full split every class occurs.",
    ),
    _instance(
        **_HIDDEN,
        name="ade20k_instance_test",
        protocols=("places", "coco"),
        notes="The truth is hidden. The Places challenge of 2017 scored it, in numbers of its own: images are counted "
        "over all splits, things from 1 to 100.",
    ),
    _semantic(
        **_HIDDEN,
        name="ade20k_semantic_test",
        notes="The truth is hidden. The server takes PNGs of 1 to 150 at the size of the pictures and ranked by the "
        "mean of pixel accuracy and mIoU.",
    ),
    _panoptic(
        **_TRAIN,
        name="ade20k_panoptic_train",
        notes="Joint training derives all three tasks from panoptic truth.",
    ),
)
