"""The trivial baselines answer every task validly, and colour alone does not solve the mini data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmark import labels, masks, trivial
from benchmark.contract import (
    Instances,
    LabelMap,
    Panoptic,
    Prompt,
    Sample,
    SampleSet,
    Segment,
    Task,
    Truth,
    summarise,
)
from benchmark.metrics.panoptic_quality import PanopticQuality
from benchmark.minidata.naming import relabel
from benchmark.minidata.world import render, sample_scene, scene_seed
from benchmark.problems import DataError, UsageError

LABELS = labels.load("coco_panoptic")
NUM_TRAINING, NUM_VALIDATION = 40, 30


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> SampleSet:
    """Panoptic training samples."""
    return _draw(tmp_path_factory.mktemp("train"), "train", NUM_TRAINING)


@pytest.fixture(scope="module")
def validation(tmp_path_factory: pytest.TempPathFactory) -> SampleSet:
    """Panoptic validation samples."""
    return _draw(tmp_path_factory.mktemp("val"), "val", NUM_VALIDATION)


def _draw(folder: Path, split: str, num: int) -> SampleSet:
    samples = []
    for number in range(1, num + 1):
        image, truth = render(sample_scene(scene_seed(0, split, number), split))
        samples.append(_sample(folder, str(number), image, relabel(truth, LABELS)))
    return SampleSet(tuple(sample.sample_id for sample in samples), samples.__getitem__)


def _sample(folder: Path, sample_id: str, image: np.ndarray, truth: Panoptic, task: Task = Task.PANOPTIC) -> Sample:
    path = folder / f"{sample_id}.png"
    cv2.imwrite(str(path), image[..., ::-1])
    return Sample(
        sample_id=sample_id,
        frames=(path,),
        size=image.shape[:2],
        prompt=Prompt(task=task),
        truth=Truth(frames=(truth,)),
    )


def _asked(sample: Sample, task: Task) -> Sample:
    return replace(sample, prompt=Prompt(task=task))


@pytest.mark.parametrize("name", trivial.BASELINES)
def test_answers_fit_the_task_and_agree_with_each_other(name: str, training: SampleSet, validation: SampleSet) -> None:
    predict = trivial.build(name, training, LABELS)
    for sample in validation.head(5):
        panoptic, semantic, instances = (
            predict(_asked(sample, task)).frames[0] for task in (Task.PANOPTIC, Task.SEMANTIC, Task.INSTANCE)
        )
        assert isinstance(panoptic, Panoptic)
        assert isinstance(semantic, LabelMap)
        assert isinstance(instances, Instances) and instances.masks is not None
        assert set(np.unique(panoptic.segment_id).tolist()) == {segment.id for segment in panoptic.segments}
        for segment in panoptic.segments:
            assert (semantic.class_index[panoptic.segment_id == segment.id] == segment.class_index).all()
        things = [segment for segment in panoptic.segments if LABELS.is_thing[segment.class_index]]
        assert instances.class_index.tolist() == [segment.class_index for segment in things]
        for segment, rle in zip(things, instances.masks, strict=True):
            np.testing.assert_array_equal(masks.decode(rle), panoptic.segment_id == segment.id)
        assert ((instances.score > 0) & (instances.score <= 1)).all()


def test_stuff_classes_appear_once(training: SampleSet, validation: SampleSet) -> None:
    predict = trivial.build("colour_clusters", training, LABELS)
    for sample in validation.head(10):
        frame = predict(sample).frames[0]
        assert isinstance(frame, Panoptic)
        stuff = [segment.class_index for segment in frame.segments if not LABELS.is_thing[segment.class_index]]
        assert len(stuff) == len(set(stuff))


@pytest.mark.parametrize("name", trivial.BASELINES)
def test_colour_alone_does_not_solve_the_mini_data(name: str, training: SampleSet, validation: SampleSet) -> None:
    predict = trivial.build(name, training, LABELS)
    metric = PanopticQuality(LABELS)
    scores = summarise(metric, [metric.measure(sample, predict(sample)) for sample in validation])
    assert 0 < scores.values["PQ"] <= 0.35


def test_colour_clusters_solve_what_colour_does_tell(tmp_path: Path) -> None:
    """A fair baseline: plain red balls on plain green grass are found and named without fault."""
    ball, grass = LABELS.index_named("sports ball"), LABELS.index_named("grass-merged")
    samples = []
    for number in range(4):
        image = np.full((64, 64, 3), (30, 150, 40), np.uint8)
        ids = np.ones((64, 64), np.int32)
        for position, centre in enumerate([(16, 16 + 4 * number), (46, 44)]):
            cv2.circle(image, centre, 8, (210, 30, 30), -1)
            cv2.circle(ids, centre, 8, 2 + position, -1)
        segments = [Segment(id=one, class_index=grass if one == 1 else ball) for one in (1, 2, 3)]
        samples.append(_sample(tmp_path, str(number), image, Panoptic(segment_id=ids, segments=tuple(segments))))
    drawn = SampleSet(tuple(sample.sample_id for sample in samples), samples.__getitem__)
    predict = trivial.build("colour_clusters", drawn, LABELS)
    metric = PanopticQuality(LABELS)
    scores = summarise(metric, [metric.measure(sample, predict(sample)) for sample in drawn])
    assert scores.values["RQ"] == 1.0
    assert scores.values["PQ"] > 0.9


def test_most_frequent_class_is_the_stuff_with_the_most_pixels(tmp_path: Path) -> None:
    sea, road = LABELS.index_named("sea"), LABELS.index_named("road")
    ball = LABELS.index_named("sports ball")
    ids = np.repeat(np.array([1, 1, 2, 2, 2, 3, 3, 3, 3, 3], np.int32), 10).reshape(10, 10)
    segments = tuple(Segment(id=one, class_index=index) for one, index in ((1, sea), (2, road), (3, ball)))
    image = np.zeros((10, 10, 3), np.uint8)
    sample = _sample(tmp_path, "1", image, Panoptic(segment_id=ids, segments=segments))
    predict = trivial.build("most_frequent_class", SampleSet(("1",), [sample].__getitem__), LABELS)
    frame = predict(_asked(sample, Task.SEMANTIC)).frames[0]
    assert isinstance(frame, LabelMap)
    assert np.unique(frame.class_index).tolist() == [road]
    assert len(predict(_asked(sample, Task.INSTANCE)).frames[0].class_index) == 0  # type: ignore[union-attr]


def test_same_pixels_same_answer(training: SampleSet, validation: SampleSet) -> None:
    answers = [trivial.build("colour_clusters", training, LABELS)(validation[0]).frames[0] for _ in range(2)]
    assert isinstance(answers[0], Panoptic) and isinstance(answers[1], Panoptic)
    np.testing.assert_array_equal(answers[0].segment_id, answers[1].segment_id)
    assert answers[0].segments == answers[1].segments


def test_unknown_names_and_wrong_training_data_are_refused(training: SampleSet) -> None:
    with pytest.raises(UsageError, match="Did you mean 'colour_clusters'"):
        trivial.build("color_clusters", training, LABELS)
    semantic = replace(training[0], truth=Truth(frames=(LabelMap(class_index=np.zeros((128, 128), np.uint16)),)))
    with pytest.raises(UsageError, match="panoptic training samples"):
        trivial.build("colour_clusters", SampleSet(("1",), [semantic].__getitem__), LABELS)


def test_an_unreadable_image_is_named(training: SampleSet, tmp_path: Path) -> None:
    predict = trivial.build("colour_clusters", training, LABELS)
    (tmp_path / "broken.png").write_bytes(b"not an image")
    broken = replace(training[0], frames=(tmp_path / "broken.png",))
    with pytest.raises(DataError, match=r"broken\.png: is neither a PNG nor a JPEG file"):
        predict(broken)
