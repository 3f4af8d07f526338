"""What is fuzzed: a tiny miniature of every data set with predictions that replay its truth, and their files by family.

Every family of readers is one kind of file: JSON, PNG, text (with CSV, XML and INI), pickle, MATLAB, zip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from layout_scenes import write_root
from replay import replayed

from benchmark import catalog, measuring, prompts
from benchmark.catalog import Benchmark
from benchmark.contract import Task
from benchmark.minidata import miniatures
from benchmark.minidata.pools import Pools
from benchmark.problems import BenchmarkError
from benchmark.row import WritesScenes
from benchmark.trust import lawful

FAMILIES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "json": frozenset({".json"}),
        "png": frozenset({".png"}),
        "text": frozenset({".txt", ".csv", ".xml", ".ini", ".label", ".yaml"}),
        "pickle": frozenset({".p"}),
        "matlab": frozenset({".mat"}),
        "zip": frozenset({".zip"}),
    }
)
SIZE = (64, 80)
TINY = Pools(size=SIZE, num_images={"train": 2, "val": 2}, num_clips={"train": 1, "val": 1})
DRAWN_BY_HAND = ("coco", "ade20k", "cityscapes")

Outcome = tuple[str, object]
"""("scores", the scores' text) or ("refused", the lines)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One row with its data root and predictions. Nothing else lies in either folder."""

    row: Benchmark
    root: Path
    predictions: Path

    def outcome(self, predictions: Path | None = None) -> Outcome:
        """What comes of the files as they are now: scores, or the complaints."""
        try:
            return "scores", self._scores(predictions or self.predictions)
        except BenchmarkError as error:
            lines = [str(problem) for problem in getattr(error, "problems", ())] or [str(error)]
            assert all(line.strip() and len(line) < 2000 for line in lines), lines
            return "refused", lines
        except OSError as error:  # the command makes a line of it
            assert error.strerror, error
            return "refused", [f"{error.filename}: {error.strerror}"]

    def files(self, suffixes: frozenset[str]) -> Iterator[Path]:
        """Files of a family: those of the predictions, then those of the truth."""
        beside = self.predictions.parent
        for folder in (beside, self.root):
            yield from sorted(path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file())

    def _scores(self, predictions: Path) -> str:
        row = self.row
        metric = catalog.build_metric(row)
        listing = catalog.verify(row, self.root, is_mini=True, needs_frames=False)
        samples = listing.samples(prompts.build_prompt(row.task, row.label_set))
        found = catalog.read_predictions(row, predictions, samples)
        work = measuring.Work(metric=metric, samples=samples, predictions=found, place=str(predictions))
        stats = measuring.measure(work, folder=None, workers=1, report=None)
        scores = metric.pool(stats)(None)
        lawful.check(row.metric, scores, stats)
        return repr((sorted(scores.values.items()), sorted(scores.counts.items()), len(stats)))


def write(folder: Path, say: Callable[[str], object] = lambda line: None) -> list[Subject]:
    """Write all subjects below a folder: one row of each task and metric of every data set."""
    subjects = []
    drawn = write_root(folder / "drawn" / "root")
    for row in _chosen():
        if row.dataset in DRAWN_BY_HAND:
            root = drawn
        else:
            root = folder / row.dataset.replace("+", "plus") / "root"
            if not root.exists():
                say(row.dataset)
                miniatures.write(root, [one for one in _catalogue() if one.dataset == row.dataset], TINY)
                (root / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
        subjects.append(_with_predictions(row, root))
    return subjects


def _with_predictions(row: Benchmark, root: Path) -> Subject:
    samples = catalog.open_samples(row, root, is_mini=True)
    home = root.parent / f"found-{row.name.replace('+', 'plus')}"
    path = home / ("pred.json" if row.task in (Task.PANOPTIC, Task.DETECTION) else "pred")
    catalog.write_predictions(row, path, [(sample, replayed(sample)) for sample in samples])
    if path.is_file():
        path = path.rename(home / ("pred.csv" if row.dataset == "openimages" else "pred.json"))
    return Subject(row=row, root=root, predictions=path)


def _catalogue() -> list[Benchmark]:
    return [*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()]


def _chosen() -> list[Benchmark]:
    seen: dict[tuple[str, str, str], Benchmark] = {}
    for row in catalog.BENCHMARKS.values():
        if row.dataset in DRAWN_BY_HAND or isinstance(row.layout, WritesScenes):
            seen.setdefault((row.dataset, row.task.value, row.metric), row)
    return list(seen.values())
