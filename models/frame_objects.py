"""What trackers and answers need of a detector: to look at a frame, to be asked, and to say what it found.

The border between networks and everything that happens over time or after decoding. A network that offers `Detector`
answers every task through `models/prompted_segmenter.py`; nothing beyond this border knows how a frame is encoded.
Shapes: N queries, K classes (1 for expressions and targets), M chosen queries, D width of an embedding, H W the frame
as the detector is given it, h w the size of mask logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Seen = TypeVar("Seen")
Asked = TypeVar("Asked")
Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameObjects:
    """The queries of one frame after one question.

    scores: float32 [N, K], 0..1, probability that the query is what is asked for.
    quality: float32 [N], 0..1, how well its box is expected to fit, or None where the detector does not say.
    boxes: float32 [N, 4], (centre x, centre y, width, height) as shares of the frame; they may reach over its border.
    draw: positions of chosen queries, int64 [M] -> their mask logits, float32 [M, h, w].
    embed: () -> identity embeddings of all queries, float32 [N, D]; computed only if it is called. None: has none.
    size: (H, W). mask_stride: pixels of the frame that one mask logit spans; h and w may go beyond the frame.
    """

    scores: Tensor
    quality: Tensor | None
    boxes: Tensor
    draw: Callable[[Tensor], Tensor]
    embed: Callable[[], Tensor] | None
    size: tuple[int, int]
    mask_stride: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An object that is shown in a frame. box_xywh: in pixels of the frame. mask: bool [H, W], or None."""

    box_xywh: tuple[float, float, float, float]
    mask: Tensor | None = None


class Detector(Protocol[Seen, Asked, Shown]):
    """A network that finds what it is asked for in a frame.

    `Seen`, `Asked` and `Shown` are the network's own: an encoded frame, an encoded question, an encoded target. A frame
    is looked at once whatever is asked of it; a question is encoded once whatever it is asked of. sentence: names the
    task, such as "the task is vis"; a network without task tokens ignores it.
    """

    def look(self, frame: NDArray[np.uint8]) -> Seen:
        """The frame as all questions share it. frame: uint8 [H, W, 3] RGB, at the size the network shall see."""
        ...

    def ask_categories(self, names: Sequence[str], *, sentence: str) -> Asked:
        """The question for objects of any of K classes; however many there are."""
        ...

    def ask_expression(self, expression: str, *, sentence: str) -> Asked:
        """The question for what an expression means, K = 1."""
        ...

    def show(self, frame: Seen, target: Target) -> Shown:
        """A target as it looks in a frame; raises UsageError where no pixel of it is inside."""
        ...

    def ask_targets(self, shown: Sequence[Shown], *, sentence: str) -> Asked:
        """The question for one target that was shown once or several times, K = 1."""
        ...

    def find(self, frame: Seen, questions: Sequence[Asked]) -> list[FrameObjects]:
        """What the frame holds, an answer to each question."""
        ...


def merge_vocabularies(
    parts: Sequence[FrameObjects], class_index: Sequence[Sequence[int]], num_classes: int
) -> FrameObjects:
    """One answer to a vocabulary that was asked in parts: all queries, each with score 0 for the other parts' classes.

    class_index: of the classes of each part in the whole vocabulary. num_classes: K of the whole. Suppression and the
    choice of the best then happen once, over all parts.
    """
    if len(parts) == 1 and tuple(class_index[0]) == tuple(range(num_classes)):
        return parts[0]
    counts = [len(part.scores) for part in parts]
    scores = parts[0].scores.new_zeros(sum(counts), num_classes)
    for rows, part, columns in zip(scores.split(counts), parts, class_index, strict=True):
        rows[:, list(columns)] = part.scores
    qualities = [part.quality for part in parts if part.quality is not None]
    embeds = [part.embed for part in parts if part.embed is not None]
    return FrameObjects(
        scores=scores,
        quality=torch.cat(qualities) if len(qualities) == len(parts) else None,
        boxes=torch.cat([part.boxes for part in parts]),
        draw=lambda chosen: _drawn(parts, counts, chosen),
        embed=(lambda: torch.cat([embed() for embed in embeds])) if len(embeds) == len(parts) else None,
        size=parts[0].size,
        mask_stride=parts[0].mask_stride,
    )


def _drawn(parts: Sequence[FrameObjects], counts: Sequence[int], chosen: Tensor) -> Tensor:
    """Mask logits [M, h, w] of queries of several parts, in the order of `chosen`."""
    start, pieces, places = 0, [], []
    for part, count in zip(parts, counts, strict=True):
        place = ((chosen >= start) & (chosen < start + count)).nonzero()[:, 0]
        if len(place):
            pieces.append(part.draw(chosen[place] - start))
            places.append(place)
        start += count
    if not pieces:
        return parts[0].draw(chosen)
    return torch.cat(pieces)[torch.cat(places).argsort()]
