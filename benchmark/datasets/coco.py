"""COCO 2017: boxes and masks of 80 classes, panoptic and semantic segmentation of 133.

{coco, COCO, .}/annotations/{instances,panoptic}_val2017.json, annotations/panoptic_val2017/, panoptic_semseg_val2017/,
val2017/
{coco, COCO, .}/annotations/image_info_test-dev2017.json, test2017/: the truth is hidden
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmark import result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets import hidden_images, panoptic_json
from benchmark.datasets.pictures import Pictures, homes_of, read_label_maps, some, the_file, the_folder
from benchmark.formats import coco, coco_results, label_maps
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

OBJECTS = (Task.DETECTION, Task.INSTANCE)
PANOPTIC = "coco_panoptic"


class CocoLayout:
    """The layout of the official downloads, with the semantic maps that papers derive."""

    roots = ("coco", "COCO", ".")
    how_to_get = "Download the 2017 images, annotations and panoptic annotations from https://cocodataset.org/#download"

    def landmark(self, row: Benchmark) -> str:
        """The annotation file; of a hidden split the list of its images."""
        return _annotations(row, "image_info" if row.truth == "private" else None)

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """Instances from their own file, semantic maps where they are, everything else from the panoptic file."""
        pictures = _pictures(row, [folder])
        path, images = folder / _annotations(row), folder / self.landmark(row)
        if row.truth == "private" and images.is_file() and not path.is_file():
            return hidden_images.of_records(images, pictures.of)
        if row.task in OBJECTS:
            return panoptic_json.open_objects(row, path, pictures) if path.is_file() else None
        maps = folder / f"panoptic_semseg_{row.split}"
        if row.task is Task.SEMANTIC and maps.is_dir():
            files = label_maps.files_by_stem(maps)
            return label_maps.read_truth(files, pictures, label_maps.encoding_of(row.label_set))
        return panoptic_json.open_file(row, path, pictures) if path.is_file() else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """An annotation file, the folder of its PNGs, or a folder of semantic maps."""
        pictures = _pictures(row, homes_of(truth, root, self.roots))
        if truth.is_dir() and row.task is Task.SEMANTIC:
            files = some(label_maps.files_by_stem(truth), truth, "*.png")
            return label_maps.read_truth(files, pictures, label_maps.encoding_of(row.label_set))
        if truth.is_file():
            return panoptic_json.open_file(row, truth, pictures)
        standard = f"coco_{row.task.value}_{row.short_split}.json", f"annotations/{row.task.value}_{row.split}.json"
        return panoptic_json.open_file(row, panoptic_json.beside(truth, *standard), pictures, truth)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """One JSON of objects, a panoptic JSON with PNGs, or label PNGs."""
        if row.task is Task.PANOPTIC:
            return (result_forms.panoptic("<image>.png"),)
        if row.task in OBJECTS:
            return (result_forms.MASKS if row.task is Task.INSTANCE else result_forms.BOXES,)
        return (result_forms.label_pngs("<image>.png", label_maps.encoding_of(row.label_set).meaning),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A result JSON, a panoptic JSON with PNGs, or a folder of label PNGs."""
        if row.task is Task.PANOPTIC:
            return panoptic_json.read_predictions(row, path, samples.ids)
        if row.task in OBJECTS:
            numbering = coco_results.coco_numbering(samples.ids, row.label_set)
            needs_masks = row.task is Task.INSTANCE
            file = the_file(path, row)
            return coco_results.read_results(file, samples.ids, lambda _: numbering, needs_masks=needs_masks)
        files = label_maps.files_by_stem(the_folder(path, row))
        example = f"{stem(samples.ids[0])}.png" if samples.ids else "*.png"
        return read_label_maps(row, path, files, samples.ids, example), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same forms."""
        if row.task is Task.PANOPTIC:
            panoptic_json.write_predictions(row, path, predictions, stem)
        elif row.task in OBJECTS:
            coco_results.write_results(path, predictions, coco_results.coco_numbering((), row.label_set))
        else:
            encoding = label_maps.encoding_of(row.label_set)
            label_maps.write_predictions(path, predictions, encoding, lambda one: f"{stem(one)}.png")

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Every split with the files of all tasks."""
        for row in {one.split: replace(one, labels=PANOPTIC) for one in rows}.values():
            coco.write_split(root / self.roots[0], row.short_split, scenes.images(row), row.label_set)


def stem(sample_id: str) -> str:
    """File name of an image without suffix."""
    return f"{int(sample_id):012d}" if sample_id.isdigit() else sample_id


def _annotations(row: Benchmark, kind: str | None = None) -> str:
    """An annotation file of a split. kind: first word of its name, None: that of the row's truth."""
    return f"annotations/{kind or ('instances' if row.task in OBJECTS else 'panoptic')}_{row.split}.json"


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        return f"{stem(of)}.jpg" if of.isdigit() else of

    folder = coco.picture_folder(row.short_split)
    return Pictures.below(homes, (folder, f"images/{folder}"), name)


LAYOUT = CocoLayout()
_row = partial(Benchmark, dataset="coco", labels=PANOPTIC, layout=LAYOUT)
_panoptic = partial(_row, task=Task.PANOPTIC, metric="panoptic_quality", main_score="PQ", protocols=("coco",))
_instance = partial(_row, task=Task.INSTANCE, metric="coco_segm_ap", main_score="AP", protocols=("coco", "boundary"))
_detection = partial(
    _row, task=Task.DETECTION, labels="coco", metric="coco_bbox_ap", main_score="AP", protocols=("coco",)
)
_semantic = partial(
    _row, task=Task.SEMANTIC, metric="semantic_iou", main_score="mIoU", protocols=("present", "all", "union")
)
_VAL: dict[str, Any] = {"split": "val2017", "num_samples": 5000}
_TRAIN: dict[str, Any] = {"split": "train2017", "num_samples": 118287, "is_train": True}
_HIDDEN: dict[str, Any] = {
    "split": "test-dev2017",
    "num_samples": 20288,
    "truth": "private",
    "notes": "About half of test2017. The truth is hidden: the server scored up to five archives a day of each task.",
}

ROWS = (
    _panoptic(
        **_VAL,
        name="coco_panoptic_val2017",
        notes="Equals panopticapi; areas of truth segments are the JSON's.",
    ),
    _instance(
        **_VAL,
        name="coco_instance_val2017",
        notes="Truth is instances_val2017.json. With --truth panoptic_val2017.json the objects are derived "
        "from it; OneFormer's AP is that number.",
    ),
    _detection(
        **_VAL,
        name="coco_detection_val2017",
        notes="Boxes of instances_val2017.json; the size split takes the truth's mask area and the result's box area.",
    ),
    _semantic(
        **_VAL,
        name="coco_semantic_val2017",
        notes="Derived from panoptic truth (133 classes), crowds included; classes without truth are skipped.",
    ),
    _panoptic(**_HIDDEN, name="coco_panoptic_test-dev2017"),
    _instance(**_HIDDEN, name="coco_instance_test-dev2017"),
    _detection(**_HIDDEN, name="coco_detection_test-dev2017"),
    _panoptic(
        **_TRAIN,
        name="coco_panoptic_train2017",
        notes="Joint training derives all three tasks from panoptic truth.",
    ),
    _instance(**_TRAIN, name="coco_instance_train2017", notes="Truth is instances_train2017.json."),
    _detection(**_TRAIN, name="coco_detection_train2017", notes="Boxes of instances_train2017.json."),
    _semantic(
        **_TRAIN,
        name="coco_semantic_train2017",
        notes="Derived from panoptic truth (133 classes), crowds included.",
    ),
)
