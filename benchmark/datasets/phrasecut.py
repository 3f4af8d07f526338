"""PhraseCut: the regions of Visual Genome pictures that a phrase describes.

{VGPhraseCut_v0, phrasecut, data/VGPhraseCut_v0, .}/refer_<split>.json, image_data_split.json and images/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark import result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import unique_number
from benchmark.datasets.refcoco import read_answers
from benchmark.formats import mask_folder, phrase_cut, phrase_cut_scenes
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.listing import Listing
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

FILES = {"val": ("val", "miniv")}
"""Files of a split: the 100 pictures of miniv are part of val, and lie in a file of their own."""


class PhraseCutLayout:
    """The layout of the official download."""

    roots = ("VGPhraseCut_v0", "phrasecut", "PhraseCutDataset/data/VGPhraseCut_v0", "data/VGPhraseCut_v0", ".")
    how_to_get = "Download the annotations and pictures with https://github.com/ChenyunWu/PhraseCutDataset"

    def landmark(self, row: Benchmark) -> str:
        """The split's task file."""
        return f"refer_{row.split}.json"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The split's phrases."""
        if not (folder / self.landmark(row)).is_file():
            return None
        paths = [folder / f"refer_{name}.json" for name in FILES.get(row.split, (row.split,))]
        return _read([path for path in paths if path.is_file()], folder, folder)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A task file with image_data_split.json beside it, or the folder of both."""
        if truth.is_dir():
            found = self.open(row, truth)
            if found is None:
                message = f"holds no {self.landmark(row)}"
                raise DataError([Problem(place=str(truth), message=message, remedy="Give the task file itself")])
            return found
        return _read([truth], truth.parent, root or truth.parent)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A PNG a task, or a JSON of masks."""
        return (result_forms.MASK_FOLDER, result_forms.EXPRESSIONS)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """The official folder of <task_id>.png, or a JSON of masks."""
        return read_answers(path, samples)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The official form."""
        mask_folder.write_masks(path, predictions)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """The task file of every split, the list of pictures, the frequencies, and images/."""
        home = root / self.roots[0]
        tasks, pictures = dict[str, list[dict[str, Any]]](), []
        for row in rows:
            tasks[row.split] = []
            for image in scenes.images(row):
                image_id = unique_number(row, image)
                tasks[row.split] += phrase_cut_scenes.tasks_of(image, image_id)
                pictures.append(phrase_cut_scenes.image_record(image, image_id, row.split))
                write_jpeg(home / "images" / f"{image_id}.jpg", image.image)
        phrase_cut_scenes.write(home, tasks, pictures)


def _read(paths: list[Path], folder: Path, home: Path) -> Listing:
    pictures = next((one / "images" for one in (folder, home) if (one / "images").is_dir()), folder / "images")
    return phrase_cut.read(paths, folder / phrase_cut.IMAGES, lambda image_id: pictures / f"{image_id}.jpg")


_row = partial(
    Benchmark,
    dataset="phrasecut",
    task=Task.REFERRING,
    labels="object",
    metric="phrase_cut",
    main_score="mean_IoU",
    protocols=("official",),
    layout=PhraseCutLayout(),
    notes="P@X is strictly greater. The table of subsets lacks the kinds of attributes (a_color ...) and of stuff, "
    "whose word lists are part of the official source. The official script leaves missing tasks out of its means.",
)

ROWS = (
    _row(name="phrasecut_referring_val", split="val", num_samples=20316),
    _row(name="phrasecut_referring_test", split="test", num_samples=14354),
    _row(name="phrasecut_referring_miniv", split="miniv", num_samples=821),
    _row(name="phrasecut_referring_train", split="train", num_samples=310816, is_train=True),
)
