"""Every benchmark, one row each, and the four things one does with a row: open, read, write, score.

Rows are named `<dataset>_<task>_<split>`. Names are looked up with suggestions; nothing is registered elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from benchmark import labels, metrics, prompts, results
from benchmark.contract import Metric, Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet, suggestion
from benchmark.layouts import DataNotFound, Query, open_root, open_truth
from benchmark.problems import Problem, UsageError, raise_if_any

__all__ = ["BENCHMARKS", "TRAINING", "Benchmark", "DataNotFound", "build_metric", "get", "is_mini_root"]

MINI_STAMP = "minidata.json"
DECODE_UP_TO = 300
"""Number of images up to which a check before evaluation looks at every pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One row.

    labels: name of the label set.   metric: key of `metrics.METRICS`.   main_score: the headline among its scores.
    protocols: the metric's protocols, the headline's first.   mini_protocol: the headline's on the mini data, if other.
    num_samples: size of the official split, enforced on official data.   truth: "public", "private" or "later".
    version: rises whenever a change moves a number.   notes: deviations from the official tool, and what to know.
    """

    name: str
    dataset: str
    task: Task
    split: str
    labels: str
    metric: str
    main_score: str
    protocols: tuple[str, ...]
    num_samples: int
    mini_protocol: str | None = None
    truth: str = "public"
    version: int = 1
    notes: str = ""
    is_train: bool = False

    def headline_protocol(self, *, is_mini: bool) -> str:
        """The protocol of the headline number."""
        return (self.mini_protocol if is_mini else None) or self.protocols[0]

    def display_name(self, *, is_mini: bool) -> str:
        """The name to print: mini data carry their mark everywhere."""
        return f"{self.name}@mini" if is_mini else self.name


_coco = partial(Benchmark, dataset="coco", split="val2017", labels="coco_panoptic", num_samples=5000)
_ade20k = partial(Benchmark, dataset="ade20k", split="val", labels="ade20k", num_samples=2000)
_cityscapes = partial(Benchmark, dataset="cityscapes", split="val", labels="cityscapes", num_samples=500)

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        row.name: row
        for row in (
            _coco(
                name="coco_panoptic_val2017",
                task=Task.PANOPTIC,
                metric="panoptic_quality",
                main_score="PQ",
                protocols=("coco",),
                notes="Equals panopticapi; areas of truth segments are the JSON's.",
            ),
            _coco(
                name="coco_instance_val2017",
                task=Task.INSTANCE,
                metric="coco_segm_ap",
                main_score="AP",
                protocols=("coco",),
                notes="Truth is instances_val2017.json. With --truth panoptic_val2017.json the objects are derived "
                "from it; OneFormer's AP is that number.",
            ),
            _coco(
                name="coco_semantic_val2017",
                task=Task.SEMANTIC,
                metric="semantic_iou",
                main_score="mIoU",
                protocols=("present", "all", "union"),
                notes="Derived from panoptic truth (133 classes), crowds included; classes without truth are skipped.",
            ),
            _ade20k(
                name="ade20k_panoptic_val",
                task=Task.PANOPTIC,
                metric="panoptic_quality",
                main_score="PQ",
                protocols=("coco",),
                notes="Derived: stuff first, instances over it; pixels of a thing without an instance are void.",
            ),
            _ade20k(
                name="ade20k_instance_val",
                task=Task.INSTANCE,
                metric="ade20k_segm_ap",
                main_score="AP",
                protocols=("coco", "places"),
                notes="Recent papers cap at 100 detections ('coco'); the 2017 challenge at 255 a class ('places').",
            ),
            _ade20k(
                name="ade20k_semantic_val",
                task=Task.SEMANTIC,
                metric="semantic_iou",
                main_score="mIoU",
                protocols=("all", "present", "union"),
                mini_protocol="present",
                notes="The official script counts an absent class as 0; on the full split every class occurs.",
            ),
            _cityscapes(
                name="cityscapes_panoptic_val",
                task=Task.PANOPTIC,
                metric="panoptic_quality",
                main_score="PQ",
                protocols=("coco",),
                notes="Files with label ids and with train ids are both read; groups are crowds.",
            ),
            _cityscapes(
                name="cityscapes_instance_val",
                task=Task.INSTANCE,
                metric="cityscapes_instance_ap",
                main_score="AP",
                protocols=("official",),
                notes="Not comparable with COCO's AP. A class whose predictions are all excused scores 0 "
                "(the official script fails).",
            ),
            _cityscapes(
                name="cityscapes_semantic_val",
                task=Task.SEMANTIC,
                metric="cityscapes_iou",
                main_score="mIoU",
                protocols=("official",),
                notes="Predictions hold label ids, not train ids.",
            ),
        )
    }
)

TRAINING: Mapping[str, Benchmark] = MappingProxyType(
    {
        row.name: row
        for row in (
            Benchmark(
                name=name,
                dataset=dataset,
                task=Task.PANOPTIC,
                split=split,
                labels=label_set,
                metric="panoptic_quality",
                main_score="PQ",
                protocols=("coco",),
                num_samples=num_samples,
                notes="Joint training derives all three tasks from panoptic truth.",
                is_train=True,
            )
            for name, dataset, split, label_set, num_samples in (
                ("coco_panoptic_train2017", "coco", "train2017", "coco_panoptic", 118287),
                ("ade20k_panoptic_train", "ade20k", "train", "ade20k", 20210),
                ("cityscapes_panoptic_train", "cityscapes", "train", "cityscapes", 2975),
            )
        )
    }
)


def get(name: str) -> Benchmark:
    """The row of that name, for evaluation or training; raises UsageError that suggests neighbours."""
    rows = {**BENCHMARKS, **TRAINING}
    plain = name.removesuffix("@mini")
    if plain not in rows:
        known = tuple(BENCHMARKS)
        raise UsageError(
            f"Unknown benchmark {name!r}.{suggestion(plain, tuple(rows))} Run 'list' to see all {len(known)}."
        )
    return rows[plain]


def label_set(row: Benchmark) -> LabelSet:
    """The row's label set."""
    return labels.load(row.labels)


def is_mini_root(root: Path) -> bool:
    """Whether a data root holds the mini data, so that nobody takes their scores for the real ones."""
    return (root / MINI_STAMP).is_file() or (root.parent / MINI_STAMP).is_file()


def open_listing(row: Benchmark, root: Path | None, *, truth: Path | None = None, is_mini: bool = False) -> Listing:
    """The row's images, found below a data root or given by explicit truth. Raises DataError with all problems.

    root: where the data set is searched, None: nowhere, `truth` says all. The official number of images is enforced
    unless `truth` or the mini data stand in for the official split.
    """
    listing, problems = _find(row, root, truth, is_mini=is_mini)
    if problems:
        problems += listing.problems_of_files(with_frames=_has_frames(listing), decode=True)
    raise_if_any(problems)
    return listing


def open_samples(
    row: Benchmark,
    root: Path | None,
    *,
    truth: Path | None = None,
    is_mini: bool = False,
    asked: Task | None = None,
) -> SampleSet:
    """The row's samples; see `open_listing`. asked: the task that the prompt's sentence names instead of the row's."""
    listing = open_listing(row, root, truth=truth, is_mini=is_mini)
    return listing.samples(prompts.build_prompt(row.task, label_set(row), asked))


def verify(
    row: Benchmark, root: Path | None, *, truth: Path | None = None, is_mini: bool = False, needs_frames: bool = True
) -> Listing:
    """The row's listing after a look at its files. Raises one DataError with all problems of structure and files.

    Small sets are decoded; of large ones the headers, sizes and end marks are read. needs_frames: a missing picture is
    a problem; False: pictures are only looked at where their folder exists.
    """
    listing, problems = _find(row, root, truth, is_mini=is_mini)
    is_small = len(listing.entries) <= DECODE_UP_TO
    with_frames = needs_frames or _has_frames(listing)
    problems += listing.problems_of_files(with_frames=with_frames, decode=is_small)
    raise_if_any(problems)
    return listing


def read_predictions(row: Benchmark, path: Path, samples: SampleSet) -> PredictionSet:
    """Predictions from files in the row's official result form. Raises DataError with all problems."""
    return results.read(_query(row), path, samples.ids)[0]


def read_predictions_with_notes(
    row: Benchmark, path: Path, samples: SampleSet
) -> tuple[PredictionSet, Mapping[str, int]]:
    """`read_predictions`, and what was left out on the way, with its count."""
    return results.read(_query(row), path, samples.ids)


def write_predictions(row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write predictions in the row's official result form: a JSON, a JSON with PNGs, or a folder."""
    results.write(_query(row), path, predictions)


def build_metric(row: Benchmark, protocol: str | None = None) -> Metric:
    """The row's metric; protocol None: the headline's. Raises UsageError that suggests neighbours."""
    wanted = protocol or row.protocols[0]
    if wanted not in row.protocols:
        known = ", ".join(row.protocols)
        near = suggestion(wanted, row.protocols)
        raise UsageError(f"{row.name} has no protocol {wanted!r}.{near} Known: {known}.")
    return metrics.build(row.metric, label_set(row), wanted)


def _query(row: Benchmark) -> Query:
    return Query(name=row.name, dataset=row.dataset, task=row.task, split=row.split, labels=label_set(row))


def _find(row: Benchmark, root: Path | None, truth: Path | None, *, is_mini: bool) -> tuple[Listing, list[Problem]]:
    """The listing, and the problems of its structure."""
    if truth is not None:
        listing = open_truth(_query(row), truth, root)
    elif root is not None:
        listing = open_root(_query(row), root)
    else:
        raise UsageError(f"{row.name} needs --data-root or --truth.")
    problems = list(listing.problems)
    is_official = truth is None and not is_mini and not is_mini_root(root or Path())
    if is_official and len(listing.entries) != row.num_samples:
        message = f"{row.name} has {len(listing.entries):,} usable images, expected {row.num_samples:,}"
        remedy = "Complete the data set, or score a subset with --truth"
        problems.append(Problem(place=str(root), message=message, remedy=remedy))
    if not listing.entries and not problems:
        message = f"{row.name} has no images"
        problems.append(Problem(place=str(truth or root), message=message, remedy="Give truth with at least one image"))
    return listing, problems


def _has_frames(listing: Listing) -> bool:
    return bool(listing.entries) and listing.entries[0].frame.parent.is_dir()
