"""SA-V: given objects and their parts, which may overlap, so that each has masks of its own.

{SA-V/sav_val, sav_val, ..., .}/Annotations_6fps/<video>/000/00004.png, JPEGImages_24fps/<video>/00000.jpg, sav_val.txt

Every fourth frame is annotated. The training split has videos and JSON files instead: see `sav_train`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark import result_forms
from benchmark.annotated import AnnotatedClip, Scenes
from benchmark.contract import Prediction, PredictionSet, Prompt, Sample, SampleSet, Task, Truth
from benchmark.datasets import sav_train, videos
from benchmark.datasets.pictures import the_folder
from benchmark.datasets.sav_train import PICTURES, SavTrainLayout
from benchmark.datasets.videos import Outside
from benchmark.formats import clip_files, object_folders
from benchmark.formats.image_files import write_whole
from benchmark.formats.indexed_masks import GivenObjects
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.object_folders import Files
from benchmark.problems import Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark, DataNotFound

MASKS = "Annotations_6fps"


class SavLayout:
    """One folder an object below one folder a video; results lie alike."""

    how_to_get = "Download SA-V val and test from https://ai.meta.com/datasets/segment-anything-video-downloads"

    def __init__(self, split: str) -> None:
        self.roots = (f"SA-V/sav_{split}", f"sav_{split}", f"sav/sav_{split}", f"SAV/sav_{split}", ".")

    def landmark(self, row: Benchmark) -> str:
        """The list of videos."""
        return f"sav_{row.split}.txt"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The videos of the split's list."""
        path = folder / self.landmark(row)
        if not path.is_file():
            return None
        return _listing(row, dict.fromkeys(videos.read_lines(path)), folder / MASKS, folder / PICTURES)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A folder of videos with a folder an object, or the folder above it."""
        home = truth / MASKS if (truth / MASKS).is_dir() else truth
        folders = sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
        names = [path.name for path in folders if any(path.glob("*/*.png"))]
        if not names:
            remedy = "Give the folder in which each video has a folder an object"
            raise DataNotFound([Problem(place=str(truth), message="holds no <video>/000/*.png", remedy=remedy)])
        return _listing(row, names, home, home.parent / PICTURES)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A folder an object below one a video."""
        return (result_forms.OBJECT_FOLDERS,)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """The same form; frames that are not annotated are left alone."""
        needed = {sample.sample_id: _needed(sample) for sample in samples}
        return object_folders.read_results(the_folder(path, row), samples, needed), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        object_folders.write_results(path, predictions)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Every thing, and the upper part of the first one, each from where it is first seen."""
        home = root / self.roots[0]
        for row in rows:
            names = [f"sav_{row.split}_{clip.number:06d}" for clip in scenes.clips(row)]
            for name, clip in zip(names, scenes.clips(row), strict=True):
                _write_clip(home, name, clip)
            write_whole(home / self.landmark(row), "".join(f"{name}\n" for name in names).encode())


def _listing(row: Benchmark, names: Iterable[str], home: Path, pictures: Path) -> Listing:
    objects = {name: object_folders.objects_of(home / name) if (home / name).is_dir() else {} for name in names}
    problems = [
        Problem(place=f"{row.name}: {name}", message=f"has no masks ({home / name})", remedy="Complete the download")
        for name, files in objects.items()
        if not any(files.values())
    ]
    kept = {name: files for name, files in objects.items() if any(files.values())}
    frame_names = {name: sorted({one for files in of.values() for one in files}) for name, of in kept.items()}
    order = list(kept)

    def truth(index: int) -> Truth:
        files, names = kept[order[index]], frame_names[order[index]]
        stretches = _stretches(files, names)
        return Truth(
            frames=object_folders.lazily(files, names),
            tracks=videos.tracks_of(list(files)),
            ignored=Outside(len(names), stretches),
        )

    def ask(index: int, prompt: Prompt) -> Prompt:
        files, names = kept[order[index]], frame_names[order[index]]
        first: dict[int, list[int]] = {}
        for one, stretch in _stretches(files, names).items():
            if stretch:
                first.setdefault(stretch[0], []).append(one)
        return replace(prompt, labels=None, objects=GivenObjects(object_folders.lazily(files, names), first))

    entries = tuple(
        Entry(
            sample_id=name,
            frames=tuple(pictures / name / f"{one}.jpg" for one in frame_names[name]),
            labels=tuple(path for files in kept[name].values() for path in files.values()),
        )
        for name in order
    )
    return Listing(entries=entries, truth=truth, ask=ask, problems=tuple(problems))


def _write_clip(home: Path, name: str, clip: AnnotatedClip) -> None:
    """Write pictures, and the masks of each object from where it is first seen."""
    sav_train.write_pictures(home / PICTURES / name, clip)
    names = clip_files.frame_names(len(clip.panoptic), step=sav_train.STEP)
    for number, masks in sav_train.objects_of(clip).items():
        start = next(index for index, mask in enumerate(masks) if mask.any())
        object_folders.write_object(home / MASKS / name, number, names[start:], masks[start:])


def _stretches(files: Files, names: Sequence[str]) -> dict[int, list[int]]:
    """Object id -> indices of the frames that it has a mask of, empty or not."""
    place = {name: index for index, name in enumerate(names)}
    return {one: [place[name] for name in frames] for one, frames in files.items()}


def _needed(sample: Sample) -> dict[int, list[str]]:
    """Object id -> names of its frames without the first and the last."""
    assert sample.truth is not None and sample.truth.tracks is not None
    outside = [set(one.object_id.tolist()) for one in sample.truth.ignored or ()]
    return {
        one: [path.stem for path, ids in zip(sample.frames, outside, strict=True) if one not in ids][1:-1]
        for one in sample.truth.tracks.object_id.tolist()
    }


def _rows() -> tuple[Benchmark, ...]:
    row = partial(
        Benchmark,
        dataset="sav",
        task=Task.VOS,
        labels="object",
        metric="j_and_f",
        main_score="J&F",
        protocols=("vos_benchmark",),
        notes="As SA-V's own evaluator: the first and the last annotated frame of an object do not count, and one "
        "counts from where truth or result first shows it. Models see 24 frames a second, of which 6 are annotated.",
    )
    return (
        row(name="sav_vos_val", split="val", num_samples=155, layout=SavLayout("val")),
        row(name="sav_vos_test", split="test", num_samples=150, layout=SavLayout("test")),
        row(name="sav_vos_train", split="train", num_samples=0, is_train=True, layout=SavTrainLayout(_needed)),
    )


ROWS = _rows()
