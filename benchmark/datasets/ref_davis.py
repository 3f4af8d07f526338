"""Ref-DAVIS17: expressions about all objects of DAVIS 2017, by two annotators, each of a first frame and a video.

{ref-davis, Ref-DAVIS17, .}/davis_text_annotations/Davis17_annot{1,2}{,_full_video}.txt,
{., DAVIS}/Annotations_unsupervised/480p/<video>/00000.png, ImageSets/2017/<split>.txt

A sample is a video with the expressions of one list, which name its objects in order; results of the four lists lie in
anno_0 to anno_3. All objects of a video are in one indexed PNG, where 0 is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark import result_forms
from benchmark.annotated import AnnotatedClip, Expression, ExpressionKind, Scenes
from benchmark.contract import Prompt, Sample, Task, Truth
from benchmark.datasets import davis
from benchmark.datasets.videos import FolderResults
from benchmark.formats import clip_files
from benchmark.formats.davis_expressions import FILES, read_texts, write_texts
from benchmark.formats.image_files import write_whole
from benchmark.formats.listing import Entry, Listing
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm, one_kind
from benchmark.row import Benchmark

TEXTS = "davis_text_annotations"
NUM_LISTS = len(FILES)


class RefDavisLayout(FolderResults):
    """DAVIS 2017 with unsupervised annotations, four times, each time with other expressions."""

    roots = ("ref-davis", "Ref-DAVIS17", "ref_davis", "RefDAVIS", ".")
    how_to_get = "Download DAVIS 2017 (unsupervised) and davis_text_annotations.zip, as "
    how_to_get += "https://www.mpi-inf.mpg.de/departments/computer-vision-and-machine-learning says"

    def landmark(self, row: Benchmark) -> str:
        """The first list of expressions."""
        return f"{TEXTS}/{next(iter(FILES))}"

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The videos of the split, once for each list."""
        if not (folder / self.landmark(row)).is_file():
            return None
        homes = (folder, folder / "DAVIS")
        found = next((one for one in (davis.LAYOUT.open(_videos(row), home) for home in homes) if one), None)
        return None if found is None else _four_times(found, _texts(folder / TEXTS), row)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A folder of masks as DAVIS takes it; the lists of expressions are used where they lie beside it."""
        home = next((one for one in (truth / "DAVIS", truth) if one.is_dir()), truth)
        found = davis.LAYOUT.open_truth(_videos(row), home, root)
        near = [one / TEXTS for one in (truth, truth.parent, truth.parent.parent)]
        texts = next((one for one in near if one.is_dir()), None)
        return _four_times(found, [{}] * NUM_LISTS if texts is None else _texts(texts), row)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A folder for each list of expressions."""
        holds = result_forms.INDEXED.files["results/<video>/<frame>.png"]
        return (one_kind("results/anno_<0 to 3>/<video>/<frame>.png", holds),)

    def needed(self, row: Benchmark, sample: Sample) -> range:
        """All frames count."""
        return range(len(sample.frames))

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """The things of first frames that are spoken of; the annotators choose different expressions where they can."""
        home = root / self.roots[0]
        texts: list[dict[str, dict[int, str]]] = [{} for _ in FILES]
        for row in rows:
            spoken = {f"{row.split}-{clip.number:04d}": (clip, _spoken(clip)) for clip in scenes.clips(row)}
            kept = {name: pair for name, pair in spoken.items() if pair[1]}
            for name, (clip, by_object) in kept.items():
                davis.write_clip(home / "DAVIS", _videos(row), name, clip, list(by_object))
                for number, of_list in enumerate(texts):
                    of_list[name] = {n: _chosen(one, number) for n, one in enumerate(by_object.values(), start=1)}
            names = "".join(f"{name}\n" for name in kept)
            write_whole(home / "DAVIS" / davis.LAYOUT.landmark(_videos(row)), names.encode())
        for (name, encoding), of_list in zip(FILES.items(), texts, strict=True):
            write_texts(home / TEXTS / name, encoding, of_list)


def video_of(sample_id: str) -> str:
    """The video of a sample, whichever the list."""
    return sample_id.split("/", 1)[1]


def _spoken(clip: AnnotatedClip) -> dict[int, list[Expression]]:
    """Segment id of each thing of the first frame that is spoken of -> the expressions about it alone."""
    found: dict[int, list[Expression]] = {one: [] for one in clip_files.first_objects(clip)}
    for one in clip.expressions:
        if len(one.segment_ids) == 1 and one.segment_ids[0] in found:
            found[one.segment_ids[0]].append(one)
    return {one: about for one, about in found.items() if about}


def _chosen(about: Sequence[Expression], number: int) -> str:
    """What list `number` says of an object; expressions of a whole video speak of motion where they can."""
    is_first_frame = number % 2 == 0
    fitting = [one for one in about if (one.kind is ExpressionKind.MOTION) != is_first_frame] or about
    return fitting[number // 2 % len(fitting)].sentence


Texts = Mapping[str, Mapping[int, str]]


def _videos(row: Benchmark) -> Benchmark:
    """DAVIS' own row of the same videos."""
    return replace(row, dataset="davis17_unsupervised")


def _texts(folder: Path) -> list[Texts]:
    found: list[Texts] = []
    problems: list[Problem] = []
    for name, encoding in FILES.items():
        try:
            found.append(read_texts(folder / name, encoding))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return found


def _four_times(found: Listing, texts: list[Texts], row: Benchmark) -> Listing:
    num = len(found.entries)
    entries = tuple(
        Entry(
            sample_id=f"anno_{number}/{entry.sample_id}",
            frames=entry.frames,
            size=entry.size,
            labels=entry.labels if number == 0 else entry.labels[:1],
        )
        for number in range(NUM_LISTS)
        for entry in found.entries
    )

    def truth(index: int) -> Truth:
        return found.truth(index % num)

    def ask(index: int, prompt: Prompt) -> Prompt:
        by_id = texts[index // num].get(found.entries[index % num].sample_id, {})
        return replace(prompt, labels=tuple(by_id[one] for one in sorted(by_id)) or None)

    problems = [*found.problems, *_lost(found, texts, row)]
    return Listing(entries=entries, truth=truth, ask=ask, problems=tuple(problems))


def _lost(found: Listing, texts: list[Texts], row: Benchmark) -> Iterable[Problem]:
    """Videos for which a list has no expressions, or not those of the objects from 1 on."""
    for name, by_video in zip(FILES, texts, strict=True):
        for entry in found.entries if by_video else ():
            ids = sorted(by_video.get(entry.sample_id, {}))
            if not ids or ids != list(range(1, len(ids) + 1)):
                message = f"has expressions of the objects {ids}; expected all from 1 on"
                place = f"{row.name}: {name}, video {entry.sample_id}"
                yield Problem(place=place, message=message, remedy="Restore the official file")


LAYOUT = RefDavisLayout()
_row = partial(
    Benchmark,
    dataset="ref_davis17",
    task=Task.RVOS,
    labels="object",
    layout=LAYOUT,
    metric="j_and_f_matched",
    cluster=video_of,
    main_score="J&F",
    protocols=("davis",),
    notes="The official code runs DAVIS' unsupervised task on each of the four lists and averages: all frames count, "
    "void does not, and objects are assigned anew, so that swapped expressions of a video cost nothing. A prompt's "
    "labels are the expressions of objects 1, 2, ... VISA scores each expression on its own instead.",
)

ROWS = (
    _row(name="ref_davis17_rvos_val", split="val", num_samples=120),
    _row(name="ref_davis17_rvos_train", split="train", num_samples=240, is_train=True),
)
