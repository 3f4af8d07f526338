"""Archives of instances as pictures: mask PNGs that a text file names, or bitmasks with a JSON of scores.

    berlin_000000_000019_pred.txt      Cityscapes, Mapillary: lines of   relative/mask.png label confidence
    bitmasks/<name>.png, scores.json   BDD100K: RGBA bitmasks, and the score of each instance

Rules: https://www.cityscapes-dataset.com/benchmarks/#instance-level-scene-labeling-task,
https://doc.bdd100k.com/evaluate.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmark.contract import Instances, SampleSet
from benchmark.formats.bdd100k_instances import FOLDER, SCORES
from benchmark.problems import DataError
from benchmark.row import Benchmark
from leaderboards.forms import BITMASK, Contents, Form, Inspection, Png, Size
from leaderboards.label_pngs import Prefixed
from leaderboards.problems import Problem, error


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOfEach(Form):
    """Mapillary: a text file named like each image, and the masks that it names."""

    unit: str = "images"

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """A text file for each image."""
        return {f"{one}.txt": None for one in samples.ids}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """Text files at the root, masks anywhere."""
        return name.endswith(".png") or (name.endswith(".txt") and "/" not in name)

    def is_optional(self, row: Benchmark, name: str) -> bool:
        """Masks."""
        return name.endswith(".png")

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """Text files."""
        return sum(name.endswith(".txt") for name in contents.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredBitmasks(Form):
    """BDD100K: a bitmask for each image and one JSON of scores."""

    unit: str = "images"
    png: Png | None = BITMASK

    def needed(self, row: Benchmark, samples: SampleSet, contents: Contents) -> dict[str, Size | None]:
        """A bitmask for each image, of its size, and the scores."""
        sizes: dict[str, Size | None] = {SCORES: None}
        return sizes | {f"{FOLDER}/{sample.sample_id}.png": sample.size for sample in samples}

    def is_possible(self, row: Benchmark, name: str) -> bool:
        """The scores, and bitmasks in their folder."""
        return name == SCORES or (name.startswith(f"{FOLDER}/") and name.count("/") == 1 and name.endswith(".png"))

    def num_units(self, row: Benchmark, contents: Contents) -> int | None:
        """Bitmasks."""
        return sum(name.endswith(".png") for name in contents.files)


def masks_fit(looked: Inspection) -> Iterator[Problem]:
    """A mask of another size than its image matches nothing, or ends the evaluation."""
    if looked.predictions is None or looked.samples is None:
        return
    for sample in looked.samples:
        if sample.sample_id not in looked.predictions:
            continue
        sizes = {size for size in _mask_sizes(looked, sample.sample_id) if size != sample.size}
        if sizes:
            height, width = sorted(sizes)[0]
            message = f"has masks of {height}x{width}, the image is {sample.size[0]}x{sample.size[1]} (height x width)"
            yield error(f"image {sample.sample_id}", message, "Write masks at the original size")


def _mask_sizes(looked: Inspection, sample_id: str) -> set[tuple[int, int]]:
    """Sizes of the masks of an image; what cannot be decoded has been complained about before."""
    assert looked.predictions is not None
    try:
        frame = looked.predictions[sample_id].frames[0]
    except DataError:
        return set()
    return {rle.size for rle in frame.masks or ()} if isinstance(frame, Instances) else set()


CITYSCAPES = Prefixed(suffix=".txt", rules=(masks_fit,))
MAPILLARY = TextOfEach(rules=(masks_fit,))
BDD100K = ScoredBitmasks()
