"""ReasonVOS: expressions that need reasoning, about videos of BURST, VIPSeg, MOSE and MeViS.

{ReasonVOS, reasonvos, .}/meta_expressions.json, Annotations/<source>_<video>_<object>/<frame>.png,
JPEGImages/<video>/<frame>.jpg

Frames with a mask count. Results are <source>_<video>_<object>/<expression id>/<frame>.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.annotated import AnnotatedClip, ExpressionKind, Scenes
from benchmark.datasets import videos
from benchmark.datasets.mevis import ExpressionResults, about_target, row_of_expressions
from benchmark.formats import clip_files, reason_vos
from benchmark.formats.image_files import write_jpeg, write_png
from benchmark.formats.indexed_masks import Reading, frames_of, lazily
from benchmark.formats.listing import Entry, Listing
from benchmark.formats.reason_vos import ReasonExpression
from benchmark.problems import Problem
from benchmark.row import Benchmark, DataNotFound

META = "meta_expressions.json"
SOURCES = ("BURST", "VIPSeg", "MOSE", "MeViS")
STEP = 2
"""Every so many frames of the miniature have masks; those between repeat the picture."""


class ReasonVosLayout(ExpressionResults):
    """One list of expressions, a folder of masks for each object."""

    roots = ("ReasonVOS", "reasonvos", "reason_vos", ".")
    how_to_get = "Download ReasonVOS as https://github.com/showlab/VideoLISA/blob/main/BENCHMARK.md says"

    def landmark(self, row: Benchmark) -> str:
        """The masks, because other data sets have lists of that name."""
        return "Annotations"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """All expressions."""
        is_there = (folder / META).is_file() and (folder / self.landmark(row)).is_dir()
        return _listing(row, folder) if is_there else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The data set's own folder, or one that is like it."""
        listing = self.open(row, truth)
        if listing is None:
            remedy = f"Give the folder that holds {META} and {self.landmark(row)}"
            message = f"holds no {META} with {self.landmark(row)} beside it"
            raise DataNotFound([Problem(place=str(truth), message=message, remedy=remedy)])
        return listing

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Expressions of reasoning and of motion, sentences or names; every other frame has masks."""
        home = root / self.roots[0]
        found: list[ReasonExpression] = []
        names: list[str] = []
        for row in rows:
            for clip in scenes.clips(row):
                spoken = _expressions_of(clip)
                names = clip_files.frame_names(STEP * len(clip.panoptic), digits=8)
                for segment_id, one in spoken:
                    for name, frame in zip(names[::STEP], clip.panoptic, strict=True):
                        mask = np.where(frame.segment_id == segment_id, 255, 0).astype(np.uint8)
                        write_png(home / "Annotations" / one.target / f"{name}.png", mask)
                for index, name in enumerate(names if spoken else ()):
                    path = home / "JPEGImages" / spoken[0][1].video / f"{name}.jpg"
                    write_jpeg(path, clip.images[index // STEP])
                found += [one for _, one in spoken]
        reason_vos.write_expressions(home / META, found, names)


def _expressions_of(clip: AnnotatedClip) -> list[tuple[int, ReasonExpression]]:
    """(segment id, expression) of what is said of one thing."""
    kinds = (ExpressionKind.REASONING, ExpressionKind.MOTION, ExpressionKind.ATTRIBUTE)
    chosen = [one for one in clip.expressions if one.kind in kinds]
    place = {one: number for number, one in enumerate(clip_files.appearances(clip), start=1)}
    return [
        (
            one.segment_ids[0],
            ReasonExpression(
                source=SOURCES[clip.number % len(SOURCES)],
                video=f"video_{clip.number:04d}",
                object_id=str(place[one.segment_ids[0]]),
                expression_id=str(number),
                text=one.sentence,
                is_sentence=one.kind is not ExpressionKind.ATTRIBUTE,
            ),
        )
        for number, one in enumerate(chosen)
    ]


def _listing(row: Benchmark, home: Path) -> Listing:
    found, problems = reason_vos.read_expressions(home / META)
    kept: list[tuple[ReasonExpression, dict[str, Path]]] = []
    for one in found:
        folder = home / "Annotations" / one.target
        files = frames_of(folder) if folder.is_dir() else {}
        if files:
            kept.append((one, files))
        else:
            place = f"{row.name}: {one.sample_id}"
            problems.append(Problem(place=place, message=f"has no masks ({folder})", remedy="Complete the download"))
    entries = tuple(
        Entry(
            sample_id=one.sample_id,
            frames=tuple(home / "JPEGImages" / one.video / f"{name}.jpg" for name in files),
            labels=tuple(files.values()),
        )
        for one, files in kept
    )
    return Listing(
        entries=entries,
        truth=lambda index: about_target(
            lazily(list(kept[index][1].values()), Reading(is_grey=True), videos.hidden(kept[index][0].target))
        ),
        ask=lambda index, prompt: replace(prompt, sentence=kept[index][0].text, labels=None),
        problems=tuple(problems),
    )


def video_of(sample_id: str) -> str:
    """Source and video of an expression."""
    return sample_id.rsplit("/", 1)[0].rsplit("_", 1)[0]


ROWS = (
    row_of_expressions(
        name="reasonvos_rvos_test",
        dataset="reasonvos",
        split="test",
        layout=ReasonVosLayout(),
        num_samples=458,
        notes="All frames with a mask count, and the mean is over expressions. The official script leaves expressions "
        "without a result out of the mean; here they are told. Masks are read in grey.",
    ),
)
