"""A2D-Sentences and JHMDB-Sentences: one sentence about one actor, in single annotated frames of videos.

{a2d_sentences, ., ...}/a2d_sentences_test_annotations_in_coco_format.json, a2d_sentences_single_frame_test_annotations
.json, Release/pngs320H/<video>/00001.png
{jhmdb_sentences, ., ...}/jhmdb_sentences_gt_annotations_in_coco_format.json, jhmdb_sentences_samples_metadata.json,
Rename_Images/<action>/<video>/00001.png

The first file holds an image and a mask for each sentence and frame, the second the sentences; results are COCO's.
Where the first is not there, the masks are those of the authors (`formats/sentence_masks`), which lie below the root:
text_annotations/a2d_annotation_with_instances/<video>/00001.h5, puppet_mask/<action>/<video>/puppet_mask.mat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import labels as label_sets
from benchmark import masks, result_forms
from benchmark.annotated import AnnotatedClip, ExpressionKind, Scenes
from benchmark.contract import Prediction, PredictionSet, Prompt, Rle, Sample, SampleSet, Task, Truth, make_instances
from benchmark.formats import clip_files, coco_instances, coco_results, sentence_masks
from benchmark.formats.coco_instances import Dialect
from benchmark.formats.image_files import write_png
from benchmark.formats.json_files import read_json, write_json
from benchmark.formats.listing import Entry, Listing
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark, DataNotFound

KINDS = (ExpressionKind.ATTRIBUTE, ExpressionKind.RELATION, ExpressionKind.MOTION)
STEP = 2
"""Every so many frames of the miniature are annotated."""
LABELS = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A line of the second file, as it stands.

    image_id: of the first file. picture: below the data set's root. drawn: the authors' file of the mask, likewise.
    number: of the mask there, an instance or a frame.
    """

    image_id: str
    picture: str
    text: str
    line: Sequence[Any]
    drawn: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceLayout:
    """masks, sentences: names of the two files. parse: a line of the second -> what it says, None if it is broken.

    read_mask: the authors' file, number of the mask -> bool [H, W].
    make: (video, frame from 1, object, number of frames, text) -> a line.
    """

    roots: tuple[str, ...]
    how_to_get: str
    masks: str
    sentences: str
    parse: Callable[[Any], Sentence | None]
    make: Callable[[str, int, int, int, str], list[Any]]
    read_mask: Callable[[Path, int], NDArray[np.bool_]]

    def landmark(self, row: Benchmark) -> str:
        """The masks."""
        return self.masks

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """All sentences in all their frames."""
        if (folder / self.masks).is_file():
            return self._listing(folder / self.masks, folder)
        return self._listing_of_files(folder) if (folder / self.sentences).is_file() else None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """The file of the masks, or the folder that holds it."""
        path = truth / self.masks if truth.is_dir() else truth
        if truth.is_dir() and not path.is_file() and (truth / self.sentences).is_file():
            return self._listing_of_files(truth)
        if not path.is_file():
            message, remedy = f"holds no {self.masks}", "Give that file, or its folder"
            raise DataNotFound([Problem(place=str(truth), message=message, remedy=remedy)])
        return self._listing(path, path.parent)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """COCO's list of scored masks, one category."""
        return (result_forms.MASKS,)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A COCO result file with scored masks; their category is 1."""
        numbering = coco_results.coco_numbering(samples.ids, row.label_set)
        return coco_results.read_results(path, samples.ids, lambda first: numbering)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        coco_results.write_results(path, predictions, coco_results.coco_numbering((), row.label_set))

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Sentences about one thing, in the frames that show it, of which every other is annotated."""
        home = root / self.roots[0]
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        lines: list[Sequence[Any]] = []
        for row in rows:
            for clip in scenes.clips(row):
                for one, mask in self._spoken(clip):
                    height, width = mask.size
                    images.append({"id": one.image_id, "height": height, "width": width})
                    annotations.append(_annotation(len(annotations) + 1, one.image_id, mask))
                    lines.append(one.line)
                    write_png(home / one.picture, clip.images[_frame_of(one.picture) - 1])
        categories = [{"id": 1, "name": "dummy_class"}]
        write_json(home / self.masks, {"categories": categories, "images": images, "annotations": annotations})
        write_json(home / self.sentences, lines)

    def _spoken(self, clip: AnnotatedClip) -> Iterable[tuple[Sentence, Rle]]:
        """Each sentence with its mask, frame by frame; an object has one sentence."""
        about = {one.segment_ids[0]: one.sentence for one in clip.expressions if one.kind in KINDS}
        for number, (segment_id, text) in enumerate(sorted(about.items()), start=1):
            for index in clip_files.appearances(clip)[segment_id]:
                if index % STEP == 0:
                    line = self.make(f"clip{clip.number:05d}", index + 1, number, len(clip.panoptic), text)
                    one = self.parse(line)
                    assert one is not None
                    yield one, masks.encode(np.asarray(clip.panoptic[index].segment_id == segment_id))

    def _listing(self, path: Path, home: Path) -> Listing:
        spoken, problems = self._read_sentences(home / self.sentences)

        def picture_of(image_id: str) -> Path:
            return home / (spoken[image_id].picture if image_id in spoken else f"{image_id}.png")

        dialect = Dialect(image=lambda one: {**one, "file_name": str(one.get("id"))} if isinstance(one, dict) else one)
        found = coco_instances.read(path, picture_of, label_sets.load(LABELS), dialect=dialect)
        silent = [entry.sample_id for entry in found.entries if spoken and entry.sample_id not in spoken]
        if silent:
            message = f"{len(silent):,} images have no sentence in {self.sentences} (first: {silent[0]})"
            problems.append(Problem(place=str(path), message=message, remedy="Give the two files of one release"))

        def ask(index: int, prompt: Prompt) -> Prompt:
            one = spoken.get(found.entries[index].sample_id)
            return replace(prompt, sentence=None if one is None else one.text, labels=None)

        return replace(found, ask=ask, problems=(*found.problems, *problems))

    def _listing_of_files(self, home: Path) -> Listing:
        """The sentences with the authors' masks; a mask is read when it is asked for."""
        spoken, problems = self._read_sentences(home / self.sentences)
        ordered = list(spoken.values())
        if not any((home / one.drawn).is_file() for one in ordered):
            first = ordered[0].drawn if ordered else "masks"
            message = f"is not there, and neither are the authors' masks (looked for {first})"
            raise DataNotFound([Problem(place=str(home / self.masks), message=message, remedy=self.how_to_get)])
        lost = [one.drawn for one in ordered if not (home / one.drawn).is_file()]
        ordered = [one for one in ordered if one.drawn not in frozenset(lost)]
        if lost:
            message = f"{len(lost):,} of {len(spoken):,} masks are missing (first: {lost[0]})"
            problems.append(Problem(place=str(home), message=message, remedy="Complete the download"))

        def truth(index: int) -> Truth:
            mask = masks.encode(self.read_mask(home / ordered[index].drawn, ordered[index].number))
            area, box = masks.areas([mask]).astype(np.float64), masks.bounding_boxes([mask])
            return Truth(frames=(make_instances(class_index=[0], masks=[mask], area=area, boxes=box),))

        def ask(index: int, prompt: Prompt) -> Prompt:
            return replace(prompt, sentence=ordered[index].text, labels=None)

        entries = tuple(self._entry(home, one) for one in ordered)
        return Listing(entries=entries, truth=truth, ask=ask, problems=tuple(problems))

    def _entry(self, home: Path, one: Sentence) -> Entry:
        """Sizes stand in the pictures; where there is none, the mask must be read."""
        picture = home / one.picture
        size = None if picture.is_file() else self.read_mask(home / one.drawn, one.number).shape
        return Entry(sample_id=one.image_id, frames=(picture,), size=size and (size[0], size[1]))

    def _read_sentences(self, path: Path) -> tuple[dict[str, Sentence], list[Problem]]:
        """Image id -> its sentence, nothing where the file is not there: scores do not need it."""
        lines = read_json(path) if path.is_file() else []
        if not isinstance(lines, list):
            raise DataError([Problem(place=str(path), message="is no list", remedy="Restore the official file")])
        found: dict[str, Sentence] = {}
        problems: list[Problem] = []
        for number, line in enumerate(lines):
            one = self.parse(line)
            if one is None:
                message = f"{str(line)[:60]} is no line of this file"
                problems.append(Problem(place=f"{path}: {number}", message=message, remedy="Restore the official file"))
            else:
                found[one.image_id] = one
        return found, problems


def _annotation(number: int, image_id: str, mask: Rle) -> dict[str, Any]:
    box, area = list(masks.bounding_box(mask)), float(masks.area(mask))
    fields = {"id": number, "image_id": image_id, "category_id": 1, "segmentation": masks.to_json(mask)}
    return {**fields, "area": area, "bbox": box, "iscrowd": 0}


def _frame_of(picture: str) -> int:
    return int(Path(picture).stem)


def _parse_a2d(line: Any) -> Sentence | None:
    """[text, video, frame from 1, object]."""
    match line:
        case [str(text), str(video), int(frame), int(instance)] if "/" not in video:
            return Sentence(
                image_id=f"v_{video}_f_{frame}_i_{instance}",
                picture=f"Release/pngs320H/{video}/{frame:05d}.png",
                text=text,
                line=line,
                drawn=f"text_annotations/a2d_annotation_with_instances/{video}/{frame:05d}.h5",
                number=instance,
            )
    return None


def _parse_jhmdb(line: Any) -> Sentence | None:
    """[video, picture, masks of the video, number of frames, text]."""
    match line:
        case [str(video), str(picture), str(drawn), int(), str(text)] if Path(picture).stem.isdecimal():
            paths = [one.removeprefix("jhmdb_sentences/") for one in (picture, drawn)]
            if any(one.startswith("/") or ".." in one.split("/") for one in paths):
                return None
            frame = _frame_of(picture)
            image_id = f"v_{video}_f_{frame}"
            return Sentence(image_id=image_id, picture=paths[0], text=text, line=line, drawn=paths[1], number=frame)
    return None


def _make_a2d(video: str, frame: int, instance: int, num_frames: int, text: str) -> list[Any]:
    return [text, video, frame, instance]


def _make_jhmdb(video: str, frame: int, instance: int, num_frames: int, text: str) -> list[Any]:
    """JHMDB has one actor a video, so every object of a clip makes a video of its own."""
    name = f"{video}_{instance}"
    picture = f"jhmdb_sentences/Rename_Images/move/{name}/{frame:05d}.png"
    return [name, picture, f"jhmdb_sentences/puppet_mask/move/{name}/puppet_mask.mat", num_frames, text]


def video_of(sample_id: str) -> str:
    """The video of "v_<video>_f_<frame>..."."""
    return sample_id.rsplit("_f_", 1)[0]


A2D = SentenceLayout(
    roots=("a2d_sentences", "A2D-Sentences", "A2D", "."),
    how_to_get="Download A2D-Sentences as https://kgavrilyuk.github.io/publication/actor_action says, and the masks in "
    "COCO's form as https://github.com/mttr2021/MTTR says",
    masks="a2d_sentences_test_annotations_in_coco_format.json",
    sentences="a2d_sentences_single_frame_test_annotations.json",
    parse=_parse_a2d,
    make=_make_a2d,
    read_mask=sentence_masks.read_instance,
)
JHMDB = SentenceLayout(
    roots=("jhmdb_sentences", "JHMDB-Sentences", "JHMDB", "."),
    how_to_get="Download JHMDB-Sentences as https://kgavrilyuk.github.io/publication/actor_action says, and the masks "
    "in COCO's form as https://github.com/mttr2021/MTTR says",
    masks="jhmdb_sentences_gt_annotations_in_coco_format.json",
    sentences="jhmdb_sentences_samples_metadata.json",
    parse=_parse_jhmdb,
    make=_make_jhmdb,
    read_mask=sentence_masks.read_puppet,
)
_row = partial(
    Benchmark,
    task=Task.RVOS,
    split="test",
    labels=LABELS,
    metric="sentence_frames",
    main_score="mAP",
    protocols=("mttr",),
    num_samples=0,
    cluster=video_of,
)

ROWS = (
    _row(
        name="a2d_sentences_rvos_test",
        dataset="a2d_sentences",
        layout=A2D,
        notes="A sample is a sentence in one annotated frame. A sentence without a result has an empty mask. The "
        "authors' HDF5 masks are read where the file in COCO's form is not there (extra hdf5).",
    ),
    _row(
        name="jhmdb_sentences_rvos_test",
        dataset="jhmdb_sentences",
        layout=JHMDB,
        notes="For models that were trained on A2D-Sentences. A sample is a sentence in one annotated frame. A "
        "sentence without a result has an empty mask. The authors' puppet masks (.mat) are read where the file in "
        "COCO's form is not there.",
    ),
)
