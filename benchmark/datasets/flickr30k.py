"""Flickr30k Entities: the phrases of five captions a picture, grounded by boxes.

{flickr30k_entities, flickr30k, .}/{train,val,test}.txt, Sentences/, Annotations/; pictures in flickr30k-images/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark import labels
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, the_file, unique_number
from benchmark.formats import flickr30k, flickr30k_scenes
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.listing import Listing
from benchmark.result_forms import ResultForm, one_kind
from benchmark.row import Benchmark

PICTURES = ("flickr30k-images", "flickr30k_images", "flickr30k/flickr30k-images", "images")
TYPED_LABELS = "coco_panoptic"
"""Classes whose supercategories say which type a phrase is written with."""


class Flickr30kLayout:
    """The layout of the official repository, its annotations unpacked."""

    roots = ("flickr30k_entities", "flickr30k", "Flickr30kEntities", ".")
    how_to_get = "Unpack annotations.zip of https://github.com/BryanPlummer/flickr30k_entities beside its lists"

    def landmark(self, row: Benchmark) -> str:
        """The split's list of pictures."""
        return f"{row.split}.txt"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The split's phrases."""
        ids = folder / self.landmark(row)
        if not ids.is_file() or not (folder / "Annotations").is_dir():
            return None
        return flickr30k.read(ids, folder, _pictures([folder, folder.resolve().parent]))

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A list of picture ids beside Sentences and Annotations, or the folder of them."""
        ids = truth / self.landmark(row) if truth.is_dir() else truth
        return flickr30k.read(ids, ids.parent, _pictures(homes_of(truth, root, self.roots)))

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """One JSON of ranked boxes."""
        holds = '[{"image_id", "sentence_id", "boxes": for each phrase its ranked [[x1, y1, x2, y2], ...]}]'
        return (one_kind("results.json", holds),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A JSON of ranked boxes for the phrases of each sentence."""
        return flickr30k.read_results(the_file(path, row), samples.ids)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        flickr30k.write_results(path, predictions)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Lists, captions and boxes of every split, and the pictures beside them."""
        home, classes = root / self.roots[0], labels.load(TYPED_LABELS)
        for row in rows:
            ids = []
            for image in scenes.images(replace(row, labels=TYPED_LABELS)):
                ids.append(unique_number(row, image))
                flickr30k_scenes.write_picture(home, image, ids[-1], classes)
                write_jpeg(home / PICTURES[0] / f"{ids[-1]}.jpg", image.image)
            flickr30k_scenes.write_ids(home / self.landmark(row), ids)


def _pictures(homes: Iterable[Path]) -> Pictures:
    return Pictures.below(homes, PICTURES, lambda name, image: f"{name}.jpg")


_row = partial(
    Benchmark,
    dataset="flickr30k",
    task=Task.GROUNDING,
    labels="object",
    metric="phrase_grounding",
    main_score="R@1",
    protocols=("any_box", "merged_box"),
    layout=Flickr30kLayout(),
    notes="One sample is one phrase with a box. Boxes stay as the XML has them, as MDETR's evaluator reads them. A "
    "result for a sentence without such phrases is left out, of two results for one sentence the first counts. The "
    "data set states no number of phrases: these are those of TransVG's lists (yangli18/VLTVG issue 7).",
)

ROWS = (
    _row(name="flickr30k_grounding_val", split="val", num_samples=14433),
    _row(name="flickr30k_grounding_test", split="test", num_samples=14481),
    _row(name="flickr30k_grounding_train", split="train", num_samples=427193, is_train=True),
)
