"""KITTI MOTS and MOTSChallenge: multi-object tracking and segmentation.

{KITTI_MOTS, kitti_mots, .}/{instances_txt/0002.txt | instances/0002/000000.png}, training/image_02/0002/000000.png
{KITTI_MOTS, kitti_mots, .}/testing/image_02/0000/000000.png
{KITTI_MOTS, kitti_mots, .}/val.seqmap: a line "0002 empty 000000 000233" a sequence of the split, where it is there
{MOTS, MOTSChallenge, .}/{train,test}/MOTS20-02/{gt/gt.txt, img1/000001.jpg, seqinfo.ini}
{MOTS, MOTSChallenge, .}/{train,test}/{instances_txt/0002.txt | instances/0002/000001.png}, images/0002/000001.jpg
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task, Truth
from benchmark.datasets import sequences
from benchmark.datasets.sequences import Clip
from benchmark.formats import mots_scenes, mots_text, sequence_map
from benchmark.formats.image_files import header_size, write_jpeg, write_png
from benchmark.formats.listing import Listing
from benchmark.formats.sequence_info import FILE, SequenceInfo, write_info
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm, one_kind
from benchmark.row import Benchmark

LEFT_OUT = "masks of classes that are not evaluated left out"
TEXTS = ("instances_txt", "label_02")
PNGS = "instances"
PICTURES, TRAINING, TESTING = "image_02", "training", "testing"
KITTI_LENGTHS: Mapping[str, Mapping[str, int]] = {
    "train": {"0000": 154, "0001": 447, "0003": 144, "0004": 314, "0005": 297, "0009": 803, "0011": 373, "0012": 78,
              "0015": 376, "0017": 145, "0019": 1059, "0020": 837},
    "val": {"0002": 233, "0006": 270, "0007": 800, "0008": 390, "0010": 294, "0013": 340, "0014": 106, "0016": 209,
            "0018": 339},
    "test": {"0000": 465, "0001": 147, "0002": 243, "0003": 257, "0004": 421, "0005": 809, "0006": 114, "0007": 215,
             "0008": 165, "0009": 349, "0010": 1176, "0011": 774, "0012": 694, "0013": 152, "0014": 850, "0015": 701,
             "0016": 510, "0017": 305, "0018": 180, "0019": 404, "0020": 173, "0021": 203, "0022": 436, "0023": 430,
             "0024": 316, "0025": 176, "0026": 170, "0027": 85, "0028": 175},
}  # fmt: skip
"""Frames of KITTI's sequences. Training and validation lie in one folder and are split by this list (the authors'
mots_tools); the test sequences are KITTI's own, numbered anew."""
MOTS_LENGTHS: Mapping[str, Mapping[str, int]] = {
    "train": {"0002": 600, "0005": 837, "0009": 525, "0011": 900},
    "test": {"0001": 450, "0006": 1194, "0007": 500, "0012": 900},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one sequence is. truth: text file or folder of PNGs, None: not public. length: as known, None: unknown."""

    name: str
    truth: Path | None
    pictures: Path
    length: int | None


class MotsLayout:
    """Text or PNG truth of many sequences in one folder, or one folder a sequence. first_frame: number of the first."""

    def __init__(self, roots: tuple[str, ...], how_to_get: str, first_frame: int) -> None:
        self.roots = roots
        self.how_to_get = how_to_get
        self.first_frame = first_frame

    def landmark(self, row: Benchmark) -> str:
        """The folder of the truth, or of KITTI's pictures where it is hidden."""
        if row.dataset != "kitti":
            return f"{row.split}/"
        return f"{TESTING}/{PICTURES}/" if row.truth == "private" else f"{PNGS}/"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The sequences of the split."""
        if row.dataset == "kitti":
            found = _kitti(row, folder)
        else:
            found = _per_sequence(folder / row.split) or _together(
                folder / row.split, MOTS_LENGTHS[row.split], "images"
            )
        if not found:
            return None
        return sequences.listing([one.name for one in found], lambda name: self._clip(row, _named(found, name)))

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A text file, a folder of <sequence>.txt or of <sequence>/*.png, or the official folders."""
        found = _given(truth)
        if not found:
            expected = "<sequence>.txt, <sequence>/gt/gt.txt or <sequence>/*.png"
            sequences.some({}, truth, expected)
        return sequences.listing([one.name for one in found], lambda name: self._clip(row, _named(found, name)))

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A text file a sequence; a folder data may stand around them."""
        line = "frame id class height width run-lengths; id = 1000 class + instance, frames from "
        return (one_kind("results/<sequence>.txt", f"{line}{self.first_frame}"),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder of <sequence>.txt, or one file for one sequence."""
        left_out = 0

        def read(file: Path, sample: Sample) -> Prediction:
            nonlocal left_out
            num_frames = len(sample.frames)
            size = None if sample.size == sequences.UNKNOWN_SIZE else sample.size
            table = mots_text.read_table(file, num_frames, self.first_frame, size)
            left_out += table.num_left_out(row.label_set)
            return table.prediction(num_frames, row.label_set)

        found, notes = sequences.read_results(row, path, samples, read)
        return found, {**notes, **({LEFT_OUT: left_out} if left_out else {})}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """A folder of <sequence>.txt."""
        for sample, prediction in predictions:
            file = path / f"{sample.sample_id}.txt"
            mots_text.write_results(file, prediction, row.label_set, self.first_frame)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """KITTI's folders with truth as text and PNGs, or MOTSChallenge's with a folder a sequence."""
        home = root / self.roots[0]
        for row in rows:
            if row.dataset == "kitti":
                _write_kitti(home, row, scenes)
                continue
            for number, clip in enumerate(scenes.clips(row), start=1):
                name = f"MOTS20-{number:02d}"
                truth = mots_scenes.truth_of(clip, row.label_set)
                mots_text.write_truth(home / row.split / name / "gt" / "gt.txt", truth, row.label_set, self.first_frame)
                num_frames, height, width = clip.images.shape[:3]
                info = SequenceInfo(folder="img1", extension=".jpg", num_frames=num_frames, size=(height, width))
                write_info(home / row.split / name / FILE, name, info)
                for path, image in zip(info.pictures(home / row.split / name), clip.images, strict=True):
                    write_jpeg(path, image)

    def _clip(self, row: Benchmark, source: Source) -> Clip:
        info = sequences.info_of(source.pictures.parent)
        length = info.num_frames if info else source.length
        size = info.size if info else _size(source.pictures)
        if source.truth is None:
            if length is None or row.truth == "public":
                message = "has no truth (gt/gt.txt, instances_txt or instances)"
                raise DataError([Problem(place=f"{row.name}: {source.name}", message=message, remedy=self.how_to_get)])
            truth = sequences.hidden(length)
        elif source.truth.is_dir():
            truth, length, size = self._from_pngs(row, source.truth, length, size)
        else:
            table = mots_text.read_table(source.truth, length, self.first_frame, size)
            length, size = length or max(1, table.num_frames), size or table.size
            truth = table.truth(length, row.label_set)
        frames = _pictures(source.pictures, length, self.first_frame, ".png" if row.dataset == "kitti" else ".jpg")
        return Clip(name=source.name, frames=frames, size=size or sequences.UNKNOWN_SIZE, truth=truth)

    def _from_pngs(
        self, row: Benchmark, folder: Path, length: int | None, size: tuple[int, int] | None
    ) -> tuple[Truth, int, tuple[int, int] | None]:
        found = {path.stem: path for path in sorted(folder.glob("*.png"))}
        strange = next((name for name in found if not name.isdigit() or int(name) < self.first_frame), None)
        if strange is not None:
            message = f"{strange}.png is not named after a frame (from {self.first_frame:06d})"
            raise DataError([Problem(place=str(folder), message=message, remedy="Give the official folder")])
        by_number = {int(name) - self.first_frame: path for name, path in found.items()}
        num_frames = length or max(by_number, default=0) + 1
        paths = [by_number.get(index) for index in range(num_frames)]
        return mots_text.read_pngs(paths, row.label_set), num_frames, size or mots_text.png_size(paths)


def _write_kitti(home: Path, row: Benchmark, scenes: Scenes) -> None:
    """Truth of hidden sequences lies beside their pictures: training sequences have the same numbers."""
    own = home / TESTING if row.truth == "private" else home
    lengths: dict[str, int] = {}
    for name, clip in zip(KITTI_LENGTHS[row.split], scenes.clips(row), strict=False):
        truth = mots_scenes.truth_of(clip, row.label_set)
        mots_text.write_truth(own / TEXTS[0] / f"{name}.txt", truth, row.label_set, 0)
        mots_text.write_pngs(own / PNGS / name, truth, lambda index: f"{index:06d}.png")
        folder = home / (TESTING if row.truth == "private" else TRAINING) / PICTURES / name
        for path, image in zip(_pictures(folder, len(clip.images), 0, ".png"), clip.images, strict=True):
            write_png(path, image)
        lengths[name] = len(clip.images)
    sequence_map.write(home / f"{row.split}.seqmap", lengths)


def _kitti(row: Benchmark, folder: Path) -> list[Source]:
    lengths = sequence_map.read(folder / f"{row.split}.seqmap") or KITTI_LENGTHS[row.split]
    if row.truth == "private":
        return _together(folder / TESTING, lengths, PICTURES)
    homes = [folder, folder / TRAINING]
    home = next((one for one in homes if any((one / name).is_dir() for name in (*TEXTS, PNGS))), None)
    if home is None:
        return []
    pictures = next((one / PICTURES for one in (home, folder / TRAINING) if (one / PICTURES).is_dir()), None)
    return _together(home, lengths, str(pictures or folder / TRAINING / PICTURES))


def _together(home: Path, lengths: Mapping[str, int], pictures: str) -> list[Source]:
    """Sequences whose truth lies side by side. pictures: folder of their folders, below home or absolute."""
    if not any((home / name).is_dir() for name in (*TEXTS, PNGS, pictures)):
        return []
    return [
        Source(name=name, truth=_truth_of(home, name), pictures=home / pictures / name, length=length)
        for name, length in lengths.items()
    ]


def _truth_of(home: Path, name: str) -> Path | None:
    candidates = [*(home / folder / f"{name}.txt" for folder in TEXTS), home / PNGS / name]
    return next((one for one in candidates if one.exists()), None)


def _per_sequence(home: Path) -> list[Source]:
    """Sequences with a folder of their own."""
    homes = sorted(path.parent for path in home.glob(f"*/{FILE}"))
    files = [(one, one / "gt" / "gt.txt") for one in homes]
    return [
        Source(name=one.name, truth=file if file.is_file() else None, pictures=one / "img1", length=None)
        for one, file in files
    ]


def _given(truth: Path) -> list[Source]:
    """Sequences of an explicit truth of any form."""
    if truth.is_file():
        name = truth.parents[1].name if truth.parent.name == "gt" else truth.stem
        home = truth.parents[1] if truth.parent.name == "gt" else truth.parent / truth.stem
        return [Source(name=name, truth=truth, pictures=home / "img1", length=None)]
    apart = [one for one in _per_sequence(truth) if one.truth is not None]
    if apart:
        return apart
    inner = [truth / name for name in (*TEXTS, PNGS) if (truth / name).is_dir()]
    home = inner[0] if inner else truth
    files = {**{path.name: path for path in sorted(home.iterdir()) if path.is_dir() and any(path.glob("*.png"))},
             **sequences.text_files(home)}  # fmt: skip
    return [Source(name=name, truth=path, pictures=home / name / "img1", length=None) for name, path in files.items()]


def _named(sources: Iterable[Source], name: str) -> Source:
    return next(one for one in sources if one.name == name)


def _size(pictures: Path) -> tuple[int, int] | None:
    first = next((one for one in sorted(pictures.glob("*"))[:1] if pictures.is_dir()), None)
    return None if first is None else header_size(first)


def _pictures(folder: Path, num_frames: int, first: int, extension: str) -> tuple[Path, ...]:
    return tuple(folder / f"{number:06d}{extension}" for number in range(first, first + num_frames))


_mots = partial(
    Benchmark, task=Task.MOTS, metric="mask_tracking", main_score="HOTA", protocols=("trackeval",)
)  # fmt: skip
_kitti_row = partial(
    _mots,
    dataset="kitti",
    labels="kitti_mots",
    layout=MotsLayout(
        ("KITTI_MOTS", "kitti_mots", "KITTI-MOTS", "KITTI", "kitti", "."),
        "Download instances.zip (or instances_txt.zip) from https://www.vision.rwth-aachen.de/page/mots and the left "
        "colour images of KITTI tracking",
        0,
    ),
    notes="Cars and pedestrians are judged apart (see the table by class, as the server shows them); the headline is "
    "their mean. The authors' first tool matches above an IoU of 0.5, TrackEval from 0.5 on.",
)
_challenge = partial(
    _mots,
    dataset="motschallenge",
    labels="mots_challenge",
    layout=MotsLayout(
        ("MOTS", "MOTSChallenge", "MOTS20", "mots", "."), "Download MOTS.zip from https://motchallenge.net/data/MOTS", 1
    ),
    notes="Pedestrians only. The four public sequences are both training and validation data (leave one out).",
)

ROWS = (
    _kitti_row(name="kitti_mots_val", split="val", num_samples=9),
    _kitti_row(name="kitti_mots_test", split="test", num_samples=29, truth="private"),
    _kitti_row(name="kitti_mots_train", split="train", num_samples=12, is_train=True),
    _challenge(name="motschallenge_mots_train", split="train", num_samples=4),
    _challenge(name="motschallenge_mots_test", split="test", num_samples=4, truth="private"),
)
