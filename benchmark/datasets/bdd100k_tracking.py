"""BDD100K: tracking of eight classes by boxes and by masks.

{bdd100k, BDD100K, .}/labels/box_track_20/val/<video>.json, images/track/val/<video>/<video>-0000001.jpg
{bdd100k, BDD100K, .}/labels/seg_track_20/{bitmasks/val/<video>/*.png | rles/val/<video>.json}, images/seg_track_20/val/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.annotated import Scenes
from benchmark.contract import Instances, Prediction, PredictionSet, Sample, SampleSet, Task, Truth
from benchmark.datasets import sequences
from benchmark.datasets.sequences import Clip
from benchmark.formats import bdd100k_bitmasks, bdd100k_scenes, scalabel_tracks
from benchmark.formats.image_files import header_size, write_jpeg
from benchmark.formats.listing import Listing, problems_of
from benchmark.formats.scalabel_tracks import TrackedVideo
from benchmark.problems import OTHER_SPLIT, DataError, Problem, raise_if_any
from benchmark.result_forms import ResultForm, one_kind
from benchmark.row import Benchmark, DataNotFound

SIZE = (720, 1280)
"""(height, width) of all videos of the official data."""
NOT_YET = "Download the labels and images of the task from https://doc.bdd100k.com"
FRAME_REMEDY = "Write one frame for each of the truth, named and numbered alike, empty ones too"


class Bdd100kTracks:
    """Labels in JSON or bitmasks, one video a file or folder."""

    roots = ("bdd100k", "BDD100K", ".")
    how_to_get = "Download the MOT 2020 or MOTS 2020 labels and images from https://doc.bdd100k.com/download.html"

    def landmark(self, row: Benchmark) -> str:
        """The folder of the labels."""
        return _label_folders(row)[0]

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """Labels from bitmasks where they are, else from JSON; test videos from their pictures."""
        pictures = folder / _picture_folder(row)
        home = next((folder / name for name in _label_folders(row) if (folder / name).is_dir()), None)
        if home is not None:
            return _listing(row, home, pictures)
        if row.truth == "public" or not pictures.is_dir():
            return None
        names = sorted(path.name for path in pictures.iterdir() if path.is_dir())
        return sequences.listing(names, lambda name: _hidden(pictures / name))

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A JSON, a folder of them, or a folder of bitmasks."""
        homes = [root / name for name in self.roots] if root is not None else [*truth.parents[:4]]
        pictures = next((one / _picture_folder(row) for one in homes if (one / _picture_folder(row)).is_dir()), None)
        return _listing(row, truth, pictures or homes[0] / _picture_folder(row))

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """Scalabel JSON, or bitmasks; JSON may be one a video or one in all."""
        scalabel = '[{"videoName", "name", "frameIndex", "labels": [{"id", "category", "score", "box2d"}]}]'
        if row.task is Task.MOT:
            return (one_kind("results/<video>.json", scalabel), one_kind("results.json", f"{scalabel} of all videos"))
        bitmask = "RGBA PNG: R class, G attributes, instance = 256 B + A"
        masks = scalabel.replace('"box2d"', '"rle"')
        return (one_kind("results/<video>/<frame>.png", bitmask), one_kind("results.json", f"{masks} of all videos"))

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A JSON, a folder of JSON, or a folder of bitmasks; a video that is missing is missing, not empty."""
        files = _bitmasks(path) if row.task is Task.MOTS and path.is_dir() else {}
        if files:
            return _read_bitmasks(row, path, files, samples), {}
        videos = scalabel_tracks.read_videos(
            _jsons(path), row.label_set, has_masks=row.task is Task.MOTS, is_truth=False
        )
        _raise_if_strange(path, videos, samples)
        problems = [
            problem
            for index, name in enumerate(samples.ids)
            if name in videos
            for problem in _mismatch(videos[name], samples[index])
        ]
        raise_if_any(problems)
        return PredictionSet(tuple(videos), lambda name: videos[name].prediction()), {}

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """A folder of JSON for boxes, of bitmasks for masks: what the server takes."""
        for sample, prediction in predictions:
            if row.task is Task.MOT:
                names = [frame.name for frame in sample.frames]
                file = path / f"{sample.sample_id}.json"
                scalabel_tracks.write_video(file, sample.sample_id, names, [(prediction.frames, False)], row.label_set)
                continue
            for picture, found in zip(sample.frames, prediction.frames, strict=True):
                if not isinstance(found, Instances):
                    raise ValueError(f"{sample.sample_id}: bitmasks need instances")
                file = path / sample.sample_id / f"{picture.stem}.png"
                bdd100k_bitmasks.write_frame(file, sample.size, [(found, 0)], row.label_set)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """A video a clip; masks both as bitmasks and as JSON."""
        home = root / self.roots[0]
        for row in rows:
            has_masks = row.task is Task.MOTS
            *bitmasks, documents = (home / name for name in _label_folders(row)[: 1 + has_masks])
            for clip in scenes.clips(row):
                name = f"{clip.number:08x}-{row.split.encode().hex():0>8.8}"
                file = documents / f"{name}.json"
                bdd100k_scenes.write_json_truth(file, name, clip, row.label_set, has_masks=has_masks)
                for folder in bitmasks:
                    bdd100k_scenes.write_bitmasks(folder / name, name, clip, row.label_set)
                pictures = bdd100k_scenes.frame_names(name, len(clip.images))
                for picture, image in zip(pictures, clip.images, strict=True):
                    write_jpeg(home / _picture_folder(row) / name / picture, image)


def _label_folders(row: Benchmark) -> tuple[str, ...]:
    if row.task is Task.MOT:
        return (f"labels/box_track_20/{row.split}", f"labels/track/{row.split}")
    return tuple(f"labels/seg_track_20/{form}/{row.split}" for form in ("bitmasks", "rles"))


def _picture_folder(row: Benchmark) -> str:
    return f"images/{'track' if row.task is Task.MOT else 'seg_track_20'}/{row.split}"


def _listing(row: Benchmark, home: Path, pictures: Path) -> Listing:
    """home: labels, a file or folder. pictures: where the folders of pictures may be."""
    files = _bitmasks(home) if row.task is Task.MOTS and home.is_dir() else {}
    if files:
        return sequences.listing(files, lambda name: _bitmask_clip(row, name, files[name], pictures))
    videos = scalabel_tracks.read_videos(_jsons(home), row.label_set, has_masks=row.task is Task.MOTS, is_truth=True)

    # A video without objects has no mask that says its size, one of boxes has none at all.
    known = next((video.masks[0].size for video in videos.values() if video.masks), None)

    def build(name: str) -> Clip:
        video = videos[name]
        frames = tuple(pictures / name / frame for frame in video.frames)
        size = video.masks[0].size if video.masks else known or _size_of(frames)
        return Clip(name=name, frames=frames, size=size, truth=video.truth())

    return sequences.listing(videos, build)


def _size_of(frames: Sequence[Path]) -> tuple[int, int]:
    """That of the first picture where it is there."""
    return header_size(frames[0]) if frames and frames[0].is_file() else SIZE


def _bitmask_clip(row: Benchmark, name: str, paths: Sequence[Path], pictures: Path) -> Clip:
    problems = [problem for path in paths for problem in problems_of(lambda path=path: header_size(path))]  # type: ignore[misc]
    raise_if_any(problems)
    frames = tuple(pictures / name / f"{path.stem}.jpg" for path in paths)
    truth = bdd100k_bitmasks.read_truth(paths, row.label_set)
    return Clip(name=name, frames=frames, size=header_size(paths[0]), truth=truth)


def _hidden(folder: Path) -> Clip:
    frames = tuple(sorted(folder.glob("*.jpg")))
    if not frames:
        raise DataError([Problem(place=str(folder), message="holds no pictures", remedy=NOT_YET)])
    truth: Truth = sequences.hidden(len(frames))
    return Clip(name=folder.name, frames=frames, size=_size_of(frames), truth=truth)


def _bitmasks(folder: Path) -> dict[str, list[Path]]:
    """Video -> its PNGs in order of name."""
    found = {path.name: sorted(path.glob("*.png")) for path in sorted(folder.iterdir()) if path.is_dir()}
    return {name: paths for name, paths in found.items() if paths}


def _jsons(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted(path.rglob("*.json"))
    if not found:
        message = "holds neither <video>.json nor <video>/*.png"
        raise DataNotFound([Problem(place=str(path), message=message, remedy="Give one JSON, or a folder of either")])
    return found


def _read_bitmasks(row: Benchmark, path: Path, files: Mapping[str, list[Path]], samples: SampleSet) -> PredictionSet:
    _raise_if_strange(path, files, samples)
    ordered: dict[str, list[Path]] = {}
    problems: list[Problem] = []
    for index, name in enumerate(samples.ids):
        if name not in files:
            continue
        sample, by_stem = samples[index], {file.stem: file for file in files[name]}
        wanted = [frame.stem for frame in sample.frames]
        missing = [stem for stem in wanted if stem not in by_stem]
        if missing:
            message = f"{len(missing):,} of {len(wanted):,} frames are missing (first: {missing[0]}.png)"
            remedy = "Write a PNG for every frame, a blank one where nothing is found"
            problems.append(Problem(place=str(path / name), message=message, remedy=remedy))
            continue
        ordered[name] = [by_stem[stem] for stem in wanted]
        problems += [problem for file in ordered[name] for problem in _size_problems(file, sample.size)]
    raise_if_any(problems)
    return PredictionSet(tuple(ordered), lambda name: bdd100k_bitmasks.read_prediction(ordered[name], row.label_set))


def _size_problems(file: Path, size: tuple[int, int]) -> list[Problem]:
    try:
        found = header_size(file)
    except DataError as error:
        return list(error.problems)
    message = f"is {found[0]}x{found[1]} (height x width), expected {size[0]}x{size[1]}"
    return [] if found == size else [Problem(place=str(file), message=message, remedy="Write masks at full size")]


def _raise_if_strange(path: Path, videos: Iterable[str], samples: SampleSet) -> None:
    """The official tool refuses videos that the truth lacks."""
    strange = sorted(set(videos) - set(samples.ids))
    if strange:
        message = f"holds {len(strange):,} videos that the truth lacks (first: {strange[0]})"
        raise DataError([Problem(place=str(path), message=message, remedy=OTHER_SPLIT.capitalize())])


def _mismatch(video: TrackedVideo, sample: Sample) -> list[Problem]:
    """Frames of results must be those of the truth."""
    num, wanted = len(video.frames), len(sample.frames)
    names = [frame.name for frame in sample.frames]
    message = ""
    if num != wanted:
        message = f"has {num:,} frames, the truth has {wanted:,}"
    elif any(video.frames) and list(video.frames) != names:
        first = next(place for place in range(num) if video.frames[place] != names[place])
        message = f"frame {first} is named {video.frames[first]!r}, expected {names[first]!r}"
    elif not np.array_equal(video.indices - video.indices[:1], np.arange(num)):
        message = "frameIndex does not count the frames one by one"
    place = f"{video.path}: {video.name}"
    return [Problem(place=place, message=message, remedy=FRAME_REMEDY)] if message else []


_row = partial(
    Benchmark, dataset="bdd100k", labels="bdd100k_tracking", layout=Bdd100kTracks(), protocols=("scalabel",)
)  # fmt: skip
_NOTES = (
    "Crowds, ignored objects and distractors of any class excuse predictions that lie in them. A class without truth "
    "enters the mean of eight as 0, even where the official tool says minus infinity. {0}"
)
_mot = partial(
    _row,
    task=Task.MOT,
    metric="bdd100k_box_tracking",
    main_score="mMOTA",
    boxes="xyxy_pixels",
    notes=_NOTES.format("A box reaches to the end of its last pixel."),
)
_mots = partial(
    _row,
    task=Task.MOTS,
    metric="bdd100k_mask_tracking",
    main_score="mMOTSA",
    notes=_NOTES.format(
        "MOTSA is MOTA with masks, not the soft sMOTSA. In JSON, a frame of overlapping masks is empty."
    ),
)

ROWS = (
    _mot(name="bdd100k_mot_val", split="val", num_samples=200),
    _mot(name="bdd100k_mot_test", split="test", num_samples=400, truth="private"),
    _mot(name="bdd100k_mot_train", split="train", num_samples=1400, is_train=True),
    _mots(name="bdd100k_mots_val", split="val", num_samples=32),
    _mots(name="bdd100k_mots_test", split="test", num_samples=37, truth="private"),
    _mots(name="bdd100k_mots_train", split="train", num_samples=154, is_train=True),
)
