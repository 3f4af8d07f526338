"""Object detection (ODinW) and segmentation (SegInW) in the wild: many small data sets, one score.

{odinw, ODinW, .}/<data set>/.../test/annotations_without_background.json, pictures beside it
{seginw, SegInW, .}/<data set>/valid/_annotations_min1cat.coco.json, pictures beside it

`odinw.csv` and `seginw.csv` list the files. A sample is named <data set>/<image id>, a class <data set>: <name>.
Results are a folder with one COCO list a data set, <data set>.json, in the ids of that data set's own file, which count
from 1 (ODinW, where class 0 was the background) or from 0 (SegInW). A model is asked for the data set's classes alone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmark import result_forms
from benchmark.annotated import AnnotatedImage, Scenes
from benchmark.contract import Prediction, PredictionSet, Prompt, Sample, SampleSet, Task
from benchmark.datasets.pictures import the_folder
from benchmark.formats import coco_instances, coco_records, coco_results
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet
from benchmark.problems import DataError, Problem, raise_if_any
from benchmark.result_forms import ResultForm, one_kind
from benchmark.row import Benchmark

TABLES = Path(__file__).parent
SHIFT = 1000
"""The label tables number the classes of the n-th data set from n * 1000."""
PLAIN = "{}.json"
SEGINW_RESULT = "seginw_{}_val.json"
"""As the server's script reads them: github.com/microsoft/X-Decoder, branch seginw, eval_with_json."""
EMPTY = "data sets without a result file taken as empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One data set. annotations, pictures: below the root."""

    name: str
    annotations: str
    pictures: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WildLayout:
    """A folder of data sets.

    table: the CSV that lists them. columns: split -> the column that must hold 1; a split without one has all of them.
    result: name of a data set's results.
    """

    roots: tuple[str, ...]
    how_to_get: str
    table: str
    columns: Mapping[str, str]
    result: str = PLAIN

    def parts(self, row: Benchmark) -> list[Part]:
        """The data sets of a row, in the order of the label table."""
        column = self.columns.get(row.split)
        with (TABLES / self.table).open(newline="", encoding="utf-8") as file:
            rows = [one for one in csv.DictReader(file) if column is None or one[column] == "1"]
        return [Part(name=one["dataset"], annotations=one["annotations"], pictures=one["pictures"]) for one in rows]

    def landmark(self, row: Benchmark) -> str:
        """The first data set's annotation file."""
        return self.parts(row)[0].annotations

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """All data sets, if any is there; those that are not are problems."""
        parts = self.parts(row)
        if not any((folder / part.annotations).is_file() for part in parts):
            return None
        return _joined(row, folder, parts)

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """A folder with some of the data sets."""
        home = the_folder(truth, row)
        parts = [part for part in self.parts(row) if (home / part.annotations).is_file()]
        if not parts:
            message = f"holds none of the data sets (looked for {self.parts(row)[0].annotations} and so on)"
            raise DataError([Problem(place=str(truth), message=message, remedy="Give the folder of the data sets")])
        return _joined(row, home, parts)

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A JSON of objects for each data set."""
        one = (result_forms.MASKS if row.task is Task.INSTANCE else result_forms.BOXES).files["results.json"]
        return tuple(one_kind(f"results/{name.format('<data set>')}", one) for name in dict.fromkeys(self._names))

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """One result JSON a data set; a data set without one has no detections."""
        home = the_folder(path, row)
        groups = _by_part(samples.ids)
        found, notes, missing = dict[str, PredictionSet](), dict[str, int](), 0
        for name, ids in groups.items():
            file = next((one for one in (home / each.format(name) for each in self._names) if one.is_file()), None)
            if file is not None:
                found[name], own = _results(row, file, name, ids)
                notes |= {note: notes.get(note, 0) + count for note, count in own.items()}
            else:
                missing += 1
        if samples.ids and not found:
            message = f"holds no result of any data set (expected names like {self.result.format(next(iter(groups)))})"
            raise DataError([Problem(place=str(path), message=message, remedy="Name results after their data sets")])
        empty = coco_results.no_results(needs_masks=row.task is Task.INSTANCE)
        return PredictionSet(samples.ids, lambda one: _prediction(found, one, empty)), (
            notes | ({EMPTY: missing} if missing else {})
        )

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        groups: dict[str, list[tuple[Sample, Prediction]]] = {}
        for sample, prediction in predictions:
            groups.setdefault(sample.sample_id.split("/")[0], []).append((sample, prediction))
        path.mkdir(parents=True, exist_ok=True)
        for name, pairs in groups.items():
            coco_results.write_results(path / self.result.format(name), pairs, _numbering(name, (), row.label_set))

    @property
    def _names(self) -> tuple[str, ...]:
        """Names of a data set's results that are read."""
        return (self.result, PLAIN)

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Deal the images of a row out to its data sets; one that several rows have holds the images of the first."""
        done: set[str] = set()
        for row in rows:
            parts = [part for part in self.parts(row) if part.name not in done]
            done |= {part.name for part in parts}
            images = scenes.images(row)
            for place, part in enumerate(parts):
                dealt = [images[index] for index in range(place, len(images), len(parts))]
                _write_part(root / self.roots[0], part, dealt, row.label_set)


def _write_part(home: Path, part: Part, images: Sequence[AnnotatedImage], labels: LabelSet) -> None:
    """Write one data set, whose classes the kinds of things share; its annotations count from 0."""
    own = [one for one in labels.classes if one.supercategory == part.name]
    records, annotations = [], []
    for number, image in enumerate(images):
        image = replace(image, number=number)
        name = f"scene_{number}_jpg.rf.jpg"
        write_jpeg(home / part.pictures / name, image.image)
        records.append(coco_records.image_record(image, name))
        for segment, rle in coco_records.things(image, labels):
            category_id = own[segment.class_index % len(own)].category_id % SHIFT
            annotations.append(coco_records.object_record(number, category_id, segment, rle))
    names = [{"id": one.category_id % SHIFT, "name": one.name.removeprefix(f"{part.name}: ")} for one in own]
    coco_records.write(home / part.annotations, records, annotations, names, first_id=0)


def _read(row: Benchmark, home: Path, part: Part) -> Listing:
    """The listing of one data set, with its own image ids. Raises DataError."""
    dialect = coco_instances.Dialect(
        annotation=_renumbered,
        classes=partial(_classes, part.name),
        ask=lambda categories: tuple(name for _, name in sorted(_listed(categories).items())),
    )
    pictures = home / part.pictures
    return coco_instances.read(
        home / part.annotations,
        lambda name: pictures / name,
        row.label_set,
        needs_masks=row.task is Task.INSTANCE,
        dialect=dialect,
    )


def _renumbered(annotation: Any) -> Any:
    """Annotations may count from 0 here, which COCO's tool cannot match; crowds are seldom marked."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("id"), int):
        return annotation
    return {"iscrowd": 0, **annotation, "id": annotation["id"] + 1}


def _classes(
    part: str, path: Path, categories: Sequence[Any], labels: LabelSet
) -> tuple[Mapping[int, int], list[Problem]]:
    """class_index by the file's category ids."""
    expected = {row.category_id % SHIFT: row.class_index for row in labels.classes if row.supercategory == part}
    listed = _listed(categories)
    if set(listed) == set(expected):
        return expected, []
    message = f"has the category ids {sorted(listed)[:6]}, expected {min(expected)} to {max(expected)}"
    return expected, [Problem(place=str(path), message=message, remedy="Give the data set's official file")]


def _listed(categories: Sequence[Any]) -> dict[int, str]:
    """Names of the categories by their ids; what is no category is left out."""
    rows = [one for one in categories if isinstance(one, dict) and isinstance(one.get("id"), int)]
    return {one["id"]: str(one.get("name")) for one in rows}


def _joined(row: Benchmark, home: Path, wanted: Sequence[Part]) -> Listing:
    """One listing of all data sets. Raises one DataError for all that cannot be read."""
    parts: list[tuple[Part, Listing]] = []
    problems: list[Problem] = []
    for part in wanted:
        try:
            parts.append((part, _read(row, home, part)))
        except DataError as error:
            problems += error.problems
    raise_if_any(problems)
    places = [(listing, index) for _, listing in parts for index in range(len(listing.entries))]
    entries = tuple(
        replace(entry, sample_id=f"{part.name}/{entry.sample_id}")
        for part, listing in parts
        for entry in listing.entries
    )
    notes: dict[str, int] = {}
    for _, listing in parts:
        notes |= {note: notes.get(note, 0) + count for note, count in listing.notes.items()}

    def ask(index: int, prompt: Prompt) -> Prompt:
        listing, own = places[index]
        return prompt if listing.ask is None else listing.ask(own, prompt)

    return Listing(
        entries=entries,
        truth=lambda index: places[index][0].truth(places[index][1]),
        notes=notes,
        problems=tuple(problem for _, listing in parts for problem in listing.problems),
        ask=ask,
    )


def _by_part(sample_ids: Sequence[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for sample_id in sample_ids:
        groups.setdefault(sample_id.split("/")[0], []).append(sample_id)
    return groups


def _results(
    row: Benchmark, file: Path, part: str, sample_ids: Sequence[str]
) -> tuple[PredictionSet, Mapping[str, int]]:
    numbering = _numbering(part, sample_ids, row.label_set)
    needs_masks = row.task is Task.INSTANCE
    return coco_results.read_results(file, sample_ids, lambda _: numbering, needs_masks=needs_masks)


def _numbering(part: str, sample_ids: Sequence[str], labels: LabelSet) -> coco_results.Numbering:
    known = frozenset(sample_ids)
    classes = {row.category_id % SHIFT: row.class_index for row in labels.classes if row.supercategory == part}
    return coco_results.Numbering(
        image=lambda value: f"{part}/{value}" if f"{part}/{value}" in known else None,
        category=lambda value: classes.get(value) if isinstance(value, int) else None,
        image_id=lambda sample_id: _plain(sample_id.split("/", 1)[1]),
        category_id=lambda index: labels.category_id(index) % SHIFT,
    )


def _plain(image_id: str) -> int | str:
    return int(image_id) if image_id.isdigit() else image_id


def _prediction(found: Mapping[str, PredictionSet], sample_id: str, empty: Prediction) -> Prediction:
    part = sample_id.split("/")[0]
    return found[part][sample_id] if part in found else empty


_row = partial(Benchmark, main_score="AP", protocols=("mean",))
_ODINW = "Test images, PascalVOC's validation images. The mean of the data sets' box AP; prompts are the file's names."
_UNSTATED = "How many images there are is stated nowhere, so their number is not checked."

_ODINW_LAYOUT = WildLayout(
    roots=("odinw", "ODinW", "."),
    how_to_get="Run odinw/download.py of https://github.com/microsoft/GLIP",
    table="odinw.csv",
    columns={"13": "is_in_13"},
)

_WILD_DETECTION = tuple(
    _row(
        name=f"odinw_detection_{split}",
        dataset="odinw",
        task=Task.DETECTION,
        split=split,
        labels=f"odinw{split}",
        metric="grouped_bbox_ap",
        num_samples=count,
        layout=_ODINW_LAYOUT,
        notes=_ODINW if count else f"{_ODINW} {_UNSTATED}",
    )
    for split, count in (("13", 4938), ("35", 0))
)

ROWS = (
    *_WILD_DETECTION,
    _row(
        name="seginw_instance_val",
        dataset="seginw",
        task=Task.INSTANCE,
        split="val",
        labels="seginw",
        metric="grouped_segm_ap",
        num_samples=0,
        layout=WildLayout(
            roots=("seginw", "SegInW", "."),
            how_to_get="Download seginw.zip, named in https://github.com/microsoft/X-Decoder (branch seginw)",
            table="seginw.csv",
            columns={},
            result=SEGINW_RESULT,
        ),
        notes="An annotation with id 0 counts like any other, where pycocotools would take its match for an error. "
        f"{_UNSTATED}",
    ),
)
