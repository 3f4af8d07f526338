"""Archives of Cityscapes instances: a text file for each image that names mask PNGs with their class and confidence.

    berlin_000000_000019_pred.txt      lines of   relative/mask.png labelId confidence

Rules: https://www.cityscapes-dataset.com/benchmarks/#instance-level-scene-labeling-task.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.contract import Instances
from benchmark.problems import DataError
from leaderboards.forms import Inspection
from leaderboards.label_pngs import Prefixed
from leaderboards.problems import Problem, error


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
