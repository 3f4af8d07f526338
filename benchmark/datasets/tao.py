"""TAO (Tracking Any Object): boxes of a large vocabulary in videos, annotated once a second, with federated truth.

{tao, TAO, .}/annotations/{train,validation,test_without_annotations}.json, frames/val/YFCC100M/<video>/frame0391.jpg

Classes are those of LVIS v0.5, with which the challenge's files are aligned; files with free-form classes are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, the_file
from benchmark.formats import tao, tao_results, tao_scenes
from benchmark.formats.listing import Listing
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm, one_kind
from benchmark.row import Benchmark

FILES: Mapping[str, tuple[str, ...]] = {
    "train": ("train.json",),
    "val": ("validation.json",),
    "test": ("test.json", "test_without_annotations.json"),
}
"""Split -> annotation files, the preferred first."""


class TaoLayout:
    """One annotation file a split, one folder of frames."""

    roots = ("tao", "TAO", ".")
    how_to_get = "Download TAO's annotations and frames from https://motchallenge.net/tao_download.php"

    def landmark(self, row: Benchmark) -> str:
        """The annotation file."""
        return f"annotations/{FILES[row.split][-1]}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The split's annotation file with its frames."""
        path = _first(folder / "annotations", row)
        return None if path is None else tao.read(path, _pictures([folder]), row.label_set)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """An annotation file, or the folder of it."""
        path = truth if truth.is_file() else _first(truth, row) or _first(truth / "annotations", row)
        if path is None:
            message = f"holds none of {', '.join(FILES[row.split])}"
            raise DataError([Problem(place=str(truth), message=message, remedy="Give the annotation file itself")])
        return tao.read(path, _pictures(homes_of(truth, root, self.roots)), row.label_set)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """COCO's list of boxes, each with its track."""
        holds = '[{"image_id", "category_id", "bbox": [x, y, width, height], "score", "track_id"}]'
        official = one_kind(f"results/TAO_{row.split}.json", f"{holds}, beside those of the other splits")
        return (one_kind("results.json", holds), official)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A result JSON, or the folder of the server's archive that holds it."""
        inner = path / f"TAO_{row.split}.json"
        return tao_results.read_results(inner if inner.is_file() else the_file(path, row), samples, row.label_set), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        tao_results.write_results(path, predictions, row.label_set)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """A video a clip."""
        home = root / self.roots[0]
        for row in rows:
            path = home / "annotations" / FILES[row.split][0]
            tao_scenes.write(path, home / "frames", row.split, scenes.clips(row), row.label_set)


def _first(folder: Path, row: Benchmark) -> Path | None:
    return next((folder / name for name in FILES[row.split] if (folder / name).is_file()), None)


def _pictures(homes: Iterable[Path]) -> Pictures:
    return Pictures.below(homes, ("frames",), lambda name, _: name)


_row = partial(
    Benchmark,
    dataset="tao",
    task=Task.MOT,
    labels="lvis_v05",
    metric="federated_track_ap",
    main_score="AP",
    protocols=("tao",),
    layout=TaoLayout(),
    notes="Track mAP at a 3D IoU of 0.5, over classes that occur. A result list without boxes scores 0 (the official "
    "tool fails); a track with two boxes in a frame is refused (the tool keeps the later one).",
)

ROWS = (
    _row(name="tao_mot_val", split="val", num_samples=988),
    _row(name="tao_mot_test", split="test", num_samples=1419, truth="private"),
    _row(name="tao_mot_train", split="train", num_samples=500, is_train=True),
)
