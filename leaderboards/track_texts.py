"""Archives of one text file for each sequence: MOTChallenge, KITTI MOTS, TrackingNet, GOT-10k.

    MOT17-01-DPM.txt                       MOTChallenge: at the root, ten numbers a line
    0000.txt, MOTS20-01.txt                segmentation tracks at KITTI and at MOTChallenge
    any/depth/0-6LB4FqxoE_0.txt            TrackingNet: one box a frame
    GOT-10k_Test_000001/GOT-10k_Test_000001_001.txt, ..._time.txt

Rules: https://motchallenge.net/instructions, https://www.cvlibs.net/datasets/kitti/eval_mots.php,
https://eval.ai/web/challenges/challenge-page/1805, http://got-10k.aitestunion.com/submit_instructions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmark.contract import Sample, SampleSet
from benchmark.problems import DataError
from benchmark.row import Benchmark
from leaderboards.forms import Contents, Form, Inspection, Size
from leaderboards.problems import Problem, error, listed, warning

MOT_COLUMNS = 10
SEQUENCE = "MOTS20-{:02d}"
KITTI_LIMIT = 500 * 10**6
"""Bytes of all files of an archive at KITTI: "invalid or too large (>500 MB)"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEach(Form):
    """`<sequence>.txt` at the root, or in any folder."""

    unit: str = "sequences"

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """A text file for each sequence; in whatever folder it lies, where that is free."""
        there = {PurePosixPath(name).name: name for name in contents.files} if self.depth_is_free else {}
        names = [f"{self.official(one)}.txt" for one in samples.ids]
        return {there.get(name, name): None for name in names}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Text files, at the root unless the folder is free."""
        return name.endswith(".txt") and (self.depth_is_free or "/" not in name)

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """Text files."""
        return sum(name.endswith(".txt") for name in contents.files)

    def official(self, sample_id: str) -> str:
        """The server's name of a sequence."""
        return sample_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedText(TextEach):
    """MOTSChallenge: sequences that the annotations number are called MOTS20-<number> there."""

    def official(self, sample_id: str) -> str:
        """The server's name of a sequence."""
        return SEQUENCE.format(int(sample_id)) if sample_id.isdigit() else sample_id

    def finish(self, row: Benchmark, folder: Path) -> None:
        """From the annotations' names to the server's."""
        for path in sorted(folder.glob("*.txt")):
            path.rename(path.with_stem(self.official(path.stem)))

    def restore(self, row: Benchmark, folder: Path, sample_ids: Sequence[str]) -> None:
        """And back."""
        for sample_id in sample_ids:
            path = folder / f"{self.official(sample_id)}.txt"
            if path.is_file():
                path.rename(path.with_stem(sample_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedRuns(Form):
    """GOT-10k: a folder a sequence with a file for each of up to three runs, and the seconds of each frame."""

    unit: str = "sequences"

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """The first run of each sequence."""
        return {f"{one}/{one}_001.txt": None for one in samples.ids}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Runs and times of a sequence in its own folder."""
        return re.fullmatch(r"([^/]+)/\1_(00[123]|time)\.txt", name) is not None

    def is_optional(self, row: Benchmark, name: str) -> bool:
        """Further runs, and times."""
        return True

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """Folders."""
        return len({name.split("/")[0] for name in contents.files})


def ten_columns(looked: Inspection) -> Iterator[Problem]:
    """MOTChallenge: each line must have ten values, though its evaluation reads seven."""
    short = []
    for name in looked.contents.files:
        lines = (looked.contents.folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
        if any(line.strip() and len(line.strip().split(",")) != MOT_COLUMNS for line in lines):
            short.append(name)
    if short:
        message = f"{len(short):,} files have lines without exactly {MOT_COLUMNS} values ({listed(short)})"
        yield error(looked.contents.name, message, "Write frame, id, left, top, width, height, confidence, -1, -1, -1")


def one_box_a_frame(looked: Inspection) -> Iterator[Problem]:
    """A result that is shorter than the video fails in its last frames; GOT-10k takes the exact length alone."""
    if looked.predictions is None or looked.samples is None:
        return
    for sample in looked.samples:
        if sample.sample_id in looked.predictions:
            try:
                num, wanted = len(looked.predictions[sample.sample_id].frames), _num_frames(sample)
            except DataError:
                continue
            if num != wanted:
                message = f"has {num:,} boxes, the video has {wanted:,} frames"
                yield error(f"{sample.sample_id}.txt", message, "Write one box a frame, the given one first")


def times_are_there(looked: Inspection) -> Iterator[Problem]:
    """Without times GOT-10k shows no speed."""
    folders = {name.split("/")[0] for name in looked.contents.files if "/" in name}
    lacking = sorted(one for one in folders if f"{one}/{one}_time.txt" not in looked.contents.files)
    if lacking:
        message = f"{len(lacking):,} sequences have no file of times ({listed(lacking)}), so no speed is shown"
        yield warning(looked.contents.name, message, "Write <sequence>_time.txt, the seconds of each frame")


def below_the_limit(looked: Inspection) -> Iterator[Problem]:
    """KITTI adds up the sizes of the unpacked files."""
    total = sum((looked.contents.folder / name).stat().st_size for name in looked.contents.files)
    if total > KITTI_LIMIT:
        message = f"its files have {total:,} bytes, the server takes {KITTI_LIMIT:,}"
        yield error(looked.contents.name, message, "Write text files, not pictures")


def _num_frames(sample: Sample) -> int:
    """Frames of a video; raises DataError where neither pictures nor annotations are there."""
    return len(sample.frames)


MOT = TextEach(rules=(ten_columns,))
KITTI_MOTS = TextEach(rules=(below_the_limit,))
MOTS_CHALLENGE = NumberedText()
TRACKINGNET = TextEach(depth_is_free=True, unit="videos", rules=(one_box_a_frame,))
SINGLE_OBJECT = TextEach(unit="videos", rules=(one_box_a_frame,))
GOT10K = RepeatedRuns(rules=(one_box_a_frame, times_are_there))
