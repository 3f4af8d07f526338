"""MOTChallenge MOT15, MOT16, MOT17 and MOT20: tracking of pedestrians by boxes.

{MOT17, mot17, .}/{train,test}/<sequence>/{img1/000001.jpg, gt/gt.txt, seqinfo.ini}; results are <sequence>.txt
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task, Truth
from benchmark.datasets import sequences
from benchmark.datasets.sequences import Clip
from benchmark.formats import mot_scenes, mot_text
from benchmark.formats.image_files import header_size
from benchmark.formats.listing import Listing
from benchmark.formats.mot_text import Table
from benchmark.formats.sequence_info import SequenceInfo
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm, one_kind
from benchmark.row import Benchmark

TRUTH = "gt/gt.txt"
DETECTORS = {"mot17": ("DPM", "FRCNN", "SDP")}
"""Data sets that have every scene once for each detector."""
EXAMPLES = {"mot15": "TUD-Campus", "mot16": "MOT16-02", "mot17": "MOT17-02-DPM", "mot20": "MOT20-01"}


class MotLayout:
    """One folder a sequence with its description, pictures and truth."""

    how_to_get = "Download MOT15.zip, MOT16.zip, MOT17.zip or MOT20.zip from https://motchallenge.net"

    def __init__(self, folder: str) -> None:
        self.roots = (folder, folder.lower(), f"{folder}Det", ".")

    def landmark(self, row: Benchmark) -> str:
        """The description of a sequence."""
        return f"{row.split}/{EXAMPLES[row.dataset]}/{sequences.FILE}" if row.split == "train" else f"{row.split}/"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The sequences of the split's folder."""
        home = folder / row.split
        names = sorted(path.parent.name for path in home.glob(f"*/{sequences.FILE}") if _belongs(row, path.parent.name))
        if not names:
            return None
        return sequences.listing(names, lambda name: _clip(row, name, home / name, home / name / TRUTH))

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A truth file, a folder of <sequence>/gt/gt.txt, or a folder of <sequence>.txt."""
        if truth.is_file():
            files: Mapping[str, Path] = {_name_of(truth): truth}
        else:
            nested = {path.parents[1].name: path for path in sorted(truth.rglob(TRUTH))}
            files = sequences.some(
                nested or sequences.text_files(truth), truth, f"<sequence>/{TRUTH} or <sequence>.txt"
            )
        return sequences.listing(files, lambda name: _clip(row, name, _home_of(files[name]), files[name]))

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A text file a sequence; a folder data may stand around them."""
        line = "frame,id,left,top,width,height,confidence,-1,-1,-1; frames from 1"
        return (one_kind("results/<sequence>.txt", line),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder of <sequence>.txt, or one file for one sequence."""

        def read(file: Path, sample: Sample) -> Prediction:
            num_frames = len(sample.frames)
            return Prediction(frames=mot_text.read_table(file, num_frames).frames(num_frames, mot_text.single_class))

        return sequences.read_results(row, path, samples, read)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """A folder of <sequence>.txt."""
        for sample, prediction in predictions:
            mot_text.write_results(path / f"{sample.sample_id}.txt", prediction)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """A sequence a clip, in MOT17 one for each detector."""
        for row in rows:
            home, detectors = root / self.roots[0] / row.split, DETECTORS.get(row.dataset, ())
            for number, clip in enumerate(scenes.clips(row), start=1):
                name = f"{row.dataset.upper()}-{number:02d}"
                for folder, detector in [(f"{name}-{one}", one) for one in detectors] or [(name, "SDP")]:
                    has_classes = row.dataset != "mot15"
                    mot_scenes.write_sequence(home / folder, clip, detector=detector, has_classes=has_classes)


def _clip(row: Benchmark, name: str, home: Path, file: Path) -> Clip:
    """home: where description and pictures may be. file: the truth; of hidden truth it need not be there."""
    info = sequences.info_of(home)
    if row.truth != "public" and not file.is_file() and info is not None:
        return Clip(name=name, frames=info.pictures(home), size=info.size, truth=sequences.hidden(info.num_frames))
    table = mot_text.read_table(file, info.num_frames if info else None, is_truth=True)
    has_classes = row.dataset != "mot15"
    if has_classes:
        _check_classes(file, table, row.label_set)
    info = info or _guessed(home, table)
    of_class = partial(_class_index, row.label_set) if has_classes else mot_text.single_class
    truth = Truth(frames=table.frames(info.num_frames, of_class))
    return Clip(name=name, frames=info.pictures(home), size=info.size, truth=truth)


def _guessed(home: Path, table: Table) -> SequenceInfo:
    """What the truth and the first picture tell of a sequence without a description."""
    first = home / "img1" / "000001.jpg"
    size = header_size(first) if first.is_file() else sequences.UNKNOWN_SIZE
    return SequenceInfo(folder="img1", extension=".jpg", num_frames=max(1, table.num_frames), size=size)


def _check_classes(file: Path, table: Table, labels: LabelSet) -> None:
    unknown = [int(one) for one in np.unique(table.category) if not labels.has_category(int(one))]
    if unknown:
        message = f"holds boxes of class {', '.join(map(str, unknown[:5]))}, expected 1 to 13 in column 8"
        remedy = "Take the official gt.txt; truth of MOT15 has no classes and is scored as mot15_mot_train"
        raise DataError([Problem(place=str(file), message=message, remedy=remedy)])


def _class_index(labels: LabelSet, category: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class indices of category ids, int64 [N]."""
    table = np.zeros(max(row.category_id for row in labels.everything) + 1, np.int64)
    for row in labels.everything:
        table[row.category_id] = row.class_index
    return table[category]


def _belongs(row: Benchmark, name: str) -> bool:
    """Whether a folder is a sequence of the data set; a mixed folder may hold several."""
    return row.dataset == "mot15" or name.lower().startswith(row.dataset)


def _name_of(file: Path) -> str:
    return file.parents[1].name if file.parent.name == "gt" else file.stem


def _home_of(file: Path) -> Path:
    return file.parents[1] if file.parent.name == "gt" else file.parent / file.stem


_NOTES = (
    "Pedestrians with a non-zero flag count, visibility does not matter. Predictions on {0} are taken out first; all "
    "other unmatched ones are false positives."
)
_mot = partial(
    Benchmark, task=Task.MOT, labels="mot_challenge", metric="box_tracking", main_score="HOTA"
)  # fmt: skip
_mot15 = partial(
    _mot,
    dataset="mot15",
    layout=MotLayout("MOT15"),
    protocols=("no_preprocessing",),
    notes="Truth has no classes: every box with a non-zero flag counts.",
)
_mot16 = partial(
    _mot,
    dataset="mot16",
    layout=MotLayout("MOT16"),
    protocols=("mot17", "no_preprocessing"),
    notes=_NOTES.format("persons on vehicles, static persons, distractors and reflections"),
)
_mot17 = partial(
    _mot,
    dataset="mot17",
    layout=MotLayout("MOT17"),
    protocols=("mot17", "no_preprocessing"),
    notes=_NOTES.format("persons on vehicles, static persons, distractors and reflections")
    + " Seven scenes with three detectors each; a tracker with its own detections answers all 21 alike.",
)
_mot20 = partial(
    _mot,
    dataset="mot20",
    layout=MotLayout("MOT20"),
    protocols=("mot20", "no_preprocessing"),
    notes=_NOTES.format("persons on vehicles, static persons, distractors, reflections and non-motorised vehicles"),
)

ROWS = (
    _mot17(name="mot17_mot_train", split="train", num_samples=21),
    _mot17(name="mot17_mot_test", split="test", num_samples=21, truth="private"),
    _mot20(name="mot20_mot_train", split="train", num_samples=4),
    _mot20(name="mot20_mot_test", split="test", num_samples=4, truth="private"),
    _mot16(name="mot16_mot_train", split="train", num_samples=7),
    _mot16(name="mot16_mot_test", split="test", num_samples=7, truth="private"),
    _mot15(name="mot15_mot_train", split="train", num_samples=11),
    _mot15(name="mot15_mot_test", split="test", num_samples=11, truth="private"),
)
