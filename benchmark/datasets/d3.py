"""D3, described object detection: boxes of whatever 422 descriptions say, of which 106 say what is absent.

{d3, D3, .}/d3_json/d3_{full,pres,abs}_annotations.json
{d3, D3, .}/d3_images/<file_name>

A class is a description; the label set numbers them, and a model is asked what the annotation file says. All three
files have the same images, and differ in the descriptions that they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.annotated import AnnotatedImage, ExpressionKind, Scenes
from benchmark.contract import Task
from benchmark.datasets.coco_form import CocoForm
from benchmark.formats import coco_records
from benchmark.formats.coco_instances import Dialect
from benchmark.formats.image_files import write_jpeg
from benchmark.labels import LabelSet
from benchmark.problems import Problem
from benchmark.row import Benchmark

NUM_DESCRIPTIONS = 422
NEGATION = "things that are not "
"""How a description of absence begins in what we write."""


def _is_known(category_id: Any, known: Mapping[int, int]) -> bool:
    return isinstance(category_id, int) and category_id in known


def _classes(path: Path, categories: Sequence[Any], labels: LabelSet) -> tuple[Mapping[int, int], list[Problem]]:
    """The descriptions of this file: those of the others are no classes of it, so their results are left alone."""
    known = {row.category_id: row.class_index for row in labels.classes}
    foreign = [one for one in categories if not isinstance(one, dict) or not _is_known(one.get("id"), known)]
    if not foreign:
        return known, []
    message = f"{len(foreign)} of its {len(categories)} categories have ids outside 1 to {NUM_DESCRIPTIONS}"
    return known, [Problem(place=str(path), message=message, remedy="Give one of the official annotation files")]


def _descriptions(categories: Sequence[Any]) -> tuple[str, ...]:
    """The sentence of every description, "" for those that the file does not hold."""
    rows = [one for one in categories if isinstance(one, dict) and isinstance(one.get("id"), int)]
    listed = {one["id"]: str(one.get("name", "")) for one in rows}
    return tuple(listed.get(number, "") for number in range(1, NUM_DESCRIPTIONS + 1))


def _annotation(annotation: Any) -> Any:
    return {"iscrowd": 0, **annotation} if isinstance(annotation, dict) else annotation


class DescribedForm(CocoForm):
    """Three files over the same pictures. A description is what some expressions say, numbered by its first use.

    An image lists the objects of its own descriptions alone, as the group does that official descriptions are asked of.
    """

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Write the pictures once and the files of all rows; those of absence negate an expression of a group."""
        home = root / self.roots[0]
        images: list[dict[str, Any]] = []
        annotations: list[tuple[str, dict[str, Any]]] = []
        numbers: dict[str, int] = {}
        for image in scenes.images(rows[0]):
            name = f"{image.number:05d}.jpg"
            write_jpeg(home / self.folders("full")[0] / name, image.image)
            images.append(coco_records.image_record(image, name))
            for sentence, segment_ids in _described(image):
                if len(numbers) < NUM_DESCRIPTIONS or sentence in numbers:
                    number = numbers.setdefault(sentence, len(numbers) + 1)
                    found = _objects(image, rows[0].label_set, number, segment_ids)
                    annotations += [(sentence, one) for one in found]
        for row in rows:
            asked = [sentence for sentence in numbers if _is_asked(row.split, sentence)]
            coco_records.write(
                home / self.landmark(row),
                images,
                [one for sentence, one in annotations if sentence in asked],
                [{"id": numbers[sentence], "name": sentence} for sentence in asked],
            )


def _described(image: AnnotatedImage) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What is said of an image, and of which segments."""
    has_crowd = any(segment.is_crowd for segment in image.panoptic.segments)
    for expression in image.expressions:
        yield expression.sentence, expression.segment_ids
        if expression.kind is ExpressionKind.GROUP and not has_crowd:
            others = [one.id for one in image.panoptic.segments if one.id not in expression.segment_ids]
            yield NEGATION + expression.sentence.removeprefix("all "), tuple(others)


def _objects(image: AnnotatedImage, labels: LabelSet, number: int, segment_ids: Iterable[int]) -> list[dict[str, Any]]:
    """The annotations of one description in an image."""
    wanted = set(segment_ids)
    return [
        coco_records.object_record(image.number, number, segment, rle)
        for segment, rle in coco_records.things(image, labels)
        if segment.id in wanted
    ]


def _is_asked(split: str, sentence: str) -> bool:
    """Whether a split has a description: all, those of presence, or those of absence."""
    return split == "full" or (split == "abs") == sentence.startswith(NEGATION)


LAYOUT = DescribedForm(
    roots=("d3", "D3", "d-cube", "."),
    how_to_get="Download the images and d3_json.zip that https://github.com/shikras/d-cube names",
    files={
        split: (f"d3_json/d3_{split}_annotations.json", f"d3_{split}_annotations.json")
        for split in ("full", "pres", "abs")
    },
    folders=lambda _: ("d3_images", "images"),
    dialect=Dialect(annotation=_annotation, classes=_classes, ask=_descriptions),
)
_row = partial(
    Benchmark,
    dataset="d3",
    task=Task.DETECTION,
    labels="d3",
    layout=LAYOUT,
    metric="described_bbox_ap",
    main_score="AP",
    protocols=("d3",),
    num_samples=10578,
)
_SETTINGS = (
    "Asked for the descriptions of an image's own group (intra-scenario) or for all of them (inter-scenario), a model "
    "gives different results; say which."
)

ROWS = (
    _row(name="d3_detection_full", split="full", notes=f"All 422 descriptions. {_SETTINGS}"),
    _row(name="d3_detection_pres", split="pres", notes=f"The 316 descriptions of what is present. {_SETTINGS}"),
    _row(name="d3_detection_abs", split="abs", notes=f"The 106 descriptions of what is absent. {_SETTINGS}"),
)
