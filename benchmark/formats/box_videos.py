"""Videos whose truth are text files, and the one description of where these lie that reading and writing share.

    airplane/airplane-1/{groundtruth,full_occlusion,out_of_view,nlp}.txt, img/00000001.jpg      LaSOT, LaSOT-ext
    annos/airplane-1.txt, annos/absent/airplane-1.txt, annos/nlp/airplane-1.txt                 its evaluation toolkit
    Advisor_video_01/{groundtruth,language}.txt, imgs/*                                         TNL2K
    TEST/anno/0-6LB4FqxoE_0.txt, TEST/frames/0-6LB4FqxoE_0/0.jpg                                TrackingNet
    val/GOT-10k_Val_000001/{groundtruth.txt,cover.label,absence.label,meta_info.ini,00000001.jpg}   GOT-10k

Pictures are never opened here, but for the size of the first one where no file states it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import box_tracks
from benchmark.contract import Prompt, Truth, make_instances
from benchmark.formats import box_text
from benchmark.formats.image_files import write_jpeg, write_whole
from benchmark.formats.listing import Entry, FrameFiles, Listing
from benchmark.problems import DataError, Problem, raise_if_any

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
MOST_COVERED = 8
RESOLUTION = re.compile(r"^resolution:\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)\s*$", re.MULTILINE)
SAFE_NAME = re.compile(r"[\w-][\w.-]*")
KEPT = 16
"""Videos whose boxes stay in memory between the calls for one sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFiles:
    """Where the files of one video are.

    boxes: one a frame.   absent: flags, the object cannot be seen where any of them says 1; () where nothing tells.
    are_flags_in_one_line: with commas, else one a line.   cover: GOT-10k's visible share in eighths; 0 is absent.
    sentence, size: files, or None.   pictures: folder.   pattern: a picture's name by its number, "" for order of name.
    first: number of the first picture.   is_private: only the first frame's box is published.
    """

    name: str
    boxes: Path
    pictures: Path
    pattern: str = "{:08d}.jpg"
    first: int = 1
    absent: tuple[Path, ...] = ()
    are_flags_in_one_line: bool = False
    cover: Path | None = None
    sentence: Path | None = None
    size: Path | None = None
    is_private: bool = False

    @property
    def needed(self) -> tuple[Path, ...]:
        """The files without which the video cannot be read."""
        return tuple(path for path in (self.boxes, *self.absent, self.cover, self.size) if path is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTruth:
    """What is written of one video. size: (height, width).

    boxes: float64 [T, 4].   absent: bool [T], it is not seen.   outside: bool [T], not seen because it has left the
    picture.   cover: int64 [T], its visible share in eighths, None: all or nothing.   is_cut: bool [T], the border
    of the picture cuts it.
    """

    boxes: NDArray[np.float64]
    absent: NDArray[np.bool_] | None = None
    outside: NDArray[np.bool_] | None = None
    cover: NDArray[np.int64] | None = None
    is_cut: NDArray[np.bool_] | None = None
    sentence: str | None = None
    size: tuple[int, int] = (0, 0)


def read(videos: Sequence[VideoFiles]) -> Listing:
    """The videos whose files are all there, truth decoded on access; missing files are problems of the listing."""
    problems = [
        Problem(place=str(path), message=f"the file of video {video.name} is missing", remedy="Complete the data set")
        for video in videos
        for path in video.needed
        if not path.is_file()
    ]
    lacking = {problem.place for problem in problems}
    sound = [video for video in videos if not any(str(path) in lacking for path in video.needed)]
    return _listing(sound, problems)


def write(video: VideoFiles, truth: VideoTruth) -> None:
    """Write every file that the description names; of two flag files the second says why: it is out of view."""
    boxes = truth.boxes[:1] if video.is_private else truth.boxes
    box_text.write_boxes(video.boxes, boxes)
    absent = np.zeros(len(truth.boxes), np.int64) if truth.absent is None else truth.absent.astype(np.int64)
    outside = np.zeros_like(absent) if truth.outside is None else truth.outside.astype(np.int64)
    for path, flags in zip(video.absent, (absent - outside, outside), strict=False):
        box_text.write_flags(path, flags if len(video.absent) > 1 else absent, in_one_line=video.are_flags_in_one_line)
    if video.cover is not None:
        cover = (1 - absent) * MOST_COVERED if truth.cover is None else truth.cover
        is_cut = np.zeros_like(absent) if truth.is_cut is None else truth.is_cut.astype(np.int64)
        for name, flags in (("absence.label", absent), ("cut_by_image.label", is_cut), (video.cover.name, cover)):
            box_text.write_flags(video.cover.with_name(name), flags, in_one_line=False)
    if video.sentence is not None and truth.sentence is not None:
        box_text.write_sentence(video.sentence, truth.sentence)
    if video.size is not None:
        height, width = truth.size
        write_whole(video.size, f"[METAINFO]\nresolution: ({width}, {height})\n".encode("ascii"))


def write_pictures(video: VideoFiles, images: NDArray[np.uint8]) -> None:
    """Write the frames as JPEG, named as the description says. images: uint8 [T, H, W, 3] RGB."""
    for index, image in enumerate(images):
        name = video.pattern.format(index + video.first) if video.pattern else f"{index + 1:05d}.jpg"
        write_jpeg(video.pictures / name, image)


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of a `meta_info.ini`. Raises DataError."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        raise DataError([Problem(place=str(path), message=message, remedy="Check its permissions")]) from error
    match = RESOLUTION.search(text)
    if match is None or len(match[0]) > 40 or not (int(match[1]) and int(match[2])):
        message = "has no line like 'resolution: (1920, 1080)'"
        raise DataError([Problem(place=str(path), message=message, remedy="Download the annotations again")])
    return int(match[2]), int(match[1])


def read_names(path: Path) -> list[str]:
    """The videos of a `list.txt`, one a line; [] where there is no such file. Raises DataError."""
    if not path.is_file():
        return []
    names = path.read_text(encoding="utf-8", errors="replace").split()
    raise_if_any(
        Problem(place=str(path), message=f"{name[:40]!r} is no name of a folder", remedy="Download the list again")
        for name in names
        if not SAFE_NAME.fullmatch(name)
    )
    return names


def write_names(path: Path, names: Sequence[str]) -> None:
    """Write a list of videos, one a line."""
    write_whole(path, "".join(f"{name}\n" for name in names).encode("ascii"))


def truth_of(video: VideoFiles, boxes: NDArray[np.float64], num_frames: int) -> Truth:
    """The truth of one video, NaN beyond the first frame where the rest is private. boxes: float64 [T, 4]."""
    unknown = np.full((max(num_frames - len(boxes), 0), 4), np.nan)
    track = box_tracks.one_run(np.concatenate([boxes, unknown]))
    return Truth(frames=track, absent=_absent(video, len(boxes)) if not video.is_private else None)


def _listing(videos: Sequence[VideoFiles], problems: list[Problem]) -> Listing:
    entries: list[Entry] = []
    readable: list[VideoFiles] = []
    boxes = lru_cache(maxsize=KEPT)(lambda index: _boxes(readable[index]))
    for video in videos:
        try:
            size = None if video.size is None else read_size(video.size)
        except DataError as error:
            problems += error.problems
            continue
        frames = FrameFiles(video.pictures, _name_of(video), _counter(video, boxes, len(readable)))
        entries.append(Entry(sample_id=video.name, frames=frames, size=size))
        readable.append(video)

    def ask(index: int, prompt: Prompt) -> Prompt:
        video = readable[index]
        first = make_instances(class_index=[0], boxes=boxes(index)[:1])
        sentence = prompt.sentence
        if video.sentence is not None and video.sentence.is_file():
            sentence = box_text.read_sentence(video.sentence) or sentence
        return replace(prompt, objects={0: first}, sentence=sentence)

    def truth(index: int) -> Truth:
        return truth_of(readable[index], boxes(index), len(entries[index].frames))

    return Listing(entries=tuple(entries), truth=truth, problems=tuple(problems), ask=ask)


def _boxes(video: VideoFiles) -> NDArray[np.float64]:
    boxes = box_text.read_boxes(video.boxes)
    unknown = np.flatnonzero(np.isnan(boxes).any(axis=1))
    if len(unknown):
        message, remedy = f"line {unknown[0] + 1} is NaN; truth has a box in every frame", "Download the file again"
        raise DataError([Problem(place=str(video.boxes), message=message, remedy=remedy)])
    return boxes


def _absent(video: VideoFiles, num_frames: int) -> NDArray[np.bool_] | None:
    if video.cover is not None:
        cover = box_text.read_flags(video.cover, most=MOST_COVERED)
        box_text.require_length(video.cover, len(cover), num_frames, "values")
        return cover == 0
    if not video.absent:
        return None
    found = np.zeros(num_frames, bool)
    for path in video.absent:
        flags = box_text.read_flags(path)
        if not flags[num_frames:].any():  # as Matlab's indexing: one file of TNL2K has a zero too many
            flags = flags[:num_frames]
        box_text.require_length(path, len(flags), num_frames, "flags")
        found |= flags == 1
    return found


def _counter(video: VideoFiles, boxes: Callable[[int], NDArray[np.float64]], index: int) -> Callable[[], int]:
    if video.is_private:
        return lambda: max(len(_pictures_in(video.pictures)), 1)
    return lambda: len(boxes(index))


def _name_of(video: VideoFiles) -> Callable[[int], str]:
    if video.pattern:
        return lambda index: video.pattern.format(index + video.first)
    names: list[str] = []

    def name(index: int) -> str:
        names[:] = names or _pictures_in(video.pictures)
        return names[index] if index < len(names) else f"{index + 1:08d}.jpg"

    return name


def _pictures_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICTURES)
