"""LVIS: instances and boxes of 1,203 classes with federated truth, on the images of COCO 2017.

{lvis, LVIS, .}/{., annotations}/lvis_v1_{train,val}.json, lvis_v1_image_info_test_{dev,challenge}.json
{coco, COCO, lvis, LVIS, .}/{train2017,val2017,test2017}/

A validation image may lie in train2017. Minival is the part of val that lies in COCO's val2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from benchmark.annotated import Scenes
from benchmark.contract import Task
from benchmark.datasets import hidden_images
from benchmark.datasets.coco_form import CocoResults
from benchmark.datasets.pictures import homes_of, the_file
from benchmark.formats import json_lists, lvis, lvis_scenes
from benchmark.formats.listing import Listing
from benchmark.row import Benchmark

FILES = {
    "v1_minival": "lvis_v1_minival_inserted_image_name.json",
    "v1_test_dev": "lvis_v1_image_info_test_dev.json",
    "v1_test_challenge": "lvis_v1_image_info_test_challenge.json",
    "v05_val": "lvis_v0.5_val.json",
}
"""Annotation files of the splits that are not named lvis_<split>.json."""
PICTURE_ROOTS = ("coco", "COCO", "lvis", "LVIS", ".")

FOLDERS = {"v1_minival": "val2017", "v05_val": "val2017", "v1_test_dev": "test2017", "v1_test_challenge": "test2017"}
"""Folder of a split's pictures, where it is not train2017: val has that of minival besides."""
WITHIN = {"v1_minival": "v1_val"}
"""A split that is part of another, which lists its images too."""


class LvisLayout(CocoResults):
    """The official annotation files, beside COCO's pictures."""

    roots = ("lvis", "LVIS", "lvis/annotations", "LVIS/annotations", "annotations", ".")
    how_to_get = "Download the annotations from https://www.lvisdataset.org/dataset and the COCO 2017 images"

    def landmark(self, row: Benchmark) -> str:
        """The annotation file."""
        return FILES.get(row.split, f"lvis_{row.split}.json")

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The official file of the split; those of hidden splits hold no annotations."""
        path = folder / self.landmark(row)
        near = [above / name for above in (folder, *folder.parents[:2]) for name in PICTURE_ROOTS]
        if not path.is_file():
            return None
        if row.truth == "private" and json_lists.first_of(path, "annotations") is None:
            picture = _pictures(near)
            return hidden_images.of_records(path, lambda image: picture(image.file_name), lvis.with_file_name)
        return _read(row, path, near)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """An annotation file."""
        return _read(row, the_file(truth, row), homes_of(truth, root, PICTURE_ROOTS))

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Write every split once, with masks, and its pictures among COCO's."""
        by_split = {row.split: row for row in rows}
        marked = {
            split: lvis_scenes.write_pictures(
                root / PICTURE_ROOTS[0], FOLDERS.get(split, "train2017"), scenes.images(row), row.label_set
            )
            for split, row in by_split.items()
        }
        for split, row in by_split.items():
            parts = [part for part in by_split if part == split or WITHIN.get(part) == split]
            together = [image for part in parts for image in marked[part]]
            path = root / self.roots[0] / self.landmark(row)
            lvis_scenes.write_file(path, together, row.label_set, has_names=split in WITHIN)


def _read(row: Benchmark, path: Path, homes: Iterable[Path]) -> Listing:
    return lvis.read(path, _pictures(homes), row.label_set, needs_masks=row.task is Task.INSTANCE)


def _pictures(homes: Iterable[Path]) -> Callable[[str], Path]:
    """Folder and name of a picture below COCO's -> the picture, in the first home that has its folder."""
    candidates = list(homes)

    def picture(name: str) -> Path:
        found = Path(name)
        places = [home / found for home in candidates if (home / found.parent).is_dir()]
        return places[0] if places else candidates[0] / found

    return picture


LAYOUT = LvisLayout()
_row = partial(Benchmark, dataset="lvis", labels="lvis_v1", layout=LAYOUT, main_score="AP")
_instance = partial(_row, task=Task.INSTANCE, metric="lvis_segm_ap", protocols=("lvis", "boundary", "fixed"))
_detection = partial(_row, task=Task.DETECTION, metric="lvis_bbox_ap", protocols=("lvis", "fixed"))
_OFFICIAL = (
    "At most 300 detections an image, over all classes. Boxes beside masks are left out: sizes are those of masks."
)
_MINIVAL = (
    "The 4,809 images of val that lie in COCO's val2017. Detectors trained on grounding data report fixed AP here."
)
_HIDDEN = "The server at EvalAI (challenge 1114) scores it."
_OLD = f"The edition of 2019 with 1,230 classes; its scores say nothing about v1. {_OFFICIAL}"

ROWS = (
    _instance(name="lvis_instance_v1_val", split="v1_val", num_samples=19809, notes=_OFFICIAL),
    _detection(name="lvis_detection_v1_val", split="v1_val", num_samples=19809, notes=_OFFICIAL),
    _instance(name="lvis_instance_v1_minival", split="v1_minival", num_samples=4809, notes=_MINIVAL),
    _detection(
        name="lvis_detection_v1_minival",
        split="v1_minival",
        num_samples=4809,
        protocols=("fixed", "lvis"),
        notes=f"{_MINIVAL} The headline is the fixed AP.",
    ),
    _instance(name="lvis_instance_v1_test_dev", split="v1_test_dev", num_samples=19822, truth="private", notes=_HIDDEN),
    _instance(
        name="lvis_instance_v1_test_challenge",
        split="v1_test_challenge",
        num_samples=19822,
        truth="private",
        notes=_HIDDEN,
    ),
    _instance(name="lvis_instance_v05_val", split="v05_val", labels="lvis_v05", num_samples=5000, notes=_OLD),
    _detection(name="lvis_detection_v05_val", split="v05_val", labels="lvis_v05", num_samples=5000, notes=_OLD),
    _instance(name="lvis_instance_v1_train", split="v1_train", num_samples=100170, is_train=True, notes=_OFFICIAL),
)
