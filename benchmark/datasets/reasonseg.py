"""ReasonSeg: questions that need a step of reasoning, answered by a mask.

{., reason_seg}/ReasonSeg/{train,val,test}/<stem>.jpg and <stem>.json
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmark.annotated import Scenes
from benchmark.contract import Task
from benchmark.datasets.refcoco import ExpressionAnswers
from benchmark.formats import reason_seg
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.listing import Listing
from benchmark.problems import Problem
from benchmark.row import Benchmark, DataNotFound


class ReasonSegLayout(ExpressionAnswers):
    """The layout of the official download."""

    roots = ("ReasonSeg", "reason_seg/ReasonSeg", ".")
    how_to_get = "Download ReasonSeg as https://github.com/dvlab-research/LISA says"

    def landmark(self, row: Benchmark) -> str:
        """The split's folder."""
        return row.split

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The questions of the split's folder."""
        home = folder / row.split
        return reason_seg.read(home) if any(home.glob("*.json")) else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A folder of pictures and JSONs, or the data set's own with the split in it."""
        for home in (truth, truth / row.split):
            if any(home.glob("*.json")):
                return reason_seg.read(home)
        remedy = "Give the folder of the pictures and their JSON files"
        raise DataNotFound([Problem(place=str(truth), message="holds no *.json", remedy=remedy)])

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """A picture and a JSON for every scene."""
        for row in rows:
            home = root / self.roots[0] / row.split
            for image in scenes.images(row):
                write_jpeg(home / f"{image.number:06d}.jpg", image.image)
                reason_seg.write_question(home / f"{image.number:06d}.json", reason_seg.question_about(image))


_row = partial(
    Benchmark,
    dataset="reasonseg",
    task=Task.REFERRING,
    labels="object",
    metric="reasoning_segmentation",
    main_score="gIoU",
    protocols=("lisa", "united"),
    layout=ReasonSegLayout(),
    notes="The first text is asked. Two test files have no target: an empty mask is right there. Every picture counts "
    "once (padded last batches of multi-process evaluators count some twice). cIoU of 200 pictures is unstable.",
)

ROWS = (
    _row(name="reasonseg_referring_val", split="val", num_samples=200),
    _row(name="reasonseg_referring_test", split="test", num_samples=779),
    _row(name="reasonseg_referring_train", split="train", num_samples=239, is_train=True),
)
