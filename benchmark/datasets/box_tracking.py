"""What the data sets of single object tracking share: truth in text files, results of one text file a video.

A data set's module says where the files of a video are (`Find`); the rest is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet
from benchmark.datasets import single_targets
from benchmark.datasets.pictures import the_folder
from benchmark.datasets.single_targets import Target
from benchmark.formats import box_results, box_videos
from benchmark.formats.box_videos import VideoFiles, VideoTruth
from benchmark.formats.listing import Listing
from benchmark.problems import Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark, DataNotFound

Find = Callable[[Benchmark, Path, bool], Sequence[VideoFiles]]
"""(row, folder, whether only the row's official videos count) -> the videos whose files begin there, in order."""
Place = Callable[[Benchmark, Path, int], VideoFiles]
"""(row, the data set's own root, number of a clip from 0) -> where the files of that clip's video go."""
FLAT = ("gt_rect", "gt", "annos", "anno", ".")
"""Folders of `<video>.txt` that people have."""
DEPTH = 3
"""How far below an explicit truth folder videos are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTrackLayout:
    """roots, how_to_get: see `row.Layout`. landmark_of: the row's landmark. find: see `Find`.

    place: see `Place`. truth_of: what the data set keeps of a target. list_of: file with the names of a row's videos,
    None where folders say it.
    """

    roots: tuple[str, ...]
    how_to_get: str
    landmark_of: Callable[[Benchmark], str]
    find: Find
    place: Place
    truth_of: Callable[[Target], VideoTruth]
    list_of: Callable[[Benchmark], str] | None = None

    def landmark(self, row: Benchmark) -> str:
        """A file or folder that the split has."""
        return self.landmark_of(row)

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The official videos that have at least one of their files there."""
        videos = self.find(row, folder, True)
        return box_videos.read(videos) if videos else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The row's own layout, an annotation folder of a toolkit, or any folder of `<video>.txt`."""
        if truth.is_dir():
            videos = self.find(row, truth, False) or flat(truth)
            if videos:
                return box_videos.read(videos)
        message = "holds neither <video>/groundtruth.txt nor <video>.txt"
        raise DataNotFound([Problem(place=str(truth), message=message, remedy="Give the folder of the annotations")])

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A text file a video, in the folder or once below it."""
        return (result_forms.BOX_LINES,)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder of one text file a video."""
        files = box_results.files_named(the_folder(path, row), samples.ids)
        box_results.require_some(files, path, samples.ids, f"{samples.ids[0]}.txt")
        return box_results.read_files(files)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        box_results.write_files(path, predictions, lambda sample_id: f"{sample_id}.txt")

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """One video a clip; a clip that begins without any object is left out."""
        home = root / self.roots[0]
        for row in rows:
            names: list[str] = []
            for clip in scenes.clips(row):
                target = single_targets.target_of(clip)
                if target is None:
                    continue
                video = self.place(row, home, len(names))
                box_videos.write(video, self.truth_of(target))
                box_videos.write_pictures(video, clip.images)
                names.append(video.name)
            if self.list_of is not None:
                box_videos.write_names(home / self.list_of(row), names)


def folders(root: Path, make: Callable[[Path], VideoFiles], depth: int = DEPTH) -> list[VideoFiles]:
    """A video for each `groundtruth.txt` at most `depth` folders below. make: the video's folder -> its files."""
    patterns = ["/".join(["*"] * level + ["groundtruth.txt"]) for level in range(depth + 1)]
    return [make(path.parent) for pattern in patterns for path in sorted(root.glob(pattern))]


def flat(root: Path) -> list[VideoFiles]:
    """A video for each `<video>.txt` of the first folder that has some, with the toolkit's flags where they are."""
    for name in FLAT:
        files = sorted((root / name).glob("*.txt")) if (root / name).is_dir() else []
        if files:
            return [toolkit_files(path) for path in files]
    return []


def toolkit_files(boxes: Path) -> VideoFiles:
    """The files of a video in an evaluation toolkit's folder. boxes: `<video>.txt`."""
    homes = (boxes.parent, boxes.parent.parent)
    flags = next((home / "absent" for home in homes if (home / "absent").is_dir()), None)
    sentence = next((home / "nlp" / boxes.name for home in homes if (home / "nlp").is_dir()), None)
    return VideoFiles(
        name=boxes.stem,
        boxes=boxes,
        absent=() if flags is None else (flags / boxes.name,),
        sentence=sentence,
        pictures=boxes.parent / "img" / boxes.stem,
    )
