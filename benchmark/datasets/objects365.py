"""Objects365 v2: boxes of 365 classes.

{objects365, Objects365, objects365v2, .}/annotations/zhiyuan_objv2_{train,val}.json
{objects365, ...}/{train,val}/patch<n>/objects365_v{1,2}_<number>.jpg

Grounding papers keep the first 5,000 of the 80,000 validation images for validation and train on the others; their
files are zhiyuan_objv2_{train,val}_new.json.
"""

from __future__ import annotations

from functools import partial

from benchmark.contract import Task
from benchmark.datasets.coco_form import CocoForm
from benchmark.row import Benchmark

FILES = {
    "v2_val": "zhiyuan_objv2_val.json",
    "v2_minival": "zhiyuan_objv2_val_new.json",
    "v2_train_new": "zhiyuan_objv2_train_new.json",
}


def _folders(split: str) -> tuple[str, ...]:
    folder = "train" if "train" in split else "val"
    return folder, f"images/{folder}", "images"


LAYOUT = CocoForm(
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
