"""The records that pass between folders: samples, prompts, truths, predictions, statistics and scores.

Sizes are (height, width). Masks are run-length encoded at the original image size, column-major, as in the COCO API.
`class_index` is the zero-based position in a `LabelSet`; `category_id` never appears here. Scores are fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark.runs import Runs, one_a_run, run_edges

IGNORE = 65535
"""class_index of pixels that no metric looks at."""
NO_BOXES = "none"
"""box_format of objects whose boxes nobody stated; their `boxes` are zero."""


class Task(StrEnum):
    """What is scored. What a model is asked may differ (`Prompt.sentence`)."""

    SEMANTIC = "semantic"
    INSTANCE = "instance"
    PANOPTIC = "panoptic"
    DETECTION = "detection"
    REFERRING = "referring"
    GROUNDING = "grounding"
    SOT = "sot"
    VOS = "vos"
    MOT = "mot"
    MOTS = "mots"
    VIS = "vis"
    RVOS = "rvos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rle:
    """One binary mask. size: (height, width). counts: COCO's compressed run lengths."""

    size: tuple[int, int]
    counts: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """N objects of one frame; they may overlap. Build with `make_instances`, which fills the defaults.

    masks: N run-length masks at the original size, or None for boxes only.
    boxes: float64 [N, 4] in `box_format` ("xywh", "xyxy", "xyxy_norm", NO_BOXES), absolute pixels, exactly as the
    file has them; "xyxy_norm" are shares of width and height (Open Images).
    area: float64 [N], square pixels, as the truth file states it (or the mask's).
    class_index: int64 [N].   score: float64 [N], 0..1 (1 for truth).
    object_id: int64 [N], the file's own id.   is_crowd: bool [N].
    """

    masks: tuple[Rle, ...] | None
    boxes: NDArray[np.float64]
    box_format: str
    area: NDArray[np.float64]
    class_index: NDArray[np.int64]
    score: NDArray[np.float64]
    object_id: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.class_index)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMap:
    """class_index: uint16 [H, W]; `IGNORE`, and every index from `LabelSet.num_classes` on, is not evaluated."""

    class_index: NDArray[np.uint16]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.class_index.shape
        return height, width

    def every(self, step: int) -> NDArray[np.uint16]:
        """class_index of the first pixel and of each `step`-th one after it, row by row, uint16 [N]."""
        return self.class_index.ravel()[::step]

    def present(self) -> NDArray[np.uint16]:
        """The class indices that occur, ascending, uint16 [N]."""
        return np.unique(one_a_run(self.class_index))

    def runs(self) -> Runs:
        """The map cut into runs of one class_index; neighbours may be equal."""
        return Runs.of(self.class_index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One listed region of a `Panoptic` map. area: pixels as the truth file states them; None: count them."""

    id: int
    class_index: int
    is_crowd: bool = False
    score: float | None = None
    area: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panoptic:
    """segment_id: int32 [H, W], 0 is void. segments: the listed regions, in file order."""

    segment_id: NDArray[np.int32]
    segments: tuple[Segment, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.segment_id.shape
        return height, width

    def row_runs(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(edge int64 [R + 1], id int32 [R]): first pixel of every run, row by row, then the number of pixels."""
        edge = run_edges(self.segment_id.ravel())
        return edge, self.segment_id.ravel().take(edge[:-1])


Annotation = Instances | LabelMap | Panoptic


@dataclass(frozen=True, slots=True)
class Frames(Sequence[Annotation]):
    """Annotations of a video's frames, decoded on access, so that memory does not grow with its length.

    num_frames: how many. build: index -> annotation; raises DataError when that frame's file is broken.
    """

    num_frames: int
    build: Callable[[int], Annotation]

    def __len__(self) -> int:
        return self.num_frames

    def __getitem__(self, index: int) -> Annotation:  # type: ignore[override]
        return self.build(range(self.num_frames)[index])

    def __iter__(self) -> Iterator[Annotation]:
        return (self.build(index) for index in range(self.num_frames))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """T objects of a video as a whole, where a benchmark ranks or classifies tracks.

    object_id: int64 [T], the ids that `Instances.object_id` of the frames use. class_index: int64 [T].
    score: float64 [T], 1 for truth. is_crowd: bool [T]. area: float64 [T], mean square pixels as the truth file states.
    """

    object_id: NDArray[np.int64]
    class_index: NDArray[np.int64]
    score: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    area: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.object_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is asked. task: kind of answer. sentence: task sentence or expression. labels: class names.

    is_thing: one flag a label, whether its objects are counted, or None.
    objects: index of a frame -> the objects (masks or boxes by `object_id`) that are given there, or None.
    """

    task: Task
    sentence: str | None = None
    labels: tuple[str, ...] | None = None
    is_thing: tuple[bool, ...] | None = None
    objects: Mapping[int, Instances] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The right answer, one annotation a frame.

    objects: instances beside a label map, where a protocol weighs pixels by instance (Cityscapes iIoU).
    ignore: mask of pixels in which a prediction is neither right nor wrong (Cityscapes instances), or None.
    ignored: one a frame, regions or objects that a tracking protocol leaves out of the count, or None.
    tracks: the objects of a video as a whole, or None.
    absent: bool [num_frames], the single object is out of view or fully covered, or None.
    negative_labels, not_exhaustive_labels: class indices that are known to be absent, or not labelled throughout
    (federated truth, LVIS).
    group_of: bool [N] of the only frame, boxes that stand for several objects (OpenImages), or None.
    verified_labels: class indices that a person looked for, found or not; others are not judged (OpenImages).
    overlap: pixels that several polygons of one object cover; a convention of RefCOCO loaders drops them. None: none.
    subsets: named parts of the split that the sample belongs to, where they are scored apart (ReasonSeg, PhraseCut).
    alternatives: what other annotators answered, each as right as the only frame (SA-Co).
    foreground: one a frame, masks of everything that is annotated there, whatever was asked (ReVOS), or None.
    """

    frames: Sequence[Annotation]
    objects: Instances | None = None
    ignore: Rle | None = None
    ignored: Sequence[Instances] | None = None
    tracks: Tracks | None = None
    absent: NDArray[np.bool_] | None = None
    negative_labels: tuple[int, ...] = ()
    not_exhaustive_labels: tuple[int, ...] = ()
    group_of: NDArray[np.bool_] | None = None
    verified_labels: tuple[int, ...] = ()
    overlap: Rle | None = None
    subsets: tuple[str, ...] = ()
    alternatives: tuple[Instances, ...] = ()
    foreground: Sequence[Instances] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """An answer, one annotation a frame, at the original size of the sample.

    tracks: the objects of a video as a whole, where a benchmark ranks or classifies them, or None.
    is_no_target: whether the expression is said to refer to nothing, whatever the masks (gRefCOCO); None: not said.
    seconds: float64 [T, R], what each frame took in each run (GOT-10k's time files); None: not measured.
    """

    frames: Sequence[Annotation]
    tracks: Tracks | None = None
    is_no_target: bool | None = None
    seconds: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One unit of scoring. sample_id: unique in the benchmark. frames: image files. size: (height, width)."""

    sample_id: str
    frames: Sequence[Path]
    size: tuple[int, int]
    prompt: Prompt
    truth: Truth | None = None


@dataclass(frozen=True, slots=True)
class SampleSet(Sequence[Sample]):
    """Samples built on access, so that a data set's label files are decoded one at a time.

    ids: sample ids in file order. build: index -> Sample; raises DataError when that sample's files are broken.
    """

    ids: tuple[str, ...]
    build: Callable[[int], Sample]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return self.build(range(len(self.ids))[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self.build(index) for index in range(len(self.ids)))

    def head(self, limit: int | None) -> SampleSet:
        """The first `limit` samples (all of them for None)."""
        return self if limit is None else SampleSet(self.ids[:limit], self.build)


@dataclass(frozen=True, slots=True)
class PredictionSet(Mapping[str, Prediction]):
    """Predictions by sample id, decoded on access. missing ids are simply absent."""

    ids: tuple[str, ...]
    build: Callable[[str], Prediction]
    known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", frozenset(self.ids))

    def __contains__(self, sample_id: object) -> bool:
        return sample_id in self.known

    def __getitem__(self, sample_id: str) -> Prediction:
        if sample_id not in self.known:
            raise KeyError(sample_id)
        return self.build(sample_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedSource:
    """One training data set. size: samples. load: index -> (id, RGB uint8 [H, W, 3], truth). weight: its share."""

    size: int
    load: Callable[[int], tuple[str, NDArray[np.uint8], Panoptic]]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptedSource:
    """One training data set whose samples bring their own prompts.

    name: of its row. load: index -> sample with truth. read: (sample, frame) -> RGB uint8 [H, W, 3]. names, is_thing:
    of the K classes of its label set. asked: the class indices that its vocabulary may name. weight: its share.
    """

    name: str
    size: int
    load: Callable[[int], Sample]
    read: Callable[[Sample, int], NDArray[np.uint8]]
    names: tuple[str, ...]
    is_thing: tuple[bool, ...]
    asked: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What one metric keeps of one sample: named integer, bool or float64 arrays, opaque to everybody else."""

    sample_id: str
    arrays: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of a set of samples.

    values: official metric name -> fraction (NaN where undefined). counts: name -> integer (TP, FP, ...).
    per_class: class name -> metric name -> fraction. missing: sample ids that have no prediction.
    """

    values: Mapping[str, float]
    counts: Mapping[str, int]
    per_class: Mapping[str, Mapping[str, float]]
    num_expected: int
    num_scored: int
    missing: tuple[str, ...] = ()


Pooled = Callable[[NDArray[np.int64] | None], Scores]
"""Scores as a function of how often each sample is counted (int64 [num_samples], None: once each)."""


class Metric(Protocol):
    """measure one sample, summarise many. Neither order nor sharding of statistics may change a bit of the scores."""

    def measure(self, sample: Sample, prediction: Prediction) -> Stats:
        """Statistics of one prediction against `sample.truth`."""
        ...

    def pool(self, stats: Sequence[Stats]) -> Pooled:
        """Sort by `sample_order`, merge, and return the scoring function; weights follow the order of `stats`."""
        ...


def summarise(metric: Metric, stats: Sequence[Stats]) -> Scores:
    """Scores of all samples, each counted once."""
    return metric.pool(stats)(None)


def sample_order(sample_id: str) -> tuple[int, int, str]:
    """Sort key: numeric ids by value (as the COCO tools order images), then all others by text."""
    return (0, int(sample_id), sample_id) if sample_id.isdigit() else (1, 0, sample_id)


def make_instances(
    *,
    class_index: Sequence[int] | NDArray[np.int64],
    masks: Sequence[Rle] | None = None,
    boxes: NDArray[np.float64] | None = None,
    box_format: str = "xywh",
    area: NDArray[np.float64] | None = None,
    score: NDArray[np.float64] | None = None,
    object_id: NDArray[np.int64] | None = None,
    is_crowd: NDArray[np.bool_] | None = None,
) -> Instances:
    """Instances with defaults: zero boxes and areas, score 1, object_id 1..N, nothing crowd.

    class_index, area, score, object_id, is_crowd: [N]. boxes: [N, 4]. dtypes as in `Instances`.
    """
    num = len(class_index)
    return Instances(
        masks=masks if masks is None or isinstance(masks, tuple) else tuple(masks),
        boxes=np.zeros((num, 4)) if boxes is None else np.asarray(boxes, np.float64).reshape(num, 4),
        box_format=box_format,
        area=np.zeros(num) if area is None else np.asarray(area, np.float64),
        class_index=np.asarray(class_index, np.int64),
        score=np.ones(num) if score is None else np.asarray(score, np.float64),
        object_id=np.arange(1, num + 1) if object_id is None else np.asarray(object_id, np.int64),
        is_crowd=np.zeros(num, bool) if is_crowd is None else np.asarray(is_crowd, bool),
    )
