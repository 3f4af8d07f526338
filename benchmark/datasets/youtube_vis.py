"""Video instance segmentation: YouTube-VIS 2019 and 2021 (40 classes each) and OVIS (25 classes, heavy occlusion).

{ytvis_2019, ...}/{train,valid,test}.json, {train,valid,test}/JPEGImages/<video>/00000.jpg
{ovis, OVIS, ...}/annotations_{train,valid,test}.json, {train,valid,test}/<video>/img_0000001.jpg

Every fifth frame is annotated and listed. The truth of validation and test is private: their files list videos only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmark import result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, the_file
from benchmark.formats import youtube_vis, youtube_vis_results, youtube_vis_scenes
from benchmark.formats.listing import Listing
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm, one_kind
from benchmark.row import Benchmark

RESULTS = "results.json"
_WORDS: Mapping[str, str] = {"train": "train", "val": "valid", "test": "test"}
"""Split -> the word of the official files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInstanceLayout:
    """Annotation files named in the ways that are in use. files: patterns of {word} and {split}, the official first.

    pictures: pattern of their folder. picture: index of a listed frame -> file name.
    """

    roots: tuple[str, ...]
    how_to_get: str
    files: tuple[str, ...]
    pictures: str
    picture: Callable[[int], str]

    def landmark(self, row: Benchmark) -> str:
        """The annotation file."""
        return self._names(row)[0]

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The split's annotation file with its pictures."""
        path = _first(folder, self._names(row))
        return None if path is None else youtube_vis.read(path, _pictures(row, [folder]), row.label_set)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """An annotation file, the folder of it, or the data set's own folder."""
        names = self._names(row)
        path = truth if truth.is_file() else _first(truth, [*names, *(Path(name).name for name in names)])
        if path is None:
            message = f"holds none of {', '.join(self._names(row))}"
            raise DataError([Problem(place=str(truth), message=message, remedy="Give the annotation file itself")])
        return youtube_vis.read(path, _pictures(row, homes_of(truth, root, self.roots)), row.label_set)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """One JSON of tracks; a folder may hold it as results.json."""
        track = f'"video_id", "category_id", "score", "segmentations": [{result_forms.RUN_LENGTHS} or null, ...]'
        return (one_kind("results.json", f"a JSON list of {{{track}}}, a mask a frame"),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A result JSON, or a folder that holds it under its official name."""
        inner = path / RESULTS
        found = inner if inner.is_file() else the_file(path, row)
        return youtube_vis_results.read_results(found, samples, row.label_set), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        youtube_vis_results.write_results(path, predictions, row.label_set)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """A video a clip."""
        home = root / self.roots[0]
        for row in rows:
            folder = home / self.pictures.format(word=_WORDS[row.split])
            samples = youtube_vis_scenes.write_pictures(scenes.clips(row), folder, self.picture)
            youtube_vis.write(home / self.landmark(row), samples, row.label_set)

    def _names(self, row: Benchmark) -> list[str]:
        return [pattern.format(word=_WORDS[row.split], split=row.split) for pattern in self.files]


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _pictures(row: Benchmark, homes: Iterable[Path]) -> Pictures:
    word = _WORDS[row.split]
    folders = (f"{word}/JPEGImages", f"{row.split}/JPEGImages", f"{word}_all_frames/JPEGImages", word, row.split)
    return Pictures.below(homes, folders, lambda name, _: name)


_YEAR_FILES = (
    "{word}.json",
    "{word}/instances.json",
    "{word}/{word}.json",
    "annotations/instances_{split}_sub.json",
    "annotations/{word}.json",
)
_NOTES = (
    "Every track has one entry a frame: the official tool cuts a shorter or longer one to the common length. "
    "No results score 0 (the official tool fails)."
)
_row = partial(Benchmark, task=Task.VIS, metric="video_segm_ap", main_score="AP", protocols=("youtube_vis",))


def _rows(dataset: str, layout: VideoInstanceLayout, counts: tuple[int, int, int]) -> tuple[Benchmark, ...]:
    """The rows of one data set. counts: videos of train, val and test."""
    return tuple(
        _row(
            name=f"{dataset}_vis_{split}",
            dataset=dataset,
            split=split,
            labels=dataset,
            layout=layout,
            num_samples=count,
            is_train=split == "train",
            truth="public" if split == "train" else "private",
            notes=_NOTES,
        )
        for split, count in zip(("val", "test", "train"), (counts[1], counts[2], counts[0]), strict=True)
    )


EVERY = 5
"""YouTube-VIS lists every fifth frame."""


def _fifth(index: int) -> str:
    return f"{EVERY * index:05d}.jpg"


def _numbered(index: int) -> str:
    return f"img_{index + 1:07d}.jpg"


YOUTUBE_VIS19 = VideoInstanceLayout(
    roots=("ytvis_2019", "youtube_vis_2019", "YouTube-VIS-2019", "."),
    how_to_get="Download YouTube-VIS 2019 from https://youtube-vos.org/dataset/vis",
    files=_YEAR_FILES,
    pictures="{word}/JPEGImages",
    picture=_fifth,
)
YOUTUBE_VIS21 = VideoInstanceLayout(
    roots=("ytvis_2021", "youtube_vis_2021", "YouTube-VIS-2021", "."),
    how_to_get="Download YouTube-VIS 2021 from https://youtube-vos.org/dataset/vis",
    files=("{word}/instances.json", "{word}.json", "annotations/instances_{split}_sub.json", "annotations/{word}.json"),
    pictures="{word}/JPEGImages",
    picture=_fifth,
)
OVIS = VideoInstanceLayout(
    roots=("ovis", "OVIS", "ovis_2021", "OVIS_2021", "."),
    how_to_get="Download OVIS from https://songbai.site/ovis",
    files=("annotations_{word}.json", "annotations/{word}.json", "annotations/annotations_{word}.json", "{word}.json"),
    pictures="{word}",
    picture=_numbered,
)

ROWS = (
    *_rows("youtube_vis19", YOUTUBE_VIS19, (2238, 302, 343)),
    *_rows("youtube_vis21", YOUTUBE_VIS21, (2985, 421, 453)),
    *_rows("ovis", OVIS, (607, 140, 154)),
)
