"""SA-Co/Gold: noun phrases about pictures, named things and absent ones, answered by the masks of all instances.

{saco_gold, sa-co-gold, SACo-Gold, .}/{., gt-annotations}/gold_<subset>_merged_{a,b,c}_release_test.json, one file an
annotator; pictures in metaclip-images/ and sa1b-images/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark import labels, result_forms
from benchmark.annotated import Scenes
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets.pictures import Pictures, homes_of, the_file, unique_number
from benchmark.formats import coco_results, saco
from benchmark.formats.image_files import write_jpeg
from benchmark.formats.listing import Listing
from benchmark.problems import DataError, Problem
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

ANNOTATORS = ("a", "b", "c")
PLACES = (".", "gt-annotations", "annotations")
PICTURES = ("metaclip-images", "sa1b-images", "images")
CLASSES = "coco_panoptic"
"""Names of classes that written scenes are asked for."""
PHRASES_PER_PICTURE = 100


class SacoLayout:
    """The layout of the official download."""

    roots = ("saco_gold", "sa-co-gold", "SACo-Gold", ".")
    how_to_get = (
        "Download annotations and pictures as scripts/eval/gold of https://github.com/facebookresearch/sam3 says"
    )

    def landmark(self, row: Benchmark) -> str:
        """The first annotator's file."""
        return _name(row, ANNOTATORS[0])

    def open(self, row: Benchmark, folder: Path) -> Listing | None:
        """The phrases with the masks of all annotators that are there."""
        for home in (folder / place for place in PLACES):
            found = [home / _name(row, one) for one in ANNOTATORS if (home / _name(row, one)).is_file()]
            if (home / self.landmark(row)).is_file():
                return saco.read(found, _pictures([folder, home]), row.label_set)
        return None

    def open_truth(self, row: Benchmark, truth: Path, root: Path | None) -> Listing:
        """One annotation file, which may be an own data set's; or the folder of the official ones."""
        if truth.is_file():
            return saco.read([truth], _pictures(homes_of(truth, root, self.roots)), row.label_set)
        found = self.open(row, truth)
        if found is None:
            message = f"holds no {self.landmark(row)}"
            raise DataError([Problem(place=str(truth), message=message, remedy="Give an annotation file itself")])
        return found

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """COCO's list of masks."""
        return (result_forms.MASKS,)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A COCO result JSON of masks; a phrase without a result was answered with nothing."""
        return saco.read_results(the_file(path, row), samples.ids, row.label_set)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """The same form."""
        coco_results.write_results(path, predictions, coco_results.coco_numbering((), row.label_set))

    def write_scenes(self, root: Path, rows: Sequence[Benchmark], scenes: Scenes) -> None:
        """Three annotators' files and the pictures; the second and the third overlook one instance now and then."""
        home, classes = root / self.roots[0], labels.load(CLASSES)
        for row in rows:
            phrases, size = list[tuple[int, str, saco.Phrase]](), (0, 0)
            for image in scenes.images(replace(row, labels=CLASSES)):
                number, size = unique_number(row, image), (image.image.shape[0], image.image.shape[1])
                write_jpeg(home / PICTURES[0] / f"{number}.jpeg", image.image)
                phrases += [
                    (number * PHRASES_PER_PICTURE + place, f"{number}.jpeg", phrase)
                    for place, phrase in enumerate(saco.phrases_of(image, classes))
                ]
            for turn, annotator in enumerate(ANNOTATORS):
                saco.write(home / _name(row, annotator), phrases, size, partial(_overlooked, turn))


def _name(row: Benchmark, annotator: str) -> str:
    return f"gold_{row.split}_merged_{annotator}_release_test.json"


def _overlooked(turn: int, image_id: int, phrase: saco.Phrase) -> int:
    """How many masks of a phrase an annotator does not see: the first sees all."""
    return int(turn > 0 and bool(phrase.found) and (image_id + turn) % 4 == 0)


def _pictures(homes: Iterable[Path]) -> Pictures:
    return Pictures.below(homes, PICTURES, lambda name, image: name)


_row = partial(
    Benchmark,
    dataset="saco_gold",
    task=Task.REFERRING,
    labels="object",
    metric="concept_f1",
    main_score="cgF1",
    protocols=("sam3",),
    layout=SacoLayout(),
)
_NOTES = (
    "One sample is one noun phrase about one picture. Phrases that an annotator calls not exhaustive are left out, as "
    "the official evaluator does, so fewer are scored than the {num:,} that are stated; of three annotators the one "
    "counts that agrees best. Own data: give the annotation file with --truth. The overall number is the rows' mean."
)
_PAIRS = {
    "metaclip": 33393,
    "sa1b": 13258,
    "attributes": 9245,
    "crowded": 20687,
    "wiki_common": 65502,
    "fg_food": 13951,
    "fg_sports_equipment": 12166,
}
"""Subset -> pairs of a picture and a phrase, those that are left out included."""

ROWS = tuple(
    _row(name=f"saco_gold_referring_{subset}", split=subset, num_samples=0, notes=_NOTES.format(num=num))
    for subset, num in _PAIRS.items()
)
