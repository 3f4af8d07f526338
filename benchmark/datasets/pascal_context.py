"""PASCAL Context: semantic maps of 59 classes, of these and the background, or of all 459, on pictures of VOC 2010.

{VOCdevkit/VOC2010, VOC2010, pascal_context, .}/JPEGImages/<name>.jpg, ImageSets/Main/{train,val}.txt
{VOCdevkit/VOC2010, ...}/trainval/<name>.mat                               the official maps
{VOCdevkit/VOC2010, ...}/SegmentationClassContext/<name>.png               what conversions make for 59 and 60 classes,
                         ImageSets/SegmentationContext/{train,val}.txt     with their own lists
pascal_ctx_d2/annotations_ctx{59,459}/{training,validation}/<name>.{png,tif}, images/{training,validation}/<name>.jpg

The official maps are taken where they are, then the others in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark import result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, some, some_predictions, the_folder
from benchmark.formats import derived, pascal_context
from benchmark.formats.image_files import write_jpeg, write_whole
from benchmark.formats.image_records import Image
from benchmark.formats.listing import Listing
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

MATLAB, PNGS = "trainval", "SegmentationClassContext"
LISTS = {MATLAB: "ImageSets/Main", PNGS: "ImageSets/SegmentationContext"}
CONVERTED = {"train": "training", "val": "validation"}


class PascalContextLayout:
    """VOC's folders with the official maps, or one of the two forms that toolkits convert them to."""

    roots = ("VOCdevkit/VOC2010", "VOC2010", "pascal_context", "pascal_ctx_d2", ".")
    how_to_get = (
        "Download VOC 2010 from http://host.robots.ox.ac.uk/pascal/VOC/voc2010/ and the maps from "
        "https://cs.stanford.edu/~roozbeh/pascal-context/"
    )

    def landmark(self, row: Benchmark) -> str:
        """The folder of the official maps."""
        return MATLAB

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The first form that is there."""
        pictures = _pictures(row, [folder])
        if (folder / MATLAB).is_dir():
            files = _listed(row, folder, MATLAB, ".mat")
            return pascal_context.read_truth(files, pictures, pascal_context.of_matlab(row.label_set))
        if (folder / PNGS).is_dir() and _is_selected(row):
            files = _listed(row, folder, PNGS, ".png")
            return pascal_context.read_truth(files, pictures, pascal_context.of_selected(row.label_set))
        number = row.label_set.num_classes
        converted = folder / f"annotations_ctx{number}" / CONVERTED[_part(row)]
        return _read_folder(row, converted, pictures) if converted.is_dir() else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A folder of maps of one form."""
        return _read_folder(row, the_folder(truth, row), _pictures(row, homes_of(truth, root, self.roots)))

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """PNGs of class indices."""
        return (result_forms.label_pngs("<image>.png", pascal_context.of_indices(row.label_set).meaning),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder of PNGs of class indices."""
        found = {one.stem: one for one in sorted(the_folder(path, row).glob("*.png"))}
        wanted = {sample_id: found[sample_id] for sample_id in samples.ids if sample_id in found}
        predictions = pascal_context.read_predictions(wanted, row.label_set)
        example = f"{samples.ids[0]}.png" if samples.ids else "*.png"
        return some_predictions(predictions, path, samples.ids, example), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        pascal_context.write_predictions(path, predictions, row.label_set)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """The pictures, lists and official maps; those of 459 classes serve all label sets."""
        home = root / self.roots[0]
        finest = {_part(row): row for row in sorted(rows, key=lambda row: row.label_set.num_classes)}
        for part, row in finest.items():
            names = []
            for image in scenes.images(row):
                names.append(f"{2008 if part == 'train' else 2010}_{image.number:06d}")
                write_jpeg(home / f"JPEGImages/{names[-1]}.jpg", image.image)
                found = derived.label_map(image.panoptic, row.label_set)
                pascal_context.write_map(home / MATLAB / f"{names[-1]}.mat", found, row.label_set)
            write_whole(home / LISTS[MATLAB] / f"{part}.txt", "".join(f"{name}\n" for name in names).encode())


def _read_folder(row: Benchmark, folder: Path, pictures: Pictures) -> Listing:
    """Maps of one folder: MATLAB files, TIFFs, or PNGs of class indices."""
    files = {one.stem: one for one in sorted(folder.iterdir()) if one.suffix in (".mat", ".png", ".tif", ".tiff")}
    some(files, folder, "*.mat, *.tif or *.png")
    is_matlab = next(iter(files.values())).suffix == ".mat"
    numbers = (pascal_context.of_matlab if is_matlab else pascal_context.of_indices)(row.label_set)
    return pascal_context.read_truth(files, pictures, numbers)


def _listed(row: Benchmark, home: Path, form: str, suffix: str) -> dict[str, Path]:
    """The maps that the split's list names. Raises DataError where it is not there."""
    path = home / LISTS[form] / f"{_part(row)}.txt"
    if not path.is_file():
        message, remedy = "the list of the split is missing", "Download VOC 2010, or make the list as conversions do"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    names = path.read_text(encoding="utf-8", errors="replace").split()
    odd = [name for name in names if not name.isprintable()]
    if odd:
        message = f"{odd[0][:40]!r} is no name of a picture"
        raise DataError([Problem(place=str(path), message=message, remedy="Download the list again")])
    return {Path(name).stem: home / form / f"{Path(name).stem}{suffix}" for name in names}


def _part(row: Benchmark) -> str:
    """ "train" or "val"."""
    return row.split.rsplit("_", 1)[1]


def _is_selected(row: Benchmark) -> bool:
    """Whether the row is about the selected classes."""
    return row.label_set.num_classes < pascal_context.NUM_IDS


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    def name(of: str, image: Image | None) -> str:
        return f"{of}.jpg"

    return Pictures.below(homes, ("JPEGImages", f"images/{CONVERTED[_part(row)]}"), name)


LAYOUT = PascalContextLayout()
_row = partial(
    Benchmark,
    dataset="pascal_context",
    task=Task.SEMANTIC,
    layout=LAYOUT,
    metric="semantic_iou",
    main_score="mIoU",
)
_NOTES = {
    59: "The background is not evaluated. Classes are in alphabetical order; some lists put VOC's twenty first.",
    60: "The background is a class, so this mIoU says nothing about that of 59 classes.",
    459: "No official evaluator exists. Some classes do not occur in val: 'present' averages those that do, as "
    "detectron2 does.",
}
_PROTOCOLS = {59: ("union", "present"), 60: ("union", "present"), 459: ("present", "union")}

ROWS = tuple(
    _row(
        name=f"pascal_context_semantic_{number}_{part}",
        split=f"{number}_{part}",
        labels=f"pascal_context{number}",
        num_samples=count,
        protocols=_PROTOCOLS[number],
        is_train=part == "train",
        notes=_NOTES[number],
    )
    for part, count in (("val", 5105), ("train", 4998))
    for number in (59, 60, 459)
)
