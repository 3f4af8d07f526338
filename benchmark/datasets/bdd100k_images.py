"""BDD100K, the 10,000 images: semantic maps of 19 classes, panoptic bitmasks of 40, objects of 8.

{bdd100k, BDD100K, .}/labels/sem_seg/masks/val/<name>.png       train ids 0..18, 255 is ignored
{bdd100k, BDD100K, .}/labels/pan_seg/bitmasks/val/<name>.png    RGBA: class, attributes, instance
{bdd100k, BDD100K, .}/labels/ins_seg/bitmasks/val/<name>.png    the same of objects; results have scores in a JSON
{bdd100k, BDD100K, .}/images/10k/val/<name>.jpg
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark import result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets import hidden_images
from benchmark.datasets.pictures import Pictures, homes_of, some, some_predictions, the_folder
from benchmark.formats import bdd100k_instances, bdd100k_panoptic, derived, label_maps
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.problems import OTHER_SPLIT, DataError, Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

FOLDERS = {
    Task.SEMANTIC: "labels/sem_seg/masks",
    Task.PANOPTIC: "labels/pan_seg/bitmasks",
    Task.INSTANCE: "labels/ins_seg/bitmasks",
}

PICTURES = "images/10k/{}"


class Bdd100kImages:
    """Folders of one PNG an image; predictions have the truth's names."""

    roots = ("bdd100k", "BDD100K", ".")
    how_to_get = "Download the 10K images and the segmentation labels from https://doc.bdd100k.com/download.html"

    def landmark(self, row: Benchmark) -> str:
        """The folder of the labels; of the test split that of the pictures."""
        return PICTURES.format(row.split) if row.truth == "private" else _labels(row)

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The official folder of the split. Test pictures need no labels."""
        home = folder / _labels(row)
        if row.truth == "private" and not home.is_dir():
            return hidden_images.of_folder(folder / self.landmark(row), ".jpg")
        return _read(row, home, _pictures(row, [folder])) if home.is_dir() else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A folder of labels."""
        return _read(row, the_folder(truth, row), _pictures(row, homes_of(truth, root, self.roots)))

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """Label PNGs, or bitmasks; scores of instances in the only JSON."""
        if row.task is Task.SEMANTIC:
            return (result_forms.label_pngs("<image>.png", label_maps.encoding_of(row.label_set).meaning),)
        bitmask = "RGBA PNG: R class, G attributes, instance = 256 B + A"
        if row.task is Task.PANOPTIC:
            return (result_forms.one_kind("results/<image>.png", bitmask),)
        scores = '[{"name": "<image>.jpg", "labels": [{"id", "index": the instance, "score"}]}]'
        return (ResultForm(files={"results/**/<image>.png": bitmask, "results/<scores>.json": scores}),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder of PNGs; an image without one counts as ignored throughout, or has no results of objects."""
        if row.task is Task.INSTANCE:
            return _read_objects(row, the_folder(path, row), samples.ids), {}
        found = _files(the_folder(path, row))
        wanted = {sample_id: found[sample_id] for sample_id in samples.ids if sample_id in found}
        if samples.ids and not wanted:
            message = f"no file fits any of the {len(samples):,} images (expected names like {samples.ids[0]}.png)"
            remedy = f"Name predictions after their images, or {OTHER_SPLIT}"
            raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
        sizes = {
            sample_id: samples[index].size for index, sample_id in enumerate(samples.ids) if sample_id not in found
        }
        sizes = {sample_id: sizes.get(sample_id, (0, 0)) for sample_id in samples.ids}
        if row.task is Task.PANOPTIC:
            return bdd100k_panoptic.read_predictions(wanted, sizes, row.label_set)
        encoding = label_maps.encoding_of(row.label_set)
        return bdd100k_panoptic.read_label_predictions(wanted, sizes, encoding)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        if row.task is Task.INSTANCE:
            bdd100k_instances.write_predictions(path, predictions, row.label_set)
        elif row.task is Task.PANOPTIC:
            bdd100k_panoptic.write_predictions(path, predictions, row.label_set)
        else:
            encoding = label_maps.encoding_of(row.label_set)
            label_maps.write_predictions(path, predictions, encoding, lambda one: f"{one}.png")

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Pictures and label files of every row; a crowd is marked in the bitmasks and has its class in the maps."""
        home = root / self.roots[0]
        for row in rows:
            for image in scenes.images(row):
                name = f"{zlib.crc32(row.split.encode()):08x}-{image.number:08x}"
                write_jpeg(home / PICTURES.format(row.split) / f"{name}.jpg", image.image)
                path = home / _labels(row) / f"{name}.png"
                if row.task is not Task.SEMANTIC:
                    bdd100k_panoptic.write_map(path, image.panoptic, row.label_set)
                else:
                    encoding = label_maps.encoding_of(row.label_set)
                    write_png(path, encoding.encode(derived.label_map(image.panoptic, row.label_set)))


def _labels(row: Benchmark) -> str:
    return f"{FOLDERS[row.task]}/{row.split}"


def _read(row: Benchmark, folder: Path, pictures: Pictures) -> Listing:
    files = some(_files(folder), folder, "*.png")
    if row.task is Task.INSTANCE:
        return bdd100k_instances.read_truth(files, pictures, row.label_set)
    if row.task is Task.PANOPTIC:
        return bdd100k_panoptic.read_truth(files, pictures, row.label_set)
    return label_maps.read_truth(files, pictures, label_maps.encoding_of(row.label_set))


def _read_objects(row: Benchmark, folder: Path, sample_ids: Sequence[str]) -> PredictionSet:
    """Bitmasks in the folder or one below it, with the only JSON of the folder. Raises DataError."""
    scores = sorted(one for one in folder.iterdir() if one.suffix == ".json")
    if len(scores) != 1:
        message = f"holds {len(scores)} JSON files, expected one with the scores"
        raise DataError([Problem(place=str(folder), message=message, remedy="Put the scores beside the bitmasks")])
    homes = [folder, *sorted(one for one in folder.iterdir() if one.is_dir())]
    files = {name: path for home in reversed(homes) for name, path in _files(home).items()}
    found = bdd100k_instances.read_predictions(files, scores[0], sample_ids, row.label_set)
    example = f"{sample_ids[0]}.png" if sample_ids else "*.png"
    return some_predictions(found, folder, sample_ids, example)


def _files(folder: Path) -> dict[str, Path]:
    """PNGs by name without suffix; unlike COCO's, names of digits stay as they are."""
    found = sorted(path for path in folder.iterdir() if path.suffix == ".png" and not path.name.startswith("."))
    return {path.stem: path for path in found}


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        return f"{of}.jpg"

    return Pictures.below(homes, (PICTURES.format(row.split), row.split), name)


LAYOUT = Bdd100kImages()
_row = partial(Benchmark, dataset="bdd100k", layout=LAYOUT, protocols=("official",))
_semantic = partial(
    _row,
    task=Task.SEMANTIC,
    labels="bdd100k_semantic",
    metric="bdd100k_iou",
    main_score="mIoU",
    notes="Equals the bdd100k toolkit: an image without a prediction counts as ignored throughout.",
)
_panoptic = partial(
    _row,
    task=Task.PANOPTIC,
    labels="bdd100k_panoptic",
    metric="bdd100k_panoptic_quality",
    main_score="PQ",
    notes="Equals the bdd100k toolkit on bitmasks, which is not COCO's PQ: all 40 classes, void-like ones too, plain "
    "IoU, and an image without a prediction counts as missed throughout.",
)
_instance = partial(
    _row,
    task=Task.INSTANCE,
    labels="bdd100k_tracking",
    metric="bdd100k_instance_ap",
    main_score="AP",
    notes="Equals the bdd100k toolkit, which is not COCO's AP: a crowd must be found like any object and may be found "
    "many times, and a detection may take an ignored truth before another.",
)

ROWS = (
    _semantic(name="bdd100k_semantic_val", split="val", num_samples=1000),
    _panoptic(name="bdd100k_panoptic_val", split="val", num_samples=1000),
    _instance(name="bdd100k_instance_val", split="val", num_samples=1000),
    _semantic(name="bdd100k_semantic_test", split="test", num_samples=2000, truth="private"),
    _panoptic(name="bdd100k_panoptic_test", split="test", num_samples=2000, truth="private"),
    _instance(name="bdd100k_instance_test", split="test", num_samples=2000, truth="private"),
    _semantic(name="bdd100k_semantic_train", split="train", num_samples=7000, is_train=True),
    _panoptic(name="bdd100k_panoptic_train", split="train", num_samples=7000, is_train=True),
    _instance(name="bdd100k_instance_train", split="train", num_samples=7000, is_train=True),
)
