"""Laws that every metric keeps in every scenario, whatever its official definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scene_views import RUNS
from scenes import SCENARIOS, SIZE, Scene, scenes

from benchmark import catalog, labels, masks, metrics
from benchmark.contract import (
    IGNORE,
    Instances,
    LabelMap,
    Metric,
    Panoptic,
    Prediction,
    Rle,
    Sample,
    Scores,
    Segment,
    Stats,
    Truth,
    make_instances,
    summarise,
)
from benchmark.problems import BenchmarkError, UsageError

every_metric = pytest.mark.parametrize("name", RUNS)
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS)


def metric_of(name: str) -> Metric:
    run = RUNS[name]
    return metrics.build(run.metric, labels.load(run.labels), run.protocol)


def measured(name: str, drawn: Sequence[Scene]) -> list[Stats]:
    metric = metric_of(name)
    return [metric.measure(*RUNS[name].view(scene)) for scene in drawn]


def same_bits(left: Scores, right: Scores) -> bool:
    """Whether two results agree to the last bit, NaN equal to NaN."""

    def packed(scores: Scores) -> bytes:
        rows = [*scores.values.values(), *(value for row in scores.per_class.values() for value in row.values())]
        return np.array([*rows, *scores.counts.values()], np.float64).tobytes()

    return packed(left) == packed(right)


@every_metric
def test_typical_scenes_score_between_the_extremes(name: str) -> None:
    result = summarise(metric_of(name), measured(name, scenes("typical")))
    entry = metrics.METRICS[RUNS[name].metric].protocols[RUNS[name].protocol]
    assert tuple(result.values) == entry.score_names or set(result.values) == set(entry.score_names)
    main = result.values[entry.score_names[0]]
    assert 0.001 < main < 0.999
    assert set(result.per_class) >= {label.name for label in labels.load(RUNS[name].labels).classes if label.is_thing}


@every_metric
@every_scenario
def test_replayed_truth_scores_one_or_is_undefined(name: str, scenario: str) -> None:
    pairs = [_replay(*RUNS[name].view(scene)) for scene in scenes(scenario)]
    metric = metric_of(name)
    result = summarise(metric, [metric.measure(*pair) for pair in pairs])
    for key, value in result.values.items():
        if key in ("AR1", "AR10", "AR50") or (name == "semantic_all" and key in ("mIoU", "final_score")):
            continue  # fewer answers than objects are allowed; absent classes count as zero
        assert np.isnan(value) or value == pytest.approx(1.0, abs=1e-12), key


def _replay(sample: Sample, _: Prediction) -> tuple[Sample, Prediction]:
    assert sample.truth is not None
    frame = sample.truth.frames[0]
    if isinstance(frame, Instances):
        keep = np.flatnonzero(~frame.is_crowd)
        frame = make_instances(
            class_index=frame.class_index[keep],
            masks=[(frame.masks or ())[row] for row in keep],
            boxes=frame.boxes[keep],
        )
    if isinstance(frame, Panoptic):
        crowds = [row.id for row in frame.segments if row.is_crowd]
        frame = Panoptic(
            segment_id=np.where(np.isin(frame.segment_id, crowds), 0, frame.segment_id).astype(np.int32),
            segments=tuple(row for row in frame.segments if not row.is_crowd),
        )
    return sample, Prediction(frames=(frame,))


@every_metric
@every_scenario
def test_order_and_shards_change_no_bit(name: str, scenario: str) -> None:
    metric, stats = metric_of(name), measured(name, scenes(scenario))
    result = summarise(metric, stats)
    shuffled = [stats[place] for place in np.random.default_rng(1).permutation(len(stats))]
    assert same_bits(summarise(metric, shuffled), result)
    shards = [_restored(part) for part in (stats[5:], stats[:2], stats[2:5])]
    assert same_bits(summarise(metric, [one for shard in shards for one in shard]), result)


def _restored(stats: Sequence[Stats]) -> list[Stats]:
    """As they come back from disk: bytes of named arrays."""
    found = []
    for one in stats:
        arrays = {
            key: np.frombuffer(bytearray(value.tobytes()), value.dtype).reshape(value.shape)
            for key, value in one.arrays.items()
        }
        found.append(Stats(sample_id=one.sample_id, arrays=arrays))
    return found


@every_metric
def test_statistics_are_integers_flags_or_scores_and_never_objects(name: str) -> None:
    for one in measured(name, scenes("typical", num=2)):
        assert {value.dtype.kind for value in one.arrays.values()} <= set("biuf")
        assert sum(value.dtype.kind == "f" for value in one.arrays.values()) <= 1


@every_metric
@every_scenario
def test_numbering_of_objects_changes_no_bit(name: str, scenario: str) -> None:
    metric, drawn = metric_of(name), scenes(scenario)
    pairs = [RUNS[name].view(scene) for scene in drawn]
    result = summarise(metric, [metric.measure(*pair) for pair in pairs])
    renamed = [(_renumber_truth(sample), _renumber(prediction)) for sample, prediction in pairs]
    assert same_bits(summarise(metric, [metric.measure(*pair) for pair in renamed]), result)


def _renumber_truth(sample: Sample) -> Sample:
    assert sample.truth is not None
    return replace(sample, truth=replace(sample.truth, frames=_renumber(Prediction(frames=sample.truth.frames)).frames))


def _renumber(prediction: Prediction) -> Prediction:
    (frame,) = prediction.frames
    if isinstance(frame, Instances):
        return Prediction(frames=(replace(frame, object_id=frame.object_id[::-1] + 1000),))
    if isinstance(frame, Panoptic):
        # Order-preserving, since the last crowd of a class is the one that counts and pairs are summed by id.
        table = {row.id: 5 + 3 * row.id for row in frame.segments} | {0: 0}
        ids = np.vectorize(table.__getitem__, otypes=[np.int32])(frame.segment_id)
        return Prediction(
            frames=(Panoptic(segment_id=ids, segments=tuple(replace(row, id=table[row.id]) for row in frame.segments)),)
        )
    return prediction


@every_metric
@every_scenario
def test_ignored_area_around_the_image_changes_no_bit(name: str, scenario: str) -> None:
    metric, drawn = metric_of(name), scenes(scenario)
    pairs = [RUNS[name].view(scene) for scene in drawn]
    result = summarise(metric, [metric.measure(*pair) for pair in pairs])
    wider = [_pad(*pair) for pair in pairs]
    assert same_bits(summarise(metric, [metric.measure(*pair) for pair in wider]), result)


def _pad(sample: Sample, prediction: Prediction) -> tuple[Sample, Prediction]:
    """Add a void margin; a panoptic or semantic prediction puts something there that must not count."""
    assert sample.truth is not None
    truth = Truth(
        frames=tuple(_pad_frame(frame, is_truth=True) for frame in sample.truth.frames),
        objects=None if sample.truth.objects is None else _pad_frame(sample.truth.objects, is_truth=True),  # type: ignore[arg-type]
        ignore=None if sample.truth.ignore is None else _pad_void(sample.truth.ignore),
    )
    size = (SIZE[0] + 14, SIZE[1] + 14)
    padded = tuple(_pad_frame(frame, is_truth=False) for frame in prediction.frames)
    return replace(sample, truth=truth, size=size), Prediction(frames=padded)


def _pad_void(void: Rle) -> Rle:
    return masks.encode(np.pad(masks.decode(void), 7, constant_values=True))


def _pad_frame(frame: Instances | LabelMap | Panoptic, is_truth: bool) -> Instances | LabelMap | Panoptic:
    if isinstance(frame, Instances):
        return replace(frame, masks=tuple(masks.encode(np.pad(masks.decode(rle), 7)) for rle in frame.masks or ()))
    if isinstance(frame, LabelMap):
        margin = IGNORE if is_truth else 1
        return LabelMap(class_index=np.pad(frame.class_index, 7, constant_values=margin))
    if is_truth:
        return Panoptic(segment_id=np.pad(frame.segment_id, 7), segments=frame.segments)
    extra = Segment(id=99_999, class_index=0)
    return Panoptic(segment_id=np.pad(frame.segment_id, 7, constant_values=extra.id), segments=(*frame.segments, extra))


@every_metric
def test_wrong_kind_size_and_missing_truth_are_refused_by_sample(name: str) -> None:
    metric = metric_of(name)
    sample, prediction = RUNS[name].view(scenes("typical", num=1)[0])
    with pytest.raises(BenchmarkError, match=r"^1: the sample has no truth"):
        metric.measure(replace(sample, truth=None), prediction)
    with pytest.raises(BenchmarkError, match=r"^1: truth is 56x72 .* the image is 57x72"):
        metric.measure(replace(sample, size=(57, 72)), prediction)
    with pytest.raises(BenchmarkError, match=r"^1: prediction has 2 frames"):
        metric.measure(sample, Prediction(frames=prediction.frames * 2))
    other = LabelMap(class_index=np.zeros(SIZE, np.uint16))
    wrong = make_instances(class_index=[]) if isinstance(prediction.frames[0], LabelMap) else other
    with pytest.raises(BenchmarkError, match=r"^1: prediction is of kind \w+, this metric compares \w+\.$"):
        metric.measure(sample, Prediction(frames=(wrong,)))


def test_table_names_neighbours_of_an_unknown_metric_or_protocol() -> None:
    coco = labels.load("coco_panoptic")
    with pytest.raises(UsageError, match=r"Unknown metric 'panoptic_qualty'. Did you mean 'panoptic_quality'"):
        metrics.build("panoptic_qualty", coco)
    with pytest.raises(UsageError, match=r"has no protocol 'place'. Did you mean 'places'\?"):
        metrics.build("ade20k_segm_ap", coco, "place")


@pytest.mark.parametrize("metric_name", metrics.METRICS)
def test_every_entry_of_the_table_is_complete(metric_name: str) -> None:
    entry = metrics.METRICS[metric_name]
    assert entry.tool and entry.is_higher_better(next(iter(entry.protocols.values())).score_names[0])
    assert entry.decimals >= 1
    for protocol_name, protocol in entry.protocols.items():
        metric = metrics.build(metric_name, labels.load("cityscapes"), protocol_name)
        assert set(summarise(metric, []).values) == set(protocol.score_names)


def test_every_metric_of_the_mini_data_has_scenes() -> None:
    wanted = {row.metric for row in catalog.BENCHMARKS.values() if catalog.is_of_the_suite(row)}
    assert wanted <= {run.metric for run in RUNS.values()}
