"""Mapillary Vistas, versions 1.2 (65 classes) and 2.0 (116): semantic, instance and panoptic segmentation.

{mapillary_vistas, mapillary, Mapillary, .}/{training,validation,testing}/images/<key>.jpg
.../{., v1.2, v2.0}/{labels,instances}/<key>.png, .../{., v1.2, v2.0}/panoptic/panoptic_{2018,2020}.json with <key>.png

The download of 2.0 holds both versions in folders of their own; that of 1.2 has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark import result_forms
from benchmark.annotated import AnnotatedImage, Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets import hidden_images, panoptic_json
from benchmark.datasets.pictures import Pictures, homes_of, some, some_predictions, the_folder
from benchmark.formats import coco_panoptic, label_maps, mapillary, mapillary_results
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

FOLDERS = {"train": "training", "val": "validation", "test": "testing"}
VERSIONS = {"v12": ("v1.2", "."), "v20": ("v2.0",)}
"""Folders of a version's labels within a split."""
PANOPTIC = {"v12": "panoptic/panoptic_2018.json", "v20": "panoptic/panoptic_2020.json"}


class MapillaryLayout:
    """One folder a split, with the labels of one or both versions."""

    roots = ("mapillary_vistas", "mapillary", "Mapillary", "MapillaryVistas", ".")
    how_to_get = "Download Mapillary Vistas from https://www.mapillary.com/dataset/vistas (account needed)"

    def landmark(self, row: Benchmark) -> str:
        """The panoptic file, or the folder of the instance maps, which the semantic score needs, too.

        Of the test split the folder of the pictures.
        """
        if row.truth == "private":
            return f"{_folder(row)}/images"
        inside = PANOPTIC[_version(row)] if row.task is Task.PANOPTIC else "instances"
        return f"{_folder(row)}/{VERSIONS[_version(row)][0]}/{inside}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The official files of the split. Test pictures need no labels."""
        pictures = _pictures(row, [folder])
        for version in VERSIONS[_version(row)]:
            home = folder / _folder(row) / version
            path = home / PANOPTIC[_version(row)]
            if row.task is Task.PANOPTIC and path.is_file():
                return coco_panoptic.read_truth(path, path.parent, pictures.of, _numbered(row))
            if row.task is not Task.PANOPTIC and (home / "instances").is_dir():
                return _read(row, home / "instances", pictures)
        return hidden_images.of_folder(folder / self.landmark(row), ".jpg") if row.truth == "private" else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A panoptic JSON with its PNGs beside it, or a folder of instance maps."""
        pictures = _pictures(row, homes_of(truth, root, self.roots))
        if row.task is Task.PANOPTIC:
            path = (
                truth
                if truth.is_file()
                else panoptic_json.beside(truth, *(Path(name).name for name in PANOPTIC.values()))
            )
            return coco_panoptic.read_truth(path, path.parent, pictures.of, _numbered(row))
        return _read(row, the_folder(truth, row), pictures)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A panoptic JSON with PNGs, text files with mask PNGs, or label PNGs."""
        if row.task is Task.PANOPTIC:
            return (result_forms.panoptic("<key>.png"),)
        if row.task is Task.INSTANCE:
            lines = "lines of: mask PNG relative to this file, label id or name, score"
            masks = "the mask of an object: whatever is not 0"
            return (ResultForm(files={"results/<key>.txt": lines, "results/**/<mask>.png": masks}),)
        return (result_forms.label_pngs("<key>.png", mapillary.encoding_of(row.label_set).meaning),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A panoptic JSON with PNGs, a folder of text files and mask PNGs, or a folder of label PNGs."""
        if row.task is Task.PANOPTIC:
            return panoptic_json.read_predictions(row, path, samples.ids, _numbered(row))
        folder = the_folder(path, row)
        example = f"{samples.ids[0]}" if samples.ids else "*"
        if row.task is Task.INSTANCE:
            found = mapillary_results.read_results(folder, samples.ids, row.label_set)
            return some_predictions(found, path, samples.ids, f"{example}.txt"), {}
        files = _files(folder)
        wanted = {sample_id: files[sample_id] for sample_id in samples.ids if sample_id in files}
        found = label_maps.read_predictions(wanted, mapillary.encoding_of(row.label_set))
        return some_predictions(found, path, samples.ids, f"{example}.png"), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same forms; a panoptic JSON may be named itself, or the folder in which it is written."""
        if row.task is Task.PANOPTIC:
            file = path if path.suffix == ".json" else path / "panoptic.json"
            coco_panoptic.write_predictions(file, predictions, _numbered(row), lambda one: f"{one}.png")
        elif row.task is Task.INSTANCE:
            mapillary_results.write_results(path, predictions, row.label_set)
        else:
            encoding = mapillary.encoding_of(row.label_set)
            label_maps.write_predictions(path, predictions, encoding, lambda one: f"{one}.png")

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Every split as the download of 2.0 has it; crowds are void, in 2.0 groups, and no panoptic segments."""
        for row in {one.split: one for one in rows}.values():
            home = root / self.roots[0] / _folder(row)
            version = VERSIONS[_version(row)][0]
            written = []
            for image in scenes.images(row):
                key = _key(image, row)
                write_jpeg(home / f"images/{key}.jpg", image.image)
                panoptic = mapillary.with_groups(image.panoptic, row.label_set)
                mapillary.write_image(home / version, key, panoptic, row.label_set)
                written.append((key, panoptic))
            mapillary.write_panoptic(home / version / PANOPTIC[_version(row)], written, _numbered(row))


def _read(row: Benchmark, folder: Path, pictures: Pictures) -> Listing:
    """Semantic or instance truth of a folder of instance maps."""
    files = some(_files(folder), folder, "*.png")
    read = mapillary.read_semantic if row.task is Task.SEMANTIC else mapillary.read_instances
    return read(files, pictures, row.label_set)


def _files(folder: Path) -> dict[str, Path]:
    """PNGs by key."""
    found = sorted(path for path in folder.iterdir() if path.suffix == ".png" and not path.name.startswith("."))
    return {path.stem: path for path in found}


def _key(image: AnnotatedImage, row: Benchmark) -> str:
    """Twenty-two characters, as the official keys; the versions share pictures, so that theirs differ."""
    return f"{row.split.replace('_', '')}{image.number:0{22 - len(row.split) + 1}d}"


def _numbered(row: Benchmark) -> LabelSet:
    return mapillary.in_panoptic_files(row.label_set)


def _version(row: Benchmark) -> str:
    """ "v12" or "v20"."""
    return row.split.split("_")[0]


def _folder(row: Benchmark) -> str:
    return FOLDERS[row.split.split("_")[1]]


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        return f"{Path(of).stem}.jpg" if image is not None else f"{of}.jpg"

    return Pictures.below(homes, (f"{_folder(row)}/images", "images"), name)


LAYOUT = MapillaryLayout()
_COUNTS = {"val": 2000, "train": 18000, "test": 5000}
_METRICS = {
    Task.SEMANTIC: ("mapillary_iou", "mIoU", "official"),
    Task.INSTANCE: ("mapillary_instance_ap", "AP", "official"),
    Task.PANOPTIC: ("panoptic_quality", "PQ", "coco"),
}
_NOTES = {
    Task.SEMANTIC: "Evaluated truth that is predicted as void is no miss. Void are the labels that are not evaluated.",
    Task.INSTANCE: "The official script's curve, not COCO's. Truth under 100 pixels only excuses.",
    Task.PANOPTIC: "Ids of the panoptic files count from 1.",
}
_CLOSED = " The challenges are closed, so nobody scores it."

ROWS = tuple(
    Benchmark(
        name=f"mapillary_{task.value}_{version}_{part}",
        dataset="mapillary",
        task=task,
        split=f"{version}_{part}",
        labels=f"mapillary_{version}",
        metric=metric,
        main_score=score,
        protocols=(protocol,),
        num_samples=count,
        layout=LAYOUT,
        truth="private" if part == "test" else "public",
        is_train=part == "train",
        notes=_NOTES[task] + (_CLOSED if part == "test" else ""),
    )
    for part, count in _COUNTS.items()
    for version in VERSIONS
    for task, (metric, score, protocol) in _METRICS.items()
)
