"""Open Images, the challenges of 2018 and 2019: boxes of 500 classes, masks of 300, under a hierarchy.

{openimages, open_images, OpenImages, .}/{., annotations, challenge2019}/
    challenge-2019-validation-detection-bbox.csv, ...-detection-human-imagelabels.csv
    challenge-2019-validation-segmentation-bbox.csv, ...-segmentation-labels.csv, ...-segmentation-masks.csv
    challenge-2019-label500-hierarchy.json, challenge-2019-label300-segmentable-hierarchy.json
    challenge-2019-validation-masks/<mask>.png
{openimages, ...}/validation/<image id>.jpg

Masks are the official PNGs, or encoded in the file that the official preparation makes, with a column Mask. Files
whose names end in _expanded were copied along the hierarchy before and are read as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark import result_forms
from benchmark.annotated import AnnotatedImage, Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, the_file
from benchmark.formats import open_images, open_images_results, open_images_scenes
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.problems import Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark, DataNotFound

FOLDERS = (".", "annotations", "challenge2019")
PATTERNS = {
    "boxes": ("*bbox*.csv",),
    "labels": ("*imagelabels*.csv", "*-labels*.csv"),
    "masks": ("*masks*.csv", "*segm*mask*.csv"),
    "hierarchy": ("*hierarchy*.json",),
}
"""What a folder of explicit truth is searched for."""


class OpenImagesLayout:
    """The official CSV files with the pictures of a split."""

    roots = ("openimages", "open_images", "OpenImages", ".")
    how_to_get = (
        "Download the files of the 2019 challenge from https://storage.googleapis.com/openimages/web/challenge2019.html"
    )

    def landmark(self, row: Benchmark) -> str:
        """The file of boxes."""
        track = "segmentation" if row.task is Task.INSTANCE else "detection"
        return f"challenge-2019-{_folder(row)}-{track}-bbox.csv"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The official files; every picture of the split is a sample, whatever is known of it."""
        for home in (folder / name for name in FOLDERS):
            if (home / self.landmark(row)).is_file():
                pictures = _pictures(row, [folder, home])
                named = sorted(path.stem for path in pictures.folder.glob("*.jpg"))
                return _read(row, home / self.landmark(row), home, pictures, named)
        return None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The folder that holds the files, or the file of boxes among the others."""
        pictures = _pictures(row, homes_of(truth, root, self.roots))
        if truth.is_file():
            return _read(row, truth, truth.parent, pictures)
        boxes = _find(truth, "boxes")
        if boxes is None:
            remedy = "Give the folder of the row's CSV files, or its file of boxes"
            raise DataNotFound([Problem(place=str(truth), message="holds no *bbox*.csv", remedy=remedy)])
        return _read(row, boxes, truth, pictures)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """One CSV, of which the header tells the form."""
        columns, words = ",".join(open_images_results.BOXES), "label score x0 y0 x1 y1 ..."
        if row.task is Task.INSTANCE:
            columns, words = ",".join(open_images_results.MASKS), "label score mask ..."
        images = f"ImageID,{open_images_results.STRING} of a line an image: {words}"
        return (result_forms.one_kind("results.csv", f"{columns} of a line an object, or {images}"),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A CSV in one of the four official forms."""
        needs_masks = row.task is Task.INSTANCE
        return open_images_results.read(the_file(path, row), samples.ids, row.label_set, needs_masks=needs_masks)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The CSV that the evaluation script reads."""
        open_images_results.write(path, predictions, row.label_set)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Write the files of every row, the pictures of its split, and its hierarchy."""
        home = root / self.roots[0]
        for row in rows:
            images = scenes.images(row)
            for image in images:
                write_jpeg(home / _folder(row) / f"{open_images_scenes.image_id(image)}.jpg", image.image)
            self._write_truth(row, home / FOLDERS[-1], images)

    def _write_truth(self, row: Benchmark, home: Path, images: Sequence[AnnotatedImage]) -> None:
        """Write a row's files into a folder."""
        stem = home / self.landmark(row).removesuffix("-bbox.csv")
        is_instance = row.task is Task.INSTANCE
        pictures = home / f"challenge-2019-{_folder(row)}-masks" if is_instance else None
        open_images_scenes.write(
            open_images_scenes.collect(images, row.label_set, pictures),
            row.label_set,
            boxes=home / self.landmark(row),
            verified=stem.with_name(f"{stem.name}-{'labels' if is_instance else 'human-imagelabels'}.csv"),
            masks_file=stem.with_name(f"{stem.name}-masks.csv") if is_instance else None,
        )
        name = "label300-segmentable" if is_instance else "label500"
        open_images_scenes.write_hierarchy(home / f"challenge-2019-{name}-hierarchy.json", row.label_set)


def _read(row: Benchmark, boxes: Path, home: Path, pictures: Pictures, other_ids: Sequence[str] = ()) -> Listing:
    needs_masks = row.task is Task.INSTANCE
    labels, masks = _find(home, "labels", beside=boxes), _find(home, "masks", beside=boxes)
    hierarchy = None if boxes.stem.endswith("_expanded") else _hierarchy(row, home)
    needed = {"labels": labels, "masks": masks if needs_masks else boxes}
    absent = [name for name, path in needed.items() if path is None]
    if absent:
        wanted = " and ".join(PATTERNS[name][0] for name in absent)
        remedy = "Put the row's CSV files into one folder"
        raise DataNotFound([Problem(place=str(home), message=f"holds no {wanted} beside the boxes", remedy=remedy)])
    files = open_images.Files(
        boxes=boxes,
        labels=labels,
        masks=masks if needs_masks else None,
        pictures=_mask_folder(row, home),
        hierarchy=hierarchy,
    )
    return open_images.read(files, pictures, row.label_set, other_ids=other_ids)


def _mask_folder(row: Benchmark, home: Path) -> Path:
    """Where the mask PNGs are, if the file of masks names some."""
    names = (f"challenge-2019-{_folder(row)}-masks", f"{_folder(row)}-masks", "masks")
    return next((home / name for name in names if (home / name).is_dir()), home)


def _find(home: Path, part: str, *, beside: Path | None = None) -> Path | None:
    """A part's file. beside: the file of boxes, whose split, track and expansion it shares if there are several."""
    found = sorted({path for pattern in PATTERNS[part] for path in home.glob(pattern)} - {beside})
    if beside is not None and len(found) > 1:
        stem = beside.name.split("bbox")[0]
        is_expanded = beside.stem.endswith("_expanded")
        near = [path for path in found if path.name.startswith(stem)] or found
        found = [path for path in near if path.stem.endswith("_expanded") == is_expanded] or near
    return found[0] if found else None


def _hierarchy(row: Benchmark, home: Path) -> Path:
    number = "300" if row.task is Task.INSTANCE else "500"
    found = sorted(home.glob(f"*{number}*hierarchy*.json")) or sorted(home.glob("*hierarchy*.json"))
    if not found:
        message = "holds no *hierarchy*.json, along which boxes and labels are copied"
        remedy = "Download the class hierarchy of the challenge, or give files that were expanded (*_expanded.csv)"
        raise DataNotFound([Problem(place=str(home), message=message, remedy=remedy)])
    return found[0]


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        return f"{of}.jpg"

    return Pictures.below(homes, (_folder(row), f"images/{_folder(row)}"), name)


def _folder(row: Benchmark) -> str:
    return {"val": "validation"}.get(row.split.split("_")[1], row.split.split("_")[1])


LAYOUT = OpenImagesLayout()
_row = partial(Benchmark, dataset="openimages", layout=LAYOUT, main_score="mAP", boxes="xyxy_norm")
_detection = partial(
    _row,
    task=Task.DETECTION,
    labels="openimages_challenge",
    metric="openimages_bbox_ap",
    protocols=("challenge", "v2"),
)
_instance = partial(
    _row,
    task=Task.INSTANCE,
    labels="openimages_challenge_segmentable",
    metric="openimages_segm_ap",
    protocols=("challenge",),
)
_AS_GIVEN = "Results are taken as they are: boxes of the classes above a class must be among them."
_CLOSED = "The contests at Kaggle are closed."

ROWS = (
    _detection(
        name="openimages_detection_challenge2019_val", split="challenge2019_val", num_samples=41620, notes=_AS_GIVEN
    ),
    _instance(
        name="openimages_instance_challenge2019_val", split="challenge2019_val", num_samples=41620, notes=_AS_GIVEN
    ),
    _detection(
        name="openimages_detection_challenge2019_test",
        split="challenge2019_test",
        num_samples=99999,
        truth="private",
        notes=_CLOSED,
    ),
    _instance(
        name="openimages_instance_challenge2019_test",
        split="challenge2019_test",
        num_samples=99999,
        truth="private",
        notes=_CLOSED,
    ),
    _detection(
        name="openimages_detection_challenge2019_train",
        split="challenge2019_train",
        num_samples=1743042,
        is_train=True,
        notes=_AS_GIVEN,
    ),
)
