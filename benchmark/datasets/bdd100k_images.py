"""BDD100K, the 10,000 images: semantic maps of 19 classes and panoptic bitmasks of 40.

{bdd100k, BDD100K, .}/labels/sem_seg/masks/val/<name>.png       train ids 0..18, 255 is ignored
{bdd100k, BDD100K, .}/labels/pan_seg/bitmasks/val/<name>.png    RGBA: class, attributes, instance
{bdd100k, BDD100K, .}/images/10k/val/<name>.jpg
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, some, the_folder
from benchmark.formats import bdd100k_panoptic, derived, label_maps
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.problems import DataError, Problem
from benchmark.row import Benchmark

FOLDERS = {Task.SEMANTIC: "labels/sem_seg/masks", Task.PANOPTIC: "labels/pan_seg/bitmasks"}


class Bdd100kImages:
    """Folders of one PNG an image; predictions have the truth's names."""

    roots = ("bdd100k", "BDD100K", ".")
    how_to_get = "Download the 10K images and the segmentation labels from https://doc.bdd100k.com/download.html"

    def landmark(self, row: Benchmark) -> str:
        """The folder of the labels."""
        return f"{FOLDERS[row.task]}/{row.split}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The official folder of the split."""
        home = folder / self.landmark(row)
        return _read(row, home, _pictures(row, [folder])) if home.is_dir() else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A folder of labels."""
        return _read(row, the_folder(truth, row), _pictures(row, homes_of(truth, root, self.roots)))

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder of PNGs; an image without one counts as ignored throughout."""
        found = _files(the_folder(path, row))
        wanted = {sample_id: found[sample_id] for sample_id in samples.ids if sample_id in found}
        if samples.ids and not wanted:
            message = f"no file fits any of the {len(samples):,} images (expected names like {samples.ids[0]}.png)"
            raise DataError([Problem(place=str(path), message=message, remedy="Name predictions after their images")])
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
        if row.task is Task.PANOPTIC:
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
                write_jpeg(home / f"images/10k/{row.split}/{name}.jpg", image.image)
                path = home / self.landmark(row) / f"{name}.png"
                if row.task is Task.PANOPTIC:
                    bdd100k_panoptic.write_map(path, image.panoptic, row.label_set)
                else:
                    encoding = label_maps.encoding_of(row.label_set)
                    write_png(path, encoding.encode(derived.label_map(image.panoptic, row.label_set)))


def _read(row: Benchmark, folder: Path, pictures: Pictures) -> Listing:
    files = some(_files(folder), folder, "*.png")
    if row.task is Task.PANOPTIC:
        return bdd100k_panoptic.read_truth(files, pictures, row.label_set)
    return label_maps.read_truth(files, pictures, label_maps.encoding_of(row.label_set))


def _files(folder: Path) -> dict[str, Path]:
    """PNGs by name without suffix; unlike COCO's, names of digits stay as they are."""
    found = sorted(path for path in folder.iterdir() if path.suffix == ".png" and not path.name.startswith("."))
    return {path.stem: path for path in found}


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        return f"{of}.jpg"

    return Pictures.below(homes, (f"images/10k/{row.split}", row.split), name)


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

ROWS = (
    _semantic(name="bdd100k_semantic_val", split="val", num_samples=1000),
    _panoptic(name="bdd100k_panoptic_val", split="val", num_samples=1000),
    _semantic(name="bdd100k_semantic_test", split="test", num_samples=2000, truth="private"),
    _panoptic(name="bdd100k_panoptic_test", split="test", num_samples=2000, truth="private"),
    _semantic(name="bdd100k_semantic_train", split="train", num_samples=7000, is_train=True),
    _panoptic(name="bdd100k_panoptic_train", split="train", num_samples=7000, is_train=True),
)
