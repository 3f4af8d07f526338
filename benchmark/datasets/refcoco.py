"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO: referring expressions over pictures of COCO's train2014.

{., refer, refer/data, refer_seg}/{refcoco,refcoco+,refcocog,grefcoco}/refs(unc).p and instances.json; pictures in
train2014/ below the data root, its coco/ or images/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmark import labels, result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, unique_number
from benchmark.formats import mask_folder, refer, referring_results
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.formats.refer_scenes import ReferBook
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

PICTURES = (
    "train2014",
    "images/train2014",
    "coco/train2014",
    "coco/images/train2014",
    "coco2014/train2014",
    "images/mscoco/images/train2014",
)
INSTANCE_LABELS = "coco_panoptic"
"""Whose things are the categories of instances.json."""
LOCATIONS = frozenset(
    ("left", "right", "above", "below", "behind", "front", "leftmost", "rightmost", "topmost", "bottommost")
)
"""Words of place, which RefCOCO+ forbade its annotators."""


class ExpressionAnswers:
    """The result form of layouts of expressions: there is no official one for masks."""

    __slots__ = ()

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A JSON of masks and boxes, or PNGs named by sample."""
        return (result_forms.EXPRESSIONS, result_forms.MASK_FOLDER)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A JSON of masks and boxes, or a folder of PNGs named by sample."""
        return read_answers(path, samples)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The JSON form."""
        referring_results.write_results(path, predictions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferLayout(ExpressionAnswers):
    """The REFER API's layout. folder: of the data set. refs: names of its reference file, the first found is read.

    any_number: expressions may refer to several things or to none. unsaid: words that no expression holds.
    """

    folder: str
    refs: tuple[str, ...]
    how_to_get: str
    any_number: bool = False
    unsaid: frozenset[str] = frozenset()
    roots: tuple[str, ...] = (".", "refer", "refer/data", "refer_seg")

    def landmark(self, row: Benchmark) -> str:
        """The reference file."""
        return f"{self.folder}/{self.refs[0]}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The split's expressions, from the reference file and instances.json."""
        home = folder / self.folder
        found = [home / name for name in self.refs if (home / name).is_file()]
        if not found:
            return None
        pictures = _pictures([folder, *folder.resolve().parents[:2]])
        return refer.read(found[0], home / refer.INSTANCES, row.split, pictures.of)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A reference file, .p or .json, with instances.json beside it; or the folder of both."""
        found = [truth] if truth.is_file() else [truth / name for name in self.refs if (truth / name).is_file()]
        if not found:
            message = f"holds none of {', '.join(self.refs)}"
            raise DataError([Problem(place=str(truth), message=message, remedy="Give the reference file itself")])
        pictures = _pictures(homes_of(truth, root, self.roots))
        return refer.read(found[0], found[0].with_name(refer.INSTANCES), row.split, pictures.of)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """The reference file with all splits, instances.json, and the pictures in train2014/."""
        book = ReferBook(labels=labels.load(INSTANCE_LABELS), any_number=self.any_number, unsaid=self.unsaid)
        for row in rows:
            for image in scenes.images(replace(row, labels=INSTANCE_LABELS)):
                name = book.add(image, unique_number(row, image), row.split)
                write_jpeg(root / PICTURES[0] / name, image.image)
        book.write(root / self.folder, self.refs[0])


def read_answers(path: Path, samples: SampleSet) -> tuple[PredictionSet, Mapping[str, int]]:
    """Predictions of expressions: a JSON of masks and boxes, or a folder of PNGs named by sample."""
    if path.is_dir():
        return mask_folder.read_masks(path, samples.ids), {}
    places = {sample_id: index for index, sample_id in enumerate(samples.ids)}
    return referring_results.read_results(path, samples.ids, lambda sample_id: samples[places[sample_id]].size)


def _pictures(homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        return Path(of).name

    return Pictures.below(homes, PICTURES, name)


def _layout(folder: str, *refs: str, unsaid: frozenset[str] = frozenset()) -> ReferLayout:
    source = f"Download {folder}.zip as https://github.com/lichengunc/refer says, and COCO's train2014 pictures"
    return ReferLayout(folder=folder, refs=refs, how_to_get=source, unsaid=unsaid)


_row = partial(
    Benchmark,
    task=Task.REFERRING,
    labels="object",
    metric="referring_iou",
    main_score="oIoU",
    protocols=("original", "empty_is_right", "overlap_dropped"),
)
_NOTES = (
    "One sample is one sentence. Masks at the original size (code that resizes to 480 x 480 differs in the first "
    "decimal); box_P@0.5 uses plain IoU, where MDETR-style code uses the stricter generalised IoU. The pictures are "
    "part of COCO train2017: leave val and test pictures out of training."
)
_refcoco = partial(_row, dataset="refcoco", layout=_layout("refcoco", "refs(unc).p", "refs(unc).json"), notes=_NOTES)
_plus = partial(
    _row,
    dataset="refcoco+",
    layout=_layout("refcoco+", "refs(unc).p", "refs(unc).json", unsaid=LOCATIONS),
    notes=_NOTES,
)
_g = partial(_row, dataset="refcocog", layout=_layout("refcocog", "refs(umd).p", "refs(umd).json"), notes=_NOTES)
_g_google = partial(
    _row,
    dataset="refcocog_google",
    layout=_layout("refcocog", "refs(google).p", "refs(google).json"),
    notes=f"{_NOTES} Train and val share pictures: the umd split (refcocog_referring_val) is to be preferred.",
)
_gref = partial(
    _row,
    dataset="grefcoco",
    layout=ReferLayout(
        folder="grefcoco",
        refs=("grefs(unc).json", "grefs(unc).p"),
        how_to_get="Download gRefCOCO from https://github.com/henghuiding/gRefCOCO, and COCO's train2014 pictures",
        any_number=True,
    ),
    metric="generalized_referring",
    main_score="gIoU",
    protocols=("gres", "under_50_pixels"),
    notes="Masks equal ReLA's evaluator, boxes (GREC) gRefCOCO's in float64. An answer may carry 'no_target'. Counts "
    "are those of the 259,859 expressions released (the paper's 278,232 include a part that was held back: gRefCOCO "
    "issue 6); score other releases with --truth.",
)

ROWS = (
    _refcoco(name="refcoco_referring_val", split="val", num_samples=10834),
    _refcoco(name="refcoco_referring_testA", split="testA", num_samples=5657),
    _refcoco(name="refcoco_referring_testB", split="testB", num_samples=5095),
    _refcoco(name="refcoco_referring_train", split="train", num_samples=120624, is_train=True),
    _plus(name="refcoco+_referring_val", split="val", num_samples=10758),
    _plus(name="refcoco+_referring_testA", split="testA", num_samples=5726),
    _plus(name="refcoco+_referring_testB", split="testB", num_samples=4889),
    _plus(name="refcoco+_referring_train", split="train", num_samples=120191, is_train=True),
    _g(name="refcocog_referring_val", split="val", num_samples=4896),
    _g(name="refcocog_referring_test", split="test", num_samples=9602),
    _g(name="refcocog_referring_train", split="train", num_samples=80512, is_train=True),
    _g_google(name="refcocog_google_referring_val", split="val", num_samples=9536),
    _g_google(name="refcocog_google_referring_train", split="train", num_samples=85474, is_train=True),
    _gref(name="grefcoco_referring_val", split="val", num_samples=16870),
    _gref(name="grefcoco_referring_testA", split="testA", num_samples=18712),
    _gref(name="grefcoco_referring_testB", split="testB", num_samples=14933),
    _gref(name="grefcoco_referring_train", split="train", num_samples=209344, is_train=True),
)
