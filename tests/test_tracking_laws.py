"""Laws of every tracking metric: order, shards, repetition and numbering change no bit; replayed truth and silence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from test_bdd100k_tracking import write_form
from test_tracking_scores import box_clips, mask_clips

from benchmark import catalog, intervals, store
from benchmark.contract import (
    Frames,
    Instances,
    LabelMap,
    Metric,
    Prediction,
    Sample,
    Scores,
    Stats,
    make_instances,
    summarise,
)
from benchmark.problems import BenchmarkError

Write = Callable[[Path], tuple[Path, Path]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """row, protocol: what is scored. write: makes (truth, results) in a folder. main: a score that silence makes 0."""

    row: str
    protocol: str
    write: Write
    main: str


RUNS = {
    "mot17": Run(row="mot17_mot_train", protocol="mot17", write=box_clips, main="HOTA"),
    "mot20": Run(row="mot20_mot_train", protocol="mot20", write=box_clips, main="HOTA"),
    "kitti": Run(row="kitti_mots_val", protocol="trackeval", write=lambda to: mask_clips(to, 0), main="HOTA"),
    "motschallenge": Run(
        row="motschallenge_mots_train", protocol="trackeval", write=lambda to: mask_clips(to, 1), main="HOTA"
    ),
    "bdd100k_boxes": Run(
        row="bdd100k_mot_val", protocol="scalabel", write=lambda to: write_form(to, "boxes"), main="mMOTA"
    ),
    "bdd100k_bitmasks": Run(
        row="bdd100k_mots_val", protocol="scalabel", write=lambda to: write_form(to, "bitmasks"), main="mMOTSA"
    ),
}
Measured = tuple[Metric, list[tuple[Sample, Prediction]]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Measured]:
    """name of a run -> (metric, samples with predictions), each made once."""
    made: dict[str, Measured] = {}

    def get(name: str) -> Measured:
        if name not in made:
            run = RUNS[name]
            row = catalog.get(run.row)
            truth, found = run.write(tmp_path_factory.mktemp(name))
            samples = catalog.open_samples(row, None, truth=truth)
            predictions = catalog.read_predictions(row, found, samples)
            pairs = [(sample, predictions[sample.sample_id]) for sample in samples]
            made[name] = catalog.build_metric(row, run.protocol), pairs
        return made[name]

    return get


Get = Callable[[str], Measured]
every_run = pytest.mark.parametrize("name", RUNS)


def bits(scores: Scores) -> bytes:
    """All numbers of a result, NaN equal to NaN."""
    rows = [*scores.values.values(), *(value for row in scores.per_class.values() for value in row.values())]
    return np.array([*rows, *scores.counts.values()], np.float64).tobytes()


def stats_of(measured: Measured) -> list[Stats]:
    """Statistics as they come back from disk."""
    metric, pairs = measured
    return [store.decode_stats(one.sample_id, store.encode_stats(one)) for one in (metric.measure(*p) for p in pairs)]


@every_run
def test_order_and_shards_change_no_bit(measured: Get, name: str) -> None:
    metric, stats = measured(name)[0], stats_of(measured(name))
    result = bits(summarise(metric, stats))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(stats))
        assert bits(summarise(metric, [stats[place] for place in order])) == result
        weights = np.arange(len(stats))
        weighted = metric.pool([stats[place] for place in order])(weights[order])
        assert bits(weighted) == bits(metric.pool(stats)(weights))


@every_run
def test_a_weight_of_two_is_the_sample_twice(measured: Get, name: str) -> None:
    metric, stats = measured(name)[0], stats_of(measured(name))
    twice = [*stats, *(replace(one, sample_id=f"{one.sample_id} again") for one in stats[:2])]
    weighted = metric.pool(stats)(np.array([2, 2, *[1] * (len(stats) - 2)]))
    result = summarise(metric, twice)
    assert weighted.counts == result.counts
    assert dict(weighted.values) == pytest.approx(dict(result.values), abs=1e-13, nan_ok=True)


@every_run
def test_replicates_stay_defined_where_a_sample_with_truth_is_drawn(measured: Get, name: str) -> None:
    metric, stats = measured(name)[0], stats_of(measured(name))
    found = intervals.intervals(metric, stats, resamples=20)[RUNS[name].main]
    assert found.low <= found.high and found.num_resamples >= 19


@every_run
def test_numbering_of_objects_changes_no_bit(measured: Get, name: str) -> None:
    metric, pairs = measured(name)
    result = bits(summarise(metric, [metric.measure(*pair) for pair in pairs]))
    renamed = [(sample, _renamed(prediction)) for sample, prediction in pairs]
    other = summarise(metric, [metric.measure(*pair) for pair in renamed])
    assert np.frombuffer(bits(other)) == pytest.approx(np.frombuffer(result), abs=1e-13, nan_ok=True)


def _renamed(prediction: Prediction) -> Prediction:
    def build(index: int) -> Instances:
        frame = prediction.frames[index]
        assert isinstance(frame, Instances)
        return replace(frame, object_id=frame.object_id * 7 + 5)

    return Prediction(frames=Frames(len(prediction.frames), build))


@every_run
def test_replayed_truth_scores_one(measured: Get, name: str) -> None:
    """Every ratio of a present class is 1; nothing is false, missed or switched. BDD100K's means: see its own tests."""
    metric, pairs = measured(name)
    result = summarise(metric, [metric.measure(sample, _replay(sample)) for sample, _ in pairs])
    zero = {"PTR", "MLR", "FP_per_frame"}
    for row in result.per_class.values() if name.startswith("bdd") else [result.values]:
        for key, value in row.items():
            assert math.isnan(value) or value == pytest.approx(0.0 if key in zero else 1.0, abs=1e-12), key
    for key in ("CLR_FP", "CLR_FN", "FP", "FN", "IDSW", "IDSw", "IDFN", "IDFP"):
        assert result.counts.get(key, 0) == 0, key


def _replay(sample: Sample) -> Prediction:
    assert sample.truth is not None
    truth = sample.truth

    def build(index: int) -> Instances:
        frame = truth.frames[index]
        assert isinstance(frame, Instances)
        keep = (frame.score != 0) & (frame.class_index < 8)
        if frame.masks is None and frame.box_format == "xywh":
            keep &= frame.class_index == 0
        return make_instances(
            class_index=frame.class_index[keep],
            masks=None if frame.masks is None else [frame.masks[row] for row in np.flatnonzero(keep)],
            boxes=frame.boxes[keep],
            box_format=frame.box_format,
            object_id=frame.object_id[keep],
        )

    return Prediction(frames=Frames(len(truth.frames), build))


@every_run
def test_silence_scores_zero(measured: Get, name: str) -> None:
    metric, pairs = measured(name)
    quiet = [
        (sample, Prediction(frames=[make_instances(class_index=[], masks=[])] * len(sample.frames)))
        for sample, _ in pairs
    ]
    result = summarise(metric, [metric.measure(*pair) for pair in quiet])
    for key in (RUNS[name].main, "MOTA", "IDF1"):
        assert result.values[key] == 0.0, key


@every_run
def test_videos_that_are_no_pair_are_refused(measured: Get, name: str) -> None:
    metric, pairs = measured(name)
    sample, prediction = next(pair for pair in pairs if pair[0].sample_id == "plain")
    with pytest.raises(BenchmarkError, match=r"^plain: the sample has no truth"):
        metric.measure(replace(sample, truth=None), prediction)
    with pytest.raises(BenchmarkError, match=r"^plain: prediction has 23 frames; the truth has 24"):
        metric.measure(sample, Prediction(frames=list(prediction.frames)[1:]))
    wrong = [LabelMap(class_index=np.zeros((2, 2), np.uint16))] * len(sample.frames)
    with pytest.raises(BenchmarkError, match=r"^plain: prediction of frame 0 is of kind LabelMap"):
        metric.measure(sample, Prediction(frames=wrong))
    frames = list(prediction.frames)
    place = next(index for index, frame in enumerate(frames) if len(frame) > 1)  # type: ignore[arg-type]
    frame = frames[place]
    assert isinstance(frame, Instances)
    frames[place] = replace(frame, object_id=frame.object_id * 0, class_index=frame.class_index * 0)
    with pytest.raises(BenchmarkError, match=rf"^plain: object 0 occurs twice in frame {place}"):
        metric.measure(sample, Prediction(frames=frames))


@every_run
def test_statistics_are_integers_and_one_sum_of_similarities(measured: Get, name: str) -> None:
    for one in stats_of(measured(name)):
        assert {key for key, value in one.arrays.items() if value.dtype.kind == "f"} == {"similarity"}
