"""Every benchmark, one row each, and the four things one does with a row: open, read, write, score.

Rows are named `<dataset>_<task>_<split>`. Names are looked up with suggestions; nothing is registered elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from benchmark import metrics, prompts
from benchmark.contract import Metric, Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets import (
    ade20k,
    bdd100k_images,
    bdd100k_tracking,
    cityscapes,
    coco,
    d3,
    davis,
    flickr30k,
    got10k,
    in_the_wild,
    lasot,
    lvis,
    lvos,
    mapillary,
    mevis,
    mose,
    mose2,
    mot,
    mots,
    objects365,
    open_images,
    pascal_context,
    phrasecut,
    reasonseg,
    reasonvos,
    ref_davis,
    ref_youtube_vos,
    refcoco,
    revos,
    saco,
    sav,
    sentences,
    tao,
    tnl2k,
    trackingnet,
    youtube_vis,
    youtube_vos,
)
from benchmark.formats import archives
from benchmark.formats.listing import Listing
from benchmark.labels import LabelSet, suggestion
from benchmark.problems import Problem, UsageError, raise_if_any
from benchmark.row import Benchmark, DataNotFound, open_below, open_given, read_given

__all__ = ["BENCHMARKS", "TRAINING", "Benchmark", "DataNotFound", "build_metric", "get", "is_mini_root"]

MINI_STAMP = "minidata.json"
OF_THE_SUITE = ("coco", "ade20k", "cityscapes")
"""Data sets that the suite trains on; their miniatures have a root in common."""
DECODE_UP_TO = 300
"""Number of images up to which a check before evaluation looks at every pixel."""


_ROWS = (
    *coco.ROWS,
    *ade20k.ROWS,
    *cityscapes.ROWS,
    *lvis.ROWS,
    *objects365.ROWS,
    *open_images.ROWS,
    *in_the_wild.ROWS,
    *d3.ROWS,
    *bdd100k_images.ROWS,
    *pascal_context.ROWS,
    *mapillary.ROWS,
    *davis.ROWS,
    *ref_youtube_vos.ROWS,
    *ref_davis.ROWS,
    *mevis.ROWS,
    *revos.ROWS,
    *reasonvos.ROWS,
    *sentences.ROWS,
    *youtube_vos.ROWS,
    *sav.ROWS,
    *mose.ROWS,
    *mose2.ROWS,
    *lvos.ROWS,
    *mot.ROWS,
    *mots.ROWS,
    *lasot.ROWS,
    *tnl2k.ROWS,
    *trackingnet.ROWS,
    *got10k.ROWS,
    *youtube_vis.ROWS,
    *refcoco.ROWS,
    *reasonseg.ROWS,
    *bdd100k_tracking.ROWS,
    *tao.ROWS,
    *phrasecut.ROWS,
    *flickr30k.ROWS,
    *saco.ROWS,
)

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType({row.name: row for row in _ROWS if not row.is_train})

TRAINING: Mapping[str, Benchmark] = MappingProxyType({row.name: row for row in _ROWS if row.is_train})


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


def rows() -> tuple[Benchmark, ...]:
    """Every row, for evaluation or training, in order."""
    return _ROWS


def label_set(row: Benchmark) -> LabelSet:
    """The row's label set."""
    return row.label_set


def is_mini_root(root: Path) -> bool:
    """Whether a data root holds the mini data, so that nobody takes their scores for the real ones."""
    return mini_stamp(root) is not None


def mini_stamp(root: Path) -> Path | None:
    """The file by which mini data are known, in a data root (a folder or a zip) or beside it; None for other data."""
    stamps = (one / MINI_STAMP for one in (*archives.ways_in(root), root.parent))
    return next((stamp for stamp in stamps if stamp.is_file()), None)


def is_of_the_suite(row: Benchmark) -> bool:
    """Whether the suite evaluates the row; the committed example predictions hold these."""
    return row.dataset in OF_THE_SUITE and row.task is not Task.DETECTION and row.truth == "public"


def open_listing(row: Benchmark, root: Path | None, *, truth: Path | None = None, is_mini: bool = False) -> Listing:
    """The row's images, found below a data root or given by explicit truth. Raises DataError with all problems.

    root: where the data set is searched, None: nowhere, `truth` says all. The official number of images is enforced
    unless `truth` or the mini data stand in for the official split.
    """
    listing, problems = _find(row, root, truth, is_mini=is_mini)
    if problems:
        problems += listing.problems_of_files(with_frames=has_frames(listing), decode=True)
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
    row: Benchmark,
    root: Path | None,
    *,
    truth: Path | None = None,
    is_mini: bool = False,
    needs_frames: bool = True,
    decodes: bool = True,
) -> Listing:
    """The row's listing after a look at its files. Raises one DataError with all problems of structure and files.

    Small sets are decoded; of large ones the headers, sizes and end marks are read. needs_frames: a missing picture is
    a problem; False: pictures are only looked at where their folder exists. decodes: False leaves that to the caller.
    """
    listing, problems = _find(row, root, truth, is_mini=is_mini)
    is_small = decodes and num_pictures(listing) <= DECODE_UP_TO
    with_frames = needs_frames or has_frames(listing)
    problems += listing.problems_of_files(with_frames=with_frames, decode=is_small)
    raise_if_any(problems)
    return listing


def read_predictions(row: Benchmark, path: Path, samples: SampleSet) -> PredictionSet:
    """Predictions from files in the row's official result form. Raises DataError with all problems."""
    return read_given(row, path, samples)[0]


def read_predictions_with_notes(
    row: Benchmark, path: Path, samples: SampleSet
) -> tuple[PredictionSet, Mapping[str, int]]:
    """`read_predictions`, and what was left out on the way, with its count."""
    return read_given(row, path, samples)


def write_predictions(row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
    """Write predictions in the row's official result form: a JSON, a JSON with PNGs, or a folder."""
    row.layout.write_predictions(row, path, predictions)


def build_metric(row: Benchmark, protocol: str | None = None) -> Metric:
    """The row's metric; protocol None: the headline's. Raises UsageError that suggests neighbours."""
    wanted = protocol or row.protocols[0]
    if wanted not in row.protocols:
        known = ", ".join(row.protocols)
        near = suggestion(wanted, row.protocols)
        raise UsageError(f"{row.name} has no protocol {wanted!r}.{near} Known: {known}.")
    return metrics.build(row.metric, label_set(row), wanted)


def _find(row: Benchmark, root: Path | None, truth: Path | None, *, is_mini: bool) -> tuple[Listing, list[Problem]]:
    """The listing, and the problems of its structure."""
    if truth is not None:
        listing = open_given(row, truth, root)
    elif root is not None:
        listing = open_below(row, root)
    else:
        raise UsageError(f"{row.name} needs --data-root or --truth.")
    problems = list(listing.problems)
    is_official = truth is None and not is_mini and not is_mini_root(root or Path())
    if is_official and row.num_samples and len(listing.entries) != row.num_samples:
        message = f"{row.name} has {len(listing.entries):,} usable {row.unit}, expected {row.num_samples:,}"
        remedy = "Complete the data set, or score a subset with --truth"
        problems.append(Problem(place=str(root), message=message, remedy=remedy))
    if not listing.entries and not problems:
        message = f"{row.name} has no {row.unit}"
        problems.append(Problem(place=str(truth or root), message=message, remedy=f"Give truth with some {row.unit}"))
    return listing, problems


def num_pictures(listing: Listing) -> int:
    """How many pictures a check would decode; videos that name theirs on access show one."""
    return sum(len(one.frames) if isinstance(one.frames, tuple) else 1 for one in listing.entries)


def has_frames(listing: Listing) -> bool:
    """Whether the pictures are there, or at least the folder of the first."""
    if not listing.entries:
        return False
    frames = listing.entries[0].frames
    return frames[0].parent.is_dir() if isinstance(frames, tuple) else frames[0].is_file()
