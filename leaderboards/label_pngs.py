"""Archives of one label PNG for each image: ADE20K, Cityscapes and BDD100K, and the maps that others take alike.

    ADE_test_00000001.png                              ADE20K: 1 to 150, at the root
    any/depth/berlin_000000_000019_pred.png            Cityscapes: label ids; the start of the name decides
    0004974f-05e1c2f4.png                              BDD100K: train ids; panoptic as RGBA bitmasks

Rules: http://sceneparsing.csail.mit.edu, https://www.cityscapes-dataset.com/benchmarks,
https://doc.bdd100k.com/evaluate.html.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from benchmark.contract import SampleSet
from benchmark.datasets.coco import stem as coco_stem
from benchmark.formats.image_files import read_numbers
from benchmark.problems import DataError
from benchmark.row import Benchmark
from leaderboards.forms import BITMASK, LABELS, WIDE_LABELS, Contents, Form, Inspection, Png, Size
from leaderboards.problems import Problem, error, warning

TRAIN_IDS = 18
"""The highest of the 19 classes that Cityscapes and BDD100K train on."""
NOTHING = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPngs(Form):
    """One PNG for each image at the root. stem: sample id -> name without suffix."""

    png: Png | None = LABELS
    unit: str = "images"
    stem: Callable[[str], str] = str

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """A PNG for each image, of its size."""
        return {f"{self.stem(sample.sample_id)}.png": sample.size for sample in samples}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Any PNG at the root."""
        return name.endswith(".png") and "/" not in name

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """PNGs."""
        return sum(name.endswith(".png") for name in contents.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefixed(Form):
    """Cityscapes: one file for each image in any folder, whose name starts as the image's. suffix: of the files."""

    depth_is_free: bool = True
    unit: str = "images"
    suffix: str = ".png"
    written: str = "{}_pred"

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """The file that starts like an image's name, or else the name that we write."""
        found = by_prefix(contents, self.suffix)
        names = {one: next(iter(found.get(one, ())), f"{self.written.format(one)}{self.suffix}") for one in samples.ids}
        if self.suffix != ".png":
            return dict.fromkeys(names.values())
        return {names[sample.sample_id]: sample.size for sample in samples}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Files of the suffix, and masks, which text files name."""
        return name.endswith((self.suffix, ".png"))

    def is_optional(self, row: Benchmark, name: str) -> bool:
        """Masks beside text files."""
        return self.suffix != ".png" and name.endswith(".png")

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """Distinct starts of names."""
        return len(by_prefix(contents, self.suffix))


def by_prefix(contents: Contents, suffix: str) -> dict[str, list[str]]:
    """<city>_<seq>_<frame> -> names of the files that start so."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in contents.files:
        path = PurePosixPath(name)
        if path.suffix == suffix:
            found["_".join(path.stem.split("_")[:3])].append(name)
    return dict(found)


def no_train_ids(looked: Inspection) -> Iterator[Problem]:
    """Cityscapes: maps of train ids are scored, near zero, not refused."""
    values = _values(looked)
    if values and max(values) <= TRAIN_IDS:
        message = f"no pixel of any map is above {TRAIN_IDS}: these look like train ids, which score near 0"
        yield error(looked.contents.name, message, "Write label ids (road is 7, car is 26)")


def no_folded_values(looked: Inspection) -> Iterator[Problem]:
    """BDD100K: what is above 18 counts as ignored, and so as missed."""
    strange = sorted(value for value in _values(looked) if TRAIN_IDS < value < NOTHING)
    if strange:
        message = f"pixels hold {', '.join(map(str, strange[:5]))}, which the server folds into an ignored class"
        yield warning(looked.contents.name, message, f"Write train ids, 0 to {TRAIN_IDS}")


def _values(looked: Inspection) -> set[int]:
    """All numbers that occur in the maps; damaged ones are the reader's."""
    values: set[int] = set()
    for name in looked.contents.files:
        try:
            values |= set(np.unique(read_numbers(looked.contents.folder / name)).tolist())
        except DataError:
            continue
    return values


ADE20K = LabelPngs()
COCO_MAPS = LabelPngs(stem=coco_stem)
WIDE = LabelPngs(png=WIDE_LABELS)
BDD100K = LabelPngs(rules=(no_folded_values,))
MASK_OF_EACH = LabelPngs(unit="expressions")
BDD100K_PANOPTIC = LabelPngs(png=BITMASK)
CITYSCAPES = Prefixed(png=LABELS, rules=(no_train_ids,))
