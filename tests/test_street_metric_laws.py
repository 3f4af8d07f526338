"""Laws of the metrics of BDD100K's objects and of Vistas: order, shards and weights change nothing they should not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import test_bdd100k_instances as bdd100k
import test_mapillary as mapillary

from benchmark import catalog, metrics
from benchmark.contract import Metric, Stats, summarise

ROWS = ("bdd100k_instance_val", "mapillary_semantic_v12_val", "mapillary_instance_v12_val")


def _bdd100k(root: Path) -> Path:
    return bdd100k.write_case(root, "typical")


def _maps(root: Path) -> Path:
    return mapillary.write_case(root, "typical")[1] / "maps"


def _objects(root: Path) -> Path:
    return mapillary.write_case(root, "typical")[1] / "objects"


WRITERS: dict[str, Callable[[Path], Path]] = dict(zip(ROWS, (_bdd100k, _maps, _objects), strict=True))


@pytest.fixture(params=ROWS)
def measured(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Metric, list[Stats]]:
    """A row's metric and its statistics of a drawn case."""
    row = catalog.get(request.param)
    path = WRITERS[row.name](tmp_path)
    samples = catalog.open_samples(row, tmp_path, is_mini=True)
    found = catalog.read_predictions(row, path, samples)
    metric = catalog.build_metric(row)
    return metric, [metric.measure(sample, found[sample.sample_id]) for sample in samples]


def test_order_changes_no_bit(measured: tuple[Metric, list[Stats]]) -> None:
    metric, stats = measured
    shuffled = [stats[place] for place in np.random.default_rng(3).permutation(len(stats))]
    assert repr(summarise(metric, stats)) == repr(summarise(metric, shuffled))


def test_a_weight_of_two_is_a_sample_twice(measured: tuple[Metric, list[Stats]]) -> None:
    metric, stats = measured
    doubled = [*stats, replace(stats[1], sample_id=f"{stats[1].sample_id}0")]
    weights = np.ones(len(stats), np.int64)
    weights[1] = 2
    by_weight, by_copy = metric.pool(stats)(weights), summarise(metric, doubled)
    assert by_weight.counts == by_copy.counts
    assert by_weight.values == pytest.approx(by_copy.values, abs=1e-12, nan_ok=True)


def test_a_weight_of_none_is_a_sample_left_out(measured: tuple[Metric, list[Stats]]) -> None:
    metric, stats = measured
    weights = np.ones(len(stats), np.int64)
    weights[0] = 0
    assert metric.pool(stats)(weights).values == pytest.approx(
        summarise(metric, stats[1:]).values, abs=1e-12, nan_ok=True
    )


def test_laws_hold_on_drawn_scores(measured: tuple[Metric, list[Stats]], request: pytest.FixtureRequest) -> None:
    metric, stats = measured
    row = catalog.get(request.node.callspec.params["measured"])
    scores = summarise(metric, stats)
    assert [broken for law in metrics.METRICS[row.metric].laws for broken in law.breaches(scores, stats)] == []
