"""Objects365 v2: boxes of 365 classes.

{objects365, Objects365, objects365v2, .}/annotations/zhiyuan_objv2_{train,val}.json
{objects365, ...}/{train,val}/patch<n>/objects365_v{1,2}_<number>.jpg

Grounding papers keep the first 5,000 of the 80,000 validation images for validation and train on the others; their
files are zhiyuan_objv2_{train,val}_new.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.annotated import AnnotatedImage, Scenes
from benchmark.contract import Task
from benchmark.datasets.coco_form import CocoForm
from benchmark.formats import coco_records
from benchmark.formats.image_files import write_jpeg
from benchmark.labels import LabelSet
from benchmark.row import Benchmark

FILES = {
    "v2_val": "zhiyuan_objv2_val.json",
    "v2_minival": "zhiyuan_objv2_val_new.json",
    "v2_train_new": "zhiyuan_objv2_train_new.json",
}
WITHIN: Mapping[str, str] = {"v2_minival": "v2_val"}
"""A split that is part of another, which lists its images too."""
PATCHES = 51
"""Folders among which the pictures of a split are dealt out."""
Records = list[tuple[dict[str, Any], list[dict[str, Any]]]]
"""Images, each with its annotations."""


class Objects365(CocoForm):
    """The official files and patches; crowds are marked, masks there are none."""

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Write every split once; val lists the images of minival, too."""
        home = root / self.roots[0]
        by_split = {row.split: row for row in rows}
        written: dict[str, Records] = {
            split: _write(home / self.folders(split)[0], scenes.images(row), row.label_set)
            for split, row in by_split.items()
        }
        for split, row in by_split.items():
            parts = [part for part in by_split if part == split or WITHIN.get(part) == split]
            records = [record for part in parts for record in written[part]]
            coco_records.write(
                home / self.landmark(row),
                [image for image, _ in records],
                [coco_records.without_masks(one) for _, objects in records for one in objects],
                coco_records.categories(row.label_set),
            )


def _write(folder: Path, images: Iterable[AnnotatedImage], labels: LabelSet) -> Records:
    """Write the pictures of a split. folder: that of its patches."""
    records: Records = []
    for image in images:
        place = f"patch{image.number % PATCHES}/objects365_v2_{image.number:08d}.jpg"
        write_jpeg(folder / place, image.image)
        record = coco_records.image_record(image, f"images/v2/{place}")
        records.append((record, coco_records.object_records(image, labels)))
    return records


def _folders(split: str) -> tuple[str, ...]:
    folder = "train" if "train" in split else "val"
    return folder, f"images/{folder}", "images"


LAYOUT = Objects365(
    roots=("objects365", "Objects365", "objects365v2", "Objects365v2", "."),
    how_to_get="Download Objects365 v2 from https://www.objects365.org/download.html",
    files={split: (f"annotations/{name}", name) for split, name in FILES.items()},
    folders=_folders,
    num_parts=2,
)
_row = partial(
    Benchmark,
    dataset="objects365",
    task=Task.DETECTION,
    labels="objects365_v2",
    layout=LAYOUT,
    metric="coco_bbox_ap",
    main_score="AP",
    protocols=("coco",),
)
_NAMES = "Class names are the official ones, slips of the pen included; models often ask with corrected names."

ROWS = (
    _row(name="objects365_detection_v2_val", split="v2_val", num_samples=80000, notes=_NAMES),
    _row(
        name="objects365_detection_v2_minival",
        split="v2_minival",
        num_samples=5000,
        notes=f"The first 5,000 images of val, as grounding papers report. {_NAMES}",
    ),
    _row(
        name="objects365_detection_v2_train_new",
        split="v2_train_new",
        num_samples=1817287,
        is_train=True,
        notes="The training images and 75,000 of val, as grounding papers train.",
    ),
)
